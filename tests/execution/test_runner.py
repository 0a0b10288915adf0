"""Whatever becomes of calls, probes, writes and processes: the last try is complete, true, and repeats nothing."""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
import sys
import threading
import time
from collections.abc import Callable, Sequence, Set
from functools import partial
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_records.evidence import journal as journal_module
from airflow_provider_records.evidence.clock import elapsed
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import PROCESS_DIED, Outcome, OutcomeKind, Proof, counts
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.segment import OUTCOMES, load_segments
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import (
    AuthenticationError,
    EvidenceError,
    JournalError,
    NoAnswerError,
    ServerError,
    StoreUnavailableError,
)
from airflow_provider_records.execution import retries as attempt_module
from airflow_provider_records.execution import runner as runner_module
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.progress import Progress
from airflow_provider_records.execution.rehearsal import rehearse
from airflow_provider_records.execution.runner import Chunk, Runner
from tests.evidence.failing_store import FailingStore, Killed, failing_store, in_memory
from tests.execution.archive import (
    DEADLY,
    DIGEST,
    FOLDER,
    LOST,
    STARTED,
    SURE,
    Archive,
    LookingSystem,
    ObedientSystem,
    Passing,
    check,
    check_truth,
    listed,
    one_try,
)

SECONDS_UNTIL_SETTLED = Journal.seconds_until_settled
NO_LIMITS = Limits(10**6, 1.0)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(Journal, "seconds_until_settled", SECONDS_UNTIL_SETTLED)
    monkeypatch.setattr(attempt_module, "_NAP", 0.002)
    return Clock()


def dying_with(archive: Archive) -> Callable[[int, bool], None]:
    def on_write(_: int, done: bool) -> None:
        if archive.dead and not done:
            raise Killed

    return on_write


def survive(work: Callable[[], object]) -> None:
    """Run a try that may fail or die."""
    with contextlib.suppress(Killed, EvidenceError, JournalError, RuntimeError):
        work()


def names(count: int) -> list[str]:
    return [record.key for record in listed(count)]


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


PLAN = {
    "r001": ["lost_before"],
    "r003": ["lost_after"],
    "r004": ["blocked"],
    "r006": ["open_after"],
    "r007": ["failed"],
}


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


class _Timeout(BaseException):
    """What Airflow raises in the main thread, at any line, when a task has run for too long."""


def test_a_timeout_at_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 1)
    monkeypatch.setattr(journal_module, "LEASE", 60.0)
    records = listed(5)
    first = set(names(4))
    ours = {module.__file__ for module in (runner_module, attempt_module, journal_module)}
    for at in itertools.count(1):
        archive, store = Archive(first), in_memory()
        lines = 0

        def trace(frame: FrameType, event: str, _: object, at: int = at) -> Any:
            nonlocal lines
            if frame.f_code.co_filename not in ours:
                return None
            if event == "line":
                lines += 1
                if lines == at:
                    raise _Timeout
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            one_try(store, ObedientSystem(archive, {"r001": ["lost_after"], "r002": ["lost_before"]}), records, 1)
            ended = True
        except _Timeout:
            ended = False
        finally:
            sys.settrace(before)
        check(archive, records, one_try(store, ObedientSystem(archive), records, 2), first)
        if ended:
            break
    assert at > 200


@pytest.mark.parametrize("lost", LOST)
def test_what_is_left_open_is_probed_before_it_is_repeated(lost: str) -> None:
    archive = Archive(names(1))
    plan = {"r000": [lost, lost]}
    survive(lambda: one_try(in_memory(), ObedientSystem(archive, plan), listed(1), 1))
    assert archive.wrong == []
    assert archive.probed or lost == "bug_after"
    assert len(archive.sent) == (2 if lost.endswith("before") else 1)


def test_the_modules_of_airflow_are_left_out_of_garbage_collections_while_a_list_is_carried_out() -> None:
    frozen: list[int] = []
    system = ObedientSystem(Archive(names(1)), at_call=lambda _: frozen.append(gc.get_freeze_count()))
    one_try(in_memory(), system, listed(1), 1)
    assert frozen[0] > 0
    assert gc.get_freeze_count() == 0


