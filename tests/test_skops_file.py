"""One model is one file, whoever writes it, and no stray memory is in it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import scipy.sparse as sp

from tahona.learn.families import FAMILIES
from tahona.learn.model import fit_estimator
from tahona.learn.skops_file import write_estimator

WRITE = """
import sys
from pathlib import Path
folder, junk = Path(sys.argv[1]), [bytes([7]) * size for size in range(int(sys.argv[2]))]
del junk[::2]
sys.path.insert(0, sys.argv[3])
from test_skops_file import NAMES, fitted
from tahona.learn.skops_file import write_estimator
for name in NAMES:
    for sparse in (False, True):
        write_estimator(fitted(name, sparse), folder / f"{name}_{sparse}.skops")
"""
FEW = {
    "random_forest": {"n_estimators": 5},
    "extra_trees": {"n_estimators": 5},
    "hist_gradient_boosting": {"max_iter": 5},
}
NAMES = tuple(name for name, family in FAMILIES.items() if family.file == "skops")


def fitted(name: str, sparse: bool) -> object:
    rng = np.random.default_rng(0)
    matrix = np.abs(rng.normal(size=(90, 4)))
    estimator, _, _ = fit_estimator(
        FAMILIES[name],
        FEW.get(name, {}),
        sp.csr_matrix(matrix) if sparse else matrix,
        np.arange(90) % 3,
        seed=1,
        categorical=(),
    )
    return estimator


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same models written by two processes whose memory and hashes differ."""
    folders = (tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other"))
    for folder, junk in zip(folders, ("0", "20000"), strict=True):
        command = [sys.executable, "-c", WRITE, str(folder), junk, str(Path(__file__).parent)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": junk})
    return folders


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_write_the_same_bytes(written: tuple[Path, Path], name: str, sparse: bool) -> None:
    one, other = (folder / f"{name}_{sparse}.skops" for folder in written)
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("name", ["tree", "random_forest", "hist_gradient_boosting"])
def test_no_stray_memory_stands_between_the_fields_of_a_record(tmp_path: Path, name: str) -> None:
    file = tmp_path / "model.skops"
    write_estimator(fitted(name, sparse=False), file)
    records = 0
    with ZipFile(file) as archive:
        for entry in archive.namelist():
            if entry.endswith(".npy"):
                data = archive.read(entry)
                array = np.load(io.BytesIO(data))
                if array.dtype.names:
                    records += 1
                    used = np.zeros(array.dtype.itemsize, dtype=bool)
                    for field, offset in array.dtype.fields.values():
                        used[offset : offset + field.itemsize] = True
                    raw = np.frombuffer(data[-array.nbytes :], dtype=np.uint8).reshape(len(array), -1)
                    assert not raw[:, ~used].any()
        json.loads(archive.read("schema.json"))
    assert records
