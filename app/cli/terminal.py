"""Output of commands: tables, facts and exact JSON on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

import config
import logs
from app.serving.errors import ServingError
from app.serving.tables import tables
from mlmodel.errors import FlmError, InvalidModel
from mlmodel.model import validate_name
from mlmodel.schema.texts.numerals import COMMA, POINT
from mlmodel.trust import Trust

#: Maximum characters shown of a list or an object; ``--json`` has all of them.
MAX_CHARACTERS = 300
#: The loggers of models. Importing their modules would import prometheus_client before `serve`
#: sets the folder in which the processes of a server add up their metrics.
MODEL_LOGGERS = frozenset(
    f"app.serving.models.{module}" for module in ("lifecycle", "load_attempts", "loader")
)
#: Values for which no line is written.
EMPTY: tuple[Any, ...] = (None, "", [], {})


def check_name(_ctx: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    """Return the value of an option if it is a valid model name; a callback of click."""
    try:
        return None if name is None else validate_name(name)
    except InvalidModel as error:
        raise click.BadParameter(str(error).removeprefix("qualified_name ")) from error


def count_of(count: int, noun: str) -> str:
    """Return a number and what it counts, such as "1 row" or "2,000 rows"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _to_trust(_ctx: click.Context, _option: click.Parameter, names: tuple[str, ...]) -> Trust:
    return "all" if "all" in names else names


#: An option with the path of a file that the command writes.
file_option = partial(click.option, type=click.Path(dir_okay=False, path_type=Path))
as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write one exact JSON document to stdout."
)
decimal_option = click.option(
    "--decimal",
    type=click.Choice([POINT, COMMA]),
    help="The decimal mark of a CSV file, if its numbers are ambiguous.",
)
caution_option = click.option(
    "--caution",
    "is_cautious",
    is_flag=True,
    help="Add the column caution: values outside the data that the model was trained on.",
)
explain_option = click.option(
    "--explain",
    "is_explained",
    is_flag=True,
    help="Add the three largest effects on each prediction, in why_1, why_2 and why_3.",
)
#: What errors of the explanation call the option below, and its name: --output is another one.
OUTPUT_NAMES = ("the parameter 'output'", "the option --explain-output")
explain_output_option = click.option(
    "--explain-output",
    "explained",
    metavar="NAME",
    help="The member of the predictions to explain, if they have several; its name or JSON "
    "Pointer. Implies --explain.",
)
name_option = click.option(
    "--name", callback=check_name, help="The model's name in paths, if not its own."
)
trust_option = click.option(
    "--trust",
    multiple=True,
    callback=_to_trust,
    help="What the file may reference besides the allow-list: 'all', a package such as 'skrub.*', "
    "or the name of a class or function; repeatable.",
)


class Command(click.Command):
    """A command that reports errors as one message without traceback, exit status 1."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the command line."""
        with _short_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _short_errors():
            logs.configure(config.settings(os.environ))
            with _short_logs():
                return super().invoke(ctx)


#: A decorator that makes a function a command.
command = partial(click.command, cls=Command)


@contextmanager
def _short_errors() -> Iterator[None]:
    """Convert expected errors to ``ClickException``."""
    try:
        yield
    except BrokenPipeError:  # the reader of stdout has closed it; click handles this
        raise
    except click.ClickException as error:
        error.message = escape(error.message)  # type: ignore[misc]  # click assigns it once
        raise
    except (FlmError, ServingError, config.InvalidSetting) as error:
        raise click.ClickException(escape(_get_message(error))) from error
    except RecursionError as error:
        raise click.ClickException("the content is nested too deeply to be shown") from error
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{place}{error.strerror or error}") from error
    except sqlite3.Error as error:
        raise click.ClickException(f"database error: {error}") from error


def write_message(text: str) -> None:
    """Write a message to stderr."""
    click.echo(escape(text), err=True)


def write_json(value: Any) -> None:
    """Write a JSON document to stdout."""
    # Control characters occur only in strings, where JSON permits escapes.
    click.echo(escape(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2)))


def write_facts(facts: Iterable[tuple[str, Any]], indent: str = "") -> None:
    """Write names and values to stdout, one line each, without empty values."""
    filled = [(escape(name), format_value(value)) for name, value in facts if value not in EMPTY]
    for line in _align(filled):
        click.echo(indent + line)


def write_table(rows: Iterable[Mapping[str, Any]], indent: str = "") -> None:
    """Write rows to stdout below the names of their columns, without empty columns.

    Lines are never cut or coloured, on terminals or in pipes.
    """
    texts = [{name: format_value(value) for name, value in row.items()} for row in rows]
    names = [name for name in tables.columns(texts) if any(row.get(name) for row in texts)]
    if not names:
        return
    header = [escape(name) for name in names]
    cells = [[row.get(name, "") for name in names] for row in texts]
    for line in _align([header, *cells]):
        click.echo(indent + line)


def format_value(value: Any) -> str:
    """Format a value on one line: strings without extra whitespace, floats to six digits, JSON."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return escape(" ".join(value.split()))
    text = escape(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"


def format_error(error: Exception) -> str:
    """Return the message of an error and of its cause, which helps the model's author."""
    cause = error.__cause__
    message = _get_message(error)
    return f"{message}: {type(cause).__name__}: {cause}" if cause else message


def _get_message(error: Exception) -> str:
    message = error.detail if isinstance(error, ServingError) else str(error)
    return message.replace(*OUTPUT_NAMES)


def escape(text: str) -> str:
    """Escape all characters that are not printable, except line breaks."""
    return "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


def _align(lines: Sequence[Sequence[str]]) -> Iterator[str]:
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
    formatters = [(handler, handler.formatter) for handler in handlers]
    for handler in handlers:
        handler.setFormatter(_OneLineFormatter())
        handler.addFilter(_is_unreported)
    try:
        yield
    finally:
        for handler, formatter in formatters:
            handler.setFormatter(formatter)
            handler.removeFilter(_is_unreported)


def _is_unreported(record: logging.LogRecord) -> bool:
    """Return whether to log a record: commands report failures and warnings themselves."""
    is_of_model = record.name in MODEL_LOGGERS
    if is_of_model or record.name.startswith("mlmodel.files."):
        return record.exc_info is not None
    return record.levelno >= logging.WARNING


class _OneLineFormatter(logging.Formatter):
    """Formats an exception as its class and message, without a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line."""
        text = f"log: {record.getMessage()}"
        error = record.exc_info[1] if record.exc_info else None
        return escape(f"{text} ({type(error).__name__}: {error})" if error else text)


def get_format(
    path: Path, option: str, formats: Mapping[str, str], *, is_input: bool = False
) -> str:
    """Return the format of a file.

    :param option: the option or argument that names it.
    :param formats: the possible ones, by the ending of a name.
    :param is_input: whether it is read, and may be compressed.
    :raises UsageError: if it has none of the endings.
    """
    plain = tables.without_compression(path) if is_input else path
    form = formats.get(plain.suffix.lower())
    if form is None:
        endings = ", ".join(formats)
        also = f" and may be compressed ({', '.join(tables.COMPRESSED)})" if is_input else ""
        raise click.UsageError(f"{option} must end with one of {endings}{also}, got {path.name!r}")
    return form


def write_file(pieces: Iterable[bytes], output: Path, what: str = "") -> None:
    """Write a file, and a message with its path.

    :param what: what it holds.
    """
    with output.open("wb") as stream:
        stream.writelines(pieces)
    write_message(f"Wrote {what} to {output}" if what else f"Wrote {output}")
