"""Prefect itself runs the project: artifacts that its API gives, retries, a server, a schedule."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from equality import facts, run_on
from prefect_servers import PATIENCE, ask, server, started, surroundings, table
from projects import QUICK, Answer, Command, edit, states, write_project

pytestmark = pytest.mark.slow
FLOWS = "prefect_flows.py"
TABLES = {
    "etl-dataframe-summary",
    "feature-engineering-summary",
    "optuna-trials-summary",
    "best-hyperparameters",
    "training-flow-summary",
    "model-comparison-results",
}
REPORT = "model-training-report"
STEPS = {
    *("ingest", "clean", "split", "audit", "train@dummy", "train@tree", "train@logistic_regression"),
    *("select", "evaluate", "register", "report"),
}
SHORT = """
[run]
fuse = [["ingest", "clean", "split", "audit"], ["train"], ["select", "evaluate", "register", "report"]]
retry_delay = "1 s"
"""
FRAGILE = '''"""Cleaning that dies, fails or takes its time, as a file beside it says; each attempt leaves a mark."""
import os
import time
from pathlib import Path

HERE = Path(__file__).parent


def fragile(table):
    with (HERE / "attempts").open("a") as file:
        print(os.getpid(), file=file)
    how = (HERE / "how").read_text()
    if how == "dies once" and len(attempts()) == 1:
        os._exit(9)
    if how == "fails":
        raise ValueError("a patient's name")
    if how == "sleeps":
        time.sleep(600)
    return table


def attempts():
    return (HERE / "attempts").read_text().split()
'''


@pytest.fixture(scope="session")
def python(tahona: Command) -> Path:
    """The interpreter of Prefect's environment, which is made at the first time."""
    answer = tahona("orchestrators", "install", "prefect", "--json")
    assert answer.code == 0, answer.stderr
    return Path(answer.document["python"])


