"""What workers and back make of a request's body alike: what it is sent as, and columns that nobody asked for."""

from __future__ import annotations

from collections.abc import Sequence

from tahona.serve.front.mistakes import shown

_UTF8 = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})


def media_type(content_type: str) -> tuple[str, str]:
    """Return the media type in small letters without its parameters, and the charset, empty where none is named."""
    kind, _, rest = content_type.lower().partition(";")
    parameters = dict(part.strip().partition("=")[::2] for part in rest.split(";"))
    return kind.strip(), parameters.get("charset", "").strip().strip('"')


def is_utf8(charset: str) -> bool:
    """Tell whether the charset is one that JSON can have."""
    return charset in _UTF8


def unknown(columns: Sequence[str]) -> str:
    """Return the warning that names columns which nothing was made of, empty where there are none."""
    return f"unknown column(s) that nothing was made of: {', '.join(shown(columns))}" if columns else ""
