"""Publishes outcomes: again while the store cannot be written, and none that claims what another run did."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import replace

from airflow_provider_records.evidence.claims import Claimed, DeletionClaim
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import EvidenceError, StoreUnavailableError

log = logging.getLogger(__name__)

_STORE_PATIENCE = 120.0
_LONGEST_PAUSE = 5.0


class OutcomeWriter:
    """Writes the outcomes of one list into its journal; for one thread.

    :param journal: the opened journal.
    :param forget: called with the records whose final outcomes are published.
    :param clock: seconds, for how long outcomes are written again.
    :param sleep: waits between two writes, in seconds.
    """

    def __init__(
        self,
        journal: Journal,
        forget: Callable[[Sequence[Record]], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.journal = journal
        self.forget = forget
        self._clock = clock
        self._sleep = sleep
        self._unwritable_since: float | None = None
        self._unwritten: dict[str, tuple[Record, Outcome]] = {}

    @property
    def unwritten(self) -> Set[str]:
        """The keys of records whose outcomes are known, and could not be published."""
        return self._unwritten.keys()

    def write(self, found: Sequence[tuple[Record, Outcome]]) -> None:
        """Publish outcomes; while the store cannot be written, nothing is sent, and they are kept and written again.

        :raises StoreUnavailableError: it could not be written for two minutes.
        """
        outcomes = self._without_claims_of_others(found)
        self._unwritten |= {each.key: (record, each) for (record, _), each in zip(found, outcomes, strict=True)}
        pause = 0.1
        while self._unwritten:
            try:
                self.journal.record([outcome for _, outcome in self._unwritten.values()])
            except StoreUnavailableError as error:
                self.journal.release_lease()
                if self._unwritable_since is None:
                    self._unwritable_since = self._clock()
                number = len(self._unwritten)
                if self._clock() - self._unwritable_since >= _STORE_PATIENCE:
                    raise StoreUnavailableError(
                        f"{error} The outcomes of {number} records could not be written for {_STORE_PATIENCE:.0f} s; "
                        "the next try looks these records up before it sends anything for them."
                    ) from error
                log.warning("%s Nothing is sent until the outcomes of %s records are written", error, number)
                self._sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self.forget([record for record, outcome in self._unwritten.values() if outcome.kind.final])
                self._unwritten.clear()
                self._unwritable_since = None

    def _without_claims_of_others(self, found: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        """Return outcomes so that none infers what another run says that it did; looks only if one is inferred."""
        outcomes = [outcome for _, outcome in found]
        inferred = [record for record, outcome in found if outcome.proof is Proof.INFERRED]
        if not inferred:
            return outcomes
        try:
            claims = self.journal.claimed_elsewhere(inferred)
        except EvidenceError as error:
            log.warning("%s", error)
            why = "it is gone, and whether another run deleted it could not be looked up"
            unknown = {record.key for record in inferred}
            return [_unknown(each, why) if each.key in unknown else each for each in outcomes]
        return [_claimed(each, claims[each.key]) if each.key in claims else each for each in outcomes]


def _claimed(outcome: Outcome, claim: DeletionClaim) -> Outcome:
    """Return an inferred outcome as far as another task instance leaves it open what did it."""
    gone, folder = "it is gone; our call got no response, and", claim.folder.path
    if claim.claimed is Claimed.DISPOSED:
        reason = f"{gone} {folder} says that it disposed of it"
        return replace(outcome, kind=OutcomeKind.ABSENT, proof=Proof.PROBE, reason=reason)
    if claim.claimed is Claimed.BINNED:
        return _unknown(outcome, f"{gone} {folder} says that it moved it into a recycle bin, perhaps another account's")
    return _unknown(outcome, f"{gone} neither did one of {folder}")


def _unknown(outcome: Outcome, reason: str) -> Outcome:
    return replace(outcome, kind=OutcomeKind.UNKNOWN, proof=None, reason=reason)
