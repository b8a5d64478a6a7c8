"""The predict page in a real browser: everything except the fields of the form."""

import ast
import codecs
import csv
import json
import os
import re
import subprocess
import sys
import tomllib
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect

from tests import DATA, ROOT
from tests.chromium import AXE, FOUND, NEEDS_CHROMIUM, sent, serving, settle
from tests.models.forms import HOSTILE

pytestmark = NEEDS_CHROMIUM

NUMERALS = DATA / "numerals.json"

ROW = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "number": {"type": "number"}},
}
WIDE = {
    f"{part}_{number}": {"type": "number", "examples": [number]}
    for part in ("income", "debt")
    for number in range(15)
}
MODELS = {
    "models": [
        *(
            {"class": f"tests.models.answers.{name}"}
            for name in ("Painter", "Risk", "SecondRisk", "Fragile", "Sampled", "Tagged")
        ),
        {"class": "tests.models.typical.Lender"},
        {"class": "tests.models.typical.Noted"},
        {"class": "tests.models.typical.Lender", "name": "dated", "version": "1.0"},
        {"class": "tests.models.typical.Chance"},
        {"class": "tests.models.typical.Agreed"},
        {"class": "tests.models.typical.Reasoned"},
        {"class": "tests.models.typical.Outlier"},
        {"class": "tests.models.typical.Labels"},
        {"class": "tests.models.typical.Pair"},
        {"class": "tests.models.typical.Extremes"},
        {"class": "tests.models.typical.Own"},
        {"class": "tests.models.answers.Risk", "name": "logged", "log": True},
        {"class": "tests.models.answers.Risk", "name": "thinned", "log": {"rows": 1e-9}},
        {"class": "tests.models.forms.Iris"},
        {"class": "tests.models.forms.Anything", "name": "echo", "input_schema": ROW},
        {
            "class": "tests.models.forms.Anything",
            "name": "wide",
            "input_schema": {"properties": WIDE, "type": "object", "required": list(WIDE)},
        },
        {"class": "tests.models.answers.Deep"},
        {"class": "tests.models.answers.RenamedRisk"},
        {"class": "tests.models.answers.Fragile", "name": "unmeasured"},
        {"class": "tests.models.answers.Binary"},
    ]
}

MEASURED = {
    "risk": {"amount": 1, "kind": "car"},
    "fragile": {"x": 1},
    "binary": {"city": "Pune"},
    "outlier": {"income": 30, "term": 36, "note": "x"},
}


@pytest.fixture(scope="module")
def site_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def site(site_folder):
    """The address of a portal with the models above."""
    with serving(MODELS, site_folder) as address:
        # What if starts by itself only if the duration of a prediction is known.
        for name, row in MEASURED.items():
            body, headers = json.dumps(row).encode(), {"Content-Type": "application/json"}
            urlopen(Request(f"{address}/api/models/{name}/predict", body, headers)).close()
        yield address


@pytest.fixture
def on(page, site):
    """A function that opens a model's predict page in a fresh browser context."""

    page.goto(f"{site}/portal/logo")
    page.evaluate("localStorage.clear()")

    def open_page(name, row=None):
        carried = "" if row is None else f"#row={quote(json.dumps(row))}"
        page.goto(f"{site}/models/{name}/predict{carried}")
        return page

    return open_page


def field(page, label):
    """Return a control of the form. The What if panel has controls with the same labels."""
    return page.locator("#form").get_by_label(label)


def answered(page):
    sent(page)
    expect(page.locator("#answer-note")).to_contain_text(re.compile(r" m?s\b"))


def opened(page, title):
    page.get_by_role("tab", name=title).click()
    return page.get_by_role("tabpanel", name=title)


def saved(page, name, role="button"):
    """Click a button or link that saves a file, and return the file's text."""
    with page.expect_download() as download:
        page.get_by_role(role, name=name).click()
    return download.value.path().read_text(encoding="utf-8-sig")


def test_pictures_and_downloads_are_shown(on):
    page = on("painter")
    answered(page)

    drawn = page.locator("#answer img")
    expect(drawn).to_have_count(3)
    expect(drawn.first).to_have_attribute("alt", "Heat map, drawn by the model")
    assert drawn.first.evaluate("each => each.decode().then(() => each.naturalWidth)") == 8
    expect(page.locator("#answer")).to_contain_text("<script>no base64</script>")
    expect(page.get_by_role("link", name="Save the file (3 kB)")).to_be_visible()
    # All digits of an integer, and what the headers describe.
    expect(page.locator("#answer")).to_contain_text("1,234,568 m²")
    expect(page.locator("#answer-note")).to_contain_text("). Version 3.0, Python 3.")


def test_a_link_carries_the_input(on, site):
    page = on("echo")
    field(page, "Text").fill("a & b # ? ü")
    field(page, "Number").fill("1.50")
    answered(page)
    link = page.url

    page.goto(site)
    page.goto(link)

    expect(field(page, "Text")).to_have_value("a & b # ? ü")
    expect(field(page, "Number")).to_have_value("1.50")
    expect(page.locator("#answer")).to_have_text("The prediction appears here.")


#: Buttons keep the text that they show for a moment.
STAY_COPIED = """() => {
    const later = window.setTimeout;
    window.setTimeout = (run, wait) => wait === 1500 ? 0 : later(run, wait);
}"""


def test_copied_link_leads_to_the_prediction(on, site):
    page = on("risk", {"amount": 900, "kind": "car"})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answered(page)
    page.evaluate(STAY_COPIED)
    page.get_by_role("button", name="Copy as text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    text = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_have_count(2)

    page.goto(site)
    page.goto(page.evaluate("navigator.clipboard.readText()"))

    expect(page.locator("#answer")).to_contain_text("high")
    expect(page).to_have_url(re.compile("#row="))
    assert (
        text
        == "Risk\n\nPrediction: high\nlow: 10.0%\nhigh: 90.0%\n\nInput\nAmount: 900 EUR\nKind: car\n"
    )


def test_slow_call_can_be_cancelled(on):
    page = on("echo", {"text": "a"})
    page.route("**/predict", lambda route: None, times=1)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer-waiting")).to_contain_text(re.compile(r"Running, \d+ s"))

    page.keyboard.press("Escape")

    expect(page.locator("#answer")).to_have_text("Cancelled. The input is kept.")
    answered(page)


def test_unknown_members_open_json_tab(on):
    page = on("echo", {"text": "a", "more": [1]})

    expect(page.get_by_label("The row as JSON")).to_have_value(
        '{\n  "text": "a",\n  "more": [\n    1\n  ]\n}'
    )
    assert json.loads(sent(page)) == {"text": "a", "more": [1]}


def test_empty_text_is_not_blank(on):
    page = on("echo", {"text": "", "number": 1})

    expect(field(page, "Text")).to_have_attribute("placeholder", "(empty text)")
    assert json.loads(sent(page)) == {"text": "", "number": 1}

    field(page, "Text").fill("a")
    field(page, "Text").fill("")
    assert json.loads(sent(page)) == {"number": 1}


def test_broken_link_is_reported(page, site):
    page.goto(f"{site}/models/echo/predict#row=%7B%22te%", wait_until="networkidle")

    expect(page.get_by_text("The row in this address is incomplete")).to_be_visible()


#: The next request, except those of What if, gets its response once `go()` is called, even if it is aborted.
SLOW = """() => {
    const asked = window.fetch;
    window.fetch = (address, options) => {
        if (address.includes("partial=")) return asked(address, options);
        window.fetch = asked;
        return new Promise((done) => {
            window.go = async () => {
                const response = await asked(address, { ...options, signal: null });
                const copy = response.clone();
                done(response);
                await copy.text();
                await new Promise(requestAnimationFrame);
            };
        });
    };
}"""


@pytest.mark.parametrize("button", ["Reset", "Example 1"])
def test_late_response_is_ignored(on, button):
    sizes = dict.fromkeys(["sepal_length", "sepal_width", "petal_length", "petal_width"], 2)
    page = on("iris", sizes)
    page.evaluate(SLOW)
    page.get_by_role("button", name="Predict").click()

    page.get_by_role("button", name=button).click()
    expect(page.locator("#form")).to_have_attribute("aria-busy", "false")
    address = page.url
    page.evaluate("go()")

    expect(page.locator("#answer")).to_have_text("The prediction appears here.")
    assert page.url == address


def test_equal_row_keeps_prediction_current(on):
    page = on("echo", {"text": "a", "number": 1})
    answered(page)

    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("The row as JSON").fill('{"number": 1.0, "text": "a"}')
    expect(page.locator("#answer-outdated")).to_be_hidden()

    page.get_by_label("The row as JSON").fill('{"number": 2, "text": "a"}')
    expect(page.locator("#answer-outdated")).to_contain_text("The input has changed.")


def test_reset_removes_row_from_address(on):
    page = on("echo", {"text": "a"})
    expect(field(page, "Text")).to_have_value("a")

    page.get_by_role("button", name="Reset").click()

    expect(field(page, "Text")).to_have_value("")
    expect(page).to_have_url(page.url.partition("#")[0])


def test_history_is_kept_in_the_browser(on):
    page = on("risk", {"amount": 100, "kind": "car"})
    answered(page)
    field(page, "Amount").fill("900")
    answered(page)
    expect(page.locator("#answer")).to_contain_text("high")
    page.reload()

    panel = opened(page, "History")
    rows = panel.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first.get_by_role("rowheader")).to_contain_text("high")
    expect(rows.first.locator("[data-label=Amount]")).to_have_text("900 EUR")
    rows.last.get_by_role("button", name="Use again").click()
    expect(field(page, "Amount")).to_have_value("100")


