"""What a bundle holds, and how it is written and read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tahona.bundle.archive import pack, unpack
from tahona.core.schema import Schema
from tahona.errors import IntegrityError
from tahona.learn.calibration import Calibrator
from tahona.learn.model import FittedModel, load_model, save_model
from tahona.room import temporary_folder
from tahona.scorer.errors import NotCompiledError
from tahona.scorer.load import accepted_form

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
"""Version of the bundle's format on disk."""


@dataclass(frozen=True, slots=True)
class Member:
    """One fitted model in the mixture, its calibrator and its share."""

    model: FittedModel
    calibrator: Calibrator
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Cleaning:
    """The user's functions that turn a raw row into what the schema describes.

    A bundle holds their names and the digest of their source, not the code: whoever loads it brings the functions, and
    other code is refused.
    """

    functions: tuple[str, ...] = ()
    digest: str = ""
    raw_types: Mapping[str, str] = field(default_factory=dict)
    """Column → pandas dtype of the raw table (label and dropped columns left out): what a raw row consists of."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model that takes raw rows and gives decisions."""

    name: str
    schema: Schema
    members: tuple[Member, ...]
    threshold: float | None = None
    rule: Literal["threshold", "estimator"] = "threshold"
    cleaning: Cleaning = Cleaning()
    training_digest: str = ""
    """Of the training rows and their labels."""
    versions: Mapping[str, str] = field(default_factory=dict)
    version: int = 0
    """Number in the registry; 0 for a bundle that was not registered. Not part of the file."""
    clean: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    """The user's functions, when there are any; given at loading."""

    @property
    def title(self) -> str:
        """The family's name, or `ensemble`."""
        return self.members[0].model.family if len(self.members) == 1 else "ensemble"

    def predict(self, rows: pd.DataFrame | list[dict[str, object]]) -> pd.DataFrame:
        """Return label, probability of every class, version and warnings for each raw row."""
        from tahona.bundle.predict import predict_frame

        return predict_frame(self, rows)

    def _repr_html_(self) -> str:
        from html import escape

        facts = {
            "model": self.title,
            "version": self.version or "not registered",
            "predicts": self.schema.target,
            "classes": ", ".join(self.schema.labels),
            "threshold": "" if self.threshold is None else f"{self.threshold:.4f}",
            "columns": len(self.schema.columns),
        }
        rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>" for key, value in facts.items())
        return f"<table><caption>Bundle {escape(self.name)}</caption>{rows}</table>"


def save_bundle(bundle: Bundle, file: Path, rows: Sequence[Mapping[str, object]] = ()) -> None:
    """Write the bundle as one zip; equal bundles and rows give equal bytes.

    ``rows`` are raw rows on which the compiled form, which a server reads, is compared with the bundle itself.
    """
    from tahona.bundle.compiled import write_compiled

    with temporary_folder("bundle") as folder:
        for index, member in enumerate(bundle.members):
            place = folder / "members" / str(index)
            place.mkdir(parents=True)
            save_model(member.model, place)
            _write_json(place / "calibrator.json", member.calibrator.to_dict())
        _write_json(folder / "bundle.json", _describe(bundle))
        write_compiled(bundle, folder, rows)
        pack(folder, file)


def load_bundle(file: Path, *, light: bool = False) -> Bundle:
    """Read a bundle whose digest the caller has checked. Raise IntegrityError for anything else than a bundle.

    With ``light`` it is good for predicting alone: its estimators come without their libraries where they can.
    """
    with temporary_folder("bundle") as folder:
        unpack(file, folder)
        try:
            data = json.loads((folder / "bundle.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise IntegrityError("the bundle has no readable bundle.json", where=file.name) from error
        try:
            _check_format(data, file)
            return _read_bundle(data, folder, light=light)
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            raise IntegrityError(
                "what the bundle holds is not as Tahona writes it",
                where=file.name,
                fix="take it from the artifact store again",
            ) from error


def _check_format(data: Mapping[str, Any], file: Path) -> None:
    if data["format"] > FORMAT:
        raise IntegrityError(
            f"the bundle has format {data['format']}, this Tahona reads up to {FORMAT}",
            where=file.name,
            fix="update tahona",
        )


def _read_bundle(data: Mapping[str, Any], folder: Path, *, light: bool) -> Bundle:
    cleaning, weights = data["cleaning"], data["weights"]
    heads = _heads(folder) if light else None
    return Bundle(
        name=data["name"],
        schema=Schema.from_dict(data["schema"]),
        members=tuple(
            _load_member(folder / "members" / str(index), weight, heads[index] if heads else None)
            for index, weight in enumerate(weights)
        ),
        threshold=data["threshold"],
        rule=data["rule"],
        cleaning=Cleaning(tuple(cleaning["functions"]), cleaning["digest"], dict(cleaning["raw_types"])),
        training_digest=data["training_digest"],
        versions=data["versions"],
    )


def with_version(bundle: Bundle, version: int) -> Bundle:
    """Return the bundle under its number in the registry."""
    return replace(bundle, version=version)


def _describe(bundle: Bundle) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": bundle.name,
        "schema": bundle.schema.to_dict(),
        "weights": [member.weight for member in bundle.members],
        "threshold": bundle.threshold,
        "rule": bundle.rule,
        "cleaning": {
            "functions": list(bundle.cleaning.functions),
            "digest": bundle.cleaning.digest,
            "raw_types": dict(bundle.cleaning.raw_types),
        },
        "training_digest": bundle.training_digest,
        "versions": dict(bundle.versions),
    }


def _load_member(folder: Path, weight: float, heads: Sequence[Mapping[str, Any]] | None) -> Member:
    calibrator = Calibrator.from_dict(json.loads((folder / "calibrator.json").read_text("utf-8")))
    return Member(load_model(folder, heads), calibrator, weight)


def _heads(folder: Path) -> Sequence[Sequence[Mapping[str, Any]]] | None:
    """Return what stands for each member's estimators, None in a bundle that has no compiled form."""
    try:
        form = accepted_form(lambda name: (folder / name).read_bytes())
    except NotCompiledError:
        return None
    heads: Sequence[Sequence[Mapping[str, Any]]] = form["members"]
    return heads


def _write_json(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False) + "\n", "utf-8")
