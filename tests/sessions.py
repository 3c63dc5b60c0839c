"""Play the sessions of a Markdown page in an empty folder, as a reader would type them.

* ```` ```console ````: lines `$ command`, each followed by all that it prints, in this order; `…` stands for anything,
  a line of only `…` for any lines, blank lines do not count. A command must succeed, unless `$ echo $?` and the code it
  prints come next.
* A block whose first line is a comment that begins with a file's name (`# tahona.toml`) is that file, whole.
* A command that ends in `&` goes on in the background until the page is over, and is then told to end.
* Any other ```` ```python ```` block is run.

Where a page speaks of port 8000, any free port stands for it.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^# ([\w./-]+\.(?:toml|py|csv))\b")
STATUS = "echo $?"
PORT = "8000"


@dataclass(frozen=True)
class Turn:
    """One command, what the page says it prints, and the exit code that it must have."""

    command: str
    printed: tuple[str, ...]
    code: int = 0


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Give language and content of every fenced block."""
    for found in FENCE.finditer(page.read_text("utf-8")):
        yield found[1], found[2]


def turns(content: str) -> list[Turn]:
    """Read a console block."""
    found: list[Turn] = []
    for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
        command, *printed = part.rstrip("\n").split("\n")
        if command == STATUS:
            found[-1] = Turn(found[-1].command, found[-1].printed, int(printed[0]))
        else:
            found.append(Turn(command, tuple(line for line in printed if line.strip())))
    return found


def commands(page: Path) -> list[str]:
    """Return every command of the page's console blocks."""
    return [turn.command for language, content in blocks(page) if language == "console" for turn in turns(content)]


def play(page: Path, folder: Path) -> list[tuple[str, str]]:
    """Do what the page says, in its order, and check what it promises. Return each command and all it printed."""
    told = []
    port = _free_port()
    with ExitStack() as background:
        for language, content in blocks(page):
            named = FILE.match(content)
            if named:
                (folder / named[1]).write_text(content, "utf-8")
            elif language == "console":
                for turn in turns(content):
                    command = turn.command.replace(PORT, port)
                    if command.endswith(" &"):
                        background.enter_context(_going_on(command.removesuffix(" &"), folder))
                    else:
                        told.append((turn.command, _check(turn, *_do(["sh", "-c", command], folder))))
            elif language == "python":
                turn = Turn("python", ("…",))
                told.append((content, _check(turn, *_do([sys.executable, "-c", content], folder))))
    return told


def _do(words: list[str], folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        words,
        cwd=folder,
        env=_surroundings(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout


@contextmanager
def _going_on(command: str, folder: Path) -> Iterator[None]:
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"], cwd=folder, env=_surroundings(), stdin=subprocess.DEVNULL
    )
    try:
        yield
        assert process.poll() is None, f"{command} has ended by itself"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def _surroundings() -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CI": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def _check(turn: Turn, code: int, output: str) -> str:
    assert code == turn.code, f"{turn.command}: exit {code}, not {turn.code}\n{output}"
    printed = "".join(f"{_plain(line)}\n" for line in output.splitlines() if line.strip())
    promised = "".join(r"(?:.*\n)*" if line.strip() == "…" else _pattern(line) for line in turn.printed)
    assert re.fullmatch(promised, printed), f"{turn.command} prints something else than the page says:\n{output}"
    return output


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in _plain(line).split("…")) + r"\n"


def _plain(line: str) -> str:
    return " ".join(line.split())
