"""LitServe, as its documentation begins."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import joblib
import litserve as ls
import pandas as pd


class Hotel(ls.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002
        kept = joblib.load(Path(os.environ["MODEL"]) / "model.joblib")
        self.model, self.types = kept["model"], kept["types"]

    def decode_request(self, request: dict) -> pd.DataFrame:
        return pd.DataFrame(request["rows"]).astype(self.types)

    def predict(self, frame: pd.DataFrame) -> list[float]:
        return self.model.predict_proba(frame)[:, 1].tolist()

    def encode_response(self, output: list[float]) -> dict:
        return {"probabilities": output}


if __name__ == "__main__":
    ls.LitServer(Hotel(), accelerator="cpu").run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False)
