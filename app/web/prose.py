"""A model's description as HTML: Markdown without HTML, pictures or odd links in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from flask import Flask
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

#: Where a link may lead: over the web, to a mailbox, or to a place on this server.
SAFE_LINK = re.compile(r"(https?://|mailto:|/(?!/)|#)", re.IGNORECASE)
#: Headings lie below that of the page.
DEEPEST_HEADING = 6


def init_app(app: Flask) -> None:
    """Let templates say ``{{ text|markdown }}`` and ``{{ text|plain }}``."""
    app.add_template_filter(markdown)
    app.add_template_filter(plain)


def markdown(text: str) -> Markup:
    """Return Markdown as HTML that is safe, whoever wrote it."""
    parser = _parser()
    tokens = parser.parse(text)
    _lower(tokens)
    # The parser escapes all that it does not make itself.
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704


def plain(text: str) -> str:
    """Return the words of a Markdown text, without its marks."""
    blocks = [token for token in _parser().parse(text) if token.type in ("inline", "fence")]
    words = " ".join(_words(block) for block in blocks)
    return re.sub(r"\s+", " ", words).strip()


@cache
def _parser() -> MarkdownIt:
    # Indented text is no code: a docstring's paragraphs may be indented for other reasons.
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table")
    parser.disable(["image", "html_block", "html_inline", "code"])
    parser.validateLink = lambda link: SAFE_LINK.match(link) is not None  # type: ignore[method-assign]
    return parser


def _lower(tokens: Sequence[Token]) -> None:
    """Give headings the levels that follow the page's own, without a gap."""
    level = 1
    for token in tokens:
        if token.type == "heading_open":
            level = min(int(token.tag[1:]) + 1, level + 1, DEEPEST_HEADING)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{level}"


def _words(token: Token) -> str:
    if not token.children:
        return token.content
    breaks = ("softbreak", "hardbreak")
    return "".join(" " if each.type in breaks else each.content for each in token.children)
