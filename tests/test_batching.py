"""The micro-batcher: nobody waits, whoever comes meanwhile is scored together, and nobody gets another's trouble."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bundles import fitted_model
from sklearn.datasets import load_breast_cancer

from tahona.bundle import predict as predict_module
from tahona.bundle.bundle import Bundle, Cleaning, Member
from tahona.bundle.predict import DROPPED, Scored
from tahona.errors import DataError
from tahona.learn.calibration import Calibrator
from tahona.learn.columns import infer_schema, to_columns, to_labels
from tahona.learn.families import FAMILIES
from tahona.serve.back import batching
from tahona.serve.back.batching import Batcher


def learn(family: str) -> tuple[Bundle, list[dict[str, object]]]:
    """Return a bundle that learnt breast cancer, and its rows."""
    frame = load_breast_cancer(as_frame=True).frame
    schema, _ = infer_schema(frame, target="target", positive=0)
    columns, y = to_columns(frame, schema), to_labels(frame["target"], schema)
    model = fitted_model(family, {}, columns, y, schema)
    bundle = Bundle("cancer", schema, (Member(model, Calibrator("none", FAMILIES[family].gives, 2)),), 0.5)
    return bundle, frame.drop(columns="target").to_dict("records")


@pytest.fixture(scope="module")
def neighbours() -> tuple[Bundle, list[dict[str, object]]]:
    return learn("knn")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """How many rows each call of the models got, and in which thread."""
    seen: list[tuple[int, str]] = []
    whole = predict_module.score

    def counted(bundle, columns):
        seen.append((len(next(iter(columns.values()))), threading.current_thread().name))
        return whole(bundle, columns)

    monkeypatch.setattr(predict_module, "score", counted)
    return seen


def together(bundle: Bundle, requests: Sequence[list[dict[str, object]]]) -> list[object]:
    """Send all requests at once, and return what each got."""

    async def ask() -> list[object]:
        batcher = Batcher()
        try:
            return await asyncio.gather(*(batcher.score(bundle, rows) for rows in requests), return_exceptions=True)
        finally:
            batcher.close()

    return asyncio.run(ask())


def test_requests_that_come_together_are_scored_in_one_call_with_the_bits_of_each_alone(neighbours, calls):
    bundle, rows = neighbours
    requests = [rows[start : start + 1 + start % 3] for start in range(60)]
    answers = together(bundle, requests)
    assert len(calls) == 1
    assert calls[0][0] == sum(map(len, requests))
    assert calls[0][1].startswith("scoring")
    for asked, answer in zip(requests, answers, strict=True):
        alone = bundle.predict(asked)
        assert answer.probabilities[:, 1].tobytes() == alone.filter(like="probability").iloc[:, 1].to_numpy().tobytes()
        assert answer.labels.tolist() == alone["label"].tolist()
        assert answer.warnings.tolist() == alone["warnings"].tolist()


def test_a_bad_row_fails_its_own_request_only(neighbours, calls):
    bundle, rows = neighbours
    bad = {**rows[1], "mean radius": "ten"}
    first, wrong, last = together(bundle, [rows[:2], [rows[0], bad], rows[2:3]])
    assert isinstance(wrong, DataError)
    assert wrong.where == "column 'mean radius', row 2"
    assert [len(first.labels), len(last.labels)] == [2, 1]
    assert [count for count, _ in calls] == [3]


def test_requests_that_come_while_the_thread_works_are_taken_together_next(neighbours, calls, monkeypatch):
    """The first is scored alone and at once; those that came meanwhile make one call."""
    bundle, rows = neighbours
    working, go_on = threading.Event(), threading.Event()
    counted = predict_module.score

    def held(bundle, columns):
        working.set()
        assert go_on.wait(10)
        return counted(bundle, columns)

    monkeypatch.setattr(predict_module, "score", held)

    async def ask() -> None:
        batcher = Batcher()
        first = asyncio.create_task(batcher.score(bundle, rows[:1]))
        await asyncio.to_thread(working.wait, 10)
        others = [asyncio.create_task(batcher.score(bundle, [row])) for row in rows[1:9]]
        gone = asyncio.create_task(batcher.score(bundle, rows[9:10]))
        await asyncio.sleep(0)
        gone.cancel()
        go_on.set()
        await asyncio.gather(first, *others)
        batcher.close()

    asyncio.run(ask())
    assert [count for count, _ in calls] == [1, 8]


def test_no_answer_mixes_two_versions(neighbours, calls):
    """Requests for two bundles that come together are scored by their own."""
    bundle, rows = neighbours
    other = replace(bundle, threshold=0.0, version=2)

    async def ask() -> list[Scored]:
        batcher = Batcher()
        asked = [batcher.score(one, rows[:1]) for one in (bundle, other, bundle, other)]
        return await asyncio.gather(*asked)

    answers = asyncio.run(ask())
    assert [count for count, _ in calls] == [2, 2]
    assert answers[1].labels.tolist() == answers[3].labels.tolist() == [bundle.schema.labels[1]]
    assert answers[0].labels.tolist() == bundle.predict(rows[:1])["label"].tolist()


def test_a_batch_has_a_bound(neighbours, calls, monkeypatch):
    bundle, rows = neighbours
    monkeypatch.setattr(batching, "MOST_ROWS", 10)
    answers = together(bundle, [rows[:12], rows[:6], rows[6:9], rows[9:11]])
    assert [count for count, _ in calls] == [12, 9, 2]
    assert [len(answer.labels) for answer in answers] == [12, 6, 3, 2]


def test_a_cleaning_function_sees_one_request_at_a_time(neighbours):
    """A function that drops what it has seen before must not drop another client's row."""
    bundle, rows = neighbours
    seen: list[int] = []

    def clean(frame: pd.DataFrame) -> pd.DataFrame:
        seen.append(len(frame))
        return frame.drop_duplicates()

    types = dict.fromkeys(bundle.schema.names, "float64")
    cleaned = replace(bundle, clean=clean, cleaning=Cleaning(("cleaning:once",), "", types))
    first, second, third = together(cleaned, [rows[:1], [rows[0], rows[0], rows[1]], rows[:1]])
    assert seen == [1, 3, 1]
    assert first.probabilities.tobytes() == third.probabilities.tobytes()
    assert second.labels.tolist()[1] is None
    assert second.warnings.tolist()[1] == DROPPED
    assert np.isnan(second.probabilities[1]).all()
    assert second.probabilities[0].tobytes() == first.probabilities.tobytes()


def test_an_error_of_ours_reaches_everybody_of_the_batch_and_the_next_batch_is_scored(neighbours, monkeypatch):
    bundle, rows = neighbours
    whole = predict_module.score

    def broken(bundle, columns):
        monkeypatch.setattr(predict_module, "score", whole)
        raise ZeroDivisionError

    monkeypatch.setattr(predict_module, "score", broken)

    async def ask() -> list[object]:
        batcher = Batcher()
        failed = await asyncio.gather(*(batcher.score(bundle, rows[:1]) for _ in range(3)), return_exceptions=True)
        return [*failed, await batcher.score(bundle, rows[:1])]

    *failed, answer = asyncio.run(ask())
    assert [type(each) for each in failed] == [ZeroDivisionError] * 3
    assert answer.labels.tolist() == bundle.predict(rows[:1])["label"].tolist()
