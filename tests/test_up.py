"""Servers of one's own: `tahona up` starts real ones, keeps and mends them, and `tahona down` ends exactly those."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import psycopg
import pytest
from prefect_servers import ask
from projects import QUICK, Answer, Command, edit, states, write_project

from tahona.project.dotenv import read_servers
from tahona.project.load import load_project
from tahona.servers.running import MARK

ROOT = Path(__file__).resolve().parents[1]
slow = pytest.mark.slow
LOCAL = """
[env.local.up]
servers = ["s3", "postgres"]
make = { "made.txt" = ["python", "-c", "open('made.txt', 'a').write('once')"] }

[env.local.stores]
artifacts = "s3://quick/tahona"
ledger = "${TAHONA_POSTGRES_URL}"
"""
PAGES = '\n[env.pages.up]\nservers = ["mlflow", "prefect"]\n\n[env.pages.stores]\nledger = "${TAHONA_MLFLOW_URL}"\n'


@pytest.fixture
def place(tahona: Command) -> Iterator[Path]:
    """A folder that others may enter, as PostgreSQL's user must where the tests run as root; no server outlives it."""
    folder = Path(tempfile.mkdtemp(prefix="tahona-up-"))
    folder.chmod(0o755)
    yield folder
    for project in folder.iterdir():
        tahona("down", "-C", project)
    left = processes(folder)
    shutil.rmtree(folder)
    assert left == []


def processes(folder: Path) -> list[int]:
    """Return the processes that servers below the folder have started, by the mark in their environment."""
    marks = [re.search(r'"mark": "(\w+)"', file.read_text())[1] for file in folder.rglob("settings.json")]
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            held = environ.read_bytes()
        except OSError:
            continue
        found += [int(environ.parent.name) for mark in marks if f"{MARK}={mark}".encode() in held]
    return found


def servers(answer: Answer) -> dict[str, dict[str, Any]]:
    assert answer.code == 0, answer.stderr
    return {each["name"]: each for each in answer.document["servers"]}


def up(tahona: Command, folder: Path, env: str, *words: str) -> dict[str, dict[str, Any]]:
    return servers(tahona("up", "-C", folder, "--env", env, "--json", *words))


def secrets(folder: Path) -> list[str]:
    return [
        re.search(r'"secret": "(\w+)"', file.read_text())[1]
        for name in ("s3", "postgres")
        for file in folder.glob(f".tahona/servers/{name}/settings.json")
    ]


@slow
def test_a_project_runs_on_servers_of_its_own_and_nothing_is_left_of_them(place: Path, tahona: Command) -> None:
    """Up, run, up again, a server that is killed, down: data stays, nothing runs, and no secret is said."""
    folder = write_project(place / "quick", QUICK + LOCAL)
    waiting = tahona("run", "-C", folder, "--env", "local")
    assert waiting.code == 2
    assert "tahona up" in waiting.stderr
    begun = up(tahona, folder, "local")
    assert {name: (each["state"], each["started"]) for name, each in begun.items()} == {
        "s3": ("running", True),
        "postgres": ("running", True),
    }
    assert all("127.0.0.1" in each["address"] for each in begun.values())
    foreign = {"AWS_ACCESS_KEY_ID": "somebody-else", "AWS_SECRET_ACCESS_KEY": "elsewhere", "AWS_PROFILE": "none-such"}
    first = tahona("run", "-C", folder, "--env", "local", "--json", env=foreign)
    assert first.code == 0, first.stderr
    plain = tahona("run", "-C", folder, "--json")
    assert plain.document["run"] == first.document["run"]
    assert plain.document["test"] == first.document["test"]

    again = up(tahona, folder, "local")
    assert {name: (each["process"], each["started"]) for name, each in again.items()} == {
        name: (each["process"], False) for name, each in begun.items()
    }
    assert (folder / "made.txt").read_text() == "once"

    late = child_of(again["postgres"]["process"])
    os.kill(late, signal.SIGSTOP)  # it will see late that its parent is gone, and PostgreSQL does not start before
    for name in begun:
        os.kill(again[name]["process"], signal.SIGKILL)
    wait_until_gone(again)
    assert {each["state"] for each in up(tahona, folder, "local", "--status").values()} == {"gone"}
    threading.Timer(3, os.kill, (late, signal.SIGCONT)).start()
    mended = up(tahona, folder, "local")
    assert all(each["started"] and each["address"] == begun[name]["address"] for name, each in mended.items())
    after = tahona("run", "-C", folder, "--env", "local", "--json")
    assert after.document["nothing_to_do"]
    assert set(states(after).values()) == {"cached"}

    known = secrets(folder)
    assert len(known) == 2
    said = "".join(each.stdout + each.stderr for each in (waiting, first, plain, after))
    assert not [secret for secret in known if secret in said]
    for file in (path for path in folder.rglob("*") if path.is_file()):
        if any(secret.encode() in file.read_bytes() for secret in known):
            assert file.name in {"settings.json", "variables.env", "identities.json"}
            assert stat.S_IMODE(file.stat().st_mode) == 0o600

    assert {each["state"] for each in servers(tahona("down", "-C", folder, "--json")).values()} == {"stopped"}
    assert processes(folder) == []
    assert servers(tahona("down", "-C", folder, "--json")) == {}
    lost = tahona("run", "-C", folder, "--env", "local", env={"TAHONA_S3_TIMEOUT": "1"})
    assert lost.code == 4


