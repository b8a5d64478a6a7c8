"""The pages in a real browser, as a person uses them."""

import json
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from tests.chromium import NEEDS_CHROMIUM, leave, sent, serving
from tests.models.forms import HOSTILE

pytestmark = NEEDS_CHROMIUM

#: Schemas, typed text, and the resulting JSON; None if the member is omitted.
TYPED = {
    "number": ({"type": "number"}, "42.5", "42.5"),
    "number keeps its digits": ({"type": "number"}, "42.0", "42.0"),
    "number in scientific notation": ({"type": "number"}, "1e-3", "1e-3"),
    "number as people write it": ({"type": "number"}, " -.5 ", "-0.5"),
    "number zero": ({"type": "number"}, "0", "0"),
    "number that is blank": ({"type": "number"}, "", None),
    "number with bounds": ({"type": "number", "minimum": 0, "maximum": 8}, "8", "8"),
    "number with exclusive bounds": (
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "0.999",
        "0.999",
    ),
    "multiple of": ({"type": "number", "multipleOf": 0.1}, "0.3", "0.3"),
    "any step": ({"type": "number"}, "0.000000123", "0.000000123"),
    "integer": ({"type": "integer"}, "-7", "-7"),
    "nullable number": ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "1.50", "1.50"),
    "number that is none": ({"type": "number"}, "1,5", '"1,5"'),
    "number of many digits": ({"type": "integer"}, "12345678901234567890", "12345678901234567890"),
    "nullable and blank": ({"type": ["number", "null"]}, "", "null"),
    "text with spaces": ({"type": "string"}, "  a ", '"  a "'),
    "text of digits": ({"type": "string"}, "012", '"012"'),
    "text of markup": ({"type": "string"}, HOSTILE, json.dumps(HOSTILE)),
    "text of lines": ({"type": "string", "maxLength": 999}, "a\n b\n", '"a\\n b\\n"'),
    "text that is blank": ({"type": "string"}, "", None),
    "text that may be empty": ({"type": "string", "minLength": 0}, "", '""'),
    "pattern": ({"type": "string", "pattern": "^[A-Z]{2}$"}, "AB", '"AB"'),
    "e-mail": ({"type": "string", "format": "email"}, "a@example.org", '"a@example.org"'),
    "uri": (
        {"type": "string", "format": "uri"},
        "https://a.example/?b=c",
        '"https://a.example/?b=c"',
    ),
    "uuid": (
        {"type": "string", "format": "uuid"},
        "123e4567-e89b-12d3-a456-426614174000",
        '"123e4567-e89b-12d3-a456-426614174000"',
    ),
    "time": ({"type": "string", "format": "time"}, "10:30:00Z", '"10:30:00Z"'),
    "local time": ({"type": "string", "format": "time-local"}, "07:08:15", '"07:08:15"'),
    "local moment": (
        {"type": "string", "format": "date-time-local"},
        "2024-02-29T07:08:15",
        '"2024-02-29T07:08:15"',
    ),
    "date": ({"type": "string", "format": "date"}, "2024-02-29", '"2024-02-29"'),
    "moment": (
        {"type": "string", "format": "date-time"},
        "2024-02-29T10:30:15",
        '"2024-02-29T10:30:15+05:30"',
    ),
    "texts": ({"items": {"type": "string"}}, "a b\n c\n", '["a b", " c"]'),
    "numbers": ({"items": {"type": "number"}}, "1, 2.50\n3", "[1, 2.50, 3]"),
    "numbers that are blank": ({"items": {"type": "number"}}, "", "[]"),
    "any": ({}, '{"a": [1.0]}', '{"a": [1.0]}'),
    "any that is no JSON": ({}, "{broken", '"{broken"'),
}
CHOICES = {"enum": ["a", 1, None, {"b": [1.5]}]}
TICKS = {"items": {"enum": ["a", 2, "c"]}, "uniqueItems": True}
GROUP = {
    "properties": {
        "inner": {"type": "string"},
        "agreed": {"type": "boolean", "default": True},
        "always": {"const": 1},
    },
    "required": ["always"],
}
LOCAL = {"type": "string", "format": "date-time-local", "x-dtype": "datetime64[us]"}
#: Rows by model name.
ROWS = {
    "typed": {
        "properties": {name: schema for name, (schema, _, _) in TYPED.items()},
        "required": list(TYPED),
    },
    "choices": {"properties": dict.fromkeys(["text", "number", "nothing", "object"], CHOICES)},
    "optional": {
        "properties": {
            "choice": {"enum": ["a"]},
            "boolean": {"type": "boolean"},
            "ticks": TICKS,
            "number": {"type": ["number", "null"]},
            "group": GROUP,
        }
    },
    "moment": {
        "properties": {
            "at": {
                "type": "string",
                "format": "date-time",
                "x-dtype": "datetime64[us, Europe/Berlin]",
                "default": "2024-01-01T10:00:00Z",
            }
        }
    },
    "local": {
        "properties": {
            "pickup": {
                "properties": {
                    "at": {**LOCAL, "default": "2024-05-06T07:08:00"},
                    "until": LOCAL,
                    "note": {"type": "string"},
                }
            },
            "day": {"type": ["string", "null"], "format": "date"},
            "week": LOCAL,
        }
    },
}
MODELS = {
    "models": [
        *({"class": f"tests.models.forms.{name}"} for name in ("Loan", "Iris", "Broken")),
        *(
            {"class": "tests.models.forms.Anything", "name": name, "input_schema": schema}
            for name, schema in ROWS.items()
        ),
        {"class": "tests.models.answers.Detector"},
    ]
}
HOSTILE_MODEL = {"models": [{"class": "tests.models.forms.Hostile"}]}


