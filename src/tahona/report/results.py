"""The sections that hold numbers: leaderboard, test, classes, groups, importances, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from tahona.core.metrics import METRICS
from tahona.report.document import Axis, Block, Cell, Figure, Figures, Pair, Pairs, Section, Table, Text
from tahona.report.facts import ReportFacts
from tahona.report.language import Language
from tahona.report.summary import metric_title, shown_metrics

_IN_THE_WIDE_TABLE = ("accuracy", "precision", "recall", "f1", "f1_macro", "roc_auc", "pr_auc", "log_loss")
_IMPORTANCES = 15
_FIGURES = ("roc_curve", "pr_curve", "calibration", "threshold_cost")


def number_cell(say: Language, value: float | None, **how: Any) -> Cell:  # noqa: ANN401 - passed on to Cell
    return Cell(say.number(value), number=True, **how)


def test_section(facts: ReportFacts, say: Language) -> Section:
    """All metrics of the chosen model beside the dummy's, and the confusion matrix."""
    measured, dummy = facts.evaluation["metrics"], facts.evaluation.get("dummy") or {}
    rows = []
    for name in shown_metrics(facts):
        title = metric_title(facts, say, name)
        if name in METRICS and METRICS[name].better == "lower":
            title = say("metric.lower", metric=title)
        it = measured[name]
        rows.append(
            (
                Cell(title, strong=name == facts.metric),
                number_cell(say, it["value"], strong=True),
                Cell(say.interval(it["low"], it["high"]), number=True),
                number_cell(say, (dummy.get(name) or {}).get("value")),
            )
        )
    head = (say("metric"), say("value"), say("interval"), say("test.dummy"))
    table = Table(say("test.table"), head, tuple(rows), (1, 2, 3))
    return Section("test", say("test"), (Text(say("test.text")), _confusion(facts, say), table))


def _confusion(facts: ReportFacts, say: Language) -> Table:
    """Set true classes down, answers across, the class that matters first; shading is the share of the true class."""
    confusion = facts.evaluation["confusion"]
    stored = [str(label) for label in confusion["labels"]]
    order = [stored.index(label) for label in facts.labels]
    rows = []
    for i in order:
        counts = confusion["matrix"][i]
        total = sum(counts)
        cells = (
            Cell(
                say.count(counts[j]),
                number=True,
                strong=i == j,
                share=counts[j] / total if total else 0.0,
                tone="right" if i == j else "wrong",
            )
            for j in order
        )
        rows.append((Cell(stored[i]), *cells))
    head = (say("confusion.true"), *(say("confusion.said", label=stored[j]) for j in order))
    return Table(say("confusion"), head, tuple(rows), tuple(range(1, len(head))))


def leaderboard_table(leaderboard: Mapping[str, Any], say: Language, metric: str) -> Table:
    """Return the models by their value out of fold, best first, the chosen one marked."""
    rows: Sequence[Mapping[str, Any]] = leaderboard["rows"]
    models = [row for row in rows if row["model"] != "dummy"] or rows
    axis = Axis.around(end for row in models for end in (row["value"], row.get("low"), row.get("high")))
    dummy = next((row["value"] for row in rows if row["model"] == "dummy"), None)
    chosen = leaderboard.get("chosen")
    lines = []
    for row in rows:
        calibration = row.get("calibration")
        lines.append(
            (
                Cell(say.family(row["model"]), note=say("chosen") if row["model"] == chosen else "", strong=True),
                number_cell(
                    say, row["value"], strong=True, bar=axis.bar(row["value"], row.get("low"), row.get("high"), dummy)
                ),
                Cell(say.interval(row.get("low"), row.get("high")), number=True),
                Cell(say.seconds(row.get("cpu_seconds")), number=True),
                Cell(say.seconds(row.get("seconds")), number=True),
                Cell(say.count(row.get("trials") or 0), number=True),
                Cell(say(f"calibration.{calibration}") if calibration else say("none")),
            )
        )
    keys = ("model", "", "interval", "board.cpu", "board.wall", "board.trials", "board.calibration")
    head = tuple(say(key) if key else metric for key in keys)
    marked = next((i for i, row in enumerate(rows) if row["model"] == chosen), None)
    low, high = say.number(axis.low, 3), say.number(axis.high, 3)
    caption = f"{say('board.table', metric=metric)}. {say('board.axis', low=low, high=high)}"
    return Table(caption, head, tuple(lines), (1, 2, 3, 4, 5), marked)


