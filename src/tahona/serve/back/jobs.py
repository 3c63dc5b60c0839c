"""Training jobs, each in a folder of its own.

    .tahona/serve/jobs/<id>/job.json       what was ordered; never changed
    .tahona/serve/jobs/<id>/events.jsonl   what happened: see `events`
    .tahona/serve/jobs/<id>/lock           held by the job's process, whose id it holds
    .tahona/serve/jobs/<id>/log            what that process said

The system lets go of a lock when its process ends, however it ends: so there are never two processes for one job, and
none is waited for that is gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tahona.room import room_in
from tahona.serve.back.events import Course, Follower, append

FORMAT = 1
"""Version of `job.json`."""
KEPT = 200
"""Jobs that are remembered after their end."""
_ID = re.compile(r"[0-9]{14}-[0-9a-f]{10}")
_PATIENCE = 2.0
"""Seconds that a job's process waits for the lock, which somebody may hold who only asks."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a job is to do."""

    id: str
    when: str
    dataset: str
    test: str
    """File by which the new version is judged; empty without one."""
    changes: dict[str, Any]
    """What the client wants otherwise than in the project file."""
    place: str
    """The project's folder or file."""
    env: str | None
    overrides: tuple[str, ...]
    """All that is laid over the project file, as after `--set`."""
    key: str = ""
    """Id of the client's key."""
    format: int = FORMAT


@dataclass(slots=True)
class Job:
    """An order and its course so far."""

    folder: Path
    order: Order
    course: Course = field(default_factory=Course)
    _follower: Follower = field(init=False)
    _turn: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._follower = Follower(self.events)

    @property
    def id(self) -> str:
        return self.order.id

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def look(self) -> Course:
        """Read what happened since the last look."""
        with self._turn:
            if not self.course.ended:
                for event in self._follower.fresh():
                    self.course.take(event)
        return self.course

    def tell(self, kind: str, **facts: object) -> None:
        """Note an event."""
        append(self.events, kind, **facts)

    @property
    def runs(self) -> bool:
        """Whether a process has the job, whoever started it."""
        return is_held(self.lock)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the job's process and all that it started."""
        with suppress(FileNotFoundError, ValueError, ProcessLookupError):
            process = int(self.lock.read_text("ascii"))
            if self.runs:  # so the process in the file is still the one that wrote it
                os.killpg(process, number)

    def to_dict(self) -> dict[str, Any]:
        """Return what people are told of it."""
        with self._turn:
            course = self.look()
            return {
                "id": self.id,
                "state": course.state,
                "dataset": self.order.dataset,
                "overrides": self.order.changes,
                "created": self.order.when,
                "started": course.started or None,
                "since": course.since,
                "step": course.step or None,
                "progress": course.progress,
                "leaderboard": course.leaderboard,
                "result": course.result,
                "error": course.error,
                "links": links(self.id),
            }


def links(job: str) -> dict[str, str]:
    """Return where to look after a job."""
    return {"self": f"/jobs/{job}", "events": f"/jobs/{job}/events"}


class Jobs:
    """The jobs of one project's server; what they are is on disk, so that any process can take over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Job] = {}

    def all(self) -> Sequence[Job]:
        """Return them, the newest first."""
        names = sorted((path.name for path in self._folder.iterdir() if _ID.fullmatch(path.name)), reverse=True)
        found = [self._open(name) for name in names]
        return [job for job in found if job is not None]

    def find(self, wanted: str) -> Job | None:
        """Return the job with this id, None if there is none."""
        return next((job for job in self.all() if job.id == wanted), None)

    def add(self, *, dataset: str, test: str, changes: dict[str, Any], **rest: Any) -> Job:  # noqa: ANN401
        """Write an order down; the job is queued. Jobs that ended long ago are forgotten.

        Raises SetupError when there is no room.
        """
        now = datetime.now(UTC)
        identity = f"{now:%Y%m%d%H%M%S}-{secrets.token_hex(5)}"
        when = now.isoformat(timespec="milliseconds")
        order = Order(identity, when, dataset, test, changes, **rest)
        draft = self._folder / f"{identity}.new"
        with room_in(self._folder):
            draft.mkdir(mode=0o700)
            (draft / "job.json").write_text(json.dumps(asdict(order), ensure_ascii=False) + "\n", "utf-8")
            append(draft / "events.jsonl", "state", state="queued")
            draft.rename(self._folder / identity)
        for old in [job for job in self.all() if job.look().ended][KEPT:]:
            shutil.rmtree(old.folder, ignore_errors=True)
            self._known.pop(old.id, None)
        job = self._open(identity)
        assert job is not None
        return job

    def _open(self, name: str) -> Job | None:
        folder = self._folder / name
        if name not in self._known:
            try:
                self._known[name] = Job(folder, read_order(folder))
            except (OSError, ValueError, KeyError, TypeError):  # forgotten just now, or torn by a crash: no order
                return None
        return self._known[name]


def read_order(folder: Path) -> Order:
    """Return what the job in this folder is to do."""
    plain = json.loads((folder / "job.json").read_text("utf-8"))
    return Order(**{**plain, "overrides": tuple(plain["overrides"])})


@contextmanager
def held(lock: Path) -> Iterator[bool]:
    """Take the job for this process, and tell whether that worked: another may have it."""
    with lock.open("a+") as file:
        end = time.monotonic() + _PATIENCE
        while not _taken(file.fileno()):
            if time.monotonic() > end:
                yield False
                return
            time.sleep(0.02)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield True


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(lock: Path) -> bool:
    """Tell whether a process has the job."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:  # no process had it yet
        return False
    return False
