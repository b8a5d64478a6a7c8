import hashlib
import os
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from app.cli.commands.serving import list_places
from app.serving.calls.limits import Limits
from app.serving.catalog.model_spec import ModelSpec
from app.serving.errors import get_failure_text
from app.serving.fetching import transfer, web
from app.serving.fetching.fetch_request import FetchFailed, FetchRequest
from app.serving.fetching.fetched_file import FetchedFile, Fetching
from app.serving.fetching.places import find_mistake, is_named
from app.serving.fetching.reasons import describe, hide_secrets
from app.serving.models.hosted import HostedModel
from app.serving.reload import checker
from config import settings
from mlmodel.files import source
from tests import ROOT
from tests.waiting import wait_until


@pytest.fixture
def server():
    """A server on an internal address, with a file of ten bytes, and its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            size = {"/file": 10, "/cut": 20}.get(self.path)
            if self.headers["If-None-Match"] == '"1"':
                self.send_response(304)
            elif self.path.startswith("/to?"):
                self.send_response(302)
                self.send_header("Location", self.path.partition("?")[2])
            else:
                self.send_response(404 if self.path == "/missing" else 200)
            self.send_header("ETag", '"1"')
            if size:
                self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.write(b"0123456789")
            if self.path == "/slow":
                stopped.wait(30)

        def log_message(self, *_):
            pass

    stopped = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{http.server_port}"
        stopped.set()
        http.shutdown()


@pytest.fixture
def tls_server(tmp_path):
    """The address of a server with a certificate that no CA issued; it ends each connection."""
    pem = tmp_path / "server.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout - -out -"
    made = subprocess.run(command.split(), capture_output=True, check=True)
    pem.write_bytes(made.stdout)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def accept():
        with suppress(ssl.SSLError):
            context.wrap_socket(listening.accept()[0], server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept)
        thread.start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


@pytest.fixture
def fetch(server, tmp_path):
    def fetch(path, named=(), version=None, max_bytes=10):
        request = FetchRequest(server + path, str(tmp_path / "file"), max_bytes, named, version)
        return web.fetch(request), (tmp_path / "file").read_bytes()

    return fetch


def test_file_of_a_web_server_is_fetched(fetch):
    assert fetch("/file") == ('ETag: "1"', b"0123456789")


def test_unchanged_version_is_not_fetched_again(fetch, server, tmp_path):
    (tmp_path / "file").write_bytes(b"old")

    assert fetch("/file", version='ETag: "1"') == (None, b"old")


@pytest.mark.parametrize(
    ("path", "max_bytes", "reason"),
    [
        ("/missing", 10, "the server responded with status 404"),
        ("/cut", 20, "the connection to the server failed"),
        ("/cut", 10, "it has more than 10 bytes"),
        ("/endless", 9, "it has more than 9 bytes"),
        ("/to?/file", 10, "internal address"),
        ("/to?http://169.254.169.254/latest", 10, "internal address"),
        ("/to?http://2130706433/file", 10, "'2130706433', which has an internal address"),
        ("/to?ftp://example.com/file", 10, "not valid"),
    ],
)
def test_unusable_response_is_an_error(fetch, path, max_bytes, reason):
    with pytest.raises(FetchFailed, match=reason):
        fetch(path, max_bytes=max_bytes)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("10.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::808:808", False),
        ("fe80::1%eth0", False),
    ],
)
def test_internal_address_is_not_public(address, expected):
    assert web.is_public(address) is expected


def test_redirect_within_a_named_place_is_followed(fetch, server):
    assert fetch("/to?/file", named=(server,))[1] == b"0123456789"


def test_failure_is_the_public_reason(tmp_path):
    fetched = FetchedFile(f"file://{tmp_path}/none.flm", Fetching(tmp_path / "cache"))

    with pytest.raises(FetchFailed) as failed:
        fetched.ensure()

    assert get_failure_text(failed.value) == (
        f"file://{tmp_path}/none.flm was not fetched: it does not exist"
    )


@pytest.mark.parametrize(
    ("url", "place", "expected"),
    [
        ("https://a.example/m/x.flm", "https://a.example/m", True),
        ("https://A.example:443/m/x.flm", "https://a.example/m/", True),
        ("https://a.example/models.flm", "https://a.example/m", False),
        ("https://a.example/m/../x.flm", "https://a.example/m", False),
        ("https://a.example/m/%2e%2e%2Fx.flm", "https://a.example/m", False),
        ("https://a.example.evil/m/x.flm", "https://a.example", False),
        ("http://a.example/m/x.flm", "https://a.example/m", False),
        ("https://a.example:x/m", "https://a.example/m", False),
        ("s3://models/credit/1.flm", "s3://models", True),
        ("s3://models/1.flm", "s3://", True),
        ("gs://models/1.flm", "s3://", False),
        ("models:/Credit scoring@champion", "models:/Credit%20scoring@champion", True),
        ("s3://models-2/1.flm", "s3://models", False),
        ("models:/credit@champion", "models:/", True),
        ("models:/credit@champion", "models:/credit", True),
        ("models:/credit2/1", "models:/credit", False),
        ("hf://team/credit@main/x.flm", "hf://team/credit", True),
    ],
)
def test_address_is_within_a_named_place(url, place, expected):
    assert is_named(url, [place]) is expected


def test_address_in_the_command_is_a_named_place():
    url = "models:/Credit scoring@champion"

    values = settings({"MODELHOST_FETCH_FROM": " ".join(list_places([url, "credit.flm"]))})

    assert is_named(url, Fetching.from_settings(values, ROOT).named)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:word@a.example/x.flm",
        "https://a.example",
        "s3://models/../x.flm",
        "simplecache::s3://models/x.flm",
        "s3://models/x.zip::file:///etc/passwd",
        "ftp://a.example/x.flm",
        "models:/credit/latest",
        "runs:/0123",
        "//host/x.flm",
    ],
)
def test_unsupported_address_is_a_mistake(url):
    assert find_mistake(url).startswith("must be ")


def test_folder_is_fetched_within_the_limit(tmp_path):
    (tmp_path / "source/data").mkdir(parents=True)
    for name in ("MLmodel", "data/model.pkl"):
        (tmp_path / "source" / name).write_bytes(b"12345")
    request = FetchRequest(f"file://{tmp_path}/source", str(tmp_path / "copy"), 10)
    small = FetchRequest(request.url, str(tmp_path / "small"), 9)

    version = transfer.fetch_with_fsspec(request)

    assert source.sha256_of(tmp_path / "copy") == source.sha256_of(tmp_path / "source")
    assert transfer.fetch_with_fsspec(FetchRequest(request.url, "", 0, version=version)) is None
    with pytest.raises(FetchFailed, match="FETCH_MAX_BYTES"):
        transfer.fetch_with_fsspec(small)


def test_failed_update_keeps_the_copy(server, tmp_path):
    file = tmp_path / "model"
    file.write_bytes(b"1")
    fetched = FetchedFile(f"file://{file}", Fetching(tmp_path / "cache", (f"file://{tmp_path}",)))
    fetched.ensure()
    file.unlink()

    fetched.update()

    assert fetched.path.read_bytes() == b"1"
    assert fetched.failure == f"file://{file} was not fetched again: it does not exist"


def test_rejected_copy_does_not_return(tmp_path):
    file = tmp_path / "model"
    file.write_bytes(b"1")
    fetched = FetchedFile(f"file://{file}", Fetching(tmp_path / "cache"))
    fetched.ensure()
    file.write_bytes(b"2")
    fetched.update()
    fetched.revert("it is broken")
    os.utime(file, (0, 0))

    fetched.update()

    assert fetched.path.read_bytes() == b"1"
    assert fetched.failure == "it is broken"


def test_recent_failure_is_not_repeated(tmp_path):
    file = tmp_path / "model"
    fetched = FetchedFile(f"file://{file}", Fetching(tmp_path / "cache"))
    with pytest.raises(FetchFailed):
        fetched.ensure()
    file.write_bytes(b"1")

    with pytest.raises(FetchFailed, match="was not fetched: it does not exist"):
        fetched.ensure(older_than_seconds=60)

    assert fetched.ensure()


def test_unused_places_are_deleted(server, tmp_path):
    fetching = Fetching(tmp_path / "cache")
    digest = hashlib.sha256(b"0123456789").hexdigest()
    names = ("used", "unused", "record.json")
    used, unused, last = (FetchedFile(f"{server}/{name}", fetching, digest) for name in names)
    for each in (used, unused):
        each.ensure()
    for place in fetching.cache.glob("places/*"):
        os.utime(place, (0, 0))

    used.ensure()
    last.ensure()

    assert [each.path.exists() for each in (used, unused, last)] == [True, False, True]
    assert last.path.read_bytes() == b"0123456789"


def test_hanging_place_delays_no_other_check(server, tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "LOOK_SECONDS", 0.02)
    models = [
        HostedModel(ModelSpec(line=1, file=fetched.path, fetched=fetched), Limits(9, 1, 9, 30))
        for fetched in (
            FetchedFile(server + path, Fetching(tmp_path / "cache"), check_seconds=0.02)
            for path in ("/slow", "/file")
        )
    ]
    reloaded = []

    checker.Checker(SimpleNamespace(models=models.copy), reloaded.append).start()

    wait_until(lambda: reloaded)
    models.clear()
    assert reloaded[0] == "file"


def test_slow_file_leaves_nothing_behind(server, tmp_path):
    fetching = Fetching(tmp_path / "cache", seconds=1)

    with pytest.raises(FetchFailed, match=r"longer than 1 seconds \(FETCH_SECONDS\)"):
        FetchedFile(server + "/slow", fetching).ensure()

    assert [each.name for each in fetching.cache.iterdir()] == ["places"]


def test_file_with_another_hash_is_discarded(server, tmp_path):
    fetching = Fetching(tmp_path / "cache")

    with pytest.raises(FetchFailed, match="its SHA-256 is 84d89877f0d4041e"):
        FetchedFile(server + "/file", fetching, "0" * 64).ensure()

    assert not list(fetching.cache.glob("copies/*"))


class ResponseError(Exception):
    """An error of a store's client, with what the clients of some stores have."""

    def __init__(self, **facts):
        super().__init__("https://store/?signature=secret")
        vars(self).update(facts)


