"""Versions and who is champion: `/models`, and the two ways to choose another."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from tahona.core.records import AliasEvent, Version
from tahona.errors import InputError, RefusedError
from tahona.lifecycle.registry import champion, promote, roll_back
from tahona.serve.back.desk import AskedBy, AtDesk, Desk
from tahona.serve.back.refusing import Refused

router = APIRouter(tags=["models"])
ANYBODY = "api"
"""Who moved the alias, in the history, where the server asks for no keys."""
LONGEST = 500
"""Characters of a reason."""


class ModelVersion(BaseModel):
    """A registered version."""

    name: Annotated[str, Field(examples=["hotel"])]
    version: Annotated[int, Field(examples=[3])]
    aliases: Annotated[list[str], Field(examples=[["champion"]])]
    model: Annotated[str, Field(description="The family, or ensemble.", examples=["lightgbm"])]
    metrics: Annotated[dict[str, float], Field(description="On the test rows.", examples=[{"roc_auc": 0.912}])]
    gate_passed: Annotated[bool, Field(examples=[True])]
    gate_reasons: Annotated[list[str], Field(examples=[["roc_auc 0.912 is at least 0.85"]])]
    run: Annotated[str, Field(examples=["hotel-1f0c2d7a9b"])]
    digest: Annotated[str, Field(description="sha256 of the bundle.", examples=["9c56cc51b374c3ba…"])]
    created: Annotated[str, Field(examples=["2026-01-01T00:00:00.000+00:00"])]
    compiled: Annotated[
        bool | None, Field(description="Whether the workers can answer for it; null: not looked at.", examples=[True])
    ]
    slow: Annotated[str, Field(description="Why they cannot.", examples=[""])]


class Models(BaseModel):
    """Every version, the newest first."""

    models: list[ModelVersion]


class Promotion(BaseModel):
    """Which version is to be champion."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": 3}]})
    version: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
    override: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=LONGEST,
            description="Why it may be champion although the gate refused it; it stands in the history for good.",
        ),
    ] = None


class Return(BaseModel):
    """Why the champion before is to be champion again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"why": "complaints since Monday"}]})
    why: Annotated[str, Field(max_length=LONGEST)] = ""


class Move(BaseModel):
    """What was done."""

    name: Annotated[str, Field(examples=["hotel"])]
    version: Annotated[int, Field(description="The champion now.", examples=[3])]
    previous: Annotated[int, Field(description="The champion before; 0 for none.", examples=[2])]
    action: Annotated[Literal["promote", "rollback", "register", "override"], Field(examples=["promote"])]
    who: Annotated[str, Field(description="Id of the key.", examples=["k3f9"])]
    why: Annotated[str, Field(examples=["roc_auc 0.912 is at least 0.85"])]
    when: Annotated[str, Field(examples=["2026-01-01T00:00:00.000+00:00"])]
    served: Annotated[
        bool, Field(description="Whether this server answers with it; /ready says why not.", examples=[True])
    ]


@router.get("/models", summary="Every version")
def models(desk: AtDesk) -> Models:
    """List the versions, the newest first, with aliases, metrics and the gate's verdict."""
    found = desk.opened.ledger.versions(desk.opened.project.name)
    return Models(models=[_shown(desk, version, near=place < NEAR) for place, version in enumerate(found)])


@router.post("/models/{name}/promote", summary="Make a version the champion")
def promote_version(name: str, wanted: Promotion, desk: AtDesk, key: AskedBy) -> Move:
    """Make it the champion; 409 when it did not pass the gate, unless a reason overrides that."""
    versions = _versions(desk, name)
    if all(each.number != wanted.version for each in versions):
        raise Refused(404, "there is no such version", where="version", fix="GET /models lists them")
    present = champion(versions)
    if present is not None and present.number == wanted.version:
        raise Refused(409, "this version is the champion already", where="version")
    try:
        event = promote(desk.opened, f"{name}@{wanted.version}", override=wanted.override or "", who=key or ANYBODY)
    except RefusedError as error:
        fix = 'send "override": "why it may be champion all the same"'
        raise Refused(409, error.what, where="version", fix=fix) from error
    return _moved(desk, event)


@router.post("/models/{name}/rollback", summary="Make the champion before the champion again")
def roll_back_version(name: str, desk: AtDesk, key: AskedBy, wanted: Return | None = None) -> Move:
    """Go back by one champion; 409 where there is none to go back to."""
    _versions(desk, name)
    try:
        event = roll_back(desk.opened, name, why=wanted.why if wanted else "", who=key or ANYBODY)
    except InputError as error:
        raise Refused.by(error, 409) from error
    return _moved(desk, event)


NEAR = 20
"""So many of the newest versions' bundles are looked at: another store may be far away."""


def _versions(desk: Desk, name: str) -> tuple[Version, ...]:
    """Return the versions of the model that is served here; another name is none."""
    found = tuple(desk.opened.ledger.versions(name)) if name == desk.opened.project.name else ()
    if not found:
        raise Refused(404, "there is no such model", where="name", fix="GET /models lists those that are served here")
    return found


def _moved(desk: Desk, event: AliasEvent) -> Move:
    """Let the keeper look at once, and say what it came to."""
    desk.keeper.look(now=True)
    served = desk.keeper.champion
    return Move(
        name=event.name,
        version=event.version,
        previous=event.previous,
        action=event.action,
        who=event.who,
        why=event.why,
        when=event.when,
        served=served is not None and served.version == event.version,
    )


def _shown(desk: Desk, version: Version, *, near: bool) -> ModelVersion:
    slow = desk.keeper.why_slow(version.bundle_digest) if near else None
    return ModelVersion(
        name=version.name,
        version=version.number,
        aliases=list(version.aliases),
        model=version.model,
        metrics=dict(version.metrics),
        gate_passed=version.gate_passed,
        gate_reasons=list(version.gate_reasons),
        run=version.run,
        digest=version.bundle_digest,
        created=version.created,
        compiled=None if slow is None else not slow,
        slow=slow or "",
    )
