"""Tasks: how a plan becomes them, how patient one is with them, and who hears when they fail."""

from __future__ import annotations

import http.server
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from projects import Command, edit, states

from tahona.core.plan import make_plan
from tahona.core.workflow import Patience, Task, Workflow, make_workflow
from tahona.errors import InputError, SetupError
from tahona.orchestrators.local import LocalOrchestrator

PLAN = make_plan("quick-0123456789", ("dummy", "tree"))


def names(workflow: Workflow) -> dict[str, tuple[str, ...]]:
    return {task.name: task.after for task in workflow}


def test_a_task_waits_for_nothing_that_another_waits_for_already() -> None:
    assert names(make_workflow("quick", PLAN)) == {
        "ingest": (),
        "clean": ("ingest",),
        "split": ("clean",),
        "audit": ("split",),
        "train@dummy": ("audit",),
        "train@tree": ("audit",),
        "select": ("train@dummy", "train@tree"),
        "evaluate": ("select",),
        "register": ("evaluate",),
        "report": ("register",),
    }


def test_fused_steps_are_one_task_with_the_patience_of_all_of_them() -> None:
    patience = {"": Patience(1, 5.0, 60.0), "audit": Patience(3, 2.0, 30.0)}
    workflow = make_workflow("quick", PLAN, fuse=[["split", "audit"], ["train"]], patience=patience)
    assert names(workflow) == {
        "ingest": (),
        "clean": ("ingest",),
        "split+audit": ("clean",),
        "train": ("split+audit",),
        "select": ("train",),
        "evaluate": ("select",),
        "register": ("evaluate",),
        "report": ("register",),
    }
    tasks = {task.name: task for task in workflow}
    assert tasks["split+audit"].patience == Patience(3, 5.0, 90.0)
    assert tasks["train"].steps == ("train@dummy", "train@tree")
    assert workflow.train_tasks == (tasks["train"],)


