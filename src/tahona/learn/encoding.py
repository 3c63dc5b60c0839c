"""From columns to the matrix a family of models reads, by plain tables fitted on training rows and never on labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tahona.core.schema import Column, Schema
from tahona.errors import DataError, InputError
from tahona.learn.characters import Characters, fit_characters
from tahona.learn.coded import Coded
from tahona.learn.reading import Columns
from tahona.learn.tables import (
    Codes,
    Dates,
    Numeric,
    OneHot,
    date_parts,
    fit_scaling,
    frequent_levels,
    parts_of,
)
from tahona.learn.text import Text, fit_text

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Wants = Literal["scaled", "plain", "codes", "native"]
"""scaled: filled and standardised numbers, one column per level. plain: the same numbers, never in CSR for their width
alone. codes: numbers with NaN, levels as ordinal codes (null -1). native: numbers with NaN, levels as codes of a
categorical column (null NaN). All four: TF-IDF of text."""

WANTS: tuple[Wants, ...] = get_args(Wants)
FORMAT = 2

MOST_LEVELS: Mapping[Wants, int] = {"scaled": 100, "plain": 100, "codes": 1_000, "native": 250}
"""Levels told apart in a column; HistGradientBoosting takes 255 categories at most."""
MOST_TERMS: Mapping[Wants, int] = {"scaled": 50_000, "plain": 50_000, "codes": 5_000, "native": 2_000}
"""Terms of a text column. Trees look at each one at every split, and boosters, which need every one of many trees, are
no better with more (measured on the medical abstracts, six folds: LightGBM .514 with 2,000 terms, .511 with 5,000)."""

SMALL_TABLE = 10_000
"""Rows up to which a matrix stays dense however wide it is."""
_MOSTLY_ZERO = 4
"""A row of a wide matrix has at least so many columns for each that can differ from 0."""
_BLOCK = 16_384
"""Rows on their way to CSR at a time."""

Table = Numeric | Dates | OneHot | Codes
TextTable = Text | Characters
_TABLES: Mapping[str, Any] = {"numeric": Numeric, "dates": Dates, "one_hot": OneHot, "codes": Codes}
_TEXT_TABLES: Mapping[str, Any] = {"text": Text, "characters": Characters}


@dataclass(frozen=True)
class Encoding:
    """The tables of one matrix: first those of single values, then those of text.

    A ``wide`` matrix is CSR although it has no text: most of its columns stand for levels, and memory and time then
    grow with the cells that are not 0.
    """

    wants: Wants
    tables: tuple[Table, ...]
    texts: tuple[TextTable, ...] = ()
    wide: bool = False

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each matrix column."""
        return tuple(name for table in (*self.tables, *self.texts) for name in table.names)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The raw column behind each matrix column."""
        return tuple(table.source for table in (*self.tables, *self.texts) for _ in table.names)

    @cached_property
    def categorical(self) -> tuple[int, ...]:
        """Matrix columns that hold category codes (``native`` only)."""
        if self.wants != "native":
            return ()
        return tuple(start for table, start in zip(self.tables, self._starts, strict=True) if isinstance(table, Codes))

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        widths = [len(table.names) for table in self.tables]
        return tuple(int(start) for start in np.cumsum([0, *widths])[:-1])

    @cached_property
    def _width(self) -> int:
        return sum(len(table.names) for table in self.tables)

    def apply(self, columns: Columns) -> NDArray[np.float64] | csr_matrix:
        """Return the (n, len(names)) matrix: dense float64, or CSR where there is a text column or the matrix is wide.

        A row has the same bits alone and in any batch. In CSR the zeros of ``codes`` and ``native`` tables are stored,
        because a booster may take an absent cell for a missing one; those of text are not.
        """
        rows = len(next(iter(columns.values())))
        if not (self.texts or self.wide):
            return self._write(columns, slice(0, rows))
        from scipy.sparse import hstack, vstack

        blocks = [text.apply(columns[text.source]) for text in self.texts]
        if self.tables:
            starts = range(0, max(rows, 1), _BLOCK)
            pieces = [self._sparse(columns, slice(start, start + _BLOCK)) for start in starts]
            blocks.insert(0, vstack(pieces, format="csr") if len(pieces) > 1 else pieces[0])
        matrix: csr_matrix = hstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]
        return matrix

    def products(self, columns: Columns, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``apply(columns) @ weights.T``, (n, k), to the bit for a wide matrix, without making the matrix.

        Cells are added up in the matrix's order; those that are 0 and not stored there add nothing here.
        """
        rows = len(next(iter(columns.values())))
        total = np.zeros((len(weights), rows))
        for table, start in zip(self.tables, self._starts, strict=True):
            values, width = columns[table.source], len(table.names)
            if isinstance(table, OneHot):
                for sums, weight in zip(total, weights, strict=True):
                    found = _weights_of(values, table, np.append(weight[start : start + width], 0.0))
                    np.add(sums, found, out=sums)
                continue
            cells = np.empty((width, rows))
            table.write(values, cells.T)
            for sums, weight in zip(total, weights, strict=True):
                for cell, factor in zip(cells, weight[start : start + width], strict=True):
                    np.add(sums, cell * factor, out=sums)
        return total.T

    def _write(self, columns: Columns, rows: slice) -> NDArray[np.float64]:
        cells = {table.source: columns[table.source][rows] for table in self.tables}
        count = len(next(iter(columns.values()))[rows])
        dense = np.zeros((count, self._width), dtype=np.float64)
        for table, start in zip(self.tables, self._starts, strict=True):
            table.write(cells[table.source], dense[:, start : start + len(table.names)])
        return dense

    def _sparse(self, columns: Columns, rows: slice) -> csr_matrix:
        """Return the rows as CSR: every cell where zeros count, else those that are not 0, found without the zeros."""
        from scipy.sparse import csr_matrix

        if self.wants in ("codes", "native"):
            return _stored(self._write(columns, rows))
        count = len(next(iter(columns.values()))[rows])
        slots = sum(1 if isinstance(table, OneHot) else len(table.names) for table in self.tables)
        cells, places = np.empty((count, slots)), np.empty((count, slots), dtype=np.int32)
        slot = 0
        for table, start in zip(self.tables, self._starts, strict=True):
            values = columns[table.source][rows]
            if isinstance(table, OneHot):
                found = table.places(values)
                cells[:, slot] = found >= 0
                places[:, slot] = found + start
                slot += 1
                continue
            width = len(table.names)
            table.write(values, cells[:, slot : slot + width])
            places[:, slot : slot + width] = np.arange(start, start + width, dtype=np.int32)
            slot += width
        there = cells != 0
        ends = np.concatenate(([0], np.cumsum(there.sum(axis=1), dtype=np.int32)), dtype=np.int32)
        return csr_matrix((cells[there], places[there], ends), shape=(count, self._width))

    def to_dict(self) -> dict[str, Any]:
        """Return the tables as JSON values; through ``repr`` every float comes back with the same bits."""
        return {
            "format": FORMAT,
            "wants": self.wants,
            "tables": [table.to_dict() for table in self.tables],
            "texts": [text.to_dict() for text in self.texts],
            "wide": self.wide,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Encoding:
        """Read what `to_dict` gave. Raises InputError for a newer format."""
        if data["format"] > FORMAT:
            raise InputError(
                f"the encoding has format {data['format']}; this Tahona reads up to {FORMAT}", fix="Upgrade Tahona."
            )
        tables = tuple(_TABLES[table["table"]].from_dict(table) for table in data["tables"])
        texts = tuple(_TEXT_TABLES[text["table"]].from_dict(text) for text in data["texts"])
        return cls(data["wants"], tables, texts, data.get("wide", False))


def _weights_of(values: NDArray[Any] | Coded, table: OneHot, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of each row's level; the last one is for a row that has none."""
    if isinstance(values, Coded):
        return weights.take(table.places(values.once)).take(values.codes)
    return weights.take(table.places(values))


def _stored(dense: NDArray[np.float64]) -> csr_matrix:
    from scipy.sparse import csr_matrix

    rows, width = dense.shape
    places = np.tile(np.arange(width, dtype=np.int32), rows)
    ends = np.arange(rows + 1, dtype=np.int32) * width
    return csr_matrix((dense.ravel(), places, ends), shape=dense.shape)


def fit_encoding(columns: Columns, schema: Schema, wants: Wants) -> Encoding:
    """Return the encoding that these (training) rows give. Raises DataError where nothing is left to learn from."""
    sparse = bool(schema.of_kind("text"))
    tables: list[Table] = []
    texts: list[TextTable] = []
    for column in schema.features:
        values = columns[column.name]
        if not _any_known(values):
            continue  # null in every training row: nothing to learn, and HistGradientBoosting fails on it
        if column.kind == "text":
            texts.append(
                fit_text(
                    values,
                    column.name,
                    most_terms=MOST_TERMS[wants],
                    lemmas=column.lemmas,
                    leave_out=column.stop_words,
                )
            )
            if column.characters and wants in ("scaled", "plain"):  # trees would look at every piece at every split
                texts.append(fit_characters(values, column.name))
        elif column.kind == "category":
            tables.append(_fit_levels(values, column, wants))
        else:
            # scikit-learn's trees take NaN in a dense matrix only
            scaled = wants in ("scaled", "plain")
            filled = scaled or (wants == "codes" and sparse)
            tables.append(_fit_numbers(values, column, filled=filled, standardise=scaled))
    rows = len(next(iter(columns.values())))
    wide = wants == "scaled" and not texts and rows > SMALL_TABLE and _is_mostly_zero(tables)
    encoding = Encoding(wants, tuple(tables), tuple(texts), wide)
    if not encoding.names:
        raise DataError(
            "there is nothing to learn from: the feature columns hold no value or no word in the training rows",
            where="data",
            fix="Add a feature column.",
        )
    return encoding


def _is_mostly_zero(tables: list[Table]) -> bool:
    """Tell whether a row has few cells that can differ from 0: one for all the levels of a column."""
    width = sum(len(table.names) for table in tables)
    return width >= _MOSTLY_ZERO * sum(1 if isinstance(table, OneHot) else len(table.names) for table in tables)


def _any_known(values: NDArray[Any]) -> bool:
    if values.dtype == np.float64:
        return not bool(np.isnan(values).all())
    return any(value is not None for value in values.tolist())


def _fit_numbers(values: NDArray[Any], column: Column, *, filled: bool, standardise: bool) -> Table:
    indicator = filled and bool(np.isnan(values).any())
    if column.kind == "numeric":
        return Numeric(column.name, fit_scaling(values, standardise=standardise) if filled else None, indicator)
    parts = parts_of(values)
    scalings = tuple(
        fit_scaling(part, standardise=standardise) for part in date_parts(values, parts).values() if filled
    )
    return Dates(column.name, parts, scalings, indicator)


def _fit_levels(values: NDArray[Any], column: Column, wants: Wants) -> Table:
    levels, rare = frequent_levels(values, most=MOST_LEVELS[wants])
    if wants in ("scaled", "plain"):
        return OneHot(column.name, levels, other=rare > 0, null=any(value is None for value in values))
    return Codes(column.name, levels, null=-1 if wants == "codes" else None)
