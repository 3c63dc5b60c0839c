"""A text file of any length, a block at a time: its encoding, its lines, nothing kept."""

from __future__ import annotations

import codecs
import io
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from tahona.errors import DataError
from tahona.sources.encoding import check_encoding, marked_encoding, no_nul, undecodable, western

if TYPE_CHECKING:
    from tahona.sources.limits import Limits

__all__ = ["TextStream", "packed_head"]

_BLOCK = 1 << 18
_SAMPLE = 1 << 20


class TextStream:
    r"""The text of a file, plain or packed with gzip; line ends are ``\n``.

    The encoding is the declared one, that of a byte-order mark, UTF-8 if the whole file is UTF-8 (it is read once to
    know), or Windows-1252 where a sample around the first foreign byte reads like text.
    """

    def __init__(self, file: Path, *, packed: bool, declared: str | None, where: str, limits: Limits) -> None:
        self.where = where
        self._file = file
        self._packed = packed
        self._limits = limits
        self.consumed = 0
        """Characters given by `lines` so far."""
        self.record = 0
        """Where the present record began; whoever reads `lines` moves it on, and a record without end is refused."""
        self.encoding = self._find_encoding(declared)

    def head(self, characters: int) -> str:
        """Return the first so many characters, or all there are."""
        parts: list[str] = []
        length = 0
        blocks = self._blocks()
        while length < characters and (block := next(blocks, None)) is not None:
            parts.append(block)
            length += len(block)
        return "".join(parts)[:characters]

    def lines(self) -> Iterator[str]:
        r"""Give the lines with their ``\n``. Raises DataError for a record larger than any honest one."""
        most = 2 * self._limits.cell_characters
        rest = ""
        for block in self._blocks():
            whole, end, rest_of_block = block.rpartition("\n")
            if end:
                for line in io.StringIO(rest + whole + end, newline="\n"):
                    self.consumed += len(line)
                    if self.consumed - self.record > most:
                        raise self._oversized(most)
                    yield line
                rest = rest_of_block
            else:
                rest += block
            if len(rest) > most:
                raise self._oversized(most)
        if rest:
            self.consumed += len(rest)
            yield rest

    def _blocks(self) -> Iterator[str]:
        """Give the decoded text. Raises DataError with byte and line for what is no text."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        translate = io.IncrementalNewlineDecoder(decoder, translate=True)
        bytes_read = lines = 0
        first = True
        for block in self._bytes():
            bytes_read += len(block)
            text = self._decoded(partial(translate.decode, block), bytes_read, lines)
            if first and text:
                text, first = text.removeprefix("\ufeff"), False
            no_nul(text, lines, where=self.where)
            lines += text.count("\n")
            yield text
        text = self._decoded(partial(translate.decode, b"", final=True), bytes_read, lines)
        if text:
            yield text

    def _decoded(self, decode: Callable[[], str], bytes_read: int, lines: int) -> str:
        try:
            return decode()
        except UnicodeDecodeError as error:
            raise self._undecodable(error, self.encoding, bytes_read, lines) from None
        except UnicodeError as error:
            raise DataError(
                f"the file cannot be decoded as {self.encoding}", where=self.where, fix="Save the file as UTF-8."
            ) from error

    def _undecodable(self, error: UnicodeDecodeError, encoding: str, bytes_read: int, lines: int) -> DataError:
        before = error.object[: error.start]
        text = before.decode(encoding, "ignore").replace("\r\n", "\n").replace("\r", "\n")
        at = bytes_read - len(error.object) + error.start
        return undecodable(at, lines + text.count("\n") + 1, encoding, self.where)

    def _bytes(self) -> Iterator[bytes]:
        return _blocks_of(self._file, packed=self._packed, where=self.where)

    def _find_encoding(self, declared: str | None) -> str:
        if declared is not None:
            check_encoding(declared, where=self.where)
            return declared.lower()
        decoder = codecs.getincrementaldecoder("utf-8")()
        head = b""
        bytes_read = lines = 0
        try:
            for block in self._bytes():
                bytes_read += len(block)
                if not head and (marked := marked_encoding(block)):
                    return marked
                if len(head) < _SAMPLE:
                    head += block
                lines += decoder.decode(block).count("\n")
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            sample = head if len(head) <= _SAMPLE else head + error.object
            if western(sample) is None:
                raise self._undecodable(error, "utf-8", bytes_read, lines) from None
            return "cp1252"
        return "utf-8"

    def _oversized(self, most: int) -> DataError:
        return DataError(
            f"a row is larger than the limit of {most:,} characters",
            where=self.where,
            fix="Shorten it; if the file holds no such row, a double quote may never close.",
        )


def packed_head(file: Path, size: int, *, where: str) -> bytes:
    """Return the first bytes of what a gzip file holds."""
    return next(_blocks_of(file, packed=True, where=where), b"")[:size]


def _blocks_of(file: Path, *, packed: bool, where: str) -> Iterator[bytes]:
    import gzip

    try:
        with cast("BinaryIO", gzip.open(file)) if packed else file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError("the gzip file is damaged or cut off", where=where, fix="Get the file again.") from error