def test_saved_history_has_no_formulas(on):
    page = on("echo", {"text": '=HYPERLINK("http://a")', "number": -1.50})
    answered(page)
    panel = opened(page, "History")

    lines = list(csv.DictReader(saved(panel.page, "Save as CSV").splitlines()))

    assert [each["text"] for each in lines] == ['\'=HYPERLINK("http://a")']
    assert lines[0]["number"] == "-1.5"
    assert lines[0]["prediction.number"] == "-1.5"


def test_saved_column_names_do_not_collide(on):
    page = on("echo", {"at": "home", "version": "mine"})
    answered(page)
    panel = opened(page, "History")

    [line] = csv.DictReader(saved(panel.page, "Save as CSV").splitlines())

    assert line["prediction at"].startswith("20")
    assert [line["at"], line["prediction.at"], line["version"]] == ["home", "home", "mine"]
    assert line["milliseconds"].isdigit()


def test_history_is_cleared(on):
    page = on("echo", {"text": HOSTILE})
    answered(page)
    panel = opened(page, "History")
    expect(panel.locator("tbody tr")).to_have_count(1)

    panel.get_by_role("button", name="Clear").click()

    expect(panel).to_contain_text("Your predictions are listed here.")
    assert page.evaluate("localStorage.getItem('modelhost:predictions:echo')") is None


def test_foreign_local_storage_is_ignored(on):
    page = on("echo")
    page.evaluate(
        """localStorage.setItem("modelhost:predictions:echo", '[{"row": 3}, null, "x"]')"""
    )
    page.reload(wait_until="networkidle")

    answered(page)

    expect(opened(page, "History").locator("tbody tr")).to_have_count(1)


def saved_as(page, name):
    """Save the current input as a scenario."""
    panel = opened(page, "Scenarios")
    panel.get_by_label("Name of the scenario").fill(name)
    panel.get_by_label("Name of the scenario").press("Enter")
    expect(panel.locator(".scenario-name", has_text=name)).to_have_count(1)
    return panel


def test_scenarios_are_compared(on):
    page = on("risk", {"amount": 250, "kind": "car"})
    saved_as(page, "base")
    field(page, "Amount").fill("500")
    saved_as(page, "more")
    page.reload()

    panel = opened(page, "Scenarios")

    expect(panel.locator("tbody tr")).to_have_text(
        [
            "Predictionlowlow",
            "low75.0%50.0% -25.0 points",
            "high25.0%50.0% +25.0 points",
            "Amount250 EUR500 EUR",
        ]
    )
    expect(panel).to_contain_text("1 input is equal and not shown.")
    panel.get_by_role("button", name="Use the input of base").click()
    expect(field(page, "Amount")).to_have_value("250")


@pytest.mark.fails("422 /api/models/binary/predict")
def test_classes_of_scenarios_have_no_difference(on):
    page = on("binary", {"city": "Pune"})
    saved_as(page, "base")
    field(page, "City").fill("Delhi")
    saved_as(page, "other")
    field(page, "City").fill("")
    panel = saved_as(page, "blank")

    expect(panel.locator("tbody tr").first).to_have_text("Prediction01")
    expect(panel.locator("tbody tr").nth(1)).to_have_text("Score23 +1")
    expect(panel).to_contain_text("2 of 3 scenarios predicted.")


def test_differences_of_scenarios_are_explained(on):
    page = on("lender", {"income": 30, "term": 36, "note": "x"})
    saved_as(page, "base")
    field(page, "Income").fill("90")
    panel = saved_as(page, "rich")

    panel.get_by_role("button", name="Why do they differ?").click()

    effects = panel.get_by_role("region", name="Effects of the inputs").get_by_role("row")
    expect(effects.first).to_have_text("Effect ofbaserich")
    expect(effects.nth(1)).to_have_text(re.compile(r"^Income\+\d\d\.\d points-\d+\.\d points$"))


def test_explained_scenarios_name_what_was_held(on):
    row = {"income": 30, "term": 36, "note": "x"} | {f"part_{at}": 40 for at in range(14)}
    page = on("noted", row)
    saved_as(page, "base")
    field(page, "Remark").fill("longer")
    for at in range(14):
        page.locator(f"#form [data-field='/part_{at}'] input").first.fill("50")
    panel = saved_as(page, "longer")

    panel.get_by_role("button", name="Why do they differ?").click()

    lines = panel.locator("#scenarios-why-table tbody tr")
    expect(lines).to_have_count(14)
    expect(lines.nth(12)).to_have_text(re.compile(r"^2 others-\d+\.?\d*\+\d\.?\d*$"))
    expect(lines.last).to_have_text("Typical694699")
    expect(panel).to_contain_text("Not replaced: Remark. The typical predictions differ")


def test_probabilities_of_several_outputs_have_their_names(on):
    page = on("pair", {"income": 30, "term": 36, "note": "x"})
    panel = saved_as(page, "base")
    shares = ["Rich: 075.0%", "Rich: 125.0%", "Young: 050.0%", "Young: 150.0%"]
    lines = panel.locator("tbody tr")
    expect(lines.filter(has_text="%")).to_have_text(shares)

    panel = given(page, "income,term,note\n30,36,x\n")
    panel.get_by_role("button", name="Predict 1 row").click()
    headings = ["Line", "Rich", "Young", "Rich: 0", "Rich: 1", "Young: 0", "Young: 1"]
    expect(panel.locator("#file-result thead th")).to_contain_text(headings)


def test_hidden_scenarios_are_not_predicted(on):
    page = on("lender", {"income": 30, "term": 36, "note": "x"})
    saved_as(page, "base")
    opened(page, "Code")
    sent = []
    page.on("request", lambda request: sent.append(request.url))

    page.evaluate("dispatchEvent(new StorageEvent('storage', {key: 'modelhost:scenarios:lender'}))")
    with page.expect_response("**/predict*"):
        opened(page, "Scenarios")

    assert len(sent) == 1


@pytest.mark.fails("422 /api/models/risk/predict")
def test_scenarios_are_cleared_with_the_history(on):
    page = on("risk", {"amount": -1, "kind": "car"})
    panel = saved_as(page, HOSTILE)
    expect(panel.locator("tbody tr").first).to_have_text(
        "No predictionAmount must be at least 0, got -1"
    )

    opened(page, "History").get_by_role("button", name="Clear history and scenarios").click()

    expect(opened(page, "Scenarios")).to_contain_text('Save inputs such as "base"')
    assert page.evaluate("localStorage.getItem('modelhost:scenarios:risk')") is None


