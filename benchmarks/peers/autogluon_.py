"""AutoGluon-Tabular: a preset and a limit of wall seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autogluon.tabular import TabularPredictor
from protocol import Asked, Probabilities, Task, main


def train(task: Task, model: Path, asked: Asked) -> dict[str, Any]:
    predictor = TabularPredictor(label=task.label, eval_metric=task.metric, path=str(model))
    predictor.fit(task.train(), presets=asked.preset, time_limit=asked.budget)
    return {"chosen": predictor.model_best}


def load(task: Task, model: Path) -> Probabilities:
    predictor = TabularPredictor.load(str(model))
    classes = list(task.classes)
    return lambda frame: predictor.predict_proba(frame)[classes].to_numpy()


if __name__ == "__main__":
    packages = ("autogluon.tabular", "lightgbm", "catboost", "torch", "scikit-learn", "pandas", "numpy")
    main(train, load, packages, budget=1200.0, preset="medium_quality")
