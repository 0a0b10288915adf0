"""The journal of an earlier try is lost: nothing is claimed of what it held."""

from __future__ import annotations

import math

from airflow_provider_records.evidence.clock import elapsed
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.execution.runner import Runner
from tests.evidence.failing_store import in_memory
from tests.execution.archive import NO_LIMITS, Archive, ObedientSystem, listed, names, one_try, opened


def test_of_what_a_lost_journal_held_nothing_is_claimed() -> None:
    archive, store = Archive(names(4)), in_memory()
    one_try(in_memory(), ObedientSystem(archive), listed(2), 1)
    system = ObedientSystem(archive, {"r003": ["lost_after"]})
    runner = Runner(system, opened(store, 2, expected="memory://gone"), NO_LIMITS, concurrency=2)
    found = [outcome.kind for outcome in runner.run(listed(4))]
    assert found == [OutcomeKind.ABSENT, OutcomeKind.ABSENT, OutcomeKind.DESTROYED, OutcomeKind.DESTROYED]
    assert sorted(archive.probed) == [*names(4), "r003"]
    assert opened(store, 3).state.missing_session == "memory://gone"


def test_a_journal_that_is_there_is_not_lost_and_a_lost_one_may_still_have_calls_in_the_air() -> None:
    store = in_memory()
    first = opened(store, 1)
    assert not opened(store, 2, expected=first.uri).state.missing_session
    assert opened(in_memory(), 1, call_seconds=30.0)._settled_at == -math.inf
    assert opened(in_memory(), 2, call_seconds=30.0, expected=first.uri)._settled_at > elapsed() + 25
