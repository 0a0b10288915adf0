"""The sandbox's Unifier over HTTP: requests in a wrong form are refused; switches choose the form of answers."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest
import requests

from tests.conftest import Serve
from tests.sandbox.unifier_factory import DR7, FORM, P1, Client, open_requests, served


@pytest.fixture
def client(serve: Serve) -> Client:
    return served(serve)


@pytest.fixture
def asking(client: Client) -> Client:
    open_requests(client)
    return client


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/555", {"data": {"node_id": "555"}}, 400),
        ("/555", {"json": {}}, 415),
        ("/555", {"headers": {"Content-Type": "application/json"}}, 415),
        ("/555", {"headers": {}}, 415),
        ("/555", {"headers": FORM, "params": {"projectnumber": P1}}, 400),
        ("/row-555", {"headers": FORM}, 400),
        ("/0555", {"headers": FORM}, 400),
        ("/-555", {"headers": FORM}, 400),
        ("/555.0", {"headers": FORM}, 400),
        ("/%D9%A5", {"headers": FORM}, 400),
        ("/Closed/2014/Plan.pdf", {"headers": FORM}, 404),
        ("/", {"headers": FORM}, 404),
    ],
)
def test_delete_in_a_wrong_form_is_refused(client: Client, path: str, more: dict[str, Any], status: int) -> None:
    answer = client.call("POST", f"/dm/document/delete{path}", **more)
    assert answer.status_code == status
    assert not answer.headers["Content-Type"].startswith("application/json")
    assert client.effects() == []


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH"])
def test_delete_is_a_post(client: Client, method: str) -> None:
    assert client.call(method, "/dm/document/delete/555", headers=FORM).status_code == 405
    assert client.server.sandbox.log[-1].call == "delete_document"
    assert client.effects() == []


@pytest.mark.parametrize("http_status", [200, 400, 404])
def test_error_http(client: Client, http_status: int) -> None:
    client.fake.turn({"error_http": http_status})
    refused = client.delete(557)
    assert (refused.status_code, refused.json()["status"]) == (http_status, 12766)
    assert client.delete(555).status_code == 200


@pytest.mark.parametrize(
    ("shape", "done", "read"),
    [
        ("objects", [{"message": "TEXT"}], []),
        ("strings", ["TEXT"], []),
        ("empty", [], []),
        ("string", "TEXT", "success"),
        ("object", {"message": "TEXT"}, {}),
    ],
)
def test_message_shapes(client: Client, shape: str, done: Any, read: Any) -> None:
    client.fake.turn({"message": shape})
    text = "Folder/File successfully deleted. Please check in Recycle bin."
    assert client.delete(555).json()["message"] == json.loads(json.dumps(done).replace("TEXT", text))
    assert client.call("GET", "/admin/projectshell").json()["message"] == read


def test_wrapped_envelope(client: Client) -> None:
    client.fake.turn({"wrapped": True})
    body = client.delete(555).json()
    assert isinstance(body, list)
    assert [part["status"] for part in body] == [200]


@pytest.mark.parametrize(("kind", "status"), [("number", 200), ("text", "200")])
def test_status_type(client: Client, kind: str, status: object) -> None:
    client.fake.turn({"status": kind})
    assert client.delete(555).json()["status"] == status


@pytest.mark.parametrize("place", ["top", "message", "none"])
def test_rest_audit_id(client: Client, place: str) -> None:
    client.fake.turn({"rest_audit_id": place})
    for node_id in (555, 557):
        body = client.delete(node_id).json()
        assert ("rest_audit_id" in body) == (place == "top")
        assert ("rest_audit_id" in body["message"][0]) == (place == "message")
    client.fake.turn({"rest_audit_id": "top"})
    assert client.delete(556).json()["rest_audit_id"] != client.delete(560).json()["rest_audit_id"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("", {}),
        ("", {"parentpath": "Closed"}),
        ("", {"parentpath": "/Closed", "projectNumber": P1}),
        ("/540", {"projectnumber": P1}),
        ("/540", {"nodetype": "document"}),
        ("/540", {"nodetype": "File"}),
        ("/abc", {}),
    ],
)
def test_list_in_a_wrong_form_is_refused(client: Client, path: str, query: dict[str, str]) -> None:
    assert client.call("GET", f"/dm/node/properties{path}", params=query).status_code == 400


@pytest.mark.parametrize("call", ["record", "record/file/list", "records"])
def test_project_number_is_percent_encoded(asking: Client, call: str) -> None:
    def ask(project: str) -> requests.Response:
        if call == "records":
            return asking.call("POST", f"/bp/records/{project}", json={"bpname": "Disposal Request"})
        asked = {"bpname": "Disposal Request", "record_no": "DR-0009"}
        return asking.call("GET", f"/bp/{call}/{project}", params={"input": json.dumps(asked)})

    assert ask("2020%237%2Fb").json()["status"] == 200
    assert ask("2020%237/b").status_code == 404
    assert ask("2020%25237%252Fb").json()["status"] == 602


@pytest.mark.parametrize("project", ["2020%7", "2020%zz", 'a"b', "a{b}"])
def test_path_that_is_not_encoded_is_refused(asking: Client, project: str) -> None:
    asking.call("GET", "/admin/projectshell")
    raw = http.client.HTTPConnection(asking.server.url.removeprefix("http://"), timeout=60)
    headers = {"Authorization": f"Bearer {asking.token}"}
    raw.request("GET", f"/unifier/ws/rest/service/v1/bp/record/{project}?input=%7B%7D", headers=headers)
    answer = raw.getresponse()
    assert (answer.status, answer.read()) == (400, b"The path is not percent-encoded.")
    raw.close()


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"input": "bpname=Disposal Request"},
        {"input": "[]"},
        {"input": json.dumps({"bpname": "Disposal Request"})},
        {"input": json.dumps({**DR7, "lineitem": True})},
        {"input": json.dumps({**DR7, "lineitem": "none"})},
        {"input": json.dumps({**DR7, "recordno": "x"})},
        {"input": json.dumps(DR7), "lineitem": "no"},
    ],
)
def test_record_asked_in_a_wrong_form_is_refused(asking: Client, query: dict[str, str]) -> None:
    assert asking.call("GET", f"/bp/record/{P1}", params=query).status_code == 400


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"data": {"bpname": "Disposal Request"}}, 415),
        ({"json": {}}, 400),
        ({"json": {"bpname": "Disposal Request", "filter_condition": "title=x"}}, 400),
        ({"json": {"bpname": "Disposal Request", "filter_condition": "record_no>DR-0007"}}, 400),
        ({"json": {"bpname": "Disposal Request", "record_no": "DR-0007"}}, 400),
        ({"data": "{", "headers": {"Content-Type": "application/json"}}, 400),
    ],
)
def test_query_in_a_wrong_form_is_refused(asking: Client, more: dict[str, Any], status: int) -> None:
    assert asking.call("POST", f"/bp/records/{P1}", **more).status_code == status


def test_calls_that_do_not_exist_are_logged(client: Client) -> None:
    for method, path in [("GET", "/dm/document/delete"), ("POST", "/dm/documents/delete/555"), ("GET", "/login/")]:
        assert client.call(method, path).status_code == 404
        assert client.server.sandbox.log[-1].call == "unknown"
    assert requests.get(f"{client.server.url}/ws/rest/service/v1/login", timeout=60).status_code == 404
