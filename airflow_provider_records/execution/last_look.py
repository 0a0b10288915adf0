"""The last look: which records are there shortly before their calls, and which of them must not be sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.unmarked import Earlier
from airflow_provider_records.exceptions import EvidenceError, RecordsError, VendorError
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.recheck import KnowsNewest
from airflow_provider_records.execution.retries import StopState
from airflow_provider_records.systems.base import KnowsByAnswer, LooksInBatches, ObservesChunks, System

_ENDED_EARLY = "the try ended too early to tell whether this account sees anything"


@dataclass(frozen=True)
class Looked:
    """What a look ahead of the calls has shown.

    :param begun: when it began, by the monotonic clock.
    :param there: keys of the records that are there.
    :param earlier: the outcomes of those that are not there since an earlier run of the DAG, by key.
    """

    begun: float
    there: Set[str] = frozenset()
    earlier: Mapping[str, Outcome] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """What a check ahead of the calls has shown.

    :param begun: when it began, or when what it rests on was found out, if that was earlier; by the monotonic clock.
    :param barred: the outcomes of records that must not be sent, by key.
    """

    begun: float
    barred: Mapping[str, Outcome]


class LastLook:
    """Looks at records ahead of their calls, in threads of the runner's pool.

    :param journal: the opened journal.
    :param limits: the breakers.
    :param stop_state: what ends the sending is noted there.
    :param recheck: as for the runner.
    :param earlier: as for the runner.
    """

    def __init__(
        self,
        journal: Journal,
        limits: Limits,
        stop_state: StopState,
        recheck: Callable[[Sequence[Record]], Mapping[str, Outcome]] | None,
        earlier: Callable[[], Mapping[str, Earlier]],
    ) -> None:
        self.journal = journal
        self.limits = limits
        self.stop_state = stop_state
        self._recheck = recheck
        self._newest = recheck if isinstance(recheck, KnowsNewest) else None
        self._earlier = earlier
        self._known_earlier: Mapping[str, Earlier] | None = None
        self._lock = threading.Lock()
        self._looked_at = 0
        self._absent = 0
        self._called = 0
        self._unknown = 0
        self._removed = False
        self._sees = False
        self._unproven: set[str] = set()

    def look(self, system: ObservesChunks, batches: Sequence[Sequence[Record]]) -> Looked:
        """Look which records are there; runs in a thread of the pool."""
        looked = Looked(time.monotonic())
        if self.stop_state.reason:
            return looked
        records = [record for batch in batches for record in batch]
        try:
            looked = replace(looked, there=system.observe(records))
            self._sees = self._sees or bool(looked.there)
            if isinstance(system, LooksInBatches):
                unseen = system.unseen(records)
                unseen = unseen and unseen - self._ours()
                earlier = self._gone_earlier([each for each in records if each.key in unseen])
                looked = replace(looked, earlier=self._believed(system, records, earlier))
                strange = self._judge_absent(records, system.not_there(records), earlier.keys())
                self._judge_others(strange, system.other_objects(records), looked.there)
        except VendorError as error:
            self.stop_state.stop(error)
        except EvidenceError as error:
            self.stop_state.stop_after(error)
        except Exception as error:  # noqa: BLE001 - a defect here must not lose the outcomes of calls in flight
            self.stop_state.stop_on_defect(error)
        return looked

    def take_unproven(self) -> set[str]:
        """Return the keys of records that are to be looked at again, now that looks have shown others."""
        with self._lock:
            unproven, self._unproven = self._unproven, set()
        return unproven if self._sees else set()

    def _believed(
        self, system: LooksInBatches, records: Sequence[Record], earlier: Mapping[str, Outcome]
    ) -> Mapping[str, Outcome]:
        """Return the outcomes of records that an earlier run destroyed or recycled, or may have.

        What it knew, its evidence says. What it was about to call for when it died may live, and is gone only if
        the look shows that.
        """
        in_doubt = [each for each in records if each.key in earlier and not _is_known(earlier[each.key])]
        unproven = system.unproven(in_doubt) if in_doubt else frozenset[str]()
        with self._lock:
            self._unproven |= unproven
        return {key: _not_attempted(each) if key in unproven else each for key, each in earlier.items()}

    def check_ahead(self, records: Sequence[Record]) -> Checked:
        """Check records ahead of their calls; runs in a thread of the pool."""
        begun = time.monotonic()
        barred = self.check(records)
        return Checked(min(begun, time.monotonic() - (self._newest.age if self._newest else 0.0)), barred)

    def check(self, records: Sequence[Record]) -> Mapping[str, Outcome]:
        """Return the outcomes of records that must not be sent."""
        if self._recheck and not self.stop_state.reason:
            try:
                return self._recheck(records)
            except VendorError as error:
                self.stop_state.stop(error)
            except RecordsError as error:  # nothing new may be sent; what was sent is still looked up
                self.stop_state.stop_after(error)
            except Exception as error:  # noqa: BLE001 - a defect here must not lose the outcomes of calls in flight
                self.stop_state.stop_on_defect(error)
        return {}

    def newest(self, records: Sequence[Record]) -> Mapping[str, Outcome]:
        """Return the outcomes of records that must not be sent by what checks of others have shown since."""
        return self._newest.newest(records) if self._newest else {}

    def judge_answers(self, system: System, found: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        """Return outcomes as they stand where nothing but the answer to a call says that a record is not there.

        No look could tell the wrong archive or a blind account before the calls, so the answers do, before they are
        published.

        :param system: the system that gave the answers.
        :param found: records with their outcomes.
        """
        told = [outcome for _, outcome in found]
        missing = [record for record, outcome in found if _says_absent(outcome)]
        with self._lock:
            self._called += len(told)
            self._removed = self._removed or any(_says_removed(each) for each in told)
        if not missing:
            return told
        earlier: Mapping[str, Outcome] = {}
        try:
            earlier = self._gone_earlier(missing)
            doubts = self._doubts(system, missing, earlier)
        except EvidenceError as error:
            self.stop_state.stop_after(error)
            doubts = {record.key: str(error) for record in missing}
        told = [replace(earlier.get(each.key, each), proof=each.proof) for each in told]
        return [_unproven(each, doubts[each.key]) if each.key in doubts else each for each in told]

    def _doubts(self, system: System, missing: Sequence[Record], earlier: Mapping[str, Outcome]) -> Mapping[str, str]:
        """Return why the answers that say that records are not there prove nothing, by key."""
        strange = [record for record in missing if record.key not in earlier]
        in_doubt = [each for each in missing if each.key in earlier and not _is_known(earlier[each.key])]
        with self._lock:
            self._called -= len(earlier)
            self._unknown += len(strange)
            too_many = self.limits.too_many_absent(self._called, self._unknown)
            problem = _wrong_archive(self._unknown, self._called)
        if too_many:
            self._stop_for_good(problem)
            return {record.key: problem for record in missing}
        if self.stop_state.skip_probes:
            return {record.key: _ENDED_EARLY for record in strange}
        if not isinstance(system, KnowsByAnswer):
            return {}
        doubts: dict[str, str] = {}
        for alike, removed in ((strange, self._removed), (in_doubt, True)):  # others of these were removed, in any case
            try:
                doubts |= system.disbelieved(alike, removed=removed) if alike else {}
            except VendorError as error:
                self.stop_state.stop_on(error)
                doubts |= {record.key: str(error) for record in alike}
        return doubts

    def _stop_for_good(self, problem: str) -> None:
        self.stop_state.no_retry = True
        self.stop_state.stop_because(problem)

    def _ours(self) -> Set[str]:
        """Return the keys of records that a call of this task instance may have removed."""
        return self.journal.state.doubtful | self.journal.state.unanswered | self.journal.state.abandoned

    def _gone_earlier(self, missing: Sequence[Record]) -> dict[str, Outcome]:
        """Return the outcomes of records that are not there because an earlier run of the DAG disposed of them."""
        if not missing:
            return {}
        with self._lock:
            if self._known_earlier is None:
                self._known_earlier = self._earlier()
        known = ((record, self._known_earlier.get(record.key)) for record in missing)
        return {
            record.key: found.outcome(record.key)
            for record, found in known
            if found is not None and found.target_id == record.target_id
        }

    def _judge_absent(self, records: Sequence[Record], absent: Set[str], earlier: Set[str]) -> Set[str]:
        """Stop if too many records are not there that no earlier call of ours can have removed; return these."""
        ours = self._ours() | earlier
        strange = absent - ours
        with self._lock:
            self._looked_at += sum(record.key not in ours for record in records)
            self._absent += len(strange)
            if self.limits.too_many_absent(self._looked_at, self._absent):
                self._stop_for_good(_wrong_archive(self._absent, self._looked_at))
        return strange

    def _judge_others(self, absent: Set[str], others: Set[str], there: Set[str]) -> None:
        """Stop where a look does not find some records, and under the ids of the rest nothing but other objects."""
        if absent and others and there <= others:
            self._stop_for_good(
                f"{len(absent)} are not there, and the other {len(others)} are not the objects that were approved: is "
                "this the right archive?"
            )


def unjudged(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return outcomes as they are if nothing judges the answers that say that records are not there."""
    return [_unproven(each, _ENDED_EARLY) if _says_absent(each) else each for each in outcomes]


def _is_known(earlier: Outcome) -> bool:
    """Tell whether an earlier run knew what it did; of a call of one that died nobody knows whether it left."""
    return earlier.earlier is not None


def _not_attempted(earlier: Outcome) -> Outcome:
    reason = f"not sent: it is not seen, and nothing shows that this account sees anything; {earlier.reason}"
    return Outcome(earlier.key, OutcomeKind.NOT_ATTEMPTED, reason=reason)


def _says_absent(outcome: Outcome) -> bool:
    return outcome.kind is OutcomeKind.ABSENT and outcome.proof is Proof.RESPONSE


def _says_removed(outcome: Outcome) -> bool:
    removed = outcome.kind is OutcomeKind.DESTROYED or outcome.kind is OutcomeKind.RECYCLED
    return removed and outcome.proof is not Proof.INFERRED


def _unproven(outcome: Outcome, why: str) -> Outcome:
    return replace(outcome, kind=OutcomeKind.FAILED, proof=None, reason=f"{outcome.reason}; not believed: {why}")


def _wrong_archive(absent: int, of: int) -> str:
    return f"{absent} of {of} are not there: is this the right archive, may this account see them? (max_absent_rate)"
