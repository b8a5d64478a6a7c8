"""The formats of texts."""

import subprocess
import sys

import pytest
from jsonschema import Draft6Validator, Draft202012Validator

from mlmodel.schema import Schema

FITTING = {
    "date": "2026-01-31",
    "duration": "P3DT4H",
    "hostname": "example.org",
    "idn-hostname": "bücher.example",
    "iri": "https://bücher.example/seite?ö=ü#é",
    "iri-reference": "../straße",
    "json-pointer": "/a/b",
    "time": "12:30:00Z",
    "uri": "https://example.org/a",
    "uri-template": "/a/{b}",
}
WRONG = {
    "date": "2026-02-31",
    "duration": "3 days",
    "hostname": "-example",
    "idn-hostname": "-bücher",
    "iri": "bücher",
    "iri-reference": "a\\b",
    "json-pointer": "a/b",
    "time": "25:00:00Z",
    "uri": "https://bücher.example/",
    "uri-template": "/a/{b",
}


@pytest.mark.parametrize("name", FITTING)
def test_each_format_is_checked(name):
    schema = Schema({"type": "string", "format": name})

    assert schema.violations(FITTING[name]) == []
    assert schema.violations(WRONG[name]) != []


@pytest.mark.parametrize(("dialect", "count"), [(Draft202012Validator, 1), (Draft6Validator, 0)])
def test_iris_are_checked_since_there_are_any(dialect, count):
    schema = Schema({"$schema": dialect.META_SCHEMA["$schema"], "format": "iri"})

    assert len(schema.violations("no address")) == count


def test_the_slow_package_is_not_imported():
    code = "import sys, mlmodel; sys.exit('rfc3987_syntax' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
