"""A Starlette route that reads the body and answers the same bytes."""

from __future__ import annotations

from constant_asgi import BODY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def predict(request: Request) -> Response:
    await request.body()
    return Response(BODY, media_type="application/json")


app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
