"""Forms for JSON Schemas in a real browser: user input, and the JSON that is sent."""

import base64
import json
import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from tests.chromium import NEEDS_CHROMIUM, sent, serving, watched

pytestmark = [NEEDS_CHROMIUM, pytest.mark.fails("422 /api/models/*/predict")]

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def member(schema, required=True, **words):
    """Return the schema of an object of one member, named x."""
    names = ["x"] if required else []
    return {"type": "object", "properties": {"x": schema}, "required": names, **words}


def labelled(page, label, place=0):
    """Return a control by its label, with or without "optional"."""
    return (
        page.locator("#form")
        .get_by_label(re.compile(rf"^\s*{re.escape(label)}(\s+optional)?\s*$"))
        .nth(place)
    )


def fill(label, text, place=0):
    return lambda page: labelled(page, label, place).fill(text)


def choose(label, option, place=0):
    return lambda page: labelled(page, label, place).select_option(label=option)


def tap(group, option, place=0):
    return lambda page: (
        page.get_by_role("radiogroup", name=group)
        .nth(place)
        .get_by_text(option, exact=True)
        .click()
    )


def tick(label):
    return lambda page: labelled(page, label).check()


def press(button, place=0):
    return lambda page: page.get_by_role("button", name=button).nth(place).click()


def upload(label, name, content):
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    return lambda page: labelled(page, label).set_input_files(file)


NUMBER = {"type": "number"}
TEXT = {"type": "string"}
FILE = {"type": "string", "contentEncoding": "base64"}
POINT = {"type": "object", "properties": {"a": NUMBER, "b": TEXT}, "required": ["a"]}
CIRCLE = {
    "title": "Circle",
    "type": "object",
    "properties": {"kind": {"const": "circle"}, "radius": NUMBER},
    "required": ["kind", "radius"],
}
SQUARE = {
    "title": "Square",
    "type": "object",
    "properties": {"kind": {"const": "square"}, "side": NUMBER, "colour": TEXT},
    "required": ["kind", "side"],
}
TREE = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "first": {"$ref": "#/$defs/Tree"},
        "more": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
    },
    "required": ["name"],
}
MARRIED = {
    "type": "object",
    "properties": {"married": {"type": "boolean"}, "name": TEXT},
    "required": ["married"],
    "if": {"properties": {"married": {"const": True}}, "required": ["married"]},
    "then": {"properties": {"spouse": TEXT}, "required": ["spouse"]},
    "else": {"properties": {"reason": TEXT}},
}
# https://docs.pydantic.dev/latest/concepts/json_schema/, the first example of that page.
PYDANTIC = {
    "$defs": {
        "FooBar": {
            "properties": {
                "count": {"title": "Count", "type": "integer"},
                "size": {
                    "anyOf": [{"type": "number"}, {"type": "null"}],
                    "default": None,
                    "title": "Size",
                },
            },
            "required": ["count"],
            "title": "FooBar",
            "type": "object",
        },
        "Gender": {
            "enum": ["male", "female", "other", "not_given"],
            "title": "Gender",
            "type": "string",
        },
    },
    "description": "This is the description of the main model",
    "properties": {
        "foo_bar": {"$ref": "#/$defs/FooBar"},
        "Gender": {"anyOf": [{"$ref": "#/$defs/Gender"}, {"type": "null"}], "default": None},
        "snap": {
            "default": 42,
            "description": "this is the value of snap",
            "exclusiveMaximum": 50,
            "exclusiveMinimum": 30,
            "title": "The Snap",
            "type": "integer",
        },
    },
    "required": ["foo_bar"],
    "title": "Main",
    "type": "object",
}
# https://geojson.org/schema/Point.json
GEOJSON = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "GeoJSON Point",
    "type": "object",
    "required": ["type", "coordinates"],
    "properties": {
        "type": {"type": "string", "enum": ["Point"]},
        "coordinates": {"type": "array", "minItems": 2, "items": {"type": "number"}},
        "bbox": {"type": "array", "minItems": 4, "items": {"type": "number"}},
    },
}
DEEP = {
    "type": "object",
    "properties": {
        "order": {
            "type": "object",
            "properties": {
                "customer": {
                    "type": "object",
                    "properties": {
                        "address": {
                            "type": "object",
                            "properties": {"city": TEXT, "lines": {"items": TEXT}},
                            "required": ["city"],
                        }
                    },
                },
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "article": TEXT,
                            "prices": {"type": "array", "items": POINT},
                        },
                    },
                },
            },
        }
    },
}

