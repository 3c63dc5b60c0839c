"""What each mistake in a project file is told: table B of BAD_INPUT.md, one row per test."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from tahona.errors import ProjectError
from tahona.project.load import LoadedProject, load_project

MINIMAL = '[project]\nname = "hotel"\ntarget = "canceled"\n[data]\nsource = "data.csv"\n'


def load(folder: Path, text: str | bytes, **options: object) -> LoadedProject:
    content = text.encode() if isinstance(text, str) else text
    (folder / "tahona.toml").write_bytes(content)
    return load_project(folder, **options)  # type: ignore[arg-type]


def refusal(folder: Path, text: str | bytes, **options: object) -> ProjectError:
    with pytest.raises(ProjectError) as caught:
        load(folder, text, **options)
    assert caught.value.exit_code == 2
    return caught.value


def put_folder(folder: Path) -> None:
    (folder / "tahona.toml").mkdir()


def put_fifo(folder: Path) -> None:
    os.mkfifo(folder / "tahona.toml")


def put_large(folder: Path) -> None:
    (folder / "tahona.toml").write_bytes(MINIMAL.encode() + b"# " + b"x" * 10_000_000)


@pytest.mark.parametrize(
    ("put", "message"),
    [
        (lambda folder: None, "there is no project file"),
        (put_folder, "this is a folder, not a project file"),
        (put_fifo, "this is not a regular file"),
        (put_large, "is larger than 1,000,000 bytes, the limit for a project file"),
        (lambda folder: (folder / "tahona.toml").write_bytes(b""), "the project file is empty"),
        (lambda folder: (folder / "tahona.toml").write_bytes(b"# nothing\n"), "the project file holds comments only"),
    ],
)
def test_a_file_that_is_no_project_file_is_named(tmp_path: Path, put: object, message: str) -> None:
    put(tmp_path)  # type: ignore[operator]
    with pytest.raises(ProjectError, match=re.escape(message)) as caught:
        load_project(tmp_path)
    assert caught.value.exit_code == 2
    assert caught.value.where.startswith(str(tmp_path / "tahona.toml"))
    assert caught.value.fix


def test_a_missing_folder_is_told_from_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="there is no such folder"):
        load_project(tmp_path / "nowhere")


def test_a_folder_called_like_the_file_is_told(tmp_path: Path) -> None:
    put_folder(tmp_path)
    with pytest.raises(ProjectError, match="this is a folder"):
        load_project(tmp_path / "tahona.toml")


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (MINIMAL.encode() + b'positive = "ni\xf1o"\n', 6, "is not UTF-8: byte 87 of the file"),
        (MINIMAL.encode("utf-16"), 1, "is not UTF-8: byte 1 of the file"),
        (MINIMAL + 'drop = ["a"\n', 6, "this is not TOML"),
        (MINIMAL + "positive = 0x\n", 6, "this is not TOML"),
        (MINIMAL + "drop = [\n", 6, "this is not TOML"),
        (MINIMAL + 'source = "b.csv"\n', 6, "a key or a table stands twice"),
        (MINIMAL + "[project]\n", 6, "a key or a table stands twice"),
        (MINIMAL + "name\x00 = 1\n", 6, "this is not TOML"),
        (MINIMAL + "x = " + "[" * 5000 + "]" * 5000, None, "nested too deeply"),
        (MINIMAL + "x = " + "[" * 50 + "]" * 50, None, "nested more than 24 deep"),
        (MINIMAL + "a." * 200_000 + "a = 1\n", 6, "a key has 64 parts or more"),
        (MINIMAL + "[split]\nseed = " + "9" * 5000, None, "a number with thousands of digits"),
    ],
)
def test_a_text_that_is_not_toml_is_refused_with_its_line(
    tmp_path: Path, content: str | bytes, line: int | None, message: str
) -> None:
    started = time.process_time()
    error = refusal(tmp_path, content)
    assert message in error.what
    assert error.where == f"{tmp_path / 'tahona.toml'}" + (f":{line}" if line else "")
    assert time.process_time() - started < 5


B = MINIMAL
ROWS: list[tuple[str, int | None, str, str]] = [
    # text, line, key and what is said, what the fix says
    (B + "[train]\ntrails = 3\n", 7, "train.trails: is not a key of [train]", "Did you mean 'trials'?"),
    (B + 'metric = "f1"\n', 6, "data.metric: is not a key of [data]", "Did you mean train.metric?"),
    (B + "[trian]\ntrials = 3\n", 6, "trian: is not a key of a project file", "Did you mean 'train'?"),
    (B + '[stores]\npassword = "hunter22"\n', 7, "stores.password: is not a key of [stores]", "${NAME}"),
    ('root = "/"\n' + B, 1, "root: is not a key of a project file", ""),
    (
        "[project]\nname = 'a'\n[data]\nsource = 'x'\n",
        1,
        "project.target: is required",
        "The column that holds the label.",
    ),
    ("[project]\nname = 'a'\ntarget = 'y'\n", 1, "data: is required", ""),
    (B + "[train]\ntrials = '3'\n", 7, "train.trials: must be a whole number", ""),
    (B + "[train]\ntrials = 3.5\n", 7, "train.trials: must be a whole number", ""),
    (B + "[train]\nmetric = 3\n", 7, "train.metric: must be text in quotes", ""),
    (B + "[train]\nensemble = 1\n", 7, "train.ensemble: must be true or false", ""),
    (B + "[train]\nmodels = 'tree'\n", 7, "train.models: must be a list in brackets", ""),
    (B + "[train]\nmodels = []\n", 7, "train.models: must have at least 1 item(s)", ""),
    (B + "types = 'id'\n", 6, "data.types: must be a table", ""),
    ("split = 3\n" + B, 1, "split: must be a table", ""),
    (B + "[[split]]\ntest = 0.2\n", 6, "split: must be a table", ""),
    (B + "[split]\ntest = 1979-05-27\n", 7, "split.test: must be a number", ""),
    (
        B.replace('target = "canceled"', 'target = "y"\npositive = [1]'),
        4,
        "project.positive: must be text, a number, or true",
        "",
    ),
    (B.replace('"hotel"', '"my hotel"'), 2, "project.name: is not of the right form", "letters, digits"),
    (B.replace('"data.csv"', '""'), 5, "data.source: must not be empty", ""),
    (B + 'sha256 = "12"\n', 6, "data.sha256: is not of the right form", ""),
    (
        B + 'types = { a = "categry" }\n',
        6,
        "data.types.a: must be one of 'numeric', 'category'",
        "Did you mean 'category'?",
    ),
    (B + '[run]\nexecutor = "dask"\n', 7, "run.executor: dask needs the cluster's address", "tcp://HOST:8786"),
    (
        B + '[run]\naddress = "tcp://127.0.0.1:8786"\n',
        7,
        'run.address: has no effect with executor = "inline"',
        'executor = "dask"',
    ),
    (B + '[run]\nexecutor = "dask"\naddress = "localhost"\n', 8, "run.address: is not of the right form", ""),
    (
        B + '[run]\nexecutor = "dask"\naddress = "tcp://a:1"\nsecurity = "a.toml"\n',
        9,
        "run.security: stands beside an address that is not tls://",
        "tls://",
    ),
    (
        B + '[serve]\nhosts = ["a.example", "http://b.example"]\n',
        7,
        "serve.hosts[1]: is not what a client sends",
        "name alone",
    ),
    (B + '[serve]\nhosts = ["*"]\n', 7, "serve.hosts[0]: is not what a client sends", "no *"),
    (
        B + '[serve]\nhosts = ["a.example", "A.Example"]\n',
        7,
        "serve.hosts[1]: lists 'A.Example' a second time",
        "Keep one",
    ),
    (B + '[serve]\norigins = ["https://a.example/"]\n', 7, "serve.origins[0]: is not of the right form", ""),
    (B + '[serve]\nlog_features = ["canceled"]\n', 7, "serve.log_features[0]: is the label", "/feedback"),
    (B + 'drop = ["a"]\n[serve]\nlog_features = ["b", "a"]\n', 8, "serve.log_features[1]: is dropped", "Leave it out"),
    (B + '[serve]\nlog_features = ["b", "b"]\n', 7, "serve.log_features[1]: lists 'b' a second time", "Keep one"),
    (B + "[serve]\nport = 70000\n", 7, "serve.port: must be", ""),
    (B + "[serve.limits]\nrate = 0\n", 7, "serve.limits.rate: must be", ""),
    (
        B + '[train]\nmodels = [\n  "tree",\n  "lightgmb",\n]\n',
        9,
        "train.models[1]: is not a family",
        "Did you mean 'lightgbm'? Families: dummy, tree",
    ),
    (B + '[train]\nmodels = ["qqqqqqqq"]\n', 7, "train.models[0]: is not a family", "Families: dummy, tree"),
    (B + '[train]\nmodels = ["Tree"]\n', 7, "train.models[0]: is not a family", "Did you mean 'tree'?"),
    (B + '[train]\nmodels = ["tree", "svc", "tree"]\n', 7, "train.models[2]: lists 'tree' a second time", "Keep one"),
    (B + f"[train]\nmodels = {['tree'] * 10_000}\n", 7, "train.models: has 10000 items; the limit is 32", ""),
    (B + "[train.search.forest]\nx = [1]\n", 6, "train.search.forest: is not a family", "Did you mean 'random_forest'"),
    (B + '[train]\nmetric = "auc"\n', 7, "train.metric: is not a metric", "accuracy, balanced_accuracy"),
    (B + "[gate]\nmin = { roc_acu = 0.8 }\n", 7, "gate.min.roc_acu: is not a metric", "Did you mean 'roc_auc'"),
    (B + '[train]\nmetric = "expected_cost"\n', 7, "train.metric: expected_cost needs [decision] cost", "Write what"),
    (B + 'drop = ["a", "canceled"]\n', 6, "data.drop[1]: drops the label column", "Remove it"),
    (B + 'types = { canceled = "id" }\n', 6, "data.types.canceled: is the label", ""),
    (B + 'formats = { canceled = "%Y" }\n', 6, "data.formats.canceled: is the label", ""),
    (B + "[split]\ntest = 0\n", 7, "split.test: must be greater than 0", ""),
    (B + "[split]\ntest = 1\n", 7, "split.test: must be less than 1", ""),
    (B + "[split]\ntest = -1\n", 7, "split.test: must be greater than 0", ""),
    (B + "[split]\ntest = nan\n", 7, "split.test: must be a finite number", ""),
    (B + "[split]\nfolds = 0\n", 7, "split.folds: must be at least 1", ""),
    (B + "[split]\nseed = -1\n", 7, "split.seed: must be at least 0", ""),
    (B + "[train]\ntrials = 0\n", 7, "train.trials: must be at least 1", ""),
    (
        B + "[train.search.tree]\nmax_depth = { int = [9, 2] }\n",
        7,
        "train.search.tree.max_depth.int: begins above its end",
        "Write [low, high].",
    ),
    (
        B + "[train.search.tree]\na = { float = [0.0, 2.0], log = true }\n",
        7,
        "train.search.tree.a.float: must begin above 0",
        "",
    ),
    (B + "[train.search.tree]\na = { int = [1, 2, 3] }\n", 7, "train.search.tree.a.int: must be [low, high]", ""),
    (B + "[train.search.tree]\na = { int = [1, 2.5] }\n", 7, "train.search.tree.a.int[1]: must be a whole number", ""),
    (
        B + "[train.search.tree]\na = { int = [1, 6], step = 2 }\n",
        7,
        "train.search.tree.a.step: does not lead from",
        "",
    ),
    (
        B + "[train.search.tree]\na = { integer = [1, 6] }\n",
        7,
        "train.search.tree.a: must be a list of values, { int",
        "",
    ),
    (B + "[train.search.tree]\na = 3\n", 7, "train.search.tree.a: must be a list of values, { int", ""),
    (
        B + "[train.search.tree]\na = { int = [1, 6], lgo = true }\n",
        7,
        "train.search.tree.a.lgo: is not a key of",
        "Did you mean 'log'?",
    ),
    (B + "[train.search.tree]\na = []\n", 7, "train.search.tree.a: must have at least 1 item(s)", ""),
    (B + "[train.search.tree]\na = [1, 2, 1]\n", 7, "train.search.tree.a[2]: stands in the list a second time", ""),
    (
        B + "[train.search.tree]\na = {0}\nb = {0}\nc = {0}\n".replace("{0}", str(list(range(30)))),
        6,
        "is a grid of 27,000 points; the limit is 10,000",
        "",
    ),
    (
        B + 'drop = ["Agent"]\ntypes = { agent = "id" }\n',
        7,
        "data.types.agent: differs from another key's column only by case",
        "",
    ),
    (B + 'drop = ["a", "A"]\n', 6, "data.drop[1]: differs from another key's column only by case", ""),
    (B + 'drop = ["a", "a"]\n', 6, "data.drop[1]: names a column a second time", ""),
    (
        B + 'types = { a = "id" }\nformats = { a = "%Y" }\n',
        7,
        "data.formats.a: has a date format but is declared id",
        "",
    ),
    (B + 'formats = { a = "dd/mm" }\n', 6, "data.formats.a: is not a strptime format", "%d/%m/%Y"),
    (B + "clean = ['cleaning.fix']\n", 6, "data.clean[0]: is not of the form module:function", ""),
    (B + 'table = "a"\nquery = "select 1"\n', 7, "data.query: stands beside table", ""),
    (B + '[split]\nby = "day"\n', 7, "split.by: has no meaning in a random split", ""),
    (B + '[split]\nkind = "time"\n', 6, 'split.by: is required with kind = "time"', "Name the column of dates."),
    (B + '[split]\nkind = "group"\nby = "canceled"\n', 8, "split.by: is the label column", ""),
    (
        B + '[data.types]\nday = "id"\n[split]\nkind = "time"\nby = "day"\n',
        7,
        "data.types.day: is id, and [split] orders rows",
        "",
    ),
    (
        B + '[decision]\nthreshold = 0.5\nmaximize = "f1"\n',
        8,
        "decision.maximize: stands beside threshold",
        "Keep one of",
    ),
    (B + "[decision]\ncost = { false_positive = 1 }\n", 7, "decision.cost: lacks false_negative", ""),
    (B + "[decision]\ncost = { fp = 1, fn = 2 }\n", 7, "decision.cost.fp: is not a known key", "'false_positive'"),
    (
        B + "[decision]\ncost = { false_positive = 0, false_negative = 0 }\n",
        7,
        "decision.cost: says that no mistake costs",
        "",
    ),
    (
        B + '[decision]\nthreshold = 0.5\nrule = "estimator"\n',
        7,
        'decision.threshold: has no effect with rule = "estimator"',
        "",
    ),
    (B + '[audit]\nallow = { a = "" }\n', 7, "audit.allow.a: must have at least 3 characters", ""),
    (
        B.replace('name = "hotel"', 'name = "hotel"\nformat = 2'),
        3,
        "project.format: this Tahona reads format 1, and the file has a newer one",
        "Upgrade Tahona.",
    ),
    (
        B.replace('name = "hotel"', 'name = "hotel"\nformat = 0'),
        3,
        "project.format: this Tahona reads format 1",
        "Write format = 1.",
    ),
    (
        B.replace("data.csv", "/etc/hotel.csv"),
        5,
        "data.source: is a file outside the project's folder",
        "allow_outside = true",
    ),
    (B.replace("data.csv", "../hotel.csv"), 5, "data.source: is a file outside the project's folder", ""),
    (B.replace("data.csv", "a/../../hotel.csv"), 5, "data.source: is a file outside the project's folder", ""),
    (
        B.replace("data.csv", "sqlite:////etc/hotel.db?table=a"),
        5,
        "data.source: is a file outside the project's folder",
        "",
    ),
    (B.replace("data.csv", r"a\u0000b"), 5, "data.source: holds a control character", ""),
    (
        B + 'sheet = "${NO_SUCH}"\n',
        6,
        "data.sheet: reads the environment variable NO_SUCH, which is not set",
        "Set NO_SUCH first.",
    ),
    (B + 'sheet = "${}"\n', 6, "data.sheet: has a `${` that no variable's name", ""),
    (B + 'sheet = "${A"\n', 6, "data.sheet: has a `${` that no variable's name", ""),
    (B + "[env]\nprod = 3\n", 6, "env: must hold one table per environment", "[env.NAME.section]"),
    (
        B + "[env.prod.stores]\nlegder = 'x'\n",
        7,
        "env.prod.stores.legder: is not a key of [stores]",
        "Did you mean 'ledger'?",
    ),
]


@pytest.mark.parametrize(("text", "line", "says", "fix"), ROWS, ids=[row[2][:60] for row in ROWS])
def test_a_mistake_is_told_with_line_key_and_remedy(tmp_path: Path, text: str, line: int, says: str, fix: str) -> None:
    error = refusal(tmp_path, text, environ={})
    assert says in error.what
    assert fix in error.fix or fix[:1].lower() + fix[1:].rstrip(".") in error.what
    assert error.where == f"{tmp_path / 'tahona.toml'}:{line}"
    assert "hunter22" not in str(error)


def test_all_mistakes_are_told_at_once_in_reading_order(tmp_path: Path) -> None:
    text = B + '[train]\nmetric = "auc_roc"\ntrails = 2\nmodels = ["tre"]\n[split]\ntest = 7\nby = "${NOPE}"\n'
    error = refusal(tmp_path, text, environ={}, overrides=["run.workers=0"])
    keys = re.findall(r"^  (?:.*tahona\.toml:(\d+)|--set \S+): ([\w.\[\]]+): ", error.what, re.MULTILINE)
    assert keys == [
        ("7", "train.metric"),
        ("8", "train.trails"),
        ("9", "train.models[0]"),
        ("11", "split.test"),
        ("12", "split.by"),
        ("", "run.workers"),
    ]
    assert error.what.startswith("6 things are wrong")


def test_an_error_never_repeats_a_value_of_the_file(tmp_path: Path) -> None:
    secret = "hunter22"
    text = f"""