@pytest.mark.parametrize(
    ("fuse", "says"),
    [
        ([["ingest", "split"]], "cannot run as one"),
        ([["split", "audit"], ["audit", "select"]], "stands in two groups"),
        ([["splitt"]], "there is no step 'splitt'"),
    ],
)
def test_groups_that_make_no_task_are_refused(fuse: list[list[str]], says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        make_workflow("quick", PLAN, fuse=fuse)
    assert refused.value.where == "run.fuse"


def one_task(patience: Patience) -> Workflow:
    return Workflow("quick", "quick-0", (Task("ingest", ("ingest",), patience=patience),))


def failing(times: int, error: Exception) -> tuple[Callable[[str], object], list[float]]:
    """Return a step that fails so many times, and when it was tried."""
    tried: list[float] = []

    def run_step(_: str) -> None:
        tried.append(time.monotonic())
        if len(tried) <= times:
            raise error

    return run_step, tried


def test_what_may_pass_is_tried_again_after_the_delay() -> None:
    run_step, tried = failing(2, SetupError("the store is down"))
    LocalOrchestrator().walk(one_task(Patience(retries=2, delay=0.2)), run_step)
    assert len(tried) == 3
    assert min(after - before for before, after in pairwise(tried)) >= 0.2


def test_the_last_failure_is_raised() -> None:
    run_step, tried = failing(9, SetupError("the store is down"))
    with pytest.raises(SetupError, match="the store is down"):
        LocalOrchestrator().walk(one_task(Patience(retries=2, delay=0.01)), run_step)
    assert len(tried) == 3


def test_what_the_user_must_mend_is_not_tried_again() -> None:
    run_step, tried = failing(9, InputError("no such column"))
    with pytest.raises(InputError):
        LocalOrchestrator().walk(one_task(Patience(retries=5, delay=0.01)), run_step)
    assert len(tried) == 1


def test_an_attempt_that_takes_too_long_is_ended_and_the_next_one_has_its_own_time() -> None:
    tried = []

    def run_step(_: str) -> None:
        tried.append(time.monotonic())
        time.sleep(20 if len(tried) == 1 else 0.5)

    LocalOrchestrator().walk(one_task(Patience(retries=1, delay=0.01, timeout=1.0)), run_step)
    assert len(tried) == 2
    assert tried[1] - tried[0] < 10


def test_a_run_that_runs_out_of_time_fails_with_the_key_to_change(project: Path, tahona: Command) -> None:
    answer = tahona("run", "-C", project, "--json", "--set", "run.timeout='0.01 s'")
    assert answer.code == 4
    assert answer.document["error"]["where"] == "run.timeout"
    assert tahona("run", "-C", project, "--json").code == 0


def test_several_steps_run_in_one_process_and_the_last_one_ends_the_run(project: Path, here: Command) -> None:
    plan = here("plan", "-C", project, "--json").document
    steps = [step["id"] for step in plan["steps"]]
    for group in (steps[:3], steps[3:-1]):
        answer = here("step", *group, "--run", plan["run"], "-C", project, "--json").document
        assert [each["state"] for each in answer["steps"]] == ["done"] * len(group)
        assert here("show", "-C", project, "--json").document["status"] == "running"
    assert here("step", steps[-1], "--run", plan["run"], "-C", project).code == 0
    shown = here("show", "-C", project, "--json").document
    assert shown["status"] == "done"
    assert shown["run"] == plan["run"]
    assert {step["state"] for step in shown["steps"]} == {"done"}
    assert set(states(here("run", "-C", project, "--json")).values()) == {"cached"}


def test_a_step_that_fails_by_itself_leaves_a_failed_run_and_success_mends_it(project: Path, here: Command) -> None:
    table = project / "table.csv"
    kept = table.read_bytes()
    table.write_bytes(kept.replace(b",label", b",lable"))
    assert here("step", "ingest", "clean", "split", "-C", project).code == 2
    assert here("show", "-C", project, "--json").document["status"] == "failed"
    table.write_bytes(kept)
    assert here("run", "-C", project).code == 0
    assert here("show", "-C", project, "--json").document["status"] == "done"


class Hook(http.server.BaseHTTPRequestHandler):
    """A webhook that keeps what it was sent."""

    heard: list[dict[str, object]]

    def do_POST(self) -> None:
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, object]]]]:
    heard: list[dict[str, object]] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("OneHook", (Hook,), {"heard": heard}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", heard
    server.shutdown()
    server.server_close()


def add(folder: Path, *lines: str) -> None:
    """Add the table of who is told to the project file."""
    with (folder / "tahona.toml").open("a", encoding="utf-8") as file:
        file.write("\n".join(("", "[run.on_failure]", *lines, "")))


def test_command_and_webhook_hear_of_a_failure_once(
    project: Path, tahona: Command, hook: tuple[str, list[dict[str, object]]]
) -> None:
    address, heard = hook
    script = "import sys; open('heard.json', 'a').write(sys.stdin.read() + '\\n')"
    edit(project, 'target = "label"', 'target = "nothing"')
    add(project, f"webhook = {json.dumps(address)}", f"command = {json.dumps([sys.executable, '-c', script])}")
    answer = tahona("run", "-C", project, "--json")
    assert answer.code == 2
    (message,) = heard
    assert message["project"] == "quick"
    assert message["run"] == tahona("plan", "-C", project, "--json").document["run"]
    assert message["code"] == 2
    assert answer.document["error"]["what"] in str(message["error"])
    (line,) = (project / "heard.json").read_text("utf-8").splitlines()
    assert json.loads(line) == message
    assert tahona("notify", "-C", project, "--json", env={"TAHONA_TOLD_BY_ANOTHER": "1"}).document["told"] == []
    assert tahona("notify", "-C", project, "--json").document["told"] == ["command", "webhook"]
    assert heard[1]["error"] == message["error"]


def test_a_run_that_the_project_no_longer_is_is_told_with_its_reason(
    project: Path, tahona: Command, hook: tuple[str, list[dict[str, object]]]
) -> None:
    address, heard = hook
    add(project, f"webhook = {json.dumps(address)}")
    before = tahona("plan", "-C", project, "--json").document["run"]
    edit(project, "max_depth = [2, 3]", "max_depth = [2, 4]")
    assert tahona("step", "ingest", "--run", before, "-C", project).code == 2
    assert tahona("notify", "--run", before, "-C", project, "--json").document["told"] == ["webhook"]
    assert (heard[0]["run"], heard[0]["code"]) == (before, 2)
    assert "project file, data or code changed since" in str(heard[0]["error"])


def test_a_webhook_that_is_down_does_not_hide_the_failure(project: Path, tahona: Command) -> None:
    edit(project, 'target = "label"', 'target = "nothing"')
    add(project, 'webhook = "http://127.0.0.1:9/hook"')
    answer = tahona("run", "-C", project)
    assert answer.code == 2
    assert "the webhook of [run.on_failure] failed" in answer.stderr
    assert "nothing" in answer.stderr


def test_an_orchestrator_can_tell_of_a_run_that_cannot_even_be_planned(project: Path, tahona: Command) -> None:
    script = "import sys; open('heard.json', 'a').write(sys.stdin.read())"
    add(project, f"command = {json.dumps([sys.executable, '-c', script])}")
    (project / "table.csv").unlink()
    answer = tahona("notify", "-C", project, "--run", "quick-0123456789", "--json")
    assert answer.document == {"run": "quick-0123456789", "told": ["command"]}
    message = json.loads((project / "heard.json").read_text("utf-8"))
    assert message["code"] == 2
    assert "table.csv" in message["error"]


def test_a_run_that_goes_well_tells_nobody(
    project: Path, here: Command, hook: tuple[str, list[dict[str, object]]]
) -> None:
    address, heard = hook
    add(project, f"webhook = {json.dumps(address)}")
    assert here("run", "-C", project).code == 0
    assert heard == []
