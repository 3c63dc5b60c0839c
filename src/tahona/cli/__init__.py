"""The command `tahona`: parse, call `tahona.lifecycle`, print.

Every command takes `-C DIR` and `--json`, and ends with one of the exit codes of `tahona.errors`.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tahona.errors import InputError, TahonaError

if TYPE_CHECKING:
    import typer

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process: the border where an exception becomes an exit code."""
    gc.set_threshold(100_000)  # at the usual 700 a run spends 8 % of its CPU walking through imported modules
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(words))


def run(words: list[str]) -> int:
    """Run one command and return its exit code."""
    import typer

    from tahona.cli.app import app

    try:
        result = typer.main.get_command(app)(words, prog_name="tahona", standalone_mode=False)
    except TahonaError as error:
        return _say(error, words)
    except typer.exceptions.TyperException as error:
        return _misspoken(error, words)
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except BrokenPipeError:
        return 0
    except Exception as error:  # the process border: a bug is said in one line, and in full on demand
        from tahona.room import is_full, no_room

        if is_full(error):
            return _say(no_room(error, Path.cwd()), words)
        if "TAHONA_TRACEBACK" in os.environ:
            raise
        return _say(_bug(error), words)
    if result == INTERRUPTED:  # by Typer as a rule, which catches the interruption itself
        _complain("stopped; finished steps are kept, tahona run goes on from here")
    return result if isinstance(result, int) else 0


def _bug(error: Exception) -> TahonaError:
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}")
        trace = trace.tb_next
    ours = next((frame for frame in reversed(frames) if frame.startswith("tahona")), frames[-1])
    return TahonaError(
        f"a bug in Tahona: {type(error).__name__} (its text may hold data, so it is not shown)",
        where=ours,
        fix="run again with TAHONA_TRACEBACK=1 and send us what it prints",
    )


def _misspoken(error: typer.exceptions.TyperException, words: list[str]) -> int:
    said = error.format_message()
    if said.startswith("Usage:"):  # no command was given: the message is the help page
        print(said, file=sys.stderr)
        return InputError.exit_code
    place = getattr(error, "ctx", None)
    command = place.command_path if place is not None else "tahona"
    return _say(InputError(said, where="command line", fix=f"{command} --help"), words)


def _say(error: TahonaError, words: list[str]) -> int:
    if "--json" in words:
        from tahona.cli.terminal import print_json

        said = {"what": error.what, "where": error.where, "fix": error.fix}
        print_json({**error.document, "error": said})
    _complain(str(error))
    return error.exit_code


def _complain(text: str) -> None:
    print(f"tahona: {text}", file=sys.stderr)
