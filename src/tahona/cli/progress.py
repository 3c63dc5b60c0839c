"""What a person sees while a run goes on: one line per step, and the trials of the one that trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tahona.cli.terminal import err, quiet
from tahona.lifecycle.opened import silent
from tahona.steps.context import Progress


@contextmanager
def shown_progress(*, hush: bool) -> Iterator[Progress]:
    """Give a progress function: silent for programs, plain lines in CI, a live line on a terminal."""
    if hush:
        yield silent
        return
    console = err()
    if quiet():
        yield lambda event, facts: _line(console, event, facts)
        return
    with console.status("starting") as status:

        def tell(event: str, facts: Mapping[str, Any]) -> None:
            if event == "step" and facts["state"] == "running":
                status.update(facts["step"])
            elif event == "trial":
                status.update(f"train@{facts['family']}  trial {facts['number'] + 1}{_of(facts)}{_best(facts)}")
            else:
                _line(console, event, facts)

        yield tell


def _line(console: Any, event: str, facts: Mapping[str, Any]) -> None:  # noqa: ANN401 - rich is imported late
    if event != "step" or facts["state"] == "running":
        return
    seconds = f"{facts['seconds']:8.2f} s" if facts["state"] == "done" else f"{facts['state']:>10}"
    console.print(f"  {facts['step']:<28}{seconds}", markup=False)


def _of(facts: Mapping[str, Any]) -> str:
    return f" of {facts['of']}" if facts.get("of") else ""


def _best(facts: Mapping[str, Any]) -> str:
    best = facts.get("best")
    return "" if best is None else f"  best {best:.4f}"
