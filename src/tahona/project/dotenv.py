"""The file `.env` beside the project file: settings and secrets that stay out of version control."""

from __future__ import annotations

import re
from pathlib import Path

from tahona.errors import SetupError

_LINE = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_]\w*)[ \t]*=[ \t]*"""
    r"""(?P<value>'[^']*'|"[^"]*"|[^\s'"#][^'"]*?|)[ \t]*(?:[ \t]#.*)?"""
)


def read_dotenv(folder: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of the folder's `.env`; nothing when there is no such file.

    A value may stand in quotes, and a line may begin with `export`. Other lines are left alone: nothing is expanded.
    """
    file = folder / ".env"
    if not file.is_file():
        return {}
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError("this file cannot be read as UTF-8 text", where=str(file), fix="save it as UTF-8") from error
    lines = filter(None, map(_LINE.fullmatch, text.splitlines()))
    return {line["name"]: _unquoted(line["value"]) for line in lines}


def _unquoted(value: str) -> str:
    return value[1:-1] if value[:1] in ("'", '"') else value
