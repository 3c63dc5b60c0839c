"""A wire to a server that fails: of so many requests a share is refused, reset, left without answer or cut short."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

LOOPBACK = "127.0.0.1"
KINDS = ("refused", "reset", "silent", "cut")
BEHEADED = "beheaded"
"""The answer ends amid its headers, after the line that says how it went."""
_METHODS = (b"GET ", b"PUT ", b"HEAD ", b"POST ", b"DELETE ")
_REFUSAL = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FaultyWire:
    """Passes connections on to a port; ``share`` of the requests on them meet a fault, each kind as often."""

    def __init__(self, port: int, share: float, kinds: Sequence[str] = KINDS, seed: int = 7) -> None:
        self._port, self.share, self._kinds = port, share, kinds
        self._chance = random.Random(seed)
        self._closed = threading.Event()
        self._door = socket.create_server((LOOPBACK, 0))
        self.url = f"http://{LOOPBACK}:{self._door.getsockname()[1]}"
        self.met: Counter[str] = Counter()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._door.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits at it
        self._door.close()

    def _serve(self) -> None:
        while True:
            try:
                here, _ = self._door.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._carry, args=(here,), daemon=True).start()

    def _carry(self, here: socket.socket) -> None:
        with suppress(OSError), here, socket.create_connection((LOOPBACK, self._port)) as there:
            cut: list[str] = []
            threading.Thread(target=self._answer, args=(there, here, cut), daemon=True).start()
            while data := here.recv(1 << 16):
                kind = self._draw() if data.startswith(_METHODS) else ""
                if kind == "refused":
                    here.sendall(_REFUSAL)
                    return
                if kind == "reset":
                    here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                if kind == "silent":
                    self._closed.wait(60)
                    return
                if kind in ("cut", BEHEADED):
                    cut.append(kind)
                there.sendall(data)

    def _answer(self, there: socket.socket, here: socket.socket, cut: list[str]) -> None:
        with suppress(OSError):
            while data := there.recv(1 << 16):
                if cut and not data.startswith(b"HTTP/1.1 100 "):
                    here.sendall(_shortened(data, cut[0]))
                    here.shutdown(socket.SHUT_RDWR)
                    return
                here.sendall(data)
            here.shutdown(socket.SHUT_RDWR)

    def _draw(self) -> str:
        kind = self._chance.choice(self._kinds) if self._chance.random() < self.share else ""
        self.met[kind or "none"] += 1
        return kind


def _shortened(answer: bytes, kind: str) -> bytes:
    """Return half of the body with its headers, or half of the first line where there is no body yet."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first = head.partition(b"\r\n")[0]
    if kind == BEHEADED:
        return first + b"\r\nServ"
    return head + b"\r\n\r\n" + body[: len(body) // 2] if body else first[:10]


@contextmanager
def faulty(port: int, share: float, kinds: Sequence[str] = KINDS) -> Iterator[FaultyWire]:
    """Give a wire to the port; on leaving, it is cut."""
    wire = FaultyWire(port, share, kinds)
    try:
        yield wire
    finally:
        wire.close()
