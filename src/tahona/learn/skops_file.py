"""A skops file whose bytes depend on nothing but the estimator.

skops names objects and files by their addresses in memory, stamps the time, and writes what memory holds between the
fields of a record. Two processes with the same model would keep two files, two bundles and two digests: nobody could
see that they are one model.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np

SCHEMA = "schema.json"


def write_estimator(estimator: object, file: Path) -> None:
    """Write the estimator as skops does, with objects and files numbered in the order in which they appear."""
    import skops.io

    with ZipFile(io.BytesIO(skops.io.dumps(estimator))) as written, ZipFile(file, "w") as archive:
        numbering = _Numbering()
        schema = numbering.renamed(json.loads(written.read(SCHEMA)))
        for before, name in numbering.files.items():
            archive.writestr(ZipInfo(name), _without_gaps(name, written.read(before)))
        archive.writestr(ZipInfo(SCHEMA), json.dumps(schema, indent=1))


def _without_gaps(name: str, data: bytes) -> bytes:
    """Return a file of an array with zeros between the fields of its records (a tree's nodes have such gaps).

    What stands there is whatever the memory held before: another model's bytes, or worse.
    """
    if not name.endswith(".npy"):
        return data
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.names is None:
        return data
    clean = np.zeros(array.shape, array.dtype)
    for field in array.dtype.names:
        clean[field] = array[field]
    buffer = io.BytesIO()
    np.save(buffer, clean, allow_pickle=False)
    return buffer.getvalue()


class _Numbering:
    """New names for objects and files. What was one object stays one; a plain value is an object of its own."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self._objects: dict[int, int] = {}
        self._last = 0

    def renamed(self, node: Any) -> Any:  # noqa: ANN401 - a node of a JSON document
        if isinstance(node, list):
            return [self.renamed(part) for part in node]
        if not isinstance(node, Mapping):
            return node
        fresh = {name: self.renamed(part) for name, part in node.items() if name != "__id__"}
        if "__loader__" in node and "file" in node:
            fresh["file"] = self._file(node["file"])
        if "__id__" in node:
            fresh["__id__"] = self._number(node)
        return fresh

    def _number(self, node: Mapping[str, Any]) -> int:
        known = self._objects.get(node["__id__"])
        if known is not None and node["__loader__"] != "JsonNode":
            return known
        self._last += 1
        self._objects[node["__id__"]] = self._last
        return self._last

    def _file(self, name: str) -> str:
        return self.files.setdefault(name, f"{len(self.files)}{Path(name).suffix}")
