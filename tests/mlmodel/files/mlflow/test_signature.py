import pytest

from mlmodel.errors import BadMetadata, InvalidModel
from mlmodel.files.mlflow import saved_example
from mlmodel.files.mlflow.signature import Signature
from mlmodel.frameworks import Schemas


def schemas(members=None, required=None, **others):
    """The schemas that were inferred from a model."""
    if members is None:
        return Schemas(None, {}, (), ("a doubt",))
    names = list(members) if required is None else required
    schema = {"type": "object", "properties": members, "required": names, **others}
    return Schemas({"additionalProperties": False, **schema}, {}, (), ("a doubt",))


def merged(inputs, inferred, example=None):
    own = saved_example.Example(example) if example is not None else None
    return Signature(inputs, own).merge(inferred)


def members_of(inputs, inferred=None, example=None):
    return merged(inputs, inferred or schemas(), example).input["properties"]


def column(name, kind, **others):
    return {"name": name, "type": kind, "required": True, **others}


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        ("boolean", {"type": "boolean"}),
        ("integer", {"type": "integer", "x-dtype": "int32"}),
        ("long", {"type": "integer"}),
        ("float", {"type": "number", "x-dtype": "float32"}),
        ("double", {"type": "number"}),
        ("string", {"type": "string"}),
        (
            "datetime",
            {"type": "string", "format": "date-time-local", "x-dtype": "datetime64[ns]"},
        ),
        ("any", {}),
    ],
)
def test_type_becomes_schema(kind, schema):
    assert members_of([column("a", kind)]) == {"a": schema}


def test_nested_types_become_schemas():
    number = {"type": "double"}
    inputs = [
        column("list", "array", items=number),
        column("map", "map", values=number),
        column("object", "object", properties={"x": {**number, "required": False}}),
    ]

    assert members_of(inputs) == {
        "list": {"type": "array", "items": {"type": "number"}},
        "map": {"type": "object", "additionalProperties": {"type": "number"}},
        "object": {"type": "object", "properties": {"x": {"type": "number"}}, "required": []},
    }


def test_unknown_columns_are_those_of_the_signature():
    inputs = [column("b", "long"), column("a", "double", required=False)]

    found = merged(inputs, schemas())

    assert found.input == {
        "type": "object",
        "properties": {"b": {"type": "integer"}, "a": {"type": ["number", "null"]}},
        "required": ["b"],
        "additionalProperties": False,
    }
    assert found.notes == ()


def test_choices_and_ranges_are_kept():
    inferred = schemas(
        {
            "job": {"enum": ["cook", "nurse"]},
            "age": {"type": "number", "x-range": [1, 9], "examples": [4.0, 4.5], "default": 2.5},
        }
    )

    assert members_of([column("job", "string"), column("age", "long")], inferred) == {
        "job": {"enum": ["cook", "nurse"]},
        "age": {"type": "integer", "x-range": [1, 9], "examples": [4]},
    }


@pytest.mark.parametrize(
    ("required", "accepts_null", "schema", "names"),
    [
        (True, True, {"type": ["number", "null"], "x-seen-missing": False}, ["a"]),
        (True, False, {"type": "number"}, ["a"]),
        (False, True, {"type": ["number", "null"]}, []),
        # The model rejects a missing value, so that an optional one would be an error later.
        (False, False, {"type": "number"}, ["a"]),
    ],
)
def test_null_depends_on_the_model(required, accepts_null, schema, names):
    inferred = schemas({"a": {"type": ["number", "null"] if accepts_null else "number"}}, [])

    found = merged([column("a", "double", required=required)], inferred).input

    assert found["properties"] == {"a": schema}
    assert found["required"] == names


def test_positional_columns_get_the_names():
    ranged = {"type": "number", "x-range": [1, 2]}
    inferred = schemas({"x0": ranged, "x1": {"type": "number"}}, patternProperties={"^x 1$": {}})

    found = merged([column("b", "double"), column("a", "float")], inferred).input

    assert list(found["properties"]) == ["b", "a"]
    assert found["properties"]["b"]["x-range"] == [1, 2]
    assert "patternProperties" not in found


def test_unnamed_columns_get_model_names():
    inferred = schemas({"b": {"type": "number"}, "a": {"type": "number"}})

    assert list(members_of([{"type": "double"}, {"type": "double"}], inferred)) == ["b", "a"]
    assert list(members_of([{"type": "double"}, {"type": "double"}])) == ["x0", "x1"]


