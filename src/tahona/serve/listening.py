"""The address that a server listens at."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
import sys

from tahona.errors import InputError, SetupError

WAITING = 2048
"""Connections that may wait to be taken up."""
_SO_ATTACH_FILTER = 26
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
"""One instruction of a packet filter: let nothing through."""


def listen(host: str, port: int) -> socket.socket:
    """Listen there. Raise InputError for an address that this machine has not, SetupError for a port that is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"'{host}' is not an address", where="host", fix='for example "127.0.0.1"') from error
    door = socket.socket(family, kind, protocol)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(address)
        door.listen(WAITING)
    except OSError as error:
        door.close()
        raise SetupError(
            f"cannot listen at {host}, port {port} ({error.strerror})",
            where="serve.port",
            fix="name another port with --port; 0 takes any free one",
        ) from error
    return door


def address_of(door: socket.socket) -> str:
    """Return the address as clients write it."""
    host, port = door.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(door: socket.socket) -> bool:
    """Tell whether only this machine can reach it."""
    return ipaddress.ip_address(door.getsockname()[0]).is_loopback


def refuse(door: socket.socket) -> None:
    """Let no further connection in, in whatever process the socket is used; those that wait can still be taken up."""
    if sys.platform == "linux":
        code = ctypes.create_string_buffer(_DROP_ALL)
        program = struct.pack("HL", 1, ctypes.addressof(code))
        door.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
