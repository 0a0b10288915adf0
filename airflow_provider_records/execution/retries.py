"""Brings a batch of records to their outcomes; the only code that sends a delete twice.

A delete that may have taken effect without our knowledge is followed by a probe (:meth:`System.resolve_unanswered`),
and only a record that is still there is sent again, once. While the server may still be processing the request, the
probe waits for a later round: sooner, it could find a record that is about to disappear, and both deletes would take
effect. What an error means for this rule, the error says itself (``no_effect``, ``may_still_take_effect``).

An intent is not a call. ``inferred`` stands only for a record that the try which called for it had observed; within a
living process it is known whether a call was begun, and only after the death of a process it is not.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import PROCESS_DIED, Outcome, OutcomeKind, Proof, now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import RecordsError, StopError, UnavailableError, VendorError
from airflow_provider_records.systems.base import MayListRemoved, RemembersRecords, System, outcome_from_error

log = logging.getLogger(__name__)

ROUNDS = 3
"""Send; probe the unanswered records and send those again that are still there; probe once more."""
_CALLS = 2
_NAP = 0.1
LOOK_LASTS = 900.0
"""Seconds after the beginning of a look within which a call must leave that rests on it."""
_TOO_OLD = "its last look was too old"


@dataclass
class StopState:
    """Whether the sending of a try has ended, and why.

    :param reason: why the sending has ended; empty as long as it continues.
    :param no_retry: another try of the task cannot help.
    :param skip_probes: unanswered records are not probed any more either.
    :param retry_after: seconds that the system asked to wait, if it did.
    :param refused: another try of the task cannot help, but what this one sent is still looked up.
    :param defect: an error that nobody expected; it is raised when the outcomes of calls in flight are known.
    """

    reason: str = ""
    no_retry: bool = False
    skip_probes: bool = False
    retry_after: float | None = None
    refused: bool = False
    defect: Exception | None = None

    def stop_because(self, reason: str) -> None:
        """Send nothing more; the first reason stays."""
        self.reason = self.reason or reason

    def stop(self, error: VendorError) -> None:
        """Send nothing more because of an error."""
        self.no_retry = self.no_retry or not error.retry
        self.retry_after = self.retry_after or error.retry_after
        self.stop_because(str(error))

    def stop_after(self, error: RecordsError) -> None:
        """Send nothing new because of an error that says nothing about the system's answers to what was sent."""
        self.refused = self.refused or not error.retry
        self.stop_because(str(error))

    def stop_on_defect(self, error: Exception) -> None:
        """Send nothing more because of an error that nobody expected."""
        self.defect = error
        self.stop_because(f"an unexpected error ({type(error).__name__})")

    def stop_on(self, error: VendorError) -> None:
        """Send nothing more if the error means that no other request can succeed either."""
        if isinstance(error, (StopError, UnavailableError)):
            self.stop(error)