#: By name: a schema, the user's actions, and the resulting JSON.
FORMS = {
    "incomplete": (
        {
            "type": "object",
            "properties": {
                "number": NUMBER,
                "boolean": {"type": "boolean"},
                "choice": {"enum": ["low", "high"]},
                "seen": {"type": ["number", "null"], "x-seen-missing": False},
            },
            "required": ["number", "boolean", "choice", "seen"],
        },
        [],
        "{}",
    ),
    "optional": (
        {
            "type": "object",
            "properties": {
                "number": NUMBER,
                "nullable": {"type": ["string", "null"]},
                "default": {"type": "number", "default": 2.5},
            },
        },
        [],
        '{"default": 2.5}',
    ),
    "choices": (
        {
            "type": "object",
            "properties": {
                "text": {"type": "string", "enum": ["low", "high"]},
                "number": {"type": "number", "enum": [1, 2.5], "title": "The number"},
                "boolean": {"type": "boolean"},
                "constant": {"const": {"a": [1]}},
                "at": {"type": "string", "format": "date-time-local"},
            },
            "required": ["text", "number", "boolean", "constant"],
        },
        [
            choose("Text", "high"),
            choose("The number", "2.5"),
            tap("Boolean", "No"),
            fill("At", "2024-02-29T07:08:15"),
        ],
        '{"text": "high", "number": 2.5, "boolean": false, "constant": {"a": [1]},'
        ' "at": "2024-02-29T07:08:15"}',
    ),
    "references": (
        {
            "type": "object",
            "properties": {
                "x": {"$ref": "#/$defs/P"},
                "y": {"allOf": [{"$ref": "#/$defs/P"}], "title": "Mine"},
                "z": {"type": "object", "properties": {"inner": POINT}, "required": ["inner"]},
            },
            "required": ["x", "y", "z"],
            "$defs": {"P": POINT},
        },
        [fill("A", "3"), fill("B", "b"), fill("A", "4", 1), fill("A", "5", 2)],
        '{"x": {"a": 3, "b": "b"}, "y": {"a": 4}, "z": {"inner": {"a": 5}}}',
    ),
    "choice with null": (
        member({"type": ["string", "number", "null"], "enum": ["a", 1, None]}),
        [choose("X", "None")],
        '{"x": null}',
    ),
    "choice of long integers": (
        member({"type": "integer", "enum": [2**53, 2**53 + 1]}),
        [choose("X", "9007199254740993")],
        '{"x": 9007199254740993}',
    ),
    "nullable by type": (member({"type": ["number", "null"]}), [], '{"x": null}'),
    "list of numbers": (
        member({"type": "array", "items": NUMBER}),
        [fill("X", "1, 2.5 3")],
        '{"x": [1, 2.5, 3]}',
    ),
    "list of unique choices": (
        member({"type": "array", "uniqueItems": True, "items": {"enum": ["a", 2, None]}}),
        [tick("2"), tick("None")],
        '{"x": [2, null]}',
    ),
    "list of choices": (
        member({"type": "array", "items": {"enum": ["a", "b"]}}),
        [press("Add"), choose("Item 1", "b"), press("Add"), choose("Item 2", "b")],
        '{"x": ["b", "b"]}',
    ),
    "list of booleans": (
        member({"type": "array", "items": {"type": "boolean"}}),
        [
            press("Add"),
            tap("Item 1", "Yes"),
            press("Add"),
            tap("Item 2", "No"),
            press("Move up", 1),
        ],
        '{"x": [false, true]}',
    ),
    "list of objects": (
        member({"type": "array", "items": POINT}),
        [press("Add"), fill("A", "1"), press("Add"), fill("A", "2", 1), fill("B", "two", 1)],
        '{"x": [{"a": 1}, {"a": 2, "b": "two"}]}',
    ),
    "list that is shortened and ordered anew": (
        member({"type": "array", "items": POINT, "default": [{"a": 1}, {"a": 2}, {"a": 3}]}),
        [press("Remove", 1), press("Move down", 0)],
        '{"x": [{"a": 3}, {"a": 1}]}',
    ),
    "list of lists": (
        member({"type": "array", "items": {"type": "array", "items": NUMBER}}),
        [press("Add"), fill("Item 1", "1 2"), press("Add"), fill("Item 2", "3 4")],
        '{"x": [[1, 2], [3, 4]]}',
    ),
    "list that nobody filled": (member({"type": "array", "items": POINT}), [], '{"x": []}'),
    "list of fixed length": (
        member({"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}),
        [fill("Item 1", "1"), fill("Item 2", "2")],
        '{"x": [1, 2]}',
    ),
    "tuple": (
        member({"type": "array", "prefixItems": [NUMBER, TEXT, {"type": "boolean"}]}),
        [fill("Item 1", "1"), fill("Item 2", "b"), tap("Item 3", "Yes")],
        '{"x": [1, "b", true]}',
    ),
    "recursion": (
        member({"$ref": "#/$defs/Tree"}, **{"$defs": {"Tree": TREE}}),
        [
            fill("Name", "root"),
            press("Add to First"),
            fill("Name", "left", 1),
            press("Add to More", 0),
            fill("Name", "under", 2),
        ],
        '{"x": {"name": "root", "first": {"name": "left", "more": [{"name": "under"}]}}}',
    ),
    "oneOf with a discriminator": (
        member(
            {
                "oneOf": [{"$ref": "#/$defs/Circle"}, {"$ref": "#/$defs/Square"}],
                "discriminator": {"propertyName": "kind"},
            },
            **{"$defs": {"Circle": CIRCLE, "Square": SQUARE}},
        ),
        [choose("X: which kind", "Square"), fill("Side", "2")],
        '{"x": {"kind": "square", "side": 2}}',
    ),
    "oneOf without a discriminator": (
        {"oneOf": [POINT, {"type": "object", "properties": {"c": TEXT}, "required": ["c"]}]},
        [choose("Row: which kind", "Object (2)"), fill("C", "c")],
        '{"c": "c"}',
    ),
    "oneOf of scalars": (
        member({"oneOf": [{"type": "integer"}, TEXT]}),
        [choose("X: which kind", "Text"), fill("Text", "5")],
        '{"x": "5"}',
    ),
    "several types": (
        member({"type": ["number", "string"]}),
        [choose("X: which kind", "Number"), fill("Number", "5")],
        '{"x": 5}',
    ),
    "oneOf beside properties": (
        {
            "type": "object",
            "properties": {"name": TEXT},
            "oneOf": [
                {"title": "By mail", "properties": {"mail": TEXT}, "required": ["mail"]},
                {"title": "By phone", "properties": {"phone": TEXT}, "required": ["phone"]},
            ],
        },
        [
            choose("Row: which kind", "By mail"),
            fill("Name", "Ann"),
            choose("Row: which kind", "By phone"),
            fill("Phone", "1"),
        ],
        '{"name": "Ann", "phone": "1"}',
    ),
    "if that is met": (
        MARRIED,
        [tap("Married", "Yes"), fill("Spouse", "Kim")],
        '{"married": true, "spouse": "Kim"}',
    ),
    "if that is no longer met": (
        MARRIED,
        [tap("Married", "Yes"), fill("Spouse", "Kim"), tap("Married", "No"), fill("Reason", "r")],
        '{"married": false, "reason": "r"}',
    ),
    "map": (
        member({"type": "object", "additionalProperties": NUMBER}),
        [
            press("Add"),
            fill("Name", "a/b"),
            fill("Value", "1"),
            press("Add"),
            fill("Name", "c", 1),
            fill("Value", "2", 1),
        ],
        '{"x": {"a/b": 1, "c": 2}}',
    ),
    "map beside properties": (
        {"type": "object", "properties": {"a": TEXT}, "additionalProperties": NUMBER},
        [fill("A", "a"), press("Add"), fill("Name", "b"), fill("Value", "1")],
        '{"a": "a", "b": 1}',
    ),
    "file": (
        member({"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}),
        [upload("X", "dot.png", PICTURE)],
        json.dumps({"x": base64.b64encode(PICTURE).decode()}),
    ),
    "two files": (
        {"type": "object", "properties": {"a": FILE, "b": FILE}},
        [upload("A", "a", b"a"), upload("B", "b", b"b")],
        '{"a": "YQ==", "b": "Yg=="}',
    ),
    "root that is a list": (
        {"type": "array", "items": NUMBER},
        [fill("Row", "1, 2")],
        "[[1, 2]]",
    ),
    "root that is a list of objects": (
        {"type": "array", "items": POINT},
        [press("Add"), fill("A", "1")],
        '[[{"a": 1}]]',
    ),
    "root that is a number": (NUMBER, [fill("Row", "7")], "7"),
    "200 fields": (
        {"type": "object", "properties": {f"f{number}": NUMBER for number in range(200)}},
        [fill("F0", "1"), fill("Filter the fields by name", "f199"), fill("F199", "2")],
        '{"f0": 1, "f199": 2}',
    ),
    "pydantic": (
        PYDANTIC,
        [fill("Count", "2"), choose("Gender", "female")],
        '{"foo_bar": {"count": 2}, "Gender": "female", "snap": 42}',
    ),
    "GeoJSON": (
        GEOJSON,
        [choose("Type", "Point"), fill("Coordinates", "8.54, 47.37")],
        '{"type": "Point", "coordinates": [8.54, 47.37]}',
    ),
    "deep": (
        DEEP,
        [
            fill("City", "Bern"),
            fill("Lines", "a\nb"),
            press("Add to Items"),
            fill("Article", "bolt"),
            press("Add to Prices"),
            fill("A", "0.5"),
        ],
        '{"order": {"customer": {"address": {"city": "Bern", "lines": ["a", "b"]}},'
        ' "items": [{"article": "bolt", "prices": [{"a": 0.5}]}]}}',
    ),
}
NAMES = {name: f"form{number}" for number, name in enumerate(FORMS)}
MODELS = {
    "models": [
        {"class": "tests.models.forms.Anything", "name": NAMES[name], "input_schema": schema}
        for name, (schema, _, _) in FORMS.items()
    ]
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a portal with a model for each of these schemas."""
    with serving(MODELS, tmp_path_factory.mktemp("forms")) as address:
        yield address


@pytest.fixture(scope="module")
def page(context, request):
    """One window for all."""
    window = context.new_page()
    window.set_default_timeout(30_000)
    with watched(window, request.node):
        yield window
        window.close()


@pytest.fixture
def open_form(page, site):
    def opened(name):
        page.goto(f"{site}/models/{NAMES[name]}/predict", wait_until="domcontentloaded")
        return page

    return opened


def as_typed(text):
    return json.loads(text, parse_int=Decimal, parse_float=str)


#: Forms whose parts are drawn for a value, and must be found again from its JSON.
MOVING = {
    "choice with null",
    "choice of long integers",
    "nullable by type",
    "list of numbers",
    "list of unique choices",
    "list of choices",
    "list of objects",
    "list of lists",
    "choices",
    "tuple",
    "recursion",
    "oneOf with a discriminator",
    "oneOf of scalars",
    "if that is met",
    "map",
    "map beside properties",
    "file",
    "root that is a list of objects",
    "deep",
}


@pytest.mark.parametrize("name", FORMS)
def test_form_sends_the_typed_row(open_form, name):
    _, steps, expected = FORMS[name]
    page = open_form(name)

    for step in steps:
        step(page)

    assert as_typed(sent(page)) == as_typed(expected)
    expect(page.locator("#form")).to_have_attribute("aria-busy", "false")
    assert page.locator("#alert").is_visible() is (name == "incomplete")
    if name == "incomplete":
        expect(page.get_by_role("alert").get_by_role("link")).to_have_count(4)
    if name in MOVING:
        press("Reset")(page)
        synchronize(page, json.loads(expected))


def synchronize(page, expected):
    """Fill in the JSON tab, and check that the form sends the same."""
    page.get_by_role("tab", name="JSON").click()
    row = expected[0] if isinstance(expected, list) else expected
    page.get_by_label("The row as JSON").fill(json.dumps(row))
    page.get_by_role("tab", name="Form").click()

    expect(page.locator("#unshown")).to_be_hidden()
    assert json.loads(sent(page)) == expected


def test_list_works_by_keyboard(open_form):
    page = open_form("list of objects")
    keyboard = page.keyboard
    page.get_by_role("button", name="Add").focus()

    for text in ("1", "2"):
        keyboard.press("Enter")
        keyboard.type(text)
        while "Add" not in page.evaluate("document.activeElement.textContent"):
            keyboard.press("Tab")
    while page.evaluate("document.activeElement.dataset.change") != "up":
        keyboard.press("Shift+Tab")
    keyboard.press("Space")
    expect(page.locator("[data-status]")).to_have_text("Moved to position 1 of 2.")
    with page.expect_response("**/api/**") as answered:
        keyboard.press("Control+Enter")

    assert answered.value.request.post_data == '{"x":[{"a":2},{"a":1}]}'


def test_error_of_an_item_is_focused(open_form):
    page = open_form("list of objects")
    for place, text in enumerate(["1", "1,5"]):
        press("Add")(page)
        fill("A", text, place)(page)

    sent(page)

    expect(labelled(page, "A", 1)).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("X 2, A must be a number")
    expect(page.locator('[data-field="/x/1/a"] [data-error]')).to_contain_text("1,5")


def test_error_names_the_item(open_form):
    page = open_form("tuple")
    fill("Item 1", "one")(page)

    sent(page)

    expect(page.get_by_role("alert")).to_contain_text("X 1 must be a number")


def test_single_value_error_is_shown(open_form):
    page = open_form("root that is a number")

    assert sent(page) == "null"

    expect(page.locator("[data-error]").first).to_contain_text("must be a number, got null")


def test_reset_clears_the_address(open_form):
    page = open_form("root that is a number")
    fill("Row", "7")(page)
    sent(page)
    expect(page).to_have_url(re.compile("#row=7$"))

    page.get_by_role("button", name="Reset").click()

    expect(page).not_to_have_url(re.compile("#"))


def test_duplicate_member_name_is_reported(open_form):
    page = open_form("map")
    for place, name in enumerate(["a", "a"]):
        press("Add")(page)
        fill("Name", name, place)(page)

    expect(page.get_by_text("Another member has this name")).to_have_count(2)
    assert [each.is_visible() for each in page.locator("[data-twice]").all()] == [False, True]


def test_reset_restores_items_and_alternatives(open_form):
    page = open_form("list that is shortened and ordered anew")
    press("Remove", 0)(page)
    press("Remove", 0)(page)

    page.get_by_role("button", name="Reset").click()
    expect(page.locator("[data-item]")).to_have_count(3)

    assert json.loads(sent(page)) == {"x": [{"a": 1}, {"a": 2}, {"a": 3}]}


def test_alternatives_share_common_members(open_form):
    page = open_form("oneOf with a discriminator")
    for step in (choose("X: which kind", "Square"), fill("Side", "2")):
        step(page)

    choose("X: which kind", "Circle")(page)
    choose("X: which kind", "Square")(page)

    expect(labelled(page, "Side")).to_have_value("2")


#: Files are read at once, but "slow" once `go()` is called, and "broken" never.
READING = """() => {
    const read = FileReader.prototype.readAsDataURL;
    FileReader.prototype.readAsDataURL = function (file) {
        if (file.name === "broken") return this.onerror();
        if (file.name !== "slow") return read.call(this, file);
        window.go = () => new Promise((done) => {
            this.addEventListener("loadend", done);
            read.call(this, file);
        });
    };
}"""


@pytest.fixture
def two_files(open_form):
    """A form of two files, and the rows that it sends."""
    page = open_form("two files")
    page.evaluate(READING)
    rows = []
    note = lambda request: request.method == "POST" and rows.append(request.post_data_json)  # noqa: E731
    page.on("request", note)
    yield page, rows
    page.remove_listener("request", note)


@pytest.mark.parametrize(
    "send", [press("Predict"), lambda page: page.keyboard.press("Control+Enter")]
)
def test_all_files_are_waited_for(two_files, send):
    page, rows = two_files
    upload("A", "slow", b"a")(page)
    upload("B", "b", b"b")(page)
    expect(page.locator("[data-size]").last).to_have_text("1 byte")
    labelled(page, "B").focus()

    send(page)
    with page.expect_response("**/api/**"):
        page.evaluate("go()")

    assert rows == [{"a": "YQ==", "b": "Yg=="}]


@pytest.mark.parametrize(
    ("step", "row"),
    [
        pytest.param(upload("A", "b", b"b"), {"a": "Yg=="}, id="replaced"),
        pytest.param(press("Remove"), {}, id="removed"),
        pytest.param(press("Reset"), {}, id="reset"),
    ],
)
def test_newer_file_replaces_older(two_files, step, row):
    page, _ = two_files
    upload("A", "slow", b"a")(page)

    step(page)
    page.evaluate("go()")

    assert json.loads(sent(page)) == row


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        pytest.param("broken", 1, "A cannot be read: broken", id="unreadable"),
        pytest.param("b", 80_000, "A: expected at most 75 kB, b has 80 kB", id="large"),
    ],
)
def test_rejected_file_is_reported_before_sending(two_files, name, size, words):
    page, rows = two_files
    upload("A", name, b"b" * size)(page)
    press("Predict")(page)
    expect(page.get_by_role("alert")).to_contain_text(words)
    assert rows == []

    press("Remove")(page)

    assert json.loads(sent(page)) == {}


def test_large_input_is_reported_before_sending(two_files):
    page, rows = two_files
    for label in "AB":
        upload(label, "b", b"b" * 50_000)(page)
        expect(page.locator("[data-size]").nth("AB".index(label))).to_have_text("50 kB")

    press("Predict")(page)

    expect(page.get_by_role("alert")).to_contain_text("The server accepts at most 100 kB.")
    assert rows == []


@pytest.fixture
def plain_page(context):
    """A page without JavaScript."""
    plain = context.browser.new_context(java_script_enabled=False)
    yield plain.new_page()
    plain.close()


def test_row_is_predicted_without_javascript(plain_page, site):
    row = {"x": [{"a": 1}, {"a": 2}]}
    plain_page.goto(f"{site}/models/{NAMES['list of objects']}/predict")
    expect(plain_page.get_by_role("button")).to_have_text(["Predict"])

    plain_page.get_by_label("The row as JSON").first.fill(json.dumps(row))
    press("Predict")(plain_page)

    assert json.loads(plain_page.locator("pre").text_content()) == row


def test_errors_are_shown_without_javascript(plain_page, site):
    plain_page.goto(f"{site}/models/{NAMES['list of objects']}/predict")

    plain_page.get_by_label("The row as JSON").first.fill('{"x": [1]}')
    press("Predict")(plain_page)

    expect(plain_page.get_by_role("alert")).to_contain_text("/x/0: must be an object")
    expect(plain_page.get_by_label("The row as JSON")).to_have_value('{"x": [1]}')