def test_a_call_is_repeated_once_and_then_left_to_the_next_try() -> None:
    archive = Archive(names(1))
    (outcome,) = one_try(in_memory(), ObedientSystem(archive, {"r000": ["lost_before"] * 9}), listed(1), 1)
    assert archive.sent == ["r000", "r000"]
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.unanswered
    assert "told to: lost_before" in str(outcome.reason)


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


def opened(store: Store, number: int, **options: Any) -> Journal:
    return Journal(store, FOLDER, DIGEST, started=STARTED, try_number=number, **{"call_seconds": 0.0, **options})


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


def test_a_record_that_comes_twice_is_refused_before_anything_is_sent() -> None:
    archive = Archive(names(2))
    system = ObedientSystem(archive)
    with pytest.raises(EvidenceError, match="'r000' twice"):
        one_try(in_memory(), system, [*listed(2), Record("r000", "other")], 1)
    assert (archive.sent, system.prepared) == ([], 0)


def test_a_look_afterwards_corrects_a_false_answer() -> None:
    class Liar(ObedientSystem):
        def _one(self, record: Record, what: str, unanswered: frozenset[str]) -> Outcome | None:
            return Outcome(record.key, OutcomeKind.DESTROYED, Proof.RESPONSE)

    archive = Archive(names(1))
    (outcome,) = one_try(in_memory(), Liar(archive), listed(1), 1)
    assert outcome.kind is OutcomeKind.FAILED


def test_the_calls_of_a_chunk_are_verified_at_once_before_their_outcomes_are_written() -> None:
    store, records = in_memory(), listed(64)
    archive = Archive(record.key for record in records)

    class Writing(ObedientSystem):
        def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
            found = super().verify(batch)
            written = {
                line["key"]
                for segment in load_segments(store, FOLDER.journal)
                if segment.header["kind"] == OUTCOMES
                for line in segment.lines
            }
            assert not written & {record.key for record, _ in batch}
            return found

    outcomes = one_try(store, Writing(archive), records, 1)
    assert {(outcome.kind, outcome.proof) for outcome in outcomes} == {(OutcomeKind.DESTROYED, Proof.PROBE)}
    assert sorted(key for keys in archive.verified for key in keys) == [record.key for record in records]
    assert len(archive.verified) <= 4, "two threads, eight calls for each: a chunk is 16 calls"


def test_a_later_verification_that_ends_first_does_not_keep_the_processor_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    records, order, second, rounds = listed(64), itertools.count(), threading.Event(), itertools.count()
    monkeypatch.setattr(Progress, "say", lambda _: next(rounds))

    class Slow(ObedientSystem):
        def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
            if next(order) == 0:
                assert second.wait(60)
                time.sleep(0.2)
            else:
                second.set()
            return super().verify(batch)

    archive = Archive(record.key for record in records)
    Runner(Slow(archive), opened(in_memory(), 1), NO_LIMITS, concurrency=4).run(records)
    assert len(archive.verified) == 2
    assert next(rounds) < 64 + 10, "once for what ends, no more"


def test_a_verification_that_corrects_too_many_answers_stops_the_sending() -> None:
    records = listed(200)
    archive = Archive(record.key for record in records)

    class Lying(ObedientSystem):
        def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
            return [Outcome(record.key, OutcomeKind.FAILED, Proof.PROBE, "still there") for record, _ in batch]

    outcomes = one_try(in_memory(), Lying(archive), records, 1, limits=Limits(10**6, 0.1))
    assert len(archive.sent) <= 100
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.FAILED, OutcomeKind.NOT_ATTEMPTED}


