"""A FastAPI route that takes rows of JSON and answers a constant: what the framework alone costs."""

from __future__ import annotations

import json
from typing import Annotated, Any

from constant_asgi import ANSWER
from fastapi import Body, FastAPI

app = FastAPI()
CONSTANT = json.loads(ANSWER)


@app.post("/predict")
async def predict(rows: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:  # noqa: ARG001
    return CONSTANT
