"""Public reasons for the errors that libraries raise while they fetch a file.

A reason has the code of a store's response, such as ``ExpiredToken``, but no text of a library,
which may contain addresses and secrets; the log has the text.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from app.serving.fetching.fetch_request import FetchRequest
from app.serving.fetching.places import EXTRAS

CODE = re.compile(r"[A-Za-z0-9_.]{1,60}")
#: Modules that the extras install.
MODULES = frozenset({"adlfs", "fsspec", "gcsfs", "huggingface_hub", "mlflow", "s3fs"})
#: Secrets in an address: a user and password, and a query, which may contain a signature.
PASSWORD = re.compile(r"//[^/\s@]+@")
QUERY = re.compile(r"(?<=\S)\?[^\s'\")]+")
#: By scheme, the variable that names a file of certificates; :data:`CERTIFICATES` for the others.
CA_FILES = {"s3": "AWS_CA_BUNDLE"} | dict.fromkeys(
    ("models", "runs"), "MLFLOW_TRACKING_SERVER_CERT_PATH"
)
CERTIFICATES = "SSL_CERT_FILE"
#: Codes of responses that deny access.
DENIED = frozenset({"401", "403"})


def describe(error: Exception, request: FetchRequest) -> str:
    """Return the reason why a file was not fetched."""
    scheme = request.url.partition(":")[0]
    extra = EXTRAS[scheme]
    if isinstance(error, ImportError) and extra:
        return _describe_import(error, extra)
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in _chain(error)):
        return (
            "the certificate of the server cannot be verified; if your own CA issued it, set "
            f"{CA_FILES.get(scheme, CERTIFICATES)} to a file with the certificate of that CA"
        )
    limits = {errno.EFBIG: request.excess, errno.ENOSPC: "the disk of CACHE_FOLDER is full"}
    limit = limits.get(getattr(error, "errno", 0) or 0)
    unknown = f"fetching raised {type(error).__name__}; see the log"
    return limit or _describe_response(error) or unknown


def hide_secrets(text: str) -> str:
    """Return a library's text without passwords and queries in its addresses."""
    return QUERY.sub("?...", PASSWORD.sub("//", text))


def _describe_import(error: ImportError, extra: str) -> str:
    module = (error.name or "").partition(".")[0]
    if module and module not in MODULES:  # such as boto3, for the artifacts of MLflow
        return f"the module {module!r}, which fetches it, is not installed"
    return f"a package that fetches it is not installed: pip install 'modelhost[{extra}]'"


def _describe_response(error: Exception) -> str:
    if any(
        isinstance(each, ConnectionError | socket.gaierror | ssl.SSLError) for each in _chain(error)
    ):
        return "the connection to the server failed"
    code = next(filter(None, map(_code, _chain(error))), "")
    suffix = f" ({code})" if code else ""
    if isinstance(error, FileNotFoundError):
        return f"it does not exist{suffix}"
    if isinstance(error, PermissionError) or code in DENIED:
        return f"access to it is denied{suffix}"
    if code:
        return f"the store responded with {code}"
    if "credential" in f"{type(error).__name__} {error}".lower():
        return "the credentials for it are missing or incomplete; see the log"
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes, since libraries wrap the errors of their HTTP clients."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _code(error: BaseException) -> str:
    """Return the code or status of the response in an error; empty without one."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, Mapping):  # of botocore
        found = response.get("Error", {}).get("Code")
    else:
        values = (getattr(error, name, None) for name in ("error_code", "status_code", "code"))
        found = next(filter(None, values), None) or getattr(response, "status_code", None)
    text = str(getattr(found, "value", found) or "")
    return text if CODE.fullmatch(text) else ""
