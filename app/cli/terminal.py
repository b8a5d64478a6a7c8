"""Output of commands: tables, facts and exact JSON on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from flask.cli import AppGroup

from app.serving.errors import ServingError
from app.serving.models import hosted
from app.serving.tables import tables
from mlmodel.errors import FlmError, InvalidModel
from mlmodel.files import dump, packaged
from mlmodel.model import checked_name

#: Maximum characters shown of a list or an object; ``--json`` has all of them.
SHOWN_CHARACTERS = 300
#: Values for which no line is written.
EMPTY: tuple[Any, ...] = (None, "", [], {})

as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write one exact JSON document to stdout."
)


def _named(_ctx: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    try:
        return None if name is None else checked_name(name)
    except InvalidModel as error:
        raise click.BadParameter(str(error).removeprefix("qualified_name ")) from error


name_option = click.option(
    "--name", callback=_named, help="The model's name in addresses, if not its own."
)


trust_option = click.option(
    "--trust",
    multiple=True,
    help="What the file may reference beside the allow-list: all, a package such as skrub.*, or "
    "the name of a class or function; repeatable.",
)


class Commands(AppGroup):
    """A command group that reports errors as one message without traceback, exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and convert expected errors to ``ClickException``."""
        try:
            with _short_logs():
                return super().invoke(ctx)
        except BrokenPipeError:  # the reader of stdout has closed it; click handles this
            raise
        except (FlmError, ServingError) as error:
            raise click.ClickException(printable(str(error))) from error
        except RecursionError as error:
            raise click.ClickException("what is there is nested too deep to be shown") from error
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{place}{error.strerror or error}") from error


def say(text: str) -> None:
    """Write a message to stderr."""
    click.echo(printable(text), err=True)


def write_json(value: Any) -> None:
    """Write a JSON document to stdout."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2)
    # Control characters occur only in strings, where JSON permits escapes.
    click.echo("".join(map(_escaped, text)))


def write_facts(facts: Iterable[tuple[str, Any]], indent: str = "") -> None:
    """Write names and values to stdout, one line each, without empty values."""
    filled = [(printable(name), shown(value)) for name, value in facts if value not in EMPTY]
    for text in _aligned(filled):
        click.echo(indent + text)


def write_table(rows: Iterable[Mapping[str, Any]], indent: str = "") -> None:
    """Write rows to stdout below the names of their columns, without empty columns.

    Lines are never cut or coloured, on terminals or in pipes.
    """
    lines = [{name: shown(value) for name, value in row.items()} for row in rows]
    names = [name for name in tables.columns(lines) if any(line.get(name) for line in lines)]
    if not names:
        return
    header = [printable(name) for name in names]
    cells = [[line.get(name, "") for name in names] for line in lines]
    for text in _aligned([header, *cells]):
        click.echo(indent + text)


def shown(value: Any) -> str:
    """Format a value on one line: strings without extra whitespace, floats to six digits, JSON."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return printable(" ".join(value.split()))
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def told(error: Exception) -> str:
    """Return the message of an error and of its cause, which helps the model's author."""
    cause = error.__cause__
    return printable(f"{error}: {type(cause).__name__}: {cause}" if cause else str(error))


def printable(text: str) -> str:
    """Escape all characters that are not printable, except line breaks."""
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


def _aligned(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, strict=True)
        yield "  ".join(text + " " * (width - _width(text)) for text, width in cells).rstrip()


def _width(text: str) -> int:
    """Return the number of terminal columns that a text occupies."""
    return sum(
        0 if unicodedata.combining(character) else 1 + _is_wide(character) for character in text
    )


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


@contextmanager
def _short_logs() -> Iterator[None]:
    """Shorten log records to one line and drop those that commands report themselves.

    With ``LOG_LEVEL=DEBUG``, log everything, with tracebacks.
    """
    root = logging.getLogger()
    handlers = [] if root.isEnabledFor(logging.DEBUG) else root.handlers
    kept = [(handler, handler.formatter) for handler in handlers]
    for handler in handlers:
        handler.setFormatter(_Short())
        handler.addFilter(_is_news)
    try:
        yield
    finally:
        for handler, formatter in kept:
            handler.setFormatter(formatter)
            handler.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether to log a record: commands report failures and doubts themselves."""
    if record.name in {hosted.log.name, packaged.logger.name, dump.logger.name}:
        return record.exc_info is not None
    return record.levelno >= logging.WARNING


class _Short(logging.Formatter):
    """Formats an exception as its class and message, without a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line."""
        text = f"log: {record.getMessage()}"
        error = record.exc_info[1] if record.exc_info else None
        return printable(f"{text} ({type(error).__name__}: {error})" if error else text)
