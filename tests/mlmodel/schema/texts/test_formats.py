"""The formats of texts."""

import subprocess
import sys

import pytest
from jsonschema import Draft6Validator, Draft202012Validator

from mlmodel.schema.validator import Schema

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
def test_iris_are_checked_from_draft_7(dialect, count):
    schema = Schema({"$schema": dialect.META_SCHEMA["$schema"], "format": "iri"})

    assert len(schema.violations("no address")) == count


def test_the_slow_package_is_not_imported():
    code = "import sys, mlmodel; sys.exit('rfc3987_syntax' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


LOCAL = {"type": "string", "format": "date-time-local"}
STORED_LOCAL = {"type": "string", "format": "date-time", "x-dtype": "datetime64[ns]"}
ZONED = {"type": "string", "format": "date-time", "x-dtype": "datetime64[us, Europe/Berlin]"}
DAY = {"type": "string", "format": "date", "x-dtype": "datetime64[us]"}


@pytest.mark.parametrize("schema", [LOCAL, STORED_LOCAL], ids=["local", "of an earlier release"])
@pytest.mark.parametrize(
    "text",
    [
        "2024-05-06T07:08:09",
        "2024-05-06 07:08:09.123456",
        "2024-05-06T07:08",
        "2024-05-06T07:08:09.000Z",
        "2024-05-06T07:08:09+00:00",
        "2024-05-06",
    ],
)
def test_local_time_accepts_pandas_notation(schema, text):
    assert Schema(schema).violations(text) == []
    assert Schema({"properties": {"x": schema}}).violations({"x": text}) == []


@pytest.mark.parametrize(
    "text", ["2024-05-06T07:08:09+02:00", "2024-13-06T07:08:09", "2024-05-06T24:08:09", "7:08", ""]
)
def test_local_time_with_offset_is_rejected(text):
    (violation,) = Schema(LOCAL).violations(text)

    assert "a date and time without a zone such as 2026-01-31T14:30:00" in violation.detail


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("2024-05-06T07:08:09+02:00", True),
        ("2024-05-06 07:08:09.5Z", True),
        ("2024-05-06T07:08:09", False),
        ("2024-05-06", False),
        ("2024-05-06T07:08:09+99:00", False),
    ],
)
def test_zoned_column_needs_the_offset(text, fits):
    assert (Schema(ZONED).violations(text) == []) is fits


def test_time_with_a_zone_has_advice():
    schema = {"type": "string", "format": "date-time"}

    (violation,) = Schema(schema).violations("2026-01-31 14:30+01:00")

    assert violation.detail.endswith("Write 2026-01-31T14:30:00+01:00")


@pytest.mark.parametrize("schema", [{"type": "string", "format": "date-time"}, ZONED])
@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("2026-01-31 14:30", "Write 2026-01-31T14:30:00Z for UTC"),
        ("31.01.2026 14:30:05", "Write 2026-01-31T14:30:05Z for UTC"),
        ("2026-01-31T14:30:05.25", "Write 2026-01-31T14:30:05.250000Z for UTC"),
        ("1/2/2026 2:30 PM", "Write 2026-01-02T14:30:00Z or 2026-02-01T14:30:00Z for UTC"),
    ],
)
def test_missing_zone_is_named(schema, text, advice):
    (violation,) = Schema(schema).violations(text)

    assert f'got "{text}", which has no time zone. {advice}' in violation.detail
    assert "date-time-local" in violation.detail
    written = advice.split()[1]
    assert Schema(schema).violations(written) == []


def test_date_alone_gets_no_zone_advice():
    (violation,) = Schema(ZONED).violations("2026-01-31")

    assert violation.detail.endswith('got "2026-01-31"')


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("2024-05-06", True),
        ("2024-05-06T00:00:00.000", True),
        ("2024-05-06 00:00:00", True),
        ("2024-05-06T00:00:00Z", True),
        ("2024-05-06T00:00:01", False),
        ("2024-05-06T00:00:00.001", False),
        ("2024-02-30", False),
    ],
)
def test_date_column_accepts_midnight(text, fits):
    assert (Schema(DAY).violations(text) == []) is fits


def test_date_without_dtype_rejects_time():
    assert Schema({"type": "string", "format": "date"}).violations("2024-05-06T00:00:00")
