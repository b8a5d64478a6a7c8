import numpy as np
import pytest

from mlmodel.reference.caution import find_cautions, with_hints
from mlmodel.reference.profile import Profile

PROFILE = Profile.from_columns(
    {
        "income": np.linspace(10_000, 90_000, 200),
        "term": [12, 24, 36, 48] * 50,
        "home/type": ["own"] * 100 + ["rent"] * 99 + ["boat"],
        "vip": [True, False] * 100,
        "savings": [None] * 10 + [*np.linspace(0, 100, 190)],
        "comment": [f"comment {at}" for at in range(200)],
    }
)
USUAL = {"income": 50_000, "term": 12.0, "home/type": "own", "vip": True, "comment": "?"}


def test_row_like_the_sample_needs_no_caution():
    assert find_cautions(USUAL | {"savings": 5, "more": 1}, PROFILE) == []


@pytest.mark.parametrize(
    ("change", "pointer", "kind", "expected", "detail"),
    [
        (
            {"income": 250_000.5},
            "/income",
            "outside-range",
            [10_000, 90_000],
            "250,000.5 is outside the training data, which range from 10,000 to 90,000",
        ),
        (
            {"term": 60},
            "/term",
            "outside-range",
            [12, 48],
            "60 is outside the training data, which range from 12 to 48",
        ),
        (
            {"home/type": "boat"},
            "/home~1type",
            "unseen-category",
            ["own", "rent"],
            '"boat" is rare in the training data or missing from them; common values: own, rent',
        ),
        ({"comment": None}, "/comment", "blank", None, "Blank, but the training data have a value"),
    ],
)
def test_unusual_value_is_found(change, pointer, kind, expected, detail):
    [caution] = [each.to_json() for each in find_cautions(USUAL | change, PROFILE)]

    assert (caution["pointer"], caution["kind"], caution["expected"]) == (pointer, kind, expected)
    assert caution["received"] == next(iter(change.values()))
    assert caution["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("column", "value", "detail"),
    [
        ([7.0] * 200, 8, "8 is outside the training data, which always have 7"),
        (
            [np.nan] * 200,
            3.0,
            "3.0 does not occur in the training data, which are blank in every row",
        ),
    ],
)
def test_detail_fits_columns_of_one_number_or_none(column, value, detail):
    profile = Profile.from_columns({"a": np.array(column)})

    assert [each.detail for each in find_cautions({"a": value}, profile)] == [detail]


def test_number_between_choices_is_usual():
    assert find_cautions(USUAL | {"term": 30}, PROFILE) == []


@pytest.mark.parametrize("cities", [101, 120])
def test_category_is_not_called_rare_if_the_profile_cannot_list_it(cities):
    column = [f"city {at % cities}" for at in range(2_000)]
    profile = Profile.from_columns({"city": column})
    document = profile.to_json()
    del document["fields"]["city"]["omitted"]  # as older files

    for each in (profile, Profile.from_json(profile.to_json()), Profile.from_json(document)):
        assert [city for city in column if find_cautions({"city": city}, each)] == []


def test_long_category_is_not_called_rare():
    long = "a" * 101
    profile = Profile.from_columns({"city": ["b"] * 90 + [long] * 30})

    assert find_cautions({"city": long}, profile) == []


def test_rare_category_is_called_rare_if_all_common_ones_are_listed():
    column = [f"city {at % 100}" for at in range(2_000)] + ["village"] * 4
    profile = Profile.from_columns({"city": column})

    [found] = find_cautions({"city": "village"}, Profile.from_json(profile.to_json()))

    assert found.detail.startswith('"village" is rare in the training data or missing from them')


def test_omitted_member_is_blank_unless_the_sample_lacks_some():
    found = find_cautions({}, PROFILE)

    assert [each.pointer for each in found] == [
        "/income",
        "/term",
        "/home~1type",
        "/vip",
        "/comment",
    ]
    assert {each.kind for each in found} == {"blank"}


@pytest.mark.parametrize("row", [None, 5, [1], "text"])
def test_row_that_is_no_object_has_no_cautions(row):
    assert find_cautions(row, PROFILE) == []


@pytest.mark.parametrize(
    ("limits", "hint"),
    [
        ({"minimum": 48}, [48, 48]),
        ({"minimum": 49}, None),
        ({"maximum": 11}, None),
        ({"exclusiveMinimum": 48}, None),
        ({"exclusiveMaximum": 12}, None),
        ({"minimum": 13, "exclusiveMinimum": 20, "exclusiveMaximum": 30.5}, [20, 30.5]),
    ],
)
def test_hints_beyond_the_limits_are_left_out(limits, hint):
    member = {"type": "number", "x-range": [1, 2], **limits}

    found = with_hints({"properties": {"term": member}}, PROFILE)["properties"]["term"]

    assert found.get("x-range") == hint
    assert {name: found[name] for name in limits} == limits


def test_examples_with_a_caution_come_last():
    members = {"home/type": {"examples": ["boat", "own", None, "rent"]}, "more": {"examples": 4}}

    found = with_hints({"properties": members}, PROFILE)["properties"]

    assert found["home/type"]["examples"] == ["own", None, "rent", "boat"]
    assert found["more"] == members["more"]


def test_value_of_another_type_raises_nothing():
    odd = {name: [{"a": 1}] for name in PROFILE.fields}

    assert find_cautions(odd, PROFILE) == []


def test_hints_have_the_ranges_of_cautions_within_the_limits():
    number = {"type": "number", "x-range": [1, 2]}
    members = {
        "income": number | {"minimum": 0, "maximum": 80_000},
        "term": number,
        "vip": number,
        "savings": {"type": "number"},
        "other": number,
    }

    found = with_hints({"properties": members}, PROFILE)["properties"]

    assert found["income"]["x-range"] == [10_000, 80_000]
    assert found["term"]["x-range"] == [12, 48]
    assert [found[name] for name in ("vip", "savings", "other")] == [
        members[name] for name in ("vip", "savings", "other")
    ]


def test_values_of_the_sample_need_no_caution_beside_a_long_tail():
    ages = [17.0, *range(18, 22), *[20.0] * 300, *range(500, 80_000, 4_000)]
    profile = Profile.from_columns({"age": ages})

    assert [each for each in ages if find_cautions({"age": each}, profile)] == []
