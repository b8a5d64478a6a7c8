"""Converters for skl2onnx that keep double precision and missing values.

Those of skl2onnx 1.20 write trees with four-byte thresholds and sums for any input type
(https://github.com/onnx/sklearn-onnx/issues/1183), impute and encode in four bytes, and cannot
write HistGradientBoosting at all: they pass booleans for ONNX integers, which protobuf rejects
since 7.34. The converters here compute what scikit-learn computes, in its order of additions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from mlmodel.frameworks.sklearn.onnx.conversion import NAN_TEXT, NO_TEXT
from mlmodel.frameworks.sklearn.onnx.tree_ensembles import Trees

#: Versions of the ONNX operators and of the ``ai.onnx.ml`` domain: the newest of skl2onnx 1.20.
VERSIONS = {"": 21, "ai.onnx.ml": 3}
#: The version of that domain that has trees in double precision, see :func:`with_tree_version`.
TREES_VERSION = 5


def with_tree_version(graph: Any) -> Any:
    """Return the graph, with the domain version that its ``TreeEnsemble`` operators require."""
    if any(node.op_type == "TreeEnsemble" for node in graph.graph.node):
        for each in graph.opset_import:
            if each.domain == "ai.onnx.ml":
                each.version = TREES_VERSION
    return graph


class _Writer:
    """Writes the nodes of one estimator into the graph."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._operator, self._container = scope, operator, container
        self.model = operator.raw_operator
        self.outputs = [each.full_name for each in operator.outputs]

    def add(self, kind: str, *inputs: str, output: str = "", domain: str = "", **more: Any) -> str:
        """Add an operator and return the name of its output."""
        result = output or self._scope.get_unique_variable_name(kind.lower())
        self._container.add_node(
            kind,
            list(inputs),
            result,
            op_domain=domain,
            op_version=VERSIONS[domain],
            name=self._scope.get_unique_operator_name(kind),
            **more,
        )
        return result

    def constant(self, values: Any) -> str:
        """Add an array of doubles, whole numbers or texts, and return its name."""
        array = np.asarray(values)
        kinds = {"f": TensorProto.DOUBLE, "i": TensorProto.INT64, "U": TensorProto.STRING}
        content = array.ravel().tolist()
        if array.dtype.kind == "U":
            content = [text.encode() for text in content]
        name = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(name, kinds[array.dtype.kind], array.shape, content)
        return str(name)

    def to_double(self, name: str, output: str = "") -> str:
        return self.add("Cast", name, output=output, to=TensorProto.DOUBLE)

    def inputs(self) -> str:
        """Return the name of all inputs side by side, as doubles."""
        parts = [self._as_double(each) for each in self._operator.inputs]
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=1)

    def has_texts(self) -> bool:
        """Return whether the inputs are texts."""
        return all(isinstance(each.type, StringTensorType) for each in self._operator.inputs)

    def columns(self) -> list[tuple[str, bool]]:
        """Return the name of each input column, and whether it holds texts."""
        found: list[tuple[str, bool]] = []
        for each in self._operator.inputs:
            is_text = isinstance(each.type, StringTensorType)
            name = each.full_name if is_text else self._as_double(each)
            count = each.type.shape[1]
            places = [self.constant([at]) for at in range(count)] if count > 1 else []
            found += [(self.add("Gather", name, at, axis=1), is_text) for at in places] or [
                (name, is_text)
            ]
        return found

    def trees(self, trees: Trees, inputs: str) -> str:
        """Add trees, and return the name of the sums of their leaves."""
        return self.add("TreeEnsemble", inputs, domain="ai.onnx.ml", **trees.attributes())

    def labels(self, places: str) -> None:
        """Write the model's labels at the given indices to the first output."""
        classes = np.asarray(self.model.classes_)
        if classes.dtype.kind not in "OUbiu" or classes.ndim != 1:
            raise NotImplementedError("labels must be strings or integers")
        known = classes.astype(str if classes.dtype.kind in "OU" else np.int64)
        self.add("Gather", self.constant(known), places, output=self.outputs[0], axis=0)

    def _as_double(self, variable: Any) -> str:
        if isinstance(variable.type, DoubleTensorType):
            return str(variable.full_name)
        return self.to_double(variable.full_name)


def _float32_inputs(writer: _Writer) -> str:
    """Return the inputs as scikit-learn's trees read them: rounded to four bytes, as doubles."""
    narrow = writer.add("Cast", writer.inputs(), to=TensorProto.FLOAT)
    return writer.to_double(narrow)


def _members(model: Any) -> list[Any]:
    return [each.tree_ for each in getattr(model, "estimators_", [model])]


