"""The road as its user walks it: what runs, what does not run again, and what is said about either."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from projects import QUICK, Command, all_outputs, edit, kept_files, quick_table, states, write_project

HELPED = QUICK.replace("[split]", 'clean = ["cleaning:fix"]\n\n[split]')
MODULES = {
    "cleaning": "from halfway import rounded\n\ndef fix(rows):\n    return rows.assign(size=rounded(rows['size']))\n",
    "halfway": "import deep\n\n\ndef rounded(values):\n    return values.round(deep.DIGITS)\n",
    "deep": "DIGITS = 2\n",
}


def done(command: Command, folder: Path, *words: str) -> dict[str, str]:
    """Run the project and return the state of each step."""
    answer = command("run", "-C", folder, "--json", *words)
    assert answer.code == 0, answer.stderr
    return states(answer)


def ran(found: dict[str, str]) -> set[str]:
    return {step for step, state in found.items() if state == "done"}


def reasons(command: Command, folder: Path, step: str) -> list[str]:
    answer = command("why", step, "-C", folder, "--json")
    assert answer.code == 0, answer.stderr
    return answer.document["reasons"]


def test_a_second_run_does_nothing_and_says_so(project: Path, here: Command) -> None:
    """Also in a second of CPU: measured in this process, which has imported everything by then."""
    assert set(done(here, project).values()) == {"done"}
    before, reports = kept_files(project), (project / "reports" / "report.html").stat().st_mtime_ns
    started = time.process_time()
    answer = here("run", "-C", project, "--json")
    spent = time.process_time() - started
    assert answer.document["nothing_to_do"] is True
    assert set(states(answer).values()) == {"cached"}
    assert spent <= 1.0
    assert kept_files(project) == before
    assert (project / "reports" / "report.html").stat().st_mtime_ns == reports
    assert "Nothing to do: every step has its result already." in here("run", "-C", project).stdout
    assert len(here("runs", "-C", project, "--json").document["runs"]) == 1


def test_what_the_ledger_shows_of_a_run_outlives_a_second_run(project: Path, here: Command) -> None:
    done(here, project)
    first = here("show", "-C", project, "--json").document
    assert first["status"] == "done"
    assert all(step["seconds"] > 0 for step in first["steps"])
    done(here, project)
    assert here("show", "-C", project, "--json").document == first


def test_why_names_the_changed_setting(project: Path, here: Command) -> None:
    assert reasons(here, project, "ingest") == ["ingest has never run here"]
    done(here, project)
    assert reasons(here, project, "train@tree") == [
        "train@tree will not run again: its result is stored and nothing that it depends on has changed"
    ]
    edit(project, "max_depth = [2, 3]", "max_depth = [2, 4]")
    assert reasons(here, project, "train@tree") == ["the setting space.max_depth changed from [2, 3] to [2, 4]"]
    assert "will not run again" in reasons(here, project, "train@logistic_regression")[0]
    assert reasons(here, project, "select") == [
        "select waits for train@tree, which will run first",
        "train@tree: the setting space.max_depth changed from [2, 3] to [2, 4]",
    ]


def test_a_helper_two_imports_away_reruns_the_cleaning_and_why_says_so(tmp_path: Path, here: Command) -> None:
    folder = write_project(tmp_path, HELPED, **MODULES)
    done(here, folder)
    edit(folder, "DIGITS = 2", "DIGITS = 1", "deep.py")
    assert reasons(here, folder, "clean") == [
        "the source of a cleaning function, or of a project module that it imports, changed"
    ]
    assert {"ingest"} == {step for step, state in done(here, folder).items() if state == "cached"}


def test_changed_data_reruns_everything_and_why_says_so(project: Path, here: Command) -> None:
    done(here, project)
    write_project(project, table=quick_table(seed=8))
    assert reasons(here, project, "ingest") == ["the content of the data source changed"]
    waiting = reasons(here, project, "report")
    assert waiting[0].startswith("report waits for ingest, clean, split")
    assert waiting[1] == "ingest: the content of the data source changed"
    assert set(done(here, project).values()) == {"done"}


def test_data_that_only_moved_reruns_nothing_but_its_reading(project: Path, here: Command) -> None:
    """The same bytes under another name give the same raw table, so nothing behind it runs."""
    done(here, project)
    (project / "table.csv").rename(project / "moved.csv")
    edit(project, "table.csv", "moved.csv")
    assert ran(done(here, project)) == {"ingest", "report"}


@pytest.mark.parametrize(
    ("section", "runs"),
    [
        ('[audit]\nallow = { colour = "known beforehand" }\n', {"audit", "report"}),
        ("[gate]\nmin = { roc_auc = 0.6 }\n", {"register", "report"}),
    ],
)
def test_a_change_behind_or_beside_training_trains_nothing(
    project: Path, here: Command, section: str, runs: set[str]
) -> None:
    done(here, project)
    (project / "tahona.toml").write_text(QUICK + "\n" + section, "utf-8")
    assert ran(done(here, project)) == runs


def test_another_familys_search_space_reruns_that_family_and_what_follows(project: Path, here: Command) -> None:
    done(here, project)
    edit(project, "C = [0.1, 1.0]", "C = [0.01, 1.0]")
    follow = {"select", "evaluate", "register", "report"}
    assert ran(done(here, project)) == {"train@logistic_regression", *follow}
    edit(project, '"tree", "logistic_regression"', '"tree", "logistic_regression", "knn"')
    assert ran(done(here, project)) == {"train@knn", *follow}


def test_a_search_that_finds_the_same_model_evaluates_and_registers_nothing_new(project: Path, here: Command) -> None:
    done(here, project)
    edit(project, "C = [0.1, 1.0]", "C = [0.1, 10.0]")
    found = done(here, project)
    assert {"train@logistic_regression"} <= ran(found)
    assert not {"evaluate", "register"} & ran(found)
    assert len(here("models", "-C", project, "--json").document["models"]) == 1


def test_where_it_runs_and_is_kept_makes_no_other_run(project: Path, here: Command) -> None:
    run = here("plan", "-C", project, "--json").document["run"]
    moved = here("plan", "-C", project, "--json", "--set", "run.workers=2", "--set", "stores.artifacts=elsewhere")
    assert moved.document["run"] == run
    assert here("plan", "-C", project, "--json", "--set", "split.seed=1").document["run"] != run


@pytest.mark.slow
def test_steps_by_hand_in_processes_of_their_own_give_what_a_run_gives(
    project: Path, tmp_path: Path, here: Command, tahona: Command
) -> None:
    plan = tahona("plan", "-C", project, "--json").document
    early = tahona("step", "train@tree", "--run", plan["run"], "-C", project, "--json")
    assert early.code == 2
    assert early.document["error"]["what"].startswith("step 'train@tree' waits for clean, split, audit")
    for step in plan["steps"]:
        answer = tahona("step", step["id"], "--run", plan["run"], "-C", project, "--json")
        assert answer.code == 0, answer.stderr
        assert [(each["step"], each["state"]) for each in answer.document["steps"]] == [(step["id"], "done")]
    whole = write_project(tmp_path / "whole")
    assert set(done(here, whole).values()) == {"done"}
    assert all_outputs(project) == all_outputs(whole)
    assert set(done(here, project).values()) == {"cached"}


def test_a_step_of_another_run_is_refused(project: Path, here: Command) -> None:
    answer = here("step", "ingest", "--run", "quick-0123456789", "-C", project, "--json")
    assert answer.code == 2
    error = answer.document["error"]
    assert "not 'quick-0123456789': project file, data or code changed since" in error["what"]
    assert error["where"] == "--run"
    assert not (project / ".tahona" / "last").exists()


def test_a_refused_audit_is_kept_told_and_lifted_by_a_reason(tmp_path: Path, here: Command) -> None:
    table = quick_table()
    folder = write_project(tmp_path, table=table.assign(outcome=(table["label"] == "yes").astype(int)))
    first = here("run", "-C", folder, "--json")
    assert first.code == 3
    assert {"run", "status", "steps", "findings", "error"} <= set(first.document)
    assert first.document["status"] == "refused"
    leak = next(finding for finding in first.document["findings"] if finding["column"] == "outcome")
    assert (leak["kind"], leak["severity"]) == ("leak", "error")
    assert "'outcome' alone tells the classes apart (AUC 1.0)" in first.document["error"]["what"]
    assert first.document["error"]["fix"]
    found = states(first)
    assert (found["ingest"], found["split"], found["audit"]) == ("done", "done", "refused")
    assert {state for step, state in found.items() if step.startswith("train@")} == {"waiting"}

    before = kept_files(folder)
    second = here("run", "-C", folder, "--json")
    assert second.code == 3
    assert second.document["error"] == first.document["error"]
    assert kept_files(folder) == before
    assert here("step", "train@tree", "-C", folder).code == 3
    shown = here("show", "-C", folder, "--json").document
    assert shown["status"] == "refused"
    assert "outcome" in shown["error"]

    reason = "measured at the desk before the visit"
    (folder / "tahona.toml").write_text(f'{QUICK}\n[audit]\nallow = {{ outcome = "{reason}" }}\n', "utf-8")
    lifted = here("run", "-C", folder, "--json")
    assert lifted.code == 0, lifted.stderr
    assert states(lifted)["split"] == "cached"
    accepted = next(finding for finding in lifted.document["findings"] if finding["column"] == "outcome")
    assert accepted["accepted"] == reason
    assert reason in (folder / "reports" / "report.html").read_text("utf-8")


def test_a_step_that_fails_leaves_a_run_that_says_so(tmp_path: Path, here: Command) -> None:
    folder = write_project(tmp_path, HELPED, cleaning="def fix(frame):\n    raise ValueError(frame['colour'][0])\n")
    answer = here("run", "-C", folder, "--json")
    assert answer.code == 2
    assert answer.document["error"]["what"] == "the function 'cleaning:fix' raised ValueError"
    assert answer.document["error"]["where"].endswith("cleaning.py:2")
    shown = here("show", "-C", folder, "--json").document
    assert shown["status"] == "failed"
    assert "raised ValueError" in shown["error"]
    assert not any(colour in answer.stdout + answer.stderr for colour in ("red", "green", "blue"))


def test_a_new_ledger_beside_a_filled_store_gets_the_version_and_no_step_runs_again(
    project: Path, here: Command
) -> None:
    first = here("run", "-C", project, "--json").document
    other = ("--set", "stores.ledger=sqlite:///.tahona/other.db")
    again = here("run", "-C", project, "--json", *other).document
    assert {step for step, state in states_of(again).items() if state == "done"} == {"register"}
    assert (again["version"], again["champion"]) == (first["version"], True) == (1, True)
    models = here("models", "-C", project, "--json", *other).document["models"]
    assert [(model["number"], model["aliases"]) for model in models] == [(1, ["champion"])]
    assert here("run", "-C", project, "--json", *other).document["nothing_to_do"] is True


def states_of(document: dict) -> dict[str, str]:
    return {step["id"]: step["state"] for step in document["steps"]}
