"""The pages: all models, one model, its form, the jobs, and the API reference."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from weakref import WeakKeyDictionary

from flask import Blueprint, Flask, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from app.serving.calls.methods import PREDICT
from app.serving.errors import ServingError
from app.serving.explaining.cautions import list_cautions
from app.serving.explaining.explanation import get_outputs, is_explainable
from app.serving.models.hosted import HostedModel
from app.serving.models.state import Status
from app.serving.process import metrics
from app.serving.tables import csv_file
from app.web.api.bodies.request_body import parse_json, read_form_field
from app.web.api.prediction import get_model_headers
from app.web.http import access
from app.web.http.extension import modelhost
from app.web.http.problems import all_problems, build_problem
from app.web.mcp.tools import get_tool_name
from app.web.pages import artifacts, example_table, forms, model_list
from app.web.pages.card import build_card, name_metric
from app.web.pages.display import labels, markdown
from app.web.pages.display.output_labels import get_output_labels
from app.web.pages.display.truth_input import build_truth_input
from app.web.pages.what_if import Axis, get_axes
from mlmodel.errors import FlmError
from mlmodel.schema.shape import Shape, is_number
from mlmodel.schema.validator import Schema

blueprint = Blueprint("pages", __name__)

#: Cache of the axes of a schema, for as long as a model uses the schema.
_AXES: WeakKeyDictionary[Schema, list[Axis]] = WeakKeyDictionary()


def init_app(app: Flask) -> None:
    """Register the pages."""
    app.register_blueprint(blueprint)
    markdown.init_app(app)
    app.add_template_global(model_list.STATUSES, "statuses")


@blueprint.get("/")
def index() -> str:
    """Show all models, or those that match the search ``q``, in groups by ``by``."""
    manager = modelhost().manager
    usage = metrics.read_usage(metrics.get_registry())
    versions = model_list.count_versions(manager.models())
    cards = model_list.build_cards(access.visible(manager.defaults()), usage, versions)
    if access.has_scope(access.Scope.ADMIN):
        cards = model_list.failed_first(cards)
    search, by = request.args.get("q", "").strip(), request.args.get("by", "")
    return render_template(
        "index.html",
        groups=model_list.group_cards(cards, by) if cards else [],
        by=by,
        search=search,
        count=len(cards),
        failed=sum(card.model.status is Status.FAILED for card in cards),
        has_tags=any(card.model.spec.tags for card in cards),
        found=[card.model.name for card in cards if card.is_found(search)],
        has_many=len(cards) > model_list.MANY,
    )


@blueprint.get("/models/<name>")
def model(name: str) -> ResponseReturnValue:
    """Redirect to a model's page."""
    return redirect(url_for("pages.metadata", name=name))


@blueprint.get("/models/<name>/metadata")
def metadata(name: str) -> str:
    """Show a model's description, input and output."""
    model = modelhost().manager.get_described(name)
    examples = labels.with_short_numbers(model.about.examples)
    return render_template(
        "model.html",
        model=model,
        family=modelhost().manager.versions(name),
        inputs=_fields(model.input_schema, examples),
        outputs=_fields(model.output_schema),
        input_schema=_as_json(model.input_schema),
        output_schema=_as_json(model.output_schema),
        examples=[
            (example.name, _as_json(example.row))
            for example in example_table.name_examples(examples, model.about.example_names)
        ],
        card=build_card(model),
        metrics=_metrics(model.about.metadata.get("metrics")),
        usage=model_list.usage_text(metrics.read_usage(metrics.get_registry())[model.unique_name]),
        params=_facts(model.about.metadata.get("params")),
        settings=_facts(_as_mapping(model.about.metadata.get("info"))),
        mlflow=_facts((model.about.metadata.get("extra") or {}).get("mlflow")),
        artifacts=list(artifacts.list_artifacts(model)),
        endpoints=[each for each in model.endpoints.values() if each.name != PREDICT],
        versions=model.about.metadata.get("versions"),
        runtime=model.about.metadata.get("runtime"),
        call=_call(name, examples[0] if examples else {}),
    )


@blueprint.get("/models/<name>/predict")
def predict(name: str) -> str:
    """Show a model's form."""
    model = modelhost().manager.get_described(name)
    examples = labels.with_short_numbers(model.about.examples)
    can_predict = model.status in {Status.READY, Status.LAZY}
    form = forms.build(model.input_schema, *examples[:1]) if can_predict else None
    named = example_table.name_examples(examples, model.about.example_names)
    shown = named[: example_table.MOST_EXAMPLES]
    output_labels = get_output_labels(Shape.of(model.output_schema))
    is_long = form is not None and len(form.fields) >= forms.MANY
    return render_template(
        "predict.html",
        model=model,
        family=modelhost().manager.versions(name),
        form=form,
        sections=forms.get_sections(form) if form else [],
        typical=_typical_values(model) if is_long else {},
        is_long=is_long,
        labels=json.dumps(output_labels),
        explains=is_explainable(model),
        outputs=[
            (each, output_labels.get(each, {}).get("label") or each.rpartition("/")[2])
            for each in get_outputs(model)
        ],
        input_labels=json.dumps(get_output_labels(Shape.of(model.input_schema))),
        examples=shown,
        example_lines=example_table.get_lines(form, shown) if form else [],
        row=_as_json(examples[0] if examples else {}),
        axes=[(axis.label, json.dumps(asdict(axis))) for axis in _what_if_axes(model)],
        others=_alike(model),
        tool=get_tool_name(model),
        has_header=bool(csv_file.header_line(model.input_schema or True)),
        seconds=_usual_seconds(model),
        truth=build_truth_input(model.output_schema, model.spec.log.leave_out)
        if model.spec.log
        else None,
        max_bytes=current_app.config["MAX_BODY_BYTES"],
        identity=_get_identity(model),
        max_rows=current_app.config["MAX_ROWS"],
        max_job_bytes=current_app.config["JOBS_MAX_BYTES"],
    )


