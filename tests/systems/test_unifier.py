"""Unifier's answers and what they become, through the runner, against the sandbox over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import InvalidRecordsError, NoAnswerError
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.rehearsal import rehearse
from airflow_provider_records.execution.runner import Runner
from airflow_provider_records.sandbox.message import Call, Reply
from airflow_provider_records.sandbox.unifier import Folder
from tests.conftest import Connect, Serve
from tests.systems.unifier_factory import BY_ID, BY_PATH, IN_PROJECT, NOWHERE, PLACES, Office, item, record, told


@pytest.fixture
def office(serve: Serve, connect: Connect, tmp_path: Path) -> Iterator[Office]:
    office = Office(serve, connect, tmp_path)
    yield office
    assert office.calls("delete_folder") == 0
    assert set(office.recycled) <= {"555", *map(str, range(1000, 1300))}, (
        "something was deleted that is not on any list"
    )


# status 200


@PLACES
def test_recycled_is_proven_by_the_folder(office: Office, place: dict[str, Any]) -> None:
    outcomes = office.try_(record(555, place))
    assert told(outcomes) == [("recycled", "probe")]
    assert outcomes[0].request_id == "48213"
    assert (office.recycled, office.calls()) == (["555"], 1)


@pytest.mark.parametrize(("place", "verify"), [(NOWHERE, True), (BY_ID, False)])
def test_recycled_is_proven_by_the_answer_only(office: Office, place: dict[str, Any], verify: bool) -> None:
    assert told(office.try_(record(555, place), verify=verify)) == [("recycled", "response")]


def test_a_bin_that_is_still_listed_leaves_it_recycled(office: Office) -> None:
    office.part.turn({"binned_listed": True})
    assert told(office.try_(record(555, BY_ID))) == [("recycled", "response")]


# 12764


def test_an_unknown_id_is_absent_while_the_account_sees_its_project(office: Office) -> None:
    outcomes = office.try_(record(998, IN_PROJECT), record(999, IN_PROJECT))
    assert told(outcomes) == [("absent", "response")] * 2
    assert "wrong" in str(outcomes[0].reason)
    assert (office.calls(), office.calls("list_nodes")) == (2, 2)


@pytest.mark.parametrize("verify", [True, False])
def test_an_account_that_sees_nothing_proves_no_absence(office: Office, verify: bool) -> None:
    records = [record(node, IN_PROJECT) for node in (555, 998, 999)]
    office.part.turn({"reads": "nothing"})
    outcomes = office.try_(*records, verify=verify)
    assert told(outcomes) == [("failed", None)] * 3
    assert {"sees nothing in its folder / of P-0001. Check the address" in str(each.reason) for each in outcomes} == {
        True
    }
    office.part.turn({"reads": "allowed"})
    assert [kind for kind, _ in told(office.try_(*records))] == ["recycled", "absent", "absent"]


def test_of_an_empty_project_the_reason_says_the_way_out(office: Office) -> None:
    office.part.shells["P-7"] = "Active"
    lost = record(998, {"attributes": {"project_number": "P-7"}})
    (outcome,) = office.try_(lost)
    assert told([outcome]) == [("failed", None)]
    assert "If it is empty, put a document there, and clear this task." in str(outcome.reason)
    office.part.load([replace(item(700, "Note.pdf"), project="P-7", folder_id="700000", folder_path="/Open")])
    assert told(office.try_(lost)) == [("absent", "response")]


def test_a_project_number_that_is_no_text_is_looked_at_all_the_same(office: Office) -> None:
    office.part.shells["4711"] = "Active"
    outcomes = office.try_(record(555), record(999, {"attributes": {"project_number": 4711}}))
    assert told(outcomes) == [("recycled", "response"), ("failed", None)]
    assert "sees nothing in its folder / of 4711" in str(outcomes[1].reason)


def test_another_unifier_that_does_not_know_the_project_proves_no_absence(office: Office) -> None:
    office.part.shells, office.part.documents = {"P-9": "Active"}, {}
    (outcome,) = office.try_(record(555, IN_PROJECT))
    assert told([outcome]) == [("failed", None)]
    assert "cannot be listed" in str(outcome.reason)


def test_without_a_project_a_document_that_the_try_deleted_shows_that_the_account_sees_any(office: Office) -> None:
    (outcome,) = office.try_(record(999))
    assert told([outcome]) == [("failed", None)]
    assert "no other document was deleted by this try" in str(outcome.reason)
    assert told(office.try_(record(555), record(999))) == [("recycled", "response"), ("absent", "response")]
    assert office.calls("list_nodes") == 0


def test_an_account_that_loses_its_rights_meanwhile_proves_no_absence(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = office.system()
    dispose = system.dispose

    def lose_rights(batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        found = dispose(batch, unanswered)
        office.part.turn({"reads": "nothing"})
        return found

    monkeypatch.setattr(system, "dispose", lose_rights)
    nodes = range(1000, 1015)
    for node in nodes:
        office.part.documents[node] = replace(office.part.documents[555], node_id=node, file_id=node + 5000)
    outcomes = office.try_(*(record(node, IN_PROJECT) for node in nodes), system=system)
    assert {str(outcome.kind) for outcome in outcomes} == {"recycled", "failed"}


def test_an_account_that_sees_nothing_at_first_proves_no_absence(office: Office) -> None:
    nodes = range(1000, 1005)
    for node in nodes:
        office.part.documents[node] = replace(office.part.documents[555], node_id=node, file_id=node + 5000)
    system = office.system()
    records = [record(node, IN_PROJECT) for node in nodes]
    office.part.turn({"reads": "nothing"})
    system.prepare(records, frozenset())
    system.observe(records)
    (outcome,) = system.dispose(records[:1], frozenset())
    assert outcome is not None
    assert outcome.kind is OutcomeKind.ABSENT
    office.part.turn({"reads": "allowed"})
    assert "sees nothing in its folder / of P-0001" in system.disbelieved(records[:1], removed=True)["key-1000"]
    system.observe(records)
    assert system.disbelieved(records[:1], removed=True) == {}


def test_an_account_that_may_delete_and_not_list_deletes_by_the_answers(office: Office) -> None:
    office.fault("list_nodes", act=False, status=403, body="Forbidden", times=None)
    assert told(office.try_(record(555, IN_PROJECT))) == [("recycled", "response")]


def test_a_list_whose_documents_are_all_known_costs_one_listing(office: Office) -> None:
    for node in range(1000, 1005):
        office.part.documents[node] = replace(office.part.documents[555], node_id=node, file_id=node + 5000)
    assert (
        told(office.try_(*(record(node, IN_PROJECT) for node in range(1000, 1005)))) == [("recycled", "response")] * 5
    )
    assert (office.calls(), office.calls("list_nodes")) == (5, 1)


@pytest.mark.parametrize(
    ("listed", "told_so"), [(False, ("absent", "probe")), (True, ("unknown", None))], ids=["not listed", "listed"]
)
def test_what_somebody_else_removes_meanwhile_is_absent_unless_listed(
    office: Office, listed: bool, told_so: tuple[str, str | None]
) -> None:
    office.part.turn({"binned_listed": listed})
    system = office.looked(record(555, BY_ID))
    office.part.documents[555].binned = True
    (outcome,) = system.dispose([record(555, BY_ID)], frozenset())
    assert outcome is not None
    assert told(system.verify([(record(555, BY_ID), outcome)])) == [told_so]


@pytest.mark.parametrize("second", [12764, 200])
@pytest.mark.parametrize(
    ("place", "expected"),
    [(BY_ID, [("recycled", "inferred")]), (NOWHERE, [("unknown", None)])],
    ids=["folder known", "folder unknown"],
)
def test_a_worker_killed_after_the_call(
    office: Office, second: int, place: dict[str, Any], expected: list[tuple[str, str | None]]
) -> None:
    office.part.turn({"second_delete": second})
    office.die_after_the_call(record(555, place))
    assert told(office.try_(record(555, place))) == expected
    assert office.calls() == 1


@pytest.mark.parametrize(
    ("place", "listed", "expected"),
    [(BY_ID, False, ("recycled", "inferred")), (BY_ID, True, ("unknown", None)), (NOWHERE, False, ("unknown", None))],
    ids=["not listed", "still listed", "folder unknown"],
)
def test_12764_after_our_own_unanswered_call_is_no_success_by_itself(
    office: Office, place: dict[str, Any], listed: bool, expected: tuple[str, str | None]
) -> None:
    system = office.looked(record(555, place))
    office.part.turn({"binned_listed": listed})
    office.part.documents[555].binned = True
    (outcome,) = system.dispose([record(555, place)], frozenset({"key-555"}))
    assert outcome is not None
    assert told([outcome]) == [expected]


def test_12764_after_an_unanswered_call_is_unknown_while_the_folder_cannot_be_listed(office: Office) -> None:
    system = office.looked(record(555, BY_ID))
    office.part.documents[555].binned = True
    office.fault("list_nodes", times=None, status=503)
    (outcome,) = system.dispose([record(555, BY_ID)], frozenset({"key-555"}))
    assert outcome is not None
    assert outcome.kind is OutcomeKind.UNKNOWN


# Business refusals


@pytest.mark.parametrize("place", [BY_ID, NOWHERE])
@pytest.mark.parametrize("error_http", [200, 400, 403])
def test_refusals_are_blocked_and_not_retried(office: Office, place: dict[str, Any], error_http: int) -> None:
    office.part.turn({"error_http": error_http})
    records = [record(556, place), record(557, place)]
    outcomes = office.try_(*records)
    assert told(outcomes) == [("blocked", "response")] * 2
    assert "link" in str(outcomes[0].reason)
    assert "lock" in str(outcomes[1].reason)
    assert office.try_(*records) == outcomes
    assert office.calls() == 2


@pytest.mark.parametrize(("code", "words"), [(602, "project number"), (1245, "shell")])
def test_a_shell_in_the_way_is_blocked(office: Office, code: int, words: str) -> None:
    if code == 602:
        del office.part.shells["P-0001"]
    else:
        office.part.shells["P-0001"] = "View-Only"
    outcomes = office.try_(record(555, BY_ID))
    assert told(outcomes) == [("blocked", "response")]
    assert words in str(outcomes[0].reason)


def test_a_folder_that_is_refused_is_blocked_and_nothing_sent(office: Office) -> None:
    del office.part.shells["P-0001"]
    assert told(office.try_(record(555, BY_PATH))) == [("blocked", "response")]
    assert office.calls() == 0


# Other numbers


@pytest.mark.parametrize("status", [500, 503, 12999, "202"])
@pytest.mark.parametrize("acted", [False, True])
def test_another_number_is_judged_by_the_folder(office: Office, status: object, acted: bool) -> None:
    office.answer(status, act=acted)
    outcomes = office.try_(record(555, BY_ID))
    assert told(outcomes) == ([("recycled", "inferred")] if acted else [("failed", None)])
    assert (outcomes[0].detail or "").startswith('{"data": []')
    assert office.calls() == 1
    assert told(office.try_(record(555, BY_ID)))[0][0] == "recycled"
    assert office.recycled == ["555"]


@pytest.mark.parametrize(("status", "expected"), [(500, "unknown"), (503, "unknown"), (12999, "failed")])
@pytest.mark.parametrize("unseen", [NOWHERE, BY_ID], ids=["folder unknown", "folder cannot be listed"])
def test_another_number_without_a_probe(office: Office, status: int, expected: str, unseen: dict[str, Any]) -> None:
    system = office.looked(record(555, unseen))
    office.fault("list_nodes", times=None, status=503)
    office.answer(status)
    (outcome,) = system.dispose([record(555, unseen)], frozenset())
    assert outcome is not None
    assert told([outcome]) == [(expected, None)]


def test_a_late_effect_of_a_500_is_ours(office: Office) -> None:
    office.answer(500)
    assert told(office.try_(record(555, BY_ID))) == [("failed", None)]
    office.part.documents[555].binned = True
    assert told(office.try_(record(555, BY_ID))) == [("recycled", "inferred")]


# Wrong address, credentials, pace


@pytest.mark.parametrize("edition", ["404", "405"])
@pytest.mark.parametrize("place", [BY_ID, NOWHERE])
def test_an_edition_without_the_call_stops_and_is_never_absent(
    office: Office, edition: str, place: dict[str, Any]
) -> None:
    office.part.turn({"delete_call": edition})
    outcomes = office.try_(*(record(node, place) for node in (555, 556)), record(999))
    assert {outcome.kind for outcome in outcomes} <= {OutcomeKind.FAILED, OutcomeKind.NOT_ATTEMPTED}
    assert OutcomeKind.FAILED in {outcome.kind for outcome in outcomes}


@pytest.mark.parametrize("fault", [{"status": 401, "body": "Unauthorized"}, {"status": 403, "body": "Forbidden"}])
@pytest.mark.parametrize("call", ["delete_document", "*"])
def test_refused_credentials_stop_and_the_rest_is_not_attempted(
    office: Office, fault: dict[str, Any], call: str
) -> None:
    office.fault(call, act=False, times=None, **fault)
    runner = Runner(office.system(), office.journal(), Limits(), concurrency=1)
    outcomes = runner.run([record(node, BY_ID) for node in (555, 556, 557)])
    assert told(outcomes) == [("failed", None), ("not_attempted", None), ("not_attempted", None)]
    assert runner.stop_state.no_retry


def test_a_token_that_ends_in_mid_run_is_renewed(office: Office) -> None:
    system = office.looked(record(555, BY_ID))
    office.part.tokens.issued.clear()
    assert told(office.try_(record(555, BY_ID), system=system)) == [("recycled", "probe")]


def test_429_is_waited_out(office: Office) -> None:
    office.fault(act=False, status=429, headers={"Retry-After": "0"}, times=3)
    assert told(office.try_(record(555, BY_ID))) == [("recycled", "probe")]
    assert office.recycled == ["555"]


@pytest.mark.parametrize("place", [NOWHERE, BY_ID])
def test_nothing_is_attempted_of_a_system_that_is_not_there(
    office: Office, connect: Connect, place: dict[str, Any]
) -> None:
    connect("unifier", "http://127.0.0.1:9/unifier", "a-user", "a-pass-word")
    outcomes = office.try_(record(555, place), record(556, place))
    assert told(outcomes) == [("not_attempted", None)] * 2
    assert "no connection could be made" in str(outcomes[1].reason)


# Traps 4 and 5: whose number it is


@pytest.mark.parametrize("wrong", ["Plan.pdf", "-5", "0", "5.5", "0555"])
def test_what_is_no_node_id_refuses_the_whole_list(office: Office, wrong: str) -> None:
    with pytest.raises(InvalidRecordsError, match="target_id"):
        office.try_(record(555), record(wrong))
    assert office.sandbox.log == []


@pytest.mark.parametrize(
    "place",
    [
        {"parent_id": "/Closed"},
        {"location": "Closed", "attributes": {"project_number": "P-0001"}},
        {"location": "/Closed", "attributes": {"project_number": 7}},
    ],
)
def test_a_folder_in_a_wrong_form_refuses_the_whole_list(office: Office, place: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecordsError, match=r"parent_id|project_number"):
        office.try_(record(555, place))
    assert office.sandbox.log == []


@pytest.mark.parametrize("accepted", [False, True])
def test_the_id_of_a_folder_is_never_sent(office: Office, accepted: bool) -> None:
    office.part.turn({"folder_id_accepted": accepted})
    top = {"location": "/Closed", "attributes": {"project_number": "P-0001"}}
    outcomes = office.try_(record(540, top))
    assert told(outcomes) == [("blocked", "probe")]
    assert "Folder" in str(outcomes[0].reason)
    assert office.calls() == 0


@pytest.mark.parametrize("fields", [{"title": "Plan.pdf"}, {"title": "Locked.pdf", "target_id": "558"}])
def test_a_file_id_taken_for_a_node_id_is_never_sent(office: Office, fields: dict[str, Any]) -> None:
    outcomes = office.try_(Record.from_item({"key": "k", "target_id": "556", **BY_ID, **fields}))
    assert told(outcomes) == [("blocked", "probe")]
    assert "file id" in str(outcomes[0].reason)
    assert office.calls() == 0


def test_a_document_that_was_moved_is_neither_sent_nor_claimed(office: Office) -> None:
    office.part.documents[555].parent_id = 1
    outcomes = office.try_(record(555, BY_ID))
    assert told(outcomes) == [("blocked", "probe")]
    assert "moved" in str(outcomes[0].reason)
    assert (office.calls(), office.part.documents[555].binned) == (0, False)


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        ({"project": "P-9"}, "projectnumber is 'P-9', on the list 'P-0001'"),
        ({"path": "/Reopened/2014/Plan.pdf"}, "its folder is '/Reopened/2014', on the list '/Closed/2014'"),
        ({"file_id": 9121}, "file_id is '9121', on the list '9120'"),
    ],
    ids=["another project", "another path", "another revision"],
)
def test_a_row_of_another_place_or_revision_than_the_list_names_is_another_document(
    office: Office, shown: dict[str, Any], why: str
) -> None:
    """Of these the folder's id says nothing: it was moved as a whole, or another Unifier counts alike."""
    place = {"parent_id": "540", "location": "/Closed/2014"}
    listed = record(555, place, attributes={"project_number": "P-0001", "file_id": "9120"})
    office.part.documents[555] = replace(office.part.documents[555], **{"file_id": 9120, **shown})
    office.part.folders[540].project = office.part.documents[555].project
    (outcome,) = office.try_(listed)
    assert told([outcome]) == [("blocked", "probe")]
    assert f"not the object that was approved: {why}" in str(outcome.reason)
    assert office.calls() == 0


