"""A server whose responses a test chooses."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INPUTS = [
    {"name": "age", "datatype": "INT32", "shape": [-1, 1]},
    {"name": "sizes", "datatype": "FP32", "shape": [-1, 2]},
    {"name": "text", "datatype": "BYTES", "shape": [-1]},
]
OUTPUTS = [
    {"name": "score", "datatype": "FP32", "shape": [-1, 1]},
    {"name": "pair", "datatype": "INT64", "shape": [-1, 2]},
]
ROW = {"age": 41, "sizes": [1.5, 2.0], "text": "é"}


class Stub:
    """What the server sends: ``infer`` returns status, body (JSON, bytes or parts) and headers.

    If it returns None, the server closes the connection without a response.
    """

    def __init__(self):
        self.metadata = {"name": "m", "inputs": INPUTS, "outputs": OUTPUTS}
        self.infer = lambda request: (200, infer(request), {})
        self.requests = []
        self.url = ""


def infer(request):
    """Return predictions for the rows of a request: the age as score, and pairs of numbers."""
    count = request["inputs"][0]["shape"][0]
    ages = next(each["data"] for each in request["inputs"] if each["name"] == "age")
    return {
        "outputs": [
            {"name": "score", "datatype": "FP32", "shape": [count, 1], "data": ages},
            {
                "name": "pair",
                "datatype": "INT64",
                "shape": [count, 2],
                "data": list(range(2 * count)),
            },
        ]
    }


def _to_parts(body):
    """Return the bytes of a body, if its length is known, and its parts."""
    if isinstance(body, Generator):
        return b"", body
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return content, [content]


@contextmanager
def stub_server():
    """Serve during the block."""
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = {"name": "triton"} if self.path == "/v2" else stub.metadata
            self.respond(200, body, {})

        def do_POST(self):
            content = self.rfile.read(int(self.headers["Content-Length"]))
            stub.requests.append((self.path, dict(self.headers), json.loads(content)))
            response = stub.infer(json.loads(content))
            self.close_connection = response is None
            if response is not None:
                self.respond(*response)

        def respond(self, status, body, headers):
            content, parts = _to_parts(body)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # the client may have closed the connection
                for part in parts:
                    self.wfile.write(part)

        def log_message(self, *_):
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
