"""What a search has already tried, kept on disk so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class FoldNote:
    """How one trial did on one part: a value per block of it, none where the estimator gave up with ``error``.

    ``rounds`` is what early stopping found, None where it did not look.
    """

    number: int
    part: int
    values: tuple[float, ...]
    cpu_seconds: float
    error: str = ""
    warnings: tuple[str, ...] = ()
    rounds: int | None = None


class Journal:
    """A file of one line per finished part. The last line may be torn by a crash; it then does not count."""

    def __init__(self, folder: Path, key: Mapping[str, Any]) -> None:
        digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"trials_{digest}.jsonl"
        self.notes: dict[tuple[int, int], FoldNote] = {}
        self._read()

    def _read(self) -> None:
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self.path, len(whole))
        for line in whole.splitlines():
            fields = json.loads(line)
            note = FoldNote(**{**fields, "values": tuple(fields["values"]), "warnings": tuple(fields["warnings"])})
            self.notes[note.number, note.part] = note

    def add(self, note: FoldNote) -> None:
        """Write one line. It survives the end of this process at once; a power failure may cost the last lines."""
        self.notes[note.number, note.part] = note
        with self.path.open("ab") as file:
            file.write(json.dumps(asdict(note)).encode() + b"\n")
