"""The card at the top of the report: one number, against what, and what it means in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tahona.core.metrics import METRICS
from tahona.report.document import Axis, Bar, Summary
from tahona.report.facts import ReportFacts
from tahona.report.language import Language

_OF_ONE_CLASS = ("precision", "recall", "f1", "pr_auc")
_HEEDED = 3
"""How many warnings stand in the card; the audit section has them all."""


def metric_title(facts: ReportFacts, say: Language, name: str) -> str:
    """Return a metric's title, with the class it speaks of: "F1 of malignant"."""
    title = say.metric(name)
    if facts.schema.binary and name in _OF_ONE_CLASS:
        return say("metric.of", metric=title, label=facts.labels[0])
    return title


def family_title(facts: ReportFacts, say: Language, name: str) -> str:
    """Return a family's name for people; a mixture says what it is made of."""
    parts = [family for family, weight in (facts.leaderboard.get("weights") or {}).items() if weight]
    if name == "ensemble" and parts:
        return f"{say.family(name)}: {say.listing(say.family(part) for part in parts)}"
    return say.family(name)


def is_clearly_better(facts: ReportFacts) -> bool | None:
    """Tell whether the model's interval lies apart from the dummy's; None where one of them has no value."""
    name = facts.metric
    model = facts.evaluation["metrics"].get(name) or {}
    dummy = (facts.evaluation.get("dummy") or {}).get(name) or {}
    if model.get("value") is None or dummy.get("value") is None:
        return None
    sign = METRICS[name].sign
    worst = min((sign * end for end in (model.get("low"), model.get("high")) if end is not None), default=None)
    rivals = (dummy.get("low"), dummy.get("value"), dummy.get("high"))
    best = max(sign * end for end in rivals if end is not None)
    return worst is not None and worst > best


def build_summary(facts: ReportFacts, say: Language) -> Summary:
    name = facts.metric
    model: Mapping[str, Any] = facts.evaluation["metrics"].get(name) or {}
    dummy: Mapping[str, Any] = (facts.evaluation.get("dummy") or {}).get(name) or {}
    value, low, high, baseline = model.get("value"), model.get("low"), model.get("high"), dummy.get("value")
    bar, scale = _bar(name, value, low, high, baseline, say)
    version, champion = facts.registration.get("version"), bool(facts.registration.get("champion"))
    key = "status.unregistered" if not version else "status.champion" if champion else "status.challenger"
    return Summary(
        label=metric_title(facts, say, name),
        value=say.short(value),
        interval=f"{say('interval')}: {say.interval(low, high, 3)}",
        bar=bar,
        bar_text=say("summary.bar", low=scale[0], high=scale[1]),
        scale=scale,
        baseline=say("summary.dummy", value=say.short(baseline)) if baseline is not None else "",
        sentences=tuple(_sentences(facts, say)),
        status=say(key, version=version),
        good=champion,
        heed_title=say("heed.title"),
        heed=tuple(say.finding(finding) for finding in facts.warnings[:_HEEDED]),
    )


def _bar(
    name: str, value: float | None, low: float | None, high: float | None, baseline: float | None, say: Language
) -> tuple[Bar | None, tuple[str, str]]:
    """Return the bar and its ends: 0 to 1 where that is the metric's range, else what holds all values."""
    metric = METRICS.get(name)
    whole = metric is not None and metric.floor == 0.0 and metric.ceiling == 1.0
    axis = Axis(0.0, 1.0) if whole else Axis.around([value, low, high, baseline])
    decimals = 0 if whole else 2
    return axis.bar(value, low, high, baseline), (say.number(axis.low, decimals), say.number(axis.high, decimals))


def _sentences(facts: ReportFacts, say: Language) -> list[str]:
    """Return the lead, the dummy's sentence and what it means in counted rows."""
    name = facts.metric
    model = facts.evaluation["metrics"].get(name) or {}
    dummy = (facts.evaluation.get("dummy") or {}).get(name) or {}
    lead = say(
        "lead",
        rows=say.many("rows", facts.evaluation["rows"]),
        model=family_title(facts, say, facts.chosen),
        metric=metric_title(facts, say, name),
        value=say.short(model.get("value")),
        interval=say.interval(model.get("low"), model.get("high"), 3),
    )
    better = is_clearly_better(facts)
    key = "lead.single" if better is None else "lead.clear" if better else "lead.unclear"
    return [lead, say(key, dummy=say.short(dummy.get("value"))), _plain(facts, say)]


def _plain(facts: ReportFacts, say: Language) -> str:
    """Return the confusion matrix as one sentence."""
    confusion = facts.evaluation["confusion"]
    labels, matrix = [str(label) for label in confusion["labels"]], confusion["matrix"]
    if facts.schema.binary:
        mine, other = labels.index(facts.labels[0]), labels.index(facts.labels[1])
        found, missed, alarms = matrix[mine][mine], matrix[mine][other], matrix[other][mine]
        return say(
            "plain.binary",
            label=facts.labels[0],
            actual=say.many("rows", found + missed),
            found=say.count(found),
            missed=say.count(missed),
            called=say.count(found + alarms),
            right=say.count(found),
        )
    right, rows = sum(matrix[i][i] for i in range(len(labels))), sum(map(sum, matrix))
    recall = {label: matrix[i][i] / sum(matrix[i]) for i, label in enumerate(labels) if sum(matrix[i])}
    best, worst = max(recall, key=recall.__getitem__), min(recall, key=recall.__getitem__)
    return say(
        "plain.classes",
        right=say.count(right),
        rows=say.many("rows", rows),
        share=say.percent(right / rows if rows else None),
        best=best,
        best_share=say.percent(recall[best], 0),
        worst=worst,
        worst_share=say.percent(recall[worst], 0),
    )


def shown_metrics(facts: ReportFacts) -> tuple[str, ...]:
    """Return the measured metrics, the one of the search first; without doubles (macro names when classes are many)."""
    measured = facts.evaluation["metrics"]
    doubles = () if facts.schema.binary else ("precision", "recall", "f1")
    rest = [name for name in (*METRICS, *sorted(set(measured) - set(METRICS))) if name in measured]
    kept = [name for name in rest if name != facts.metric and name not in doubles]
    return (*((facts.metric,) if facts.metric in measured else ()), *kept)
