"""Rows that stand on both sides of the cut: repeated rows, repeated texts, groups torn apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.findings import Finding
from tahona.learn.audit.data import AuditData
from tahona.learn.duplicates import Codes, column_codes, equal_rows

TEXT_LENGTH = 20
"""Shorter texts repeat by nature."""
GROUP_WORDS = (
    "patient|paciente|subject|sujeto|person|persona|customer|client|cliente|user|usuario|usuaria|member|socio|account|"
    "cuenta|household|hogar|device|dispositivo|session|sesion|historia|nhc|mrn|dni|nif|guest|huesped|student|alumno"
)
KEY_WORDS = "id|uuid|key|code|codigo|no|num|number|numero|nr"
GROUP_NAME = re.compile(rf"^(?:(?:{GROUP_WORDS})(?:_?(?:{KEY_WORDS}))?|(?:.+_)?id|id_.+)$")
GROUPS = 10
TORN_SHARE = 0.2


def repeated_rows(data: AuditData) -> Iterator[Finding]:
    """Tell how many test rows repeat a training row, and how many equal training rows disagree about the label."""
    equal = equal_rows(data.codes, data.rows + data.tested)
    trained, tested = equal[: data.rows], equal[data.rows :]
    across = int(np.isin(tested, trained).sum())
    if across:
        facts = {"rows": across, "share": round(100 * across / len(tested), 1)}
        yield Finding("duplicates_across", facts=facts)
    _, groups = np.unique(trained, return_inverse=True)
    _, first = np.unique(np.stack([groups, data.y]), axis=1, return_index=True)
    labels = np.bincount(groups[first])
    disagreeing = int((labels[groups] > 1).sum())
    if disagreeing:
        facts = {"rows": disagreeing, "share": round(100 * disagreeing / data.rows, 1)}
        yield Finding("conflicting_labels", facts=facts)


def repeated_texts(data: AuditData) -> Iterator[Finding]:
    """Tell how many test texts stand in the training part too, where the rows differ in other columns."""
    if len(data.schema.features) < 2:
        return  # the whole row is the text: `repeated_rows` has counted it
    equal = equal_rows(data.codes, data.rows + data.tested)
    whole = np.isin(equal[data.rows :], equal[: data.rows])
    for column in data.schema.of_kind("text"):
        codes = data.codes[column.name]
        long = np.array([text is not None and len(text) >= TEXT_LENGTH for text in data.test[column.name]], dtype=bool)
        torn = int((np.isin(codes[data.rows :], codes[: data.rows]) & long & ~whole).sum())
        if torn:
            facts = {"rows": torn, "share": round(100 * torn / data.tested, 1)}
            yield Finding("texts_across", column.name, facts)


def torn_groups(data: AuditData) -> Iterator[Finding]:
    """Name columns that look like the key of a group (a patient, a customer) whose rows fell on both sides."""
    for name, codes in _group_candidates(data):
        if name == data.split.by and data.split.kind == "group":
            continue
        trained, tested = codes[: data.rows], codes[data.rows :]
        known = tested >= 0
        groups = len(np.unique(codes[codes >= 0]))
        if groups < GROUPS or groups >= int((codes >= 0).sum()) or not known.any():
            continue
        torn = np.isin(tested, trained) & known
        if torn.sum() >= TORN_SHARE * known.sum():
            facts = {"rows": int(torn.sum()), "share": round(100 * float(torn.mean()), 1), "groups": groups}
            yield Finding("groups_across", name, facts)


def _group_candidates(data: AuditData) -> Iterator[tuple[str, Codes]]:
    """Give the columns whose kind or name is that of a group key, as codes with −1 for null."""
    for column in data.schema.of_kind("category", "numeric"):
        if GROUP_NAME.match(plain_name(column.name)):
            train, test = data.train[column.name], data.test[column.name]
            yield column.name, _null_as_minus_one(data.codes[column.name], train, test)
    ids = {column.name for column in data.schema.of_kind("id")}
    for name, (train, test) in data.others.items():
        if name in ids or GROUP_NAME.match(plain_name(name)):
            yield name, _null_as_minus_one(column_codes(np.concatenate([train, test])), train, test)


def _null_as_minus_one(codes: Codes, train: NDArray[Any], test: NDArray[Any]) -> Codes:
    import pandas as pd

    return np.where(pd.isna(np.concatenate([train, test])), -1, codes)


def plain_name(name: str) -> str:
    """Return a column name in lower case with words apart by `_` ("PatientID" → "patient_id") and accents taken off."""
    from unicodedata import category, normalize

    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\s\-.]+", "_", name)
    return "".join(sign for sign in normalize("NFD", spaced) if category(sign) != "Mn").lower()
