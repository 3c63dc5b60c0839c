"""BentoML: one service that answers each request, and one that gathers rows of several requests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1)
class Hotel:
    def __init__(self) -> None:
        kept = joblib.load(Path(os.environ["MODEL"]) / "model.joblib")
        self.model, self.types = kept["model"], kept["types"]

    @bentoml.api(route="/predict")
    def predict(self, rows: list[dict[str, Any]]) -> list[float]:
        return self.model.predict_proba(pd.DataFrame(rows).astype(self.types))[:, 1].tolist()

    @bentoml.api(route="/gathered", batchable=True, max_batch_size=100, max_latency_ms=1000)
    def gathered(self, rows: list[dict[str, Any]]) -> list[float]:
        return self.model.predict_proba(pd.DataFrame(rows).astype(self.types))[:, 1].tolist()