#: A row with strings that contain quotes, variables, file names and markup.
QUOTED = {
    "text": """'"'; $(touch hit) `x` \\ ${a} %s {a} \n\t </script> \u2028 ü 🙂 )-""",
    "__proto__": {"a": [True, None, 1.5]},
    "big": 12345678901234567890,
    ")": "@/etc/passwd",
}


def code_of(page, language):
    panel = opened(page, "Code")
    panel.get_by_text(language, exact=True).click()
    return panel.locator("code").text_content()


def test_code_quotes_any_row(on, tmp_path, capsys):
    page = on("echo", QUOTED)
    code = code_of(page, "curl")

    done = subprocess.run(["sh", "-c", code], cwd=tmp_path, capture_output=True, check=True)

    assert json.loads(done.stdout) == QUOTED
    assert list(tmp_path.iterdir()) == []

    exec(compile(code_of(page, "Python"), "snippet", "exec"), {})

    assert ast.literal_eval(capsys.readouterr().out) == QUOTED

    code = code_of(page, "R")

    [(dashes, text)] = re.findall(r'req_body_raw\(r"(-*)\((.*?)\)\1", type = ', code, re.DOTALL)
    assert dashes == "--"
    assert json.loads(text) == QUOTED

    code = code_of(page, "JavaScript")

    with page.expect_response("**/api/**") as answer:
        page.evaluate(f"(async () => {{ const console = {{log() {{}}}}; {code} }})()")

    assert json.loads(answer.value.text()) == QUOTED


def test_javascript_code_has_a_plain_object(on):
    code = code_of(on("echo", {"text": "a", "number": 1}), "JavaScript")

    assert 'body: JSON.stringify({\n    "text": "a",\n    "number": 1\n  })' in code


def test_code_follows_the_input(on):
    page = on("echo")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(STAY_COPIED)
    panel = opened(page, "Code")
    field(page, "Text").fill("changed")

    panel.get_by_role("button", name="Copy").click()

    expect(panel.get_by_role("button", name="Copied")).to_be_visible()
    assert '{"text":"changed"}' in page.evaluate("navigator.clipboard.readText()")


def test_assistant_configuration_is_copied(on):
    page = on("echo")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(STAY_COPIED)
    panel = opened(page, "Assistant")
    panel.get_by_text("Codex", exact=True).click()

    panel.get_by_role("button", name="Copy").click()

    expect(panel.get_by_role("button", name="Copied")).to_be_visible()
    expect(panel.locator("pre:visible")).to_have_count(1)
    copied = tomllib.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["mcp_servers"]["modelhost"]["url"].endswith("/mcp")


def test_the_code_waits_for_json(on):
    page = on("echo")
    page.get_by_role("tab", name="JSON").click()
    page.get_by_label("The row as JSON").fill("{")

    expect(opened(page, "Code")).to_contain_text("The input is not valid JSON.")


def test_code_of_a_blank_form_sends_the_first_example(on):
    page = on("iris")
    panel = opened(page, "Code")
    expect(panel).to_contain_text("The form is blank. This code sends Example 1.")
    expect(panel).to_contain_text('{"sepal_length":5.1,')

    page.get_by_role("textbox", name="Sepal length").fill("2")

    expect(panel).not_to_contain_text("Example 1")


def test_examples_are_predicted_and_used(on):
    page = on("iris")
    panel = opened(page, "Examples")
    expect(panel.locator("[data-prediction]")).to_have_text("setosa 98.0%")
    expect(panel.get_by_role("row", name="Petal width")).to_contain_text("0.2")

    panel.get_by_role("button", name="Use").click()

    expect(page.get_by_role("textbox", name="Sepal length")).to_have_value("5.1")


def moved(page, label, other=None):
    """Vary another field in the What if panel, or compare with another model."""
    panel = opened(page, "What if")
    panel.get_by_label("Vary").select_option(label=label)
    if other:
        panel.get_by_label("Compare with").select_option(label=other)
        expect(page.locator(".whatif-one")).to_have_count(2)
    expect(page.locator("#whatif-table thead th").first).to_have_text(label)
    return panel


def ranged(page, low, high):
    """Enter a range in the What if panel."""
    panel = opened(page, "What if")
    panel.get_by_label("From", exact=True).fill(low)
    panel.get_by_label("To", exact=True).fill(high)
    return panel


@pytest.fixture
def swept(page):
    """The requests of the What if panel."""
    requests = []
    page.on("request", lambda request: "partial=true" in request.url and requests.append(request))
    return requests


def cells(page):
    rows = page.locator("#whatif-table tr").all()
    return [row.locator("th, td").all_text_contents() for row in rows]


def test_number_is_varied_in_one_request(on, swept):
    page = on("risk", {"amount": 260, "kind": "car"})

    opened(page, "What if")

    expect(page.locator("#whatif-table .table-now th")).to_have_text("260")
    [request] = swept
    rows = request.post_data_json
    assert request.headers["x-modelhost-purpose"] == "what-if"
    assert rows[0] == {"amount": 260, "kind": "car"}
    assert [row["amount"] for row in rows[1:]] == sorted([260, *range(0, 1001, 25)])
    assert cells(page)[0] == ["Amount", "Prediction", "low", "high"]
    assert cells(page)[-1] == ["1000", "high", "0.0%", "100.0%"]
    expect(page.locator("#whatif-chart canvas")).to_be_visible()
    expect(page.locator("#whatif-legend")).to_have_text("This inputlow74.0%high26.0%")


def test_sliders_change_the_form_and_the_chart(on, swept):
    page = on("risk", {"amount": 260, "kind": "car"})
    panel = opened(page, "What if")
    legend = page.locator("#whatif-legend")
    expect(legend).to_contain_text("26.0%")

    slider = panel.get_by_label("Amount", exact=True)
    slider.press("End")
    assert slider.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
    expect(slider).to_have_attribute("aria-valuetext", "1,000 EUR")
    panel.get_by_label("Kind").select_option(label="home")

    expect(field(page, "Amount")).to_have_value("1000")
    expect(legend).to_have_text("This inputlow50.0%high50.0%")
    expect(panel.get_by_role("status").filter(has=legend)).to_be_visible()
    assert len(swept) <= 3
    panel.get_by_role("button", name="Undo changes").click()
    expect(field(page, "Amount")).to_have_value("260")
    expect(field(page, "Kind")).to_have_value('"car"')


def test_blank_form_is_not_predicted(on, swept):
    page = on("risk")

    panel = opened(page, "What if")
    expect(panel).to_contain_text("Fill in the form or try an example")
    page.wait_for_load_state("networkidle")

    assert swept == []


def test_unmeasured_model_waits_for_run(on, swept):
    page = on("unmeasured")
    panel = opened(page, "What if")
    expect(panel).to_contain_text("Fill in the form or try an example")
    field(page, "X").fill("1")
    expect(panel).to_contain_text("Press Run to plot.")
    assert swept == []

    answered(page)

    expect(page.locator("#whatif-table .table-now th")).to_have_text("1")
    expect(panel.get_by_role("button", name="Run")).to_be_hidden()


def test_suggested_texts_are_varied(on):
    page = on("binary", {"city": "Pune"})
    panel = opened(page, "What if")

    expect(page.locator("#whatif-table tbody th")).to_have_text(["Delhi", "Pune"])
    panel.get_by_label("City").select_option(label="Delhi")

    expect(field(page, "City")).to_have_value("Delhi")


def test_choices_are_moved_one_by_one(on):
    page = on("risk", {"amount": 800, "kind": "car"})

    moved(page, "Kind")

    assert cells(page) == [
        ["Kind", "Prediction", "low", "high"],
        ["car", "high", "20.0%", "80.0%"],
        ["home", "low", "60.0%", "40.0%"],
        ["None", "high", "20.0%", "80.0%"],
    ]


def colours(page):
    """Return the names and colours of the prediction's bars and of the chart's lines."""
    fill = "all => all.map(each => getComputedStyle(each).backgroundColor)"
    line = "all => all.map(each => getComputedStyle(each).color)"
    bars, lines = page.locator("#answer .bars"), page.locator("#whatif-legend")
    return [
        (
            bars.locator(".bar-name").all_text_contents(),
            bars.locator(".bar-fill").evaluate_all(fill),
        ),
        (
            lines.locator(".swatch + span").all_text_contents(),
            lines.locator(".swatch").evaluate_all(line),
        ),
    ]


