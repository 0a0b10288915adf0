"""The due list, submission and the connection test of Opus, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_records.exceptions import (
    ConfigurationError,
    InvalidRecordsError,
    NoAnswerError,
    RefusedError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.opus_responses import DueRecord
from airflow_provider_records.sandbox.seed import UNIFIER_CONNECTOR
from tests.conftest import Connect, Serve
from tests.hooks.opus_factory import CONNECTOR, KEYS, SECRET, ServedOpus, item

BOUND = "2024-12-20T11:13:00"
ROW = {
    "rowKey": "a",
    "leafName": " Contract.pdf ",
    "timeCreated": "2014-12-19 18:15:00 ",
    "timeModified": None,
    "createdBy": "",
    "modifiedBy": 7,
}


@pytest.fixture
def served(serve: Serve) -> ServedOpus:
    return ServedOpus(serve)


def keys(hook: OpusHook, **more: Any) -> list[str]:
    return [record.row_key for record in hook.iter_due_records(CONNECTOR, BOUND, **more)]


def queries(served: ServedOpus) -> list[dict[str, list[str]]]:
    return [parse_qs(urlsplit(entry.path).query, keep_blank_values=True) for entry in served.entries("due_records")]


def test_a_row_is_read(served: ServedOpus) -> None:
    first = next(served.hook.iter_due_records(None, BOUND))
    assert first == DueRecord(
        row_key="hr-2014-0001",
        leaf_name="Contract hr-2014-0001.pdf",
        term_full_path="HR/Personnel/Contracts",
        time_created="2004-12-19 18:15:00",
        time_modified="2004-12-19 18:15:00",
        created_by="jane.doe",
        modified_by="jane.doe",
    )
    assert queries(served)[0] == {
        "id": [CONNECTOR], "disposalDueDate": [BOUND], "startIndex": [""], "itemsPerPage": ["100"],
    }  # fmt: skip


def test_blank_missing_and_odd_fields_never_fail(served: ServedOpus) -> None:
    served.answer("due_records", 200, {"queriedItems": [ROW, {"rowKey": "b", "leafName": {"a": 1}}]})
    assert list(served.hook.iter_due_records(CONNECTOR, BOUND)) == [
        DueRecord("a", "Contract.pdf", None, "2014-12-19 18:15:00", None, None, "7"),
        DueRecord("b", None, None, None, None, None, None),
    ]


@pytest.mark.parametrize("start_index", ["opaque", "numeric"])
@pytest.mark.parametrize("last_page", ["null", "empty", "absent"])
def test_all_pages_are_read(served: ServedOpus, start_index: str, last_page: str) -> None:
    served.part.turn({"start_index": start_index, "last_page": last_page})
    assert keys(served.hook, page_size=6) == list(KEYS)
    assert len(served.entries("due_records")) == 4


def test_a_cursor_goes_back_unchanged(served: ServedOpus) -> None:
    cursor = "+/a b&c=ä%2F"
    served.answer("due_records", 200, {"startIndex": cursor, "queriedItems": []})
    served.answer("due_records", 200, {"queriedItems": []}, skip=1)
    assert keys(served.hook) == []
    assert queries(served)[1]["startIndex"] == [cursor]


def test_an_empty_page_with_a_cursor_goes_on(served: ServedOpus) -> None:
    served.part.turn({"empty_page": True})
    assert keys(served.hook, page_size=6) == list(KEYS)


def test_a_repeated_cursor_is_an_error_not_a_loop(served: ServedOpus) -> None:
    served.part.turn({"repeat_cursor": True})
    with pytest.raises(UnreadableAnswerError, match="twice"):
        keys(served.hook, page_size=6)
    assert len(served.entries("due_records")) == 2


def test_a_record_on_two_pages_comes_once(served: ServedOpus) -> None:
    served.part.turn({"overlap": True})
    assert keys(served.hook, page_size=6) == list(KEYS)


def test_a_key_with_two_faces_comes_with_both(served: ServedOpus) -> None:
    other = {**ROW, "leafName": "Another.pdf"}
    served.answer("due_records", 200, {"startIndex": "2", "queriedItems": [ROW]})
    served.answer("due_records", 200, {"queriedItems": [other]}, skip=1)
    assert [row.leaf_name for row in served.hook.iter_due_records(CONNECTOR, BOUND)] == ["Contract.pdf", "Another.pdf"]


@pytest.mark.parametrize("none_due", ["204", "list"])
def test_none_due(served: ServedOpus, none_due: str) -> None:
    served.part.turn({"none_due": none_due})
    assert list(served.hook.iter_due_records(UNIFIER_CONNECTOR, BOUND)) == []


@pytest.mark.parametrize(
    "body",
    [
        "", "<html></html>", '{"queriedItems": [', [], {}, {"statusCode": 200}, {"queriedItems": {}},
        {"queriedItems": "a"}, {"queriedItems": [], "startIndex": []}, {"queriedItems": [], "startIndex": True},
        {"queriedItems": [], "statusCode": "200"}, {"queriedItems": ["a"]}, {"queriedItems": [{}]},
        {"queriedItems": [{"rowKey": " "}]}, {"queriedItems": [{"rowKey": 7}]}, {"queriedItems": [{"rowKey": None}]},
        {"queriedItems": [ROW, None]}, {"queriedItems": [], "statusCode": 418},
    ],
)  # fmt: skip
def test_a_page_that_cannot_be_relied_on_is_no_list(served: ServedOpus, body: Any) -> None:
    served.answer("due_records", 200, body, times=None)
    with pytest.raises(VendorError) as caught:
        keys(served.hook)
    assert caught.value.code == "418" or isinstance(caught.value, UnreadableAnswerError)


@pytest.mark.parametrize(
    ("status", "error", "times"),
    [(400, RefusedError, 1), (404, WrongAddressError, 1), (405, WrongAddressError, 1), (500, NoAnswerError, 8),
     (408, NoAnswerError, 8), (202, UnreadableAnswerError, 8)],
)  # fmt: skip
@pytest.mark.parametrize("in_body", [True, False])
def test_a_refused_page_is_no_list(
    served: ServedOpus, status: int, error: type[Exception], times: int, in_body: bool
) -> None:
    if in_body:
        served.answer("due_records", 200, {"statusCode": status, "queriedItems": []}, skip=1, times=None)
    else:
        served.answer("due_records", status, skip=1, times=None)
    with pytest.raises(error):
        keys(served.hook, page_size=6)
    assert len(served.entries("due_records")) == 1 + times


def test_a_page_is_read_again_after_a_lost_answer(served: ServedOpus) -> None:
    served.fault("due_records", drop=True, skip=1, times=3)
    served.fault("due_records", cut=40, skip=5)
    assert keys(served.hook, page_size=6) == list(KEYS)


@pytest.mark.parametrize(
    ("due_before", "sent"),
    [
        (datetime(2024, 12, 20, 11, 13), BOUND),  # noqa: DTZ001 - a time without a zone is the point
        (datetime(2024, 12, 20, 11, 13, 0, 999_999, tzinfo=UTC), BOUND),
        (datetime(2024, 12, 20, 21, 13, tzinfo=timezone(timedelta(hours=10))), BOUND),
        (BOUND, BOUND),
        (" 2024-12-20 11:13:00+00:00 ", BOUND),
        ("2024-12-20T01:13:00-10:00", BOUND),
        ("2024-12-20T11:13:00.5Z", BOUND),
        ("2024-12-20", "2024-12-20T00:00:00"),
        (datetime(26, 1, 2, tzinfo=UTC), "0026-01-02T00:00:00"),
    ],
)
def test_the_bound_is_sent_in_utc_without_offset(served: ServedOpus, due_before: datetime | str, sent: str) -> None:
    list(served.hook.iter_due_records(CONNECTOR, due_before))
    assert queries(served)[0]["disposalDueDate"] == [sent]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((CONNECTOR, ""), "due_before"),
        ((CONNECTOR, "None"), "due_before"),
        ((CONNECTOR, "{{ ds }}"), "due_before"),
        ((CONNECTOR, None), "due_before"),
        ((CONNECTOR, 20241220), "due_before"),
        ((CONNECTOR, date(2024, 12, 20)), "due_before"),
        ((CONNECTOR, datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))), "due_before"),
        ((CONNECTOR, BOUND, 0), "page_size"),
        ((CONNECTOR, BOUND, 101), "page_size"),
        ((CONNECTOR, BOUND, "50"), "page_size"),
        ((CONNECTOR, BOUND, True), "page_size"),
        (("", BOUND), "connector_id"),
        (("None", BOUND), "connector_id"),
        ((CONNECTOR[:-1], BOUND), "connector_id"),
        ((f"{CONNECTOR}&x=1", BOUND), "connector_id"),
    ],
)
def test_a_wrong_argument_is_named_before_any_request(served: ServedOpus, arguments: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        served.hook.iter_due_records(*arguments)
    assert served.sandbox.log == []


def test_the_connection_may_hold_the_connector_id(served: ServedOpus) -> None:
    assert served.hook.connector_id == CONNECTOR
    bare = served.another(connector_id=None)
    assert bare.connector_id is None
    with pytest.raises(ConfigurationError, match="'connector_id'"):
        bare.iter_due_records(None, BOUND)
    with pytest.raises(ConfigurationError, match="GUID"):
        served.another(connector_id="all").iter_due_records(None, BOUND)


def record(key: str, **more: object) -> dict[str, object]:
    return {
        "rowKey": key, "leafName": "Contract.pdf", "timeCreated": "2014-12-19 18:15:00",
        "timeModified": "2014-12-19 18:15:00", "createdBy": "jane.doe", "modifiedBy": "jane.doe", **more,
    }  # fmt: skip


def test_records_are_submitted(served: ServedOpus) -> None:
    answer = served.hook.submit_records(None, [record("n-1"), record("n-2", _Number_Column=7)])
    assert (answer.submitted, dict(answer.refused), answer.unclear, answer.status) == (("n-1", "n-2"), {}, (), 201)
    sent = json.loads(served.entries("submit_records")[0].request)
    assert (sent["id"], sent["conflictOption"], sent["data"][1]["_Number_Column"]) == (CONNECTOR, "Skip", 7)
    assert served.sandbox.effects("opus", "submitted") == ["n-1", "n-2"]


@pytest.mark.parametrize("partial", ["line_and_body", "line", "body", "neither"])
def test_a_refused_record_is_named(served: ServedOpus, partial: str) -> None:
    served.part.turn({"partial": partial})
    answer = served.hook.submit_records(CONNECTOR, [record("n-1"), record("n-2", termFullPath="HR/Nowhere")])
    assert (answer.submitted, answer.refused, answer.unclear) == (("n-1",), {"n-2": "n-2"}, ())


def test_a_submission_that_names_nobody_is_unclear(served: ServedOpus) -> None:
    served.part.turn({"failed_items": "unreadable"})
    answer = served.hook.submit_records(CONNECTOR, [record("n-1"), record("n-2", termFullPath="HR/Nowhere")])
    assert (answer.submitted, answer.unclear) == ((), ("n-1", "n-2"))


def test_records_are_overwritten_if_asked_for(served: ServedOpus) -> None:
    served.hook.submit_records(CONNECTOR, [record(KEYS[0])], conflict_option="Overwrite")
    assert served.sandbox.effects("opus", "overwritten") == [KEYS[0]]


def test_a_submission_is_not_repeated_after_a_lost_answer(served: ServedOpus) -> None:
    served.fault("submit_records", drop=True)
    with pytest.raises(NoAnswerError):
        served.hook.submit_records(CONNECTOR, [record("n-1")])
    assert len(served.entries("submit_records")) == 1


@pytest.mark.parametrize(
    "records",
    [[], [record(f"n-{number}") for number in range(16)], [record("n"), record("n")], [record("n", leafName="")],
     [record("n", createdBy=None)], [record("n", timeCreated=datetime(2014, 1, 1, tzinfo=UTC))], [record("")],
     [record("n", column=object())], [record("n", column=float("nan"))], ["n"], [None], None, "n", record("n")],
)  # fmt: skip
def test_records_that_are_not_clean_are_refused_before_any_request(served: ServedOpus, records: Any) -> None:
    with pytest.raises(InvalidRecordsError):
        served.hook.submit_records(CONNECTOR, records)
    assert served.sandbox.log == []


@pytest.mark.parametrize("option", ["skip", "", "Replace", None])
def test_an_unknown_conflict_option_is_refused(served: ServedOpus, option: Any) -> None:
    with pytest.raises(ConfigurationError, match="conflict_option"):
        served.hook.submit_records(CONNECTOR, [record("n")], option)
    assert served.sandbox.log == []


def test_the_connection_test_reads_and_changes_nothing(served: ServedOpus) -> None:
    works, words = served.hook.test_connection()
    assert (works, words) == (True, "Token accepted, and Opus showed the due list of the connector.")
    assert [entry.call for entry in served.sandbox.log] == ["token", "due_records"]
    assert queries(served)[0]["disposalDueDate"] == ["1970-01-01T00:00:00"]
    served.part.turn({"none_due": "list"})
    assert served.hook.test_connection()[0]


def test_the_connection_test_says_what_it_did_not_test(served: ServedOpus) -> None:
    works, words = served.another(connector_id="").test_connection()
    assert works
    assert "only the credentials were tested: the connection has no connector id" in words.lower()
    assert [entry.call for entry in served.sandbox.log] == ["token"]


Change = Callable[[ServedOpus], OpusHook]


def faulty(call: str, status: int, body: Any = None) -> Change:
    def change(served: ServedOpus) -> OpusHook:
        served.answer(call, status, body, times=None)
        return served.hook

    return change


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda served: served.another(password="wrong-Secret-81"), "client secret"),
        (lambda served: served.another(login="somebody"), "client id"),
        (lambda served: served.another(scope="everything"), "scope"),
        (lambda served: served.another(password=""), "'password'"),
        (lambda served: served.another(connector_id="hr"), "GUID"),
        (lambda served: served.another(connector_id=UNIFIER_CONNECTOR[::-1]), "connector"),
        (lambda served: served.another(identity_url=f"{served.url}/nowhere"), "identity_url"),
        (lambda served: served.another(identity_url="somewhere"), "'identity_url'"),
        (faulty("token", 401, {"error": SECRET}), "client secret"),
        (faulty("token", 200, "<html>Sign in</html>"), "identity_url"),
        (faulty("token", 503), "identity service"),
        (faulty("due_records", 404), "region"),
        (faulty("due_records", 403), "Token accepted, scope missing: records.readwrite.all"),
        (faulty("due_records", 401), "different clouds"),
        (faulty("due_records", 302), "host"),
        (faulty("due_records", 500, SECRET), "Opus failed"),
    ],
)
def test_a_failed_connection_test_says_what_to_check(served: ServedOpus, change: Change, word: str) -> None:
    works, words = change(served).test_connection()
    assert not works
    assert word in words
    assert SECRET not in words
    assert "wrong-Secret-81" not in words


def test_an_airflow_connection_is_enough(served: ServedOpus, connect: Connect) -> None:
    identity_url = f"{served.url}/connect/token"
    connect(
        "opus", served.url, "records-client", SECRET, identity_url=identity_url, connector_id=CONNECTOR, timeout="5"
    )
    assert keys(OpusHook()) == list(KEYS)
    assert OpusHook.conn_name_attr == "opus_conn_id"


def test_the_list_may_shrink_while_it_is_read(served: ServedOpus) -> None:
    served.part.load([item("hr-2014-9998"), item("hr-2014-9999")])
    served.part.turn({"list_held": False})
    found = []
    for row in served.hook.iter_due_records(CONNECTOR, BOUND, page_size=6):
        found.append(row.row_key)
        served.part.decide(row.row_key, "hold")
    assert found == [*KEYS, "hr-2014-9998", "hr-2014-9999"]
    assert keys(served.hook) == []
