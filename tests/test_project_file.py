"""The project file: what is read from it, and what each mistake in it is told (table B of BAD_INPUT.md)."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tahona.core.families import FAMILY_NAMES
from tahona.core.metrics import METRICS
from tahona.project.load import LoadedProject, load_project
from tahona.project.locate import find_lines, line_of
from tahona.project.model import FloatRange, IntRange
from tahona.project.reference import all_keys, json_schema, reference_markdown

MINIMAL = '[project]\nname = "hotel"\ntarget = "canceled"\n[data]\nsource = "data.csv"\n'


def load(folder: Path, text: str | bytes, **options: object) -> LoadedProject:
    content = text.encode() if isinstance(text, str) else text
    (folder / "tahona.toml").write_bytes(content)
    return load_project(folder, **options)  # type: ignore[arg-type]


# --- what is read ------------------------------------------------------------------------------------------------


def test_a_minimal_file_has_a_default_for_everything_else(tmp_path: Path) -> None:
    loaded = load(tmp_path, MINIMAL)
    project = loaded.project
    assert (project.name, project.project.target, project.split.kind, project.split.seed) == (
        "hotel",
        "canceled",
        "random",
        42,
    )
    assert project.root == tmp_path.resolve()
    assert loaded.findings == ()


def test_every_key_of_the_design_is_read(tmp_path: Path) -> None:
    text = """
