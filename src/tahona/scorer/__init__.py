"""The row scorer: what a bundle says about one raw row, without pandas, scikit-learn or a vendor's Python code."""

from __future__ import annotations

from tahona.scorer.errors import NotCompiledError
from tahona.scorer.load import load_scorer, why_slow
from tahona.scorer.scorer import Scorer

__all__ = ["NotCompiledError", "Scorer", "load_scorer", "why_slow"]
