"""The user's own functions: how they are found, called, and made part of a fingerprint."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tahona.errors import DataError, ProjectError
from tahona.project.functions import UserFunction, apply, load_functions, source_digest
from tahona.project.load import load_project
from tahona.project.model import Project

FRAME = pd.DataFrame({"children": [0.0, np.nan, 2.0], "canceled": ["yes", "no", "secret-cell"], "day": [1.0, 2.0, 3.0]})


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def project_with(folder: Path, files: Mapping[str, str], *clean: str, more: str = "") -> Project:
    text = f'[project]\nname = "hotel"\ntarget = "canceled"\n[data]\nsource = "data.csv"\nclean = {list(clean)}\n{more}'
    write(folder, {"tahona.toml": text, **files})
    return load_project(folder).project


def functions_of(folder: Path, files: Mapping[str, str], *clean: str, more: str = "") -> tuple[UserFunction, ...]:
    return load_functions(project_with(folder, files, *clean, more=more))


FIX = "def fix(frame):\n    return frame.assign(children=frame['children'].fillna(0))\n"


@pytest.mark.parametrize("place", ["hotel/cleaning.py", "src/hotel/cleaning.py"])
def test_a_function_is_found_in_the_project_and_in_its_src(tmp_path: Path, place: str) -> None:
    (function,) = functions_of(tmp_path, {place: FIX}, "hotel.cleaning:fix")
    assert apply(function, FRAME)["children"].tolist() == [0.0, 0.0, 2.0]
    assert FRAME["children"].isna().sum() == 1


def test_importing_leaves_no_trace(tmp_path: Path) -> None:
    path, modules, finders = list(sys.path), set(sys.modules), list(sys.meta_path)
    (function,) = functions_of(tmp_path, {"cleaning.py": "import helper\n" + FIX, "helper.py": ""}, "cleaning:fix")
    apply(function, FRAME)
    assert (sys.path, sys.meta_path) == (path, finders)
    assert not {"cleaning", "helper"} & (set(sys.modules) - modules)
    assert not list(tmp_path.rglob("__pycache__"))


def test_two_projects_in_one_process_may_use_the_same_names(tmp_path: Path) -> None:
    """Also when a module imports its helper only while it runs."""
    made = []
    for number in (1, 2):
        files = {
            "cleaning.py": "def mark(frame):\n    from helper import NUMBER\n    return frame.assign(mark=NUMBER)\n",
            "helper.py": f"NUMBER = {number}\n",
        }
        made.append(functions_of(tmp_path / str(number), files, "cleaning:mark")[0])
    marks = [apply(function, FRAME)["mark"].iloc[0] for function in (*made, *made)]
    assert marks == [1, 2, 1, 2]


def test_functions_of_one_module_share_its_state(tmp_path: Path) -> None:
    module = (
        "N = []\ndef a(frame):\n    N.append(1)\n    return frame\ndef b(frame):\n    return frame.assign(n=len(N))\n"
    )
    first, second = functions_of(tmp_path, {"cleaning.py": module}, "cleaning:a", "cleaning:b")
    assert apply(second, apply(first, FRAME))["n"].iloc[0] == 1


def test_an_edit_counts_at_once(tmp_path: Path) -> None:
    """Even within the second and with the same size, where Python itself would run its stale bytecode."""
    for number in (1, 2, 3):
        module = f"def mark(frame):\n    return frame.assign(mark={number})\n"
        (function,) = functions_of(tmp_path, {"cleaning.py": module}, "cleaning:mark")
        assert apply(function, FRAME)["mark"].iloc[0] == number


def test_a_function_travels_to_another_process(tmp_path: Path) -> None:
    (function,) = functions_of(tmp_path, {"cleaning.py": FIX}, "cleaning:fix")
    apply(function, FRAME)
    assert apply(pickle.loads(pickle.dumps(function)), FRAME)["children"].isna().sum() == 0


def test_a_print_of_the_user_does_not_reach_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = "print('at import')\ndef fix(frame):\n    print('at work')\n    return frame\n"
    (function,) = functions_of(tmp_path, {"cleaning.py": module}, "cleaning:fix")
    apply(function, FRAME)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.split("\n")[:2] == ["at import", "at work"]


def test_the_caller_s_table_is_left_alone(tmp_path: Path) -> None:
    module = "def fix(frame):\n    frame['children'] = 7\n    frame.loc[0, 'day'] = 9\n    return frame\n"
    (function,) = functions_of(tmp_path, {"cleaning.py": module}, "cleaning:fix")
    before = FRAME.copy(deep=True)
    assert apply(function, FRAME)["children"].tolist() == [7, 7, 7]
    pd.testing.assert_frame_equal(FRAME, before)


@pytest.mark.parametrize(
    "module",
    [
        "def fix(frame, factor=2, *more, deep=True, **rest):\n    return frame\n",
        "fix = lambda frame: frame\n",
        "import functools\ndef base(n, frame):\n    return frame\nfix = functools.partial(base, 3)\n",
        "from helper import fix\n",
        "class Fix:\n    def __call__(self, frame):\n        return frame\nfix = Fix()\n",
    ],
)
def test_anything_that_takes_one_table_is_a_function(tmp_path: Path, module: str) -> None:
    (function,) = functions_of(tmp_path, {"cleaning.py": module, "helper.py": FIX}, "cleaning:fix")
    assert len(apply(function, FRAME)) == 3


@pytest.mark.parametrize(
    ("files", "name", "says", "fix"),
    [
        ({"cleaning.py": FIX}, "cleanign:fix", "the project has no module 'cleanign'", "Did you mean 'cleaning'?"),
        (
            {},
            "hotel.cleaning:fix",
            "the project has no module 'hotel.cleaning'",
            "Write it as hotel/cleaning.py in the",
        ),
        ({}, "json:loads", "the project has no module 'json'", ""),
        ({"cleaning.py": FIX}, "cleaning:fixx", "the module 'cleaning' has no function 'fixx'", "Did you mean 'fix'?"),
        (
            {"cleaning.py": "fix = 3\n"},
            "cleaning:fix",
            "the module 'cleaning' has 'fix', not a function",
            "Write def fix",
        ),
        (
            {"cleaning.py": "def fix():\n    ...\n"},
            "cleaning:fix",
            "'cleaning:fix' needs 0 arguments; it is called",
            "Write",
        ),
        (
            {"cleaning.py": "def fix(a, b):\n    ...\n"},
            "cleaning:fix",
            "'cleaning:fix' needs 2 arguments",
            "Write def fix",
        ),
        ({"cleaning.py": "def fix(a, *, b):\n    ...\n"}, "cleaning:fix", "needs 1 positional and 1 keyword-only", ""),
        ({"cleaning.py": "fix = lambda: 3\n"}, "cleaning:fix", "'cleaning:fix' needs 0 arguments", ""),
        ({"cleaning.py": "fix = type\n"}, "cleaning:fix", "'cleaning:fix' does not say what it takes", "Write def fix"),
    ],
)
def test_a_function_that_cannot_be_called_is_told_with_the_key(
    tmp_path: Path, files: Mapping[str, str], name: str, says: str, fix: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        functions_of(tmp_path, files, name)
    assert caught.value.what.startswith("data.clean: ")
    assert says in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.where == f"{tmp_path / 'tahona.toml'}:6"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("files", "where", "says"),
    [
        ({"cleaning.py": "\n\ndef fix(frame:\n"}, "cleaning.py:3", "a module of the project is not Python"),
        (
            {"cleaning.py": "import helper\nfrom helper import *\n" + FIX, "helper.py": "\nx ="},
            "helper.py:2",
            "is not Python",
        ),
    ],
)
def test_a_module_that_is_not_python_is_told_with_its_line(
    tmp_path: Path, files: Mapping[str, str], where: str, says: str
) -> None:
    with pytest.raises(ProjectError, match=says) as caught:
        functions_of(tmp_path, files, "cleaning:fix")
    assert caught.value.where == str(tmp_path / where)


def test_a_module_that_cannot_be_imported_is_told_with_its_own_line(tmp_path: Path) -> None:
    files = {"cleaning.py": "import helper\n" + FIX, "helper.py": "\nimport no_such_library\n"}
    (function,) = functions_of(tmp_path, files, "cleaning:fix")
    with pytest.raises(ProjectError, match=re.escape("raised ModuleNotFoundError ('no_such_library')")) as caught:
        apply(function, FRAME)
    assert caught.value.where == f"{tmp_path / 'helper.py'}:2"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("pass", "returned nothing"),
        ("return 3", "returned int, not a DataFrame"),
        ("return frame['day']", "returned Series, not a DataFrame"),
        ("yield frame", "returned generator, not a DataFrame"),
        ("return frame.drop(columns='canceled')", "dropped the label column 'canceled'"),
        ("return frame.drop(columns='day')", "dropped 'day', which the project file names"),
        ("return frame.rename(columns={'day': 'children'})", "returned the column 'children' more than once"),
        ("return frame.rename(columns={'children': 3})", "returned columns whose names are not text"),
        ("return frame[frame['day'] > 9]", "returned no rows"),
        ("return frame.assign(rate=1 / (frame['day'] - 1))", "put infinity into 1 rows of 'rate'"),
        ("return frame.assign(day=frame['day'] / frame['children'])", "put infinity into 1 rows of 'day'"),
    ],
)
def test_a_wrong_result_is_told_as_the_function_s(tmp_path: Path, body: str, says: str) -> None:
    module = f"def fix(frame):\n    {body}\n"
    more = '[split]\nkind = "time"\nby = "day"\n'
    (function,) = functions_of(tmp_path, {"cleaning.py": module}, "cleaning:fix", more=more)
    with pytest.raises(DataError) as caught:
        apply(function, FRAME)
    assert says in caught.value.what
    assert "'cleaning:fix'" in caught.value.what
    assert caught.value.where == f"{tmp_path / 'tahona.toml'}:6"
    assert caught.value.fix
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("raise ValueError(frame['canceled'].iloc[2])", "ValueError"),
        ("return frame.astype({'canceled': float})", "ValueError"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("return frame['no_such']", "KeyError"),
    ],
)
def test_an_exception_is_told_with_the_user_s_line_and_without_a_cell(tmp_path: Path, body: str, kind: str) -> None:
    files = {
        "cleaning.py": "import deep\ndef fix(frame):\n    return deep.work(frame)\n",
        "deep.py": f"def work(frame):\n    {body}\n",
    }
    (function,) = functions_of(tmp_path, files, "cleaning:fix")
    with pytest.raises(DataError, match=f"the function 'cleaning:fix' raised {kind}") as caught:
        apply(function, FRAME)
    assert caught.value.where == f"{tmp_path / 'deep.py'}:2"
    assert "secret-cell" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_row_to_predict_has_no_label_to_keep(tmp_path: Path) -> None:
    (function,) = functions_of(tmp_path, {"cleaning.py": FIX}, "cleaning:fix")
    assert list(apply(function, FRAME.drop(columns="canceled"))) == ["children", "day"]


# --- the digest -----------------------------------------------------------------------------------------------------

PACKAGE = {
    "hotel/__init__.py": "",
    "hotel/cleaning.py": "from . import rules\nfrom .deep.first import one\ndef fix(frame):\n    return frame\n",
    "hotel/rules.py": "import importlib\nplugin = importlib.import_module('plugin')\n",
    "hotel/deep/__init__.py": "",
    "hotel/deep/first.py": "from ..second import *\ndef one():\n    import lazy\n",
    "hotel/second.py": "import third.part\n",
    "src/third/part.py": "",
    "lazy.py": "",
    "plugin.py": "",
    "unrelated.py": "",
    "hotel/unrelated.py": "",
}


@pytest.mark.parametrize("changed", [name for name in PACKAGE if "unrelated" not in name])
def test_a_change_in_any_module_it_runs_on_changes_the_digest(tmp_path: Path, changed: str) -> None:
    before = source_digest(functions_of(tmp_path, PACKAGE, "hotel.cleaning:fix"))
    after = source_digest(
        functions_of(tmp_path, {**PACKAGE, changed: PACKAGE[changed] + "# other\n"}, "hotel.cleaning:fix")
    )
    assert before != after


@pytest.mark.parametrize("changed", ["unrelated.py", "hotel/unrelated.py", "notes.txt"])
def test_a_change_elsewhere_leaves_the_digest(tmp_path: Path, changed: str) -> None:
    before = source_digest(functions_of(tmp_path, PACKAGE, "hotel.cleaning:fix"))
    assert source_digest(functions_of(tmp_path, {**PACKAGE, changed: "# other\n"}, "hotel.cleaning:fix")) == before


def test_the_digest_is_the_same_in_another_folder_and_runs_no_user_code(tmp_path: Path) -> None:
    files = {"cleaning.py": "raise SystemExit\n" + FIX}
    digests = {source_digest(functions_of(tmp_path / place, files, "cleaning:fix")) for place in ("a", "b")}
    assert len(digests) == 1


def test_the_order_of_functions_is_part_of_the_digest(tmp_path: Path) -> None:
    files = {"cleaning.py": FIX + FIX.replace("fix", "fix2")}
    one = source_digest(functions_of(tmp_path, files, "cleaning:fix", "cleaning:fix2"))
    other = source_digest(functions_of(tmp_path, files, "cleaning:fix2", "cleaning:fix"))
    assert one != other
    assert source_digest(()) != one
