"""Build objects from names and numbers where a stored state cannot or must not be used.

Some names no longer exist: scikit-learn 1.2 to 1.8 wrote losses, scorers and lists of columns under
names that later releases removed. Other states are unsafe: a scipy distribution ``exec``\\ s a
string of its state, a ``joblib.Memory`` reads and writes a folder. A conversion builds the
replacement in place, so that references within the pickle stay valid, and takes only plain values
from the state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mlmodel.trust.rules import tree_nodes

#: Types of plain values.
PLAIN = (type(None), bool, int, float, str)
#: scikit-learn's modules of losses in native code.
LOSSES = "sklearn._loss._loss"
SGD_LOSSES = "sklearn.linear_model._sgd_fast"
_SCORERS = "sklearn.metrics._scorer"


@dataclass(frozen=True)
class Conversion:
    """How an object is built.

    ``find`` returns the class to instantiate, or the function that builds the object. ``set_state``
    takes the new object and the stored state, and returns the part that is still to be checked and
    set like any other state, or ``None``. It may raise any error for a state that no fitted model
    has.
    """

    find: Callable[[], Any]
    set_state: Callable[[Any, Any], Any] = lambda _built, _state: None


class Dropped:
    """Placeholder for what a server must not use. It becomes ``None`` in an estimator."""


class Columns(list[Any]):
    """A plain list in place of scikit-learn 1.5 to 1.7's own class for the remaining columns."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a plain list, without a reference to this class."""
        return list, (), None, iter(self)


def find(full: str) -> Conversion | None:
    """Return the conversion for a full name, or ``None``. Imports nothing."""
    if _DISTRIBUTION.fullmatch(full):
        return Conversion(lambda: import_object(full), _set_distribution)
    if _FROZEN.fullmatch(full):
        return Conversion(lambda: import_object(full), _set_frozen)
    if full.startswith(f"{LOSSES}.__pyx_unpickle_Cy"):
        return Conversion(lambda: _unpickled_loss)
    return _CONVERSIONS.get(full)


def import_object(full: str) -> Any:
    """Import and return the object with a full name."""
    module, _, name = full.rpartition(".")
    return getattr(import_module(module), name)


def is_number_or_boolean(value: Any) -> bool:
    """Return whether a value is a number or a boolean, of Python or numpy."""
    import numpy as np  # noqa: PLC0415  only for a file that needs it

    return isinstance(value, int | float | np.number | np.bool_)


def _unpickled_loss(kind: Any, _checksum: Any, state: Any) -> Any:
    """Build a loss in place of the functions of scikit-learn 1.2 to 1.5, one for each class."""
    return kind(*(state or ()))


def _set_distribution(built: Any, _state: Any) -> None:
    """Give a distribution the state of scipy's own: the file's state has a string to execute."""
    public = vars(import_module("scipy.stats")).values()
    [own, *_] = [each for each in public if type(each) is type(built)]
    built.__setstate__(own.__getstate__())


def _path(*_parts: Any) -> Dropped:
    return Dropped()


def _method_of_a_distribution(_built: Any, _name: Any) -> Dropped:
    return Dropped()


def is_distribution(built: Any) -> bool:
    """Return whether an object is a distribution of ``scipy.stats``, with or without its state."""
    return bool(_DISTRIBUTION.fullmatch(f"{type(built).__module__}.{type(built).__qualname__}"))


def _set_frozen(built: Any, state: Any) -> None:
    arguments, keywords = tuple(state["args"]), dict(state["kwds"])
    if not all(is_number_or_boolean(each) for each in (*arguments, *keywords.values())):
        raise TypeError("the arguments of a distribution must be numbers")
    if not is_distribution(state["dist"]):
        raise TypeError("the object is not a distribution of scipy")
    built.__init__(state["dist"], *arguments, **keywords)


