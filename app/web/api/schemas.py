"""marshmallow schemas of the REST API's bodies; apispec adds them to the OpenAPI document."""

from __future__ import annotations

from typing import Any

from marshmallow import INCLUDE, Schema, fields, post_dump


class Body(Schema):
    """A JSON object that may gain members in later versions."""

    class Meta:
        """apispec writes ``additionalProperties: false`` for anything but INCLUDE."""

        unknown = INCLUDE


def doc(description: str, **keywords: object) -> dict[str, Any]:
    """Return the arguments of a field that describe it in the OpenAPI document."""
    return {"metadata": {"description": description, **keywords}}


def text(description: str, **keywords: object) -> fields.String:
    """Return a field for text."""
    return fields.String(**doc(description, **keywords))


class ModelSummary(Body):
    """A model in a list of models."""

    qualified_name = text("The name in paths.", example="iris")
    display_name = text("The name to show to users.", example="Iris species")
    description = text("What the model is for.")
    version = text("The model's own version.", example="1.0.0")
    tags = fields.List(fields.String(), **doc("Tags by which users find the model."))
    status = text(
        "`ready`, `loading`, `lazy` (loaded on first use), `unloaded` (by an operator) or `failed` "
        "(see `reason`).",
        enum=["ready", "loading", "lazy", "unloaded", "failed"],
    )
    reason = fields.String(
        allow_none=True,
        **doc(
            "Why the model failed, or why its replacement failed while this one serves; "
            "null otherwise."
        ),
    )


class ModelList(Body):
    """All models, in the order of ``models.yaml``."""

    models = fields.List(fields.Nested(ModelSummary))


class ModelVersion(ModelSummary):
    """A version in a list of a model's versions."""

    default = fields.Boolean(**doc("Whether the name alone refers to this version."))
    aliases = fields.List(fields.String(), **doc("Other names for the version."))


class ModelVersions(Body):
    """The versions of a model, in the order of ``models.yaml``."""

    versions = fields.List(fields.Nested(ModelVersion))


class Processes(Body):
    """How many processes of the server have applied a change."""

    following = fields.Integer(**doc("Processes that have applied the change."))
    all = fields.Integer(**doc("All processes; 0 if the server has only one."))


class Reloaded(Body):
    """The result of a reload. Models with versions are named as ``iris@2``."""

    done = fields.Boolean(**doc("Whether the reload is complete; false while it continues."))
    generation = fields.Integer(**doc("The number of changes since the start."))
    processes = fields.Nested(Processes)
    loaded = fields.List(fields.String(), **doc("New and replaced models."))
    unchanged = fields.List(fields.String(), **doc("Models that were not loaded again."))
    removed = fields.List(fields.String(), **doc("Models that are no longer hosted."))
    failed = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        **doc("Models that failed to load, with the reason. A previous model continues to serve."),
    )


class Artifact(Body):
    """A file inside a packaged model."""

    name = text("The file's name.")
    size_bytes = fields.Integer(**doc("The file's size in bytes."))


class Endpoint(Body):
    """A method that a model's author exposes in addition to predict."""

    name = text("The last part of the endpoint's path.")
    methods = fields.List(fields.String())
    description = text("What the endpoint returns.")
    input_schema = fields.Raw(allow_none=True, **doc("JSON Schema of a row."))
    output_schema = fields.Raw(allow_none=True, **doc("JSON Schema of a prediction."))


class Version(Body):
    """A package's version when the model was packaged, and its installed version."""

    package = text("The package, or `python`.")
    packaged = text("The version at packaging.")
    running = fields.String(allow_none=True, **doc("The installed version; null if not installed."))
    drifted = fields.Boolean(**doc("Whether predictions may differ between these versions."))


class Parity(Body):
    """The comparison of a compiled graph with its model."""

    rows = fields.Integer(**doc("Rows that both predicted."))
    probes = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        **doc("The number of rows of each kind."),
    )
    largest_difference = fields.Float(
        **doc("The largest difference between two predicted numbers.")
    )
    left = fields.Integer(
        **doc("Rows that the graph does not support; the model itself predicts such rows.")
    )


class Runtime(Body):
    """The runtime of a model that requests a compiled graph."""

    asked = text("The runtime that the entry or the file requests.", enum=["onnx", "auto"])
    name = text("The runtime in use, with its version.", example="ONNX Runtime 1.31.1")
    compiled = fields.Boolean(**doc("Whether a compiled graph is in use."))
    reason = text("Why no compiled graph is in use.")
    parity = fields.Nested(Parity)


