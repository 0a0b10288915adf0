"""The sandbox's Unifier over HTTP: deletes, listings, business process records and shells."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from airflow_provider_records.sandbox.core import Fault
from airflow_provider_records.sandbox.unifier import FakeUnifier, Folder
from tests.conftest import Serve
from tests.sandbox.unifier_factory import DR7, FORM, P1, P2, Client, item, open_requests, served


@pytest.fixture
def client(serve: Serve) -> Client:
    return served(serve)


@pytest.fixture
def asking(client: Client) -> Client:
    open_requests(client)
    return client


# Delete


def test_delete_moves_to_the_bin(client: Client) -> None:
    answer = client.delete(555)
    assert answer.status_code == 200
    body = answer.json()
    assert isinstance(body.pop("rest_audit_id"), int)
    text = "Folder/File successfully deleted. Please check in Recycle bin."
    assert body == {"data": [], "message": [{"message": text}], "status": 200}
    assert client.server.sandbox.effects("unifier", "recycled") == ["555"]
    assert client.recycled() == {"555"}
    assert "555" not in client.fake.state()["live"]
    assert 555 not in client.ids("/540")


@pytest.mark.parametrize(("node_id", "code"), [(557, 12766), (558, 12767), (559, 12764), (123456, 12764), (540, 12764)])
def test_delete_is_refused_by_a_code_under_http_200(client: Client, node_id: int, code: int) -> None:
    answer = client.delete(node_id)
    assert (answer.status_code, answer.json()["status"], answer.json()["data"]) == (200, code, [])
    assert answer.json()["message"][0]["message"]
    assert client.effects() == []


@pytest.mark.parametrize("status", ["Inactive", "View-Only", "On-Hold"])
def test_shell_that_is_not_active_blocks(client: Client, status: str) -> None:
    client.fake.shells[P1] = status
    assert client.delete(555).json()["status"] == 1245
    assert client.delete(580).json()["status"] == 200
    assert client.delete(590).json()["status"] == 200


def test_document_of_an_unknown_shell(client: Client) -> None:
    del client.fake.shells[P1]
    assert client.delete(555).json()["status"] == 602


def test_attached_document_is_linked(client: Client) -> None:
    client.fake.open_request(P1, "DR-0007")
    client.fake.records[P1, "Disposal Request", "DR-0007"].attachments.append(555)
    assert client.delete(555).json()["status"] == 12766
    assert client.fake.state()["live"]["555"]["linked"] is True


def test_hidden_link_shows_in_no_read(client: Client) -> None:
    linked = client.call("GET", "/dm/node/properties/540").json()["data"]
    keys = {node["node_id"]: set(node) for node in linked if node["type"] == "Document"}
    assert keys[557] == keys[555]


def test_file_id_hits_another_document(client: Client) -> None:
    nodes = client.call("GET", "/dm/node/properties/540", params={"nodetype": "Document"}).json()["data"]
    node = next(node for node in nodes if node["node_id"] == 555)
    assert node["file_id"] == 556
    assert client.delete(node["file_id"]).json()["status"] == 200
    assert client.server.sandbox.effects("unifier", "recycled") == ["556"]


def test_file_ids_never_cover_the_same_set(client: Client) -> None:
    documents = client.fake.documents
    assert {item.file_id for item in documents.values()} != set(documents)
    assert all(item.file_id != item.node_id for item in documents.values())


def test_delete_without_token_has_no_effect(client: Client) -> None:
    answer = requests.post(f"{client.base}/v1/dm/document/delete/555", headers=FORM, timeout=60)
    assert answer.status_code == 401
    assert client.effects() == []


def test_folder_delete_takes_all_inside_along(client: Client) -> None:
    answer = client.call("POST", "/dm/folder/delete/540", headers=FORM)
    assert answer.json()["status"] == 200
    assert client.effects()[0] == {"effect": "folder_delete_used", "id": 540}
    assert client.server.sandbox.effects("unifier", "recycled") == ["555", "556", "557", "558", "560", "570"]
    assert client.server.sandbox.effects("unifier", "folder_recycled") == ["540", "541"]
    assert client.delete(555).json()["status"] == 12764
    again = client.call("POST", "/dm/folder/delete/540", headers=FORM)
    assert again.json()["status"] == 12764
    assert client.server.sandbox.effects("unifier", "folder_delete_used") == ["540", "540"]


def test_folder_delete_leaves_out_what_is_in_the_bin(client: Client) -> None:
    client.delete(555)
    client.call("POST", "/dm/folder/delete/541", headers=FORM)
    client.call("POST", "/dm/folder/delete/540", headers=FORM)
    assert client.server.sandbox.effects("unifier", "recycled") == ["555", "570", "556", "557", "558", "560"]
    assert client.server.sandbox.effects("unifier", "folder_recycled") == ["541", "540"]


# Switches


@pytest.mark.parametrize("second", [12764, 200])
def test_second_delete(client: Client, second: int) -> None:
    client.fake.turn({"second_delete": second})
    assert [client.delete(555).json()["status"] for _ in range(2)] == [200, second]
    assert client.server.sandbox.effects("unifier", "recycled") == ["555"]


def test_folder_id_accepted(client: Client) -> None:
    client.fake.turn({"folder_id_accepted": True})
    assert client.delete(541).json()["status"] == 200
    assert client.server.sandbox.effects("unifier", "recycled") == ["570"]
    assert client.delete(541).json()["status"] == 12764


@pytest.mark.parametrize("listed", [False, True])
def test_binned_listed(client: Client, listed: bool) -> None:
    client.fake.turn({"binned_listed": listed})
    client.delete(555)
    assert (555 in client.ids("/540")) is listed


def test_an_account_without_rights_sees_nothing_and_deletes_nothing(client: Client) -> None:
    client.fake.turn({"reads": "nothing"})
    assert client.delete(555).json()["status"] == 12764
    assert client.ids("/540") == client.ids(parentpath="/", projectnumber=P1) == []
    assert client.effects() == []


@pytest.mark.parametrize("status", [404, 405])
def test_edition_without_the_delete_call(client: Client, status: int) -> None:
    client.fake.turn({"delete_call": str(status)})
    answer = client.delete(555)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html")
    assert client.effects() == []


def test_shell_goes_on_hold_mid_run(client: Client) -> None:
    client.fake.turn({"hold_after": 2})
    assert [client.delete(node).json()["status"] for node in (555, 556, 560, 580)] == [200, 200, 1245, 200]
    assert client.server.sandbox.effects("unifier", "on_hold") == [P1]
    client.fake.shells[P1] = "Active"
    assert client.delete(560).json()["status"] == 200


def test_link_is_made_mid_run(client: Client) -> None:
    client.fake.turn({"link_after": 1})
    assert [client.delete(node).json()["status"] for node in (555, 556, 560)] == [200, 12766, 200]
    assert client.server.sandbox.effects("unifier", "linked") == ["556"]


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
    client.fake.turn({"missing_folder": 12764})
    assert client.call("GET", "/dm/node/properties/541").json()["status"] == 12764
    assert client.ids("/540", nodetype="Folder") == []


@pytest.mark.parametrize(
    ("labels", "keys"), [("Name", {"Name"}), ("file_name", {"file_name"}), ("neither", set()), ("by_form", {"Name"})]
)
def test_labels(client: Client, labels: str, keys: set[str]) -> None:
    client.fake.turn({"labels": labels})
    query = {"projectnumber": P1, "parentpath": "/Closed/2014"}
    for node in client.call("GET", "/dm/node/properties", params=query).json()["data"]:
        assert {"Name", "file_name"} & set(node) == keys


def test_ids_as_text(client: Client) -> None:
    client.fake.turn({"node_ids": "text"})
    node = client.call("GET", "/dm/node/properties/540", params={"nodetype": "Document"}).json()["data"][0]
    assert (node["node_id"], node["parent_node_id"], node["file_id"]) == ("555", "540", "556")


# Business processes


def test_record(asking: Client) -> None:
    expected = {"record_no": "DR-0007", "status": "Pending", "title": "Closed 2014", "disposal_digest": "sha256:ab"}
    for lineitem in ({}, {"lineitem": "no"}, {"lineitem": "yes"}):
        body = asking.record(f"/bp/record/{P1}", **DR7, **lineitem)
        assert body == {"data": [expected], "message": [], "status": 200}
    asking.fake.set_status(P1, "Disposal Request", "DR-0007", "Approved")
    assert asking.record(f"/bp/record/{P1}", **DR7)["data"][0]["status"] == "Approved"
    asking.fake.open_request(P1, "DR-0007")
    started_over = {"record_no": "DR-0007", "status": "Pending", "title": None, "disposal_digest": None}
    assert asking.record(f"/bp/record/{P1}", **DR7)["data"] == [started_over]
    with pytest.raises(KeyError):
        asking.fake.set_status(P1, "Disposal Request", "DR-9999", "Approved")


@pytest.mark.parametrize("path", ["/bp/record", "/bp/record/"])
def test_record_at_company_level(asking: Client, path: str) -> None:
    body = asking.record(path, bpname="Company Disposal", record_no="DR-0001")
    assert [record["record_no"] for record in body["data"]] == ["DR-0001"]
    assert asking.record(path, **DR7)["status"] == 657


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
    asking.fake.turn({"missing_record": "empty"})
    for path in ("/bp/record", "/bp/record/file/list"):
        body = asking.record(f"{path}/{P1}", bpname="Disposal Request", record_no="DR-0099")
        assert (body["status"], body["data"]) == (200, [])


def test_interface_lets_only_its_fields_come(asking: Client) -> None:
    asking.fake.interfaces["Disposal Request"] = ["record_no", "title", "amount"]
    fields = asking.record(f"/bp/record/{P1}", **DR7)["data"][0]
    assert fields == {"record_no": "DR-0007", "title": "Closed 2014", "amount": None}


def test_status_missing(asking: Client) -> None:
    asking.fake.turn({"bp_status_missing": True})
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


def test_files_of_a_record(asking: Client) -> None:
    assert asking.record(f"/bp/record/file/list/{P1}", **DR7)["data"] == []
    asking.fake.records[P1, "Disposal Request", "DR-0007"].attachments.append(555)
    assert asking.record(f"/bp/record/file/list/{P1}", **DR7)["data"] == [{"file_id": 556, "file_name": "Plan 555.pdf"}]
    for path in ("/bp/record/file/list", "/bp/record/file/list/"):
        assert asking.record(path, bpname="Company Disposal", record_no="DR-0001")["data"] == []


def test_shells(client: Client) -> None:
    def shells(condition: str) -> Any:
        options = json.dumps({"filter_condition": condition})
        return client.call("GET", "/admin/projectshell", params={"options": options}).json()["data"]

    client.fake.shells[P2] = "Inactive"
    assert shells(f"projectnumber={P1}") == [{"projectnumber": P1, "status": "Active", "type": "Projects"}]
    assert [shell["projectnumber"] for shell in shells("status=Inactive")] == [P2]
    assert shells("projectnumber=P-9") == []
    assert len(client.call("GET", "/admin/projectshell").json()["data"]) == 2
    wrong: list[dict[str, str]] = [{"projectnumber": P1}, {"options": "x"}, {"options": '{"filter_condition": "x=1"}'}]
    for query in wrong:
        assert client.call("GET", "/admin/projectshell", params=query).status_code == 400


# Log, faults and state


def test_queries_are_logged(client: Client) -> None:
    client.ids("/540", nodetype="Document")
    entry = client.server.sandbox.log[-1]
    assert (entry.call, entry.path) == (
        "list_nodes",
        "/unifier/ws/rest/service/v1/dm/node/properties/540?nodetype=Document",
    )


def test_no_secret_is_logged(client: Client) -> None:
    client.delete(555)
    log = requests.get(f"{client.server.url}/_sandbox/log", timeout=60).text
    assert "delete_document" in log
    assert client.fake.password not in log
    assert client.token not in log


def test_faults(client: Client) -> None:
    faults = client.server.sandbox.faults
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
    assert client.server.sandbox.effects("unifier", "recycled") == ["555"]
    assert client.server.sandbox.log[-1].status == 0


def test_switches_over_http(client: Client) -> None:
    url = f"{client.server.url}/_sandbox/switches"
    assert requests.put(url, json={"unifier": {"second_delete": 200}}, timeout=60).status_code == 200
    assert requests.put(url, json={"unifier": {"labels": "icons"}}, timeout=60).status_code == 400
    assert client.fake.set["second_delete"] == 200


def test_state(client: Client) -> None:
    client.fake.open_request(P1, "DR-0007", digest="sha256:ab")
    client.delete(555)
    state = requests.get(f"{client.server.url}/_sandbox/state", timeout=60).json()["unifier"]
    assert set(state["live"]) == {"556", "557", "558", "560", "570", "580", "590"}
    assert set(state["recycled"]) == {"555"}
    assert state["shells"] == {P1: "Active", P2: "Active"}
    assert state["bp_records"][0]["fields"]["disposal_digest"] == "sha256:ab"
    assert state["folders"]["541"]["parent_id"] == 540


def test_load_adds_up_and_refuses_contradictions() -> None:
    fake = FakeUnifier()
    fake.load([item(555)])
    fake.load([item(600), item(601, folder_id=700, path="/Closed/2015")])
    assert set(fake.documents) == {555, 600, 601}
    closed = [folder for folder in fake.folders.values() if folder.path == "/Closed"]
    assert len(closed) == 1
    assert {fake.folders[540].parent_id, fake.folders[700].parent_id} == {closed[0].node_id}
    for contradiction in (item(555), item(540), item(602, folder_id=701), item(603, path="/Other")):
        with pytest.raises(ValueError, match=r"contradicts|twice"):
            fake.load([contradiction])


def test_folder_in_the_root_folder() -> None:
    fake = FakeUnifier()
    fake.load([item(590, folder_id=543, path="/"), item(591, folder_id=544, path="/Closed")])
    assert fake.folders[543] == Folder(543, P1, "/")
    assert fake.folders[544].parent_id == 543


# Search


def search(client: Client, *terms: dict[str, str], **form: str) -> Any:
    body = {"projectnumber": P1, "parentpath": "/Closed/2014", "query": json.dumps(terms), **form}
    return client.call("POST", "/dm/search", headers=FORM, data=body)


DAY = {"name": "upload_date", "value": "2018-02-13T00:00", "value2": "2018-02-14T00:00", "comparator": "range"}


def test_search_finds_documents_below_a_folder_by_date(client: Client) -> None:
    body = search(client, DAY).json()
    assert (body["status"], {row["node_id"] for row in body["data"]}) == (200, {555, 556, 557, 558, 560, 570})
    assert body["data"][0]["Upload Date"] == "2018/02/13 12:45"
    assert search(client, {**DAY, "value2": "2018-02-13T12:00"}).json()["data"] == []
    named = search(client, DAY, {"name": "uuu_dm_node_name", "value": "plan 570"}).json()
    assert [row["node_id"] for row in named["data"]] == [570]
    client.fake.turn({"search_depth": "direct"})
    assert 570 not in {row["node_id"] for row in search(client, DAY).json()["data"]}
    client.fake.turn({"reads": "nothing"})
    assert search(client, DAY).json()["data"] == []
    client.fake.turn({"reads": "allowed"})
    client.delete(555)
    assert 555 not in {row["node_id"] for row in search(client, DAY).json()["data"]}


@pytest.mark.parametrize(
    ("terms", "form"),
    [
        ([{**DAY, "name": "unknown"}], {}),
        ([{**DAY, "value": "13.02.2018"}], {}),
        ([{**DAY, "comparator": "before"}], {}),
        ([{"name": "upload_date"}], {}),
        ([{**DAY, "value": 7}], {}),
        ([], {}),
        ([DAY], {"parentpath": "Closed"}),
        ([DAY], {"match": "OR"}),
        ([DAY], {"nodetype": "Folder"}),
        ([DAY], {"query": "x"}),
        ([DAY], {"more": "x"}),
    ],
)
def test_search_refuses_what_is_not_described(client: Client, terms: list[Any], form: dict[str, str]) -> None:
    assert search(client, *terms, **form).status_code == 400


def test_search_of_an_unknown_place(client: Client) -> None:
    assert search(client, DAY, projectnumber="P-9999").json()["status"] == 602
    assert search(client, DAY, parentpath="/Nowhere").json()["status"] == 1074
    client.fake.turn({"search_call": "405"})
    assert search(client, DAY).status_code == 405
