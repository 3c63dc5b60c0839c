"""Why a bundle cannot be scored row by row."""

from __future__ import annotations

from tahona.errors import SetupError


class NotCompiledError(SetupError):
    """The bundle holds no compiled form that was found to answer as it does; ``what`` is the reason."""
