"""Forms that are posted without JavaScript: the row, the answer, and the form that comes back."""

import base64
import html
import io
import json
import re
from html.parser import HTMLParser

import pytest

from tests.models.forms import HOSTILE

#: Inputs that are posted only if they are chosen.
NOT_TEXT = ("radio", "checkbox", "file")

POINT = {
    "type": "object",
    "properties": {"a": {"type": "number"}, "b": {"type": "boolean"}},
    "required": ["a"],
}
SCHEMAS = {
    "number": {"type": "number"},
    "nullable": {"type": ["number", "null"]},
    "text": {"type": "string"},
    "boolean": {"type": "boolean"},
    "choice": {"enum": ["a", 1, None]},
    "ticks": {"type": "array", "uniqueItems": True, "items": {"enum": ["a", 2]}},
    "numbers": {"type": "array", "items": {"type": "number"}},
    "texts": {"type": "array", "items": {"type": "string"}},
    "moment": {"type": "string", "format": "date-time"},
    "local": {"type": "string", "format": "date-time-local"},
    "file": {"type": "string", "contentEncoding": "base64"},
    "any": {},
    "group": POINT,
    "tuple": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}]},
    "list": {"type": "array", "items": POINT},
    "map": {"type": "object", "additionalProperties": {"type": "number"}},
    "variant": {"oneOf": [{"type": "integer"}, POINT]},
    "tree": {"$ref": "#/$defs/Tree"},
    "secret": {"const": 7},
}
ALL = {
    "type": "object",
    "properties": SCHEMAS,
    "$defs": {
        "Tree": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "child": {"$ref": "#/$defs/Tree"}},
        }
    },
}


#: Of two groups only the first fits into a form.
HALF = {"properties": {f"m{number}": {"type": "number"} for number in range(300)}}
WIDE = {"properties": {"first": HALF, "second": HALF}}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    from app import create_app
    from app.serving.models.manager import ModelManager

    file = tmp_path_factory.mktemp("posted") / "models.yaml"
    needy = {"type": "object", "properties": {"x": POINT, "y": {"type": "array", "items": POINT}}}
    models = [
        {"class": "tests.models.forms.Anything", "name": "all", "input_schema": ALL},
        {"class": "tests.models.forms.Anything", "name": "needy", "input_schema": needy},
        {"class": "tests.models.forms.Anything", "name": "root", "input_schema": SCHEMAS["list"]},
        {"class": "tests.models.forms.Anything", "name": "wide", "input_schema": WIDE},
        {"class": "tests.models.forms.Loan"},
        {"class": "tests.models.broken.RaisesAtPredict", "name": "failing", "input_schema": POINT},
    ]
    file.write_text(json.dumps({"models": models}), encoding="utf-8")
    settings = {"APP_SETTINGS": "testing", "MODELHOST_MAX_BODY_BYTES": "3000000"}
    app = create_app(settings | {"MODELHOST_MODELS_FILE": str(file)})
    yield app.test_client()
    ModelManager().close()


def said(response):
    """Return the answer that stands in a page."""
    assert response.status_code == 200
    return json.loads(
        html.unescape(re.search(r"<pre.*?><code>(.*?)</code>", response.text, re.S)[1])
    )


def controls(text):
    """Return what a browser would post of a page's form, by name."""
    found = {}
    parser = HTMLParser()

    def start(tag, attributes):
        given = dict(attributes)
        if tag == "input" and "name" in given and given.get("type") not in NOT_TEXT:
            found[given["name"]] = given["value"]
        if "checked" in given:
            found[given["name"]] = given["value"]

    parser.handle_starttag = start
    # What is in a template is not part of the form.
    parser.feed(re.sub(r"<template.*?</template>", "", text, flags=re.S))
    return found


