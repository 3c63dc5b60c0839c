"""What a run gives, told so that two runs of one project can be compared wherever their steps ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from projects import Answer, Command, all_outputs, outputs

COSTS = {"cpu_seconds", "seconds"}


def run_on(name: str, project: Path, tahona: Command, *words: object, **variables: str) -> dict[str, Any]:
    """Run the project on an orchestrator and return the facts of it."""
    answer = tahona("run", "-C", project, "--json", "--on", name, *words, env=variables)
    assert answer.code == 0, answer.stderr
    return facts(project, answer)


def facts(project: Path, answer: Answer) -> dict[str, Any]:
    """Return what must be the same anywhere: run, leaderboard, champion, every result's digest, every fingerprint."""
    document = answer.document
    last = {file.stem: json.loads(file.read_text("utf-8")) for file in (project / ".tahona" / "last").glob("*.json")}
    return {
        "run": document["run"],
        "leaderboard": [{k: v for k, v in row.items() if k not in COSTS} for row in document["leaderboard"]],
        "champion": (document["family"], document["version"], document["champion"]),
        "test": document["test"],
        "predictions": outputs(project, "evaluate")["predictions.parquet"],
        "outputs": all_outputs(project),
        "fingerprints": {step: result["fingerprint"] for step, result in last.items()},
    }
