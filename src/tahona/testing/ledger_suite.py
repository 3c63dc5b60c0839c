"""What every ledger does, as tests. Subclass `LedgerContract` and give it a ``ledger``."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tahona.core.records import AliasAction, AliasEvent, Interval, RunRecord, StepRecord, Version
from tahona.errors import InputError, RefusedError
from tahona.ports import Ledger


def a_run(number: int = 1, project: str = "hotel") -> RunRecord:
    """Return a full record; a greater number started later."""
    return RunRecord(
        id=f"{project}-{number}",
        project=project,
        status="done",
        started=f"2026-01-01T00:00:{number:02d}+00:00",
        finished=f"2026-01-01T00:01:{number:02d}+00:00",
        data_digest="d" * 64,
        params={"train.metric": "roc_auc", "split.test": 0.2, "train.models": ["tree", "svc"], "decision.cost": None},
        steps=(StepRecord("ingest", "done", 0.25, 0.125, "a" * 64), StepRecord("clean", "cached")),
        leaderboard=(
            {"model": "tree", "metric": "roc_auc", "value": 0.9, "low": 0.8, "high": 0.95, "cpu_seconds": 1.5},
            {"model": "dummy", "metric": "roc_auc", "value": 0.5, "low": None, "high": None, "params": {"depth": 3}},
        ),
        test={"roc_auc": Interval(0.1 + 0.2, 0.25, 0.35), "f1": Interval(0.5, 0.4, 0.6)},
        candidates={
            "tree": {"roc_auc": Interval(0.1 + 0.2, 0.25, 0.35), "f1": Interval(0.5, 0.4, 0.6)},
            "svc": {"roc_auc": Interval(0.25, 0.2, 0.3), "precision": Interval(1.0, 0.5, 1.0)},
        },
        chosen="tree",
    )


def a_version(run: str = "hotel-1", name: str = "hotel") -> Version:
    """Return a version that has no number yet."""
    return Version(
        name=name,
        run=run,
        bundle_digest="b" * 64,
        model="tree",
        metrics={"roc_auc": 0.1 + 0.2},
        created="2026-01-01T00:00:00+00:00",
        data_digest="d" * 64,
        predictions_digest="c" * 64,
        gate_passed=True,
        gate_reasons=("roc_auc 0.30 is at least 0.25",),
    )


def a_move(version: int, previous: int, *, alias: str = "champion", action: AliasAction = "promote") -> AliasEvent:
    """Return an event of the model `hotel`."""
    return AliasEvent("hotel", alias, version, previous, action, "Íñigo", "mejor en otoño", "2026-01-01T00:00:00+00:00")


class LedgerContract:
    """The behaviour behind `tahona.ports.Ledger`."""

    @pytest.fixture
    def ledger(self) -> Ledger:
        """Return an empty ledger; override this."""
        raise NotImplementedError("give the suite the ledger to test: override the fixture `ledger`")

    def test_it_is_a_ledger(self, ledger: Ledger) -> None:
        """The port's methods are all there."""
        assert isinstance(ledger, Ledger)

    def test_an_empty_ledger_answers(self, ledger: Ledger) -> None:
        """Nothing known is an empty list, not an error."""
        assert list(ledger.runs()) == []
        assert list(ledger.runs("hotel")) == []
        assert list(ledger.versions("hotel")) == []
        assert list(ledger.history("hotel")) == []

    def test_a_run_comes_back_whole(self, ledger: Ledger) -> None:
        """Every field is kept, numbers to the last bit."""
        ledger.save_run(a_run())
        assert list(ledger.runs()) == [a_run()]

    def test_a_run_without_results_comes_back(self, ledger: Ledger) -> None:
        """A run that has just begun has nothing but a name."""
        run = RunRecord("hotel-1", "hotel", "running", "2026-01-01T00:00:00+00:00")
        ledger.save_run(run)
        assert list(ledger.runs()) == [run]

    def test_a_number_that_is_not_known_stays_so(self, ledger: Ledger) -> None:
        """A metric that cannot be computed (NaN) is not turned into a number or lost."""
        ledger.save_run(replace(a_run(), test={"roc_auc": Interval(math.nan, 0.0, math.inf)}))
        kept = ledger.runs()[0].test["roc_auc"]
        assert math.isnan(kept.value)
        assert (kept.low, kept.high) == (0.0, math.inf)

    def test_a_run_is_replaced_whole(self, ledger: Ledger) -> None:
        """Saving again under the same id leaves nothing of what stood there."""
        ledger.save_run(a_run())
        later = replace(
            a_run(),
            status="failed",
            params={"split.test": 0.3},
            steps=(),
            leaderboard=(),
            test={},
            candidates={},
            error="no room",
        )
        ledger.save_run(later)
        assert list(ledger.runs()) == [later]

    def test_runs_are_the_newest_first(self, ledger: Ledger) -> None:
        """Order is by start, not by when they were written."""
        for number in (2, 3, 1):
            ledger.save_run(a_run(number))
        assert [run.id for run in ledger.runs()] == ["hotel-3", "hotel-2", "hotel-1"]

    def test_runs_of_one_project(self, ledger: Ledger) -> None:
        """A project sees its own runs with their own numbers."""
        ledger.save_run(a_run(1))
        ledger.save_run(replace(a_run(2, "clinical"), test={}))
        assert list(ledger.runs("clinical")) == [replace(a_run(2, "clinical"), test={})]
        assert list(ledger.runs("hotel")) == [a_run(1)]
        assert len(ledger.runs()) == 2

    def test_versions_are_numbered_per_name(self, ledger: Ledger) -> None:
        """Numbers count from 1 without a gap, each name on its own."""
        numbers = [ledger.add_version(a_version(f"hotel-{run}")).number for run in (7, 8, 9)]
        assert numbers == [1, 2, 3]
        assert ledger.add_version(a_version("clinical-1", "clinical")).number == 1
        assert [version.number for version in ledger.versions("hotel")] == [3, 2, 1]

    def test_a_version_comes_back_whole(self, ledger: Ledger) -> None:
        """Every field is kept; only the number is new."""
        assert ledger.add_version(a_version()) == replace(a_version(), number=1)
        assert list(ledger.versions("hotel")) == [replace(a_version(), number=1)]

    def test_a_run_registers_once(self, ledger: Ledger) -> None:
        """A registration that is repeated after a crash gets the number that it had, and changes nothing."""
        first = ledger.add_version(a_version("hotel-1"))
        ledger.add_version(a_version("hotel-2"))
        assert ledger.add_version(replace(a_version("hotel-1"), model="svc")) == first
        assert [version.model for version in ledger.versions("hotel")] == ["tree", "tree"]

    def test_an_alias_points_at_one_version(self, ledger: Ledger) -> None:
        """Moving an alias takes it from the version that had it."""
        for run in ("hotel-1", "hotel-2"):
            ledger.add_version(a_version(run))
        ledger.move_alias(a_move(1, 0))
        ledger.move_alias(a_move(1, 0, alias="challenger"))
        ledger.move_alias(a_move(2, 1))
        assert [(version.number, version.aliases) for version in ledger.versions("hotel")] == [
            (2, ("champion",)),
            (1, ("challenger",)),
        ]

    def test_an_alias_can_be_taken_away(self, ledger: Ledger) -> None:
        """Version 0 means none."""
        ledger.add_version(a_version())
        ledger.move_alias(a_move(1, 0))
        ledger.move_alias(a_move(0, 1))
        assert ledger.versions("hotel")[0].aliases == ()
        assert [event.version for event in ledger.history("hotel")] == [1, 0]

    def test_history_tells_all_moves_in_order(self, ledger: Ledger) -> None:
        """Who, why and when come back as they were written, the oldest first."""
        for run in ("hotel-1", "hotel-2"):
            ledger.add_version(a_version(run))
        moves = [a_move(1, 0, action="register"), a_move(2, 1, action="override"), a_move(1, 2, action="rollback")]
        for move in moves:
            ledger.move_alias(move)
        assert list(ledger.history("hotel")) == moves
        assert list(ledger.history("clinical")) == []

    def test_an_alias_cannot_point_at_nothing(self, ledger: Ledger) -> None:
        """A version that does not exist is refused, and the history stays as it was."""
        ledger.add_version(a_version())
        with pytest.raises(InputError, match="version 2"):
            ledger.move_alias(a_move(2, 0))
        assert list(ledger.history("hotel")) == []

    def test_a_move_judged_against_another_champion_is_refused(self, ledger: Ledger) -> None:
        """Who compared with version 1 may not replace version 2."""
        for run in ("hotel-1", "hotel-2", "hotel-3"):
            ledger.add_version(a_version(run))
        ledger.move_alias(a_move(2, 0))
        with pytest.raises(RefusedError, match="champion"):
            ledger.move_alias(a_move(3, 1))
        assert ledger.versions("hotel")[1].aliases == ("champion",)
        assert len(ledger.history("hotel")) == 1