@pytest.mark.parametrize("error", [RuntimeError("bug"), ServerError("broken")], ids=["defect", "broken"])
def test_a_verification_that_breaks_loses_no_outcome(error: Exception) -> None:
    store, records = in_memory(), listed(40)
    archive = Archive(record.key for record in records)

    class Broken(ObedientSystem):
        def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
            raise error

    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError, match="bug"):
            one_try(store, Broken(archive), records, 1)
    else:
        one_try(store, Broken(archive), records, 1)
    journal = Journal(store, FOLDER, DIGEST, started=STARTED, try_number=2, call_seconds=0)
    known = journal.state.outcomes
    assert {key for key, outcome in known.items() if outcome.kind.gone} == archive.destroyed
    assert {outcome.proof for outcome in known.values() if outcome.kind.gone} == {Proof.RESPONSE}


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


def test_a_rehearsal_sends_nothing() -> None:
    archive = Archive(names(2))
    outcomes = rehearse(ObedientSystem(archive, blind={"r001"}), listed(3), concurrency=2)
    assert archive.sent == []
    assert [outcome.reason for outcome in outcomes] == [
        "dry run: is there and would be sent",
        "dry run: cannot be looked up: told to be blind",
        "dry run: is not there any more",
    ]
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.NOT_ATTEMPTED}


def test_too_many_failures_stop_the_sending() -> None:
    archive, store = Archive(names(200)), in_memory()
    plan = {key: ["failed"] for key in names(200)}
    runner = Runner(ObedientSystem(archive, plan), opened(store, 1), Limits(200, 0.1), concurrency=2)
    outcomes = runner.run(listed(200))
    found = counts(outcomes)
    assert 20 <= found["failed"] <= 22
    assert found["failed"] + found["not_attempted"] == 200
    assert runner.stop_state.reason.startswith("more than 10% of the calls failed")
    assert not runner.stop_state.no_retry
    check(archive, listed(200), one_try(store, ObedientSystem(archive), listed(200), 2), set(names(200)))


def test_refusals_for_business_reasons_do_not_stop_the_sending() -> None:
    archive = Archive(names(100))
    outcomes = one_try(
        in_memory(),
        ObedientSystem(archive, {key: ["blocked"] for key in names(100)}),
        listed(100),
        1,
        limits=Limits(100, 0.0),
    )
    assert counts(outcomes)["blocked"] == 100


def test_a_refused_login_stops_the_sending_for_good() -> None:
    archive = Archive(names(100))
    plan = {key: ["refused_login"] for key in names(100)}
    runner = Runner(ObedientSystem(archive, plan), opened(in_memory(), 1), NO_LIMITS, concurrency=2)
    outcomes = runner.run(listed(100))
    assert runner.stop_state.no_retry
    assert len(archive.sent) <= 2
    assert counts(outcomes)["failed"] == len(archive.sent)
    assert counts(outcomes)["not_attempted"] == 100 - len(archive.sent)


def test_a_refusal_before_the_first_call_leaves_every_outcome_of_earlier_tries() -> None:
    class Locked(ObedientSystem):
        def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
            raise AuthenticationError("the password was changed")

    archive, store = Archive(names(10)), in_memory()
    one_try(store, ObedientSystem(archive, {"r001": ["failed"]}), listed(10), 1)
    runner = Runner(Locked(archive), opened(store, 2), NO_LIMITS, concurrency=2)
    found = counts(runner.run(listed(10)))
    assert (found["destroyed"], found["failed"]) == (9, 1)
    assert runner.stop_state.no_retry
    assert runner.stop_state.reason == "the password was changed"


@pytest.mark.parametrize("error", [AuthenticationError("the password was changed"), ValueError("a defect")])
def test_a_look_that_fails_stops_the_sending_and_keeps_the_outcomes_of_earlier_calls(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 1)

    class Blinded(LookingSystem):
        def observe(self, records: Sequence[Record]) -> Set[str]:
            if records[0].key >= "r004":
                raise error
            return super().observe(records)

    archive, store = Archive(names(10)), in_memory()
    runner = Runner(Blinded(archive), opened(store, 1), NO_LIMITS, concurrency=2)
    if isinstance(error, ValueError):
        with pytest.raises(ValueError, match="a defect"):
            runner.run(listed(10))
    else:
        assert counts(runner.run(listed(10)))["not_attempted"] >= 6
        assert runner.stop_state.no_retry
    assert set(archive.sent) <= set(names(4))
    looking = LookingSystem(archive)
    check(archive, listed(10), one_try(store, looking, listed(10), 2), set(names(10)))
    assert sorted(archive.sent) == names(10)