def test_a_place_may_be_written_in_another_form(office: Office) -> None:
    office.part.documents[555].path = "/Unifier/Closed/Pl\u00e4ne/Plan.pdf"
    place = {"parent_id": "540", "location": "/closed/Pla\u0308ne/"}
    assert told(office.try_(record(555, place, attributes={"project_number": "p-0001"}))) == [("recycled", "probe")]


@pytest.mark.parametrize("first", [True, False])
def test_a_node_that_is_listed_twice_is_its_document_only_if_both_rows_are(office: Office, first: bool) -> None:
    right = {"node_id": 555, "type": "Document", "Name": "Plan.pdf"}
    rows = [right, {**right, "Name": "Letter.pdf"}]
    office.fault("list_nodes", times=None, body={"data": rows[:: 1 if first else -1], "message": [], "status": 200})
    system = office.system()
    system.expect = {"Name": "title"}
    (outcome,) = office.try_(record(555, BY_ID, title="Plan.pdf"), system=system)
    assert told([outcome]) == [("blocked", "probe")]
    assert office.calls() == 0


@pytest.mark.parametrize("code", [1074, 12764])
def test_a_missing_folder_proves_nothing(office: Office, code: int) -> None:
    office.part.turn({"missing_folder": code})
    outcomes = office.try_(record(555, {"parent_id": "77"}))
    assert told(outcomes) == [("failed", None)]
    assert "folder 77" in str(outcomes[0].reason)
    assert office.calls() == 0


