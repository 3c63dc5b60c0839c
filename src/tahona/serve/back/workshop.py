"""Where uploads become data sets, and data sets become jobs."""

from __future__ import annotations

from dataclasses import dataclass

from tahona.project.model import Project
from tahona.serve.back.datasets import Datasets
from tahona.serve.back.examining import Examining
from tahona.serve.back.foreman import Foreman
from tahona.serve.back.jobs import Jobs
from tahona.serve.back.orders import Served
from tahona.serve.places import Places


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the routes for uploads and training work with."""

    served: Served
    datasets: Datasets
    examining: Examining
    jobs: Jobs
    foreman: Foreman

    @classmethod
    def of(cls, project: Project, served: Served, places: Places) -> Workshop:
        """Open it; jobs that an earlier server left are taken over, and run once the foreman watches."""
        jobs = Jobs(places.jobs)
        return cls(served, Datasets(places.datasets), Examining(project), jobs, Foreman(jobs, project.serve.limits))