def test_a_system_that_recovers_after_the_breaker_is_probed() -> None:
    archive, store = Archive(names(200)), in_memory()
    plan = {key: ["lost_before"] for key in names(200)}
    runner = Runner(ObedientSystem(archive, plan), opened(store, 1), Limits(200, 0.1), concurrency=2)
    outcomes = runner.run(listed(200))
    check_truth(archive, outcomes)
    assert counts(outcomes)["failed"] == len(archive.sent) == 200 - counts(outcomes)["not_attempted"]
    assert runner.stop_state.reason.startswith("more than 10% of the calls failed")
    check(archive, listed(200), one_try(store, ObedientSystem(archive), listed(200), 2), set(names(200)))


def test_a_record_is_called_for_twice_at_most_however_the_calls_end() -> None:
    for plan in itertools.product(["open_before", "lost_before"], repeat=4):
        archive = Archive(names(1))
        (outcome,) = one_try(in_memory(), ObedientSystem(archive, {"r000": plan}), listed(1), 1)
        assert outcome.kind is OutcomeKind.FAILED
        assert archive.sent == ["r000", "r000"]


def test_calls_in_the_air_are_interrupted_when_the_try_is_broken_off() -> None:
    interrupted: list[bool] = []

    def fail(_: Chunk) -> None:
        raise _Timeout

    runner = Runner(
        ObedientSystem(Archive(names(3))),
        opened(in_memory(), 1),
        NO_LIMITS,
        concurrency=1,
        report=fail,
        interrupt=lambda: interrupted.append(True),
    )
    with pytest.raises(_Timeout):
        runner.run(listed(3))
    assert interrupted == [True]


def test_a_stop_is_heeded_and_what_is_known_is_written() -> None:
    archive, store = Archive(names(500)), in_memory()
    begun = threading.Event()

    def slowly(_: str) -> None:
        begun.set()
        time.sleep(0.05)

    runner = Runner(ObedientSystem(archive, at_call=slowly), opened(store, 1), NO_LIMITS, concurrency=4)
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.extend(runner.run(listed(500))))
    thread.start()
    assert begun.wait(5)
    runner.stop("the task was stopped")
    thread.join(60)
    assert len(archive.sent) == counts(found)["destroyed"] < 500
    assert counts(found)["not_attempted"] == 500 - len(archive.sent)
    assert found[-1].reason == "not sent: the task was stopped"
    check(archive, listed(500), one_try(store, ObedientSystem(archive), listed(500), 2), set(names(500)))


def test_no_call_leaves_before_its_intent_is_on_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 1)
    archive, store = Archive(names(12)), in_memory()

    def intended(key: str) -> None:
        segments = [each for each in load_segments(store, f"{FOLDER.path}/journal") if each.header["kind"] == "intents"]
        assert {"key": key} in [line for each in segments for line in each.lines]

    check(archive, listed(12), one_try(store, ObedientSystem(archive, at_call=intended), listed(12), 1), set(names(12)))


def test_an_interruption_loses_no_outcome_of_what_is_in_the_air(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 1)
    archive = Archive(names(12))

    def interrupt(number: int, done: bool) -> None:
        if (number, done) == (4, False):  # after the start, what was observed, and the first intents
            raise _Timeout

    store = failing_store(interrupt)
    system = ObedientSystem(archive, at_call=lambda _: time.sleep(0.02))
    with pytest.raises(_Timeout):
        one_try(store, system, listed(12), 1, concurrency=3)
    state = opened(store, 2).state
    assert state.in_doubt == set()
    assert set(archive.sent) == {
        key for key, outcome in state.outcomes.items() if outcome.kind is OutcomeKind.DESTROYED
    }
    assert {key for key, outcome in state.outcomes.items() if outcome.kind is OutcomeKind.NOT_ATTEMPTED} == {
        "r003",
        "r004",
        "r005",
    }
    assert state.doubtful == set()


