"""What every prediction log does, as tests. Subclass `PredictionLogContract` and give it a ``log``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tahona.core.records import Prediction
from tahona.ports import PredictionLog

TOLD = "2026-02-01T00:00:00.000+00:00"


def a_prediction(number: int = 1, *, name: str = "hotel", version: int = 1) -> Prediction:
    """Return a full record; a greater number came later."""
    return Prediction(
        id=f"{name}-{number:06d}",
        name=name,
        version=version,
        when=f"2026-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000+00:00",
        label="sí",
        probabilities={"no": 1 - (0.1 + 0.2), "sí": 0.1 + 0.2},
        key="k3f9",
        features={"city": "Ávila", "nights": 3, "rate": 0.1 + 0.2, "agent": None, "paid": True},
        warnings=("column 'city': unseen value",),
    )


class PredictionLogContract:
    """The behaviour behind `tahona.ports.PredictionLog`."""

    @pytest.fixture
    def log(self) -> PredictionLog:
        """Return an empty log; override this."""
        raise NotImplementedError("give the suite the log to test: override the fixture `log`")

    def test_it_is_a_log(self, log: PredictionLog) -> None:
        """The port's methods are all there."""
        assert isinstance(log, PredictionLog)

    def test_an_empty_log_answers(self, log: PredictionLog) -> None:
        """Nothing known is nothing, not an error; nothing may be added."""
        assert list(log.read("hotel")) == []
        assert log.add([]) == 0
        assert list(log.tell({}, TOLD)) == []
        assert list(log.tell({"nobody": "no"}, TOLD)) == ["nobody"]

    def test_a_prediction_comes_back_whole(self, log: PredictionLog) -> None:
        """Every field is kept, numbers to the last bit."""
        assert log.add([a_prediction()]) == 1
        assert list(log.read("hotel")) == [a_prediction()]

    def test_a_prediction_without_features_comes_back(self, log: PredictionLog) -> None:
        """What the project does not want to be kept is absent, which is not the same as an empty row."""
        bare = [replace(a_prediction(1), features=None, warnings=(), key=""), replace(a_prediction(2), features={})]
        log.add(bare)
        assert list(log.read("hotel")) == bare

    def test_text_of_any_kind_is_kept(self, log: PredictionLog) -> None:
        """Emoji, right-to-left text and a NUL in a cell come back as they were sent."""
        odd = replace(a_prediction(), features={"note": "\N{GRINNING FACE}\u202eabc\0", "שם": ["never", {"a": 1}]})
        log.add([odd])
        assert list(log.read("hotel")) == [odd]

    def test_an_id_is_entered_once(self, log: PredictionLog) -> None:
        """Sent again, alone or among new ones or twice at once, a prediction stays as it was first."""
        assert log.add([a_prediction(1), a_prediction(2)]) == 2
        again = [replace(a_prediction(2), label="no"), a_prediction(3), a_prediction(3)]
        assert log.add(again) == 1
        assert list(log.read("hotel")) == [a_prediction(1), a_prediction(2), a_prediction(3)]

    def test_a_truth_is_told_late(self, log: PredictionLog) -> None:
        """It stands beside the prediction, with the time; the others are as they were."""
        log.add([a_prediction(1), a_prediction(2)])
        assert list(log.tell({a_prediction(1).id: "no", "nobody": "sí"}, TOLD)) == ["nobody"]
        assert list(log.read("hotel")) == [replace(a_prediction(1), truth="no", told=TOLD), a_prediction(2)]

    def test_a_later_word_about_the_truth_holds(self, log: PredictionLog) -> None:
        """A person may correct what was told; the same prediction sent again takes no truth away."""
        log.add([a_prediction()])
        log.tell({a_prediction().id: "no"}, TOLD)
        later = "2026-03-01T00:00:00.000+00:00"
        log.tell({a_prediction().id: "sí"}, later)
        assert log.add([a_prediction()]) == 0
        assert list(log.read("hotel")) == [replace(a_prediction(), truth="sí", told=later)]

    def test_a_model_has_its_own_predictions(self, log: PredictionLog) -> None:
        """By name, by version, and from a time on."""
        known = [a_prediction(1), a_prediction(2, version=2), a_prediction(3)]
        log.add([*known, a_prediction(1, name="bank")])
        assert list(log.read("hotel")) == known
        assert list(log.read("bank")) == [a_prediction(1, name="bank")]
        assert list(log.read("hotel", version=1)) == [known[0], known[2]]
        assert list(log.read("hotel", since=known[1].when)) == known[1:]
        assert list(log.read("hotel", since=known[1].when, version=1)) == [known[2]]

    def test_many_come_back_in_order(self, log: PredictionLog) -> None:
        """The oldest first, however they were added; those of one instant are all there."""
        many = [replace(a_prediction(number), when=a_prediction(number // 7).when) for number in range(2_500)]
        assert log.add(many[1_000:]) == 1_500
        assert log.add(many[:1_000]) == 1_000
        assert list(log.read("hotel")) == many

    def test_many_truths_at_once(self, log: PredictionLog) -> None:
        """Ids that are unknown are named in the order in which they were told."""
        log.add([a_prediction(number) for number in range(0, 2_400, 2)])
        unknown = log.tell({a_prediction(number).id: "no" for number in range(2_400)}, TOLD)
        assert list(unknown) == [a_prediction(number).id for number in range(1, 2_400, 2)]
        assert {prediction.truth for prediction in log.read("hotel")} == {"no"}
