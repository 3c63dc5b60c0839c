"""The values that pass through the ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tahona.core.findings import Finding

if TYPE_CHECKING:
    import pandas as pd

StepState = Literal["done", "cached", "failed", "refused", "waiting"]
AliasAction = Literal["promote", "rollback", "register", "override"]
RunStatus = Literal["running", "done", "refused", "failed", "interrupted"]
"""No ledger has "interrupted": it stands for "running" where the processes that ran it are known to be gone."""


@dataclass(frozen=True, slots=True)
class FetchedTable:
    """A table as read, and everything that was decided or changed on the way (one finding each)."""

    frame: pd.DataFrame
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Interval:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What became of one step; seconds are wall and CPU (children included)."""

    id: str
    state: StepState
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of one project: what went in, what came out. Times are ISO 8601 in UTC."""

    id: str
    project: str
    status: RunStatus
    started: str
    finished: str = ""
    data_digest: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
    leaderboard: tuple[Mapping[str, Any], ...] = ()
    """Rows with model, metric, value, low, high, cpu_seconds; best first."""
    test: Mapping[str, Interval] = field(default_factory=dict)
    """Metrics of the chosen model on the test rows."""
    candidates: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    """The same of every model on the leaderboard but the dummy, the chosen one too."""
    error: str = ""
    chosen: str = ""
    """The model that ``test`` is about: a family's name or "ensemble"."""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One point of a family's search space, as a `Gallery` shows it; ``value`` is None where a fold failed."""

    family: str
    number: int
    params: Mapping[str, Any]
    metric: str
    value: float | None
    state: str


@dataclass(frozen=True, slots=True)
class Version:
    """A registered bundle. ``number`` is 0 until the ledger gives it one."""

    name: str
    run: str
    bundle_digest: str
    model: str
    metrics: Mapping[str, float]
    created: str
    data_digest: str = ""
    number: int = 0
    aliases: tuple[str, ...] = ()
    predictions_digest: str = ""
    """The test predictions, for the next candidate's paired comparison."""
    gate_passed: bool = False
    gate_reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AliasEvent:
    """Someone pointed an alias of a model at a version (``version`` 0: took it away)."""

    name: str
    alias: str
    version: int
    previous: int
    action: AliasAction
    who: str
    why: str
    when: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row that was answered, as the prediction log keeps it. Times are ISO 8601 in UTC."""

    id: str
    """Unique; the client has it too."""
    name: str
    version: int
    when: str
    label: str
    probabilities: Mapping[str, float]
    key: str = ""
    """Id of the key that asked, never the key; empty where none was needed."""
    features: Mapping[str, Any] | None = None
    """Raw cells, as far as `[serve] log_features` keeps them."""
    warnings: tuple[str, ...] = ()
    truth: str | None = None
    """The true label, once somebody tells it."""
    told: str | None = None
    """When it was told."""
