"""What must hold between several keys of a project file, or between a key and what Tahona knows.

A rule yields its problems; `RULES` says which sections it looks at, so that it is left out where one of them is broken.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tahona.core.families import FAMILY_NAMES
from tahona.core.findings import Finding
from tahona.core.metric_names import METRIC_NAMES
from tahona.core.plan import ROAD
from tahona.core.spelling import did_you_mean
from tahona.project.locate import KeyPath
from tahona.project.model import FloatRange, IntRange, Project
from tahona.project.problems import Problem, dotted
from tahona.project.secrets import credentials

if TYPE_CHECKING:
    from tahona.project.layers import Layers

Rule = Callable[[Project, "Layers"], Iterator[Problem]]

LARGEST_GRID = 10_000
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_HOST = re.compile(r"([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def broken_rules(project: Project, layers: Layers, *, but_not: set[str]) -> list[Problem]:
    """Return every problem of the rules whose sections are all sound."""
    return [
        problem for rule, sections in RULES if not but_not.intersection(sections) for problem in rule(project, layers)
    ]


def known_families(project: Project, _: Layers) -> Iterator[Problem]:
    listed = f"families: {', '.join(FAMILY_NAMES)}"
    seen: set[str] = set()
    for place, name in enumerate(project.train.models):
        if name not in FAMILY_NAMES:
            yield Problem(("train", "models", place), "is not a family", _guess(name, FAMILY_NAMES, listed))
        elif name in seen:
            yield Problem(("train", "models", place), f"lists '{name}' a second time", "keep one of them")
        seen.add(name)
    for name in project.train.search:
        if name not in FAMILY_NAMES:
            yield Problem(("train", "search", name), "is not a family", _guess(name, FAMILY_NAMES, listed))


def known_metrics(project: Project, _: Layers) -> Iterator[Problem]:
    listed = f"metrics: {', '.join(METRIC_NAMES)}"
    keys: list[tuple[KeyPath, str]] = [(("train", "metric"), project.train.metric)]
    keys += [(("gate", "min", name), name) for name in project.gate.min]
    for path, name in keys:
        if name not in METRIC_NAMES:
            yield Problem(path, "is not a metric", _guess(name, METRIC_NAMES, listed))
        elif name == "expected_cost" and project.decision.cost is None:
            yield Problem(path, "expected_cost needs [decision] cost", "write what each kind of mistake costs")


def one_decision(project: Project, _: Layers) -> Iterator[Problem]:
    decision = project.decision
    chosen = [key for key in ("threshold", "maximize", "cost") if getattr(decision, key) is not None]
    if len(chosen) > 1:
        yield Problem(("decision", chosen[1]), f"stands beside {chosen[0]}", "keep one of threshold, maximize and cost")
    if chosen and decision.rule == "estimator":
        yield Problem(("decision", chosen[0]), 'has no effect with rule = "estimator"', "remove one of the two")
    if decision.cost is not None:
        missing = [key for key in ("false_positive", "false_negative") if key not in decision.cost]
        if missing:
            yield Problem(("decision", "cost"), f"lacks {' and '.join(missing)}", "write both")
        elif not any(decision.cost.values()):
            yield Problem(
                ("decision", "cost"), "says that no mistake costs anything", "make one of them greater than 0"
            )


def split_column(project: Project, _: Layers) -> Iterator[Problem]:
    split = project.split
    if split.kind == "random":
        if split.by is not None:
            yield Problem(("split", "by"), "has no meaning in a random split", 'write kind = "group" or kind = "time"')
        return
    if not split.by:
        wanted = "the column of groups" if split.kind == "group" else "the column of dates"
        yield Problem(("split", "by"), f'is required with kind = "{split.kind}"', f"name {wanted}")
        return
    if split.by == project.project.target:
        yield Problem(("split", "by"), "is the label column", "split by something known before the label")
    kind = project.data.types.get(split.by)
    if split.kind == "time" and kind not in (None, "datetime", "numeric"):
        yield Problem(("data", "types", split.by), f"is {kind}, and [split] orders rows by it", 'write "datetime"')


def label_is_kept(project: Project, _: Layers) -> Iterator[Problem]:
    target, data = project.project.target, project.data
    for place, column in enumerate(data.drop):
        if column == target:
            yield Problem(("data", "drop", place), "drops the label column", "remove it, or correct project.target")
    if data.types.get(target) in ("id", "text", "datetime"):
        yield Problem(("data", "types", target), "is the label, which is a category or a number", "remove it")
    if target in data.formats:
        yield Problem(("data", "formats", target), "is the label, which cannot be a date", "remove it")


def date_formats(project: Project, _: Layers) -> Iterator[Problem]:
    for column, pattern in project.data.formats.items():
        kind = project.data.types.get(column)
        if kind not in (None, "datetime"):
            yield Problem(
                ("data", "formats", column), f"has a date format but is declared {kind}", "keep one of the two"
            )
        if "%" not in pattern:
            yield Problem(("data", "formats", column), "is not a strptime format", "write for example '%d/%m/%Y'")


def column_spelling(project: Project, _: Layers) -> Iterator[Problem]:
    """One column has one spelling, and stands once in each list."""
    data = project.data
    mentions: list[tuple[KeyPath, str]] = [(("project", "target"), project.project.target)]
    mentions += [(("data", "drop", place), name) for place, name in enumerate(data.drop)]
    mentions += [(("data", "types", name), name) for name in data.types]
    mentions += [(("data", "formats", name), name) for name in data.formats]
    mentions += [(("split", "by"), project.split.by)] if project.split.by else []
    mentions += [(("audit", "allow", name), name) for name in project.audit.allow]
    mentions += [(("audit", "slices", place), name) for place, name in enumerate(project.audit.slices)]
    spelt: dict[str, str] = {}
    for path, name in mentions:
        first = spelt.setdefault(name.casefold(), name)
        if first != name:
            yield Problem(path, "differs from another key's column only by case", "spell a column as in the table")
    for list_path, names in ((("data", "drop"), data.drop), (("audit", "slices"), project.audit.slices)):
        seen: set[str] = set()
        for place, name in enumerate(names):
            if not name:
                yield Problem((*list_path, place), "is an empty column name", "remove it")
            elif name in seen:
                yield Problem((*list_path, place), "names a column a second time", "keep one of them")
            seen.add(name)


def user_functions(project: Project, _: Layers) -> Iterator[Problem]:
    for place, name in enumerate(project.data.clean):
        if not _FUNCTION.fullmatch(name):
            yield Problem(("data", "clean", place), "is not of the form module:function", 'write "hotel.cleaning:fix"')


def source_inside(project: Project, layers: Layers) -> Iterator[Problem]:
    """Check that a file that is read belongs to the project, unless whoever runs it says otherwise."""
    path: KeyPath = ("data", "source")
    source = project.data.source
    if _CONTROL.search(source):
        yield Problem(path, "holds a control character", "use / in paths, also on Windows")
        return
    file = file_of(source)
    free = project.data.allow_outside or path in layers.from_command or layers.starts_in_environment(path)
    if file is None or free:
        return
    root = project.root.resolve()
    lexical = Path(_collapse(root / file))
    if not lexical.is_relative_to(root):
        yield Problem(path, "is a file outside the project's folder", _OUTSIDE)
    elif not Path(os.path.realpath(root / file)).is_relative_to(root):  # Path.resolve raises on a ring of links
        yield Problem(path, "leads outside the project's folder through a symbolic link", _OUTSIDE)


_OUTSIDE = "copy it into data/raw, begin the path with ${NAME}, or write allow_outside = true"


def file_of(source: str) -> str | None:
    """Return the path in a source that is a local file (a SQLite database too), None for any other."""
    if source.startswith("sqlite:///"):
        return source.removeprefix("sqlite:///").partition("?")[0] or None
    return None if "://" in source or source.startswith("sample:") else source


def _collapse(path: Path) -> str:
    """Resolve `..` by the letters alone, as one reads it, without following links."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and len(parts) > 1:
            parts.pop()
        elif part != "..":
            parts.append(part)
    return str(Path(*parts))


