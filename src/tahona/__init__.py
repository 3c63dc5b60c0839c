"""Tahona: from a table with a label to a registered model whose numbers hold in production.

import tahona

project = tahona.load("tahona.toml")
run = project.run()
run.leaderboard()
tahona.load_bundle("hotel@champion").predict(frame)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tahona.bundle.bundle import Bundle
    from tahona.public import OpenedProject as Project
    from tahona.public import Run, load, load_bundle

__all__ = ["Bundle", "Project", "Run", "__version__", "load", "load_bundle"]
__version__ = "0.1.0"

_HOMES = {
    "Bundle": ("tahona.bundle.bundle", "Bundle"),
    "Project": ("tahona.public", "OpenedProject"),
    "Run": ("tahona.public", "Run"),
    "load": ("tahona.public", "load"),
    "load_bundle": ("tahona.public", "load_bundle"),
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the command line must not pay for pandas at every start."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tahona' has no attribute '{name}'")
    from importlib import import_module

    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
