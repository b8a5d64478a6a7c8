import json

import pytest

from app.serving.errors import InvalidTensor, TooManyRows
from app.serving.tensors.content_types import read_schema
from app.serving.tensors.inference_request import InferenceRequest
from app.serving.tensors.inputs import describe_inputs, to_rows

MATRIX = {"properties": {"b": {"type": "number"}, "a": {"enum": [1, 2]}}}
MIXED = {
    "type": "object",
    "properties": {
        "age": {"type": ["integer", "null"]},
        "name": {"type": "string"},
        "note": {"type": ["string", "null"]},
        "member": {"type": "boolean"},
        "vector": {"type": "array", "items": {"type": "number"}},
        "home": {"$ref": "#/$defs/Home"},
        "any": {},
    },
    "$defs": {"Home": {"enum": ["own", "rented"]}},
}


def tensor(name, data, shape=None, datatype="FP64", **parameters):
    shape = shape or [len(data)]
    return {
        "name": name, "shape": shape, "datatype": datatype, "data": data, "parameters": parameters
    }  # fmt: skip


def rows(schema, *inputs, max_rows=100, content=b"", **request):
    document = {"inputs": list(inputs), **request}
    return to_rows(
        InferenceRequest.read(document, memoryview(content)), read_schema(schema), max_rows
    )


def test_matrix_has_the_order_of_the_schema():
    expected = [{"b": 0.5, "a": 1.0}, {"b": 1.5, "a": 2.0}]

    assert rows(MATRIX, tensor("x", [0.5, 1, 1.5, 2], [2, 2])) == expected
    assert rows(MATRIX, tensor("x", [[0.5, 1], [1.5, 2]], [2, 2])) == expected


def test_inputs_named_as_members_are_columns():
    found = rows(
        MIXED,
        tensor("name", ["Ann", "Bob"], [2, 1], "BYTES"),
        tensor("age", [30, None], [2], "INT32"),
        tensor("vector", [[1, 2], [3, 4]], [2, 2]),
    )

    assert found == [
        {"name": "Ann", "age": 30, "vector": [1, 2]},
        {"name": "Bob", "age": None, "vector": [3, 4]},
    ]


def test_one_column_of_lists_stays_lists():
    assert rows(MIXED, tensor("vector", [1, 2], [2, 1])) == [{"vector": [1]}, {"vector": [2]}]


def test_table_keeps_unknown_columns():
    request = {"parameters": {"content_type": "pd"}}

    assert rows(MATRIX, tensor("other", [1]), **request) == [{"other": 1}]


def test_values_are_decoded_by_content_type():
    found = rows(
        None,
        tensor("json", ["[1]", "null", None], None, "BYTES", content_type="pd_json"),
        tensor("day", ["2026-01-31T10:00:00", None, None], None, "BYTES", content_type="datetime"),
        tensor("file", ["AAEC", "", None], None, "BYTES", content_type="base64"),
        tensor("text", ["", "a", None], None, "BYTES"),
        parameters={"content_type": "pd"},
    )

    assert found[0] == {"json": [1], "day": "2026-01-31T10:00:00", "file": "AAEC", "text": ""}
    assert found[1] == {"json": None, "day": None, "file": "", "text": "a"}


def test_request_content_type_is_the_default():
    text = tensor("x", ["[1]", "2"], [2, 1], "BYTES")

    assert rows(None, text, parameters={"content_type": "pd_json"}) == [[[1]], [2]]


@pytest.mark.parametrize(
    ("schema", "data", "shape", "expected"),
    [
        ({"type": "string"}, ["a", "b"], [2, 1], ["a", "b"]),
        ({"type": "array"}, ["a", "b"], [2, 1], [["a"], ["b"]]),
        (None, ["a", "b"], [2, 1], [["a"], ["b"]]),
        (None, ["a", "b"], [2], ["a", "b"]),
        (None, ["a", "b", "c", "d"], [1, 2, 2], [[["a", "b"], ["c", "d"]]]),
        ({"type": "object"}, ["a", "b"], [2], [{"x": "a"}, {"x": "b"}]),
        (MIXED, [], [0, 7], []),
    ],
)
def test_rows_without_members(schema, data, shape, expected):
    assert rows(schema, tensor("x", data, shape, "BYTES")) == expected


