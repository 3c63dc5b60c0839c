"""Real Python processes for tests that need more than one, or one that dies."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def started(code: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """Start Python on the code and wait until it printed `ready`; on leaving, it is dead and its pipes are shut."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def race(code: str, *arguments: tuple[object, ...]) -> list[str]:
    """Start a process per tuple of arguments, let all go on at once (a line of input), return what each said then."""
    with ExitStack() as stack:
        racers = [stack.enter_context(started(code, *own)) for own in arguments]
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        return [racer.communicate(timeout=60)[0] for racer in racers]