def sql_choice(project: Project, _: Layers) -> Iterator[Problem]:
    if project.data.table is not None and project.data.query is not None:
        yield Problem(("data", "query"), "stands beside table", "keep one of the two")


def search_ranges(project: Project, _: Layers) -> Iterator[Problem]:
    for family, space in project.train.search.items():
        for name, values in space.items():
            path: KeyPath = ("train", "search", family, name)
            if isinstance(values, IntRange):
                yield from _bounds((*path, "int"), *values.int, log=values.log)
                if not values.log and (values.int[1] - values.int[0]) % values.step:
                    yield Problem(
                        (*path, "step"), "does not lead from the low end to the high end", "change one of them"
                    )
                if values.log and values.step != 1:
                    yield Problem((*path, "step"), "cannot stand beside log = true", "remove one of the two")
            elif isinstance(values, FloatRange):
                yield from _bounds((*path, "float"), *values.float, log=values.log)
            else:
                yield from _choices(path, values)
        yield from _grid_size(family, space)


def _bounds(path: KeyPath, low: float, high: float, *, log: bool) -> Iterator[Problem]:
    if low > high:
        yield Problem(path, "begins above its end", "write [low, high]")
    elif log and low <= 0:
        yield Problem(path, "must begin above 0 with log = true", "raise the low end, or remove log")
    elif max(abs(low), abs(high)) > 2**53:
        yield Problem(path, "is beyond ±2^53", "use smaller numbers")