# An intent is not a call


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
    assert "no look before our call showed it" in str(outcomes[2].reason)


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


def test_intents_that_could_not_be_confirmed_are_closed_as_not_sent() -> None:
    """A full disk while the intents are written: whether they are there is not known, but nothing was sent for them."""
    archive = Archive(names(3))

    def full(number: int, done: bool) -> None:
        if (number, done) == (3, True):  # after the start and what was observed
            raise StoreUnavailableError("no space left on device")

    store = failing_store(full)
    with pytest.raises(StoreUnavailableError):
        one_try(store, ObedientSystem(archive), listed(3), 1)
    for key in names(3):
        archive.destroy_as_others(key)
    state = opened(store, 2).state
    assert {outcome.kind for outcome in state.outcomes.values()} == {OutcomeKind.NOT_ATTEMPTED}
    assert not state.doubtful
    assert not state.abandoned
    outcomes = one_try(store, ObedientSystem(archive), listed(3), 3)
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.ABSENT}


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


def test_what_failed_in_an_earlier_try_stays_failed_when_it_is_not_sent_again() -> None:
    archive, store = Archive(names(2)), in_memory()
    _, failed = one_try(store, ObedientSystem(archive, {"r000": ["failed"], "r001": ["failed"]}), listed(2), 1)

    def stop(_: str) -> None:
        runner.stop_state.stop_because("the task was stopped")

    runner = Runner(ObedientSystem(archive, at_call=stop), opened(store, 2), NO_LIMITS, concurrency=1)
    outcomes = runner.run(listed(2))
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.DESTROYED, OutcomeKind.FAILED]
    assert outcomes[1] == failed


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


class Watched(Passing):
    """Notes at each pause how many calls have been sent."""

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self.archive = archive
        self.sent: list[int] = []

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        time.sleep(0.06)  # calls that were begun before end
        self.sent.append(len(self.archive.sent))


def test_outcomes_are_kept_while_the_disk_is_full_and_nothing_is_sent_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 4)
    monkeypatch.setattr(attempt_module, "_NAP", 0.002)
    archive = Archive(names(40))
    passing = Watched(archive)

    def full(number: int, done: bool) -> None:
        if not done and passing.now < 110 and any(archive.sent):
            raise StoreUnavailableError("no space left on device")

    # Calls take a while, so that some are not begun yet when the first outcomes are to be written.
    store, system = in_memory(FailingStore), ObedientSystem(archive, at_call=lambda _: time.sleep(0.03))
    assert isinstance(store, FailingStore)
    outcome_writes = list[bool]()

    def only_outcomes(name: str, content: bytes, write: Any = store.write) -> Any:
        store.on_write = full if "-outcomes" in name else lambda *_: None
        outcome_writes.append("-outcomes" in name)
        return write(name, content)

    store.write = only_outcomes  # type: ignore[method-assign]
    outcomes = one_try(store, system, listed(40), 1, concurrency=2, passing=passing)
    check(archive, listed(40), outcomes, set(names(40)))
    assert {outcome.proof for outcome in outcomes} == {Proof.PROBE}
    assert passing.now >= 110
    assert len(set(passing.sent)) == 1
    assert passing.sent[0] < 40
    assert len(archive.sent) == 40


