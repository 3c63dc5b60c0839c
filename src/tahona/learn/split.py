"""Cuts the table into training and test rows, and the training rows into folds.

Whatever the kind of split: the test part is cut first, the folds are cut from training rows only, and every choice
comes from the seed. Places are positions in the frame (0 … n−1); folds hold positions *in the training part*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tahona.core.findings import Finding
from tahona.core.spelling import did_you_mean
from tahona.errors import DataError, InputError
from tahona.learn.columns import to_columns
from tahona.learn.dates import find_format, read_times
from tahona.learn.duplicates import Codes, column_codes, equal_rows, feature_codes, join_groups
from tahona.learn.grouping import share_out
from tahona.learn.values import read_texts

if TYPE_CHECKING:
    import pandas as pd

    from tahona.core.schema import Schema
    from tahona.project.model import SplitPart

MANY_ROWS = 25_000
"""Training rows from which one validation part tells enough, where the project file does not say how many folds."""
FOLDS = 5
"""Folds of fewer rows, and blocks of a single validation part."""

Times = NDArray[np.float64] | NDArray[np.int64]
Fold = tuple[Codes, Codes]
"""Positions in the training part: those a model is fitted on, those it is judged on."""


@dataclass(frozen=True, slots=True, eq=False)
class SplitResult:
    """The cut: positions of training and test rows in the frame, folds as positions in ``train``, what was decided."""

    train: Codes
    test: Codes
    folds: tuple[Fold, ...]
    findings: tuple[Finding, ...] = ()


def split_rows(frame: pd.DataFrame, y: NDArray[np.int64], schema: Schema, part: SplitPart) -> SplitResult:
    """Cut the rows as ``[split]`` says.

    Raises InputError where a class, a group or a date is too rare for the cut, DataError where the label or the column
    ``by`` has rows that cannot be placed.
    """
    single = part.folds == 1 or (part.folds is None and len(y) * (1 - part.test) > MANY_ROWS)
    folds = FOLDS if single or part.folds is None else part.folds
    _check_classes(y, schema, folds)
    if part.kind == "time":
        result = _split_by_time(frame, y, schema, part, folds)
    elif part.kind == "group":
        result = _split_by_group(frame, y, schema, part, folds)
    elif part.duplicates == "together":
        equal = _equal_features(frame, schema)
        result = _split_whole_groups(equal, y, part, folds, word="distinct rows")
        repeated = len(y) - len(np.unique(equal))
        result = _with(result, Finding("duplicates_together", facts={"rows": repeated}))
    else:
        result = _split_at_random(y, part, folds)
    _check_training_part(y[result.train], schema, result, part.kind, folds)
    return _with_one_part(result, part) if single else result


def _with_one_part(result: SplitResult, part: SplitPart) -> SplitResult:
    """Keep the last fold alone, its judged rows in blocks (of time, or drawn): one fit then has several values."""
    fit, judged = result.folds[-1]
    facts = {"fit": len(fit), "judged": len(judged), "blocks": FOLDS}
    order = judged if part.kind == "time" else np.random.default_rng(part.seed).permutation(judged)
    blocks = tuple((fit, np.sort(block)) for block in np.array_split(order, FOLDS))
    return replace(_with(result, Finding("one_validation_part", facts=facts)), folds=blocks)


def _check_classes(y: NDArray[np.int64], schema: Schema, folds: int) -> None:
    place = f"column '{schema.target}'"
    unknown = int((y < 0).sum())
    if unknown:
        raise DataError(
            f"The label is missing or unknown in {unknown} of {len(y)} rows.",
            where=place,
            fix="Drop these rows in a function named in [data] clean, or fill in their label.",
        )
    counts = np.bincount(y, minlength=len(schema.labels))
    if (counts > 0).sum() < 2:
        raise InputError(
            f"The label has one class only ('{schema.labels[int(counts.argmax())]}', {len(y)} rows)."
            if len(y)
            else "The table has no rows.",
            where=place,
            fix="A model needs rows of at least two classes.",
        )
    for label, count in zip(schema.labels, counts.tolist(), strict=True):
        if count < folds:
            rows = "1 row" if count == 1 else f"{count} rows"
            raise InputError(
                f"Class '{label}' has {rows}, fewer than the {folds} folds.",
                where=place,
                fix="Collect more rows of it, merge it with another class or drop its rows in a [data] clean function"
                + (f", or set split.folds to at most {count}." if count >= 2 else "."),
            )


def _check_training_part(y: NDArray[np.int64], schema: Schema, result: SplitResult, kind: str, folds: int) -> None:
    counts = np.bincount(y, minlength=len(schema.labels))
    for label, count in zip(schema.labels, counts.tolist(), strict=True):
        if count == 0 or (kind == "random" and count < folds):
            rows = {0: "no row", 1: "1 row"}.get(count, f"{count} rows")
            raise InputError(
                f"Class '{label}' has {rows} in the training part"
                + (f", fewer than the {folds} folds." if count else "."),
                where=f"column '{schema.target}'",
                fix="Lower split.test or split.folds, set split.stratify = true, or merge the class with another.",
            )
    if not len(result.test):
        raise InputError("The test part is empty.", where="[split]", fix="Raise split.test.")


# ---------------------------------------------------------------------------------------------------------- random


def _split_at_random(y: NDArray[np.int64], part: SplitPart, folds: int) -> SplitResult:
    """Cut single rows. The training rows keep the order of the draw, as ``train_test_split`` leaves them."""
    from sklearn.model_selection import train_test_split

    classes, rows = len(np.unique(y)), len(y)
    tested = ceil(rows * part.test)
    if part.stratify and min(tested, rows - tested) < classes:
        raise InputError(
            f"A test part of {tested} of {rows} rows cannot hold each of the {classes} classes on both sides.",
            where="[split]",
            fix="Set split.test so that both sides have a row of each class, or set split.stratify = false.",
        )
    if rows - tested < folds:
        raise InputError(
            f"{rows - tested} training rows cannot be cut into {folds} folds.",
            where="[split]",
            fix="Lower split.test or split.folds.",
        )
    train, test = train_test_split(
        np.arange(rows), test_size=part.test, random_state=part.seed, stratify=y if part.stratify else None
    )
    return SplitResult(train, test, () if _too_few(y[train], folds) else _stratified_folds(y[train], part, folds))


def _too_few(y: NDArray[np.int64], folds: int) -> bool:
    """Tell whether a class of these training rows is rarer than the folds; the check that follows the cut says so."""
    return int(np.bincount(y)[np.unique(y)].min()) < folds


def _stratified_folds(y: NDArray[np.int64], part: SplitPart, folds: int) -> tuple[Fold, ...]:
    from sklearn.model_selection import StratifiedKFold

    folding = StratifiedKFold(folds, shuffle=part.shuffle, random_state=part.seed if part.shuffle else None)
    return tuple((fit, validate) for fit, validate in folding.split(np.zeros(len(y)), y))


# ----------------------------------------------------------------------------------------------------------- group


def _split_by_group(
    frame: pd.DataFrame, y: NDArray[np.int64], schema: Schema, part: SplitPart, folds: int
) -> SplitResult:
    name = _by(frame, part)
    missing = frame[name].isna().to_numpy()
    groups = column_codes(read_texts(frame[name], name))
    groups[missing] = groups.max(initial=-1) + 1 + np.arange(int(missing.sum()))
    found: list[Finding] = []
    if missing.any():
        found.append(Finding("group_nulls", name, {"rows": int(missing.sum())}))
    if part.duplicates == "together":
        groups = join_groups(groups, _equal_features(frame, schema))
    result = _split_whole_groups(groups, y, part, folds, word=f"groups in '{name}'")
    trained, tested = len(np.unique(groups[result.train])), len(np.unique(groups[result.test]))
    share = round(100 * len(result.test) / len(y), 1)
    found.append(Finding("groups_apart", name, {"train": trained, "test": tested, "share": share}))
    return _with(result, *found)


def _split_whole_groups(groups: Codes, y: NDArray[np.int64], part: SplitPart, folds: int, *, word: str) -> SplitResult:
    """Put whole groups on one side, and whole groups into one fold, with class shares as even as the groups allow."""
    count = len(np.unique(groups))
    if count < folds + 1:
        raise InputError(
            f"There are {count} {word}; {folds} folds and a test part need at least {folds + 1}.",
            where="[split]",
            fix="Lower split.folds, or choose another split.",
        )
    seed = part.seed if part.shuffle else None
    side = share_out(groups, y, (1 - part.test, part.test), seed=part.seed)
    train, test = np.flatnonzero(side == 0), np.flatnonzero(side == 1)
    if len(np.unique(groups[train])) < folds or not len(test):
        raise InputError(
            f"The {count} {word} are too unequal: the training part cannot be cut into {folds} folds.",
            where="[split]",
            fix="Lower split.folds or split.test.",
        )
    fold = share_out(groups[train], y[train], (1 / folds,) * folds, seed=seed)
    cuts = tuple((np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(folds))
    return _usable(SplitResult(train, test, cuts), y[train])


# ------------------------------------------------------------------------------------------------------------ time


def _split_by_time(
    frame: pd.DataFrame, y: NDArray[np.int64], schema: Schema, part: SplitPart, folds: int
) -> SplitResult:
    """Test on the latest rows; fold n is judged on block n + 1 after fitting on all blocks before it."""
    name = _by(frame, part)
    times = time_values(frame[name], name)
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    wanted = len(y) - ceil(len(y) * part.test)
    cut = _between_times(ordered, wanted)
    if cut is None:
        raise InputError(
            "Every row has the same time; there is no later row to test on.",
            where=f"column '{name}'",
            fix='Choose another column in split.by, or kind = "random".',
        )
    share = round(100 * (len(y) - cut) / len(y), 1)
    found = [Finding("time_cut", name, {"train": cut, "test": len(y) - cut, "share": share})]
    if cut != wanted:
        found.append(Finding("time_ties", name, {"rows": abs(cut - wanted)}))
    train, test = order[:cut], order[cut:]
    if part.duplicates == "together":
        equal = _equal_features(frame, schema)
        keep = ~np.isin(equal[train], equal[test])
        if not keep.all():
            found.append(Finding("repeats_left_out", facts={"rows": int((~keep).sum())}))
        train = train[keep]
        cuts = _without_repeats(_expanding_folds(times[train], name, folds), equal[train])
    else:
        cuts = _expanding_folds(times[train], name, folds)
    return _with(_usable(SplitResult(train, test, cuts), y[train]), *found)


def time_values(values: pd.Series[Any], name: str) -> Times:
    """Return numbers in the order of time, from dates, numbers or texts of one date form.

    Raises DataError for nulls and for columns that are no time.
    """
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values):
        known = values.notna().to_numpy()
        numbers: Times = values.to_numpy(dtype="datetime64[us]").astype(np.int64)
    elif pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        known = np.isfinite(numbers)
    else:
        numbers = _times_of_texts(values, name)
        known = np.isfinite(numbers)
    if not known.all():
        raise DataError(
            f"{int((~known).sum())} of {len(values)} rows have no time, so they have no place in a time split.",
            where=f"column '{name}'",
            fix="Drop these rows or fill in their time in a function named in [data] clean.",
        )
    return numbers


def _times_of_texts(values: pd.Series[Any], name: str) -> NDArray[np.float64]:
    import pandas as pd

    texts = read_texts(values, name)
    numbers = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(dtype=np.float64)
    if np.array_equal(np.isnan(numbers), pd.isna(texts)):
        return numbers  # an identifier that counts, kept as text
    form = find_format(tuple({text for text in texts.tolist() if text is not None}), name)
    if form is None:
        raise DataError(
            "The column of a time split must hold dates or numbers; this one holds texts of no one date form.",
            where=f"column '{name}'",
            fix=f'Declare its form: [data.formats] {name} = "%d/%m/%Y", or choose another column in split.by.',
        )
    return np.asarray(read_times(texts.tolist(), name, form), dtype=np.float64)


def _between_times(ordered: Times, wanted: int) -> int | None:
    """Move a cut to the nearest place where the time changes; None where it never does."""
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    if not len(changes):
        return None
    return int(changes[np.abs(changes - wanted).argmin()])


def _expanding_folds(times: Times, name: str, folds: int) -> tuple[Fold, ...]:
    """Cut time-ordered training rows into blocks of about equal size, equal times in one block.

    The first block is never judged, for nothing lies before it.
    """
    starts = {cut for block in range(1, folds + 1) if (cut := _between_times(times, block * len(times) // (folds + 1)))}
    if len(starts) < folds:
        raise InputError(
            f"The training rows have too few different times for {folds} folds ({len(np.unique(times))}).",
            where=f"column '{name}'",
            fix="Lower split.folds or choose a finer time in split.by.",
        )
    cuts = [*sorted(starts), len(times)]
    return tuple((np.arange(cuts[i]), np.arange(cuts[i], cuts[i + 1])) for i in range(folds))


def _without_repeats(folds: Sequence[Fold], equal: Codes) -> tuple[Fold, ...]:
    """Take out of each fold's fitted rows those that its judged rows repeat."""
    return tuple((fit[~np.isin(equal[fit], equal[judged])], judged) for fit, judged in folds)


