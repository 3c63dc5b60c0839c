"""POST /predict as a worker answers it: bytes in, rows, scores, bytes out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from tahona.errors import DataError
from tahona.serve.bodies import is_utf8, media_type, unknown
from tahona.serve.front.entries import Answered, Answers, encode
from tahona.serve.front.journal import Predicted
from tahona.serve.front.mistakes import look_again
from tahona.serve.front.model import Compiled, Loaded
from tahona.serve.front.rows import Reader
from tahona.serve.front.settings import Settings
from tahona.serve.front.visit import RefusedError, Visit
from tahona.serve.problems import Problem

if TYPE_CHECKING:
    from tahona.scorer.scorer import Answer

JSON = b"application/json"
_MANY = 100
"""Rows above which the scores are made in a thread, so that others are answered meanwhile."""
_LONG = 100_000
"""Bytes of a body above which it has many rows, as a rule, and a second look at it is taken in a thread."""

_NONE: tuple[str, ...] = ()


class Predicting:
    """Answers for one champion."""

    def __init__(self, loaded: Loaded, compiled: Compiled, settings: Settings) -> None:
        self._name, self._version = loaded.champion.name, loaded.champion.version
        self._reader, self._scorer = compiled.reader, compiled.scorer
        self._labels = tuple(compiled.scorer.labels)
        self._limit = settings.body
        self._decision = msgspec.Raw(json.dumps(compiled.decision).encode())
        self._features = kept_features(settings.log_features, compiled.reader)

    async def answer(self, visit: Visit) -> Predicted:
        """Answer a request whose body is JSON; return what has to be written down."""
        body = await visit.body(self._limit)
        rows, extra = self._reader.read(body), _NONE
        if rows is None:
            rows, extra = await self._look_again(body)
        scores = await self._scores(rows)
        document, predicted = self.tell(visit, rows, scores, extra)
        await visit.answer(200, JSON, document)
        return predicted

    def read(self, body: bytes) -> list[Any] | None:
        """Return the rows of a body where they are few and fit at first sight."""
        rows = self._reader.read(body) if len(body) <= min(self._limit, _LONG) else None
        return rows if rows is not None and len(rows) <= _MANY else None

    def score(self, rows: list[Any]) -> list[Answer]:
        """Return what the model says of a few rows. Raise DataError for a cell that it cannot read."""
        return self._scorer.score_some(rows)

    def tell(
        self, visit: Visit, rows: list[Any], scores: list[Answer], extra: tuple[str, ...] = _NONE
    ) -> tuple[bytes, Predicted]:
        """Return the answer's body, and what has to be written down; ``extra`` are columns that nobody knows."""
        labels, name = self._labels, visit.id
        answers = [
            Answered(f"{name}-{place}", labels[code], dict(zip(labels, values, strict=True)), warnings)
            for place, (code, values, warnings) in enumerate(scores)
        ]
        predicted = Predicted(self._name, self._version, rows, answers, self._features)
        if extra:
            more = unknown(extra)
            told = [Answered(each.id, each.label, each.probabilities, [*each.warnings, more]) for each in answers]
            answers = told
        visit.rows, visit.version = len(answers), self._version
        return encode(Answers(self._name, self._version, self._decision, answers)), predicted

    async def _look_again(self, body: bytes) -> tuple[list[Any], tuple[str, ...]]:
        if len(body) > _LONG:
            return await asyncio.to_thread(look_again, body, self._reader)
        return look_again(body, self._reader)

    async def _scores(self, rows: list[Any]) -> list[Answer]:
        try:
            if len(rows) > _MANY:
                return await asyncio.to_thread(self._scorer.score_many, rows)
            return self.score(rows)
        except DataError as error:
            raise self._misfit(rows, error) from None

    def _misfit(self, rows: list[Any], error: DataError) -> RefusedError:
        """Return the refusal of the first row that cannot be scored: a text that is no date, say."""
        for place, row in enumerate(rows, start=1):
            try:
                self._scorer.score(row)
            except DataError as found:
                where = f"row {place}, {found.where}"
                return RefusedError(Problem(422, found.what, where=where, fix=found.fix, more={"row": place}))
        return RefusedError(Problem(422, error.what, where=error.where, fix=error.fix))


def kept_features(policy: bool | tuple[str, ...], reader: Reader) -> Callable[[Any], Any]:
    """Return what gives that part of a row which the prediction log may keep."""
    if policy is False:
        return lambda _: None
    if policy is True and not reader.ignored:
        return lambda row: row
    names = [column.name for column in reader.columns]
    kept = [(name, f"f{place}") for place, name in enumerate(names) if policy is True or name in policy]
    return lambda row: {name: getattr(row, field) for name, field in kept}


def goes_to_the_back(visit: Visit) -> bool:
    """Tell whether the back has to answer. Raise RefusedError for a body that is neither JSON nor CSV."""
    kind = visit.headers.get(b"content-type", b"")
    if visit.headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RefusedError(Problem(415, "the body is packed", fix="send it without Content-Encoding"))
    if kind != JSON:
        media, charset = media_type(kind.decode("latin-1"))
        if media == "text/csv":
            return True
        if media != "application/json" or not is_utf8(charset):
            raise RefusedError(
                Problem(415, "the body is neither JSON nor CSV in UTF-8", fix="send Content-Type: application/json")
            )
    query = visit.scope["query_string"]
    explained = parse_qs(query.decode("ascii", "replace")).get("explain", ["false"])[-1] if query else "false"
    return explained not in ("false", "0")
