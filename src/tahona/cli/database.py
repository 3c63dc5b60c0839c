"""Commands about the ledger's database: db setup, db check, db upgrade."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tahona.cli.options import HERE, Env, Folder, Json, Set

if TYPE_CHECKING:
    from tahona.ledgers.database import Change, LedgerDatabase


def setup(directory: Folder = HERE, json: Json = False, env: Env = None, set_: Set = None) -> None:
    """Make the ledger's database, where it is missing and the user may, and its tables; what is there stays."""
    _tell(_database(directory, env, set_).set_up(), json)


def check(directory: Folder = HERE, json: Json = False, env: Env = None, set_: Set = None) -> None:
    """Say whether the ledger's database can be reached, read and written to; if not, exit 4. Nothing is changed."""
    from tahona.cli.terminal import print_json, print_table

    condition = _database(directory, env, set_).check()
    if json and condition.problem is None:
        print_json(condition.to_dict())
    if not json:
        rows = [(name, "yes" if well else "no", says) for name, well, says in condition.answers]
        print_table(("ledger", "", condition.place), rows)
    if condition.problem is not None:
        condition.problem.document = condition.to_dict()
        raise condition.problem


def upgrade(directory: Folder = HERE, json: Json = False, env: Env = None, set_: Set = None) -> None:
    """Bring the ledger's tables up to date; an older Tahona cannot use them afterwards."""
    _tell(_database(directory, env, set_).upgrade(), json)


def _database(directory: Path, env: str | None, overrides: list[str] | None) -> LedgerDatabase:
    from tahona.project.load import load_project
    from tahona.wiring import open_database

    return open_database(load_project(directory, env=env, overrides=overrides or ()).project)


def _tell(change: Change, json: bool) -> None:
    from tahona.cli.terminal import out, print_json

    if json:
        print_json(change.to_dict())
        return
    made = "made the database; " if change.created else ""
    if change.before == change.after:
        told = f"its tables are up to date (revision {change.after})"
    elif change.before:
        told = f"its tables went from revision {change.before} to {change.after}"
    else:
        told = f"made its tables (revision {change.after})"
    out().print(f"{change.place}: {made}{told}", markup=False)