@pytest.mark.parametrize(
    ("typed", "row"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"/number": "1e-3"}, {"number": 0.001}, id="number"),
        pytest.param({"/number": "+.5"}, {"number": 0.5}, id="number as people write it"),
        pytest.param({"/number": "€ 52 000"}, {"number": 52000}, id="grouped number"),
        pytest.param({"/text": "  007 "}, {"text": "  007 "}, id="text"),
        pytest.param({"/boolean": "false"}, {"boolean": False}, id="boolean"),
        pytest.param({"/choice": "null"}, {"choice": None}, id="choice"),
        pytest.param({"/ticks": ["2", '"a"']}, {"ticks": ["a", 2]}, id="ticks"),
        pytest.param({"/numbers": "1, 2;3"}, {"numbers": [1, 2, 3]}, id="numbers"),
        pytest.param({"/numbers": "1,2"}, {"numbers": [1, 2]}, id="numbers between commas"),
        pytest.param({"/texts": "a\r\n b\r\n"}, {"texts": ["a", " b"]}, id="texts"),
        pytest.param(
            {"/moment": "2024-01-01T10:00:00Z"}, {"moment": "2024-01-01T10:00:00Z"}, id="moment"
        ),
        pytest.param({"/local": "2024-01-01T07:08"}, {"local": "2024-01-01T07:08"}, id="local"),
        pytest.param({"/any": '{"a": [1]}'}, {"any": {"a": [1]}}, id="any"),
        pytest.param({"/any": "NaN"}, {"any": "NaN"}, id="any that is no JSON"),
        pytest.param({"/group/a": "1"}, {"group": {"a": 1}}, id="group"),
        pytest.param({"/tuple/0": "1", "/tuple/1": "x"}, {"tuple": [1, "x"]}, id="tuple"),
        pytest.param(
            {"/list": "2", "/list/0/a": "1", "/list/1/a": "2", "/list/1/b": "true"},
            {"list": [{"a": 1}, {"a": 2, "b": True}]},
            id="list",
        ),
        pytest.param(
            {"/map": "1", "/map/~k0~n": "a/b", "/map/~k0": "3"}, {"map": {"a/b": 3}}, id="map"
        ),
        pytest.param(
            {"/variant": "1", "/variant/~v0": "9", "/variant/~v1/a": "3"},
            {"variant": {"a": 3}},
            id="variant",
        ),
        pytest.param(
            {"/tree/name": "a", "/tree/child": "1", "/tree/child/~v0/name": "b"},
            {"tree": {"name": "a", "child": {"name": "b"}}},
            id="tree",
        ),
        pytest.param({"/secret": "7"}, {"secret": 7}, id="constant"),
    ],
)
def test_what_was_typed_is_answered(client, typed, row):
    response = client.post("/models/all/predict", data=typed)

    assert said(response) == row


def test_a_file_is_sent_as_base64_and_stays_in_the_form(client):
    response = client.post("/models/all/predict", data={"/file~f": (io.BytesIO(b"abc"), "a.bin")})

    content = base64.b64encode(b"abc").decode()
    assert said(response) == {"file": content}
    assert controls(response.text)["/file"] == content


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("number", "52.000", 'got "52.000". Write 52000, or 52.0 for a decimal'),
        ("number", "2,5", 'must be a number, got "2,5"; write decimals with a dot'),
        ("number", "12 %", "Write 12 or 0.12, without the per cent sign"),
        ("number", "1e400", 'must be a number, got "1e400"'),
        ("numbers", "2,5; 3", '0: must be a number, got "2,5"; write decimals with a dot'),
        ("numbers", "1,000", '0: must be a number, got "1,000". Write 1000, or 1.0 for a decimal'),
    ],
)
def test_text_with_two_meanings_is_refused(client, name, text, error):
    response = client.post("/models/all/predict", data={f"/{name}": text})

    assert response.status_code == 422
    assert error in html.unescape(response.text)


