"""Calls without a usable answer: looked up before they are repeated, sent twice at most, and counted once."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import pytest

from airflow_provider_records.evidence import journal as journal_module
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.segment import load_segments
from airflow_provider_records.exceptions import NoAnswerError
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.runner import Runner
from tests.evidence.failing_store import in_memory
from tests.execution.archive import (
    FOLDER,
    LOST,
    NO_LIMITS,
    Archive,
    ObedientSystem,
    check,
    check_truth,
    counts,
    listed,
    names,
    one_try,
    opened,
    survive,
)
from tests.execution.conftest import Clock


@pytest.mark.parametrize("lost", LOST)
def test_what_is_left_open_is_probed_before_it_is_repeated(lost: str) -> None:
    archive = Archive(names(1))
    plan = {"r000": [lost, lost]}
    survive(lambda: one_try(in_memory(), ObedientSystem(archive, plan), listed(1), 1))
    assert archive.wrong == []
    assert archive.probed or lost == "bug_after"
    assert len(archive.sent) == (2 if lost.endswith("before") else 1)


def test_a_call_is_repeated_once_and_then_left_to_the_next_try() -> None:
    archive = Archive(names(1))
    (outcome,) = one_try(in_memory(), ObedientSystem(archive, {"r000": ["lost_before"] * 9}), listed(1), 1)
    assert archive.sent == ["r000", "r000"]
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.unanswered
    assert "told to: lost_before" in str(outcome.reason)


def test_a_record_is_called_for_twice_at_most_however_the_calls_end() -> None:
    for plan in itertools.product(["open_before", "lost_before"], repeat=4):
        archive = Archive(names(1))
        (outcome,) = one_try(in_memory(), ObedientSystem(archive, {"r000": plan}), listed(1), 1)
        assert outcome.kind is OutcomeKind.FAILED
        assert archive.sent == ["r000", "r000"]


@pytest.mark.parametrize("status", [None, 502, 503, 504, 500, 200])
def test_a_look_waits_until_the_lost_call_can_take_effect_no_more(
    status: int | None, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system slower than the timeout: the call was given up, and takes effect all the same."""
    may_act = status in {None, 502, 503, 504}
    archive, waited = Archive(names(2)), list[float]()
    begun = clock.now

    class Slow(ObedientSystem):
        def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
            if batch[0].key == "r001" or unanswered:
                return super().dispose(batch, unanswered)
            archive.begin("r000")
            archive.end("r000", effect=not may_act, known=False)
            raise NoAnswerError("slower than the timeout", status=status)

        def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
            waited.append(clock.now - begun)
            if clock.now >= begun + 30:  # only now does it take effect
                archive.end("r000", effect=True, known=False)
            return super().resolve_unanswered(batch)

    def pass_time(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(time, "sleep", pass_time)
    journal = opened(in_memory(), 1, call_seconds=30.0, steady=clock)
    outcomes = Runner(Slow(archive), journal, NO_LIMITS, concurrency=1).run(listed(2))
    check(archive, listed(2), outcomes, set(names(2)))
    assert archive.sent == ["r000", "r001"]
    assert outcomes[0].proof is Proof.INFERRED
    assert len(waited) == 1
    assert waited[0] == pytest.approx(30.0 if may_act else 0.0, abs=0.1)


def test_a_try_after_one_that_ended_with_a_lost_call_waits_for_it(clock: Clock) -> None:
    archive, store = Archive(names(3)), in_memory()
    journal = opened(store, 1, call_seconds=30.0, steady=clock)

    def stop(key: str) -> None:
        if key == "r001":
            runner.stop("the task was stopped")

    runner = Runner(ObedientSystem(archive, {"r001": ["lost_before"]}, at_call=stop), journal, NO_LIMITS, concurrency=1)
    outcomes = runner.run(listed(3))
    assert [outcome.kind for outcome in outcomes] == [
        OutcomeKind.DESTROYED,
        OutcomeKind.UNKNOWN,
        OutcomeKind.NOT_ATTEMPTED,
    ]
    assert "not looked up: the task was stopped" in str(outcomes[1].reason)
    newer = opened(store, 2, steady=clock)
    assert newer.seconds_until_settled() == pytest.approx(journal_module.LEASE + 30 + 2, abs=0.01)
    clock.now += newer.seconds_until_settled()
    check(
        archive,
        listed(3),
        Runner(ObedientSystem(archive), newer, NO_LIMITS, concurrency=1).run(listed(3)),
        set(names(3)),
    )


def test_lost_calls_count_as_failures_until_a_look_says_more() -> None:
    archive = Archive(names(200))
    plan = {key: ["lost_after"] for key in names(200)}
    runner = Runner(ObedientSystem(archive, plan), opened(in_memory(), 1), Limits(200, 0.1), concurrency=2)
    found = counts(runner.run(listed(200)))
    assert 20 <= found["destroyed"] <= 22, "they were probed, though the sending had stopped"
    assert found["destroyed"] + found["not_attempted"] == 200
    assert len(archive.sent) == found["destroyed"]
    assert "max_failure_rate" in runner.stop_state.reason


def test_what_is_lost_again_and_again_counts_once() -> None:
    archive = Archive(names(20))
    plan = {"r000": ["lost_after"], "r001": ["lost_before"] * 2, "r002": ["lost_before"] * 2}
    plan |= {key: ["failed"] for key in ("r003", "r004", "r005")}
    runner = Runner(ObedientSystem(archive, plan), opened(in_memory(), 1), Limits(20, 6 / 20), concurrency=1)
    found = counts(runner.run(listed(20)))
    assert (found["destroyed"], found["failed"]) == (15, 5)
    assert not runner.stop_state.reason


def test_what_cannot_be_probed_is_unknown_and_probed_by_the_next_try() -> None:
    archive, store = Archive(names(2)), in_memory()
    plan = {"r000": ["lost_after"], "r001": ["lost_before"]}
    outcomes = one_try(store, ObedientSystem(archive, plan, blind={"r000", "r001"}), listed(2), 1)
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.UNKNOWN] * 2
    check(archive, listed(2), one_try(store, ObedientSystem(archive), listed(2), 2), set(names(2)))
    assert archive.sent == ["r000", "r001", "r001"]