def _set_tree(built: Any, state: Any) -> Any:
    """Return a tree's state in the format of scikit-learn 1.4.

    Until 1.2 nodes did not store where missing values go, and until 1.3 the values of a classifier
    were the weights of its samples, which ``predict`` then divided by their sum.
    """
    import numpy as np  # noqa: PLC0415

    expected = import_object("sklearn.tree._tree.NODE_DTYPE")
    nodes, values = state["nodes"], state["values"]
    if set(nodes.dtype.names) == set(expected.names) - {"missing_go_to_left"}:
        older, nodes = nodes, np.zeros(nodes.shape, expected)
        for name in older.dtype.names:
            nodes[name] = older[name]
    totals = values.sum(axis=2, keepdims=True)
    weights = nodes["weighted_n_node_samples"][:, None, None]
    if built.max_n_classes > 1 and np.allclose(totals, weights) and not np.allclose(totals, 1):
        values = values / totals
    return {**state, "nodes": nodes, "values": values}


def _set_columns(built: Any, state: Any) -> None:
    built.extend(each for each in state["data"] if isinstance(each, PLAIN))


def _boosting(name: str, **parameters: str) -> Conversion:
    """Return the conversion of a gradient boosting loss of scikit-learn 1.2 and 1.3.

    :param parameters: the parameters' new names by their old ones.
    """

    def set_state(built: Any, state: Any) -> Any:
        if "closs" in state:
            # A current loss, used by another part of the same model.
            return state
        kept = {parameters[key]: state[key] for key in parameters}
        if not all(is_number_or_boolean(value) for value in kept.values()):
            raise TypeError("the parameters of a loss must be numbers")
        built.__init__(**kept)
        return None

    return Conversion(lambda: import_object(f"sklearn._loss.loss.{name}"), set_state)


def _scorer(method: Any) -> Conversion:
    return Conversion(
        lambda: import_object(f"{_SCORERS}._Scorer"),
        lambda _built, state: {"_response_method": method, "_metadata_request": None, **state},
    )


_DISTRIBUTION = re.compile(r"scipy\.stats\.(_continuous_distns|_discrete_distns)\.\w+_gen")
_FROZEN = re.compile(r"scipy\.stats\._distn_infrastructure\.rv_((continuous|discrete)_)?frozen")

_CONVERSIONS: Mapping[str, Conversion] = {
    # Discrete distributions have their own methods in their state.
    "builtins.getattr": Conversion(lambda: _method_of_a_distribution),
    "numpy.vectorize": Conversion(lambda: Dropped),
    # A cache holds the path of its folder.
    "pathlib.PosixPath": Conversion(lambda: _path),
    "pathlib.WindowsPath": Conversion(lambda: _path),
    "joblib._store_backends.FileSystemStoreBackend": Conversion(lambda: Dropped),
    "joblib.memory.Memory": Conversion(lambda: Dropped),
    "sklearn.compose._column_transformer._RemainderColsList": Conversion(
        lambda: Columns, _set_columns
    ),
    f"{SGD_LOSSES}.Huber": Conversion(lambda: import_object(f"{LOSSES}.CyHuberLoss")),
    f"{SGD_LOSSES}.Log": Conversion(lambda: import_object(f"{LOSSES}.CyHalfBinomialLoss")),
    f"{SGD_LOSSES}.SquaredLoss": Conversion(lambda: import_object(f"{LOSSES}.CyHalfSquaredError")),
    "sklearn.ensemble._gb_losses.BinomialDeviance": _boosting("HalfBinomialLoss"),
    "sklearn.ensemble._gb_losses.ExponentialLoss": _boosting("ExponentialLoss"),
    "sklearn.ensemble._gb_losses.HuberLossFunction": _boosting("HuberLoss", alpha="quantile"),
    "sklearn.ensemble._gb_losses.LeastAbsoluteError": _boosting("AbsoluteError"),
    "sklearn.ensemble._gb_losses.LeastSquaresError": _boosting("HalfSquaredError"),
    "sklearn.ensemble._gb_losses.MultinomialDeviance": _boosting(
        "HalfMultinomialLoss", K="n_classes"
    ),
    "sklearn.ensemble._gb_losses.QuantileLossFunction": _boosting("PinballLoss", alpha="quantile"),
    "sklearn.tree._tree.Tree": Conversion(tree_nodes.tree, _set_tree),
    f"{_SCORERS}._passthrough_scorer": Conversion(Dropped),
    f"{_SCORERS}._PredictScorer": _scorer("predict"),
    f"{_SCORERS}._ProbaScorer": _scorer("predict_proba"),
    f"{_SCORERS}._ThresholdScorer": _scorer(("decision_function", "predict_proba")),
}
