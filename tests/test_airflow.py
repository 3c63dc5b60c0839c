"""Airflow itself runs the project: retries, time-outs, resume, and a schedule on a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_servers import AirflowServer, running
from projects import QUICK, Command, edit, outputs, states, write_project

from tahona.core.plan import make_plan
from tahona.core.workflow import Patience, Workflow, make_workflow
from tahona.errors import InputError
from tahona.orchestrators.airflow import open_orchestrator

slow = pytest.mark.slow
DAG = "dag_airflow.py"
SHORT = """
[run]
fuse = [["ingest", "clean", "split", "audit"], ["select", "evaluate", "register", "report"]]
retry_delay = "1 s"
"""
FRAGILE = '''"""Cleaning that does not come to its end at the first attempts."""
import os
import time
from pathlib import Path


def first_time():
    tries = Path(__file__).with_name("tries.txt")
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    return len(tries.read_text()) == 1


def dies(table):
    if first_time():
        os._exit(1)
    return table


def sleeps(table):
    if first_time():
        Path(__file__).with_name("asleep.txt").write_text(str(os.getpid()))
        time.sleep(3600)
    return table


def refuses(table):
    first_time()
    raise ValueError
'''
PLAN = make_plan("quick-0123456789", ("dummy", "tree"))


@pytest.fixture(scope="session")
def python(tahona: Command) -> Path:
    """The interpreter of Airflow's environment, which is made at the first time."""
    answer = tahona("orchestrators", "install", "airflow", "--json")
    assert answer.code == 0, answer.stderr
    return Path(answer.document["python"])


def short_project(folder: Path, cleaning: str = "", more: str = "") -> Path:
    """Return a project of five tasks; `cleaning` names a function of FRAGILE."""
    project = write_project(folder, QUICK + SHORT + more, fragile=FRAGILE)
    if cleaning:
        edit(project, 'source = "table.csv"', f'source = "table.csv"\nclean = ["fragile:{cleaning}"]')
    return project


def tries(project: Path) -> int:
    return len((project / "tries.txt").read_text())


def text_of(folder: Path, workflow: Workflow) -> str:
    return open_orchestrator(folder).text(workflow)


# The file