class _Packaged(ModelSummary):
    """Common fields of metadata and inspection. Most of them come from a packaged file."""

    framework = text("Name and version of the model's framework.", example="scikit-learn 1.9.1")
    id = text("The file's id.")
    timestamp = text("When the file was packaged (ISO 8601).")
    sha256 = text("The SHA-256 of a file that is not a package.")
    size_bytes = fields.Integer(**doc("The file's size in bytes."))
    versions = fields.List(fields.Nested(Version))
    runtime = fields.Nested(Runtime)
    params = fields.Raw(allow_none=True, **doc("Training parameters."))
    metrics = fields.Raw(allow_none=True, **doc("Quality figures."))
    extra = fields.Raw(allow_none=True, **doc("Other metadata from the author."))
    artifacts = fields.List(fields.Nested(Artifact))


class ModelMetadata(_Packaged):
    """The facts needed to call a model."""

    input_schema = fields.Raw(
        allow_none=True,
        **doc("JSON Schema of a row; null if any JSON is accepted."),
    )
    output_schema = fields.Raw(
        allow_none=True,
        **doc("JSON Schema of a prediction; null if unspecified."),
    )
    loaded = fields.Boolean(**doc("Whether the model is ready."))
    processes = fields.Nested(Processes, **doc("Only in responses to load and unload."))
    examples = fields.List(fields.Raw(), **doc("Example rows."))
    example_names = fields.List(
        fields.String(), **doc("Names of the example rows, in the same order; may be shorter.")
    )
    notes = fields.List(
        fields.String(),
        **doc("Warnings for the model's author, such as an example that it does not predict."),
    )
    endpoints = fields.List(fields.Nested(Endpoint))


class ModelInspection(_Packaged):
    """How a model was built: framework, versions and parameters."""

    class_ = fields.String(data_key="class", attribute="class", **doc("The class of the model."))
    info = fields.Raw(
        allow_none=True,
        **doc("Facts from the framework, such as scikit-learn's parameters."),
    )


class SheetLine(Body):
    """A line of a CSV file or of a workbook's sheet."""

    line = fields.Integer(**doc("The number of the line in the file, from 1."))
    cells = fields.Raw(
        allow_none=True,
        attribute="values",
        **doc(
            "A cell for each of `columns`: a converted value if the column is in `known`, "
            "else the unchanged text; null if the line has a problem."
        ),
    )
    blank = fields.List(
        fields.Integer(),
        **doc("Positions in `cells`, from 0, that are omitted from the row."),
    )
    problem = text("Why the line has no cells; empty if it has.")


class SheetRows(Body):
    """A CSV file or a workbook, matched with a model's input schema."""

    columns = fields.List(
        fields.String(),
        **doc("All columns in order, each with the name of the member it matches."),
    )
    known = fields.List(fields.String(), **doc("Columns that belong to the rows."))
    unknown = fields.List(fields.String(), **doc("Columns that do not."))
    missing = fields.Dict(
        keys=fields.String(),
        values=fields.Boolean(),
        **doc("Members without a column, and whether each is required."),
    )
    decimal = fields.String(
        allow_none=True,
        **doc(
            "The decimal mark of the numbers; null if all are ambiguous, in which case "
            "they stay strings.",
            enum=[".", ",", None],
        ),
    )
    encoding = fields.String(
        allow_none=True,
        **doc("The encoding of a CSV file: `utf-8`, `utf-16` or `windows-1252`."),
    )
    sheet = fields.String(
        allow_none=True,
        **doc("The name of the sheet that was read from a workbook."),
    )
    lines = fields.List(fields.Nested(SheetLine))


class Columns(Schema):
    """Rows by columns, as pandas' ``to_json(orient="split")`` writes a data frame."""

    columns = fields.List(
        fields.String(),
        required=True,
        **doc("The names of the rows' members.", uniqueItems=True),
    )
    index = fields.List(
        fields.Raw(allow_none=True),
        **doc("A label for each row, or an empty list; not passed to the model."),
    )
    data = fields.List(
        fields.List(fields.Raw(allow_none=True)),
        required=True,
        **doc("The rows, each a list with one value for each column."),
    )


class JobRows(Body):
    """The rows of a job."""

    read = fields.Integer(**doc("Rows that were read from the file so far."))
    valid = fields.Integer(**doc("Rows that have a prediction."))
    invalid = fields.Integer(**doc("Rows that have none, see `/api/jobs/{job_id}/problems`."))
    expected = fields.Integer(
        allow_none=True,
        **doc("Rows of the whole file: an estimate until it is read; null at the beginning."),
    )


