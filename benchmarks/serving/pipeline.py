"""The model as a scikit-learn user makes it, fitted in a peer's own environment on the rows that Tahona had.

    python pipeline.py TABLE.csv ROWS.json lightgbm|linear OUT [--mlflow]

Writes OUT/model.joblib and OUT/expected.json, the probability of a cancellation for the rows of ROWS.json; with
``--mlflow`` also OUT/mlflow, the folder that `mlflow models serve` takes.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

LABEL = "is_canceled"
CODES = ("agent", "company")
"""Numbers that name somebody."""


def frame_of(rows: list[dict[str, object]], like: dict[str, str]) -> pd.DataFrame:
    """Return rows as the table of the types that training saw."""
    return pd.DataFrame(rows).astype(like)


def types_of(table: pd.DataFrame) -> dict[str, str]:
    return {name: "float64" if pd.api.types.is_numeric_dtype(kind) else "str" for name, kind in table.dtypes.items()}


def pipeline(kind: str, numbers: list[str], names: list[str]) -> Pipeline:
    """Return what scikit-learn's guide makes of columns of mixed types: nulls filled, names as codes or columns."""
    known = SimpleImputer(strategy="constant", fill_value="unknown")
    if kind == "lightgbm":
        filled = SimpleImputer(strategy="median")
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        model = LGBMClassifier(num_leaves=63, n_estimators=200, learning_rate=0.1, n_jobs=1, verbosity=-1)
    else:
        filled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5, max_categories=100)
        model = LogisticRegression(C=1.0, max_iter=1000)
    columns = [("names", make_pipeline(known, encoder), names), ("numbers", filled, numbers)]
    return Pipeline([("columns", ColumnTransformer(columns)), ("model", model)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("table", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("kind", choices=("lightgbm", "linear"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--mlflow", action="store_true")
    asked = parser.parse_args()
    table = pd.read_csv(asked.table, dtype=dict.fromkeys(CODES, "str"), na_values=[""], keep_default_na=False)
    types = types_of(table.drop(columns=[LABEL]))
    features, label = table.drop(columns=[LABEL]).astype(types), table[LABEL]
    numbers = [name for name, kind in types.items() if kind == "float64"]
    model = pipeline(asked.kind, numbers, [name for name in types if name not in numbers])
    model.fit(features, label)
    asked.out.mkdir(parents=True, exist_ok=True)
    joblib.dump({"model": model, "types": types}, asked.out / "model.joblib")
    joblib.dump(model, asked.out / "pipeline.joblib")
    rows = frame_of(json.loads(asked.rows.read_text("utf-8")), types)
    expected = np.asarray(model.predict_proba(rows))[:, 1].tolist()
    (asked.out / "expected.json").write_text(json.dumps(expected), "utf-8")
    if asked.mlflow:
        import mlflow.sklearn  # noqa: PLC0415  in one environment only
        from mlflow.models import infer_signature  # noqa: PLC0415

        answer = model.predict_proba(features.head(5))
        mlflow.sklearn.save_model(
            model,
            asked.out / "mlflow",
            signature=infer_signature(features.head(1000), answer),
            pyfunc_predict_fn="predict_proba",
            serialization_format="cloudpickle",
        )
    print({name: version(name) for name in ("scikit-learn", "lightgbm", "pandas")}, file=sys.stderr)


if __name__ == "__main__":
    main()
