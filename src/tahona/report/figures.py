"""The figures of a run, as PNG and SVG: confusion matrix, ROC, PR, calibration, threshold, importance, leaderboard.

Drawn through matplotlib's objects, not pyplot: no window system is looked for, nothing is kept between figures, and the
same documents give the same bytes. Colours are told apart by colour-blind people, and lines by their dashes too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from tahona.core.naming import figure_name
from tahona.report.canvas import (
    ACCENT,
    DASHES,
    DPI,
    HEIGHT,
    INK,
    LINES,
    SOFT,
    WARM,
    label_axes,
    new_figure,
    new_rows,
    shorten,
    style,
    use_decimal_comma,
    write_below,
    write_title,
)
from tahona.report.language import Language

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Document = Mapping[str, Any]

_MOST_LINES = 6
_MOST_BARS = 15
_MOST_NUMBERED = 12
"""Classes up to which a confusion matrix shows its counts."""

_WORDS: Mapping[str, tuple[str, str]] = {
    "true": ("True class", "Clase verdadera"),
    "said": ("Decision", "Decisión"),
    "confusion": ("Confusion matrix", "Matriz de confusión"),
    "roc": ("ROC curve", "Curva ROC"),
    "fpr": ("False positive rate", "Tasa de falsos positivos"),
    "recall": ("Recall", "Exhaustividad"),
    "precision": ("Precision", "Precisión"),
    "pr": ("Precision and recall", "Precisión y exhaustividad"),
    "share": ("share of the class", "proporción de la clase"),
    "chance": ("guessing", "al azar"),
    "calibration": ("Calibration", "Calibración"),
    "predicted": ("Mean predicted probability", "Probabilidad media predicha"),
    "observed": ("Observed share", "Proporción observada"),
    "perfect": ("perfect", "perfecta"),
    "threshold": ("Threshold", "Umbral"),
    "cost": ("Cost per row", "Coste por fila"),
    "chosen": ("chosen: {value}", "elegido: {value}"),
    "by_threshold": ("What each threshold would give", "Qué daría cada umbral"),
    "importance": ("What the model looks at", "En qué se fija el modelo"),
    "drop": ("Loss of {metric} when the column is shuffled", "Pérdida de {metric} al desordenar la columna"),
    "leaderboard": ("Models out of fold", "Modelos fuera de pliegue"),
    "interval": ("{metric}: mean over folds and 95 % interval", "{metric}: media de los pliegues e intervalo del 95 %"),
    "dummy": ("dummy {value}", "trivial {value}"),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """What a figure is drawn from, and the language it speaks."""

    evaluation: Document
    leaderboard: Document
    say: Language

    def word(self, key: str, **gaps: object) -> str:
        return _WORDS[key][1 if self.say.spanish else 0].format(**gaps)

    def mark(self, axes: Axes, *which: str) -> None:
        """Write the numbers of these axes' ticks in the scene's language."""
        if self.say.spanish:
            use_decimal_comma(axes, *which)

    @property
    def model(self) -> str:
        return self.say.family(str(self.evaluation["chosen"]))

    def measured(self, metric: str) -> str:
        """Return "0.958" of the chosen model, or an empty text."""
        value = (self.evaluation["metrics"].get(metric) or {}).get("value")
        return "" if value is None else self.say.short(value)


def draw_figures(
    evaluation: Document, leaderboard: Document, folder: Path, dataset: str, language: str
) -> tuple[Path, ...]:
    """Write `<topic>_<dataset>_.png` and `.svg` for every topic that the documents have numbers for; return the files.

    A figure without numbers (no threshold with three classes, no importance) is not drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scene = Scene(evaluation, leaderboard, Language(language))
    written: list[Path] = []
    with style():
        for topic, draw in TOPICS.items():
            figure = draw(scene)
            if figure is None:
                continue
            for suffix in ("png", "svg"):
                file = folder / figure_name(topic, dataset, "png" if suffix == "png" else "svg")
                metadata = {"Software": None} if suffix == "png" else {"Date": None, "Creator": None}
                figure.savefig(file, dpi=DPI, metadata=metadata)
                written.append(file)
    return tuple(written)


def draw_of_family(
    topic: str, evaluation: Document, leaderboard: Document, family: str, language: str, file: Path
) -> bool:
    """Draw the confusion matrix or the ROC curve of one family as a PNG; False where it has no numbers."""
    own = {
        "chosen": family,
        "metrics": evaluation["candidates"][family],
        "confusion": {"labels": evaluation["labels"], "matrix": evaluation["confusions"][family]},
        "curves": {"roc": evaluation["rocs"][family]},
    }
    with style():
        figure = TOPICS[topic](Scene({**evaluation, **own}, leaderboard, Language(language)))
        if figure is not None:
            figure.savefig(file, dpi=DPI, metadata={"Software": None})
    return figure is not None