def test_outcomes_that_cannot_be_written_for_two_minutes_end_the_try_which_says_so() -> None:
    archive, passing = Archive(names(3)), Passing()

    def full(number: int, done: bool) -> None:
        if number > 3 and not done:
            raise StoreUnavailableError("no space left on device.")

    store = failing_store(full)
    with pytest.raises(StoreUnavailableError, match="outcomes of 3 records could not be written for 120 s"):
        one_try(store, ObedientSystem(archive), listed(3), 1, passing=passing)
    assert 120 <= passing.now < 130
    store.on_write = lambda *_: None
    outcomes = one_try(store, ObedientSystem(archive), listed(3), 2)
    check(archive, listed(3), outcomes, set(names(3)))
    assert len(archive.sent) == 3


def test_outcomes_that_are_kept_are_not_replaced_by_unknown_when_the_intents_are_closed() -> None:
    """The disk has room again when the try has given up."""
    archive, passing, late = Archive(names(3)), Passing(), list[int]()

    def full(number: int, done: bool) -> None:
        if number > 3 and not done and len(late) < 2:
            if passing.now >= 120:
                late.append(number)
            raise StoreUnavailableError("no space left on device.")

    store = failing_store(full)
    with pytest.raises(StoreUnavailableError, match="for 120 s"):
        one_try(store, ObedientSystem(archive), listed(3), 1, passing=passing)
    assert {outcome.proof for outcome in opened(store, 2).state.outcomes.values()} == {Proof.PROBE}


def test_a_try_that_was_overtaken_at_its_very_end_sums_nothing_up() -> None:
    archive, store = Archive(names(2)), failing_store(lambda *_: None)

    def overtaken(number: int, done: bool) -> None:
        if (number, done) == (4, True):  # the start, what was observed, intents, outcomes
            store.on_write = lambda *_: None
            opened(store, 2)

    store.on_write = overtaken
    with pytest.raises(JournalError, match="has taken over"):
        one_try(store, ObedientSystem(archive), listed(2), 1)
    assert len(archive.sent) == 2


# A try that was given up, but lives


def test_a_newer_try_waits_until_a_call_in_the_air_is_over(clock: Clock) -> None:
    archive, store = Archive(names(1)), in_memory()
    in_the_air, land = threading.Event(), threading.Event()

    def hang(_: str) -> None:
        in_the_air.set()
        assert land.wait(10)

    results: dict[str, Any] = {}

    def zombie() -> None:
        journal = opened(store, 1, call_seconds=60.0, steady=clock)
        try:
            Runner(ObedientSystem(archive, at_call=hang), journal, NO_LIMITS, concurrency=1).run(listed(1))
        except JournalError as error:
            results["zombie"] = error

    def newer() -> None:
        journal = opened(store, 2, call_seconds=60.0, steady=clock)
        results["seconds_until_settled"] = journal.seconds_until_settled()
        results["newer"] = Runner(ObedientSystem(archive), journal, NO_LIMITS, concurrency=1).run(listed(1))

    first, second = threading.Thread(target=zombie), threading.Thread(target=newer)
    first.start()
    assert in_the_air.wait(10)
    clock.now += 5
    second.start()
    while "seconds_until_settled" not in results:
        time.sleep(0.001)
    assert results["seconds_until_settled"] == pytest.approx(journal_module.LEASE + 60 + 2 - 5, abs=0.01)
    clock.now += results["seconds_until_settled"] - 0.01
    second.join(0.1)
    assert archive.probed == []
    land.set()
    first.join(10)
    clock.now += 0.02
    second.join(10)
    assert "has taken over" in str(results["zombie"])
    assert archive.sent == ["r000"]
    check(archive, listed(1), results["newer"], set(names(1)))


def test_after_an_orderly_end_there_is_nothing_to_wait_for(clock: Clock) -> None:
    archive, store = Archive(names(2)), in_memory()
    one_try(store, ObedientSystem(archive, {"r000": ["failed"]}), listed(2), 1, steady=clock)
    assert opened(store, 2, steady=clock).seconds_until_settled() == 0


