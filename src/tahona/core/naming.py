"""The four rules for file names: how to make a name, and what is wrong with one.

data        <dataset>_<phase>_<YYYYMMDD>.csv|parquet     phase: raw, interim, processed
figures     reports/figures/<topic>_<dataset>_.png|svg
notebooks   <nn>_<topic>_<author>.ipynb
models      <algorithm>_<dataset>_v<N>.pkl               algorithm: rf, xgb, lr, svc, …
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import PurePath
from typing import Literal, get_args

from tahona.errors import InputError

Phase = Literal["raw", "interim", "processed"]
PHASES: tuple[Phase, ...] = get_args(Phase)

ALGORITHMS: Mapping[str, str] = {
    "dummy": "dummy",
    "tree": "tree",
    "svc": "svc",
    "knn": "knn",
    "lr": "logistic_regression",
    "rf": "random_forest",
    "et": "extra_trees",
    "hgb": "hist_gradient_boosting",
    "lgbm": "lightgbm",
    "xgb": "xgboost",
    "nb": "naive_bayes",
    "lsvc": "linear_svc",
    "ens": "ensemble",
}
"""What a model's name may begin with → the family that it stands for."""

_WORD = r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*"
_DATA = re.compile(rf"{_WORD}_(?P<phase>{'|'.join(PHASES)})_(?P<date>\d{{8}})\.(?:csv|parquet)")
_FIGURE = re.compile(rf"{_WORD}_{_WORD}_\.(?:png|svg)")
_NOTEBOOK = re.compile(rf"\d\d_{_WORD}_[A-Za-z0-9-]+\.ipynb")
_MODEL = re.compile(rf"(?P<algorithm>[A-Za-z0-9]+)_{_WORD}_v[1-9]\d*\.pkl")


def data_name(dataset: str, phase: Phase, day: date, suffix: Literal["csv", "parquet"] = "parquet") -> str:
    """Return `<dataset>_<phase>_<YYYYMMDD>.<suffix>`."""
    return _valid(f"{word(dataset)}_{phase}_{day:%Y%m%d}.{suffix}", _DATA)


def figure_name(topic: str, dataset: str, suffix: Literal["png", "svg"] = "png") -> str:
    """Return `<topic>_<dataset>_.<suffix>`, a file of `reports/figures`."""
    return _valid(f"{word(topic)}_{word(dataset)}_.{suffix}", _FIGURE)


def notebook_name(number: int, topic: str, author: str) -> str:
    """Return `<nn>_<topic>_<author>.ipynb`; an author's name becomes one word."""
    return _valid(f"{number:02d}_{word(topic)}_{word(author).replace('_', '-')}.ipynb", _NOTEBOOK)


def model_name(short: str, dataset: str, version: int) -> str:
    """Return `<short>_<dataset>_v<version>.pkl`; ``short`` is a key of `ALGORITHMS`."""
    if short not in ALGORITHMS:
        raise InputError(f"'{short}' stands for no algorithm", fix=f"one of {', '.join(ALGORITHMS)}")
    return _valid(f"{short}_{word(dataset)}_v{version}.pkl", _MODEL)


def word(text: str) -> str:
    """Return the text as a part of a file name: accents taken off, whatever is no letter or digit made `_`.

    A hyphen inside stays. Raise InputError when nothing is left.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    parts = (part.strip("-") for part in re.split(r"[^A-Za-z0-9-]+", re.sub("-+", "-", plain)))
    made = "_".join(part for part in parts if part)
    if not made:
        raise InputError(
            "a name has neither a letter nor a digit that a file name can hold", fix="use a-z, 0-9, - and _"
        )
    return made


def check_name(path: PurePath) -> str | None:
    """Return why the file is wrongly named or placed, None when it is right or no rule is about it.

    Rules are about notebooks and pickles anywhere, tables in a `data` folder and pictures in a `figures` folder.
    """
    suffix, folders = path.suffix.lower(), path.parts[:-1]
    if suffix == ".ipynb":
        return _mismatch(path, _NOTEBOOK, "<nn>_<topic>_<author>.ipynb")
    if suffix in (".pkl", ".pickle"):
        return _wrong_model(path)
    if suffix in (".csv", ".parquet") and "data" in folders:
        return _wrong_data(path)
    if suffix in (".png", ".svg") and "figures" in folders:
        return _wrong_figure(path)
    return None


def check_names(paths: Iterable[PurePath]) -> dict[PurePath, str]:
    """Return each wrongly named file with the reason, in the order given."""
    reasons = ((path, check_name(path)) for path in paths)
    return {path: reason for path, reason in reasons if reason is not None}


def _wrong_model(path: PurePath) -> str | None:
    found = _MODEL.fullmatch(path.name)
    if found is None:
        return _mismatch(path, _MODEL, "<algorithm>_<dataset>_v<N>.pkl")
    if found["algorithm"] not in ALGORITHMS:
        return f"'{found['algorithm']}' stands for no algorithm: one of {', '.join(ALGORITHMS)}"
    return None


def _wrong_data(path: PurePath) -> str | None:
    found = _DATA.fullmatch(path.name)
    if found is None:
        return _mismatch(path, _DATA, f"<dataset>_<phase>_<YYYYMMDD>{path.suffix.lower()}, phase {', '.join(PHASES)}")
    if not _is_day(found["date"]):
        return f"{found['date']} is no day of the calendar (YYYYMMDD)"
    elsewhere = [part for part in path.parts[:-1] if part in PHASES and part != found["phase"]]
    if elsewhere:
        return f"a file of the phase {found['phase']} lies in a folder for {elsewhere[-1]}"
    return None


def _wrong_figure(path: PurePath) -> str | None:
    if path.parts[-3:-1] != ("reports", "figures"):
        return "figures are kept in reports/figures/"
    return _mismatch(path, _FIGURE, f"<topic>_<dataset>_{path.suffix.lower()}")


def _mismatch(path: PurePath, rule: re.Pattern[str], form: str) -> str | None:
    return None if rule.fullmatch(path.name) else f"the name is not of the form {form}"


def _is_day(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 (a day has no zone)
    except ValueError:
        return False
    return True


def _valid(name: str, rule: re.Pattern[str]) -> str:
    if not rule.fullmatch(name):
        raise InputError(
            "the parts do not make a file name that the rules allow", fix="version from 1, number from 0 to 99"
        )
    return name
