"""Write docs/reference/ from the code: commands, project file, Python, families, metrics, findings; and the decisions.

    python scripts/write_reference.py [FOLDER]

The pages are made anew by `make docs` and never edited by hand.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

import tahona
from tahona import errors
from tahona.cli.app import app
from tahona.core.findings import FINDINGS
from tahona.core.metrics import METRICS
from tahona.learn.families import FAMILIES
from tahona.project.reference import reference_markdown

DOCS = Path(__file__).resolve().parents[1] / "docs"
FOLDER = DOCS / "reference"

COMMANDS = """\
# Commands

`-C DIR` names the project's folder; without it, the folder you are in. With `--json` one JSON document goes to standard
output and all else to standard error; an error gives `error` with `what`, `where` and `fix`.
"""

PROJECT_FILE = """\
# Project file

A project is one file, `tahona.toml`. Only `project.name`, `project.target` and `data.source` must be there.

* `--set train.trials=5` overrides one key for one call.
* `[env.prod.stores]` lies over `[stores]` with `--env prod`.
* `${NAME}` in a value reads the environment; a secret comes only that way.
* `tahona check` reads the file and runs nothing; `tahona schema` prints its JSON Schema for an editor.
"""

PYTHON = """\
# Python

```python
import tahona
```

`tahona.__version__` is the installed version. Importing the package loads no pandas; the first use of a name does.
"""

FAMILY_PAGE = """\
# Families

What `train.models` may list. The dummy, which knows only how common each class is, is always on the leaderboard.

* **columns as**: `scaled` is standardised numbers and a column per category; `codes` is numbers and category codes,
  nulls kept; `native` is the same with the codes flagged as categories. Text becomes TF-IDF for all of them.
* **cost**: rough time of a fit, one tree = 1.
* **at most**: rows that are learnt from; a stratified, seeded sample stands for a longer table.
* **pip extra**: what must be installed besides, without which the run ends with exit 4.
"""

SEARCH = """\
A `[train.search.FAMILY]` table replaces the search space below: lists alone make a grid, which is searched whole; with
a range it is a study of `train.trials` trials. `"none"` stands for None.
"""

METRIC_PAGE = """\
# Metrics

What `train.metric` may be and `[gate] min` may name. All are measured on the test rows, each with a 95 % bootstrap
interval. `precision`, `recall` and `f1` are those of the positive class; with more than two classes, the macro mean.
`roc_auc` is one class against the rest, the mean over classes. `expected_cost` needs `[decision] cost`.
"""

FINDING_PAGE = """\
# Findings

What Tahona says about a table. An **error** stops the run with exit 3 before any training time is spent, unless
`[audit] allow` names its column with a reason, which then stands in the report. A **warning** is printed, an **info**
stands in the report. With `language = "es"` the report has them in Spanish.
"""

DECISION_PAGE = """\
# Decisions

