"""Predictions computed directly by scikit-learn, in the format of docs/authors.md."""

import warnings

import numpy as np
from sklearn.base import is_outlier_detector


def answers_of(model, data, outputs=()):
    """Return a prediction for each row, as a list of objects."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        members = dict(members_of(model, data, outputs))
    return [dict(zip(members, row, strict=True)) for row in zip(*members.values(), strict=True)]


def members_of(model, data, outputs):
    if not hasattr(model, "predict"):
        yield "prediction", transformed(model, data)
        return
    predicted = dense(model.predict(data))
    yield "prediction", by_name(predicted, outputs)
    if is_detector(model):
        yield "is_outlier", [value == -1 for value in predicted]
        yield "score", dense(model.decision_function(data)).tolist()
    elif hasattr(model, "predict_proba"):
        yield "probabilities", shares(model, model.predict_proba(data), predicted, outputs)
    elif hasattr(model, "classes_") and hasattr(model, "decision_function") and not pairs(model):
        yield "scores", scores(model, dense(model.decision_function(data)), predicted, outputs)
    elif hasattr(model, "transform"):
        yield "distances", by_label(dense(model.transform(data)), range(99))


def transformed(model, data):
    made = model.transform(data)
    names = list(model.get_feature_names_out())
    return [dict(zip(names, row, strict=True)) for row in dense(made).tolist()]


def shares(model, told, predicted, outputs):
    if isinstance(told, list):  # one table for each output
        parts = zip(told, model.classes_, strict=True)
        rows = zip(*(by_label(part, labels) for part, labels in parts), strict=True)
        return [named(row, outputs) for row in rows]
    if predicted.ndim > 1:
        return by_name(dense(told), outputs)
    return by_label(told, getattr(model, "classes_", range(99)))


def scores(model, told, predicted, outputs):
    if predicted.ndim > 1:
        return by_name(told, outputs)
    if told.ndim == 1:
        return [{label(model.classes_[1]): score} for score in told.tolist()]
    return by_label(told, model.classes_)


def by_label(table, labels):
    return [dict(zip(map(label, labels), row, strict=False)) for row in dense(table).tolist()]


def by_name(table, outputs):
    if table.ndim == 1 or table.shape[1] == 1:
        return table.ravel().tolist()
    return [named(row, outputs) for row in table.tolist()]


def named(row, outputs):
    return dict(zip(outputs or [f"y{at}" for at in range(len(row))], row, strict=True))


def pairs(model):
    return getattr(model, "decision_function_shape", "") == "ovo"


def label(value):
    return {"True": "true", "False": "false"}.get(str(value), str(value))


def dense(values):
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)


def is_detector(model):
    try:
        return is_outlier_detector(model)
    except AttributeError:  # no relative of scikit-learn's classes
        return False
