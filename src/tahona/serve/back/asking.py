"""The rows that a client sends as JSON, read by the code by which the workers read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request

from tahona.core.schema import Column, Kind
from tahona.serve.back.refusing import Refused
from tahona.serve.bodies import media_type, unknown
from tahona.serve.front.mistakes import look_again
from tahona.serve.front.rows import Limits, Reader
from tahona.serve.front.visit import RefusedError

if TYPE_CHECKING:
    from tahona.bundle.bundle import Bundle
    from tahona.project.model import ServeLimitsPart
    from tahona.serve.back.batching import Row

INLINE = 64 << 10
"""Bytes up to which a body is read at once; a larger one is read in a thread."""
_KINDS: dict[str, Kind] = {"real": "numeric", "whole": "numeric", "boolean": "category", "code": "category"}


@dataclass(frozen=True, slots=True)
class Sent:
    """Rows as they came, and the names of columns among them that nobody asked for."""

    rows: list[Row]
    extra: tuple[str, ...] = ()

    @property
    def warning(self) -> str:
        """Say so in every row's answer."""
        return unknown(self.extra)


def sent_as(request: Request) -> tuple[str, str]:
    """Return the body's media type and charset in small letters. Raise Refused (415) for one that is packed."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused(415, "the body is packed", where="content-encoding", fix="send it as it is")
    return media_type(request.headers.get("content-type", ""))


def too_long(most: int) -> Refused:
    """Return the refusal of a body with more bytes than are taken."""
    return Refused(413, f"the request has more than {most:,} bytes", fix="send less at a time", more={"limit": most})


async def body_of(request: Request, most: int) -> bytes:
    """Return the body. Raise Refused (413) once it has more bytes than are taken."""
    return b"".join([piece async for piece in pieces_of_body(request, most)])


async def pieces_of_body(
    request: Request, most: int, beyond: Callable[[int], Refused] = too_long
) -> AsyncGenerator[bytes, None]:
    """Give the body as it comes. Raise what is ``beyond`` so many bytes, and Refused (400) where it is cut off."""
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                raise beyond(most)
            yield piece
    except ClientDisconnect:
        raise Refused(400, "the request ends before its body") from None


def too_many(most: int) -> Refused:
    """Return the refusal of a request with more rows than are taken."""
    return Refused(413, f"the request has more than {most:,} rows", fix="send fewer at a time", more={"limit": most})


def reader_of(bundle: Bundle, limits: ServeLimitsPart) -> Reader:
    """Return what reads raw rows for the bundle: every column that it needs, each in its kind."""
    from tahona.bundle.raw import column_forms

    columns = list(bundle.schema.features)
    if bundle.cleaning.functions:
        raw = bundle.cleaning.raw_types
        columns = [Column(name, _raw_kind(form, raw[name])) for name, form in column_forms(bundle).items()]
    known = {column.name for column in columns}
    ignored = [column.name for column in bundle.schema.of_kind("id") if column.name not in known]
    return Reader(columns, ignored, Limits(limits.rows, limits.cell))


def _raw_kind(form: str, dtype: str) -> Kind:
    return "datetime" if dtype.startswith("datetime64") else _KINDS.get(form, "text")


async def rows_of(body: bytes, reader: Reader) -> Sent:
    """Return the rows in a body of JSON. Raise Refused for what is none, or does not fit."""
    if len(body) <= INLINE:
        return _rows_of(body, reader)
    return await asyncio.to_thread(_rows_of, body, reader)


def _rows_of(body: bytes, reader: Reader) -> Sent:
    extra: tuple[str, ...] = ()
    found = reader.read(body)
    if found is None:
        try:
            found, extra = look_again(body, reader)
        except RefusedError as error:
            raise Refused.of(error.problem) from None
    names = [(column.name, f"f{place}") for place, column in enumerate(reader.columns)]
    return Sent([{name: getattr(row, field) for name, field in names} for row in found], extra)