def _choices(path: KeyPath, values: Sequence[Any]) -> Iterator[Problem]:
    seen: set[tuple[type, Any]] = set()
    for place, value in enumerate(values):
        if (type(value), value) in seen:
            yield Problem((*path, place), "stands in the list a second time", "keep one of them")
        seen.add((type(value), value))


def _grid_size(family: str, space: Mapping[str, Any]) -> Iterator[Problem]:
    if space and all(isinstance(values, tuple) for values in space.values()):
        size = math.prod(len(values) for values in space.values())
        if size > LARGEST_GRID:
            count = f"{size:,}" if size < 10**12 else "over 10^12"
            fix = "shorten its lists, or use ranges and trials"
            yield Problem(
                ("train", "search", family), f"is a grid of {count} points; the limit is {LARGEST_GRID:,}", fix
            )


def executor_keys(project: Project, _: Layers) -> Iterator[Problem]:
    run = project.run
    if run.executor == "dask" and run.address is None:
        yield Problem(("run", "executor"), "dask needs the cluster's address", 'write address = "tcp://HOST:8786"')
    if run.executor in ("inline", "processes"):
        for key in ("address", "security"):
            if getattr(run, key) is not None:
                yield Problem(
                    ("run", key), f'has no effect with executor = "{run.executor}"', 'write executor = "dask"'
                )
    elif run.security is not None and not (run.address or "tls://").startswith("tls://"):
        yield Problem(("run", "security"), "stands beside an address that is not tls://", "write tls:// there")


def run_steps(project: Project, _: Layers) -> Iterator[Problem]:
    for name in project.run.steps:
        if name not in ROAD:
            yield Problem(("run", "steps", name), "is not a step", _guess(name, ROAD, f"steps: {', '.join(ROAD)}"))


def publish_keys(project: Project, _: Layers) -> Iterator[Problem]:
    if project.publish.to is None:
        for key in sorted(project.publish.model_fields_set):
            yield Problem(("publish", key), "has no effect without to", 'write to = "s3://bucket/prefix", or a folder')


def serve_names(project: Project, _: Layers) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, host in enumerate(project.serve.hosts):
        path: KeyPath = ("serve", "hosts", place)
        if not _HOST.fullmatch(host):
            fix = "write the name alone, or name:port: no http://, no path, no *"
            yield Problem(path, "is not what a client sends as Host", fix)
        elif host.lower() in seen:
            yield Problem(path, f"lists '{host}' a second time", "keep one of them")
        seen.add(host.lower())


def logged_features(project: Project, _: Layers) -> Iterator[Problem]:
    kept = project.serve.log_features
    columns = () if isinstance(kept, bool) else kept
    for place, column in enumerate(columns):
        path: KeyPath = ("serve", "log_features", place)
        if column == project.project.target:
            yield Problem(path, "is the label, which no request has", "leave it out: POST /feedback takes true labels")
        elif column in project.data.drop:
            yield Problem(path, "is dropped, so no request has it", "leave it out here, or in [data] drop")
        elif column in columns[:place]:
            yield Problem(path, f"lists '{column}' a second time", "keep one of them")


RULES: tuple[tuple[Rule, tuple[str, ...]], ...] = (
    (label_is_kept, ("project", "data")),
    (column_spelling, ("project", "data", "split", "audit")),
    (source_inside, ("data",)),
    (sql_choice, ("data",)),
    (user_functions, ("data",)),
    (date_formats, ("data",)),
    (split_column, ("project", "data", "split")),
    (known_families, ("train",)),
    (search_ranges, ("train",)),
    (known_metrics, ("train", "gate", "decision")),
    (one_decision, ("decision",)),
    (publish_keys, ("publish",)),
    (executor_keys, ("run",)),
    (run_steps, ("run",)),
    (serve_names, ("serve",)),
    (logged_features, ("project", "data", "serve")),
)


def project_findings(project: Project, layers: Layers) -> Iterator[Finding]:
    """Yield what is allowed but hardly meant; each finding's facts are its key and its place."""
    for path, text in layers.texts():
        values = layers.from_environment.get(path, ())
        if any(all(found not in value and value not in found for value in values) for found in credentials(text)):
            yield _finding("literal_secret", path, layers)
    for family in project.train.search:
        if family not in project.train.models:
            yield _finding("idle_search", ("train", "search", family), layers)
    data = project.data
    for column in data.types:
        if column in data.drop and column != project.split.by and not data.clean:
            yield _finding("idle_type", ("data", "types", column), layers)


def _finding(kind: str, path: KeyPath, layers: Layers) -> Finding:
    return Finding(kind, facts={"key": dotted(path), "where": layers.place(path)})


def _guess(word: str, known: Sequence[str] | Mapping[str, Any], otherwise: str) -> str:
    guess = did_you_mean(word, known)
    return f"{guess} {otherwise.capitalize()}" if guess else otherwise
