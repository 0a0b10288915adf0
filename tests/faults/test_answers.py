"""Whatever a vendor answers, a call returns a typed value or raises a typed error.

The vendor is a socket that sends what it is told. ``FAULT_EXAMPLES=50`` tries fifty times as many answers.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import pytest
from airflow.sdk import Connection
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.client import hook as hook_module
from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.exceptions import UnavailableError, VendorError
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.enaio_responses import EnaioObject
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.opus_responses import DueRecord
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.hooks.unifier_responses import DeletedDocument, Node, Shell
from airflow_provider_records.sandbox.fault import _edit
from tests.faults.chance import examples, text

GUID = "3f0c6a52-8d1e-4b7a-9c35-5e2a71d04b68"
TOKEN = b'{"access_token": "t", "token": "t", "expires_in": 3600, "status": 200}'
Typed = Callable[[Any], bool]


class Vendor:
    """Answers each connection with one answer and hangs up; tokens come as they should, unless asked for."""

    def __init__(self) -> None:
        self.answer = b""
        self.spoils_tokens = False
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as request:
                first, length = request.readline(), 0
                while (line := request.readline()).strip():
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                request.read(length)
                is_token = b"/token" in first or b"/login" in first
                token = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(TOKEN), TOKEN)
                try:
                    connection.sendall(token if is_token and not self.spoils_tokens else self.answer)
                except OSError:
                    continue

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True)
class Call:
    """One call of a client.

    :param hook: the client.
    :param make: makes the call.
    :param typed: whether what it returns is what it promises.
    :param good: an answer as the vendor describes it.
    """

    hook: type[VendorHook]
    make: Callable[[Any], Any]
    typed: Typed
    good: Any


def only_text(item: Any) -> bool:
    return all(getattr(item, each.name) is None or isinstance(getattr(item, each.name), str) for each in fields(item))


def outcomes(ids: list[str], done: str) -> Typed:
    """Each id is in exactly one of three places."""
    return lambda found: sorted([*getattr(found, done), *found.refused, *found.unclear]) == ids


def mappings(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(row, Mapping) for row in found)


RECORD = {"rowKey": "a", "leafName": "l", "createdBy": "c", "modifiedBy": "m", "timeCreated": "t", "timeModified": "t"}
OBJECT = {"objects": [{"properties": {"system:objectId": {"value": "7"}, "system:baseTypeId": {"value": "DOCUMENT"}},
                       "permissions": {"delete": ["object"]}}],
          "numItems": 1, "hasMoreItems": False, "totalNumItems": 1}  # fmt: skip
NODE = {"node_id": 555, "parent_node_id": 7, "node_path": "/C/Plan.pdf", "Name": "Plan.pdf", "file_id": 9, "type": "D"}


def envelope(*rows: Any) -> Any:
    return {"data": list(rows), "message": [{"message": "m", "rest_audit_id": 5}], "status": 200}


CALLS = {
    "due records": Call(
        OpusHook, lambda hook: list(hook.iter_due_records(GUID, "2024-12-20T11:13:00")),
        lambda found: all(isinstance(row, DueRecord) and only_text(row) and row.row_key for row in found),
        {"startIndex": None, "statusCode": 200, "message": "", "queriedItems": [RECORD, {**RECORD, "rowKey": "b"}]}),
    "destroy": Call(OpusHook, lambda hook: hook.destroy_records(["a", "b"]), outcomes(["a", "b"], "destroyed"),
                    {"statusCode": 418, "message": None, "failedItems": ["a"]}),
    "submit": Call(OpusHook, lambda hook: hook.submit_records(GUID, [RECORD]), outcomes(["a"], "submitted"),
                   {"statusCode": 201, "message": None, "failedItems": []}),
    "delete object": Call(EnaioHook, lambda hook: hook.delete_object("7"), lambda found: found is None,
                          {"serviceErrorCode": 1001, "message": "m"}),
    "hard delete": Call(EnaioHook, lambda hook: hook.check_hard_delete(), lambda found: found is None,
                        {"version": "6.2.1"}),
    "get object": Call(EnaioHook, lambda hook: hook.get_object("7"),
                       lambda found: isinstance(found, EnaioObject) and found.object_id == "7", OBJECT),
    "search": Call(EnaioHook, lambda hook: list(hook.search("SELECT x FROM y ORDER BY x")),
                   lambda found: all(isinstance(item, EnaioObject) for item in found), OBJECT),
    "locations": Call(EnaioHook, lambda hook: hook.locations("7"),
                      lambda found: all(isinstance(place, tuple) for place in found),
                      {"objects": [{"objectId": "1", "children": [{"objectId": "2", "children": []}]}]}),
    "history": Call(EnaioHook, lambda hook: hook.add_history("7", {}), lambda found: found is None, {"code": 3003}),
    "delete document": Call(UnifierHook, lambda hook: hook.delete_document(7),
                            lambda found: isinstance(found, DeletedDocument) and found.node_id == "7", envelope()),
    "list by id": Call(UnifierHook, lambda hook: hook.list_nodes("7"),
                       lambda found: all(isinstance(node, Node) for node in found), envelope(NODE)),
    "list by path": Call(UnifierHook, lambda hook: hook.list_nodes(project_number="P/1", parent_path="/C"),
                         lambda found: all(isinstance(node, Node) for node in found), envelope(NODE)),
    "bp record": Call(UnifierHook, lambda hook: hook.get_bp_record("P", "B", "1"),
                      lambda found: isinstance(found, Mapping), envelope({"record_no": "1", "status": "Approved"})),
    "query": Call(UnifierHook, lambda hook: hook.query_bp_records("P", "B", ["status"]), mappings, envelope({"a": 1})),
    "files": Call(UnifierHook, lambda hook: hook.list_bp_files("P", "B", "1"), mappings, envelope({"file_id": 1})),
    "shell": Call(UnifierHook, lambda hook: hook.shell("P"),
                  lambda found: isinstance(found, Shell) and only_text(found),
                  envelope({"projectnumber": "P", "status": "Active", "type": "Projects"})),
}  # fmt: skip
TOKENS = {
    "Opus token": (OpusHook, json.loads(TOKEN) | {"token_type": "Bearer", "scope": "s"}),
    "Unifier login": (UnifierHook, {**json.loads(TOKEN), "request_headers": {"x-unifier-tenant": "t"}}),
    "Unifier v2": (UnifierHook, {"data": {"access_token": "t", "expires_in": 3600}, "message": [], "status": 200}),
}


def pointers(value: Any, way: str = "") -> Iterator[str]:
    """Yield the JSON pointers of everything in a value."""
    yield way
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in pairs:
        yield from pointers(item, f"{way}/{name}")


leaves = st.none() | st.booleans() | st.integers() | st.floats() | text | st.sampled_from(["7", "a", "b", 200, 12764])
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)
depths = st.sampled_from([50, 300, *range(880, 1000, 7), 5000])


@st.composite
def bodies(draw: st.DrawFn, good: Any) -> bytes:
    """Draw the good answer with something else in some places, nested very deeply, cut off, or anything."""
    kind = draw(st.sampled_from(["bent", "bent", "bent", "deep", "cut", "any"]))
    if kind == "any":
        return draw(st.binary(max_size=60) | st.builds(lambda value: json.dumps(value).encode(), values))
    body = json.loads(json.dumps(good))
    places = [each for each in pointers(good) if each]
    if kind == "deep":
        place, depth = draw(st.sampled_from(places)), draw(depths)
        _edit(body, place, ["DEEP"])
        nest = draw(st.sampled_from([("[", "]"), ('{"children":[', "]}"), ('{"version":', "}"), ('{"message":', "}")]))
        inner = "1" if nest[1] == "}" else ""
        return json.dumps(body).replace('"DEEP"', nest[0] * depth + inner + nest[1] * depth).encode()
    for place in draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        _edit(body, place, draw(st.lists(values, min_size=0, max_size=1)))
    written = json.dumps(body).encode()
    return written[: draw(st.integers(0, len(written)))] if kind == "cut" else written


statuses = st.sampled_from([200] * 8 + [201, 204, 400, 401, 403, 404, 405, 408, 409, 418, 423, 429, 500, 502, 503])
line = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30)
headers = st.lists(
    st.tuples(st.sampled_from(["Content-Type", "Retry-After", "Set-Cookie", "Location", "X-Request-Id", "Date"]), line)
    | st.tuples(st.just("Content-Type"), st.sampled_from(["application/json", "text/html", "a/b; charset=utf-16"]))
    | st.tuples(st.just("Retry-After"), st.sampled_from(["9", "-1", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"]))
    | st.tuples(st.sampled_from(["Content-Length", "Transfer-Encoding", "Content-Encoding"]),
                st.sampled_from(["gzip", "chunked", "deflate, gzip", "7", "7, 8", "identity"]) | line),
    max_size=3,
)  # fmt: skip


@st.composite
def answers(draw: st.DrawFn, good: Any) -> bytes:
    """Draw what comes out of the socket."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=80))
    body = draw(bodies(good))
    status = draw(statuses | st.integers(100, 999))
    found = draw(headers) if draw(st.booleans()) else []
    if not any(name in {"Content-Length", "Transfer-Encoding"} for name, _ in found):
        found = [("Content-Length", str(len(body))), *found]
    head = "".join(f"{name}: {value}\r\n" for name, value in found)
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode("latin-1") + body


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.close()