def test_numbers_of_classes_are_not_plotted(on):
    page = on("outlier", {"income": 30, "term": 36, "note": "x"})
    moved(page, "Income")
    ranged(page, "40", "60")
    expect(page.locator("#whatif-table tbody th")).to_have_text(["40 to 50", "50.5 to 60"])
    assert [line[1] for line in cells(page)[1:]] == ["odd", "usual"]

    moved(page, "Term")

    assert cells(page) == [["Term", "Prediction"], ["12", "odd"], ["24", "odd"], ["36", "odd"]]
    expect(page.locator("#whatif-table")).to_be_visible()
    expect(page.locator("#whatif-chart")).to_be_hidden()


def test_integers_are_varied_by_one(on):
    page = on("risk", {"amount": 800, "kind": "car"})
    moved(page, "Age")

    ranged(page, "18", "68")

    expect(page.locator("#whatif-table tbody tr")).to_have_count(51)


@pytest.mark.parametrize("amount", [100, 900])
def test_classes_keep_their_colour_and_order(on, amount):
    page = on("risk", {"amount": amount, "kind": "car"})
    answered(page)

    found = []
    for label in ("Kind", "Amount"):
        moved(page, label)
        found += colours(page)

    assert found[0][0] == ["low", "high"]
    assert found == [found[0]] * 4
    assert len(set(found[0][1])) == 2


def test_inner_integers_are_varied_by_steps(on):
    page = on("risk", {"amount": 800, "kind": "car"})

    moved(page, "Home / Rooms")

    assert [line[0] for line in cells(page)[1:]] == ["1", "2", "3", "4", "5"]


def test_range_can_be_typed(on):
    page = on("risk", {"amount": 250, "kind": "car"})
    panel = ranged(page, "10", "50")
    expect(panel.locator("#whatif-table tbody th").first).to_have_text("10")
    expect(panel.locator("#whatif-table tbody th")).to_have_count(41)
    assert cells(page)[-1][0] == "50"
    end = panel.get_by_label("To", exact=True)

    end.fill("many")
    expect(panel).to_contain_text('"To" must be a number, not many.')
    expect(panel.locator("#whatif-result")).to_have_class("outdated")
    end.fill("5")
    expect(panel).to_contain_text('"From" must be smaller than "To": 10 is not smaller than 5.')
    end.fill("50")
    expect(panel.locator("#whatif-result")).not_to_have_class("outdated")


def test_open_range_surrounds_current_value(on):
    page = on("fragile", {"x": -4.2})

    panel = opened(page, "What if")

    expect(panel.get_by_label("From", exact=True)).to_have_value("-13")
    expect(panel.get_by_label("To", exact=True)).to_have_value("0")


def test_two_models_are_compared(on, swept):
    page = on("risk", {"amount": 800, "kind": "car"})

    moved(page, "Amount", "Risk, next, version 2.0")

    one, two = swept[-2:]
    assert [request.url.split("/")[-2] for request in (one, two)] == ["risk", "risk-2"]
    assert one.post_data == two.post_data
    expect(page.locator(".whatif-one").last).to_contain_text("Risk, next, version 2.0Predictionlow")
    expect(page.locator("#whatif-legend li")).to_have_count(5)


def test_lines_without_a_value_are_omitted(on):
    page = on("risk", {"amount": 800, "kind": "car"})

    moved(page, "Amount", "Risk, renamed, version 1.0")

    expect(page.locator("#whatif-legend .swatch + span")).to_have_text(
        [
            "low · Risk, version 1.0",
            "high · Risk, version 1.0",
            "repaid · Risk, renamed, version 1.0",
            "defaulted · Risk, renamed, version 1.0",
        ]
    )


@pytest.mark.fails("500 /api/models/fragile/predict")
def test_failing_values_are_named_in_one_request(on, swept):
    page = on("fragile", {"x": 1})
    panel = opened(page, "What if")

    expect(panel).to_contain_text("No prediction at 0: The model 'fragile' failed.")
    assert len(swept) == 1
    field(page, "X").fill("0")
    expect(page.locator("#whatif-legend")).to_have_text("This inputPrediction")
    sent(page)
    expect(page.get_by_role("alert")).to_contain_text("Your input is kept. Try again, or send")
    expect(page.get_by_role("alert").get_by_role("button", name="Copy")).to_be_visible()


def test_rejected_values_are_named(on):
    page = on("risk", {"amount": 1, "kind": "home"})

    panel = ranged(page, "646", "686")

    expect(panel).to_contain_text("No prediction at 666: Amount must not be 666 for a home.")
    line = next(each for each in cells(page) if each[0] == "666")
    assert line[1:] == ["", "", ""]


def test_incomplete_input_is_reported(on):
    page = on("risk", {"amount": 250})

    panel = opened(page, "What if")

    expect(panel).to_contain_text("Correct the input to see predictions. Kind is required.")


def test_chart_follows_input_and_theme(on):
    page = on("risk", {"amount": 250, "kind": "car"})
    moved(page, "Amount")

    page.emulate_media(color_scheme="dark")
    field(page, "Kind").select_option(label="home")

    expect(page.locator("#whatif-legend")).to_contain_text("12.5%")
    expect(page.locator("#whatif-chart canvas")).to_have_count(1)


def test_numbers_are_parsed_like_the_server(on):
    page = on("iris")
    cases = json.loads(NUMERALS.read_text(encoding="utf-8"))
    # The server sends all modules as one, from which none can be imported.
    page.route(
        "**/source/*",
        lambda route: route.fulfill(path=ROOT / "static" / route.request.url.rpartition("/")[2]),
    )

    read = page.evaluate(
        """async (texts) => {
            const { number } = await import("/source/numerals.js");
            return texts.map((text) => number(text)).map((value) => value.text ?? null);
        }""",
        [case["text"] for case in cases],
    )

    assert [text and json.loads(text) for text in read] == [case["number"] for case in cases]


def test_long_number_is_shown_as_parsed(on):
    page = on("risk")

    field(page, "Amount").fill("52 000")
    expect(page.locator(".field-read")).to_have_text("= 52,000")

    field(page, "Amount").fill("520")
    expect(page.locator(".field-read")).to_be_hidden()


@pytest.mark.fails("422 /api/models/risk/predict")
def test_ambiguous_number_is_rejected(on):
    page = on("risk")

    field(page, "Amount").fill("52.000")
    sent(page)

    error = 'must be a number, got "52.000". Write 52000, or 52.0 for a decimal'
    expect(page.locator("[data-key=amount] [data-error]")).to_have_text(error)


def test_linked_number_keeps_its_value(on):
    page = on("echo", {"number": 1.234})

    expect(field(page, "Number")).to_have_value("1.2340")


PASTE = """([id, text]) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
    document.getElementById(id).dispatchEvent(event);
}"""


@pytest.mark.parametrize(
    ("text", "values", "words"),
    [
        ("5,1\t3,5\t1,4\t0,2\n", ["5.1", "3.5", "1.4", "0.2"], "4 fields filled. Undo"),
        (
            "id\tPETAL WIDTH\tSepal length\n7\t0.2\t5.1\n8\t0.3\t5.2",
            ["5.1", "", "", "0.2"],
            "2 fields filled from the first of 2 rows; not used: id. Undo",
        ),
    ],
    ids=["values", "headings"],
)
def test_pasted_row_fills_fields(on, text, values, words):
    page = on("iris")
    fields = page.locator("#form-pane input")

    page.evaluate(PASTE, [fields.first.get_attribute("id"), text])

    expect(page.locator(".buttons")).to_contain_text(words)
    assert [field.input_value() for field in fields.all()] == values
    page.get_by_role("button", name="Undo").click()
    assert [field.input_value() for field in fields.all()] == [""] * 4