WORKFLOWS = {
    "plain": make_workflow("quick", PLAN),
    "patient": make_workflow(
        "quick",
        PLAN,
        patience={"": Patience(2, 30.0, 600.0), "train": Patience(5, 2.5, None), "audit": Patience()},
        schedule="0 4 * * *",
        options=("--env", "prod", "--set", "train.trials=5", "--set", "project.name='it''s'", "--set", "run.workers=2"),
    ),
    "fused": make_workflow("quick", PLAN, fuse=[["split", "audit"], ["train@dummy", "train@tree"]]),
    "half fused": make_workflow(
        "quick", make_plan("quick-0", ("dummy", "tree", "knn")), fuse=[["train@tree", "train@knn"]]
    ),
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_file_is_as_a_formatter_and_airflows_rules_want_it(name: str, tmp_path: Path) -> None:
    file = tmp_path / DAG
    file.write_text(text_of(tmp_path, WORKFLOWS[name]), "utf-8")
    ruff = Path(sys.executable).with_name("ruff")
    for words in (["format", "--diff"], ["check", "--preview", "--select", "AIR,B,E,F,I,SIM,UP,W"]):
        done = subprocess.run([ruff, *words, "--isolated", file], capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_patience_and_schedule_are_airflows_own(tmp_path: Path) -> None:
    text = text_of(tmp_path, WORKFLOWS["patient"])
    assert 'schedule="0 4 * * *",  # UTC' in text
    assert '"retries": 2,\n        "retry_delay": timedelta(seconds=30),' in text
    assert '"execution_timeout": timedelta(seconds=600),' in text
    trained = text[text.index("train = Step.partial(") : text.index(".expand(")]
    for words in ("retries=5,", "retry_delay=timedelta(seconds=2.5),", "execution_timeout=None,"):
        assert words in trained
    assert "schedule=None," in text_of(tmp_path, WORKFLOWS["plain"])


def test_families_are_mapped_and_fused_ones_are_a_task_of_their_own(tmp_path: Path) -> None:
    text = text_of(tmp_path, WORKFLOWS["half fused"])
    assert '            {"FAMILY": "dummy"},\n        ]' in text
    assert 'bash_command=step("train@tree train@knn")' in text
    assert "[train, train_tree_train_knn],\n        select," in text
    assert "Step.partial" not in text_of(tmp_path, WORKFLOWS["fused"])


def test_an_option_that_airflow_would_fill_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="as a template"):
        text_of(tmp_path, make_workflow("quick", PLAN, options=("--set", "project.name={{ds}}")))


@slow
def test_what_airflow_cannot_import_is_refused_with_its_reason(tmp_path: Path, tahona: Command, python: Path) -> None:
    project = short_project(tmp_path / "project")
    written = project / DAG
    answer = tahona("export", "airflow", "-C", project, "--json")
    assert answer.document == {"file": str(written)}
    broken = tmp_path / "broken.py"
    broken.write_text(written.read_text("utf-8").replace("chain(", "nonesuch("), "utf-8")
    code = f"import sys; sys.argv[1:] = [{str(project)!r}, {str(broken)!r}]\n" + CHECK
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 4
    assert "name 'nonesuch' is not defined" in done.stderr


CHECK = """
from pathlib import Path
from tahona.errors import SetupError
from tahona.orchestrators.airflow import open_orchestrator
try:
    open_orchestrator(Path(sys.argv[1])).check(Path(sys.argv[2]))
except SetupError:
    sys.exit(4)
"""


# Without a server


@slow
def test_another_airflow_of_this_machine_is_left_alone(tmp_path: Path, tahona: Command, python: Path) -> None:
    project = short_project(tmp_path / "project")
    other = {"AIRFLOW_HOME": str(tmp_path / "another"), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "nonsense://"}
    answer = tahona("run", "-C", project, "--json", "--on", "airflow", env=other)
    assert answer.code == 0, answer.stderr
    assert (project / ".tahona" / "airflow" / "airflow.db").is_file()
    assert not (tmp_path / "another").exists()
    assert not (project / DAG).exists()


@slow
def test_a_task_that_dies_is_tried_again(tmp_path: Path, tahona: Command, python: Path) -> None:
    project = short_project(tmp_path / "project", "dies", "retries = 2\n")
    answer = tahona("run", "-C", project, "--json", "--on", "airflow")
    assert answer.code == 0, answer.stderr
    assert tries(project) == 2
    assert set(states(answer).values()) == {"done"}


@slow
def test_a_task_that_takes_too_long_is_ended_and_tried_again(tmp_path: Path, tahona: Command, python: Path) -> None:
    project = short_project(tmp_path / "project", "sleeps", 'retries = 1\ntimeout = "30 s"\n')
    answer = tahona("run", "-C", project, "--json", "--on", "airflow")
    assert answer.code == 0, answer.stderr
    assert tries(project) == 2
    assert not is_alive(sleeper_of(project))


@slow
def test_what_the_user_must_mend_is_not_tried_again(tmp_path: Path, tahona: Command, python: Path) -> None:
    project = short_project(tmp_path / "project", "refuses", "retries = 3\n")
    answer = tahona("run", "-C", project, "--json", "--on", "airflow")
    assert answer.code == 2
    assert "fragile:refuses" in answer.document["error"]["what"]
    assert "fragile:refuses" in answer.stderr
    assert tries(project) == 1


@pytest.fixture
def asleep(tmp_path: Path, tahona: Command, python: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A project whose run on Airflow sleeps in its second task, and the process of that run."""
    project = short_project(tmp_path / "project", "sleeps")
    edit(project, 'fuse = [["ingest", "clean", "split", "audit"],', "fuse = [")
    command = [Path(sys.executable).with_name("tahona"), "run", "-C", project, "--on", "airflow"]
    with (tmp_path / "run.log").open("wb") as log:
        run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ)
    end = time.monotonic() + 200
    while not (project / "asleep.txt").exists():
        assert run.poll() is None, (tmp_path / "run.log").read_text()
        assert time.monotonic() < end
        time.sleep(0.5)
    yield project, run
    run.kill()
    run.wait()
    if is_alive(sleeper := sleeper_of(project)):
        os.kill(sleeper, signal.SIGKILL)


def sleeper_of(project: Path) -> int:
    """Return the process of the task that sleeps."""
    return int((project / "asleep.txt").read_text())


def is_alive(process: int) -> bool:
    """Tell whether a process runs still; one that ended and that nobody waited for does not."""
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@slow
def test_a_run_that_is_interrupted_takes_its_tasks_along_and_is_continued_elsewhere(
    asleep: tuple[Path, subprocess.Popen[bytes]], tahona: Command
) -> None:
    project, run = asleep
    run.send_signal(signal.SIGINT)
    assert run.wait(60) != 0
    end = time.monotonic() + 10
    while is_alive(sleeper_of(project)):
        assert time.monotonic() < end
        time.sleep(0.2)
    found = states(tahona("run", "-C", project, "--json"))
    assert found.pop("ingest") == "cached"
    assert set(found.values()) == {"done"}


@slow
def test_a_run_that_is_killed_is_continued_by_airflow(
    asleep: tuple[Path, subprocess.Popen[bytes]], tahona: Command
) -> None:
    project, run = asleep
    run.kill()
    run.wait()
    os.kill(sleeper_of(project), signal.SIGKILL)  # as when the machine stops
    answer = tahona("run", "-C", project, "--json", "--on", "airflow")
    assert answer.code == 0, answer.stderr
    assert states(answer)["ingest"] == "cached"
    assert set(states(answer).values()) == {"cached", "done"}


# On a server


@pytest.fixture
def server(tmp_path: Path, python: Path) -> Iterator[AirflowServer]:
    """Airflow's api-server, scheduler and dag-processor."""
    with running(tmp_path / "server", python) as started:
        yield started


@slow
def test_a_server_runs_it_as_scheduled_and_tells_of_a_failure_once(
    tmp_path: Path, server: AirflowServer, tahona: Command
) -> None:
    told = tmp_path / "told.jsonl"
    write = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read() + '\\n')"
    command = json.dumps([sys.executable, "-c", write])
    more = f'schedule = "* * * * *"\nretries = 2\n[run.on_failure]\ncommand = {command}\n'
    project = short_project(tmp_path / "project", more=more)
    assert tahona("export", "airflow", "-C", project).code == 0
    (server.dags / "quick.py").symlink_to(project / DAG)

    done = server.wait_for(lambda: server.runs("success"), "run that succeeded")[-1]
    assert done["run_type"] == "scheduled"
    tasks = server.get(f"dags/quick/dagRuns/{done['dag_run_id']}/taskInstances")["task_instances"]
    mapped = {task["rendered_map_index"] for task in tasks if task["task_id"] == "train"}
    assert mapped == {"dummy", "tree", "logistic_regression"}
    assert {task["state"] for task in tasks} == {"success"}
    local = short_project(tmp_path / "local", more=more)
    assert tahona("run", "-C", local).code == 0
    for step, file in (("evaluate", "predictions.parquet"), ("select", "leaderboard.json")):
        assert outputs(project, step)[file] == outputs(local, step)[file]
    shown = tahona("show", "-C", project, "--json").document
    assert shown["status"] == "done"
    assert not told.exists()

    edit(project, 'source = "table.csv"', 'source = "table.csv"\nclean = ["fragile:refuses"]')
    server.wait_for(lambda: server.runs("failed"), "run that failed")
    server.pause("quick")
    server.wait_for(lambda: not server.runs("running"), "end of all runs")
    failed = server.runs("failed")
    server.wait_for(lambda: told.exists() and len(told.read_text().splitlines()) >= len(failed), "word of it")
    messages = [json.loads(line) for line in told.read_text().splitlines()]
    assert len(messages) == len(failed)
    assert {message["code"] for message in messages} == {2}
    # a run that was under way when the project was edited is told as well
    assert all("fragile:refuses" in each["error"] or "changed since" in each["error"] for each in messages)
    tasks = server.get(f"dags/quick/dagRuns/{failed[-1]['dag_run_id']}/taskInstances")["task_instances"]
    tries = [task["try_number"] for task in tasks if task["state"] == "failed"]
    assert tries  # a run that was under way when the project was edited may fail in several of its tasks
    assert set(tries) == {1}
