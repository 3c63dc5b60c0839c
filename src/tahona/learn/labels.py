"""The label: which classes there are, which one matters, and what is no label at all."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.findings import Finding
from tahona.core.schema import Schema
from tahona.errors import DataError
from tahona.learn.values import canonical, read_texts

if TYPE_CHECKING:
    import pandas as pd

MOST_CLASSES = 1_000
MOST_NUMBERS = 100
"""A label of more distinct numbers than this is a quantity, not a class."""


def to_labels(values: Sequence[object] | pd.Series[Any], schema: Schema) -> NDArray[np.int64]:
    """Return each label's code (its index in ``schema.labels``), -1 for null and for unknown classes."""
    codes = {label: code for code, label in enumerate(schema.labels)}
    texts = read_texts(values, schema.target)
    return np.fromiter((codes.get(text, -1) for text in texts.tolist()), dtype=np.int64, count=len(texts))


def infer_labels(
    values: pd.Series[Any], target: str, positive: object = None
) -> tuple[tuple[str, ...], str | None, tuple[Finding, ...]]:
    """Return the classes in the schema's order, the positive one (two classes only), and what is odd about them.

    Raises DataError when the column is no label: nulls, one class, a date, or a quantity.
    """
    texts = read_texts(values, target).tolist()
    _check_is_label(values, texts, target)
    counts = Counter(texts)
    labels = natural_order(counts)
    variants = _variants(labels)
    findings: tuple[Finding, ...] = ()
    if variants:
        rows = sum(counts[label] for label in variants)
        findings = (Finding("label_variants", target, {"variants": len(variants), "rows": rows}),)
        if len(labels) != 2:
            return labels, None, findings  # what "positive" means is open until the labels are mended
    chosen = _positive(labels, positive, target)
    if chosen is not None:
        labels = tuple(sorted(labels, key=lambda label: label == chosen))
    return labels, chosen, findings


def natural_order(labels: Collection[str]) -> tuple[str, ...]:
    """Return the labels by number if all are numbers, else by text."""
    try:
        return tuple(sorted(labels, key=lambda label: (float(label), label)))
    except ValueError:
        return tuple(sorted(labels))


def _check_is_label(values: pd.Series[Any], texts: list[str | None], target: str) -> None:
    where = f"column '{target}'"
    nulls = texts.count(None)
    if nulls:
        raise DataError(
            f"the label is null in {nulls:,} of {len(texts):,} rows",
            where=where,
            fix="Drop these rows in a cleaning function ([data] clean), or mend them at the source.",
        )
    distinct = set(texts)
    if len(distinct) == 1:
        raise DataError(
            f"the label has one class only: '{texts[0]}' in all {len(texts):,} rows",
            where=where,
            fix="Give rows of at least two classes.",
        )
    if _is_quantity(values, distinct):
        raise DataError(
            f"the label has {len(distinct):,} distinct numbers in {len(texts):,} rows: this looks like regression",
            where=where,
            fix="Name a column of classes as target, or cut the number into classes in a cleaning function.",
        )
    if len(distinct) > MOST_CLASSES or (len(texts) >= 20 and len(distinct) > len(texts) / 2):
        raise DataError(
            f"the label has {len(distinct):,} classes in {len(texts):,} rows",
            where=where,
            fix="Name a column of few classes as target.",
        )


def _is_quantity(values: pd.Series[Any], distinct: set[str | None]) -> bool:
    from pandas.api import types

    if types.is_datetime64_any_dtype(values.dtype):
        return True
    if not types.is_numeric_dtype(values.dtype) or types.is_bool_dtype(values.dtype):
        return False
    whole = all("." not in str(text) and "e" not in str(text) for text in distinct)
    if not whole:
        return len(distinct) > 10
    return len(distinct) > MOST_NUMBERS or (len(distinct) > 20 and len(distinct) > len(values) / 10)


def _variants(labels: Collection[str]) -> tuple[str, ...]:
    """Return the labels that differ from another one only in blanks, case, form of letters, or ``.0``."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(_plain(label), []).append(label)
    return tuple(label for group in groups.values() if len(group) > 1 for label in group)


def _plain(label: str) -> str:
    text = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
    try:
        return canonical(float(text)) or text
    except ValueError:
        return text


def _positive(labels: tuple[str, ...], wanted: object, target: str) -> str | None:
    if wanted is None:
        return labels[-1] if len(labels) == 2 else None
    shown = ", ".join(f"'{label}'" for label in labels[:20])
    if len(labels) != 2:
        raise DataError(
            f"a positive class needs two classes; the label has {len(labels)}: {shown}",
            where=f"column '{target}', [project] positive",
            fix="Take `positive` out, or join classes in a cleaning function.",
        )
    texts = [canonical(wanted)]
    if set(labels) == {"false", "true"} and wanted in (0, 1, "0", "1"):
        texts.append("true" if wanted in (1, "1") else "false")
    if set(labels) == {"0", "1"} and isinstance(wanted, bool):
        texts.append(str(int(wanted)))
    for text in texts:
        if text in labels:
            return text
    raise DataError(
        f"the positive class is not among the labels: {shown}",
        where=f"column '{target}', [project] positive",
        fix="Write one of them.",
    )
