"""The interface of a model, and functions that write, read and inspect model files.

from mlmodel import dump, load

dump(pipeline, "credit.flm", metrics={"roc_auc": 0.91})
load("credit.flm").predict({"age": 42, "income": 51_000})
"""

from mlmodel.bounded.metadata import Meta
from mlmodel.declarations.endpoints import endpoint
from mlmodel.errors import FlmError, InvalidFile, InvalidInput
from mlmodel.files.dump import dump
from mlmodel.files.packaged import PackagedModel, load
from mlmodel.files.report import Inspection, inspect
from mlmodel.model import MLModel

__all__ = [
    "FlmError",
    "Inspection",
    "InvalidFile",
    "InvalidInput",
    "MLModel",
    "Meta",
    "PackagedModel",
    "dump",
    "endpoint",
    "inspect",
    "load",
]
