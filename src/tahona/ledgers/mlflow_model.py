"""A bundle as an MLflow pyfunc model: MLflow stores the file as it is and calls `_load_pyfunc` here to read it.

Nothing is pickled. The bundle's file is named by its sha256, which is checked before it is read; the project's modules
that clean raw rows stand beside it, and other code than the bundle was trained behind is refused.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.bundle.bundle import Bundle, load_bundle
from tahona.bundle.raw import column_forms
from tahona.digests import digest_file
from tahona.errors import IntegrityError

if TYPE_CHECKING:
    import pandas as pd

_MODULES = "modules"


def write_model(folder: Path, file: Path, modules: Mapping[str, Path]) -> None:
    """Write the model's folder: the bundle, the modules (path in the project → file), and a signature of raw columns.

    The signature names every raw column and leaves its type open ("any"): MLflow would refuse whole numbers where
    training saw a null, and an empty column of texts, all of which the bundle reads.
    """
    bundle = load_bundle(file)
    with tempfile.TemporaryDirectory(prefix="tahona-mlflow-") as text:
        data = Path(text) / "tahona"
        data.mkdir()
        shutil.copyfile(file, data / f"{digest_file(file)}.tahona")
        for name, module in modules.items():
            place = data / _MODULES / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module, place)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for an example, which would be rows of the user's data
            _save(folder, data, bundle)


def _save(folder: Path, data: Path, bundle: Bundle) -> None:
    from mlflow import pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, Schema

    forms = column_forms(bundle)
    any_type = AnyType()  # type: ignore[no-untyped-call]
    numbers = {f"probability_{label}": DataType.double for label in bundle.schema.labels}
    answers = {"label": DataType.string, **numbers, "warnings": DataType.string}
    pyfunc.save_model(
        folder,
        loader_module=__name__,
        data_path=str(data),
        pip_requirements=_requirements(bundle),
        signature=ModelSignature(
            Schema([ColSpec(any_type, name) for name in forms]),
            Schema([ColSpec(kind, name) for name, kind in answers.items()]),
        ),
        metadata={"tahona": {"predicts": bundle.schema.target, "model": bundle.title, "columns": dict(forms)}},
    )


class BundleModel:
    """What MLflow calls."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, rows: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002 - MLflow's signature
        """Return label, probability of every class and warnings for each raw row.

        The version's number is not among them: MLflow gave it after this model was written.
        """
        return self.bundle.predict(rows).drop(columns="version")


def _load_pyfunc(path: str) -> BundleModel:
    """Read the model, in whatever environment has Tahona. Raise IntegrityError when a byte of it changed."""
    from dataclasses import replace

    folder = Path(path).resolve()
    file = next(folder.glob("*.tahona"), None)
    if file is None or digest_file(file) != file.stem:
        raise IntegrityError(
            "the model's bundle is not the one that was logged",
            where=str(folder),
            fix="take it from the artifact store again: tahona export model",
        )
    bundle = load_bundle(file)
    if not bundle.cleaning.functions:
        return BundleModel(bundle)
    from tahona.lifecycle.registry import bind_cleaning
    from tahona.project.functions import ModuleSpace, UserFunction
    from tahona.project.imports import project_modules

    root = folder / _MODULES
    names = bundle.cleaning.functions
    found = [project_modules(root, name.partition(":")[0]) for name in names]
    space = ModuleSpace(root, {name: module for each in found for name, module in each.items()})
    functions = [UserFunction(name, str(root), space, bundle.schema.target, frozenset()) for name in names]
    return BundleModel(replace(bundle, clean=bind_cleaning(functions, bundle)))


def _requirements(bundle: Bundle) -> list[str]:
    """Return what an environment needs to give the same numbers: the versions that the bundle was made with."""
    return [f"{name}=={version}" for name, version in bundle.versions.items() if name != "python"]
