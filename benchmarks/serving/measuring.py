"""What one server costs: started, asked by one and by many rows, stopped."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serving.processes import Server
from serving.systems import Ready, System, numbers_in, requests_of

CLIENT = Path(__file__).with_name("client.py")
CONNECTIONS = 16
WARM = 1.0
SETTLE = 2.0
"""Seconds between two looks at a server that is to come to rest."""
STEADY = 0.02
"""Of a core: looks at an idle server differ by no more."""
QUIET_LIMIT = 60.0
"""Seconds that a server has to come to rest."""
SATURATION = 0.7
START_LIMIT = 180.0


class ServingError(Exception):
    """A server that does not start, or answers anything but what was asked."""


@dataclass(frozen=True)
class Load:
    """What a client saw, and CPU milliseconds per request of all the server's processes."""

    requests: int
    rate: float
    p50: float
    p99: float
    cpu_ms: float
    busiest_ms: float
    """What of it the busiest process took, until the last answer."""


@dataclass(frozen=True)
class Measured:
    """One round; what was not asked for is None."""

    first_cpu: float
    idle: float
    """Of a core, in percent."""
    one: Load
    many: Load | None
    """Requests of 100 rows."""
    steady: Load | None
    """One row, at 70 % of saturation, from an open-loop client."""
    workers: tuple[float, ...]
    """Megabytes (PSS) of each process that answers: it holds the port, and is not idle beside another."""
    memory: float
    """Megabytes (PSS) of all processes."""

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def cores() -> tuple[set[int], set[int]]:
    """Return the cores of servers and the one of the client; they share where there is one only."""
    found = sorted(os.sched_getaffinity(0))
    return (set(found[:-1]), {found[-1]}) if len(found) > 1 else (set(found), set(found))


def measure(
    system: System, ready: Ready, rows: Sequence[dict[str, Any]], seconds: float, *, many: bool, steady: bool
) -> Measured:
    """Start the server on a free port and ask it; raise ServingError with the end of its log."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tahona_serving_") as text:
        folder = Path(text)
        ones, hundreds = folder / "ones.json", folder / "hundreds.json"
        ones.write_text(json.dumps(requests_of(system, ready, rows, 1)), "utf-8")
        hundreds.write_text(json.dumps(requests_of(system, ready, rows, 100)), "utf-8")
        env = {**os.environ, **ready.env, "OMP_NUM_THREADS": "1"}
        server = Server(ready.command(port), folder=ready.folder, log=folder / "server.log", env=env, cores=cores()[0])
        try:
            first_cpu = first_answer(server, port, json.loads(ones.read_text("utf-8"))[0])
            check(client(port, ones, WARM, connections=1)["first"], ready)
            client(port, ones, WARM)
            idle = idling(server)
            before = server.look()
            one = load(server, port, ones, seconds, idle)
            spent = server.look().since(before)
            busy = [pid for pid in server.listening(port) if spent.get(pid, 0.0) > 0.25 * max(spent.values())]
            workers = tuple(server.memory(pid) for pid in busy)
            memory = sum(server.memory(pid) for pid in server.pids())
            rate = SATURATION * one.rate
            return Measured(
                first_cpu=first_cpu,
                idle=100 * idle,
                one=one,
                many=load(server, port, hundreds, seconds, idle) if many else None,
                steady=load(server, port, ones, 2 * seconds, idle, rate=rate) if steady else None,
                workers=workers,
                memory=memory,
            )
        except (ServingError, OSError) as error:
            said = "\n".join(server.log.read_text("utf-8", "replace").splitlines()[-15:])
            raise ServingError(f"{error}\n{said}") from error
        finally:
            server.stop()


def load(server: Server, port: int, requests: Path, seconds: float, idle: float, rate: float | None = None) -> Load:
    """Ask for so many seconds; what is left for later (logs, say) is waited for and counted, less what idling costs."""
    before = server.look()
    seen = client(port, requests, seconds, rate=rate)
    start, at_once = time.monotonic(), server.look().since(before)
    for share in shares(server):
        if share <= idle + STEADY:
            break
    spent = server.look().since(before)
    cpu, count = sum(spent.values()) - (time.monotonic() - start) * idle, seen["requests"]
    return Load(
        requests=count,
        rate=count / seen["seconds"],
        p50=1000 * seen["p50"],
        p99=1000 * seen["p99"],
        cpu_ms=1000 * cpu / count,
        busiest_ms=1000 * max(at_once.values()) / count,
    )


def client(
    port: int, requests: Path, seconds: float, *, rate: float | None = None, connections: int = CONNECTIONS
) -> dict[str, Any]:
    how = ["closed", "--connections", connections] if rate is None else ["open", "--rate", rate]
    words = [str(word) for word in (sys.executable, CLIENT, port, requests, *how, "--seconds", seconds)]
    done = subprocess.run(
        words,
        capture_output=True,
        check=False,
        encoding="utf-8",
        preexec_fn=lambda: os.sched_setaffinity(0, cores()[1]),
    )
    if done.returncode:
        raise ServingError(f"the client failed: {done.stderr.splitlines()[-1] if done.stderr else ''}")
    seen = json.loads(done.stdout)
    if seen["failed"]:
        raise ServingError(f"{seen['failed']} of {seen['requests']} requests failed: {seen['first'][:400]}")
    return seen


def first_answer(server: Server, port: int, request: str) -> float:
    """Ask until the first row is answered; return the CPU seconds of all processes until then."""
    end = time.monotonic() + START_LIMIT
    said = ""
    while time.monotonic() < end:
        if not server.alive():
            raise ServingError("it ended at once")
        said = asked_once(port, request) or said
        if said[9:12] == "200":
            return server.look().total
        time.sleep(0.01)
    raise ServingError(f"no answer within {START_LIMIT:g} s, but: {said}")


def asked_once(port: int, request: str) -> str:
    """Return the beginning of the answer, nothing where there is no server."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as to:
            to.sendall(request.encode("utf-8"))
            return to.recv(1 << 16).decode("utf-8", "replace")
    except OSError:
        return ""


def idling(server: Server) -> float:
    """Return how much of a core the server takes while nobody asks, once it has done what its start left for later."""
    seen: list[float] = []
    for share in shares(server):
        seen.append(share)
        if len(seen) > 2 and max(seen[-3:]) - min(seen[-3:]) < STEADY:
            break
    return min(seen[-3:])


def shares(server: Server) -> Iterator[float]:
    """Give how much of a core the server takes, look by look, as long as it may take to come to rest."""
    end = time.monotonic() + QUIET_LIMIT
    while time.monotonic() < end:
        before = server.look().total
        time.sleep(SETTLE)
        yield (server.look().total - before) / SETTLE


def check(answer: str, ready: Ready) -> None:
    """Raise ServingError for an answer that does not hold the first row's probability."""
    if not ready.expected:
        return
    wanted = ready.expected[0]
    if not any(abs(found - wanted) < 1e-6 or abs(1 - found - wanted) < 1e-6 for found in numbers_in(answer)):
        raise ServingError(f"the answer is not {wanted:.6f}: {answer[-400:]}")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
