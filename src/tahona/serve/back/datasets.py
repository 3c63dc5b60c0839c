"""Uploaded tables, each in a folder of its own, by the digest of their bytes.

    .tahona/serve/datasets/<id>/train.<ext>, test.<ext>, dataset.json

A data set appears whole or not at all. Its id is made here, and looked up among those that are known.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tahona.digests import digest_json
from tahona.owners import is_left, tag

FORMAT = 1
"""Version of `dataset.json`."""
_ID = re.compile(r"[0-9a-f]{16}")
_DRAFT = ".new"


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of a data set: how the client called it, its bytes, and its name in the folder."""

    name: str
    bytes: int
    sha256: str
    file: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table to learn from, and perhaps one to be judged by."""

    id: str
    train: TableFile
    test: TableFile | None
    rows: int
    test_rows: int | None
    columns: tuple[str, ...]
    """Names of the columns of the first."""
    when: str
    """When it came first (ISO 8601 in UTC)."""
    format: int = FORMAT
    folder: Path = field(default=Path(), compare=False)

    def path(self, part: TableFile) -> Path:
        """Return where one of its files lies."""
        return self.folder / part.file

    def to_dict(self) -> dict[str, Any]:
        """Return what people are told of it."""
        files = {"train": self.train, "test": self.test}
        return {
            "id": self.id,
            "files": {
                part: {"name": file.name, "bytes": file.bytes, "sha256": file.sha256}
                for part, file in files.items()
                if file is not None
            },
            "rows": self.rows,
            "test_rows": self.test_rows,
            "columns": len(self.columns),
            "bytes": self.train.bytes + (self.test.bytes if self.test else 0),
            "when": self.when,
        }


def dataset_id(digests: Mapping[str, str]) -> str:
    """Return the id of a data set with these files (part → sha256)."""
    return digest_json(dict(digests))[:16]


class Datasets:
    """The data sets of one project's server."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; what processes left that died in the middle of an upload goes."""
        self._folder = folder
        for left in folder.glob(f"*{_DRAFT}"):
            if is_left(left):
                shutil.rmtree(left, ignore_errors=True)

    def all(self) -> Sequence[Dataset]:
        """Return them, the newest first."""
        found = [self._read(name) for name in self._names()]
        return sorted((each for each in found if each is not None), key=lambda each: (each.when, each.id), reverse=True)

    def find(self, wanted: str) -> Dataset | None:
        """Return the data set with this id, None if there is none."""
        return self._read(wanted) if wanted in self._names() else None

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Give an empty folder for an upload; it is gone afterwards unless `keep` has made it a data set."""
        folder = self._folder / f"{tag()}-{secrets.token_hex(6)}{_DRAFT}"
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, draft: Path, dataset: Dataset) -> Dataset:
        """Make the draft a data set; if it is one already, that one stays. Return what is kept."""
        plain = asdict(dataset)
        plain.pop("folder")
        (draft / "dataset.json").write_text(json.dumps(plain, ensure_ascii=False) + "\n", "utf-8")
        place = self._folder / dataset.id
        with suppress(OSError):  # the same files came a moment ago …
            draft.rename(place)
        kept = self._read(dataset.id)
        if kept is None:  # … or what is there was torn by a crash
            shutil.rmtree(place)
            draft.rename(place)
        return kept or replace(dataset, folder=place)

    def _names(self) -> frozenset[str]:
        return frozenset(path.name for path in self._folder.iterdir() if _ID.fullmatch(path.name))

    def _read(self, name: str) -> Dataset | None:
        folder = self._folder / name
        try:
            plain = json.loads((folder / "dataset.json").read_text("utf-8"))
            test = plain["test"]
            return Dataset(
                **{
                    **plain,
                    "train": TableFile(**plain["train"]),
                    "test": TableFile(**test) if test else None,
                    "columns": tuple(plain["columns"]),
                    "folder": folder,
                }
            )
        except (OSError, ValueError, KeyError, TypeError):  # taken away by hand, or torn by a crash
            return None