def test_errors_stand_beside_their_fields_and_nothing_is_lost(client):
    typed = {"/x/a": "1,5", "/x/b": "true", "/y": "1", "/y/0/a": ""}

    response = client.post("/models/needy/predict", data=typed)

    assert response.status_code == 422
    assert "must be a number, got &#34;1,5&#34;" in response.text
    assert re.search(r'id="field.2Fy.2F0.2Fa-error" data-error><span>', response.text)
    assert {name: controls(response.text)[name] for name in typed} == typed


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ("add /list", ["1", "2", "3", ""]),
        ("remove /list/1", ["1", "3"]),
        ("up /list/2", ["1", "3", "2"]),
        ("down /list/0", ["2", "1", "3"]),
        ("up /list/0", ["1", "2", "3"]),
        ("down /list/9", ["1", "2", "3"]),
        ("explode", ["1", "2", "3"]),
    ],
)
def test_rows_are_added_removed_and_moved(client, change, left):
    typed = {"/list": "3", "/list/0/a": "1", "/list/1/a": "2", "/list/2/a": "3", "/text": " kept "}

    response = client.post("/models/all/predict", data={**typed, "change": change})

    posted = controls(response.text)
    assert [posted[f"/list/{place}/a"] for place in range(len(left))] == left
    assert (posted["/list"], posted["/text"]) == (str(len(left)), " kept ")


def test_a_root_that_is_a_list_is_one_row(client):
    response = client.post("/models/root/predict", data={"row": "1", "/0/a": "1"})

    assert said(response) == [{"a": 1}]


def test_what_a_page_shows_can_be_posted_as_it_is(client):
    shown = controls(client.get("/models/loan/predict").text)

    response = client.post("/models/loan/predict", data=shown)

    assert response.status_code == 422
    assert "is required" in response.text


@pytest.mark.parametrize("text", ["9" * 5000, "-1", "1e999", HOSTILE])
@pytest.mark.parametrize("name", ["/list", "/map", "/variant", "/number", "/ticks", "/tree/child"])
def test_hostile_input_is_refused_or_answered(client, name, text):
    response = client.post("/models/all/predict", data={name: text})

    assert response.status_code in (200, 422)
    assert HOSTILE not in response.text


def test_many_rows_that_were_typed_stay_rows(client):
    cells = {f"/y/{row}/{key}": "1" for row in range(400) for key in "a"}

    response = client.post("/models/needy/predict", data={**cells, "/y": "400", "/x/a": "wrong"})

    posted = controls(response.text)
    assert response.status_code == 422
    assert {name: posted.get(name) for name in cells} == cells


def test_many_rows_take_one_more(client):
    cells = {f"/y/{row}/a": "1" for row in range(400)}

    response = client.post("/models/needy/predict", data={**cells, "/y": "400", "change": "add /y"})

    assert controls(response.text)["/y/400/a"] == ""


def test_what_was_asked_for_as_json_stays_json(client):
    shown = controls(client.get("/models/wide/predict").text)

    response = client.post("/models/wide/predict", data={**shown, "/second": '{"m1": 1}'})

    assert "/first/m1" in shown
    assert said(response) == {"second": {"m1": 1}}


def test_an_error_of_the_model_leaves_what_was_typed(client):
    response = client.post("/models/failing/predict", data={"/a": "1"})

    assert response.status_code == 500
    assert 'role="alert"' in response.text
    assert controls(response.text)["/a"] == "1"


@pytest.mark.parametrize("digits", ["١٢", "+١٢"])
def test_digits_that_json_lacks_are_no_number(client, digits):
    response = client.post("/models/all/predict", data={"/number": digits})

    assert response.status_code == 422


def test_a_file_that_was_answered_can_be_sent_again(client):
    content = base64.b64encode(b"a" * 378_000).decode()

    response = client.post(
        "/models/all/predict", data={"/file": content}, content_type="multipart/form-data"
    )

    assert said(response) == {"file": content}


def test_a_form_of_too_many_fields_is_refused_in_words(client, monkeypatch):
    monkeypatch.setitem(client.application.config, "MAX_FORM_PARTS", 2)
    typed = {"/number": "1", "/text": "a", "/any": "1"}

    response = client.post("/models/all/predict", data=typed, content_type="multipart/form-data")

    assert response.status_code == 413
    assert ", and 2 fields of a form" in response.text
