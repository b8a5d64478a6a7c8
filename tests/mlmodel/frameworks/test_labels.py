"""Words for a classifier that was fitted on encoded integers."""

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import LabelEncoder
from sklearn.svm import LinearSVC

from mlmodel import dump, load
from mlmodel.errors import InvalidModel
from mlmodel.schema.validator import Schema

TABLE = pd.DataFrame({"x": [0.0, 1.0, 4.0, 5.0], "y": [1.0, 0.5, 0.0, 2.0]})
WORDS = ["refused", "granted", "granted", "refused"]
ENCODER = LabelEncoder().fit(WORDS)
CODES = ENCODER.transform(WORDS)


@pytest.mark.parametrize("labels", [ENCODER, ["granted", "refused"]], ids=["encoder", "list"])
@pytest.mark.parametrize("sample", [None, TABLE], ids=["object", "sample"])
def test_predictions_have_words(tmp_path, labels, sample):
    own = LogisticRegression().fit(TABLE, CODES)
    dump(own, tmp_path / "m.flm", sample=sample, labels=labels)
    model = load(tmp_path / "m.flm")

    answers = model.predict_rows(TABLE.to_dict("records"))

    shares = own.predict_proba(TABLE)[:, 1].tolist()
    assert [each["prediction"] for each in answers] == list(
        ENCODER.inverse_transform(own.predict(TABLE))
    )
    assert [each["probabilities"]["refused"] for each in answers] == shares
    assert model.output_schema["properties"]["prediction"]["enum"] == ["granted", "refused"]
    assert [
        each for answer in answers for each in Schema(model.output_schema).violations(answer)
    ] == []


def test_scores_are_of_the_second_word(tmp_path):
    dump(LinearSVC().fit(TABLE, CODES), tmp_path / "m.flm", labels=ENCODER)
    model = load(tmp_path / "m.flm")

    (answer,) = model.predict_rows([{"x": 1, "y": 1}])

    assert list(answer["scores"]) == ["refused"]
    scores = model.output_schema["properties"]["scores"]
    assert scores["description"] == "Above 0 it is refused, below it is granted."


@pytest.mark.parametrize(
    ("model", "labels", "words"),
    [
        (LogisticRegression(), ["a"], "a label for each integer"),
        (LogisticRegression(), ["a", "b", "c"], "a label for each integer"),
        (LogisticRegression(), ["a", "a"], "must be unique"),
        (LogisticRegression(), [["a"], ["b"]], "strings or numbers"),
        (LinearRegression(), ["a", "b"], "require a classifier"),
    ],
    ids=["too few", "too many", "the same", "lists", "a regressor"],
)
def test_unsuitable_labels_are_rejected(tmp_path, model, labels, words):
    with pytest.raises(InvalidModel, match=words):
        dump(model.fit(TABLE, CODES), tmp_path / "m.flm", labels=labels)
