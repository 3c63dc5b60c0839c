"""One project run on any orchestrator, and what must then be the same on all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from projects import Answer, outputs

CALM = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
SECONDS = 900
"""An environment may have to be made first."""


@dataclass(frozen=True)
class Facts:
    """What a run gave that no orchestrator, store or ledger may change."""

    run: str
    leaderboard: tuple[tuple[str, float | None, float | None, float | None], ...]
    """Model, value and interval, best first."""
    champion: tuple[str, str, int, bool]
    """The registered model, its family, its version, and whether it is champion."""
    test: Mapping[str, Any]
    predictions: str
    """The digest of `predictions.parquet`: the test predictions, bit by bit."""
    fingerprints: Mapping[str, str]


def run_on(name: str, project: Path, *words: object, env: Mapping[str, str] | None = None) -> Facts:
    """Run the project on this orchestrator and return its facts; it must end well."""
    answer = try_on(name, project, *words, env=env)
    assert answer.code == 0, answer.stderr
    return facts(project, answer.document)


def try_on(name: str, project: Path, *words: object, env: Mapping[str, str] | None = None) -> Answer:
    """Run the project on this orchestrator, however it ends."""
    command = [Path(sys.executable).with_name("tahona"), "run", "-C", project, "--json", "--on", name, *words]
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **CALM, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def facts(project: Path, summary: Mapping[str, Any]) -> Facts:
    """Gather the facts of a project that was run here, from its folder and from the document of `tahona run --json`."""
    last = project / ".tahona" / "last"
    return Facts(
        run=summary["run"],
        leaderboard=tuple((row["model"], row["value"], row["low"], row["high"]) for row in summary["leaderboard"]),
        champion=(summary["model"], summary["family"], summary["version"], summary["champion"]),
        test=summary["test"],
        predictions=outputs(project, "evaluate")["predictions.parquet"],
        fingerprints={
            file.stem: json.loads(file.read_text("utf-8"))["fingerprint"] for file in sorted(last.glob("*.json"))
        },
    )
