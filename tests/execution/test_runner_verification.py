"""The look after the calls of a chunk: it corrects false answers, stops the sending, and loses no outcome."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.segment import OUTCOMES, load_segments
from airflow_provider_records.exceptions import ServerError
from airflow_provider_records.execution.last_look import LastLook
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.progress import Progress
from airflow_provider_records.execution.retries import StopState
from airflow_provider_records.execution.runner import Runner
from tests.evidence.failing_store import in_memory
from tests.execution.archive import (
    DIGEST,
    FOLDER,
    NO_LIMITS,
    STARTED,
    Archive,
    ObedientSystem,
    counts,
    listed,
    names,
    one_try,
    opened,
)


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


def test_a_verification_that_proves_what_no_answer_proved_hides_no_failure() -> None:
    records = listed(200)
    archive = Archive(record.key for record in records)

    class Unproven(ObedientSystem):
        def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
            answers = super().dispose(batch, unanswered)
            return [each and (replace(each, proof=None) if each.kind.gone else each) for each in answers]

    system = Unproven(archive, {record.key: ["failed"] for record in records[100::2]})
    outcomes = one_try(in_memory(), system, records, 1, limits=Limits(10**6, 0.1))
    assert len(archive.sent) < 160
    assert counts(outcomes)["not_attempted"] == 200 - len(archive.sent)


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


@pytest.mark.parametrize("proof", [Proof.RESPONSE, Proof.PROBE, Proof.INFERRED])
def test_a_removal_that_is_only_inferred_does_not_show_that_the_account_sees_anything(proof: Proof) -> None:
    class Asked(ObedientSystem):
        def disbelieved(self, records: Sequence[Record], *, removed: bool) -> dict[str, str]:
            return {} if removed else {record.key: "nothing was seen" for record in records}

    look = LastLook(opened(in_memory(), 1), NO_LIMITS, StopState(), None, dict)
    removed, missing = Record("a", "a"), Record("b", "b")
    found = [
        (removed, Outcome("a", OutcomeKind.RECYCLED, proof)),
        (missing, Outcome("b", OutcomeKind.ABSENT, Proof.RESPONSE)),
    ]
    _, outcome = look.judge_answers(Asked(Archive(["a", "b"])), found)
    assert outcome.kind is (OutcomeKind.FAILED if proof is Proof.INFERRED else OutcomeKind.ABSENT)
