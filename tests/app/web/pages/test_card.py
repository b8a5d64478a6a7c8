import pytest

from app.serving.errors import InvalidCatalog
from app.web.pages.card import format_metric, name_metric

ENTRY = """
models:
  - class: tests.models.answers.Sampled
    card:
      model_card_contact: models@example.com
      direct_use: "For *tests* only."
      training_rows: 4500
"""


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("accuracy", 0.9237, ("Accuracy", "92.4%")),
        ("accuracy", 1, ("Accuracy", "100%")),
        ("roc_auc", 0.74912, ("ROC AUC", "0.7491")),
        ("mae", 12.5, ("Mean absolute error", "12.5 €")),
        ("gini_in_2026", 1234567, ("Gini in 2026", "1,234,567")),
    ],
)
def test_metrics_are_readable(name, value, shown):
    assert (name_metric(name), format_metric(name, value, "€")) == shown


def test_card_of_an_entry_precedes_the_fields(make_app):
    page = make_app(ENTRY).test_client().get("/models/sampled/metadata").text

    assert '<a href="mailto:models@example.com">models@example.com</a>' in page
    assert "<em>tests</em>" in page
    assert page.index("4,500 rows") < page.index("<h2>Input</h2>")


def test_card_of_a_file_shows_metrics_and_true_values(example_app):
    page = example_app.test_client().get("/models/loan/metadata").text

    for text in ("ROC AUC", "0.5 is guessing, 1 is perfect", "4,500 rows", "repaid 87.7%"):
        assert page.index(text) < page.index("<h2>Input</h2>")


def test_odd_members_of_a_card_are_left_out(make_app):
    names = ["OddCard", "NoTruths"]
    entries = ", ".join(f"{{class: tests.models.answers.{name}}}" for name in names)
    client = make_app(f"models: [{entries}]").test_client()

    page = client.get("/models/odd-card/metadata")

    assert page.status_code == 200
    assert "Model card" not in page.text
    assert "yes 0.0%" in client.get("/models/no-truths/metadata").text


def test_unknown_member_in_an_entry_is_a_mistake(make_app):
    with pytest.raises(InvalidCatalog, match="author"):
        make_app("models: [{class: tests.models.simple.Doubler, card: {author: me}}]")
