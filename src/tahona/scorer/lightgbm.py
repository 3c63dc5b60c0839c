"""LightGBM's library by its C interface: one row in, or many, and scores out, without its Python code."""

from __future__ import annotations

import ctypes
import sys
from array import array
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tahona.errors import IntegrityError, SetupError

Output = Literal["normal", "raw", "leaf"]
_OUTPUTS: dict[Output, int] = {"normal": 0, "raw": 1, "leaf": 2}
_TYPES: dict[str, int] = {"f": 0, "d": 1}
_NAMES = {"win32": "bin/lib_lightgbm.dll", "darwin": "lib/lib_lightgbm.dylib"}
_SETTINGS = b"num_threads=1 verbosity=-1"


@cache
def _file() -> str:
    """Return the library's path within the installed package, which is not imported."""
    spec = find_spec("lightgbm")
    if spec is None or spec.origin is None:
        raise SetupError("this model needs LightGBM, which is not installed", fix="pip install tahona")
    folder = Path(spec.origin).parent
    plain = folder / _NAMES.get(sys.platform, "lib/lib_lightgbm.so")
    return str(plain if plain.is_file() else folder.parent / plain.name)


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(_file())
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library


@cache
def _quick() -> ctypes.PyDLL:
    """Return the library for calls of some microseconds, which keep the interpreter's lock."""
    return ctypes.PyDLL(_file())


class Trees:
    """A model in LightGBM's text format, held by the library."""

    def __init__(self, text: bytes) -> None:
        library = _library()
        self.handle = ctypes.c_void_p()
        rounds, classes = ctypes.c_int(), ctypes.c_int()
        _check(library.LGBM_BoosterLoadModelFromString(text, ctypes.byref(rounds), ctypes.byref(self.handle)))
        _check(library.LGBM_BoosterGetNumClasses(self.handle, ctypes.byref(classes)))
        self.classes = classes.value
        self.count = classes.value * rounds.value

    def predict(
        self, matrix: NDArray[np.float64], *, num_threads: int = 1, raw_score: bool = False
    ) -> NDArray[np.float64]:
        """Return (n,) or (n, classes) answers, each row's with the bits that it has alone, as LightGBM's Booster does.

        There is one thread. Others go on meanwhile.
        """
        assert num_threads == 1
        matrix = np.ascontiguousarray(matrix, dtype=np.float64)
        rows, width = matrix.shape
        found = np.empty((rows, self.classes))
        _check(
            _library().LGBM_BoosterPredictForMat(
                self.handle,
                ctypes.c_void_p(matrix.ctypes.data),
                ctypes.c_int(_TYPES["d"]),
                ctypes.c_int32(rows),
                ctypes.c_int32(width),
                ctypes.c_int(1),  # row after row
                ctypes.c_int(_OUTPUTS["raw" if raw_score else "normal"]),
                ctypes.c_int(0),
                ctypes.c_int(-1),
                _SETTINGS,
                ctypes.byref(ctypes.c_int64()),
                ctypes.c_void_p(found.ctypes.data),
            )
        )
        return found[:, 0] if self.classes == 1 else found

    def model_to_string(self) -> str:
        """Return the model in LightGBM's text format."""
        size = ctypes.c_int64()
        text = ctypes.create_string_buffer(0)
        for _ in range(2):  # the first call tells how long it is
            text = ctypes.create_string_buffer(size.value)
            _check(
                _library().LGBM_BoosterSaveModelToString(
                    self.handle,
                    ctypes.c_int(0),
                    ctypes.c_int(-1),
                    ctypes.c_int(0),
                    ctypes.c_int64(size.value),
                    ctypes.byref(size),
                    text,
                )
            )
        return text.value.decode("utf-8")

    def __del__(self) -> None:
        if self.handle:
            _library().LGBM_BoosterFree(self.handle)


class Asker:
    """Asks trees about one row at a time. Not for two threads at once: row and scores stand in one place each.

    Write the row into ``row`` and call ``ask`` with ``arguments``: it returns 0, and ``scores`` hold the answer.
    """

    def __init__(self, trees: Trees, width: int, *, output: Output, kind: Literal["f", "d"] = "d") -> None:
        self._trees = trees  # must live as long
        self._fast = ctypes.c_void_p()
        self.row = array(kind, bytes(array(kind).itemsize * width))
        self.scores: Any = (ctypes.c_double * (trees.count if output == "leaf" else trees.classes))()
        _check(
            _library().LGBM_BoosterPredictForMatSingleRowFastInit(
                trees.handle,
                ctypes.c_int(_OUTPUTS[output]),
                ctypes.c_int(0),
                ctypes.c_int(-1),
                ctypes.c_int(_TYPES[kind]),
                ctypes.c_int32(width),
                _SETTINGS,
                ctypes.byref(self._fast),
            )
        )
        self.ask: Callable[..., int] = _quick().LGBM_BoosterPredictForMatSingleRowFast
        address = ctypes.c_void_p(self.row.buffer_info()[0])
        self.arguments = (self._fast, address, ctypes.byref(ctypes.c_int64()), self.scores)

    def __del__(self) -> None:
        if self._fast:
            _library().LGBM_FastConfigFree(self._fast)


def _check(status: int) -> None:
    if status:
        said = _library().LGBM_GetLastError().decode("utf-8", "replace")
        raise IntegrityError(f"LightGBM cannot read the model: {said}")


def fail() -> None:
    """Raise what LightGBM says of the last call."""
    _check(-1)
