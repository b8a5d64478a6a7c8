"""One field of a form, and its place in the row."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from mlmodel.schema.shape import Schema, escape, unescape


@dataclass(frozen=True)
class Choice:
    """One choice of a field; ``value`` is its JSON."""

    label: str
    value: str


@dataclass(frozen=True)
class Field:
    """One value of a row: its labels, its control, and how its text becomes JSON.

    ``pointer`` is the value's JSON Pointer within the row, ``key`` its name in its object, and
    ``path`` its place in the form: the pointer, plus steps with ``~`` for fields that share a
    pointer (see :class:`Place`).

    ``kind`` decides how text becomes JSON: ``text`` unchanged, ``number`` parsed, ``datetime`` a
    date and time with an offset, ``local`` a date, a time, or both without one; ``choice``,
    ``fixed`` and ``json`` are JSON already; ``lines``, ``numbers`` and ``multiselect`` are lists;
    ``file`` is base64. ``group`` is an object of ``fields`` and ``tuple`` a list of them. ``list``
    is a list and ``map`` an object to which a user may add ``fields``; ``recursive`` has one of
    them at most. Each added field is a copy of the form's template named ``template``. ``one_of``
    is the one of its ``fields`` whose index is ``value``.

    ``blank`` is the value of a blank field: ``omit``, ``null``, or ``empty`` for the empty value
    of the kind. ``blank_label`` is the label of a choice for it.

    ``value`` is the initial text in the field.

    ``choices`` are all allowed values, or suggestions for typing.

    ``bounds`` describes the limits of the value, ``format_hint`` how to type it. ``time_zone`` is
    that of the column of a ``datetime``. ``section`` is the title of the field's section.

    ``alternative`` is the label of the alternative that the field belongs to, if its object has
    several. ``number`` is its position in a list, from 1. ``condition`` is the JSON of the
    condition for the field. ``templates`` are those of a whole form.
    """

    pointer: str
    key: str
    label: str
    kind: str
    control: str
    type: str
    path: str = ""
    description: str = ""
    bounds: str = ""
    example: str = ""
    format_hint: str = ""
    unit: str = ""
    section: str = ""
    time_zone: str = ""
    required: bool = False
    nullable: bool = False
    blank: str = "omit"
    blank_label: str = ""
    value: str = ""
    choices: tuple[Choice, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[Field, ...] = ()
    template: str = ""
    alternative: str = ""
    number: int = 0
    condition: str = ""
    templates: tuple[Field, ...] = ()

    @property
    def id(self) -> str:
        """Return the field's ``id`` in a page: unique and of safe characters."""
        return "field" + quote(self.path, safe="").replace(".", "%2E").replace("%", ".")

    @property
    def name(self) -> str:
        """Return the name of the field's control. Radio buttons of one name are one choice."""
        return self.path or "row"

    @property
    def dotted_path(self) -> str:
        """Return the place of the value for display: ``address.city``."""
        return ".".join(map(unescape, self.pointer.split("/")[1:]))

    @property
    def bounds_and_example(self) -> str:
        """Return limits and example in words: ``from 0.1 to 8, e.g. 5.1``."""
        return ", ".join(filter(None, [self.bounds, self.example and f"e.g. {self.example}"]))

    @property
    def hint(self) -> str:
        """Return the hint of what to type."""
        hint = ", ".join(filter(None, [self.format_hint, self.bounds_and_example]))
        return hint[:1].upper() + hint[1:]

    @property
    def is_wide(self) -> bool:
        """Return whether the field takes a full line."""
        return self.control in ("textarea", "checkboxes", "group", "list", "one_of")

    @property
    def selected(self) -> tuple[str, ...]:
        """Return the JSON of each ticked choice."""
        ticked = json.loads(self.value) if self.value else []
        # A default may be any JSON.
        return tuple(map(as_json, ticked)) if isinstance(ticked, list) else ()

    def descendants(self) -> Iterator[Field]:
        """Yield all inner fields, parents first."""
        for inner in self.fields:
            if self.kind == "one_of":
                label = inner.label
                for each in inner.descendants():
                    yield replace(each, alternative=each.alternative or label)
            else:
                yield inner
                yield from inner.descendants()


@dataclass(frozen=True)
class Place:
    """The place of a schema in the row, with the example and default of the value there.

    In ``path``, ``~v1`` is the second of several alternatives of a value, ``~k0`` the first member
    that a user adds to an object, and ``~m`` all added members of an object that has named ones
    too.
    """

    pointer: str = ""
    path: str = ""
    key: str = ""
    is_required: bool = True
    is_nullable: bool = False
    is_item: bool = False
    number: int = 0
    condition: str = ""
    example: Any = None
    default: Any = None
    depth: int = 0

    def with_default(self, schema: Schema) -> Place:
        """Return the place with its schema's default, unless an outer schema has one for it."""
        return self if self.default is not None else replace(self, default=schema.get("default"))

    def member(self, key: str, is_required: bool, condition: str = "") -> Place:
        """Return the place of an object's member."""
        return replace(
            self._inner(key, escape(key), key),
            is_required=is_required,
            condition=condition,
            example=_get_member(self.example, key),
            default=_get_member(self.default, key),
        )

    def named_member(self, index: int, key: str) -> Place:
        """Return the place of an object's member that the user named."""
        default = _get_member(self.default, key)
        return replace(self._inner("", f"~k{index}", key), is_item=True, default=default)

    def additional_members(self, names: Collection[str]) -> Place:
        """Return the place of the members that a user adds to an object with named members."""
        default = self.default if isinstance(self.default, Mapping) else {}
        return replace(
            self._inner("", "~m", ""),
            pointer=self.pointer,
            is_required=False,
            default={key: value for key, value in default.items() if key not in names},
        )

    def item(self, index: int, is_required: bool = True) -> Place:
        """Return the place of a list's item."""
        step = str(index)
        return replace(
            self._inner(step, step, step),
            is_required=is_required,
            is_item=is_required,
            number=index + 1,
            example=_get_item(self.example, index),
            default=_get_item(self.default, index),
        )

    def alternative(self, index: int) -> Place:
        """Return the place of one of the value's alternatives; it shares the value's pointer."""
        return replace(
            self,
            path=f"{self.path}/~v{index}",
            is_required=True,
            is_nullable=False,
            number=0,
            condition="",
            depth=self.depth + 1,
        )

    def _inner(self, key: str, path: str, step: str) -> Place:
        return Place(
            pointer=f"{self.pointer}/{escape(step)}",
            path=f"{self.path}/{path}",
            key=key,
            depth=self.depth + 1,
        )


def as_json(value: Any) -> str:
    """Return a value as the JSON that forms contain."""
    return json.dumps(value, ensure_ascii=False)


def _get_member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _get_item(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, list) and index < len(value) else None
