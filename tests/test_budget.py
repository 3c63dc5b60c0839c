"""A budget of time: the run ends with it, takes the best so far, and says that another run may find something else."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from killing import KILLED, Nursery, nursery
from projects import Answer, Command, edit, output, quick_table, write_project

TIMED = """\
[project]
name = "timed"
target = "label"
positive = "yes"

[data]
source = "table.csv"

[train]
models = ["lightgbm"]
budget = { cpu_seconds = 12 }
"""
SLACK = 1.5
"""Processor seconds beside the budget on a machine that others use, too: caches are cold, and clocks go on."""


@pytest.fixture
def timed(tmp_path: Path) -> Path:
    """A project with a budget of 12 CPU seconds and a table of 3,000 rows."""
    return write_project(tmp_path / "timed", TIMED, quick_table(3_000))


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("temporary")) as found:
        yield found


def spent(command: Callable[[], Answer]) -> tuple[Answer, float]:
    """Run a command in a process of its own and return what it said and its CPU seconds, its children's included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = command()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return answer, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def trials(answer: Answer, family: str = "lightgbm") -> int:
    rows = answer.document["leaderboard"]
    return int(next(row["trials"] for row in rows if row["model"] == family))


def budget(folder: Path, value: str) -> None:
    edit(folder, "budget = { cpu_seconds = 12 }", value)


def test_a_budget_of_cpu_seconds_is_kept_and_used(timed: Path, tahona: Command) -> None:
    """More is tried than without a budget (LightGBM's portfolio has three), and the best so far is champion."""
    answer, cpu = spent(lambda: tahona("run", "-C", timed, "--json"))
    assert answer.code == 0, answer.stderr
    assert answer.document["champion"] is True
    assert 12 / SLACK / 2 <= cpu <= 12 * SLACK
    assert trials(answer) > 3


def test_a_budget_by_the_clock_is_kept(tmp_path: Path, tahona: Command) -> None:
    """One process cannot use more processor seconds than the clock counts, however busy the machine is."""
    folder = write_project(tmp_path / "timed", TIMED)
    edit(folder, 'source = "table.csv"', 'source = "sample:breast_cancer"')
    edit(folder, 'target = "label"\npositive = "yes"', 'target = "target"\npositive = "malignant"')
    budget(folder, 'budget = "10 s"')
    answer, cpu = spent(lambda: tahona("run", "-C", folder, "--json"))
    assert answer.code == 0, answer.stderr
    assert answer.document["champion"] is True
    assert cpu <= 10 * SLACK


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "The searches ended with the time (3 s CPU), not after a number of trials"),
        ("es", "Las búsquedas terminaron con el tiempo (3 s CPU), no tras un número de pruebas"),
    ],
)
def test_a_run_says_that_its_time_budget_is_not_reproducible(
    tmp_path: Path, here: Command, language: str, sentence: str
) -> None:
    """On the terminal and in the JSON document, and in both reports in the project's language."""
    folder = write_project(tmp_path / "timed", TIMED)
    edit(folder, 'name = "timed"', f'name = "timed"\nlanguage = "{language}"')
    budget(folder, "budget = { cpu_seconds = 3 }")
    answer = here("run", "-C", folder)
    assert answer.code == 0, answer.stderr
    assert "The searches ended with the time (3 s CPU)" in " ".join(answer.stdout.split())
    found = here("run", "-C", folder, "--json").document["findings"]
    assert [each["facts"] for each in found if each["kind"] == "time_budget"] == [{"budget": "3 s CPU"}]
    for page in ("report.html", "report.md"):
        assert sentence in " ".join((folder / "reports" / page).read_text("utf-8").split())


def test_a_budget_that_is_too_short_still_gives_a_champion(timed: Path, here: Command) -> None:
    """One configuration is tried at least, but not the whole portfolio of three."""
    budget(timed, "budget = { cpu_seconds = 0.1 }")
    answer = here("run", "-C", timed, "--json")
    assert answer.code == 0, answer.stderr
    assert answer.document["champion"] is True
    assert 1 <= trials(answer) < 3


def test_of_trials_and_a_budget_the_first_to_be_met_ends_the_search(timed: Path, here: Command) -> None:
    budget(timed, "budget = { cpu_seconds = 60 }\ntrials = 2")
    answer = here("run", "-C", timed, "--json")
    assert trials(answer) == 2
    edit(timed, "budget = { cpu_seconds = 60 }\ntrials = 2", "budget = { cpu_seconds = 6 }\ntrials = 1000")
    answer = here("run", "-C", timed, "--json")
    assert 1 <= trials(answer) < 1000


@pytest.mark.parametrize("value", ['"5 minutes"', '"-3 s"', '"5"', '"0 min"', '"five min"', "-3", "300", "true"])
def test_a_wrong_duration_is_refused_with_its_line_and_two_right_ones(timed: Path, here: Command, value: str) -> None:
    budget(timed, f"budget = {value}")
    answer = here("check", "-C", timed)
    assert answer.code == 2
    assert "tahona.toml:11: train.budget: " in answer.stderr
    assert '"5 min"' in answer.stderr
    assert "{ cpu_seconds = 300 }" in answer.stderr


@pytest.mark.parametrize("value", ["-3", "0", '"3"', "inf"])
def test_a_wrong_number_of_cpu_seconds_is_refused_with_its_line(timed: Path, here: Command, value: str) -> None:
    budget(timed, f"budget = {{ cpu_seconds = {value} }}")
    answer = here("check", "-C", timed)
    assert answer.code == 2
    assert "tahona.toml:11: train.budget.cpu_seconds: must be " in answer.stderr


@pytest.mark.slow
def test_a_search_killed_within_its_budget_goes_on_from_its_notes(timed: Path, mortal: Nursery) -> None:
    """What was tried before the end is not tried again: its parameters and values stand first among the trials."""
    budget(timed, "budget = { cpu_seconds = 8 }")
    # Five notes are the dummy's.
    assert mortal.run("run", "-C", timed, event="open", path="trials_", number=13) == KILLED
    (notes,) = [
        lines
        for file in (timed / ".tahona" / "notes").rglob("trials_*.jsonl")
        if len(lines := file.read_text("utf-8").splitlines()) == 7
    ]
    assert mortal.run("run", "-C", timed) == 0
    found = json.loads(output(timed, "train@lightgbm", "search.json").read_text("utf-8"))["trials"]
    first = [json.loads(line)["values"] for line in notes[:5]]
    assert found[0]["value"] == pytest.approx(sum(value for (value,) in first) / 5)
    assert len(found) >= 2
