"""Folds ready for estimators: an encoding is fitted once per fold and shared by every trial and family."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tahona.learn.families.family import Matrix, is_sparse

if TYPE_CHECKING:
    from tahona.core.schema import Schema
    from tahona.learn.columns import Columns
    from tahona.learn.encoding import Encoding, Wants

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Positions within the training rows: those to fit on and those to judge."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Folds that share the rows they are fitted on: one fit, whose judged rows lie in blocks of these sizes."""

    fit: NDArray[np.int64]
    judged: NDArray[np.int64]
    sizes: tuple[int, ...]
    digest: str


def parts_of(folds: Sequence[Fold]) -> tuple[Part, ...]:
    """Put neighbouring folds with equal fitted rows together."""
    kin: list[list[Fold]] = []
    for fold in folds:
        if kin and np.array_equal(kin[-1][0][0], fold[0]):
            kin[-1].append(fold)
        else:
            kin.append([fold])
    return tuple(_part(each) for each in kin)


def _part(folds: Sequence[Fold]) -> Part:
    fit, judged = folds[0][0], np.concatenate([rows for _, rows in folds])
    sizes = tuple(len(rows) for _, rows in folds)
    return Part(fit, judged, sizes, fold_digest(fit, judged, np.asarray(sizes)))


_MOST_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows that an encoding was fitted on, and rows that it was only applied to (None where there are none)."""

    encoding: Encoding
    fit: Matrix
    judge: Matrix | None

    @property
    def size(self) -> int:
        return sum(_size(matrix) for matrix in (self.fit, self.judge) if matrix is not None)


class EncodedFolds:
    """The folds most lately used, up to a number of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.kept: OrderedDict[str, Encoded] = OrderedDict()

    def find(self, key: str) -> Encoded | None:
        found = self.kept.get(key)
        if found is not None:
            self.kept.move_to_end(key)
        return found

    def keep(self, key: str, encoded: Encoded) -> None:
        if encoded.size > self.most_bytes:
            return
        self.kept[key] = encoded
        while sum(one.size for one in self.kept.values()) > self.most_bytes:
            self.kept.popitem(last=False)


@cache
def shared_folds() -> EncodedFolds:
    """Return what this process has encoded: families that run one after another find each other's work here."""
    return EncodedFolds(_MOST_BYTES)


class TrainingRows:
    """The training rows and their parts, encoded on demand. No label is seen here."""

    def __init__(self, columns: Columns, schema: Schema, folds: Sequence[Fold]) -> None:
        self.columns = columns
        self.schema = schema
        self.parts = parts_of(folds)
        self.digest = digest_columns(columns, schema)

    def unread(self, wants: Wants, part: int | None) -> Encoded:
        """Return one part's rows, or with None all training rows, as matrices without a column."""
        from tahona.learn.encoding import Encoding

        rows = len(next(iter(self.columns.values())))
        fit, judge = (rows, None) if part is None else (len(self.parts[part].fit), len(self.parts[part].judged))
        return Encoded(Encoding(wants, ()), np.empty((fit, 0)), None if judge is None else np.empty((judge, 0)))

    def encode(self, wants: Wants, part: int | None) -> Encoded:
        """Return one part's matrices, or with None all training rows."""
        key = f"{self.digest}-{wants}-{'all' if part is None else self.parts[part].digest}"
        found = shared_folds().find(key)
        if found is None:
            found = self._encode(wants, part)
            shared_folds().keep(key, found)
        return found

    def _encode(self, wants: Wants, part: int | None) -> Encoded:
        from tahona.learn.encoding import fit_encoding

        if part is None:
            encoding = fit_encoding(self.columns, self.schema, wants)
            return Encoded(encoding, tidy(encoding.apply(self.columns)), None)
        cut = self.parts[part]
        fit, judge = ({name: values[rows] for name, values in self.columns.items()} for rows in (cut.fit, cut.judged))
        encoding = fit_encoding(fit, self.schema, wants)
        return Encoded(encoding, tidy(encoding.apply(fit)), tidy(encoding.apply(judge)))


def tidy(matrix: Matrix) -> Matrix:
    """Return the matrix with each row's cells side by side: sums along a row then run in one order."""
    return matrix if is_sparse(matrix) else np.ascontiguousarray(matrix)


def digest_columns(columns: Columns, schema: Schema) -> str:
    """Return a digest of the values and of the schema: equal digests mean equal encodings."""
    from pandas.util import hash_array

    total = hashlib.sha256(repr(schema).encode())
    for name, values in columns.items():
        total.update(name.encode())
        total.update((hash_array(values, categorize=False) if values.dtype == object else values).tobytes())
    return total.hexdigest()[:32]


def fold_digest(*arrays: NDArray[np.int64]) -> str:
    """Return a digest of whole-number arrays in their order."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.asarray(array, dtype=np.int64).tobytes())
        total.update(b"|")
    return total.hexdigest()[:32]


def _size(matrix: Matrix) -> int:
    if is_sparse(matrix):
        return int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)
    return int(np.asarray(matrix).nbytes)
