"""The Unifier client against the sandbox, over HTTP: every answer that can be told apart at this level."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from airflow_provider_records.exceptions import (
    AccessDeniedError,
    AuthenticationError,
    ConfigurationError,
    InvalidRecordsError,
    NoAnswerError,
    NotFoundError,
    NotSentError,
    RefusedError,
    ServerError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.hooks.unifier_responses import Node
from airflow_provider_records.sandbox import unifier_tokens
from airflow_provider_records.sandbox.core import Fault
from airflow_provider_records.sandbox.seed import Item
from airflow_provider_records.sandbox.server import Server
from airflow_provider_records.sandbox.unifier import FakeUnifier
from tests.conftest import Connect, Serve

USER, PASSWORD = "svc-disposal", "p9Lx-unifier-demo-2hYv"
AUDITS = ("top", "message", "none")
OK = {"data": [], "message": [{"message": "deleted"}], "status": 200}


def item(node: int, title: str, trouble: str = "", project: str = "P-0001", folder: int = 540) -> Item:
    when = "2018-02-13 12:45:00"
    path = "/Closed/2014" if folder == 540 else "/Archive"
    return Item(
        f"key-{node}", title, "Projects", when, when, "me", "2024-01-01T00:00:00", "guid", "unifier",
        str(node), str(folder), path, project=project, trouble=trouble,
    )  # fmt: skip


class ServedUnifier:
    """A served sandbox with a few documents, and a hook that talks to it."""

    def __init__(self, serve: Serve, connect: Connect) -> None:
        self.part = FakeUnifier()
        self.part.load(
            [
                item(555, "Plan.pdf"),
                item(556, "Linked.pdf", "linked"),
                item(557, "Locked.pdf", "locked"),
                item(600, "Held.pdf", project="P-0002", folder=541),
                item(700, "Company.pdf", project="", folder=542),
            ]
        )
        self.part.open_request("P-0001", "DR-0007", status="Approved", title="Closed 2014")
        self.server: Server = serve(self.part)
        self.connect = connect
        self.hook = self.join()

    def join(self, password: str = PASSWORD, login: str = USER, path: str = "/unifier", **extra: object) -> UnifierHook:
        return UnifierHook(self.connect("unifier", self.server.url + path, login, password, **extra))

    def fault(self, call: str = "delete_document", **fault: Any) -> None:
        self.server.sandbox.faults.append(Fault("unifier", call, **fault))

    def calls(self, name: str = "delete_document") -> int:
        return sum(entry.call == name for entry in self.server.sandbox.log)

    @property
    def recycled(self) -> list[str]:
        return self.server.sandbox.effects("unifier", "recycled")


@pytest.fixture
def served(serve: Serve, connect: Connect) -> ServedUnifier:
    return ServedUnifier(serve, connect)


# Delete: what the answer means


@pytest.mark.parametrize("node_id", [555, "555"])
def test_delete_moves_the_document_to_the_bin(served: ServedUnifier, node_id: int | str) -> None:
    done = served.hook.delete_document(node_id)
    assert (done.node_id, done.request_id) == ("555", "48213")
    assert "Recycle bin" in done.message
    assert served.recycled == ["555"]


def test_what_is_no_whole_number_is_never_sent(served: ServedUnifier) -> None:
    for wrong in ("", "P.pdf", "12 ", "0", "0555", "-5", "5.0", "5/6", 5.0, True, None, "9" * 20, "\u0665"):
        with pytest.raises(InvalidRecordsError, match="node_id"):
            served.hook.delete_document(wrong)  # type: ignore[arg-type]
    assert served.server.sandbox.log == []


@pytest.mark.parametrize(
    ("node_id", "kind", "code", "words"),
    [
        (999, NotFoundError, "12764", "does not exist"),
        (556, RefusedError, "12766", "unlink"),
        (557, RefusedError, "12767", "unlock"),
        (600, RefusedError, "1245", "Active"),
    ],
)
def test_the_code_decides_under_any_http_status(
    served: ServedUnifier, node_id: int, kind: type[VendorError], code: str, words: str
) -> None:
    served.part.shells["P-0002"] = "On-Hold"
    for count, error_http in enumerate((200, 400, 401, 403, 404, 429, 500)):
        served.part.turn({"error_http": error_http})
        with pytest.raises(VendorError, match=words) as caught:
            served.hook.delete_document(node_id)
        assert type(caught.value) is kind
        assert (caught.value.code, caught.value.status) == (code, error_http)
        assert caught.value.request_id == str(48213 + count)
        assert str(node_id) in str(caught.value)
        assert served.calls() == count + 1


def test_602_names_the_project_number(served: ServedUnifier) -> None:
    del served.part.shells["P-0002"]
    with pytest.raises(RefusedError, match="project number") as caught:
        served.hook.delete_document(600)
    assert caught.value.code == "602"


@pytest.mark.parametrize("http", [200, 400, 500])
def test_any_other_number_is_an_error_of_the_server(served: ServedUnifier, http: int) -> None:
    numbers: tuple[Any, ...] = (500, 1, 202, "202", " 12999 ", 12999.0, -1)
    for status in numbers:
        served.fault(act=False, status=http, body={"data": [], "message": "no", "status": status})
        with pytest.raises(ServerError) as caught:
            served.hook.delete_document(555)
        assert caught.value.code == str(int(status))
    assert served.calls() == len(numbers)


def test_every_shape_of_the_envelope(served: ServedUnifier) -> None:
    said = "Folder/File successfully deleted. Please check in Recycle bin."
    messages = FakeUnifier.switches["message"].values
    for message, wrapped, status, audit in product(messages, (False, True), ("number", "text"), AUDITS):
        served.part.turn({"message": message, "wrapped": wrapped, "status": status, "rest_audit_id": audit})
        served.part.documents[555].binned = False
        done = served.hook.delete_document(555)
        lost = audit == "none" or (audit == "message" and message not in {"objects", "object"})
        assert (done.request_id is None) == lost
        assert done.message == ("" if message == "empty" else said)
        with pytest.raises(RefusedError):
            served.hook.delete_document(556)
    assert len(served.recycled) == 60


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html><body>Sign in</body></html>"),
        (200, '{"data": [], "message": [], "sta'),
        (200, ""),
        (200, "[" * 50_000),
        (200, "9" * 5000),
        (200, {"data": [], "message": []}),
        (200, {"data": [], "status": None}),
        (200, {"data": [], "status": True}),
        (200, {"data": [], "status": "ok"}),
        (200, {"data": [], "status": "9" * 5000}),
        (200, '{"status": NaN}'),
        (200, '{"status": 1e999}'),
        (200, {"data": [], "status": 200.5}),
        (200, {"data": [], "status": [200]}),
        (200, {"data": [], "status": {"code": 200}}),
        (200, []),
        (200, [OK, OK]),
        (200, [[OK]]),
        (200, 200),
        (200, '"200"'),
        (400, OK),
        (403, OK),
        (429, OK),
        (500, OK),
        (302, OK),
        (400, "Bad Request"),
        (500, "Internal Server Error"),
        (502, "<html>Bad Gateway</html>"),
        (503, None),
        (504, {"error": "timeout"}),
    ],
)
def test_an_answer_that_says_nothing_is_no_answer_and_not_repeated(
    served: ServedUnifier, status: int, body: object
) -> None:
    served.fault(status=status, body=body)
    with pytest.raises(NoAnswerError) as caught:
        served.hook.delete_document(555)
    assert (caught.value.status, served.calls(), served.recycled) == (status, 1, ["555"])


@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "act": False}, {"cut": 20}])
def test_a_lost_answer_is_not_repeated(served: ServedUnifier, fault: dict[str, Any]) -> None:
    served.fault(**fault)
    with pytest.raises(NoAnswerError):
        served.hook.delete_document(555)
    assert served.calls() == 1


def test_a_slow_answer_is_not_repeated(served: ServedUnifier) -> None:
    hook = served.join(timeout=0.3)
    hook.list_nodes(540)
    served.fault(latency_ms=1500)
    with pytest.raises(NoAnswerError):
        hook.delete_document(555)
    assert served.calls() == 1


@pytest.mark.parametrize("edition", ["404", "405"])
def test_a_missing_call_is_a_wrong_address_and_never_a_missing_document(served: ServedUnifier, edition: str) -> None:
    served.part.turn({"delete_call": edition})
    with pytest.raises(WrongAddressError, match="edition"):
        served.hook.delete_document(555)


@pytest.mark.parametrize("body", ["Not Found", {"timestamp": 1, "status": 404, "error": "Not Found"}])
def test_the_404_page_of_a_web_server_is_no_answer_of_unifier(served: ServedUnifier, body: object) -> None:
    served.fault(act=False, status=404, body=body)
    with pytest.raises(WrongAddressError):
        served.hook.delete_document(555)


def test_a_404_with_a_code_of_unifier_is_unifiers(served: ServedUnifier) -> None:
    served.part.turn({"error_http": 404})
    with pytest.raises(NotFoundError) as caught:
        served.hook.delete_document(999)
    assert caught.value.code == "12764"


@pytest.mark.parametrize("fault", [{"status": 429, "body": "slow"}, {"body": {"data": [], "status": 429}}])
def test_429_waits_and_sends_again(served: ServedUnifier, fault: dict[str, Any]) -> None:
    served.fault(act=False, headers={"Retry-After": "0"}, times=2, **fault)
    assert served.hook.delete_document(555).node_id == "555"
    assert (served.calls(), served.recycled) == (3, ["555"])


def test_wrong_types_beside_the_status_do_no_harm(served: ServedUnifier) -> None:
    nested = {"message": {"message": ["a", 1, None, {"x": 1}]}}
    for message in (None, 7, True, nested, [[["deep"]]], {"rest_audit_id": [1]}):
        served.fault(body={"data": "x", "message": message, "rest_audit_id": {"a": 1}, "status": "200"})
        assert served.hook.delete_document(555).request_id is None
    served.fault(body='{"status": 200, "rest_audit_id": "\\ud800", "message": "\\ud800"}')
    done = served.hook.delete_document(555)
    assert (done.request_id, done.message) == ("?", "?")


# Credentials


def test_a_refused_token_is_renewed_once_and_the_call_sent_again(served: ServedUnifier) -> None:
    served.hook.list_nodes(540)
    served.part.tokens.issued.clear()
    served.hook.delete_document(555)
    assert (served.calls("login"), served.calls(), served.recycled) == (2, 2, ["555"])


@pytest.mark.parametrize("fault", [{"status": 401, "body": "Unauthorized"}, {"body": {"data": [], "status": 401}}])
def test_the_fourth_401_stops(served: ServedUnifier, fault: dict[str, Any]) -> None:
    served.fault(act=False, times=None, **fault)
    with pytest.raises(AuthenticationError):
        served.hook.delete_document(555)
    assert (served.calls("login"), served.calls(), served.recycled) == (4, 4, [])


@pytest.mark.parametrize("fault", [{"status": 403, "body": "Forbidden"}, {"body": {"data": [], "status": 403}}])
def test_403_stops_at_once(served: ServedUnifier, fault: dict[str, Any]) -> None:
    served.fault(act=False, times=None, **fault)
    with pytest.raises(AccessDeniedError):
        served.hook.delete_document(555)
    assert (served.calls("login"), served.calls()) == (1, 1)


@pytest.mark.parametrize("wrong", [{"password": "not-it"}, {"login": "somebody"}])
def test_a_refused_login_says_what_to_change_and_is_asked_once(served: ServedUnifier, wrong: dict[str, Any]) -> None:
    hook = served.join(**wrong)
    with pytest.raises(AuthenticationError, match="Integration User") as caught:
        hook.delete_document(555)
    assert (served.calls("login"), served.calls()) == (1, 0)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("path", ["/ws/rest/service/v1/login", "/ws/rest/service/v2/auth/token"])
@pytest.mark.parametrize("tenant", [False, True])
def test_the_login_paths_of_a_basic_user(served: ServedUnifier, path: str, tenant: bool) -> None:
    served.part.turn({"tenant_headers": tenant and "v2" in path})
    served.join(login_path=path).delete_document(555)
    assert served.recycled == ["555"]


@pytest.mark.parametrize("path", ["/ws/rest/service/v1/oauth/token", "/ws/rest/service/v2/auth/token"])
@pytest.mark.parametrize("tenant", [False, True])
def test_the_login_paths_of_an_oauth_user(served: ServedUnifier, path: str, tenant: bool) -> None:
    served.part.turn({"tenant_headers": tenant})
    served.join(login="$$svc-disposal-oauth", login_path=path).delete_document(555)
    assert served.recycled == ["555"]


def test_a_short_lived_token_is_renewed_before_it_ends(served: ServedUnifier) -> None:
    served.part.turn({"token_lifetime": 0.0})
    hook = served.join(login_path="/ws/rest/service/v2/auth/token")
    served.fault("token_v2", body={"data": {"access_token": "first-token", "expires_in": "0.001"}, "status": 200})
    served.part.turn({"token_lifetime": 3600.0})
    served.part.tokens.issued["first-token"] = (USER, float("inf"))
    hook.delete_document(555)
    hook.list_nodes(540)
    assert (served.calls("token_v2"), served.calls()) == (2, 1)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"message": "Invalid expiry.", "status": 400}, AuthenticationError),
        (200, {"message": "no", "status": "401"}, AuthenticationError),
        (200, {"message": "no", "status": 12}, AuthenticationError),
        (400, {"token": "abc"}, AuthenticationError),
        (400, "Invalid expiry.", AuthenticationError),
        (200, "<html>sign in</html>", WrongAddressError),
        (404, "<html>not here</html>", WrongAddressError),
        (405, "no", WrongAddressError),
        (302, None, WrongAddressError),
        (200, {"status": 200}, WrongAddressError),
        (200, {"status": 200, "token": 7}, WrongAddressError),
        (200, {"status": 200, "token": "a\r\nX-Evil: 1"}, WrongAddressError),
        (200, {"status": 200, "token": "\u00e4\u20ac"}, WrongAddressError),
        (200, {"status": 200, "data": ["x"]}, WrongAddressError),
        (200, '{"status": 200, "tok', NotSentError),
        (200, {"status": 500}, NotSentError),
        (502, "<html>bad gateway</html>", NotSentError),
        (503, None, NotSentError),
    ],
)
def test_a_login_that_gives_no_token_is_typed_and_the_delete_not_sent(
    served: ServedUnifier, status: int, body: object, kind: type[VendorError]
) -> None:
    served.fault("login", times=None, status=status, body=body)
    with pytest.raises(kind) as caught:
        served.hook.delete_document(555)
    assert served.calls() == 0
    assert not isinstance(caught.value, NoAnswerError)


def test_headers_that_cannot_be_sent_are_left_out(served: ServedUnifier) -> None:
    headers = {"x-unifier-tenant": "demo\r\nX-Evil: 1", "x bad": "1", "x-number": 7, "x-list": []}
    served.fault("login", body={"token": "a-token", "status": 200, "expires_in": [], "request_headers": headers})
    served.part.tokens.issued["a-token"] = (USER, float("inf"))
    served.hook.delete_document(555)
    assert served.calls("login") == 1


@pytest.mark.parametrize(
    ("wrong", "field"), [({"login": ""}, "login"), ({"password": ""}, "password"), ({"login_path": "v1"}, "login_path")]
)
def test_a_wrong_connection_field_is_named(served: ServedUnifier, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{field}'"):
        served.join(**wrong).delete_document(555)
    assert served.server.sandbox.log == []


def test_a_password_beyond_latin_1_is_sent(served: ServedUnifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unifier_tokens, "PASSWORD", "p\u00e4\u20ac-unifier-demo")
    served.join(password="p\u00e4\u20ac-unifier-demo").delete_document(555)
    assert served.recycled == ["555"]


def test_a_base_without_its_company_path_is_a_wrong_address(served: ServedUnifier) -> None:
    with pytest.raises(WrongAddressError):
        served.join(path="").delete_document(555)


# Listings


def test_both_forms_of_listing(served: ServedUnifier) -> None:
    for labels, ids in product(FakeUnifier.switches["labels"].values, ("number", "text")):
        served.part.turn({"labels": labels, "node_ids": ids})
        by_path = served.hook.list_nodes(project_number="P-0001", parent_path="/Closed/2014")
        for nodes in (served.hook.list_nodes(540), by_path):
            assert [node.node_id for node in nodes] == ["555", "556", "557"]
            assert nodes[0] == Node("555", "540", "/Closed/2014/Plan.pdf", "Plan.pdf", "Document", "556", "P-0001")


def test_folders_and_the_company_level(served: ServedUnifier) -> None:
    assert [node.type for node in served.hook.list_nodes(parent_path="/", node_type=None)] == ["Folder"]
    assert [node.name for node in served.hook.list_nodes(parent_path="/Archive", project_number="")] == ["Company.pdf"]
    assert served.hook.list_nodes(parent_path="/Archive", node_type="Folder") == []


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"parent_folder_id": 1, "parent_path": "/"},
        {"parent_folder_id": 1, "project_number": "P-0001"},
        {"project_number": "P-0001"},
        {"parent_folder_id": 1, "node_type": "document"},
    ],
)
def test_a_listing_wants_one_form(served: ServedUnifier, form: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        served.hook.list_nodes(**form)


def test_a_folder_id_is_a_whole_number(served: ServedUnifier) -> None:
    with pytest.raises(InvalidRecordsError, match="parent_folder_id"):
        served.hook.list_nodes("/Closed")


@pytest.mark.parametrize("code", [1074, 12764])
def test_a_missing_folder_is_an_error_and_no_empty_list(served: ServedUnifier, code: int) -> None:
    served.part.turn({"missing_folder": code})
    with pytest.raises(ServerError) as caught:
        served.hook.list_nodes(99)
    assert caught.value.code == str(code)
    with pytest.raises(RefusedError, match="project_number"):
        served.hook.list_nodes(parent_path="/", project_number="P-0009")


@pytest.mark.parametrize("data", [None, {}, "x", 1])
def test_a_listing_that_cannot_be_read_is_no_empty_list(served: ServedUnifier, data: object) -> None:
    served.fault("list_nodes", times=None, body={"data": data, "message": [], "status": 200})
    with pytest.raises(UnreadableAnswerError):
        served.hook.list_nodes(540)


@pytest.mark.parametrize("row", [{}, {"node_id": "x"}, {"node_id": True}, {"node_id": 1.5}, 1, None])
def test_a_row_that_cannot_be_read_has_no_id_and_leaves_the_others_as_they_are(
    served: ServedUnifier, row: object
) -> None:
    served.fault("list_nodes", body={"data": [row, {"node_id": 5}], "message": [], "status": 200})
    assert [node.node_id for node in served.hook.list_nodes(540)] == ["", "5"]


def test_odd_types_in_a_row_become_empty(served: ServedUnifier) -> None:
    row = {"node_id": 5.0, "parent_node_id": [], "node_path": None, "Name": {}, "type": 7, "file_id": True}
    served.fault("list_nodes", body={"data": [row], "message": [], "status": 200})
    assert served.hook.list_nodes(540) == [Node("5", "", "", "", "7", "")]


def test_the_name_comes_from_whichever_label_is_there(served: ServedUnifier) -> None:
    rows = [
        {"node_id": 1, "Name": "a.pdf", "node_path": "/x/other.pdf"},
        {"node_id": 2, "file_name": "b.pdf", "node_path": "/x/other.pdf"},
        {"node_id": 3, "node_path": "/x/c.pdf"},
    ]
    served.fault("list_nodes", body={"data": rows, "message": [], "status": 200})
    assert [node.name for node in served.hook.list_nodes(540)] == ["a.pdf", "b.pdf", "c.pdf"]


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 503, "body": ""}, {"status": 200, "body": "<html>"}])
def test_a_read_is_repeated_after_a_lost_answer(served: ServedUnifier, fault: dict[str, Any]) -> None:
    served.fault("list_nodes", times=2, **fault)
    assert len(served.hook.list_nodes(540)) == 3
    assert served.calls("list_nodes") == 3


# Business processes, shells, and the connection


def test_a_record_is_read_by_its_number(served: ServedUnifier) -> None:
    record = served.hook.get_bp_record("P-0001", "Disposal Request", "DR-0007")
    assert (record["record_no"], record["status"], record["disposal_digest"]) == ("DR-0007", "Approved", None)


def test_a_record_of_the_company_level_and_an_odd_project_number(served: ServedUnifier) -> None:
    served.part.shells["2020#7/\u00e4"] = "Active"
    served.part.open_request("", "DR-1")
    served.part.open_request("2020#7/\u00e4", "DR & 2", status="Pending")
    assert served.hook.get_bp_record(None, "Disposal Request", "DR-1")["status"] == "Pending"
    assert served.hook.get_bp_record("", "Disposal Request", "DR-1")["record_no"] == "DR-1"
    assert served.hook.get_bp_record("2020#7/\u00e4", "Disposal Request", "DR & 2")["status"] == "Pending"


@pytest.mark.parametrize("missing", ["657", "empty"])
def test_a_missing_record_is_not_found(served: ServedUnifier, missing: str) -> None:
    served.part.turn({"missing_record": missing})
    with pytest.raises(NotFoundError) as caught:
        served.hook.get_bp_record("P-0001", "Disposal Request", "DR-9999")
    assert caught.value.code == "657"


@pytest.mark.parametrize(
    ("project", "bpname", "code", "argument"),
    [("P-9", "Disposal Request", "602", "project_number"), ("P-0001", "disposal request", "603", "bpname")],
)
def test_a_wrong_argument_is_named(served: ServedUnifier, project: str, bpname: str, code: str, argument: str) -> None:
    with pytest.raises(RefusedError, match=argument) as caught:
        served.hook.get_bp_record(project, bpname, "DR-0007")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ([{"record_no": "DR-0007"}, {"record_no": "DR-0007"}], RefusedError),
        ([{"record_no": "DR-0008", "status": "Approved"}], RefusedError),
        ([{"record_no": ["DR-0007"]}], RefusedError),
        (None, NotFoundError),
        ({}, UnreadableAnswerError),
        ("x", UnreadableAnswerError),
        (["x"], UnreadableAnswerError),
    ],
)
def test_not_exactly_the_record_asked_for_is_an_error(
    served: ServedUnifier, data: object, kind: type[VendorError]
) -> None:
    served.fault("get_bp_record", times=None, body={"data": data, "message": "success", "status": 200})
    with pytest.raises(VendorError) as caught:
        served.hook.get_bp_record("P-0001", "Disposal Request", "DR-0007")
    assert type(caught.value) is kind


def test_a_record_without_its_number_or_status_comes_as_it_is(served: ServedUnifier) -> None:
    served.part.interfaces["Disposal Request"] = ["title"]
    assert served.hook.get_bp_record("P-0001", "Disposal Request", "DR-0007") == {"title": "Closed 2014"}


def test_records_are_queried_and_files_listed(served: ServedUnifier) -> None:
    served.part.open_request("P-0001", "DR-0008")
    served.part.records["P-0001", "Disposal Request", "DR-0007"].attachments.append(555)
    asked = ("record_no", "status")
    both = served.hook.query_bp_records("P-0001", "Disposal Request", asked)
    assert [row["record_no"] for row in both] == ["DR-0007", "DR-0008"]
    assert served.hook.query_bp_records("P-0001", "Disposal Request", asked, "record_no=DR-0007") == [
        {"record_no": "DR-0007", "status": "Approved"}
    ]
    files = served.hook.list_bp_files("P-0001", "Disposal Request", "DR-0007")
    assert [row["file_name"] for row in files] == ["Plan.pdf"]
    with pytest.raises(NotFoundError):
        served.hook.list_bp_files("P-0001", "Disposal Request", "DR-0009")


def test_the_state_of_a_shell(served: ServedUnifier) -> None:
    served.part.shells["P-0002"] = "View-Only"
    shell = served.hook.shell("P-0002")
    assert (shell.project_number, shell.status, shell.type) == ("P-0002", "View-Only", "Projects")
    with pytest.raises(NotFoundError, match="P-9"):
        served.hook.shell("P-9")


@pytest.mark.parametrize(
    ("break_it", "works", "words"),
    [
        (lambda served: None, True, "can be listed"),
        (lambda served: served.fault("list_nodes", body={"data": [], "message": [], "status": 1074}), True, "1074"),
        (lambda served: served.part.tokens.disabled.add(USER), False, "Integration User"),
        (lambda served: served.fault("list_nodes", status=403, body="no"), False, "no right to read"),
        (lambda served: served.fault("login", status=404, body="no"), False, "login_path"),
    ],
)
def test_the_connection_test_speaks_plainly(
    served: ServedUnifier, break_it: Callable[[ServedUnifier], object], works: bool, words: str
) -> None:
    break_it(served)
    answer = served.hook.test_connection()
    assert (answer[0], words in answer[1]) == (works, True), answer
    assert served.recycled == []


def test_no_message_holds_a_body_or_a_secret(served: ServedUnifier) -> None:
    secret = "the-body-of-the-answer"
    served.fault(times=None, act=False, body={"data": [], "message": secret, "status": 500})
    with pytest.raises(ServerError) as caught:
        served.hook.delete_document(555)
    assert secret not in str(caught.value)
    assert secret in str(caught.value.detail)
    assert json.loads(str(caught.value.detail))["status"] == 500
