"""A model's description as HTML: Markdown without HTML, pictures or odd links in it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from functools import cache, lru_cache

from flask import Flask
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

#: Where a link may lead: over the web, to a mailbox, or to a place on this server.
SAFE_LINK = re.compile(r"(https?://|mailto:|/(?!/)|#)", re.IGNORECASE)
#: What the parser writes for a column's alignment, and our class for it.
ALIGNED = {"text-align:right": "at-end", "text-align:center": "at-centre"}
#: Headings lie below that of the page.
DEEPEST_HEADING = 6
#: Seconds of processor time in which a text is parsed: some short ones would take minutes.
SECONDS = 0.2
#: Texts whose HTML is kept, so that it is made once and not for each visitor.
REMEMBERED = 2000


class _TooLongError(Exception):
    """A text takes too long to parse."""


class _Deadline(threading.local):
    """When a thread must have parsed its text, by its processor time."""

    at = 0.0


_deadline = _Deadline()


def init_app(app: Flask) -> None:
    """Let templates say ``{{ text|markdown }}`` and ``{{ text|plain }}``."""
    app.add_template_filter(markdown)
    app.add_template_filter(plain)


@lru_cache(maxsize=REMEMBERED)
def markdown(text: str) -> Markup:
    """Return Markdown as HTML that is safe, whoever wrote it.

    A text that takes too long to parse is shown as it is written.
    """
    parser = _parser()
    tokens = _tokens(text)
    if tokens is None:
        return Markup("<p>{}</p>").format(text)
    _lower(tokens)
    _align(tokens)
    for token in tokens:
        token.children = _without_pictures(token.children or [])
    # The parser escapes all that it does not make itself.
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704


@lru_cache(maxsize=REMEMBERED)
def plain(text: str) -> str:
    """Return the words of a Markdown text, without its marks."""
    tokens = _tokens(text)
    if tokens is None:
        return re.sub(r"\s+", " ", text).strip()
    blocks = [token for token in tokens if token.type in ("inline", "fence")]
    words = " ".join(_words(block) for block in blocks)
    return re.sub(r"\s+", " ", words).strip()


def _tokens(text: str) -> list[Token] | None:
    """Return what a text is made of; nothing if that takes too long to find."""
    _deadline.at = time.thread_time() + SECONDS
    try:
        return _parser().parse(text)
    except _TooLongError:
        return None


def _check_time(*_: object) -> bool:
    """Match nothing, as a rule of the parser that comes before all others."""
    if time.thread_time() > _deadline.at:
        raise _TooLongError
    return False


@cache
def _parser() -> MarkdownIt:
    # Indented text is no code: a docstring's paragraphs may be indented for other reasons.
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table")
    parser.disable(["html_block", "html_inline", "code"])
    parser.block.ruler.before("table", "deadline", _check_time)
    parser.inline.ruler.before("text", "deadline", _check_time)
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


def _align(tokens: Sequence[Token]) -> None:
    """Give the cells of aligned columns a class: no page allows styles within itself."""
    for token in tokens:
        style = token.attrs.pop("style", "")
        if style in ALIGNED:
            token.attrSet("class", ALIGNED[style])


def _without_pictures(tokens: Sequence[Token]) -> list[Token]:
    """Return the parts of a line with a link in the place of each picture; its words in a link."""
    shown: list[Token] = []
    depth = 0
    for token in tokens:
        depth += token.nesting if token.type in ("link_open", "link_close") else 0
        if token.type != "image":
            shown.append(token)
            continue
        words = Token("text", "", 0, content=token.content or str(token.attrs["src"]))
        link = Token("link_open", "a", 1, attrs={"href": token.attrs["src"]})
        shown += [words] if depth else [link, words, Token("link_close", "a", -1)]
    return shown


def _words(token: Token) -> str:
    if not token.children:
        return token.content
    breaks = ("softbreak", "hardbreak")
    return "".join(" " if each.type in breaks else each.content for each in token.children)
