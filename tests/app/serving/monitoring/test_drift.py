"""Drift from the reference profile, on synthetic loan applications with fixed seeds."""

from functools import cache

import numpy as np
import pytest

from app.serving.monitoring.drift import Level, calculate_psi, compare
from benchmarks.drift import CHANGES, report_weeks, split
from examples import loans
from mlmodel.reference.distributions import Choices, Numbers, Opaque
from mlmodel.reference.profile import Profile


@cache
def reference():
    return Profile.from_rows(*split(loans.applications(4_500, seed=1)))


def test_hundred_weeks_without_drift_give_few_alarms():
    rows, predictions = split(loans.applications(100_000, seed=2))
    weeks = [slice(1_000 * week, 1_000 * (week + 1)) for week in range(100)]

    drifts = [
        each for week in weeks for each in compare(reference(), rows[week], predictions[week])
    ]

    assert len(drifts) == 100 * 11
    assert sum(each.is_alarm for each in drifts) < 5
    assert sum(each.level is not Level.NONE for each in drifts) < 5


@pytest.mark.parametrize("change", CHANGES)
def test_changed_field_is_found_in_2000_rows(change):
    apply, name = CHANGES[change]

    first, *_ = weeks = list(report_weeks(reference(), 2_000, range(3), apply))

    assert all(each.is_alarm for week in weeks for each in week if each.name == name)
    assert first[0].is_alarm


def drift(distribution, values):
    (found,) = compare(Profile(1_000, {"x": distribution}), [{"x": each} for each in values], [])
    return found


def test_number_outside_the_range_is_counted():
    numbers = Numbers(tuple(np.linspace(0, 100, 21)), (50,) * 20, 0.0)

    found = drift(numbers, [*range(100), -1, 10**400, None, [], "a"])

    assert (found.current.outside, found.current.bins[-1]) == (2, 3)
    assert sum(found.current.bins) == 105


def test_equal_edges_hold_repeated_numbers():
    column = [0] * 600 + list(range(1, 401))
    profile = Profile.from_rows([{"x": each} for each in column])

    (found,) = compare(profile, [{"x": each} for each in column], [])

    assert found.psi == pytest.approx(0, abs=1e-9)
    assert sum(found.chart.current) == pytest.approx(1)


def test_new_choice_is_named():
    found = drift(Choices({"a": 600, "b": 400}, 0, 0.0), ["a"] * 600 + ["b"] * 300 + ["c"] * 100)

    assert found.current.unlisted == {"c": 100}
    assert found.chart.labels == ("a", "b", "other")
    assert found.level is Level.LARGE


def test_chart_has_the_most_frequent_choices():
    counts = {f"choice {number}": 1_000 - number for number in range(100)}

    chart = drift(Choices(counts, 0, 0.0), [*counts]).chart

    assert chart.labels == (*list(counts)[:20], "other")
    assert sum(chart.reference) == pytest.approx(1)


@pytest.mark.parametrize("largest", [1e308, 1.7e308])
def test_range_that_no_chart_can_show_is_compared(largest):
    numbers = Numbers(tuple((np.linspace(-0.5, 0.5, 21) * largest).tolist()), (50,) * 20, 0.0)

    found = drift(numbers, [0.0, -1.7e308, 5])

    assert (found.current.outside, found.chart) == (1, None)


@pytest.mark.parametrize("distribution", [Choices({}, 0, 1.0), Opaque(1.0), Choices({}, 9, 0.0)])
def test_profile_without_values_is_compared(distribution):
    assert drift(distribution, ["a", None]).psi >= 0


def test_missing_values_are_drift():
    found = drift(Opaque(0.0), ["text"] * 500 + [None] * 500)

    assert (found.level, found.current.missing, found.chart) == (Level.LARGE, 0.5, None)


def test_field_without_values_in_the_profile_is_not_compared():
    profile = Profile(1_000, {"text": Opaque(0.0), "home": Choices({"own": 1_000}, 0, 0.0)})

    fields = compare(profile, [{"text": "?", "home": "own"}] * 1_000, [])

    assert [(each.name, each.level) for each in fields] == [
        ("home", Level.NONE),
        ("text", Level.NOT_COMPARED),
    ]


def test_number_and_boolean_choices_match_their_text():
    found = drift(Choices({"12": 500, "true": 500}, 0, 0.0), [12, 12.0, True, False])

    assert found.current.bins == (2, 1, 1, 0)


def test_last_digits_of_numbers_are_no_drift():
    listed = {"0.45941337819356187": 600, "0.7": 400, "1": 300}
    other_runtime = [0.459413378193562] * 600 + [0.7000000000000001] * 400 + [0.9999999999999998]

    found = drift(Choices(listed, 0, 0.0), [*other_runtime, 0.45942])

    assert found.current.bins == (600, 400, 1, 1, 0)


def test_last_digits_beside_an_edge_are_no_drift():
    column = [0.25] * 100 + [0.37] * 600 + [*np.linspace(0, 1, 300).tolist()]
    shifted = np.nextafter(column, -1).tolist()
    profile = Profile.from_rows([{"x": each} for each in column])

    (found,) = compare(profile, [{"x": each} for each in shifted], [])

    assert found.current.bins == found.reference.bins
    assert found.current.outside == 0


def test_left_out_field_is_not_compared():
    profile = Profile(1_000, {"x": Opaque(0.0), "name": Opaque(0.0)})

    assert [each.name for each in compare(profile, [{"x": 1}], [], {"name"})] == ["x"]


@pytest.mark.parametrize("name", ["probability of yes", "probabilities", "score.mean"])
def test_left_out_prediction_is_not_compared(name):
    profile = Profile(1_000, {}, {name: Opaque(0.0), "other": Opaque(0.0)})

    found = compare(profile, [], [], {"probabilities", "score"})

    assert [each.name for each in found] == ["other"]


def test_one_of_two_probabilities_is_compared():
    yes, no, maybe = (f"probability of {name}" for name in ("yes", "no", "maybe"))
    two = Profile(1_000, {}, {no: Opaque(0.0), yes: Opaque(0.0)})
    three = Profile(1_000, {}, {no: Opaque(0.0), yes: Opaque(0.0), maybe: Opaque(0.0)})

    assert [each.name for each in compare(two, [], [])] == [yes]
    assert [each.name for each in compare(three, [], [])] == [no, yes, maybe]


def test_rare_new_choice_is_not_named():
    found = drift(Choices({"a": 900}, 100, 0.0), ["a"] * 990 + ["typed once"])

    assert found.current.unlisted == {}


def test_psi_of_equal_shares_is_zero():
    assert calculate_psi([100, 300], [10_000, 30_000]) == pytest.approx(0, abs=1e-4)
    assert calculate_psi([500, 500], [900, 100]) == pytest.approx(0.876, abs=0.01)
