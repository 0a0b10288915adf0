"""The sandbox's enaio over HTTP: who gets in, what is refused, what is read, what is seeded."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_records.sandbox.seed import Item
from tests.conftest import Serve
from tests.sandbox.enaio_factory import LOGIN, Desk, code

CALLS = [
    ("GET", "/api/dms/objects/100"),
    ("DELETE", "/api/dms/objects/100"),
    ("DELETE", "/api/dms/objects/100/actions/trash"),
    ("GET", "/api/dms/objects/100/native/locations"),
    ("POST", "/api/dms/objects/100/history"),
    ("POST", "/api/dms/objects/search"),
    ("GET", "/api/dms/info"),
    ("GET", "/osrest/api/session"),
    ("GET", "/osrest/api/session/logout"),
]


@pytest.fixture
def desk(serve: Serve) -> Desk:
    return Desk(serve)


# The gateway


@pytest.mark.parametrize("auth", [None, ("disposal", "wrong"), ("other", LOGIN[1])])
def test_every_call_needs_credentials(desk: Desk, auth: tuple[str, str] | None) -> None:
    desk.session.auth = auth
    for method, path in CALLS:
        answer = desk.call(method, path)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert "Set-Cookie" not in answer.headers
    assert [entry.effects for entry in desk.server.stage.log] == [[]] * len(CALLS)


def test_a_header_that_is_no_basic_is_refused(desk: Desk) -> None:
    desk.session.auth = None
    for header in ("Basic", "Basic !!", "Basic /w==", "Bearer abc"):
        assert desk.call("GET", "/api/dms/info", headers={"Authorization": header}).status_code == 401


def test_login_filter_redirect_and_html(desk: Desk) -> None:
    desk.session.auth = None
    desk.part.turn({"login_filter": "redirect"})
    answer = desk.delete("100")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/enaio/login")
    desk.part.turn({"login_filter": "html"})
    answer = desk.delete("100")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html"
    assert "100" in desk.archive.objects


def test_a_session_cookie_replaces_basic(desk: Desk) -> None:
    first = desk.get("100")
    assert first.cookies["JSESSIONID"]
    desk.session.auth = None
    second = desk.get("100")
    assert second.status_code == 200
    assert "Set-Cookie" not in second.headers
    assert desk.part.logins == 1


def test_an_error_sets_the_cookie_too(desk: Desk) -> None:
    assert desk.get("999").cookies["JSESSIONID"]


@pytest.mark.parametrize("status", ["401", "403"])
def test_an_expired_cookie_is_refused_even_with_basic(desk: Desk, status: str) -> None:
    desk.part.turn({"expired_cookie": status})
    desk.get("100")
    desk.part.expire_sessions()
    assert desk.get("100").status_code == int(status)
    desk.session.cookies.clear()
    assert desk.get("100").status_code == 200


def test_a_cookie_is_good_for_so_many_requests(desk: Desk) -> None:
    desk.part.turn({"session_requests": 2})
    assert [desk.get("100").status_code for _ in range(4)] == [200, 200, 401, 401]


def test_session_and_logout(desk: Desk) -> None:
    body = desk.call("GET", "/osrest/api/session").json()
    assert (body["username"], type(body["userid"]), type(body["groups"])) == ("disposal", int, list)
    assert body["sessionGuid"]
    assert desk.call("GET", "/osrest/api/session/logout").status_code == 204
    assert desk.get("100").status_code == 401


def test_info(desk: Desk) -> None:
    assert desk.call("GET", "/api/dms/info").json()["version"] == "6.2.1"
    desk.part.turn({"version": "5.2.2"})
    assert desk.call("GET", "/api/dms/info").json()["version"] == "5.2.2"
    desk.part.turn({"info": "no_version"})
    assert "version" not in desk.call("GET", "/api/dms/info").json()
    desk.part.turn({"info": "404"})
    assert desk.call("GET", "/api/dms/info").status_code == 404


# What a wrong client would send


def test_unknown_parameters_are_refused(desk: Desk) -> None:
    for method, path in CALLS:
        assert desk.call(method, path, params={"harddelete": "true"}, json={}).status_code == 400, path
    assert [entry.effects for entry in desk.server.stage.log] == [[]] * len(CALLS)


@pytest.mark.parametrize("object_id", ["abc", "10x", "-1", "1.0", "%20", "２"])
def test_ids_are_digits(desk: Desk, object_id: str) -> None:
    assert desk.get(object_id).status_code == 400
    assert desk.delete(object_id).status_code == 400
    assert desk.delete("100", location=object_id).status_code == 400
    assert desk.delete("100", objectTypeId=object_id).status_code == 400
    assert desk.part.state()["live"] == ["10", "11", "100", "101"]


@pytest.mark.parametrize("value", ["True", "1", "", "yes"])
def test_booleans_are_true_or_false(desk: Desk, value: str) -> None:
    assert desk.delete("100", hardDelete=value).status_code == 400
    assert desk.delete("100", cascadeDelete=value).status_code == 400
    assert desk.get("100", includePermissions=value).status_code == 400
    assert desk.get("100", includeContentStreams=value).status_code == 400
    assert desk.get("100", followDocLink=value).status_code == 400
    assert desk.effects("recycled") == []


@pytest.mark.parametrize("path", ["/api/dms/objects/search", "/api/dms/objects/100/history"])
def test_a_post_is_a_json_object(desk: Desk, path: str) -> None:
    assert desk.call("POST", path, data='{"action": 470}').status_code == 415
    assert desk.call("POST", path, data={"action": "470"}).status_code == 415
    assert desk.call("POST", path, json=[1]).status_code == 400
    json_type = {"Content-Type": "application/json; charset=utf-8"}
    assert desk.call("POST", path, data="{", headers=json_type).status_code == 400


# Reading


def test_get(desk: Desk) -> None:
    body = desk.get("100").json()
    assert {name: body[name] for name in ("numItems", "hasMoreItems", "totalNumItems")} == {
        "numItems": 1, "hasMoreItems": False, "totalNumItems": 1,
    }  # fmt: skip
    row = body["objects"][0]
    assert row["permissions"] == {"delete": ["metadata", "object"]}
    values = {name: item["value"] for name, item in row["properties"].items()}
    assert values.pop("system:objectTypeId").isdigit()
    assert values == {
        "system:objectId": "100",
        "system:baseTypeId": "DOCUMENT",
        "system:lastModificationDate": "2020-12-08T18:33:14+01:00",
        "Title": "Bill",
        "Disposal": "",
    }
    assert "Disposal" not in desk.get("101").json()["objects"][0]["properties"]
    assert "permissions" not in desk.get("100", includePermissions="false").json()["objects"][0]


@pytest.mark.parametrize(("version", "named"), [("6.2.1", False), ("6.5.0", True)])
def test_local_name_since_6_3_1(desk: Desk, version: str, named: bool) -> None:
    desk.part.turn({"version": version})
    assert ("localName" in desk.get("100").json()["objects"][0]["properties"]["system:objectTypeId"]) is named


@pytest.mark.parametrize(
    ("flag", "query", "status"),
    [
        ("garbadeMode", {"garbadeMode": "true"}, 200),
        ("garbadeMode", {"garbadeMode": "false"}, 404),
        ("garbadeMode", {"garbageMode": "1"}, 404),
        ("garbadeMode", {"garbadeMode": "true", "garbageMode": "1"}, 200),
        ("garbageMode", {"garbageMode": "1"}, 200),
        ("garbageMode", {"garbageMode": "0"}, 404),
        ("garbageMode", {"garbageMode": "true"}, 400),
        ("garbageMode", {"garbadeMode": "true"}, 404),
        ("garbageMode", {"garbadeMode": "true", "garbageMode": "1"}, 200),
        ("neither", {"garbadeMode": "true", "garbageMode": "1"}, 404),
        ("garbadeMode", {}, 404),
    ],
)
def test_a_binned_object_shows_only_with_the_real_flag(
    desk: Desk, flag: str, query: dict[str, str], status: int
) -> None:
    desk.part.turn({"bin_flag": flag})
    desk.delete("100")
    assert desk.get("100", **query).status_code == status


def test_a_binned_object_without_the_flag_may_be_a_400(desk: Desk) -> None:
    desk.part.turn({"binned_get": "400"})
    desk.delete("100")
    assert code(desk.get("100")) == (400, 1100)


@pytest.mark.parametrize(("value", "answered"), [("404", (404, 1001)), ("400", (400, 1100))])
def test_what_the_user_cannot_see(desk: Desk, value: str, answered: tuple[int, int]) -> None:
    desk.part.turn({"unreadable": value})
    desk.object("100").no_read = {"disposal"}
    desk.object("101").bin = "somebody else"
    for object_id in ("100", "101"):
        assert code(desk.get(object_id, garbadeMode="true")) == answered
        assert code(desk.delete(object_id, hardDelete="true")) == answered
    assert desk.ids("SELECT Title FROM Invoice") == []
    assert desk.ids("SELECT Title FROM Invoice", handleDeletedDocuments="DELETED_DOCUMENTS_ONLY") == []
    assert desk.effects("destroyed") == []


@pytest.mark.parametrize("form", ["serviceErrorCode", "errorCode", "code"])
def test_error_bodies_in_json(desk: Desk, form: str) -> None:
    desk.part.turn({"error_body": form})
    body = desk.get("999").json()
    assert body[form] == 1001
    assert body["error" if form == "code" else "message"]
    assert form not in desk.get("abc").json()


@pytest.mark.parametrize(
    ("form", "content_type", "part"),
    [("text", "text/plain", "1001 "), ("html", "text/html", "<html>"), ("empty", None, "")],
)
def test_other_error_bodies(desk: Desk, form: str, content_type: str | None, part: str) -> None:
    desk.part.turn({"error_body": form})
    answer = desk.get("999")
    assert answer.status_code == 404
    assert answer.text.startswith(part)
    assert bool(answer.text) is bool(part)
    assert (answer.headers.get("Content-Type") or "").split(";")[0] == (content_type or "")


def test_history_outlives_the_object(desk: Desk) -> None:
    path = "/api/dms/objects/100/history"
    assert desk.call("POST", path, json={"action": 470, "text": "due"}).status_code == 204
    assert desk.effects("noted") == ["100"]
    for action in (469, None, "470", [470]):
        assert desk.call("POST", path, json={"action": action}).status_code == 400
    desk.delete("100", hardDelete="true")
    assert desk.part.state()["history"] == {"100": [{"action": 470, "text": "due"}]}
    assert code(desk.call("POST", path, json={"action": 471})) == (404, 1001)
    desk.part.turn({"version": "3.2.4"})
    assert desk.call("POST", "/api/dms/objects/101/history", json={"action": 471}).status_code == 404


# The seed


def item(target_id: str, trouble: str = "", system: str = "enaio", folder: str = "500") -> Item:
    return Item(
        key=f"key-{target_id}", title=f"Bill {target_id}", classification="Finance", created="2014-01-01 00:00:00",
        modified="2014-02-03 04:05:06", author="Ada", due="2024-01-01T00:00:00", connector_id="c", system=system,
        target_id=target_id, folder_id=folder, folder_path="/Closed/2014", object_type="Invoice", trouble=trouble,
    )  # fmt: skip


def test_load_and_its_troubles(desk: Desk) -> None:
    desk.part.load([
        item("600"), item("601", "no_right"), item("602", "workflow"), item("603", "locked"), item("604", "gone"),
        item("605", "held"), item("606", system="unifier"), item("607", "gone", folder="501"),
    ])  # fmt: skip
    live = desk.part.state()["live"]
    assert [name for name in live if name >= "500"] == ["500", "600", "601", "602", "603", "605", "501"]
    assert desk.object("500").fields == {"Title": "/Closed/2014"}
    assert desk.object("600").fields == {"Title": "Bill 600", "Author": "Ada", "Disposal": ""}
    assert desk.object("600").modified == "2014-02-03T04:05:06+00:00"
    answers = {name: desk.delete(name, hardDelete="true").status_code for name in ("600", "601", "602", "603", "604")}
    assert answers == {"600": 204, "601": 400, "602": 400, "603": 400, "604": 404}
    assert desk.effects("destroyed") == ["600"]


def test_set_field(desk: Desk) -> None:
    desk.part.set_field("101", "Disposal", "approved")
    desk.part.set_field("101", "Remark", "new")
    assert desk.get("101").json()["objects"][0]["properties"]["Disposal"] == {"value": "approved"}
    assert desk.ids("SELECT Title FROM Invoice WHERE Disposal = 'approved' AND Remark = 'new'") == ["101"]
    with pytest.raises(ValueError, match="no object 999"):
        desk.part.set_field("999", "Disposal", "approved")


def test_the_control_page_shows_state_and_switches(desk: Desk) -> None:
    state = requests.get(f"{desk.server.url}/_sandbox/state", timeout=10).json()["enaio"]
    assert state["live"] == ["10", "11", "100", "101"]
    changed = requests.put(f"{desk.server.url}/_sandbox/switches", json={"enaio": {"lock": "500"}}, timeout=10)
    assert changed.json()["enaio"]["lock"]["value"] == "500"
    for wrong in ({"lock": "418"}, {"look": "500"}):
        answer = requests.put(f"{desk.server.url}/_sandbox/switches", json={"enaio": wrong}, timeout=10)
        assert answer.status_code == 400