def test_after_a_crash_long_ago_there_is_nothing_to_wait_for(clock: Clock) -> None:
    archive = Archive(names(2))
    store = failing_store(dying_with(archive))
    survive(lambda: one_try(store, ObedientSystem(archive, {"r000": ["die_after"]}), listed(2), 1, steady=clock))
    archive.dead = False
    assert opened(store, 2, steady=clock).seconds_until_settled() == pytest.approx(journal_module.LEASE + 2, abs=0.01)
    clock.now += journal_module.LEASE + 2.01
    assert opened(store, 3, steady=clock).seconds_until_settled() == 0


@pytest.mark.parametrize("jump", [0.0, -3600.0, 600.0, 86400.0, -86400.0])
def test_a_machine_whose_clock_is_set_neither_waits_longer_nor_shorter(jump: float, clock: Clock) -> None:
    archive, now = Archive(names(1)), 1_800_000_000.0
    store = failing_store(dying_with(archive))
    system = ObedientSystem(archive, {"r000": ["die_after"]})
    older = opened(store, 1, call_seconds=60.0, clock=lambda: now, steady=clock)
    survive(lambda: Runner(system, older, NO_LIMITS, concurrency=1).run(listed(1)))
    archive.dead = False
    clock.now += 5
    newer = opened(store, 2, call_seconds=60.0, clock=lambda: now + 5 + jump, steady=clock)
    assert newer.seconds_until_settled() == pytest.approx(journal_module.LEASE + 60 + 2 - 5, abs=0.01)


@pytest.mark.parametrize("ahead", [-86400.0, -600.0, 0.0, 600.0, 86400.0])
@pytest.mark.parametrize("timelines", [("one machine", "another"), ("", "")])
def test_what_another_machine_sent_is_waited_for_by_the_own_clock(
    ahead: float, timelines: tuple[str, str], clock: Clock
) -> None:
    archive, now = Archive(names(1)), 1_800_000_000.0
    store = failing_store(dying_with(archive))
    system = ObedientSystem(archive, {"r000": ["die_after"]})
    older = opened(store, 1, call_seconds=60.0, clock=lambda: now, steady=lambda: 7e6, timeline=timelines[0])
    survive(lambda: Runner(system, older, NO_LIMITS, concurrency=1).run(listed(1)))
    archive.dead = False
    newer = opened(store, 2, call_seconds=60.0, clock=lambda: now + 5 + ahead, steady=clock, timeline=timelines[1])
    assert newer.seconds_until_settled() == pytest.approx(journal_module.LEASE + 60 + 2, abs=0.01)
    clock.now += journal_module.LEASE + 62.01
    assert newer.seconds_until_settled() == 0


def test_a_stop_ends_the_waiting(clock: Clock) -> None:
    archive = Archive(names(1))
    store = failing_store(dying_with(archive))
    survive(lambda: one_try(store, ObedientSystem(archive, {"r000": ["die_before"]}), listed(1), 1, steady=clock))
    archive.dead = False
    system = ObedientSystem(archive)
    runner = Runner(system, opened(store, 2, steady=clock), NO_LIMITS, concurrency=1)
    threading.Timer(0.05, lambda: runner.stop("the task was stopped")).start()
    (outcome,) = runner.run(listed(1))
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert archive.probed == []


def test_a_call_is_not_begun_when_the_right_to_it_has_lapsed(clock: Clock) -> None:
    archive, store = Archive(names(4)), in_memory()
    begun: list[str] = []

    def lapse(key: str) -> None:
        begun.append(key)
        if len(begun) == 1:
            opened(store, 2, steady=clock)
            clock.now += journal_module.LEASE

    with pytest.raises(JournalError, match="has taken over"):
        one_try(store, ObedientSystem(archive, at_call=lapse), listed(4), 1, concurrency=1, steady=clock)
    assert begun == ["r000"]
    clock.now += 100
    outcomes = one_try(store, ObedientSystem(archive), listed(4), 3, steady=clock)
    check(archive, listed(4), outcomes, set(names(4)))


