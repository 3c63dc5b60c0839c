"""What the hand-written peers share: columns as scikit-learn takes them, and the encoding in front of a model."""

from __future__ import annotations

import pandas as pd
from protocol import Task
from sklearn.base import TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SCORING = {"roc_auc": "roc_auc", "f1": "f1", "f1_macro": "f1_macro"}


def features(task: Task, frame: pd.DataFrame) -> pd.DataFrame | pd.Series:
    """Return the features: texts alone, or a table with its date as a day number."""
    if task.text:
        return frame[task.text]
    frame = frame.drop(columns=[task.label], errors="ignore")
    if task.date:
        frame = frame.assign(**{task.date: frame[task.date].map(pd.Timestamp.toordinal)})
    return frame


def encoding(task: Task, frame: pd.DataFrame) -> TransformerMixin:
    """Return an unfitted encoding: TF-IDF of texts, or one-hot categories beside scaled numbers."""
    if task.text:
        return TfidfVectorizer(stop_words="english")
    table = features(task, frame)
    numbers = table.select_dtypes("number").columns.tolist()
    names = [name for name in table.columns if name not in numbers]
    if not names:
        return StandardScaler()
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("names", OneHotEncoder(handle_unknown="ignore"), names),
        ]
    )
