"""The ledger in MLflow: real databases, MLflow's real server and client, real runs, processes really killed."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from killing import KILLED, nursery
from mlflow_servers import IN_SQLITE, MlflowServer, empty_database, mlflow_python, running_server, unpooled
from postgres_servers import PostgresServer, postgres_server
from processes import race
from projects import Command, quick_table, states, write_project

from tahona import load_bundle
from tahona.core.records import TrialRecord
from tahona.errors import InputError, RefusedError, SetupError
from tahona.ledgers.mlflow import MlflowLedger, open_ledger
from tahona.ledgers.mlflow_address import parse_address
from tahona.ledgers.mlflow_server import REQUIREMENTS
from tahona.ports import Gallery
from tahona.testing import LedgerContract
from tahona.testing.ledger_suite import a_move, a_run, a_version

ROOT = Path(__file__).resolve().parents[1]
LEDGER = "stores.ledger=mlflow+sqlite:///.tahona/mlflow.db"


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return empty_database(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> Iterator[MlflowServer]:
    with running_server(tmp_path_factory.mktemp("mlflow_server"), empty) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="session")
def template(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a PostgreSQL database with MLflow's empty tables; a copy of it is made at once."""
    name = postgres.database()
    with unpooled():
        open_ledger(f"mlflow+{postgres.url(name)}", tmp_path_factory.mktemp("mlflow_postgres"))
    return name


