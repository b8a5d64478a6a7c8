"""Malformed HTTP requests, as bytes."""

import gzip
import json
import zlib

HOST = b"Host: x\r\nConnection: close\r\n"
JSON = b"Content-Type: application/json\r\n"
ECHO = "/api/models/echo/predict"
#: Levels of nesting beyond the recursion limit of parsers.
DEEP = 100_000


def request(line, *headers, body=b""):
    head = b"".join(each + b"\r\n" for each in headers)
    return _bytes(line) + b" HTTP/1.1\r\n" + HOST + head + b"\r\n" + body


def post(body, path=ECHO, media="application/json", *headers):
    said = [f"Content-Type: {media}".encode(), f"Content-Length: {len(body)}".encode(), *headers]
    return request(f"POST {path}", *said, body=body)


def chunked(chunks, path=ECHO, *headers):
    said = [b"Content-Type: application/json", b"Transfer-Encoding: chunked", *headers]
    return request(f"POST {path}", *said, body=chunks)


def _set(statuses):
    return statuses if isinstance(statuses, set) else {statuses}


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()


#: JSON bodies and the expected responses.
BODIES = {
    "empty": (b"", 400),
    "white space": (b" \n\t", 400),
    "half an object": (b'{"a": ', 400),
    "two values": (b"{} {}", 400),
    "a comment": (b"{} // no", 400),
    "single quotes": (b"{'a': 1}", 400),
    "a comma too much": (b'{"a": 1,}', 400),
    "open brackets": (b"[" * DEEP, 400),
    "nested arrays": (b"[" * DEEP + b"]" * DEEP, 400),
    "nested objects": (b'{"a":' * DEEP + b"1" + b"}" * DEEP, 400),
    "brackets in a text": (json.dumps({"a": "[" * DEEP}).encode(), 200),
    "1e400": (b'{"a": 1e400}', 400),
    "-1e400": (b'{"a": -1e400}', 400),
    "1e-400": (b'{"a": 1e-400}', 200),
    "-0": (b'{"a": -0}', 200),
    "NaN": (b'{"a": NaN}', 400),
    "Infinity": (b'{"a": -Infinity}', 400),
    "a number of 10,000 digits": (b'{"a": ' + b"9" * 10_000 + b"}", 400),
    "a fraction of 10,000 digits": (b'{"a": 0.' + b"9" * 10_000 + b"}", 200),
    "a number of 20 digits": (b'{"a": 12345678901234567890}', 200),
    "0x10": (b'{"a": 0x10}', 400),
    "01": (b'{"a": 01}', 400),
    "a key twice": (b'{"a": 1, "a": 2}', 400),
    "a key twice in another spelling": (b'{"a": 1, "\\u0061": 2}', 400),
    "half a surrogate pair": (b'{"a": "\\ud800"}', 400),
    "half a surrogate pair as a key": (b'{"\\udfff": 1}', 400),
    "half a surrogate pair in bytes": (b'{"a": "\xed\xa0\x80"}', 400),
    "overlong UTF-8": (b'{"a": "\xc0\xaf"}', 400),
    "NUL": (b'{"a": "\x00"}', 400),
    "NUL in an escape": (b'{"a": "\\u0000"}', 200),
    "NUL behind": (b"{}\x00", 400),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), 400),
    "UTF-16 without a mark": ('{"a": 1}'.encode("utf-16-le"), 400),
    "UTF-32": ('{"a": 1}'.encode("utf-32"), 400),
    "UTF-7": ('{"ä": 1}'.encode("utf-7"), 200),  # by its bytes it is UTF-8, of other letters
    "Latin-1": ('{"ä": 1}'.encode("latin-1"), 400),
    "gzip": (gzip.compress(b"{}"), 400),
    "columns that are none": (b'{"columns": ["a", "a"], "data": [[1, 2]]}', 422),
    "__proto__": (b'{"__proto__": {"a": 1}, "constructor": 1}', 200),
    "too large": (b'"' + b"x" * 1_000_000 + b'"', 413),
    "too many rows": (b"[" + b"{}," * 1000 + b"{}]", 413),
}
BOMB = zlib.compress(bytes(20_000_000))
#: Valid bodies with wrong media types or encodings.
MEDIA = {
    "no type": (request(f"POST {ECHO}", b"Content-Length: 2", body=b"{}"), 415),
    "text": (post(b"{}", media="text/plain"), 415),
    "a form": (post(b"a=1", media="application/x-www-form-urlencoded"), 415),
    "a pickle": (post(b"\x80\x04.", media="application/vnd.python.pickle"), 415),
    "YAML": (post(b"a: 1", media="application/yaml"), 415),
    "an endless type": (post(b"{}", media="application/json; " + "a=b; " * 1000), 200),
    "half a type": (post(b"{}", media="application/"), 415),
    "UTF-16": (post(b"{}", media="application/json; charset=utf-16"), 415),
    "UTF-7": (post(b"{}", media="application/json; charset=utf-7"), 415),
    "a charset that is none": (post(b"{}", media='application/json; charset="\\'), {200, 415}),
    "gzip": (post(gzip.compress(b"{}"), ECHO, "application/json", b"Content-Encoding: gzip"), 200),
    "a bomb": (post(BOMB, ECHO, "application/json", b"Content-Encoding: deflate"), 413),
    "zstd": (post(b"{}", ECHO, "application/json", b"Content-Encoding: zstd"), 415),
    "brackets as CSV": (post(b"a\n" + b"[" * 90_000, ECHO[:-7] + "rows", "text/csv"), 200),
    "CSV in UTF-16": (post("a\n1".encode("utf-16"), ECHO[:-7] + "rows", "text/csv"), 200),
    "CSV with NUL": (post(b"a,b\n\x00,1", ECHO[:-7] + "rows", "text/csv"), 200),
    "CSV with an open quote": (post(b'a\n"' + b"x" * 90_000, ECHO[:-7] + "rows", "text/csv"), 200),
    "CSV of commas": (post(b"," * 90_000, ECHO[:-7] + "rows", "text/csv"), 422),
    "a multipart form": (
        post(b"--x", "/models/echo/predict", "multipart/form-data; boundary=x"),
        415,
    ),
}
#: Invalid methods, paths and requests.
LINES = {
    "TRACE": (request("TRACE /api/models"), 405),
    "CONNECT": (request("CONNECT example.org:443"), {400, 404, 405}),
    "PUT": (request("PUT /api/models"), 405),
    "PATCH": (request(f"PATCH {ECHO}"), 405),
    "OPTIONS": (request("OPTIONS *"), {200, 400, 404}),
    "in small letters": (request("get /api/models"), {200, 400, 405}),
    "a method of 100 letters": (request("A" * 100 + " /api/models"), {400, 405}),
    "NUL in a method": (request(b"G\x00T /api/models"), 400),
    "%00": (request("GET /api/models/%00/metadata"), 404),
    "%2e%2e": (request("GET /api/models/%2e%2e/%2e%2e/config.py"), 404),
    "..": (request("GET /api/../config.py"), 404),
    "static ..": (request("GET /static/../config.py"), 404),
    "static %2e%2e": (request("GET /static/%2e%2e/config.py"), 404),
    "static ..%2f": (request("GET /static/..%2fconfig.py"), 404),
    "static backslash": (request("GET /static/..%5cconfig.py"), 404),
    "//": (request("GET //api//models"), {400, 404}),
    "a long path": (request("GET /api/models/" + "a" * 3000), 404),
    "a path that is too long": (request("GET /api/" + "a" * 20_000), {404, 414}),
    "%ff": (request("GET /api/models/%ff/metadata"), 404),
    "bytes that are no UTF-8": (request(b"GET /api/models/\xff"), {400, 404}),
    "a whole address": (request("GET http://x/api/models"), {200, 404}),
    "another host's address": (request("GET http://169.254.169.254/latest"), 404),
    "a space in a path": (request("GET /api/ models"), 400),
    "a long query": (request(f"GET {ECHO[:-7]}metadata?" + "a=1&" * 1000), {200, 414}),
    "a query of brackets": (request("GET /api/models/ask/about?q=" + "[" * 4000), {200, 414, 422}),
    "a query of 1e400": (request("GET /api/models/ask/about?q=1e400&q=2&%ff=%fe"), {200, 422}),
    "HTTP/0.9": (b"GET /api/models\r\n\r\n", 400),
    "HTTP/1.0": (b"GET /api/models HTTP/1.0\r\n\r\n", 200),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505, None}),
    "HTTP/9.9": (b"GET /api/models HTTP/9.9\r\nHost: x\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n", 400),
    "NUL in a header": (request("GET /api/models", b"X-A: a\x00b"), 400),
    "a folded header": (request("GET /api/models", b"X-A: a\r\n b"), 400),
    "a header without a colon": (request("GET /api/models", b"nothing"), 400),
    "a space before a colon": (request("GET /api/models", b"X-A : 1"), 400),
    "thousands of headers": (request("GET /api/models", *[b"X-A: 1"] * 5000), 431),
    "a header of a megabyte": (request("GET /api/models", b"X-A: " + b"a" * 1_000_000), 431),
    "a request id of a line's end": (request("GET /api/models", b"X-Request-ID: a%0d%0aX: 1"), 200),
    "two hosts": (request("GET /api/models", b"Host: y"), {200, 400}),
    "expectations": (request("GET /api/models", b"Expect: miracles"), {200, 417}),
}
TAIL = b"0\r\n\r\n"
#: Bodies whose length is in doubt.
LENGTHS = {
    "longer than said": (
        request(f"POST {ECHO}", JSON[:-2], b"Content-Length: 2", body=b"{}x"),
        200,
    ),
    "a negative length": (
        request(f"POST {ECHO}", JSON[:-2], b"Content-Length: -1", body=b"{}"),
        400,
    ),
    "+2": (request(f"POST {ECHO}", JSON[:-2], b"Content-Length: +2", body=b"{}"), 400),
    "two": (request(f"POST {ECHO}", JSON[:-2], b"Content-Length: two", body=b"{}"), 400),
    "a length of 5,000 digits": (
        request(f"POST {ECHO}", JSON[:-2], b"Content-Length: " + b"9" * 5000, body=b"{}"),
        {400, 413},
    ),
    "two lengths": (
        request(f"POST {ECHO}", JSON[:-2], b"Content-Length: 2", b"Content-Length: 3", body=b"{}"),
        400,
    ),
    "a length and chunks": (chunked(b"2\r\n{}\r\n" + TAIL, ECHO, b"Content-Length: 4"), {200, 400}),
    "chunks in chunks": (
        chunked(b"2\r\n{}\r\n" + TAIL, ECHO, b"Transfer-Encoding: chunked"),
        {200, 400},
    ),
    "compressed chunks": (
        request(f"POST {ECHO}", JSON[:-2], b"Transfer-Encoding: gzip, chunked", body=TAIL),
        {400, 415},
    ),
    "hidden chunks": (
        request(f"POST {ECHO}", JSON[:-2], b"Transfer-Encoding: xchunked", body=TAIL),
        400,
    ),
    "chunks": (chunked(b"2\r\n{}\r\n" + TAIL), 200),
    "chunks with trailers": (chunked(b"2\r\n{}\r\n0\r\nX-A: 1\r\n\r\n"), 200),
    "a chunk size that is none": (chunked(b"zz\r\n{}\r\n" + TAIL), 400),
    "a negative chunk size": (chunked(b"-2\r\n{}\r\n" + TAIL), 400),
    "a chunk size of 5,000 digits": (chunked(b"f" * 5000 + b"\r\n{}\r\n" + TAIL), {400, 408, 413}),
    "a chunk that is longer": (chunked(b"1\r\n{}\r\n" + TAIL), 400),
    "chunks of a page's form": (
        request(
            "POST /models/echo/predict",
            b"Content-Type: application/x-www-form-urlencoded",
            b"Transfer-Encoding: chunked",
            body=b"zz\r\n\r\n",
        ),
        {200, 400},  # granian passes the part that arrived as the whole body
    ),
    "too large in chunks": (chunked(b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n" + TAIL), 413),
}
#: Requests that never end.
UNFINISHED = {
    "a letter": b"P",
    "half a head": f"POST {ECHO} HTTP/1.1\r\nHost: x\r\n".encode(),
    "half a body": request(f"POST {ECHO}", JSON[:-2], b"Content-Length: 9", body=b"{}"),
    "half a chunk": chunked(b"9\r\n{}"),
    "no last chunk": chunked(b"2\r\n{}\r\n"),
    "half a form": request(
        "POST /models/echo/predict",
        b"Content-Type: application/x-www-form-urlencoded",
        b"Content-Length: 100",
        body=b"a=1",
    ),
}
#: All requests that get an immediate response.
ALL = [
    *(post(body) for body, _ in BODIES.values()),
    *(sent for table in (MEDIA, LINES) for sent, _ in table.values()),
    *(sent for sent, statuses in LENGTHS.values() if 408 not in _set(statuses)),
]
