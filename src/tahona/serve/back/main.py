"""The back as a process: ``python -m tahona.serve.back.main --root DIR --uds PATH``, started by `tahona serve`.

It ends on SIGTERM once its requests are answered and its predictions are in the log, and by itself when the process
that started it is gone.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.errors import SetupError, TahonaError
from tahona.serve.back.end import End
from tahona.serve.places import Places
from tahona.serve.telling import tell
from tahona.serve.troubles import Troubles

if TYPE_CHECKING:
    from tahona.lifecycle.opened import OpenProject
    from tahona.ports import PredictionLog

BEHIND = 5
"""How much nicer it is than the workers: where processors are few, predictions go first."""
AGAIN = 1.0
"""Seconds until a ledger that is away is tried again at the start."""
HASTE = 3.0
"""Seconds that a client waits for a ledger that is held or away."""
LAST = 0.8
"""Seconds that the drainer gets to end, and the last draining; the rest is for the next start."""


def main(words: Sequence[str] | None = None) -> int:
    """Serve until told to stop, and return the exit code."""
    given = _arguments().parse_args(words)
    os.nice(BEHIND)
    end = End()
    places = Places(given.root.parent if given.root.is_file() else given.root)
    places.make()
    troubles = Troubles(places.troubles)
    try:
        doors = _open(given, troubles, end)
    except TahonaError as error:
        tell("the back cannot start", what=error.what, where=error.where, fix=error.fix)
        return error.exit_code
    return 0 if doors is None else _serve(*doors, given, places, troubles, end)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tahona.serve.back", description="The back of `tahona serve`.")
    parser.add_argument("--root", type=Path, required=True, help="the project's folder, or a project file in it")
    parser.add_argument("--uds", type=Path, required=True, help="the Unix socket to listen at")
    parser.add_argument("--env", help="the overlay of the project file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    return parser


def _open(given: argparse.Namespace, troubles: Troubles, end: End) -> tuple[OpenProject, PredictionLog] | None:
    """Open project and prediction log; where ledger or store are away, again until they are there."""
    from tahona.ports import Signpost
    from tahona.wiring import open_prediction_log, open_project

    while not end.is_near():
        try:
            opened = open_project(given.root, env=given.env, overrides=given.overrides)
            troubles.mask = opened.project.mask
            if isinstance(opened.ledger, Signpost):
                opened = replace(opened, ledger=opened.ledger.in_haste(HASTE))
            log = open_prediction_log(opened.project)
        except SetupError as error:
            troubles.begin("ledger", "the project cannot be opened", error)
            end.wait(AGAIN)
        else:
            troubles.end("ledger")
            return opened, log
        troubles.still_here()
    return None


def _serve(
    opened: OpenProject, log: PredictionLog, given: argparse.Namespace, places: Places, troubles: Troubles, end: End
) -> int:
    from tahona.serve.back.draining import Drainer
    from tahona.serve.back.keeper import Keeper
    from tahona.serve.back.orders import Served
    from tahona.serve.back.workshop import Workshop
    from tahona.serve.spool import Spool

    spool = Spool(places.spool)
    keeper, drainer = Keeper(opened, places, troubles), Drainer(places.spool, log, spool, troubles)
    workshop = Workshop.of(opened.project, Served(given.root, given.env, tuple(given.overrides)), places)
    following, draining, minding = (
        threading.Thread(target=end.with_me, args=(work,), daemon=True)
        for work in (keeper.follow, drainer.run, workshop.foreman.watch)
    )
    for thread in (following, draining, minding):
        thread.start()
    try:
        # the framework is imported while the keeper takes its first look
        from tahona.serve.back.app import make_app
        from tahona.serve.back.desk import Desk
        from tahona.serve.back.listening import listen
        from tahona.serve.back.tally import Tally

        desk = Desk(opened, places, troubles, keeper, log, drainer, spool, workshop, Tally(places.meters), end)
        listen(make_app(desk), given.uds, end)
    finally:
        end.come()
        draining.join(LAST)
        minding.join(LAST)
    if not draining.is_alive():  # else the log is away, and the next start has it all
        spool.close()
        drainer.drain(time.monotonic() + LAST)
    return 1 if end.by_fault else 0


if __name__ == "__main__":
    sys.exit(main())
