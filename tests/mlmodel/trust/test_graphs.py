"""Graphs that would have ONNX Runtime read files of the server."""

import pytest

import mlmodel
from mlmodel.errors import BrokenModel
from mlmodel.trust import graphs

proto = pytest.importorskip("onnx")
session = pytest.importorskip("mlmodel.frameworks.sklearn.onnx.session")
adapter = pytest.importorskip("mlmodel.frameworks.onnx")

SECRET = b"SECRETSECRET1234"
PLACES = ["keys.txt", "../here/keys.txt", "here/../keys.txt", "/etc/passwd", "*/_ORT_MEM_ADDR_/*"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working directory that has a secret, as a server's may."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "keys.txt").write_bytes(SECRET)
    monkeypatch.chdir(folder)
    return folder


def external(location="keys.txt", shape=(16,), kind=proto.TensorProto.UINT8):
    tensor = proto.TensorProto(name="w", data_type=kind, dims=shape, data_location=1)
    for key, value in {"location": location, "offset": "0", "length": "16"}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def inner():
    return proto.helper.make_tensor("w", proto.TensorProto.UINT8, [16], SECRET, raw=True)


def constant(name, tensor):
    return proto.helper.make_node("Constant", [], [name], value=tensor)


def model_of(*nodes, tensors=(), functions=(), sparse=()):
    """A model that adds the secret tensor ``w`` to x."""
    make, number = proto.helper, proto.TensorProto.FLOAT
    nodes = [
        *nodes,
        make.make_node("Cast", ["w"], ["numbers"], to=number),
        make.make_node("Add", ["x", "numbers"], ["y"]),
    ]
    x, y = (
        make.make_tensor_value_info(name, number, ["N", size])
        for name, size in [("x", 1), ("y", 16)]
    )
    graph = make.make_graph(nodes, "g", [x], [y], tensors, sparse_initializer=sparse)
    opsets = [make.make_opsetid("", 17), make.make_opsetid("own", 1)]
    return make.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)


def by_initializer(tensor):
    return model_of(tensors=[tensor])


def by_sparse_initializer(tensor):
    indices = proto.helper.make_tensor("i", proto.TensorProto.INT64, [16], range(16))
    return model_of(sparse=[proto.helper.make_sparse_tensor(tensor, indices, [16])])


def by_constant(tensor):
    return model_of(constant("w", tensor))


def by_sub_graph(tensor):
    make = proto.helper
    out = make.make_tensor_value_info("inner", proto.TensorProto.UINT8, [16])
    branch = make.make_graph([constant("inner", tensor)], "b", [], [out])
    yes = make.make_tensor("yes", proto.TensorProto.BOOL, [], [True])
    choice = make.make_node("If", ["yes"], ["w"], then_branch=branch, else_branch=branch)
    return model_of(choice, tensors=[yes])


def by_function(tensor):
    make = proto.helper
    opsets = [make.make_opsetid("", 17)]
    function = make.make_function("own", "Read", [], ["out"], [constant("out", tensor)], opsets)
    return model_of(make.make_node("Read", [], ["w"], domain="own"), functions=[function])


WAYS = [by_initializer, by_sparse_initializer, by_constant, by_sub_graph, by_function]


@pytest.mark.parametrize("location", PLACES)
def test_graph_reads_no_server_file(here, location):
    path = here / "m.onnx"
    path.write_bytes(by_initializer(external(location)).SerializeToString())

    with pytest.raises(BrokenModel, match="tensor 'w' is in another file, which is not read"):
        mlmodel.load(path).load()


@pytest.mark.parametrize("way", WAYS)
def test_external_tensor_anywhere_is_rejected(way):
    content = way(external()).SerializeToString()

    with pytest.raises(BrokenModel, match="is in another file"):
        adapter.loads(content)


@pytest.mark.parametrize("way", [way for way in WAYS if way is not by_sparse_initializer])
def test_graph_with_inline_tensors_loads(way):
    built = adapter.loads(way(inner()).SerializeToString())

    assert built.run(None, {"x": [[0.0]]})[0].tolist() == [list(SECRET)]


@pytest.mark.parametrize("number", [7, 8], ids=["floats", "ints"])
def test_external_tensor_behind_numbers_is_found(number):
    node = constant("w", external())
    many = {7: {"floats": [float("inf"), 2.5] * 9999}, 8: {"ints": [-1, 0, 1 << 40] * 9999}}
    before = proto.AttributeProto(name="value", **many[number])
    node.attribute[0].CopyFrom(
        proto.AttributeProto.FromString(
            before.SerializeToString() + node.attribute[0].SerializeToString()
        )
    )

    with pytest.raises(BrokenModel, match="is in another file"):
        graphs.check(model_of(node).SerializeToString())


def test_packaged_graph_reads_no_server_file(here, monkeypatch):
    hostile = by_initializer(external()).SerializeToString()
    monkeypatch.setattr(adapter, "dumps", lambda *_: hostile)
    with monkeypatch.context() as patch:
        patch.setattr(graphs, "check", lambda _: None)
        mlmodel.dump(by_initializer(inner()), here / "m.flm")

    with pytest.raises(BrokenModel, match="is in another file"):
        mlmodel.load(here / "m.flm").load()


def test_dump_rejects_external_tensors(here):
    with pytest.raises(BrokenModel, match="save the model with all of its tensors inside"):
        mlmodel.dump(by_initializer(external()), here / "m.flm")


def test_compiled_graph_reads_no_server_file():
    hostile = by_initializer(external()).SerializeToString()

    with pytest.raises(session.Uncompilable, match=r"cannot compute its graph .*in another file"):
        session.graph_predictor(inputs=None, model=None, outputs=(), example=None, graph=hostile)
