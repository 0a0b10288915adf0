"""How enaio's answers become outcomes: every row of its table, through the runner and over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import ConfigurationError, InvalidRecordsError
from airflow_provider_records.execution.rehearsal import rehearse
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.sandbox.enaio_archive import StoredObject
from airflow_provider_records.sandbox.message import Call
from airflow_provider_records.systems.enaio import EnaioSystem
from tests.conftest import Connect, Serve
from tests.systems.enaio_factory import HARD_AND_SOFT, ServedEnaio


@pytest.fixture
def served(serve: Serve, connect: Connect, tmp_path: Path) -> ServedEnaio:
    return ServedEnaio(serve, connect, tmp_path)


# 204


def test_soft_is_recycled_and_seen_in_the_bin(served: ServedEnaio) -> None:
    assert served.says() == ("recycled", "probe")
    assert served.binned == ["101"]


def test_soft_is_recycled_by_the_answer_where_the_bin_cannot_be_seen(served: ServedEnaio) -> None:
    served.part.turn({"bin_flag": "neither"})
    assert served.says() == ("recycled", "response")


@HARD_AND_SOFT
def test_without_a_look_the_answer_is_the_proof(served: ServedEnaio, hard: bool) -> None:
    assert served.says(verify=False, hard_delete=hard) == ("destroyed" if hard else "recycled", "response")


def test_hard_is_destroyed_and_not_seen_any_more(served: ServedEnaio) -> None:
    assert served.says(hard_delete=True) == ("destroyed", "probe")
    assert served.destroyed == ["101"]


def test_hard_stays_proven_by_the_answer_if_the_look_fails(served: ServedEnaio) -> None:
    served.fault("get_object", status=500, skip=1, times=None)
    assert served.says(hard_delete=True) == ("destroyed", "response")


@pytest.mark.parametrize("flag", ["garbadeMode", "garbageMode"])
@pytest.mark.parametrize("binned_get", ["404", "400"])
def test_an_old_service_of_unknown_version_is_found_out_by_the_bin(
    served: ServedEnaio, flag: str, binned_get: str
) -> None:
    served.part.turn({"version": "4.0.2", "info": "no_version", "bin_flag": flag, "binned_get": binned_get})
    outcome = served.run("101", hard_delete=True)["101"]
    assert (outcome.kind, outcome.proof) == ("recycled", "probe")
    assert "hard delete" in (outcome.reason or "")


def test_a_hard_delete_of_a_known_old_service_is_refused_before_the_first_call(served: ServedEnaio) -> None:
    served.part.turn({"version": "4.0.2"})
    with pytest.raises(ConfigurationError, match=r"4\.0\.2"):
        served.run("101", hard_delete=True)
    with pytest.raises(ConfigurationError, match=r"4\.0\.2"):
        rehearse(EnaioSystem(EnaioHook(), hard_delete=True), [Record.from_item("101")], concurrency=1)
    assert [entry.call for entry in served.server.sandbox.log] == ["info", "info"]
    assert served.says() == ("recycled", "probe")


@HARD_AND_SOFT
def test_what_is_still_there_after_a_204_has_failed(served: ServedEnaio, hard: bool) -> None:
    served.fault(act=False, status=204)
    assert served.says(hard_delete=hard) == ("failed", "probe")
    assert served.says(hard_delete=hard) == ("destroyed" if hard else "recycled", "probe")


@HARD_AND_SOFT
@pytest.mark.parametrize("verify", [True, False])
def test_what_is_still_filed_elsewhere_is_blocked_whether_verified_or_not(
    served: ServedEnaio, hard: bool, verify: bool
) -> None:
    record = {"key": "102", "location": "20"}
    assert served.says(record, hard_delete=hard, verify=verify) == ("blocked", "probe")
    assert served.archive.objects["102"].places == ["10"]


@pytest.mark.parametrize("option", [True, False], ids=["operator", "record"])
def test_the_only_place_is_the_object(served: ServedEnaio, option: bool) -> None:
    location: dict[str, Any] = {"location": "10"} if option else {}
    record = "101" if option else {"key": "101", "location": "10"}
    assert served.says(record, hard_delete=True, **location) == ("destroyed", "probe")
    assert served.deletes() == ["/enaio/api/dms/objects/101?location=10&hardDelete=true"]


def test_a_record_knows_its_place_better_than_the_dag(served: ServedEnaio) -> None:
    served.run({"key": "102", "location": "20"}, location="10")
    assert served.archive.objects["102"].places == ["10"]


def test_a_record_knows_its_type_better_than_the_dag(served: ServedEnaio) -> None:
    invoice = served.archive.types["Invoice"].id
    assert served.says({"key": "101", "object_type_id": invoice}, object_type_id="1") == ("recycled", "probe")


@pytest.mark.parametrize(
    ("version", "seen", "unseen"),
    [("6.2.1", 0, 12), ("6.2.1", 1, 12), ("6.5.0", 0, 1)],
    ids=["before and during the looks", "during the looks", "during the search"],
)
def test_an_account_that_sees_nothing_for_a_while_does_not_show_that_an_object_is_in_no_other_place(
    served: ServedEnaio, monkeypatch: pytest.MonkeyPatch, version: str, seen: int, unseen: int
) -> None:
    """It sees another object again when the looks have ended."""
    served.part.turn({"version": version})
    ids = [f"20{number}" for number in range(6)]
    for each in ids:
        served.archive.add(each, "Plan", places=["10", "20"])
    find, remove, looks = served.part._find, served.part._remove, iter(range(1000))

    def look(call: Call) -> StoredObject:
        if call.method == "GET" and served.server.sandbox.effects("enaio", "removed_from_place") == ids:
            served.part.turn({"reads": "nothing" if seen <= next(looks) < seen + unseen else "allowed"})
        return find(call)

    def remove_from_place(*args: Any, **options: Any) -> Any:
        effects = remove(*args, **options)
        if not seen and effects[0]["id"] == ids[-1]:
            served.part.turn({"reads": "nothing"})
        return effects

    monkeypatch.setattr(served.part, "_find", look)
    monkeypatch.setattr(served.part, "_remove", remove_from_place)
    found = served.run(*({"key": each, "location": "20"} for each in ids), hard_delete=True)
    assert set(ids) <= set(served.live)
    assert {each.kind.value for each in found.values()} <= {"unknown", "blocked"}


def test_what_could_not_be_probed_after_a_204_with_a_location_is_not_called_gone(served: ServedEnaio) -> None:
    record = {"key": "102", "location": "20"}
    served.fault("get_object", status=500, skip=1, times=None)
    assert served.says(record, hard_delete=True) == ("unknown", None)
    served.server.sandbox.faults.clear()
    assert served.says(record, hard_delete=True) == ("blocked", "probe")
    assert served.live.count("102") == 1


@pytest.mark.parametrize(("switch", "expected"), [("all", "destroyed"), ("400", "blocked"), ("500", "failed")])
def test_several_places_without_a_location(served: ServedEnaio, switch: str, expected: str) -> None:
    served.part.turn({"several_places": switch})
    assert served.says("102", hard_delete=True)[0] == expected
    assert ("102" in served.live) == (switch != "all")


# 400


@pytest.mark.parametrize("status", ["400", "404"])
@pytest.mark.parametrize("form", ["serviceErrorCode", "code", "text", "html", "empty"])
def test_what_lies_in_the_bin_already_is_not_ours(served: ServedEnaio, status: str, form: str) -> None:
    """The bin is that of our account, so another run may have moved it there: that one claims it."""
    served.part.turn({"binned_delete": status, "error_body": form})
    served.archive.recycle(served.archive.objects["101"], "disposal")
    assert served.says() == ("absent", "probe")


@pytest.mark.parametrize("status", ["400", "404"])
def test_what_went_to_the_bin_between_our_look_and_our_call_is_not_ours(
    served: ServedEnaio, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.part.turn({"binned_delete": status})
    remove = served.part._remove

    def first_recycled(*args: Any, **options: Any) -> Any:
        served.archive.recycle(served.archive.objects["101"], "disposal")
        return remove(*args, **options)

    monkeypatch.setattr(served.part, "_remove", first_recycled)
    assert served.says() == ("absent", "probe")
    assert len(served.deletes()) == 1


@pytest.mark.parametrize(("version", "expected"), [("6.2.1", "destroyed"), ("5.2.2", "blocked")])
def test_a_hard_delete_of_what_lies_in_the_bin(served: ServedEnaio, version: str, expected: str) -> None:
    served.part.turn({"version": version})
    served.archive.recycle(served.archive.objects["101"], "disposal")
    assert served.says(hard_delete=True)[0] == expected


def test_a_hard_delete_that_does_not_find_what_lies_in_the_bin(served: ServedEnaio) -> None:
    served.part.turn({"version": "5.2.2", "binned_delete": "404"})
    served.archive.recycle(served.archive.objects["101"], "disposal")
    assert served.says(hard_delete=True) == ("blocked", "response")


@HARD_AND_SOFT
@pytest.mark.parametrize("form", ["serviceErrorCode", "errorCode", "code", "text", "html", "empty"])
def test_a_missing_right_is_blocked_and_not_tried_again(served: ServedEnaio, hard: bool, form: str) -> None:
    served.part.turn({"error_body": form})
    served.archive.objects["101"].no_delete = {"disposal"}
    outcome = served.run("101", hard_delete=hard)["101"]
    assert (outcome.kind, outcome.proof) == ("blocked", "response")
    assert "right" in (outcome.reason or "")
    assert "may not be deleted" in (outcome.detail or "") or form == "empty"
    served.run("101", hard_delete=hard)
    assert len(served.deletes()) == 1


@HARD_AND_SOFT
@pytest.mark.parametrize("status", ["400", "500"])
def test_a_folder_that_is_not_empty_is_blocked(served: ServedEnaio, hard: bool, status: str) -> None:
    served.part.turn({"non_empty": status})
    outcome = served.run("10", hard_delete=hard)["10"]
    assert outcome.kind == "blocked"
    assert "not empty" in (outcome.reason or "")
    assert len(served.live) == 6


@pytest.mark.parametrize("reason", ["workflow", "lock", "archive", "retention"])
@pytest.mark.parametrize(("switch", "expected"), [("400", "blocked"), ("500", "failed"), ("allowed", "destroyed")])
def test_what_the_server_may_or_may_not_refuse(served: ServedEnaio, reason: str, switch: str, expected: str) -> None:
    served.part.turn({reason: switch})
    item = served.archive.objects["101"]
    item.in_workflow = reason == "workflow"
    item.locked_by = "clerk" if reason == "lock" else ""
    item.archived = reason == "archive"
    item.retention = "2999-12-31" if reason == "retention" else ""
    assert served.says(hard_delete=True)[0] == expected
    assert len(served.deletes()) == (2 if switch == "500" else 1)


# 404


@HARD_AND_SOFT
@pytest.mark.parametrize("form", ["serviceErrorCode", "errorCode", "code", "text", "html", "empty"])
def test_what_was_gone_before_us_is_absent(served: ServedEnaio, hard: bool, form: str) -> None:
    served.part.turn({"error_body": form})
    found = served.run("99", "100", hard_delete=hard)["99"]
    assert (found.kind, found.proof) == ("absent", "probe")


@HARD_AND_SOFT
def test_an_account_that_sees_nothing_makes_nothing_absent(served: ServedEnaio, hard: bool) -> None:
    for item in served.archive.objects.values():
        item.no_read = {"disposal"}
    found = served.run("101", "100", hard_delete=hard)
    assert {(outcome.kind, outcome.proof) for outcome in found.values()} == {("failed", None)}
    assert all("this account sees nothing" in (outcome.reason or "") for outcome in found.values())
    assert served.deletes() == []


def test_a_login_refused_between_delete_and_probe_does_not_make_it_anothers(served: ServedEnaio) -> None:
    record = {"key": "101", "location": "10"}
    served.fault("get_object", status=401, skip=2, times=None)
    assert served.says(record, hard_delete=True) == ("unknown", None)
    served.server.sandbox.faults.clear()
    assert served.says(record, hard_delete=True) == ("destroyed", "inferred")


@HARD_AND_SOFT
@pytest.mark.parametrize(
    ("record", "options"), [({"location": "20"}, {}), ({}, {"object_type_id": "1"})], ids=["location", "type"]
)
def test_a_wrong_location_or_type_is_not_absence(
    served: ServedEnaio, hard: bool, record: dict[str, str], options: dict[str, Any]
) -> None:
    outcome = served.run({"key": "101", **record}, hard_delete=hard, **options)["101"]
    assert outcome.kind == "failed"
    assert next(iter({**record, **options}.values())) in (outcome.reason or "")
    assert "101" in served.live


def test_a_not_found_that_cannot_be_probed_is_no_unanswered_call(served: ServedEnaio) -> None:
    served.fault("get_object", status=503, match="/99", times=None)
    assert served.run("99", "100", hard_delete=True)["99"].kind == "failed"
    served.server.sandbox.faults.clear()
    assert served.run("99", "100", hard_delete=True)["99"].kind == "absent"


def test_a_not_found_whose_address_cannot_be_checked_is_no_unanswered_call(served: ServedEnaio) -> None:
    served.part.turn({"error_body": "empty", "info": "404"})
    served.fault("search", drop=True, times=None)
    assert served.run("99", "101", hard_delete=True)["99"].kind == "failed"
    served.server.sandbox.faults.clear()
    assert served.run("99", "101", hard_delete=True)["99"].kind == "absent"


@HARD_AND_SOFT
@pytest.mark.parametrize("status", ["404", "400"])
def test_what_the_account_cannot_see(served: ServedEnaio, hard: bool, status: str) -> None:
    served.part.turn({"unreadable": status})
    served.archive.objects["101"].no_read = {"disposal"}
    expected = "blocked" if status == "400" else "absent"
    assert served.run("101", "100", hard_delete=hard)["101"].kind == expected


@HARD_AND_SOFT
@pytest.mark.parametrize(("status", "expected"), [("404", "absent"), ("400", "blocked")])
@pytest.mark.parametrize("late", [False, True], ids=["before our look", "between look and call"])
def test_what_lies_in_a_persons_recycle_bin_is_never_called_destroyed(
    served: ServedEnaio, hard: bool, status: str, expected: str, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.part.turn({"unreadable": status})
    remove = served.part._remove

    def recycle() -> None:
        served.archive.recycle(served.archive.objects["101"], "anna")

    def first_recycled(call: Call, *args: Any, **options: Any) -> Any:
        if call.params["id"] == "101":
            recycle()
        return remove(call, *args, **options)

    if late:
        monkeypatch.setattr(served.part, "_remove", first_recycled)
    else:
        recycle()
    found = served.run("101", "100", hard_delete=hard)["101"]
    assert found.kind == expected
    if expected == "absent":
        assert "the bin of another account, which it does not show, may hold it" in (found.reason or "")
    assert served.binned == (["101"] if hard else ["100", "101"])
    assert served.says(hard_delete=hard)[0] == expected


def test_the_system_says_that_bins_of_others_are_not_shown() -> None:
    for hard in (True, False):
        said = EnaioSystem(EnaioHook("enaio"), hard_delete=hard).describe()
        assert "may hold it" in said.meanings["absent"]
        assert any("recycle bin of another account" in each for each in said.caveats) is hard


def test_a_hidden_object_that_is_not_found_is_blocked(served: ServedEnaio) -> None:
    served.fault(act=False, status=404, body={"code": 1001})
    served.fault("get_object", act=False, status=400, skip=2, times=2)
    assert served.says(hard_delete=True) == ("blocked", "response")


def test_a_wrong_prefix_makes_nothing_absent(served: ServedEnaio, connect: Connect) -> None:
    connect("enaio", f"{served.server.url}/enaio", login="disposal", password=served.part.password, api_prefix="/dms")
    found = served.run("99", "101", hard_delete=True)
    assert [outcome.kind.value for outcome in found.values()] == ["not_attempted", "not_attempted"]


# Everything else


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 401},
        {"status": 403},
        {"status": 302, "headers": {"Location": "/login"}},
        {"status": 200, "body": "<html>Login</html>"},
        {"status": 405},
        {"status": 410},
        {"status": 422},
    ],
    ids=lambda fault: str(fault["status"]),
)
def test_what_is_wrong_for_all_stops_and_the_rest_is_not_attempted(served: ServedEnaio, fault: dict[str, Any]) -> None:
    served.fault(act=False, times=None, match="/101", **fault)
    found = served.run("101", "100", hard_delete=True)
    assert [outcome.kind.value for outcome in found.values()] == ["failed", "not_attempted"]
    assert served.destroyed == []
    served.server.sandbox.faults.clear()
    found = served.run("101", "100", hard_delete=True)
    assert [outcome.kind.value for outcome in found.values()] == ["destroyed", "destroyed"]


@pytest.mark.parametrize(
    ("login_filter", "results", "calls"),
    [
        ("401", ["not_attempted", "not_attempted"], 1),
        ("redirect", ["not_attempted", "not_attempted"], 2),
        ("html", ["not_attempted", "not_attempted"], 2),
    ],
)
def test_a_wrong_password_deletes_nothing(
    served: ServedEnaio, connect: Connect, login_filter: str, results: list[str], calls: int
) -> None:
    served.part.turn({"login_filter": login_filter})
    connect("enaio", f"{served.server.url}/enaio", login="disposal", password="wrong")
    found = served.run("101", "100")
    assert [outcome.kind.value for outcome in found.values()] == results
    assert len(served.server.sandbox.log) == calls


@pytest.mark.parametrize("status", ["401", "403"])
def test_an_expired_session_goes_unnoticed(served: ServedEnaio, status: str) -> None:
    served.part.turn({"expired_cookie": status, "session_requests": 2})
    assert {outcome.kind.value for outcome in served.run("101", "100", hard_delete=True).values()} == {"destroyed"}


@pytest.mark.parametrize("status", [409, 423])
def test_what_is_not_described_is_blocked_with_its_text(served: ServedEnaio, status: int) -> None:
    served.fault(act=False, status=status, body="checked out by clerk")
    outcome = served.run("101", hard_delete=True)["101"]
    assert (outcome.kind, outcome.detail) == ("blocked", "checked out by clerk")


def test_429_is_waited_for(served: ServedEnaio) -> None:
    served.fault(act=False, status=429, times=3)
    assert served.says(hard_delete=True) == ("destroyed", "probe")


def test_ids_that_are_none_are_refused_before_any_request(served: ServedEnaio) -> None:
    for wrong in ("abc", {"key": "101", "location": "/Closed"}, {"key": "101", "object_type_id": "Invoice"}):
        with pytest.raises(InvalidRecordsError):
            served.run("100", wrong)
    assert served.server.sandbox.log == []


# Folders with what is in them


def listed(*ids: str) -> list[dict[str, str]]:
    """Records that name their parents."""
    parents = {"11": "10", "100": "11", "101": "10", "102": "10"}
    return [{"key": key, **({"location": parents[key]} if key in parents else {})} for key in ids]


def test_a_cascade_is_never_left_to_the_service(served: ServedEnaio) -> None:
    served.archive.objects["102"].places = ["10"]
    del served.archive._children["20"]["102"]
    records = listed("10", "11", "100", "101", "102")
    found = served.run(*records, cascade_delete=True, hard_delete=True)
    assert {outcome.kind.value for outcome in found.values()} == {"destroyed"}
    assert served.live == ["20"]
    assert not any("cascade" in path for path in served.deletes())


def test_contents_that_come_first_need_one_try(served: ServedEnaio) -> None:
    found = served.run(*listed("100", "11"), cascade_delete=True)
    assert {outcome.kind.value for outcome in found.values()} == {"recycled"}


@pytest.mark.parametrize("status", ["400", "500"])
def test_what_is_not_on_the_list_keeps_its_folder(served: ServedEnaio, status: str) -> None:
    served.part.turn({"non_empty": status})
    found = served.run(*listed("101", "10"), cascade_delete=True, hard_delete=True)
    assert [outcome.kind.value for outcome in found.values()] == ["destroyed", "blocked"]
    assert served.live == ["10", "20", "11", "100", "102"]


def test_what_failed_keeps_its_folder_for_the_next_try(served: ServedEnaio) -> None:
    served.fault(act=False, status=500, match="/100", times=2)
    found = served.run(*listed("100", "11"), cascade_delete=True)
    assert [outcome.kind.value for outcome in found.values()] == ["failed", "not_attempted"]
    found = served.run(*listed("100", "11"), cascade_delete=True)
    assert [outcome.kind.value for outcome in found.values()] == ["recycled", "recycled"]


def test_what_is_blocked_keeps_its_folder(served: ServedEnaio) -> None:
    served.archive.objects["100"].no_delete = {"disposal"}
    found = served.run(*listed("100", "11"), cascade_delete=True)
    assert [outcome.kind.value for outcome in found.values()] == ["blocked", "blocked"]


# A dry run


def test_a_rehearsal_changes_nothing_and_says_what_it_saw(served: ServedEnaio) -> None:
    outcomes = rehearse(EnaioSystem(EnaioHook()), [Record.from_item("101"), Record.from_item("99")], concurrency=2)
    assert ["would be sent" in (outcome.reason or "") for outcome in outcomes] == [True, False]
    assert served.deletes() == []
