"""How results look on disk: JSON with sorted keys, Parquet, and arrays. Equal values give equal bytes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.core.findings import Finding

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


def write_json(path: Path, data: object) -> None:
    """Write a JSON document; numbers that JSON lacks (NaN, infinity) become null."""
    path.write_text(json.dumps(_finite(data), sort_keys=True, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_json(path: Path) -> Any:  # noqa: ANN401 - a document's shape is its writer's affair
    return json.loads(path.read_text("utf-8"))


def write_findings(path: Path, findings: Iterable[Finding], **facts: object) -> None:
    write_json(path, {**facts, "findings": [finding.to_dict() for finding in findings]})


def read_findings(path: Path) -> tuple[Finding, ...]:
    return tuple(Finding.from_dict(data) for data in read_json(path)["findings"])


def write_table(path: Path, frame: pd.DataFrame) -> None:
    frame.to_parquet(path, index=False, compression="zstd")


def read_table(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


def first_rows(path: Path, most: int) -> list[dict[str, Any]]:
    """Return the first rows of a table; no more of it is read than they need."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=most, use_threads=False), None)
        return [] if batch is None else batch.to_pylist()


def give_back() -> None:
    """Return to the system what Arrow holds unused: once a large table is dropped, that is more than the table."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()


def write_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write named arrays in one file, without pickle and without times."""
    import io
    import zipfile

    import numpy as np

    with zipfile.ZipFile(path, "w") as archive:
        for name, array in sorted(arrays.items()):
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def read_folds(path: Path) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]:
    """Return (fit, validate) positions within the training rows, one pair per fold."""
    arrays = read_arrays(path)
    return tuple((arrays[f"fit_{i}"], arrays[f"validate_{i}"]) for i in range(len(arrays) // 2))


def _finite(data: object) -> object:
    if isinstance(data, Mapping):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    if hasattr(data, "item"):  # one of numpy's numbers
        return _finite(data.item())
    return None if isinstance(data, float) and not isfinite(data) else data
