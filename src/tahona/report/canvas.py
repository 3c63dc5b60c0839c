"""The paper that figures are drawn on: its style, its margins, and where titles and labels stand."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, FAINT, ACCENT, WARM = "#1d1f21", "#5a5f63", "#dfdcd4", "#0b6858", "#d55e00"
LINES = ("#0b6858", "#d55e00", "#0072b2", "#cc79a7", "#8a6d00", "#56b4e9")
DASHES = ("-", "--", "-.", ":")
LONGEST = 26
WIDTH, HEIGHT, DPI = 5.6, 4.2, 140

_SETTINGS: Mapping[str, Any] = {
    "svg.hashsalt": "tahona",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class called "$100" is no formula
    "font.size": 10,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "text.color": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in our style; a class name in a script that the font lacks shows boxes, not a warning."""
    import matplotlib as mpl

    settings: Any = _SETTINGS
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # a matplotlibrc of the user's would give other bytes
        mpl.rcParams.update(settings)
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        yield


def new_figure(height: float = HEIGHT, *, left: float = 0.13, bottom: float = 0.14) -> Figure:
    # Margins are set by hand: matplotlib's own layout engines draw everything twice.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    figure.subplots_adjust(left=left, right=0.96, top=1 - 0.42 / height, bottom=bottom)
    return figure


def write_title(figure: Figure, text: str) -> None:
    """Write the title from the figure's left edge, smaller where a model's name is long."""
    height = float(figure.get_size_inches()[1])
    size = min(11.0, 11.0 * 50 / max(len(text), 1))
    figure.text(0.02, 1 - 0.13 / height, text, fontsize=size, fontweight="bold", va="top", ha="left")


def label_axes(axes: Axes, x: str, y: str = "") -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def write_below(figure: Figure, text: str) -> None:
    """Write what the x axis shows under the whole figure: beside long names the axes leave too little room."""
    height = float(figure.get_size_inches()[1])
    figure.text(0.5, 0.1 / height, text, fontsize=min(10.0, 10.0 * 62 / max(len(text), 1)), va="bottom", ha="center")


def shorten(text: str) -> str:
    """Leave out the middle of a long name: long names often differ in their ends."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 9]}…{text[-8:]}"


def use_decimal_comma(axes: Axes, *which: str) -> None:
    """Write the ticks' numbers as Spanish does."""
    from matplotlib.ticker import FuncFormatter, ScalarFormatter

    for name in which:
        axis = axes.xaxis if name == "x" else axes.yaxis
        plain = ScalarFormatter(useOffset=False)
        plain.set_axis(axis)
        axis.set_major_formatter(FuncFormatter(_with_comma(plain)))


def _with_comma(plain: Any) -> Callable[[float, int | None], str]:  # noqa: ANN401 - matplotlib's formatter
    def write(value: float, place: int | None) -> str:
        plain.set_locs(plain.axis.get_majorticklocs())
        return str(plain(value, place)).replace(".", ",")

    return write


def new_rows(names: list[str]) -> tuple[Figure, Axes]:
    """Return axes with one line per name, the first on top, and room for the names on the left."""
    height = 1.3 + 0.36 * max(len(names), 3)
    longest = max(len(line) for name in names for line in name.splitlines())
    figure = new_figure(height, left=min(0.46, 0.05 + 0.0165 * longest), bottom=0.62 / height)
    axes = figure.add_subplot()
    axes.set_yticks(range(len(names)), names, linespacing=0.95)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.locator_params(axis="x", nbins=5)
    return figure, axes