def child_of(process: int) -> int:
    """Return a process that this one has started."""
    return int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])


def wait_until_gone(known: dict[str, dict[str, Any]]) -> None:
    end = time.monotonic() + 20
    for each in known.values():
        status = Path(f"/proc/{each['process']}/stat")
        while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < end
            time.sleep(0.1)


@slow
def test_the_pages_of_mlflow_and_prefect_are_served(place: Path, tahona: Command) -> None:
    folder = write_project(place / "quick", QUICK + PAGES)
    begun = up(tahona, folder, "pages")
    assert httpx.get(f"{begun['prefect']['address']}/api/health", trust_env=False).json() is True
    assert "MLflow" in httpx.get(begun["mlflow"]["address"], trust_env=False).text
    assert read_servers(folder, ["prefect"]) == {"PREFECT_API_URL": f"{begun['prefect']['address']}/api"}
    answer = tahona("run", "-C", folder, "--env", "pages", "--json")
    assert answer.code == 0, answer.stderr
    assert answer.document["version"] == 1  # MLflow prints nothing between
    assert not (folder / ".tahona" / "ledger.db").exists()
    os.kill(begun["mlflow"]["process"], signal.SIGKILL)  # its workers live on, and hold its port
    assert up(tahona, folder, "pages")["mlflow"]["started"]
    assert servers(tahona("down", "-C", folder, "--json")).keys() == {"mlflow", "prefect"}
    assert processes(folder) == []


@slow
def test_a_note_of_a_later_process_with_the_same_id_ends_nobody(place: Path, tahona: Command) -> None:
    """A process id alone is given out again: whoever has it now is left alone."""
    folder = write_project(place / "quick", QUICK + '\n[up]\nservers = ["s3"]\n')
    begun = servers(tahona("up", "-C", folder, "--json"))["s3"]
    (note,) = (folder / ".tahona" / "servers" / "s3").glob("process-*")
    assert tahona("down", "-C", folder).code == 0
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        note.with_name(note.name.replace(f"-{begun['process']}-", f"-{other.pid}-")).touch()
        assert servers(tahona("up", "-C", folder, "--status", "--json"))["s3"]["state"] == "gone"
        assert tahona("down", "-C", folder).code == 0
        assert other.poll() is None
        other.communicate(b"\n")
    assert not list(note.parent.glob("process-*"))


def test_variables_of_ones_own_servers_go_before_the_environment(project: Path) -> None:
    """Only in an environment that asks for them: elsewhere the environment alone is asked."""
    edit(project, "[project]\n", f"{LOCAL.strip()}\n\n[project]\n")
    home = project / ".tahona" / "servers" / "postgres"
    home.mkdir(parents=True)
    (home / "variables.env").write_text("TAHONA_POSTGRES_URL='postgresql://tahona:hidden-word@127.0.0.1:5/tahona'\n")
    elsewhere = {"TAHONA_POSTGRES_URL": "postgresql://elsewhere/x"}
    loaded = load_project(project, env="local", environ=elsewhere)
    assert loaded.project.stores.ledger.endswith("@127.0.0.1:5/tahona")
    assert "hidden-word" not in repr(loaded)
    assert "hidden-word" not in str(loaded.project.masked())
    other = load_project(project, overrides=["stores.ledger=${TAHONA_POSTGRES_URL}"], environ=elsewhere)
    assert other.project.stores.ledger == "postgresql://elsewhere/x"


def test_servers_that_are_unknown_are_refused_before_anything_starts(project: Path, here: Command) -> None:
    answer = here("up", "-C", project, "--set", "up.servers=['s4']")
    assert answer.code == 2
    assert "up.servers" in answer.stderr
    assert not (project / ".tahona" / "servers").exists()


