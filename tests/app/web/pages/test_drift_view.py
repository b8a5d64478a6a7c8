"""The drift of a model as a sentence."""

from types import SimpleNamespace

import pytest

from app.serving.monitoring.reports import DriftReport, DriftState
from app.web.pages.drift_view import summarize


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        ((1, 8), (0, 2), "1 of 8 inputs has drifted."),
        ((2, 8), (0, 2), "2 of 8 inputs have drifted."),
        ((0, 8), (1, 1), "1 of 1 output has drifted."),
        ((1, 1), (1, 2), "1 of 1 input and 1 of 2 outputs have drifted."),
        ((0, 8), (0, 1), "No drift in 8 inputs and 1 output."),
        ((0, 0), (0, 0), "No field can be compared."),
    ],
)
def test_drifted_fields_are_counted(inputs, outputs, expected):
    fields = [
        SimpleNamespace(is_prediction=is_prediction, is_alarm=index < drifted, is_compared=True)
        for is_prediction, (drifted, count) in ((False, inputs), (True, outputs))
        for index in range(count)
    ]

    assert summarize(DriftReport(DriftState.COMPARED, 7, fields=fields)) == expected


@pytest.mark.parametrize(
    ("compared", "others", "expected"),
    [
        (2, 1, "No drift in 2 inputs. 1 is not compared."),
        (1, 2, "No drift in 1 input. 2 are not compared."),
        (0, 2, "No field can be compared."),
    ],
)
def test_fields_that_are_not_compared_do_not_count(compared, others, expected):
    fields = [
        SimpleNamespace(is_prediction=False, is_alarm=False, is_compared=index < compared)
        for index in range(compared + others)
    ]

    assert summarize(DriftReport(DriftState.COMPARED, 7, fields=fields)) == expected
