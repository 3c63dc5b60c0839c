"""POST /predict as a worker answers it: bytes in, rows, scores, bytes out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec

from tahona.errors import DataError
from tahona.serve.front.journal import Journal
from tahona.serve.front.mistakes import look_again, shown
from tahona.serve.front.model import Compiled, Loaded
from tahona.serve.front.settings import Settings
from tahona.serve.front.visit import RefusedError, Visit
from tahona.serve.problems import Problem

if TYPE_CHECKING:
    from tahona.scorer.scorer import Answer

JSON = b"application/json"
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})
_MANY = 100
"""Rows above which the scores are made in a thread, so that others are answered meanwhile."""
_LONG = 100_000
"""Bytes of a body above which a second look at it is taken in a thread."""

_NONE: tuple[str, ...] = ()


class Answered(msgspec.Struct, gc=False):
    """What one row gets."""

    id: str
    label: str
    probabilities: dict[str, float]
    warnings: Sequence[str]


class Answers(msgspec.Struct, gc=False):
    """What a request for predictions gets; ``decision`` says how labels follow from probabilities."""

    model: str
    version: int
    decision: msgspec.Raw
    predictions: list[Answered]


class Entry(msgspec.Struct, gc=False):
    """One line of the spool: `tahona.core.records.Prediction` without what is told later."""

    id: str
    name: str
    version: int
    when: str
    label: str
    probabilities: dict[str, float]
    key: str
    features: Any
    warnings: Sequence[str]


_ENCODER = msgspec.json.Encoder()


class Predicting:
    """Answers for one champion."""

    def __init__(self, loaded: Loaded, compiled: Compiled, settings: Settings, journal: Journal) -> None:
        scorer = compiled.scorer
        self._name, self._version = loaded.champion.name, loaded.champion.version
        self._counted = str(self._version)
        self._reader = compiled.reader
        self._scorer = scorer
        self._labels = tuple(scorer.labels)
        self._journal = journal
        self._limit = settings.body
        self._decision = msgspec.Raw(json.dumps(compiled.decision).encode())
        kept = settings.log_features
        names = [column.name for column in compiled.reader.columns]
        self._all, wanted = kept is True, () if isinstance(kept, bool) else kept
        self._kept = tuple((name, f"f{place}") for place, name in enumerate(names) if name in wanted)

    async def answer(self, visit: Visit) -> None:
        """Answer a request whose body is JSON."""
        body = await visit.body(self._limit)
        rows, extra = self._reader.read(body), _NONE
        if rows is None:
            rows, extra = await self._look_again(body)
        scores = await self._scores(rows)
        predictions = self._write_down(visit, rows, scores)
        if extra:
            more = f"unknown column(s) that nothing was made of: {', '.join(shown(extra))}"
            for each in predictions:
                each.warnings = [*each.warnings, more]
        answers = Answers(self._name, self._version, self._decision, predictions)
        await visit.answer(200, JSON, _ENCODER.encode(answers))

    async def _look_again(self, body: bytes) -> tuple[list[Any], tuple[str, ...]]:
        if len(body) > _LONG:
            return await asyncio.to_thread(look_again, body, self._reader)
        return look_again(body, self._reader)

    async def _scores(self, rows: list[Any]) -> list[Answer]:
        score = self._scorer.score
        try:
            if len(rows) > _MANY:
                return await asyncio.to_thread(self._scorer.score_many, rows)
            return [score(row) for row in rows]
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

    def _write_down(self, visit: Visit, rows: list[Any], scores: list[Answer]) -> list[Answered]:
        """Give every row its id, and keep what was said of it for the prediction log."""
        journal, meters, labels = self._journal, self._journal.meters, self._labels
        when = journal.now()
        visit.rows, visit.version = len(rows), self._version
        predictions = []
        for place, (row, (code, values, warnings)) in enumerate(zip(rows, scores, strict=True)):
            name, label, probabilities = f"{visit.id}-{place}", labels[code], dict(zip(labels, values, strict=True))
            predictions.append(Answered(name, label, probabilities, warnings))
            features = row if self._all else {name: getattr(row, field) for name, field in self._kept} or None
            entry = Entry(name, self._name, self._version, when, label, probabilities, visit.key, features, warnings)
            journal.spool.add(_ENCODER.encode(entry))
            if warnings:
                meters.warnings.update(warnings)
        meters.rows[self._counted] += len(rows)
        return predictions


def goes_to_the_back(visit: Visit, loaded: Loaded) -> bool:
    """Tell whether the back has to answer. Raise RefusedError for a body that is neither JSON nor CSV."""
    kind = visit.headers.get(b"content-type", b"")
    if visit.headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RefusedError(Problem(415, "the body is packed", fix="send it without Content-Encoding"))
    if kind != JSON:
        media, charset = _media_type(kind)
        if media == "text/csv":
            return True
        if media != "application/json" or charset not in _UTF8:
            raise RefusedError(
                Problem(415, "the body is neither JSON nor CSV in UTF-8", fix="send Content-Type: application/json")
            )
    query = visit.scope["query_string"]
    if query and parse_qs(query.decode("ascii", "replace")).get("explain", ["false"])[-1] not in ("false", "0"):
        return True
    return loaded.compiled is None


def _media_type(value: bytes) -> tuple[str, str]:
    """Return a content type in small letters without its parameters, and its character set."""
    media, *parameters = value.decode("latin-1").lower().split(";")
    charset = next((each.partition("=")[2] for each in parameters if each.strip().startswith("charset=")), "utf-8")
    return media.strip(), charset.strip().strip('"')
