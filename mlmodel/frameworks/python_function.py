"""MLflow's ``python_function``: models that run the code of their folder.

An adapter, see :class:`mlmodel.frameworks.Adapter`. Its models are read from a folder with
:func:`load`, and never packaged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

# Unless this is set before the import, MLflow sends events to a server of its makers.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

# ruff: isort: split
import mlflow
import numpy as np
import pandas as pd
from mlflow import pyfunc
from mlflow.exceptions import MlflowException

from mlmodel.errors import BrokenModel, InvalidInput, InvalidModel
from mlmodel.frameworks import Predict, Rows, Schemas
from mlmodel.frameworks.sklearn.predict.column_values import converter
from mlmodel.frameworks.sklearn.predict.frames import Cells, frame_builder
from mlmodel.frameworks.sklearn.schemas import dtypes
from mlmodel.schema.rows import build_rows
from mlmodel.trust import Trust

#: Characters of MLflow's own text in an error.
MAX_TEXT = 500
ONLY_FOLDERS = "a python_function of MLflow is not packaged: serve the folder that MLflow wrote"


def version() -> str:
    """Return the version of MLflow."""
    return str(mlflow.__version__)


def load(folder: Path) -> Any:
    """Return the model in a folder, which must stay as long as the model is used.

    :raises BrokenModel: if MLflow cannot load it.
    """
    try:
        return pyfunc.load_model(str(folder))
    except ModuleNotFoundError as error:
        raise BrokenModel(
            f"its code needs the module {error.name!r}, which is not installed; install the "
            "packages in the folder's requirements.txt"
        ) from error
    except Exception as error:  # of the folder's code
        summary = f"MLflow {version()} cannot load the model ({type(error).__name__})"
        raise BrokenModel(summary, str(error)) from error


def dumps(model: Any, sample: Any = None) -> NoReturn:
    """Raise an error: a model of the code in its folder needs that folder."""
    raise InvalidModel(ONLY_FOLDERS)


def loads(content: bytes, trust: Trust = ()) -> NoReturn:
    """Raise an error: no package has such a model."""
    raise BrokenModel(ONLY_FOLDERS)


def describe(model: Any) -> NoReturn:
    """Raise an error, as :func:`dumps` does."""
    raise InvalidModel(ONLY_FOLDERS)


def schemas(model: Any, sample: Any = None, outputs: Sequence[str] = ()) -> Schemas:
    """Return empty schemas: only the signature, if there is one, describes the rows."""
    return Schemas()


def predictor(model: Any, columns: Mapping[str, Any], outputs: Sequence[str] = ()) -> Predict:
    """Return the function that predicts all rows in one call, and rejects what MLflow rejects."""
    build = _input_builder(model, columns)

    def predict(rows: Rows) -> list[Any]:
        if not rows:
            return []
        table = build(rows)
        try:
            result = model.predict(table)
        except MlflowException as error:  # a value does not fit the signature
            raise InvalidInput(str(error)[:MAX_TEXT]) from error
        return _to_predictions(result, len(rows))

    return predict


def _input_builder(model: Any, columns: Mapping[str, Any]) -> Callable[[Rows], Any]:
    """Return the function from rows to what the signature describes, or else to a data frame."""
    if not columns:
        return _to_frame
    build = frame_builder([Cells(name, name, converter(each)) for name, each in columns.items()])
    inputs = model.metadata.get_input_schema()
    if inputs is None or (inputs.has_input_names() and not inputs.is_tensor_spec()):
        return build
    if inputs.is_tensor_spec():
        return _array_builder(build, inputs.inputs[0])
    # Without names: a list of values, as a PythonModel with type hints takes it.
    names = list(columns)
    return build if len(names) > 1 else lambda rows: [row.get(names[0]) for row in rows]


def _array_builder(build: Callable[[Rows], Any], tensor: Any) -> Callable[[Rows], Any]:
    """Return the function from rows to the array of a signature's only tensor."""

    def to_array(rows: Rows) -> Any:
        array = build(rows).to_numpy(dtype=tensor.type)
        return array if tensor.name is None else {tensor.name: array}

    return to_array


def _to_frame(rows: Rows) -> Any:
    for at, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InvalidInput("must be an object with a member for each column").at(at)
    return pd.DataFrame(list(rows))


def _to_predictions(result: Any, count: int) -> list[Any]:
    """Return the prediction for each row; a frame or several outputs become objects."""
    if isinstance(result, pd.DataFrame | Mapping):
        columns = [(str(name), _to_json(list(values))) for name, values in result.items()]
        return build_rows(count, columns)
    if isinstance(result, pd.Series | np.ndarray | list | tuple):
        return [{"prediction": value} for value in _to_json(list(result))]
    raise TypeError(
        "predict must return a frame, a series, an array or a list with a prediction for each row,"
        f" got {type(result).__name__}"
    )


def _to_json(value: Any) -> Any:
    """Return a value as JSON, with ``None`` for NaN, infinity and missing values.

    :raises TypeError: if JSON lacks such values.
    """
    if isinstance(value, Mapping):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _to_json(value.tolist())
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if value is None or pd.isna(value):
        return None
    written = dtypes.write(value)
    if written is not dtypes.NOT_JSON or isinstance(value, float):
        return None if written is dtypes.NOT_JSON else written
    raise TypeError(f"the prediction has a {type(value).__name__}, which JSON lacks")
