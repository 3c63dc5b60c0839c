"""Trials on a Dask cluster that somebody runs already: a scheduler, found by its address, and its workers.

Nothing else in Tahona knows Dask. The workers need the same Tahona and the same libraries, which is checked.
"""

from __future__ import annotations

import io
import pickle
import platform
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tahona.errors import InputError, SetupError
from tahona.executors.ordered import SendAgainError, WorkerEndedError, in_order
from tahona.ports import Lost

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tahona.project.model import RunPart

Item = TypeVar("Item")
Result = TypeVar("Result")
Value = TypeVar("Value")

CONNECTING = 10.0
"""Seconds that the scheduler has to answer."""
WITHOUT_WORKERS = 30.0
"""Seconds that a cluster may have no worker, or none that works: those that a nanny starts again are back in a few."""

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "lightgbm", "xgboost-cpu", "pandas", "pyarrow")
_FILES = ("tls-ca-file", "tls-client-cert", "tls-client-key")
_LINE = 64
"""Bytes of a cache line, at whose beginning an array begins."""
_ONE_AT_A_TIME = threading.Lock()
"""Held by the item that runs in this worker. Warnings, CPU time and the number of threads belong to a whole process."""


class DaskExecutor:
    """A client of the cluster, connected with the first item. `close` leaves the cluster as it was."""

    def __init__(self, address: str, security: Path | None = None) -> None:
        self.address = address
        self.security = security
        self.workers = 1
        """Worker processes of the cluster when the last `map` began."""
        self._client: Any = None
        self._shared: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        """Key → where its value is in the cluster, and its bytes; the one used last is at the end."""
        self._most_bytes = 0

    def share(self, key: str, make: Callable[[], Value]) -> Value:
        """Return a stand-in for a value in the cluster's memory. The ones least used go when half of that is full."""
        return cast("Value", _StandIn(key, make))

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result | Lost]:
        self.workers = max(1, len(self.client().nthreads()))
        return in_order(items, _Cluster(self, function), self.workers)

    def close(self) -> None:
        """Take everything that was shared out of the cluster, and leave it."""
        client, self._client = self._client, None
        self._shared.clear()
        if client is not None:
            client.close()

    def client(self) -> Any:  # noqa: ANN401 - distributed is imported late
        """Connect, unless that was done. Raise SetupError without the extra or without a scheduler."""
        if self._client is None:
            try:
                from distributed import Client
            except ModuleNotFoundError as error:
                raise SetupError(
                    f"'dask' needs the package {error.name}, which is not installed",
                    where="run.executor",
                    fix="pip install 'tahona[dask]'",
                ) from error
            try:
                self._client = Client(
                    self.address,
                    security=None if self.security is None else _read_security(self.security),
                    timeout=CONNECTING,
                    set_as_default=False,
                    direct_to_workers=False,
                    name="tahona",
                )
            except (OSError, ValueError, TypeError) as error:
                raise SetupError(
                    f"no Dask scheduler answers at {self.address} ({type(error).__name__})",
                    where="run.address",
                    fix="start one (dask scheduler), or correct [run] address and security",
                ) from error
            for address, found in self._client.run(versions, on_error="return").items():
                _compare(versions(), found, address)
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
            self._most_bytes = sum(worker["memory_limit"] or 0 for worker in workers) // 2
        return self._client

    def place(self, wanted: _StandIn) -> Any:  # noqa: ANN401 - a Future of distributed
        """Return where the value is in the cluster; put it there if it is not, or went with its worker."""
        future, size = self._shared.pop(wanted.key, (None, 0))
        if future is None or future.status != "finished":
            value = _Value(wanted.make(), shared=True)
            size = value.__sizeof__()
            future = _reported(
                lambda: self.client().scatter(value, hash=False, timeout=WITHOUT_WORKERS), "the data could not be sent"
            )
        self._shared[wanted.key] = future, size
        while len(self._shared) > 1 and sum(size for _, size in self._shared.values()) > self._most_bytes > 0:
            self._shared.popitem(last=False)
        return future