def test_rest_of_a_long_form_is_filled(on):
    page = on("wide")
    page.get_by_label("Income 3").fill("7")
    page.get_by_label("Income 4").fill("8")

    page.get_by_role("button", name="Fill the rest").click()

    sections = page.locator("[data-section] > summary")
    expect(sections).to_have_text(["Income 15 of 15 filled", "Debt 15 of 15 filled"])
    assert page.get_by_label("Income 3").input_value() == "7"
    answered(page)
    page.get_by_label("Income 5").fill("9")
    settle(page)
    page.get_by_role("button", name="Undo").click()
    expect(sections).to_have_text(["Income 3 of 15 filled", "Debt 0 of 15 filled"])


def test_cautions_mark_and_open_their_section(on):
    page = on("deep", dict.fromkeys(WIDE, 1) | {"debt_7": 500})
    debt = page.locator("[data-section] > summary", has_text="Debt")
    answered(page)

    expect(debt).to_have_text("Debt 1 caution 15 of 15 filled")
    expect(page.get_by_label("Debt 7")).to_be_hidden()
    page.locator("#answer-caution").get_by_role("link", name="Debt 7").click()

    expect(page.get_by_label("Debt 7")).to_be_focused()


@pytest.mark.fails("422 /api/models/wide/predict")
def test_filter_and_errors_open_their_section(on):
    page = on("wide")
    page.get_by_role("button", name="Fill the rest").click()
    page.get_by_label("Filter the fields by name").fill("debt 7")
    expect(page.locator("#field-count")).to_have_text("1 of 30 fields")
    page.get_by_label("Debt 7").fill("many")
    page.get_by_label("Filter the fields by name").fill("")
    expect(page.get_by_label("Debt 7")).to_be_hidden()

    page.get_by_role("button", name="Predict").click()

    expect(page.get_by_label("Debt 7")).to_be_focused()
    expect(page.locator("[data-marks]")).to_have_text(["", "1 error"])

    page.get_by_label("Filter the fields by name").fill("income 1")
    expect(field(page, "Debt 7")).to_be_hidden()
    page.get_by_role("alert").get_by_role("link").click()

    expect(field(page, "Debt 7")).to_be_focused()
    expect(page.get_by_label("Filter the fields by name")).to_have_value("")


SHEET = """id;amount;kind;more
1;100;car;=1+1
2;many;car;b
3;100
4;900;home;"a;b"
"""


def given(page, text, name="rows.csv"):
    """Choose a file of that text, and return the panel."""
    panel = opened(page, "CSV file")
    file = {
        "name": name,
        "mimeType": "text/csv",
        "buffer": text if isinstance(text, bytes) else text.encode(),
    }
    panel.get_by_label("Drop a CSV file or an Excel workbook here").set_input_files(file)
    return panel


def listed(panel, title):
    return panel.locator(".columns-found", has_text=title).get_by_role("listitem")


def test_file_preview_shows_columns_and_rows(on):
    panel = given(on("risk"), SHEET)

    expect(listed(panel, "Matched (2)")).to_have_text(["amount", "kind"])
    expect(listed(panel, "Not used by the model")).to_have_text(["id", "more"])
    expect(listed(panel, "Missing (optional)")).to_have_text(["age", "member", "note", "home"])
    expect(panel.locator("#file-preview tbody tr")).to_have_text(
        ["1100 EURcar=1+1", "2manycarb", "4900 EURhomea;b"]
    )
    expect(panel.locator("#file-problems tbody tr")).to_have_text(
        "4has 2 cells, but the header has 4"
    )


def test_blank_cell_differs_from_a_text(on):
    panel = given(on("risk"), "amount,kind,note\n1,car,none\n2,,none\n")

    expect(panel.locator("#file-preview tbody tr")).to_have_text(["1 EURcarnone", "2 EURblanknone"])


def test_caution_in_a_file_is_readable(on):
    panel = given(on("sampled"), "x,home,years\n500,own,3\n")

    panel.get_by_role("button", name="Predict 1 row").click()

    caution = panel.get_by_text("Size: 500 is outside the training data")
    assert caution.bounding_box()["width"] >= 200


def test_decimal_mark_can_be_chosen(on):
    panel = given(on("risk"), "amount;kind\n14,9;car\n1.500;car\n")
    rows = panel.locator("#file-preview tbody tr")
    expect(panel.get_by_label("a comma: 14,9")).to_be_checked()
    expect(rows).to_have_text(["14.9 EURcar", "1,500 EURcar"])

    panel.get_by_label("a point: 14.9").check()

    expect(rows).to_have_text(["14,9car", "1.5 EURcar"])
    expect(panel.get_by_label("a point: 14.9")).to_be_checked()


def test_ambiguous_file_offers_decimal_marks(on):
    panel = given(on("risk"), "amount;kind\n52.000;car\n")

    expect(panel.locator("#file-status")).to_contain_text("Choose below how decimals are written")
    expect(panel.get_by_role("radio", checked=True)).to_have_count(0)


def test_file_in_windows_1252_is_named(on):
    panel = given(on("risk"), b"amount,kind,stra\xdfe\n1,car,a\n")

    expect(panel.locator("#file-status")).to_contain_text("Read as windows-1252")
    expect(listed(panel, "Not used by the model")).to_have_text(["straße"])


def test_missing_required_column_is_named(on):
    panel = given(on("risk"), "amount\n1\n")

    expect(listed(panel, "Missing (required)")).to_have_text(["kind"])
    words = 'rows.csv: The file must have a column "kind".'
    expect(panel.locator("#file-status")).to_have_text(words)
    expect(panel.get_by_role("button", name="Predict")).to_have_count(0)


@pytest.mark.fails("422 /api/models/risk/predict*")
def test_file_of_only_errors_can_be_saved(on):
    page = on("risk")
    panel = given(page, "amount,kind\n" + "many,car\n" * 201)
    panel.get_by_role("button", name="Predict 201 rows").click()
    expect(panel).to_contain_text("1 more are in the saved file.")

    text = saved(page, "Save the rows with errors as CSV")

    assert len(text.splitlines()) == 202


@pytest.mark.fails("422 /api/models/risk/predict")
def test_file_rows_are_predicted(on):
    panel = given(on("risk"), SHEET)

    panel.get_by_role("button", name="Predict 3 rows").press("Enter")

    expect(panel).to_contain_text("rows.csv: 2 rows predicted, 2 rows with errors.")
    expect(panel.locator("#file-problems tbody tr")).to_have_text(
        ['3Amount must be a number, got "many"', "4has 2 cells, but the header has 4"]
    )
    expect(panel.get_by_role("button", name="Save the result")).to_be_focused()


@pytest.mark.fails("422 /api/models/risk/predict")
def test_saved_result_has_no_formulas(on):
    page = on("risk")
    panel = given(page, SHEET)
    panel.get_by_role("button", name="Predict 3 rows").click()

    lines = list(csv.DictReader(saved(page, "Save the result as CSV").splitlines()))

    assert [each["line"] for each in lines] == ["2", "3", "4", "5"]
    assert [each["more"] for each in lines] == ["'=1+1", "b", "", "a;b"]
    assert [each["prediction"] for each in lines] == ["low", "", "", "low"]
    assert lines[2]["problem"] == "has 2 cells, but the header has 4"


def test_line_column_does_not_collide(on):
    page = on("echo")
    panel = given(page, "text,line\na,b\n")
    answer = json.dumps([{"prediction": {"problem": "none", "line": "c"}}])
    page.route("**/predict*", lambda route: route.fulfill(status=200, body=answer))
    panel.get_by_role("button", name="Predict 1 row").click()

    [line] = csv.DictReader(saved(page, "Save the result as CSV").splitlines())

    assert line == {
        "line": "2",
        "text": "a",
        "line (file)": "b",
        "model problem": "none",
        "model line": "c",
        "problem": "",
    }


