"""A rehearsal probes every record, sends nothing, and says what a real run would find."""

from __future__ import annotations

from collections.abc import Sequence, Set

import pytest

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import (
    AuthenticationError,
    NoAnswerError,
    NotSentError,
    ServerError,
    UnavailableError,
    VendorError,
)
from airflow_provider_records.execution.rehearsal import rehearse
from tests.execution.archive import Archive, LookingSystem, ObedientSystem, listed, names


class Probed(ObedientSystem):
    """An archive in which probes find what they are told, by key; None: the record is there."""

    def __init__(self, archive: Archive, finds: dict[str, Outcome | VendorError], batch_size: int = 1) -> None:
        super().__init__(archive, batch_size=batch_size)
        self.finds = finds

    def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
        found: list[Outcome | None] = []
        for record in batch:
            if isinstance(answer := self.finds.get(record.key), VendorError):
                raise answer
            found.append(answer)
        return found


def rehearsed(
    finds: dict[str, Outcome | VendorError], count: int = 3, *, batch_size: int = 1, concurrency: int = 2
) -> list[Outcome]:
    """Rehearse a list; nothing may be sent."""
    records = listed(count)
    archive = Archive(record.key for record in records)
    outcomes = rehearse(Probed(archive, finds, batch_size), records, concurrency=concurrency)
    assert archive.sent == []
    return outcomes


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, "dry run: is there and would be sent"),
        (Outcome("r001", OutcomeKind.DESTROYED, Proof.INFERRED), "dry run: is not there any more"),
        (Outcome("r001", OutcomeKind.ABSENT, Proof.PROBE), "dry run: is not there any more"),
        (Outcome("r001", OutcomeKind.RECYCLED, Proof.PROBE), "dry run: is not there any more"),
        (Outcome("r001", OutcomeKind.UNKNOWN), "dry run: cannot be looked up"),
        (Outcome("r001", OutcomeKind.BLOCKED, Proof.PROBE, "locked"), "dry run: would be blocked: locked"),
    ],
    ids=lambda value: str(value.kind) if isinstance(value, Outcome) else "",
)
def test_the_reason_says_what_a_real_run_would_find(found: Outcome | None, reason: str) -> None:
    outcomes = rehearsed({} if found is None else {"r001": found})
    assert (outcomes[1].reason, outcomes[1].proof) == (reason, None)
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.NOT_ATTEMPTED}
    assert outcomes[0].reason == outcomes[2].reason == "dry run: is there and would be sent"


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


def test_a_system_that_looks_at_many_at_once_is_asked_as_before_its_calls() -> None:
    records = listed(5)
    archive = Archive(["r000", "r001", "r003", "r004"])
    system = LookingSystem(archive)
    system.look_size = 2
    outcomes = rehearse(system, records, concurrency=2)
    assert archive.sent == []
    assert [outcome.key for outcome in outcomes] == [record.key for record in records]
    assert [outcome.reason for outcome in outcomes if outcome.reason != "dry run: is there and would be sent"] == [
        "dry run: is not there any more"
    ]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_outcomes_follow_the_list_however_it_is_cut_into_batches(batch_size: int) -> None:
    outcomes = rehearsed({}, 25, batch_size=batch_size, concurrency=4)
    assert [outcome.key for outcome in outcomes] == [record.key for record in listed(25)]
    assert all(outcome.time for outcome in outcomes)


def test_an_empty_list_is_rehearsed_with_no_outcome() -> None:
    assert rehearsed({}, 0) == []


@pytest.mark.parametrize("error", [ServerError("broken"), NoAnswerError("silent"), NotSentError("refused")], ids=str)
def test_a_batch_that_cannot_be_probed_is_said_and_the_others_are_still_probed(error: VendorError) -> None:
    outcomes = rehearsed({"r001": error}, 4, batch_size=2)
    cannot, there = f"dry run: cannot be looked up: {error}", "dry run: is there and would be sent"
    assert [outcome.reason for outcome in outcomes] == [cannot, cannot, there, there]


@pytest.mark.parametrize("error", [AuthenticationError("refused"), UnavailableError("down")], ids=str)
def test_a_system_that_cannot_be_asked_at_all_ends_the_rehearsal(error: VendorError) -> None:
    with pytest.raises(type(error), match=str(error)):
        rehearsed({"r001": error})


class Refusing(ObedientSystem):
    """A system whose preparation refuses the list."""

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        raise AuthenticationError("no right")


def test_a_preparation_that_refuses_the_list_refuses_its_rehearsal() -> None:
    archive = Archive(["r000"])
    with pytest.raises(AuthenticationError, match="no right"):
        rehearse(Refusing(archive), listed(1), concurrency=1)
    assert archive.probed == []


def test_too_few_answers_of_a_probe_are_a_fault_and_no_finding() -> None:
    class Short(ObedientSystem):
        def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
            return []

    with pytest.raises(ValueError, match="shorter"):
        rehearse(Short(Archive([])), listed(2), concurrency=1)
