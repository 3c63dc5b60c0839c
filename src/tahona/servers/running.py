"""Starting servers, looking after them, ending them: `tahona up` and `tahona down`.

    .tahona/servers/NAME/                 its data, its log, and `settings.json`: ports and credentials, chosen once
    .tahona/servers/NAME/variables.env    what the project finds it by (mode 0600)
    .tahona/servers/NAME/process-<tag>    its first process, told from a later one with the same id by when it started

A server outlives the command that started it. Whatever it starts has its mark in the environment, and ends with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tahona.errors import SetupError
from tahona.files import write_whole
from tahona.lifecycle.environments import locked
from tahona.owners import is_left, machine, tag
from tahona.project.dotenv import SERVERS, VARIABLES
from tahona.project.model import Project
from tahona.servers.mlflow import MLFLOW
from tahona.servers.postgres import POSTGRES
from tahona.servers.prefect import PREFECT
from tahona.servers.s3 import S3
from tahona.servers.server import LOOPBACK, Place, Server, is_taken, settle

KNOWN: Mapping[str, Server] = {server.name: server for server in (S3, POSTGRES, MLFLOW, PREFECT)}
MARK = "TAHONA_SERVER"
PATIENCE = 240.0
"""Seconds that a server has to answer: the first time some make their tables."""
_IN_ORDER, _SOON = 30.0, 5.0
"""Seconds to end after the first request, and what it left after the second."""

State = Literal["running", "silent", "gone", "stopped"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a server is: `silent` lives and does not answer, `gone` ended without `tahona down`."""

    name: str
    state: State
    address: str
    process: int | None
    log: str
    started: bool = False
    """By this very call."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def start(root: Path, names: Sequence[str], tell: Callable[[str], None]) -> tuple[Standing, ...]:
    """Start those of the servers that do not run, wait until all answer, and note how the project finds them.

    Raise SetupError, with the log's place, for one that does not start.
    """
    with locked(root / SERVERS / "lock"):
        begun = [_begin(root, KNOWN[name], tell) for name in names]
        for server, place, note, started in begun:
            _wait(server, place, note, started=started)
        return tuple(_standing(server, place, note, started=started) for server, place, note, started in begun)


def stop(root: Path) -> tuple[Standing, ...]:
    """End every server of the folder that runs, and what is left of those that ended by themselves; data stays."""
    home = root / SERVERS
    if not home.is_dir():
        return ()
    with locked(home / "lock"):
        known = [server for server in KNOWN.values() if (home / server.name / "settings.json").exists()]
        there = [(server, place, note) for server in known for place, note in [_found(root, server)] if note]
        for server, place, note in there:
            _end(server, place, note)
        return tuple(_standing(server, place, None) for server, place, _ in there)


def look(root: Path, names: Iterable[str]) -> tuple[Standing, ...]:
    """Tell how the servers are; none is started or ended."""
    return tuple(_look(root, KNOWN[name]) for name in names)


def furnish(root: Path, project: Project) -> None:
    """Make in the servers what the project names: buckets."""
    for name in project.up.servers:
        KNOWN[name].furnish(settle(root / SERVERS / name, KNOWN[name]), project)


def make_files(root: Path, make: Mapping[str, Sequence[str]], tell: Callable[[str], None]) -> None:
    """Run the command of every file that is missing; what it prints goes to standard error.

    Raise SetupError when one fails, or makes no such file.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    for name, words in make.items():
        if (root / name).exists():
            continue
        tell(f"making {name} …")
        program = shutil.which(words[0], path=path) or words[0]
        try:
            done = subprocess.run(  # noqa: S603 - the project file's own words
                [program, *words[1:]], cwd=root, env={**os.environ, "PATH": path}, stdout=2, check=False
            )
        except OSError as error:
            raise SetupError(f"'{words[0]}' cannot be run ({error.strerror})", where=f"up.make of {name}") from error
        if done.returncode or not (root / name).exists():
            ended = f"ended with code {done.returncode}" if done.returncode else "did not make it"
            raise SetupError(
                f"the command for {name} {ended}", where="up.make", fix="run it by itself in the project's folder"
            )


