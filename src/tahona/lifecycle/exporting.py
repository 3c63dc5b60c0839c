"""Write a registered version as one file for other programs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

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
    import pickle

    from tahona.learn.families import FAMILIES

    bundle = open_bundle(opened, version)
    short = FAMILIES[bundle.title].short if bundle.title in FAMILIES else "ens"
    file = folder / model_name(short, version.name, version.number)
    file.write_bytes(pickle.dumps(replace(bundle, clean=None)))
    return file
