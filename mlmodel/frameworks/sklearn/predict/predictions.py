"""A model's predictions as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
from sklearn.base import is_outlier_detector

from mlmodel.errors import InvalidModel
from mlmodel.frameworks.sklearn.predict.fast_linear import fast_method
from mlmodel.frameworks.sklearn.schemas.dtypes import plain
from mlmodel.frameworks.sklearn.traits import (
    MOST_NAMED,
    count_centres,
    feature_names,
    has_pairwise_scores,
    has_tag,
    is_forest,
    labels_of,
    plain_list,
    predicts_likeliest,
)
from mlmodel.schema.rows import Table

#: From a model's input to one object for each row.
EstimatorPredict = Callable[[Any], list[dict[str, Any]]]


#: Difference of two probabilities below which rounding may decide which is larger.
TIE = 1e-6


class NotFiniteError(ValueError):
    """A prediction is not a finite number.

    ``rows`` are the indices of rows whose prediction is NaN.
    """

    def __init__(self, rows: Sequence[int] = ()) -> None:
        super().__init__("the prediction is not a finite number")
        self.rows = tuple(rows)


def build_predict(model: Any, outputs: Sequence[str] = ()) -> EstimatorPredict:
    """Return the function that calls a model and returns a prediction for each row.

    It raises :class:`NotFiniteError` for a number that JSON lacks, and what the model raises.

    :param outputs: names of the outputs, if there are several.
    :raises InvalidModel: if the model cannot predict for rows that it was not fitted on.
    """
    if predicts_likeliest(model):
        return _LikeliestLabel(model)
    if hasattr(model, "predict"):
        return _Predict(model, outputs)
    if hasattr(model, "transform"):
        return _Transform(model, outputs)
    raise InvalidModel(
        f"{type(model).__name__} has neither predict nor transform: it cannot predict for new rows"
    )


class _Predict:
    """Calls predict, and the methods for probabilities or scores."""

    def __init__(self, model: Any, outputs: Sequence[str]) -> None:
        self._model = model
        self._outputs = outputs
        self._predict = fast_method(model, "predict")
        self._labels = labels_of(model)
        self._others = self._members()

    def __call__(self, inputs: Any) -> list[dict[str, Any]]:
        predictions = self._by_output(_finite(self._predict(inputs)))
        members = {"prediction": predictions}
        for name, get_values in self._others.items():
            values = get_values(inputs, predictions)
            if values is not None:
                members[name] = values
        return Table.build(len(predictions), members)

    def _members(self) -> dict[str, Callable[[Any, list[Any]], list[Any] | None]]:
        """Return the members in addition to the prediction.

        Probabilities are computed in addition to labels: the likeliest label is not always the
        one that a classifier predicts.
        """
        has = partial(hasattr, self._model)
        if has_tag(is_outlier_detector, self._model):
            scores = {"score": self._outlier_scores} if has("decision_function") else {}
            return {"is_outlier": self._outliers, **scores}
        if has("predict_proba"):
            return {"probabilities": self._probabilities}
        if self._labels and has("decision_function") and not has_pairwise_scores(self._model):
            return {"scores": self._scores}
        if count_centres(self._model) and has("transform"):
            return {"distances": self._distances}
        return {}

    def _by_output(self, predicted: Any) -> list[Any]:
        """Return plain values; for several outputs, objects with their names."""
        values = _dense(predicted)
        if values.ndim == 1:
            return plain_list(values)
        if values.shape[1] == 1:
            return plain_list(values[:, 0])
        return [self._with_names(plain_list(row)) for row in values]

    def _with_names(self, values: Sequence[Any]) -> dict[str, Any]:
        names = self._outputs or [f"y{at}" for at in range(len(values))]
        return dict(zip(names, values, strict=True))

    def _probabilities(self, inputs: Any, predictions: list[Any]) -> list[Any]:
        """Return the probability of each label for each row, by output if there are several.

        Some models of several outputs return the probabilities of all labels of each, some only
        the probability that each output is on.
        """
        shares = self._model.predict_proba(inputs)
        if isinstance(shares, list):
            parts = [
                _by_label(_finite(part), labels)
                for part, labels in zip(shares, self._labels, strict=True)
            ]
            return [self._with_names(row) for row in zip(*parts, strict=True)]
        shares = _dense(_finite(shares))
        if isinstance(predictions[0], dict):
            return [self._with_names(row) for row in shares.tolist()]
        return _by_label(shares, self._labels or range(shares.shape[1]))

    def _scores(self, inputs: Any, predictions: list[Any]) -> list[Any] | None:
        """Return the score of each label for each row; of two labels only that of the second."""
        scores = self._model.decision_function(inputs)
        if isinstance(scores, list):
            return None
        scores = _dense(_finite(scores))
        if isinstance(predictions[0], dict):
            is_by_output = scores.shape == (len(predictions), len(predictions[0]))
            return [self._with_names(row) for row in scores.tolist()] if is_by_output else None
        if scores.ndim == 1:
            return _by_label(scores[:, np.newaxis], self._labels[1:])
        return _by_label(scores, self._labels) if scores.shape[1] == len(self._labels) else None

    def _distances(self, inputs: Any, _predictions: list[Any]) -> list[Any] | None:
        distances = _finite(self._model.transform(inputs))
        count = count_centres(self._model)
        return _by_label(distances, range(count)) if distances.shape[1] == count else None

    def _outliers(self, _inputs: Any, predictions: list[Any]) -> list[Any]:
        return [prediction == -1 for prediction in predictions]

    def _outlier_scores(self, inputs: Any, _predictions: list[Any]) -> list[Any]:
        return list(_finite(self._model.decision_function(inputs)).ravel().tolist())


class _LikeliestLabel:
    """Calls a classifier once: predict would compute the probabilities again."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._labels = labels_of(model)
        self._names = _names(self._labels)
        self._shares = fast_method(model, "predict_proba")
        self._tie = 0.0 if is_forest(model) else TIE

    def __call__(self, inputs: Any) -> list[dict[str, Any]]:
        shares = self._shares(inputs)
        if len(shares) == 1:
            return [self._predict_one(inputs, _one(shares))]
        shares = _dense(shares)
        _finite(shares)
        predictions = self._labels_for(inputs, shares)
        by_label = _by_label(shares, self._labels)
        rows = [
            {"prediction": prediction, "probabilities": each}
            for prediction, each in zip(predictions, by_label, strict=True)
        ]
        return Table(rows, {"prediction": predictions, "probabilities": by_label})

    def _predict_one(self, inputs: Any, shares: list[float]) -> dict[str, Any]:
        """Return what :meth:`__call__` returns for a single row, for which arrays are slow."""
        if not math.isfinite(sum(shares)):
            _finite(np.array([shares]))
        *_, second, highest = sorted(shares)
        if highest - second < self._tie:
            (label,) = plain_list(self._model.predict(inputs))
        else:
            label = self._labels[shares.index(highest)]
        by_label = dict(zip(self._names, shares, strict=True))
        return {"prediction": label, "probabilities": by_label}

    def _labels_for(self, inputs: Any, shares: Any) -> list[Any]:
        # By label, each step takes a tenth of the time.
        by_label = np.ascontiguousarray(shares.T)
        below = by_label.max(axis=0) - by_label
        # The highest share of each row is below itself by 0.
        if self._tie and np.count_nonzero(below < self._tie) > len(shares):
            # The label may then depend on the last digit, so the model decides.
            return plain_list(self._model.predict(inputs))
        return [self._labels[at] for at in shares.argmax(axis=1).tolist()]


