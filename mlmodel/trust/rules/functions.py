"""Functions of numpy and scipy that a model keeps, and later calls with rows of clients.

The second argument of most is ``out``, an array that they write to: used as a kernel or metric, a
function would write one row into another, or wherever a row points. So only classes that call them
with one array, and with keywords that lead to no other memory, may keep them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlmodel.trust.rules.conversions import is_number_or_boolean
from mlmodel.trust.rules.names import FUNCTIONS, STEPS, UFUNCS
from mlmodel.trust.rules.tree_nodes import is_a

#: Keywords of a step, whose values must be numbers or one of ``_WORDS``.
_KEYWORDS = frozenset(
    """
    a_max a_min accept_large_sparse accept_sparse allow_nd append axes axis copy decimals edge_order
    ensure_2d ensure_all_finite ensure_min_features ensure_min_samples ensure_non_negative
    feature_range force_all_finite max min n nan ndmin neginf norm posinf prepend quantile_range
    threshold unit_variance with_centering with_mean with_scaling with_std
    """.split()  # noqa: SIM905  they are many
)
_WORDS = frozenset({"allow-nan", "coo", "csc", "csr", "l1", "l2", "max"})

_TRANSFORMER = "sklearn.preprocessing._function_transformer.FunctionTransformer"
_STEPS = STEPS | UFUNCS
#: Functions that pool many columns into one.
_POOLING = frozenset(name for name in FUNCTIONS - STEPS if name.startswith("numpy."))
#: Functions that may be kept, by class and member.
_ALLOWED: Mapping[str, Mapping[str, frozenset[str]]] = {
    "scipy.interpolate._bsplines.BSpline": {
        "_asarray": frozenset({"scipy._lib.array_api_compat.numpy._aliases.asarray"})
    },
    "feature_engine.creation.math_features.MathFeatures": {"func": _POOLING},
    "sklearn.cluster._agglomerative.FeatureAgglomeration": {"pooling_func": _POOLING},
    "sklearn.compose._target.TransformedTargetRegressor": dict.fromkeys(
        ("func", "func_", "inverse_func", "inverse_func_"), _STEPS
    ),
    _TRANSFORMER: dict.fromkeys(("func", "inverse_func"), _STEPS),
}
#: Methods of pandas that may be called by name.
_AGGREGATIONS = frozenset(
    {"count", "kurt", "max", "mean", "median", "min", "prod", "sem", "skew", "std", "sum", "var"}
)


def is_allowed_member(built: Any, name: str, value: Any) -> bool:
    """Return whether an object may keep a value as this member; always, if it is not callable."""
    if isinstance(value, type):
        return "dtype" in name
    full = _full_name(value)
    for kind, members in _ALLOWED.items():
        if name in members and is_a(built, kind):
            return full in members[name] or full not in FUNCTIONS | UFUNCS
    # Callables of other libraries are trusted by the operator.
    return full not in FUNCTIONS | UFUNCS or not full.startswith(("numpy.", "scipy."))


def is_sound(built: Any) -> bool:
    """Return whether lists and dicts that hold keywords or functions have only allowed items."""
    members = getattr(built, "__dict__", {})
    if is_a(built, _TRANSFORMER):
        return all(_are_keywords(members.get(name)) for name in ("kw_args", "inv_kw_args"))
    if is_a(built, "feature_engine.creation.math_features.MathFeatures"):
        return _are_aggregations(members.get("func"))
    return True


def _full_name(function: Any) -> str:
    """Return the full name of a function, and one name for a ufunc of numpy or scipy."""
    import numpy as np  # noqa: PLC0415  only for a file that needs it

    if isinstance(function, np.ufunc):
        is_of_numpy = getattr(np, function.__name__, None) is function
        return f"{'numpy' if is_of_numpy else 'scipy.special._ufuncs'}.{function.__name__}"
    if not callable(function) or not hasattr(function, "__name__"):
        return ""
    return f"{getattr(function, '__module__', '')}.{function.__name__}"


def _are_keywords(keywords: Any) -> bool:
    if keywords is None:
        return True
    return type(keywords) is dict and all(_is_keyword(*item) for item in keywords.items())


def _is_keyword(name: Any, value: Any) -> bool:
    import numpy as np  # noqa: PLC0415

    if name == "dtype":
        return value in (None, "numeric") or np.dtype(value).kind in "biuf"
    if name == "order":
        return type(value) is str and value in "ACFK"
    if name in ("newshape", "shape"):
        # Without axes it would be a bare value of a row, and a string is taken as a file name.
        return type(value) is int or (type(value) is tuple and len(value) > 0)
    if name not in _KEYWORDS:
        return False
    values = value if type(value) in (list, tuple) else [value]
    return all(_is_amount(each) or (type(each) is str and each in _WORDS) for each in values)


def _is_amount(value: Any) -> bool:
    import numpy as np  # noqa: PLC0415

    is_array = type(value) is np.ndarray and value.dtype.kind in "biuf"
    return is_array or value is None or is_number_or_boolean(value)


def _are_aggregations(functions: Any) -> bool:
    return all(
        each in _AGGREGATIONS if type(each) is str else _full_name(each) in _POOLING
        for each in (functions if type(functions) is list else [functions])
    )
