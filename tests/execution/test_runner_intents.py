"""An intent is not a call: what is said of records that a process intended to send before it died."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_records.evidence.outcome import PROCESS_DIED, Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import ServerError
from airflow_provider_records.execution.runner import Runner
from tests.evidence.failing_store import failing_store
from tests.execution.archive import (
    NO_LIMITS,
    Archive,
    ObedientSystem,
    check,
    check_truth,
    dying_with,
    listed,
    names,
    one_try,
    opened,
    survive,
)


def test_what_was_intended_and_never_probed_is_unknown_not_not_attempted() -> None:
    archive = Archive(names(3))
    store = failing_store(dying_with(archive))
    survive(lambda: one_try(store, ObedientSystem(archive, {"r000": ["die_before"]}), listed(3), 1, concurrency=1))
    archive.dead = False
    runner = Runner(ObedientSystem(archive), opened(store, 2), NO_LIMITS, concurrency=1)
    runner.stop("the task was stopped")
    outcomes = runner.run(listed(3))
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.UNKNOWN] * 3
    assert "was not looked up: the task was stopped" in str(outcomes[0].reason)
    check(archive, listed(3), one_try(store, ObedientSystem(archive), listed(3), 3), set(names(3)))


def test_what_a_dead_process_intended_and_never_observed_is_absent() -> None:
    """The last record has never existed; the one before was destroyed by others before this run."""
    archive = Archive(names(2))
    store = failing_store(dying_with(archive))
    survive(lambda: one_try(store, ObedientSystem(archive, {"r000": ["die_after"]}), listed(4), 1, concurrency=1))
    archive.dead = False
    archive.destroy_as_others("r001")
    outcomes = one_try(store, ObedientSystem(archive), listed(4), 2)
    check_truth(archive, outcomes)
    assert archive.sent == ["r000"]
    assert [(outcome.kind, outcome.proof) for outcome in outcomes] == [
        (OutcomeKind.DESTROYED, Proof.INFERRED),
        (OutcomeKind.DESTROYED, Proof.INFERRED),
        (OutcomeKind.ABSENT, Proof.PROBE),
        (OutcomeKind.ABSENT, Proof.PROBE),
    ]
    assert [outcome.reason for outcome in outcomes[:2]] == [PROCESS_DIED] * 2
    assert "no look shows that our call did it" in str(outcomes[2].reason)


def test_what_an_earlier_try_observed_and_never_intended_is_absent() -> None:
    archive = Archive(names(2))
    store = failing_store(lambda number, done: None if number < 3 else dying_with(archive)(number, done))
    archive.dead = True
    survive(lambda: one_try(store, ObedientSystem(archive), listed(2), 1))
    archive.dead = False
    archive.destroy_as_others("r001")
    outcomes = one_try(store, ObedientSystem(archive), listed(2), 2)
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.DESTROYED, OutcomeKind.ABSENT]


def test_the_death_of_a_process_is_said_though_a_later_try_could_not_look() -> None:
    archive = Archive(names(1))
    store = failing_store(dying_with(archive))
    survive(lambda: one_try(store, ObedientSystem(archive, {"r000": ["die_after"]}), listed(1), 1))
    archive.dead = False
    (unknown,) = one_try(store, ObedientSystem(archive, blind={"r000"}), listed(1), 2)
    assert (unknown.kind, unknown.unanswered) == (OutcomeKind.UNKNOWN, False)
    runner = Runner(ObedientSystem(archive), opened(store, 3), NO_LIMITS, concurrency=1)
    runner.stop("the task was stopped")
    assert list(runner.run(listed(1))) == [unknown]
    (outcome,) = one_try(store, ObedientSystem(archive), listed(1), 4)
    assert (outcome.proof, outcome.reason) == (Proof.INFERRED, PROCESS_DIED)


def test_of_a_call_of_a_living_process_it_is_known_that_it_left() -> None:
    archive = Archive(names(1))
    store = failing_store(dying_with(archive))
    survive(lambda: one_try(store, ObedientSystem(archive, {"r000": ["die_before"]}), listed(1), 1))
    archive.dead = False
    blind = set[str]()
    system = ObedientSystem(archive, {"r000": ["lost_after"]}, blind=blind, at_call=blind.add)
    (unknown,) = one_try(store, system, listed(1), 2)
    assert (unknown.kind, unknown.unanswered) == (OutcomeKind.UNKNOWN, True)
    (outcome,) = one_try(store, ObedientSystem(archive), listed(1), 3)
    assert (outcome.kind, outcome.proof) == (OutcomeKind.DESTROYED, Proof.INFERRED)
    assert outcome.reason != PROCESS_DIED


def test_a_record_that_a_dead_process_may_have_sent_is_not_called_not_attempted() -> None:
    archive = Archive(names(1))
    store = failing_store(dying_with(archive))
    survive(lambda: one_try(store, ObedientSystem(archive, {"r000": ["die_before"]}), listed(1), 1))
    archive.dead = False
    refusal = ServerError("stop here")

    class Stopping(ObedientSystem):
        def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
            runner.stop_state.stop(refusal)
            return super().resolve_unanswered(batch)

    runner = Runner(Stopping(archive), opened(store, 2), NO_LIMITS, concurrency=1)
    (outcome,) = runner.run(listed(1))
    assert outcome.kind is OutcomeKind.FAILED
    assert "an earlier call may have left, and it is still there; not sent again: stop here" in str(outcome.reason)
