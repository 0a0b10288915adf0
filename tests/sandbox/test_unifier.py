"""The stand-in for Unifier, over HTTP with plain requests: every call, every switch value, every refusal."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from airflow_provider_records.sandbox.core import Fault, Server
from airflow_provider_records.sandbox.seed import Item
from airflow_provider_records.sandbox.unifier import Folder, UnifierPart
from tests.conftest import Serve

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
P1, P2 = "P-0001", "2020#7/b"


def item(target_id: int, *, folder_id: int = 540, path: str = "/Closed/2014", **more: str) -> Item:
    values = {"title": f"Plan {target_id}.pdf", "project": P1, "system": "unifier", **more}
    return Item(
        key=f"row-{target_id}", classification="Projects", created="2018-02-13 12:45:00", modified="", author="",
        due="", connector_id="", target_id=str(target_id), folder_id=str(folder_id), folder_path=path, **values,
    )  # fmt: skip


SEED = [
    item(555),
    item(556),
    item(557, trouble="linked"),
    item(558, trouble="locked"),
    item(559, trouble="gone"),
    item(560),
    item(570, folder_id=541, path="/Closed/2014/Drafts"),
    item(580, folder_id=542, path="/Closed", project=P2),
    item(590, folder_id=543, path="/", project=""),
    item(999, system="enaio"),
]


@dataclass
class Client:
    part: UnifierPart
    server: Server
    token: str = ""

    @property
    def base(self) -> str:
        return f"{self.server.url}/unifier/ws/rest/service"

    def login(self, path: str = "/v1/login", *, oauth: bool = False, **query: str) -> requests.Response:
        user = self.part.oauth_user if oauth else self.part.user
        return requests.get(self.base + path, auth=(user, self.part.password), params=query, timeout=5)

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        if not self.token:
            self.token = self.login().json()["token"]
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return requests.request(
            method, self.base + "/v1" + path, headers=headers, timeout=5, allow_redirects=False, **more
        )

    def delete(self, node_id: object, **more: Any) -> requests.Response:
        return self.call("POST", f"/dm/document/delete/{node_id}", headers=FORM, **more)

    def ids(self, path: str = "", **query: str) -> list[int]:
        answer = self.call("GET", f"/dm/node/properties{path}", params=query).json()
        assert answer["status"] == 200
        return [node["node_id"] for node in answer["data"]]

    def record(self, path: str, **asked: str) -> Any:
        return self.call("GET", path, params={"input": json.dumps(asked)}).json()

    def effects(self) -> list[dict[str, Any]]:
        return [effect for entry in self.server.stage.log for effect in entry.effects]

    def recycled(self) -> set[str]:
        return set(self.part.state()["recycled"])


@pytest.fixture
def client(serve: Serve) -> Client:
    part = UnifierPart()
    part.load(SEED)
    return Client(part, serve(part))


# Tokens


def test_login_is_flat(client: Client) -> None:
    answer = client.login()
    assert answer.status_code == 200
    assert set(answer.json()) == {"token", "status", "expiryDate", "expiryTime", "Timezone"}
    assert answer.json()["status"] == 200


def test_token_v2_of_both_users(client: Client) -> None:
    basic = client.login("/v2/auth/token").json()
    assert basic["data"]["auth_type"] == "Basic"
    assert basic["data"]["expires_in"] == 180 * 86400
    assert {"expiryDate", "expiryTime", "Timezone"} <= set(basic["data"])
    assert (basic["message"], basic["status"]) == ([], 200)
    oauth = client.login("/v2/auth/token", oauth=True).json()["data"]
    assert set(oauth) == {"access_token", "expires_in", "token_type", "auth_type"}
    assert (oauth["expires_in"], oauth["token_type"], oauth["auth_type"]) == (3600, "Bearer", "oAuth")


def test_every_token_opens_calls(client: Client) -> None:
    tokens = [
        client.login().json()["token"],
        client.login("/v2/auth/token").json()["data"]["access_token"],
        client.login("/v2/auth/token", oauth=True).json()["data"]["access_token"],
        client.login("/v1/oauth/token", oauth=True).json()["access_token"],
    ]
    assert len(set(tokens)) == 4
    for client.token in tokens:
        assert client.call("GET", "/admin/projectshell").status_code == 200


def test_oauth_expiry_is_asked_in_seconds(client: Client) -> None:
    assert client.login("/v2/auth/token", oauth=True, expiry="60").json()["data"]["expires_in"] == 60
    refused = client.login("/v2/auth/token", oauth=True, expiry="soon")
    assert (refused.status_code, refused.json()["message"]) == (400, "Invalid expiry.")
    assert client.login("/v2/auth/token", expiry="60").status_code == 400


@pytest.mark.parametrize("path", ["/v1/login", "/v2/auth/token", "/v1/oauth/token"])
def test_wrong_credentials_are_refused(client: Client, path: str) -> None:
    url, right = client.base + path, (client.part.user, client.part.password)
    assert requests.get(url, timeout=5).status_code == 401
    assert requests.get(url, auth=(right[0], "wrong"), timeout=5).status_code == 401
    assert requests.get(url, auth=("somebody", right[1]), timeout=5).status_code == 401
    assert requests.get(url, headers={"Authorization": "Basic ***"}, timeout=5).status_code == 401
    assert requests.get(url, headers={"Authorization": f"Bearer {right[1]}"}, timeout=5).status_code == 401
    client.part.tokens.disabled = {client.part.user, client.part.oauth_user}
    assert client.login(path).status_code == 401
    assert client.login(path, oauth=True).status_code == 401
    assert not client.part.tokens.issued


def test_each_user_has_its_call(client: Client) -> None:
    assert client.login("/v1/login", oauth=True).status_code == 401
    assert client.login("/v1/oauth/token").status_code == 401


@pytest.mark.parametrize("path", ["/v1/login", "/v2/auth/token", "/v1/oauth/token"])
def test_token_calls_are_get_only_and_log_no_body(client: Client, path: str) -> None:
    user = (client.part.oauth_user, client.part.password)
    answer = requests.post(client.base + path, auth=user, data={"password": user[1]}, timeout=5)
    assert answer.status_code == 405
    assert client.server.stage.log[-1].request == ""
    assert client.server.stage.log[-1].call in {"login", "token_v2", "oauth_token"}


def test_calls_need_a_bearer_token(client: Client) -> None:
    url, token = f"{client.base}/v1/admin/projectshell", client.login().json()["token"]
    for value in ("", f"Basic {token}", f"bearer {token}", "Bearer ", f"Bearer {token}x"):
        answer = requests.get(url, headers={"Authorization": value}, timeout=5)
        assert (answer.status_code, answer.text) == (401, "Unauthorized"), value
    assert requests.get(url, auth=(client.part.user, client.part.password), timeout=5).status_code == 401
    assert requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=5).status_code == 200


def test_token_ends(client: Client) -> None:
    client.part.turn({"token_lifetime": 0.0, "oauth_lifetime": 7200})
    assert client.call("GET", "/admin/projectshell").status_code == 401
    oauth = client.login("/v2/auth/token", oauth=True).json()["data"]
    assert oauth["expires_in"] == 7200
    client.token = oauth["access_token"]
    assert client.call("GET", "/admin/projectshell").status_code == 200
    client.part.tokens.issued.clear()
    assert client.call("GET", "/admin/projectshell").status_code == 401


def test_disabled_user_loses_the_token(client: Client) -> None:
    assert client.call("GET", "/admin/projectshell").status_code == 200
    client.part.tokens.disabled.add(client.part.user)
    assert client.call("GET", "/admin/projectshell").status_code == 401


@pytest.mark.parametrize(("one_token", "status"), [(False, 200), (True, 401)])
def test_one_token_or_many_per_user(client: Client, one_token: bool, status: int) -> None:
    client.part.turn({"one_token": one_token})
    client.token = client.login().json()["token"]
    client.login("/v1/oauth/token", oauth=True)
    assert client.call("GET", "/admin/projectshell").status_code == 200
    client.login()
    assert client.call("GET", "/admin/projectshell").status_code == status


@pytest.mark.parametrize("path", ["/v2/auth/token", "/v1/oauth/token"])
def test_tenant_headers_are_given_and_demanded(client: Client, path: str) -> None:
    client.part.turn({"tenant_headers": True})
    answer = client.login(path, oauth=True).json()
    told = answer.get("data", answer)
    client.token = told.get("access_token") or told["token"]
    assert told["endpoint"] == f"{client.server.url}/unifier"
    assert isinstance(told.get("expire", ""), str)
    headers = told["request_headers"]
    assert set(headers) == {"x-unifier-tenant-code", "x-unifier-tenant"}
    assert client.call("GET", "/admin/projectshell").status_code == 401
    wrong = {**headers, "x-unifier-tenant": "other"}
    assert client.call("GET", "/admin/projectshell", headers=wrong).status_code == 401
    assert client.call("GET", "/admin/projectshell", headers=headers).status_code == 200


# Delete


def test_delete_moves_to_the_bin(client: Client) -> None:
    answer = client.delete(555)
    assert answer.status_code == 200
    body = answer.json()
    assert isinstance(body.pop("rest_audit_id"), int)
    text = "Folder/File successfully deleted. Please check in Recycle bin."
    assert body == {"data": [], "message": [{"message": text}], "status": 200}
    assert client.server.stage.effects("unifier", "recycled") == ["555"]
    assert client.recycled() == {"555"}
    assert "555" not in client.part.state()["live"]
    assert 555 not in client.ids("/540")


@pytest.mark.parametrize(("node_id", "code"), [(557, 12766), (558, 12767), (559, 12764), (123456, 12764), (540, 12764)])
def test_delete_is_refused_by_a_code_under_http_200(client: Client, node_id: int, code: int) -> None:
    answer = client.delete(node_id)
    assert (answer.status_code, answer.json()["status"], answer.json()["data"]) == (200, code, [])
    assert answer.json()["message"][0]["message"]
    assert client.effects() == []


@pytest.mark.parametrize("status", ["Inactive", "View-Only", "On-Hold"])
def test_shell_that_is_not_active_blocks(client: Client, status: str) -> None:
    client.part.shells[P1] = status
    assert client.delete(555).json()["status"] == 1245
    assert client.delete(580).json()["status"] == 200
    assert client.delete(590).json()["status"] == 200


def test_document_of_an_unknown_shell(client: Client) -> None:
    del client.part.shells[P1]
    assert client.delete(555).json()["status"] == 602


def test_attached_document_is_linked(client: Client) -> None:
    client.part.open_request(P1, "DR-0007")
    client.part.records[P1, "Disposal Request", "DR-0007"].attachments.append(555)
    assert client.delete(555).json()["status"] == 12766
    assert client.part.state()["live"]["555"]["linked"] is True


def test_hidden_link_shows_in_no_read(client: Client) -> None:
    linked = client.call("GET", "/dm/node/properties/540").json()["data"]
    keys = {node["node_id"]: set(node) for node in linked if node["type"] == "Document"}
    assert keys[557] == keys[555]


def test_file_id_hits_another_document(client: Client) -> None:
    nodes = client.call("GET", "/dm/node/properties/540", params={"nodetype": "Document"}).json()["data"]
    node = next(node for node in nodes if node["node_id"] == 555)
    assert node["file_id"] == 556
    assert client.delete(node["file_id"]).json()["status"] == 200
    assert client.server.stage.effects("unifier", "recycled") == ["556"]


def test_file_ids_never_cover_the_same_set(client: Client) -> None:
    documents = client.part.documents
    assert {item.file_id for item in documents.values()} != set(documents)
    assert all(item.file_id != item.node_id for item in documents.values())


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
    assert client.server.stage.log[-1].call == "delete_document"
    assert client.effects() == []


def test_delete_without_token_has_no_effect(client: Client) -> None:
    answer = requests.post(f"{client.base}/v1/dm/document/delete/555", headers=FORM, timeout=5)
    assert answer.status_code == 401
    assert client.effects() == []


def test_folder_delete_takes_all_inside_along(client: Client) -> None:
    answer = client.call("POST", "/dm/folder/delete/540", headers=FORM)
    assert answer.json()["status"] == 200
    assert client.effects()[0] == {"effect": "folder_delete_used", "id": 540}
    assert client.server.stage.effects("unifier", "recycled") == ["555", "556", "557", "558", "560", "570"]
    assert client.server.stage.effects("unifier", "folder_recycled") == ["540", "541"]
    assert client.delete(555).json()["status"] == 12764
    again = client.call("POST", "/dm/folder/delete/540", headers=FORM)
    assert again.json()["status"] == 12764
    assert client.server.stage.effects("unifier", "folder_delete_used") == ["540", "540"]


def test_folder_delete_leaves_out_what_is_in_the_bin(client: Client) -> None:
    client.delete(555)
    client.call("POST", "/dm/folder/delete/541", headers=FORM)
    client.call("POST", "/dm/folder/delete/540", headers=FORM)
    assert client.server.stage.effects("unifier", "recycled") == ["555", "570", "556", "557", "558", "560"]
    assert client.server.stage.effects("unifier", "folder_recycled") == ["541", "540"]


# Switches of the answers


@pytest.mark.parametrize("http_status", [200, 400, 404])
def test_error_http(client: Client, http_status: int) -> None:
    client.part.turn({"error_http": http_status})
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
    client.part.turn({"message": shape})
    text = "Folder/File successfully deleted. Please check in Recycle bin."
    assert client.delete(555).json()["message"] == json.loads(json.dumps(done).replace("TEXT", text))
    assert client.call("GET", "/admin/projectshell").json()["message"] == read


def test_wrapped_envelope(client: Client) -> None:
    client.part.turn({"wrapped": True})
    body = client.delete(555).json()
    assert isinstance(body, list)
    assert [part["status"] for part in body] == [200]


@pytest.mark.parametrize(("kind", "status"), [("number", 200), ("text", "200")])
def test_status_type(client: Client, kind: str, status: object) -> None:
    client.part.turn({"status": kind})
    assert client.delete(555).json()["status"] == status


@pytest.mark.parametrize("place", ["top", "message", "none"])
def test_rest_audit_id(client: Client, place: str) -> None:
    client.part.turn({"rest_audit_id": place})
    for node_id in (555, 557):
        body = client.delete(node_id).json()
        assert ("rest_audit_id" in body) == (place == "top")
        assert ("rest_audit_id" in body["message"][0]) == (place == "message")
    client.part.turn({"rest_audit_id": "top"})
    assert client.delete(556).json()["rest_audit_id"] != client.delete(560).json()["rest_audit_id"]


@pytest.mark.parametrize("second", [12764, 200])
def test_second_delete(client: Client, second: int) -> None:
    client.part.turn({"second_delete": second})
    assert [client.delete(555).json()["status"] for _ in range(2)] == [200, second]
    assert client.server.stage.effects("unifier", "recycled") == ["555"]


def test_folder_id_accepted(client: Client) -> None:
    client.part.turn({"folder_id_accepted": True})
    assert client.delete(541).json()["status"] == 200
    assert client.server.stage.effects("unifier", "recycled") == ["570"]
    assert client.delete(541).json()["status"] == 12764


@pytest.mark.parametrize("listed", [False, True])
def test_binned_listed(client: Client, listed: bool) -> None:
    client.part.turn({"binned_listed": listed})
    client.delete(555)
    assert (555 in client.ids("/540")) is listed


@pytest.mark.parametrize("status", [404, 405])
def test_edition_without_the_delete_call(client: Client, status: int) -> None:
    client.part.turn({"delete_call": str(status)})
    answer = client.delete(555)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html")
    assert client.effects() == []


def test_shell_goes_on_hold_mid_run(client: Client) -> None:
    client.part.turn({"hold_after": 2})
    assert [client.delete(node).json()["status"] for node in (555, 556, 560, 580)] == [200, 200, 1245, 200]
    assert client.server.stage.effects("unifier", "on_hold") == [P1]
    client.part.shells[P1] = "Active"
    assert client.delete(560).json()["status"] == 200


def test_link_is_made_mid_run(client: Client) -> None:
    client.part.turn({"link_after": 1})
    assert [client.delete(node).json()["status"] for node in (555, 556, 560)] == [200, 12766, 200]
    assert client.server.stage.effects("unifier", "linked") == ["556"]


# Listing


def test_list_by_path(client: Client) -> None:
    query = {"projectnumber": P1, "parentpath": "/Closed/2014", "nodetype": "Document"}
    body = client.call("GET", "/dm/node/properties", params=query).json()
    assert (body["message"], body["status"]) == ([], 200)
    assert body["data"][0] == {
        "node_id": 555, "parent_node_id": 540, "file_id": 556, "node_path": "/Closed/2014/Plan 555.pdf",
        "type": "Document", "projectnumber": P1, "Name": "Plan 555.pdf", "Upload Date": "2018/02/13 12:45",
    }  # fmt: skip
    assert [node["node_id"] for node in body["data"]] == [555, 556, 557, 558, 560]


def test_list_by_id_has_other_labels(client: Client) -> None:
    node = client.call("GET", "/dm/node/properties/540", params={"nodetype": "Document"}).json()["data"][0]
    assert (node["file_name"], node["upload_date"]) == ("Plan 555.pdf", "02/13/2018 12:45 PM")
    assert "Name" not in node


def test_list_kinds_and_levels(client: Client) -> None:
    closed = {"projectnumber": P1, "parentpath": "/Closed"}
    assert client.ids(**closed) == [540]
    assert client.ids(**closed, nodetype="Document") == []
    assert client.ids("/540", nodetype="Folder") == [541]
    assert client.ids("/540") == [541, 555, 556, 557, 558, 560]
    top = client.call("GET", "/dm/node/properties", params={"projectnumber": P1, "parentpath": "/"}).json()["data"]
    assert [(node["node_path"], node["type"], node["parent_node_id"]) for node in top] == [("/Closed", "Folder", 0)]
    assert client.ids(parentpath="/") == [590]
    assert client.ids(projectnumber=P2, parentpath="/Closed") == [580]


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/12345", {}, 1074),
        ("/555", {}, 1074),
        ("", {"projectnumber": P1, "parentpath": "/Gone"}, 1074),
        ("", {"projectnumber": "P-9", "parentpath": "/Closed"}, 602),
    ],
)
def test_list_what_is_not_there(client: Client, path: str, query: dict[str, str], status: int) -> None:
    body = client.call("GET", f"/dm/node/properties{path}", params=query).json()
    assert (body["status"], body["data"]) == (status, [])


def test_list_binned_folder(client: Client) -> None:
    client.call("POST", "/dm/folder/delete/541", headers=FORM)
    client.part.turn({"missing_folder": 12764})
    assert client.call("GET", "/dm/node/properties/541").json()["status"] == 12764
    assert client.ids("/540", nodetype="Folder") == []


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


@pytest.mark.parametrize(
    ("labels", "keys"), [("Name", {"Name"}), ("file_name", {"file_name"}), ("neither", set()), ("by_form", {"Name"})]
)
def test_labels(client: Client, labels: str, keys: set[str]) -> None:
    client.part.turn({"labels": labels})
    query = {"projectnumber": P1, "parentpath": "/Closed/2014"}
    for node in client.call("GET", "/dm/node/properties", params=query).json()["data"]:
        assert {"Name", "file_name"} & set(node) == keys


def test_ids_as_text(client: Client) -> None:
    client.part.turn({"node_ids": "text"})
    node = client.call("GET", "/dm/node/properties/540", params={"nodetype": "Document"}).json()["data"][0]
    assert (node["node_id"], node["parent_node_id"], node["file_id"]) == ("555", "540", "556")


# Business processes


@pytest.fixture
def asking(client: Client) -> Client:
    client.part.open_request(P1, "DR-0007", title="Closed 2014", digest="sha256:ab")
    client.part.open_request(P1, "DR-0008", status="Approved")
    client.part.open_request(P2, "DR-0009")
    client.part.open_request("", "DR-0001", bpname="Company Disposal")
    return client


DR7 = {"bpname": "Disposal Request", "record_no": "DR-0007"}


def test_record(asking: Client) -> None:
    expected = {"record_no": "DR-0007", "status": "Pending", "title": "Closed 2014", "disposal_digest": "sha256:ab"}
    for lineitem in ({}, {"lineitem": "no"}, {"lineitem": "yes"}):
        body = asking.record(f"/bp/record/{P1}", **DR7, **lineitem)
        assert body == {"data": [expected], "message": [], "status": 200}
    asking.part.set_status(P1, "Disposal Request", "DR-0007", "Approved")
    assert asking.record(f"/bp/record/{P1}", **DR7)["data"][0]["status"] == "Approved"
    asking.part.open_request(P1, "DR-0007")
    started_over = {"record_no": "DR-0007", "status": "Pending", "title": None, "disposal_digest": None}
    assert asking.record(f"/bp/record/{P1}", **DR7)["data"] == [started_over]
    with pytest.raises(KeyError):
        asking.part.set_status(P1, "Disposal Request", "DR-9999", "Approved")


@pytest.mark.parametrize("path", ["/bp/record", "/bp/record/"])
def test_record_at_company_level(asking: Client, path: str) -> None:
    body = asking.record(path, bpname="Company Disposal", record_no="DR-0001")
    assert [record["record_no"] for record in body["data"]] == ["DR-0001"]
    assert asking.record(path, **DR7)["status"] == 657


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
    raw = http.client.HTTPConnection(asking.server.url.removeprefix("http://"), timeout=5)
    headers = {"Authorization": f"Bearer {asking.token}"}
    raw.request("GET", f"/unifier/ws/rest/service/v1/bp/record/{project}?input=%7B%7D", headers=headers)
    answer = raw.getresponse()
    assert (answer.status, answer.read()) == (400, b"The path is not percent-encoded.")
    raw.close()


@pytest.mark.parametrize(
    ("project", "asked", "status"),
    [
        ("P-9", DR7, 602),
        (P1, {**DR7, "bpname": "disposal request"}, 603),
        (P1, {**DR7, "record_no": "DR-0009"}, 657),
    ],
)
def test_record_that_is_not_there(asking: Client, project: str, asked: dict[str, str], status: int) -> None:
    for path in ("/bp/record", "/bp/record/file/list"):
        body = asking.record(f"{path}/{project}", **asked)
        assert (body["status"], body["data"]) == (status, [])


def test_missing_record_empty(asking: Client) -> None:
    asking.part.turn({"missing_record": "empty"})
    for path in ("/bp/record", "/bp/record/file/list"):
        body = asking.record(f"{path}/{P1}", bpname="Disposal Request", record_no="DR-0099")
        assert (body["status"], body["data"]) == (200, [])


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


def test_interface_lets_only_its_fields_come(asking: Client) -> None:
    asking.part.interfaces["Disposal Request"] = ["record_no", "title", "amount"]
    fields = asking.record(f"/bp/record/{P1}", **DR7)["data"][0]
    assert fields == {"record_no": "DR-0007", "title": "Closed 2014", "amount": None}


def test_status_missing(asking: Client) -> None:
    asking.part.turn({"bp_status_missing": True})
    assert set(asking.record(f"/bp/record/{P1}", **DR7)["data"][0]) == {"record_no", "title", "disposal_digest"}


def test_query_records(asking: Client) -> None:
    def query(project: str = f"/{P1}", **asked: str) -> Any:
        return asking.call("POST", f"/bp/records{project}", json={"bpname": "Disposal Request", **asked}).json()["data"]

    assert [record["record_no"] for record in query()] == ["DR-0007", "DR-0008"]
    chosen = query(lineitem="no", record_fields="status;title", filter_condition="record_no=DR-0007")
    assert chosen == [{"status": "Pending", "title": "Closed 2014"}]
    assert [record["record_no"] for record in query(filter_condition="status=Approved")] == ["DR-0008"]
    assert query(filter_condition="end_date=2020-01-01") == []
    for company in ("", "/"):
        assert [record["record_no"] for record in query(company, bpname="Company Disposal")] == ["DR-0001"]


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


def test_files_of_a_record(asking: Client) -> None:
    assert asking.record(f"/bp/record/file/list/{P1}", **DR7)["data"] == []
    asking.part.records[P1, "Disposal Request", "DR-0007"].attachments.append(555)
    assert asking.record(f"/bp/record/file/list/{P1}", **DR7)["data"] == [{"file_id": 556, "file_name": "Plan 555.pdf"}]
    for path in ("/bp/record/file/list", "/bp/record/file/list/"):
        assert asking.record(path, bpname="Company Disposal", record_no="DR-0001")["data"] == []


def test_shells(client: Client) -> None:
    def shells(condition: str) -> Any:
        options = json.dumps({"filter_condition": condition})
        return client.call("GET", "/admin/projectshell", params={"options": options}).json()["data"]

    client.part.shells[P2] = "Inactive"
    assert shells(f"projectnumber={P1}") == [{"projectnumber": P1, "status": "Active", "type": "Projects"}]
    assert [shell["projectnumber"] for shell in shells("status=Inactive")] == [P2]
    assert shells("projectnumber=P-9") == []
    assert len(client.call("GET", "/admin/projectshell").json()["data"]) == 2
    wrong: list[dict[str, str]] = [{"projectnumber": P1}, {"options": "x"}, {"options": '{"filter_condition": "x=1"}'}]
    for query in wrong:
        assert client.call("GET", "/admin/projectshell", params=query).status_code == 400


# The stage


def test_calls_that_do_not_exist_are_logged(client: Client) -> None:
    for method, path in [("GET", "/dm/document/delete"), ("POST", "/dm/documents/delete/555"), ("GET", "/login/")]:
        assert client.call(method, path).status_code == 404
        assert client.server.stage.log[-1].call == "unknown"
    assert requests.get(f"{client.server.url}/ws/rest/service/v1/login", timeout=5).status_code == 404


def test_queries_are_logged(client: Client) -> None:
    client.ids("/540", nodetype="Document")
    entry = client.server.stage.log[-1]
    assert (entry.call, entry.path) == (
        "list_nodes",
        "/unifier/ws/rest/service/v1/dm/node/properties/540?nodetype=Document",
    )


def test_no_secret_is_logged(client: Client) -> None:
    client.delete(555)
    log = requests.get(f"{client.server.url}/_sandbox/log", timeout=5).text
    assert "delete_document" in log
    assert client.part.password not in log
    assert client.token not in log


def test_faults(client: Client) -> None:
    faults = client.server.stage.faults
    error = {"data": [], "message": [{"message": "Internal error."}], "status": 500}
    faults.append(Fault("unifier", "delete_document", act=False, status=401, body="Unauthorized"))
    faults.append(Fault("unifier", "delete_document", skip=1, act=False, body=error))
    faults.append(Fault("unifier", "delete_document", skip=2, drop=True))
    lost = client.delete(555)
    assert (lost.status_code, lost.text) == (401, "Unauthorized")
    assert client.delete(555).json() == error
    assert client.recycled() == set()
    with pytest.raises(requests.ConnectionError):
        client.delete(555)
    assert client.server.stage.effects("unifier", "recycled") == ["555"]
    assert client.server.stage.log[-1].status == 0


def test_switches_over_http(client: Client) -> None:
    url = f"{client.server.url}/_sandbox/switches"
    assert requests.put(url, json={"unifier": {"second_delete": 200}}, timeout=5).status_code == 200
    assert requests.put(url, json={"unifier": {"labels": "icons"}}, timeout=5).status_code == 400
    assert client.part.set["second_delete"] == 200


def test_state(client: Client) -> None:
    client.part.open_request(P1, "DR-0007", digest="sha256:ab")
    client.delete(555)
    state = requests.get(f"{client.server.url}/_sandbox/state", timeout=5).json()["unifier"]
    assert set(state["live"]) == {"556", "557", "558", "560", "570", "580", "590"}
    assert set(state["recycled"]) == {"555"}
    assert state["shells"] == {P1: "Active", P2: "Active"}
    assert state["bp_records"][0]["fields"]["disposal_digest"] == "sha256:ab"
    assert state["folders"]["541"]["parent_id"] == 540


def test_load_adds_up_and_refuses_contradictions() -> None:
    part = UnifierPart()
    part.load([item(555)])
    part.load([item(600), item(601, folder_id=700, path="/Closed/2015")])
    assert set(part.documents) == {555, 600, 601}
    closed = [folder for folder in part.folders.values() if folder.path == "/Closed"]
    assert len(closed) == 1
    assert {part.folders[540].parent_id, part.folders[700].parent_id} == {closed[0].node_id}
    for contradiction in (item(555), item(540), item(602, folder_id=701), item(603, path="/Other")):
        with pytest.raises(ValueError, match=r"contradicts|twice"):
            part.load([contradiction])


def test_folder_in_the_root_folder() -> None:
    part = UnifierPart()
    part.load([item(590, folder_id=543, path="/"), item(591, folder_id=544, path="/Closed")])
    assert part.folders[543] == Folder(543, P1, "/")
    assert part.folders[544].parent_id == 543
