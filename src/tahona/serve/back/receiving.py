"""An upload on its way in: multipart, counted as it is read, in files without a name until it is whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from tahona.digests import digest_file
from tahona.serve.back.refusing import Refused

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
        self.content.seek(0)
        with place.open("wb") as file:
            shutil.copyfileobj(self.content, file, 1 << 20)
        return digest_file(place)


@dataclass(frozen=True, slots=True)
class Received:
    """An upload that came whole."""

    files: Mapping[str, ReceivedFile]
    fields: Mapping[str, str]
    form: FormData

    async def close(self) -> None:
        """Let go of the bytes."""
        await self.form.close()


class Parser(MultiPartParser):
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


async def receive(request: Request, most: int) -> Received:
    """Read a multipart request of at most so many bytes; nothing of it has a name on disk.

    Raises Refused: 413 beyond the bytes, 415 for another type of request or file, 400 for one that is cut off, 422 for
    files and fields that nobody asked for.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refused(
            415,
            "an upload is sent as multipart/form-data",
            where="content-type",
            fix="send the file itself as the part `train`; no address is fetched",
        )
    parser = Parser(
        request.headers, counted(request, most), max_files=len(FILES), max_fields=8, max_part_size=LONGEST_FIELD
    )
    try:
        form = await parser.parse()
    except MultiPartException:
        raise Refused(
            400,
            "the multipart body cannot be read",
            fix=f"send a file `train`, perhaps a file `test`, and perhaps a field `target` of at most {LONGEST_FIELD} "
            "characters",
        ) from None
    try:
        if not parser.ended:
            raise Refused(400, "the multipart body ends before its last boundary", fix="send the whole body")
        return _checked(form)
    except Refused:
        await form.close()
        raise


async def counted(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """Give the body as it comes. Raise Refused (413) once it has more bytes than are taken."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise Refused(
                413, f"the upload is larger than the limit of {most:,} bytes", fix="[serve.limits] upload sets it"
            )
        yield chunk


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
    return Received(files, fields, form)


def _of_other_kind(name: str) -> Refused:
    if name in FIELDS:
        return Refused(422, "this part is no file", where=name, fix="send it as text")
    return Refused(
        422, "this part must be a file", where=name, fix="send the file itself, with a filename; no address is fetched"
    )


def _file(name: str, part: UploadFile) -> ReceivedFile:
    kind = (part.content_type or "").partition(";")[0].strip().lower()
    if kind and not _TABLES.fullmatch(kind):
        raise Refused(
            415, "the file is sent as something that is no table", where=name, fix="send CSV, Parquet, JSON or Excel"
        )
    return ReceivedFile(_plain(part.filename or ""), part.size or 0, part.file)


def _plain(name: str) -> str:
    """Return a file's own name, printable and short: it is shown to people and never becomes part of a path."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(character for character in last if character.isprintable())[:LONGEST_NAME]
