"""The batch job as an MLflow user writes it: Parquet in pieces through `mlflow.pyfunc`, answers to Parquet.

    python by_pyfunc.py MODEL ROWS.parquet OUT.parquet

Without OUT only the columns are made ready, and the CPU seconds of that are printed: what pandas and scikit-learn's
ColumnTransformer cost before any model.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import joblib
import pyarrow as pa
import pyarrow.parquet as pq

PIECE = 100_000


def main() -> None:
    model, rows, out = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    if out:
        predict(model, rows, Path(out[0]))
    else:
        make_ready(model, rows)


def predict(model: Path, rows: Path, out: Path) -> None:
    import mlflow.pyfunc  # noqa: PLC0415  not where only the columns are made ready

    loaded = mlflow.pyfunc.load_model(str(model / "mlflow"))
    writer = None
    for frame in frames(rows, model):
        found = loaded.predict(frame)
        table = pa.table({"label": (found[:, 1] >= 0.5).astype(int), "probability": found[:, 1]})
        writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
        writer.write_table(table)
    writer.close()


def make_ready(model: Path, rows: Path) -> None:
    columns = joblib.load(model / "model.joblib")["model"].named_steps["columns"]
    columns.transform(next(frames(rows, model))[:100])  # what is imported late
    begun = time.process_time()
    for frame in frames(rows, model):
        columns.transform(frame)
    print(time.process_time() - begun)


def frames(rows: Path, model: Path):  # noqa: ANN201
    """Give the rows in pieces, with the types that the model was fitted on."""
    types = joblib.load(model / "model.joblib")["types"]
    with pq.ParquetFile(rows, pre_buffer=False) as file:
        for batch in file.iter_batches(PIECE, use_threads=False):
            yield batch.to_pandas().astype(types)


if __name__ == "__main__":
    main()
