"""The enaio client against the sandbox's enaio, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
    StopError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.sandbox.core import Fault
from airflow_provider_records.sandbox.enaio import FakeEnaio
from airflow_provider_records.sandbox.server import Server
from tests.conftest import Connect, Serve

PASSWORD = "v3Rz-enaio-demo-8wKd"
QUERY = "SELECT system:objectId, Disposal FROM Invoice WHERE Disposal=@state ORDER BY system:objectId"
HTML = "<html><body>Anything</body></html>"


class ServedEnaio:
    """A served enaio with three folders and some invoices, and a hook that is connected to it."""

    def __init__(self, serve: Serve, connect: Connect) -> None:
        self.part = FakeEnaio()
        archive = self.part.archive
        for folder in ("1411", "1412", "1413"):
            archive.add(folder, "Folder", base="FOLDER", fields={"Title": folder})
        archive.add("2563", "Invoice", fields={"Disposal": "approved"}, places=["1411"])
        archive.add("2564", "Invoice", fields={"Disposal": " approved "}, places=["1411", "1412"])
        archive.add("2565", "Invoice", fields={"Disposal": ""}, places=["1413"])
        self.server: Server = serve(self.part)
        self.connect = connect
        self.hook = self.hooked()

    def hooked(self, *, path: str = "/enaio", password: str = PASSWORD, **extra: object) -> EnaioHook:
        conn_id = self.connect("enaio", self.server.url + path, login="disposal", password=password, **extra)
        return EnaioHook(conn_id)

    def fault(self, call: str = "delete_object", **fault: Any) -> None:
        self.server.sandbox.faults.append(Fault(vendor="enaio", call=call, **fault))

    def calls(self, *names: str) -> list[str]:
        return [entry.path for entry in self.server.sandbox.log if entry.call in names]

    def state(self, name: str) -> list[str]:
        return list(self.part.state()[name])


@pytest.fixture
def served(serve: Serve, connect: Connect) -> ServedEnaio:
    return ServedEnaio(serve, connect)


# DELETE /objects/{objectId}


def test_a_soft_delete_recycles(served: ServedEnaio) -> None:
    served.hook.delete_object("2563")
    assert served.state("binned") == ["2563"]
    assert served.calls("delete_object", "info") == ["/enaio/api/dms/objects/2563"]


def test_a_hard_delete_destroys(served: ServedEnaio) -> None:
    served.hook.delete_object("2563", hard_delete=True)
    assert served.state("destroyed") == ["2563"]
    assert served.calls("delete_object") == ["/enaio/api/dms/objects/2563?hardDelete=true"]


def test_all_parameters_are_spelled_as_the_vendor_does(served: ServedEnaio) -> None:
    served.hook.delete_object("2564", object_type_id="262239", location="1412", hard_delete=True, cascade_delete=True)
    expected = "2564?objectTypeId=262239&location=1412&hardDelete=true&cascadeDelete=true"
    assert served.calls("delete_object") == [f"/enaio/api/dms/objects/{expected}"]
    assert served.part.archive.objects["2564"].places == ["1411"]


@pytest.mark.parametrize("wrong", ["", " ", "25 63", "2563/actions/trash", "..", "a", "٢٥", "2563\n", None, 2563, True])
def test_an_id_that_is_not_made_of_digits_is_never_sent(served: ServedEnaio, wrong: Any) -> None:
    for call in (
        lambda: served.hook.delete_object(wrong),
        lambda: served.hook.get_object(wrong),
        lambda: served.hook.locations(wrong),
        lambda: served.hook.add_history(wrong, {}),
    ):
        with pytest.raises(InvalidRecordsError):
            call()
    if wrong is not None:
        with pytest.raises(InvalidRecordsError):
            served.hook.delete_object("2563", location=wrong)
        with pytest.raises(InvalidRecordsError):
            served.hook.delete_object("2563", object_type_id=wrong)
    assert served.server.sandbox.log == []


@pytest.mark.parametrize("version", ["3.2.4", "4.0.2"])
def test_a_hard_delete_of_a_known_old_service_is_refused_before_it_is_sent(served: ServedEnaio, version: str) -> None:
    served.part.turn({"version": version})
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=version.replace(".", r"\.")):
            served.hook.delete_object("2563", hard_delete=True)
    assert served.calls("delete_object", "info") == ["/enaio/api/dms/info"]
    served.hook.delete_object("2563")
    assert served.state("binned") == ["2563"]


@pytest.mark.parametrize("info", ["no_version", "404"])
def test_a_hard_delete_of_a_service_of_unknown_version_goes_on(served: ServedEnaio, info: str) -> None:
    served.part.turn({"info": info})
    served.hook.delete_object("2563", hard_delete=True)
    assert served.state("destroyed") == ["2563"]


@pytest.mark.parametrize("status", [500, 403, 302])
def test_a_version_that_cannot_be_read_counts_as_unknown(served: ServedEnaio, status: int) -> None:
    served.fault("info", status=status, times=2)
    assert served.hook.service_version() is None


def test_the_version_is_read_once_for_all_threads(served: ServedEnaio) -> None:
    served.fault("info", latency_ms=50)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: served.hook.service_version(), range(8)))
    assert found == [(6, 2, 1)] * 8
    assert len(served.calls("info")) == 1


def test_a_version_that_did_not_arrive_is_asked_for_again(served: ServedEnaio) -> None:
    served.fault("info", drop=True, times=8)
    with pytest.raises(NoAnswerError):
        served.hook.delete_object("2563", hard_delete=True)
    assert served.state("destroyed") == []
    assert served.hook.service_version() == (6, 2, 1)


def test_wrong_credentials_are_no_unknown_version(served: ServedEnaio) -> None:
    with pytest.raises(AuthenticationError):
        served.hooked(password="wrong").service_version()


FORMS = ["serviceErrorCode", "errorCode", "code", "text", "html", "empty"]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_there(served: ServedEnaio, form: str) -> None:
    served.part.turn({"error_body": form})
    with pytest.raises(NotFoundError) as caught:
        served.hook.delete_object("99")
    assert caught.value.status == 404
    assert caught.value.code == ("1001" if form in FORMS[:3] else None)
    assert "99" in str(caught.value)
    assert "not found" not in str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_right(served: ServedEnaio, form: str) -> None:
    served.part.turn({"error_body": form})
    served.part.archive.objects["2563"].no_delete = {"disposal"}
    with pytest.raises(RefusedError) as caught:
        served.hook.delete_object("2563")
    assert (caught.value.status, caught.value.code) == (400, "1100" if form in FORMS[:3] else None)
    assert "may not be deleted" in (caught.value.detail or "") or form == "empty"
    assert "may not be deleted" not in str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_an_internal_error(served: ServedEnaio, form: str) -> None:
    served.part.turn({"error_body": form, "workflow": "500"})
    served.part.archive.objects["2563"].in_workflow = True
    with pytest.raises(ServerError) as caught:
        served.hook.delete_object("2563")
    assert (caught.value.status, caught.value.code) == (500, "3003" if form in FORMS[:3] else None)
    assert len(served.calls("delete_object")) == 1


@pytest.mark.parametrize("status", ["400", "500"])
def test_a_folder_that_is_not_empty_stays(served: ServedEnaio, status: str) -> None:
    served.part.turn({"non_empty": status})
    with pytest.raises(RefusedError if status == "400" else ServerError):
        served.hook.delete_object("1411")
    served.hook.delete_object("1411", cascade_delete=True)
    assert served.state("binned") == ["1411", "2563"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (409, "locked", RefusedError),
        (423, None, RefusedError),
        (400, {"code": 400}, RefusedError),
        (400, {"errorCode": "1001"}, NotFoundError),
        (404, {"serviceErrorCode": 1100}, RefusedError),
        (400, {"errorCode": True, "code": [1], "message": {}}, RefusedError),
        (400, ["1001"], RefusedError),
        (405, None, WrongAddressError),
        (410, None, StopError),
        (415, None, StopError),
        (418, "short and stout", StopError),
        (200, {"objects": []}, UnreadableAnswerError),
        (202, None, UnreadableAnswerError),
        (200, HTML, WrongAddressError),
        (408, None, NoAnswerError),
        (501, None, NoAnswerError),
        (502, HTML, NoAnswerError),
        (503, None, NoAnswerError),
        (504, {"code": 1001}, NoAnswerError),
        (500, HTML, ServerError),
    ],
)
def test_an_answer_to_a_delete_is_what_its_code_or_else_its_status_says(
    served: ServedEnaio, status: int, body: Any, kind: type[VendorError]
) -> None:
    served.fault(act=False, status=status, body=body, times=None)
    with pytest.raises(VendorError) as caught:
        served.hook.delete_object("2563")
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert len(served.calls("delete_object")) == 1


@pytest.mark.parametrize("act", [True, False])
def test_a_lost_answer_to_a_delete_is_never_sent_again(served: ServedEnaio, act: bool) -> None:
    served.fault(act=act, drop=True)
    with pytest.raises(NoAnswerError):
        served.hook.delete_object("2563")
    assert len(served.calls("delete_object")) == 1
    assert served.state("binned") == (["2563"] if act else [])


def test_a_delete_that_was_put_off_is_sent_again(served: ServedEnaio) -> None:
    served.fault(act=False, status=429, times=3)
    served.hook.delete_object("2563")
    assert (len(served.calls("delete_object")), served.state("binned")) == (4, ["2563"])


def test_a_delete_that_is_put_off_for_ever_ends_as_not_sent(served: ServedEnaio) -> None:
    served.fault(act=False, status=429, times=None)
    with pytest.raises(NotSentError):
        served.hook.delete_object("2563")


# The gateway


def test_the_session_of_the_gateway_is_kept(served: ServedEnaio) -> None:
    for object_id in ("2563", "2564", "2565"):
        served.hook.get_object(object_id)
    assert served.part.state()["logins"] == 1


@pytest.mark.parametrize("status", ["401", "403"])
def test_an_expired_session_is_replaced_once(served: ServedEnaio, status: str) -> None:
    served.part.turn({"expired_cookie": status})
    served.hook.get_object("2563")
    served.part.expire_sessions()
    served.hook.delete_object("2563")
    assert served.part.state()["logins"] == 2
    assert served.state("binned") == ["2563"]
    assert [entry.status for entry in served.server.sandbox.log] == [200, int(status), 204]


def test_asked_to_slow_down_it_keeps_its_session(served: ServedEnaio) -> None:
    served.hook.get_object("2563")
    served.fault(act=False, status=429)
    served.hook.delete_object("2563")
    assert served.part.state()["logins"] == 1
    assert [entry.status for entry in served.server.sandbox.log] == [200, 429, 204]


def test_sessions_that_expire_under_many_threads(served: ServedEnaio) -> None:
    served.part.turn({"session_requests": 2})
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: served.hook.get_object("2563").object_id, range(40)))
    assert found == ["2563"] * 40


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (403, AccessDeniedError)])
def test_a_refused_login_is_never_repeated_in_a_loop(served: ServedEnaio, status: int, kind: type[VendorError]) -> None:
    served.hook.get_object("2563")
    served.fault(act=False, status=status, times=None)
    with pytest.raises(kind):
        served.hook.delete_object("2563")
    assert len(served.calls("delete_object")) == 2
    with pytest.raises(kind):
        served.hook.delete_object("2563")
    assert len(served.calls("delete_object")) == 3


@pytest.mark.parametrize(
    ("login_filter", "kind"),
    [("401", AuthenticationError), ("redirect", WrongAddressError), ("html", WrongAddressError)],
)
def test_every_login_filter_stops(served: ServedEnaio, login_filter: str, kind: type[VendorError]) -> None:
    served.part.turn({"login_filter": login_filter})
    hook = served.hooked(password="wrong")
    with pytest.raises(VendorError) as caught:
        hook.delete_object("2563")
    assert type(caught.value) is kind
    assert len(served.server.sandbox.log) == 1
    assert hook.test_connection()[0] is False


def test_a_password_may_hold_any_letter(served: ServedEnaio) -> None:
    served.part.password = "pässwörd-€-Ж"
    served.hooked(password="pässwörd-€-Ж").get_object("2563")


@pytest.mark.parametrize("path", ["/enaio/wrong", "/enaio/osrest"])
def test_a_wrong_path_is_never_read_as_not_found(served: ServedEnaio, path: str) -> None:
    hook = served.hooked(path=path)
    calls: list[Callable[[], object]] = [lambda: hook.delete_object("2563"), lambda: hook.get_object("2563")]
    for call in calls:
        with pytest.raises(WrongAddressError, match="api_prefix"):
            call()
    assert hook.test_connection()[0] is False


def test_a_wrong_prefix_is_never_read_as_not_found(served: ServedEnaio) -> None:
    hook = served.hooked(api_prefix="/dms")
    with pytest.raises(WrongAddressError, match="'/dms'"):
        hook.get_object("2563")
    good, message = hook.test_connection()
    assert not good
    assert "api_prefix" in message


def test_a_not_found_without_a_code_is_believed_once_the_service_was_seen(served: ServedEnaio) -> None:
    served.part.turn({"error_body": "html", "info": "404"})
    with pytest.raises(WrongAddressError):
        served.hook.get_object("99")
    served.hook.get_object("2563")
    with pytest.raises(NotFoundError):
        served.hook.get_object("99")


@pytest.mark.parametrize("body", [HTML, "", {"message": "no route"}])
def test_a_service_that_goes_away_leaves_nothing_not_found(served: ServedEnaio, body: object) -> None:
    served.part.turn({"error_body": "empty"})
    served.hook.delete_object("2563")
    with pytest.raises(NotFoundError):
        served.hook.get_object("99")
    served.fault("*", act=False, status=404, body=body, times=None)
    for ask in (served.hook.get_object, served.hook.delete_object):
        with pytest.raises(WrongAddressError):
            ask("99")


def test_one_thread_asks_whether_the_service_is_there_for_all_that_wait(served: ServedEnaio) -> None:
    served.part.turn({"error_body": "empty"})
    served.fault("search", latency_ms=300, times=None)

    def gone(_: int) -> bool:
        with pytest.raises(NotFoundError):
            served.hook.get_object("99")
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(gone, range(8)))
    assert sum(entry.call == "search" for entry in served.server.sandbox.log) <= 3


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_page_of_somebody_else_is_no_word_of_enaio(served: ServedEnaio, status: int) -> None:
    served.fault("*", act=False, status=status, body=HTML, times=None)
    with pytest.raises(WrongAddressError):
        served.hook.delete_object("2563")


def test_a_version_alone_does_not_make_it_enaio(served: ServedEnaio) -> None:
    for call in ("get_object", "search"):
        served.fault(call, act=False, status=404, times=None)
    with pytest.raises(WrongAddressError):
        served.hook.get_object("2563")


def test_a_page_with_an_internal_error_needs_no_check(served: ServedEnaio) -> None:
    served.fault("*", act=False, status=500, body=HTML, times=None)
    with pytest.raises(ServerError):
        served.hook.delete_object("2563")
    assert len(served.server.sandbox.log) == 1


@pytest.mark.parametrize("status", [400, 500])
def test_the_http_status_is_none_of_the_codes(served: ServedEnaio, status: int) -> None:
    served.fault(act=False, status=status, body={"code": status})
    with pytest.raises(VendorError) as caught:
        served.hook.delete_object("2563")
    assert caught.value.code is None


# GET /objects/{objectId}


def test_an_object(served: ServedEnaio) -> None:
    found = served.hook.get_object("2564", object_type_id="262239")
    assert (found.object_id, found.object_type_id, found.base_type) == ("2564", "262239", "DOCUMENT")
    assert found.fields["Disposal"] == " approved "
    assert found.fields["system:lastModificationDate"] == "2020-12-08T18:33:14+01:00"
    assert found.permissions == {"delete": ("metadata", "object")}
    assert served.calls("get_object") == ["/enaio/api/dms/objects/2564?includeContentStreams=false&objectTypeId=262239"]


@pytest.mark.parametrize("flag", ["garbadeMode", "garbageMode"])
def test_the_bin_is_seen_with_either_spelling_of_the_flag(served: ServedEnaio, flag: str) -> None:
    served.part.turn({"bin_flag": flag})
    served.hook.delete_object("2563")
    with pytest.raises(NotFoundError):
        served.hook.get_object("2563")
    assert served.hook.get_object("2563", binned=True).object_id == "2563"


def test_what_may_not_be_read_is_not_called_not_found(served: ServedEnaio) -> None:
    served.part.turn({"unreadable": "400"})
    served.part.archive.objects["2563"].no_read = {"disposal"}
    with pytest.raises(RefusedError):
        served.hook.get_object("2563")


def entry(object_id: Any = "2563", **more: Any) -> dict[str, Any]:
    return {"properties": {"system:objectId": {"value": object_id}, **more}}


def envelope(*objects: Any, **more: Any) -> dict[str, Any]:
    return {"objects": list(objects), "numItems": len(objects), "hasMoreItems": False, **more}


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "no json",
        "[" * 100_000,
        HTML.replace("html", "xml"),
        "null",
        "[]",
        {},
        {"objects": None},
        {"objects": {}},
        {"objects": [None]},
        {"objects": ["2563"]},
        {"objects": [{"properties": []}]},
        {"objects": [{"properties": {"system:objectId": "2563"}}]},
        {"objects": [{"properties": {"system:objectId": {}}}]},
        envelope(),
        envelope(entry("2564")),
        envelope(entry(), entry("2564")),
        envelope(entry(), entry()),
        envelope(entry(None)),
        envelope(entry(True)),
        envelope(entry("x")),
        envelope(entry(["2563"])),
        envelope(entry(Disposal="approved")),
        envelope(entry(), numItems=2),
        envelope(entry(), numItems="1"),
        envelope(entry(), numItems=True),
        envelope(entry(), hasMoreItems="false"),
        envelope(entry(), totalNumItems="1"),
    ],
)
def test_an_answer_of_another_shape_is_no_object_and_no_absence(served: ServedEnaio, body: Any) -> None:
    served.fault("get_object", status=200, body=body, times=None)
    with pytest.raises(UnreadableAnswerError):
        served.hook.get_object("2563")


def test_a_page_instead_of_an_object_is_a_wrong_login(served: ServedEnaio) -> None:
    served.fault("get_object", status=200, body=HTML)
    with pytest.raises(WrongAddressError, match="HTTP Basic"):
        served.hook.get_object("2563")


def test_what_the_vendor_leaves_open_is_taken_as_it_comes(served: ServedEnaio) -> None:
    loose = entry(2563, Amount={"value": 7.5}, Paid={"value": True}, Rows={"value": [{"a": "ä"}]})
    loose["properties"] |= {"None": {"value": None}, "system:baseTypeId": {"value": "document"}}
    loose["permissions"] = {"delete": "object"}
    served.fault("get_object", status=200, body={"objects": [loose]})
    found = served.hook.get_object("2563")
    assert (found.object_id, found.object_type_id, found.base_type) == ("2563", "", "DOCUMENT")
    assert [found.fields[name] for name in ("Amount", "Paid", "Rows", "None")] == ["7.5", "true", '[{"a": "ä"}]', ""]
    assert found.permissions is None


@pytest.mark.parametrize("harm", [{"drop": True}, {"status": 503}, {"cut": 20}, {"status": 429, "act": False}])
def test_a_read_is_repeated(served: ServedEnaio, harm: dict[str, Any]) -> None:
    served.fault("get_object", times=2, **harm)
    assert served.hook.get_object("2563").object_id == "2563"
    assert len(served.calls("get_object")) == 3


# POST /objects/search


def ids(served: ServedEnaio, **options: Any) -> list[str]:
    return [item.object_id for item in served.hook.search(QUERY, {"state": "approved"}, **options)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_search_reads_all_pages(served: ServedEnaio, size: int) -> None:
    for number in range(3000, 3006):
        served.part.archive.add(str(number), "Invoice", fields={"Disposal": "approved"})
    assert ids(served, page_size=size) == ["2563", *(str(number) for number in range(3000, 3006))]
    assert len(served.calls("search")) == -(-7 // size)


def test_the_next_page_begins_after_what_came(served: ServedEnaio) -> None:
    served.part.archive.add("3000", "Invoice", fields={"Disposal": "approved"})
    served.fault("search", status=200, body=envelope(entry("2563"), hasMoreItems=True))
    assert ids(served, page_size=2) == ["2563", "3000"]
    assert '"skipCount": 1' in served.server.sandbox.log[-1].request


def test_a_search_in_the_bin(served: ServedEnaio) -> None:
    served.hook.delete_object("2563")
    assert ids(served) == []
    assert ids(served, deleted="DELETED_DOCUMENTS_ONLY") == ["2563"]


def test_an_object_that_two_pages_show_comes_once(served: ServedEnaio) -> None:
    for number in range(3000, 3005):
        served.part.archive.add(str(number), "Invoice", fields={"Disposal": "approved"})
    served.part.turn({"page_shift": -1})
    found = ids(served, page_size=2)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (envelope(entry(), hasMoreItems=True, totalNumItems=9), "does not advance"),
        (envelope(hasMoreItems=True, totalNumItems=9), "ends the list after"),
        ({"objects": [entry("1")], "numItems": 1}, "does not say"),
        (envelope(entry("1"), hasMoreItems=1), "no list of objects"),
    ],
)
def test_a_search_that_does_not_advance_is_an_error(served: ServedEnaio, body: Any, problem: str) -> None:
    served.part.archive.add("3000", "Invoice", fields={"Disposal": "approved"})
    served.fault("search", skip=1, times=None, status=200, body=body)
    with pytest.raises(UnreadableAnswerError, match=problem):
        ids(served, page_size=1)


def test_an_empty_page_ends_a_search(served: ServedEnaio) -> None:
    served.fault("search", status=200, body=envelope(hasMoreItems=True))
    assert ids(served) == []


def test_a_wrong_statement_is_refused(served: ServedEnaio) -> None:
    with pytest.raises(RefusedError):
        list(served.hook.search("SELECT system:objectId FROM Nothing"))


def test_a_page_has_at_least_one_row(served: ServedEnaio) -> None:
    with pytest.raises(ConfigurationError):
        ids(served, page_size=0)


# The other calls


def test_every_place_of_an_object(served: ServedEnaio) -> None:
    served.part.archive.add("1500", "Register", base="REGISTER", places=["1413"])
    served.part.archive.add("2566", "Invoice", places=["1411", "1500"])
    found = served.hook.locations("2566")
    steps = [[step["properties"]["system:objectId"]["value"] for step in place] for place in found]
    assert sorted(steps) == [["1411", "2566"], ["1413", "1500", "2566"]]
    assert len(served.hook.locations("2563")) == 1


@pytest.mark.parametrize("body", ["null", "[1]", {"children": "x"}, {"children": [None]}, {"objects": 7}])
def test_places_of_another_shape(served: ServedEnaio, body: Any) -> None:
    served.fault("locations", status=200, body=body, times=None)
    with pytest.raises(UnreadableAnswerError):
        served.hook.locations("2563")


def test_a_note_in_the_history(served: ServedEnaio) -> None:
    served.hook.add_history("2563", {"note": "disposed of"}, action=471)
    assert served.part.state()["history"] == {"2563": [{"note": "disposed of", "action": 471}]}
    with pytest.raises(ConfigurationError):
        served.hook.add_history("2563", {}, action=1)
    with pytest.raises(NotFoundError):
        served.hook.add_history("99", {})


def test_the_connection_test(served: ServedEnaio) -> None:
    assert served.hook.test_connection() == (True, "Connected; DMS service 6.2.1. Rights on objects were not tested.")
    served.part.turn({"info": "no_version"})
    assert "of unknown version" in served.hook.test_connection()[1]
    served.part.turn({"info": "404"})
    assert "of unknown version" in served.hook.test_connection()[1]
    assert served.calls("session") == ["/enaio/osrest/api/session"]
    assert not any(entry.effects for entry in served.server.sandbox.log)


def test_the_connection_test_says_no_secret(served: ServedEnaio) -> None:
    good, message = served.hooked(password="wrong-but-secret").test_connection()
    assert not good
    assert "credentials" in message
    assert "wrong-but-secret" not in message
    served.fault("info", status=200, body="null")
    assert served.hook.test_connection()[0] is False


def test_an_unknown_host_is_reported(connect: Connect) -> None:
    hook = EnaioHook(connect("enaio", "http://127.0.0.1:9", login="a", password="b"))
    assert hook.test_connection()[0] is False
