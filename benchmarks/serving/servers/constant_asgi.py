"""The floor: an ASGI function that answers every request with the same bytes."""

from __future__ import annotations

import json

ANSWER = json.dumps(
    {
        "model": "hotel",
        "version": 1,
        "predictions": [
            {
                "id": "0123456789abcdef0123456789abcdef",
                "label": "0",
                "probabilities": {"0": 0.9123456789012345, "1": 0.0876543210987655},
                "warnings": [],
            }
        ],
    }
)
BODY = ANSWER.encode("utf-8")
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode("ascii"))],
}


async def app(scope, receive, send):  # noqa: ANN001, ANN201
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send({"type": "http.response.body", "body": BODY})
