"""Tahona and its peers on the same rows, one after the other on two cores, as Markdown tables.

    python benchmarks/peers.py [--only tahona,flaml] [--data hotel_random] [--seeds 42,43] [--write]

Makes what is missing (tables, environments, results) below TAHONA_BENCH_CACHE (~/.cache/tahona-bench) and measures only
what has no result yet for the same peer, table, seed, arguments and versions; each figure's date is in the table.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from peers.comparison import Judged, judge, tables
from peers.data import DATA, NoDataError, make_task
from peers.measuring import PeerError
from peers.runs import Arguments, Peer, place_of, read_result, run
from run import README, machine

MARKS = ("<!-- peers -->", "<!-- end of peers -->")
CORES = 2
PEERS = {
    peer.name: peer
    for peer in (
        Peer("tahona", "Tahona, default run", "tahona_.py", None),
        Peer(
            "tahona_same_cpu",
            "Tahona, AutoGluon's CPU seconds",
            "tahona_.py",
            None,
            budget_of="autogluon",
        ),
        Peer("tahona_300", "Tahona, a budget", "tahona_.py", None, {"*": {"budget_cpu": 300}}),
        Peer("gridsearch", "GridSearchCV by hand (S0)", "gridsearch.py", "gridsearch"),
        Peer(
            "naive_optuna",
            "Optuna by hand (S1)",
            "naive_optuna.py",
            "naive_optuna",
            {"breast_cancer": {"trials": 20}, "*": {"trials": 2}},
        ),
        Peer(
            "pycaret",
            "PyCaret, compare and tune",
            "pycaret_.py",
            "pycaret",
            {"hotel_random": {"rows": 10_000}, "hotel_time": {"rows": 10_000}, "abstracts": {"rows": 2_000}},
        ),
        Peer("flaml", "FLAML", "flaml_.py", "flaml", {"*": {"budget": 121}}),
        Peer(
            "autogluon",
            "AutoGluon",
            "autogluon_.py",
            "autogluon",
            {"*": {"budget": 1200, "preset": "medium_quality"}},
        ),
    )
}


def main() -> None:
    asked = parse()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    texts, troubles = [], []
    for name in asked.data:
        try:
            judged = list(measure_all(name, asked, troubles))
        except NoDataError as missing:
            troubles.append(f"{DATA[name].title}: not measured, {missing}")
            continue
        if judged:
            texts.append(tables(DATA[name].title, judged, {peer.name: peer.title for peer in PEERS.values()}))
    head = f"{datetime.now(UTC):%Y-%m-%d}. {machine()}; {CORES} of the cores for every peer."
    text = "\n\n".join([head, *texts, *troubles]) + "\n"
    print(text, end="")
    if asked.write:
        write_readme(text)
    sys.exit(1 if troubles else 0)


def measure_all(name: str, asked: argparse.Namespace, troubles: list[str]) -> Iterator[Judged]:
    """Run every peer on a table, with every seed; what fails is told and left out."""
    for seed in asked.seeds:
        task = make_task(name, seed, asked.keep / "tasks")
        for peer in (PEERS[one] for one in asked.only):
            try:
                arguments = arguments_of(peer, task, asked.keep, name)
                print(f"{name} {seed}: {peer.name} {dict(arguments)}", file=sys.stderr, flush=True)
                yield judge(read_result(run(peer, arguments, task, asked.keep)), task)
            except PeerError as failed:
                print(failed.said, file=sys.stderr, flush=True)
                troubles.append(f"{DATA[name].title}, seed {seed}: {peer.title} {failed}")


def arguments_of(peer: Peer, task: Path, cache: Path, name: str) -> Arguments:
    """Return a peer's arguments; a budget that is another peer's time is read off that one's result."""
    arguments = peer.arguments_for(name)
    if peer.budget_of:
        other = PEERS[peer.budget_of]
        place = place_of(other, other.arguments_for(name), task, cache)
        if not (place / "result.json").is_file():
            raise PeerError(f"was not run: {other.title} has no result yet")
        arguments["budget_cpu"] = round(read_result(place).training["cpu"])
    return arguments


def write_readme(text: str) -> None:
    before, rest = README.read_text("utf-8").split(MARKS[0])
    README.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{rest.split(MARKS[1])[1]}", "utf-8")


def parse() -> argparse.Namespace:
    cache = os.environ.get("TAHONA_BENCH_CACHE") or Path.home() / ".cache" / "tahona-bench"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=names_in(PEERS), default=list(PEERS), help=f"of {', '.join(PEERS)}")
    parser.add_argument("--data", type=names_in(DATA), default=list(DATA), help=f"of {', '.join(DATA)}")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[42])
    parser.add_argument("--keep", type=Path, default=Path(cache), help="the folder of tables, environments and results")
    parser.add_argument("--write", action="store_true", help="also replace the tables in README.md")
    asked = parser.parse_args()
    asked.keep = asked.keep.resolve()
    return asked


def names_in(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    """Return a reader of comma-separated names."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return names

    return read


if __name__ == "__main__":
    main()
