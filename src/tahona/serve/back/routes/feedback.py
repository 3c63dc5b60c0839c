"""What turned out to be true: `/feedback`."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from tahona.clock import now
from tahona.serve.back.desk import AtDesk, Desk
from tahona.serve.back.refusing import Refused

router = APIRouter(tags=["predictions"])
MOST = 10_000
"""True labels in a request."""
SHOWN = 20


class Truth(BaseModel):
    """A prediction's id, as it stood in the answer, and the true label."""

    model_config = ConfigDict(extra="forbid")
    id: Annotated[str, Field(min_length=1, max_length=64, examples=["018f3c2a7b9d4e10"])]
    label: Annotated[
        str | bool | int | float, Field(description="A class, as text or as the table has it.", examples=["1"])
    ]


class Truths(BaseModel):
    """True labels, at once or as they become known."""

    model_config = ConfigDict(extra="forbid")
    truths: Annotated[list[Truth], Field(min_length=1, max_length=MOST)]


class Told(BaseModel):
    """What became of them."""

    entered: Annotated[int, Field(examples=[1])]
    unknown: Annotated[
        list[str], Field(description="Ids that no prediction has; those of just now may be sent again.", examples=[[]])
    ]


@router.post("/feedback", summary="Tell what was true")
def feedback(told: Truths, desk: AtDesk) -> Told:
    """Keep true labels beside the predictions, for drift watching; a later word about an id replaces an earlier."""
    labels = _labels(desk)
    truths = {truth.id: _canonical(truth.label) for truth in told.truths}
    wrong = [place for place, truth in enumerate(told.truths) if _canonical(truth.label) not in labels]
    if wrong:
        raise Refused(
            422,
            f"{len(wrong)} label(s) are no class of this model",
            where=f"truths.{wrong[0]}.label",
            fix=f"the classes are: {', '.join(labels[:SHOWN])}",
            more={"places": wrong[:SHOWN]},
        )
    when = now()
    unknown = desk.log.tell(truths, when)
    if unknown and desk.drainer.catch_up():  # they may have been on their way
        unknown = desk.log.tell({each: truths[each] for each in unknown}, when)
    return Told(entered=len(truths) - len(unknown), unknown=list(unknown))


def _labels(desk: Desk) -> tuple[str, ...]:
    contents = desk.keeper.contents()
    return contents.schema.labels


def _canonical(label: str | bool | float) -> str:
    """Return the label's text as the schema has it: `1` and `1.0` are `"1"`."""
    if isinstance(label, str):
        return unicodedata.normalize("NFC", label)
    if isinstance(label, bool):
        return "true" if label else "false"
    return str(int(label)) if isinstance(label, int) or label.is_integer() else repr(label)
