"""Requirements of every page in a real browser: accessibility, and no requests to other hosts."""

import re

import pytest
from playwright.sync_api import expect

from app.serving.monitoring.references import create_reference
from tests.chromium import AXE, FOUND, NEEDS_CHROMIUM, page_paths, serving

pytestmark = NEEDS_CHROMIUM

GROUND = "getComputedStyle(document.body).backgroundColor"
#: How an element shows that it has the focus: by an outline, or by a shadow around it.
OUTLINE = """(() => { const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== "none" ? style.outlineStyle : style.boxShadow; })()"""

NAMES = ["loan", "hostile", "broken", "anything"]
MODELS = {
    "models": [{"class": f"tests.models.forms.{name}"} for name in ("Loan", "Hostile", "Broken")]
    + [{"class": "tests.models.forms.Anything", "load": "lazy"}]
    + [{"class": "tests.models.forms.Iris", "name": "iris_two"}]
    + [{"class": "tests.models.answers.Risk"}]
    + [{"class": "tests.models.simple.Doubler", "log": True}]
}
ERRORS = [
    pytest.param(path, marks=pytest.mark.fails(f"{status} {path}"))
    for path, status in (("/nothing", 404), ("/models/none/predict", 404), ("/fails", 500))
]
HEALTH = ["/health", "/models/loan/health"]
JOBS = ["/jobs"]
OPENED = ["/docs#/loan/predict.post.loan"]
PATHS = [*page_paths(NAMES), *HEALTH, *JOBS, *ERRORS, *OPENED]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a portal with the models above, and a page that fails."""
    folder = tmp_path_factory.mktemp("site")
    with serving(MODELS, folder, _amend) as address:
        yield address


def _amend(app):
    """Add a page that fails, and log predictions that have drifted from the first 1,000."""
    app.add_url_rule("/fails", view_func=_fail)
    client = app.test_client()
    for first in (0, 500):
        rows = [{"x": first + x / 2} for x in range(1_000)]
        assert client.post("/api/models/doubler/predict", json=rows).status_code == 200
        parts = app.extensions["modelhost"]
        parts.predictor.prediction_log.flush()
        create_reference(parts.health.store, parts.manager.get("doubler"))


def _fail():
    raise RuntimeError("this page fails")


@pytest.mark.parametrize("path", PATHS)
def test_page_is_accessible_without_sideways_scrolling(page, site, path):
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    see(page, site + path)
    page.evaluate(AXE)

    in_light = page.evaluate(FOUND)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.set_viewport_size({"width": 360, "height": 800})
    in_dark = page.evaluate(FOUND)

    assert in_light == in_dark == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.fixture
def faults(page):
    """A function that returns axe's violations on the current page, in both themes."""

    def find():
        found = []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found += page.evaluate(FOUND)
        return found

    return find


@pytest.fixture
def risk(page, site):
    """The predict page of a model, with a valid input."""
    page.set_viewport_size({"width": 1400, "height": 900})
    page.goto(f"{site}/models/risk/predict#row=%7B%22amount%22:100,%22kind%22:%22car%22%7D")
    page.evaluate(AXE)
    return page


def answered(page):
    page.get_by_role("button", name="Predict").click()
    page.locator(".headline").wait_for()


@pytest.mark.fails("422 /api/models/risk/predict")
def test_outdated_prediction_and_errors_are_accessible(risk, faults):
    answered(risk)
    found = faults()

    risk.locator("#form").get_by_label("Amount").fill("-1")
    expect(risk.locator("#answer.outdated")).to_be_visible()
    found += faults()

    risk.get_by_role("button", name="Predict").click()
    expect(risk.get_by_role("alert")).to_be_visible()

    assert found + faults() == []


def drawn(page):
    page.get_by_label("Vary").press("Tab")
    page.locator("#whatif-chart canvas").wait_for()


def named(page):
    page.get_by_label("Name of the scenario").fill("base")
    page.get_by_label("Name of the scenario").press("Enter")
    page.locator("#scenarios-table .scenario-value").first.wait_for()


def read(page):
    file = {
        "name": "a.csv",
        "mimeType": "text/csv",
        "buffer": b"amount,kind,x\n1,car,1\nmany,car,2\n",
    }
    page.get_by_label("Drop a CSV file or an Excel workbook here").set_input_files(file)
    page.locator("#file-preview table").wait_for()


def asked(page):
    read(page)
    page.get_by_role("button", name="Predict 2 rows").click()
    page.locator("#file-result table").wait_for()


