"""Linear models and small networks, computed by their arithmetic alone.

scikit-learn's checks take ten times as long as the few products of one row. The formulas are its
own, digit for digit: a formula whose results differ on some probes is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_limits

from mlmodel.frameworks.sklearn.schemas.probe import caught_warnings
from mlmodel.frameworks.sklearn.structure import active_steps
from mlmodel.frameworks.sklearn.traits import is_library_code

#: From an array of rows to an array; to a list of one list for one row, where arrays are slow.
Formula = Callable[[Any], Any]

#: The characters of numpy's types for doubles and integers of 64 bits.
PLAIN = frozenset({np.dtype(np.float64).char, np.dtype(np.int64).char})

#: Rows on which a formula is compared with its model: one alone, several times, and several.
PROBES = (*[1] * 20, 7)
SEED = 0
#: Numbers that numpy adds from left to right, as a loop does; more, it adds in pairs of sums.
FEW = 7
#: An array, because numpy would convert a number in each call.
ZERO = np.zeros(())

LINEAR = frozenset(
    {
        "ElasticNet",
        "ElasticNetCV",
        "Lasso",
        "LassoCV",
        "LinearRegression",
        "Ridge",
        "RidgeCV",
    }
)


def has_formula(model: Any) -> bool:
    """Return whether a model has a formula here."""
    return any(_formula(model, method) is not None for method in ("predict_proba", "predict"))


def fast_method(model: Any, method: str) -> Formula:
    """Return a model's method without its checks if the model is simple.

    :param method: ``"predict_proba"`` of a classifier, ``"predict"`` of a regressor.
    """
    own: Formula = getattr(model, method)
    formula = _formula(model, method)
    if formula is None or not _matches(formula, own, model.n_features_in_):
        return own
    # The model itself checks any other input than an array of doubles. NaN stays NaN.
    return lambda inputs: (
        formula(inputs.astype(float, copy=False)) if _is_plain(inputs) else own(inputs)
    )


def _is_plain(inputs: Any) -> bool:
    """Return whether inputs are doubles, or integers that scikit-learn converts to doubles."""
    return type(inputs) is np.ndarray and inputs.dtype.char in PLAIN


def _matches(formula: Formula, own: Formula, columns: int) -> bool:
    chance = np.random.default_rng(SEED)
    probes = [chance.normal(scale=3, size=(count, columns)) for count in PROBES]
    # A pool of threads would not survive the fork of a server's workers.
    with threadpool_limits(1), caught_warnings(), np.errstate(all="ignore"):
        try:
            return all(np.array_equal(formula(each), own(each)) for each in probes)
        except (AttributeError, NotFittedError, TypeError, ValueError):
            return False


def _formula(model: Any, method: str) -> Formula | None:
    if not is_library_code(model):
        return None
    *before, last = active_steps(model) or [model]
    makers = [*(("transform", step) for step in before), (method, last)]
    parts = [_part(step, name) for name, step in makers]
    if None in parts:
        return None
    first, *rest = parts
    return _chain(first, rest) if rest else first


def _part(model: Any, method: str) -> Any:
    if not is_library_code(model):
        return None
    name = "Linear" if type(model).__name__ in LINEAR else type(model).__name__
    make = _FORMULAS.get((name, method))
    try:
        return make(model) if make else None
    except (AttributeError, KeyError):  # another release stores it elsewhere, or stores more
        return None


def _chain(first: Any, rest: list[Any]) -> Formula:
    def formula(inputs: Any) -> Any:
        values = first(inputs)
        for each in rest:
            values = each(values)
        return values

    return formula


def _scaler(model: Any) -> Formula:
    mean = model.mean_ if model.with_mean else 0.0
    scale = model.scale_ if model.with_std else 1.0
    return lambda inputs: (inputs - mean) / scale


def _linear(model: Any) -> Formula:
    slopes = model.coef_ if model.coef_.ndim == 1 else model.coef_.T
    return _affine(slopes, model.intercept_)


def _affine(weights: Any, bias: Any) -> Formula:
    def formula(inputs: Any) -> Any:
        values = inputs @ weights
        values += bias
        return values

    return formula


def _shares(model: Any) -> Formula | None:
    scores = _linear(model)
    if len(model.classes_) == 2:  # noqa: PLR2004
        return lambda inputs: _two_columns(expit(scores(inputs).ravel()))
    return lambda inputs: _softmax(scores(inputs))


def _network(model: Any) -> Formula:
    layers = list(zip(model.coefs_, model.intercepts_, strict=True))
    activations = [model.activation] * (len(layers) - 1) + [model.out_activation_]
    parts = [
        part
        for layer, name in zip(layers, activations, strict=True)
        for part in (_affine(*layer), _ACTIVATIONS[name])
        if part is not None
    ]
    return _chain(parts[0], parts[1:])


def _network_shares(model: Any) -> Formula:
    formula = _network(model)
    if model.n_outputs_ > 1:
        return formula
    return lambda inputs: _two_columns(formula(inputs).ravel())


def _network_values(model: Any) -> Formula:
    formula = _network(model)
    if model.n_outputs_ > 1:
        return formula
    return lambda inputs: formula(inputs).ravel()


def _two_columns(second: Any) -> Any:
    if len(second) == 1:
        (value,) = second.tolist()
        return [[1 - value, value]]
    return np.vstack([1 - second, second]).T


def _softmax(values: Any) -> Any:
    if len(values) == 1 and values.shape[1] <= FEW:
        return [_softmax_of_one(values)]
    # Less than half the time of the methods `max` and `sum`.
    values = np.exp(values - np.maximum.reduce(values, axis=1, keepdims=True))
    return values / np.add.reduce(values, axis=1, keepdims=True)


def _softmax_of_one(values: Any) -> list[float]:
    """Return the same digits as for several rows, in half the time."""
    values -= max(values.tolist()[0])
    (powers,) = np.exp(values, out=values).tolist()
    total = 0.0
    for power in powers:
        total += power
    return [power / total for power in powers]


def _relu(values: Any) -> Any:
    return np.maximum(values, ZERO, out=values)


_ACTIVATIONS: Mapping[str, Formula | None] = {
    "identity": None,
    "exp": np.exp,
    "logistic": expit,
    "relu": _relu,
    "softmax": _softmax,
    "tanh": np.tanh,
}

#: The formula of a method of a class.
_FORMULAS: Mapping[tuple[str, str], Callable[[Any], Formula | None]] = {
    ("Linear", "predict"): _linear,
    ("LogisticRegression", "predict_proba"): _shares,
    ("MLPClassifier", "predict_proba"): _network_shares,
    ("MLPRegressor", "predict"): _network_values,
    ("StandardScaler", "transform"): _scaler,
}
