"""Requests to the server of a remote model, within limits of time and size."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    ProtocolError,
    SSLError,
    TimeoutError,  # noqa: A004
)

from app.serving.calls.caller import VIA
from app.serving.errors import RemoteFailed, RemoteLoop, RemoteTimeout, RemoteUnavailable
from app.serving.json_text import InvalidJson, parse

#: Seconds to wait for a connection.
CONNECT_SECONDS = 5.0
#: Seconds for a description: the server starts only when each model is loaded or has failed to.
GET_SECONDS = 5.0
#: Maximum bytes of a response.
MAX_BYTES = 100_000_000
#: Maximum characters of another server's text in an error.
MAX_TEXT = 1000
#: Connections that each process keeps for a model.
CONNECTIONS = 8
CHUNK_BYTES = 65_536
#: Statuses of a server that rejects the rows.
REJECTED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
#: Statuses of a server that may accept the same request later.
TEMPORARY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT})
DIGITS = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True)
class RemoteResponse:
    """A response: its JSON if the request succeeded, else also text."""

    status: int
    document: Any
    retry_seconds: int | None = None

    @property
    def is_ok(self) -> bool:
        """Whether the request succeeded."""
        return self.status == HTTPStatus.OK

    @property
    def is_rejection(self) -> bool:
        """Whether the server rejects the rows."""
        return self.status in REJECTED

    @property
    def text(self) -> str:
        """The server's description of its error."""
        found = self.document
        if isinstance(found, Mapping):
            found = next((found[key] for key in ("error", "detail") if found.get(key)), found)
        text = found if isinstance(found, str) else json.dumps(found)
        return to_line(text) or f"status {self.status}"

    def build_error(self) -> Exception:
        """Return the error of a response other than a success."""
        status = f"the remote server responded with status {self.status}"
        text = f"{status}: {self.text}"
        if self.status == HTTPStatus.LOOP_DETECTED:
            return RemoteLoop(text)
        if self.status == HTTPStatus.GATEWAY_TIMEOUT:
            return RemoteTimeout(text)
        if self.status in TEMPORARY:
            return RemoteUnavailable(text, self.retry_seconds)
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return RemoteUnavailable(status, self.retry_seconds, self.text)
        return RemoteFailed(text)


def to_line(text: str) -> str:
    """Return the beginning of another server's text, without line breaks."""
    return " ".join(text[:MAX_TEXT].split())


class HttpClient:
    """Sends JSON to one server, through a pool of connections. Thread safe.

    It follows no redirects, verifies certificates of ``https`` addresses, and ignores proxies in
    the environment.

    :param url: the address of the server.
    :param headers: sent with each request.
    :param seconds: the time limit of a request.
    :param place: what identifies the model on this server; part of the pseudonym in ``Via``.
    """

    def __init__(self, url: str, headers: Mapping[str, str], seconds: float, place: str) -> None:
        self._path = urlsplit(url).path.rstrip("/")
        #: The time limit of a request.
        self.seconds = seconds
        identity = f"{socket.gethostname()} {url} {place}"
        self._pseudonym = f"modelhost-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        self._headers = {"Accept": "application/json", **headers}
        self._pool = urllib3.connection_from_url(url, maxsize=CONNECTIONS, retries=False)

    def get(self, path: str) -> RemoteResponse:
        """Return the response to a GET. Raises the errors of :meth:`post`."""
        return self._request("GET", path, None, min(GET_SECONDS, self.seconds))

    def post(self, path: str, body: bytes, ends_at: float | None = None) -> RemoteResponse:
        """Return the response to a POST of JSON.

        :param ends_at: when the time limit of several requests ends, by the monotonic clock.
        :raises RemoteUnavailable: if the server cannot be reached.
        :raises RemoteTimeout: if the request exceeds the time limit.
        :raises RemoteLoop: if the request has passed this model before.
        :raises RemoteFailed: if the response is too long, or a success that is not JSON.
        """
        return self._request("POST", path, body, self.seconds, ends_at)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None,
        seconds: float,
        ends_at: float | None = None,
    ) -> RemoteResponse:
        try:
            return self._send(method, path, body, ends_at or time.monotonic() + seconds)
        except ConnectTimeoutError as error:  # also the base class of a refused connection
            raise RemoteUnavailable("the remote server cannot be reached") from error
        except TimeoutError as error:
            raise RemoteTimeout(
                f"the remote server took longer than {seconds:g} seconds"
            ) from error
        except SSLError as error:
            raise RemoteUnavailable(
                "the certificate of the remote server cannot be verified"
            ) from error
        except HTTPError as error:
            raise RemoteUnavailable("the connection to the remote server failed") from error

    def _send(self, method: str, path: str, body: bytes | None, ends_at: float) -> RemoteResponse:
        headers = self._get_headers(body)
        opened = self._pool.num_connections
        try:
            response = self._open(method, path, body, headers, ends_at)
        except ProtocolError as error:
            # The server may have just closed an idle connection. A new one is not idle: there, as
            # after any other failure, the request may have ended the server's worker, and must not
            # end another. If another thread opened a connection meanwhile, this one counts as new.
            is_reset = any(isinstance(each, ConnectionResetError) for each in error.args)
            if not is_reset or self._pool.num_connections > opened:
                raise
            response = self._open(method, path, body, headers, ends_at)
        try:
            content = self._read(response, ends_at)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        retry = response.headers.get("Retry-After", "")
        seconds = int(retry) if DIGITS.fullmatch(retry) else None
        return RemoteResponse(response.status, _parse(response.status, content), seconds)

    def _open(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], ends_at: float
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, and return the response when its headers have arrived."""
        left = ends_at - time.monotonic()
        if left <= 0:
            raise urllib3.exceptions.ReadTimeoutError(self._pool, "", "no time left")
        return self._pool.urlopen(
            method,
            self._path + path,
            body=body,
            headers=headers,
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=urllib3.Timeout(connect=min(left, CONNECT_SECONDS), read=left),
        )

    def _read(self, response: urllib3.BaseHTTPResponse, ends_at: float) -> bytes:
        content = bytearray()
        # Not `read`, which waits for all bytes, however slowly they arrive.
        while chunk := response.read1(CHUNK_BYTES):
            content += chunk
            if len(content) > MAX_BYTES:
                raise RemoteFailed(
                    f"the response of the remote server is longer than {MAX_BYTES:,} bytes"
                )
            if time.monotonic() > ends_at:
                raise urllib3.exceptions.ReadTimeoutError(self._pool, "", "slow response")
        return bytes(content)

    def _get_headers(self, body: bytes | None) -> dict[str, str]:
        """Return the headers of a request.

        :raises RemoteLoop: if the request that calls this model has passed it before.
        """
        passed = VIA.get()
        if self._pseudonym in passed:
            raise RemoteLoop("the remote server calls this model again: their entries form a loop")
        via = f"1.1 {self._pseudonym}"
        headers = {**self._headers, "Via": f"{passed}, {via}" if passed else via}
        return headers | ({"Content-Type": "application/json"} if body is not None else {})


def _parse(status: int, content: bytes) -> Any:
    """Return the JSON of a response; the text of an error may also be plain.

    :raises RemoteFailed: if the response is a success and not JSON.
    """
    try:
        return parse(content)
    except InvalidJson as error:
        if status == HTTPStatus.OK:
            raise RemoteFailed("the response of the remote server is not valid JSON") from error
        return content[: 4 * MAX_TEXT].decode(errors="replace")