@pytest.mark.parametrize(
    ("error", "cause", "reason"),
    [
        (
            PermissionError("secret"),
            ResponseError(response={"Error": {"Code": "ExpiredToken"}}),
            "access to it is denied (ExpiredToken)",
        ),
        (
            FileNotFoundError("secret"),
            ResponseError(response={"Error": {"Code": "NoSuchBucket"}}),
            "it does not exist (NoSuchBucket)",
        ),
        (ResponseError(status_code=403), None, "access to it is denied (403)"),
        (ResponseError(code=503), None, "the store responded with 503"),
        (
            ValueError("give an account with credentials"),
            None,
            "the credentials for it are missing or incomplete; see the log",
        ),
        (
            ModuleNotFoundError("secret", name="boto3.session"),
            None,
            "the module 'boto3', which fetches it, is not installed",
        ),
        (
            ModuleNotFoundError("secret", name="s3fs"),
            None,
            "a package that fetches it is not installed: pip install 'modelhost[s3]'",
        ),
        (
            ResponseError(error_code="INTERNAL_ERROR"),
            ConnectionRefusedError(),
            "the connection to the server failed",
        ),
        (RuntimeError("secret"), None, "fetching raised RuntimeError; see the log"),
    ],
)
def test_reason_has_the_code_but_no_secret(error, cause, reason):
    error.__cause__ = cause

    assert describe(error, FetchRequest("s3://bucket/x", "", 1)) == reason


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("s3://bucket/x", "AWS_CA_BUNDLE"),
        ("hf://owner/repository/x", "SSL_CERT_FILE"),
        ("models:/credit/1", "MLFLOW_TRACKING_SERVER_CERT_PATH"),
    ],
)
def test_reason_names_the_variable_of_certificates(url, variable):
    error = ResponseError(error_code="INTERNAL_ERROR")
    error.__cause__ = ssl.SSLCertVerificationError("secret")

    reason = describe(error, FetchRequest(url, "", 1))

    assert reason.startswith("the certificate of the server cannot be verified; if ")
    assert f"set {variable} to" in reason


def test_untrusted_certificate_of_a_web_server_is_described(tls_server, tmp_path):
    fetched = FetchedFile(f"{tls_server}/file", Fetching(tmp_path / "cache", named=("https://",)))

    with pytest.raises(FetchFailed, match=r"cannot be verified; .* set SSL_CERT_FILE to"):
        fetched.ensure()


def test_secrets_in_addresses_are_hidden():
    text = "request to http://me:word@host/api?sig=abc failed: what now?"

    assert hide_secrets(text) == "request to http://host/api?... failed: what now?"
