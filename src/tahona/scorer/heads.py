"""What follows an encoded row: an estimator's scores, as `tahona.learn.families` compute them.

Every writer here adds lines to the function and returns the names of the scores: one margin of class 1, or a
probability or margin per class that the training rows showed.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.scorer.encoding import Cell, Hot, Piece, Row, Words
from tahona.scorer.errors import NotCompiledError
from tahona.scorer.gathering import Gathered
from tahona.scorer.lightgbm import Asker, fail
from tahona.scorer.links import LINKS, Scores, write_softmax
from tahona.scorer.parts import Parts
from tahona.scorer.source import Source

_TINY = 2e-35
"""Above what LightGBM takes for 0."""


def write_head(source: Source, head: Mapping[str, Any], row: Row, parts: Parts) -> Scores:
    """Write the lines that ask one estimator."""
    writer = _WRITERS.get(head["engine"])
    if writer is None:
        raise NotCompiledError(f"this Tahona knows no engine '{head['engine']}'")
    return writer(source, head, row, parts)


def _lightgbm(source: Source, head: Mapping[str, Any], row: Row, parts: Parts) -> Scores:
    trees = parts.trees(head["file"])
    if source.gathered is not None and row.plain == row.width:  # rows of words are wide
        gathered = Gathered(trees, row.width)
        source.gathered.append(gathered)
        _fill(source, gathered.row, row)
        source.add(f"{source.bind(gathered.rows.extend)}({source.bind(gathered.row)})")
        scores = source.let("(yield)")
    else:
        asker = Asker(trees, row.width, output="normal")
        _ask(source, asker, row)
        scores = source.bind(asker.scores)
    if trees.classes == 1:
        positive = source.let(f"{scores}[0]")
        return source.let(f"1.0 - {positive}"), positive
    return tuple(source.let(f"{scores}[{place}]") for place in range(trees.classes))


def _ask(source: Source, asker: Asker, row: Row) -> None:
    """Write the row into the place where it is asked, and ask it."""
    words = _fill(source, asker.row, row)
    arguments = ", ".join(source.bind(argument) for argument in asker.arguments)
    source.bind(asker)  # lives as long as the function
    source.add(f"if {source.bind(asker.ask)}({arguments}): {source.bind(fail)}()")
    cells = source.bind(asker.row)
    source.add(*(f"for place in {columns}: {cells}[place] = 0.0" for columns in words))


def _fill(source: Source, place: array[float], row: Row) -> list[str]:
    """Write the row into its place; return the names of the columns of words there, which hold zeros before."""
    cells = source.bind(place)
    words = []
    for piece in row.pieces:
        if isinstance(piece, Cell):
            source.add(f"{cells}[{piece.column}] = {piece.value}")
        elif isinstance(piece, Hot):
            raise NotCompiledError("trees read levels as codes")
        else:
            source.add(f"for place, value in zip({piece.columns}, {piece.values}): {cells}[place] = value")
            words.append(piece.columns)
    return words


def _forest(source: Source, head: Mapping[str, Any], row: Row, parts: Parts) -> Scores:
    """Ask which leaf of each tree the row falls into, and average the leaves' class shares as scikit-learn does."""
    asker = Asker(parts.trees(head["file"]), row.width, output="leaf", kind="f")  # its trees compare in float32
    _ask(source, asker, _careful(source, row, head["zeros"], 2.0**-150))  # what is less is 0 in float32
    shares = parts.array(head["shares"])
    average = source.let(f"{source.bind(_averager(asker, shares, head['leaves']))}()")
    return tuple(source.let(f"{average}[{place}]") for place in range(shares.shape[1]))


def _averager(asker: Asker, shares: NDArray[np.float64], leaves: Sequence[int]) -> Callable[[], list[float]]:
    found = np.frombuffer(asker.scores)
    firsts = np.cumsum([0, *leaves[:-1]])
    places = np.empty(len(leaves), dtype=np.intp)
    chosen = np.empty((len(leaves), shares.shape[1]))
    count = len(leaves)

    def average() -> list[float]:
        np.add(found, firsts, out=places, casting="unsafe")
        shares.take(places, axis=0, out=chosen, mode="clip")
        np.add.accumulate(chosen, axis=0, out=chosen)  # one after the other, in the order of the trees
        total: list[float] = (chosen[-1] / count).tolist()
        return total

    return average


def _histograms(source: Source, head: Mapping[str, Any], row: Row, parts: Parts) -> Scores:
    asker = Asker(parts.trees(head["file"]), row.width, output="raw")
    careful = _careful(source, row, head["zeros"])
    place_of = {column: place for place, column in enumerate(head["order"])}
    pieces: list[Piece] = []
    for piece in careful.pieces:
        if not isinstance(piece, Cell):
            pieces.append(piece)  # words stand last in both orders
            continue
        place, value = place_of[piece.column], piece.value
        if place < len(head["codes"]):
            codes = head["codes"][place]
            index = {code: float(other) for other, code in enumerate(codes) if code is not None}
            value = f"{source.bind(index.get)}({value}, {float(len(codes))!r})"
        pieces.append(Cell(place, value))
    _ask(source, asker, replace(row, pieces=tuple(pieces)))
    scores = source.bind(asker.scores)
    return LINKS[head["link"]](source, [source.let(f"{scores}[{place}]") for place in range(len(asker.scores))])


def _careful(source: Source, row: Row, zeros: Sequence[int], least: float = 0.0) -> Row:
    """Return the row whose tiny numbers (above ``least``) are raised where a tree splits at 0.

    LightGBM would take them for 0.
    """
    pieces: list[Piece] = []
    for piece in row.pieces:
        if isinstance(piece, Cell) and piece.column in zeros:
            name = source.let(piece.value)
            pieces.append(Cell(piece.column, f"({_TINY} if {least!r} < {name} < {_TINY} else {name})"))
        else:
            pieces.append(piece)
    return replace(row, pieces=tuple(pieces))


