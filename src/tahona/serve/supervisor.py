"""The parent of a server's processes: it opens the door, starts the others, replaces one that ends, and ends them.

    tahona serve ── listens; writes the first champion.json; answers nothing itself
    ├── worker × N   `tahona.serve.front.worker`, all on one listening socket
    └── the back     `tahona.serve.back.main`, on a Unix socket in a private folder

The standard input of each child is a pipe from here: it ends when the parent is gone, however that came about.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from tahona.errors import IntegrityError, RefusedError, SetupError
from tahona.lifecycle.opened import OpenProject
from tahona.lifecycle.registry import champion
from tahona.owners import tag
from tahona.project.load import FILE_NAME
from tahona.project.model import Project
from tahona.scorer.load import why_slow
from tahona.serve.champion import Champion, write_champion
from tahona.serve.front.settings import Settings
from tahona.serve.keys import keys_file, read_keys
from tahona.serve.listening import address_of, is_loopback, listen, refuse
from tahona.serve.places import Places
from tahona.serve.telling import tell

NEEDED = ("fastapi", "httptools", "msgspec", "prometheus_client", "python_multipart", "uvicorn", "uvloop")
ROUND = 0.05
"""Seconds between two looks at the children."""
NOTICE = 0.5
"""Seconds between the end of readiness and the closing of the door: whoever sends clients here has to notice."""
WORKERS_END, BACK_ENDS = 7.0, 2.0
"""Seconds for the workers, and besides for the back, to end by themselves; what the workers leave is the back's too."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds before a child that ended is started anew; the pause doubles while it keeps ending early."""
EARLY = 10.0
"""Seconds of life below which a child ended early."""
LONGEST_FOLDER = 40
PATIENCE = 60.0
"""Seconds for the first worker to be there."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and what it serves as it starts."""

    address: str
    process: int
    workers: int
    model: str
    version: int | None
    open: bool
    """Nobody needs a key."""


