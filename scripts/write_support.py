"""Write the table of what is the same where from what tests/test_equality.py noted (`make support`).

    python scripts/write_support.py [NOTES]

NOTES is the folder that TAHONA_SUPPORT named while the tests ran: its notes become docs/support.json. The table between
the marks in docs/orchestrators.md is written from that file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTES, PAGE = ROOT / "docs" / "support.json", ROOT / "docs" / "orchestrators.md"
BEGIN, END = "<!-- written by scripts/write_support.py -->", "<!-- end of what it wrote -->"
NAMES = {
    "local": "local",
    "prefect": "Prefect",
    "metaflow": "Metaflow",
    "airflow": "Airflow",
    "dvc": "DVC",
    "folder": "folder",
    "s3": "S3",
    "sqlite": "SQLite",
    "postgres": "PostgreSQL",
    "mlflow": "MLflow",
}
MADE_BY = {"s3": "SeaweedFS", "python": "Python"}
SAID = {True: "same", False: "differs"}
"""What a cell of the table says; an empty one was not compared."""


def main() -> int:
    if len(sys.argv) > 1:
        NOTES.write_text(json.dumps(gathered(Path(sys.argv[1])), indent=1) + "\n", "utf-8")
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(read(NOTES))}{END}{after}", "utf-8")
    return 0


def read(file: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))
    return cells


def gathered(notes: Path) -> list[dict[str, Any]]:
    """Return all notes, by orchestrator, store and ledger."""
    order = list(NAMES)
    found = [json.loads(file.read_text("utf-8")) for file in notes.glob("*.json")]
    return sorted(found, key=lambda cell: [order.index(name) for name in key(cell)])


def key(cell: dict[str, Any]) -> tuple[str, str, str]:
    return cell["orchestrator"], cell["store"], cell["ledger"]


def table(cells: Sequence[dict[str, Any]]) -> str:
    """Return the table, a row for each orchestrator, a column for each store with each ledger, and how it was seen."""
    said = {key(cell): SAID[cell["equal"]] for cell in cells}
    places = [(store, ledger) for store in ("folder", "s3") for ledger in ("sqlite", "postgres", "mlflow")]
    lines = [
        row(["", *(f"{NAMES[store]}, {NAMES[ledger]}" for store, ledger in places)]),
        row(["---"] * (len(places) + 1)),
        *(
            row([NAMES[name], *(said.get((name, *place), "") for place in places)])
            for name in dict.fromkeys(cell["orchestrator"] for cell in cells)
        ),
    ]
    days = sorted({cell["date"] for cell in cells})
    day = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return "\n".join([*lines, "", f"Seen {day} with {', '.join(versions(cells))}.", ""])


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  ", "| ")


def versions(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Return name and version of all that the cells were seen with."""
    found = {(name, number) for cell in cells for name, number in cell["versions"].items()}
    order = ["python", *NAMES]
    ranked = sorted(found, key=lambda each: (order.index(each[0]), each[1]))
    return [f"{MADE_BY.get(name) or NAMES[name]} {number}" for name, number in ranked]


if __name__ == "__main__":
    sys.exit(main())
