"""What a client is told when it gets no answer: a short problem document (RFC 9457) that repeats nothing of the input.

Its ``id`` stands in the server's log too, where the rest is told.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no answer: what, where in the request, and what to do."""

    status: int
    detail: str
    where: str = ""
    fix: str = ""
    retry_after: int | None = None
    """Seconds after which it may work."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further members of the document: lists of column names that the schema has, say, but never cells."""
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    def body(self) -> bytes:
        document: dict[str, Any] = {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        document |= {name: value for name, value in (("where", self.where), ("fix", self.fix)) if value}
        return json.dumps({**document, **self.more, "id": self.id}, ensure_ascii=False).encode()

    def headers(self) -> dict[str, str]:
        """Return the headers of the answer, its length not among them."""
        headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        return headers
