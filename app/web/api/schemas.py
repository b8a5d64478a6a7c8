"""marshmallow schemas of the REST API's bodies; apispec adds them to the OpenAPI document."""

from __future__ import annotations

from typing import Any

from marshmallow import INCLUDE, Schema, fields, post_dump


class Body(Schema):
    """A JSON object that may gain members in later versions."""

    class Meta:
        """apispec writes ``additionalProperties: false`` for anything but INCLUDE."""

        unknown = INCLUDE


def _text(description: str, **keywords: object) -> fields.String:
    return fields.String(metadata={"description": description, **keywords})


class ModelSummary(Body):
    """A model in a list of models."""

    qualified_name = _text("The name in addresses.", example="iris")
    display_name = _text("The name for people.", example="Iris species")
    description = _text("What the model is for.")
    version = _text("The model's own version.", example="1.0.0")
    tags = fields.List(fields.String(), metadata={"description": "Words to find the model by."})
    status = _text(
        "`ready`, `loading`, `lazy` (is loaded on first use), `unloaded` (was taken out) or "
        "`failed` (see `reason`).",
        enum=["ready", "loading", "lazy", "unloaded", "failed"],
    )
    reason = fields.String(
        allow_none=True,
        metadata={
            "description": "Why the model failed, or, if it answers, why the one that was to take "
            "its place did; null if none did."
        },
    )


class ModelList(Body):
    """All models, in the order of ``models.yaml``."""

    models = fields.List(fields.Nested(ModelSummary))


class ModelVersion(ModelSummary):
    """A version in a list of a model's versions."""

    default = fields.Boolean(metadata={"description": "Whether it answers for the name alone."})
    aliases = fields.List(fields.String(), metadata={"description": "Other words for it."})


class ModelVersions(Body):
    """The versions of a model, in the order of ``models.yaml``."""

    versions = fields.List(fields.Nested(ModelVersion))


class Processes(Body):
    """How many processes of the server have applied a change."""

    following = fields.Integer(metadata={"description": "How many have made it."})
    all = fields.Integer(metadata={"description": "How many there are; 0: only the one asked."})


class Reloaded(Body):
    """The result of a reload. A model with a version is named with it: ``iris@2``."""

    done = fields.Boolean(metadata={"description": "Whether it is done; if not, it goes on."})
    generation = fields.Integer(metadata={"description": "How often the models have changed."})
    processes = fields.Nested(Processes)
    loaded = fields.List(fields.String(), metadata={"description": "New, or in the old's place."})
    unchanged = fields.List(fields.String(), metadata={"description": "Not loaded again."})
    removed = fields.List(fields.String(), metadata={"description": "Are no more."})
    failed = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={"description": "Could not be loaded, and why. An old one answers, if it did."},
    )


class Artifact(Body):
    """A file inside a packaged model."""

    name = _text("The file's name.")
    size_bytes = fields.Integer(metadata={"description": "Its size."})


class Endpoint(Body):
    """A method that a model's author exposes beside predict."""

    name = _text("The last part of its address.")
    methods = fields.List(fields.String())
    description = _text("What it answers.")
    input_schema = fields.Raw(allow_none=True, metadata={"description": "JSON Schema of a row."})
    output_schema = fields.Raw(
        allow_none=True, metadata={"description": "JSON Schema of an answer."}
    )


class Version(Body):
    """A package's version when the model was packaged, and its installed version."""

    package = _text("The package, or `python`.")
    packaged = _text("Its version then.")
    running = fields.String(
        allow_none=True, metadata={"description": "Its version now; null: not installed."}
    )
    drifted = fields.Boolean(metadata={"description": "Whether answers may differ for it."})


class Parity(Body):
    """The comparison of a compiled graph with its model."""

    rows = fields.Integer(metadata={"description": "Rows on which both were asked."})
    probes = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": "How many of these were of which kind."},
    )
    largest_difference = fields.Float(metadata={"description": "Between two numbers of answers."})
    left = fields.Integer(
        metadata={"description": "Rows that the graph does not take: the model answers such."}
    )


class Runtime(Body):
    """The runtime of a model that requests a compiled graph."""

    asked = _text("What the entry or the file asks for.", enum=["onnx", "auto"])
    name = _text("What answers, with its version.", example="ONNX Runtime 1.31.1")
    compiled = fields.Boolean(metadata={"description": "Whether that is the model's graph."})
    reason = _text("Why it is not.")
    parity = fields.Nested(Parity)


class _Packaged(ModelSummary):
    """Common fields of metadata and inspection. Most of them come from a packaged file."""

    framework = _text("Name and version of what it was made with.", example="scikit-learn 1.9.1")
    id = _text("The file's id.")
    timestamp = _text("When the file was packaged (ISO 8601).")
    sha256 = _text("The file's SHA-256, of a file without a package.")
    size_bytes = fields.Integer(metadata={"description": "Its size."})
    versions = fields.List(fields.Nested(Version))
    runtime = fields.Nested(Runtime)
    params = fields.Raw(allow_none=True, metadata={"description": "What it was trained with."})
    metrics = fields.Raw(allow_none=True, metadata={"description": "How good it was."})
    extra = fields.Raw(allow_none=True, metadata={"description": "What its author added."})
    artifacts = fields.List(fields.Nested(Artifact))


