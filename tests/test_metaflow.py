"""Metaflow itself runs the project: a card, retries, resume, and data in a folder or in a bucket."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from equality import facts, run_on
from projects import QUICK, Answer, Command, edit, kept_files, states, write_project
from s3_servers import BUCKET, S3Server, running
from survival import kill_in_training

from tahona.core.plan import make_plan
from tahona.core.workflow import Patience, make_workflow
from tahona.errors import InputError
from tahona.orchestrators.metaflow import open_orchestrator

slow = pytest.mark.slow
FLOW = "flow_metaflow.py"
SHORT = """
[run]
fuse = [["ingest", "clean", "split", "audit"], ["select", "evaluate", "register", "report"]]
retry_delay = "1 s"
"""
HURRIED = """
[run]
fuse = [["split", "audit", "train", "select", "evaluate", "register", "report"]]
[run.steps.clean]
timeout = "30 s"
retries = 1
retry_delay = "1 s"
"""
BEGINNING = "ingest_clean_split_audit"
ENDING = "select_evaluate_register_report"
FRAGILE = '''"""Cleaning that ends its process at the first attempts."""
import os
from pathlib import Path


def dies(table):
    tries = Path(os.environ["TRIES"])
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    if len(tries.read_text()) <= int(os.environ["DEATHS"]):
        os._exit(1)
    return table
'''

LISTENER = '''"""Write down whom any Python process of this environment speaks to, or looks for, over a network."""
import os
import sys


def listen(event, facts):
    if event in ("socket.connect", "socket.getaddrinfo") and not isinstance(facts[-1], (str, bytes)):
        with open(os.environ["HEARD"], "a") as heard:
            heard.write(f"{event} {facts[1]}\\n")


with open(os.environ["HEARD"], "a") as heard:
    heard.write("a process\\n")
sys.addaudithook(listen)
'''


@pytest.fixture(scope="session")
def python(tahona: Command) -> Path:
    """The interpreter of Metaflow's environment, which is made at the first time."""
    answer = tahona("orchestrators", "install", "metaflow", "--json")
    assert answer.code == 0, answer.stderr
    return Path(answer.document["python"])


