"""Follows the ledger: who is champion there is served here, as soon as its bundle was tried.

When the ledger, the store or the new bundle cannot be used, the champion that is served stays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.core.records import Version
from tahona.errors import IntegrityError, SetupError, TahonaError
from tahona.lifecycle.opened import OpenProject
from tahona.lifecycle.registry import CHAMPION, bundle_in, champion
from tahona.ports import Signpost
from tahona.scorer.load import why_slow
from tahona.serve.back.contents import Contents, read_contents
from tahona.serve.back.end import End
from tahona.serve.champion import Champion, read_champion, write_champion
from tahona.serve.places import Places
from tahona.serve.telling import tell
from tahona.serve.troubles import Part, Troubles

if TYPE_CHECKING:
    from tahona.bundle.bundle import Bundle

ROUND = 0.3
"""Seconds between two looks at the ledger."""
SHARE = 0.01
"""Of a core that looking may cost: where one look costs more, the next is later."""
LONGEST = 1.0
"""Seconds between two looks at most."""
REST = 5.0
"""Seconds until a bundle that failed is tried again."""
STORE = 10.0
"""Seconds between two looks at the store."""
WARM = 2.0
"""Seconds after the start until this process loads what only the workers need at first: they have the machine."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The champion with its bundle, as this process uses it."""

    champion: Champion
    bundle: Bundle


class Keeper:
    """Knows the champion that is served, and takes up another when the ledger points at it."""

    def __init__(self, opened: OpenProject, places: Places, troubles: Troubles) -> None:
        self._opened = opened
        self._places = places
        self._troubles = troubles
        self._turn = threading.Lock()
        self._loading = threading.Lock()
        before = read_champion(places.champion)
        self._champion = before if before is not None and before.name == opened.project.name else None
        self._bundles: dict[str, Bundle] = {}
        self._failed, self._rest = 0, 0.0
        in_need = self._champion is not None and self._champion.slow
        self._store_seen = time.monotonic() - STORE + (0.0 if in_need else WARM)
        self._cost = 0.0
        self._looked: dict[str, tuple[Contents, str]] = {}

    @property
    def champion(self) -> Champion | None:
        """What is served now."""
        return self._champion

    @property
    def predicts(self) -> bool:
        """Whether the champion's bundle is loaded here."""
        return self._champion is not None and self._champion.digest in self._bundles

    def serving(self) -> Serving:
        """Return champion and bundle; the bundle is loaded when it is first asked for. Raise SetupError without one."""
        champion = self._champion
        if champion is None:
            raise _nothing()
        known = self._bundles.get(champion.digest)
        return Serving(champion, known or self._load(champion.version, champion.digest)[1])

    def contents(self) -> Contents:
        """Return the champion's columns and classes, without loading it. Raise SetupError when there is none."""
        champion = self._champion
        if champion is None:
            raise _nothing()
        return self._look_into(champion.digest)[0]

    def why_slow(self, digest: str) -> str:
        """Return why the workers cannot answer for this bundle; the empty string when they can."""
        try:
            return self._look_into(digest)[1]
        except IntegrityError:
            return "the bundle is damaged"

    def follow(self, end: End) -> None:
        """Look again and again until the end."""
        while not end.is_near():
            self.look()
            self._troubles.still_here()
            end.wait(min(max(ROUND, self._cost / SHARE), LONGEST))

    def look(self, *, now: bool = False) -> None:
        """Ask the ledger once, and take up its champion if that is another; ``now``: also one that failed just now."""
        with self._turn:
            version, served = None, self._champion
            try:
                number = self._pointed()
                rests = number == self._failed and time.monotonic() < self._rest and not now
                if number and not rests and (served is None or number != served.version):
                    version = champion(self._opened.ledger.versions(self._opened.project.name))
            except TahonaError as error:
                self._troubles.begin("ledger", "the ledger cannot be used", error)
                return
            self._troubles.end("ledger")
            if number == 0:
                self._troubles.begin("champion", "no version is champion")
            elif version is not None:
                self._take_up(version)
            elif served is not None and number == served.version:
                self._look_after(served)

    def _pointed(self) -> int:
        """Return the number of the ledger's champion, and note what asking cost."""
        ledger, name, before = self._opened.ledger, self._opened.project.name, time.thread_time()
        try:
            if isinstance(ledger, Signpost):
                return ledger.pointed(name, CHAMPION)
            version = champion(ledger.versions(name))
            return version.number if version else 0
        finally:
            self._cost = time.thread_time() - before

    def _look_after(self, served: Champion) -> None:
        """See that what is served can be fetched again, and is loaded here: the next one is loaded sooner then."""
        if self._failed not in (0, served.version):  # the ledger has gone back from a version that could not be used
            self._works()
        if time.monotonic() - self._store_seen < STORE:
            return
        self._store_seen = time.monotonic()
        with self._noted(served.version):
            if not self._opened.store.has(served.digest):
                raise SetupError("the artifact store has no such bundle", where=served.digest)
            if served.digest not in self._bundles:
                self._load(served.version, served.digest)
                tell("the back has loaded the champion", version=served.version)
            self._works()

    def _take_up(self, version: Version) -> None:
        """Try the ledger's champion, and let the workers know."""
        with self._noted(version.number):
            file, _ = self._load(version.number, version.bundle_digest)
            fresh = Champion(version.name, version.number, version.bundle_digest, str(file.resolve()), why_slow(file))
            write_champion(self._places.champion, fresh)
            before, self._champion = self._champion, fresh
            self._works()
            tell("champion", version=fresh.version, before=before and before.version, slow=fresh.slow)

    def _works(self) -> None:
        self._failed = 0
        self._troubles.end("champion", "store")

    def _look_into(self, digest: str) -> tuple[Contents, str]:
        """Return what a bundle says of itself, and why the workers cannot answer for it."""
        known = self._looked.get(digest)
        if known is None:
            file = self._opened.store.get(digest)
            known = self._looked[digest] = read_contents(file), why_slow(file)
        return known

    @contextmanager
    def _noted(self, number: int) -> Iterator[None]:
        """Make a trouble of what fails within; what is served stays, and it is tried again in a while."""
        try:
            yield
        except IntegrityError as error:
            self._fail(number, "champion", f"the bundle of version {number} is damaged", error)
        except SetupError as error:
            self._fail(number, "store", f"the bundle of version {number} cannot be fetched", error)
        except TahonaError as error:
            self._fail(number, "champion", f"the bundle of version {number} cannot be used", error)
        except OSError as error:  # no room for champion.json
            self._fail(number, "champion", f"version {number} cannot be handed to the workers", error)

    def _fail(self, number: int, part: Part, what: str, error: Exception) -> None:
        self._failed, self._rest = number, time.monotonic() + REST
        self._troubles.begin(part, what, error)

    def _load(self, number: int, digest: str) -> tuple[Path, Bundle]:
        """Fetch the bundle (the store checks its digest) and load it, unless it is one of the last two."""
        with self._loading:
            file = self._opened.store.get(digest)
            if digest not in self._bundles:
                bundle = bundle_in(self._opened, number, file)
                self._bundles = dict([*list(self._bundles.items())[-1:], (digest, bundle)])
            return file, self._bundles[digest]


def _nothing() -> SetupError:
    return SetupError("there is no champion to serve yet", fix="try again in a moment")