class JobLinks(Body):
    """The paths of a job."""

    self = text("The job.")
    result = text("The valid rows with their predictions.")
    problems = text("The invalid rows.")


class JobDocument(Body):
    """A file whose rows a model predicts in the background."""

    id = text("The id of the job.")
    model = text("The model, or its name and version.", example="iris")
    file = text("The name of the file, if the client sent it.")
    format = text(
        "How the file is read: `csv`, also for a workbook or Parquet that was sent without its own "
        "media type, `xlsx`, `parquet` or `ndjson`.",
        enum=["csv", "xlsx", "parquet", "ndjson"],
    )
    owner = text("The name of the key that created the job, empty for none; for admin keys only.")
    state = text(
        "`waiting`, `running`, `done`, `failed` (see `reason`) or `cancelled`.",
        enum=["waiting", "running", "done", "failed", "cancelled"],
    )
    reason = text("Why the job failed; empty otherwise.")
    size_bytes = fields.Integer(**doc("The size of the file."))
    caution = fields.Boolean(**doc("Whether the result has a column of cautions."))
    explain = fields.Boolean(**doc("Whether the result has columns of reasons."))
    rows = fields.Nested(JobRows)
    progress = fields.Float(**doc("The share of the rows that are done, from 0 to 1."))
    rows_per_second = fields.Float(allow_none=True, **doc("The rate while it is worked on."))
    seconds_left = fields.Float(allow_none=True, **doc("An estimate; null if unknown."))
    created = fields.Float(**doc("When the job was created, in seconds since 1970."))
    started = fields.Float(allow_none=True, **doc("When it was started or resumed."))
    finished = fields.Float(allow_none=True, **doc("When it finished."))
    expires = fields.Float(allow_none=True, **doc("When the job and its results are removed."))
    links = fields.Nested(JobLinks)


class JobList(Body):
    """Jobs, the newest first."""

    jobs = fields.List(fields.Nested(JobDocument))
    next = fields.String(allow_none=True, **doc("The path of the jobs behind these, if any."))


class FieldError(Body):
    """One violation in the body."""

    pointer = text("JSON Pointer (RFC 6901) to the value in the body.", example="/age")
    detail = text("What was expected and what was received.", example="must be at least 0, got -4")


class Problem(Body):
    """An error (RFC 9457)."""

    type = text("The type of the problem: the URL of its description.")
    title = text("The title of the type.")
    status = fields.Integer(**doc("The HTTP status."))
    detail = text("What caused this problem.")
    request_id = text("The id of the request, which the server's log contains too.")
    errors = fields.List(
        fields.Nested(FieldError),
        **doc("All violations of the schema, at most 200."),
    )


class Caution(Body):
    """A value that differs from the data that the model was trained on."""

    pointer = text("JSON Pointer to the value in the row.", example="/income")
    kind = text("What is unusual about it.", enum=["outside-range", "unseen-category", "blank"])
    expected = fields.List(
        fields.Raw(),
        allow_none=True,
        **doc("The lowest and highest number, or common choices; null for a blank."),
    )
    received = fields.Raw(allow_none=True, **doc("The value; null if it is blank."))
    detail = text("The same as a sentence.")


class RowResult(Body):
    """The result for a row of a request with ``partial=true`` or ``caution=true``."""

    prediction = fields.Raw(**doc("The prediction."))
    cautions = fields.List(
        fields.Nested(Caution),
        allow_none=True,
        **doc("With `caution=true`."),
    )
    problem = fields.Nested(Problem, **doc("Why there is none. Pointers are into the row."))


class Health(Body):
    """The health of the process."""

    status = text("Always `ok`.", enum=["ok"])


class ModelState(Body):
    """The state of one model."""

    status = text("As in the list of models.")
    reason = fields.String(allow_none=True, **doc("Why the model failed."))