class _Cluster:
    """One `map` under way."""

    def __init__(self, executor: DaskExecutor, function: Callable[[Any], Any]) -> None:
        self.executor = executor
        self.function = function
        self.deserted: float | None = None
        """Since when no worker was seen that does something, or would."""

    def send(self, item: Any) -> Any:  # noqa: ANN401 - whatever is mapped; a Future of distributed
        parcel, stand_ins = _pack((self.function, item))
        places = [self.executor.place(each) for each in stand_ins]
        name = f"{getattr(self.function, '__name__', 'item')}-{uuid.uuid4().hex}"
        return self.executor.client().submit(_call, parcel, versions(), *places, key=name, pure=False)

    def result(self, future: Any) -> Any:  # noqa: ANN401 - whatever the function gives
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        self.deserted = None
        try:
            return self._fetched(future)
        except KilledWorker as error:
            raise WorkerEndedError from error
        except CancelledError as error:
            if self.executor.client().status != "running":
                raise _gone("the connection to the Dask scheduler was lost") from error
            raise SendAgainError from error  # what was shared with it went with the only worker that had it

    def _fetched(self, future: Any) -> Any:  # noqa: ANN401 - whatever the function gives
        """Bring a finished result here. Its worker may die before that: it is then made again, if there is another."""
        while True:
            try:
                return future.result(timeout=WITHOUT_WORKERS).value
            except OSError as error:
                if future.status == "error":  # the function's own
                    raise
                if not isinstance(error, TimeoutError):
                    raise _gone("the connection to the Dask scheduler was lost") from error
                self.check()

    def check(self) -> None:
        client = self.executor.client()
        told = _reported(
            lambda: client.sync(client.scheduler.identity, n_workers=-1),  # `scheduler_info` may give an old answer
            "the connection to the Dask scheduler was lost",
        )
        workers: Collection[Mapping[str, Any]] = told["workers"].values()
        if any(map(_is_at_work, workers)):
            self.deserted = None
        elif self.deserted is None:
            self.deserted = time.monotonic()
        elif time.monotonic() - self.deserted > WITHOUT_WORKERS:
            paused = "every worker of the Dask cluster is paused, its memory is full"
            raise _gone(paused if workers else "the Dask cluster has no worker left")

    def drop(self, futures: list[Any]) -> None:
        for future in futures:
            future.release()


def _is_at_work(worker: Mapping[str, Any]) -> bool:
    """Tell whether a worker takes items, or does one; a paused one may get room by that."""
    counts: Mapping[str, int] = worker["metrics"].get("task_counts", {})
    return worker["status"] != "paused" or counts.get("executing", 0) > 0


class _StandIn:
    """What an item holds in place of a shared value."""

    def __init__(self, key: str, make: Callable[[], Any]) -> None:
        self.key = key
        self.make = make


class _Value:
    """A value on its way. It has no text of its own, so that no log of a worker shows cells of a table."""

    def __init__(self, value: Any, *, shared: bool) -> None:  # noqa: ANN401 - whatever is shared, or came of an item
        self.value = value
        self.shared = shared

    def __sizeof__(self) -> int:
        """Return the bytes of its arrays, which the scheduler counts with."""
        rest, buffers = _split(self.value)
        return len(rest) + sum(buffer.nbytes for buffer in buffers)

    def __reduce_ex__(self, _protocol: object) -> tuple[object, ...]:
        rest, buffers = _split(self.value)
        return (_arrived, (self.shared, rest, *buffers))


def _split(value: object) -> tuple[bytes, list[NDArray[np.uint8]]]:
    """Return the value without the bytes of its arrays, and those."""
    import numpy as np

    found: list[pickle.PickleBuffer] = []
    rest = pickle.dumps(value, protocol=5, buffer_callback=found.append)
    return rest, [np.frombuffer(buffer.raw(), dtype=np.uint8) for buffer in found]


def _arrived(shared: bool, rest: bytes, *buffers: NDArray[np.uint8]) -> _Value:
    """Put a value together again, its arrays as they lie in memory when nobody sends them.

    Dask leaves them at any address, where NumPy and BLAS go other ways and round other bits. What is shared is for
    reading: no trial may change what the next one gets.
    """
    import numpy as np

    placed = []
    for buffer in buffers:
        room = np.empty(buffer.nbytes + _LINE, dtype=np.uint8)
        start = -room.ctypes.data % _LINE
        place = room[start : start + buffer.nbytes]
        place[:] = buffer
        place.flags.writeable = not shared
        placed.append(place)
    return _Value(pickle.loads(rest, buffers=placed), shared=shared)  # noqa: S301 - from our own client or worker


