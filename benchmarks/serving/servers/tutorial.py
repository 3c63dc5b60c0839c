"""The tutorial: FastAPI, a pydantic model of the row, pandas, a scikit-learn pipeline."""

from __future__ import annotations

import os
from pathlib import Path

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import create_model

KEPT = joblib.load(Path(os.environ["MODEL"]) / "model.joblib")
MODEL, TYPES = KEPT["model"], KEPT["types"]
FIELDS = {name: ((float if kind == "float64" else str) | None, None) for name, kind in TYPES.items()}
Row = create_model("Row", **FIELDS)
app = FastAPI()


@app.post("/predict")
def predict(rows: list[Row]) -> dict[str, list[float]]:
    frame = pd.DataFrame([row.model_dump() for row in rows]).astype(TYPES)
    return {"probabilities": MODEL.predict_proba(frame)[:, 1].tolist()}