def test_a_system_that_recovers_after_the_breaker_is_probed() -> None:
    archive, store = Archive(names(200)), in_memory()
    plan = {key: ["lost_before"] for key in names(200)}
    runner = Runner(ObedientSystem(archive, plan), opened(store, 1), Limits(200, 0.1), concurrency=2)
    outcomes = runner.run(listed(200))
    check_truth(archive, outcomes)
    assert counts(outcomes)["failed"] == len(archive.sent) == 200 - counts(outcomes)["not_attempted"]
    assert runner.stop_state.reason.startswith("more than 10% of the calls failed")
    check(archive, listed(200), one_try(store, ObedientSystem(archive), listed(200), 2), set(names(200)))


def test_a_record_that_was_sent_and_is_still_there_when_the_sending_stops_is_failed() -> None:
    archive, store = Archive(names(2)), in_memory()

    def stop(_: str) -> None:
        runner.stop_state.stop_because("more than 10% of the calls failed")

    runner = Runner(
        ObedientSystem(archive, {"r000": ["error_before"]}, at_call=stop), opened(store, 1), NO_LIMITS, concurrency=1
    )
    failed, untouched = runner.run(listed(2))
    assert failed.kind is OutcomeKind.FAILED
    assert "(told to: error_before); not sent again: more than 10% of the calls failed" in str(failed.reason)
    assert untouched.kind is OutcomeKind.NOT_ATTEMPTED
    again = Runner(ObedientSystem(archive), opened(store, 2), NO_LIMITS, concurrency=1)
    again.stop_state.stop_because("the task was stopped")
    check_truth(archive, again.run(listed(2)))
    assert archive.sent == ["r000"]


def test_an_answer_for_another_record_is_no_answer() -> None:
    class Confused(ObedientSystem):
        def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
            super().dispose(batch, unanswered)
            return [Outcome("r000", OutcomeKind.DESTROYED, Proof.PROBE)]

    archive, store = Archive(names(2)), in_memory()
    with pytest.raises(ValueError, match="answered for another record than 'r001'"):
        one_try(store, Confused(archive), listed(2), 1, concurrency=1)
    outcomes = [
        line for each in load_segments(store, f"{FOLDER.path}/journal") for line in each.lines if "outcome" in line
    ]
    assert [(line["key"], line["outcome"]) for line in outcomes] == [("r000", "destroyed"), ("r001", "unknown")]
    assert outcomes[1]["unanswered"] is True
    check(archive, listed(2), one_try(store, ObedientSystem(archive), listed(2), 2), set(names(2)))


@pytest.mark.parametrize("answers", [[], [None, None]])
def test_too_few_or_too_many_answers_are_none(answers: list[None]) -> None:
    class Odd(ObedientSystem):
        def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
            super().dispose(batch, unanswered)
            return list(answers)

    archive, store = Archive(names(1)), in_memory()
    with pytest.raises(ValueError, match="zip"):
        one_try(store, Odd(archive), listed(1), 1)
    check(archive, listed(1), one_try(store, ObedientSystem(archive), listed(1), 2), set(names(1)))