def leaderboard_section(facts: ReportFacts, say: Language) -> Section:
    board = facts.leaderboard
    blocks: list[Block] = [
        Text(say("board.text")),
        leaderboard_table(board, say, metric_title(facts, say, facts.metric)),
    ]
    weights = {name: weight for name, weight in (board.get("weights") or {}).items() if weight}
    if facts.chosen == "ensemble" and weights:
        shares = (f"{say.family(name)} {say.percent(weight, 0)}" for name, weight in weights.items())
        blocks.append(Text(say("board.weights", weights=say.listing(shares))))
    settings = ((row["model"], say.params(row.get("params"))) for row in board["rows"])
    pairs = tuple(Pair(say.family(name), text, code=True) for name, text in settings if text)
    if pairs:
        blocks.extend((Text(say("board.params")), Pairs(pairs)))
    # what a mixture cost is what its members cost, and they have rows of their own
    cpu = sum(row.get("cpu_seconds") or 0.0 for row in board["rows"] if row["model"] != "ensemble")
    trials = sum(row.get("trials") or 0 for row in board["rows"])
    blocks.append(Text(say("board.total", cpu=say.seconds(cpu), trials=say.count(trials))))
    return Section("leaderboard", say("board"), tuple(blocks))


def candidates_section(facts: ReportFacts, say: Language) -> Section | None:
    """Every family on the test rows, for the record; with two classes also what each found and missed."""
    candidates: Mapping[str, Mapping[str, Any]] = facts.evaluation.get("candidates") or {}
    if not candidates:
        return None
    order = [row["model"] for row in facts.leaderboard["rows"] if row["model"] in candidates]
    order += [name for name in candidates if name not in order]
    names = [name for name in shown_metrics(facts) if name == facts.metric or name in _IN_THE_WIDE_TABLE]
    rows = tuple(
        (
            Cell(say.family(family), strong=family == facts.chosen),
            *(_valued(candidates[family].get(n), say) for n in names),
        )
        for family in order
    )
    head = (say("model"), *(metric_title(facts, say, name) for name in names))
    marked = order.index(facts.chosen) if facts.chosen in order else None
    table = Table(say("candidates.table"), head, rows, tuple(range(1, len(head))), marked)
    blocks: list[Block] = [Text(say("candidates.text")), table]
    confusions: Mapping[str, Any] = facts.evaluation.get("confusions") or {}
    if facts.schema.binary and confusions:
        blocks.append(_errors(facts, confusions, order, say))
    return Section("candidates", say("candidates"), tuple(blocks))


def _valued(interval: Mapping[str, Any] | None, say: Language) -> Cell:
    it = interval or {}
    note = say.interval(it.get("low"), it.get("high"), 3) if it.get("low") is not None else ""
    return number_cell(say, it.get("value"), note=note)


def _errors(facts: ReportFacts, confusions: Mapping[str, Any], order: Sequence[str], say: Language) -> Table:
    """Found, missed, false alarms and rightly left alone: the four cells of each family's matrix."""
    stored = [str(label) for label in facts.evaluation["labels"]]
    mine, other = stored.index(facts.labels[0]), stored.index(facts.labels[1])
    rows = []
    for family in (name for name in order if name in confusions):
        matrix = confusions[family]
        matrix = matrix["matrix"] if isinstance(matrix, Mapping) else matrix
        four = (matrix[mine][mine], matrix[mine][other], matrix[other][mine], matrix[other][other])
        rows.append(
            (Cell(say.family(family), strong=family == facts.chosen), *(Cell(say.count(n), number=True) for n in four))
        )
    head = (say("model"), *(say(f"errors.{key}") for key in ("found", "missed", "false", "left")))
    return Table(say("candidates.errors", label=facts.labels[0]), head, tuple(rows), (1, 2, 3, 4))