@dataclass(slots=True)
class Child:
    """A process that has to be there, and the process that is."""

    name: str
    command: Sequence[str]
    door: int | None = None
    settings: bytes = b""
    process: subprocess.Popen[bytes] | None = None
    born: float = 0.0
    pause: float = SHORTEST_PAUSE
    due: float = 0.0
    """When it is to be started."""
    ready: bool = field(default=False)

    def start(self) -> None:
        """Start the process; it is told what it has to know."""
        self.process = subprocess.Popen(  # noqa: S603 - our own words
            self.command,
            stdin=subprocess.PIPE,
            stdout=2 if self.door is None else subprocess.PIPE,  # what a user's function prints is no answer
            pass_fds=() if self.door is None else (self.door,),
            start_new_session=True,  # Ctrl-C reaches the parent alone, which ends the others in order
            env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
        )
        if self.process.stdout is not None:
            os.set_blocking(self.process.stdout.fileno(), False)
        self.born, self.ready = time.monotonic(), False
        self.say(self.settings)

    def say(self, words: bytes) -> None:
        """Tell the process something; one that is gone does not hear it."""
        assert self.process is not None
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            os.write(self.process.stdin.fileno(), words)

    def look(self) -> None:
        """Note whether it is ready; plan its replacement if it has ended."""
        if self.process is None:
            if time.monotonic() >= self.due:
                self._start_again()
            return
        if not self.ready and self.process.stdout is not None:
            self.ready = bool(self.process.stdout.read(6))
        code = self.process.poll()
        if code is None:
            return
        lived = time.monotonic() - self.born
        self.pause = min(self.pause * 2, LONGEST_PAUSE) if lived < EARLY else SHORTEST_PAUSE
        tell("a process ended", process=self.name, id=self.process.pid, code=code, again_in=self.pause)
        self.forget()
        self.due = time.monotonic() + self.pause

    def _start_again(self) -> None:
        """Start it; where the machine has no room for a process now, try again later and leave the others alone."""
        try:
            self.start()
        except OSError as error:
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
            self.due = time.monotonic() + self.pause
            tell("a process cannot be started", process=self.name, why=error.strerror, again_in=self.pause)

    def forget(self) -> None:
        """Close the pipes of a process that has ended."""
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
            self.process = None

    def end(self, by: float) -> None:
        """Wait until it has ended, and kill it when the time is over."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, by - time.monotonic()))
        except subprocess.TimeoutExpired:
            tell("a process did not end in time", process=self.name, id=self.process.pid)
            self.process.kill()
            self.process.wait()
        self.forget()


def serve(opened: OpenProject, words: Sequence[str], say: Callable[[Address], None]) -> None:
    """Serve the project's champion until a signal asks to end; ``words`` choose the same overlays for the back.

    ``say`` is told the address once the first worker is ready. Raise RefusedError for an address that others reach
    where nobody would need a key, SetupError for a port that is taken or a project that is served already.
    """
    _check_extra()
    project, places = opened.project, Places(opened.project.root.resolve())
    places.make()
    with _alone(places), _private_folder() as private, listen(project.serve.host, project.serve.port) as door:
        keys = read_keys(keys_file(places.root))
        if not is_loopback(door) and not keys:
            raise RefusedError(
                f"{project.serve.host} can be reached from outside, and nobody would need a key",
                where="serve.host",
                fix="tahona keys create NAME --scope predict, or listen at 127.0.0.1",
            )
        shutil.rmtree(places.meters, ignore_errors=True)
        first = _first_champion(opened, places)
        settings = _settings(project, places, private / "back", door)
        os.set_inheritable(door.fileno(), True)
        command = [sys.executable, "-m", "tahona.serve.front.worker"]
        workers = [
            Child(f"worker {number}", command, door.fileno(), settings.to_line())
            for number in range(1, project.serve.workers + 1)
        ]
        whole = project.file.name == FILE_NAME
        place = ["--root", str(places.root if whole else project.file.resolve()), "--uds", settings.back]
        back = Child("back", [sys.executable, "-m", "tahona.serve.back.main", *place, *words])
        with _told_to_end() as end:
            version = None if first is None else first.version
            address = Address(address_of(door), os.getpid(), len(workers), project.name, version, keys is None)
            try:
                _start(workers, end)
                say(address)
                _keep(workers, back, end)
            finally:
                _end(workers, back, door)


def _start(workers: Sequence[Child], end: threading.Event) -> None:
    """Start the workers and wait for the first. Raise SetupError when none gets ready."""
    for worker in workers:
        worker.start()
    by = time.monotonic() + PATIENCE
    while not any(worker.ready for worker in workers) and not end.wait(0.005):
        for worker in workers:
            worker.look()
        if time.monotonic() > by:
            raise SetupError("no worker gets ready", where="tahona serve", fix="read what they wrote above")


def _keep(workers: Sequence[Child], back: Child, end: threading.Event) -> None:
    """Replace what ends, until told to end."""
    while not end.wait(ROUND):
        for child in (*workers, back):
            child.look()


def _end(workers: Sequence[Child], back: Child, door: socket.socket) -> None:
    """End in order: readiness, the door, what was begun, the back."""
    _say(workers, b"leave\n")
    time.sleep(NOTICE)
    refuse(door)
    _say(workers, b"end\n")
    door.close()
    by = time.monotonic() + WORKERS_END
    for worker in workers:
        worker.end(by)
    if back.process is not None:
        back.process.terminate()
    back.end(by + BACK_ENDS)


def _say(children: Sequence[Child], words: bytes) -> None:
    for child in children:
        if child.process is not None:
            child.say(words)


def _first_champion(opened: OpenProject, places: Places) -> Champion | None:
    """Write down whom the ledger has as champion, so that the first answer waits for nobody; the back goes on from it.

    What cannot be had now is left to the back; a champion of the last time stays till then.
    """
    version = champion(opened.ledger.versions(opened.project.name))
    if version is None:
        places.champion.unlink(missing_ok=True)
        return None
    try:
        file = opened.store.get(version.bundle_digest)
    except (IntegrityError, SetupError) as error:
        tell("the champion's bundle cannot be had", version=version.number, why=opened.project.mask(str(error)))
        return None
    first = Champion(version.name, version.number, version.bundle_digest, str(file.resolve()), why_slow(file))
    write_champion(places.champion, first)
    return first


def _settings(project: Project, places: Places, back: Path, door: socket.socket) -> Settings:
    serve, limits = project.serve, project.serve.limits
    host, port = door.getsockname()[:2]
    here = f"[{host}]" if ":" in host else host
    names = {"localhost", f"localhost:{port}", here, f"{here}:{port}", serve.host, f"{serve.host}:{port}", *serve.hosts}
    return Settings(
        root=str(places.root),
        back=str(back),
        door=door.fileno(),
        loopback=is_loopback(door),
        hosts=tuple(sorted(name.lower() for name in names)),
        origins=serve.origins,
        log_features=serve.log_features,
        body=limits.body,
        upload=limits.upload,
        rows=limits.rows,
        cell=limits.cell,
        concurrent=limits.concurrent,
        rate=limits.rate,
    )


def _check_extra() -> None:
    """Raise SetupError where the packages of the server are not installed."""
    lacking = [name for name in NEEDED if find_spec(name) is None]
    if lacking:
        raise SetupError(
            f"the server needs {', '.join(lacking)}", where="tahona serve", fix="pip install 'tahona[serve]'"
        )


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Give a folder for the back's socket that nobody else can look into; the path of a socket has to be short."""
    usual = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(
        prefix=f"tahona-serve-{tag()}-",
        dir=usual if len(usual) < LONGEST_FOLDER else "/tmp",  # noqa: S108 - made anew
    ) as folder:
        yield Path(folder)


@contextmanager
def _alone(places: Places) -> Iterator[None]:
    """Hold the project's one place for a server. Raise SetupError where another has it."""
    with (places.folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError(
                "this project is served already", where=str(places.folder), fix="end the other tahona serve first"
            ) from error
        yield


@contextmanager
def _told_to_end() -> Iterator[threading.Event]:
    """Give what is set by the signals that ask to end."""
    end = threading.Event()

    def note(*_: int | FrameType | None) -> None:
        end.set()

    before = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield end
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
