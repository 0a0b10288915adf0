"""The sandbox's enaio over HTTP: who gets in, what is refused, what is read, what is seeded."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_records.sandbox.seed import Item
from tests.conftest import Serve
from tests.sandbox.enaio_factory import LOGIN, ServedEnaio, code

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
def served(serve: Serve) -> ServedEnaio:
    return ServedEnaio(serve)


# The gateway


@pytest.mark.parametrize("auth", [None, ("disposal", "wrong"), ("other", LOGIN[1])])
def test_every_call_needs_credentials(served: ServedEnaio, auth: tuple[str, str] | None) -> None:
    served.session.auth = auth
    for method, path in CALLS:
        answer = served.call(method, path)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert "Set-Cookie" not in answer.headers
    assert [entry.effects for entry in served.server.sandbox.log] == [[]] * len(CALLS)


def test_a_header_that_is_no_basic_is_refused(served: ServedEnaio) -> None:
    served.session.auth = None
    for header in ("Basic", "Basic !!", "Basic /w==", "Bearer abc"):
        assert served.call("GET", "/api/dms/info", headers={"Authorization": header}).status_code == 401


def test_login_filter_redirect_and_html(served: ServedEnaio) -> None:
    served.session.auth = None
    served.fake.turn({"login_filter": "redirect"})
    answer = served.delete("100")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/enaio/login")
    served.fake.turn({"login_filter": "html"})
    answer = served.delete("100")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html"
    assert "100" in served.archive.objects


def test_a_session_cookie_replaces_basic(served: ServedEnaio) -> None:
    first = served.get("100")
    assert first.cookies["JSESSIONID"]
    served.session.auth = None
    second = served.get("100")
    assert second.status_code == 200
    assert "Set-Cookie" not in second.headers
    assert served.fake.logins == 1


def test_an_error_sets_the_cookie_too(served: ServedEnaio) -> None:
    assert served.get("999").cookies["JSESSIONID"]


@pytest.mark.parametrize("status", ["401", "403"])
def test_an_expired_cookie_is_refused_even_with_basic(served: ServedEnaio, status: str) -> None:
    served.fake.turn({"expired_cookie": status})
    served.get("100")
    served.fake.expire_sessions()
    assert served.get("100").status_code == int(status)
    served.session.cookies.clear()
    assert served.get("100").status_code == 200


def test_a_cookie_is_good_for_so_many_requests(served: ServedEnaio) -> None:
    served.fake.turn({"session_requests": 2})
    assert [served.get("100").status_code for _ in range(4)] == [200, 200, 401, 401]


def test_session_and_logout(served: ServedEnaio) -> None:
    body = served.call("GET", "/osrest/api/session").json()
    assert (body["username"], type(body["userid"]), type(body["groups"])) == ("disposal", int, list)
    assert body["sessionGuid"]
    assert served.call("GET", "/osrest/api/session/logout").status_code == 204
    assert served.get("100").status_code == 401


def test_info(served: ServedEnaio) -> None:
    assert served.call("GET", "/api/dms/info").json()["version"] == "6.2.1"
    served.fake.turn({"version": "5.2.2"})
    assert served.call("GET", "/api/dms/info").json()["version"] == "5.2.2"
    served.fake.turn({"info": "no_version"})
    assert "version" not in served.call("GET", "/api/dms/info").json()
    served.fake.turn({"info": "404"})
    assert served.call("GET", "/api/dms/info").status_code == 404


# What a wrong client would send


def test_unknown_parameters_are_refused(served: ServedEnaio) -> None:
    for method, path in CALLS:
        assert served.call(method, path, params={"harddelete": "true"}, json={}).status_code == 400, path
    assert [entry.effects for entry in served.server.sandbox.log] == [[]] * len(CALLS)


@pytest.mark.parametrize("object_id", ["abc", "10x", "-1", "1.0", "%20", "２"])
def test_ids_are_digits(served: ServedEnaio, object_id: str) -> None:
    assert served.get(object_id).status_code == 400
    assert served.delete(object_id).status_code == 400
    assert served.delete("100", location=object_id).status_code == 400
    assert served.delete("100", objectTypeId=object_id).status_code == 400
    assert served.fake.state()["live"] == ["10", "11", "100", "101"]


@pytest.mark.parametrize("value", ["True", "1", "", "yes"])
def test_booleans_are_true_or_false(served: ServedEnaio, value: str) -> None:
    assert served.delete("100", hardDelete=value).status_code == 400
    assert served.delete("100", cascadeDelete=value).status_code == 400
    assert served.get("100", includePermissions=value).status_code == 400
    assert served.get("100", includeContentStreams=value).status_code == 400
    assert served.get("100", followDocLink=value).status_code == 400
    assert served.effects("recycled") == []


@pytest.mark.parametrize("path", ["/api/dms/objects/search", "/api/dms/objects/100/history"])
def test_a_post_is_a_json_object(served: ServedEnaio, path: str) -> None:
    assert served.call("POST", path, data='{"action": 470}').status_code == 415
    assert served.call("POST", path, data={"action": "470"}).status_code == 415
    assert served.call("POST", path, json=[1]).status_code == 400
    json_type = {"Content-Type": "application/json; charset=utf-8"}
    assert served.call("POST", path, data="{", headers=json_type).status_code == 400


# Reading


def test_get(served: ServedEnaio) -> None:
    body = served.get("100").json()
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
    assert "Disposal" not in served.get("101").json()["objects"][0]["properties"]
    assert "permissions" not in served.get("100", includePermissions="false").json()["objects"][0]


@pytest.mark.parametrize(("version", "named"), [("6.2.1", False), ("6.5.0", True)])
def test_local_name_since_6_3_1(served: ServedEnaio, version: str, named: bool) -> None:
    served.fake.turn({"version": version})
    assert ("localName" in served.get("100").json()["objects"][0]["properties"]["system:objectTypeId"]) is named


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
    served: ServedEnaio, flag: str, query: dict[str, str], status: int
) -> None:
    served.fake.turn({"bin_flag": flag})
    served.delete("100")
    assert served.get("100", **query).status_code == status


def test_a_binned_object_without_the_flag_may_be_a_400(served: ServedEnaio) -> None:
    served.fake.turn({"binned_get": "400"})
    served.delete("100")
    assert code(served.get("100")) == (400, 1100)


@pytest.mark.parametrize(("value", "answered"), [("404", (404, 1001)), ("400", (400, 1100))])
def test_what_the_user_cannot_see(served: ServedEnaio, value: str, answered: tuple[int, int]) -> None:
    served.fake.turn({"unreadable": value})
    served.object("100").no_read = {"disposal"}
    served.object("101").bin = "somebody else"
    for object_id in ("100", "101"):
        assert code(served.get(object_id, garbadeMode="true")) == answered
        assert code(served.delete(object_id, hardDelete="true")) == answered
    assert served.ids("SELECT Title FROM Invoice") == []
    assert served.ids("SELECT Title FROM Invoice", handleDeletedDocuments="DELETED_DOCUMENTS_ONLY") == []
    assert served.effects("destroyed") == []


@pytest.mark.parametrize("form", ["serviceErrorCode", "errorCode", "code"])
def test_error_bodies_in_json(served: ServedEnaio, form: str) -> None:
    served.fake.turn({"error_body": form})
    body = served.get("999").json()
    assert body[form] == 1001
    assert body["error" if form == "code" else "message"]
    assert form not in served.get("abc").json()


@pytest.mark.parametrize(
    ("form", "content_type", "part"),
    [("text", "text/plain", "1001 "), ("html", "text/html", "<html>"), ("empty", None, "")],
)
def test_other_error_bodies(served: ServedEnaio, form: str, content_type: str | None, part: str) -> None:
    served.fake.turn({"error_body": form})
    answer = served.get("999")
    assert answer.status_code == 404
    assert answer.text.startswith(part)
    assert bool(answer.text) is bool(part)
    assert (answer.headers.get("Content-Type") or "").split(";")[0] == (content_type or "")


def test_history_outlives_the_object(served: ServedEnaio) -> None:
    path = "/api/dms/objects/100/history"
    assert served.call("POST", path, json={"action": 470, "text": "due"}).status_code == 204
    assert served.effects("noted") == ["100"]
    for action in (469, None, "470", [470]):
        assert served.call("POST", path, json={"action": action}).status_code == 400
    served.delete("100", hardDelete="true")
    assert served.fake.state()["history"] == {"100": [{"action": 470, "text": "due"}]}
    assert code(served.call("POST", path, json={"action": 471})) == (404, 1001)
    served.fake.turn({"version": "3.2.4"})
    assert served.call("POST", "/api/dms/objects/101/history", json={"action": 471}).status_code == 404


# The seed


def item(target_id: str, trouble: str = "", system: str = "enaio", folder: str = "500") -> Item:
    return Item(
        key=f"key-{target_id}", title=f"Bill {target_id}", classification="Finance", created="2014-01-01 00:00:00",
        modified="2014-02-03 04:05:06", author="Ada", due="2024-01-01T00:00:00", connector_id="c", system=system,
        target_id=target_id, folder_id=folder, folder_path="/Closed/2014", object_type="Invoice", trouble=trouble,
    )  # fmt: skip


def test_load_and_its_troubles(served: ServedEnaio) -> None:
    served.fake.load([
        item("600"), item("601", "no_right"), item("602", "workflow"), item("603", "locked"), item("604", "gone"),
        item("605", "held"), item("606", system="unifier"), item("607", "gone", folder="501"),
    ])  # fmt: skip
    live = served.fake.state()["live"]
    assert [name for name in live if name >= "500"] == ["500", "600", "601", "602", "603", "605", "501"]
    assert served.object("500").fields == {"Title": "/Closed/2014"}
    assert served.object("600").fields == {
        "Title": "Bill 600", "Author": "Ada", "Disposal": "", "RetentionEnd": "2024-01-01",
    }  # fmt: skip
    assert served.object("600").modified == "2014-02-03T04:05:06+00:00"
    answers = {name: served.delete(name, hardDelete="true").status_code for name in ("600", "601", "602", "603", "604")}
    assert answers == {"600": 204, "601": 400, "602": 400, "603": 400, "604": 404}
    assert served.effects("destroyed") == ["600"]


def test_another_archive_behind_the_address_has_other_objects_under_the_same_ids(served: ServedEnaio) -> None:
    served.fake.load([item("600"), item("604", "gone")])
    served.fake.turn({"tenant": "second"})
    assert served.get("600").json()["objects"][0]["properties"]["Title"] == {"value": "Not ours: Bill 600"}
    assert served.get("604").status_code == 404
    assert served.delete("600", hardDelete="true").status_code == 204
    served.fake.turn({"tenant": "first"})
    assert served.get("600").json()["objects"][0]["properties"]["Title"] == {"value": "Bill 600"}
    served.fake.turn({"tenant": "second"})
    assert served.get("600").status_code == 404, "what was deleted there stays so"


def test_set_field(served: ServedEnaio) -> None:
    served.fake.set_field("101", "Disposal", "approved")
    served.fake.set_field("101", "Remark", "new")
    assert served.get("101").json()["objects"][0]["properties"]["Disposal"] == {"value": "approved"}
    assert served.ids("SELECT Title FROM Invoice WHERE Disposal = 'approved' AND Remark = 'new'") == ["101"]
    with pytest.raises(ValueError, match="no object 999"):
        served.fake.set_field("999", "Disposal", "approved")


def test_the_control_page_shows_state_and_switches(served: ServedEnaio) -> None:
    state = requests.get(f"{served.server.url}/_sandbox/state", timeout=60).json()["enaio"]
    assert state["live"] == ["10", "11", "100", "101"]
    changed = requests.put(f"{served.server.url}/_sandbox/switches", json={"enaio": {"lock": "500"}}, timeout=60)
    assert changed.json()["enaio"]["lock"]["value"] == "500"
    for wrong in ({"lock": "418"}, {"look": "500"}):
        answer = requests.put(f"{served.server.url}/_sandbox/switches", json={"enaio": wrong}, timeout=60)
        assert answer.status_code == 400
