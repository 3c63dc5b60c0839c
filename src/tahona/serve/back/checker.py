"""Checks an uploaded table against a model, in a process of its own that is soon gone.

`python -m tahona.serve.back.checker` takes an order on standard input: see `tahona.serve.back.examining`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tahona.serve.back.examiner import project_of, reply


def main() -> None:
    """Answer the order on standard input."""
    reply(_check)


def _check(order: Mapping[str, Any]) -> dict[str, Any]:
    from tahona.bundle.bundle import load_bundle
    from tahona.lifecycle.registry import bind_cleaning
    from tahona.project.functions import load_functions
    from tahona.serve.back.checking import check_table
    from tahona.sources.limits import Limits

    project = project_of(order)
    bundle = load_bundle(Path(order["bundle"]))
    if bundle.cleaning.functions:
        bundle = replace(bundle, clean=bind_cleaning(load_functions(project), bundle))
    return check_table(bundle, project, Path(order["file"]), Limits(**order["limits"]))


if __name__ == "__main__":
    main()
