"""An upload on its way in: multipart, counted as it is read, in files without a name until it is whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from tahona.digests import digest_file
from tahona.serve.back.asking import pieces_of_body
from tahona.serve.back.refusing import Refused
from tahona.serve.bodies import media_type

FILES = ("train", "test")
FIELDS = ("target",)
LONGEST_FIELD = 1_000
LONGEST_NAME = 80
_TABLES = re.compile(
    r"text/(?!html)[\w.+-]+|application/(?:octet-stream|json|x-ndjson|jsonl|x-jsonlines|parquet|x-parquet"
    r"|vnd\.apache\.parquet|csv|gzip|x-gzip|zip|x-zip-compressed|vnd\.ms-excel"
    r"|vnd\.openxmlformats-officedocument\.spreadsheetml\.sheet)"
)
"""Media types that a table may be sent as; what it is, is told by its content."""


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """One file of an upload: how the client calls it, and its bytes."""

    name: str
    size: int
    content: BinaryIO

    def write(self, place: Path) -> str:
        """Write the bytes to a file and return their sha256."""
        write_bytes(self.content, place)
        return digest_file(place)


@dataclass(frozen=True, slots=True)
class Received:
    """An upload that came whole."""

    files: Mapping[str, ReceivedFile]
    fields: Mapping[str, str]


class _Parser(MultiPartParser):
    """Starlette's parser, which notices an upload that stops before its end."""

    ended = False

    async def parse(self) -> FormData:
        """Read the whole body. Raise MultiPartException for one that cannot be read, in whatever charset it is."""
        try:
            return await super().parse()
        except UnicodeError:
            raise MultiPartException("a part is not in the charset that the request names") from None

    def on_end(self) -> None:
        self.ended = True


def is_multipart(request: Request) -> bool:
    """Tell whether the request is a form with files."""
    return media_type(request.headers.get("content-type", ""))[0] == "multipart/form-data"


@asynccontextmanager
async def read_form(
    request: Request, most: int, *, files: int, fields: int, longest: int, fix: str
) -> AsyncIterator[FormData]:
    """Give the form of at most so many bytes, files and fields; its files have no name, and are gone afterwards.

    Raises Refused: 413 beyond the bytes, 400 for one that is cut off or cannot be read: ``fix`` says what to send.
    """
    body = pieces_of_body(request, most, _too_large)
    parser = _Parser(request.headers, body, max_files=files, max_fields=fields, max_part_size=longest)
    try:
        form = await parser.parse()
    except MultiPartException:
        raise Refused(400, "the multipart body cannot be read", fix=fix) from None
    try:
        if not parser.ended:
            raise Refused(400, "the multipart body ends before its last boundary", fix="send the whole body")
        yield form
    finally:
        await form.close()


def write_bytes(content: BinaryIO, place: Path) -> None:
    """Write what came as a file to a file that has a name."""
    content.seek(0)
    with place.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)


@asynccontextmanager
async def receive(request: Request, most: int) -> AsyncIterator[Received]:
    """Give a multipart request of at most so many bytes, which is gone afterwards; nothing of it has a name on disk.

    Raises Refused: 413 beyond the bytes, 415 for another type of request or file, 400 for one that is cut off, 422 for
    files and fields that nobody asked for.
    """
    if not is_multipart(request):
        raise Refused(
            415,
            "an upload is sent as multipart/form-data",
            where="content-type",
            fix="send the file itself as the part `train`; no address is fetched",
        )
    fix = "send a file `train`, perhaps a file `test`, and perhaps a field `target`"
    fix += f" of at most {LONGEST_FIELD} characters"
    async with read_form(request, most, files=len(FILES), fields=8, longest=LONGEST_FIELD, fix=fix) as form:
        yield _checked(form)


def _too_large(most: int) -> Refused:
    return Refused(413, f"the upload is larger than the limit of {most:,} bytes", fix="[serve.limits] upload sets it")


def _checked(form: FormData) -> Received:
    files: dict[str, ReceivedFile] = {}
    fields: dict[str, str] = {}
    for name, part in form.multi_items():
        if name not in (*FILES, *FIELDS):
            raise Refused(422, "the upload has a part of another name", fix=f"parts: {', '.join((*FILES, *FIELDS))}")
        if name in files or name in fields:
            raise Refused(422, "the upload has this part twice", where=name, fix="send it once")
        if isinstance(part, UploadFile) == (name in FIELDS):
            raise _of_other_kind(name)
        if isinstance(part, UploadFile):
            files[name] = _file(name, part)
        elif part:
            fields[name] = part
    if "train" not in files:
        raise Refused(422, "there is no file to learn from", where="train", fix="send it as the part `train`")
    return Received(files, fields)


def _of_other_kind(name: str) -> Refused:
    if name in FIELDS:
        return Refused(422, "this part is no file", where=name, fix="send it as text")
    return Refused(
        422, "this part must be a file", where=name, fix="send the file itself, with a filename; no address is fetched"
    )


def _file(name: str, part: UploadFile) -> ReceivedFile:
    kind = media_type(part.content_type or "")[0]
    if kind and not _TABLES.fullmatch(kind):
        raise Refused(
            415, "the file is sent as something that is no table", where=name, fix="send CSV, Parquet, JSON or Excel"
        )
    return ReceivedFile(_plain(part.filename or ""), part.size or 0, part.file)


def _plain(name: str) -> str:
    """Return a file's own name, printable and short: it is shown to people and never becomes part of a path."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(character for character in last if character.isprintable())[:LONGEST_NAME]