def _forest_classifier(scope: Any, operator: Any, container: Any) -> None:
    writer = _Writer(scope, operator, container)
    members = _members(writer.model)
    if writer.model.n_outputs_ > 1:
        raise NotImplementedError("classes of several outputs")
    trees = Trees(len(writer.model.classes_))
    for member in members:
        for label in range(trees.targets):
            trees.add(member, member.value[:, 0, label], label)
    shares = writer.outputs[1]
    _mean(writer, writer.trees(trees, _float32_inputs(writer)), len(members), shares)
    writer.labels(writer.add("ArgMax", shares, axis=1, keepdims=0))


def _forest_regressor(scope: Any, operator: Any, container: Any) -> None:
    writer = _Writer(scope, operator, container)
    members = _members(writer.model)
    trees = Trees(int(writer.model.n_outputs_))
    for member in members:
        for output in range(trees.targets):
            trees.add(member, member.value[:, output, 0], output)
    _mean(writer, writer.trees(trees, _float32_inputs(writer)), len(members), writer.outputs[0])


def _mean(writer: _Writer, sums: str, count: int, output: str) -> None:
    if count == 1:
        writer.add("Identity", sums, output=output)
    else:
        writer.add("Div", sums, writer.constant([float(count)]), output=output)


def _gradient(writer: _Writer) -> str:
    """Return the raw scores of scikit-learn's ``GradientBoosting`` estimators."""
    model = writer.model
    if not (model.init is None or model.init == "zero"):
        raise NotImplementedError("an init estimator")
    trees = Trees(model.estimators_.shape[1])
    for stage in model.estimators_:
        for target, member in enumerate(stage):
            trees.add(member.tree_, model.learning_rate * member.tree_.value[:, 0, 0], target)
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_)))
    return writer.add("Add", writer.trees(trees, _float32_inputs(writer)), writer.constant(start))


def _histogram(writer: _Writer) -> str:
    """Return the raw scores of scikit-learn's ``HistGradientBoosting`` estimators."""
    model = writer.model
    if model.is_categorical_ is not None and np.any(model.is_categorical_):
        raise NotImplementedError("columns of categories within HistGradientBoosting")
    trees = Trees(model.n_trees_per_iteration_)
    for iteration in model._predictors:
        for target, member in enumerate(iteration):
            trees.add_histogram(member.nodes, target)
    start = np.asarray(model._baseline_prediction, dtype=float).reshape(1, -1)
    return writer.add("Add", writer.trees(trees, writer.inputs()), writer.constant(start))


def _gradient_classifier(scope: Any, operator: Any, container: Any) -> None:
    writer = _Writer(scope, operator, container)
    scores = _gradient(writer)
    if writer.model.loss == "exponential":
        _two_classes(writer, scores, writer.add("Add", scores, scores), "GreaterOrEqual")
    else:
        _classes(writer, scores, "GreaterOrEqual")


def _histogram_classifier(scope: Any, operator: Any, container: Any) -> None:
    writer = _Writer(scope, operator, container)
    _classes(writer, _histogram(writer), "Greater")


def _classes(writer: _Writer, scores: str, above: str) -> None:
    if len(writer.model.classes_) == 2:  # noqa: PLR2004
        _two_classes(writer, scores, scores, above)
        return
    writer.add("Softmax", scores, output=writer.outputs[1], axis=1)
    writer.labels(writer.add("ArgMax", scores, axis=1, keepdims=0))


def _two_classes(writer: _Writer, scores: str, logits: str, above: str) -> None:
    second = writer.add("Sigmoid", logits)
    first = writer.add("Sub", writer.constant([1.0]), second)
    writer.add("Concat", first, second, output=writer.outputs[1], axis=1)
    chosen = writer.add(above, scores, writer.constant([0.0]))
    flat = writer.add("Reshape", chosen, writer.constant([-1]))
    writer.labels(writer.add("Cast", flat, to=TensorProto.INT64))


def _gradient_regressor(scope: Any, operator: Any, container: Any) -> None:
    writer = _Writer(scope, operator, container)
    writer.add("Identity", _gradient(writer), output=writer.outputs[0])


def _histogram_regressor(scope: Any, operator: Any, container: Any) -> None:
    writer = _Writer(scope, operator, container)
    scores = _histogram(writer)
    link = type(writer.model._loss.link).__name__
    if link not in ("IdentityLink", "LogLink"):
        raise NotImplementedError(f"the link {link}")
    writer.add("Exp" if link == "LogLink" else "Identity", scores, output=writer.outputs[0])


