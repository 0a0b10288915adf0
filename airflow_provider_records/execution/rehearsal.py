"""The rehearsal: every record is probed, and nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import RecordsError, StopError, UnavailableError
from airflow_provider_records.systems.base import System


def rehearse(system: System, records: Sequence[Record], *, concurrency: int) -> list[Outcome]:
    """Probe every record; the reason of each outcome says what a real run would find.

    :param system: the system.
    :param records: the whole list.
    :param concurrency: largest number of probes in flight.
    :return: one outcome ``not_attempted`` for each record, in the order of the list.
    :raises VendorError: the system cannot be asked at all.
    """
    system.prepare(records, frozenset())
    size = system.batch_size

    def probe(batch: Sequence[Record]) -> list[Outcome]:
        try:
            found = system.resolve_unanswered(batch)
        except (StopError, UnavailableError):
            raise
        except RecordsError as error:
            return [_rehearsed(record, f"cannot be looked up: {error}") for record in batch]
        return [_rehearsed(record, _finding(each)) for record, each in zip(batch, found, strict=True)]

    with ThreadPoolExecutor(concurrency, thread_name_prefix=system.name) as pool:
        batches = [records[start : start + size] for start in range(0, len(records), size)]
        return [outcome for outcomes in pool.map(probe, batches) for outcome in outcomes]


def _finding(found: Outcome | None) -> str:
    if found is None:
        return "is there and would be sent"
    if found.kind.gone:
        return "is not there any more"
    return "cannot be looked up" if found.kind is OutcomeKind.UNKNOWN else f"would be {found.kind}: {found.reason}"


def _rehearsed(record: Record, reason: str) -> Outcome:
    return Outcome(record.key, OutcomeKind.NOT_ATTEMPTED, reason=f"dry run: {reason}", time=now())
