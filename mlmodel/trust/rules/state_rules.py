"""Rules for the state that the pickle of a model may give an object.

The rule depends on the class that receives the state. An array's type and shape must be what numpy
itself would write, and a tree's nodes must lead down, because native code does not check them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlmodel.trust.rules import functions, pandas_state, tree_nodes
from mlmodel.trust.rules.call_rules import is_shape
from mlmodel.trust.rules.conversions import import_object

#: The flag of a structured dtype whose fields are aligned as in C.
_ALIGNED = 0x80

#: Members in which an estimator keeps names of methods that it calls on others, and the allowed
#: names.
METHODS = frozenset(
    {
        "_response_method",
        "chain_method",
        "chain_method_",
        "response_method",
        "stack_method",
        "stack_method_",
    }
)
RESPONSES = frozenset(
    {"auto", "decision_function", "predict", "predict_log_proba", "predict_proba", "transform"}
)

#: Methods that estimators call on each other. Only the class may define them.
CALLED = RESPONSES | {
    "apply",
    "fit",
    "fit_predict",
    "fit_transform",
    "get_feature_names_out",
    "inverse_transform",
    "kneighbors",
    "partial_fit",
    "score",
    "score_samples",
}


def is_allowed(built: Any, state: Any) -> bool:
    """Return whether a fitted model gives such a state to such an object."""
    for full, rule in _RULES.items():
        if tree_nodes.is_a(built, full):
            return rule(built, state)
    return _members(built, state)


def is_sound(built: Any) -> bool:
    """Return whether a complete object is safe to use.

    Call it at the end: until then lists and dicts in the object may still grow.
    """
    return all(
        check(built)
        for check in (
            _has_methods,
            _has_items,
            tree_nodes.is_sound,
            functions.is_sound,
            _is_sparse,
            lambda built: pandas_state.is_sound(built, CALLED),
        )
    )


def _has_methods(built: Any) -> bool:
    members = getattr(built, "__dict__", {})
    return all(_are_response_methods(members[name]) for name in METHODS & members.keys())


def _has_items(built: Any) -> bool:
    return not isinstance(built, dict) or all(_is_plain_item(*item) for item in built.items())


def _are_response_methods(word: Any) -> bool:
    if type(word) in (list, tuple):
        return all(map(_are_response_methods, word))
    return word is None or (type(word) is str and word in RESPONSES)


def _members(built: Any, state: Any) -> bool:
    """Return whether a state is that of a plain object: a dict of members by name.

    A name with two underscores at both ends would replace what Python itself looks up, and the name
    of a method would replace that method.
    """
    return type(state) is dict and all(
        type(name) is str
        and not (name.startswith("__") and name.endswith("__"))
        and not callable(getattr(type(built), name, None))
        and _is_no_method(name, value)
        and functions.is_allowed_member(built, name, value)
        for name, value in state.items()
    )


def _is_no_method(name: Any, value: Any) -> bool:
    """Return whether a member does not replace a method of estimators."""
    return name not in CALLED or not callable(value)


def _is_plain_item(key: Any, value: Any) -> bool:
    """Return whether an item, which may be found as an attribute, replaces no other attribute.

    numpy uses ``__array_interface__`` as an address of memory without checking it.
    """
    return _is_no_method(key, value) and not (type(key) is str and key.startswith("__"))


def _array(_built: Any, state: Any) -> bool:
    import numpy as np  # noqa: PLC0415

    _version, shape, dtype, _is_fortran, content = state
    if not isinstance(dtype, np.dtype) or not is_shape(shape):
        return False
    return type(content) is (list if dtype.hasobject else bytes)


def _masked_array(built: Any, state: Any) -> bool:
    version, shape, dtype, is_fortran, content, mask, _fill = state
    return type(mask) is bytes and _array(built, (version, shape, dtype, is_fortran, content))


def _dtype(built: Any, state: Any) -> bool:
    """Return whether numpy itself would write this state for such a dtype.

    numpy does not check the state, and with a forged one it reads outside of the array.
    """
    import numpy as np  # noqa: PLC0415

    _version, order, within, names, fields, size, _alignment, flags, *more = state
    # The flags follow from the other parts, such as the type code of the dtype or of a field.
    if type(order) is not str or order not in "<>|=" or type(flags) is not int:
        return False
    if more:
        [(_metadata, (unit, *counts))] = more
        expected: Any = np.dtype(f"{built.kind}8[{counts[0]}{unit.decode()}]")
        expected = expected.newbyteorder(order)
        return bool(expected.__reduce__()[2][1:8] == state[1:8] and counts[1:] == [1, 1])
    if names is not None:
        expected = _structure(names, fields, size, bool(flags & _ALIGNED))
    elif within is not None:
        expected = np.dtype(within)
    else:
        expected = built.newbyteorder(order)
    return bool(expected.itemsize == built.itemsize and expected.__reduce__()[2][1:] == state[1:])


def _structure(names: Any, fields: Any, size: Any, is_aligned: bool) -> Any:
    import numpy as np  # noqa: PLC0415

    if type(names) is not tuple or type(fields) is not dict or set(names) != set(fields):
        raise ValueError("its names differ from those of its fields")
    types, offsets = zip(*(fields[name] for name in names), strict=True)
    if not all(isinstance(each, np.dtype) for each in types):
        raise ValueError("its fields have no types")
    return np.dtype(
        {"names": list(names), "formats": list(types), "offsets": list(offsets), "itemsize": size},
        align=is_aligned,
    )


def _tree(built: Any, state: Any) -> bool:
    nodes, count = state["nodes"], state["node_count"]
    return (
        set(state) == {"max_depth", "node_count", "nodes", "values"}
        and type(count) is type(state["max_depth"]) is int
        and nodes.shape == (count,)
        and tree_nodes.leads_down(
            nodes["left_child"],
            nodes["right_child"],
            nodes["feature"],
            nodes["left_child"] == -1,
            built.n_features,
        )
    )


def _backed_array(built: Any, state: Any) -> bool:
    """Return whether a pandas array receives only plain members, and keeps its class."""
    parts = (state,) if type(state) is dict else state
    return type(parts) is tuple and all(
        _members(built, each) for each in parts if isinstance(each, Mapping)
    )


def _arrow_text(built: Any, state: Any) -> bool:
    """Return whether a pandas array of text receives an array of pyarrow, which is checked."""
    import pyarrow as pa  # noqa: PLC0415  only for a file that needs it

    return (
        _members(built, state)
        and isinstance(state["_pa_array"], pa.StringArray | pa.LargeStringArray)
        and isinstance(state["_dtype"], import_object("pandas.StringDtype"))
        and state.get("_cache", {}) == {}
    )


def _of_type(member: str, kind: type, default: Any = None) -> Callable[[Any, Any], bool]:
    """Return the rule for a booster whose own format is in one member, of the given type."""
    return lambda built, state: _members(built, state) and type(state.get(member, default)) is kind


def _texts(built: Any, state: Any) -> bool:
    # With other values it would open the file, or read from the object, that a row names. The type
    # is checked too: an array could be changed later.
    source = state.get("input", "content")
    return _members(built, state) and type(source) is str and source == "content"


def _partial(_built: Any, state: Any) -> bool:
    function, arguments, keywords, members = state
    known = import_object("sklearn.utils.validation.check_array")
    return (
        function is known
        and arguments == ()
        and _members(known, keywords)
        and (members is None or members == {})
    )


def _is_sparse(built: Any) -> bool:
    if not type(built).__module__.startswith("scipy.sparse."):
        return True
    try:
        _check_sparse(built)
    except (AttributeError, TypeError, ValueError, IndexError):
        return False
    return True


def _check_sparse(matrix: Any) -> None:
    if hasattr(matrix, "indptr"):
        matrix.check_format(full_check=True)
        return
    for indices, length in zip(matrix.coords, matrix.shape, strict=True):
        if len(indices) != len(matrix.data):
            raise ValueError("the numbers of its indices and values differ")
        if len(indices) and not (indices.min() >= 0 and indices.max() < length):
            raise IndexError("its indices are out of bounds")


#: Classes that unpack their state themselves and call nothing in it. The arrays in trees of
#: neighbours and their metrics are checked when all is built.
_THEMSELVES = """
    numpy.random.RandomState numpy.random.Generator numpy.random.BitGenerator
    numpy.random.SeedSequence sklearn.metrics._dist_metrics.DistanceMetric
    sklearn.neighbors._ball_tree.BinaryTree64 sklearn.neighbors._ball_tree.BinaryTree32
    sklearn.neighbors._kd_tree.BinaryTree64 sklearn.neighbors._kd_tree.BinaryTree32
"""
#: The rule for a state, by the full name of its class. The first match counts.
_RULES: Mapping[str, Callable[[Any, Any], bool]] = {
    "numpy.dtype": _dtype,
    "numpy.ma.MaskedArray": _masked_array,
    "numpy.ndarray": _array,
    **dict.fromkeys(_THEMSELVES.split(), lambda _built, _state: True),
    "pandas._libs.arrays.NDArrayBacked": _backed_array,
    "pandas.arrays.ArrowStringArray": _arrow_text,
    "pandas.core.arrays.string_arrow.ArrowStringArray": _arrow_text,
    "pandas.core.generic.NDFrame": pandas_state.is_allowed,
    "pandas.core.internals.managers.SingleBlockManager": pandas_state.is_series,
    "functools.partial": _partial,
    "sklearn.tree._tree.Tree": _tree,
    "sklearn.feature_extraction.text.CountVectorizer": _texts,
    "sklearn.feature_extraction.text.HashingVectorizer": _texts,
    "xgboost.core.Booster": _of_type("handle", bytearray),
    "lightgbm.basic.Booster": _of_type("_handle", str),
    # Its state has a name that only starts with two underscores.
    "catboost.core.CatBoost": _of_type("__model", bytes, b""),
}
