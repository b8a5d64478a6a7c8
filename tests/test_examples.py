"""The example models that are classes."""

import numpy as np
import pytest

from app.serving.calls.to_json import to_json
from examples.iris import IrisModel
from examples.iris.model import MEASURES


@pytest.fixture(scope="module")
def iris():
    model = IrisModel()
    model.load()
    return model


def flowers(count):
    measures = np.random.default_rng(0).uniform(0.1, 8, (count, len(MEASURES))).round(1)
    return [dict(zip(MEASURES, each, strict=True)) for each in measures.tolist()]


@pytest.mark.parametrize("size", [2, 3, 7, 64, 1000])
def test_iris_prediction_is_independent_of_other_rows(iris, size):
    rows = flowers(1000)
    alone = [iris.predict(row) for row in rows]

    slices = [iris.predict_rows(rows[at : at + size]) for at in range(0, len(rows), size)]

    assert [prediction for each in slices for prediction in each] == alone


def test_iris_predicts_as_its_estimator(iris):
    rows = flowers(200)
    shares = iris.estimator.predict_proba([list(row.values()) for row in rows])
    species = iris.estimator.classes_[shares.argmax(axis=1)]
    highest = shares.max(axis=1)

    predictions = to_json(iris.predict_rows(rows))

    assert [each["species"] for each in predictions] == species.tolist()
    assert [each["probability"] for each in predictions] == pytest.approx(highest, rel=1e-12)
    assert [each["certain"] for each in predictions] == (highest >= iris.certainty).tolist()
