"""What a prediction over HTTP costs: Tahona, constants of the frameworks below it, and its peers, as a Markdown table.

    python benchmarks/serving.py [--only tahona,asgi] [--models lightgbm] [--rounds 3] [--seconds 5] [--anew] [--write]

Server CPU per request is that of all the server's processes, from /proc. Constants and Tahona are measured anew, in
turn; a peer's figures are kept in TAHONA_BENCH_CACHE (~/.cache/tahona-bench) for its pins and these files, unless
``--anew``. Ends with 1 when a promise is missed or something that was asked for could not be measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from peers.data import NoDataError
from run import README, Row, machine
from serving.measuring import Load, Measured, ServingError, measure
from serving.models import FAMILIES, make_rows, make_table, read_rows
from serving.systems import HERE, REQUIREMENTS, SYSTEMS, System

MARKS = ("<!-- serving -->", "<!-- end of serving -->")
FLOOR = ("uvicorn", "uvloop", "httptools", "starlette", "fastapi")


@dataclass(frozen=True)
class Found:
    """The rounds of one system, and the day they were measured."""

    rounds: tuple[Measured, ...]
    day: str

    def middle(self, value: Callable[[Measured], float]) -> float:
        return median(value(each) for each in self.rounds)


def main() -> None:
    asked = parse()
    try:
        table = make_table(asked.keep / "serving")
    except NoDataError as missing:
        sys.exit(f"not measured: {missing}")
    make_rows(table)
    texts, promises, troubles = [], [], []
    for kind in asked.models:
        found = measure_all(kind, table, asked, troubles)
        texts.append(f"**{kind}, one row of 28 hotel columns**\n\n" + "\n".join(lines(found)))
        promises += list(promised(kind, found))
    head = (
        f"{datetime.now(UTC):%Y-%m-%d}. {machine()}; servers on all cores but the client's. Median of "
        f"{asked.rounds} rounds. Tahona {version('tahona')} and the constants stand on "
        f"{', '.join(f'{name} {version(name)}' for name in FLOOR)}."
    )
    checked = ["| promise | measured | |", "|---|---|---|", *(row.markdown() for row in promises)] if promises else []
    text = "\n\n".join([head, *texts, "\n".join(checked), *troubles]).rstrip() + "\n"
    print(text, end="")
    if asked.write:
        before, rest = README.read_text("utf-8").split(MARKS[0])
        README.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{rest.split(MARKS[1])[1]}", "utf-8")
    sys.exit(1 if troubles or not all(row.kept for row in promises) else 0)


def measure_all(kind: str, table: Path, asked: argparse.Namespace, troubles: list[str]) -> dict[str, Found]:
    """Measure every system of this run, in turn; what fails is told and left out."""
    rows, found, ready = read_rows(table), {}, {}
    for system in (SYSTEMS[name] for name in asked.only):
        kept = kept_at(system, kind, asked)
        if kept is not None and kept.is_file() and not asked.anew:
            about = json.loads(kept.read_text("utf-8"))
            found[system.name] = Found(tuple(map(read_measured, about["rounds"])), about["day"])
            continue
        try:
            ready[system.name] = system.make(kind, table, asked.keep)
        except (subprocess.CalledProcessError, SystemExit) as failed:
            troubles.append(f"{system.title}: could not be made ready, {failed}")
    rounds: dict[str, list[Measured]] = {name: [] for name in ready}
    for number in range(asked.rounds):
        for name in list(ready):
            print(f"{kind}, round {number + 1}: {name}", file=sys.stderr, flush=True)
            system = SYSTEMS[name]
            parts = {"many": not system.constant, "steady": kind == "lightgbm"}
            try:
                rounds[name].append(measure(system, ready[name], rows, asked.seconds, **parts))
            except ServingError as failed:
                print(failed, file=sys.stderr, flush=True)
                troubles.append(f"{system.title}, {kind}: {str(failed).splitlines()[0]}")
                del ready[name]
    for name in ready:
        found[name] = Found(tuple(rounds[name]), f"{datetime.now(UTC):%Y-%m-%d}")
        if kept := kept_at(SYSTEMS[name], kind, asked):
            kept.parent.mkdir(parents=True, exist_ok=True)
            about = {"day": found[name].day, "rounds": [each.facts() for each in rounds[name]]}
            kept.write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    return {name: found[name] for name in asked.only if name in found}


def kept_at(system: System, kind: str, asked: argparse.Namespace) -> Path | None:
    """Return where a peer's figures are kept: by its pins, its files, and how long it is asked."""
    if not system.package:
        return None
    total = hashlib.sha256(f"{system.name} {kind} {asked.rounds} {asked.seconds}".encode())
    files = [*sorted(HERE.rglob("*.py")), *sorted(REQUIREMENTS.glob(f"{system.name.split('_')[0]}*.txt"))]
    for file in files:
        total.update(file.read_bytes())
    return Path(asked.keep / "results" / "serving" / f"{system.name}-{kind}-{total.hexdigest()[:12]}.json")


def read_measured(facts: dict) -> Measured:
    loads = {name: Load(**facts[name]) if facts[name] else None for name in ("one", "many", "steady")}
    return Measured(**{**facts, **loads, "workers": tuple(facts["workers"])})


