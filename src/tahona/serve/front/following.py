"""What a worker follows: the champion's file and the file of keys, looked at ten times a second."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tahona.errors import TahonaError
from tahona.serve.champion import Champion, read_champion
from tahona.serve.front.app import Front
from tahona.serve.front.model import load_champion
from tahona.serve.front.rows import Limits
from tahona.serve.keys import keys_file, read_keys
from tahona.serve.places import Places
from tahona.serve.telling import tell

AGAIN = 5.0
"""Seconds until a file is looked at again that could not be used."""
_Look = tuple[int, int, int] | None


class Follower:
    """Gives the application the keys and the champion that hold."""

    def __init__(self, front: Front, places: Places, limits: Limits) -> None:
        self._front = front
        self._limits = limits
        self._keys, self._champion = keys_file(places.root), places.champion
        self._seen: dict[Path, _Look] = {}

    def follow_keys(self) -> None:
        """Take up the file of keys if it is another; a damaged one lets nobody in who was not let in before."""
        if not self._is_new(self._keys):
            return
        gate = self._front.gate
        try:
            gate.keys = read_keys(self._keys)
        except (TahonaError, OSError, ValueError) as error:
            gate.keys = gate.keys or {}
            self._look_again_at(self._keys)
            tell("the keys cannot be read; those known before hold", why=_why(error))

    async def follow_champion(self) -> None:
        """Load what the file names, in a thread, and answer by it from then on; what cannot be loaded is told."""
        if not self._is_new(self._champion):
            return
        front = self._front
        try:
            champion = read_champion(self._champion)
        except (OSError, ValueError, TypeError) as error:
            self._look_again_at(self._champion)
            tell("the champion's file cannot be read", why=_why(error))
            return
        if champion is None:
            front.why_not = "no version is champion yet"
        elif front.loaded is None or front.loaded.champion != champion:
            await self._load(champion)

    async def _load(self, champion: Champion) -> None:
        front = self._front
        try:
            front.take_up(await asyncio.to_thread(load_champion, champion, self._limits))
        except (TahonaError, OSError) as error:
            front.why_not = f"the bundle of version {champion.version} cannot be loaded"
            self._look_again_at(self._champion)
            tell("a worker keeps what it has", version=champion.version, why=_why(error))
            return
        tell("a worker took up a version", version=champion.version, slow=champion.slow)

    def _look_again_at(self, file: Path) -> None:
        """Take the file for new after a while: what failed may have been a passing want of memory or of files."""
        asyncio.get_running_loop().call_later(AGAIN, self._seen.pop, file, None)

    def _is_new(self, file: Path) -> bool:
        """Tell whether the file is another than at the last look."""
        try:
            about = file.stat()
            now: _Look = (about.st_mtime_ns, about.st_ino, about.st_size)
        except FileNotFoundError:
            now = None
        if file in self._seen and self._seen[file] == now:
            return False
        self._seen[file] = now
        return True


def _why(error: Exception) -> str:
    """Return what to tell: our own words, or the kind of another error, whose text may hold anything."""
    return str(error) if isinstance(error, TahonaError) else getattr(error, "strerror", None) or type(error).__name__
