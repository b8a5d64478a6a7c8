"""The pages: all models, one model, its form, and the API reference."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Flask, Response, current_app, render_template, url_for

from app.serving import sheets
from app.serving.hosted import PREDICT, HostedModel, Status
from app.serving.manager import ModelManager
from app.web import forms, wording
from app.web.axes import axes
from app.web.legend import legend
from app.web.problems import all_problems

blueprint = Blueprint("pages", __name__)

#: What a page may load and run: this server's own files, and nothing that stands in the page.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    """Serve the pages, and guard them and the pages of errors."""
    app.register_blueprint(blueprint)
    app.after_request(_guard)


@blueprint.get("/")
def index() -> str:
    """Show all models."""
    return render_template("index.html", models=ModelManager().models())


@blueprint.get("/models/<name>/metadata")
def metadata(name: str) -> str:
    """Show what a model is, takes and answers."""
    model = ModelManager().opened(name)
    examples = wording.short(model.examples)
    return render_template(
        "model.html",
        model=model,
        inputs=_fields(model.input_schema, examples),
        outputs=_fields(model.output_schema),
        input_schema=_as_json(model.input_schema),
        output_schema=_as_json(model.output_schema),
        examples=[_as_json(example) for example in examples],
        metrics=_facts(model.metadata.get("metrics")),
        params=_facts(model.metadata.get("params")),
        endpoints=[each for each in model.endpoints.values() if each.name != PREDICT],
        versions=model.metadata.get("versions"),
        call=_call(name, examples[0] if examples else {}),
    )


@blueprint.get("/models/<name>/predict")
def predict(name: str) -> str:
    """Show a model's form."""
    model = ModelManager().opened(name)
    examples = wording.short(model.examples)
    is_ready = model.status is Status.READY
    return render_template(
        "predict.html",
        model=model,
        form=forms.build(model.input_schema, *examples[:1]) if is_ready else None,
        legend=json.dumps(legend(model.output_schema)),
        examples=[json.dumps(example) for example in examples],
        axes=[(axis.label, json.dumps(asdict(axis))) for axis in axes(model.input_schema)],
        others=_alike(model),
        has_header=bool(sheets.header(model.input_schema or True)),
        max_bytes=current_app.config["MAX_BODY_BYTES"],
        max_rows=current_app.config["MAX_ROWS"],
    )


@blueprint.get("/docs")
def docs() -> str:
    """Show the API reference."""
    return render_template("docs.html")


@blueprint.get("/docs/problems")
def problems() -> str:
    """Show what each type of problem means."""
    return render_template("problems.html", problems=all_problems())


def _guard(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    return response


def _alike(model: HostedModel) -> list[HostedModel]:
    """Return the other models that take this one's rows: its versions, and those like it."""
    names = _members(model.input_schema)
    return [
        each
        for each in ModelManager().models()
        if each.name != model.name
        and each.status is Status.READY
        and names & _members(each.input_schema)
        and not any(each.endpoints[PREDICT].input.violations(row) for row in model.examples[:1])
    ]


def _members(schema: Mapping[str, Any] | None) -> set[str]:
    return {axis.pointer for axis in axes(schema)}


def _fields(schema: Mapping[str, Any] | None, examples: list[Any] | None = None) -> list[Any]:
    """Return a schema's fields for a table: all that lie in the row, or the row itself."""
    if schema is None:
        return []
    row = forms.build(schema, *(examples or [])[:1])
    return list(row.within()) or [row]


def _facts(facts: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    return [(name, _shown(value)) for name, value in (facts or {}).items()]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _call(name: str, row: Any) -> str:
    """Return the command that asks the model from a shell."""
    address = url_for("api.predict", name=name, _external=True)
    body = shlex.quote(json.dumps(row, ensure_ascii=False))
    return f"curl {address} \\\n  -H 'Content-Type: application/json' \\\n  -d {body}"
