"""What happens to a job, line by line in a file that is only ever added to; all that is known of a job is read there.

Job and server write to it, each line whole. Once a job has ended, what says otherwise later is passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tahona.clock import now
from tahona.core.metrics import METRICS
from tahona.serve.spool import read_lines

State = Literal["queued", "running", "done", "refused", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
ENDED: frozenset[State] = frozenset({"done", "refused", "failed", "cancelled"})
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One line: its number from 1 on, what kind of thing happened, and the facts."""

    number: int
    kind: str
    facts: Mapping[str, Any]


def append(file: Path, kind: str, **facts: object) -> None:
    """Add an event at the end, in one write."""
    line = json.dumps({"event": kind, "when": now(), **facts})
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode() + b"\n")
    finally:
        os.close(handle)


class Follower:
    """Reads the events of one file, and later those that came since."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._at = 0
        self._number = 0

    def fresh(self) -> Sequence[Event]:
        """Return the events since the last call. A line that a full disk has torn is none."""
        found = []
        for after, line in read_lines(self._file, self._at):
            self._at = after
            self._number += 1
            try:
                facts = json.loads(line)
            except ValueError:
                continue
            if isinstance(facts, dict) and "event" in facts:
                found.append(Event(self._number, facts.pop("event"), facts))
        return found


@dataclass(slots=True)
class Course:
    """How far a job has come."""

    state: State = "queued"
    since: str = ""
    """When it came into this state."""
    started: str = ""
    steps: list[str] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    step: str = ""
    within: float = 0.0
    """Share of the step that is done, as far as it can be told."""
    families: dict[str, Document] = field(default_factory=dict)
    result: Document | None = None
    error: Document | None = None
    cancelled: bool = False
    """Somebody wants it to end."""
    lost: int = 0
    """How often its process was gone when a server started."""

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def progress(self) -> float:
        """Share of the steps that are done."""
        if self.state == "done":
            return 1.0
        return round((len(self.finished) + self.within) / len(self.steps), 4) if self.steps else 0.0

    @property
    def leaderboard(self) -> list[Document]:
        """The families whose search is over, the best first."""
        return sorted(self.families.values(), key=lambda row: -METRICS[row["metric"]].sign * row["value"])

    def take(self, event: Event) -> None:
        """Go on by one event."""
        facts = event.facts
        if self.ended:
            return
        if event.kind == "state":
            self._enter(facts)
        elif event.kind == "plan":
            self.steps, self.finished = list(facts["steps"]), set()
        elif event.kind == "step" and facts["state"] == "running":
            self.step, self.within = facts["step"], 0.0
        elif event.kind == "step":
            self.finished.add(facts["step"])
            self.step, self.within = facts["step"], 0.0
        elif event.kind == "trial" and facts.get("of"):
            self.within = min(1.0, (facts["number"] + 1) / facts["of"])
        elif event.kind == "family":
            self.families[facts["model"]] = {name: facts[name] for name in ("model", "metric", "value", "trials")}
        elif event.kind == "cancel":
            self.cancelled = True
        elif event.kind == "lost":
            self.lost += 1

    def _enter(self, facts: Mapping[str, Any]) -> None:
        self.state, self.since = facts["state"], facts["when"]
        self.result, self.error = facts.get("result"), facts.get("error")
        if self.state == "running":
            self.started = self.started or self.since
        else:
            self.step, self.within = "", 0.0
