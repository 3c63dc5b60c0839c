"""A server with all its processes: started, watched through /proc, stopped (Linux)."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "TAHONA_BENCH_SERVER"
"""In the environment of every process that a server starts, however far they go from it."""
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Look:
    """CPU seconds by process, those of its ended and reaped children with it."""

    cpu: Mapping[int, float]

    @property
    def total(self) -> float:
        return sum(self.cpu.values())

    def since(self, before: Look) -> dict[int, float]:
        return {pid: cpu - before.cpu.get(pid, 0.0) for pid, cpu in self.cpu.items()}


class Server:
    """The processes that one command starts."""

    def __init__(
        self, command: Sequence[object], *, folder: Path, log: Path, env: Mapping[str, str], cores: set[int]
    ) -> None:
        self.mark = secrets.token_hex(8)
        self.log = log
        with log.open("wb") as said:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                env={**env, MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509  no threads here
            )

    def pids(self) -> list[int]:
        """Return all its processes, however they were started."""
        wanted = f"{MARK}={self.mark}".encode()
        found = []
        for place in Path("/proc").iterdir():
            if not place.name.isdigit():
                continue
            try:
                if wanted in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):  # ended, or another user's
                continue
        return found

    def look(self) -> Look:
        cpu = {}
        for pid in self.pids():
            try:
                line = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            fields = line[line.rindex(")") + 2 :].split()
            cpu[pid] = sum(map(int, fields[11:15])) / TICK
        return Look(cpu)

    def listening(self, port: int) -> list[int]:
        """Return the processes that hold the socket on which this port listens."""
        lines = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
        fields = [line.split() for line in lines]
        sockets = {f"socket:[{each[9]}]" for each in fields if each[3] == "0A" and each[1].endswith(f":{port:04X}")}
        found = []
        for pid in self.pids():
            try:
                held = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
            except (FileNotFoundError, PermissionError):  # it, or a file of its, has gone meanwhile
                continue
            if held & sockets:
                found.append(pid)
        return found

    def memory(self, pid: int) -> float:
        """Return a process's own share of memory (PSS) in MB."""
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
        raise ValueError("no Pss")

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        """Ask it to end, then end what is left."""
        self._signal(signal.SIGTERM, [self.process.pid] if self.alive() else [])
        end = time.monotonic() + 15
        while time.monotonic() < end and (self.alive() or self.pids()):
            time.sleep(0.1)
            if time.monotonic() > end - 8:
                self._signal(signal.SIGTERM, self.pids())
        self._signal(signal.SIGKILL, self.pids())
        self.process.wait(10)

    @staticmethod
    def _signal(what: signal.Signals, pids: list[int]) -> None:
        for pid in pids:
            try:
                os.kill(pid, what)
            except ProcessLookupError:  # it has ended meanwhile
                continue
