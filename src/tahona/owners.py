"""Which process a file or folder belongs to, by a tag in its name, and whether that process is still there."""

from __future__ import annotations

import os
import platform
import re
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from tahona.digests import digest_bytes

ABANDONED = 24 * 3600.0
"""Seconds after which something counts as abandoned where nobody can tell whether its process lives."""
_TAG = re.compile(r"(?P<machine>[0-9a-f]{8})-(?P<process>\d+)(?:-t(?P<started>\d+))?(?![0-9A-Za-z])")


def tag(process: int | None = None) -> str:
    """Return a text for names that says which process this (or another) is: its machine, its id, when it started.

    A process id alone is given out again, after a restart for example.
    """
    process = os.getpid() if process is None else process
    return f"{machine()}-{process}-t{_started(process)}"


def is_left(path: Path) -> bool:
    """Tell whether nobody will come back to this file or folder: the process in its name is gone.

    Of a process on another machine, or in another container, nothing is known here: a day decides.
    """
    found = _TAG.search(path.name)
    if found is not None and found["machine"] == machine():
        return not _is_alive(int(found["process"]), int(found["started"] or 0))
    try:
        return time.time() - path.stat().st_mtime > ABANDONED
    except FileNotFoundError:  # finished, or cleared by another
        return False


def machine() -> str:
    """Return a short name for the place where process ids are counted: this host, and this container on it."""
    namespace = ""
    with suppress(OSError):  # there is no /proc outside Linux
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (not a path: the link's text is the namespace)
    return _digest(f"{platform.node()} {namespace}")


@cache
def _digest(place: str) -> str:
    return digest_bytes(place.encode())[:8]


def _is_alive(process: int, started: int) -> bool:
    """Tell whether the process lives; ``started`` (0: not known) tells it from a later one with its id."""
    if os.name != "posix":  # elsewhere os.kill really kills; the age alone decides
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and is somebody else's
        pass
    state, since = _status(process)
    return state != "Z" and (not started or not since or started == since)


def _started(process: int) -> int:
    return _status(process)[1]


def _status(process: int) -> tuple[str, int]:
    """Return a process' state and when it started, in ticks since the machine did; `("", 0)` where nobody says."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:  # no /proc, or it ended just now
        return "", 0
    return fields[0], int(fields[19])