@pytest.fixture
def folder(tmp_path: Path, empty: Path) -> Path:
    """A folder with an empty MLflow database."""
    shutil.copyfile(empty, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def ledger(folder: Path) -> MlflowLedger:
    return open_ledger(IN_SQLITE, folder)


def asked(address: str) -> object:
    """Return MLflow's own client at this address."""
    from mlflow import MlflowClient

    return MlflowClient(address, address)


class TestMlflowLedgerInSqlite(LedgerContract):
    @pytest.fixture
    def ledger(self, folder: Path) -> MlflowLedger:
        return open_ledger(IN_SQLITE, folder)


@pytest.mark.slow
class TestMlflowLedgerOnAServer(LedgerContract):
    @pytest.fixture
    def ledger(self, server: MlflowServer, tmp_path: Path) -> MlflowLedger:
        server.clear()
        return open_ledger(f"mlflow+{server.url}", tmp_path)


@pytest.mark.slow
class TestMlflowLedgerInPostgres(LedgerContract):
    @pytest.fixture
    def ledger(self, postgres: PostgresServer, template: str, tmp_path: Path) -> MlflowLedger:
        name = postgres.database()
        postgres.ask(f"DROP DATABASE {name}")
        postgres.ask(f"CREATE DATABASE {name} TEMPLATE {template}")
        with unpooled():
            return open_ledger(f"mlflow+{postgres.url(name)}", tmp_path)


def test_client_and_server_are_of_one_minor_version() -> None:
    """They look at the same tables, and MLflow refuses those of another revision."""
    pinned = re.search(r"^mlflow==(\d+\.\d+)\.", REQUIREMENTS.read_text("utf-8"), re.MULTILINE)
    assert pinned is not None
    assert version("mlflow-skinny").startswith(f"{pinned[1]}.")


def test_a_long_record_is_laid_out_in_several_tags(ledger: MlflowLedger) -> None:
    """A hundred rows of a leaderboard and a long reason come back whole, and a shorter record after a longer one."""
    rows = tuple({"model": f"m{n}", "metric": "f1", "value": n / 7, "params": {"x": "ä" * 100}} for n in range(100))
    long = replace(a_run(), leaderboard=rows)
    ledger.save_run(long)
    assert list(ledger.runs()) == [long]
    ledger.save_run(a_run())
    assert list(ledger.runs()) == [a_run()]
    ledger.add_version(a_version())
    move = replace(a_move(1, 0), why="because " * 2000)
    ledger.move_alias(move)
    assert list(ledger.history("hotel")) == [move]


def test_mlflow_shows_what_a_person_looks_for(ledger: MlflowLedger, folder: Path) -> None:
    ledger.save_run(a_run())
    client = asked(f"sqlite:///{folder}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("hotel").experiment_id])
    assert run.info.run_name == "hotel-1"
    assert run.info.status == "FINISHED"
    assert run.data.params["train.metric"] == "roc_auc"
    assert run.data.params["train.models"] == '["tree", "svc"]'
    assert run.data.metrics["test/roc_auc"] == 0.1 + 0.2
    assert run.data.metrics["test/roc_auc/low"] == 0.25
    assert run.data.metrics["test/svc/precision"] == 1.0
    assert run.data.metrics["folds/tree/roc_auc"] == 0.9


def some_trials() -> tuple[TrialRecord, ...]:
    trials = [TrialRecord("tree", n, {"max_depth": n}, "f1", n / 10, "done") for n in range(3)]
    return (*trials, TrialRecord("svc", 0, {"C": 1}, "f1", None, "failed"))


def test_trials_are_nested_and_never_doubled(ledger: MlflowLedger, folder: Path) -> None:
    """Saved twice, and after a death that left one half done, each trial stands there once and whole."""
    (folder / "report.html").write_text("<html>")
    files = {"report.html": folder / "report.html", "figures/roc.png": folder / "report.html"}
    client = asked(f"sqlite:///{folder}/mlflow.db")
    for _ in range(2):
        ledger.show_run(a_run(), some_trials(), files)
        ledger.save_run(a_run())
        experiment = client.get_experiment_by_name("hotel").experiment_id
        (run,) = client.search_runs([experiment], "tags.`tahona.run` = 'hotel-1'")
        children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
        assert sorted(child.info.run_name for child in children) == ["svc 0", "tree 0", "tree 1", "tree 2"]
        assert {child.info.run_name: child.info.status for child in children}["svc 0"] == "FAILED"
        last = next(child for child in children if child.info.run_name == "tree 2")
        assert (last.info.status, last.data.params, last.data.metrics) == ("FINISHED", {"max_depth": "2"}, {"f1": 0.2})
        client.update_run(last.info.run_id, status="RUNNING")
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["figures", "report.html"]
    assert list(ledger.runs()) == [a_run()]


def test_metrics_have_one_value_however_often_a_run_is_saved(ledger: MlflowLedger, folder: Path) -> None:
    for second in (1, 2):
        ledger.save_run(replace(a_run(), finished=f"2026-01-01T00:02:0{second}+00:00"))
    client = asked(f"sqlite:///{folder}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("hotel").experiment_id])
    assert len(client.get_metric_history(run.info.run_id, "test/roc_auc")) == 1


def test_people_may_use_the_same_mlflow(ledger: MlflowLedger, folder: Path) -> None:
    """Runs and versions that others made there are not taken for Tahona's, and none of them is lost."""
    client = asked(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("hotel")
    client.create_run(experiment, run_name="by hand")
    client.create_registered_model("hotel")
    client.create_model_version("hotel", "somewhere")
    ledger.save_run(a_run())
    assert list(ledger.runs()) == [a_run()]
    assert ledger.add_version(a_version()).number == 2
    assert [each.number for each in ledger.versions("hotel")] == [2]


def test_a_champion_that_somebody_moved_in_mlflow_is_not_overlooked(ledger: MlflowLedger, folder: Path) -> None:
    for run in ("hotel-1", "hotel-2", "hotel-3"):
        ledger.add_version(a_version(run))
    ledger.move_alias(a_move(1, 0))
    asked(f"sqlite:///{folder}/mlflow.db").set_registered_model_alias("hotel", "champion", "2")
    assert ledger.versions("hotel")[1].aliases == ("champion",)
    with pytest.raises(RefusedError, match="points at version 2 by now"):
        ledger.move_alias(a_move(3, 1))
    ledger.move_alias(a_move(3, 2))
    assert [event.version for event in ledger.history("hotel")] == [1, 3]


def test_a_deleted_experiment_is_named_with_the_way_back(ledger: MlflowLedger, folder: Path) -> None:
    ledger.save_run(a_run())
    client = asked(f"sqlite:///{folder}/mlflow.db")
    client.delete_experiment(client.get_experiment_by_name("hotel").experiment_id)
    with pytest.raises(SetupError, match="mlflow experiments restore"):
        ledger.save_run(a_run())


@pytest.mark.parametrize("url", ["mlflow+file:///tmp/mlruns", "mlflow+./mlruns", "mlflow:sqlite:///x.db", "mlflow"])
def test_the_store_of_plain_files_and_riddles_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="server, or a database"):
        open_ledger(url, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    ["mlflow+http://anna:s3cret@127.0.0.1:9", "mlflow+postgresql://anna:s3cret@127.0.0.1:9/mlflow?connect_timeout=3"],
)
def test_what_does_not_answer_is_named_soon_and_without_its_password(url: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(SetupError, match="cannot be used") as caught:
        open_ledger(url, tmp_path)
    assert time.monotonic() - begun < 60
    assert "127.0.0.1:9" in caught.value.where
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__}"


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this is a letter, not a database" * 100)
    with pytest.raises(SetupError, match="not a database") as caught:
        open_ledger(IN_SQLITE, tmp_path)
    assert str(tmp_path / "mlflow.db") in caught.value.where


def test_figures_and_models_go_where_the_address_says(tmp_path: Path) -> None:
    there = parse_address(f"{IN_SQLITE}?artifacts=s3://ml/mlflow", tmp_path)
    assert there.artifacts == "s3://ml/mlflow"
    assert there.tracking.endswith("/mlflow.db")
    assert parse_address(IN_SQLITE, tmp_path).artifacts == (tmp_path / ".tahona" / "mlflow_artifacts").as_uri()
    assert parse_address("mlflow+https://mlflow.example", tmp_path).artifacts is None


RACE = """
import sys
from pathlib import Path
from tahona.ledgers.mlflow import open_ledger
from tahona.testing.ledger_suite import a_version
ledger = open_ledger("mlflow+sqlite:///mlflow.db", Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print([ledger.add_version(a_version(run)).number for run in sys.argv[2:]])
"""


@pytest.mark.slow
def test_versions_are_numbered_without_gap_or_double_by_processes_at_once(folder: Path) -> None:
    """Each registers a run of its own, and one that all of them register."""
    said = race(RACE, *((folder, f"hotel-{n}", "hotel-all", f"hotel-{n}-too") for n in range(4)))
    numbers = [json.loads(each) for each in said]
    assert {each[1] for each in numbers} == {numbers[0][1]}
    own = [number for each in numbers for number in (each[0], each[2])]
    assert sorted([*own, numbers[0][1]]) == list(range(1, 10))


DYING = """
import os, shutil, signal, sys
from pathlib import Path
from tahona.ledgers.mlflow import open_ledger
from tahona.testing.ledger_suite import a_move, a_run, a_version
from tahona.core.records import TrialRecord

folder, empty = Path(sys.argv[1]), Path(sys.argv[2])
TRIALS = [TrialRecord("tree", n, {"depth": n}, "f1", n / 10, "done") for n in range(2)]
WRITES = ("create_experiment", "create_run", "log_batch", "log_artifacts", "set_terminated", "update_run", "set_tag",
          "create_registered_model", "create_model_version", "set_registered_model_tag", "set_registered_model_alias")

def doom(client, number, after):
    seen = [0]
    def wrap(method):
        def call(*words, **named):
            seen[0] += 1
            if seen[0] == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = method(*words, **named)
            if seen[0] == number and after:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call
    for name in WRITES:
        setattr(client, name, wrap(getattr(client, name)))
    return seen

def live(ledger):
    (ledger_moved := [event.version for event in ledger.history("hotel")])
    ledger.save_run(a_run())
    ledger.show_run(a_run(), TRIALS, {"report.html": empty})
    number = ledger.add_version(a_version()).number
    if number not in ledger_moved:
        ledger.move_alias(a_move(number, 0))

def fate(number, after):
    home = folder / f"{number}-{after}"
    home.mkdir()
    shutil.copyfile(empty, home / "mlflow.db")
    child = os.fork()
    if child == 0:
        ledger = open_ledger("mlflow+sqlite:///mlflow.db", home)
        seen = doom(ledger._client, number, after)
        live(ledger)
        os._exit(0)
    return home, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def judge(home):
    ledger = open_ledger("mlflow+sqlite:///mlflow.db", home)
    moved = [event.version for event in ledger.history("hotel")]
    champions = [each.number for each in ledger.versions("hotel") if "champion" in each.aliases]
    assert moved == champions, (home, moved, champions)
    live(ledger)
    assert list(ledger.runs()) == [a_run()], home
    assert [each.number for each in ledger.versions("hotel")] == [1], home
    assert ledger.versions("hotel")[0].aliases == ("champion",), home
    assert list(ledger.history("hotel")) == [a_move(1, 0)], home
    client = ledger._client
    runs = client.search_runs([client.get_experiment_by_name("hotel").experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["hotel-1", "tree 0", "tree 1"], home
    assert {run.info.status for run in runs} == {"FINISHED"}, home

number, deaths = 1, 0
while True:
    ends = []
    for after in (False, True):
        home, code = fate(number, after)
        ends.append(code)
        judge(home)
        shutil.rmtree(home)
    deaths += ends.count(-signal.SIGKILL)
    if ends == [0, 0]:
        break
    assert ends == [-signal.SIGKILL] * 2, ends
    number += 1
print(deaths)
"""


@pytest.mark.slow
def test_a_death_at_any_write_leaves_nothing_half_done(tmp_path: Path, empty: Path) -> None:
    """Killed before and after every single write to MLflow: the alias and its history agree, and going on heals all."""
    done = subprocess.run(
        [sys.executable, "-c", DYING, tmp_path, empty], capture_output=True, text=True, check=False, timeout=540
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) >= 30


@pytest.mark.slow
def test_a_run_killed_between_registering_and_alias_goes_on(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every writing method of the ledger takes its lock: killed at each, the next `tahona run` ends the same."""
    # the database's file is another each time: MLflow must not keep a connection to the one before
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    words = ("run", "-C", project, "--set", LEDGER, "--json")
    open_ledger("mlflow+sqlite:///.tahona/mlflow.db", project)
    clean = shutil.copytree(project, tmp_path / "clean")
    with nursery(tmp_path) as children:
        ends = []
        for number in range(2, 20):  # the first lock is taken to open the ledger
            shutil.rmtree(project)
            shutil.copytree(clean, project)
            ends.append(children.run(*words, number=number, path="mlflow.db.lock"))
            if ends[-1] == 0:
                break
            assert ends[-1] == KILLED
            assert children.run(*words) == 0
            ledger = open_ledger("mlflow+sqlite:///.tahona/mlflow.db", project)
            (version,) = ledger.versions("quick")
            assert (version.number, version.aliases) == (1, ("champion",))
            assert [event.version for event in ledger.history("quick")] == [1]
            assert [run.status for run in ledger.runs()] == ["done"]
    assert len(ends) >= 6  # running, model, version, alias, trials, done; then one that lives
    assert ends[-1] == 0


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, example: object, tahona: Command) -> Path:
    """The breast-cancer example after its run with a ledger in MLflow. Read it, do not change it."""
    folder = example(tmp_path_factory.mktemp("tracked") / "breast_cancer")
    answer = tahona("run", "-C", folder, "--set", LEDGER, "--json")
    assert answer.code == 0, answer.stderr
    assert "mlflow" not in answer.stderr.lower(), "MLflow speaks where Tahona should"
    (folder / "run.json").write_text(answer.stdout, "utf-8")
    return folder


def without_times(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_the_breast_cancer_run_is_read_back_and_shown(tracked: Path, finished: Path, tahona: Command) -> None:
    there = json.loads((finished / "run.json").read_text("utf-8"))
    shown = tahona("leaderboard", "-C", tracked, "--set", LEDGER, "--json").document
    assert without_times(shown["leaderboard"]) == without_times(there["leaderboard"])
    again = tahona("run", "-C", tracked, "--set", LEDGER, "--json")
    assert set(states(again).values()) == {"cached"}
    client = asked(f"sqlite:///{tracked}/.tahona/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("breast_cancer").experiment_id])
    nested = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(nested) == 72 + 12 + 12 + 3 + 1  # the four grids, and the dummy
    assert len(runs) == len(nested) + 1
    (top,) = (run for run in runs if run not in nested)
    found = {file.path for file in client.list_artifacts(top.info.run_id)}
    assert {"report.html", "report.md", "model_card.md", "figures", "model"} <= found
    assert client.get_model_version_by_alias("breast_cancer", "champion").run_id == top.info.run_id


@pytest.mark.slow
def test_promotion_rollback_and_history(project: Path, tahona: Command) -> None:
    """What MLflow lacks is shown by Tahona's own commands, and MLflow's alias follows."""
    common = ("-C", project, "--set", LEDGER)

    def champion() -> str:
        return asked(f"sqlite:///{project}/.tahona/mlflow.db").get_model_version_by_alias("quick", "champion").version

    assert tahona("run", *common).code == 0
    assert tahona("run", *common, "--set", "split.seed=7", "--set", "gate.min={roc_auc=0.999}").code == 0
    assert int(champion()) == 1
    assert tahona("promote", "2", *common).code == 3
    assert tahona("promote", "2", *common, "--override", "wanted in autumn").code == 0
    assert int(champion()) == 2
    assert tahona("rollback", *common, "--why", "worse after all").code == 0
    assert int(champion()) == 1
    moves = tahona("history", *common, "--json").document["history"]
    assert [(move["alias"], move["version"], move["action"]) for move in moves] == [
        ("champion", 1, "register"),
        ("challenger", 2, "register"),
        ("champion", 2, "override"),
        ("champion", 1, "rollback"),
    ]
    assert [move["why"] for move in moves][-2:] == ["wanted in autumn", "worse after all"]
    assert [model["gate_passed"] for model in tahona("models", *common, "--json").document["models"]] == [False, True]


RAW = """\
[project]
name = "raw"
target = "label"
positive = "yes"

[data]
source = "table.csv"
clean = ["tidy.rules:add_ratio"]

[split]
folds = 3

[train]
metric = "roc_auc"
models = ["lightgbm"]
trials = 2

[train.search.lightgbm]
learning_rate = [0.1]
n_estimators = [20]
"""
RULES = """
from tidy.small import ratio

def add_ratio(frame):
    return frame.assign(ratio=ratio(frame["size"], frame["weight"]))
"""
SMALL = """
def ratio(a, b):
    return a / (b.abs() + 1)
"""
ASK = """
import sys, warnings
import pandas as pd
import mlflow
warnings.simplefilter("ignore")
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/raw@champion")
for file in sys.argv[2:]:
    model.predict(pd.read_parquet(file)).to_parquet(f"{file}.said")
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory, tahona: Command) -> Path:
    """A project with nulls, whole numbers, codes, categories and a function of its own in front of LightGBM."""
    table = quick_table()
    rng = np.random.default_rng(1)
    table["rooms"] = rng.integers(1, 5, len(table))
    table["agent"] = rng.choice([9.0, 240.0, np.nan], len(table))
    table["company"] = rng.choice(["acme", None], len(table))
    folder = tmp_path_factory.mktemp("raw") / "raw"
    write_project(folder, RAW, table)
    (folder / "tidy").mkdir()
    (folder / "tidy" / "rules.py").write_text(RULES)
    (folder / "tidy" / "small.py").write_text(SMALL)
    answer = tahona("run", "-C", folder, "--set", LEDGER)
    assert answer.code == 0, answer.stderr
    return folder


def batches(folder: Path) -> Iterator[pd.DataFrame]:
    """Yield raw rows as people send them: all, one, and some where a column is empty or has no null left."""
    table = pd.read_csv(folder / "table.csv")
    yield table
    yield table.head(1)
    yield table[table["agent"].isna()].drop(columns="label").reset_index(drop=True)
    full = table.dropna().reset_index(drop=True)
    yield full.astype({"agent": "int64"})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_mlflow_loads_the_champion_and_answers_as_the_bundle_does(raw: Path, tmp_path: Path) -> None:
    """Bit for bit, on raw rows, behind the project's own function; in this environment, and in MLflow's own."""
    import mlflow

    own = load_bundle("raw@champion", project=raw, overrides=[LEDGER])
    where = f"sqlite:///{raw}/.tahona/mlflow.db"
    mlflow.set_tracking_uri(where)
    model = mlflow.pyfunc.load_model("models:/raw@champion")
    assert set(model.metadata.signature.inputs.input_names()) == set(pd.read_csv(raw / "table.csv")) - {"label"}
    files = []
    for number, rows in enumerate(batches(raw)):
        expected = own.predict(rows).drop(columns="version")
        pd.testing.assert_frame_equal(model.predict(rows), expected, check_exact=True)
        files.append(tmp_path / f"{number}.parquet")
        rows.to_parquet(files[-1])
    done = subprocess.run(
        [mlflow_python(), "-c", ASK, where, *files],
        env={"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for file in files:
        expected = own.predict(pd.read_parquet(file)).drop(columns="version")
        answer = pd.read_parquet(f"{file}.said")
        pd.testing.assert_frame_equal(answer, expected, check_exact=True, check_dtype=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_a_model_that_was_changed_in_mlflow_is_not_loaded(raw: Path, tmp_path: Path) -> None:
    """One bit of the bundle, or another line in the function that stands before it."""
    from tahona.errors import IntegrityError
    from tahona.ledgers.mlflow_model import _load_pyfunc

    (data,) = (raw / ".tahona" / "mlflow_artifacts").rglob("data/tahona")
    for name, position in (("*.tahona", 1000), ("modules/tidy/small.py", SMALL.index("+ 1") + 2)):
        place = Path(shutil.copytree(data, tmp_path / name.strip("*.").replace("/", "_")))
        assert len(_load_pyfunc(str(place)).predict(pd.read_csv(raw / "table.csv"))) == 240
        (file,) = place.glob(name)
        content = bytearray(file.read_bytes())
        content[position] ^= 2
        file.write_bytes(content)
        with pytest.raises(IntegrityError):
            _load_pyfunc(str(place))


def test_nothing_of_the_model_is_pickled(ledger: MlflowLedger, folder: Path, finished: Path) -> None:
    assert isinstance(ledger, Gallery)
    bundle = next(file for file in (finished / ".tahona" / "artifacts").rglob("*") if is_bundle(file))
    for _ in range(2):
        ledger.show_model(a_version(), bundle, {})
    (home,) = (folder / ".tahona" / "mlflow_artifacts").rglob("model")
    names = {file.name for file in home.rglob("*") if file.is_file()}
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib", ".cloudpickle"))]
    said = (home / "MLmodel").read_text("utf-8")
    assert "loader_module: tahona.ledgers.mlflow_model" in said
    assert "predicts: target" in said
    assert "scikit-learn==" in (home / "requirements.txt").read_text("utf-8")


def is_bundle(file: Path) -> bool:
    import zipfile

    if not file.is_file() or not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return "bundle.json" in archive.namelist()


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return bytes(answer.read())


@pytest.mark.slow
def test_the_ui_shows_this_projects_ledger_and_ends_when_asked(tracked: Path) -> None:
    """A server of MLflow's own environment on loopback: the run, its report, the champion; then nothing is left."""
    command = Path(sys.executable).with_name("tahona")
    mlflow_python()
    with subprocess.Popen(
        [command, "mlflow", "ui", "-C", tracked, "--set", LEDGER, "--port", "5077", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        assert said == {"url": "http://127.0.0.1:5077", "ledger": str(tracked / ".tahona" / "mlflow.db")}
        assert b"<title>MLflow</title>" in fetched(said["url"])
        api = f"{said['url']}/api/2.0/mlflow"
        alias = fetched(f"{api}/registered-models/alias?name=breast_cancer&alias=champion")
        run = json.loads(alias)["model_version"]["run_id"]
        report = fetched(f"{said['url']}/get-artifact?path=report.html&run_uuid={run}")
        assert report == (tracked / "reports" / "report.html").read_bytes()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    with pytest.raises(OSError, match="refused"):
        fetched(said["url"])


def test_the_ui_of_another_kind_of_ledger_is_refused(project: Path, here: Command) -> None:
    answer = here("mlflow", "ui", "-C", project)
    assert answer.code == 2
    assert "mlflow+sqlite" in answer.stderr


def test_the_ui_of_a_server_is_the_servers_own(project: Path, here: Command) -> None:
    words = ("--set", "stores.ledger=mlflow+http://anna:s3cret@mlflow.example:5000")
    answer = here("mlflow", "ui", "-C", project, *words, "--json")
    assert answer.document == {"url": "http://mlflow.example:5000", "ledger": "http://mlflow.example:5000"}
