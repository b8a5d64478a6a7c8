"""Metrics of known truths, as a table."""

import json
from datetime import date
from types import SimpleNamespace

from app.serving.models.description import Description
from app.serving.monitoring.truth_metrics import Period
from app.web.pages.truth_view import build_truth


def test_metrics_of_the_file_come_first():
    model = SimpleNamespace(
        output_schema=None, about=Description("x", metadata={"metrics": {"auc": 0.8, "rows": 9}})
    )
    weeks = [
        Period(date(2026, 11, 16), 40, {"accuracy": 0.5, "roc_auc": 0.7}),
        Period(date(2026, 11, 23), 2, {"accuracy": 1.0}),
    ]

    table = build_truth(model, Period(None, 42, {"accuracy": 0.52, "roc_auc": 0.7}), weeks)

    assert table.names == ["ROC AUC", "Accuracy"]
    assert [(line.title, line.rows, line.values) for line in table.lines] == [
        ("In the model's file", "", ["0.8", ""]),
        ("All weeks", "42", ["0.7", "52%"]),
        ("Week of 23 Nov", "2", ["", "100%"]),
        ("Week of 16 Nov", "40", ["0.7", "50%"]),
    ]
    assert json.loads(table.chart)["file"] == 0.8


def test_metrics_of_outputs_have_their_labels_and_units():
    price = {"type": "number", "title": "Price", "x-unit": "EUR"}
    outputs = {"type": "object", "properties": {"price.net": price, "sold": {"type": "boolean"}}}
    schema = {"type": "object", "properties": {"prediction": outputs}}
    model = SimpleNamespace(output_schema=schema, about=Description("x", metadata={}))

    table = build_truth(
        model, Period(None, 4, {"price.net.mean_absolute_error": 2.5, "sold.accuracy": 0.5}), []
    )

    assert table.names == ["Price: Mean absolute error", "Sold: Accuracy"]
    assert table.lines[0].values == ["2.5 EUR", "50%"]
