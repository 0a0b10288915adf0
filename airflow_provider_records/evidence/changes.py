"""What has changed since the last list that the same task asked about: a reviewer need not read it all again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from airflow_provider_records.evidence.hold import Hold, HoldRegister
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import EvidenceError, InvalidRecordsError

_FIRST = 5
_BATCH = 1000


@dataclass(frozen=True)
class Changes:
    """The difference of two lists, by the keys of their records.

    :param before: the order that was asked for last.
    :param new: number of records that were not on that list.
    :param first_new: keys of the first of them.
    :param gone: number of records of that list that are not on this one.
    :param held: number of these that are on hold now.
    :param back: the ended holds of new records, by key.
    """

    before: Order
    new: int = 0
    first_new: Sequence[str] = ()
    gone: int = 0
    held: int = 0
    back: Mapping[str, Hold] = field(default_factory=dict)


def changes(manifest: Manifest, order: Order, step: Provenance, register: HoldRegister) -> Changes | None:
    """Compare a list with the last one that a task asked about in an earlier run of its DAG.

    :param manifest: the list.
    :param order: what is asked for now.
    :param step: the approving task instance.
    :param register: the holds.
    :return: None: there is no earlier list, or it cannot be read any more.
    :raises StoreUnavailableError: the store cannot be read now.
    """
    try:
        which = {"map_index": step.map_index, "iteration": step.iteration}
        before = Order.asked_last(manifest.store, order, task_id=step.task_id, **which)
        if before is None:
            return None
        last = Manifest.open(manifest.store, before.digest)
        then, now = set(last.keys()), set(manifest.keys())
        gone, held = len(then - now), 0
        for batch in _batches(last, then - now):
            held += len(register.of(batch))
        back: dict[str, Hold] = {}
        for batch in _batches(manifest, now - then):
            back |= register.ended_of(batch)
        first = [record.key for batch in islice(_batches(manifest, now - then), 1) for record in batch[:_FIRST]]
        return Changes(before, len(now - then), first, gone, held, back)
    except (EvidenceError, InvalidRecordsError) as error:
        if error.retry:
            raise
        return None


def _batches(manifest: Manifest, keys: set[str]) -> Iterator[list[Record]]:
    """Return the records of these keys, some at a time."""
    records = (record for record in manifest if record.key in keys) if keys else iter(())
    while batch := list(islice(records, _BATCH)):
        yield batch
