"""Descriptions in Markdown, from trusted and untrusted authors."""

import pytest

from app.web.pages.display import markdown
from tests.models.forms import HOSTILE


def test_markdown_is_rendered():
    html = markdown.markdown(
        "For **loans**, see [the report](https://example.org/a).\n\n* one\n* two"
    )

    assert "<strong>loans</strong>" in html
    assert '<a href="https://example.org/a">the report</a>' in html
    assert html.count("<li>") == 2


def test_line_breaks_are_kept():
    html = markdown.markdown("One line.\nAnother.\n\n    An indented paragraph.")

    assert "One line.<br />\nAnother." in html
    assert "<p>An indented paragraph.</p>" in html


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](data:text/html,<script>)",
        "[x](//elsewhere.example)",
        "[x][1]\n\n[1]: vbscript:alert(1)",
        "<javascript:alert(1)>",
        "![x](x.png)",
        '<a href="https://elsewhere.example">x</a>',
        "```<img src=x>\n<img src=x>\n```",
    ],
)
def test_description_cannot_inject_markup(text):
    html = markdown.markdown(text)

    assert not any(mark in html.lower() for mark in ("<img", "<script", 'href="', "href='java"))


def test_external_picture_becomes_a_link():
    html = markdown.markdown("![x](https://elsewhere.example/x.png)")

    assert html == '<p><a href="https://elsewhere.example/x.png">x</a></p>\n'


def test_picture_within_a_link_becomes_text():
    html = markdown.markdown("[![built](https://a.example/b.png)](https://a.example) ![](/x)")

    assert '<a href="https://a.example">built</a>' in html
    assert '<a href="/x">/x</a>' in html


def test_aligned_columns_use_classes():
    html = markdown.markdown("| a | b | c |\n|:--|--:|:-:|\n| 1 | 2 | 3 |")

    assert "style" not in html
    assert '<td>1</td>\n<td class="at-end">2</td>\n<td class="at-centre">3</td>' in html


def test_headings_start_below_the_page_heading():
    html = markdown.markdown("# A\n\n### B\n\n###### C\n\n## D")

    assert [html.count(f"<h{level}>") for level in range(1, 6)] == [0, 1, 2, 1, 0]


def test_plain_text_of_a_description():
    text = "# Loans\n\nFor **loan officers**\nand [others](https://example.org). `x < 1`"

    assert markdown.plain(text) == "Loans For loan officers and others. x < 1"


def test_slow_markdown_is_shown_unparsed(monkeypatch):
    monkeypatch.setattr(markdown, "SECONDS", 0.01)
    text = "[" * 1400 + "*<b>*"

    assert markdown.markdown(text) == f"<p>{'[' * 1400}*&lt;b&gt;*</p>"
    assert markdown.plain(text) == text


def test_html_is_cached(monkeypatch):
    made = markdown.markdown("A text of *this* test")
    monkeypatch.setattr(markdown, "_tokens", None)

    assert markdown.markdown("A text of *this* test") is made


def test_long_text_is_split_after_its_first_paragraph():
    beginning, rest = markdown.split("# Loans\n\nFirst.\n\n" + "Second. " * 60)

    assert beginning == "<h2>Loans</h2>\n<p>First.</p>\n"
    assert rest.startswith("<p>Second. Second.")
    assert markdown.split("First.\n\nSecond.")[1] is None
    assert markdown.split("First." + "\n" * 9 + "Second.")[1] is None
    assert markdown.split("- First.\n" * 9)[1] is not None