class Attempts:
    """The calls of one try; each batch has a thread of its own.

    :param system: the system.
    :param journal: the opened journal, which holds the intents of all records that are sent here.
    :param stop_state: read before each call; errors that end the sending are noted there.
    :param recheck: called with records that are to be sent again; returns the outcomes of those that must not be.
    :param newest: called right before a call; returns the outcomes of those records that checks of others have barred.
    :param verify: probe the records after their calls, to raise the proof to ``probe`` where the system allows it.
    """

    def __init__(
        self,
        system: System,
        journal: Journal,
        stop_state: StopState,
        recheck: Callable[[Sequence[Record]], Mapping[str, Outcome]],
        newest: Callable[[Sequence[Record]], Mapping[str, Outcome]] = lambda _: {},
        *,
        verify: bool,
    ) -> None:
        self.system = system
        self.journal = journal
        self.stop_state = stop_state
        self.recheck = recheck
        self.newest = newest
        self.verify_calls = verify
        self._causes: dict[str, str] = {}
        self._calls = Counter[str]()
        self._looked: dict[str, float] = {}
        self._stayed: set[str] = set()
        self._outdated: set[str] = set()
        self._thread = threading.local()

    def note_look(self, records: Sequence[Record], begun: float) -> None:
        """Take note of when records were looked at or rechecked last; calls for others rest on no look.

        :param begun: when that began, by the monotonic clock.
        """
        self._looked |= dict.fromkeys((record.key for record in records), begun)

    def forget(self, records: Sequence[Record]) -> None:
        """Let go of what is known of records that have their final outcomes, so that memory does not grow with them."""
        for record in records:
            self._stayed.discard(record.key)
            for known in (self._causes, self._calls, self._looked):
                known.pop(record.key, None)
        if isinstance(self.system, RemembersRecords):
            self.system.forget(records)

    def take_outdated(self) -> set[str]:
        """Return the keys of calls that did not leave because their look was too old; each is returned once."""
        outdated, self._outdated = self._outdated, set()
        return outdated

    def may_send(self) -> bool:
        """Tell whether this thread may begin a request that changes something; asked before each by the client.

        It waits while the journal cannot be reached, and says no once the sending has stopped.
        """
        if not getattr(self._thread, "disposing", False):
            return True
        while not self.stop_state.reason:
            if self._thread.outdated_at <= time.monotonic():
                return False
            if self.journal.holds_lease():
                return True
            time.sleep(_NAP)
        return False

    def _is_outdated(self) -> bool:
        return not self.stop_state.reason and self._thread.outdated_at <= time.monotonic()

    def wait_for_in_flight(self) -> None:
        """Wait until unanswered calls cannot take effect any more, so that a later probe is right."""
        if (seconds := self.journal.seconds_until_settled()) > 0:
            log.info("Calls that went unanswered may still take effect; waiting %.0f s before probing", seconds)
        while not self.stop_state.skip_probes and (left := self.journal.seconds_until_settled()) > 0:
            time.sleep(min(left, _NAP))

    def make(
        self, batch: Sequence[Record], doubtful: Set[str], round_: int, barred: Mapping[str, Outcome] | None = None
    ) -> dict[str, Outcome]:
        """Probe, call, and probe what was left open, as far as this round allows.

        :param batch: the records of one call.
        :param doubtful: keys for which an earlier call may have got no response.
        :param round_: counted from 0.
        :param barred: the outcomes of records that must not be sent any more: what became of an earlier call for them
            is probed, and if they are still there, these are their outcomes.
        :return: outcomes by key; records whose call got no response in this round have none.
        """
        try:
            return self._outcomes(batch, doubtful, round_, barred or {})
        finally:
            self._thread.disposing = False

    def _outcomes(
        self, batch: Sequence[Record], doubtful: Set[str], round_: int, barred: Mapping[str, Outcome]
    ) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        unanswered = {
            record.key for record in batch if record.key in doubtful or record.key in self.journal.state.unanswered
        }
        send = list(batch)
        journal_lost = bool(self.journal.state.missing_session)
        if probed := [record for record in batch if journal_lost or record.key in doubtful]:
            self._resolve_unanswered(probed, found)
            if journal_lost:
                found |= {key: _unclaimed(outcome) for key, outcome in found.items() if key not in self._causes}
            send = [record for record in batch if record.key not in found]
        while send:
            if again := [record for record in send if record.key in unanswered and record.key not in barred]:
                barred = {**barred, **self.recheck(again)}  # the probe has just shown what was not known before
            barred = {**self.newest(send), **barred}
            if kept := [record for record in send if record.key in barred]:
                found |= {record.key: self._kept(barred[record.key], record.key in unanswered) for record in kept}
                send = [record for record in send if record.key not in barred]
            if spent := [record for record in send if self._calls[record.key] == _CALLS or round_ == ROUNDS - 1]:
                reason = "two calls did not do it, and it is still there; the last one: "
                found |= {
                    record.key: Outcome(record.key, OutcomeKind.FAILED, reason=reason + self._causes[record.key])
                    for record in spent
                }
                send = [record for record in send if record.key not in found]
            if not send:
                break
            self._thread.disposing = True
            self._thread.outdated_at = LOOK_LASTS + min(self._looked.get(record.key, math.inf) for record in send)
            if not self.may_send():
                found |= self._none_sent(send)
                break
            left_open = self._dispose(send, frozenset(unanswered), found)
            unanswered |= {record.key for record in left_open}
            send = self._resolve_unanswered(left_open, found) if left_open else []
        for record in batch:
            if record.key in found:
                self._refuse_other(record, found[record.key])
        known_to_have_left = unanswered - {key for key in self.journal.state.abandoned if not self._calls[key]}
        return {
            key: self._as_it_stands(outcome, unanswered=key in known_to_have_left) for key, outcome in found.items()
        }

    def _as_it_stands(self, outcome: Outcome, *, unanswered: bool) -> Outcome:
        """Return an outcome with what the next try must know of its call, or as far as it is justified."""
        if outcome.kind.final:
            return self._only_if_observed(outcome)
        return replace(outcome, unanswered=True, stayed=self._has_stayed(outcome)) if unanswered else outcome

    def _has_stayed(self, outcome: Outcome) -> bool:
        """Tell whether a probe after the last call showed the record, or its answer says that nothing was done."""
        return outcome.stayed or outcome.key in self._stayed

    def _kept(self, outcome: Outcome, in_doubt: bool) -> Outcome:
        """Return the outcome of a record that must not be sent any more, though it is still listed."""
        if in_doubt and isinstance(self.system, MayListRemoved) and self.system.may_list_removed:
            reason = f"its call went unanswered, and it is not sent again: {outcome.reason}"
            return Outcome(outcome.key, OutcomeKind.UNKNOWN, reason=reason)
        return outcome

    def _dispose(self, batch: Sequence[Record], unanswered: frozenset[str], found: dict[str, Outcome]) -> list[Record]:
        """Send one call; return the records that its response leaves open. Without a response, none has an outcome."""
        self._calls.update(record.key for record in batch)
        stayed = self._stayed & {record.key for record in batch}
        self._stayed -= stayed
        try:
            answers = self.system.dispose(batch, unanswered)
        except VendorError as error:
            if error.no_effect:
                self._stayed |= stayed
                if not (isinstance(error, UnavailableError) and self._is_outdated()):
                    self.stop_state.stop_on(error)
                if isinstance(error, UnavailableError):
                    self._calls.subtract(record.key for record in batch)
                    found |= self._none_sent(batch)
                else:
                    found |= {
                        record.key: outcome_from_error(record, OutcomeKind.FAILED, str(error), error, proof=None)
                        for record in batch
                    }
                return []
            log.warning("%s; what became of it will be probed", error)
            self._causes |= {record.key: str(error) for record in batch}
            if not error.may_still_take_effect:
                return list(batch)  # it can be probed at once
            self.journal.note_unanswered()
            return []
        left_open = []
        for record, answer in zip(batch, answers, strict=True):
            if answer is None:
                self._causes[record.key] = "its answer left open what became of it"
                left_open.append(record)
            else:
                found[record.key] = answer
        return left_open

    def verify(self, answered: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        """Probe the records of a chunk whose calls were answered.

        :param answered: records with their outcomes.
        :return: one outcome a record, in their order.
        """
        found = {outcome.key: outcome for _, outcome in answered}
        batch = [each for each in answered if self._is_to_verify(each[1])]
        if not batch or self.stop_state.skip_probes:
            return without_probe(found.values())
        try:
            probed = self.system.verify(batch)
        except VendorError as error:
            self.stop_state.stop_on(error)
            log.warning("%s; %s outcomes are known by the answers only", error, len(batch))
            return without_probe(found.values())
        for (record, _), outcome in zip(batch, probed, strict=True):
            self._refuse_other(record, outcome)
            found[record.key] = outcome
        return without_probe(found.values())

    def _is_to_verify(self, outcome: Outcome) -> bool:
        return outcome.kind.gone and (outcome.proof is None or (self.verify_calls and outcome.proof is Proof.RESPONSE))

    def _resolve_unanswered(self, batch: Sequence[Record], found: dict[str, Outcome]) -> list[Record]:
        """Probe what became of records; return those that are still there."""
        try:
            answers = self.system.resolve_unanswered(batch)
        except VendorError as error:
            self.stop_state.stop_on(error)
            reason = f"its call went unanswered and it could not be looked up: {error}"
            found |= {
                record.key: Outcome(record.key, OutcomeKind.UNKNOWN, reason=reason, detail=error.detail)
                for record in batch
            }
            return []
        there = []
        for record, answer in zip(batch, answers, strict=True):
            if answer is None:
                there.append(record)
            else:
                found[record.key] = answer
        self._stayed |= {record.key for record in there}
        return there

    def _refuse_other(self, record: Record, outcome: Outcome) -> None:
        if outcome.key != record.key:
            raise ValueError(f"{self.system.name} answered for another record than {record.key!r}")

    def _only_if_observed(self, outcome: Outcome) -> Outcome:
        """Return an inferred outcome as far as it is justified, any other one as it is."""
        if outcome.proof is not Proof.INFERRED:
            return outcome
        state = self.journal.state
        if outcome.key not in state.observed_before:
            reason = "it is gone, and no look shows that our call did it"
            return replace(outcome, kind=OutcomeKind.ABSENT, proof=Proof.PROBE, reason=reason)
        if outcome.key in state.abandoned and outcome.key not in self._causes:
            return replace(outcome, reason=PROCESS_DIED)
        return outcome

    def _none_sent(self, batch: Sequence[Record]) -> dict[str, Outcome]:
        """Return the outcomes of records that were to be sent; those whose look is too old are looked at again."""
        if not self._is_outdated():
            return {record.key: self._not_sent(record, self.stop_state.reason) for record in batch}
        self._outdated |= {record.key for record in batch}
        return {record.key: self._not_sent(record, _TOO_OLD) for record in batch}

    def _not_sent(self, record: Record, why: str) -> Outcome:
        """Return the outcome of a record that was to be sent, and was not."""
        state = self.journal.state
        known = state.outcomes.get(record.key)
        if known is not None and known.kind is OutcomeKind.FAILED:
            return known
        if cause := self._causes.get(record.key):
            reason = f"it is still there after a call ({cause}); not sent again: {why}"
            return Outcome(record.key, OutcomeKind.FAILED, reason=reason)
        if record.key in state.abandoned or (known is not None and known.kind is OutcomeKind.UNKNOWN):
            reason = f"an earlier call may have left, and it is still there; not sent again: {why}"
            return Outcome(record.key, OutcomeKind.FAILED, reason=reason)
        return self.not_attempted(record, why)

    def unresolved(self, record: Record, why: str) -> Outcome:
        """Return the outcome of a record that was intended, and of which this try has found out nothing.

        :param record: the record.
        :param why: why not.
        """
        state = self.journal.state
        known = state.outcomes.get(record.key)
        if self._calls[record.key]:
            reason = f"its call went unanswered, and it was not looked up: {why}"
            stayed = record.key in self._stayed
            return Outcome(record.key, OutcomeKind.UNKNOWN, reason=reason, time=now(), unanswered=True, stayed=stayed)
        if record.key in state.abandoned:
            reason = f"{PROCESS_DIED}; it was not looked up: {why}"
            return Outcome(record.key, OutcomeKind.UNKNOWN, reason=reason, time=now())
        return known or self.not_attempted(record)

    def not_attempted(self, record: Record, why: str = "") -> Outcome:
        """Return the outcome of a record for which there was no call.

        :param record: the record.
        :param why: why not; empty: because the sending has stopped.
        """
        why = why or self.stop_state.reason
        reason = f"not sent: {why}" if why else "not sent"
        return Outcome(record.key, OutcomeKind.NOT_ATTEMPTED, reason=reason, time=now())


def without_probe(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return outcomes as they are if nothing was probed after the calls: what no answer proves is not gone."""
    return [_unconfirmed(each) if each.kind.gone and each.proof is None else each for each in outcomes]


def _unconfirmed(outcome: Outcome) -> Outcome:
    if outcome.kind is OutcomeKind.ABSENT:  # the call found nothing: it did nothing, and takes no effect later
        reason = f"{outcome.reason}; it was not looked up afterwards"
        return replace(outcome, kind=OutcomeKind.FAILED, reason=reason)
    reason = "its answer does not tell whether it is gone, and it was not looked up afterwards"
    return replace(outcome, kind=OutcomeKind.UNKNOWN, reason=reason, unanswered=True)


def _unclaimed(outcome: Outcome) -> Outcome:
    """Return the outcome that a probe allows if the journal is missing, so that nobody knows whether we sent a call."""
    if outcome.proof is Proof.INFERRED or outcome.kind is OutcomeKind.ABSENT:
        reason = "it is gone; the journal that would say whether by us is not there"
        return replace(outcome, kind=OutcomeKind.ABSENT, proof=Proof.PROBE, reason=reason)
    if outcome.kind.gone:
        return outcome
    reason = f"the journal that would say whether it was sent is not there; a probe says: {outcome.reason}"
    return replace(outcome, kind=OutcomeKind.UNKNOWN, proof=None, reason=reason)