def test_a_long_chunk_keeps_its_right_while_nobody_else_comes(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "LEASE", 0.01)
    archive, store = Archive(names(8)), in_memory()

    def slowly(_: str) -> None:
        clock.now += journal_module.LEASE * 0.9
        time.sleep(0.02)

    outcomes = one_try(store, ObedientSystem(archive, at_call=slowly), listed(8), 1, concurrency=1, steady=clock)
    check(archive, listed(8), outcomes, set(names(8)))
    assert any(each.header["kind"] == "alive" for each in load_segments(store, f"{FOLDER.path}/journal"))


def test_a_client_may_repeat_a_call_only_while_the_right_lasts(clock: Clock) -> None:
    archive, store = Archive(names(1)), in_memory()
    allowed: list[bool] = []

    def again(_: str) -> None:
        allowed.append(runner.may_send())
        clock.now += journal_module.LEASE
        runner.stop("the task was stopped")
        allowed.append(runner.may_send())

    runner = Runner(ObedientSystem(archive, at_call=again), opened(store, 1, steady=clock), NO_LIMITS, concurrency=1)
    assert runner.may_send()
    runner.run(listed(1))
    assert allowed == [True, False]
    assert runner.may_send()


@pytest.mark.parametrize("done", [False, True])
def test_a_newer_try_that_comes_at_any_write_of_an_older_one(
    done: bool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older one hangs in the write, as on a slow disk, and goes on when the newer one has finished."""
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 1)
    records = listed(6)
    for at in itertools.count(1):
        archive, store, found = Archive(names(6)), failing_store(lambda *_: None), list[Outcome]()

        def overtaken(
            number: int,
            effect: bool,
            at: int = at,
            archive: Archive = archive,
            store: FailingStore = store,
            found: Any = found,
        ) -> None:
            if (number, effect) != (at, done):
                return
            store.on_write = lambda *_: None
            for thread in threading.enumerate():  # what was in flight ends while the newer one waits
                if thread.name.startswith(ObedientSystem.name):
                    thread.join(0.01)
            newer = opened(store, 2, steady=clock)
            clock.now += newer.seconds_until_settled()
            found.extend(Runner(ObedientSystem(archive), newer, NO_LIMITS, concurrency=2).run(records))

        store.on_write = overtaken
        survive(
            lambda archive=archive, store=store: one_try(store, ObedientSystem(archive, PLAN), records, 1, steady=clock)  # type: ignore[misc]
        )
        if not found:
            break
        check(archive, records, found, set(names(6)))
        clock.now += 1000
        check(archive, records, one_try(store, ObedientSystem(archive), records, 3, steady=clock), set(names(6)))
    assert at > 6


def test_many_zombies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real threads, real time: a newer try comes at any moment."""
    monkeypatch.setattr(Journal, "seconds_until_settled", SECONDS_UNTIL_SETTLED)
    monkeypatch.setattr(journal_module, "LEASE", 0.12)
    monkeypatch.setattr(journal_module, "_MARGIN", 0.03)
    monkeypatch.setattr(runner_module, "LEASE", 0.12)
    monkeypatch.setattr(attempt_module, "_NAP", 0.005)
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 3)
    for round_ in range(12):
        archive, store = Archive(names(40)), in_memory()

        def slowly(key: str) -> None:
            time.sleep(int(key[1:]) % 7 / 1000)

        def older(archive: Archive = archive, store: Store = store) -> None:
            system = ObedientSystem(archive, {"r005": ["lost_after"], "r006": ["lost_before"]}, at_call=slowly)
            survive(
                lambda: Runner(system, opened(store, 1, call_seconds=0.1), NO_LIMITS, concurrency=3).run(listed(40))
            )

        thread = threading.Thread(target=older)
        thread.start()
        time.sleep(round_ * 0.006)
        newer = opened(store, 2, call_seconds=0.1)
        outcomes = Runner(ObedientSystem(archive, at_call=slowly), newer, NO_LIMITS, concurrency=3).run(listed(40))
        thread.join()
        check(archive, listed(40), outcomes, set(names(40)))