def lines(found: dict[str, Found]) -> Iterator[str]:
    yield (
        "| | CPU ms a request | × bare ASGI | in the busiest process | requests/s | 100 rows: CPU ms | at 70 %: p50 ms "
        "| p99 ms | CPU s to the first answer | MB a worker | MB in all | idle, % of a core | measured |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    floor = found["asgi"].middle(one_row) if "asgi" in found else None
    for name, each in found.items():
        cells = [
            title_of(SYSTEMS[name]),
            spread([one_row(round_) for round_ in each.rounds]),
            "" if floor is None else figure(each.middle(one_row) / floor),
            figure(each.middle(lambda round_: round_.one.busiest_ms)),
            f"{each.middle(lambda round_: round_.one.rate):,.0f}",
            part(each, lambda round_: round_.many and round_.many.cpu_ms),
            part(each, lambda round_: round_.steady and round_.steady.p50),
            part(each, lambda round_: round_.steady and round_.steady.p99),
            figure(each.middle(lambda round_: round_.first_cpu)),
            figure(each.middle(lambda round_: max(round_.workers, default=float("nan")))),
            figure(each.middle(lambda round_: round_.memory)),
            figure(each.middle(lambda round_: max(0.0, round_.idle))),
            each.day,
        ]
        yield f"| {' | '.join(cells)} |"


def promised(kind: str, found: dict[str, Found]) -> Iterator[Row]:
    """Give what is promised of Tahona, as far as its counterparts were measured."""
    if "tahona" not in found:
        return
    ours = found["tahona"]
    cost = ours.middle(one_row)
    times = 3.0 if kind == "lightgbm" else 2.0
    if "asgi" in found:
        yield at_most(f"{kind}: over the bare ASGI constant", cost / found["asgi"].middle(one_row), times)
    if "fastapi" in found:
        yield at_most(f"{kind}: over the FastAPI constant", cost / found["fastapi"].middle(one_row), 1.2)
    if "mlflow" in found:
        yield at_least(f"{kind}: `mlflow models serve` over it", found["mlflow"].middle(one_row) / cost, 200)
    peers = [name for name in found if SYSTEMS[name].package]
    if peers:
        best = min(peers, key=lambda name: found[name].middle(one_row))
        ratio = found[best].middle(one_row) / cost
        yield at_least(f"{kind}: the best peer ({SYSTEMS[best].title}) over it", ratio, 40)
    if "mlflow" in found:
        ratio = found["mlflow"].middle(hundred_rows) / ours.middle(hundred_rows)
        yield at_least(f"{kind}, 100 rows: `mlflow models serve` over it", ratio, 10)
    yield at_most(f"{kind}: CPU s to the first answer", ours.middle(lambda each: each.first_cpu), 1.0)
    if kind == "lightgbm":
        tail = ours.middle(lambda each: each.steady.p99 / each.steady.p50 if each.steady else float("nan"))
        yield at_most(f"{kind}, 70 % of saturation: p99 over p50", tail, 5.0)
        yield at_most(f"{kind}: MB a worker", ours.middle(lambda each: max(each.workers, default=float("nan"))), 80)


def one_row(each: Measured) -> float:
    return each.one.cpu_ms


def hundred_rows(each: Measured) -> float:
    return each.many.cpu_ms if each.many else float("nan")


def at_most(what: str, value: float, bound: float) -> Row:
    return Row(what, figure(value), f"≤ {bound:g}", value <= bound)


def at_least(what: str, value: float, bound: float) -> Row:
    return Row(what, figure(value), f"≥ {bound:g}", value >= bound)


def title_of(system: System) -> str:
    if not system.package:
        return system.title
    pins = (REQUIREMENTS / f"{system.name.split('_')[0]}.txt").read_text("utf-8").splitlines()
    release = next(
        line.partition("==")[2] for line in pins if line.partition("==")[0].partition("[")[0] == system.package
    )
    return f"{system.title} ({system.package} {release})"


def part(found: Found, value: Callable[[Measured], float | None]) -> str:
    known = [number for number in map(value, found.rounds) if number is not None]
    return figure(median(known)) if known else ""


def figure(value: float) -> str:
    """Return three digits of a number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(values: Iterable[float]) -> str:
    known = sorted(values)
    return figure(median(known)) + (f" ({figure(known[0])} to {figure(known[-1])})" if len(known) > 1 else "")


def parse() -> argparse.Namespace:
    cache = os.environ.get("TAHONA_BENCH_CACHE") or Path.home() / ".cache" / "tahona-bench"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=names(SYSTEMS), default=list(SYSTEMS), help=f"of {', '.join(SYSTEMS)}")
    parser.add_argument("--models", type=names(FAMILIES), default=list(FAMILIES), help=f"of {', '.join(FAMILIES)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--anew", action="store_true", help="measure peers too whose figures are kept")
    parser.add_argument("--keep", type=Path, default=Path(cache), help="the folder of table, environments and results")
    parser.add_argument("--write", action="store_true", help="also replace the table in README.md")
    asked = parser.parse_args()
    asked.keep = asked.keep.resolve()
    return asked


def names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a reader of comma-separated names."""
    there = list(known)

    def read(text: str) -> list[str]:
        if unknown := [name for name in text.split(",") if name not in there]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(there)}")
        return text.split(",")

    return read


if __name__ == "__main__":
    main()
