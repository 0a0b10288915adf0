"""The rehearsal: a look at every record that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import RecordsError, StopError, UnavailableError
from airflow_provider_records.systems.base import System


def rehearse(system: System, records: Sequence[Record], *, concurrency: int) -> list[Outcome]:
    """Look at every record without a call that changes anything; each outcome says what a real run would meet.

    :raises VendorError: the system cannot be asked at all.
    """
    system.prepare(records, frozenset())
    size = system.batch_size

    def look(batch: Sequence[Record]) -> list[Outcome]:
        try:
            answers = system.resolve_unanswered(batch)
        except (StopError, UnavailableError):
            raise
        except RecordsError as error:
            return [_rehearsed(record, f"cannot be looked up: {error}") for record in batch]
        return [_rehearsed(record, _sight(answer)) for record, answer in zip(batch, answers, strict=True)]

    with ThreadPoolExecutor(concurrency, thread_name_prefix=system.name) as pool:
        batches = [records[start : start + size] for start in range(0, len(records), size)]
        return [outcome for outcomes in pool.map(look, batches) for outcome in outcomes]


def _sight(answer: Outcome | None) -> str:
    if answer is None:
        return "is there and would be sent"
    if answer.kind.gone:
        return "is not there any more"
    return "cannot be looked up" if answer.kind is OutcomeKind.UNKNOWN else f"would be {answer.kind}: {answer.reason}"


def _rehearsed(record: Record, reason: str) -> Outcome:
    return Outcome(record.key, OutcomeKind.NOT_ATTEMPTED, reason=f"dry run: {reason}", time=now())
