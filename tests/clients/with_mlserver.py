"""Call a server with MLServer's types and codecs, and write what it returns as JSON."""

import json
import sys
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
from mlserver import types
from mlserver.codecs import NumpyRequestCodec, PandasCodec, StringCodec, StringRequestCodec

address, rows = f"http://{sys.argv[1]}", json.loads(sys.argv[3])


def get(path, body=None):
    content = None if body is None else body.encode()
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(address + path, content, headers)) as response:
        return response.read()


def infer(model, request):
    content = get(f"/v2/models/{model}/infer", request.model_dump_json())
    return types.InferenceResponse.model_validate_json(content)


def predict_loan():
    frame = pd.DataFrame(rows["loan"])
    # MLServer 1.7.1 does not know the column type for text of pandas 3.
    frame = frame.astype({name: object for name in frame if frame[name].dtype == "str"})
    request = PandasCodec.encode_request(frame, use_bytes=False)
    outputs = [types.RequestOutput(name=name) for name in ("predict", "predict_proba")]
    response = infer("loan", request.model_copy(update={"outputs": outputs}))
    answer, probabilities = response.outputs
    flat = np.array(probabilities.data.root).reshape(probabilities.shape)
    return StringCodec.decode_output(answer), flat.tolist()


matrix = np.array([list(row.values()) for row in rows["iris"]])
texts = [row["text"] for row in rows["tickets"]]
metadata = types.MetadataModelResponse.model_validate_json(get("/v2/models/loan"))
index = types.RepositoryIndexResponse.model_validate_json(get("/v2/repository/index", "{}"))
iris = PandasCodec.decode_response(infer("iris", NumpyRequestCodec.encode_request(matrix)))
tickets = infer("tickets", StringRequestCodec.encode_request(texts, use_bytes=False))
found = {
    "server": types.MetadataServerResponse.model_validate_json(get("/v2")).name,
    "inputs": [each.name for each in metadata.inputs],
    "index": [each.name for each in index],
    "iris": iris["species"].tolist(),
    "loan": predict_loan(),
    "tickets": StringCodec.decode_output(tickets.outputs[0]),
}
json.dump(found, sys.stdout)
