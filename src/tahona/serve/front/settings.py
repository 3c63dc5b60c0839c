"""What a worker is told when it starts, as one line of JSON on its standard input."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """What the project file says of serving, and where the other processes are."""

    root: str
    """The project's folder."""
    back: str
    """Path of the back's socket."""
    door: int
    """File descriptor of the listening socket."""
    loopback: bool
    """Only this machine can reach it: without a file of keys nobody needs one."""
    hosts: tuple[str, ...]
    """Every value of the header Host that is answered, in small letters; one without a port stands for any port."""
    origins: tuple[str, ...]
    log_features: bool | tuple[str, ...]
    body: int
    upload: int
    rows: int
    cell: int
    concurrent: int
    rate: int | None

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Settings:
        data = json.loads(line)
        lists = {name: tuple(data[name]) for name in ("hosts", "origins")}
        features = data["log_features"]
        return cls(**{**data, **lists, "log_features": features if isinstance(features, bool) else tuple(features)})
