"""One thread for whatever counts: sums added up by several threads come out in another order each time."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any


@cache
def _pools() -> Any:  # noqa: ANN401 - threadpoolctl has no types
    """Return the thread pools of this process, found once: the search takes milliseconds."""
    import scipy.linalg  # noqa: F401 - brings its own BLAS
    import sklearn.ensemble  # noqa: F401 - brings OpenMP
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Hold BLAS and OpenMP to one thread while the context is open."""
    context: AbstractContextManager[Any] = _pools().limit(limits=1)
    return context
