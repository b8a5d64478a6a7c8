import json
import math

import pytest
from flask import render_template_string
from hypothesis import given
from hypothesis import strategies as st

from app.web.http.json_provider import dumps

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


@given(PLAIN.filter(lambda value: "inf" not in repr(value)))
def test_json_round_trip_is_exact(value):
    assert repr(json.loads(dumps(value))) == repr(value)


@pytest.fixture
def client(same_client):
    """A client of an application that no test here changes."""
    return same_client


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({"b": 1, "a": [2.5, None, True]}, '{"b":1,"a":[2.5,null,true]}\n'),
        ({"name": "Zoë 😀 </script>"}, '{"name":"Zoë 😀 </script>"}\n'),
        ({"n": 2**64, "name": "Zoë"}, '{"n":18446744073709551616,"name":"Zoë"}\n'),
        ({1: {"b": -(2**70), "a": 0.1}}, '{"1":{"b":-1180591620717411303424,"a":0.1}}\n'),
    ],
    ids=["compact", "characters", "long number", "number as key"],
)
def test_json_is_compact_ordered_utf_8(value, body):
    assert dumps(value) == body.encode()


def test_deep_value_is_serialized():
    deep = []
    for _ in range(300):
        deep = [deep]

    assert dumps(deep) == b"[" * 301 + b"]" * 301 + b"\n"


def test_unrepresentable_value_raises():
    with pytest.raises(TypeError, match="not JSON serializable"):
        dumps({"x": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps([2**64, math.nan])


@pytest.mark.parametrize(
    ("path", "status"), [("/api/models", 200), ("/api/models/nobody/metadata", 404)]
)
def test_predictions_and_problems_use_same_json(client, path, status):
    answer = client.get(path)

    assert answer.status_code == status
    assert answer.data == dumps(answer.json)


def test_json_in_templates_is_escaped(app):
    with app.test_request_context():
        shown = render_template_string("{{ value | tojson }}", value={"x": "</script>'é"})

    assert shown == '{"x": "\\u003c/script\\u003e\\u0027é"}'
