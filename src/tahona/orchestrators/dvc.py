"""DVC 3: `dvc.yaml` with a stage per task, whose outs are the results that `tahona step --lay-out` lays out as files.

DVC runs one stage after another, so all training is one stage: inside it the workers of `[run] executor` are parallel.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

from tahona.core.plan import Plan, make_plan
from tahona.core.workflow import Task, Workflow
from tahona.lifecycle.laying_out import metrics_place, peoples_places
from tahona.lifecycle.taking_in import laid_folder
from tahona.orchestrators.outside import OutsideOrchestrator, fill, literal

READS: Mapping[str, tuple[str, ...]] = {
    "ingest": ("data",),
    "clean": ("project", "data", "split", "audit"),
    "split": ("split",),
    "audit": ("data", "split", "audit"),
    "train": ("split", "train", "decision"),
    "select": ("project", "split", "train", "decision"),
    "evaluate": ("split", "train", "decision", "audit"),
    "register": ("project", "split", "train", "decision", "gate"),
    "report": ("project", "data", "split", "train", "decision", "gate", "audit"),
}
"""The sections of the project file that each station's `settings` look at."""
_DAY = re.compile(r"^  - day: (\d{8})\b", re.MULTILINE)
_PLAIN = re.compile(r"[\w./@=${} -]+")
"""What is the same text in YAML without quotes."""
_WIDTH = 100


