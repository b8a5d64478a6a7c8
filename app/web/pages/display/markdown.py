"""A model's description (Markdown) as HTML, without raw HTML, pictures or unsafe links."""

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

#: Allowed links: the web, mail, and paths or fragments on this server.
SAFE_LINK = re.compile(r"(https?://|mailto:|/(?!/)|#)", re.IGNORECASE)
#: CSS class for each column alignment that the parser emits as a style.
ALIGNED = {"text-align:right": "at-end", "text-align:center": "at-centre"}
#: The deepest level of HTML headings.
DEEPEST_HEADING = 6
#: CPU time limit of parsing a text, in seconds: some short texts would take minutes.
SECONDS = 0.2
#: A text of more characters, blocks or lines is long: pages show its beginning.
LONG_CHARACTERS, LONG_BLOCKS, LONG_LINES = 400, 3, 8
#: Size of the cache of rendered texts.
REMEMBERED = 2000


class _TooLongError(Exception):
    """Parsing a text exceeded its time limit."""


class _Deadline(threading.local):
    """The CPU time of a thread at which it stops parsing."""

    at = 0.0


_deadline = _Deadline()


def init_app(app: Flask) -> None:
    """Register the template filters ``markdown``, ``plain`` and ``split_markdown``."""
    app.add_template_filter(markdown)
    app.add_template_filter(plain)
    app.add_template_filter(split, "split_markdown")


@lru_cache(maxsize=REMEMBERED)
def markdown(text: str) -> Markup:
    """Render Markdown from an untrusted author as safe HTML.

    A text that takes too long to parse is shown as plain text.
    """
    tokens = _tokens(text)
    return Markup("<p>{}</p>").format(text) if tokens is None else _render(tokens)


@lru_cache(maxsize=REMEMBERED)
def split(text: str) -> tuple[Markup, Markup | None]:
    """Render a text up to its first paragraph, and the rest; ``None`` if the text is short.

    The rest of a single long block is empty: pages cut the block until the rest is opened.
    """
    tokens = _tokens(text)
    if tokens is None:
        return markdown(text), Markup()
    ends = [index for index, token in enumerate(tokens) if not token.level and token.nesting <= 0]
    lines = sum(bool(line.strip()) for line in text.splitlines())
    is_short = len(plain(text)) <= LONG_CHARACTERS and lines <= LONG_LINES
    if is_short and len(ends) <= LONG_BLOCKS:
        return markdown(text), None
    after = (index for index in ends if not tokens[index].type.startswith("heading"))
    end = next(after, len(tokens) - 1) + 1
    return _render(tokens[:end]), _render(tokens[end:])


@lru_cache(maxsize=REMEMBERED)
def plain(text: str) -> str:
    """Return the words of a Markdown text without markup."""
    tokens = _tokens(text)
    if tokens is None:
        return re.sub(r"\s+", " ", text).strip()
    blocks = [token for token in tokens if token.type in ("inline", "fence")]
    words = " ".join(_words(block) for block in blocks)
    return re.sub(r"\s+", " ", words).strip()


def _render(tokens: Sequence[Token]) -> Markup:
    parser = _parser()
    _lower(tokens)
    _align(tokens)
    for token in tokens:
        token.children = _without_pictures(token.children or [])
    # The renderer escapes all text from the author.
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704


def _tokens(text: str) -> list[Token] | None:
    """Return the tokens of a text; ``None`` if parsing takes too long."""
    _deadline.at = time.thread_time() + SECONDS
    try:
        return _parser().parse(text)
    except _TooLongError:
        return None


def _check_time(*_: object) -> bool:
    """Check the deadline, as the first rule of the parser; it never matches."""
    if time.thread_time() > _deadline.at:
        raise _TooLongError
    return False


@cache
def _parser() -> MarkdownIt:
    # Disable indented code: paragraphs of a docstring may be indented for other reasons.
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table")
    parser.disable(["html_block", "html_inline", "code"])
    parser.block.ruler.before("table", "deadline", _check_time)
    parser.inline.ruler.before("text", "deadline", _check_time)
    parser.validateLink = lambda link: SAFE_LINK.match(link) is not None  # type: ignore[method-assign]
    return parser


def _lower(tokens: Sequence[Token]) -> None:
    """Shift headings below the page's own heading, without gaps between levels."""
    level = 1
    for token in tokens:
        if token.type == "heading_open":
            level = min(int(token.tag[1:]) + 1, level + 1, DEEPEST_HEADING)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{level}"


def _align(tokens: Sequence[Token]) -> None:
    """Give cells of aligned columns a class, as the CSP of pages forbids inline styles."""
    for token in tokens:
        style = token.attrs.pop("style", "")
        if style in ALIGNED:
            token.attrSet("class", ALIGNED[style])


def _without_pictures(tokens: Sequence[Token]) -> list[Token]:
    """Replace each picture in a line by a link to it, or by its words inside a link."""
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
