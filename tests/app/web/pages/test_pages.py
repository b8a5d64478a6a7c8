"""The pages, as HTML."""

import html
import json
import re
import tomllib
from html.parser import HTMLParser
from threading import Event, Thread

import pytest

from tests.chromium import page_paths
from tests.models.forms import HOSTILE
from tests.models.lives import Lived
from tests.new_keys import NewKey
from tests.waiting import wait_until

MODELS = """
models:
  - class: tests.models.forms.Loan
  - class: tests.models.forms.Iris
  - class: tests.models.forms.Anything
    load: lazy
  - class: tests.models.forms.Hostile
  - class: tests.models.forms.Broken
"""
INLINE = ("script", "style")
KEY = NewKey()
NAMES = ["loan", "iris", "anything", "hostile", "broken"]
PATHS = [*page_paths(NAMES), "/jobs", "/health", "/models/loan/health"]


@pytest.fixture
def client(same_app, models):
    return same_app(models).test_client()


def page(client, path):
    """Return a page's text, after checking that it is HTML."""
    response = client.get(path)
    assert response.status_code == 200
    assert response.mimetype == "text/html"
    return response.text


def tags(text):
    """Return all tags of a page, each with its attributes."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(text)
    return found


def links(text):
    """Return all addresses that a page names."""
    return [each for word in ("src", "href", "data-document") for each in values(text, word)]


def values(text, attribute):
    """Return all values of an attribute."""
    return [given[attribute] for _, given in tags(text) if attribute in given]


@pytest.mark.parametrize("path", PATHS)
def test_every_page_opens(client, path):
    assert page(client, path).count("<h1>") == 1


def test_index_lists_models_with_status(make_app):
    client = make_app(MODELS).test_client()  # in which no test has loaded the lazy model
    text = page(client, "/")

    links = re.findall(r'<h2><a href="/models/(\w+)/metadata">', text)
    assert links == NAMES
    assert "Loads on first use" in text
    assert "a file that it needs cannot be read" in text


def test_short_path_leads_to_the_page(client):
    assert client.get("/models/loan").location == "/models/loan/metadata"


def test_failed_model_shows_its_reason(same_app, models):
    # A remote server's reasons are shown only with this setting.
    client = same_app(models, TELL_MODEL_ERRORS=models is not MODELS).test_client()
    text = page(client, "/models/broken/predict")

    assert "a file that it needs cannot be read" in text
    assert "<form" not in text


def test_empty_portal_explains_adding_a_model(make_app):
    client = make_app("models: []").test_client()

    assert "No models yet" in page(client, "/")


def test_the_model_page_describes_each_field(client):
    text = re.sub(r"\s+", " ", page(client, "/models/loan/metadata"))

    row = text[text.index("<code>term_months</code>") :]
    assert "whole number (months)" in row[:300]
    assert "from 6 to 120, e.g. 48" in row[:300]


def test_model_page_shows_metrics_and_schemas(client):
    text = html.unescape(page(client, "/models/loan/metadata"))

    assert "0.871235" in text
    assert '["income", "amount"]' in text
    assert '"#/$defs/Address"' in text


def test_model_page_has_a_working_command(client):
    text = html.unescape(page(client, "/models/loan/metadata"))
    body = re.search(r"-d '(.*)'</code>", text)[1]

    response = client.post("/api/models/loan/predict", json=json.loads(body))

    assert "curl http://localhost/api/models/loan/predict" in text
    assert response.json["prediction"] == "pays"


@pytest.mark.parametrize("keys", [{}, {"KEYS": [KEY]}], ids=["open", "with keys"])
def test_assistant_configurations_are_valid(make_app, keys):
    client = make_app(MODELS, **keys).test_client()
    client.post("/login", data={"key": KEY.text})

    text = html.unescape(page(client, "/models/loan/predict"))

    shown = re.findall(r'aria-label="Configuration for [^"]*"><code>(.*?)</code>', text, re.DOTALL)
    read = [tomllib.loads(each) if each.startswith("[") else json.loads(each) for each in shown]
    servers = [next(iter(each.values()))["modelhost"] for each in read]
    assert [each["url"] for each in servers] == ["http://localhost/mcp"] * 4
    assert [len(each) > 2 for each in servers] == [bool(keys), False, False, bool(keys)]
    assert text.count("MODELHOST_KEY") == (6 if keys else 0)


def test_every_input_has_name_and_label(client):
    text = page(client, "/models/loan/predict")

    inputs = [given for tag, given in tags(text) if tag in ("input", "select", "textarea")]
    assert {"/income", "/purpose", "/employed", "/address/city"} <= set(values(text, "name"))
    assert {given["id"] for given in inputs} <= set(values(text, "for"))


@pytest.mark.parametrize("name", ["loan", "iris", "anything", "hostile"])
def test_ids_are_unique_and_references_exist(client, name):
    text = page(client, f"/models/{name}/predict")

    ids = values(text, "id")
    words = ("aria-describedby", "aria-controls", "aria-labelledby", "for")
    meant = " ".join(each for word in words for each in values(text, word))
    assert len(ids) == len(set(ids))
    assert set(meant.split()) <= set(ids)


def test_examples_are_embedded_as_json(client):
    examples = values(page(client, "/models/loan/predict"), "data-example")

    assert [json.loads(each)["income"] for each in examples] == [42500.5, 18000]


@pytest.mark.parametrize("path", ["/", "/models/hostile/metadata", "/models/hostile/predict"])
def test_model_texts_are_escaped(client, path):
    text = page(client, path)

    assert html.escape(HOSTILE).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text
    assert "x" not in values(text, "src")


@pytest.mark.parametrize("path", ["/models/none/predict", "/models/none/metadata", "/nothing"])
def test_unknown_page_is_an_html_404(client, path):
    response = client.get(path)

    assert (response.status_code, response.mimetype) == (404, "text/html")
    assert "Show all models" in response.text


@pytest.mark.parametrize("path", ["/", "/models/loan/predict", "/docs", "/nothing"])
def test_pages_load_only_local_files(client, path):
    response = client.get(path)

    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    given = {name for _, attributes in tags(response.text) for name in attributes}
    inline = [tag for tag, given in tags(response.text) if tag in INLINE and "src" not in given]
    assert inline == []
    assert not [name for name in given if name == "style" or name.startswith("on")]
    assert all(link[0] in "/#" for link in links(response.text))


def test_referenced_files_exist(client):
    found = {link for path in PATHS for link in links(page(client, path)) if link[0] == "/"}

    statuses = {}
    for link in found:
        with client.get(link) as response:
            statuses[link] = response.status_code

    assert {link for link, status in statuses.items() if status != 200} == set()


def test_model_page_lists_alternatives(make_app):
    cat = {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}}
    dog = {"type": "object", "properties": {"kind": {"const": "dog"}, "bark": {"type": "string"}}}
    schema = {
        "type": "object",
        "properties": {"pet": {"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}},
        "$defs": {"Cat": cat, "Dog": dog},
    }
    entry = {"class": "tests.models.simple.Echo", "input_schema": schema}
    client = make_app(json.dumps({"models": [entry]})).test_client()

    text = re.sub(r"<[^>]+>|\s+", " ", page(client, "/models/echo/metadata"))

    assert "cat, dog" in re.sub(r"\s+", " ", text)
    assert "pet.lives of cat" in re.sub(r"\s+", " ", text)
    assert "pet.bark of dog" in re.sub(r"\s+", " ", text)


def test_pattern_members_can_be_added(make_app):
    pattern = {"^x_": {"type": "string"}}
    schema = {"type": "object", "patternProperties": pattern, "additionalProperties": False}
    entry = {"class": "tests.models.simple.Echo", "input_schema": schema}
    client = make_app(json.dumps({"models": [entry]})).test_client()

    assert 'data-change="add"' in page(client, "/models/echo/predict")


def test_list_row_is_wrapped_in_a_list(make_app):
    model = {
        "class": "tests.models.forms.Anything",
        "name": "pair",
        "input_schema": {"type": "array", "items": {"type": "number"}},
        "examples": [[1, 2]],
    }
    client = make_app(json.dumps({"models": [model]})).test_client()

    assert "-d '[[1, 2]]'" in html.unescape(page(client, "/models/pair/metadata"))


def test_model_page_lists_further_endpoints(make_app):
    client = make_app("models: [{class: tests.models.simple.Explained}]").test_client()

    assert "GET, POST /api/models/explained/explain" in page(client, "/models/explained/metadata")


def test_loading_model_states_what_to_do(make_app, monkeypatch):
    monkeypatch.setattr(Lived, "may_load", Event())
    slow = {"class": "tests.models.lives.Described", "settings": {"broken": "slow"}}
    lazy = slow | {"load": "lazy"}
    client = make_app(json.dumps({"models": [lazy]})).test_client()
    assert client.get("/api/models/described/metadata").json["status"] == "lazy"
    call = Thread(
        target=client.application.test_client().post,
        args=["/api/models/described/predict"],
        kwargs={"json": {"id": 0}},
    )
    call.start()
    try:
        wait_until(lambda: client.get("/api/models/described/metadata").json["status"] == "loading")

        assert "Reload this page in a few seconds" in page(client, "/models/described/predict")
    finally:
        Lived.may_load.set()
        call.join()