[project]
name = "hotel"
target = "is_canceled"
positive = 1
language = "es"
[data]
source = "data/raw/hotel_bookings.parquet"
drop = ["reservation_status", "reservation_status_date"]
clean = ["hotel.cleaning:fix_children"]
[data.types]
agent = "category"
[split]
kind = "time"
by = "arrival_date"
test = 0.2
folds = 5
[train]
metric = "roc_auc"
models = ["lightgbm", "random_forest"]
trials = 40
[train.search.random_forest]
n_estimators = { int = [50, 200] }
max_features = ["sqrt", "log2", 0.5]
min_samples_leaf = { int = [1, 32], log = true }
ccp_alpha = { float = [0.0, 0.1] }
[decision]
cost = { false_positive = 1.0, false_negative = 5 }
[gate]
min = { roc_auc = 0.85 }
[audit]
allow = { deposit_type = "known when the booking is made" }
"""
    project = load(tmp_path, text).project
    assert project.train.search["random_forest"] == {
        "n_estimators": IntRange(int=(50, 200)),
        "max_features": ("sqrt", "log2", 0.5),
        "min_samples_leaf": IntRange(int=(1, 32), log=True),
        "ccp_alpha": FloatRange(float=(0.0, 0.1)),
    }
    assert project.decision.cost == {"false_positive": 1.0, "false_negative": 5.0}
    assert project.project.positive == 1
    assert project.data.types == {"agent": "category"}


def test_the_file_itself_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "parity.toml").write_text(MINIMAL)
    project = load_project(tmp_path / "parity.toml").project
    assert project.root == tmp_path.resolve()
    assert project.place("project", "target") == f"{tmp_path / 'parity.toml'}:3"


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode()
    assert load(tmp_path, content).project.place("data", "source").endswith(":5")


def test_an_overlay_and_then_overrides_lie_over_the_file(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + '[train]\ntrials = 20\n[stores]\nledger = "sqlite:///a.db"\n[env.prod.stores]\nledger = "sqlite:///b.db"\n'
    )
    plain = load(tmp_path, text).project
    prod = load_project(tmp_path, env="prod", overrides=["train.trials=5", "split.test=.3"]).project
    assert (plain.stores.ledger, plain.train.trials) == ("sqlite:///a.db", 20)
    assert (prod.stores.ledger, prod.train.trials, prod.split.test) == ("sqlite:///b.db", 5, 0.3)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("train.models=['tree','svc']", ("train", "models"), ("tree", "svc")),
        ("train.metric=f1", ("train", "metric"), "f1"),
        ('data.source="a=b.csv"', ("data", "source"), "a=b.csv"),
        ("project.positive=1", ("project", "positive"), 1),
        ("train.ensemble=false", ("train", "ensemble"), False),
        ("data.types.'a.b' = id", ("data", "types"), {"a.b": "id"}),
        ("data.sheet=2024-01-31", ("data", "sheet"), "2024-01-31"),
    ],
)
def test_an_override_is_toml_where_it_is_toml_and_text_elsewhere(
    tmp_path: Path, override: str, path: tuple[str, str], value: object
) -> None:
    project = load(tmp_path, MINIMAL, overrides=[override]).project
    assert getattr(getattr(project, path[0]), path[1]) == value


@pytest.mark.parametrize(
    ("section", "override", "check"),
    [
        (
            "[decision]\ncost = {false_positive=1, false_negative=2}",
            "decision.threshold=0.3",
            lambda p: p.decision.cost is None,
        ),
        ('[split]\nkind = "time"\nby = "day"', "split.kind=random", lambda p: p.split.by is None),
        (
            "[train.search.tree]\ndepth = {int=[1,9]}",
            "train.search.tree.depth.float=[1.0,2.0]",
            lambda p: p.train.search,
        ),
    ],
)
def test_an_override_replaces_the_alternatives_that_the_file_chose(
    tmp_path: Path, section: str, override: str, check: object
) -> None:
    project = load(tmp_path, MINIMAL + section, overrides=[override]).project
    assert check(project)  # type: ignore[operator]


def test_the_environment_is_read_and_can_be_escaped(tmp_path: Path) -> None:
    text = MINIMAL.replace('"canceled"', '"${TARGET}_$${TARGET}"')
    assert load(tmp_path, text, environ={"TARGET": "y"}).project.project.target == "y_${TARGET}"


def test_what_came_from_the_environment_is_never_printed(tmp_path: Path) -> None:
    text = MINIMAL + '[stores]\nledger = "postgresql://me:${PASSWORD}@db/tahona"\nartifacts = "${PLACE}"\n'
    project = load(tmp_path, text, environ={"PASSWORD": "hunter22", "PLACE": "/mnt/vault"}).project
    assert project.stores.ledger == "postgresql://me:hunter22@db/tahona"
    for shown in (repr(project), str(project), repr(project.stores), json.dumps(project.masked())):
        assert "hunter22" not in shown
        assert "/mnt/vault" not in shown
    assert project.mask("cannot reach hunter22 at /mnt/vault") == "cannot reach *** at ***"
    assert repr(pickle.loads(pickle.dumps(project))) == repr(project)


def test_a_new_password_changes_no_fingerprint(tmp_path: Path) -> None:
    text = MINIMAL.replace('"data.csv"', '"postgresql://me:${PW}@db/x?table=t&token=${TOKEN}"')
    parts = [
        load(tmp_path, text, environ={"PW": password, "TOKEN": password}).project.part("data")
        for password in ("first-one", "second")
    ]
    assert parts[0] == parts[1]
    whole = MINIMAL.replace('"data.csv"', '"${URL}"')
    plain = load(tmp_path, whole, environ={"URL": "postgresql://me:first-one@db/x"}).project.part("data")
    assert plain["data"]["source"] == "postgresql://me:***@db/x"


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        (MINIMAL + '[stores]\nledger = "postgresql://me:hunter22@db/x"\n', "literal_secret", "stores.ledger"),
        (MINIMAL.replace("data.csv", "https://x.org/a.csv?token=hunter22"), "literal_secret", "data.source"),
        (MINIMAL + "[train.search.svc]\nC = [1, 2]\n", "idle_search", "train.search.svc"),
        (MINIMAL + 'drop = ["a"]\ntypes = { a = "id" }\n', "idle_type", "data.types.a"),
    ],
)
def test_what_is_allowed_but_hardly_meant_is_a_warning(tmp_path: Path, text: str, kind: str, says: str) -> None:
    (finding,) = load(tmp_path, text).findings
    assert (finding.kind, finding.severity) == (kind, "warning")
    for language in ("en", "es"):
        assert says in finding.message(language)
        assert re.search(r"tahona\.toml:\d+", finding.message(language))
        assert "hunter22" not in finding.message(language)


# --- lines ----------------------------------------------------------------------------------------------------------

TRICKY = '''\
# [not.a.table]
top."a.b".'c d' = """
[fake]
x = 1 \\"""
""\"""
lit = \'\'\'
[fake2]
\'\'\'
[one . two]  # comment = 1
list = [ # [x]
  "a#]", 2,

  { deep = [1,
    2], "q k" = {} },
]
empty = ""
[[many]]
a = 1
[[many]]
b = 2
[many.sub]
c = {x.y = 1, z = "}"}
'''


def test_lines_are_found_past_strings_comments_lists_and_inline_tables() -> None:
    lines = find_lines(TRICKY)
    expected = {
        ("top", "a.b", "c d"): 2,
        ("lit",): 6,
        ("one", "two"): 9,
        ("one", "two", "list"): 10,
        ("one", "two", "list", 0): 11,
        ("one", "two", "list", 2, "deep", 1): 14,
        ("one", "two", "list", 2, "q k"): 14,
        ("one", "two", "empty"): 16,
        ("many", 0, "a"): 18,
        ("many", 1): 19,
        ("many", 1, "b"): 20,
        ("many", 1, "sub", "c", "x", "y"): 22,
        ("many", 1, "sub", "c", "z"): 22,
    }
    assert {path: lines.get(path) for path in expected} == expected
    assert not any("fake" in path or "fake2" in path for path in lines)
    assert line_of(lines, ("one", "two", "absent")) == 9
    assert line_of(lines, ("absent",)) == 1


def paths_of(value: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path}.union(*(paths_of(item, (*path, key)) for key, item in items))


SCALARS = st.one_of(
    st.integers(-9, 9).map(str),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=6).map(
        lambda text: json.dumps(text, ensure_ascii=False)
    ),
    st.sampled_from(["'''a\n'b''''", '"""\n\\"""x""\n"""', "true", "1979-05-27T07:32:00Z", "nan", "'#'", '""']),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[ # c ]\n" + "".join(f"  {item},\n\n" for item in items) + "]"),
        st.lists(inner, max_size=3).map(
            lambda items: "{" + ", ".join(f'k{n}."x y" = {item}' for n, item in enumerate(items)) + "}"
        ),
    ),
    max_leaves=6,
)


