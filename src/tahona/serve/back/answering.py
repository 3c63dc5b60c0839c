"""What a client is told about its rows, and what the prediction log keeps of them."""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request

from tahona.bundle.predict import Scored, score_read
from tahona.clock import now
from tahona.core.records import Prediction
from tahona.serve.back.batching import Row, read_rows
from tahona.serve.front.model import decision

if TYPE_CHECKING:
    from tahona.bundle.bundle import Bundle
    from tahona.bundle.explain import Explanation
    from tahona.serve.back.desk import Desk
    from tahona.serve.back.keeper import Serving

Document = dict[str, Any]
Record = Mapping[str, Any]


@dataclass(slots=True)
class Asked:
    """Who asked which version, and how many rows were answered."""

    serving: Serving
    key: str
    """Id of the client's key, empty without one."""
    request: str
    """Id of the request; its rows are numbered behind it."""
    rows: int = 0
    """Rows that were written down."""

    def headers(self) -> dict[str, str]:
        """Return the headers by which the worker learns what to write into its log."""
        return {"x-tahona-rows": str(self.rows), "x-tahona-version": str(self.serving.champion.version)}


def request_id(request: Request) -> str:
    """Return the id that the worker gave the request."""
    return request.headers.get("x-tahona-request") or secrets.token_hex(8)


def write_down(desk: Desk, asked: Asked, rows: Sequence[Row], scored: Scored, *, first: int = 0) -> list[str | None]:
    """Put every answered row into the spool, count it, return its id; one that a cleaning function dropped has none.

    ``first`` is how many rows of the request stand before these.
    """
    keep = _kept(desk.opened.project.serve.log_features)
    champion, classes = asked.serving.champion, asked.serving.bundle.schema.labels
    when = now()
    answers = zip(rows, scored.labels.tolist(), scored.probabilities.tolist(), scored.warnings.tolist(), strict=True)
    ids: list[str | None] = []
    counted: Counter[str] = Counter()
    for place, (row, label, shares, warnings) in enumerate(answers, start=first):
        if label is None:
            ids.append(None)
            continue
        name = f"{asked.request}-{place}"
        ids.append(name)
        listed = _listed(warnings)
        counted.update(listed)
        prediction = Prediction(
            id=name,
            name=champion.name,
            version=champion.version,
            when=when,
            label=label,
            probabilities=dict(zip(classes, shares, strict=True)),
            key=asked.key,
            features=keep(row),
            warnings=tuple(listed),
        )
        desk.spool.add([prediction])
    answered = len(ids) - ids.count(None)
    asked.rows += answered
    desk.tally.add(champion.version, answered, counted)
    return ids


def _kept(policy: bool | tuple[str, ...]) -> Callable[[Row], Row | None]:
    """Return what keeps of a row what `[serve] log_features` allows."""
    if policy is True:
        return lambda row: row
    if policy is False:
        return lambda _: None
    return lambda row: {name: row[name] for name in policy if name in row}


def answer(
    asked: Asked, scored: Scored, ids: Sequence[str | None], extra: str = "", told: Sequence[Document | None] = ()
) -> bytes:
    """Return the body of the answer, in the workers' form; ``extra`` is a warning that concerns every row."""
    champion, bundle = asked.serving.champion, asked.serving.bundle
    rule = decision(bundle.rule, bundle.schema.positive, bundle.threshold)
    rows = _predictions(bundle.schema.labels, scored, ids, extra)
    for row, why in zip(rows, told, strict=False):
        row["explanation"] = why
    return msgspec.json.encode(
        {"model": champion.name, "version": champion.version, "decision": rule, "predictions": rows}
    )


def _predictions(classes: Sequence[str], scored: Scored, ids: Sequence[str | None], extra: str) -> list[Document]:
    more = [extra] if extra else []
    answers = zip(ids, scored.labels.tolist(), scored.probabilities.tolist(), scored.warnings.tolist(), strict=True)
    return [
        {
            "id": name,
            "label": label,
            "probabilities": None if label is None else dict(zip(classes, shares, strict=True)),
            "warnings": [*_listed(warnings), *more],
        }
        for name, label, shares, warnings in answers
    ]


def explained(bundle: Bundle, rows: Sequence[Row]) -> tuple[Scored, list[Document | None]]:
    """Score raw rows, and say what each score is made of; a row that a cleaning function dropped has no score."""
    from tahona.bundle.explain import explain

    read = read_rows(bundle, rows)
    scored = score_read(bundle, [read])[0]
    told: list[Document | None] = [None] * read.count
    if read.kept.size:
        why = explain(bundle, read.columns, scored.labels.codes[read.kept])
        for place, row in enumerate(read.kept.tolist()):
            told[row] = explanation(why, place)
    return scored, told


def explanation(told: Explanation, place: int) -> Document:
    """Return what one row's score is made of."""
    return {
        "of": told.of[place],
        "units": told.units,
        "base": float(told.base[place]),
        "score": float(told.score[place]),
        "contributions": dict(zip(told.columns, told.values[place].tolist(), strict=True)),
    }


def records(classes: Sequence[str], scored: Scored) -> list[Record]:
    """Return the rows of the frame that the bundle's `predict` gives, without its version, as JSON knows them."""
    names = [f"probability_{label}" for label in classes]
    return [
        {
            "label": label,
            **{name: None if math.isnan(share) else share for name, share in zip(names, shares, strict=True)},
            "warnings": warnings,
        }
        for label, shares, warnings in zip(
            scored.labels.tolist(), scored.probabilities.tolist(), scored.warnings.tolist(), strict=True
        )
    ]


def _listed(warnings: str | None) -> list[str]:
    return warnings.split("; ") if warnings else []