@pytest.mark.fails("422 /api/models/lender/explain")
def test_file_rows_are_explained(on):
    page = on("lender")
    problem = json.dumps({"title": "No explanation", "status": 422, "detail": "odd row"})
    page.route("**/explain", lambda route: route.fulfill(status=422, body=problem), times=1)
    panel = given(page, "income,term,note\n30,36,x\n90,12,y\n")
    panel.get_by_role("button", name="Predict 2 rows").click()
    panel.get_by_role("button", name="Explain each row").click()
    expect(panel.get_by_role("button", name="Explain each row")).to_be_hidden()
    expect(panel.get_by_role("button", name="Save the result")).to_be_visible()

    first, second = csv.DictReader(saved(page, "Save the result as CSV").splitlines())

    expect(panel.locator("tbody tr").first).to_contain_text("not explained: odd row")
    assert first["why_1"] == "not explained: odd row"
    assert re.fullmatch(r"income 90: \+\d\d\.\d points", second["why_1"])
    assert second["why_3"].startswith("savings unknown: ")


def explained_row(page, text):
    """Return the result of a file of one row with its explanation."""
    panel = given(page, text)
    panel.get_by_role("button", name="Predict 1 row").click()
    panel.get_by_role("button", name="Explain each row").click()
    expect(panel.get_by_role("button", name="Save the result")).to_be_visible()
    [line] = csv.DictReader(saved(page, "Save the result as CSV").splitlines())
    return line


def test_explanations_overwrite_no_member(on):
    line = explained_row(on("reasoned"), "text\ngood\n")

    assert (line["why_1"], line["model why_1"]) == ("good: +1", "its own reason")


def test_file_rows_are_explained_by_the_selected_output(on):
    page = on("labels")
    panel = given(page, "income,term,note\n30,36,x\n")
    panel.get_by_role("button", name="Predict 1 row").click()
    panel.get_by_label("Output").locator("visible=true").select_option("Young")

    panel.get_by_role("button", name="Explain each row").click()

    expect(panel.locator("tbody tr").first).to_contain_text("Term 36: +")
    expect(panel.get_by_label("Output").locator("visible=true")).to_have_count(0)


def test_scenarios_are_explained_by_the_selected_output(on, page):
    on("labels", {"income": 30, "term": 36, "note": "x"})
    panel = opened(page, "Scenarios")
    for name, term in (("long", "36"), ("short", "12")):
        field(page, "Term").select_option(label=term)
        panel.get_by_label("Name of the scenario").fill(name)
        panel.get_by_label("Name of the scenario").press("Enter")
    panel.get_by_label("Output").select_option("Young")

    panel.get_by_role("button", name="Why do they differ?").click()

    expect(panel.locator("#scenarios-why-title")).to_contain_text("Young. What each input adds")
    expect(panel.locator("#scenarios-why-table tbody th")).to_have_text(["Term"])


def test_file_rows_have_the_explanations_of_the_own_endpoint(on):
    line = explained_row(on("own"), "income,term,note\n30,36,x\n")

    assert line["why"] == '{"because":30}'


def test_scenarios_with_explanations_of_the_own_endpoint_are_not_compared(on):
    page = on("own", {"income": 30, "term": 36, "note": "x"})
    saved_as(page, "base")
    field(page, "Income").fill("90")
    panel = saved_as(page, "rich")

    panel.get_by_role("button", name="Why").click()

    expect(panel).to_contain_text("The explanations of this model cannot be compared.")


@pytest.mark.fails("503 /api/models/risk/predict")
def test_file_chunks_are_retried(on):
    page = on("risk")
    panel = given(page, "amount,kind\n" + "1,car\n" * 900)
    busy = json.dumps({"title": "Too much to do", "status": 503})
    first = {"status": 503, "headers": {"Retry-After": "3"}, "body": busy}
    page.route("**/predict*", lambda route: route.fulfill(**first), times=1)

    panel.get_by_role("button", name="Predict 900 rows").click()

    expect(panel).to_contain_text("Waiting 3 s: Too much to do.")
    expect(panel).to_contain_text("rows.csv: 900 rows predicted.")
    expect(panel.locator("#file-result tbody tr")).to_have_count(50)


def test_failing_file_rows_are_found(on):
    lines = ["0" if index % 7 == 5 else "1" for index in range(30)]
    panel = given(on("fragile"), "x\n" + "\n".join(lines))

    panel.get_by_role("button", name="Predict 30 rows").click()

    expect(panel).to_contain_text("rows.csv: 26 rows predicted, 4 rows with errors.")
    expect(panel.locator("#file-problems tbody td:first-child")).to_have_text(
        ["7", "14", "21", "28"]
    )


def test_stopped_file_can_be_continued(on):
    page = on("risk")
    panel = given(page, "amount,kind\n1,car\n2,car\n")
    page.route("**/predict*", lambda route: None, times=1)
    # A request that is stopped earlier does not use up the route.
    with page.expect_request("**/predict*"):
        panel.get_by_role("button", name="Predict 2 rows").click()
    panel.get_by_role("button", name="Stop").click()
    expect(panel).to_contain_text("2 rows remaining")

    panel.get_by_role("button", name="Continue with 2 rows").click()

    expect(panel).to_contain_text("rows.csv: 2 rows predicted.")


@pytest.mark.fails("422 /api/models/risk/rows*")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "rows.csv: The file is empty.", id="empty"),
        pytest.param("a,a\n", "names the column 'a' more than once", id="twice"),
    ],
)
def test_unreadable_file_is_reported(on, text, words):
    panel = given(on("risk"), text)

    expect(panel.locator("#file-status")).to_contain_text(words)
    expect(panel.get_by_role("button", name="Predict")).to_have_count(0)


def test_last_chosen_file_is_shown(on):
    page = on("risk")
    page.evaluate(SLOW)
    given(page, "amount,kind\n1,car\n", "old.csv")

    panel = given(page, "amount,kind\n1,car\n2,car\n", "new.csv")
    expect(panel).to_contain_text("new.csv: 2 rows.")
    page.evaluate("go()")

    expect(panel).to_contain_text("new.csv: 2 rows.")


# The page may request the state of the job while it removes it.
@pytest.mark.fails("413 /api/models/lender/rows*", "404 /api/jobs/*")
def test_file_of_many_rows_becomes_a_job(on):
    page = on("lender")
    panel = given(page, "income,term,note\n" + "30,36,a\n" * 1001)
    expect(panel.get_by_label("Add a column of cautions")).to_be_checked()

    expect(panel.get_by_label("Explain each row")).not_to_be_checked()

    panel.get_by_label("Explain each row").check()
    with page.expect_request("**/jobs?*caution=true*") as sent:
        panel.get_by_role("button", name="Predict in the background").click()

    job = sent.value.response().json()
    assert (job["caution"], job["explain"]) == (True, True)
    panel.get_by_role("button", name="Cancel").click()
    panel.get_by_role("button", name="Remove").click()
    expect(panel.locator(".job")).to_have_count(0)


@pytest.mark.fails("413 /api/models/labels/rows*")
def test_output_of_a_job_is_selected_with_explanations(on):
    panel = given(on("labels"), "income,term,note\n" + "30,36,a\n" * 1001)
    expect(panel.get_by_label("Explain each row")).to_be_visible()
    expect(panel.locator("#file-reasons-output")).to_be_hidden()

    panel.get_by_label("Explain each row").check()

    expect(panel.locator("#file-reasons-output")).to_be_visible()


def test_missing_jobs_are_the_reason(on):
    page = on("echo")

    def switch_jobs_off(route):
        response = route.fetch()
        body = re.sub('data-job-bytes="[0-9]+"', 'data-job-bytes="0"', response.text())
        route.fulfill(response=response, body=body)

    page.route("**/models/risk/predict", switch_jobs_off)
    panel = given(on("risk"), '{"amount": 1, "kind": "car"}', "rows.ndjson")

    expect(panel).to_contain_text(
        "rows.ndjson: only a job can predict it, and this server accepts no jobs"
    )