def _linear(source: Source, head: Mapping[str, Any], row: Row, parts: Parts) -> Scores:
    weights, intercepts = parts.array(head["coefficients"]), head["intercepts"]
    if not (np.isfinite(weights).all() and np.isfinite(intercepts).all()):
        raise NotCompiledError("a coefficient is not a finite number")
    if head.get("floor"):  # beside words, a number counts by how far it lies above its mean
        row = replace(row, pieces=tuple(_floored(piece) for piece in row.pieces))
    product = _sparse_products if row.sparse else _dense_products
    sums = product(source, row, weights)
    margins = [source.let(f"{total} + {bias!r}") for total, bias in zip(sums, intercepts, strict=True)]
    return LINKS[head["link"]](source, margins)


def _floored(piece: Piece) -> Piece:
    return Cell(piece.column, f"max({piece.value}, 0.0)") if isinstance(piece, Cell) else piece


def _dense_products(source: Source, row: Row, weights: NDArray[np.float64]) -> list[str]:
    """Write each class's products side by side and add them up as NumPy adds a row: in pairs of pairs.

    What stands for no level goes to one more place, behind those that are added.
    """
    values: dict[int, str] = {}
    for piece in row.pieces:
        if isinstance(piece, Cell):
            values[piece.column] = source.let(piece.value)
        elif not isinstance(piece, Hot):
            raise NotCompiledError("words in a dense matrix")
    levels = [piece.place for piece in row.pieces if isinstance(piece, Hot)]
    sums = []
    for line in weights.tolist():
        products, table = array("d", bytes(8 * (row.width + 1))), [*line, 0.0]
        cells, places = source.bind(products), source.bind(table)
        source.add(*(f"{cells}[{column}] = {value} * {line[column]!r}" for column, value in values.items()))
        source.add(*(f"{cells}[{place}] = {places}[{place}]" for place in levels))
        added = source.bind(np.frombuffer(products)[: row.width])
        sums.append(source.let(f"float({source.bind(np.add.reduce)}({added}))"))
        source.add(*(f"{cells}[{place}] = 0.0" for place in levels))
    return sums


def _sparse_products(source: Source, row: Row, weights: NDArray[np.float64]) -> list[str]:
    """Write the products as SciPy adds those of a sparse row: one after the other. Zeros add nothing."""
    totals = [source.let("0.0") for _ in weights]
    levels = [source.bind([*line, 0.0]) for line in weights[:, : row.plain].tolist()]
    by_column = np.ascontiguousarray(weights.T)
    for piece in row.pieces:
        if isinstance(piece, Words):
            add = source.bind(partial(_add_words, by_column))
            source.add(f"{', '.join(totals)}, = {add}({piece.columns}, {piece.values}, ({', '.join(totals)},))")
        elif isinstance(piece, Hot):
            source.add(*(f"{total} += {line}[{piece.place}]" for total, line in zip(totals, levels, strict=True)))
        else:
            value, by = source.let(piece.value), weights[:, piece.column].tolist()
            source.add(*(f"{total} += {value} * {weight!r}" for total, weight in zip(totals, by, strict=True)))
    return totals


def _add_words(
    weights: NDArray[np.float64], columns: list[int], values: list[float], totals: Sequence[float]
) -> Sequence[float]:
    """Add words' products, (terms, k), to the totals so far, one after the other."""
    if not columns:
        return totals
    products = np.empty((len(columns) + 1, len(totals)))
    products[0] = totals
    np.multiply(weights.take(columns, axis=0), np.array(values)[:, None], out=products[1:])
    added: list[float] = np.add.accumulate(products, axis=0)[-1].tolist()
    return added


def _gaussian(source: Source, head: Mapping[str, Any], row: Row, parts: Parts) -> Scores:
    """Write the row into one place, and ask each class how likely it is."""
    cells = array("d", bytes(8 * (row.width + 1)))
    name, levels = source.bind(cells), []
    for piece in row.pieces:
        if isinstance(piece, Cell):
            source.add(f"{name}[{piece.column}] = {piece.value}")
        elif isinstance(piece, Hot):
            source.add(f"{name}[{piece.place}] = 1.0")
            levels.append(piece.place)
        else:
            raise NotCompiledError("words in a dense matrix")
    ask = _likelihoods(np.frombuffer(cells)[: row.width], parts.array(head["moments"]), head)
    likely = source.let(f"{source.bind(ask)}()")
    source.add(*(f"{name}[{place}] = 0.0" for place in levels))
    return write_softmax(source, [source.let(f"{likely}[{place}]") for place in range(len(head["priors"]))])


def _likelihoods(
    row: NDArray[np.float64], moments: NDArray[np.float64], head: Mapping[str, Any]
) -> Callable[[], list[float]]:
    classes = list(zip(*moments, head["constants"], head["priors"], strict=True))

    def ask() -> list[float]:
        return [
            prior + (constant - 0.5 * float(np.add.reduce((row - mean) ** 2 / variance)))
            for mean, variance, constant, prior in classes
        ]

    return ask


def _constant(source: Source, head: Mapping[str, Any], _row: Row, _parts: Parts) -> Scores:
    return tuple(source.let(repr(float(share))) for share in head["shares"])


_WRITERS = {
    "constant": _constant,
    "forest": _forest,
    "gaussian": _gaussian,
    "histograms": _histograms,
    "lightgbm": _lightgbm,
    "linear": _linear,
}
