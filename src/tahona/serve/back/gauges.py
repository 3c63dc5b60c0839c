"""What `/metrics` shows: the workers' and the back's own counts added up, and what the back sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from tahona.serve.metering import BOUNDS, read_meters

if TYPE_CHECKING:
    from prometheus_client import Metric

    from tahona.serve.back.desk import Desk


class _Server(Collector):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[Metric]:
        yield from self._counts()
        desk = self._desk
        champion = GaugeMetricFamily("tahona_champion_version", "The version that is served; 0 for none.")
        champion.add_metric([], desk.keeper.champion.version if desk.keeper.champion else 0)
        yield champion
        troubles = GaugeMetricFamily("tahona_trouble", "1 for each part that does not work.", labels=["part"])
        for trouble in desk.troubles:
            troubles.add_metric([trouble.part], 1)
        yield troubles
        waiting = desk.drainer.waiting()
        yield GaugeMetricFamily("tahona_spool_bytes", "Predictions that wait for the prediction log.", waiting)
        jobs = GaugeMetricFamily("tahona_jobs", "Training jobs by state.", labels=["state"])
        for state, count in sorted(Counter(job.look().state for job in desk.workshop.jobs.all()).items()):
            jobs.add_metric([state], count)
        yield jobs
        entered = CounterMetricFamily("tahona_predictions_logged", "Predictions entered into the prediction log.")
        entered.add_metric([], desk.drainer.entered)
        yield entered

    def _counts(self) -> Iterator[Metric]:
        self._desk.tally.write()
        meters = read_meters(self._desk.places.meters)
        seconds = HistogramMetricFamily(
            "tahona_request_seconds", "Requests by route and status.", labels=["method", "route", "status"]
        )
        for (method, route, status), timings in sorted(meters.requests.items()):
            ends = [*map(str, BOUNDS), "+Inf"]
            buckets = list(zip(ends, accumulate(timings.buckets), strict=True))
            seconds.add_metric([method, route, str(status)], buckets, timings.seconds)
        yield seconds
        rows = CounterMetricFamily("tahona_predicted_rows", "Rows that were predicted.", labels=["version"])
        for version, count in sorted(meters.rows.items()):
            rows.add_metric([version], count)
        yield rows
        warnings = CounterMetricFamily("tahona_row_warnings", "Rows that carried a warning.", labels=["warning"])
        for warning, count in sorted(meters.warnings.items()):
            warnings.add_metric([warning], count)
        yield warnings


def exposition(desk: Desk) -> tuple[bytes, str]:
    """Return Prometheus' text, and its media type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Server(desk))
    return generate_latest(registry), CONTENT_TYPE_LATEST
