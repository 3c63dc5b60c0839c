"""What the orchestrators that live in an environment of their own have in common: a file, and a process that runs it.

The file is all that an orchestrator gets, and what `tahona export NAME` writes: readable, dependent on nothing but the
orchestrator and the command `tahona`, which it calls once for each task.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from tahona.core.workflow import Workflow
from tahona.errors import InputError, SetupError
from tahona.lifecycle.environments import environment
from tahona.lifecycle.notifying import TOLD_BY_ANOTHER
from tahona.project.secrets import credentials

REQUIREMENTS = Path(__file__).parent / "requirements"
"""Tested pins with hashes, `NAME.txt`, resolved from `NAME.in`."""
WRITTEN = "Written by `tahona export"
"""Stands at the head of every file of ours."""
PROJECT, RUN = "TAHONA_PROJECT", "TAHONA_RUN"
"""What a file looks for in its environment: the project's folder (or its file there), and the run that it must be."""

_STANDARD_ERROR = 2
_MARK = "TAHONA_STARTED_BY"
"""Names, in the environment of whatever an orchestrator starts, the call that it belongs to."""
_LAST_WORDS = 15.0
"""Seconds that an orchestrator has to end its tasks after Ctrl-C."""


class OutsideOrchestrator:
    """An orchestrator in another environment. A subclass has a name, a template, and how its file is run and checked.

    ``python`` is an interpreter that has the orchestrator already; without it the environment is made from our pins.
    """

    name: str
    file: str
    """What its file is called in a project's folder."""
    secrets: tuple[str, ...] = ()

    def __init__(self, folder: Path, python: Path | None = None) -> None:
        self.folder = folder
        """The project's folder."""
        self.own_python = None if python is None else python.absolute()
        self.project_file = ""

    @property
    def home(self) -> Path:
        """Where its database, logs and generated file of `tahona run --on` are kept."""
        return self.folder / ".tahona" / self.name

    def python(self) -> Path:
        """Return the interpreter that has the orchestrator, after making its environment if need be."""
        return self.own_python or environment(self.name, REQUIREMENTS / f"{self.name}.txt")

    def text(self, workflow: Workflow) -> str:
        """Return the file."""
        return fill(f"{self.file}.j2", workflow)

    def write(self, file: Path, workflow: Workflow) -> None:
        """Write the file. Raise InputError where somebody's own file of that name stands."""
        if file.exists() and WRITTEN not in file.read_text("utf-8"):
            raise InputError(
                f"{file.name} is there already, and Tahona did not write it",
                where=str(file),
                fix=f"move it away, or write another: tahona export {self.name} --output FILE",
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.text(workflow), "utf-8")

    def check(self, file: Path) -> None:
        """Let the orchestrator's own parser or linter read the file; raise SetupError with what it says."""
        raise NotImplementedError

    def start(self, file: Path) -> None:
        """Run the file to its end; raise SetupError if that fails."""
        raise NotImplementedError

    def walk(self, workflow: Workflow, _run_step: Callable[[str], object]) -> None:
        """Write the file, let the orchestrator check it, and run it: its tasks call `tahona step`."""
        file = self.home / self.file
        self.write(file, workflow)
        self.run_id, self.project_file = workflow.run, workflow.file
        self.check(file)
        self.start(file)

    def call(
        self,
        *words: str | Path,
        more: Mapping[str, str] | None = None,
        seconds: float | None = None,
        shown: bool = False,
    ) -> str:
        """Run a program of the orchestrator's environment in the project's folder and return what it printed.

        Its standard error goes to ours, and its standard output too where it is ``shown``. Whatever it started has
        ended when this returns. Raise SetupError when it ends with anything but 0.
        """
        command = [str(word) for word in words]
        done = _run(command, self.folder, self.surroundings(more or {}), seconds, _STANDARD_ERROR if shown else None)
        if done.returncode:
            raise SetupError(
                f"{self.name} ended with code {done.returncode}",
                where=" ".join([Path(command[0]).name, *(word for word in command[1:3] if "\n" not in word)]),
                fix=f"read what {self.name} printed above, and its files in {self.home}",
            )
        return done.stdout or ""

    def surroundings(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of its processes: ours, with this very `tahona` on the path, the project and the run."""
        ours = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        }
        tools = os.pathsep.join(
            (str(self.python().parent), str(Path(sys.executable).parent), ours.get("PATH", os.defpath))
        )
        named = {PROJECT: str(self.folder / self.project_file), RUN: getattr(self, "run_id", ""), TOLD_BY_ANOTHER: "1"}
        return {**ours, "PATH": tools, **named, **more}


def _run(
    command: list[str], folder: Path, surroundings: dict[str, str], seconds: float | None, stdout: int | None
) -> subprocess.CompletedProcess[str]:
    """Run a command as the first of its own group of processes, and end those that it leaves behind."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    process = subprocess.Popen(  # noqa: S603 - our own words
        command,
        cwd=folder,
        env={**surroundings, _MARK: mark},
        stdout=stdout or subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        try:
            printed, _ = process.communicate(timeout=seconds)
        except BaseException:  # Ctrl-C above all: it reaches us alone, for the group is another
            _signal(process, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=_LAST_WORDS)
            raise
    finally:
        _signal(process, signal.SIGTERM if process.returncode is not None else signal.SIGKILL)
        _end_strays(f"{_MARK}={mark}".encode())
    return subprocess.CompletedProcess(command, process.returncode, printed)


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send the signal to whatever is left of the process's group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _end_strays(mark: bytes) -> None:
    """End what has left the group (each of Airflow's Bash tasks does) but still has the mark in its environment.

    Only Linux shows that; elsewhere such a process comes to its own end.
    """
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended by now, or it is another user's
            if mark in environ.read_bytes():
                os.kill(int(environ.parent.name), signal.SIGTERM)


def fill(template: str, workflow: Workflow, **more: object) -> str:
    """Fill a template of `orchestrators/templates/`; raise InputError before a password gets into the file."""
    if any(credentials(option.partition("=")[2]) for option in workflow.options):
        raise InputError(
            f"a password or key of the command line would stand in {template.removesuffix('.j2')}",
            where="--set",
            fix="write ${NAME} in its place (quoted, so that the shell leaves it) and set that variable",
        )
    house = Environment(
        loader=PackageLoader("tahona.orchestrators"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the files are Python and YAML; every text passes through `literal`
    )
    house.filters["literal"] = literal
    house.filters["laid"] = laid
    return house.get_template(template).render(workflow=workflow, **more)


def literal(value: object) -> str:
    """Return a Python literal, with double quotes as a formatter would write it."""
    if isinstance(value, str):
        import json

        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{literal(name)}: {literal(each)}' for name, each in value.items())}}}"
    if isinstance(value, tuple):
        return f"({', '.join(literal(each) for each in value)}{',' * (len(value) == 1)})"
    if isinstance(value, Sequence):
        return f"[{', '.join(literal(each) for each in value)}]"
    return repr(value)


def laid(value: object, before: int = 8, indent: int = 0) -> str:
    """Return a literal as a formatter lays it out in lines of 88, after ``before`` characters of its first line."""
    flat = literal(value)
    if before + len(flat) <= 88 or not isinstance(value, Sequence | Mapping) or isinstance(value, str):
        return flat
    air = " " * (indent + 4)
    if isinstance(value, Mapping):
        lines = [
            f"{(key := f'{air}{literal(name)}: ')}{laid(each, len(key) + 1, indent + 4)}"
            for name, each in value.items()
        ]
        opening, closing = "{}"
    else:
        lines = [f"{air}{laid(each, len(air) + 1, indent + 4)}" for each in value]
        opening, closing = "()" if isinstance(value, tuple) else "[]"
    return "\n".join((opening, *(f"{line}," for line in lines), f"{' ' * indent}{closing}"))
