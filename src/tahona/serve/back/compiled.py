"""Whether the workers can answer for a bundle themselves."""

from __future__ import annotations

import zipfile
from pathlib import Path


def why_slow(bundle: Path) -> str:
    """Return why the workers cannot, the empty string when they can."""
    with zipfile.ZipFile(bundle) as archive:
        return "" if "scorer.json" in archive.namelist() else "the bundle holds no compiled form"
