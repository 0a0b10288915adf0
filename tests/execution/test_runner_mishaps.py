"""Whatever becomes of calls, probes, writes and processes: the last try is complete, true, and repeats nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import EvidenceError, StoreUnavailableError
from airflow_provider_records.execution import runner as runner_module
from airflow_provider_records.execution.limits import Limits
from tests.evidence.failing_store import Killed, failing_store
from tests.execution.archive import (
    DEADLY,
    LOST,
    PLAN,
    SURE,
    Archive,
    LookingSystem,
    ObedientSystem,
    check,
    check_truth,
    counts,
    dying_with,
    listed,
    names,
    one_try,
    survive,
)

MISHAPS = ["dies", "fails once", "fails", "is full once", "is full"]


@st.composite
def tries(draw: st.DrawFn) -> dict[str, Any]:
    """Make up what becomes of each call in a few tries, and at which writes something fails."""
    count = draw(st.integers(1, 8))
    keys = names(count)
    plan = st.dictionaries(
        st.sampled_from(keys), st.lists(st.sampled_from([*LOST, *SURE, *DEADLY]), min_size=1, max_size=3)
    )
    mishap = st.tuples(st.integers(1, 9), st.booleans(), st.sampled_from(MISHAPS)) | st.none()
    others = st.dictionaries(st.sampled_from(keys), st.sampled_from(["look", "call", "probe"]))
    return {
        "records": listed(count),
        "gone": draw(st.sets(st.sampled_from(keys))),
        "plans": draw(st.lists(st.tuples(plan, st.sets(st.sampled_from(keys)), mishap), min_size=1, max_size=4)),
        "others": draw(st.lists(others, min_size=4, max_size=4)),
        "system": draw(st.sampled_from([ObedientSystem, LookingSystem])),
        "batch_size": draw(st.integers(1, 3)),
        "concurrency": draw(st.integers(1, 3)),
        "rate": draw(st.sampled_from([0.0, 1.0])),
    }


@settings(max_examples=150, deadline=None)
@given(tries())
def test_after_the_last_try_everything_is_done_once_and_told_truly(case: dict[str, Any]) -> None:
    records: list[Record] = case["records"]
    first = {record.key for record in records} - case["gone"]
    archive = Archive(first)
    store = failing_store(dying_with(archive))
    run = {"concurrency": case["concurrency"], "limits": Limits(10**6, case["rate"])}
    for number, (plan, blind, mishap) in enumerate(case["plans"], 1):
        archive.dead = False
        store.on_write = unlucky(archive, store.writes, mishap)
        system = case["system"](archive, plan, blind=blind, batch_size=case["batch_size"])
        survive(lambda system=system, number=number: one_try(store, system, records, number, **run))  # type: ignore[misc]
        assert archive.wrong == []
    archive.dead = False
    store.on_write = lambda *_: None
    last = case["system"](archive, batch_size=case["batch_size"])
    outcomes = one_try(store, last, records, len(case["plans"]) + 1, **run)
    check(archive, records, outcomes, first)
    assert sum(counts(outcomes).values()) == len(records)
    idle = ObedientSystem(archive)
    assert one_try(store, idle, records, 99) == outcomes
    assert idle.prepared == 0


@settings(max_examples=300, deadline=None)
@given(tries())
def test_whoever_destroys_what_every_try_says_only_what_is_true(case: dict[str, Any]) -> None:
    records: list[Record] = case["records"]
    archive = Archive({record.key for record in records} - case["gone"])
    store = failing_store(dying_with(archive))
    run = {"concurrency": case["concurrency"], "limits": Limits(10**6, case["rate"])}

    def attempt(system: ObedientSystem, number: int) -> None:
        check_truth(archive, one_try(store, system, records, number, **run))

    for number, ((plan, blind, mishap), others) in enumerate(zip(case["plans"], case["others"], strict=False), 1):
        archive.dead = False
        store.on_write = unlucky(archive, store.writes, mishap)
        system = case["system"](archive, plan, blind=blind, batch_size=case["batch_size"], others=others)
        survive(partial(attempt, system, number))
        assert archive.wrong == []
    archive.dead = False
    store.on_write = lambda *_: None
    last = case["system"](archive, batch_size=case["batch_size"])
    outcomes = one_try(store, last, records, len(case["plans"]) + 1, **run)
    check_truth(archive, outcomes)
    assert all(outcome.kind.final for outcome in outcomes)


def unlucky(archive: Archive, written: int, mishap: tuple[int, bool, str] | None) -> Callable[[int, bool], None]:
    def on_write(number: int, done: bool) -> None:
        if archive.dead and not done:
            raise Killed
        if mishap is None:
            return
        at, after, what = mishap
        error = (StoreUnavailableError if what.startswith("is full") else EvidenceError)("the store fails on command")
        if (number - written, done) == (at, after):
            if what == "dies":
                archive.dead = True
                raise Killed
            raise error
        if what in {"fails", "is full"} and number - written > at:
            raise error

    return on_write


@pytest.mark.parametrize("what", MISHAPS)
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("system", [ObedientSystem, LookingSystem])
def test_a_mishap_at_every_write(
    what: str, after: bool, system: type[ObedientSystem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 1)
    records = listed(10)
    first = set(names(9))
    for at in itertools.count(1):
        archive = Archive(first)
        store = failing_store(unlucky(archive, 0, (at, after, what)))
        survive(lambda archive=archive, store=store: one_try(store, system(archive, PLAN), records, 1))  # type: ignore[misc]
        written = store.writes
        archive.dead = False
        store.on_write = lambda *_: None
        check(archive, records, one_try(store, system(archive), records, 2), first)
        if written < at:
            break
    assert at > 10
