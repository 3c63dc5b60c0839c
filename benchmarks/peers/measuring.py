"""What a process and all its descendants cost, as the operating system accounts for it (Linux: reads /proc)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

EVERY = 0.2
"""Seconds between two looks."""
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class PeerError(Exception):
    """The process ended with another code than 0, or was stopped at its limit."""

    def __init__(self, why: str, said: str = "") -> None:
        super().__init__(why)
        self.said = said
        """The end of its log."""


@dataclass(frozen=True)
class Cost:
    """What one process took, its descendants included."""

    wall: float
    cpu: float
    """Seconds: what wait4 reports of the process and its reaped children, or what was seen in /proc if that is more."""
    peak_mb: float
    """Greatest sum of resident memory over all processes at one look; pages that they share count once for each."""
    others_cpu: float
    """CPU seconds that the rest of the machine took meanwhile: what a budget of wall time had to share with."""

    def facts(self) -> dict[str, float]:
        return asdict(self)


def measure(command: Sequence[object], *, log: Path, cwd: Path, env: Mapping[str, str], limit: float) -> Cost:
    """Run a command in a session of its own; what it says goes to the log. Raises PeerError."""
    begun, busy = time.monotonic(), busy_seconds()
    with log.open("ab") as said:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    seen: dict[tuple[int, int], float] = {}
    peak = 0.0
    stopped = False
    try:
        while True:
            found, status, used = os.wait4(process.pid, os.WNOHANG)
            if found:
                break
            looks = list(look(process.pid))
            seen.update({who: cpu for who, cpu, _ in looks})
            peak = max(peak, sum(memory for _, _, memory in looks))
            if time.monotonic() - begun > limit:
                stopped = True
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(EVERY)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if stopped or process.returncode:
        why = f"stopped after {limit:g} s" if stopped else f"ended with {process.returncode}"
        raise PeerError(why, tail(log))
    cpu = max(used.ru_utime + used.ru_stime, sum(seen.values()))
    others = max(0.0, busy_seconds() - busy - cpu)
    return Cost(time.monotonic() - begun, cpu, max(peak, used.ru_maxrss * 1024) / 1e6, others)


def busy_seconds() -> float:
    """Return the CPU seconds since the start in which a core was not idle, those taken by other machines included."""
    user, nice, system, _, _, irq, softirq, steal = Path("/proc/stat").read_text("ascii").split(maxsplit=9)[1:9]
    return sum(map(int, (user, nice, system, irq, softirq, steal))) / TICK


def look(session: int) -> Iterator[tuple[tuple[int, int], float, float]]:
    """Give (process id, start), own CPU seconds and resident bytes of every process of a session."""
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            line = (place / "stat").read_text("ascii", "replace")
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        fields = line[line.rindex(")") + 2 :].split()
        if int(fields[3]) == session:
            yield (int(place.name), int(fields[19])), (int(fields[11]) + int(fields[12])) / TICK, int(fields[21]) * PAGE


def tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