def client(kind: type[VendorHook], vendor: Vendor) -> VendorHook:
    """Return a client that asks once."""
    extra = {"timeout": 5, "identity_url": f"{vendor.url}/token"} if kind is OpusHook else {"timeout": 5}
    connection = Connection(conn_id="c", conn_type=kind.conn_type, host=vendor.url, login="me", password="s3cret-of-c")
    hook = kind("c", kind.read_settings(connection, extra))
    hook.attempts = 1
    return hook


def result(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or the typed error that it raises."""
    try:
        return call()
    except VendorError as error:
        return error


@pytest.mark.parametrize("name", CALLS)
def test_a_typed_value_or_a_typed_error(name: str, vendor: Vendor) -> None:
    call = CALLS[name]
    vendor.spoils_tokens = False

    @examples(100)
    @given(answers(call.good))
    def property_(answer: bytes) -> None:
        vendor.answer = answer
        found = result(lambda: call.make(client(call.hook, vendor)))
        if isinstance(found, VendorError):
            assert len(str(found)) < 1000
            assert len(found.detail or "") <= 500
        else:
            assert call.typed(found)

    property_()


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_or_a_typed_error(name: str, vendor: Vendor) -> None:
    kind, good = TOKENS[name]
    vendor.spoils_tokens = True

    @examples(100)
    @given(answers(good))
    def property_(answer: bytes) -> None:
        vendor.answer = answer
        auth: Any = client(kind, vendor).auth
        found = result(auth.token)
        if isinstance(found, VendorError):
            assert not found.detail
            assert "s3cret" not in f"{found} {found.request_id}"
        else:
            assert found.value.isprintable()
            assert found.lifetime is None or 0 < found.lifetime < float("inf")

    property_()


def test_a_second_answer_to_the_same_request_is_not_taken_for_the_next_one() -> None:
    shared = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            assert connection.recv(65536)
            connection.sendall(b"HTTP/1.1 204 Gone\r\n\r\nHTTP/1.1 204 Gone\r\n\r\n")
            shared.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        connection = Connection(conn_id="c", conn_type="enaio", host=url, login="me", password="s3cret-of-c")
        hook = EnaioHook("c", EnaioHook.read_settings(connection, {"timeout": 0.5}))
        hook.delete_object("7")
        with pytest.raises(VendorError) as lost:
            hook.delete_object("8")
        assert not isinstance(lost.value, UnavailableError)
        shared.set()
        thread.join(10)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_small_answer_does_not_unpack_to_a_large_one(layers: int, vendor: Vendor, monkeypatch: Any) -> None:
    monkeypatch.setattr(hook_module, "LARGEST_RESPONSE", 1_000_000)
    body = bytes(100_000_000)
    for _ in range(layers):
        body = gzip.compress(body)
    kind = ", ".join(["gzip"] * layers)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    vendor.answer = head.encode() + body
    tracemalloc.start()
    try:
        with pytest.raises(VendorError, match="too large"):
            client(EnaioHook, vendor).send("any", "GET", vendor.url, lambda answer: answer, repeatable=False)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
