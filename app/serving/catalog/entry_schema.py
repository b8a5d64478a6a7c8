"""The JSON Schema of ``models.yaml``, and which keys of an entry go together."""

from __future__ import annotations

from app.serving.prediction_log.policy import LOG
from mlmodel.frameworks.sklearn.onnx.runtime import RUNTIMES
from mlmodel.model import NAME
from mlmodel.schema.validator import Schema

WORD = r"[\p{L}_][\p{L}\p{N}_]*"
CLASS_PATH = {"type": "string", "pattern": rf"^{WORD}(\.{WORD})+$"}
#: A tag is one word without commas, so that a list written as a sentence is rejected.
TAG = {"type": "string", "pattern": r"^[^\s,#]+$", "maxLength": 40}
DECORATOR = {
    "type": "object",
    "properties": {"class": CLASS_PATH, "settings": {"type": "object"}},
    "required": ["class"],
    "additionalProperties": False,
}

# The members of a model's card: ``card`` of an entry, and of ``extra`` in a file. The names are
# those of the variables in the model-card template of Hugging Face, whose sections skops has too,
# except the two numbers of rows. Source: https://huggingface.co/docs/hub/model-card-annotated
#: Short texts, with their titles on the page.
FACTS = {
    "developers": "Developed by",
    "model_card_contact": "Contact",
    "license": "Licence",
}
#: Texts in Markdown, with their titles.
TEXTS = {
    "direct_use": "Intended use",
    "out_of_scope_use": "Not intended for",
    "bias_risks_limitations": "Risks and limits",
    "bias_recommendations": "Recommendations",
    "training_data": "Training data",
    "testing_data": "Test data",
}
#: Numbers of rows, with their titles.
ROWS = {"training_rows": "Trained on", "testing_rows": "Tested on"}
#: Maximum of characters of a text.
MOST_CHARACTERS = 5000

#: The JSON Schema of ``card`` in an entry.
CARD = {
    "type": "object",
    "properties": {
        **{
            key: {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS}
            for key in (*FACTS, *TEXTS)
        },
        **{key: {"type": "integer", "minimum": 1} for key in ROWS},
    },
    "additionalProperties": False,
}

BATCH = {
    "type": "object",
    "properties": {"max_rows": {"type": "integer", "minimum": 2}},
    "required": ["max_rows"],
    "additionalProperties": False,
}

SECONDS = {"type": "number", "exclusiveMinimum": 0, "maximum": 86_400}
ISOLATION = {
    "type": "object",
    "properties": {
        "memory": {"type": "string"},
        "load_seconds": SECONDS,
        "read": {"type": "array", "items": {"type": "string", "minLength": 1}},
        "sandbox": {"type": "boolean"},
    },
    "additionalProperties": False,
}

#: The address of a server, without a user, a query or a fragment.
ADDRESS = r"^https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._~/-]*)?$"

#: What to write for a text that must match one of these patterns.
FORMS = {
    str(CLASS_PATH["pattern"]): "a dotted path such as tip.Tip",
    ADDRESS: "an address such as http://host:8000",
}

#: Options of an application of Ray Serve, by the names that Ray gives them.
RAY = {
    "type": "object",
    "properties": {
        "num_replicas": {"type": "integer", "minimum": 1},
        "num_cpus": {"type": "number", "minimum": 0},
        "num_gpus": {"type": "number", "minimum": 0},
    },
    "additionalProperties": False,
}

#: The JSON Schema of an entry. docs/models-yaml.md describes the keys.
ENTRY = {
    "type": "object",
    "properties": {
        "class": CLASS_PATH,
        "file": {"type": "string", "minLength": 1},
        "remote": {"type": "string", "pattern": ADDRESS},
        "model": {"type": "string", "pattern": f"^{NAME.pattern}(@{NAME.pattern})?$"},
        "headers": {
            "type": "object",
            "propertyNames": {"pattern": r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
            "additionalProperties": {"type": "string", "pattern": r"^[\x20-\x7e]*$"},
        },
        "name": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "version": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "default": {"type": "boolean"},
        "aliases": {
            "type": "array",
            "items": {"type": "string", "pattern": f"^{NAME.pattern}$"},
            "uniqueItems": True,
        },
        "settings": {"type": "object"},
        "decorators": {"type": "array", "items": {"anyOf": [CLASS_PATH, DECORATOR]}},
        "sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
        "check_every": {"type": "number", "minimum": 1, "maximum": 86_400},
        "trust": {"type": ["string", "array"], "items": {"type": "string"}},
        "load": {"enum": ["start", "lazy", "worker"]},
        "isolate": {"anyOf": [{"type": "boolean"}, ISOLATION]},
        "time_limit": SECONDS,
        "batch": {"anyOf": [{"const": False}, BATCH]},
        "runtime": {"enum": list(RUNTIMES)},
        "n_jobs": {"anyOf": [{"const": -1}, {"type": "integer", "minimum": 1, "maximum": 1024}]},
        "version_mismatch": {"enum": ["warn", "error"]},
        "input_schema": {"type": "object"},
        "output_schema": {"type": "object"},
        "examples": {"type": "array"},
        "example_names": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 100},
        },
        "card": CARD,
        "tags": {"type": "array", "items": TAG, "uniqueItems": True},
        "artifacts": {"type": ["string", "array"], "items": {"type": "string"}},
        "log": LOG,
        "ray": RAY,
    },
    "additionalProperties": False,
}
CATALOG = Schema(
    {
        "type": "object",
        "properties": {"models": {"type": "array", "items": ENTRY}},
        "required": ["models"],
        "additionalProperties": False,
    }
)

#: Keys that require another key in the same entry.
ONLY_WITH = {
    "settings": "class",
    "decorators": "class",
    "artifacts": "file",
    "model": "remote",
    "headers": "remote",
    "output_schema": "remote",
    "runtime": "file",
    "n_jobs": "file",
    "sha256": "file",
    "check_every": "file",
    "trust": "file",
    "version_mismatch": "file",
    "version": "name",
    "default": "version",
    "aliases": "version",
    "ray": "name",
}
#: Where a model comes from: an entry has one of these keys.
SOURCES = ("class", "file", "remote")
#: Keys that a remote model cannot have: the other server decides how it runs.
NOT_REMOTE = ("isolate", "batch", "ray")
