"""DVC itself runs the project: nothing to do twice, and a clone that has it all after `dvc pull`."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath

import pytest
from equality import run_on
from projects import QUICK, Answer, Command, edit, kept_files, quick_table, states, write_project
from s3_servers import BUCKET, S3Server, running
from survival import kill_in_training

from tahona.core.naming import check_names

pytestmark = pytest.mark.slow
STAGES = ("ingest", "clean", "split", "audit", "train", "select", "evaluate", "register", "report")
FEWER = """
[run]
fuse = [["ingest", "clean", "split", "audit"], ["select", "evaluate", "register", "report"]]
retry_delay = "1 s"
"""
SLOW_ONCE = '''"""Cleaning that takes longer than it may at the first attempt."""
import os
import time
from pathlib import Path


def rest(table):
    tries = Path(__file__).with_name("tries.txt")
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    if len(tries.read_text()) <= int(os.environ["RESTS"]):
        time.sleep(60)
    return table
'''
Dvc = Callable[..., Answer]


@pytest.fixture(scope="session")
def python(tahona: Command) -> Path:
    """The interpreter of DVC's environment, which is made at the first time."""
    answer = tahona("orchestrators", "install", "dvc", "--json")
    assert answer.code == 0, answer.stderr
    return Path(answer.document["python"])


