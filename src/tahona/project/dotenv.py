"""Files of variables: `.env` beside the project file, and those of the servers that `tahona up` starts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tahona.errors import SetupError

SERVERS = Path(".tahona") / "servers"
VARIABLES = "variables.env"

_LINE = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_]\w*)[ \t]*=[ \t]*"""
    r"""(?P<value>'[^']*'|"[^"]*"|[^\s'"#][^'"]*?|)[ \t]*(?:[ \t]#.*)?"""
)


def read_dotenv(folder: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of the folder's `.env`: settings and secrets that stay out of version control."""
    return read_variables(folder / ".env")


def read_servers(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the variables by which a project finds its own servers. An empty value takes a variable away."""
    files = (folder / SERVERS / name / VARIABLES for name in names)
    return {name: value for file in files for name, value in read_variables(file).items()}


def read_variables(file: Path) -> dict[str, str]:
    """Return the `NAME=value` lines of a file; nothing when there is no such file.

    A value may stand in quotes, and a line may begin with `export`. Other lines are left alone: nothing is expanded.
    """
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