class ModelMetadata(_Packaged):
    """The facts needed to call a model."""

    input_schema = fields.Raw(
        allow_none=True, metadata={"description": "JSON Schema of a row; null: anything goes."}
    )
    output_schema = fields.Raw(
        allow_none=True, metadata={"description": "JSON Schema of an answer; null: no promise."}
    )
    loaded = fields.Boolean(metadata={"description": "Whether it answers now."})
    processes = fields.Nested(Processes, metadata={"description": "After load and unload."})
    examples = fields.List(fields.Raw(), metadata={"description": "Rows to try the model with."})
    endpoints = fields.List(fields.Nested(Endpoint))


class ModelInspection(_Packaged):
    """How a model was built: framework, versions and parameters."""

    class_ = fields.String(
        data_key="class", attribute="class", metadata={"description": "The class of the model."}
    )
    info = fields.Raw(
        allow_none=True,
        metadata={"description": "What its framework tells of it: scikit-learn's parameters."},
    )


class SheetLine(Body):
    """A line of a CSV file or of a workbook's sheet."""

    line = fields.Integer(metadata={"description": "Where it begins in the file, from 1."})
    cells = fields.Raw(
        allow_none=True,
        attribute="values",
        metadata={
            "description": "A cell for each of `columns`: values, where the column is one of "
            "`known`, else texts as they stand; null if the line has a problem."
        },
    )
    blank = fields.List(
        fields.Integer(),
        metadata={"description": "Places in `cells`, from 0, of those that are left out of a row."},
    )
    problem = _text("Why it has no cells; empty if it has.")


class SheetRows(Body):
    """A CSV file or a workbook, matched with a model's input schema."""

    columns = fields.List(
        fields.String(),
        metadata={
            "description": "All columns, in order: by the name of the member that each means."
        },
    )
    known = fields.List(fields.String(), metadata={"description": "Those that are in the rows."})
    unknown = fields.List(fields.String(), metadata={"description": "Those that are not."})
    missing = fields.Dict(
        keys=fields.String(),
        values=fields.Boolean(),
        metadata={"description": "Members without a column, and whether a row must have them."},
    )
    decimal = fields.String(
        allow_none=True,
        metadata={
            "description": "The decimal mark with which the cells were read; null if the file "
            "shows none and has numbers that could mean either: these stay texts.",
            "enum": [".", ",", None],
        },
    )
    encoding = fields.String(
        allow_none=True,
        metadata={"description": "How a CSV file is encoded: `utf-8`, `utf-16`, `windows-1252`."},
    )
    sheet = fields.String(
        allow_none=True, metadata={"description": "The sheet of a workbook that was read."}
    )
    lines = fields.List(fields.Nested(SheetLine))


class Columns(Schema):
    """Rows written by columns, as pandas' ``to_json(orient="split")`` writes a frame."""

    columns = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "The names of the rows' members.", "uniqueItems": True},
    )
    index = fields.List(
        fields.Raw(allow_none=True),
        metadata={
            "description": "The lines' names, one for each, or none; the model does not see them."
        },
    )
    data = fields.List(
        fields.List(fields.Raw(allow_none=True)),
        required=True,
        metadata={"description": "The rows: each a list of its values, one for each column."},
    )


class FieldError(Body):
    """One violation in the body."""

    pointer = _text("JSON Pointer (RFC 6901) to the value in the body.", example="/age")
    detail = _text("What is wrong with it.", example="must be at least 0, got -4")


class Problem(Body):
    """An error (RFC 9457)."""

    type = _text("Which kind of error, as an address of its description.")
    title = _text("The kind of error in words.")
    status = fields.Integer(metadata={"description": "The HTTP status."})
    detail = _text("What was wrong this time.")
    request_id = _text("The id of the request, also in the server's log.")
    errors = fields.List(
        fields.Nested(FieldError),
        metadata={"description": "Of a schema violation: everything that is wrong."},
    )


class Health(Body):
    """The health of the process."""

    status = _text("Always `ok`.", enum=["ok"])


class ModelState(Body):
    """The state of one model."""

    status = _text("As in the list of models.")
    reason = fields.String(allow_none=True, metadata={"description": "Why the model failed."})


class Readiness(Body):
    """The readiness of the server."""

    status = _text("`ready`, or `not ready`, see `READY_WHEN`.", enum=["ready", "not ready"])
    models = fields.Dict(keys=fields.String(), values=fields.Nested(ModelState))
    mistakes = fields.List(
        fields.String(),
        metadata={"description": "Places of mistakes in models.yaml: the models before it go on."},
    )
    waits_for = fields.List(
        fields.String(), metadata={"description": "The models that must answer, and cannot."}
    )
    isolation = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={
            "description": "The isolated models: `isolated, sandboxed`, or "
            "`isolated, not sandboxed` where the kernel cannot restrict them."
        },
    )

    @post_dump
    def omit_isolation(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Omit ``isolation`` if no model is isolated."""
        if not data.get("isolation"):
            data.pop("isolation", None)
        return data