class _Transform:
    """Returns the output of a transformer as the prediction."""

    def __init__(self, model: Any, outputs: Sequence[str]) -> None:
        self._model = model
        self._names = list(outputs) or feature_names(model)

    def __call__(self, inputs: Any) -> list[dict[str, Any]]:
        output = _in_rows(self._model.transform(inputs), len(inputs))
        if hasattr(output, "tocsr") and output.shape[1] > MOST_NAMED:
            return [{"prediction": self._nonzero(row)} for row in output.tocsr()]
        rows = output.to_numpy(dtype=object) if hasattr(output, "columns") else _dense(output)
        return [{"prediction": self._to_json(row)} for row in rows]

    def _nonzero(self, row: Any) -> dict[str, Any]:
        """Return the nonzero values of a sparse row."""
        pairs = sorted(zip(row.indices, row.data, strict=True), key=itemgetter(0))
        return {self._name(at): plain(value) for at, value in pairs}

    def _to_json(self, row: Any) -> Any:
        if np.ndim(row) == 0:
            return plain(row)
        values = [plain(value) for value in row]
        if len(values) == 1:
            return values[0]
        if len(values) > MOST_NAMED:
            return values
        return {self._name(at): value for at, value in enumerate(values)}

    def _name(self, at: int) -> str:
        return self._names[at] if at < len(self._names) else f"y{at}"


def _one(rows: Any) -> list[float]:
    """Return the only row of an array, or of a list of lists."""
    return rows[0] if type(rows) is list else _dense(rows)[0].tolist()  # type: ignore[no-any-return]


def _by_label(values: Any, labels: Any) -> list[dict[str, Any]]:
    array = _dense(values)
    columns = array.T if array.dtype == np.float64 else array.T.tolist()
    return Table.build(len(array), dict(zip(_names(labels), columns, strict=True)))


def _names(labels: Any) -> list[str]:
    return [str(label).lower() if isinstance(label, bool) else str(label) for label in labels]


def _finite(values: Any) -> Any:
    """Return an array of finite numbers.

    :raises NotFiniteError: if it holds NaN or an infinity.
    """
    array = _dense(values)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        is_nan = np.isnan(array).any(axis=tuple(range(1, array.ndim)))
        raise NotFiniteError(np.flatnonzero(is_nan).tolist())
    return array


def _in_rows(values: Any, count: int) -> Any:
    """Return the output of a transformer, one row for each input row: some drop that of one row.

    :raises ValueError: if the number of rows differs.
    """
    if values.shape[0] == count:
        return values
    return _dense(values).reshape(count, -1)


def _dense(values: Any) -> Any:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)
