"""Contract suites for adapters, and small adapters that live in memory. Needs pytest.

A third party's adapter passes the suite of its port like this::

    from tahona.testing import StoreContract, StoreroomContract

    class TestShelfStore(StoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            return ShelfStore(tmp_path)

======================  ==================================================
`SourceContract`        what every `tahona.ports.Source` does
`StoreContract`         what every `tahona.ports.Store` does
`StoreroomContract`     the same of one that is a `tahona.ports.Storeroom`, too
`LedgerContract`        what every `tahona.ports.Ledger` does
`PredictionLogContract` what every `tahona.ports.PredictionLog` does
`ExecutorContract`      what every `tahona.ports.Executor` does
`MemoryStore`           a store for tests of what uses a store
`MemoryLedger`          a ledger for tests of what uses a ledger
======================  ==================================================
"""

from __future__ import annotations

import pytest

# So that a failing assertion of a suite shows its values, as one in the adapter's own tests does.
PORTS = ("executor", "ledger", "prediction_log", "source", "store")
pytest.register_assert_rewrite(*(f"{__name__}.{port}_suite" for port in PORTS))

from tahona.testing.executor_suite import ExecutorContract  # noqa: E402
from tahona.testing.fakes import MemoryLedger, MemoryStore  # noqa: E402
from tahona.testing.ledger_suite import LedgerContract  # noqa: E402
from tahona.testing.prediction_log_suite import PredictionLogContract  # noqa: E402
from tahona.testing.source_suite import SourceContract  # noqa: E402
from tahona.testing.store_suite import StoreContract, StoreroomContract  # noqa: E402

__all__ = [
    "ExecutorContract",
    "LedgerContract",
    "MemoryLedger",
    "MemoryStore",
    "PredictionLogContract",
    "SourceContract",
    "StoreContract",
    "StoreroomContract",
]
