import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlmodel.errors import BadMetadata
from mlmodel.reference.distributions import Choices, Numbers, Opaque, describe
from mlmodel.reference.profile import Profile

RNG = np.random.default_rng(1)
INCOMES = RNG.lognormal(10.5, 0.4, 5000)


def test_numbers_become_twenty_equal_bins():
    found = describe(INCOMES)

    assert isinstance(found, Numbers)
    assert sum(found.counts) == 5000
    assert max(found.counts) < 270
    assert found.edges[10] == pytest.approx(np.median(INCOMES), rel=0.001)


def test_lowest_and_highest_number_are_rounded_outwards():
    found = describe(np.array([17.4, *np.linspace(18, 94, 154), 101.37]))

    assert (found.edges[0], found.edges[-1]) == (17, 105)


def test_means_are_those_of_five_rows_or_more():
    few = describe(np.arange(20.0, 40))
    many = describe(np.arange(1_000.0))

    assert set(few.means) == {22, 27, 32, 37}
    assert many.means == pytest.approx(np.arange(1_000).reshape(20, 50).mean(axis=1), abs=0.1)


@pytest.mark.parametrize("count", [32, 37, 99, 1001])
def test_means_keep_the_mean_of_all(count):
    numbers = np.random.default_rng(count).lognormal(sigma=2, size=count)

    found = describe(numbers)

    assert np.mean(found.means) == pytest.approx(numbers.mean(), rel=0.02)


def test_means_do_not_show_a_single_number():
    secret = 12_345_678
    found = describe(np.array([*np.linspace(50, 149, 99), secret]))

    guess = 5 * found.means[-1] - 4 * found.edges[-2]
    assert 0.02 < abs(guess / secret - 1) < 0.1


def test_range_keeps_values_that_several_rows_share():
    assert describe(np.array([0.0] * 5 + [*INCOMES])).edges[0] == 0


def test_profile_contains_no_value_of_a_single_row():
    secret = 71_234.567
    names = [f"person {at}" for at in range(500)]
    columns = {
        "income": np.array([*INCOMES[:499], secret]),
        "name": names,
        "vip": [True] + [False] * 499,
    }

    text = json.dumps(Profile.from_columns(columns).to_json())

    assert "71234.567" not in text
    assert "person" not in text
    assert "true" not in text


def test_quantiles_of_few_rows_are_no_values():
    ages = [18.0 + index for index in range(21)]

    assert len(set(describe(ages).edges) & set(ages)) < 8, "only by chance"


def test_rare_choices_are_only_counted():
    found = describe(["own"] * 60 + ["rent"] * 38 + ["boat"] + [None] * 1)

    assert found == Choices({"own": 60, "rent": 38}, other=1, missing=0.01)


def test_few_repeated_numbers_are_choices():
    found = describe([36, 12.0, 12] * 10)

    assert found == Choices({"12": 20, "36": 10}, other=0, missing=0)
    assert found.numbers == (12, 36)


def test_numbers_that_differ_in_the_last_digits_are_one_choice():
    column = [0.3, 0.30000000000000004, 0.7] * 10
    older = {"choices": {"0.3": 10, "0.30000000000000004": 10, "0.7": 10}, "other": 0, "missing": 0}

    read = Profile.from_json({"rows": 30, "fields": {"a": older}, "predictions": {}})

    assert read.fields["a"] == describe(np.array(column))
    assert sorted(read.fields["a"].counts.values()) == [10, 20]


@pytest.mark.parametrize("text", ["1.10", "00501", "9007199254740994"])
def test_text_and_integer_are_only_listed_as_they_are(text):
    listed = Choices({"1.1": 5, "501": 5, "9007199254740993": 5}, 0, 0.0)

    assert listed.find(text) == text


@pytest.mark.parametrize("as_column", [list, np.array])
def test_integers_of_more_than_53_bits_are_choices(as_column):
    found = describe(as_column([2**53, 2**53 + 1, -5] * 10))

    assert found.counts == {"-5": 10, str(2**53): 10, str(2**53 + 1): 10}


