"""Ray Serve: one replica behind its HTTP proxy."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=100)
class Hotel:
    def __init__(self, folder: str) -> None:
        import joblib  # noqa: PLC0415  in the replica

        kept = joblib.load(Path(folder) / "model.joblib")
        self.model, self.types = kept["model"], kept["types"]

    async def __call__(self, request: Request) -> dict[str, list[float]]:
        import pandas as pd  # noqa: PLC0415

        frame = pd.DataFrame((await request.json())["rows"]).astype(self.types)
        return {"probabilities": self.model.predict_proba(frame)[:, 1].tolist()}


if __name__ == "__main__":
    ray.init(include_dashboard=False, num_cpus=2, logging_level="ERROR")
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Hotel.bind(os.environ["MODEL"]), route_prefix="/predict")
    while True:
        time.sleep(60)
