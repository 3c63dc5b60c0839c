"""Bytes to text, without guessing in silence."""

from __future__ import annotations

import codecs
import re
from difflib import get_close_matches
from string import ascii_letters

from tahona.errors import DataError

__all__ = ["check_encoding", "decode", "marked_encoding", "no_nul", "undecodable", "western"]

_BOMS: tuple[tuple[bytes, str], ...] = (  # UTF-32 first: its little-endian mark begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMON = ("utf-8", "utf-16", "cp1252", "latin-1", "iso-8859-15", "cp1250", "cp1251", "mac-roman", "cp850")
_STRAY = re.compile("[\udc80-\udcff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_DECLARE = "Save the file as UTF-8, or declare `encoding` in [data] if you know it."


def decode(data: bytes, *, declared: str | None, where: str) -> tuple[str, str]:
    r"""Return the text with every line end as ``\n``, and the name of the encoding.

    In this order: the declared encoding; a byte-order mark; UTF-8; Windows-1252 where the outcome reads like text.
    Raises DataError with byte and line where none fits, and with the line of a NUL.
    """
    text, encoding = _decode(data, declared, where)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    no_nul(text, 0, where=where)
    return text, encoding


def no_nul(text: str, lines: int, *, where: str) -> None:
    """Raise DataError with the line of a NUL in the text, before which the file has so many lines."""
    nul = text.find("\0")
    if nul >= 0:
        raise DataError(
            "the text holds a NUL byte",
            where=f"{where}:{lines + text.count(chr(10), 0, nul) + 1}",
            fix='Remove it; if the file is UTF-16, declare `encoding = "utf-16"` in [data].',
        )


def marked_encoding(head: bytes) -> str | None:
    """Return the encoding that a byte-order mark at the beginning gives away, if there is one."""
    return next((encoding for mark, encoding in _BOMS if head.startswith(mark)), None)


def _decode(data: bytes, declared: str | None, where: str) -> tuple[str, str]:
    if declared is not None:
        return _declared(data, declared, where), declared.lower()
    marked = marked_encoding(data)
    if marked:
        return _strict(data, marked, where), marked
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        text = western(data)
        if text is None:
            raise _undecodable(data, error.start, "utf-8", where) from None
        return text, "cp1252"


def _declared(data: bytes, encoding: str, where: str) -> str:
    check_encoding(encoding, where=where)
    return _strict(data, encoding, where)


def check_encoding(encoding: str, *, where: str) -> None:
    """Raise DataError for a declared encoding that is none of text."""
    try:
        b"grain".decode(encoding, "ignore")  # Python looks up no codec for an empty text
    except UnicodeError:
        return
    except LookupError as error:
        close = get_close_matches(encoding.lower(), _COMMON, n=1, cutoff=0.5)
        hint = f"Did you mean `{close[0]}`?" if close else f"Known ones: {', '.join(_COMMON)}, …"
        raise DataError("the declared encoding is unknown", where=where, fix=f"{hint} (`[data] encoding`)") from error


def _strict(data: bytes, encoding: str, where: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(data, error.start, encoding, where) from None
    except UnicodeError as error:
        raise DataError(f"the file cannot be decoded as {encoding}", where=where, fix=_DECLARE) from error


def western(data: bytes) -> str | None:
    """Return the bytes read as Windows-1252 if that is plausible, else None.

    Not plausible are: UTF-8 with a damaged spot (some of its sequences are whole, and a reading as Windows-1252 would
    turn them into pairs of signs), control characters, and text whose letters are mostly accented (another alphabet).
    """
    attempt = data.decode("utf-8", "surrogateescape")
    stray = len(_STRAY.findall(attempt))
    whole = len(attempt) - len(attempt.encode("ascii", "ignore")) - stray
    if whole * 10 > stray:
        return None
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    signs = [character for character in text if ord(character) > 127]
    accented = sum(character.isalpha() for character in signs)
    letters = accented + sum(map(text.count, ascii_letters))
    if _CONTROL.search(text) or 2 * accented > letters or 2 * len(signs) > len(text):
        return None
    return text


def _undecodable(data: bytes, at: int, encoding: str, where: str) -> DataError:
    line = data.count(b"\n", 0, at) + 1 if b"\n" in data else data.count(b"\r", 0, at) + 1
    return undecodable(at, line, encoding, where)


def undecodable(at: int, line: int, encoding: str, where: str) -> DataError:
    """Return the refusal of the byte at this place (from 0), which stands in this line."""
    place = f"{where}:{line}" if not encoding.startswith(("utf-16", "utf-32")) else where
    return DataError(f"byte {at + 1:,} (line {line}) is not valid {encoding}", where=place, fix=_DECLARE)
