"""Starts jobs, sees to their end, and takes over those that another server left.

A job runs in a process group of its own and outlives a server that dies. One that stops in order ends its jobs; the
next one starts them again, and they go on behind the last step that they finished.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from tahona.project.model import ServeLimitsPart
from tahona.room import is_full
from tahona.serve.back.end import End
from tahona.serve.back.jobs import Job, Jobs
from tahona.serve.back.refusing import Refused
from tahona.serve.telling import tell

ROUND = 0.2
"""Seconds between two looks."""
FULL = 5.0
"""Seconds until a full disk is tried again."""
GRACE = 5.0
"""Seconds that a job has to end when it is told to …"""
LAST = 0.5
"""… and when the server itself is about to end; what is finished is kept in any case."""
LOST = 3
"""How often a job may be lost together with its server."""
_CALM = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Foreman:
    """Keeps at most so many jobs running; there is one in a server."""

    def __init__(self, jobs: Jobs, limits: ServeLimitsPart) -> None:
        self._jobs = jobs
        self._most, self._queue = limits.jobs, limits.queue
        self._turn = threading.RLock()
        self._unfinished = {job.id: job for job in reversed(jobs.all()) if not job.look().ended}
        """The oldest first."""
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._told: dict[str, float] = {}
        """When a job was told to end (monotonic)."""
        self._stopped = False
        for job in self._unfinished.values():
            _take_over(job)

    def add(self, **order: Any) -> Job:  # noqa: ANN401
        """Take an order. Raise Refused (503) when as many run and wait as may."""
        with self._turn:
            if self._stopped:
                raise Refused(503, "the server is about to stop", fix="order it again in a moment", retry_after=5)
            if len(self._unfinished) >= self._most + self._queue:
                raise Refused(
                    503,
                    f"{self._most} job(s) run at a time and {self._queue} may wait; there are as many already",
                    fix="order it again when one has ended, or end one (DELETE /jobs/{id})",
                    retry_after=30,
                )
            job = self._jobs.add(**order)
            self._unfinished[job.id] = job
            tell("job", id=job.id, state="queued", key=job.order.key)
        self.look()
        return job

    def cancel(self, job: Job) -> None:
        """Have a job end; one that has ended stays as it is."""
        with self._turn:
            if job.look().ended or job.course.cancelled:
                return
            job.tell("cancel")
        self.look()

    def watch(self, end: End) -> None:
        """Look after the jobs until the end, then end those that run; they go on when a server starts again."""
        while not end.is_near():
            try:
                self.look()
            except OSError as error:
                if not is_full(error):
                    raise
                tell("no room for what happens to jobs", path=error.filename)
                end.wait(FULL)
            end.wait(ROUND)
        self.stop()

    def look(self) -> None:
        """See who has ended, end who is to end, and start who may."""
        with self._turn:
            active = [job for job in self._unfinished.values() if self._is_active(job)]
            for job in tuple(self._unfinished.values()):
                if job not in active:
                    self._settle(job)
                elif job.look().cancelled:
                    self._end(job)
            waiting = [job for job in self._unfinished.values() if job not in active]
            for job in [] if self._stopped else waiting[: max(0, self._most - len(active))]:
                self._start(job)

    def stop(self) -> None:
        """End the jobs that run, and have them wait for the next server."""
        with self._turn:
            self._stopped = True
            active = [job for job in self._unfinished.values() if self._is_active(job)]
            for job in active:
                job.tell("state", state="queued", why="the server stops")
            while active:
                for job in active:
                    self._end(job, LAST)
                time.sleep(0.05)
                active = [job for job in active if self._is_active(job)]

    def _is_active(self, job: Job) -> bool:
        process = self._started.get(job.id)
        return (process is not None and process.poll() is None) or job.runs

    def _settle(self, job: Job) -> None:
        """Let go of a job that has ended, and say how if its own process could not."""
        process = self._started.pop(job.id, None)
        self._told.pop(job.id, None)
        course, code = job.look(), process.returncode if process is not None else None
        if not course.ended and course.cancelled:
            job.tell("state", state="cancelled")
        elif not course.ended and (course.state == "running" or process is not None):
            how = f" by signal {-code}" if code is not None and code < 0 else ""
            what = f"the job's process was ended{how}, perhaps for want of memory"
            job.tell("state", state="failed", error={"what": what, "where": "", "fix": "order it again"})
        if job.look().ended:
            del self._unfinished[job.id]
            tell("job", id=job.id, state=job.course.state, code=code)

    def _end(self, job: Job, grace: float = GRACE) -> None:
        """Tell a job to end, once; make it end when that was long enough ago."""
        if job.id not in self._told:
            self._told[job.id] = time.monotonic()
            self._signal(job, signal.SIGTERM)
        elif time.monotonic() - self._told[job.id] > grace:
            self._signal(job, signal.SIGKILL)

    def _signal(self, job: Job, number: signal.Signals) -> None:
        process = self._started.get(job.id)
        if process is not None and process.poll() is None:
            os.killpg(process.pid, number)  # it is not reaped yet, so the group is its own
        else:
            job.signal(number)

    def _start(self, job: Job) -> None:
        with job.log.open("ab") as log:
            self._started[job.id] = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "tahona.serve.back.job_process", str(job.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **_CALM},
                start_new_session=True,
            )


def _take_over(job: Job) -> None:
    """Look at a job that an earlier server left: if its process is gone too, it has to start again."""
    if job.course.state != "running" or job.runs:
        return
    job.tell("lost")
    if job.look().lost > LOST:
        what = f"its process was gone {LOST + 1} times together with the server"
        job.tell("state", state="failed", error={"what": what, "where": "", "fix": "look into the server's log"})
    else:
        job.tell("state", state="queued", why="the server was gone")
