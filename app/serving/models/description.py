"""What pages, API and log show of a hosted model."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from app.serving.calls.methods import PREDICT
from app.serving.calls.to_json import to_json
from app.serving.catalog.model_spec import ModelSpec
from app.serving.isolation.isolated import IsolatedModel
from app.serving.models.endpoints import HostedEndpoint
from app.serving.prediction_log.policy import LogPolicy
from mlmodel.bounded import sizes
from mlmodel.errors import BadMetadata
from mlmodel.model import MLModel, display_name
from mlmodel.reference import profile
from mlmodel.reference.profile import Profile
from mlmodel.schema.validator import Schema

#: Libraries of boosters, and their names.
BOOSTERS = {"catboost": "CatBoost", "lightgbm": "LightGBM", "xgboost": "XGBoost"}
#: Descriptions of the process of an isolated model.
SANDBOXED, UNSANDBOXED = "isolated, sandboxed", "isolated, not sandboxed"
#: JSON Schemas of the metadata members that pages and tools read.
SHAPES = {
    "artifacts": {
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "size_bytes": {"type": "integer", "minimum": 0},
            },
            "required": ["name", "size_bytes"],
        },
    },
    "extra": {"type": ["object", "null"]},
    "metrics": {"type": ["object", "null"]},
    "params": {"type": ["object", "null"]},
    "runtime": {
        "type": ["object", "null"],
        "properties": {
            "name": {"type": "string"},
            "compiled": {"type": "boolean"},
            "reason": {"type": "string"},
            "parity": {
                "type": "object",
                "properties": {
                    "rows": {"type": "integer"},
                    "largest_difference": {"type": "number"},
                },
                "required": ["rows", "largest_difference"],
            },
        },
        "required": ["name", "compiled"],
    },
    "size_bytes": {"type": "integer", "minimum": 0},
    "versions": {
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "properties": {
                "package": {"type": "string"},
                "packaged": {"type": "string"},
                "running": {"type": ["string", "null"]},
                "drifted": {"type": "boolean"},
            },
            "required": ["package", "packaged", "running"],
        },
    },
}
_SCHEMA = Schema({"properties": SHAPES})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Description:
    """Texts, schemas and examples of a model.

    A model's properties may be slow or fail, so they are read once: the texts when the model is
    created, everything else when it is loaded, or before if that is possible. A description is
    replaced as a whole.
    """

    display_name: str
    description: str = ""
    version: str = ""
    #: Further facts as JSON.
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: The distributions of the training data; ``None`` if they are not known.
    profile: Profile | None = None
    #: Installed packages that run the model, the Python version, and its process if isolated.
    runtime: str = ""
    #: The input schema of the entry, which overrides the model's own.
    entry_schema: Mapping[str, Any] | None = None
    #: Empty if the model is not loaded, and its schemas cannot be read before.
    endpoints: Mapping[str, HostedEndpoint] = field(default_factory=dict)
    #: Rows that satisfy the input schema.
    examples: Sequence[Any] = ()
    #: The names of the first examples.
    example_names: Sequence[str] = ()
    #: Whether the author provides the examples; otherwise the input schema yields one.
    has_own_examples: bool = False
    #: The author's doubts about the schemas.
    notes: tuple[str, ...] = ()
    #: Why the model does not predict its first example; empty if it does, or was not tried.
    failing_example: str = ""
    #: :data:`SANDBOXED` or :data:`UNSANDBOXED`; ``None`` if the model is not isolated.
    isolation: str | None = None

    @property
    def framework(self) -> str:
        """Name and version of the model's framework; empty if its metadata names none.

        A booster with the interface of scikit-learn is packaged as a model of scikit-learn.
        """
        for each in self.metadata.get("versions") or ():
            if each["package"] in BOOSTERS:
                return f"{BOOSTERS[each['package']]} {each['packaged']}"
        return str(self.metadata.get("framework") or "")

    @property
    def input_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of a row; ``None`` if any row is valid or it is not known yet."""
        predict = self.endpoints.get(PREDICT)
        return self.entry_schema if predict is None else predict.input_schema

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of a prediction; ``None`` if any is valid or it is not known yet."""
        predict = self.endpoints.get(PREDICT)
        return None if predict is None else predict.output_schema

    def list_notes(self, log_policy: LogPolicy | None) -> tuple[str, ...]:
        """Return the notes, and a doubt about the log policy if a row may have any fields."""
        unknown = "" if self._is_closed else self._find_unknown(log_policy)
        return (*self.notes, unknown) if unknown else self.notes

    def find_log_mistake(self, log_policy: LogPolicy | None) -> str:
        """Return why a log policy does not fit the schemas, as far as they are known, or ``""``."""
        return self._find_unknown(log_policy) if self._is_closed else ""

    @property
    def _is_closed(self) -> bool:
        predict = self.endpoints.get(PREDICT)
        return predict is not None and predict.is_closed

    def _find_unknown(self, log_policy: LogPolicy | None) -> str:
        if log_policy is None:
            return ""
        return log_policy.find_unknown(self.input_schema or True, self.output_schema or True)

    @classmethod
    def from_entry(cls, spec: ModelSpec) -> Description:
        """Return what an entry describes, before its model is created."""
        return cls(
            spec.provisional_name,
            runtime=_runtime({}, spec),
            entry_schema=spec.input_schema,
            examples=list(spec.examples),
            example_names=list(spec.example_names),
            has_own_examples=bool(spec.examples),
        )

    @property
    def runtime_kind(self) -> str:
        """``"onnx"`` if a compiled graph predicts, else ``"native"``."""
        return "onnx" if (self.metadata.get("runtime") or {}).get("compiled") else "native"

    def with_texts(self, model: MLModel, spec: ModelSpec, name: str) -> Description:
        """Return the description with the texts of a created model."""
        metadata = {"class": type(model).__qualname__, **check_metadata(model.metadata, name)}
        isolation = None
        if isinstance(model, IsolatedModel):
            isolation = UNSANDBOXED if model.unsandboxed else SANDBOXED
        return replace(
            self,
            display_name=sizes.check_text("display_name", display_name(model)),
            description=sizes.check_text("description", str(model.description)),
            version=spec.version or sizes.check_text("version", str(model.version)),
            metadata=metadata,
            profile=_read_profile(metadata, name),
            runtime=_runtime(metadata, spec),
            isolation=isolation,
        )

    def with_endpoints(
        self, model: MLModel, spec: ModelSpec, endpoints: Mapping[str, HostedEndpoint]
    ) -> Description:
        """Return the description with the endpoints, notes and examples of a model."""
        generated = endpoints[PREDICT].input.example()
        fallback = [] if generated is None else [generated]
        examples = to_json([*(spec.examples or model.examples or fallback)])
        sizes.check_examples(examples)
        names = spec.example_names or (() if spec.examples else model.example_names)
        return replace(
            self,
            endpoints=endpoints,
            profile=_matching(self.profile, endpoints[PREDICT].input_schema),
            examples=examples,
            example_names=[
                sizes.check_text("example_names", str(name)) for name in names[: len(examples)]
            ],
            has_own_examples=bool(spec.examples or model.examples),
            notes=(
                *sizes.cut_notes(model.notes),
                *_describe_defaults(endpoints[PREDICT].input),
            ),
            failing_example="",
        )

    def with_calls(self, call: Callable[..., Any] | None) -> Description:
        """Return the description of a dropped model, without endpoints unless a call loads it.

        An endpoint may call the model's method directly, and would keep the model in memory.

        :param call: takes the name of an endpoint and rows.
        """
        if call is None:
            return replace(self, endpoints={})
        endpoints = {
            name: replace(each, predict=partial(call, name))
            for name, each in self.endpoints.items()
        }
        return replace(self, endpoints=endpoints)


def _describe_defaults(schema: Schema) -> Iterator[str]:
    for name in sorted(schema.invalid_defaults):
        yield f"the default of the field {name!r} violates its own schema, and is not used"


def _matching(profile: Profile | None, schema: Mapping[str, Any] | None) -> Profile | None:
    """Return the profile of the fields that an input schema names: an entry may rename them."""
    names = (schema or {}).get("properties")
    if profile is None or not isinstance(names, Mapping):
        return profile
    fields = {name: each for name, each in profile.fields.items() if name in names}
    return replace(profile, fields=fields)


def _runtime(metadata: Mapping[str, Any], spec: ModelSpec) -> str:
    packages = [
        f"{each['package']} {each['running']}"
        for each in metadata.get("versions") or ()
        if each.get("running") and each["package"] != "python"
    ]
    chosen = metadata.get("runtime") or {}
    if chosen.get("compiled"):
        packages.insert(0, str(chosen["name"]))
    packages.append(f"Python {platform.python_version()}")
    if spec.is_isolated:
        packages.append("a shared process" if spec.shares_process else "a process of its own")
    return ", ".join(packages)


def check_metadata(metadata: Any, model: str) -> dict[str, Any]:
    """Return a model's metadata as JSON, without members that violate :data:`SHAPES`.

    :param metadata: any value that the author has set.
    :param model: the model's name, for the warnings about omitted members.
    """
    document = to_json(metadata)
    if not isinstance(document, Mapping):
        log.warning("model %r: ignoring its metadata: must be an object", model)
        return {}
    wrong = _SCHEMA.violations(document)
    names = {each.pointer.split("/")[1]: each for each in reversed(wrong)}
    for each in names.values():
        log.warning("model %r: in its metadata, %s %s", model, each.pointer, each.detail)
    return {name: value for name, value in document.items() if name not in names}


def _read_profile(metadata: Mapping[str, Any], model: str) -> Profile | None:
    """Return the reference profile in a model's metadata; ``None`` if it has none.

    :param model: the model's name, for the warning about an invalid profile.
    """
    document = (metadata.get("extra") or {}).get(profile.KEY)
    if document is None:
        return None
    try:
        return Profile.from_json(document)
    except BadMetadata as error:
        log.warning("model %r: ignoring its reference profile: %s", model, error)
        return None
