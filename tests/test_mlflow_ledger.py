"""The ledger in MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tahona.ledgers.mlflow import MlflowLedger, open_ledger
from tahona.testing import LedgerContract


class TestMlflowLedgerInSqlite(LedgerContract):
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> MlflowLedger:
        return open_ledger("mlflow+sqlite:///mlflow.db", tmp_path)
