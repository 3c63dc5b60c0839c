"""What a file is by its first bytes, and what an archive holds, within bounds."""

from __future__ import annotations

import io
import struct
import zlib
from typing import IO, TYPE_CHECKING, Literal

from tahona.errors import DataError
from tahona.sources.limits import LIMITS, Limits

if TYPE_CHECKING:
    import zipfile
    from io import BufferedIOBase

__all__ = ["Content", "recognise", "unpack_gzip", "unpack_zip"]

Content = Literal["text", "parquet", "gzip", "zip"]

HEAD_BYTES = 560
"""How many first bytes :func:`recognise` wants (a tar archive gives itself away at byte 257)."""

_CHUNK = 1 << 20

# What the standard library raises, besides its own two errors, where an archive's fields were damaged.
_DAMAGE = (zlib.error, struct.error, EOFError, OSError, LookupError, ValueError, NotImplementedError)

# First bytes → what to call it. Order matters only where one is the beginning of another.
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"RIFF", "an audio, video or WebP file"),
    (b"%PDF-", "a PDF document"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or encrypted Office document"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"ARROW1", "an Arrow or Feather file"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC", "an ORC file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
)
_INSTEAD = {
    "an SQLite database": "Name it as `sqlite:///path?table=name` in `[data] source`.",
    "an old or encrypted Office document": "Save it as .xlsx or CSV, without a password.",
}


def recognise(head: bytes, *, where: str) -> Content:
    """Return what a file is by its first ``HEAD_BYTES``; text is what remains. Raise DataError for what is no table."""
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    for start, name in _REFUSED:
        if head.startswith(start) and not (start in {b"ORC", b"RIFF", b"BZh"} and head[:64].isascii() and _plain(head)):
            raise _no_table(name, where)
    if head[257:262] == b"ustar":
        raise _no_table("a tar archive", where)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        raise _no_table("an HTML page", where)
    if text.startswith((b"<?xml", b"<!doctype", b"<svg")):
        raise _no_table("an XML document", where)
    return "text"


def unpack_gzip(packed: bytes, *, where: str, limits: Limits = LIMITS) -> bytes:
    """Return what a gzip file holds. Raise DataError if it is damaged or unfolds beyond the limits."""
    import gzip

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            return _read_bounded(stream, len(packed), where=where, limits=limits)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError("the gzip file is damaged or cut off", where=where, fix="Get the file again.") from error


def unpack_zip(packed: bytes, *, where: str, limits: Limits = LIMITS) -> bytes | None:
    """Return the one file a zip archive holds, or None if the archive is an Excel workbook.

    Raises DataError for several files, encryption, damage, or contents beyond the limits.
    """
    import lzma
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            members = [info for info in archive.infolist() if not info.is_dir() and not _is_debris(info.filename)]
            names = {info.filename for info in members}
            if any(info.flag_bits & 1 for info in members):
                raise DataError("the file is encrypted", where=where, fix="Remove the password before use.")
            if "[Content_Types].xml" in names:
                _check_workbook(members, names, len(packed), where=where, limits=limits)
                return None
            if len(members) != 1:
                raise DataError(
                    f"the zip archive holds {len(members):,} files; one table is wanted",
                    where=where,
                    fix="Pack one CSV file alone, or unpack the archive and name the file.",
                )
            with archive.open(members[0]) as stream:
                return _read_bounded(stream, len(packed), where=where, limits=limits)
    except (*_DAMAGE, zipfile.BadZipFile, lzma.LZMAError) as error:
        raise DataError("the zip archive is damaged or cut off", where=where, fix="Get the file again.") from error


def check_size(size: int, packed: int, *, where: str, limits: Limits) -> None:
    """Refuse ``size`` bytes, unfolded from ``packed`` ones, beyond the limits."""
    if size > limits.table_bytes:
        raise DataError(
            f"the table is larger than the limit of {limits.table_bytes:,} bytes",
            where=where,
            fix="Use a smaller table.",
        )
    if size > limits.ratio_from and size > packed * limits.ratio:
        raise DataError(
            f"the file unfolds to more than {limits.ratio} times its size; refused as a decompression bomb",
            where=where,
            fix="Unpack the file yourself if you trust it, and name the unpacked one.",
        )


def _read_bounded(stream: BufferedIOBase | IO[bytes], packed: int, *, where: str, limits: Limits) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := stream.read(_CHUNK):
        size += len(part)
        check_size(size, packed, where=where, limits=limits)
        parts.append(part)
    return b"".join(parts)


def _check_workbook(
    members: list[zipfile.ZipInfo], names: set[str], packed: int, *, where: str, limits: Limits
) -> None:
    """Refuse a workbook by its members' declared sizes, which is enough: a reader stops at them."""
    if not any(name.startswith("xl/") for name in names):
        raise _no_table("an Office document, but no workbook", where)
    check_size(sum(info.file_size for info in members), packed, where=where, limits=limits)


def _is_debris(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2] in {".DS_Store", "Thumbs.db"}


def _plain(head: bytes) -> bool:
    return all(byte >= 0x20 or byte in b"\t\r\n" for byte in head)


def _no_table(name: str, where: str) -> DataError:
    fix = _INSTEAD.get(name, "Give a CSV, Parquet, JSON or Excel (.xlsx) file.")
    return DataError(f"the file is {name}, not a table", where=where, fix=fix)
