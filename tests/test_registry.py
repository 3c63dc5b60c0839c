"""Versions and the champion: what the gate lets through, what a person may do about it, and what is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from killing import KILLED, Nursery, nursery
from projects import QUICK, Command, edit, write_project

POOR = ("--set", 'train.models=["tree"]', "--set", "train.search.tree.max_depth=[1]", "--set", 'data.drop=["size"]')
"""Settings that give a worse model on the same test rows."""


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("temporary")) as found:
        yield found


def run(command: Command, folder: Path, *words: str) -> dict[str, Any]:
    answer = command("run", "-C", folder, "--json", *words)
    assert answer.code == 0, answer.stderr
    return answer.document


def models(command: Command, folder: Path) -> dict[int, tuple[str, ...]]:
    """Return each version's aliases, the newest first."""
    found = command("models", "-C", folder, "--json").document["models"]
    return {version["number"]: tuple(version["aliases"]) for version in found}


def moves(command: Command, folder: Path) -> list[tuple[str, str, int, int]]:
    """Return the history as (action, alias, version, before)."""
    found = command("history", "-C", folder, "--json").document["history"]
    return [(event["action"], event["alias"], event["version"], event["previous"]) for event in found]


def test_the_gate_refuses_a_worse_version_and_a_reason_overrides_it(project: Path, here: Command) -> None:
    first = run(here, project)
    assert (first["version"], first["champion"]) == (1, True)
    worse = run(here, project, *POOR)
    assert (worse["version"], worse["champion"]) == (2, False)
    assert "ROC AUC is worse than the champion's: difference -0." in " ".join(worse["gate"]["reasons"])
    assert worse["gate"]["comparison"]["difference"] < 0
    assert models(here, project) == {2: ("challenger",), 1: ("champion",)}

    refused = here("promote", "2", "-C", project, "--json")
    assert refused.code == 3
    assert "version 2 did not pass the gate. ROC AUC is worse" in refused.document["error"]["what"]
    assert "--override" in refused.document["error"]["fix"]
    assert models(here, project) == {2: ("challenger",), 1: ("champion",)}

    reason = "the clinic has no size to give"
    assert here("promote", "2", "-C", project, "--override", reason).code == 0
    assert models(here, project) == {2: ("challenger", "champion"), 1: ()}
    event = here("history", "-C", project, "--json").document["history"][-1]
    assert (event["action"], event["version"], event["previous"], event["why"]) == ("override", 2, 1, reason)
    assert event["who"]
    assert event["when"] > "2026"

    assert here("rollback", "-C", project, "--why", "complaints").code == 0
    assert models(here, project)[1] == ("champion",)
    assert moves(here, project) == [
        ("register", "champion", 1, 0),
        ("register", "challenger", 2, 0),
        ("override", "champion", 2, 1),
        ("rollback", "champion", 1, 2),
    ]


def test_an_equal_version_passes_the_gate_and_can_be_rolled_back(project: Path, here: Command) -> None:
    run(here, project)
    second = run(here, project, "--set", "train.search.logistic_regression.C=[1.0]")
    assert (second["version"], second["champion"]) == (2, True)
    assert second["gate"]["comparison"]["metric"] == "roc_auc"
    assert here("promote", "2", "-C", project).code == 2
    assert here("rollback", "-C", project).code == 0
    assert here("promote", "2", "-C", project).code == 0
    assert models(here, project) == {2: ("champion",), 1: ()}


def test_an_earlier_project_run_again_does_not_claim_to_be_champion(project: Path, here: Command) -> None:
    run(here, project)
    run(here, project, "--set", "train.search.logistic_regression.C=[1.0]")
    again = run(here, project)
    assert again["nothing_to_do"] is True
    assert (again["version"], again["champion"]) == (1, False)
    said = here("run", "-C", project).stdout
    assert "another is champion by now; tahona promote 1 makes it champion again" in said
    assert models(here, project) == {2: ("champion",), 1: ()}


def test_a_minimum_that_is_not_reached_makes_no_champion(tmp_path: Path, here: Command) -> None:
    folder = write_project(tmp_path, QUICK + "\n[gate]\nmin = { roc_auc = 0.999 }\n")
    document = run(here, folder)
    assert (document["version"], document["champion"]) == (1, False)
    assert models(here, folder) == {1: ("challenger",)}
    said = here("run", "-C", folder).stdout
    assert "This version is not the champion. ROC AUC is only 0." in said
    nobody = here("export", "model", "champion", "-C", folder, "-o", folder, "--json")
    assert nobody.code == 2
    assert "no version or alias 'champion'" in nobody.document["error"]["what"]


def test_versions_are_numbered_without_gaps_and_a_run_has_one(project: Path, here: Command) -> None:
    for depth in (2, 3, 2, 4):
        run(here, project, "--set", 'train.models=["tree"]', "--set", f"train.search.tree.max_depth=[{depth}]")
    assert sorted(models(here, project)) == [1, 2, 3]
    assert len(here("runs", "-C", project, "--json").document["runs"]) == 3


def test_a_champion_that_cannot_read_the_new_table_is_said_so(project: Path, here: Command) -> None:
    run(here, project)
    table = (project / "table.csv").read_text("utf-8")
    (project / "table.csv").write_text(table.replace("size,", "length,", 1), "utf-8")
    document = run(here, project)
    assert document["champion"] is False
    (reason,) = document["gate"]["reasons"]
    assert reason.startswith("The champion (version 1) cannot read this table, so the two cannot be compared")


def test_new_rows_are_judged_by_both_versions(project: Path, here: Command) -> None:
    """Other data, other test rows: the champion's bundle is asked about the candidate's test rows."""
    run(here, project)
    lines = (project / "table.csv").read_text("utf-8").splitlines()
    (project / "table.csv").write_text("\n".join(lines[:1] + lines[30:]) + "\n", "utf-8")
    document = run(here, project)
    assert document["version"] == 2
    assert document["gate"]["comparison"]["low"] <= document["gate"]["comparison"]["difference"]


@pytest.mark.slow
def test_killed_between_the_ledgers_write_and_the_steps_record_leaves_one_version(
    project: Path, here: Command, mortal: Nursery
) -> None:
    """Every writing operation of the step in turn, the ledger's own included; the story told is the undisturbed one."""
    run(here, project)
    better = ("--set", "train.search.logistic_regression.C=[1.0]")
    plan = here("plan", "-C", project, "--json", *better).document
    for step in [step["id"] for step in plan["steps"]][:-2]:
        assert here("step", step, "-C", project, *better).code == 0
    seen = set()
    for number in range(1, 200):
        if mortal.run("step", "register", "-C", project, *better, number=number) != KILLED:
            break
        seen.add(tuple(models(here, project).items()))
    else:
        raise AssertionError("the step was killed every time")
    assert ((2, ("champion",)), (1, ())) in seen, "no kill fell between the ledger and the record"
    document = run(here, project, *better)
    assert models(here, project) == {2: ("champion",), 1: ()}
    assert moves(here, project) == [("register", "champion", 1, 0), ("register", "champion", 2, 1)]
    assert document["gate"]["comparison"]["metric"] == "roc_auc"
    assert "no champion to compare with" not in (project / "reports" / "report.html").read_text("utf-8")
    edit(project, 'name = "quick"', 'name = "slow"')
    assert models(here, project) == {}