What would surprise somebody who reads the code: a short note each, whose last line says whether it is in force.
"""


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text.rstrip() + "\n", "utf-8")
    return 0


def pages() -> dict[str, str]:
    """Return every page of the reference: file name → Markdown."""
    return {
        "commands.md": commands_page(),
        "project_file.md": f"{PROJECT_FILE}\n{reference_markdown()}",
        "python.md": python_page(),
        "families.md": families_page(),
        "metrics.md": metrics_page(),
        "findings.md": findings_page(),
        "decisions.md": decisions_page(),
    }


def all_commands() -> Iterator[tuple[str, Any]]:
    """Give each command that does something, with its full name (`tahona names check`), in the order of `--help`."""
    yield from _below("tahona", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - Typer's own copy of click
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, inner in command.commands.items():
        yield from _below(f"{name} {word}", inner)


def commands_page() -> str:
    commands = list(all_commands())
    linked = [(f"[`{name}`](#{name.replace(' ', '-')})", command.help or "") for name, command in commands]
    lines = [
        COMMANDS,
        *table(("command", "does"), linked),
        "## Exit codes",
        "",
        *table(("code", "means"), exit_codes()),
    ]
    for name, command in commands:
        lines += [f"## `{name}`", "", command.help or "", "", "```text", _usage(name, command), "```", ""]
        lines += table(("", "", "default"), [_parameter(each) for each in command.params])
    return "\n".join(lines)


def exit_codes() -> list[tuple[str, str]]:
    """Return the exit codes of the error tree, each with what it means."""
    kinds = (errors.InputError, errors.RefusedError, errors.SetupError, errors.IntegrityError)
    said = [(str(kind.exit_code), (inspect.getdoc(kind) or "").split("\n")[0]) for kind in kinds]
    return [("0", "Done."), ("1", "A bug in Tahona."), *said, ("130", "Stopped with Ctrl-C.")]


def _usage(name: str, command: Any) -> str:  # noqa: ANN401
    words = [name]
    for each in command.params:
        if each.param_type_name == "argument":
            words.append(_metavar(each) if each.required else f"[{_metavar(each)}]")
        elif each.required:
            words.append(f"{each.opts[-1]} {_metavar(each)}")
    return " ".join([*words, "[OPTIONS]"])


def _parameter(each: Any) -> tuple[str, str, str]:  # noqa: ANN401
    if each.param_type_name == "argument":
        name = f"`{_metavar(each)}`"
    else:
        name = ", ".join(f"`{word}`" for word in (*each.opts, *each.secondary_opts))
        name += "" if each.is_flag else f" `{_metavar(each)}`"
    default = "required" if each.required else "" if each.default in (None, False, "") else f"`{each.default}`"
    return name, each.help or "", default


def _metavar(each: Any) -> str:  # noqa: ANN401
    return str(each.metavar or each.name.upper()).strip("[]")


def python_page() -> str:
    lines = [PYTHON]
    for name in tahona.__all__:
        if name == "__version__":
            continue
        member = getattr(tahona, name)
        lines += [f"## `tahona.{name}`", "", *_described(name, member)]
        for inner, value in public_members(member):
            title = inner if isinstance(value, property) else f"{inner}{_signature(value)}"
            lines += [f"### `{name}.{title}`", "", _doc(value), ""]
    tree = [line for line in _doc(errors).splitlines() if re.search(r"Error +\d", line)]
    lines += ["## Errors", "", "They stand in `tahona.errors`, each with its exit code.", "", "```text", *tree, "```"]
    return "\n".join(lines)


def public_members(member: object) -> list[tuple[str, object]]:
    """Return the public methods and properties of a class, in the order in which they are written."""
    if not inspect.isclass(member):
        return []
    found = [(name, value) for name, value in vars(member).items() if not name.startswith("_")]
    return [(name, value) for name, value in found if isinstance(value, property) or inspect.isfunction(value)]


def _described(name: str, member: object) -> list[str]:
    if not inspect.isclass(member):
        return ["```text", f"{name}{_signature(member)}", "```", "", _doc(member), ""]
    lines = [_doc(member), ""]
    if dataclasses.is_dataclass(member):
        fields = ", ".join(f"`{field.name}`" for field in dataclasses.fields(member))
        lines += [f"Fields: {fields}.", ""]
    return lines


def _doc(thing: object) -> str:
    return (inspect.getdoc(thing) or "").replace("``", "`")


def _signature(function: Any) -> str:  # noqa: ANN401
    """Write a signature as its source does, without `self`."""
    words, starred = [], False
    for each in inspect.signature(function).parameters.values():
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not starred:
            words.append("*")
            starred = True
        name = f"**{each.name}" if each.kind is each.VAR_KEYWORD else each.name
        default = "" if each.default is each.empty else f" = {getattr(each.default, '__name__', repr(each.default))}"
        words.append(f"{name}: {each.annotation}{default}")
    gives = inspect.signature(function).return_annotation
    return f"({', '.join(words)}) -> {gives}".replace("OpenedProject", "Project")


def families_page() -> str:
    head = ("family", "", "file name", "columns as", "cost", "at most", "pip extra")
    rows = [
        (
            f"`{family.name}`",
            family.title,
            f"`{family.short}`",
            family.wants,
            f"{family.cost:g}",
            "" if family.most_rows is None else f"{family.most_rows:,} rows",
            "" if family.extra is None else f"`tahona[{family.extra}]`",
        )
        for family in FAMILIES.values()
    ]
    lines = [FAMILY_PAGE, *table(head, rows), SEARCH]
    for family in FAMILIES.values():
        lines += [f"## `{family.name}`", ""]
        space = [(f"`{name}`", f"`{_range(value)}`") for name, value in family.space.items()]
        lines += table(("parameter", "searched"), space) if space else ["It has nothing to search.", ""]
        others = [f"`{name}`" for name in family.accepts if name not in family.space]
        lines += [f"May be set too: {', '.join(others)}.", ""] if others else []
    return "\n".join(lines)


def _range(value: Any) -> str:  # noqa: ANN401 - a Range of the project file
    """Write a range as the project file does."""
    if isinstance(value, tuple):
        return json.dumps(["none" if each is None else each for each in value])
    parts = []
    for name, each in value.model_dump(exclude_defaults=True).items():
        said = f"[{', '.join(f'{end:g}' for end in each)}]" if isinstance(each, tuple) else json.dumps(each)
        parts.append(f"{name} = {said}")
    return "{ " + ", ".join(parts) + " }"


def metrics_page() -> str:
    rows = [(f"`{each.name}`", each.title_en, each.title_es, each.better, each.needs) for each in METRICS.values()]
    return "\n".join([METRIC_PAGE, *table(("metric", "in a report", "en español", "better", "looks at"), rows)])


def findings_page() -> str:
    lines = [FINDING_PAGE]
    for severity in ("error", "warning", "info"):
        rows = [(f"`{name}`", _sentence(kind.en)) for name, kind in FINDINGS.items() if kind.severity == severity]
        lines += [f"## {severity.capitalize()}", "", *table(("finding", "says"), rows)]
    return "\n".join(lines)


def decisions_page() -> str:
    lines = [DECISION_PAGE]
    for file in sorted((DOCS / "decisions").glob("*.md")):
        title = file.read_text("utf-8").split("\n", 1)[0].removeprefix("# ")
        lines.append(f"* [{title}](../decisions/{file.name})")
    return "\n".join(lines)


def _sentence(template: str) -> str:
    """Show the gaps of a finding's sentence plainly: `{rows:,}` as `{rows}`, doubled braces as single ones."""
    plain = re.sub(r"(?<!\{)\{(\w+):[^{}]*\}", r"{\1}", template)
    return plain.replace("{{", "{").replace("}}", "}").replace("<", "&lt;")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table and a blank line; nothing when there are no rows."""
    if not rows:
        return []
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines] + [""]


if __name__ == "__main__":
    sys.exit(main())
