"""How the report speaks: sentences by key, numbers, names of metrics and families, in one language."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tahona.core.findings import FINDINGS, Fact, Finding
from tahona.core.metrics import METRICS
from tahona.report.words import WORDS

MISSING = "–"
"""Stands where a number does not exist (NaN, null)."""

_NARROW = "\u202f"
_HARD = "\u00a0"
_DECIMALS_IN_PROSE = 3
_DECIMALS_IN_TABLES = 4


@dataclass(frozen=True, slots=True)
class Language:
    """English (``en``) or Spanish (``es``); anything else speaks English."""

    code: str = "en"

    def __call__(self, key: str, /, **gaps: object) -> str:
        """Return the sentence ``key`` with its gaps filled."""
        return WORDS[key][1 if self.spanish else 0].format(**gaps)

    @property
    def spanish(self) -> bool:
        return self.code == "es"

    def number(self, value: float | None, decimals: int = _DECIMALS_IN_TABLES) -> str:
        """Return a number with its decimal mark: 0.9760 or 0,9760; whole thousands apart. A missing one is a dash."""
        if value is None or math.isnan(value):
            return MISSING
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        text = f"{value:,.{decimals}f}".replace("-", "−")
        if not self.spanish:
            return text
        # The academies' rule: decimal comma, thin space between thousands, none in numbers of four digits.
        whole, _, rest = text.partition(".")
        whole = whole.replace(",", "" if abs(value) < 10_000 else _NARROW)
        return f"{whole},{rest}" if rest else whole

    def short(self, value: float | None) -> str:
        """Return a number as prose wants it."""
        return self.number(value, _DECIMALS_IN_PROSE)

    def plain(self, value: float) -> str:
        """Return a number that a person wrote, without zeros they did not write: 5 or 0,25."""
        decimals = len(f"{value:.6f}".rstrip("0").partition(".")[2])
        return self.number(value, decimals)

    def count(self, value: float) -> str:
        return self.number(value, 0)

    def percent(self, share: float | None, decimals: int = 1) -> str:
        if share is None or math.isnan(share):
            return MISSING
        return f"{self.number(100 * share, decimals)}{_HARD}%"

    def interval(self, low: float | None, high: float | None, decimals: int = _DECIMALS_IN_TABLES) -> str:
        if low is None or high is None or math.isnan(low) or math.isnan(high):
            return MISSING
        return self("interval.from_to", low=self.number(low, decimals), high=self.number(high, decimals))

    def seconds(self, value: float | None) -> str:
        """Return a duration that can be read at a glance: 0.42 s, 12.3 s, 4 min 5 s, 2 h 10 min."""
        if value is None:
            return MISSING
        if value < 60:
            return f"{self.number(value, 2 if value < 10 else 1)}{_HARD}s"
        minutes, rest = divmod(round(value), 60)
        if minutes < 60:
            return f"{minutes}{_HARD}min {rest}{_HARD}s"
        hours, minutes = divmod(minutes, 60)
        return f"{self.count(hours)}{_HARD}h {minutes}{_HARD}min"

    def many(self, key: str, value: int) -> str:
        """Return "1 row" or "12 rows": the sentence ``key.one`` or ``key.many``."""
        return self(f"{key}.one") if value == 1 else self(f"{key}.many", count=self.count(value))

    def metric(self, name: str) -> str:
        """Return a metric's title; a name that is not in the table stands for itself."""
        return METRICS[name].title(self.code) if name in METRICS else name

    def family(self, name: str) -> str:
        key = f"family.{name}"
        return self(key) if key in WORDS else name

    def finding(self, finding: Finding) -> str:
        """Return a finding's sentence, its numbers with this language's marks."""
        if not self.spanish:
            return finding.message("en")
        facts = {name: _SpanishFact(name, value) for name, value in finding.facts.items()}
        return FINDINGS[finding.kind].es.format(column=finding.column, **facts)

    def listing(self, items: Iterable[str]) -> str:
        return ", ".join(items)

    def params(self, params: Mapping[str, Any] | None) -> str:
        """Return settings as they would stand in the project file: they are code, the same in every language."""
        return ", ".join(f"{name} = {_setting(value)}" for name, value in sorted((params or {}).items()))


_NAMES = ("column", "other", "label", "level", "words", "by", "format", "details")
"""Facts that name something: never numbers, whatever they look like."""


@dataclass(frozen=True, slots=True)
class _SpanishFact:
    """A fact that takes the marks of Spanish numbers when it is set into a sentence."""

    name: str
    value: Fact

    def __format__(self, spec: str) -> str:
        text = format(self.value, spec)
        number = self.name not in _NAMES and re.fullmatch(r"[-+]?\d[\d,]*(\.\d+)?", text)
        if not number:
            return text
        digits = text.replace(",", "")
        decimals = len(digits.partition(".")[2])
        return Language("es").number(float(digits), decimals)


def _setting(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value is None else str(value)