def classes_section(facts: ReportFacts, say: Language) -> Section:
    by_label = {str(row["label"]): row for row in facts.evaluation["per_class"]}
    rows = tuple(
        (
            Cell(label, note=say("matters") if label == facts.schema.positive else ""),
            Cell(say.count(by_label[label]["rows"]), number=True),
            *(number_cell(say, by_label[label][key]) for key in ("precision", "recall", "f1")),
        )
        for label in facts.labels
        if label in by_label
    )
    head = (say("class"), say("rows"), say("precision"), say("recall"), say("f1"))
    return Section(
        "classes", say("classes"), (Text(say("classes.text")), Table(say("classes"), head, rows, (1, 2, 3, 4)))
    )


def slices_section(facts: ReportFacts, say: Language) -> Section | None:
    """Show the chosen model by the values of a few columns; text and id columns never appear here."""
    if not facts.slices:
        return None
    blocks: list[Block] = [Text(say("slices.text"))]
    keyed = sorted(facts.slices, key=lambda row: str(row["metric"]))
    axis = Axis.around(end for row in facts.slices for end in (row["low"], row["value"], row["high"]))
    for metric, group in groupby(keyed, key=lambda row: str(row["metric"])):
        rows = tuple(
            (
                Cell(row["column"], code=True),
                Cell(str(row["level"]), code=True),
                Cell(say.count(row["rows"]), number=True),
                number_cell(say, row["value"], bar=axis.bar(row["value"], row["low"], row["high"])),
                Cell(say.interval(row["low"], row["high"]), number=True),
            )
            for row in group
        )
        title = metric_title(facts, say, metric)
        head = (say("column"), say("level"), say("rows"), title, say("interval"))
        blocks.append(Table(say("slices.table", metric=title), head, rows, (2, 3, 4)))
    return Section("slices", say("slices"), tuple(blocks))


def importance_section(facts: ReportFacts, say: Language) -> Section | None:
    """Show what the test value loses when a raw column is shuffled."""
    ranked = facts.evaluation.get("importance") or []
    if not ranked:
        return None
    shown = ranked[:_IMPORTANCES]
    axis = Axis.around([0.0, *(end for row in shown for end in (row["low"], row["value"], row["high"]))])
    rows = tuple(
        (
            Cell(row["column"], code=True),
            number_cell(say, row["value"], bar=axis.bar(row["value"], row["low"], row["high"], 0.0)),
            Cell(say.interval(row["low"], row["high"]), number=True),
        )
        for row in shown
    )
    metric = metric_title(facts, say, facts.metric)
    head = (say("column"), say("importance.loss"), say("interval"))
    blocks: list[Block] = [
        Text(say("importance.text", metric=metric)),
        Table(say("importance.table"), head, rows, (1, 2)),
    ]
    if len(ranked) > len(shown):
        rest = say.many("columns", len(ranked) - len(shown))
        blocks.append(Text(say("importance.rest", columns=rest)))
    return Section("importance", say("importance"), tuple(blocks))


def curves_section(facts: ReportFacts, say: Language) -> Section | None:
    """Show the figures that say what a table cannot."""
    figures: list[Figure] = []
    measured = facts.evaluation["metrics"]
    values = {"roc_curve": "roc_auc", "pr_curve": "pr_auc"}
    for topic in _FIGURES:
        file = _figure_file(facts.figures, topic)
        if file is None:
            continue
        value = (measured.get(values.get(topic, "")) or {}).get("value")
        costless = topic == "threshold_cost" and facts.project.decision.cost is None
        key = "figure.threshold_f1" if costless else f"figure.{topic}"
        figures.append(Figure(file, say(key, value=say.short(value))))
    if not figures:
        return None
    return Section("curves", say("curves"), (Text(say("curves.text")), Figures(tuple(figures))))


def _figure_file(folder: Path | None, topic: str) -> Path | None:
    """Return the figure on a topic, drawn (SVG) rather than painted (PNG)."""
    if folder is None or not folder.is_dir():
        return None
    for ending in ("svg", "png"):
        found = sorted(folder.glob(f"{topic}_*.{ending}"))
        if found:
            return found[0]
    return None