def _look(root: Path, server: Server) -> Standing:
    folder = root / SERVERS / server.name
    if not (folder / "settings.json").exists():
        return Standing(server.name, "stopped", "", None, str(folder / "log"))
    return _standing(server, *_found(root, server))


def _standing(server: Server, place: Place, note: Path | None, *, started: bool = False) -> Standing:
    state: State = "stopped"
    if note is not None:
        state = "gone" if is_left(note) else "running" if server.answers(place) else "silent"
    process = _process(note) if note is not None and state != "gone" else None
    return Standing(server.name, state, server.address(place), process, str(place.log), started)


def _found(root: Path, server: Server) -> tuple[Place, Path | None]:
    """Return the server's place, and the note about its process if there is one."""
    place = settle(root / SERVERS / server.name, server)
    notes = sorted(place.folder.glob("process-*"))
    for note in notes:
        if machine() not in note.name:
            raise SetupError(
                f"{server.name} was started on another machine, or in another container",
                where=str(note),
                fix="say tahona down there; if that machine is no more, remove this file",
            )
    return place, notes[-1] if notes else None


def _begin(root: Path, server: Server, tell: Callable[[str], None]) -> tuple[Server, Place, Path, bool]:
    """Start the server's process unless it lives; it may not answer yet. Return its note, and whether it is new."""
    place, note = _found(root, server)
    if note is not None and not is_left(note):
        return server, place, note, False
    if note is not None:
        tell(f"{server.name} ended by itself ({place.log}); it is started again")
        _end(server, place, note)
    _end_all(_marked(place))  # of a `tahona up` that was killed before it could write its note
    for port in filter(is_taken, place.ports.values()):
        raise SetupError(
            f"port {port}, which {server.name} has here, is taken",
            where=LOOPBACK,
            fix=f"end what listens there, or move {place.folder} away: it is made anew, empty, with other ports",
        )
    tell(f"starting {server.name} …")
    program = server.program(place)
    with os.fdopen(os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own words
            program.words,
            cwd=place.folder,
            env={**program.environ, MARK: place.mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C ends the command, not the server
            **program.user,
        )
    note = place.folder / f"process-{tag(process.pid)}"
    note.touch()
    values = server.variables(place).items()
    write_whole(place.folder / VARIABLES, "".join(f"{name}='{value}'\n" for name, value in values), private=True)
    return server, place, note, True


def _wait(server: Server, place: Place, note: Path, *, started: bool) -> None:
    """Wait until the server answers. Raise SetupError where it does not, after ending it if it is new."""
    end = time.monotonic() + PATIENCE
    while not server.answers(place):
        if is_left(note) or time.monotonic() > end:
            if started:
                _end(server, place, note)
            raise SetupError(f"{server.name} does not answer", where=str(place.log), fix="read what it says there")
        time.sleep(0.2)


def _end(server: Server, place: Place, note: Path) -> None:
    """End the process of the note, then whatever it left."""
    if not is_left(note):
        with suppress(ProcessLookupError):
            os.kill(_process(note), server.ending)
        end = time.monotonic() + _IN_ORDER
        while not is_left(note) and time.monotonic() < end:
            time.sleep(0.05)
        if not is_left(note):
            with suppress(ProcessLookupError):
                os.kill(_process(note), signal.SIGKILL)
    _end_all(_marked(place))
    note.unlink()


def _end_all(find: Callable[[], list[int]]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + _SOON
        for process in find():
            with suppress(ProcessLookupError):
                os.kill(process, number)
        while find() and time.monotonic() < end:
            time.sleep(0.05)


def _marked(place: Place) -> Callable[[], list[int]]:
    """Return what finds the processes that have the server's mark; only Linux shows them."""
    mark = f"{MARK}={place.mark}".encode()

    def find() -> list[int]:
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # it has ended by now, or it is another user's
                if mark in environ.read_bytes():
                    found.append(int(environ.parent.name))
        return found

    return find


def _process(note: Path) -> int:
    return int(note.name.split("-")[2])
