"""The metrics Tahona knows: what `train.metric` and `gate.min` may name. They are computed in `tahona.core.metrics`."""

from __future__ import annotations

METRIC_NAMES: tuple[str, ...] = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "precision_weighted",
    "recall_weighted",
    "f1_weighted",
    "roc_auc",
    "pr_auc",
    "log_loss",
    "brier",
    "mcc",
    "kappa",
    "expected_cost",
)
