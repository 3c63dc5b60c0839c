"""The text of a function in the making, and the objects that its names stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tahona.scorer.errors import NotCompiledError

if TYPE_CHECKING:
    from tahona.scorer.gathering import Gathered

MOST_LINES = 50_000
"""Of a function: they take Python a second. Hundreds of classes times hundreds of columns make more."""


class Source:
    """Lines of a function's body. Nothing of a bundle's text enters them but numbers: texts are bound to names."""

    def __init__(self, gathered: list[Gathered] | None = None) -> None:
        """With ``gathered``, to which what gathers rows is added, the function is one of many rows (`Steps`)."""
        self.gathered = gathered
        self._lines: list[str] = []
        self._bound: dict[str, object] = {}
        self._made = 0

    def add(self, *lines: str) -> None:
        self._lines += lines

    def bind(self, value: object) -> str:
        """Return a name for the value within the function."""
        name = f"k{len(self._bound)}"
        self._bound[name] = value
        return name

    def fresh(self) -> str:
        """Return a name for a local variable."""
        self._made += 1
        return f"x{self._made}"

    def let(self, expression: str) -> str:
        """Give the expression a name, unless it is one already."""
        if expression.isidentifier():
            return expression
        name = self.fresh()
        self.add(f"{name} = {expression}")
        return name

    def function(self, signature: str) -> Callable[..., Any]:
        """Return the function; ``signature`` is its name and parameters."""
        if len(self._lines) > MOST_LINES:
            raise NotCompiledError(f"its function would have {len(self._lines):,} lines, more than {MOST_LINES:,}")
        text = "\n    ".join([f"def {signature}:", *self._lines])
        space = dict(self._bound)
        exec(compile(text, "<row scorer>", "exec"), space)  # noqa: S102 - our own text
        # taken out, so that no circle keeps the function, and with it a model, when nobody holds it any more
        made: Callable[..., Any] = space.pop(signature.partition("(")[0])  # type: ignore[assignment]
        return made


def summed(terms: Iterable[str]) -> str:
    """Return the expression that adds the terms from left to right."""
    return " + ".join(terms)
