"""What is explained, of which rows, and within which time."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from app.serving.errors import CannotExplain
from app.serving.explaining import evaluator
from app.serving.explaining.evaluator import CALL_ROWS, PROBE_ROWS, Evaluator
from app.serving.explaining.explained_number import find_number, may_have_number
from app.serving.explaining.explanation import is_explainable
from app.serving.explaining.output_paths import check_output, list_outputs
from app.serving.explaining.variations import WordVariation
from mlmodel.reference.main_value import get_class_name
from mlmodel.reference.profile import Profile
from mlmodel.schema.shape import Shape
from mlmodel.schema.validator import Schema

TEXT = {"type": "string"}
PICTURE = {"type": "string", "contentEncoding": "base64"}
ENDED = {"a": ["x", "y"] * 20}


@pytest.mark.parametrize(
    ("member", "profile", "expected"),
    [
        (TEXT, None, True),
        (PICTURE, None, False),
        (TEXT, Profile.from_columns({"a": list("abcdefghij" * 2)}), True),
        (PICTURE, Profile.from_columns({"a": [[1]] * 20}), False),
        (PICTURE, Profile.from_columns(ENDED), True),
    ],
)
def test_texts_and_profiles_with_values_are_explainable(member, profile, expected):
    model = SimpleNamespace(
        endpoints={},
        input_schema={"type": "object", "properties": {"a": member}},
        output_schema=None,
        about=SimpleNamespace(profile=profile),
    )

    assert is_explainable(model) is expected


@pytest.mark.parametrize(
    ("row", "member", "names", "background"),
    [
        ({"x": 1, "t": " hi you"}, "t", ["hi", "you"], {"x": 1, "t": ""}),
        ({"x": 1, "t": None}, "t", [], {"x": 1, "t": None}),
        ({}, "t", [], {}),
        ("hi", "", ["hi"], ""),
    ],
)
def test_words_are_those_of_the_member_of_the_schema(row, member, names, background):
    words = WordVariation(row, member)

    assert words.names == names
    assert words.get_background() == [background]
    assert words.held == (("x",) if "x" in row else ())


@pytest.mark.parametrize(
    ("prediction", "path", "class_name"),
    [
        ({"prediction": 1.0, "probabilities": {"0.0": 0.6, "1.0": 0.4}}, "probabilities", "1.0"),
        ({"prediction": True, "scores": [1], "p": {"False": 0.1, "True": 0.9}}, "p", "True"),
        ({"bounds": [1, 5], "mean": 3, "high": 5}, "mean", None),
        ({"mean": 3, "prediction": "late"}, "prediction", "late"),
    ],
)
def test_main_value_is_explained(prediction, path, class_name):
    found = find_number(prediction, Shape.of({"type": "object"}))

    assert (found.path[0], found.class_name) == (path, class_name)
    assert found.read_label(prediction) == prediction.get("prediction")


LABELS = {"type": "object", "properties": {"a": {"enum": [0, 1]}, "b": {"enum": [0, 1]}}}
SHARES = {"a": {"type": "number"}, "b": {"type": "number"}}
LIMITED = {name: {**each, "minimum": 0, "maximum": 1} for name, each in SHARES.items()}


@pytest.mark.parametrize(
    "prediction",
    [
        {"prediction": {"a": 1, "b": 0}},
        {"prediction": {"a": 1, "b": 0}, "probabilities": {"a": {"0": 0.2, "1": 0.8}}},
    ],
)
def test_labels_of_several_outputs_are_no_probabilities(prediction):
    schema = Shape.of({"type": "object", "properties": {"prediction": LABELS}})

    with pytest.raises(
        CannotExplain, match="with the parameter 'output': /prediction/a, /prediction/b"
    ):
        find_number(prediction, schema)


def test_output_of_several_has_probabilities_of_its_own():
    prediction = {
        "prediction": {"a": 1, "b": "yes"},
        "probabilities": {"a": {"0": 0.2, "1": 0.8}, "b": {"yes": 0.6, "no": 0.4}},
    }

    first, second = (find_number(prediction, Shape.of(None), output=each) for each in "ab")
    other = find_number(prediction, Shape.of(None), "no", "/prediction/b")

    assert (first.path, first.read(prediction)) == (("probabilities", "a", "1"), 0.8)
    assert (second.read(prediction), second.read_label(prediction)) == (0.6, "yes")
    assert (other.read(prediction), other.output) == (0.4, "/prediction/b")


def test_chosen_number_is_no_class_beside_it():
    prediction = {"late": True, "p": {"true": 0.9, "false": 0.1}, "days": 12}

    assert find_number(prediction, Shape.of(None)).path == ("p", "true")
    assert find_number(prediction, Shape.of(None), output="days").path == ("days",)


def test_name_of_a_member_may_have_a_slash():
    prediction = {"a/b": 1, "prediction": {"/c": 2}}

    assert find_number(prediction, Shape.of(None), output="a/b").read(prediction) == 1
    assert find_number(prediction, Shape.of(None), output="/prediction/~1c").read(prediction) == 2


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "number"}, [""]),
        ({"type": "object"}, []),
        (
            {"type": "object", "properties": {"prediction": LABELS}},
            ["/prediction/a", "/prediction/b"],
        ),
        (
            {
                "type": "object",
                "properties": {
                    "score": {"type": "number"},
                    "prediction": {"type": "string"},
                    "probabilities": {"type": "object", "properties": SHARES},
                },
            },
            ["/prediction", "/score"],
        ),
        (
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
            ["/0", "/1"],
        ),
        ({"type": "array", "items": {"type": "number"}}, []),
    ],
)
def test_outputs_are_single_values_of_the_schema(schema, expected):
    assert list_outputs(Shape.of(schema)) == expected


@pytest.mark.parametrize(
    ("schema", "output", "is_known"),
    [
        ({"properties": {"prediction": LABELS}}, "b", True),
        ({"properties": {"prediction": LABELS}}, "/prediction/c", False),
        ({"properties": {"prediction": LABELS}}, "prediction", False),
        ({"properties": {"prediction": {"type": "object"}}}, "c", True),
        ({"properties": SHARES, "additionalProperties": True}, "c", True),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "c", True),
        ({"type": "array", "items": {"type": "number"}}, "/7", True),
        ({"type": "array", "items": {"type": "number"}}, "c", False),
        ({"type": "number"}, "c", False),
        ({}, "c", True),
    ],
)
def test_output_is_checked_by_the_members_of_a_schema(schema, output, is_known):
    with nullcontext() if is_known else pytest.raises(CannotExplain, match="must be one of"):
        check_output(Shape.of(schema), output)


@pytest.mark.parametrize("member", ["probabilities", "limited"])
def test_probabilities_need_no_label(member):
    inner = SHARES if member == "probabilities" else LIMITED
    members = {member: {"type": "object", "properties": inner}}
    schema = Shape.of({"type": "object", "properties": members})

    found = find_number({member: {"a": 0.2, "b": 0.8}}, schema)

    assert (found.kind, found.path) == ("probability", (member, "b"))


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (None, True),
        ({"type": "number"}, True),
        ({"type": "object"}, True),
        ({"type": "array", "items": {"type": "number"}}, False),
        ({"type": "object", "properties": {"prediction": LABELS}}, True),
        ({"type": "object", "properties": {"prediction": {"type": "array"}}}, False),
    ],
)
def test_lists_of_any_length_have_no_number(output, expected):
    assert may_have_number(Shape.of(output)) is expected


def test_class_without_a_name_has_its_text():
    assert get_class_name(2.0, ["0.0", "1.0"]) == "2"
    assert get_class_name("1", ["1.0"]) == "1"
    assert get_class_name(1, ["0.0", "1.0"]) == "1.0"


@pytest.mark.parametrize("further", [0.0, 0.0005, 0.02, 0.3, 1.5])
def test_rows_fit_into_the_time(monkeypatch, further):
    """A call takes 0.01 seconds, and ``further`` for each row."""
    clock, calls = [0.0], []

    def predict(rows):
        calls.append(0.01 + further * len(rows))
        clock[0] += calls[-1]
        return list(rows)

    monkeypatch.setattr(evaluator, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    measured = Evaluator(predict, Schema(True), 10_000, time_limit=8)
    measured.predict_first(0)
    measured.probe(range(PROBE_ROWS))
    count = measured.limit(20_000)
    spent = clock[0]

    assert measured.predict(range(count)) == list(range(count))
    assert max(calls) <= 4.1
    assert clock[0] - spent <= 10.3
    assert spent <= 3.1
    assert measured.rows == count + 1
    assert (count == 20_000) is (further == 0)
    assert count >= min(20_000, 9 / (further + 0.01 / CALL_ROWS))


def test_calls_that_become_slow_end(monkeypatch):
    clock = [0.0]

    def predict(rows):
        clock[0] += 0.001 if len(rows) <= PROBE_ROWS else 15
        return list(rows)

    monkeypatch.setattr(evaluator, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    measured = Evaluator(predict, Schema(True), 10_000, time_limit=0)
    measured.predict_first(0)
    measured.probe(range(PROBE_ROWS))

    with pytest.raises(CannotExplain, match="too slow"):
        measured.predict(range(20_000))
    assert clock[0] < 60