def draw_confusion(scene: Scene) -> Figure | None:
    """Draw true classes down, decisions across, the class that matters first; shaded by share of the true class."""
    stored = scene.evaluation["confusion"]
    labels, counts = [str(label) for label in stored["labels"]], np.array(stored["matrix"])
    order = list(reversed(range(2))) if len(labels) == 2 else list(range(len(labels)))
    counts = counts[np.ix_(order, order)]
    names = [shorten(labels[code]) for code in order]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    from matplotlib.colors import LinearSegmentedColormap

    tint = LinearSegmentedColormap.from_list("tahona", ["#ffffff", "#8fc1b6", ACCENT])
    many = len(names) > _MOST_NUMBERED
    wrapped = [fill(name, 15) for name in names] if len(names) < 4 else names
    longest = max(len(part) for name in wrapped for part in name.splitlines())
    turned = 0 if longest * len(names) <= 48 else 90 if many else 35
    deep = 0.17 if turned == 0 else min(0.42, 0.16 + (0.012 if many else 0.0105) * longest)
    figure = new_figure(HEIGHT if len(names) < 9 else 6.0, left=min(0.4, 0.12 + 0.0155 * longest), bottom=deep)
    axes = figure.add_subplot()
    axes.imshow(share, cmap=tint, vmin=0, vmax=1, aspect="auto")
    axes.grid(visible=False)
    axes.set_xticks(range(len(names)), wrapped, rotation=turned, ha="right" if turned == 35 else "center")
    axes.set_yticks(range(len(names)), wrapped)
    if many:
        axes.tick_params(labelsize=7)
    if len(names) <= _MOST_NUMBERED:
        size = 15 if len(names) == 2 else 10 if len(names) < 9 else 8
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if share[row, column] > 0.75 else INK
            axes.text(column, row, scene.say.count(int(count)), ha="center", va="center", color=colour, fontsize=size)
    write_title(figure, f"{scene.word('confusion')} · {scene.model}")
    label_axes(axes, scene.word("said"), scene.word("true"))
    return figure


def draw_roc(scene: Scene) -> Figure | None:
    """Draw one line per class against guessing."""
    figure, axes = _lines(scene, "roc", "roc_auc")
    if figure is None or axes is None:
        return None
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)), label=scene.word("chance"))
    write_title(figure, f"{scene.word('roc')} · {scene.model}")
    label_axes(axes, scene.word("fpr"), scene.word("recall"))
    axes.legend(loc="lower right")
    return figure


def draw_pr(scene: Scene) -> Figure | None:
    """Draw one line per class; with two classes, the share of positives is what guessing gives."""
    figure, axes = _lines(scene, "pr", "pr_auc")
    if figure is None or axes is None:
        return None
    if len(scene.evaluation["labels"]) == 2:
        rows = {row["label"]: row["rows"] for row in scene.evaluation["per_class"]}
        share = rows[scene.evaluation["labels"][1]] / scene.evaluation["rows"]
        text = f"{scene.word('chance')} {scene.say.short(share)}"
        axes.plot([0, 1], [share, share], color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)), label=text)
    write_title(figure, f"{scene.word('pr')} · {scene.model}")
    label_axes(axes, scene.word("recall"), scene.word("precision"))
    axes.legend(loc="lower left")
    return figure


def _lines(scene: Scene, kind: str, metric: str) -> tuple[Figure | None, Axes | None]:
    """Draw the curves of up to six classes in the unit square."""
    curves: Document = scene.evaluation["curves"].get(kind) or {}
    if not curves:
        return None, None
    figure = new_figure()
    axes = figure.add_subplot()
    value = scene.measured(metric)
    for place, (label, line) in enumerate(list(curves.items())[:_MOST_LINES]):
        name = shorten(str(label))
        if len(curves) == 1 and value:
            name = f"{name}: {scene.say.metric(metric)} {value}"
        dash = DASHES[place % len(DASHES)]
        axes.plot(line["x"], line["y"], color=LINES[place], linestyle=dash, label=name)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    scene.mark(axes, "x", "y")
    return figure, axes


def draw_calibration(scene: Scene) -> Figure | None:
    """Draw observed against predicted share; a dot's area is its share of the rows."""
    points: Document = scene.evaluation["curves"].get("calibration") or {}
    if not points:
        return None
    figure = new_figure()
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)), label=scene.word("perfect"))
    for place, (label, bins) in enumerate(list(points.items())[:_MOST_LINES]):
        colour, total = LINES[place], sum(bins["count"])
        size = [20 + 200 * count / total for count in bins["count"]]
        dash = DASHES[place % len(DASHES)]
        axes.plot(
            bins["predicted"], bins["observed"], color=colour, linestyle=dash, linewidth=1.2, label=shorten(str(label))
        )
        axes.scatter(
            bins["predicted"], bins["observed"], s=size, color=colour, edgecolors="white", linewidths=0.8, zorder=3
        )
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    scene.mark(axes, "x", "y")
    write_title(figure, f"{scene.word('calibration')} · {scene.model}")
    label_axes(axes, scene.word("predicted"), scene.word("observed"))
    axes.legend(loc="upper left")
    return figure


