"""One field of a form, and its place in the row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from mlmodel.schema.shape import escaped, unescaped

#: A date, a time, or both, without an offset or with that of UTC, a common substitute for none.
LOCAL = re.compile(
    r"(?:(?P<day>\d{4}-\d\d-\d\d)(?:[Tt ](?=\d)|$))?"
    r"(?:(?P<time>\d\d:\d\d(?::\d\d)?)(?P<fraction>\.\d{1,3})?\d*(?:[Zz]|[+-]00:?00)?)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Choice:
    """One choice of a field; ``value`` is its JSON."""

    label: str
    value: str


@dataclass(frozen=True)
class Field:
    """One value of a row: its labels, its control, and how its text becomes JSON.

    ``pointer`` is the value's JSON Pointer within the row, ``key`` its name in its object, and
    ``spot`` its place in the form: the pointer, plus steps with ``~`` for places that share a
    pointer (see :class:`Place`).

    ``kind`` decides how text becomes JSON: ``text`` unchanged, ``number`` parsed, ``moment`` a date
    and time with an offset, ``local`` a date, a time, or both without one; ``choice``, ``fixed``
    and ``json`` are JSON already; ``lines``, ``numbers`` and ``checks`` are lists; ``file`` is
    base64. ``group`` is an object of ``fields`` and ``tuple`` a list of them. ``list`` is a list
    and ``map`` an object to which a user may add ``fields``; ``later`` has one of them at most.
    Each added field is a copy of the form's shape named ``shape``. ``variant`` is the one of its
    ``fields`` whose index is ``value``.

    ``blank`` is the value of a blank field: ``omit``, ``null``, or ``empty`` for the empty value
    of the kind. ``unset`` is the label of a choice for it.

    ``value`` is the initial text in the field.

    ``choices`` are all allowed values, or suggestions for typing.

    ``bounds`` describes the limits of the value, ``typing`` how to type it. ``zone`` is the time
    zone of the column of a ``moment``.

    ``of`` is the name of the shape that the field belongs to, if its object may have several.
    ``number`` is its position in a list, from 1. ``when`` is the JSON of the condition for the
    field. ``shapes`` are those of a whole form.
    """

    pointer: str
    key: str
    label: str
    kind: str
    control: str
    type: str
    spot: str = ""
    description: str = ""
    bounds: str = ""
    example: str = ""
    typing: str = ""
    unit: str = ""
    zone: str = ""
    required: bool = False
    nullable: bool = False
    blank: str = "omit"
    unset: str = ""
    value: str = ""
    choices: tuple[Choice, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()
    shape: str = ""
    of: str = ""
    number: int = 0
    when: str = ""
    shapes: tuple[Field, ...] = ()

    @property
    def id(self) -> str:
        """Return the field's ``id`` in a page: unique and of safe characters."""
        return "field" + quote(self.spot, safe="").replace(".", "%2E").replace("%", ".")

    @property
    def name(self) -> str:
        """Return the spot, or ``row`` for the row: browsers post no control without a name."""
        return self.spot or "row"

    @property
    def path(self) -> str:
        """Return the path of the value for display: ``address.city``."""
        return ".".join(map(unescaped, self.pointer.split("/")[1:]))

    @property
    def range(self) -> str:
        """Return limits and example in words: ``from 0.1 to 8, e.g. 5.1``."""
        return ", ".join(filter(None, [self.bounds, self.example and f"e.g. {self.example}"]))

    @property
    def hint(self) -> str:
        """Return the hint of what to type."""
        hint = ", ".join(filter(None, [self.typing, self.range]))
        return hint[:1].upper() + hint[1:]

    @property
    def shown(self) -> str:
        """Return the text in the field's control, which may be less precise than ``value``."""
        return picked(self.value, self.attributes["type"]) if self.kind == "local" else self.value

    @property
    def is_wide(self) -> bool:
        """Return whether the field takes a full line."""
        return self.control in ("textarea", "checks", "group", "list", "variant")

    @property
    def chosen(self) -> tuple[str, ...]:
        """Return the JSON of each ticked choice."""
        ticked = json.loads(self.value) if self.value else []
        # A default may be any JSON.
        return tuple(map(as_json, ticked)) if isinstance(ticked, list) else ()

    def within(self) -> Iterator[Field]:
        """Yield all inner fields, parents first."""
        for inner in self.fields:
            if self.kind == "variant":
                yield from (replace(each, of=each.of or inner.label) for each in inner.within())
            else:
                yield inner
                yield from inner.within()


@dataclass(frozen=True)
class Place:
    """The place of a schema in the row, with the example and default of the value there.

    In ``spot``, ``~v1`` is the second of several shapes of a value, ``~k0`` the first member that
    a user adds to an object, and ``~m`` all added members of an object that has named ones too.
    """

    pointer: str = ""
    spot: str = ""
    key: str = ""
    is_required: bool = True
    is_nullable: bool = False
    is_item: bool = False
    number: int = 0
    when: str = ""
    example: Any = None
    default: Any = None
    depth: int = 0
    refs: frozenset[str] = frozenset()

    def member(self, key: str, is_required: bool, when: str = "") -> Place:
        """Return the place of an object's member."""
        return replace(
            self._inner(key, escaped(key), key),
            is_required=is_required,
            when=when,
            example=_member(self.example, key),
            default=_member(self.default, key),
        )

    def added(self, index: int, key: str) -> Place:
        """Return the place of an object's member that the user named."""
        default = _member(self.default, key)
        return replace(self._inner("", f"~k{index}", key), is_item=True, default=default)

    def item(self, index: int, is_needed: bool = True) -> Place:
        """Return the place of a list's item."""
        step = str(index)
        return replace(
            self._inner(step, step, step),
            is_required=is_needed,
            is_item=is_needed,
            number=index + 1,
            example=_item(self.example, index),
            default=_item(self.default, index),
        )

    def shape(self, index: int, is_given: bool) -> Place:
        """Return the place of one of the value's shapes; it shares the value's pointer."""
        return replace(
            self,
            spot=f"{self.spot}/~v{index}",
            is_required=True,
            is_nullable=False,
            number=0,
            when="",
            example=self.example if is_given else None,
            default=self.default if is_given else None,
            depth=self.depth + 1,
        )

    def _inner(self, key: str, spot: str, step: str) -> Place:
        return Place(
            pointer=f"{self.pointer}/{escaped(step)}",
            spot=f"{self.spot}/{spot}",
            key=key,
            depth=self.depth + 1,
            refs=self.refs,
        )


def picked(text: str, control: str) -> str:
    """Return a local date, time, or both as the text of an input of that type; empty if it cannot.

    static/typed.js does the same. Without a zone, browsers everywhere show the same time.
    """
    found = LOCAL.fullmatch(text)
    if not found:
        return ""
    day, time, fraction = found["day"] or "", found["time"] or "", found["fraction"] or ""
    match control:
        case "date":
            return "" if (time + fraction).strip("0:.") else day
        case "datetime-local":
            return f"{day}T{time or '00:00'}{fraction}" if day else ""
    return "" if day else f"{time}{fraction}"


def as_json(value: Any) -> str:
    """Return a value as the JSON that forms contain."""
    return json.dumps(value, ensure_ascii=False)


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _item(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, list) and index < len(value) else None