def field(page, label):
    """Return a control of the form. The What if panel has controls with the same labels."""
    return page.locator("#form").get_by_label(label)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a portal with the models above."""
    with serving(MODELS, tmp_path_factory.mktemp("site")) as address:
        yield address


def as_typed(text):
    return json.loads(text, parse_int=Decimal, parse_float=str)


@pytest.mark.fails("422 /api/models/typed/predict")
def test_typed_text_is_sent_unchanged(page, site):
    page.goto(f"{site}/models/typed/predict")
    for name, (_, text, _) in TYPED.items():
        page.locator(f'[name="/{name}"]').fill(text)

    row = as_typed(sent(page))

    assert row == {
        name: as_typed(value) for name, (_, _, value) in TYPED.items() if value is not None
    }


def test_choice_is_sent_as_its_value(page, site):
    page.goto(f"{site}/models/choices/predict")
    for label, choice in (("Number", "1"), ("Nothing", "None"), ("Object", '{"b": [1.5]}')):
        field(page, label).select_option(label=choice)

    assert json.loads(sent(page)) == {"number": 1, "nothing": None, "object": {"b": [1.5]}}


def test_untouched_optional_fields_are_omitted(page, site):
    page.goto(f"{site}/models/optional/predict")

    assert sent(page) == "{}"


def test_booleans_are_sent_as_json(page, site):
    page.goto(f"{site}/models/optional/predict")
    page.get_by_role("group", name="Ticks").get_by_label("2").check()
    page.get_by_role("group", name="Ticks").get_by_label("c").check()
    page.get_by_role("radiogroup", name="Boolean").get_by_text("No", exact=True).click()

    assert json.loads(sent(page)) == {"ticks": [2, "c"], "boolean": False}


def test_optional_object_is_sent_when_filled(page, site):
    page.goto(f"{site}/models/optional/predict")
    field(page, "Inner").fill("a")

    assert json.loads(sent(page)) == {"group": {"inner": "a", "agreed": True, "always": 1}}


def test_untouched_datetime_is_sent_as_received(page, site):
    page.goto(f"{site}/models/moment/predict")

    expect(page.locator('[name="/at"]')).to_have_value("2024-01-01T15:30")
    assert sent(page) == '{"at":"2024-01-01T10:00:00Z"}'


def test_local_time_is_sent_as_typed(context, site):
    # There, the second of these times does not exist.
    abroad = context.browser.new_context(timezone_id="Europe/Berlin")
    page = abroad.new_page()
    page.goto(f"{site}/models/local/predict")
    assert page.locator('[name="/pickup/at"]').input_value().startswith("2024-05-06T07:08")

    page.locator('[name="/pickup/until"]').fill("2024-03-31T02:30:00")
    page.get_by_role("button", name="Predict").click()

    answer = page.locator("#answer pre")
    expect(answer).to_contain_text('"2024-05-06T07:08:00"')
    expect(answer).to_contain_text('"2024-03-31T02:30')
    page.wait_for_load_state("networkidle")
    abroad.close()


@pytest.mark.fails("422 /api/models/local/predict")
def test_local_example_times_are_unchanged(page, site):
    row = {
        "pickup": {"at": "2024-05-06 07:08:00.123456", "until": "2024-05-06T07:08:00Z"},
        "day": "2024-05-06T00:00:00.000",
        "week": "2024-05-06",
    }
    page.goto(f"{site}/models/local/predict#row={json.dumps(row)}")

    expect(page.locator('[name="/pickup/at"]')).to_have_value("2024-05-06T07:08:00.123")
    expect(page.locator('[name="/pickup/until"]')).to_have_value("2024-05-06T07:08")
    expect(field(page, "Day")).to_have_value("2024-05-06")
    expect(field(page, "Week")).to_have_value("2024-05-06T00:00")
    assert json.loads(sent(page)) == row


def test_untouched_local_times_are_omitted(page, site):
    page.goto(f"{site}/models/local/predict")
    page.get_by_role("button", name="Reset").click()

    assert sent(page) == "{}"


def test_json_null_is_a_blank_field(page, site):
    page.goto(f"{site}/models/local/predict")
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("The row as JSON").fill(
        '{"pickup": {"at": "2024-05-06T07:08:00", "note": null}}'
    )

    page.get_by_role("tab", name="Form").click()

    expect(field(page, "Note")).to_have_value("")
    assert sent(page) == '{"pickup":{"at":"2024-05-06T07:08:00"}}'


def test_datetime_hint_names_the_time_zone(page, site):
    page.goto(f"{site}/models/moment/predict")

    hint = page.locator('[data-field="/at"] .field-hint')
    expect(hint).to_contain_text("In your time zone (Asia/")
    expect(hint).to_contain_text("The training data is in the time zone Europe/Berlin")


def test_form_works_by_keyboard(page, site):
    page.goto(f"{site}/models/iris/predict")
    field(page, "Sepal length").focus()
    for number in ("5.1", "3.5", "1.4", "0.2"):
        page.keyboard.type(number)
        page.keyboard.press("Tab")

    with page.expect_response("**/api/**") as answered:
        page.keyboard.press("Enter")

    assert answered.value.request.post_data == (
        '{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}'
    )
    expect(page.locator(".headline")).to_have_text("setosa 98.0%")


def test_probability_bars_keep_the_class_order(page, site):
    page.goto(f"{site}/models/iris/predict")
    page.get_by_role("button", name="example").first.click()
    page.get_by_role("button", name="Predict").click()

    lines = page.locator(".bars li")
    expect(lines).to_have_text(["versicolor2.0%", "setosa98.0%", "virginica< 0.1%"])
    expect(page.locator(".bar-largest")).to_have_text("setosa98.0%")
    expect(page.locator(".bar-fill")).to_have_count(3)
    narrow, wide, least = [box.bounding_box()["width"] for box in page.locator(".bar-fill").all()]
    assert least < narrow < wide


ANSWERS = {
    "outlier": (
        {"prediction": -1, "is_outlier": True, "score": -0.1},
        ["Yes"],
        "Is outlier Yes Prediction -1 Score -0.1",
    ),
    "cluster": (
        {"prediction": 2, "distances": {"0": 3.5, "1": 12000, "2": 0.25}},
        ["2"],
        "Prediction 2 Distances Cluster 2 nearest 0.25 Cluster 0 3.5 Cluster 1 12,000",
    ),
    "labels": (
        {"prediction": 1, "probabilities": {"0": 0.25, "1": 0.75}},
        ["1 75.0%"],
        "Prediction 1 75.0% Probabilities 0 25.0% 1 75.0%",
    ),
    "long": ({"prediction": "a" * 81}, [], f"Prediction {'a' * 81}"),
}


def test_headline_is_the_main_value(page, site):
    page.goto(f"{site}/models/optional/predict")
    for answer, headline, words in ANSWERS.values():
        respond(page, answer)

        sent(page)

        expect(page.locator(".drawn > dl")).to_have_text(words, use_inner_text=True)
        expect(page.locator(".headline")).to_have_text(headline)


def respond(page, answer):
    """Respond to the predictions of a page."""
    page.unroute_all()
    page.route("**/api/**", lambda route: route.fulfill(status=200, body=json.dumps(answer)))


def test_packaged_model_names_its_headline(page, site):
    page.goto(f"{site}/models/detector/predict")
    sent(page)

    expect(page.locator(".drawn > dl")).to_have_text(
        "Outlier Yes Prediction outlier Probability 98.0%", use_inner_text=True
    )


@pytest.mark.parametrize("language", ["en-US", "fr-FR"])
def test_numbers_follow_the_browser_language(context, site, language):
    written = {
        "en-US": ["1,234,568", "0.5", "88.1%", "2024", "1.5e-9", "-12,345.5"],
        "fr-FR": ["1\u202f234\u202f568", "0,5", "88,1\u00a0%", "2024", "1,5e-9", "-12\u202f345,5"],
    }
    answer = {"a": 1234567.891, "b": 0.5, "c": {"x": 0.881, "y": 0.119}, "d": 2024}
    answer |= {"e": 1.5e-9, "f": -12345.5}
    page = context.browser.new_context(locale=language).new_page()
    page.goto(f"{site}/models/optional/predict")
    page.route("**/api/**", lambda route: route.fulfill(status=200, body=json.dumps(answer)))

    sent(page)

    expect(page.locator(".drawn")).to_be_visible()
    shown = page.locator(".drawn > dl .number").all_text_contents()
    assert [shown[0], shown[1], shown[2], *shown[4:]] == written[language]
    expect(page.locator(".drawn pre")).to_contain_text('"a": 1234567.891')
    page.wait_for_load_state("networkidle")
    page.context.close()


def test_numbers_and_dates_do_not_wrap(page, site):
    row = {"day": "2026-01-31", "at": "2026-01-31T10:00:00", "count": 1234568, "price": 12345679.25}
    answer = json.dumps({"prediction": 123456789012.5, "rows": [row, {**row, "count": None}]})
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"{site}/models/optional/predict")
    page.route("**/api/**", lambda route: route.fulfill(status=200, body=answer))

    sent(page)

    expect(page.locator(".drawn .unbroken")).to_have_count(8)
    lines = "each => each.getClientRects().length"
    assert [each.evaluate(lines) for each in page.locator(".drawn .unbroken").all()] == [1] * 8
    ends = page.locator(".drawn td.at-end")
    expect(ends).to_have_text(["1,234,568", "12,345,679", "none", "12,345,679"])
    assert ends.first.evaluate("each => getComputedStyle(each).textAlign") == "right"
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_many_numbers_are_a_line(page, site):
    page.goto(f"{site}/models/optional/predict")
    answer = json.dumps({"forecast": [100, 103.5, 99, 120, 140, 12000]})
    page.route("**/api/**", lambda route: route.fulfill(status=200, body=answer))

    sent(page)

    expect(page.get_by_role("img", name="Forecast: 6 numbers from 99 to 12,000")).to_be_visible()
    page.get_by_text("6 numbers").click()
    expect(page.locator(".answer-list-numbers li")).to_have_count(6)


def test_example_fills_the_form(page, site):
    page.goto(f"{site}/models/loan/predict")
    page.get_by_role("button", name="example 1").click()
    expect(field(page, "City")).to_have_value("Porto")

    row = json.loads(sent(page))

    assert row == {
        "income": 42500.5,
        "amount": 12000,
        "term_months": 48,
        "purpose": "car",
        "employed": True,
        "rate": None,
        "owns": ["car"],
        "past_rates": [4.5, 5],
        "address": {"city": "Porto"},
    }


def test_second_example_replaces_the_first(page, site):
    page.goto(f"{site}/models/loan/predict")
    page.get_by_role("button", name="example 1").click()
    page.get_by_role("button", name="example 2").click()

    row = json.loads(sent(page))

    assert "address" not in row
    assert row["children"] == 3


def test_reset_clears_form_and_prediction(page, site):
    page.goto(f"{site}/models/loan/predict")
    page.get_by_role("button", name="example 1").click()
    sent(page)

    page.get_by_role("button", name="Reset").click()

    expect(field(page, "City")).to_have_value("")
    expect(page.locator("#answer")).to_have_text("The prediction appears here.")


@pytest.mark.fails("422 /api/models/loan/predict")
def test_first_invalid_field_is_focused(page, site):
    page.goto(f"{site}/models/loan/predict")
    page.get_by_role("button", name="example 1").click()
    field(page, "Term").fill("7.5")
    field(page, "City").fill("")
    field(page, "Lives there since").fill("2020-01-01")

    sent(page)

    expect(field(page, "Term")).to_be_focused()
    expect(field(page, "Term")).to_have_attribute("aria-invalid", "true")
    expect(page.locator('[data-field="/term_months"] [data-error]')).to_contain_text("7.5")
    expect(page.get_by_role("alert").get_by_role("link")).to_have_count(2)
    expect(field(page, "Income")).to_have_value("42500.5")


@pytest.mark.fails("422 /api/models/iris/predict")
def test_error_link_focuses_its_field(page, site):
    page.goto(f"{site}/models/iris/predict")
    sent(page)

    page.get_by_role("alert").get_by_role("link").last.click()

    expect(field(page, "Petal width")).to_be_focused()


@pytest.mark.fails("422 /api/models/iris/predict")
def test_input_rejected_by_model_is_marked(page, site):
    page.goto(f"{site}/models/iris/predict")
    page.get_by_role("button", name="example").first.click()
    field(page, "Petal width").fill("7")

    sent(page)

    error = page.locator('[data-field="/petal_width"] [data-error]')
    expect(error).to_have_text("must not be more than petal_length")


@pytest.mark.fails("422 /api/models/iris/predict")
def test_next_prediction_clears_errors(page, site):
    page.goto(f"{site}/models/iris/predict")
    sent(page)
    page.get_by_role("button", name="example").first.click()

    sent(page)

    expect(page.locator("#alert")).to_be_hidden()
    expect(page.locator("[aria-invalid]")).to_have_count(0)


@pytest.mark.fails("net::ERR_FAILED /api/models/iris/predict")
def test_unreachable_server_keeps_the_input(page, site):
    page.goto(f"{site}/models/iris/predict")
    field(page, "Sepal length").fill("5.1")
    page.route("**/api/**", lambda route: route.abort())

    page.get_by_role("button", name="Predict").click()

    expect(page.get_by_role("alert")).to_contain_text("The server could not be reached")
    expect(field(page, "Sepal length")).to_have_value("5.1")


@pytest.mark.fails("502 /api/models/iris/predict")
def test_html_response_is_reported(page, site):
    page.goto(f"{site}/models/iris/predict")
    page.route("**/api/**", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))

    page.get_by_role("button", name="Predict").click()

    expect(page.get_by_role("alert")).to_contain_text("502")


@pytest.mark.fails("503 /api/models/iris/predict")
def test_busy_server_shows_retry_time(page, site):
    page.goto(f"{site}/models/iris/predict")
    said = {"title": "Too much to do", "detail": "iris is unloaded", "request_id": "r-1"}
    problem = json.dumps({**said, "status": 503})
    answer = {"status": 503, "headers": {"Retry-After": "5"}, "body": problem}
    page.route("**/api/**", lambda route: route.fulfill(**answer))

    page.get_by_role("button", name="Predict").click()

    expect(page.get_by_role("alert")).to_contain_text("Too much to do")
    expect(page.get_by_role("alert")).to_contain_text("Iris is unloaded. Try again in 5 s.")


def test_json_tab_exchanges_the_row(page, site):
    page.goto(f"{site}/models/iris/predict")
    field(page, "Sepal length").fill("5.10")

    page.get_by_role("tab", name="JSON").click()
    area = page.get_by_label("The row as JSON")
    expect(area).to_have_value('{\n  "sepal_length": 5.10\n}')
    area.fill('{"sepal_length": 6.0, "petal_width": "wide", "colour": "blue"}')
    page.get_by_role("tab", name="Form").click()

    expect(field(page, "Sepal length")).to_have_value("6.0")
    expect(field(page, "Petal width")).to_have_value("wide")
    expect(page.get_by_text("Only in the JSON")).to_contain_text("colour")


@pytest.mark.fails("400 /api/models/iris/predict")
def test_server_validates_json_tab(page, site):
    page.goto(f"{site}/models/iris/predict")
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("The row as JSON").fill('{"sepal_length": 1, "sepal_length": 2}')

    text = sent(page)

    assert text == '{"sepal_length": 1, "sepal_length": 2}'
    expect(page.get_by_role("alert")).to_contain_text("sepal_length")


def test_invalid_json_is_kept(page, site):
    page.goto(f"{site}/models/iris/predict")
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("The row as JSON").fill('{"sepal_length": ')

    page.get_by_role("tab", name="Form").click()

    expect(page.get_by_text("This is not valid JSON")).to_be_visible()
    expect(page.get_by_label("The row as JSON")).to_have_value('{"sepal_length": ')


#: Predictions, and the text that a page shows.
SHOWN = [
    (None, "none"),
    ("", "(empty text)"),
    (152.13348416289591, "152.133"),
    (9007199254740993, "9,007,199,254,740,993"),
    ([1, 2.5], "12.5"),
    ([], "An empty list"),
    ({}, "An empty object"),
    ({"a": {"b": {"c": 1}}}, "ABC1"),
    ([[1, 2], [3, 4]], "1234"),
    ([{"a": 1}, {"b": {"c": 2}}], "AB1C2"),
    ({"b": "x", "a": 0.5}, "BxA0.5"),
    ({"<b>x</b>": "<b>y</b>"}, "<b>x</b><b>y</b>"),
]


def test_prediction_is_rendered_as_text(page, site):
    page.goto(f"{site}/models/optional/predict")
    for answer, text in SHOWN:
        respond(page, answer)

        sent(page)

        expect(page.locator(".drawn > :first-child")).to_have_text(text)
        assert page.locator(".drawn > :first-child").text_content() == text


@pytest.mark.parametrize(
    ("answer", "cells", "words"),
    [
        pytest.param(
            [[0.5] * 60] * 101, 5000, ["10 more columns are", "1 more row is"], id="table"
        ),
        pytest.param({f"x{x}": 0 for x in range(200)}, 100, ["100 more members are"], id="members"),
    ],
)
def test_large_prediction_is_truncated_visibly(page, site, answer, cells, words):
    page.goto(f"{site}/models/optional/predict")
    page.route("**/api/**", lambda route: route.fulfill(status=200, body=json.dumps(answer)))

    sent(page)

    expect(page.locator(".drawn :is(td, dd)")).to_have_count(cells)
    for each in words:
        expect(page.get_by_text(f"{each} in the JSON below.")).to_be_visible()


def test_scrolling_table_has_a_label(page, site):
    page.goto(f"{site}/models/optional/predict")
    answer = json.dumps({"near_by": [{"a": 1}, {"a": 2}]})
    page.route("**/api/**", lambda route: route.fulfill(status=200, body=answer))

    sent(page)

    expect(page.get_by_role("group", name="Near by")).to_have_attribute("tabindex", "0")


def test_pages_follow_the_system_theme(page, site):
    page.emulate_media(color_scheme="dark")

    page.goto(site)

    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(18, 20, 28)"


def test_reference_lists_each_model_path(page, site):
    page.goto(f"{site}/docs")

    expect(page.locator("#reference")).to_contain_text("/api/models/iris/predict")


def test_reference_is_readable_on_a_phone(page, site):
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"{site}/docs#/Models/predict")

    response = page.locator(".opblock.is-open tr.response").first
    assert response.locator(".response-col_description").bounding_box()["width"] > 250
    assert response.locator(".headers tbody .header-col").nth(1).bounding_box()["width"] > 200
    expect(page.get_by_text("No links").first).to_be_hidden()


def test_markup_from_a_model_is_inert(page, tmp_path):
    with serving(HOSTILE_MODEL, tmp_path) as address:
        for path in ("/", "/models/hostile/metadata", "/models/hostile/predict", "/docs"):
            page.goto(f"{address}{path}", wait_until="networkidle")

            assert page.title().endswith("Modelhost")
            assert page.locator("[onerror], main script").count() == 0
        leave(page)