@pytest.mark.parametrize(
    "values",
    [
        [[1, 2]] * 30,
        [{"a": 1}] * 30,
        [f"text {at}" for at in range(30)],
        [10**400] * 30,
        [None] * 3,
        [],
    ],
    ids=["lists", "objects", "texts", "large", "missing", "none"],
)
def test_other_values_are_opaque(values):
    assert isinstance(describe(values), Opaque)


def test_json_is_read_back():
    rows = [{"income": income, "home": "own"} for income in INCOMES[:100]]
    predictions = [{"prediction": "a", "probabilities": {"a": row["income"] / 1e6}} for row in rows]
    profile = Profile.from_rows([*rows, {"home": "own"}], predictions)

    assert set(profile.predictions) == {"prediction", "probability of a"}
    assert profile.fields["income"].missing == pytest.approx(1 / 101, abs=1e-6)
    assert Profile.from_json(json.loads(json.dumps(profile.to_json()))) == profile


def test_means_are_read_within_the_edges():
    numbers = {"missing": 0, "edges": [1] * 20 + [2], "counts": [1] * 20}
    document = {"rows": 5, "fields": {"a": {**numbers, "means": [0.9, *[1.5] * 18, 1e9]}}}

    profile = Profile.from_json({**document, "predictions": {}})

    assert profile.fields["a"].means == (1, *[1.5] * 18, 2)


@st.composite
def _columns(draw):
    """Numbers around another one, of spans from rounding errors to the range of a double."""
    span = draw(
        st.sampled_from([0.0, 5e-324, 1e-310, 1e-290, 1e-12, 1e-4, 1.0, 1e12, 1e299, 8e307])
    )
    centre = draw(st.sampled_from([0.0, 7.0437, -1e-300, 1e9, 1e16, -1e299, 9e307]))
    count = draw(st.sampled_from([20, 37, 60, 99, 150]))
    power = draw(st.sampled_from([1, 3, 9]))
    steps = np.random.default_rng(draw(st.integers(0, 1000))).uniform(-1, 1, count) ** power
    return centre + span * steps


@given(_columns())
@example(7.0437 + np.spacing(7.0437) * np.tile([0, 1, 2, 0, 1, 0], 10))
def test_column_of_any_numbers_has_a_profile(numbers):
    profile = Profile.from_columns({"a": numbers})
    found = profile.fields["a"]

    assert Profile.from_json(json.loads(json.dumps(profile.to_json()))) == profile
    if isinstance(found, Numbers):
        assert found.edges[0] <= numbers.min() <= numbers.max() <= found.edges[-1]
        assert sum(found.counts) == len(numbers)


@pytest.mark.parametrize(
    ("distribution", "message"),
    [
        (7, "extra.reference/fields/a must be an object, got 7"),
        ({"missing": None}, "/missing must be a finite number, got None"),
        ({"missing": 0, "edges": [10**400] * 21, "counts": [0] * 20}, "must be a finite number"),
        ({"missing": 2}, "/fields/a/missing must be a share from 0 to 1, got 2"),
        ({"missing": 0, "edges": [1] * 21}, "/fields/a"),
        (
            {"missing": 0, "edges": [2, *[1] * 20], "counts": [1] * 20},
            "/edges must be numbers that do not decrease",
        ),
        (
            {"missing": 0, "edges": [1] * 21, "counts": [1] * 20, "means": [1]},
            "/means must be a list of 20 numbers",
        ),
        ({"missing": 0, "choices": {"a": -1}, "other": 0}, "/choices must be an integer from 0"),
        ({"missing": 0, "choices": {str(at): 1 for at in range(1001)}, "other": 0}, "1000"),
    ],
)
def test_wrong_profile_is_rejected(distribution, message):
    document = {"rows": 5, "fields": {"a": distribution}, "predictions": {}}

    with pytest.raises(BadMetadata, match=message):
        Profile.from_json(document)
