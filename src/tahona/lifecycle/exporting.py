"""Write a registered version as one file for other programs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from tahona.bundle.bundle import Bundle
from tahona.core.naming import model_name
from tahona.lifecycle.opened import OpenProject
from tahona.lifecycle.registry import find_version, open_bundle


def export_version(opened: OpenProject, reference: str, folder: Path, *, pickled: bool = False) -> Path:
    """Write the version into the folder and return the file.

    As it is: `<name>_v<N>.tahona`. Pickled: `<algorithm>_<dataset>_v<N>.pkl`, which holds a `Bundle`; whoever opens a
    pickle runs the code in it, so Tahona itself never does.
    """
    version = find_version(opened, reference)
    source = opened.store.get(version.bundle_digest)
    if not pickled:
        file = folder / f"{version.name}_v{version.number}.tahona"
        shutil.copyfile(source, file)
        return file
    bundle = open_bundle(opened, version)
    file = folder / model_name(short_name(bundle.title), version.name, version.number)
    write_pickle(bundle, file)
    return file


def write_pickle(bundle: Bundle, file: Path) -> None:
    """Write a `Bundle` without its cleaning functions, which are code of the project."""
    import pickle

    file.write_bytes(pickle.dumps(replace(bundle, clean=None)))


def short_name(family: str) -> str:
    """Return how file names call a family, or a mixture of several."""
    from tahona.learn.families import FAMILIES

    return FAMILIES[family].short if family in FAMILIES else "ens"
