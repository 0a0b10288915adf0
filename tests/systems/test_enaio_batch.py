"""Looks at many objects of enaio at once, before and after their calls, and what they prove."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence.outcome import Outcome
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.execution import retries
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.sandbox.enaio_archive import Archive
from airflow_provider_records.systems.enaio import EnaioSystem
from airflow_provider_records.systems.enaio_checks import ObjectChecks
from tests.conftest import Connect, Serve
from tests.systems.enaio_factory import HARD_AND_SOFT, ServedEnaio


@pytest.fixture
def served(serve: Serve, connect: Connect, tmp_path: Path) -> ServedEnaio:
    made = ServedEnaio(serve, connect, tmp_path)
    made.part.turn({"version": "6.5.0"})
    return made


def bills(served: ServedEnaio, count: int, kind: str = "Bill", **fields: str) -> list[str]:
    """Add objects of one type to folder 10; return their ids."""
    first = 1000 * (1 + len(served.archive.types))
    ids = [str(first + number) for number in range(count)]
    for each in ids:
        served.archive.add(each, kind, places=["10"], fields={"Title": f"Bill {each}", **fields})
    return ids


def calls(served: ServedEnaio) -> Counter[str]:
    return Counter(entry.call for entry in served.server.sandbox.log)


def told(found: dict[str, Outcome]) -> Counter[tuple[str, str | None]]:
    return Counter((each.kind.value, each.proof.value if each.proof else None) for each in found.values())


def switch_after_deletes(served: ServedEnaio, number: int, **switches: str) -> None:
    """Turn switches when a number of deletes have taken effect."""
    remove, done = served.part._remove, iter(range(1, 10_000))

    def counted(*args: Any, **options: Any) -> Any:
        effects = remove(*args, **options)
        if next(done) == number:
            served.part.turn(switches)
        return effects

    served.part._remove = counted  # type: ignore[method-assign]


# What it costs


@HARD_AND_SOFT
@pytest.mark.parametrize(("known", "most"), [(True, 1.05), (False, 2.05)], ids=["type known", "type unknown"])
def test_a_verified_record_costs_hardly_more_than_its_call(
    served: ServedEnaio, hard: bool, known: bool, most: float
) -> None:
    ids = bills(served, 401)[:-1]
    records = [{"key": each, "attributes": {"object_type": "Bill"}} if known else each for each in ids]
    found = served.run(*records, hard_delete=hard)
    assert told(found) == {("destroyed" if hard else "recycled", "probe"): 400}
    assert calls(served)["delete_object"] == 400
    assert sum(calls(served).values()) <= most * 400


@pytest.mark.parametrize("known", [True, False], ids=["types known", "types unknown"])
@pytest.mark.parametrize("count", [120, 600])
def test_what_the_dag_names_is_checked_for_every_type_at_hardly_any_cost(
    served: ServedEnaio, known: bool, count: int
) -> None:
    records = [
        {"key": each, "attributes": {"object_type": kind}} if known else each
        for kind in ("Bill", "Note")
        for each in bills(served, count // 2 + 1, kind, Held="")[:-1]
    ]
    found = served.run(*records, checks=checks(hold_fields=["Held"]))
    assert told(found) == {("recycled", "probe"): count}
    assert sum(calls(served).values()) <= 1.1 * count


@pytest.mark.parametrize("trouble", ["no names of types", "half of them not there"])
def test_that_check_looks_singly_at_a_few_objects_only(served: ServedEnaio, trouble: str) -> None:
    served.part.turn({"version": "6.2.1" if trouble == "no names of types" else "6.5.0"})
    ids = bills(served, 398, Held="")
    for each in ids[::2] if trouble == "half of them not there" else ():
        served.archive.destroy(served.archive.objects[each])
    system = EnaioSystem(EnaioHook(), checks=checks(hold_fields=["Held"]))
    records = [Record(each, each) for each in ids]
    system.prepare(records, frozenset())
    system.arrange(records)
    assert 0 < calls(served)["get_object"] <= 3 * (1 + system.max_concurrency)


def test_that_check_waits_for_many_answers_at_once(served: ServedEnaio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EnaioSystem, "look_size", 5)
    served.fault("search", times=None, latency_ms=100)
    system = EnaioSystem(EnaioHook(), checks=checks(hold_fields=["Held"]))
    records = [Record(each, each) for each in bills(served, 150, Held="")]
    system.prepare(records, frozenset())
    begun = time.monotonic()
    system.arrange(records)
    assert calls(served)["search"] >= 30
    assert time.monotonic() - begun < 30 * 0.1, "one after the other they take as long at least"


def test_objects_of_several_types_are_looked_at_type_by_type(served: ServedEnaio) -> None:
    kinds = ["Bill", "Note", "Plan", "Memo"]
    columns = [bills(served, 101, kind)[:-1] for kind in kinds]
    records = [
        {"key": each, "attributes": {"object_type": kind}}
        for row in zip(*columns, strict=True)
        for each, kind in zip(row, kinds, strict=True)
    ]
    assert told(served.run(*records, hard_delete=True)) == {("destroyed", "probe"): 400}
    assert calls(served)["search"] <= 34, "in the order of the list each look would ask four times"


def test_types_that_another_thread_has_found_out_are_searched_too(served: ServedEnaio) -> None:
    columns = [bills(served, 101, kind)[:-1] for kind in ("Bill", "Note", "Plan", "Memo")]
    ids = [each for row in zip(*columns, strict=True) for each in row]
    assert told(served.run(*ids, hard_delete=True, concurrency=16)) == {("destroyed", "probe"): 400}
    assert sum(calls(served).values()) <= 1.25 * 400


# What the service answers


@pytest.mark.parametrize("ids", ["literals", "lists"])
@pytest.mark.parametrize("system_fields", ["known", "refused"])
def test_it_is_found_out_once_what_a_search_takes(served: ServedEnaio, ids: str, system_fields: str) -> None:
    served.part.turn({"search_ids": ids, "system_fields": system_fields})
    found = served.run(*bills(served, 60)[:-1], hard_delete=True)
    assert told(found) == {("destroyed", "probe"): 59}
    refused = sum(entry.call == "search" and entry.status == 400 for entry in served.server.sandbox.log)
    assert refused <= 6
    assert sum(calls(served).values()) <= 59 + 20


def test_literals_come_before_a_list(served: ServedEnaio) -> None:
    served.run(*bills(served, 5)[:-1])
    statements = [entry.request for entry in served.server.sandbox.log if " IN (" in entry.request]
    assert statements
    assert not any("@" in each for each in statements)


@pytest.mark.parametrize("switches", [{"search_ids": "neither"}, {"search_more": "always"}])
def test_where_no_search_is_consistent_objects_are_looked_at_singly(
    served: ServedEnaio, switches: dict[str, str]
) -> None:
    served.part.turn(switches)
    assert told(served.run(*bills(served, 12)[:-1], hard_delete=True)) == {("destroyed", "probe"): 11}
    assert calls(served)["get_object"] >= 11 * 2


def test_a_search_that_hides_its_second_page_makes_nothing_absent(served: ServedEnaio) -> None:
    served.part.turn({"search_more": "never"})
    assert told(served.run(*bills(served, 30)[:-1], hard_delete=True)) == {("destroyed", "probe"): 29}


# What proves a deletion


def test_without_the_canary_an_answered_call_stays_proven_by_its_answer(served: ServedEnaio) -> None:
    ids = bills(served, 11)[:-1]
    switch_after_deletes(served, 10, reads="nothing")
    assert told(served.run(*ids, hard_delete=True)) == {("destroyed", "response"): 10}


def test_without_the_canary_an_unanswered_call_is_unknown(served: ServedEnaio) -> None:
    ids = bills(served, 11)[:-1]
    served.fault(drop=True, skip=9)
    switch_after_deletes(served, 10, reads="nothing")
    assert told(served.run(*ids, hard_delete=True)) == {("destroyed", "response"): 9, ("unknown", None): 1}
    served.part.turn({"reads": "allowed"})
    assert told(served.run(*ids, hard_delete=True)) == {("destroyed", "response"): 9, ("destroyed", "inferred"): 1}


def test_a_canary_that_others_delete_leaves_the_proof_to_single_looks(served: ServedEnaio) -> None:
    *ids, canary = bills(served, 11)
    remove = served.part._remove

    def with_canary(*args: Any, **options: Any) -> Any:
        if canary in served.archive.objects:
            served.archive.destroy(served.archive.objects[canary])
        return remove(*args, **options)

    served.part._remove = with_canary  # type: ignore[method-assign]
    assert told(served.run(*ids, hard_delete=True)) == {("destroyed", "response"): 10}


def test_a_canary_that_no_look_shows_beside_the_objects_is_none(served: ServedEnaio) -> None:
    *ids, candidate = bills(served, 11)
    records = [{"key": each, "attributes": {"object_type": "Bill"}} for each in ids]
    select = served.archive.select

    def without_candidate(*args: Any, **options: Any) -> Any:
        found = select(*args, **options)
        if candidate in served.archive.objects:
            served.archive.destroy(served.archive.objects[candidate])
        return found

    served.archive.select = without_candidate  # type: ignore[method-assign]
    assert told(served.run(*records, hard_delete=True)) == {("destroyed", "probe"): 10}
    singly = Counter(entry.path for entry in served.server.sandbox.log if entry.call == "get_object")
    assert sum(count for path, count in singly.items() if "/objects/10?" in path) == 2  # its folder, before and after


def test_an_object_that_only_a_later_page_shows_is_no_canary_of_another_archive(served: ServedEnaio) -> None:
    _, *ids = bills(served, 201)
    other = served.part.archives["second"] = Archive()
    for number in range(401):
        other.add(str(70_000 + number), "Bill", fields={"Title": ""})
    rows, pages = served.part._rows, iter(range(10_000))

    def switching(items: Any, fields: set[str], permissions: bool) -> Any:
        if fields == {"system:objectId"} and next(pages) == 0:  # the newest of the type, a page at a time
            served.part.turn({"tenant": "second"})
        return rows(items, fields, permissions)

    served.part._rows = switching  # type: ignore[method-assign]
    found = served.run(*ids)
    assert "absent" not in {kind for kind, _ in told(found)}
    assert all(each in served.part.archives["first"].objects for each in ids)


def test_the_last_object_of_its_type_is_proven_by_its_folder(served: ServedEnaio) -> None:
    assert told(served.run(*bills(served, 3), hard_delete=True)) == {("destroyed", "probe"): 3}


def test_the_only_object_that_the_account_sees_is_proven_by_the_answer(served: ServedEnaio) -> None:
    served.archive.add("77", "Lone", base="FOLDER")
    assert told(served.run("77", hard_delete=True)) == {("destroyed", "response"): 1}


@HARD_AND_SOFT
def test_what_a_search_that_lags_behind_still_lists_is_looked_at_singly(served: ServedEnaio, hard: bool) -> None:
    ids = bills(served, 11)[:-1]
    served.part.turn({"search_lag": 600})
    served.archive.destroy(served.archive.objects[ids[0]])
    assert told(served.run(*ids, hard_delete=hard)) == {
        ("destroyed" if hard else "recycled", "probe"): 9,
        ("absent", "probe"): 1,
    }
    assert served.tries == 1


def test_what_the_service_only_says_it_deleted_has_failed(served: ServedEnaio) -> None:
    ids = bills(served, 4)[:-1]
    served.fault(act=False, status=204, match=f"/{ids[1]}")
    found = served.run(*ids, hard_delete=True)
    assert told(found) == {("destroyed", "probe"): 2, ("failed", "probe"): 1}
    assert found[ids[1]].kind == "failed"


def test_what_an_old_service_recycles_is_told_by_the_batch(served: ServedEnaio) -> None:
    ids = bills(served, 4)[:-1]
    served.part.turn({"info": "no_version"})
    recycled = served.part._remove
    served.part._remove = lambda call, hard, cascade: recycled(call, False, cascade)  # type: ignore[method-assign]
    assert told(served.run(*ids, hard_delete=True)) == {("recycled", "probe"): 3}


def test_what_was_filed_in_two_places_is_blocked_once_a_single_look_shows_it_too(served: ServedEnaio) -> None:
    record = {"key": "102", "location": "20", "attributes": {"object_type": "Invoice"}}
    assert told(served.run(record, hard_delete=True)) == {("blocked", "probe"): 1}
    assert calls(served)["get_object"] == 1


# The wrong archive


def test_too_many_that_are_not_there_stop_the_try_and_nothing_is_absent(served: ServedEnaio) -> None:
    ids = bills(served, 58)
    second = served.part.archives["second"]
    second.add("10", "File", base="FOLDER")
    for each in ids[:3]:
        second.add(each, "Bill", places=["10"])
    served.part.turn({"tenant": "second"})
    found = served.run(*ids, hard_delete=True)
    assert told(found) == {("not_attempted", None): 58}
    assert "55 of 58 are not there: is this the right archive" in (found[ids[0]].reason or "")
    assert served.deletes() == []


@pytest.mark.parametrize(("count", "gone", "kind"), [(19, 15, "absent"), (20, 2, "absent"), (20, 3, "not_attempted")])
def test_few_records_are_not_judged_and_a_tenth_may_be_gone(
    served: ServedEnaio, count: int, gone: int, kind: str
) -> None:
    ids = bills(served, count + 1)[:-1]
    for each in ids[:gone]:
        served.archive.destroy(served.archive.objects[each])
    assert served.run(*ids)[ids[0]].kind == kind


def test_what_an_earlier_try_of_ours_may_have_deleted_is_not_counted(served: ServedEnaio) -> None:
    ids = bills(served, 31)[:-1]
    switch_after_deletes(served, 1, reads="nothing")
    served.fault(drop=True, times=None)
    assert told(served.run(*ids, hard_delete=True))["unknown", None]
    served.server.sandbox.faults.clear()
    served.part.turn({"reads": "allowed"})
    for each in ids:
        if each in served.archive.objects and f"/{each}?" in " ".join(served.deletes()):
            served.archive.destroy(served.archive.objects[each])
    assert "not_attempted" not in {kind for kind, _ in told(served.run(*ids, hard_delete=True))}


# What was approved


def checks(**asked: Any) -> ObjectChecks:
    return ObjectChecks.from_dag(asked.get("expect"), asked.get("hold_fields", ()), asked.get("retention_field"))


@pytest.mark.parametrize("searched", [True, False], ids=["searched", "singly"])
def test_an_object_that_is_not_what_was_approved_is_blocked_with_both_values(
    served: ServedEnaio, searched: bool
) -> None:
    served.part.turn({"version": "6.5.0" if searched else "6.2.1"})
    *ids, _ = bills(served, 5)
    served.archive.objects[ids[1]].modified = "2026-11-01T10:00:00+01:00"
    invoice = served.archive.types["Invoice"].id
    records = [
        {"key": ids[0], "title": f"Bill {ids[0]}"},
        {"key": ids[1], "title": f"Bill {ids[1]}", "attributes": {"last_modified": "2026-10-01T00:00:00Z"}},
        {"key": ids[2], "title": "Letter 7"},
        {"key": ids[3], "title": f"Bill {ids[3]}", "object_type_id": invoice},
    ]
    found = served.run(*records, hard_delete=True, checks=checks(expect={"Title": "title"}))
    assert [each.kind.value for each in found.values()] == ["destroyed", "blocked", "blocked", "blocked"]
    assert served.destroyed == [ids[0]]
    reasons = [each.reason or "" for each in found.values()]
    assert all("not the object that was approved" in each for each in reasons[1:])
    assert "'2026-11-01T10:00:00+01:00', on the list '2026-10-01T00:00:00Z'" in reasons[1]
    assert f"Title is 'Bill {ids[2]}', on the list 'Letter 7'" in reasons[2]
    assert f"on the list '{invoice}'" in reasons[3]


@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("version", ["6.5.0", "6.2.1"])
def test_an_object_of_another_type_than_the_list_names_is_blocked(
    served: ServedEnaio, version: str, mixed: bool
) -> None:
    served.part.turn({"version": version})
    right, wrong = bills(served, 4)[:-1], bills(served, 4, "Letter")[:-1]
    ids = [*right, *wrong] if mixed else wrong
    found = served.run(*({"key": each, "attributes": {"object_type": "Bill"}} for each in ids), hard_delete=True)
    assert {key for key, each in found.items() if each.kind == "blocked"} == set(wrong)
    assert served.destroyed == ids[: -len(wrong)]
    assert "on the list 'Bill'" in (found[wrong[0]].reason or "")


def test_what_says_nothing_of_its_last_change_is_not_compared_and_the_log_says_so(
    served: ServedEnaio, caplog: pytest.LogCaptureFixture
) -> None:
    *ids, _ = bills(served, 4)
    dated = {"last_modified": served.archive.objects[ids[0]].modified}
    with caplog.at_level("INFO"):
        found = served.run({"key": ids[0], "attributes": dated}, *ids[1:], checks=checks())
    assert {each.kind.value for each in found.values()} == {"recycled"}
    assert "says when 2 of 3 objects were changed last" in caplog.text


def test_the_same_moment_in_another_zone_is_no_change(served: ServedEnaio) -> None:
    *ids, _ = bills(served, 2)
    served.archive.objects[ids[0]].modified = "2026-11-01T10:00:00+01:00"
    record = {"key": ids[0], "attributes": {"last_modified": "2026-11-01T09:00:00Z"}}
    assert served.run(record)[ids[0]].kind == "recycled"


@pytest.mark.parametrize(
    ("field", "values"),
    [("hold_fields", ("yes", "1", "case 7")), ("retention_field", ("2999-12-31", "", "soon", "31.12.2999"))],
)
def test_what_is_held_or_retained_is_blocked(served: ServedEnaio, field: str, values: tuple[str, ...]) -> None:
    ids = bills(served, 9)
    free = {"hold_fields": ("", "0", "false", "False"), "retention_field": ("2020-01-01", "31.12.2019")}[field]
    for each, value in zip(ids, (*values, *free), strict=False):
        served.part.set_field(each, "Check", value)
    asked = checks(**{field: ["Check"] if field == "hold_fields" else "Check"})
    found = served.run(*ids[: len(values) + len(free)], checks=asked)
    assert [each.kind.value for each in found.values()] == ["blocked"] * len(values) + ["recycled"] * len(free)
    assert all(value in (each.reason or "") for each, value in zip(found.values(), values, strict=False))


@pytest.mark.parametrize("system_fields", ["known", "refused"])
def test_lock_and_retention_are_seen_where_the_system_tells_them(served: ServedEnaio, system_fields: str) -> None:
    served.part.turn({"system_fields": system_fields, "lock": "allowed"})
    ids = bills(served, 5)[:-1]
    served.archive.objects[ids[0]].locked_by = "clerk"
    served.archive.objects[ids[1]].retention = "2999-12-31"
    served.archive.objects[ids[2]].planned_retention = "2999-12-31"
    kinds = [each.kind.value for each in served.run(*ids).values()]
    assert kinds == (["blocked"] * 3 + ["recycled"] if system_fields == "known" else ["recycled"] * 4)


@pytest.mark.parametrize("name", ["retention", "planned_retention"])
def test_a_retention_of_the_system_that_cannot_be_read_has_not_ended(served: ServedEnaio, name: str) -> None:
    kept, free = ("12/31/2999", "31.12.2999", "2999-12-31T00:00:00+01:00", "for ever"), ("", "0", "01/31/2019")
    *ids, _ = bills(served, len(kept) + len(free) + 1)
    for each, value in zip(ids, (*kept, *free), strict=True):
        setattr(served.archive.objects[each], name, value)
    kinds = [each.kind.value for each in served.run(*ids).values()]
    assert kinds == ["blocked"] * len(kept) + ["recycled"] * len(free)


@pytest.mark.parametrize("searched", [True, False], ids=["searched", "singly"])
@pytest.mark.parametrize("asked", [{"expect": {"Nothing": "title"}}, {"hold_fields": ["Nothing"]}])
def test_a_field_that_is_not_answered_stops_everything_before_the_first_call(
    served: ServedEnaio, searched: bool, asked: dict[str, Any]
) -> None:
    served.part.turn({"version": "6.5.0" if searched else "6.2.1"})
    found = served.run(*bills(served, 4), checks=checks(**asked))
    assert told(found) == {("not_attempted", None): 4}
    assert all("does not answer the field 'Nothing'" in (each.reason or "") for each in found.values())
    assert served.deletes() == []


@pytest.mark.parametrize("version", ["6.5.0", "6.2.1"])
def test_a_field_that_is_not_answered_stops_a_purge_of_the_recycle_bin_as_well(
    served: ServedEnaio, version: str
) -> None:
    served.part.turn({"version": version})
    ids = bills(served, 3)
    for each in ids:
        served.archive.recycle(served.archive.objects[each], "disposal")
    found = served.run(*ids, hard_delete=True, checks=checks(hold_fields=["Nothing"]))
    assert told(found) == {("not_attempted", None): 3}
    assert served.deletes() == []


def test_an_object_that_is_not_on_the_list_does_not_stop_for_want_of_a_field(served: ServedEnaio) -> None:
    (gone,) = bills(served, 1, Held="")
    served.archive.destroy(served.archive.objects[gone])
    served.archive.add("9999", "Bill", places=["10"])
    record = {"key": gone, "attributes": {"object_type": "Bill"}}
    alive = {"key": bills(served, 1, "Plan", Held="")[0], "attributes": {"object_type": "Plan"}}
    assert told(served.run(record, alive, checks=checks(hold_fields=["Held"]))) == {
        ("absent", "probe"): 1,
        ("recycled", "probe"): 1,
    }


@pytest.mark.parametrize("known", [True, False], ids=["types known", "types unknown"])
def test_a_field_that_one_type_does_not_have_stops_before_the_objects_of_another(
    served: ServedEnaio, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr(EnaioSystem, "look_size", 3)
    records = [
        {"key": each, "attributes": {"object_type": kind}} if known else each
        for kind, fields in (("Bill", {"Held": ""}), ("Note", {}))
        for each in bills(served, 20, kind, **fields)[:-1]
    ]
    found = served.run(*records, checks=checks(hold_fields=["Held"]))
    assert told(found) == {("not_attempted", None): 38}
    assert served.deletes() == []


def test_a_type_that_no_statement_can_name_stops_before_the_first_call_too(
    served: ServedEnaio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EnaioSystem, "look_size", 3)
    ids = [*bills(served, 20, "Bill", Held=""), *bills(served, 4, "Credit note")]
    found = served.run(*ids, checks=checks(hold_fields=["Held"]))
    assert told(found) == {("not_attempted", None): 24}
    assert served.deletes() == []


def test_objects_that_are_not_there_hide_no_other_types_than_those_beside_them(
    served: ServedEnaio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EnaioSystem, "look_size", 30)
    gone = bills(served, 30, "Memo", Held="")
    for each in gone:
        served.archive.destroy(served.archive.objects[each])
    ids = [*gone, *bills(served, 60, "Bill", Held=""), *bills(served, 30, "Note")]
    found = served.run(*ids, checks=checks(hold_fields=["Held"]))
    assert told(found) == {("not_attempted", None): 120}
    assert served.deletes() == []


# The age of a look


def test_a_call_leaves_only_soon_after_a_look_also_after_a_wait(
    served: ServedEnaio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "LOOK_LASTS", 0.9)
    *ids, _ = bills(served, 4)
    served.fault(act=False, status=429, headers={"Retry-After": "1"}, match=f"/{ids[1]}")
    found = served.run(*ids, hard_delete=True)
    assert told(found) == {("destroyed", "probe"): 3}
    log = served.server.sandbox.log
    last = {
        each: next(entry for entry in reversed(log) if entry.method == "DELETE" and f"/{each}?" in entry.path)
        for each in ids
    }
    for each, entry in last.items():
        looks = [
            seen
            for seen in log[: entry.seq - 1]
            if re.search(rf"\b{each}\b", seen.request)
            or (seen.call == "get_object" and seen.path.split("?")[0].endswith(f"/{each}"))
        ]
        assert entry.time - looks[-1].time < 0.9


def test_an_object_that_changes_while_a_call_waits_is_not_deleted(
    served: ServedEnaio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "LOOK_LASTS", 0.9)
    *ids, _ = bills(served, 2, Hold="")
    served.fault(act=False, status=429, headers={"Retry-After": "1"})
    timer = threading.Timer(0.5, lambda: served.part.set_field(ids[0], "Hold", "yes"))
    timer.start()
    found = served.run(*ids, hard_delete=True, checks=checks(hold_fields=["Hold"]))
    timer.join()
    assert (found[ids[0]].kind, found[ids[0]].reason) == ("blocked", "nothing was sent: held: Hold is 'yes'")
    assert served.destroyed == []


# Folders


@pytest.mark.parametrize("version", ["6.5.0", "6.2.1"])
@pytest.mark.parametrize("upside_down", [True, False])
def test_a_deep_folder_and_what_it_holds_go_in_one_try_without_their_places(
    served: ServedEnaio, version: str, upside_down: bool
) -> None:
    served.part.turn({"version": version})
    served.archive.add("500", "File", base="FOLDER")
    ids = ["500"]
    for number in range(501, 506):
        served.archive.add(str(number), "Year", base="REGISTER", places=[ids[-1]])
        ids.append(str(number))
    served.archive.add("599", "Invoice", places=[ids[-1]])
    ids.append("599")
    found = served.run(*(ids if upside_down else ids[::-1]), hard_delete=True, cascade_delete=True)
    assert {each.kind.value for each in found.values()} == {"destroyed"}
    assert served.tries == 1


@pytest.mark.parametrize("version", ["6.5.0", "6.2.1"])
def test_folders_that_hold_the_same_document_go_after_it(served: ServedEnaio, version: str) -> None:
    served.part.turn({"version": version})
    for folder in ("510", "511"):
        served.archive.add(folder, "File", base="FOLDER")
    served.archive.add("599", "Invoice", places=["510", "511"])
    found = served.run("511", "510", "599", hard_delete=True, cascade_delete=True)
    assert {each.kind.value for each in found.values()} == {"destroyed"}