@pytest.fixture(scope="session")
def metaflow(python: Path) -> Callable[..., Answer]:
    """Runs the flow in a folder by Metaflow alone, as a person would."""

    def run(folder: Path, *words: str, env: Mapping[str, str] | None = None, file: str = FLOW) -> Answer:
        done = subprocess.run(
            [python, file, *words],
            cwd=folder,
            env=alone(folder, env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


def alone(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of a person who knows Metaflow, and `tahona` on the path."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("METAFLOW")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "METAFLOW_USER": "tester",
        "METAFLOW_HOME": str(folder / "no-configuration"),
        **(more or {}),
    }


@pytest.fixture(scope="session")
def walked(
    python: Path, tmp_path_factory: pytest.TempPathFactory, example: Callable[[Path], Path], tahona: Command
) -> Path:
    """The breast-cancer example after Metaflow ran it. Read it, do not change it."""
    folder = example(tmp_path_factory.mktemp("metaflow") / "breast_cancer")
    run_on("metaflow", folder, tahona, METAFLOW_USER="tester")
    return folder


@slow
def test_the_run_keeps_its_data_below_tahona_and_nothing_beside(walked: Path) -> None:
    assert (walked / ".tahona" / "metaflow" / ".metaflow" / "BreastCancerFlow").is_dir()
    assert not (walked / ".metaflow").exists()
    assert not (walked / FLOW).exists()


@pytest.fixture(scope="session")
def card(walked: Path, metaflow: Callable[..., Answer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card of the step `report`, as Metaflow gives it."""
    page = tmp_path_factory.mktemp("card") / "card.html"
    home = walked / ".tahona" / "metaflow"
    kept = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(home), "TAHONA_PROJECT": str(walked)}
    answer = metaflow(home, "card", "get", "report", str(page), env=kept)
    assert answer.code == 0, answer.stdout + answer.stderr
    return page


@slow
def test_the_card_holds_the_report(walked: Path, card: Path) -> None:
    packed = re.search(r'"([A-Za-z0-9+/=]{20000,})"', card.read_text("utf-8"))
    assert packed is not None
    framed = json.loads(base64.b64decode(packed[1]))["components"][0]["contents"][0]["contents"][0]["source"]
    page = html.unescape(framed.partition('srcdoc="')[2].partition('"')[0])
    report = (walked / "reports" / "report.html").read_text("utf-8")
    assert page.replace('<base href="about:srcdoc">', "") == report


@slow
def test_a_browser_shows_the_card_and_its_links_stay_inside(card: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium is installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(card.as_uri(), wait_until="commit")
        report = page.frame_locator("iframe")
        assert report.locator("h1").inner_text() == "breast_cancer"
        report.locator("nav a[href='#leaderboard']").click()
        page.wait_for_function("document.querySelector('iframe').contentWindow.scrollY > 100")
        assert report.locator("h1").inner_text() == "breast_cancer"
        browser.close()


def short_project(folder: Path, more: str = "", **files: str) -> Path:
    """Return a project of five tasks."""
    return write_project(folder, QUICK + SHORT + more, **files)


def fragile_project(folder: Path, more: str = "") -> tuple[Path, dict[str, str]]:
    """Return a project whose cleaning dies `DEATHS` times, and the variables it needs."""
    project = short_project(folder, more, fragile=FRAGILE)
    edit(project, 'source = "table.csv"', 'source = "table.csv"\nclean = ["fragile:dies"]')
    return project, {"TRIES": str(folder / "tries.txt"), "DEATHS": "2"}


def tries(project: Path) -> int:
    return len((project / "tries.txt").read_text())


@slow
def test_a_task_that_dies_is_tried_again_after_the_delay(tmp_path: Path, tahona: Command, python: Path) -> None:
    project, variables = fragile_project(tmp_path / "project", "retries = 2\n")
    file = (project / "tahona.toml").rename(project / "other.toml")
    answer = tahona("run", "-C", file, "--json", "--on", "metaflow", env=variables)
    assert answer.code == 0, answer.stderr
    assert tries(project) == 3
    assert answer.stderr.count("Task is starting (retry)") == 2
    assert set(states(answer).values()) == {"done"}


@slow
def test_an_attempt_that_takes_too_long_is_ended_with_its_process(
    tmp_path: Path, tahona: Command, python: Path
) -> None:
    slow_once = FRAGILE.replace(
        "os._exit(1)", 'import time; Path(os.environ["WHO"]).write_text(str(os.getpid())); time.sleep(600)'
    )
    project = write_project(tmp_path / "project", QUICK + HURRIED, fragile=slow_once)
    edit(project, 'source = "table.csv"', 'source = "table.csv"\nclean = ["fragile:dies"]')
    who = tmp_path / "who"
    variables = {"TRIES": str(project / "tries.txt"), "DEATHS": "1", "WHO": str(who)}
    answer = tahona("run", "-C", project, "--json", "--on", "metaflow", env=variables)
    assert answer.code == 0, answer.stderr
    assert tries(project) == 2
    assert "Step clean timed out" in answer.stderr
    assert not Path(f"/proc/{who.read_text()}").exists()


@slow
def test_what_the_user_must_mend_is_not_tried_again(tmp_path: Path, tahona: Command, python: Path) -> None:
    project = short_project(tmp_path / "project", "retries = 3\n")
    edit(project, 'target = "label"', 'target = "labbel"')
    answer = tahona("run", "-C", project, "--json", "--on", "metaflow")
    assert answer.code == 2
    assert "labbel" in answer.document["error"]["what"]
    assert "Task is starting (retry)" not in answer.stderr
    assert "labbel" in answer.stderr


@slow
def test_a_person_exports_the_flow_is_told_of_a_failure_and_resumes(
    tmp_path: Path, tahona: Command, metaflow: Callable[..., Answer], python: Path
) -> None:
    told = tmp_path / "told.jsonl"
    write = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read())"
    hook = f"retries = 1\n[run.on_failure]\ncommand = {json.dumps([sys.executable, '-c', write])}\n"
    project, variables = fragile_project(tmp_path / "project", hook)
    assert tahona("export", "metaflow", "-C", project, "--python", os.path.relpath(python)).code == 0
    heard = tmp_path / "heard"
    (tmp_path / "sitecustomize.py").write_text(LISTENER, "utf-8")
    variables |= {"HEARD": str(heard), "PYTHONPATH": str(tmp_path)}

    failed = metaflow(tmp_path, "run", env=variables, file=str(project / FLOW))
    assert failed.code == 1
    assert tries(project) == 2
    message = json.loads(told.read_text("utf-8"))
    assert message["project"] == "quick"
    assert message["run"] == tahona("plan", "-C", project, "--json").document["run"]

    resumed = metaflow(project, "resume", env=variables)
    assert resumed.code == 0, resumed.stdout + resumed.stderr
    assert re.search(r"/start/\d+\] Cloning previously run task", resumed.stdout), resumed.stdout
    assert not re.search(r"/start/\d+ \(pid", resumed.stdout)
    assert tries(project) == 3
    assert set(states(tahona("run", "-C", project, "--json", env=variables)).values()) == {"cached"}
    assert re.search(r"end/\d+.*logistic_regression", resumed.stdout)
    assert len(told.read_text("utf-8").splitlines()) == 1
    assert set(heard.read_text("utf-8").splitlines()) == {"a process"}


@slow
def test_a_killed_run_continues_here_and_elsewhere_with_the_same_bits(
    tmp_path: Path, tahona: Command, metaflow: Callable[..., Answer], python: Path
) -> None:
    project, other = short_project(tmp_path / "project"), short_project(tmp_path / "other")
    assert tahona("export", "metaflow", "-C", project).code == 0
    kill_in_training([python, FLOW, "run", "--max-workers", "1"], project, alone(project), 120)
    kept = kept_files(project)
    begun = {file.stem for file in (project / ".tahona" / "last").iterdir()}
    shutil.copytree(project, tmp_path / "elsewhere")

    resumed = metaflow(project, "resume")
    assert resumed.code == 0, resumed.stdout + resumed.stderr
    assert re.search(rf"/{BEGINNING}/\d+\] Cloning previously run task", resumed.stdout), resumed.stdout
    assert not re.search(rf"/{BEGINNING}/\d+ \(pid", resumed.stdout)
    after = kept_files(project)
    assert {name: after[name] for name in kept} == kept
    local = tahona("run", "-C", other, "--json")
    assert facts(project, tahona("run", "-C", project, "--json")) == facts(other, local)

    elsewhere = tahona("run", "-C", tmp_path / "elsewhere", "--json")
    assert {step for step, state in states(elsewhere).items() if state == "cached"} >= begun
    assert facts(tmp_path / "elsewhere", elsewhere) == facts(other, local)


def speaking_of(project: Path) -> set[str]:
    """Return the processes whose command names the project."""
    found = subprocess.run(["ps", "-eww", "-o", "pid=,args="], capture_output=True, encoding="utf-8", check=True)
    return {line.split()[0] for line in found.stdout.splitlines() if str(project) in line}


@slow
def test_ctrl_c_ends_metaflow_with_its_tasks(tmp_path: Path, python: Path) -> None:
    project = short_project(tmp_path / "project")
    process = subprocess.Popen(
        [Path(sys.executable).with_name("tahona"), "run", "-C", project, "--on", "metaflow"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stderr is not None
    assert any("/train/" in line for line in process.stderr)
    assert len(speaking_of(project)) >= 3
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finished steps are kept" in said
    assert speaking_of(project) == set()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@slow
def test_metaflow_and_tahona_keep_all_they_have_in_a_bucket(
    tmp_path: Path, tahona: Command, metaflow: Callable[..., Answer], s3: S3Server
) -> None:
    project = short_project(tmp_path / "project", f'[stores]\nartifacts = "s3://{BUCKET}/tahona"\n')
    variables = {
        **s3.environment(),
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://{BUCKET}/metaflow",
        "METAFLOW_USER": "tester",
    }
    found = run_on("metaflow", project, tahona, **variables)
    local = short_project(tmp_path / "local")
    same = facts(local, tahona("run", "-C", local, "--json"))
    for fact in ("leaderboard", "champion", "predictions", "outputs", "fingerprints"):
        assert found[fact] == same[fact], fact
    kept = s3.keys("metaflow/")
    assert any(key.startswith("metaflow/QuickFlow/data/") for key in kept)
    assert any(key.startswith("metaflow/mf.cards/QuickFlow/runs/") and ENDING in key for key in kept)

    assert tahona("export", "metaflow", "-C", project, env=variables).code == 0
    metadata = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(project / ".tahona" / "metaflow")}
    endpoint = {"METAFLOW_S3_ENDPOINT_URL": s3.url}
    card = metaflow(project, "card", "get", ENDING, "card.html", env={**variables, **metadata, **endpoint})
    assert card.code == 0, card.stdout + card.stderr
    assert (project / "card.html").stat().st_size > 100_000
    secret = variables["AWS_SECRET_ACCESS_KEY"].encode()
    files = [file for file in project.rglob("*") if file.is_file()]
    assert [file for file in files if secret in file.read_bytes()] == []


def text(patience: Mapping[str, Patience] | None = None, **more: Any) -> str:
    workflow = make_workflow("quick-one", make_plan("quick-0", ("dummy", "tree", "svc")), patience=patience, **more)
    return open_orchestrator(Path()).text(workflow)


def test_patience_and_schedule_are_metaflows_own() -> None:
    flow = text({"": Patience(2, 5.0, 60.0), "train": Patience(0, 5.0, 90.5)}, schedule="0 3 * * *")
    assert flow.count("@retry(times=2, minutes_between_retries=0)\n    @timeout(seconds=65)") == 8
    assert "@timeout(seconds=91)\n    @step\n    def train(self):" in flow
    assert '@schedule(cron="0 3 * * *")\n@exit_hook(on_error=[tell])\nclass QuickOneFlow(FlowSpec):' in flow


def test_a_project_file_of_another_name_is_named() -> None:
    workflow = replace(make_workflow("quick", make_plan("quick-0", ("dummy",))), file="other.toml")
    flow = open_orchestrator(Path()).text(workflow)
    assert 'PROJECT = os.environ.get("TAHONA_PROJECT") or str(HERE / "other.toml")\n' in flow


def test_more_retries_than_metaflow_has_are_refused() -> None:
    with pytest.raises(InputError, match="4 times at most, not 5") as refused:
        text({"train": Patience(5)})
    assert refused.value.where == "run.retries of train@dummy"


FUSED: dict[str, list[list[str]]] = {
    "nothing": [],
    "neighbours": [["split", "audit"], ["register", "report"]],
    "two families": [["train@tree", "train@svc"]],
    "all families": [["train"]],
    "a family with the step before": [["audit", "train@dummy"]],
    "a family with the step after": [["train@svc", "select", "evaluate"]],
    "everything": [
        ["ingest", "clean", "split", "audit", "train", "select", "evaluate", "register", "report"],
    ],
}


@slow
@pytest.mark.parametrize("fuse", FUSED.values(), ids=FUSED)
def test_however_steps_are_fused_metaflows_linter_and_the_formatter_agree_with_the_flow(
    fuse: list[list[str]], tmp_path: Path, python: Path
) -> None:
    file = tmp_path / FLOW
    options = [
        "--env",
        "prod",
        "--set",
        "train.trials=5",
        "--set",
        "data.source=s3://a-bucket/with/a/long/name.parquet",
    ]
    file.write_text(text({"": Patience(4, 10.0, 3600.0)}, fuse=fuse, schedule="0 3 * * *", options=options), "utf-8")
    open_orchestrator(tmp_path).check(file)
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "format", "--isolated", "--check", file], check=True)
    subprocess.run([*ruff, "check", "--isolated", "--select=E,F,W,I,B,UP", "--ignore=E501", file], check=True)


@slow
def test_a_flow_that_metaflow_cannot_read_is_not_run(tmp_path: Path, python: Path) -> None:
    from tahona.errors import SetupError

    file = tmp_path / FLOW
    file.write_text(text().replace("self.next(self.end)", "self.next(self.nowhere)"), "utf-8")
    with pytest.raises(SetupError, match="metaflow ended with code 1"):
        open_orchestrator(tmp_path).check(file)
