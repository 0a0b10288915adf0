"""What the core asks of a content system or a records authority, and the look that changes nothing."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Protocol

from airflow_provider_records.evidence.outcome import Outcome
from airflow_provider_records.evidence.record import Record


class System(Protocol):
    """What the runner asks of a content system or a records authority.

    All methods are called from many threads at once, except ``prepare``. They raise the typed errors of
    :mod:`airflow_provider_records.exceptions`; what they do not raise, they answer for every record of the batch,
    in its order.
    """

    name: str
    batch_size: int

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
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

    def resolve_unanswered(self, batch: Sequence[Record]) -> Sequence[Outcome | None]:
        """Look what became of records whose call went unanswered.

        :return: outcomes; None where the record is still there and may be sent again. Where it cannot be
            seen: an outcome ``unknown``.
        """

    def verify(self, record: Record, outcome: Outcome) -> Outcome:
        """Look after a call that was answered; return the outcome with a stronger proof, or a corrected one."""