def test_ignored_column_is_not_a_member():
    inferred = schemas({"a": {"type": "number"}}, patternProperties={"^(?:id)$": {}})

    found = merged([column("id", "long"), column("a", "double")], inferred).input

    assert list(found["properties"]) == ["a"]
    assert found["patternProperties"] == {"^(?:id)$": {}}


def test_contradiction_is_a_note():
    inferred = schemas({"a": {"enum": ["x"]}, "b": {"type": "number"}})

    found = merged([column("a", "long"), column("b", "string")], inferred)

    assert found.notes == (
        "the signature has a as integer, but the model was fitted on string",
        "the signature has b as string, but the model was fitted on number",
    )
    assert found.input["properties"] == {"a": {"enum": ["x"]}, "b": {"type": "string"}}


def test_booleans_replace_encoded_ones():
    inferred = schemas({"a": {"anyOf": [{"enum": [0.0, 1.0]}, {"type": "null"}]}})

    assert members_of([column("a", "boolean")], inferred)["a"]["anyOf"] == [
        {"enum": [False, True]},
        {"type": "null"},
    ]


def tensor(dtype, shape, **others):
    return [{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}, **others}]


def test_tensor_gives_types_to_columns():
    inferred = schemas({"x0": {"type": "number"}, "x1": {"type": "number"}})

    assert members_of(tensor("float32", [-1, 2]), inferred) == {
        "x0": {"type": "number", "x-dtype": "float32"},
        "x1": {"type": "number", "x-dtype": "float32"},
    }
    assert members_of(tensor("int64", [-1, 1])) == {"x0": {"type": "integer"}}


@pytest.mark.parametrize(
    "inputs",
    [
        tensor("float32", [-1, 3, 3]),
        tensor("float32", [-1, 3]),
        tensor("float32", [-1]),
        [*tensor("float32", [-1, 1]), *tensor("float32", [-1, 1])],
        [{"type": "tensor", "tensor-spec": None}],
    ],
)
def test_other_tensors_leave_the_schema_unchanged(inputs):
    inferred = schemas({"picture": {"type": "array"}, "mask": {"type": "array"}})

    assert merged(inputs, inferred).input == inferred.input


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ([column("a", "binary")], InvalidModel, "'a' of the signature has bytes"),
        ([column("a", "spark")], BadMetadata, "the unknown type 'spark'"),
        ([column("a", "array")], BadMetadata, "the unknown type None"),
        ([column("a", "object", properties={"b": 1})], BadMetadata, "the unknown type"),
        ([{"name": "a"}], BadMetadata, "the unknown type None"),
        ([column("a", "long"), column("a", "long")], BadMetadata, "two columns of the same name"),
        (tensor("float32", [-1, 10**9]), BadMetadata, "at most 10,000 columns"),
    ],
)
def test_wrong_signature_is_rejected(inputs, error, message):
    with pytest.raises(error, match=message):
        merged(inputs, schemas())


INPUTS = [column("a", "long"), column("b", "string")]


@pytest.mark.parametrize(
    "example",
    [
        {"columns": ["a", "b"], "data": [[1, "x"]]},
        {"columns": ["b", "a"], "data": [["x", 1]], "index": [0]},
        {"columns": [0, 1], "data": [[1, "x"]]},
        {"data": [[1, "x"]]},
        [[1, "x"]],
        [{"a": 1, "b": "x"}, {"a": "no integer", "b": "x"}],
        {"a": 1, "b": "x"},
        {"a": [1], "b": ["x"]},
    ],
)
def test_saved_example_becomes_example(example):
    found = merged(INPUTS, schemas(), example).input

    assert found["examples"] == [{"a": 1, "b": "x"}]
    assert found["properties"]["a"] == {"type": "integer", "examples": [1]}


@pytest.mark.parametrize("example", ["text", 1, [1], [[1]], {"data": 1}, {"columns": ["a"]}])
def test_unsuitable_example_is_ignored(example):
    assert "examples" not in merged(INPUTS, schemas(), example).input


def test_example_file_with_parameters_is_read():
    content = b'{"inputs": [[1, NaN]], "params": {"top_k": 3}}'

    assert saved_example.decode(content) == saved_example.Example([[1, None]])


@pytest.mark.parametrize("content", [b"{", b"[" * 100, b" " * 1_000_001])
def test_unreadable_example_file_is_ignored(content):
    assert saved_example.decode(content) is None
