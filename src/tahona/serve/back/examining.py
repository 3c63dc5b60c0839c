"""Has uploads examined, by processes that may die of them: two at a time, each within bounds."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tahona.owners import is_left, tag
from tahona.project.model import Project
from tahona.serve.back.refusing import Refused
from tahona.serve.telling import tell
from tahona.sources.jsonfile import looks_like_json
from tahona.sources.limits import Limits
from tahona.sources.unpack import HEAD_BYTES, recognise

_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")
_CALM = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
_TIME = {-signal.SIGXCPU, -signal.SIGKILL}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one examination may take, and how many there are."""

    memory: int
    """Bytes of address space."""
    cpu_seconds: int = 60
    seconds: float = 120.0
    at_once: int = 2
    waiting: int = 16
    """More than these are sent away."""

    @classmethod
    def for_uploads(cls, most: int) -> Bounds:
        """Return the bounds for uploads of at most so many bytes: a CSV takes about ten times its size to read."""
        return cls((1 << 30) + 10 * most)


def upload_limits(most: int) -> Limits:
    """Return what a table may be that came as an upload of at most so many bytes; unpacked it may be no larger."""
    return Limits(
        table_bytes=most, cells=50_000_000, values=5_000_000, name_characters=1_000, cell_characters=1_000_000
    )


def extension(file: Path, *, where: str) -> str:
    """Return the ending for a table of this content. Raise DataError for what is no table by its first bytes."""
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    content = recognise(head, where=where)
    if content == "text":
        return "json" if looks_like_json(head.decode("utf-8-sig", "replace")) else "csv"
    return {"gzip": "gz"}.get(content, content)


class Examining:
    """Sends tables to examiners, as one project reads them."""

    def __init__(self, project: Project, bounds: Bounds | None = None) -> None:
        most = project.serve.limits.upload
        self._bounds = bounds or Bounds.for_uploads(most)
        self._limits = upload_limits(most)
        self._root = project.root.resolve()
        parts = project.model_dump(mode="json", include={"project", "data", "split", "audit", "decision"})
        parts["data"] |= {"source": "-", "sha256": None, "query": None, "table": None}
        self._project = parts
        for left in Path(tempfile.gettempdir()).glob("tahona-examiner-*"):
            if is_left(left):
                shutil.rmtree(left, ignore_errors=True)
        self._turns = asyncio.Semaphore(self._bounds.at_once)
        self._here = 0

    async def examine(self, train: Path, test: Path | None, target: str | None) -> Mapping[str, Any]:
        """Return what an examiner says of the tables to learn from. Raises what `ask` raises."""
        tables = {"train": str(train.resolve()), "test": str(test.resolve()) if test else None, "target": target}
        return await self.ask("tahona.serve.back.examiner", tables)

    async def ask(self, module: str, tables: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a process of this module says of the tables.

        Raises Refused: 422 for what cannot be used, 413 for what takes too much memory or time, 503 when too many wait.
        """
        if self._here >= self._bounds.at_once + self._bounds.waiting:
            raise Refused(503, "too many uploads are being examined", fix="send it again later", retry_after=10)
        self._here += 1
        try:
            async with self._turns:
                return await self._sent(module, tables)
        finally:
            self._here -= 1

    async def _sent(self, module: str, tables: Mapping[str, Any]) -> Mapping[str, Any]:
        order = {
            **tables,
            "project": self._project,
            "root": str(self._root),
            "limits": asdict(self._limits),
            "memory": self._bounds.memory,
            "cpu_seconds": self._bounds.cpu_seconds,
        }
        with tempfile.TemporaryDirectory(prefix=f"tahona-examiner-{tag()}-") as place:
            code, said, complaint = await self._run(module, json.dumps(order).encode(), place)
        if code:
            raise self._died(code, complaint)
        answer: dict[str, Any] = json.loads(said)
        if "no_memory" in answer:
            raise self._too_large()
        if "refused" in answer:
            why = answer["refused"]
            raise Refused(422, why["what"], where=why["where"], fix=why["fix"])
        return answer

    async def _run(self, module: str, order: bytes, place: str) -> tuple[int, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=place,
            env={**{name: os.environ[name] for name in _PASSED if name in os.environ}, **_CALM, "TMPDIR": place},
            start_new_session=True,
        )
        try:
            said, complaint = await asyncio.wait_for(process.communicate(order), self._bounds.seconds)
        except TimeoutError:
            raise self._too_slow() from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):  # with whatever it started
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return process.returncode or 0, said, complaint

    def _died(self, code: int, complaint: bytes) -> Refused:
        """Say why the examiner is gone. What it complained of may hold cells: the log gets its kind alone."""
        kind = re.search(rb"(?m)^([A-Za-z_][\w.]*)(?::|$)[^\n]*\s*\Z", complaint)
        tell("examiner died", code=code, kind=kind[1].decode() if kind else "")
        if code in _TIME:
            return self._too_slow()
        if code < 0 or b"MemoryError" in complaint:
            return self._too_large()
        return Refused(422, "the file cannot be read as a table", where="train", fix="save it again as CSV or Parquet")

    def _too_slow(self) -> Refused:
        seconds = f"{self._bounds.cpu_seconds} seconds of processor time or {self._bounds.seconds:g} seconds in all"
        return Refused(413, f"reading the table takes more than {seconds}", fix="send a smaller table, or Parquet")

    def _too_large(self) -> Refused:
        return Refused(
            413,
            f"reading the table takes more than the {self._bounds.memory:,} bytes of memory that an upload may take",
            fix="send a smaller table, or Parquet",
        )
