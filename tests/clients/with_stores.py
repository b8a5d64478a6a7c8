"""Fetch from an object store whose certificate no CA issued, and write the failure as JSON."""

import http.server
import json
import os
import ssl
import sys
import threading
import types
from pathlib import Path

root, pem, url = Path(sys.argv[1]), *sys.argv[2:]
# As in the process that fetches: without the rest of both packages.
for name in ("app", "mlmodel"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(root / name)]

from app.serving.fetching import transfer  # noqa: E402
from app.serving.fetching.fetch_request import FetchFailed, FetchRequest  # noqa: E402

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pem)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"https://localhost:{server.server_port}"
os.environ["STORAGE_EMULATOR_HOST"] = address
os.environ["AZURE_STORAGE_CONNECTION_STRING"] = (
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey=YWJj;BlobEndpoint={address}/a"
)
try:
    transfer.fetch_with_fsspec(FetchRequest(url, f"{pem}.fetched", 1000))
except FetchFailed as error:
    sys.stdout.write(json.dumps(str(error)))