# ---------------------------------------------------------------------------------------------------------- common


def _by(frame: pd.DataFrame, part: SplitPart) -> str:
    """Return the column that decides the split, or say what is wrong with it."""
    if part.by is None:
        raise InputError(
            f'A split of kind "{part.kind}" needs a column that decides it.',
            where="[split]",
            fix='Set by = "COLUMN".',
        )
    if part.by not in frame.columns:
        names = [str(name) for name in frame.columns]
        raise InputError(
            f"The table has no column '{part.by}'.",
            where="[split] by",
            fix=did_you_mean(part.by, names).capitalize() or f"The columns are {', '.join(names[:20])}.",
        )
    return part.by


def _equal_features(frame: pd.DataFrame, schema: Schema) -> Codes:
    return equal_rows(feature_codes(to_columns(frame, schema), schema), len(frame))


def _usable(result: SplitResult, y: NDArray[np.int64]) -> SplitResult:
    """Leave out folds that cannot be fitted (a class is missing before them) or judged (one class only)."""
    classes = len(np.unique(y))
    folds = tuple(
        (fit, judged)
        for fit, judged in result.folds
        if len(np.unique(y[fit])) == classes and len(np.unique(y[judged])) > 1
    )
    if not folds:
        raise InputError(
            "No fold has every class among its fitted rows and two classes among its judged rows.",
            where="[split]",
            fix="Lower split.folds, choose another split, or merge the rare classes.",
        )
    if len(folds) == len(result.folds):
        return result
    left = {"left_out": len(result.folds) - len(folds), "folds": len(folds)}
    return replace(_with(result, Finding("folds_left_out", facts=left)), folds=folds)


def _with(result: SplitResult, *findings: Finding) -> SplitResult:
    return replace(result, findings=(*result.findings, *findings))