[project]
name = "a {secret}"
target = ["{secret}"]
language = "{secret}"
[data]
source = "/{secret}"
types = {{ a = "{secret}" }}
decimal = "{secret}"
[train]
metric = "{secret}"
models = ["{secret}"]
[split]
kind = "{secret}"
seed = "{secret}"
"""
    error = refusal(tmp_path, text)
    assert error.what.startswith("9 things are wrong")
    assert secret not in str(error)


def test_ten_thousand_mistakes_are_told_briefly_and_quickly(tmp_path: Path) -> None:
    started = time.process_time()
    error = refusal(tmp_path, B + "[train]\n" + "".join(f"trial{number} = 1\n" for number in range(10_000)))
    assert "10000 things are wrong" in error.what
    assert "and 9980 more" in error.what
    assert len(str(error)) < 10_000
    assert time.process_time() - started < 5


def test_a_long_or_strange_key_is_shortened_and_escaped(tmp_path: Path) -> None:
    error = refusal(tmp_path, B + f'"{"k" * 100_000}\\u001b[31m" = 1\n')
    assert len(str(error)) < 1000
    assert "\x1b" not in str(error)


def test_a_source_behind_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "project", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    (inside / "raw").symlink_to(outside)
    error = refusal(inside, B.replace("data.csv", "raw/hotel.csv"))
    assert "data.source: leads outside the project's folder through a symbolic link" in error.what


def test_a_source_outside_is_read_where_someone_takes_the_responsibility(tmp_path: Path) -> None:
    outside = B.replace("data.csv", "../hotel.csv")
    assert load(tmp_path, outside + "allow_outside = true\n").project.data.source == "../hotel.csv"
    load(tmp_path, B.replace("data.csv", "${DATA}/hotel.csv"), environ={"DATA": "/mnt"})
    load(tmp_path, B, overrides=["data.source=/mnt/hotel.csv"])


def test_a_path_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=re.escape("cannot be read (File name too long)")) as caught:
        load_project(tmp_path / ("x" * 3000))
    assert len(str(caught.value)) < 1000


def test_a_ring_of_links_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    assert load(tmp_path, B.replace("data.csv", "ring/hotel.csv")).project.data.source == "ring/hotel.csv"


def test_a_grid_without_end_is_counted_roughly(tmp_path: Path) -> None:
    error = refusal(
        tmp_path, B + "[train.search.tree]\n" + "".join(f"p{number} = [1, 2]\n" for number in range(20_000))
    )
    assert "train.search.tree: is a grid of over 10^12 points" in error.what


def test_an_unknown_environment_is_told_with_those_there_are(tmp_path: Path) -> None:
    error = refusal(tmp_path, B + "[env.prod.train]\ntrials = 3\n[env.test.train]\ntrials = 1\n", env="prd")
    assert "there is no environment 'prd'; the file has: 'prod', 'test'" in error.what
    assert error.fix == "Did you mean 'prod'?"


@pytest.mark.parametrize("override", ["train.trials", "=3", "", "a b=3", "a.=3", "[x]\ny=3"])
def test_an_override_without_a_key_is_refused(tmp_path: Path, override: str) -> None:
    error = refusal(tmp_path, B, overrides=[override])
    assert (error.what, error.where) == ("an override must be key=value", "--set")


def test_a_mistake_in_an_override_is_placed_on_the_command_line(tmp_path: Path) -> None:
    error = refusal(tmp_path, B + "[train]\ntrials = 3\n", overrides=["train.trials=none"])
    assert (error.where, error.what) == ("--set train.trials", "train.trials: must be a whole number")


def test_a_mistake_in_an_overlay_is_placed_in_the_overlay(tmp_path: Path) -> None:
    text = B + "[train]\ntrials = 3\n[env.prod.train]\ntrials = 0\n"
    load(tmp_path, text)
    assert refusal(tmp_path, text, env="prod").where.endswith(":9")