@pytest.fixture(scope="module")
def on_prefect(
    tmp_path_factory: pytest.TempPathFactory, python: Path, example: Callable[[Path], Path], tahona: Command
) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """The breast-cancer example after its run on Prefect, its facts, and what the database in the project tells."""
    folder = example(tmp_path_factory.mktemp("prefect") / "breast_cancer")
    found = run_on("prefect", folder, tahona)
    return folder, found, ask(python, folder / ".tahona" / "prefect")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Iterator[str]:
    """A real `prefect server start` on loopback."""
    with server(python, tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A small project of three tasks."""
    return write_project(tmp_path / "short", QUICK + SHORT)


@pytest.fixture
def fragile(tmp_path: Path) -> Path:
    """A small project of three tasks, whose cleaning behaves as its file `how` says."""
    text = QUICK.replace('source = "table.csv"', 'source = "table.csv"\nclean = ["cleaning:fragile"]')
    told = '\n[run.on_failure]\ncommand = ["sh", "-c", "cat >> told; echo >> told"]\n'
    return write_project(tmp_path / "fragile", text + SHORT + told, cleaning=FRAGILE)


def test_each_step_is_a_task_with_its_own_name(on_prefect: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    """Prefect's database, in the project, knows one completed task per step, and waits between them."""
    _, found, told = on_prefect
    assert {task["name"] for task in told["tasks"]} == set(found["fingerprints"])
    assert {task["state_type"] for task in told["tasks"]} == {"COMPLETED"}
    assert [flow["state_type"] for flow in told["flows"]] == ["COMPLETED"]
    assert found["run"] in told["flows"][0]["state"]["message"]
    times = {task["name"]: (task["start_time"], task["end_time"]) for task in told["tasks"]}
    assert times["audit"][1] <= times["train@tree"][0]
    assert times["train@tree"][1] <= times["select"][0]


def test_artifacts_hold_what_the_run_found(
    on_prefect: tuple[Path, dict[str, Any], dict[str, Any]], tahona: Command
) -> None:
    """Six tables and the report, under the names that people know, agree with what `tahona` says itself."""
    folder, found, told = on_prefect
    assert set(told["artifacts"]) == TABLES | {REPORT}
    assert all(found["run"] in each["description"] for each in told["artifacts"].values())
    board = tahona("leaderboard", "-C", folder, "--json").document["leaderboard"]
    compared = table(told, "model-comparison-results")
    assert [(row["model"], row["value"], row["low"]) for row in compared] == [
        (row["model"], row["value"], row["low"]) for row in board
    ]
    chosen = next(row for row in compared if row["chosen"])
    assert chosen["model"] == found["champion"][0]
    assert chosen["test f1"] == found["test"]["f1"]["value"]
    trials = table(told, "optuna-trials-summary")
    assert {row["model"]: sum(trial["model"] == row["model"] for trial in trials) for row in board} == {
        row["model"]: row["trials"] for row in board
    }
    assert trials[0]["value"] == max(row["value"] for row in trials)
    best = {(row["model"], row["parameter"]): row["value"] for row in table(told, "best-hyperparameters")}
    assert best == {(row["model"], name): value for row in board for name, value in row["params"].items()}
    columns = table(told, "etl-dataframe-summary")
    assert len(columns) == 31
    assert columns[-1] == {"column": "target", "kind": "label"}
    assert "569 rows" in told["artifacts"]["etl-dataframe-summary"]["description"]
    assert all(row["feature"] for row in table(told, "feature-engineering-summary"))
    assert "1 malignant" in told["artifacts"]["feature-engineering-summary"]["description"]
    outcome = {row["what"]: row["value"] for row in table(told, "training-flow-summary")}
    assert (outcome["run"], outcome["chosen"]) == (found["run"], found["champion"][0])
    assert outcome["test roc_auc"] == found["test"]["roc_auc"]["value"]
    assert told["artifacts"][REPORT]["type"] == "markdown"
    assert told["artifacts"][REPORT]["data"] == (folder / "reports" / "report.md").read_text("utf-8")


def test_the_exported_file_is_one_that_a_person_could_have_written(short: Path, python: Path, tahona: Command) -> None:
    """A formatter and a linter have nothing to say; it imports Prefect alone and names no place of this machine."""
    edit(short, 'retry_delay = "1 s"', 'retry_delay = "5 s"\nretries = 2\ntimeout = "1 h"\nschedule = "0 6 * * 1"')
    edit(short, "C = [0.1, 1.0]\n", 'C = [0.1, 1.0]\n\n[run.steps.train]\ntimeout = "2 h"\nretries = 1\n')
    edit(short, 'fuse = [["ingest", "clean", "split", "audit"], ["train"],', 'fuse = [["split", "audit"],')
    answer = tahona("export", "prefect", "-C", short, "--set", "train.batch=2")
    assert answer.code == 0, answer.stderr
    file = short / FLOWS
    ruff = Path(sys.executable).with_name("ruff")
    for words in (["format", "--isolated", "--check"], ["check", "--isolated"]):
        said = subprocess.run([ruff, *words, file], capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout
    text = file.read_text("utf-8")
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported - set(sys.stdlib_module_names) == {"prefect"}
    assert not [line for line in text.splitlines() if str(short) in line or str(Path.home()) in line]
    said = _look(python, short, "OPTIONS, SCHEDULE, TASKS")
    assert said[:2] == [["--set", "train.batch=2"], "0 6 * * 1"]
    assert said[2]["split+audit"] == [["split", "audit"], ["clean"], 2, 5.0, 7200.0]
    assert said[2]["train@tree"] == [["train@tree"], ["split+audit"], 1, 5.0, 7200.0]


def test_a_file_that_prefect_cannot_load_is_said_loudly(
    short: Path, tahona: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect itself reads the file and the schedule before anything runs."""
    from tahona.errors import SetupError
    from tahona.orchestrators.prefect import open_orchestrator

    edit(short, "[run]", '[run]\nschedule = "0 6 * * 1"')
    assert tahona("export", "prefect", "-C", short).code == 0
    orchestrator = open_orchestrator(short)
    for old, new in (("0 6 * * 1", "0 6 * * 9"), ("@task(retry_condition_fn=", "@task(retry_if=")):
        edit(short, old, new, FLOWS)
        with pytest.raises(SetupError, match="prefect ended with code 1"):
            orchestrator.check(short / FLOWS)
        edit(short, new, old, FLOWS)
    orchestrator.check(short / FLOWS)


def test_no_password_gets_into_the_file(short: Path, tahona: Command) -> None:
    """One of the command line is refused; one of the environment stays there."""
    hook = "https://me:hush-hush@example.org/hook"
    refused = tahona("export", "prefect", "-C", short, "--set", f"run.on_failure.webhook={hook}")
    assert refused.code == 2, refused.stderr
    assert "hush-hush" not in refused.stderr
    assert not (short / FLOWS).exists()
    edit(short, "[run]", '[run.on_failure]\nwebhook = "${HOOK}"\n\n[run]')
    answer = tahona("export", "prefect", "-C", short, "--set", "run.on_failure.webhook=${HOOK}", env={"HOOK": hook})
    assert answer.code == 0, answer.stderr
    assert "hush-hush" not in (short / FLOWS).read_text("utf-8")


def test_a_step_that_dies_is_tried_again(fragile: Path, python: Path, tahona: Command) -> None:
    """Prefect starts the task a second time; fused steps are one task."""
    (fragile / "how").write_text("dies once")
    edit(fragile, 'retry_delay = "1 s"', 'retry_delay = "1 s"\nretries = 2')
    answer = tahona("run", "-C", fragile, "--json", "--on", "prefect")
    assert answer.code == 0, answer.stderr
    assert "ended with code 9" in answer.stderr
    assert set(states(answer)) == STEPS
    tasks = {task["name"]: task["run_count"] for task in ask(python, fragile / ".tahona" / "prefect")["tasks"]}
    assert tasks == {"ingest+clean+split+audit": 2, "train": 1, "select+evaluate+register+report": 1}
    assert not (fragile / "told").exists()


def test_a_step_that_fails_for_good_ends_the_run_with_its_own_code(fragile: Path, tahona: Command) -> None:
    """What the user must mend is not tried again, whoever is named hears of it once, and the cause is said."""
    (fragile / "how").write_text("fails")
    edit(fragile, 'retry_delay = "1 s"', 'retry_delay = "1 s"\nretries = 2')
    answer = tahona("run", "-C", fragile, "--json", "--on", "prefect")
    assert answer.code == 2
    assert answer.document["error"]["what"].startswith("the function 'cleaning:fragile' raised ValueError")
    assert "a patient's name" not in answer.stdout + answer.stderr
    assert len((fragile / "attempts").read_text().split()) == 1
    (message,) = (fragile / "told").read_text().splitlines()
    assert json.loads(message)["code"] == 2


def test_a_step_that_takes_too_long_is_ended(fragile: Path, tahona: Command) -> None:
    """Its process is gone when the task has timed out, and the run ends with code 4."""
    (fragile / "how").write_text("sleeps")
    edit(fragile, 'retry_delay = "1 s"', 'retry_delay = "1 s"\ntimeout = "15 s"')
    answer = tahona("run", "-C", fragile, "--json", "--on", "prefect")
    assert answer.code == 4
    assert "exceeded timeout of 60.0 second(s)" in answer.stderr  # four steps in one task
    (process,) = (fragile / "attempts").read_text().split()
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)


def test_a_killed_run_goes_on_where_it_stopped(
    tmp_path: Path, finished: Path, example: Callable[[Path], Path], tahona: Command
) -> None:
    """Killed on Prefect, with all its processes; begun again there: what was done is not done again, and bits agree."""
    folder = example(tmp_path / "killed")
    command = [Path(sys.executable).with_name("tahona"), "run", "-C", folder, "--on", "prefect"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        end = time.monotonic() + PATIENCE
        while not (folder / ".tahona" / "last" / "audit.json").exists():
            assert run.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        run.kill()
        _kill_all(f"TAHONA_PROJECT={folder}".encode())
    answer = tahona("run", "-C", folder, "--json", "--on", "prefect")
    assert answer.code == 0, answer.stderr
    assert {step for step, state in states(answer).items() if state == "cached"} >= {"ingest", "clean", "split"}
    assert states(answer)["select"] == "done"
    assert facts(folder, answer) == facts(finished, Answer(0, (finished / "run.json").read_text("utf-8"), ""))


def test_a_server_takes_the_run_and_its_artifacts(
    short: Path, tmp_path: Path, python: Path, api: str, tahona: Command
) -> None:
    """With PREFECT_API_URL no server is started beside that one, which then shows the run."""
    answer = tahona("run", "-C", short, "--json", "--on", "prefect", env={"PREFECT_API_URL": api})
    assert answer.code == 0, answer.stderr
    assert "temporary server" not in answer.stderr
    told = ask(python, tmp_path / "home", api)
    assert set(told["artifacts"]) == TABLES | {REPORT}
    outcome = {row["what"]: row["value"] for row in table(told, "training-flow-summary")}
    assert outcome["run"] == answer.document["run"]
    assert table(told, "model-comparison-results")[0]["model"] == answer.document["leaderboard"][0]["model"]


def test_the_file_alone_tells_of_a_failure(
    fragile: Path, tmp_path: Path, python: Path, api: str, tahona: Command
) -> None:
    """Nobody but Prefect watches over it: its hook calls `tahona notify`, once, and the program ends with 1."""
    (fragile / "how").write_text("fails")
    assert tahona("export", "prefect", "-C", fragile).code == 0
    done = _run([python, FLOWS], tmp_path / "home", api, fragile)
    assert done.returncode == 1
    assert "ended with code 2" in done.stderr
    (message,) = (fragile / "told").read_text().splitlines()
    assert json.loads(message)["code"] == 2
    assert "cleaning.py:16: the function" in json.loads(message)["error"]


def test_a_deployment_runs_by_schedule_and_on_demand(
    short: Path, tmp_path: Path, python: Path, api: str, tahona: Command
) -> None:
    """`serve` makes both deployments; what is due by the cron line (UTC) runs, and what is asked for, to its end."""
    first = tahona("run", "-C", short, "--json")  # in this process: Prefect will find all of it done
    assert first.code == 0, first.stderr
    edit(short, "[run]", '[run]\nschedule = "* * * * *"')
    answer = tahona("export", "prefect", "-C", short)
    assert answer.code == 0, answer.stderr
    moved = shutil.copy(short / FLOWS, tmp_path / "elsewhere.py")  # its project is named by TAHONA_PROJECT
    home = tmp_path / "home"
    with (
        (tmp_path / "serve.log").open("w") as log,
        started([python, moved, "serve"], home, log, api, TAHONA_PROJECT=str(short)),
    ):
        deployments = _wait_for(lambda: ask(python, home, api)["deployments"], lambda found: len(found) == 2)
        crons = {
            each["entrypoint"].rpartition(":")[2]: [s["schedule"] for s in each["schedules"]] for each in deployments
        }
        assert crons["train_model_flow"] == []
        assert [(each["cron"], each["timezone"]) for each in crons["compare_models_flow"]] == [("* * * * *", "UTC")]
        due = _wait_for(lambda: _scheduled(python, home, api), lambda found: "COMPLETED" in found.values())
        assert f"run {first.document['run']}" in due
        asked = ["-m", "prefect", "deployment", "run", "train_model_flow/quick", "--param", "model=tree", "--watch"]
        done = _run([python, *asked], home, api, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "serve.log").read_text()
    runs = tahona("runs", "-C", short, "--json").document["runs"]
    assert [(run["status"], run["params"]["train"]["models"]) for run in runs] == [
        ("done", ["tree"]),
        ("done", ["tree", "logistic_regression"]),
    ]
    compared = [table for table in ask(python, home, api)["comparisons"] if runs[0]["run"] in table["description"]]
    assert [{row["model"] for row in json.loads(each["data"])} for each in compared] == [{"dummy", "tree"}]


def _scheduled(python: Path, home: Path, api: str) -> dict[str, str]:
    """Return message and state of the runs that the schedule began."""
    flows = ask(python, home, api)["flows"]
    return {run["state"]["message"]: run["state_type"] for run in flows if run["auto_scheduled"]}


def _run(words: list[Any], home: Path, api: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=surroundings(home, api),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def _wait_for(look: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    end = time.monotonic() + PATIENCE
    while not enough(found := look()):
        assert time.monotonic() < end, found
        time.sleep(1)
    return found


def _kill_all(mark: bytes) -> None:
    """Kill every process that has the mark in its environment: the flow, its server and its tasks."""
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in environ.read_bytes():
                os.kill(int(environ.parent.name), signal.SIGKILL)


def _look(python: Path, folder: Path, names: str) -> list[Any]:
    """Return constants of the exported file, as Prefect's interpreter has them."""
    code = f"import json; from {Path(FLOWS).stem} import {names}; print(json.dumps([{names}]))"
    done = subprocess.run(
        [python, "-c", code], cwd=folder, env=surroundings(folder), capture_output=True, encoding="utf-8", check=True
    )
    return list(json.loads(done.stdout))
