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

Wants = Literal["scaled", "codes", "native"]
"""scaled: filled and standardised numbers, one column per level. codes: numbers with NaN, levels as ordinal codes (null
-1). native: numbers with NaN, levels as codes of a categorical column (null NaN). All three: TF-IDF of text."""

WANTS: tuple[Wants, ...] = get_args(Wants)
FORMAT = 2

MOST_LEVELS: Mapping[Wants, int] = {"scaled": 100, "codes": 1_000, "native": 250}
"""Levels told apart in a column; HistGradientBoosting takes 255 categories at most."""
MOST_TERMS: Mapping[Wants, int] = {"scaled": 50_000, "codes": 5_000, "native": 2_000}
"""Terms of a text column. Trees look at each one at every split, and boosters, which need every one of many trees, are
no better with more (measured on the medical abstracts, six folds: LightGBM .514 with 2,000 terms, .511 with 5,000)."""

Table = Numeric | Dates | OneHot | Codes
TextTable = Text | Characters
_TABLES: Mapping[str, Any] = {"numeric": Numeric, "dates": Dates, "one_hot": OneHot, "codes": Codes}
_TEXT_TABLES: Mapping[str, Any] = {"text": Text, "characters": Characters}


@dataclass(frozen=True)
class Encoding:
    """The tables of one matrix: first those of single values, then those of text."""

    wants: Wants
    tables: tuple[Table, ...]
    texts: tuple[TextTable, ...] = ()

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
        """Return the (n, len(names)) matrix: dense float64, or CSR where there is a text column.

        A row has the same bits alone and in any batch. In CSR the zeros of ``codes`` and ``native`` tables are stored,
        because a booster may take an absent cell for a missing one; those of text are not.
        """
        rows = len(next(iter(columns.values())))
        dense = np.zeros((rows, self._width), dtype=np.float64)
        for table, start in zip(self.tables, self._starts, strict=True):
            table.write(columns[table.source], dense[:, start : start + len(table.names)])
        if not self.texts:
            return dense
        from scipy.sparse import hstack

        blocks = [text.apply(columns[text.source]) for text in self.texts]
        if self.tables:
            blocks.insert(0, _stored(dense, zeros=self.wants != "scaled"))
        matrix: csr_matrix = hstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """Return the tables as JSON values; through ``repr`` every float comes back with the same bits."""
        return {
            "format": FORMAT,
            "wants": self.wants,
            "tables": [table.to_dict() for table in self.tables],
            "texts": [text.to_dict() for text in self.texts],
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
        return cls(data["wants"], tables, texts)


def _stored(dense: NDArray[np.float64], *, zeros: bool) -> csr_matrix:
    from scipy.sparse import csr_matrix

    if not zeros:
        return csr_matrix(dense)
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
            if column.characters and wants == "scaled":  # trees would look at every piece at every split
                texts.append(fit_characters(values, column.name))
        elif column.kind == "category":
            tables.append(_fit_levels(values, column, wants))
        else:
            # scikit-learn's trees take NaN in a dense matrix only
            filled = wants == "scaled" or (wants == "codes" and sparse)
            tables.append(_fit_numbers(values, column, filled=filled, standardise=wants == "scaled"))
    encoding = Encoding(wants, tuple(tables), tuple(texts))
    if not encoding.names:
        raise DataError(
            "there is nothing to learn from: the feature columns hold no value or no word in the training rows",
            where="data",
            fix="Add a feature column.",
        )
    return encoding


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
    if wants == "scaled":
        return OneHot(column.name, levels, other=rare > 0, null=any(value is None for value in values))
    return Codes(column.name, levels, null=-1 if wants == "codes" else None)