class Readiness(Body):
    """The readiness of the server."""

    status = text(
        "Whether the models required by `READY_WHEN` are available.", enum=["ready", "not ready"]
    )
    models = fields.Dict(keys=fields.String(), values=fields.Nested(ModelState))
    mistakes = fields.List(
        fields.String(),
        **doc("Mistakes in models.yaml, by line and key. The loaded models continue to serve."),
    )
    waits_for = fields.List(fields.String(), **doc("Models that must be available and are not."))
    isolation = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        **doc(
            "The isolated models: `isolated, sandboxed`, or `isolated, not sandboxed` "
            "where the kernel cannot restrict them."
        ),
    )

    @post_dump
    def omit_isolation(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Omit ``isolation`` if no model is isolated."""
        if not data.get("isolation"):
            data.pop("isolation", None)
        return data


class FieldEffect(Body):
    """How much one field of a row moves the explained number."""

    name = text("The field, or the word of a text.")
    value = fields.Raw(allow_none=True, **doc("Its value in the row; null if it has none."))
    effect = fields.Float(**doc("What the field adds to the number, compared with typical rows."))


class FieldChange(Body):
    """Another value for one field of a row, with which the model predicts another label."""

    name = text("The field.")
    value = fields.Raw(allow_none=True, **doc("The value to which it changes."))
    label = fields.Raw(allow_none=True, **doc("The label that the model predicts then."))


class Explanation(Body):
    """Why the prediction for a row is what it is: what each field adds to it."""

    prediction = fields.Float(**doc("The number that is explained; see `explains`."))
    base = fields.Float(**doc("The mean of the same number over typical rows."))
    explains = text(
        "What the number is: the predicted `number`, the `probability` of `class`, or, for a model "
        "without probabilities, 1 where it predicts the `label` `class` and 0 elsewhere.",
        enum=["number", "probability", "label"],
    )
    class_ = fields.String(
        data_key="class",
        attribute="class",
        allow_none=True,
        **doc("The explained class: that of the query, else the predicted one."),
    )
    output = text("The JSON Pointer of the explained value; empty if it is the prediction.")
    label = fields.Raw(allow_none=True, **doc("The predicted label; null if there is none."))
    effects = fields.List(
        fields.Nested(FieldEffect),
        data_key="fields",
        **doc("The effects, the largest first. They add up to `prediction` minus `base`."),
    )
    held = fields.List(
        fields.String(),
        **doc("Members that keep their values, as the reference profile has none to compare with."),
    )
    typical_rows = fields.Integer(**doc("The typical rows with which the row was compared."))
    method = text(
        "`exact`: every combination of fields was evaluated, or the model is linear. "
        "`permutations`: fields were replaced in random orders. With `words-`, the words of a text "
        "were left out.",
        enum=["exact", "permutations", "words-exact", "words-permutations"],
    )
    rows_evaluated = fields.Integer(**doc("The rows that the model predicted for it."))
    standard_error = fields.Float(**doc("The largest standard error of an effect; 0 if exact."))
    change = fields.Nested(
        FieldChange,
        allow_none=True,
        **doc(
            "The smallest change of one field to another label; null if none of the values tried, "
            "within the range of the training data, leads to one."
        ),
    )


class GivenTruth(Body):
    """What turned out to be true for a prediction."""

    request_id = fields.String(required=True, **doc("The `X-Request-ID` of the prediction."))
    row = fields.Integer(**doc("The index of the row in the request, by default 0.", minimum=0))
    line = fields.Integer(
        **doc("For a job, instead of `row`: the `line` in its result.", minimum=1)
    )
    time = fields.DateTime(
        format="iso", **doc("The time of the prediction, if several have the request id.")
    )
    truth = fields.Raw(required=True, **doc("The true value, or an array of them."))


class StoredTruths(Body):
    """How many truths were stored."""

    stored = fields.Integer(**doc("Truths whose predictions are in the log."))
    not_logged = fields.Integer(**doc("Truths whose predictions are not, which were not stored."))


class TruthPeriod(Body):
    """The metrics of the predictions of a week, or of all weeks."""

    start = fields.Date(allow_none=True, **doc("The Monday of the week; null for all weeks."))
    rows = fields.Integer(**doc("Predictions whose truth is known."))
    metrics = fields.Dict(
        keys=fields.String(),
        values=fields.Float(),
        **doc(
            "Of classes: `accuracy`, `log_loss`, `roc_auc`, `calibration_error`. Of numbers: "
            "`mean_absolute_error`, `bias` (prediction minus truth), `r2`. Those of another output "
            "than the main one have its name in front: `price.bias`."
        ),
    )


class TruthMetrics(Body):
    """The metrics of predictions whose truth is known."""

    file = fields.Dict(**doc("The metrics that the model's file has from its training."))
    total = fields.Nested(TruthPeriod)
    weeks = fields.List(fields.Nested(TruthPeriod))
