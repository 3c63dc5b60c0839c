"""What processes that write to one SQL ledger at the same time must leave in it, whatever database it is in."""

from __future__ import annotations

from processes import race

from tahona.ledgers.sql import SqlLedger
from tahona.testing.ledger_suite import a_move, a_version

REGISTERING = """
import sys
from tahona.ledgers.sql import SqlLedger
from tahona.testing.ledger_suite import a_version
import sqlalchemy, alembic.command
print("ready", flush=True)
sys.stdin.readline()
ledger = SqlLedger(sys.argv[1])
print(*[ledger.add_version(a_version(f"run-{sys.argv[2]}-{turn}")).number for turn in range(10)], flush=True)
"""
PROMOTING = """
import sys
from tahona.errors import RefusedError
from tahona.ledgers.sql import SqlLedger
from tahona.testing.ledger_suite import a_move
ledger = SqlLedger(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    ledger.move_alias(a_move(int(sys.argv[2]), 1))
    print("moved")
except RefusedError:
    print("refused")
"""


def assert_numbers_without_gap_or_double(url: str, driver: str = "sys") -> None:
    """Let four processes, which know the driver, open a ledger that is not there yet and register ten runs each."""
    said = race(f"import {driver}{REGISTERING}", *((url, me) for me in range(4)))
    numbers = [int(number) for line in said for number in line.split()]
    assert sorted(numbers) == list(range(1, 41))
    assert [version.number for version in SqlLedger(url).versions("hotel")] == list(range(40, 0, -1))


def assert_one_of_these_is_promoted(url: str, rivals: tuple[int, ...]) -> None:
    """Let processes promote a version each, judged against the same champion: one can, and the history is one chain."""
    ledger = SqlLedger(url)
    for run in range(max(rivals)):
        ledger.add_version(a_version(f"run-{run}"))
    ledger.move_alias(a_move(1, 0))
    said = race(PROMOTING, *((url, version) for version in rivals))
    assert sorted(said) == ["moved\n", *["refused\n"] * (len(rivals) - 1)]
    moves = [(event.previous, event.version) for event in ledger.history("hotel")]
    assert moves == [(0, 1), (1, rivals[said.index("moved\n")])]
