"""Matching of table headers to the members that a schema names for a row."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from app.serving.tables.csv_cells import Members, unescape_formula
from mlmodel.errors import InvalidInput, Violation
from mlmodel.schema.messages import to_short_json
from mlmodel.schema.texts.moments import to_iso
from mlmodel.schema.texts.numerals import decimal_marks

#: What is appended to the names of the columns in front of those of the file in a file of problems,
#: so that no file of a user is taken for one; repeated if the file has such a column, or the model
#: such a member.
FROM_JOB = " (job)"
PROBLEM_COLUMNS = (f"line{FROM_JOB}", f"problem{FROM_JOB}")


def problem_columns(header: Sequence[str], members: Members) -> list[str]:
    """Return the names of the columns in front of a file of problems.

    :param header: the columns of the file.
    """
    others = {*header, *members.names}
    names = list(PROBLEM_COLUMNS)
    for at, _ in enumerate(names):
        while names[at] in others:
            names[at] += FROM_JOB
    return names


def column_names(cells: Sequence[str], members: Members, most_others: int) -> list[str]:
    """Return the name of each column: that of the member that its header matches, or the header.

    A header matches the member with exactly this name; else the one whose name or title differs
    only in surrounding whitespace, case, or ``_`` for a space, if there is only one and no other
    header matches it. A header may be empty: pandas writes one above the index.

    :param most_others: columns allowed in addition to the members.
    :raises InvalidInput: if there are more, none has a name, none matches a member although no
        other columns are part of a row, or a name or a match is not unique.
    """
    most = most_others + len(members.names)
    if len(cells) > most:
        raise InvalidInput(f"line 1 must name at most {most:,} columns, got {len(cells):,}")
    if not any(cell.strip() for cell in cells):
        raise InvalidInput("line 1 must name the columns")
    names = _match(cells, members)
    if members.names and members.names.keys().isdisjoint(names) and _are_values(cells):
        raise InvalidInput(
            "the first line looks like values, not names: it must name the columns, "
            f"such as {_listed(members)}"
        )
    counted = Counter(filter(None, names))
    twice = [name for name, count in counted.items() if count > 1]
    if twice:
        raise InvalidInput(f"line 1 names the column {min(twice)!r:.100} more than once")
    if not any(map(members.has, names)):
        raise InvalidInput(f"line 1 must name columns of the model, such as {_listed(members)}")
    return names


def find_missing(names: Sequence[str], members: Members) -> list[Violation]:
    """Return a violation for each member that every row must have and that has no column."""
    absent = [each for each in members.names if each in members.required and each not in names]
    return [Violation("", f"the file must have a column {to_short_json(name)}") for name in absent]


def check_required(names: Sequence[str], members: Members) -> None:
    """Check that each member that every row must have has a column.

    :raises InvalidInput: if one has none, so that no row is valid.
    """
    missing = find_missing(names, members)
    if missing:
        raise InvalidInput("; ".join(each.detail for each in missing)[:1_000], violations=missing)


def _match(cells: Sequence[str], members: Members) -> list[str]:
    found: dict[int, str] = {}
    for spelling in (str, unescape_formula, _strip):
        taken = set(found.values())
        for place, cell in enumerate(cells):
            name = spelling(cell)
            if place not in found and name in members.names and name not in taken:
                found[place] = name
    rest = [place for place in range(len(cells)) if place not in found and cells[place].strip()]
    if rest:
        found |= _loosely(rest, cells, _meanings(members, found))
    return [found.get(place, _strip(cell)) for place, cell in enumerate(cells)]


def _loosely(
    rest: Sequence[int], cells: Sequence[str], meanings: Mapping[str, set[str]]
) -> dict[int, str]:
    possible = {place: meanings.get(_fold(cells[place]), set()) for place in rest}
    for place, names in possible.items():
        if len(names) > 1:
            listed = " or ".join(map(repr, sorted(names)))
            raise InvalidInput(f"the column {cells[place]!r:.100} may be {listed:.200}: rename it")
    single = {place: min(names) for place, names in possible.items() if names}
    for name, count in Counter(single.values()).items():
        if count > 1:
            alike = [cells[place] for place in single if single[place] == name]
            listed = ", ".join(map(repr, alike))
            raise InvalidInput(
                f"{count} columns match the field {name!r:.100}: {listed:.200}. Keep one of them"
            )
    return single


def _meanings(members: Members, found: Mapping[int, str]) -> Mapping[str, set[str]]:
    """Return the members that have no column yet, by their folded names and titles."""
    meanings: dict[str, set[str]] = defaultdict(set)
    for name in members.names.keys() - set(found.values()):
        for called in {name, *members.column(name).titles}:
            meanings[_fold(called)].add(name)
    return meanings


def _strip(cell: str) -> str:
    return unescape_formula(cell.strip())


def _fold(name: str) -> str:
    return re.sub(r"[\s_]+", " ", unescape_formula(name.strip())).strip().casefold()


def _listed(members: Members) -> str:
    return ", ".join(map(repr, list(members.names)[:3]))[:200]


def _are_values(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    return 2 * sum(bool(decimal_marks(cell) or to_iso(cell)) for cell in filled) >= len(filled)
