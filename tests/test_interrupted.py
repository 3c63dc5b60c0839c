"""A run whose process is gone is told from one that goes on, and the next run takes up what it left."""

from __future__ import annotations

import json
import platform
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from killing import KILLED, Nursery, nursery
from processes import started
from projects import Command, states


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("temporary")) as found:
        yield found


def shown(command: Command, folder: Path) -> dict[str, Any]:
    """Return the newest run; `tahona runs` and `tahona show` say the same of it."""
    (newest, *_) = command("runs", "-C", folder, "--json").document["runs"]
    assert command("show", "-C", folder, "--json").document["status"] == newest["status"]
    return dict(newest)


def marks(folder: Path) -> list[Path]:
    return [path for path in (folder / ".tahona" / "running").rglob("*") if path.is_file()]


RUNNER = """
    import sys
    from pathlib import Path
    from tahona.lifecycle.presence import at_work
    with at_work(Path(sys.argv[1]), sys.argv[2]):
        print("ready", flush=True)
        sys.stdin.readline()
"""


def test_a_killed_run_is_interrupted_until_somebody_goes_on_with_it(
    mortal: Nursery, project: Path, here: Command
) -> None:
    assert mortal.run("run", "-C", project, event="os.link", number=5, after=True) == KILLED
    run = shown(here, project)
    assert run["status"] == "interrupted"
    said = here("show", "-C", project).stdout
    assert said.startswith(f"Run {run['run']}: interrupted")
    (mark,) = [path for path in marks(project) if path.name != "steps"]
    assert json.loads(mark.read_text("utf-8"))["host"] == platform.node()
    with started(RUNNER, project / ".tahona", run["run"]):
        assert shown(here, project)["status"] == "running"
        assert not mark.exists()  # the living one has taken it away
    assert shown(here, project)["status"] == "interrupted"
    answer = here("run", "-C", project, "--json")
    assert [*states(answer).values()] == ["cached"] * 5 + ["done"] * 6
    assert shown(here, project)["status"] == "done"
    assert marks(project) == []


def test_ctrl_c_interrupts_and_an_error_does_not(mortal: Nursery, project: Path, here: Command) -> None:
    """Whoever could say how it ended has said it."""
    code = 0
    for hundredths in (10, 20, 40, 80, 160):  # until it is caught amid its work
        code = mortal.run("run", "-C", project, after_seconds=hundredths / 100, by=signal.SIGINT)
        if here("runs", "-C", project, "--json").document["runs"]:
            break
    assert code == 130
    assert shown(here, project)["status"] == "interrupted"
    table = (project / "table.csv").read_text("utf-8")
    (project / "table.csv").write_text(table.replace(",yes", ",no"), "utf-8")
    assert here("run", "-C", project).code == 2
    assert shown(here, project)["status"] == "failed"
    assert [path.name for path in marks(project) if path.parent.name == shown(here, project)["run"]] == ["steps"]


def test_a_run_among_whose_processes_one_lives_goes_on(mortal: Nursery, project: Path, here: Command) -> None:
    """An orchestrator's tasks are processes of their own: that one of them died does not end the others."""
    plan = here("plan", "-C", project, "--json").document
    assert mortal.run("step", "ingest", "-C", project, event="os.link", number=1, after=True) == KILLED
    assert shown(here, project)["status"] == "interrupted"
    with started(RUNNER, project / ".tahona", plan["run"]):
        assert mortal.run("step", "clean", "-C", project, event="os.link", number=1) == KILLED
        assert shown(here, project)["status"] == "running"
    assert here("step", "clean", "-C", project).code == 0
    assert shown(here, project)["status"] == "running"  # between two tasks nobody knows better
    assert here("run", "-C", project).code == 0
    assert shown(here, project)["status"] == "done"
    assert marks(project) == []


def test_the_notes_of_an_interrupted_search_outlive_gc(mortal: Nursery, project: Path, here: Command) -> None:
    """They are what the search goes on from; those of a run that ended, nobody needs."""
    for step in ("ingest", "clean", "split", "audit"):
        assert here("step", step, "-C", project).code == 0
    step = ("step", "train@tree", "-C", project)
    assert mortal.run(*step, event="open", path="trials_", number=3) == KILLED
    (journal,) = (project / ".tahona" / "notes").rglob("trials_*.jsonl")
    assert here("gc", "-C", project).code == 0
    assert journal.exists()
    assert here("run", "-C", project).code == 0
    assert not journal.exists()
