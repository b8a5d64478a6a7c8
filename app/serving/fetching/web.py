"""Fetches files from web servers.

With urllib3 and not with fsspec, whose HTTP file system follows every redirect: a server could send
this one to addresses that only this one reaches, such as the metadata service of a cloud.
"""

from __future__ import annotations

import ipaddress
import socket
from http import HTTPStatus
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3

from app.serving.fetching.order import FetchFailed, Order
from app.serving.fetching.places import PORTS, is_named

#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT = urllib3.Timeout(connect=10.0, read=60.0)
MAX_REDIRECTS = 5
REDIRECTS = (
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
)
#: Headers that describe a version, and those that request another one.
VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


def fetch(order: Order) -> str | None:
    """Fetch a file, and return its version; ``None`` if the version is the one at hand.

    :raises FetchFailed: if the server, or one that it redirects to, does not send the file.
    """
    try:
        response = _follow(order)
        if response.status == HTTPStatus.NOT_MODIFIED:
            return None
        if response.status != HTTPStatus.OK:
            raise FetchFailed(f"the server responded with status {response.status}")
        if int(response.headers.get("Content-Length") or 0) > order.max_bytes:
            raise FetchFailed("it has more bytes than FETCH_MAX_BYTES")
        with order.path.open("wb") as file:
            for chunk in response.stream(1 << 16, decode_content=False):
                order.spend(len(chunk))
                file.write(chunk)
    except urllib3.exceptions.SSLError as error:
        raise FetchFailed("the certificate of the server cannot be verified") from error
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise FetchFailed("the connection to the server failed") from error
    named = (name for name in VALIDATORS if response.headers.get(name))
    return next((f"{name}: {response.headers[name]}" for name in named), "")


def _follow(order: Order) -> urllib3.BaseHTTPResponse:
    """Return the response to the request, and to those that it is redirected to."""
    url, address = order.url, ""
    for _ in range(MAX_REDIRECTS + 1):
        response = _request(url, address, _build_headers(order, url))
        location = response.headers.get("Location")
        if response.status not in REDIRECTS or not location:
            return response
        response.close()
        url = urljoin(url, location)
        address = _check_redirect(url, order)
    raise FetchFailed(f"the server redirects more than {MAX_REDIRECTS} times")


def _check_redirect(url: str, order: Order) -> str:
    """Return the public address to connect to, or ``""`` for any address of a named place."""
    if is_named(url, order.named):
        return ""
    parts = urlsplit(url)
    if parts.scheme != "https" and not order.url.startswith("http:"):
        raise FetchFailed(f"the server redirects to {parts.scheme!r} addresses")
    if parts.scheme not in PORTS or not parts.hostname:
        raise FetchFailed("the server redirects to an address that is not valid")
    addresses = _resolve(parts)
    # All of them, and the connection uses the one that was checked: a name may have another
    # address a moment later.
    if not all(map(_is_public, addresses)):
        raise FetchFailed(
            f"the server redirects to {parts.hostname!r}, which has an internal address; to allow "
            "that, name the place in FETCH_FROM"
        )
    return addresses[0]


def _resolve(parts: SplitResult) -> list[str]:
    port = parts.port or PORTS[parts.scheme]
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    return found.is_global and not found.is_multicast


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
        timeout=TIMEOUT,
    )


def _build_headers(order: Order, url: str) -> dict[str, str]:
    headers = {
        "Host": urlsplit(url).netloc.rpartition("@")[2],
        "Accept-Encoding": "identity",
        "User-Agent": "modelhost",
    }
    name, _, value = (order.version or "").partition(": ")
    return headers | ({VALIDATORS[name]: value} if name in VALIDATORS else {})
