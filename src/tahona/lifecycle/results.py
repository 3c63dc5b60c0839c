"""A finished step's result, as the store keeps it under the step's fingerprint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.errors import IntegrityError, RefusedError

if TYPE_CHECKING:
    from tahona.ports import Store

FORMAT = 1


@dataclass(frozen=True, slots=True)
class StepResult:
    """Which files a step gave (name → digest), what it cost, and whether it refused to let the run go on."""

    step: str
    fingerprint: str
    parts: Mapping[str, Any]
    outputs: Mapping[str, str]
    seconds: float
    cpu_seconds: float
    refusal: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes, place: str) -> StepResult:
        """Read what `to_bytes` wrote. Raise IntegrityError, naming the place, for anything else."""
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError) as error:
            raise IntegrityError(
                "the stored result of a step is damaged",
                where=place,
                fix="remove that file and run again: the step then runs anew",
            ) from error

    def files(self, store: Store) -> dict[str, Path]:
        """Fetch every file of this result, each checked against its digest."""
        return {name: store.get(digest) for name, digest in self.outputs.items()}

    def raise_refusal(self) -> None:
        """Raise the refusal that is part of this result, if it has one: it is as lasting as the result."""
        if self.refusal:
            raise RefusedError(self.refusal["what"], where=self.refusal["where"], fix=self.refusal["fix"])


def refusal_to_dict(refusal: RefusedError | None) -> dict[str, str]:
    return {} if refusal is None else {"what": refusal.what, "where": refusal.where, "fix": refusal.fix}