@pytest.mark.parametrize(
    ("title", "step"),
    [
        ("What if", drawn),
        ("Scenarios", named),
        ("CSV file", read),
        pytest.param("CSV file", asked, marks=pytest.mark.fails("422 /api/models/risk/*")),
        ("Code", lambda page: page.locator("#code-text").wait_for()),
        ("Assistant", lambda page: page.locator("#assistant-copy").wait_for()),
        ("History", answered),
    ],
    ids=["what if", "scenarios", "file", "file answered", "code", "assistant", "history"],
)
def test_open_panel_is_accessible(risk, faults, title, step):
    risk.get_by_role("tab", name=title).click()

    step(risk)

    assert faults() == []


@pytest.mark.fails("422 /models/risk/predict")
@pytest.mark.parametrize("amount", ["1", "-1"], ids=["answered", "refused"])
def test_page_without_javascript_is_accessible(page, site, faults, amount):
    page.goto(f"{site}/models/risk/metadata")
    page.evaluate(
        """([address, amount]) => {
            const form = document.createElement("form");
            [form.method, form.action] = ["post", address];
            const input = document.createElement("input");
            [input.name, input.value] = ["row", `{"amount": ${amount}, "kind": "car"}`];
            form.append(input);
            document.body.append(form);
            form.submit();
        }""",
        [f"{site}/models/risk/predict", amount],
    )
    expect(page).to_have_title(re.compile(" · Risk"))
    page.evaluate(AXE)

    assert faults() == []


def see(page, address):
    """Open a page, and wait for its scripts."""
    page.goto(address)
    if "/docs" in address and "/problems" not in address:
        page.locator(".opblock").last.wait_for()


@pytest.mark.parametrize("path", ["/", "/models/loan/metadata", "/docs"])
def test_skip_link_is_focused_first(page, site, path):
    see(page, site + path)

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_be_focused()


def test_model_page_links_api_reference(page, site):
    page.goto(f"{site}/models/iris_two/metadata")
    page.get_by_role("link", name="API", exact=True).click()
    page.locator(".opblock").last.wait_for()
    expect(page.locator("#operations-tag-iris_two")).to_be_in_viewport()

    page.locator(".opblock", has_text="/api/models/iris_two/predict").get_by_role(
        "button"
    ).first.click()
    page.get_by_role("button", name="Execute").click()

    expect(page.locator(".live-responses-table")).to_contain_text('"prediction": "setosa"')


def test_theme_is_kept_without_flashing(page, site):
    page.emulate_media(color_scheme="light")
    page.goto(site)
    page.get_by_label("Light or dark").select_option("Dark")
    assert page.evaluate(GROUND) == "rgb(18, 20, 28)"

    page.add_init_script(
        "document.addEventListener('readystatechange', () => { window.first ??= document.documentElement.dataset.bsTheme; })"
    )
    page.goto(f"{site}/docs")

    assert page.evaluate("window.first") == "dark"
    assert page.evaluate(GROUND) == "rgb(18, 20, 28)"
    page.get_by_label("Light or dark").select_option("Auto")
    assert page.evaluate(GROUND) == "rgb(246, 247, 250)"


def test_layout_is_stable_while_loading(page, site):
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver((list) => list.getEntries().forEach("
        "(entry) => { window.shift += entry.value; })).observe({type: 'layout-shift', buffered: true});"
    )
    for path in ("/", "/models/loan/metadata", "/models/loan/predict"):
        page.goto(site + path, wait_until="networkidle")

        # People notice a layout shift of 0.1: https://web.dev/articles/cls
        assert page.evaluate("window.shift") < 0.03, path


@pytest.mark.parametrize("path", ["/", "/models/loan/metadata"])
def test_focused_element_is_visible(page, site, path):
    page.goto(site + path)
    page.keyboard.press("Tab")

    bare = []
    while page.evaluate("document.activeElement !== document.body"):
        if page.evaluate(OUTLINE) == "none":
            bare.append(page.evaluate("document.activeElement.outerHTML"))
        page.keyboard.press("Tab")

    assert bare == []


def test_tables_of_health_fit_on_a_phone(page, site):
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"{site}/models/doubler/health")

    cut = page.evaluate("""[...document.querySelectorAll(".table-scroll")].filter(
        each => each.scrollWidth > each.clientWidth).map(each => each.ariaLabel)""")
    assert cut == []


def test_drift_is_charted_and_accessible(page, site, faults):
    page.goto(f"{site}/models/doubler/health")
    page.evaluate(AXE)

    expect(page.get_by_text("1 of 1 input and 1 of 1 output have drifted")).to_be_visible()
    expect(page.locator(".field-drift canvas")).to_have_count(2)
    page.locator("summary").first.click()

    expect(page.locator(".field-drift canvas").first).to_be_hidden()
    assert faults() == []
