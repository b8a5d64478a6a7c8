"""Call a server with KServe's client, and write what it returns as JSON."""

import asyncio
import json
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

address, rows = f"http://{sys.argv[1]}", json.loads(sys.argv[3])


async def predict_iris(client, dtype, binary):
    matrix = np.array([list(row.values()) for row in rows["iris"]], dtype)
    datatype = {"float64": "FP64", "float32": "FP32"}[dtype]
    tensor = InferInput("input-0", list(matrix.shape), datatype)
    tensor.set_data_from_numpy(matrix, binary_data=binary)
    request = InferRequest("iris", [tensor], parameters={"binary_data_output": binary})
    response = await client.infer(address, request, model_name="iris")
    return response.outputs[0].as_numpy().flatten().tolist()


async def get_error(client):
    request = InferRequest("nobody", [InferInput("x", [1], "FP64", data=[1.0])])
    try:
        await client.infer(address, request, model_name="nobody")
    except httpx.HTTPStatusError as error:
        return [error.response.status_code, str(error).partition(",")[0]]
    raise AssertionError("expected an error")


async def main():
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        return {
            "live": await client.is_server_live(address),
            "ready": await client.is_server_ready(address),
            "model": await client.is_model_ready(address, "iris"),
            "iris": [
                await predict_iris(client, dtype, binary)
                for dtype in ("float64", "float32")
                for binary in (True, False)
            ],
            "unknown": await get_error(client),
        }


json.dump(asyncio.run(main()), sys.stdout)
