import pytest

from app.serving.errors import InvalidTensor
from app.serving.tensors.content_types import read_schema
from app.serving.tensors.outputs import describe_outputs, to_tensors

NUMBER = {"type": "number"}
CLASSIFIER = {
    "type": "object",
    "properties": {
        "prediction": {"type": "string", "enum": ["no", "yes"]},
        "probabilities": {"type": "object", "properties": {"yes": NUMBER, "no": NUMBER}},
        "note": {"type": ["string", "null"]},
    },
}
PREDICTION = {"prediction": "yes", "probabilities": {"no": 0.25, "yes": 0.75}, "note": None}


def outputs(predictions, schema=None, *requested):
    tensors = to_tensors(predictions, read_schema(schema), requested)
    return {each.name: (each.datatype, each.shape, list(each.elements)) for each in tensors}


def test_packaged_model_returns_predict_alone():
    assert outputs([PREDICTION], CLASSIFIER) == {"predict": ("BYTES", (1, 1), ["yes"])}


def test_requested_outputs_are_returned_in_order():
    found = to_tensors([PREDICTION], read_schema(CLASSIFIER), ["note", "predict_proba"])

    assert [each.name for each in found] == ["note", "predict_proba"]
    assert found[0].parameters == {"content_type": "pd_json"}
    assert (found[0].elements, found[1].elements) == (["null"], [0.75, 0.25])
    assert found[1].parameters == {"content_type": "np", "labels": '["yes", "no"]'}


def test_unknown_output_is_rejected():
    with pytest.raises(
        InvalidTensor, match=r'are predict, .*, note; got a request for "transform"'
    ):
        outputs([PREDICTION], CLASSIFIER, "transform")


def test_other_objects_return_each_member():
    assert outputs([{"sum": 3, "ok": True}, {"sum": 4, "ok": False}]) == {
        "sum": ("INT64", (2, 1), [3, 4]),
        "ok": ("BOOL", (2, 1), [True, False]),
    }


def test_member_named_predict_keeps_its_name():
    assert outputs([{"prediction": 1, "predict": 2}], None, "prediction")["prediction"][2] == [1]


@pytest.mark.parametrize(
    ("predictions", "schema", "expected"),
    [
        ([1, 2], NUMBER, ("FP64", (2, 1), [1.0, 2.0])),
        ([1, None], {"type": ["integer", "null"]}, ("FP64", (2, 1), [1.0, None])),
        ([1, 2.5, None], None, ("FP64", (3, 1), [1.0, 2.5, None])),
        ([[1, 2], [3, 4]], None, ("INT64", (2, 2), [1, 2, 3, 4])),
        ([[[1.5]], [[2.5]]], None, ("FP64", (2, 1, 1), [1.5, 2.5])),
        ([[1], [2, 3]], None, ("BYTES", (2, 1), ["[1]", "[2, 3]"])),
        ([[], []], None, ("BYTES", (2, 1), ["[]", "[]"])),
        (["a", None], None, ("BYTES", (2, 1), ['"a"', "null"])),
        ([True, None], None, ("BYTES", (2, 1), ["true", "null"])),
        ([2**53 + 1, 0.5], None, ("BYTES", (2, 1), [str(2**53 + 1), "0.5"])),
        ([2**63], None, ("BYTES", (1, 1), [str(2**63)])),
        ([None], None, ("BYTES", (1, 1), ["null"])),
        ([], NUMBER, ("FP64", (0, 1), [])),
        ([], {"type": "array", "items": NUMBER}, ("FP64", (0, 0), [])),
        ([], None, ("BYTES", (0, 1), [])),
    ],
)
def test_values_become_one_tensor(predictions, schema, expected):
    assert outputs(predictions, schema) == {"predict": expected}


def test_different_objects_are_json_texts():
    assert outputs([{"prediction": {"a": 1}}, {"prediction": {"b": 2}}]) == {
        "predict": ("BYTES", (2, 1), ['{"a": 1}', '{"b": 2}'])
    }


def test_float_is_exact():
    assert outputs([0.1 + 0.2], NUMBER)["predict"][2] == [0.1 + 0.2]


def test_metadata_names_outputs_and_labels():
    described = describe_outputs(CLASSIFIER)

    assert [(each["name"], each["datatype"], each["shape"]) for each in described] == [
        ("predict", "BYTES", [-1, 1]),
        ("predict_proba", "FP64", [-1, 2]),
        ("note", "BYTES", [-1, 1]),
    ]
    assert describe_outputs({"type": "array", "items": NUMBER})[0]["shape"] == [-1, -1]