def test_a_folder_listed_too_late_waits_for_the_next_try(office: Office) -> None:
    office.fault("list_nodes", body={"data": [], "status": 1}, act=False)
    assert told(office.try_(record(555, BY_ID))) == [("failed", None)]
    assert office.calls() == 0
    assert told(office.try_(record(555, BY_ID))) == [("recycled", "probe")]


# Listings, and the rehearsal


def test_one_listing_before_serves_the_whole_folder(office: Office) -> None:
    outcomes = office.try_(*(record(node, BY_ID) for node in (555, 556, 557)), verify=False)
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.RECYCLED, OutcomeKind.BLOCKED, OutcomeKind.BLOCKED]
    assert office.calls("list_nodes") == 1


def test_a_document_that_is_moved_between_two_tries_is_not_sent_by_the_second(office: Office) -> None:
    office.fault("delete_document", act=False, status=503, times=2)
    assert told(office.try_(record(555, BY_ID))) == [("failed", None)]
    office.part.documents[555].parent_id = 1
    calls = office.calls()
    office.try_(record(555, BY_ID))
    assert office.calls() == calls
    assert not office.part.documents[555].binned


def test_a_missing_right_ends_the_listings_at_once(office: Office) -> None:
    office.fault("list_nodes", act=False, status=403, body="Forbidden", times=None)
    system = office.system()
    records = [record(node, {"parent_id": str(node)}) for node in range(1000, 1100)]
    system.prepare(records, frozenset())
    assert system.observe(records) == frozenset()
    assert office.calls("list_nodes") <= 8


