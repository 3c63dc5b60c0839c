"""How a route says no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tahona.errors import TahonaError
from tahona.serve.problems import Problem

LONGEST = 600
"""Characters of a text in a problem document, which stays short whatever was wrong."""


class Refused(Exception):  # noqa: N818  (it reads as what it says)
    """Raised in a route; the client gets the problem document and nothing else."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        where: str = "",
        fix: str = "",
        retry_after: int | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        texts = [text[:LONGEST] for text in (detail, where, fix)]
        self.problem = Problem(status, texts[0], texts[1], texts[2], retry_after, more or {})

    @classmethod
    def of(cls, problem: Problem, *, status: int | None = None) -> Refused:
        """Return the refusal that says what the problem says, perhaps with another status."""
        return cls(
            status or problem.status,
            problem.detail,
            where=problem.where,
            fix=problem.fix,
            retry_after=problem.retry_after,
            more=problem.more,
        )

    @classmethod
    def by(cls, error: TahonaError, status: int, where: str = "") -> Refused:
        """Return the refusal that says what the error says."""
        return cls(status, error.what, where=where or error.where, fix=error.fix)
