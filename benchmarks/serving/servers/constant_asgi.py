"""The floor: an ASGI function that answers every request with the same bytes."""

from __future__ import annotations

import json

ANSWER = json.dumps(
    {
        "model": "hotel",
        "version": 1,
        "decision": {"positive": "1", "threshold": 0.5},
        "predictions": [
            {
                "id": "uqL78v0CUiSY2-0",
                "label": "1",
                "probabilities": {"0": 0.13498910225289495, "1": 0.865010897747105},
                "warnings": [],
            }
        ],
    },
    separators=(",", ":"),
)
"""As long as what Tahona answers for one row."""
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