class _Parcel:
    """A function and its item, packed; shared values stand in it as their numbers."""

    def __init__(self, content: bytes) -> None:
        self.content = content


def _pack(content: object) -> tuple[_Parcel, list[_StandIn]]:
    """Return the content as bytes, and the stand-ins found in it at any depth."""
    import cloudpickle

    found: list[_StandIn] = []

    class Packer(cloudpickle.Pickler):  # type: ignore[misc, unused-ignore]
        def persistent_id(self, part: object) -> int | None:
            if not isinstance(part, _StandIn):
                return None
            found.append(part)
            return len(found) - 1

    stream = io.BytesIO()
    Packer(stream).dump(content)
    return _Parcel(stream.getvalue()), found


class _Unpacker(pickle.Unpickler):
    def __init__(self, parcel: _Parcel, values: tuple[_Value, ...]) -> None:
        super().__init__(io.BytesIO(parcel.content))
        self.values = values

    def persistent_load(self, number: int) -> Any:  # noqa: ANN401 - whatever was shared
        return self.values[number].value


def _call(parcel: _Parcel, expected: Mapping[str, str], *values: _Value) -> _Value:
    """Run one item; this is what happens in the worker."""
    with _ONE_AT_A_TIME:
        if versions() != expected:  # it came when the others had been asked already
            from distributed import get_worker

            _compare(expected, versions(), get_worker().address)
        function, item = _Unpacker(parcel, values).load()
        return _Value(function(item), shared=False)


def _compare(here: Mapping[str, str], there: Mapping[str, str] | Exception, address: str) -> None:
    """Raise SetupError if the worker's code is not ours, for then its answers may have other bits."""
    if isinstance(there, Exception):
        what = "cannot import Tahona"
    else:
        other = [f"{name} {there.get(name)} (here {here[name]})" for name in here if there.get(name) != here[name]]
        if not other:
            return
        what = f"has other code, which may give other bits: {', '.join(other)}"
    raise SetupError(
        f"the Dask worker {address} {what}",
        where="run.address",
        fix="install the same Tahona and the same libraries there; a container image does",
    )


@cache
def versions() -> dict[str, str]:
    """Return what an answer's bits depend on in this process."""
    from tahona.lifecycle.fingerprint import code_digest, installed_version

    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "tahona": f"{installed_version('tahona')}+{code_digest()[:10]}",
        **{name: installed_version(name) for name in _LIBRARIES},
    }


def _reported(call: Callable[[], Result], what: str) -> Result:
    """Turn what a lost connection raises into a SetupError."""
    try:
        return call()
    except OSError as error:  # a time-out and a closed connection are OSErrors too
        raise _gone(what) from error


def _gone(what: str) -> SetupError:
    return SetupError(
        what, where="run.address", fix="see to the cluster, then run again: what is finished is not done again"
    )


def _read_security(file: Path) -> Any:  # noqa: ANN401 - Security of distributed
    """Read the TOML file that names certificates, in the words of Dask's own options."""
    import tomllib

    from distributed import Security

    try:
        named = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise InputError(
            f"the security file cannot be read: {error.strerror}", where=str(file), fix="correct [run] security"
        ) from error
    except ValueError as error:
        raise InputError("the security file is not TOML", where=str(file), fix=f"name {', '.join(_FILES)}") from error
    wrong = [key for key, value in named.items() if key not in _FILES or not isinstance(value, str)]
    absent = [key for key in _FILES[:2] if key not in named]
    if wrong or absent:
        said = f"holds '{wrong[0]}'" if wrong else f"lacks '{absent[0]}'"
        raise InputError(
            f"the security file {said}", where=str(file), fix=f"name the files {', '.join(_FILES)}, nothing else"
        )
    places = {key: file.parent / value for key, value in named.items()}
    for key, place in places.items():
        if not place.is_file():
            raise InputError(f"'{key}' names a file that does not exist", where=str(file), fix="correct its path")
    return Security(require_encryption=True, **{key.replace("-", "_"): str(place) for key, place in places.items()})


def open_executor(run: RunPart, root: Path) -> DaskExecutor:
    """Return the executor; it connects when it is used."""
    if run.address is None:
        raise InputError("dask needs the cluster's address", where="run.address", fix='write "tcp://HOST:8786"')
    return DaskExecutor(run.address, None if run.security is None else root / run.security)
