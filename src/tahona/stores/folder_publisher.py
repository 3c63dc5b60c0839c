"""Files under names that people read, in a folder. A name that is taken stays taken."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tahona.errors import SetupError
from tahona.stores.unfinished import copy_into, new_file


def open_publisher(place: str, root: Path) -> FolderPublisher:
    """Open the folder ``place``, a path that starts at ``root`` when it is relative."""
    return FolderPublisher(root / place)


class FolderPublisher:
    """A `Publisher` into a folder."""

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)
        self._folder = folder

    def has(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def publish(self, name: str, file: Path) -> None:
        place = self._folder / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with new_file(place.parent) as (temporary, copy):
                copy_into(file, copy)
                copy.flush()
                os.fsync(copy.fileno())
                with suppress(FileExistsError):  # a link, unlike a rename, fails when the name is taken
                    place.hardlink_to(temporary)
        except OSError as error:
            raise SetupError(
                f"{name} cannot be published: {error.strerror or type(error).__name__}",
                where=f"publish.to ({error.filename or self._folder})",
                fix="make room or give write access there, or name another place",
            ) from error
