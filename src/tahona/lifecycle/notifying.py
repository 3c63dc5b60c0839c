"""Tell people that a run failed, as `[run.on_failure]` says: by a command, a webhook, or both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

from tahona.errors import TahonaError
from tahona.lifecycle.opened import OpenProject

TOLD_BY_ANOTHER = "TAHONA_TOLD_BY_ANOTHER"
"""Set for what `tahona run --on` starts: that command tells of the failure itself, and the hook need not."""

_SECONDS = 30.0


def notify_failure(opened: OpenProject, run: str, error: TahonaError) -> tuple[str, ...]:
    """Tell everybody that the project names, and return who was told; what cannot be told goes to standard error.

    Failing to tell never hides the failure itself, so nothing is raised here.
    """
    wanted = opened.project.run.on_failure
    if os.environ.get(TOLD_BY_ANOTHER):
        return ()
    what = opened.project.mask(str(error))
    name = opened.project.name
    message = json.dumps(
        {
            "text": f"{name}: run {run} failed: {what}",
            "project": name,
            "run": run,
            "error": what,
            "code": error.exit_code,
        }
    )
    ways: list[tuple[str, Callable[[], object]]] = []
    if wanted.command:
        ways.append(("command", lambda: _command(wanted.command, message, opened)))
    if wanted.webhook:
        ways.append(("webhook", lambda: _post(str(wanted.webhook), message)))
    told = []
    for way, tell in ways:
        try:
            tell()
        except (OSError, subprocess.SubprocessError) as failed:
            print(f"tahona: the {way} of [run.on_failure] failed: {type(failed).__name__}", file=sys.stderr)
        else:
            told.append(way)
    return tuple(told)


def _command(words: tuple[str, ...], message: str, opened: OpenProject) -> None:
    subprocess.run(  # noqa: S603 - the project's own command, as it stands in its file
        words, input=message, encoding="utf-8", check=True, timeout=_SECONDS, cwd=opened.project.root, stdout=sys.stderr
    )


def _post(address: str, message: str) -> None:
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    request = Request(address, message.encode(), {"Content-Type": "application/json"})  # noqa: S310 - http(s) by schema
    try:
        with urlopen(request, timeout=_SECONDS):  # noqa: S310
            pass
    except HTTPException as error:
        raise ConnectionError("no answer in HTTP") from error
