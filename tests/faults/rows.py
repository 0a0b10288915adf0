"""The rows of the fault matrix: what can go wrong with any call, each as faults of the sandbox.

A row is made for one column (one call of one vendor), since it may need to know which fields that call's answer has.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NESTED: Any = "deep"
for _ in range(400):
    NESTED = [NESTED]
HUGE = "x" * 150_000
FEW = (None, 7, "x", [1], {"a": 1})
"""One value of each JSON type; no empty list, which where a list belongs is a clean answer."""
ODD = (NESTED, HUGE, float("nan"), "\ud800\x00")
LIMIT = 100_000
"""What the largest answer is lowered to, in bytes."""
PAGE = "<!DOCTYPE html><html><body><form action='/login'><input name='password'></form></body></html>"
HTML = {"Content-Type": "text/html"}
OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Spec = dict[str, Any]
"""Arguments of a Fault, without vendor, call and act; ``kind``: its class."""


@dataclass(frozen=True)
class ResponseShape:
    """What a row must know of the answer that it spoils.

    :param fields: JSON pointers of all documented fields, each with a value of its documented type; those that
        are not there are put there.
    :param base: arguments of the fault that every spoiled field needs, e.g. the status of an error answer.
    :param values: what to put into them.
    :param elsewhere: URL of a server that must never be called.
    """

    fields: Mapping[str, Any]
    base: Spec
    values: Sequence[Any]
    elsewhere: str


@dataclass(frozen=True)
class Row:
    """One row of the matrix.

    :param name: its name in the table.
    :param make: makes its faults; each is tried alone.
    :param slow: the client's timeout is to be short.
    :param every: each of its faults must be tried.
    """

    name: str
    make: Callable[[ResponseShape], list[Spec]]
    slow: bool = False
    every: bool = False


def _same(*specs: Spec) -> Callable[[ResponseShape], list[Spec]]:
    return lambda _: list(specs)


def own(name: str, *specs: Spec) -> Row:
    """Return a row that only some columns have."""
    return Row(name, _same(*specs), every=True)


def _raw(head: str, body: bytes = b"") -> Spec:
    return {"raw": f"HTTP/1.1 {head}\r\n\r\n{body.decode('latin-1')}"}


def _redirects(shape: ResponseShape) -> list[Spec]:
    to = {"Location": f"{shape.elsewhere}/ws/rest", "Refresh": f"0; url={shape.elsewhere}/", "Link": shape.elsewhere}
    return [{"status": status, "headers": to} for status in (302, 301, 303, 307, 308, 300, 304, 399)]


def _types(shape: ResponseShape) -> list[Spec]:
    return [
        {**shape.base, "put": {field: value}}
        for field, documented in shape.fields.items()
        for value in shape.values
        if value not in FEW or type(value) is not type(documented)
    ]


def _missing(shape: ResponseShape) -> list[Spec]:
    return [{**shape.base, "lose": [field]} for field in shape.fields]


def _status(status: int) -> Row:
    bodies: list[Spec] = [{}, {"body": PAGE, "headers": HTML}, {"put": {"/note": "over a good body"}}]
    return Row(f"status {status}", _same(*({"status": status, **body} for body in bodies)))


def _odd(_: ResponseShape) -> list[Spec]:
    odd = (400, 402, 405, 406, 408, 410, 413, 415, 422, 423, 451, 501, 505, 507, 520, 599, 201, 202, 206)
    return [*({"status": status} for status in odd), _raw("999 Odd\r\nContent-Length: 0"), _raw("101 Switching\r\n")]


BOMB = gzip.compress(b"0" * 40 * LIMIT)
RULES = "Content-Length: {}\r\nContent-Encoding: {}"

ROWS = [
    Row("connection cut", _same({"drop": True})),
    Row("reset inside the body", _same({"raw": f'{OK}Content-Length: 90\r\n\r\n{{"status": 20', "drop": True})),
    Row("silence", _same({"raw": "H", "drip_ms": 5000}), slow=True),
    Row("slow headers", _same({"raw": f"{OK}X-Slow: {'a' * 3000}", "drip_ms": 60}), slow=True),
    Row("slow body", _same({"raw": f"{OK}Content-Length: 3000\r\n\r\n{'[' * 3000}", "drip_ms": 60}), slow=True),
    Row("100 Continue for ever", _same({"raw": "HTTP/1.1 100 Continue\r\n\r\n" * 900, "drip_ms": 2}), slow=True),
    Row("login page", _same({"status": 200, "body": PAGE, "headers": HTML}, {"status": 200, "body": PAGE})),
    Row("no JSON", _same(*({"status": 200, "body": body, "headers": {"Content-Type": "application/json"}} for body in (
        "{'status': 200}", "{}", "null", "[]", '"text"', "NaN", "-", "1e999", "[" * 90_000, '{"a":' * 15_000,
        '{"status": 200} {"status": 200}', "\x00", "9" * 5000, " ",
    )))),
    Row("truncated JSON", _same({"cut": 20}, {"cut": 1})),
    Row("shorter than announced", _same({"headers": {"Content-Length": "9999"}})),
    Row("empty body", _same({"cut": 0}, {"status": 204}, {"status": 205})),
    Row("wrong types", _types, every=True),
    Row("missing fields", _missing, every=True),
    Row("huge body", _same({"status": 200, "body": "0" * (LIMIT + 1)})),
    Row("gzip bomb", _same(
        _raw(f"200 OK\r\n{RULES.format(len(BOMB), 'gzip')}", BOMB),
        _raw(f"200 OK\r\n{RULES.format(len(gzip.compress(BOMB)), 'gzip, gzip')}", gzip.compress(BOMB)),
        _raw(f"200 OK\r\n{RULES.format(len(BOMB), ', '.join(['gzip'] * 50))}", BOMB),
    )),
    Row("encoding lies", _same(*({"headers": {"Content-Encoding": kind}} for kind in ("gzip", "deflate")))),
    Row("unknown encoding", _same(*({"headers": {"Content-Encoding": kind}} for kind in ("identity", "br", "zz")))),
    Row("broken characters", _same(_raw("200 OK\r\nContent-Length: 5", b'{"\xff\xfe'), _raw(
        "200 OK\r\nContent-Type: application/json; charset=utf-16\r\nContent-Length: 6", '{}'.encode("utf-16")))),
    Row("another content type", _same(*({"headers": {"Content-Type": kind}} for kind in (
        "text/plain", "application/xml", "application/json; charset=utf-7", "nonsense", "a/b; charset=none")))),
    Row("redirect elsewhere", _redirects),
    *(_status(status) for status in (401, 403, 404, 409, 418, 429, 500, 502, 503, 504)),
    Row("odd statuses", _odd),
    Row("absurd Retry-After", _same(*({"status": status, "headers": {"Retry-After": wait}} for status in (429, 503)
        for wait in ("99999999999", "-1", "9" * 400, "Wed, 99 Foo 0000 99:99:99", "Fri, 31 Dec 9999 23:59:59 GMT")
    ))),
    Row("no HTTP", _same(*({"raw": raw} for raw in (
        "\x00\x01\x02", "SSH-2.0-OpenSSH_9\r\n", "HTTP/1.1\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n{}", "HTTP/1.1 abc\r\n",
        "HTTP/1.1 -1 No\r\n\r\n", "\r\n\r\n", "<html>" * 20_000, "\x15\x03\x01\x00\x02\x02\x28",
    )))),
    Row("broken head", _same(
        _raw("200 OK\r\nContent-Length: 2, 3", b"{}"), _raw("200 OK\r\nContent-Length: -5", b"{}"),
        _raw("200 OK\r\nContent-Length: 99999999999999999999999", b"{}"), _raw("200 OK\r\nContent-Length: x", b"{}"),
        _raw("200 OK\r\nnonsense without a colon\r\n\x00: \x00", b"{}"), _raw("200 OK\r\n" + "A: b\r\n" * 300, b"{}"),
        _raw(f"200 OK\r\nX-Long: {'y' * 70_000}", b"{}"), _raw("200 OK\r\nSet-Cookie: a=b; Domain=other.example; =;;"),
        _raw("200 OK\r\nSet-Cookie: \xff\x00; expires=never; port=99", b"{}"), _raw("200 " + "z" * 70_000),
    )),
    Row("broken chunks", _same(*(_raw("200 OK\r\nTransfer-Encoding: chunked", body) for body in (
        b"zz\r\n{}\r\n0\r\n\r\n", b"5\r\n{", b"-5\r\n{}\r\n", b"2\r\n{}", b"ffffffffffffffffff\r\n{}", b"",
    )))),
    Row("two answers at once", _same({"raw": f"{OK}Content-Length: 2\r\n\r\n{{}}" * 2})),
    Row("credentials echoed", _same(*({"echo": True, "status": status} for status in (200, 400, 404, 418, 500)))),
]  # fmt: skip


def spoiled(text: str) -> str:
    """Name a fault in the notes of a failed test, without its kilobytes."""
    return text if len(text) < 300 else f"{text[:200]}... ({len(text)})"


def said(spec: Spec) -> str:
    return spoiled(json.dumps(spec, default=repr))