def test_a_listing_that_shows_nothing_any_more_proves_nothing(office: Office) -> None:
    system = office.looked(record(555, BY_ID))
    (outcome,) = system.dispose([record(555, BY_ID)], frozenset())
    assert outcome is not None
    office.fault("list_nodes", times=None, body={"data": [], "message": [], "status": 200})
    assert told(system.verify([(record(555, BY_ID), outcome)])) == [("recycled", "response")]
    (unanswered,) = system.resolve_unanswered([record(555, BY_ID)])
    assert unanswered is not None
    assert told([unanswered]) == [("unknown", None)]


@pytest.mark.parametrize("others", [True, False], ids=["others besides", "all on the list"])
@PLACES
def test_a_folder_that_shows_nothing_any_more_proves_nothing_though_it_is_listed_itself(
    office: Office, place: dict[str, Any], others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account has lost its rights in this one folder: no id of it is known, and nothing in it listed."""
    for node in range(1000, 1030):
        office.part.documents[node] = replace(office.part.documents[555], node_id=node, file_id=node + 5000)
    if not others:
        office.part.documents = {node: each for node, each in office.part.documents.items() if node >= 1000}
    list_real = office.part._listing

    def listing(call: Call, folder: Folder | None, label: str) -> Reply:
        blind = folder is not None and folder.node_id == 540 and office.calls()
        return office.part._answer([]) if blind else list_real(call, folder, label)

    monkeypatch.setattr(office.part, "_listing", listing)
    office.answer(12764, times=None)
    records = [record(node, place) for node in range(1000, 1030)]
    assert set(told(office.try_(*records))) <= {("failed", None), ("not_attempted", None)}
    assert not office.recycled


@pytest.mark.parametrize("others", [True, False], ids=["others besides", "not called yet"])
def test_an_unanswered_call_is_inferred_only_while_what_else_was_in_the_folder_is_listed(
    office: Office, others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if others:
        del office.part.documents[556], office.part.documents[557]
        office.part.documents[1000] = replace(office.part.documents[555], node_id=1000, file_id=6000)
    records = [record(node, BY_PATH) for node in ((555,) if others else (555, 556, 557))]
    system = office.looked(*records)
    office.fault(drop=True, act=False, times=None)
    with pytest.raises(NoAnswerError):
        system.dispose(records[:1], frozenset())
    emptied = {node: replace(each, parent_id=1) for node, each in office.part.documents.items()}
    monkeypatch.setattr(office.part, "documents", emptied)
    (outcome,) = system.resolve_unanswered(records[:1])
    assert outcome is not None
    assert told([outcome]) == [("unknown", None)]


@pytest.mark.parametrize("row", [{"node_id": "?"}, None, "557"], ids=str)
def test_a_row_that_cannot_be_read_takes_the_proof_and_leaves_the_other_documents_as_they_are(
    office: Office, row: object
) -> None:
    rows = [*({"node_id": node, "type": "Document"} for node in (556, 557)), row]
    system = office.looked(record(555, BY_ID), record(556, BY_ID))
    (outcome,) = system.dispose([record(555, BY_ID)], frozenset())
    assert outcome is not None
    office.fault("list_nodes", times=None, body={"data": rows, "message": [], "status": 200})
    assert told(system.verify([(record(555, BY_ID), outcome)])) == [("recycled", "response")]
    assert system.observe([record(556, BY_ID)]) == {"key-556"}


@PLACES
def test_an_emptied_folder_proves_it_while_the_folder_above_lists_it(office: Office, place: dict[str, Any]) -> None:
    for node in (556, 557):
        office.part.documents[node].parent_id = 1
    assert told(office.try_(record(555, place))) == [("recycled", "probe")]
    assert office.calls("list_nodes") == 3


def test_a_folder_is_listed_twice_a_chunk(office: Office) -> None:
    nodes = range(1000, 1300)
    for node in nodes:
        office.part.documents[node] = replace(office.part.documents[555], node_id=node, file_id=node + 5000)
    outcomes = office.try_(*(record(node, BY_ID) for node in nodes))
    assert set(told(outcomes)) == {("recycled", "probe")}
    chunks = -(-len(nodes) // 32)
    assert office.calls("list_nodes") <= 2 * chunks + 1


def test_folders_that_were_emptied_are_proven_by_one_listing_of_the_folder_above(office: Office) -> None:
    records, above = [], office.part.folders[540].parent_id
    for node in range(1000, 1010):
        folder = office.part.folders[node + 5000] = Folder(node + 5000, "P-0001", f"/Closed/{node}", above)
        path = f"{folder.path}/Plan.pdf"
        document = replace(office.part.documents[555], node_id=node, parent_id=folder.node_id, path=path)
        office.part.documents[node] = document
        records.append(record(node, {"location": folder.path, "attributes": {"project_number": "P-0001"}}))
    assert told(office.try_(*records)) == [("recycled", "probe")] * 10
    assert office.calls("list_nodes") == 10 + 10 + 1


def test_what_a_listing_for_others_shows_counts_however_many_folders_are_listed_meanwhile(office: Office) -> None:
    records = []
    for node in range(1000, 1160):
        folder = 6000 + node % 80
        office.part.folders[folder] = Folder(folder, "P-0001", f"/Closed/{folder}")
        path = f"/Closed/{folder}/Plan.pdf"
        document = replace(office.part.documents[555], node_id=node, parent_id=folder, path=path)
        office.part.documents[node] = document
        records.append(record(node, {"parent_id": str(folder)}, title="Plan.pdf"))
    system = office.system()
    system.expect = {"Name": "title"}
    first, later = records[:80], records[80:]
    system.prepare(records, frozenset())
    system.observe(first)
    system.observe(later)
    done = [(each, outcome) for each in first for outcome in system.dispose([each], frozenset()) if outcome]
    for node in range(1080, 1160):
        office.part.documents[node].path += ".old"
    system.verify(done)
    assert {str(outcome and outcome.kind) for each in later for outcome in system.dispose([each], frozenset())} == {
        "blocked"
    }


@pytest.mark.parametrize("together", [True, False], ids=["in one look", "in the next look"])
@pytest.mark.parametrize("by_path", [True, False])
def test_a_document_that_the_listing_of_another_folder_shows_meanwhile_is_not_sent(
    office: Office, monkeypatch: pytest.MonkeyPatch, by_path: bool, together: bool
) -> None:
    office.part.folders[541] = Folder(541, "P-0001", "/Closed/2015", office.part.folders[540].parent_id)
    office.part.documents[1000] = replace(
        office.part.documents[556], node_id=1000, file_id=6000, parent_id=541, path="/Closed/2015/Note.pdf"
    )
    moved = record(555, BY_PATH if by_path else BY_ID)
    other = record(1000, {**BY_PATH, "location": "/Closed/2015"} if by_path else {"parent_id": "541"})
    system = office.system()
    system.prepare([moved, other], frozenset())
    document = office.part.documents[555]
    list_real = office.part._listing

    def listing(call: Call, folder: Folder | None, label: str) -> Reply:
        reply = list_real(call, folder, label)
        document.parent_id, document.path = 541, "/Closed/2015/Plan.pdf"
        return reply

    monkeypatch.setattr(office.part, "_listing", listing)
    system.hook.settings = replace(system.hook.settings, max_concurrency=1)
    for look in [[moved, other]] if together else [[moved], [other]]:
        system.observe(look)
    (outcome,) = system.dispose([moved], frozenset())
    assert outcome is not None
    assert told([outcome]) == [("blocked", "probe")]
    assert not document.binned


def test_a_list_that_is_mostly_not_there_stops(office: Office) -> None:
    outcomes = office.try_(*(record(node, BY_ID) for node in (555, *range(2000, 2030))))
    assert {str(outcome.kind) for outcome in outcomes} == {"not_attempted"}
    assert "is this the right archive" in str(outcomes[0].reason)
    assert office.calls() == 0


def test_a_list_without_folders_of_which_unifier_knows_hardly_any_stops_and_nothing_is_absent(office: Office) -> None:
    outcomes = office.try_(*(record(node) for node in (555, *range(2000, 2030))))
    assert {str(outcome.kind) for outcome in outcomes[1:]} <= {"failed", "not_attempted"}
    assert told(outcomes[:1]) == [("recycled", "response")]
    assert "30 of 31 are not there: is this the right archive" in str(outcomes[1].reason)


def test_few_that_unifier_does_not_know_are_absent(office: Office) -> None:
    for node in range(1000, 1027):
        office.part.documents[node] = replace(office.part.documents[555], node_id=node, file_id=node + 5000)
    outcomes = office.try_(*(record(node) for node in (*range(1000, 1027), 2000)))
    assert told(outcomes[-1:]) == [("absent", "response")]


def test_a_path_may_end_with_a_slash(office: Office) -> None:
    place = {"location": "/Closed/2014/", "attributes": {"project_number": "P-0001"}}
    assert told(office.try_(record(555, place))) == [("recycled", "probe")]


def test_a_look_is_never_older_than_what_it_proves(office: Office) -> None:
    both = [record(555, BY_ID), record(556, BY_ID)]
    system = office.looked(*both)
    assert system.resolve_unanswered(both) == [None, None]
    office.part.documents[555].binned = True
    assert [outcome and outcome.kind for outcome in system.resolve_unanswered(both)] == [OutcomeKind.RECYCLED, None]


def test_a_rehearsal_sends_nothing(office: Office) -> None:
    outcomes = rehearse(office.system(), [record(555, BY_ID), record(999, BY_ID), record(556)], concurrency=2)
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.NOT_ATTEMPTED}
    assert ["is there" in str(outcome.reason) for outcome in outcomes] == [True, False, False]
    assert office.calls() == 0


def test_nothing_is_absent_where_all_that_the_folder_lists_are_other_documents(office: Office) -> None:
    listed = [record(node, BY_ID, title=title) for node, title in ((555, "Mine"), (999, "Gone"))]
    system = office.system()
    system.expect = {"Name": "title"}
    outcomes = office.try_(*listed, system=system)
    assert told(outcomes) == [("not_attempted", None)] * 2
    assert "is this the right archive?" in str(outcomes[1].reason)
    assert office.calls() == 0
