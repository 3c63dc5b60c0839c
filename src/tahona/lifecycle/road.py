"""One plan on its way: which steps have a result, and the one function that runs a step."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Container, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tahona.core.plan import Plan, Step, make_plan
from tahona.core.records import StepRecord, StepState
from tahona.digests import digest_json
from tahona.errors import InputError, RefusedError, SetupError, TahonaError, said_again
from tahona.files import write_whole
from tahona.lifecycle.allotting import allot
from tahona.lifecycle.environments import locked
from tahona.lifecycle.fingerprint import code_digest, fingerprint_parts, functions_digest, matches
from tahona.lifecycle.opened import OpenProject, silent
from tahona.lifecycle.results import StepResult, refusal_to_dict
from tahona.lifecycle.taking_in import take_in
from tahona.lifecycle.workplace import clear_left, notes_folder, scratch_folder
from tahona.room import room_in
from tahona.steps import station
from tahona.steps.context import Progress, StepContext
from tahona.steps.documents import give_back

DECIDING = ("project", "data", "split", "train", "decision", "gate", "audit")
"""The sections that make a run another run; where it runs and what it is kept in do not."""


def plan_run(opened: OpenProject) -> Plan:
    """Lay out the run of this project as it stands. The same project, data and code give the same run id anywhere."""
    project = opened.project
    digest = digest_json(
        {
            "tahona": code_digest(),
            "project": project.part(*DECIDING),
            "source": opened.source.version(),
            "functions": functions_digest(opened),
        }
    )
    return make_plan(f"{project.name}-{digest[:10]}", families(opened))


def families(opened: OpenProject) -> tuple[str, ...]:
    """Return the families to train: the project's, and the dummy, which is never left out.

    With a time budget the cheap ones come first: what they leave, the others use.
    """
    train = opened.project.train
    names = [name for name in train.models if name != "dummy"]
    if train.limit:
        from tahona.learn.families import FAMILIES

        names.sort(key=lambda name: FAMILIES[name].cost)
    return ("dummy", *names)


class Road:
    """A plan and the results that its steps have so far."""

    def __init__(self, opened: OpenProject, plan: Plan, progress: Progress = silent) -> None:
        self.opened = opened
        self.plan = plan
        self.progress = progress
        self.records: dict[str, StepRecord] = {}
        self.came_to: Callable[[str], None] = silent
        """Hears each step's fingerprint before anything is kept under it."""
        self._results: dict[str, StepResult] = {}

    def result(self, step_id: str) -> StepResult | None:
        """Return the step's stored result, or None when it (or a step before it) has none."""
        if step_id in self._results:
            return self._results[step_id]
        parts = self.parts(self.plan[step_id])
        if parts is None:
            return None
        fingerprint = digest_json(parts)
        kept = self.opened.store.recall(fingerprint) or take_in(self.opened, step_id, fingerprint)
        if kept is None:
            return None
        found = StepResult.from_bytes(kept, _place(fingerprint))
        if self.plan[step_id].station == "register" and not self._is_entered(found):
            return None
        self._results[step_id] = found
        return found

    def _is_entered(self, registered: StepResult) -> bool:
        """Tell whether this ledger knows the registered bundle: another ledger over the same store may not."""
        said = json.loads(self.opened.store.get(registered.outputs["registration.json"]).read_bytes())
        return any(each.bundle_digest == said["bundle_digest"] for each in self.opened.ledger.versions(said["name"]))

    def parts(self, step: Step) -> dict[str, Any] | None:
        """Return what the step's fingerprint is made of, or None while a step before it has no result."""
        upstream = {}
        for name in step.after:
            result = self.result(name)
            if result is None:
                return None
            upstream[name] = result
        return fingerprint_parts(self.opened, step, station(step.station), upstream)

    def run_step(self, step_id: str) -> StepRecord:
        """Run the step unless its result is there already. The one way in which a step is ever run.

        Raises what the step raises; a step that refuses (audit) has a result too, and its refusal is raised each time.
        """
        step = self._step(step_id)
        waiting = [name for name in step.after if self.result(name) is None]
        if waiting:
            raise InputError(
                f"step '{step_id}' waits for {', '.join(waiting)}", where=self.plan.run, fix=f"tahona step {waiting[0]}"
            )
        for name in step.after:
            self._results[name].raise_refusal()
        result = self.result(step_id)
        state = "cached"
        if result is None:
            self.progress("step", {"step": step_id, "state": "running"})
            self.records[step_id] = StepRecord(step_id, "failed")  # until it is known to have gone well
            try:
                result = self._work(step)
            except TahonaError as error:
                self.note_failure(step_id, error)
                raise
            self._results[step_id] = result
            state = "done"
        else:
            self.came_to(result.fingerprint)
            clear_left(self.opened.folder, step_id, result.fingerprint)
        if result.refusal:
            state = "refused"
        record = StepRecord(
            step_id,
            state,  # type: ignore[arg-type]
            seconds=result.seconds if state == "done" else 0.0,
            cpu_seconds=result.cpu_seconds if state == "done" else 0.0,
            fingerprint=result.fingerprint,
        )
        self.records[step_id] = record
        self._remember(step_id, result)
        self.progress("step", {"step": step_id, "state": state, "seconds": record.seconds})
        result.raise_refusal()
        return record

    def known(self, step_id: str) -> StepResult | None:
        """Return the step's stored result as far as it can be known: None too where the store is out of reach."""
        try:
            return self.result(step_id)
        except SetupError:
            return None

    def record(self, step_id: str) -> StepRecord:
        """Return what is known of a step that did not run here: its stored result, or that it waits."""
        result = self.known(step_id)
        if result is None:
            return StepRecord(step_id, "waiting")
        state: StepState = "refused" if result.refusal else "done"
        return StepRecord(step_id, state, result.seconds, result.cpu_seconds, result.fingerprint)

    def adopt(self, before: Container[str]) -> None:
        """Take over what other processes ran; the steps named in ``before`` had their results already."""
        for step in self.plan:
            if step.id not in self.records:
                record = self.record(step.id)
                self.records[step.id] = replace(record, state="cached") if step.id in before else record

    def failure(self, run: str = "") -> TahonaError | None:
        """Return why a step failed in another process, if one did: of this run, or of the one that it was before."""
        run = run or self.plan.run
        for step in self.plan:
            result = self.result(step.id) if run == self.plan.run else None
            if result is not None and result.refusal:
                return RefusedError(**result.refusal)
            note = self._failures(step.id)
            if result is None and note.exists():
                said = json.loads(note.read_bytes())
                if said.pop("run") == run:
                    return said_again(**said)
        return None

    def last_parts(self, step_id: str) -> dict[str, Any] | None:
        """Return what the step's result depended on when it last ran here."""
        file = self._last(step_id)
        return dict(StepResult.from_bytes(file.read_bytes(), str(file)).parts) if file.exists() else None

    def files(self, step_id: str) -> dict[str, Path]:
        """Return the step's result files; empty when it has no result."""
        result = self.result(step_id)
        return {} if result is None else result.files(self.opened.store)

    def _step(self, step_id: str) -> Step:
        if step_id not in self.plan:
            raise InputError(
                f"there is no step '{step_id}'", where=self.plan.run, fix=f"one of {', '.join(s.id for s in self.plan)}"
            )
        return self.plan[step_id]

    def _work(self, step: Step) -> StepResult:
        parts = self.parts(step)
        assert parts is not None
        fingerprint = digest_json(parts)
        self.came_to(fingerprint)
        opened, place = self.opened, station(step.station)
        wall, cpu = time.perf_counter(), _cpu_seconds()
        with (
            self._turn(step),
            scratch_folder(opened.folder, step.id) as scratch,
            room_in(scratch),
            notes_folder(opened.folder, fingerprint) as notes,
        ):
            context = StepContext(
                project=opened.project,
                run=self.plan.run,
                step=step,
                scratch=scratch,
                notes=notes,
                source=opened.source,
                store=opened.store,
                ledger=opened.ledger,
                executor=opened.executor,
                progress=self.progress,
                limit=allot(opened.project, self.plan, step, self._results, opened.store),
            )
            refusal = place.run(context, self._inputs(step, {**place.NEEDS, **_joined(place.NEEDS, place.SEES)}))
            give_back()
            written = sorted(path for path in scratch.rglob("*") if path.is_file())
            outputs = {path.relative_to(scratch).as_posix(): opened.store.put(path) for path in written}
            result = StepResult(
                step.id,
                fingerprint,
                parts,
                outputs,
                seconds=round(time.perf_counter() - wall, 4),
                cpu_seconds=round(_cpu_seconds() - cpu, 4),
                refusal=refusal_to_dict(refusal),
            )
            return StepResult.from_bytes(opened.store.record(fingerprint, result.to_bytes()), _place(fingerprint))

    def _turn(self, step: Step) -> AbstractContextManager[None]:
        """Let one version of this folder be registered at a time, so that it is judged against the one before."""
        return locked(self.opened.folder / "register.lock") if step.station == "register" else nullcontext()

    def _inputs(self, step: Step, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, Path]]:
        """Fetch, for each step before this one, just the files that it names."""
        return {
            name: {
                file: self.opened.store.get(digest)
                for file, digest in self._results[name].outputs.items()
                if matches(file, wanted.get(name.partition("@")[0], ()))
            }
            for name in step.after
        }

    def _last(self, step_id: str) -> Path:
        return self.opened.folder / "last" / f"{step_id}.json"

    def _failures(self, step_id: str) -> Path:
        return self.opened.folder / "failed" / f"{step_id}.json"

    def _remember(self, step_id: str, result: StepResult) -> None:
        self._write(self._last(step_id), result.to_bytes())
        self._failures(step_id).unlink(missing_ok=True)

    def note_failure(self, step_id: str, error: TahonaError, run: str = "") -> None:
        """Keep why a step failed, for `failure` in another process."""
        said = {"run": run or self.plan.run, "kind": type(error).__name__}
        said |= {"what": error.what, "where": error.where, "fix": error.fix}
        with suppress(OSError):  # it is the step's error that counts, on a full disk above all
            self._write(self._failures(step_id), json.dumps(said).encode())

    def _write(self, file: Path, content: bytes) -> None:
        with locked(self.opened.folder / "last.lock"):  # two runs at once write the same file
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, content)


def _place(fingerprint: str) -> str:
    return f"results/{fingerprint}.json in the artifact store"


def _joined(needs: Mapping[str, tuple[str, ...]], sees: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {name: (*needs.get(name, ()), *patterns) for name, patterns in sees.items()}


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