def test_a_file_is_made_once_and_a_command_that_fails_is_told(project: Path, here: Command) -> None:
    make = "import pathlib; pathlib.Path('deep.txt').write_text('made')"
    one = f"""up.make={{"deep.txt"=["python", "-c", "{make}"]}}"""
    assert here("up", "-C", project, "--set", one).code == 0
    assert (project / "deep.txt").read_text() == "made"
    (project / "deep.txt").write_text("mine")
    assert here("up", "-C", project, "--set", one).code == 0
    assert (project / "deep.txt").read_text() == "mine"
    failed = here("up", "-C", project, "--set", 'up.make={"other.txt"=["python", "-c", "raise SystemExit(3)"]}')
    assert failed.code == 4
    assert "code 3" in failed.stderr


@slow
@pytest.mark.timeout(1200)  # servers, environments, and a process for each step
def test_the_breast_cancer_example_on_metaflow_s3_and_postgres_by_one_command(
    place: Path, tahona: Command, finished: Path
) -> None:
    """The first of the five systems: artefacts and its keys in a bucket, and the rows of `metricas`, printed."""
    folder = place / "breast_cancer"
    shutil.copytree(ROOT / "examples" / "breast_cancer", folder, ignore=shutil.ignore_patterns(".tahona", "reports"))
    answer = tahona("run", "--up", "--env", "local", "--on", "metaflow", "-C", folder, "--json", seconds=900)
    assert answer.code == 0, answer.stderr
    plain = Answer(0, (finished / "run.json").read_text("utf-8"), "").document
    for key in ("run", "test", "candidates", "champion", "version"):
        assert answer.document[key] == plain[key]
    found = read_servers(folder, ["s3", "postgres"])
    with psycopg.connect(found["TAHONA_POSTGRES_URL"]) as connection:
        rows = connection.execute("SELECT model, precision, recall, f1_score, auc, run_id FROM metricas").fetchall()
    assert {row[0] for row in rows} == {"tree", "svc", "knn", "logistic_regression"}
    assert {row[-1] for row in rows} == {answer.document["run"]}
    for model, *numbers, _ in rows:
        assert re.search(rf"{model} +" + " +".join(f"{number:.4f}" for number in numbers), answer.stderr), model
    client = boto3.client(
        "s3",
        endpoint_url=found["AWS_ENDPOINT_URL"],
        aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
        region_name=found["AWS_DEFAULT_REGION"],
    )
    keys = {each["Key"] for each in client.list_objects_v2(Bucket="breast-cancer")["Contents"]}
    assert any(key.startswith("tahona/objects/") for key in keys)
    assert not (folder / ".tahona" / "artifacts").exists()
    names = {"data/breast_cancer.csv", "data/breast_cancer_y.csv"} | {
        name.format(short)
        for short in ("tree", "svc", "knn", "lr")
        for name in ("{}_model.pkl", "confusion_matrix_{}.png", "roc_curve_{}.png")
    }
    assert {f"runs/{answer.document['run']}/{name}" for name in names} <= keys


@slow
@pytest.mark.timeout(1200)
def test_the_clinical_example_on_prefect_and_mlflow_by_one_command(place: Path, tahona: Command) -> None:
    """The second of the five systems: from a SQL database, with the seven artifacts, nested trials, and a model."""
    from mlflow import MlflowClient

    from tahona.lifecycle.environments import environment
    from tahona.orchestrators.outside import REQUIREMENTS

    folder = place / "clinical"
    skip = shutil.ignore_patterns(".tahona", "reports", "data")
    shutil.copytree(ROOT / "examples" / "clinical", folder, ignore=skip)
    edit(folder, '"make_data.py"]', '"make_data.py", "--rows", "600"]')
    edit(folder, "trials = 6", "trials = 2")
    answer = tahona("run", "--up", "--env", "local", "--on", "prefect", "-C", folder, "--json", seconds=900)
    assert answer.code == 0, answer.stderr
    plain = tahona("run", "--up", "-C", folder, "--json", seconds=900)
    for key in ("run", "test", "candidates", "champion", "version"):
        assert answer.document[key] == plain.document[key]
    found = read_servers(folder, ["mlflow", "prefect"])

    client = MlflowClient(found["TAHONA_MLFLOW_URL"].removeprefix("mlflow+"))
    experiment = client.get_experiment_by_name("historias")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert parent.info.run_name == answer.document["run"]
    assert len(runs) == 1 + sum(row["trials"] or 0 for row in answer.document["leaderboard"])
    assert int(client.get_model_version_by_alias("historias", "champion").version) == 1

    python = environment("prefect", REQUIREMENTS / "prefect.txt")
    told = ask(python, place / "clinical" / "asking", found["PREFECT_API_URL"])
    assert set(told["artifacts"]) == {
        "etl-dataframe-summary",
        "feature-engineering-summary",
        "optuna-trials-summary",
        "best-hyperparameters",
        "training-flow-summary",
        "model-comparison-results",
        "model-training-report",
    }
