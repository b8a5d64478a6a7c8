"""The sections of a form with many fields: by ``x-group``, beginnings of names, or position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from app.web.pages.display import labels
from app.web.pages.forms.fields import Field

#: From this number of fields on, names are searched for common beginnings, and a filter is shown.
MANY = 24
#: From this number of fields on, a form without common beginnings is cut into sections.
VERY_MANY = 60
#: Fields of each section of a form that is cut.
EACH = 25
#: Fewest fields with a common beginning.
SEVERAL = 3
#: Most sections by beginnings of names.
MOST = 24
#: Share of the fields that must have a common beginning with others.
COVERED = 0.8


@dataclass(frozen=True)
class Section:
    """Fields below a title; without a title, they are always shown."""

    title: str
    fields: Sequence[Field]
    is_open: bool = True


def get_sections(form: Field) -> Sequence[Section]:
    """Return the sections of a form for an object; of many fields, only the first section is open.

    Sections by ``x-group`` are in the order of their first fields, which may move other fields.
    """
    fields = form.fields
    sections = _by_keyword(fields) or _by_name(fields) or _by_number(fields)
    is_long = len(fields) >= MANY
    first = next((each for each in sections if each.title), None)
    return [
        Section(each.title, each.fields, is_open=not is_long or not each.title or each is first)
        for each in sections
    ]


def _by_keyword(fields: Iterable[Field]) -> Sequence[Section]:
    groups: dict[str, list[Field]] = {"": []}
    for field in fields:
        groups.setdefault(field.section, []).append(field)
    if len(groups) == 1:
        return []
    return [Section(title, inner) for title, inner in groups.items() if inner]


def _by_name(fields: Sequence[Field]) -> Sequence[Section]:
    """Return a section for each run of fields whose names begin with the same word."""
    if len(fields) < MANY:
        return []
    runs = [tuple(run) for _, run in groupby(fields, lambda field: _words(field)[:1])]
    long = [run for run in runs if len(run) >= SEVERAL]
    if not 1 < len(long) <= len(runs) <= MOST or sum(map(len, long)) < COVERED * len(fields):
        return []
    return [Section(_common_words(run), run) for run in runs]


def _by_number(fields: Sequence[Field]) -> Sequence[Section]:
    if len(fields) < VERY_MANY:
        return [Section("", fields)]
    parts = [fields[start : start + EACH] for start in range(0, len(fields), EACH)]
    return [Section(f"{part[0].label} to {part[-1].label}", part) for part in parts]


def _words(field: Field) -> list[str]:
    return labels.readable(field.key).lower().split()


def _common_words(run: Sequence[Field]) -> str:
    """Return the words with which all names of a run begin; the label of a single field."""
    if len(run) == 1:
        return run[0].label
    common = []
    for words in zip(*map(_words, run), strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    return labels.readable(" ".join(common))
