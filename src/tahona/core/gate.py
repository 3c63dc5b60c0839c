"""Whether a version may become champion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.bootstrap import draw_counts, percentile_bounds, resamples_for
from tahona.core.metrics import METRICS, Sample, Weighted
from tahona.core.records import Interval
from tahona.errors import InputError

TOLERANCE = 0.01
"""How much worse than the champion, as a share of the champion's value, still counts as no worse."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictedRows:
    """What one version said about test rows.

    ``rows`` (n,) are places in the raw table, ``y`` and ``decided`` (n,) class codes, ``proba`` (n, k) probabilities,
    all by ``labels``; ``digest`` is that of the raw table the rows stand in.
    """

    digest: str
    labels: tuple[str, ...]
    rows: NDArray[Any]
    y: NDArray[Any]
    proba: NDArray[Any]
    decided: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate minus champion in one metric, with its paired 95 % interval; ``champion`` is the champion's value."""

    metric: str
    difference: float
    low: float
    high: float
    champion: float

    @property
    def no_worse(self) -> bool:
        """Tell whether the interval reaches 0 (or better) and the difference itself is within the tolerance."""
        sign = METRICS[self.metric].sign
        best_end = max(sign * self.low, sign * self.high)
        return best_end >= 0 and sign * self.difference >= -TOLERANCE * abs(self.champion)

    def to_dict(self) -> dict[str, Any]:
        return {"metric": self.metric, "difference": self.difference, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer, and one sentence for each thing it looked at."""

    passed: bool
    reasons: tuple[str, ...]
    comparison: Comparison | None = None

    def to_dict(self) -> dict[str, Any]:
        comparison = None if self.comparison is None else self.comparison.to_dict()
        return {"passed": self.passed, "reasons": list(self.reasons), "comparison": comparison}


def same_test_rows(one: PredictedRows, other: PredictedRows) -> bool:
    """Tell whether two versions were tested on the same rows of the same table, with the same classes.

    If not, predict the candidate's test rows with the champion's bundle and compare that.
    """
    return (
        one.digest == other.digest
        and one.labels == other.labels
        and len(one.rows) == len(other.rows)
        and bool(np.array_equal(np.sort(one.rows), np.sort(other.rows)))
    )


def compare(
    metric: str,
    candidate: PredictedRows,
    champion: PredictedRows,
    *,
    cost: Mapping[str, float] | None = None,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
    resamples: int | None = None,
) -> Comparison:
    """Return the difference in a metric by paired bootstrap: both versions are judged on the same drawn rows.

    Rows are matched by their place in the raw table; ``groups`` (n,) follow the candidate's order. Raise InputError if
    the test rows are not the same.
    """
    if not same_test_rows(candidate, champion):
        raise InputError(
            "The champion was tested on other rows than the candidate.",
            where="gate.beats_champion",
            fix="Predict the candidate's test rows with the champion's bundle and compare those predictions.",
        )
    place = np.argsort(champion.rows, kind="stable")[np.argsort(np.argsort(candidate.rows, kind="stable"))]
    classes = len(candidate.labels)
    new = Sample(candidate.y, candidate.proba, candidate.decided, cost, classes)
    old = Sample(candidate.y, champion.proba[place], champion.decided[place], cost, classes)
    measure = METRICS[metric].measure
    count = len(candidate.y)
    drawn = [
        measure(Weighted(new, counts)) - measure(Weighted(old, counts))
        for counts in draw_counts(count, resamples or resamples_for(count), seed=seed, groups=groups)
    ]
    low, high = percentile_bounds(np.concatenate(drawn))
    once = np.ones((1, count))
    before = float(measure(Weighted(old, once))[0])
    return Comparison(metric, float(measure(Weighted(new, once))[0]) - before, low, high, before)


def judge(
    metrics: Mapping[str, float | Interval | None],
    minimums: Mapping[str, float],
    *,
    comparison: Comparison | None = None,
    incomparable: str = "",
    language: str = "en",
) -> Verdict:
    """Let a version pass when it shows every minimum and is no worse than the champion.

    *No worse* means: the 95 % interval of the paired difference reaches 0, and the difference itself is not worse by
    more than 1 % of the champion's value. ``minimums`` are maximums for metrics where less is better; a metric that
    does not exist (None, NaN) shows none. No ``comparison`` means that there is no champion (or that it need not be
    beaten); ``incomparable`` says why one could not be made and refuses.
    """
    words = _WORDS["es" if language == "es" else "en"]
    passed, reasons = True, []
    for name, bound in minimums.items():
        if name not in metrics:
            raise InputError(
                f"The gate asks for '{name}', which was not measured.",
                where=f"gate.min.{name}",
                fix=f"Measured are: {', '.join(metrics)}.",
            )
        given = metrics[name]
        value = given.value if isinstance(given, Interval) else math.nan if given is None else given
        enough = METRICS[name].sign * value >= METRICS[name].sign * bound  # False for NaN
        side = ("least" if METRICS[name].better == "higher" else "most") if enough else METRICS[name].better
        reasons.append(
            words[side].format(
                metric=METRICS[name].title(language), value=_n(value, language), bound=_n(bound, language)
            )
        )
        passed = passed and enough
    if comparison is not None:
        passed = passed and comparison.no_worse
        reasons.append(_compared(comparison, words, language))
    elif incomparable:
        passed = False
        reasons.append(incomparable)
    return Verdict(passed, tuple(reasons) or (words["nothing"],), comparison)


def _compared(comparison: Comparison, words: Mapping[str, str], language: str) -> str:
    if math.isnan(comparison.difference):
        key = "unknown"
    elif comparison.no_worse:
        key = "no_worse"
    else:
        key = "worse"
    return words[key].format(
        metric=METRICS[comparison.metric].title(language),
        difference=_n(comparison.difference, language, signed=True),
        low=_n(comparison.low, language, signed=True),
        high=_n(comparison.high, language, signed=True),
    )


def _n(value: float, language: str, *, signed: bool = False) -> str:
    text = f"{value:+.4f}" if signed else f"{value:.4f}"
    return text.replace(".", ",") if language == "es" else text


_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "least": "{metric} is {value}; at least {bound} was asked.",
        "most": "{metric} is {value}; at most {bound} was asked.",
        "higher": "{metric} is only {value}; at least {bound} was asked.",
        "lower": "{metric} is {value}, too high; at most {bound} was asked.",
        "no_worse": "{metric} is no worse than the champion's: difference {difference}, 95 % interval {low} to {high}.",
        "worse": "{metric} is worse than the champion's: difference {difference}, 95 % interval {low} to {high}.",
        "unknown": "{metric} cannot be compared with the champion's: a class is missing in the test rows.",
        "nothing": "There is nothing to be shown: no minimum is declared and there is no champion to compare with.",
    },
    "es": {
        "least": "{metric}: {value}; se pedía al menos {bound}.",
        "most": "{metric}: {value}; se pedía como máximo {bound}.",
        "higher": "{metric}: solo {value}; se pedía al menos {bound}.",
        "lower": "{metric}: {value}, demasiado alto; se pedía como máximo {bound}.",
        "no_worse": "{metric}: no es peor que el campeón (diferencia {difference}, intervalo {low} a {high}).",
        "worse": "{metric}: es peor que el campeón (diferencia {difference}, intervalo {low} a {high}).",
        "unknown": "{metric}: no se puede comparar con el campeón porque falta una clase en las filas de prueba.",
        "nothing": "No hay nada que demostrar: no se declara ningún mínimo y no hay campeón con el que comparar.",
    },
}
