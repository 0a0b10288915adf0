"""What the core asks of a content system or a records authority, and the look that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from airflow_provider_records.disposal.outcome import Outcome, Result, now
from airflow_provider_records.disposal.record import Record
from airflow_provider_records.exceptions import RecordsError, StopError, UnavailableError


class System(Protocol):
    """What the runner asks of a content system or a records authority.

    All methods are called from many threads at once, except ``prepare``. They raise the typed errors of
    :mod:`airflow_provider_records.exceptions`; what they do not raise, they answer for every record of the batch,
    in its order.
    """

    name: str
    batch_size: int

    def prepare(self, records: Sequence[Record], seen: Set[str]) -> Set[str]:
        """Do once, before the first call of a try, what all calls need; refuse here what must not be begun.

        :param seen: keys that earlier tries saw to be there before they called.
        :return: keys that it has just seen to be there; kept in the journal for later tries.
        """

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> Sequence[Outcome | None]:
        """Send one call for the batch.

        :param unanswered: keys to which an earlier call of ours went unanswered.
        :return: outcomes; None where the answer leaves open whether it happened. Raising a VendorError says that
            of the whole batch; one that says that nothing was done makes the whole batch ``failed``.
        """

    def settle(self, batch: Sequence[Record]) -> Sequence[Outcome | None]:
        """Look what became of records whose call went unanswered.

        :return: outcomes; None where the record is still there and may be sent again. Where it cannot be
            seen: an outcome ``unknown``.
        """

    def verify(self, record: Record, outcome: Outcome) -> Outcome:
        """Look after a call that was answered; return the outcome with a stronger proof, or a corrected one."""


def rehearse(system: System, records: Sequence[Record], *, concurrency: int) -> list[Outcome]:
    """Look at every record without a call that changes anything; each outcome says what a real run would meet.

    :raises VendorError: the system cannot be asked at all.
    """
    system.prepare(records, frozenset())
    size = system.batch_size

    def look(batch: Sequence[Record]) -> list[Outcome]:
        try:
            answers = system.settle(batch)
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
    if answer.result.gone:
        return "is not there any more"
    return "cannot be looked up" if answer.result is Result.UNKNOWN else f"would be {answer.result}: {answer.reason}"


def _rehearsed(record: Record, reason: str) -> Outcome:
    return Outcome(record.key, Result.NOT_ATTEMPTED, reason=f"dry run: {reason}", time=now())