def _imputer(scope: Any, operator: Any, container: Any) -> None:
    writer = _Writer(scope, operator, container)
    model = writer.model
    if model.add_indicator or _has_empty_column(model):
        raise NotImplementedError("an imputer that adds or drops columns")
    if writer.has_texts():
        names = [name for name, _ in writer.columns()]
        table = writer.add("Concat", *names, axis=1) if len(names) > 1 else names[0]
        absent = writer.add("Equal", table, writer.constant([_text(model.missing_values)]))
    else:
        table = writer.inputs()
        if not _is_nan(model.missing_values):
            raise NotImplementedError("an imputer that replaces values other than missing ones")
        absent = writer.add("IsNaN", table)
    kind = str if writer.has_texts() else float
    values = writer.constant([np.asarray(model.statistics_).astype(kind)])
    writer.add("Where", absent, values, table, output=writer.outputs[0])


def _has_empty_column(model: Any) -> bool:
    """Return whether a column had no value at all when the imputer was fitted."""
    return any(_is_nan(value) for value in model.statistics_)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value  # noqa: PLR0124  NaN


def _text(value: Any) -> str:
    """Return a text, or the stand-in for a missing one."""
    if value is None:
        return NO_TEXT
    return NAN_TEXT if _is_nan(value) else str(value)


def _one_hot(scope: Any, operator: Any, container: Any) -> None:
    writer = _Writer(scope, operator, container)
    model = writer.model
    if model._infrequent_enabled and any(each is not None for each in model._infrequent_indices):
        raise NotImplementedError("infrequent categories")
    columns = writer.columns()
    if len(columns) != len(model.categories_):
        raise NotImplementedError("the counts of columns and categories differ")
    dropped = model.drop_idx_ if model.drop_idx_ is not None else [None] * len(columns)
    parts = [
        _equals(writer, name, np.delete(categories, [] if drop is None else [drop]), is_text)
        for (name, is_text), categories, drop in zip(
            columns, model.categories_, dropped, strict=True
        )
    ]
    table = writer.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    writer.to_double(table, writer.outputs[0])


def _equals(writer: _Writer, name: str, categories: Any, is_text: bool) -> str:
    """Return the name of the result of comparing a column with each of some categories."""
    if is_text:
        return writer.add("Equal", name, writer.constant([[_text(each) for each in categories]]))
    known = np.asarray([list(categories)], dtype=float)
    if np.isnan(known).any():
        raise NotImplementedError("a missing number as a category")
    return writer.add("Equal", name, writer.constant(known))


def _shape(operator: Any) -> None:
    """Set the output types for skl2onnx: doubles, after the labels of a classifier."""
    model, outputs = operator.raw_operator, operator.outputs
    count = operator.inputs[0].get_first_dimension()
    if hasattr(model, "classes_"):
        labels = np.asarray(model.classes_).dtype.kind in "OU"
        outputs[0].type = (StringTensorType if labels else Int64TensorType)([count])
    outputs[-1].type = DoubleTensorType([count, _width(model)])


def _text_or_double_shape(operator: Any) -> None:
    count = operator.inputs[0].get_first_dimension()
    is_text = isinstance(operator.inputs[0].type, StringTensorType)
    kind = StringTensorType if is_text else DoubleTensorType
    operator.outputs[0].type = kind([count, _width(operator.raw_operator)])


def _width(model: Any) -> int:
    if hasattr(model, "classes_"):
        return len(model.classes_)
    if isinstance(model, OneHotEncoder | SimpleImputer):
        return len(model.get_feature_names_out())
    return int(getattr(model, "n_outputs_", 1))


_FORESTS = (
    RandomForestClassifier,
    ExtraTreesClassifier,
    DecisionTreeClassifier,
    ExtraTreeClassifier,
)
_FORESTS_OF_NUMBERS = (
    RandomForestRegressor,
    ExtraTreesRegressor,
    DecisionTreeRegressor,
    ExtraTreeRegressor,
)

#: The function that writes the estimators of a class.
CONVERTERS: Mapping[type, Callable[[Any, Any, Any], None]] = {
    **dict.fromkeys(_FORESTS, _forest_classifier),
    **dict.fromkeys(_FORESTS_OF_NUMBERS, _forest_regressor),
    GradientBoostingClassifier: _gradient_classifier,
    GradientBoostingRegressor: _gradient_regressor,
    HistGradientBoostingClassifier: _histogram_classifier,
    HistGradientBoostingRegressor: _histogram_regressor,
    SimpleImputer: _imputer,
    OneHotEncoder: _one_hot,
}
#: The function that sets the types and widths of their outputs.
SHAPES: Mapping[type, Callable[[Any], None]] = {
    **dict.fromkeys(CONVERTERS, _shape),
    SimpleImputer: _text_or_double_shape,
}
