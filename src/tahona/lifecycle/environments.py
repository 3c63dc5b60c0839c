"""Environments of programs that do not fit into Tahona's own: made once from tested pins, and kept."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tahona.digests import digest_bytes
from tahona.errors import SetupError

CACHE = "TAHONA_CACHE"
"""Names the folder in which environments are kept; `~/.cache/tahona` without it."""
_READY = "ready"
"""Written last into an environment's folder: without it the folder is what a dead process left."""


def environment(name: str, requirements: Path) -> Path:
    """Return the Python of the environment with exactly these pins (with hashes); make it if it is not there.

    Processes that want the same one wait for each other. Raise SetupError with pip's last words if it cannot be made.
    """
    folder = place(name, requirements)
    python = folder / "bin" / "python"
    if (folder / _READY).exists():
        return python
    with locked(folder.with_suffix(".lock")):
        if not (folder / _READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            _do(name, sys.executable, "-m", "venv", str(folder))
            pins = ("-r", str(requirements), "-c", str(requirements))  # without -c an older pip loses pins of extras
            _do(name, str(python), "-m", "pip", "install", "--quiet", "--require-hashes", *pins)
            (folder / _READY).touch()
    return python


def place(name: str, requirements: Path) -> Path:
    """Return the folder of the environment with these pins, for this version of Python, whether it is there or not."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return cache_folder() / "environments" / f"{name}-{version}-{digest_bytes(requirements.read_bytes())[:10]}"


def cache_folder() -> Path:
    """Return the user's folder for what can be made again."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "tahona")


def is_ready(name: str, requirements: Path) -> bool:
    """Tell whether the environment is made."""
    return (place(name, requirements) / _READY).exists()


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock of this file while others wait; the system lets go of it when the process ends, however it ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _do(name: str, *command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False)  # noqa: S603
    if done.returncode:
        last = " ".join(done.stdout.strip().splitlines()[-3:])[-400:]
        raise SetupError(
            f"the environment for {name} cannot be made: {last}",
            where=str(Path(command[0]).parent),
            fix="see that pip reaches its index and the disk has room, or name an interpreter that has it (--python)",
        )