def open_orchestrator(folder: Path, python: Path | None = None) -> DvcOrchestrator:
    """Open the orchestrator that runs DVC in the project's folder."""
    return DvcOrchestrator(folder, python)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the file.

    ``kept`` are outs that DVC leaves in place before it runs the stage: what Tahona can take in again (one of several
    families need not train anew in a clone), and folders that people add to.
    """

    name: str
    command: str
    deps: Sequence[str]
    sections: Sequence[str]
    outs: Sequence[str]
    kept: Sequence[str]
    metrics: str
    hidden_source: bool


class DvcOrchestrator(OutsideOrchestrator):
    """Runs `dvc repro` on the project's own `dvc.yaml`: stages whose files did not change are left out by DVC."""

    name = "dvc"
    file = "dvc.yaml"

    def text(self, workflow: Workflow) -> str:
        """Return the file; the day of the data is that of the project's present `dvc.yaml`, else today."""
        day = self._day()
        return fill(f"{self.file}.j2", workflow, day=f"{day:%Y%m%d}", stages=[*self._stages(workflow, day)])

    def write(self, file: Path, workflow: Workflow) -> None:
        """Write the file, and see that git keeps out of what is Tahona's own: DVC keeps the part that a clone needs."""
        super().write(file, workflow)
        if _git(self.folder, "rev-parse") is not None and _git(self.folder, "check-ignore", ".tahona/laid") is None:
            ignored = self.folder / ".gitignore"
            text = ignored.read_text("utf-8") if ignored.exists() else ""
            ignored.write_text(f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}/.tahona/\n", "utf-8")

    def check(self, file: Path) -> None:
        """Let DVC read the file and draw its graph, in a repository made for that, since DVC looks nowhere else."""
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / ".dvc").mkdir()
            (Path(place) / ".dvc" / "config").write_text("[core]\n    no_scm = True\n", "utf-8")
            (Path(place) / self.file).write_bytes(file.read_bytes())
            words = ("-m", "dvc", "--cd", place, "dag", "--dot")
            self.call(self.python(), *words, more={"DVC_SITE_CACHE_DIR": place})

    def walk(self, workflow: Workflow, _run_step: Callable[[str], object]) -> None:
        """Write `dvc.yaml` into the project, whose files its outs are, and let DVC run it."""
        file = self.folder / self.file
        self.write(file, workflow)
        self.run_id = workflow.run
        self._make_repository()
        self.start(file)

    def start(self, file: Path) -> None:
        """Run `dvc repro`; what DVC and the steps say goes to standard error."""
        self.call(self.python(), "-m", "dvc", "repro", file.name, shown=True)

    def surroundings(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of its processes: nothing is sent to DVC's makers, nor asked of them."""
        return super().surroundings(
            {
                "DVC_NO_ANALYTICS": "1",
                "DVC_STUDIO_OFFLINE": "true",
                "DVC_SITE_CACHE_DIR": str(self.home),
                "CI": "1",  # the one variable that keeps DVC from asking for a newer release
                **more,
            }
        )

    def _day(self) -> date:
        file = self.folder / self.file
        found = _DAY.search(file.read_text("utf-8")) if file.exists() else None
        return datetime.strptime(found[1], "%Y%m%d").date() if found else datetime.now(UTC).date()  # noqa: DTZ007

    def _stages(self, workflow: Workflow, day: date) -> Iterator[Stage]:
        """Give the tasks as stages; those that only train become one."""
        plan = make_plan(workflow.run, [family for task in workflow for family in task.families])
        sections = _sections(self.folder / "tahona.toml", workflow.options)
        trained = workflow.train_tasks
        for task in workflow:
            if task in trained[1:]:
                continue
            tasks = trained if task in trained else (task,)
            name = "train" if task in trained else re.sub(r"[^\w-]", "_", task.name)
            yield _stage(name, tasks, workflow, plan, day, sections)

    def _make_repository(self) -> None:
        """Make the project a DVC repository, with git where git looks after the folder, unless it is in one."""
        if any((folder / ".dvc").is_dir() for folder in (self.folder, *self.folder.parents)):
            return
        top = _git(self.folder, "rev-parse", "--show-toplevel")
        kind = ["--no-scm"] if top is None else [] if Path(top).resolve() == self.folder else ["--subdir"]
        self.call(self.python(), "-m", "dvc", "init", "--quiet", *kind)
        for key in ("core.analytics", "core.check_update"):
            self.call(self.python(), "-m", "dvc", "config", key, "false")


def _stage(
    name: str, tasks: Sequence[Task], workflow: Workflow, plan: Plan, day: date, sections: Sequence[str]
) -> Stage:
    steps = [step for task in tasks for step in task.steps]
    stations = list(dict.fromkeys(plan[step].station for step in steps))
    before = dict.fromkeys(before for step in steps for before in plan[step].after if before not in steps)
    files = sorted({file for task in tasks for file in task.files})
    people = [place for station in stations for place in peoples_places(workflow.project, station, day).values()]
    wanted = {section for station in stations for section in READS[station]}
    return Stage(
        name=name,
        command=_command([*("tahona", "step"), *steps, *workflow.options]),
        deps=[*map(_quoted, files), *map(laid_folder, before)],
        sections=[each for each in sections if each in wanted or "." in each],
        outs=[_undated(place, day) for place in people if Path(place).suffix],
        kept=[*map(laid_folder, steps), *(place for place in people if not Path(place).suffix)],
        metrics=metrics_place(workflow.project) if "evaluate" in stations else "",
        hidden_source="ingest" in stations and not any(task.files for task in tasks if "ingest" in task.steps),
    )


def _sections(file: Path, options: Sequence[str]) -> list[str]:
    """Name the sections that the project file has, and the overlay that the options choose from it."""
    found = tomllib.loads(file.read_text("utf-8"))
    overlays = found.pop("env", {})
    return [*found, *(f"env.{name}" for word, name in pairwise(options) if word == "--env" and name in overlays)]


def _undated(place: str, day: date) -> str:
    return place.replace(f"_{day:%Y%m%d}.", "_${day}.")


def _command(words: Sequence[str]) -> str:
    """Return the stage's command as YAML: plain where it needs no quotes, folded where it is long."""
    command = shlex.join(words).replace("${", "\\${") + " --patient --lay-out ${day}"
    if not _PLAIN.fullmatch(command):
        return literal(command)
    if len(command) <= _WIDTH:
        return command
    lines = textwrap.wrap(command, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n      ".join([">-", *lines])


def _quoted(path: str) -> str:
    return path if _PLAIN.fullmatch(path) else literal(path)


def _git(folder: Path, *words: str) -> str | None:
    """Return what git says of the folder; None where it says no, does not look after the folder, or is not there."""
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run([git, *words], cwd=folder, capture_output=True, encoding="utf-8", check=False)  # noqa: S603
    return None if done.returncode else done.stdout.strip()
