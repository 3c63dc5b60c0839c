"""What is done to the visits before anything is learnt; the same function runs on every row that is predicted."""

from __future__ import annotations

import pandas as pd


def drop_without_text(visits: pd.DataFrame) -> pd.DataFrame:
    """Leave out visits of which nothing was written down, neither by the patient's words nor by the examination."""
    return visits.dropna(subset=["subjetivo", "objetivo"], how="all")