def test_large_file_is_predicted_in_the_background(on, site, site_folder):
    page = on("risk")
    padding = "x" * 4000
    panel = given(
        page, "amount,kind,pad\n" + f"100,car,{padding}\n" * 1100 + f"many,car,{padding}\n"
    )
    expect(listed(panel, "Matched (2)")).to_have_text(["amount", "kind"])
    panel.get_by_role("button", name="Predict in the background").click()
    expect(panel).to_contain_text("You can close this page")

    page.goto(f"{site}/jobs")
    job = page.locator(".job")
    expect(job).to_contain_text("rows.csv · risk · Waiting")
    job.get_by_role("button", name="Cancel").click()
    expect(job).to_contain_text("rows.csv · risk · Cancelled")
    expect(page.get_by_text("the prediction continues in the background")).to_have_count(0)
    job.get_by_role("button", name="Resume").click()
    expect(job).to_contain_text("rows.csv · risk · Waiting")
    work(site_folder)

    expect(job).to_contain_text("Predicted 1,100 rows")
    expect(job).to_contain_text("1 row with errors")
    expect(job).to_contain_text(re.compile(r"Ended \S.* after \d+ s\. Kept until"))
    job.get_by_text("First rows with errors").click()
    expect(job.get_by_role("listitem")).to_have_text(
        'Line 1102: amount must be a number, got "many"'
    )
    with page.expect_download() as download:
        job.get_by_role("link", name="Download CSV").click()
    content = download.value.path().read_bytes()
    assert content.startswith(codecs.BOM_UTF8)
    assert len(content.splitlines()) == 1101
    job.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status").first).to_have_text("No jobs.")


def test_job_without_predictions_offers_its_errors(on, site, site_folder):
    page = on("risk")
    csv = {"Content-Type": "text/csv"}
    rows = "amount,kind\nmany,car\n"
    sent = page.request.post(f"{site}/api/models/risk/jobs", data=rows, headers=csv).json()
    work(site_folder)

    page.goto(f"{site}/jobs")

    job = page.locator(".job")
    expect(job.get_by_role("link", name="Download")).to_have_count(0)
    expect(job.get_by_role("link", name="Rows with errors")).to_have_class("btn btn-primary")
    expect(job).to_contain_text(f"Job {sent['id'][:8]} · risk · Done")
    expect(job).to_contain_text(f"Id: {sent['id']}")
    job.get_by_role("button", name="Copy id").click()
    expect(job.get_by_role("button", name="Copied")).to_be_visible()
    job.get_by_role("button", name="Remove").click()
    expect(job).to_have_count(0)


def test_errors_of_ndjson_are_offered_as_ndjson(on, site, site_folder):
    page = on("risk")
    rows = '{"amount": "many", "kind": "car"}'
    ndjson = {"Content-Type": "application/x-ndjson"}
    page.request.post(f"{site}/api/models/risk/jobs", data=rows, headers=ndjson)
    work(site_folder)

    page.goto(f"{site}/jobs")

    job = page.locator(".job")
    expect(job).to_contain_text(
        "correct in “row” what “problems” names, and drop the file on the page"
    )
    assert json.loads(saved(page, "Rows with errors (NDJSON)", "link"))["line"] == 1
    job.get_by_role("button", name="Remove").click()
    expect(job).to_have_count(0)


def work(folder):
    """Run the waiting jobs of a portal, all of its model risk."""
    file = str(folder / "models.yaml")
    environ = os.environ | {"MODELHOST_MODELS_FILE": file, "MODELHOST_ONLY_MODELS": "risk"}
    command = [sys.executable, "-m", "flask", "jobs", "work", "--once"]
    subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True)