def draw_threshold(scene: Scene) -> Figure | None:
    """Draw cost (if one is declared) and F1 at every threshold, the chosen one marked."""
    curve: Document = scene.evaluation["curves"].get("threshold") or {}
    if not curve:
        return None
    panels = [(key, curve[key]) for key in ("cost", "f1") if curve.get(key)]
    figure = new_figure(left=0.15)
    chosen = scene.evaluation.get("threshold")
    titles = {"cost": scene.word("cost"), "f1": "F1"}
    for place, (key, values) in enumerate(panels):
        axes = figure.add_subplot(len(panels), 1, place + 1)
        last = place == len(panels) - 1
        axes.plot(curve["threshold"], values, color=WARM if key == "cost" else ACCENT)
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        if chosen is not None:
            axes.axvline(chosen, color=INK, linewidth=1, linestyle=(0, (2, 2)))
            if place == 0:
                side = "right" if chosen > 0.7 else "left"
                # Cost is low near the best threshold, F1 is high: the free corner is the other one.
                height, anchor = (0.97, "top") if key == "cost" else (0.05, "bottom")
                axes.annotate(
                    scene.word("chosen", value=scene.say.short(chosen)),
                    (chosen, height),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    xytext=(-5 if side == "right" else 5, 0),
                    ha=side,
                    va=anchor,
                    fontsize=9,
                )
        axes.tick_params(labelbottom=last)
        scene.mark(axes, "x", "y")
        label_axes(axes, scene.word("threshold") if last else "", titles[key])
    write_title(figure, f"{scene.word('by_threshold')} · {scene.model}")
    return figure


def draw_importance(scene: Scene) -> Figure | None:
    """Draw the fifteen most important columns: mean drop, and the range over shuffles."""
    ranked = list(scene.evaluation.get("importance") or [])[:_MOST_BARS]
    if not ranked:
        return None
    names = [shorten(str(row["column"])) for row in ranked]
    metric = scene.say.metric(str(scene.leaderboard["metric"]))
    figure, axes = new_rows(names)
    places = range(len(ranked))
    axes.barh(places, [row["value"] for row in ranked], height=0.62, color=ACCENT)
    axes.hlines(places, [row["low"] for row in ranked], [row["high"] for row in ranked], color=INK, linewidth=1.2)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    scene.mark(axes, "x")
    write_title(figure, f"{scene.word('importance')} · {scene.model}")
    write_below(figure, scene.word("drop", metric=metric))
    return figure


def draw_leaderboard(scene: Scene) -> Figure | None:
    """Draw each model's mean over folds with its interval, best on top; the dummy as a line where it is near."""
    rows = [row for row in scene.leaderboard["rows"] if row["model"] != "dummy" and row["value"] is not None]
    if not rows:
        return None
    dummy = next((row["value"] for row in scene.leaderboard["rows"] if row["model"] == "dummy"), None)
    figure, axes = new_rows([fill(scene.say.family(str(row["model"])), 28) for row in rows])
    ends = [end for row in rows for end in (row["low"], row["value"], row["high"]) if end is not None]
    low, high = min(ends), max(ends)
    span = max(high - low, 1e-3)
    for place, row in enumerate(rows):
        colour = WARM if row["model"] == scene.leaderboard.get("chosen") else ACCENT
        if row["low"] is not None and row["high"] is not None:
            axes.hlines(place, row["low"], row["high"], color=colour, linewidth=2)
        axes.plot([row["value"]], [place], marker="o", markersize=7, color=colour)
        text = scene.say.number(row["value"])
        axes.annotate(text, (row["value"], place), xytext=(0, 7), textcoords="offset points", ha="center", fontsize=8)
    metric = scene.say.metric(str(scene.leaderboard["metric"]))
    label = scene.word("interval", metric=metric)
    if dummy is not None:
        label = f"{label} ({scene.word('dummy', value=scene.say.short(dummy))})"
        if low - span <= dummy <= high + span:
            axes.axvline(dummy, color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.margins(x=0.08)
    axes.set_ylim(len(rows) - 0.5, -0.75)
    scene.mark(axes, "x")
    write_title(figure, scene.word("leaderboard"))
    write_below(figure, label)
    return figure


TOPICS: Mapping[str, Callable[[Scene], Figure | None]] = {
    "confusion_matrix": draw_confusion,
    "roc_curve": draw_roc,
    "pr_curve": draw_pr,
    "calibration": draw_calibration,
    "threshold_cost": draw_threshold,
    "importance": draw_importance,
    "leaderboard": draw_leaderboard,
}