def test_binary_data_is_taken_in_order():
    first = {"name": "x", "shape": [2], "datatype": "UINT8", "parameters": {"binary_data_size": 2}}
    second = {**first, "name": "y", "data": None}

    assert rows(None, first, second, content=b"\1\2\3\4") == [{"x": 1, "y": 3}, {"x": 2, "y": 4}]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([tensor("x", [1, 2, 3], [1, 3])], r"expected an input for each of b, a, or one input of the shape \[n, 2\] with these columns, got the shape \[1, 3\]"),
        ([tensor("x", [1, 2], [2])], r"got the shape \[2\]"),
        ([tensor("x", [1]), tensor("a", [1])], "with these columns, got x, a"),
        ([tensor("a", [1]), tensor("b", [1, 2])], "expected 1 rows in each input, got 2 in 'b'"),
        ([tensor("a", [1]), tensor("a", [1])], 'two inputs have the name "a"'),
        ([tensor("x", [1, 2], [1, 3])], r'input "x": the shape \[1, 3\] needs 3 values, got 2'),
        ([tensor("x", [[1, 2], [3]], [2, 2])], r"must be nested as the shape \[2, 2\]"),
        ([tensor("x", [[1, 2], 3], [2, 2])], r"must be nested as the shape \[2, 2\]"),
        ([tensor("x", [[[1, 2]]], [1, 2])], "must be nested as the shape"),
        ([tensor("x", [], [1, 0])], "only the number of rows may be 0"),
        ([tensor("x", [1], [-1])], "shape must be a list of 1 to 16 sizes"),
        ([tensor("x", [1], [1] * 17)], "shape must be a list of 1 to 16 sizes"),
        ([tensor("x", [1], [True])], "shape must be a list of 1 to 16 sizes"),
        ([tensor("x", [1], [1.0])], "shape must be a list of 1 to 16 sizes"),
        ([{**tensor("x", [1]), "data": 1}], "data must be a list, got 1"),
        ([{**tensor("x", [1]), "datatype": "BF16"}], 'datatype must be one of BOOL, .*, got "BF16"'),
        ([{**tensor("x", [1]), "name": 1}], "name must be text, got 1"),
        ([{**tensor("x", [1]), "parameters": 1}], "parameters must be an object, got 1"),
        ([1], "expected an object, got 1"),
        ([tensor("x", [1], content_type="str")], "the content_type 'str' needs BYTES, got FP64"),
        ([tensor("x", [1], content_type="hf")], 'content_type must be one of np, pd, .*, got "hf"'),
        ([tensor("x", ["?"], None, "BYTES", content_type="base64")], 'expected base64 text, got "\\?"'),
        ([tensor("x", ["1.2."], None, "BYTES", content_type="datetime")], "expected a date in ISO"),
        ([tensor("x", ["{"], None, "BYTES", content_type="pd_json")], "expected a value as JSON"),
        ([tensor("x", ["NaN"], None, "BYTES", content_type="pd_json")], "expected a value as JSON"),
    ],
)  # fmt: skip
def test_invalid_inputs_are_rejected(inputs, message):
    with pytest.raises(InvalidTensor, match=message):
        rows(MATRIX, *inputs)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (9, "binary_data_size must be at most the 8 bytes that are left after the JSON, got 9"),
        (-1, "binary_data_size must be at most"),
        (True, "binary_data_size must be at most"),
        (0, r"the shape \[1\] needs 1 values, got 0"),
        (1, "7 bytes follow those of the last input"),
    ],
)
def test_wrong_binary_size_is_rejected(size, message):
    item = {"name": "a", "shape": [1], "datatype": "INT8", "parameters": {"binary_data_size": size}}

    with pytest.raises(InvalidTensor, match=message):
        rows(MATRIX, item, content=b"12345678")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ([], r"expected an object, got \[\]"),
        ({}, "inputs must be a list of tensors, got null"),
        ({"id": 1}, "id must be text, got 1"),
        ({"inputs": [], "parameters": []}, "parameters must be an object"),
        ({"outputs": 1, "inputs": [tensor("x", [1])]}, "outputs must be a list, got 1"),
        (
            {
                "inputs": [tensor("x", [1])],
                "outputs": [{"name": "y", "parameters": {"classification": 3}}],
            },
            'output "y": classification is not supported',
        ),
        ({"parameters": {"binary_data_output": 1}}, "binary_data_output must be true or false"),
    ],
)
def test_invalid_request_is_rejected(request_, message):
    with pytest.raises(InvalidTensor, match=message):
        InferenceRequest.read(request_, memoryview(b""))


def test_too_many_rows_are_rejected():
    with pytest.raises(TooManyRows, match="at most 2 rows, got 3"):
        rows(MATRIX, tensor("a", [1, 2, 3]), max_rows=2)


def test_numbers_are_described_as_a_matrix():
    (matrix,) = describe_inputs(MATRIX)

    assert (matrix["name"], matrix["datatype"], matrix["shape"]) == ("input-0", "FP64", [-1, 2])
    assert json.loads(matrix["parameters"]["labels"]) == ["b", "a"]


def test_mixed_members_are_described_as_columns():
    described = [
        (each["name"], each["datatype"], each["shape"][1], each["parameters"]["content_type"])
        for each in describe_inputs(MIXED)
    ]

    assert described == [
        ("age", "FP64", 1, "np"),
        ("name", "BYTES", 1, "str"),
        ("note", "BYTES", 1, "str"),
        ("member", "BOOL", 1, "np"),
        ("vector", "FP64", -1, "np"),
        ("home", "BYTES", 1, "str"),
        ("any", "BYTES", 1, "pd_json"),
    ]
    assert describe_inputs(None) == []