@given(st.lists(VALUES, max_size=5))
def test_every_key_and_item_of_any_file_has_the_line_on_which_it_stands(values: list[str]) -> None:
    text = "".join(f"# head\n[t{n}.'u v']\nkey{n} . a = {value}\n" for n, value in enumerate(values))
    lines = find_lines(text)
    assert set(lines) == paths_of(tomllib.loads(text)) - {()}
    for path, line in lines.items():
        if len(path) == 4:
            assert text.split("\n")[line - 1].startswith(f"{path[2]} . a = ")


# --- the reference --------------------------------------------------------------------------------------------------


def test_every_key_is_described_and_stands_in_the_reference() -> None:
    page = reference_markdown()
    keys = all_keys()
    assert len(keys) >= 60
    assert [key.name for key in keys if not key.description] == []
    assert [key.name for key in keys if not key.type] == []
    for key in keys:
        assert f"`{key.name}`" in page or f"`[{key.name}]`" in page, key.name


def test_the_json_schema_names_families_and_metrics_and_hides_what_the_loader_sets() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == {
        *(
            "project",
            "data",
            "split",
            "train",
            "decision",
            "gate",
            "audit",
            "stores",
            "publish",
            "run",
            "serve",
            "up",
            "env",
        )
    }
    train = schema["$defs"]["TrainPart"]["properties"]
    assert train["models"]["items"]["enum"] == list(FAMILY_NAMES)
    assert train["metric"]["enum"] == list(METRICS)
    assert json.loads(json.dumps(schema)) == schema


def test_reading_a_project_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "tahona.toml").write_text(MINIMAL)
    script = (
        "import sys, tahona.project.functions; from pathlib import Path; from tahona.project.load import load_project;"
        f"load_project(Path({str(tmp_path)!r}));"
        "heavy = {'pandas', 'sklearn', 'scipy', 'lightgbm', 'optuna', 'sqlalchemy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
