"""The champion with what reads rows for it, made once for each champion."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from tahona.project.model import ServeLimitsPart
from tahona.serve.back.asking import reader_of
from tahona.serve.back.keeper import Keeper, Serving
from tahona.serve.front.rows import Reader


@dataclass(frozen=True, slots=True)
class Ready:
    """A champion that rows can be asked of."""

    serving: Serving
    reader: Reader


class Reception:
    """Remembers the last champion; used from one event loop."""

    def __init__(self) -> None:
        self._last: Ready | None = None

    async def ready(self, keeper: Keeper, limits: ServeLimitsPart) -> Ready:
        """Return the champion that is served now. Raise SetupError where there is none."""
        last = self._last
        if last is not None and last.serving.champion is keeper.champion:
            return last
        serving = await run_in_threadpool(keeper.serving)
        self._last = Ready(serving, reader_of(serving.bundle, limits))
        return self._last