def alone(python: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of a person who knows DVC and git, and has `tahona` on the path."""
    who = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")
    nobody = {f"GIT_{each}": "nobody@example.org" for each in who}
    calm = {"DVC_NO_ANALYTICS": "1", "CI": "1", "OMP_NUM_THREADS": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    tools = os.pathsep.join((str(python.parent), str(Path(sys.executable).parent), os.environ["PATH"]))
    return {**os.environ, **calm, **nobody, "PATH": tools, **(more or {})}


@pytest.fixture(scope="session")
def dvc(python: Path) -> Dvc:
    """Runs DVC or git in a folder, as a person would."""

    def run(folder: Path, *words: object, program: str = "dvc", env: Mapping[str, str] | None = None) -> Answer:
        done = subprocess.run(
            [program, *map(str, words)],
            cwd=folder,
            env=alone(python, env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=400,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run


def do(run: Dvc, folder: Path, line: str, env: Mapping[str, str] | None = None) -> Answer:
    """Run a line of `dvc …` or `git …`, which must succeed."""
    program, *words = line.split()
    answer = run(folder, *words, program=program, env=env)
    assert answer.code == 0, f"{line}\n{answer.stdout}{answer.stderr}"
    return answer


def stages_run(answer: Answer) -> list[str]:
    return re.findall(r"^Running stage '(\S+)':", answer.stdout + answer.stderr, re.MULTILINE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, tahona: Command, dvc: Dvc, server: S3Server) -> Path:
    """A project in git that DVC has run and pushed to the server: a person followed the head of `dvc.yaml`."""
    project = write_project(tmp_path_factory.mktemp("published") / "quick")
    do(dvc, project, "git init -q")
    do(dvc, project, "dvc init -q")
    assert tahona("export", "dvc", "-C", project).code == 0
    do(dvc, project, f"dvc remote add -d store s3://{BUCKET}/dvc")
    ran = do(dvc, project, "dvc repro")
    assert stages_run(ran) == list(STAGES)
    do(dvc, project, "dvc push", server.environment())
    do(dvc, project, "git add .")
    do(dvc, project, "git commit -q -m run")
    return project


def test_the_head_says_how_to_look_again_at_a_source_that_is_no_file(
    tmp_path: Path, example: Callable[[Path], Path], tahona: Command
) -> None:
    folder = example(tmp_path / "breast_cancer")
    assert tahona("export", "dvc", "-C", folder).code == 0
    assert "# dvc repro --force ingest && dvc repro\n" in (folder / "dvc.yaml").read_text("utf-8")


def test_the_second_time_there_is_nothing_to_do(published: Path, tahona: Command, dvc: Dvc) -> None:
    again = do(dvc, published, "dvc repro")
    assert stages_run(again) == []
    assert "up to date" in again.stdout
    assert tahona("run", "-C", published, "--json").document["nothing_to_do"]
    assert tahona("export", "dvc", "-C", published).code == 0
    assert "up to date" in do(dvc, published, "dvc status").stdout
    assert do(dvc, published, "git status --porcelain").stdout == ""


def test_git_holds_no_data_and_every_name_follows_the_rules(published: Path, dvc: Dvc) -> None:
    kept = do(dvc, published, "git ls-files").stdout.split()
    assert {"dvc.yaml", "dvc.lock", ".dvc/config", "reports/metrics/quick.json", "tahona.toml"} < set(kept)
    assert not [name for name in kept if name.startswith(".tahona") or name.endswith((".parquet", ".png", ".tahona"))]
    tracked = [PurePath(name) for name in do(dvc, published, "dvc ls . -R --dvc-only").stdout.split()]
    assert check_names(name for name in tracked if name.parts[0] != ".tahona") == {}
    assert PurePath("models", "quick.tahona") in tracked
    phases = [name.name.split("_")[-2] for name in tracked if name.parts[0] == "data"]
    assert sorted(phases) == ["interim", "processed", "processed", "raw"]
    metrics = json.loads((published / "reports" / "metrics" / "quick.json").read_text("utf-8"))
    assert json.loads(do(dvc, published, "dvc metrics show --json").stdout)[""]["data"] == {
        "reports/metrics/quick.json": {"data": metrics}
    }


def test_a_clone_has_everything_after_a_pull(
    published: Path, tmp_path: Path, tahona: Command, dvc: Dvc, server: S3Server
) -> None:
    copy = tmp_path / "copy"
    do(dvc, tmp_path, f"git clone -q {published} {copy}")
    do(dvc, copy, "dvc pull", server.environment())
    again = do(dvc, copy, "dvc repro")
    assert stages_run(again) == []
    rows = tmp_path / "rows.csv"
    quick_table(30, seed=5).drop(columns="label").to_csv(rows, index=False)
    for folder in (copy, published):
        assert tahona("predict", rows, "-o", tmp_path / f"{folder.name}.csv", "-C", folder).code == 0
    assert (tmp_path / "copy.csv").read_bytes() == (tmp_path / "quick.csv").read_bytes()
    for command in ("models", "history"):
        assert tahona(command, "-C", copy, "--json").document == tahona(command, "-C", published, "--json").document
    ran = tahona("run", "-C", copy, "--json", "--on", "dvc")
    assert set(states(ran).values()) == {"cached"}
    assert ran.document["champion"]
    assert do(dvc, copy, "git status --porcelain").stdout == ""


def test_a_changed_search_runs_in_a_clone_from_training_on(
    published: Path, tmp_path: Path, tahona: Command, dvc: Dvc, server: S3Server
) -> None:
    copy, same = tmp_path / "copy", write_project(tmp_path / "same")
    do(dvc, tmp_path, f"git clone -q {published} {copy}")
    do(dvc, copy, "dvc pull", server.environment())
    for folder in (copy, same):
        edit(folder, "max_depth = [2, 3]", "max_depth = [2, 4]")
    ran = do(dvc, copy, "dvc repro")
    assert stages_run(ran) == list(STAGES[4:])
    assert "train@logistic_regression: cached" in ran.stdout
    assert "train@tree: done" in ran.stdout
    assert tahona("run", "-C", same).code == 0
    board = tahona("leaderboard", "-C", same, "--json").document["leaderboard"]
    costs = {"seconds", "cpu_seconds"}
    plain = [[{k: v for k, v in row.items() if k not in costs} for row in rows] for rows in (
        board, tahona("leaderboard", "-C", copy, "--json").document["leaderboard"]
    )]  # fmt: skip
    assert plain[0] == plain[1]
    assert [each["number"] for each in tahona("models", "-C", copy, "--json").document["models"]] == [2, 1]


def test_no_key_of_the_bucket_is_written_anywhere(published: Path, server: S3Server) -> None:
    secret = server.environment()["AWS_SECRET_ACCESS_KEY"].encode()
    files = [file for file in published.rglob("*") if file.is_file()]
    assert len(files) > 50
    assert not [file for file in files if secret in file.read_bytes()]


def short_project(folder: Path, more: str = "", **files: str) -> Path:
    """Return a project of three stages."""
    return write_project(folder, QUICK + FEWER + more, **files)


def test_fused_steps_are_one_stage_and_dvc_is_made_ready_where_git_is_not(tmp_path: Path, tahona: Command) -> None:
    project = short_project(tmp_path / "quick", 'schedule = "0 6 * * 1"\n')
    answer = tahona("run", "-C", project, "--json", "--on", "dvc")
    assert answer.code == 0, answer.stderr
    assert "(UTC): 0 6 * * 1 cd PROJECT && dvc repro\n" in (project / "dvc.yaml").read_text("utf-8")
    assert stages_run(answer) == ["ingest_clean_split_audit", "train", "select_evaluate_register_report"]
    assert set(states(answer).values()) == {"done"}
    config = (project / ".dvc" / "config").read_text("utf-8")
    assert re.sub(r"\s+", " ", config).strip() == "[core] no_scm = True analytics = false check_update = false"


def test_what_takes_too_long_is_ended_and_tried_again_and_whoever_waits_is_told_once(
    tmp_path: Path, tahona: Command, dvc: Dvc
) -> None:
    told = tmp_path / "told.jsonl"
    write = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read() + chr(10))"
    tell = f"[run.on_failure]\ncommand = {json.dumps([sys.executable, '-c', write])}\n"
    more = f'retries = 1\nsteps.clean.timeout = "4 s"\n{tell}'
    project = short_project(tmp_path / "quick", more, slow=SLOW_ONCE)
    edit(project, 'source = "table.csv"', 'source = "table.csv"\nclean = ["slow:rest"]')
    do(dvc, project, "dvc init -q --no-scm")
    assert tahona("export", "dvc", "-C", project, env={"RESTS": "9"}).code == 0
    failed = dvc(project, "repro", env={"RESTS": "9"})
    assert failed.code != 0
    assert len((project / "tries.txt").read_text()) == 2
    (message,) = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
    assert "did not end within 4 s" in message["error"]
    assert message["code"] == 4

    mended = dvc(project, "repro", env={"RESTS": "3"})
    assert mended.code == 0, mended.stderr
    assert len((project / "tries.txt").read_text()) == 4
    assert len(told.read_text("utf-8").splitlines()) == 1


def test_the_exit_code_is_that_of_the_step(tmp_path: Path, tahona: Command) -> None:
    project = short_project(tmp_path / "quick", "retries = 3\n")
    edit(project, 'target = "label"', 'target = "labbel"')
    answer = tahona("run", "-C", project, "--json", "--on", "dvc")
    assert answer.code == 2
    assert "labbel" in answer.document["error"]["what"]
    assert answer.stderr.count("Running stage") == 1
    assert "labbel" in answer.stderr


def test_a_killed_run_continues_here_and_on_dvc_with_the_same_bits(
    tmp_path: Path, tahona: Command, dvc: Dvc, python: Path
) -> None:
    project, other = write_project(tmp_path / "quick"), write_project(tmp_path / "other")
    do(dvc, project, "dvc init -q --no-scm")
    assert tahona("export", "dvc", "-C", project).code == 0
    kill_in_training(["dvc", "repro"], project, alone(python), 200)
    kept = kept_files(project)
    begun = {file.stem for file in (project / ".tahona" / "last").iterdir()}
    elsewhere = Path(shutil.copytree(project, tmp_path / "elsewhere" / "quick"))

    on_dvc = run_on("dvc", project, tahona)
    after = kept_files(project)
    assert {name: after[name] for name in kept} == kept
    assert on_dvc == run_on("local", other, tahona)
    again = tahona("run", "-C", elsewhere, "--json")
    assert {step for step, state in states(again).items() if state == "cached"} >= begun


def test_the_commands_choose_the_same_overlays_and_dvc_compares_them(tmp_path: Path, tahona: Command, dvc: Dvc) -> None:
    project = write_project(tmp_path / "quick", QUICK + "\n[env.strict.split]\nseed = 7\n")
    do(dvc, project, "dvc init -q --no-scm")
    chosen = ["--env", "strict", "--set", 'project.language="es"', "--set", "train.search.tree.max_depth=[2,  5]"]
    assert tahona("export", "dvc", "-C", project, *chosen).code == 0
    shown = dvc(project, "repro", "--dry").stdout
    words = shlex.split(shown.partition("> ")[2].partition("\n")[0])
    assert words[:-3] == ["tahona", "step", "ingest", *chosen]
    assert (project / "dvc.yaml").read_text("utf-8").count("          - env.strict\n") == len(STAGES)


def test_somebodys_own_dvc_yaml_is_left_alone(tmp_path: Path, tahona: Command) -> None:
    project = write_project(tmp_path / "quick")
    (project / "dvc.yaml").write_text("stages: {}\n", "utf-8")
    for words in (("run", "--on", "dvc"), ("export", "dvc")):
        answer = tahona(*words, "-C", project)
        assert answer.code == 2
        assert "Tahona did not write it" in answer.stderr
    assert (project / "dvc.yaml").read_text("utf-8") == "stages: {}\n"


def test_dvc_is_told_of_what_it_cannot_read(tmp_path: Path, tahona: Command, python: Path) -> None:
    from tahona.errors import SetupError
    from tahona.orchestrators.dvc import open_orchestrator

    project = write_project(tmp_path / "quick")
    assert tahona("export", "dvc", "-C", project).code == 0
    file = project / "dvc.yaml"
    for old, new in (("    cmd: tahona step split", "    cmdd: tahona step split"), ("/laid/split:", "/laid/clean:")):
        broken = tmp_path / "broken.yaml"
        broken.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
        with pytest.raises(SetupError, match="dvc ended with code 255"):
            open_orchestrator(project, python).check(broken)
    open_orchestrator(project, python).check(file)
    assert not (project / ".dvc").exists()
