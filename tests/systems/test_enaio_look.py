"""What enaio is asked before the first call, and what an intent of a dead process is worth without it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import PROCESS_DIED
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.execution.rehearsal import rehearse
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.systems.enaio import EnaioSystem
from airflow_provider_records.systems.enaio_checks import ObjectChecks
from tests.conftest import Connect, Serve
from tests.systems.enaio_factory import HARD_AND_SOFT, ServedEnaio

NAMES_TYPES = "6.5.0"


@pytest.fixture
def served(serve: Serve, connect: Connect, tmp_path: Path) -> ServedEnaio:
    return ServedEnaio(serve, connect, tmp_path)


def look(*ids: str, hard_delete: bool = True) -> set[str]:
    system = EnaioSystem(EnaioHook(), hard_delete=hard_delete)
    records = [Record(each, each) for each in ids]
    system.prepare(records, frozenset())
    return set(system.observe(records))


def calls(served: ServedEnaio) -> Counter[str]:
    return Counter(entry.call for entry in served.server.sandbox.log if entry.call != "info")


def test_one_look_and_a_search_show_all_objects_of_a_type(served: ServedEnaio) -> None:
    served.part.turn({"version": NAMES_TYPES})
    ids = [str(number) for number in range(1000, 1450)]
    for each in ids:
        served.archive.add(each, "Invoice", places=["10"])
    assert look(*ids) == set(ids)
    # Three for the objects, and three until one is found that is not on the list.
    assert calls(served) == {"get_object": 1, "search": 6}


def test_records_of_one_classification_share_their_searches(served: ServedEnaio) -> None:
    served.part.turn({"version": NAMES_TYPES})
    kinds = ("Invoice", "Letter") * 60
    records = [Record(f"{at}", f"{at}", classification=f"{kind}s") for at, kind in enumerate(kinds, 1000)]
    for record, kind in zip(records, kinds, strict=True):
        served.archive.add(record.target_id, kind, places=["10"])
    system = EnaioSystem(EnaioHook(), hard_delete=True)
    system.prepare(records, frozenset())
    (listed,) = system.arrange(records)
    for start in range(0, 120, 40):
        system.observe(listed[start : start + 40])
    asked = [entry.request for entry in served.server.sandbox.log if entry.call == "search"]
    # Invoices, both where one ends and the other begins, letters: the type that was found last is asked for first.
    assert len([request for request in asked if request.count(", 1") >= 15]) == 4


def test_what_a_search_does_not_show_is_looked_at_singly(served: ServedEnaio) -> None:
    served.part.turn({"version": NAMES_TYPES})
    assert look("100", "999999", "10", "101", "20", "11", "102") == {"100", "10", "101", "20", "11", "102"}
    # 999999 is asked for twice, in the bin the second time only; what comes with it in one go is looked at singly, too.
    # The others show which folders can be read, as canaries, one of them once before and once after the second look.
    assert calls(served)["get_object"] == 13
    assert calls(served)["search"] <= 6


def test_nothing_is_sent_while_it_is_not_known_whether_a_canary_can_be_read(served: ServedEnaio) -> None:
    served.part.turn({"version": "6.2.1"})
    served.fault("get_object", skip=1, times=None, drop=True)  # the object is seen, its folders are not
    served.run("102", hard_delete=True)
    assert served.deletes() == []
    served.server.sandbox.faults.clear()
    found = served.run("102", hard_delete=True)
    assert [str(outcome.kind) for outcome in found.values()] == ["destroyed"]


@pytest.mark.parametrize("trouble", ["no names", "search refused", "search down"])
def test_where_no_search_helps_each_object_is_looked_at(served: ServedEnaio, trouble: str) -> None:
    served.part.turn({"version": "6.2.1" if trouble == "no names" else NAMES_TYPES})
    if trouble == "search refused":
        served.fault("search", act=False, status=400, times=None)
    elif trouble == "search down":
        served.fault("search", act=False, status=500, times=None)
    assert look("100", "101", "102") == {"100", "101", "102"}
    assert calls(served)["get_object"] == 5  # with the folders, which tell later whether the account sees anything


def test_what_lies_in_the_bin_is_there_for_a_hard_delete_only(served: ServedEnaio) -> None:
    served.archive.recycle(served.archive.objects["101"], "disposal")
    assert look("101", "100", hard_delete=True) == {"100", "101"}
    assert look("101", "100", hard_delete=False) == {"100"}


def test_what_could_not_be_looked_at_is_not_sent(served: ServedEnaio) -> None:
    served.fault("get_object", status=500, match="/101", times=None)
    served.fault("search", act=False, status=500, times=None)
    found = served.run("100", "101", hard_delete=True)
    assert [outcome.kind.value for outcome in found.values()] == ["destroyed", "failed"]
    assert "nothing was sent: it could not be looked at before" in (found["101"].reason or "")
    assert len(served.deletes()) == 1
    served.server.sandbox.faults.clear()
    assert served.run("100", "101", hard_delete=True)["101"].kind == "destroyed"


def test_what_was_not_there_is_absent_without_a_call(served: ServedEnaio) -> None:
    outcome = served.run("999999", "10", hard_delete=True)["999999"]
    assert (outcome.kind, outcome.proof) == ("absent", "probe")
    assert not any("999999" in path for path in served.deletes())


def test_nothing_is_absent_where_all_that_is_found_are_other_objects(served: ServedEnaio) -> None:
    for object_id in ("101", "102"):
        served.archive.objects[object_id].fields["Title"] = "Another"
    listed = [{"key": each, "target_id": each, "title": "Mine"} for each in ("101", "102", "999999")]
    checks = ObjectChecks({"Title": "title"})
    outcomes = served.run(*listed, hard_delete=True, checks=checks)
    assert [each.kind.value for each in outcomes.values()] == ["not_attempted"] * 3
    assert "1 are not there, and the other 2 are not the objects that were" in (outcomes["999999"].reason or "")
    served.archive.objects["101"].fields["Title"] = "Mine"
    outcomes = served.run(*listed, hard_delete=True, checks=checks)
    assert [each.kind.value for each in outcomes.values()] == ["destroyed", "blocked", "absent"]


@HARD_AND_SOFT
def test_what_is_refused_is_looked_at_again_where_it_may_lie_in_the_bin_only(served: ServedEnaio, hard: bool) -> None:
    served.fault("delete_object", act=False, status=400, match="/100")
    outcome = served.run("100", "101", hard_delete=hard)["100"]
    assert outcome.kind == "blocked"
    assert "lacks the right to delete it, or it is locked" in (outcome.reason or "")
    log = served.server.sandbox.log
    asked = [entry.method for entry in log if entry.path.partition("?")[0].endswith("/100")]
    assert asked[asked.index("DELETE") :] == ["DELETE", *([] if hard else ["GET"])]


def test_what_the_account_cannot_see_is_not_sent(served: ServedEnaio) -> None:
    served.part.turn({"unreadable": "400"})
    served.archive.objects["101"].no_read = {"disposal"}
    outcome = served.run("101", hard_delete=True)["101"]
    assert (outcome.kind, served.deletes()) == ("blocked", [])
    assert "the account may not read it" in (outcome.reason or "")


def die(served: ServedEnaio, *ids: str, observe: bool = True, hard_delete: bool = True) -> None:
    """Be a try that dies when its intents are written, before any call."""
    served.tries += 1
    journal = Journal(served.store, TaskFolder("run"), "sha256:0", started="2026-01-01", try_number=served.tries)
    journal.record_observed(look(*ids, hard_delete=hard_delete) if observe else set())
    journal.intend(ids)


@HARD_AND_SOFT
def test_what_was_not_there_before_an_intent_is_absent_after_it(served: ServedEnaio, hard: bool) -> None:
    served.archive.destroy(served.archive.objects["101"])
    die(served, "999999", "101", "100", hard_delete=hard)
    found = served.run("999999", "101", "100", hard_delete=hard)
    assert [outcome.kind.value for outcome in found.values()] == [
        "absent",
        "absent",
        "destroyed" if hard else "recycled",
    ]
    assert len(served.deletes()) == 1


def test_what_others_destroy_while_nobody_knows_whether_our_call_left_is_inferred_and_says_so(
    served: ServedEnaio,
) -> None:
    die(served, "100", "101")
    served.archive.destroy(served.archive.objects["100"])
    found = served.run("100", "101", hard_delete=True)
    assert [(each.kind.value, str(each.proof), each.reason) for each in found.values()] == [
        ("destroyed", "inferred", PROCESS_DIED),
        ("destroyed", "probe", None),
    ]


def test_what_lay_in_the_bin_before_an_intent_is_not_called_ours(served: ServedEnaio) -> None:
    served.archive.recycle(served.archive.objects["101"], "disposal")
    die(served, "101", hard_delete=False)
    outcome = served.run("101")["101"]
    assert outcome.kind == "absent"
    assert "another run may have moved it there" in (outcome.reason or "")
    assert served.deletes() == []


def test_what_a_first_look_did_not_show_and_a_second_one_does_is_left_to_the_next_try(served: ServedEnaio) -> None:
    die(served, "101")
    served.fault("get_object", act=False, status=404, body={"code": 1001}, times=3)
    assert served.says("101", hard_delete=True) == ("failed", None)
    assert served.deletes() == []
    assert served.says("101", hard_delete=True) == ("destroyed", "probe")


def test_a_rehearsal_says_what_must_stay(served: ServedEnaio) -> None:
    for object_id, title in (("101", "Another"), ("102", "")):
        served.archive.objects[object_id].fields["Title"] = title
    system = EnaioSystem(EnaioHook(), checks=ObjectChecks({"Title": "title"}))
    found = rehearse(system, [Record("a", "101"), Record("b", "102")], concurrency=1)
    reasons = [outcome.reason or "" for outcome in found]
    assert "would be blocked: not the object that was approved" in reasons[0]
    assert "would be sent" in reasons[1]


def test_a_rehearsal_looks_at_many_objects_with_one_search(served: ServedEnaio) -> None:
    served.part.turn({"version": NAMES_TYPES})
    records = [Record(str(number), str(number), attributes={"object_type": "Invoice"}) for number in range(1000, 1150)]
    for record in records[:-1]:
        served.archive.add(record.target_id, "Invoice", places=["10"])
    found = rehearse(EnaioSystem(EnaioHook()), records, concurrency=1)
    assert Counter(outcome.reason for outcome in found) == {
        "dry run: is there and would be sent": 149,
        "dry run: is not there any more": 1,
    }
    assert calls(served).total() < 20
