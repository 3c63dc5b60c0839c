"""Asks a server for as long as it is told and prints what came back, as JSON. A process of its own; needs only Python.

    python client.py PORT REQUESTS.json closed --connections 16 --seconds 5
    python client.py PORT REQUESTS.json open --rate 400 --seconds 10

REQUESTS.json is a list of whole HTTP requests, sent in turn over connections that stay open. *closed*: each connection
asks anew as soon as it is answered. *open*: requests are sent when a schedule drawn beforehand says so (Poisson), also
while the server is still busy with others; latency counts from that moment, so that a request that had to wait for a
connection or for this process is told with its wait. Anything but a 200 counts as failed. A connection that the server
closes between two requests (some do after five idle seconds) is replaced; a request that it had just got is sent again.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

SEED = 20_260_101
MOST_CONNECTIONS = 256
PATIENCE = 30.0
"""Seconds that the last answers may take."""


class Connection:
    """A socket and the answer that is being read from it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun = 0.0
        self.got = b""
        self.request = b""
        """What it was asked and did not answer yet."""
        self.answered = 0

    def ask(self, request: bytes, begun: float) -> None:
        self.request, self.begun, self.got = request, begun, b""
        with suppress(BrokenPipeError, ConnectionResetError):  # its end is read next
            self.socket.sendall(request)

    def read(self) -> bool:
        """Take what is there; tell whether the answer is whole. Raises EOFError between two requests."""
        try:
            part = self.socket.recv(1 << 20)
        except ConnectionResetError:
            part = b""
        if not part and (not self.request or (self.answered and not self.got)):
            raise EOFError
        if not part:
            raise ConnectionError("the server closed a connection")
        self.got = got = self.got + part if self.got else part
        end = got.find(b"\r\n\r\n")
        if end < 0:
            return False
        place = got.find(b"ontent-", 0, end)
        while place >= 0 and got[place + 7 : place + 14].lower() != b"length:":
            place = got.find(b"ontent-", place + 7, end)
        if place < 0:
            return got.endswith(b"0\r\n\r\n")  # in chunks
        return len(got) >= end + 4 + int(got[place + 14 : got.find(b"\r\n", place)])


class Client:
    """Connections to one server, and what it answered."""

    def __init__(self, port: int, requests: list[bytes]) -> None:
        self.port = port
        self.requests = requests
        self.poll = select.epoll()
        self.open: dict[int, Connection] = {}
        self.free: list[Connection] = []
        self.sent = 0
        self.failed = 0
        self.first = ""
        self.latencies: list[float] = []

    def connect(self) -> Connection:
        connection = Connection(self.port)
        self.open[connection.socket.fileno()] = connection
        self.poll.register(connection.socket, select.EPOLLIN)
        return connection

    def send(self, connection: Connection, begun: float) -> None:
        connection.ask(self.requests[self.sent % len(self.requests)], begun)
        self.sent += 1

    def replace(self, connection: Connection) -> None:
        """Forget a connection that was closed; ask again what it was asked."""
        del self.open[connection.socket.fileno()]
        connection.socket.close()
        if connection in self.free:
            self.free.remove(connection)
        if connection.request:
            self.connect().ask(connection.request, connection.begun)

    def answered(self, timeout: float) -> list[Connection]:
        """Return the connections whose answers are whole now, their latencies noted. Raises TimeoutError."""
        done: list[Connection] = []
        events = self.poll.poll(timeout)
        if timeout and not events:
            raise TimeoutError("no answer")
        for number, _ in events:
            connection = self.open[number]
            try:
                if not connection.read():
                    continue
            except EOFError:
                self.replace(connection)
                continue
            connection.answered += 1
            connection.request = b""
            self.latencies.append(time.perf_counter() - connection.begun)
            self.failed += connection.got[9:12] != b"200"
            self.first = self.first or connection.got.decode("utf-8", "replace")
            done.append(connection)
        return done

    def closed(self, connections: int, seconds: float) -> float:
        begun = time.perf_counter()
        for _ in range(connections):
            self.send(self.connect(), time.perf_counter())
        busy = connections
        while busy:
            done = self.answered(PATIENCE)
            now = time.perf_counter()
            for connection in done:
                if now - begun < seconds:
                    self.send(connection, time.perf_counter())
                else:
                    busy -= 1
        return time.perf_counter() - begun

    def scheduled(self, rate: float, seconds: float) -> float:
        draw = random.Random(SEED)
        schedule, at = [], 0.0
        while (at := at + draw.expovariate(rate)) < seconds:
            schedule.append(at)
        schedule.reverse()
        self.free = [self.connect() for _ in range(16)]
        late: deque[float] = deque()
        begun = time.perf_counter()
        end = begun + seconds + PATIENCE
        while len(self.latencies) < self.sent or schedule or late:
            now = time.perf_counter()
            while schedule and begun + schedule[-1] <= now:
                late.append(begun + schedule.pop())
            while late and (self.free or len(self.open) < MOST_CONNECTIONS):
                self.send(self.free.pop() if self.free else self.connect(), late.popleft())
            self.free += self.answered(0)  # never asleep: a timer's millisecond would be the whole latency
            if now > end:
                raise TimeoutError("answers are missing")
        return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("requests", type=Path)
    parser.add_argument("how", choices=("closed", "open"))
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    requests = [text.encode("utf-8") for text in json.loads(asked.requests.read_text("utf-8"))]
    client = Client(asked.port, requests)
    if asked.how == "closed":
        wall = client.closed(asked.connections, asked.seconds)
    else:
        wall = client.scheduled(asked.rate, asked.seconds)
    slowest = heapq.nlargest(max(1, len(client.latencies) // 100 + 1), client.latencies)
    facts = {
        "requests": len(client.latencies),
        "failed": client.failed,
        "seconds": wall,
        "p50": sorted(client.latencies)[len(client.latencies) // 2],
        "p99": slowest[-1],
        "first": client.first,
    }
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main()
