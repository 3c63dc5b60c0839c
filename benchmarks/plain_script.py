"""The yardstick of `make bench`: the four grid searches of the breast-cancer project, written by hand."""

from __future__ import annotations

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

GRIDS = {
    "tree": (
        DecisionTreeClassifier(random_state=42),
        {
            "criterion": ["gini", "entropy"],
            "max_depth": [None, 10, 20, 30],
            "min_samples_split": [2, 5, 10],
            "min_samples_leaf": [1, 2, 5],
        },
    ),
    "svc": (SVC(random_state=42), {"C": [0.1, 1, 10], "kernel": ["linear", "rbf"], "gamma": ["scale", "auto"]}),
    "knn": (
        KNeighborsClassifier(),
        {"n_neighbors": [3, 5, 7], "weights": ["uniform", "distance"], "metric": ["euclidean", "manhattan"]},
    ),
    "logistic_regression": (LogisticRegression(max_iter=10_000), {"C": [0.1, 1, 10]}),
}


def main() -> None:
    data = load_breast_cancer()
    y = 1 - data.target  # malignant is what matters
    X_train, X_test, y_train, y_test = train_test_split(data.data, y, test_size=0.3, random_state=42)
    for name, (estimator, grid) in GRIDS.items():
        step = estimator.__class__.__name__.lower()
        search = GridSearchCV(
            make_pipeline(StandardScaler(), estimator),
            {f"{step}__{key}": values for key, values in grid.items()},
            scoring="f1",
            cv=5,
        ).fit(X_train, y_train)
        decided = search.predict(X_test)
        scores = search.decision_function(X_test) if name == "svc" else search.predict_proba(X_test)[:, 1]
        print(
            f"{name:<22}{precision_score(y_test, decided):.4f} {recall_score(y_test, decided):.4f} "
            f"{f1_score(y_test, decided):.4f} {roc_auc_score(y_test, scores):.4f}  {search.best_params_}"
        )


if __name__ == "__main__":
    main()
