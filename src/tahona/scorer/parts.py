"""The larger parts of a compiled form, each read once however many functions are written from it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tahona.scorer.lightgbm import Trees

Files = Callable[[str], bytes]
"""Gives the bytes of one of the bundle's files."""


class Parts:
    """Trees and arrays by the name of their file. All are read when the first function is written."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._trees: dict[str, Trees] = {}
        self._arrays: dict[str, NDArray[Any]] = {}

    def trees(self, name: str) -> Trees:
        if name not in self._trees:
            self._trees[name] = Trees(self._files(name))
        return self._trees[name]

    def array(self, name: str) -> NDArray[Any]:
        if name not in self._arrays:
            self._arrays[name] = np.load(io.BytesIO(self._files(name)), allow_pickle=False)
        return self._arrays[name]
