"""Measure false and missed drift alarms on synthetic loans: ``python -m benchmarks.drift``.

Each line compares weeks of applications with the reference profile of others, as the health page
does. "Above chance" are fields whose PSI exceeds its threshold, alarms those that also exceed 0.1.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from app.serving.monitoring.drift import FieldDrift, Level, compare
from examples import loans
from mlmodel.reference.profile import Profile

#: Weeks without drift, and with it.
WEEKS, DRIFTED_WEEKS = 100, 20
Change = Callable[[pd.DataFrame, np.random.Generator], None]


def keep(table: pd.DataFrame, random: np.random.Generator) -> None:
    """Change nothing."""


def raise_income(table: pd.DataFrame, random: np.random.Generator) -> None:
    """Raise all incomes by a quarter."""
    table["annual_income"] *= 1.25


def change_employment(table: pd.DataFrame, random: np.random.Generator) -> None:
    """Give 30 % of the applicants another number of years in the job, from 0 to 30."""
    changed = random.random(len(table)) < 0.3
    table.loc[changed, "years_employed"] = random.uniform(0, 30, changed.sum()).round(1)


def lose_savings(table: pd.DataFrame, random: np.random.Generator) -> None:
    """Leave the savings of half of the applicants blank."""
    table.loc[random.random(len(table)) < 0.5, "savings"] = np.nan


def add_purpose(table: pd.DataFrame, random: np.random.Generator) -> None:
    """Give 10 % of the applicants a purpose that the reference lacks."""
    table.loc[random.random(len(table)) < 0.1, "purpose"] = "crypto"


#: What changes, and the field in which an alarm is expected.
CHANGES: Mapping[str, tuple[Change, str]] = {
    "income +25 %": (raise_income, "annual_income"),
    "30 % changed employment": (change_employment, "years_employed"),
    "half of the savings blank": (lose_savings, "savings"),
    "10 % new purpose": (add_purpose, "purpose"),
}


def make_reference(rows: int, seed: int) -> Profile:
    """Return the profile of applications without drift."""
    table = loans.applications(rows, seed)
    return Profile.from_rows(*split(table))


def report_weeks(
    profile: Profile, rows: int, seeds: range, change: Change = keep
) -> Iterator[list[FieldDrift]]:
    """Yield the drift of each week of changed applications."""
    for seed in seeds:
        table = loans.applications(rows, seed)
        change(table, np.random.default_rng(seed))
        yield compare(profile, *split(table))


def split(table: pd.DataFrame) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the rows of applications, and their predictions by the true probability."""
    default = loans.default_probability(table.fillna({"savings": 4_000})).round(4).tolist()
    rows = table.drop(columns="outcome").astype(object).to_dict(orient="records")
    predictions = [
        {
            "prediction": "default" if each > 0.5 else "repaid",
            "probabilities": {"default": each, "repaid": round(1 - each, 4)},
        }
        for each in default
    ]
    return rows, predictions


def main() -> None:
    """Print the tables."""
    _print(f"No drift, {WEEKS} weeks for each seed:")
    _print("  reference  week rows  seed  above chance  alarms  largest PSI")
    for reference, rows, seed in itertools.product((1_000, 4_500), (1_000, 2_000), (1, 2, 3)):
        seeds = range(1_000 * seed, 1_000 * seed + WEEKS)
        weeks = report_weeks(make_reference(reference, seed), rows, seeds)
        drifts = [each for week in weeks for each in week]
        above = sum(each.level is not Level.NONE for each in drifts)
        alarms = sum(each.is_alarm for each in drifts)
        largest = max(each.psi for each in drifts)
        _print(f"  {reference:9,} {rows:10,} {seed:5} {above:13} {alarms:7} {largest:12.3f}")
    _print(f"Drift, {DRIFTED_WEEKS} weeks of 2,000 rows, reference of 4,500:")
    _print("  change                     weeks found  mean PSI  other fields with alarms")
    profile = make_reference(4_500, 1)
    for title, (change, field) in CHANGES.items():
        weeks = list(report_weeks(profile, 2_000, range(DRIFTED_WEEKS), change))
        found = [each for week in weeks for each in week if each.name == field]
        others = {e.name for week in weeks for e in week if e.is_alarm and e.name != field}
        psi = sum(each.psi for each in found) / len(found)
        hits = sum(each.is_alarm for each in found)
        _print(f"  {title:25} {hits:12} {psi:9.2f}  {', '.join(sorted(others)) or 'none'}")


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
