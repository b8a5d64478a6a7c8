"""The formats of texts that a schema can name, checked.

They are ``jsonschema``'s, but for IRIs: the package by which it checks those takes seconds to
import.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from jsonschema import FormatChecker
from jsonschema.protocols import Validator
from rfc3986_validator import validate_rfc3986

from mlmodel.patterns import is_pattern

#: What stays as it is where an IRI becomes a URI: ASCII, which is allowed there or nowhere.
ASCII = "".join(map(chr, range(128)))
#: The formats of IRIs, which came with draft 7 as this one did, and the rules of their URIs.
IRIS = {"iri": "URI", "iri-reference": "URI_reference"}
OF_SAME_AGE = "idn-hostname"
#: Characters that a text of a format may have. The checks of some take longer for each more.
MAX_CHARACTERS = {"duration": 1_000, "regex": 10_000, "uri-template": 1_000}


def checker(dialect: type[Validator]) -> FormatChecker:
    """Return the checks of the formats that a dialect knows."""
    made = FormatChecker(formats=())
    made.checkers = {**dialect.FORMAT_CHECKER.checkers}
    if OF_SAME_AGE in made.checkers:
        made.checkers |= {
            name: (partial(_is_iri, rule), UnicodeError) for name, rule in IRIS.items()
        }
    if "regex" in made.checkers:
        made.checkers["regex"] = (is_pattern, ())
    made.checkers |= {
        name: (partial(_is_short, most, *made.checkers[name]), ())
        for name, most in MAX_CHARACTERS.items()
        if name in made.checkers
    }
    return made


def _is_short(most: int, check: Callable[[object], bool], raises: Any, value: object) -> bool:
    """Tell whether a text that is not too long is of a format, which its check says or raises."""
    if not isinstance(value, str):
        return True
    try:
        return len(value) <= most and bool(check(value))
    except raises:
        return False


def _is_iri(rule: str, value: object) -> bool:
    """Tell whether the URI that an IRI is mapped to is one. Source: RFC 3987, 3.1."""
    return not isinstance(value, str) or bool(validate_rfc3986(quote(value, safe=ASCII), rule))
