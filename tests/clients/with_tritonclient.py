"""Call a server with tritonclient, and write what it returns as JSON."""

import json
import sys

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

address, key, rows = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
client = InferenceServerClient(address)
headers = {"Authorization": f"Bearer {key}"}


def to_input(name, array, binary):
    tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def to_text(array):
    flat = array.flatten().tolist()
    return [each.decode() if isinstance(each, bytes) else each for each in flat]


def predict_iris(dtype, binary, compression):
    matrix = np.array([list(row.values()) for row in rows["iris"]], dtype)
    outputs = [InferRequestedOutput("species", binary_data=binary)]
    result = client.infer(
        "iris",
        [to_input("input-0", matrix, binary)],
        outputs=outputs,
        request_id="7",
        request_compression_algorithm=compression,
    )
    assert result.get_response()["id"] == "7"
    return to_text(result.as_numpy("species"))


def predict_loan():
    inputs = []
    for name in rows["loan"][0]:
        values = [row[name] for row in rows["loan"]]
        dtype = object if isinstance(values[0], str) else None
        inputs.append(to_input(name, np.array(values, dtype), binary=True))
    outputs = [InferRequestedOutput("predict"), InferRequestedOutput("predict_proba")]
    result = client.infer("loan", inputs, outputs=outputs)
    return to_text(result.as_numpy("predict")), result.as_numpy("predict_proba").tolist()


def get_error(call, *arguments, **keywords):
    try:
        call(*arguments, **keywords)
    except InferenceServerException as error:
        return [error.status(), error.message()]
    raise AssertionError("expected an error")


found = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "metadata": client.get_server_metadata()["extensions"],
    "inputs": client.get_model_metadata("iris")["inputs"][0]["shape"],
    "index": [each["name"] for each in client.get_model_repository_index()],
    "iris": [
        predict_iris(dtype, binary, compression)
        for dtype in ("float64", "float32")
        for binary in (True, False)
        for compression in (None, "gzip", "deflate")
    ],
    "loan": predict_loan(),
    "unknown": get_error(client.get_model_metadata, "nobody"),
    "forbidden": get_error(client.unload_model, "wine"),
}
client.unload_model("wine", headers=headers)
found["unloaded"] = [
    InferenceServerClient(address).is_model_ready("wine", headers=headers) for _ in range(10)
]
client.load_model("wine", headers=headers)
found["loaded"] = [InferenceServerClient(address).is_model_ready("wine") for _ in range(10)]
json.dump(found, sys.stdout)