@blueprint.post("/models/<name>/predict")
def predict_from_text(name: str) -> ResponseReturnValue:
    """Predict the row in the JSON text area, which a page without JavaScript posts."""
    model = modelhost().manager.get_described(name)
    text = read_form_field("row")
    g.rows = 1
    try:
        row = parse_json(text.encode())
        used, (prediction,) = modelhost().predictor.predict_with_model(name, [row])
    except (BadRequest, RequestEntityTooLarge, FlmError, ServingError) as error:
        # Not left to `problems`: the page keeps the input.
        problem, headers = build_problem(error)
        page = render_template("prediction.html", model=model, row=text, problem=problem)
        return page, problem["status"], headers
    return render_template(
        "prediction.html",
        model=model,
        row=text,
        prediction=_as_json(prediction),
        cautions=list_cautions(used, [row])[0],
    )


@blueprint.get("/jobs")
def jobs() -> str:
    """Show the jobs of the client."""
    return render_template("jobs.html")


@blueprint.get("/docs")
def docs() -> str:
    """Show the API reference."""
    return render_template("docs.html")


@blueprint.get("/docs/problems")
@access.needs(None)
def problems() -> str:
    """Show what each type of problem means."""
    return render_template("problems.html", problems=all_problems())


def _get_identity(model: HostedModel) -> str:
    """Return what changes if the model is replaced: its file, or its version without one."""
    headers = dict(get_model_headers(model))
    return headers.get("X-Model-SHA256") or headers.get("X-Model-Version", "")


def _typical_values(model: HostedModel) -> dict[str, Any]:
    return forms.get_typical_values(Shape.of(model.input_schema), model.about.profile)


def _alike(model: HostedModel) -> list[HostedModel]:
    """Return the other ready models that accept this one's rows, such as its versions."""
    names = _members(model)
    return [
        each
        for each in access.visible(modelhost().manager.models())
        if each.unique_name != model.unique_name
        and each.is_ready
        and names & _members(each)
        and not any(
            each.endpoints[PREDICT].input.violations(row) for row in model.about.examples[:1]
        )
    ]


def _usual_seconds(model: HostedModel) -> str:
    """Return the mean duration of predicting one row in seconds; empty before the first."""
    usage = metrics.read_usage(metrics.get_registry())[model.unique_name]
    return f"{usage.single_seconds / usage.single:.3f}" if usage.single else ""


def _members(model: HostedModel) -> set[str]:
    return {axis.pointer for axis in _what_if_axes(model)}


def _what_if_axes(model: HostedModel) -> list[Axis]:
    """Return the axes of a model's rows; cached while the model stays loaded."""
    endpoint = model.endpoints.get(PREDICT)
    if endpoint is None:
        return get_axes(Shape.of(model.input_schema))
    if endpoint.input not in _AXES:
        _AXES[endpoint.input] = get_axes(endpoint.input.shape)
    return _AXES[endpoint.input]


def _fields(schema: Mapping[str, Any] | None, examples: list[Any] | None = None) -> list[Any]:
    """Return a schema's fields for a table: all fields in the row, or the row itself."""
    if schema is None:
        return []
    row = forms.build(schema, *(examples or [])[:1])
    return list(row.descendants()) or [row]


def _facts(facts: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    return [(name, _to_text(value)) for name, value in (facts or {}).items()]


def _metrics(facts: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return all metrics as text, numbers with thousands separators."""
    measures = facts or {}
    return [
        (
            name_metric(name),
            labels.format_number(float(f"{value:.6g}") if isinstance(value, float) else value)
            if is_number(value)
            else _to_text(value),
        )
        for name, value in measures.items()
    ]


def _as_mapping(info: Any) -> Mapping[str, Any]:
    """Return a framework's facts about a model, without empty values and null (not JSON)."""
    mapping = info if isinstance(info, Mapping) else {}
    return {name: value for name, value in mapping.items() if value not in (None, [], {})}


def _to_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _call(name: str, row: Any) -> str:
    """Return the shell command that calls the model."""
    address = url_for("api.predict", name=name, _external=True)
    # A bare list would be read as several rows.
    sent = [row] if isinstance(row, list) else row
    body = shlex.quote(json.dumps(sent, ensure_ascii=False))
    is_shut = modelhost().access_control.is_key_required
    key = '  -H "Authorization: Bearer $MODELHOST_KEY" \\\n' if is_shut else ""
    return f"curl {address} \\\n{key}  -H 'Content-Type: application/json' \\\n  -d {body}"
