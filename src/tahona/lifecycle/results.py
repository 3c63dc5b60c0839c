"""A finished step's result, as the store keeps it under the step's fingerprint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.digests import LENGTH, digest_bytes
from tahona.errors import IntegrityError, RefusedError

if TYPE_CHECKING:
    from tahona.ports import Store

FORMAT = 2
_SEAL = b', "sha256": "'
"""What stands before the digest of all bytes before it, with which the document ends."""


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

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_bytes(self) -> bytes:
        """Write the result as one JSON object, sealed with the digest of its bytes."""
        body = json.dumps(self.to_dict(), sort_keys=True).encode()[:-1]
        return body + _SEAL + digest_bytes(body).encode() + b'"}'

    @classmethod
    def from_bytes(cls, data: bytes, place: str) -> StepResult:
        """Read what `to_bytes` wrote. Raise IntegrityError, naming the place, before anything is parsed.

        A result of format 1 has no seal, and is read as it is.
        """
        if b'"format": 1, ' in data and _SEAL not in data:
            return _read_unsealed(data, place)
        body, seal, digest = data[: -LENGTH - 2].removesuffix(_SEAL), data[-LENGTH - 2 - len(_SEAL) :], data[-66:-2]
        if seal != _SEAL + digest + b'"}' or digest_bytes(body).encode() != digest:
            raise _damaged(place)
        return cls(**json.loads(body + b"}"))

    def files(self, store: Store) -> dict[str, Path]:
        """Fetch every file of this result, each checked against its digest."""
        return {name: store.get(digest) for name, digest in self.outputs.items()}

    def raise_refusal(self) -> None:
        """Raise the refusal that is part of this result, if it has one: it is as lasting as the result."""
        if self.refusal:
            raise RefusedError(self.refusal["what"], where=self.refusal["where"], fix=self.refusal["fix"])


def _read_unsealed(data: bytes, place: str) -> StepResult:
    try:
        return StepResult(**json.loads(data))
    except (ValueError, TypeError) as error:
        raise _damaged(place) from error


def _damaged(place: str) -> IntegrityError:
    return IntegrityError(
        "the stored result of a step is damaged: its bytes are not the ones that were kept",
        where=place,
        fix="remove that file and run again: the step then runs anew",
    )


def refusal_to_dict(refusal: RefusedError | None) -> dict[str, str]:
    return {} if refusal is None else {"what": refusal.what, "where": refusal.where, "fix": refusal.fix}
