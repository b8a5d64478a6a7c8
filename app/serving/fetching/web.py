"""Fetches files from web servers.

With urllib3 and not with fsspec, whose HTTP file system follows every redirect: a server could send
this one to addresses that only this one reaches, such as the metadata service of a cloud.
"""

from __future__ import annotations

import ipaddress
import socket
from http import HTTPStatus
from typing import IO, cast
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3

from app.serving.fetching.fetch_request import FetchFailed, FetchRequest
from app.serving.fetching.places import PORTS, is_named

#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT = urllib3.Timeout(connect=10.0, read=60.0)
MAX_REDIRECTS = 5
DISCONNECTED = "the connection to the server failed"
REDIRECTS = (
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
)
#: Addresses that a gateway maps to IPv4 (RFC 6052): the last four bytes, and in a way of its own.
NAT64 = ipaddress.ip_network("64:ff9b::/96")
LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
#: Headers that describe a version, and those that request another one.
VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


def fetch(request: FetchRequest) -> str | None:
    """Fetch a file, and return its version; ``None`` if it is unchanged.

    :raises FetchFailed: if the server, or one that it redirects to, does not send the file.
    :raises urllib3.exceptions.SSLError: if its certificate cannot be verified.
    """
    try:
        response = _follow(request)
        size = int(response.headers.get("Content-Length") or 0)
    except urllib3.exceptions.SSLError:
        raise  # described as that of the libraries for other places
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise FetchFailed(DISCONNECTED) from error
    if response.status == HTTPStatus.NOT_MODIFIED:
        return None
    if response.status != HTTPStatus.OK:
        raise FetchFailed(f"the server responded with status {response.status}")
    request.check_size(size)
    try:
        request.copy(cast(IO[bytes], response), request.path)
    except urllib3.exceptions.HTTPError as error:
        raise FetchFailed(DISCONNECTED) from error
    named = (name for name in VALIDATORS if response.headers.get(name))
    return next((f"{name}: {response.headers[name]}" for name in named), "")


def is_public(address: str) -> bool:
    """Return whether an IP address is reachable from everywhere, not only in a network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found in LOCAL_NAT64:
            return False
        nat64 = ipaddress.IPv4Address(found.packed[-4:]) if found in NAT64 else None
        found = found.ipv4_mapped or found.sixtofour or nat64 or found
    return found.is_global and not found.is_multicast


def _follow(request: FetchRequest) -> urllib3.BaseHTTPResponse:
    """Return the response to the request, and to those that it is redirected to."""
    url, address = request.url, ""
    for _ in range(MAX_REDIRECTS + 1):
        response = _request(url, address, _build_headers(request, url))
        location = response.headers.get("Location")
        if response.status not in REDIRECTS or not location:
            return response
        response.close()
        url = urljoin(url, location)
        address = _check_redirect(url, request)
    raise FetchFailed(f"the server redirects more than {MAX_REDIRECTS} times")


def _check_redirect(url: str, request: FetchRequest) -> str:
    """Return the public address to connect to, or ``""`` for any address of a named place."""
    if is_named(url, request.named):
        return ""
    parts = urlsplit(url)
    if parts.scheme != "https" and not request.url.startswith("http:"):
        raise FetchFailed(f"the server redirects to {parts.scheme!r} addresses")
    if parts.scheme not in PORTS or not parts.hostname:
        raise FetchFailed("the server redirects to an address that is not valid")
    addresses = _resolve(parts)
    # All of them, and the connection uses the one that was checked: a name may have another
    # address a moment later.
    if not all(map(is_public, addresses)):
        raise FetchFailed(
            f"the server redirects to {parts.hostname!r}, which has an internal address; to allow "
            "that, name the place in FETCH_FROM"
        )
    return addresses[0]


def _resolve(parts: SplitResult) -> list[str]:
    port = parts.port or PORTS[parts.scheme]
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


def _request(url: str, address: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
    """Send a request to an address, or to any of those that the host has."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    pool: urllib3.HTTPConnectionPool
    if parts.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            address or host, parts.port, server_hostname=host, assert_hostname=host
        )
    else:
        pool = urllib3.HTTPConnectionPool(address or host, parts.port)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return pool.urlopen(
        "GET",
        target,
        headers=headers,
        redirect=False,
        retries=False,
        preload_content=False,
        decode_content=False,
        timeout=TIMEOUT,
    )


def _build_headers(request: FetchRequest, url: str) -> dict[str, str]:
    headers = {
        "Host": urlsplit(url).netloc.rpartition("@")[2],
        "Accept-Encoding": "identity",
        "User-Agent": "modelhost",
    }
    name, _, value = (request.version or "").partition(": ")
    return headers | ({VALIDATORS[name]: value} if name in VALIDATORS else {})
