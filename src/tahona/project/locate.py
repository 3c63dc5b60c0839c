"""On which line of a TOML text each key stands.

`tomllib` gives values without places. This reads only as much of the grammar as is needed to walk over a text that
`tomllib` has already accepted, and notes the line of every table header, key and list item.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

Toml = Any
"""Whatever a TOML document may hold: a table (dict), a list, a text, a number, a date."""
KeyPath = tuple[str | int, ...]
"""Keys from the top of the document; an `int` is a place in a list."""

_SPACE = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # a multi-line string may end in up to two quotes of its own
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def find_lines(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of every key of a valid TOML text.

    A key of an inline table has its own line, an item of a list the line on which it begins. A table that is only
    implied (``[a.b]`` implies ``a``) has the line of the first key that implies it.
    """
    return _Walk(text.replace("\r\n", "\n")).document()


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """Return the line of the path, or of the nearest table or list around it; 1 when there is none."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 1


class _Walk:
    """A place in the text, and the lines found so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.lines: dict[KeyPath, int] = {}
        self.lists: dict[KeyPath, int] = {}  # how many tables each array of tables has so far

    def document(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self.skip(_GAP)
        while self.at < len(self.text):
            table = self.header() if self.text[self.at] == "[" else self.pair(table)
            self.skip(_GAP)
        return self.lines

    def header(self) -> KeyPath:
        """Read ``[a.b]`` or ``[[a.b]]`` and return the path of its table."""
        start = self.at
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        path: KeyPath = ()
        names = self.keys()
        for place, name in enumerate(names, start=1):
            path = (*path, name)
            if many and place == len(names):
                self.note(path, start)
                number = self.lists.get(path, 0)
                self.lists[path] = number + 1
                path = (*path, number)
            elif path in self.lists:
                path = (*path, self.lists[path] - 1)
            self.note(path, start)
        self.at += 2 if many else 1
        return path

    def pair(self, table: KeyPath) -> KeyPath:
        """Read ``key = value`` and return the table it stands in."""
        start = self.at
        path = table
        for key in self.keys():
            path = (*path, key)
            self.note(path, start)
        self.at += 1  # the equals sign
        self.skip(_SPACE)
        self.value(path)
        return table

    def keys(self) -> list[str]:
        """Read a dotted key, up to what follows it."""
        found = []
        while True:
            self.skip(_SPACE)
            if self.text[self.at] in "\"'":
                found.append(str(tomllib.loads(f"key = {self.take(_STRING)}")["key"]))
            else:
                found.append(self.take(_BARE))
            self.skip(_SPACE)
            if self.text[self.at] != ".":
                return found
            self.at += 1

    def value(self, path: KeyPath) -> None:
        """Walk over a value; note the keys and items inside it."""
        first = self.text[self.at]
        if first == "[":
            self.items(path)
        elif first == "{":
            self.inline_table(path)
        elif first in "\"'":
            self.take(_STRING)
        else:
            self.take(_SCALAR)

    def items(self, path: KeyPath) -> None:
        self.at += 1
        self.skip(_GAP)
        place = 0
        while self.text[self.at] != "]":
            self.note((*path, place), self.at)
            self.value((*path, place))
            place += 1
            self.comma()
        self.at += 1

    def inline_table(self, path: KeyPath) -> None:
        self.at += 1
        self.skip(_GAP)
        while self.text[self.at] != "}":
            self.pair(path)
            self.comma()
        self.at += 1

    def comma(self) -> None:
        self.skip(_GAP)
        if self.text[self.at] == ",":
            self.at += 1
            self.skip(_GAP)

    def note(self, path: KeyPath, at: int) -> None:
        self.lines.setdefault(path, bisect_right(self.starts, at))

    def skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError("the text is not TOML that tomllib accepts")
        self.at = match.end()
        return match.group()
