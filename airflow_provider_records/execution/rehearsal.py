"""The rehearsal: every record is looked at, and nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import RecordsError, StopError, UnavailableError
from airflow_provider_records.systems.base import LooksInBatches, System

_DRY_RUN, _SENT, _GONE, _HELD = "dry run: ", "is there and would be sent", "is not there any more", "on hold"
_MOST = 12
_WOULD = {"destroy": "would be deleted", "recycle": "would be moved to the recycle bin", "mark": "would be marked"}


def rehearse(
    system: System, records: Sequence[Record], *, concurrency: int, held: Mapping[str, Outcome] | None = None
) -> list[Outcome]:
    """Look at every record; the reason of each outcome says what a real run would find.

    :param system: the system.
    :param records: the whole list.
    :param concurrency: largest number of probes in flight, where a system looks at records one by one.
    :param held: the outcomes of records that are on hold, by key.
    :return: one outcome ``not_attempted`` for each record, in the order of the list.
    :raises VendorError: the system cannot be asked at all.
    """
    system.prepare(records, frozenset())
    barred = held or {}
    rest = [record for record in records if record.key not in barred]
    rehearsed = {key: _rehearsed(key, _finding(each)) for key, each in barred.items()}
    if isinstance(system, LooksInBatches):
        rehearsed |= _looked_at(system, rest)
    else:
        rehearsed |= _probed(system, rest, concurrency)
    return [rehearsed[record.key] for record in records]


def _looked_at(system: LooksInBatches, records: Sequence[Record]) -> dict[str, Outcome]:
    """Look at the records as a real run does before its calls."""
    found: dict[str, Outcome] = {}
    for group in system.arrange(records):
        for start in range(0, len(group), system.look_size):
            batch = group[start : start + system.look_size]
            system.observe(batch)
            foreseen = zip(batch, system.foresee(batch), strict=True)
            found |= {record.key: _rehearsed(record.key, _finding(each)) for record, each in foreseen}
    return found


def _probed(system: System, records: Sequence[Record], concurrency: int) -> dict[str, Outcome]:
    def probe(batch: Sequence[Record]) -> list[Outcome]:
        try:
            found = system.resolve_unanswered(batch)
        except (StopError, UnavailableError):
            raise
        except RecordsError as error:
            return [_rehearsed(record.key, f"cannot be looked up: {error}") for record in batch]
        return [_rehearsed(record.key, _finding(each)) for record, each in zip(batch, found, strict=True)]

    with ThreadPoolExecutor(concurrency, thread_name_prefix=system.name) as pool:
        batches = (records[start : start + system.batch_size] for start in range(0, len(records), system.batch_size))
        return {outcome.key: outcome for outcomes in pool.map(probe, batches) for outcome in outcomes}


def told(outcomes: Iterable[Outcome], method: str) -> str:
    """Return what a real run would do, such as ``57 would be deleted, 1 is not there, 2 on hold``.

    :param outcomes: of a rehearsal.
    :param method: ``destroy``, ``recycle`` or ``mark``.
    """
    found: Counter[str] = Counter()
    for outcome in outcomes:
        reason = (outcome.reason or "").removeprefix(_DRY_RUN)
        words = {_SENT: _WOULD[method], _GONE: "is not there"}
        found[_HELD if reason.startswith(f"would be blocked: {_HELD}") else words.get(reason, reason)] += 1
    parts = [f"{count:,} {words}" for words, count in found.most_common()]
    return ", ".join([*parts[:_MOST], *([f"{len(parts) - _MOST} more reasons"] if len(parts) > _MOST else [])])


def _finding(found: Outcome | None) -> str:
    if found is None:
        return _SENT
    if found.kind.gone:
        return _GONE
    reason = (found.reason or "").removeprefix("nothing was sent: ")
    if found.kind is OutcomeKind.FAILED:
        return f"cannot be looked up: {reason}"
    return "cannot be looked up" if found.kind is OutcomeKind.UNKNOWN else f"would be {found.kind}: {reason}"


def _rehearsed(key: str, reason: str) -> Outcome:
    return Outcome(key, OutcomeKind.NOT_ATTEMPTED, reason=f"{_DRY_RUN}{reason}", time=now())