def test_a_file_can_be_dropped(on):
    page = on("risk")
    panel = opened(page, "CSV file")
    transfer = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            transfer.items.add(new File(["amount,kind\\n1,car"], "dropped.csv"));
            return transfer;
        }"""
    )

    page.dispatch_event("#file-drop", "drop", {"dataTransfer": transfer})

    expect(panel).to_contain_text("dropped.csv: 1 row.")


def test_template_is_downloaded(on):
    page = on("risk")
    panel = opened(page, "CSV file")

    with page.expect_download() as download:
        panel.get_by_role("link", name="Download a template").click()

    assert download.value.suggested_filename == "risk.csv"
    assert download.value.path().read_text() == "amount,age,kind,member,note,home\n"


@pytest.mark.fails("422 /api/models/risk/predict")
def test_no_panel_widens_the_page(on):
    page = on("risk", {"amount": 100, "kind": "car"})
    answered(page)
    moved(page, "Kind", "Risk, next, version 2.0")
    given(page, SHEET).get_by_role("button", name="Predict 3 rows").click()

    for width in (1400, 360):
        page.set_viewport_size({"width": width, "height": 800})
        for title in ("What if", "Scenarios", "CSV file", "Code", "Assistant", "History"):
            opened(page, title)
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_panels_work_by_keyboard(on):
    page = on("risk", {"amount": 100, "kind": "car"})
    page.get_by_role("tab", name="What if").focus()

    for _ in range(4):
        page.keyboard.press("ArrowRight")

    expect(page.get_by_role("tab", name="Code")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Code")).to_be_visible()


def test_markup_in_panels_is_inert(on):
    page = on("echo", {"text": HOSTILE, HOSTILE: 1})
    answered(page)
    panel = given(page, f'text,number\n"{HOSTILE.replace(chr(34), chr(34) * 2)}",1\n', HOSTILE)
    panel.get_by_role("button", name="Predict 1 row").click()
    expect(panel).to_contain_text("1 row predicted.")
    opened(page, "History")

    assert page.title().endswith("Modelhost")
    assert page.locator("[onerror], main script").count() == 0


def test_unusual_input_is_marked(on):
    page = on("sampled", {"x": 500, "home": "own", "years": None})
    sent(page)
    caution = page.locator("#answer-caution")

    expect(caution).to_contain_text("1 input is outside the training data, 1 left blank.")
    expect(caution).to_contain_text("Size: 500 is outside the training data")
    size = page.get_by_label("Size")
    expect(size).to_have_accessible_description(re.compile("which range from 0 to 100"))
    expect(page.locator("#answer")).to_contain_text("500")
    size.fill("50")
    expect(size).not_to_have_accessible_description(re.compile("which range from"))
    expect(page.locator(".cautioned")).to_have_count(1)
    size.fill("500")
    expect(size).to_have_accessible_description(re.compile("which range from 0 to 100"))
    size.fill("50")
    page.get_by_label("Years").fill("3")
    sent(page)

    expect(caution).to_be_hidden()
    expect(page.locator(".cautioned")).to_have_count(0)


def test_cautions_are_kept_with_the_prediction(on):
    page = on("sampled", {"x": 500, "home": "own", "years": 3})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answered(page)
    words = "Size: 500 is outside the training data"

    page.evaluate(STAY_COPIED)
    page.get_by_role("button", name="Copy as text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert f"\n\nCaution\n{words}" in page.evaluate("navigator.clipboard.readText()")
    panel = saved_as(page, "base")
    expect(panel.get_by_role("row", name="Caution")).to_contain_text(words)
    panel = opened(page, "History")
    expect(panel.get_by_role("rowheader")).to_contain_text(f"Caution: {words}")
    [line] = csv.DictReader(saved(page, "Save as CSV").splitlines())
    assert line["caution"].startswith(words)


def test_caution_about_a_list_ends_with_its_first_item(on):
    page = on("tagged", {"x": 5})
    sent(page)
    expect(page.locator(".field-caution")).to_have_count(1)

    page.locator("[data-change=add]").click()
    page.locator("[data-item] label.btn").first.click()
    expect(page.locator(".field-caution")).to_have_count(0)
    sent(page)

    expect(page.locator("#answer-caution")).to_be_hidden()
    expect(page.locator("#answer-note")).to_contain_text(re.compile(r" m?s\b"))


def test_why_explains_the_prediction(on, page):
    on("lender", {"income": 30, "term": 36, "note": "x"})
    expect(page.get_by_role("button", name="Why?")).to_be_hidden()

    page.get_by_role("button", name="Predict", exact=True).click()
    page.get_by_role("button", name="Why?").click()

    table = page.get_by_role("table", name=re.compile("^Probability of default: typical"))
    rows = table.get_by_role("row")
    expect(rows).to_have_text(
        [
            re.compile(r"^Typical\d\d\.\d%$"),
            re.compile(r"^Income 30\+\d\d\.\d points$"),
            re.compile(r"^Term 36\+\d+\.\d points$"),
            re.compile(r"^Savings unknown\+\d+\.\d points$"),
            re.compile(r"^This one88\.1%$"),
        ]
    )
    expect(page.locator(".why-change")).to_contain_text("instead of 30, the prediction is repaid.")
    expect(page.locator(".why-note")).to_contain_text("Not replaced: Note.")
    fill = "each => getComputedStyle(each).fill"
    effect = page.locator(".why-up").last.evaluate(fill)
    classes = page.locator(".bar-fill").evaluate_all(
        "all => all.map(each => getComputedStyle(each).backgroundColor)"
    )
    assert effect not in classes
    page.evaluate(AXE)
    assert page.evaluate(FOUND) == []
    page.get_by_label("Income").first.fill("90")
    expect(page.locator("#why")).to_have_class("why outdated")


def by_another_model(route):
    response = route.fetch()
    route.fulfill(response=response, headers={**response.headers, "x-model-version": "2.0"})


def test_why_does_not_explain_another_model(on, page):
    on("dated", {"income": 30, "term": 36, "note": "x"})
    answered(page)
    page.route("**/explain", by_another_model)
    page.get_by_role("button", name="Why?").click()

    expect(page.locator("#why-result")).to_have_text(
        "The model has been replaced since this prediction. Press Predict to update it first."
    )
    field(page, "Income").fill("40")
    page.get_by_role("button", name="Reload, and keep the input").click()
    expect(page.locator("#replaced")).to_be_hidden()
    expect(field(page, "Income")).to_have_value("40")


def test_replaced_model_is_reported_with_a_prediction(on, page):
    on("dated", {"income": 30, "term": 36, "note": "x"})
    page.route("**/predict*", by_another_model)
    answered(page)

    expect(page.locator("#replaced")).to_be_visible()
    page.evaluate(AXE)
    assert page.evaluate(FOUND) == []


@pytest.mark.fails("422 /api/models/dated/predict")
def test_replaced_model_is_reported_with_an_error(on, page):
    on("dated", {"income": 30, "term": 36})
    page.route("**/api/models/dated", by_another_model)
    sent(page)

    expect(page.get_by_role("alert")).to_contain_text("Note is required")
    expect(page.locator("#replaced")).to_be_visible()


@pytest.mark.fails("422 /api/models/lender/predict")
def test_model_of_the_page_is_not_replaced(on, page):
    on("lender", {"income": 30, "term": 36})
    with page.expect_response("**/api/models/lender"):
        sent(page)

    expect(page.locator("#replaced")).to_be_hidden()


def test_why_shows_probabilities_in_per_cent(on, page):
    on("chance", {"income": 30, "term": 36, "note": "x"})
    saved_as(page, "base")
    field(page, "Income").fill("60")
    answered(page)

    page.get_by_role("button", name="Why?").click()
    panel = saved_as(page, "rich")
    panel.get_by_role("button", name="Why do they differ?").click()

    title = re.compile(r"^Probability: typical \d\d\.\d%, this one \d\d\.\d%$")
    expect(page.locator("#why-title")).to_have_text(title)
    expect(page.locator(".why-table tr").nth(1)).to_have_text(re.compile(r"\d points$"))
    expect(panel.locator("#scenarios-why-title")).to_contain_text(
        "adds to the prediction, compared"
    )
    effects = panel.locator("#scenarios-why-table tbody tr").first
    expect(effects).to_have_text(re.compile(r"\d points$"))


def test_classes_of_a_boolean_are_yes_and_no(on, page):
    on("agreed", {"income": 30, "term": 36, "note": "x"})
    answered(page)
    expect(page.locator(".headline")).to_contain_text("No")
    expect(page.locator(".bar-name")).to_have_text(["No", "Yes"])

    page.get_by_role("button", name="Why?").click()

    expect(page.locator("#why-title")).to_contain_text("Probability of No: typical")
    expect(page.locator(".why-change")).to_contain_text("the prediction is Yes.")


def test_why_names_labels_as_the_prediction_does(on, page):
    on("outlier", {"income": 30, "term": 36, "note": "x"})
    answered(page)
    expect(page.locator(".headline")).to_have_text("odd")

    page.get_by_role("button", name="Why?").click()

    expect(page.locator("#why-title")).to_contain_text("Predictions of odd: typical")
    expect(page.locator(".why-change")).to_contain_text("the prediction is usual.")


def test_why_shows_what_the_own_endpoint_returns(on, page):
    on("own", {"income": 30, "term": 36, "note": "x"})
    answered(page)

    page.get_by_role("button", name="Why?").click()

    expect(page.locator("#why-result")).to_contain_text("Because30")


def test_labels_of_several_outputs_are_no_shares(on, page):
    on("labels", {"income": 30, "term": 36, "note": "x"})
    answered(page)

    expect(page.locator("#answer")).not_to_contain_text("%")


def test_why_explains_the_selected_output(on, page):
    on("labels", {"income": 30, "term": 36, "note": "x"})
    answered(page)

    page.get_by_role("button", name="Why?").click()
    expect(page.locator("#why-title")).to_contain_text("Rich is 0: typical")
    page.locator("#why-output").select_option("Young")

    expect(page.locator("#why-title")).to_contain_text("Young is 1: typical")
    expect(page.locator(".why-table .why-name")).to_have_text(["Term"])


@pytest.mark.parametrize("width", [1400, 360])
def test_huge_and_tiny_effects_are_readable(on, page, width):
    page.set_viewport_size({"width": width, "height": 900})
    on("extremes", {"income": 31.2345, "term": 36, "note": "x"})
    answered(page)
    page.get_by_role("button", name="Why?").click()

    line = page.locator(".why-table tr").nth(1)
    expect(line).to_have_text(re.compile(r"^Income 31.2345-\d\d\d,\d{3},000,000,000 EUR$"))
    number, bar = line.locator("td").all()
    end = "each => {const r = new Range(); r.selectNodeContents(each); return r.getBoundingClientRect().right}"
    assert number.evaluate(end) <= bar.bounding_box()["x"]
    table = page.locator(".why-table").bounding_box()
    assert table["width"] <= page.locator("#why").bounding_box()["width"]
    page.locator("#why-output").select_option("/tiny")
    expect(line).to_have_text(re.compile(r"^Term 36\+1\.2\d*e-10$"))


def test_high_prediction_scrolls_with_the_page(on, page):
    page.set_viewport_size({"width": 1400, "height": 600})
    on("wide", dict.fromkeys(WIDE, 1))
    answered(page)

    panel = page.locator("section.answer")
    height, top = panel.evaluate("each => [each.offsetHeight, getComputedStyle(each).top]")
    assert height > 600
    assert panel.evaluate("each => each.scrollHeight <= each.offsetHeight")
    # It sticks where its end is 20 pixels above that of the window.
    assert float(top.removesuffix("px")) + height == 580


def test_no_truth_of_a_prediction_that_is_not_logged(on):
    page = on("thinned", {"amount": 10, "kind": "car"})
    expect(page.get_by_text("% of the predictions of this model")).to_be_visible()
    expect(page.locator("#not-logged")).to_be_hidden()

    answered(page)

    expect(page.get_by_text("Was this right?")).to_be_hidden()
    expect(page.get_by_text("This one is not in the log.")).to_be_visible()


def test_truth_is_stored_with_the_prediction(on, site):
    page = on("logged", {"amount": 10, "kind": "car"})
    expect(page.get_by_text("The server logs the predictions of this model.")).to_be_visible()
    expect(page.get_by_text("Was this right?")).to_be_hidden()
    answered(page)

    page.get_by_role("button", name="No").click()
    expect(page.get_by_label("It was")).to_have_value('"high"')  # "low" was predicted
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.locator("#truth-status")).to_have_text("Saved: it was high.")
    expect(page.get_by_role("button", name="Change", exact=True)).to_be_focused()
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_label("It was").select_option("low")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#truth-status")).to_have_text("Saved: it was low.")
    metrics = page.request.get(f"{site}/api/models/logged/truth").json()
    assert metrics["total"]["rows"] == 1
    assert metrics["total"]["metrics"]["accuracy"] == 1
