"""Carries out a list against one system, chunk by chunk; the next try continues where this one ends."""

from __future__ import annotations

import logging
import math
import threading
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from airflow_provider_records.evidence.distinct import DigestSet
from airflow_provider_records.evidence.journal import LEASE, Journal
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof, now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.spool import Chosen
from airflow_provider_records.evidence.unmarked import Earlier
from airflow_provider_records.exceptions import EvidenceError, RecordsError, VendorError
from airflow_provider_records.execution.last_look import Checked, LastLook, Looked, unjudged
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.outcome_writer import OutcomeWriter
from airflow_provider_records.execution.progress import Progress
from airflow_provider_records.execution.retries import ROUNDS, Attempts, StopState, without_probe
from airflow_provider_records.systems.base import (
    A_FEW_MARKED,
    KnowsMarked,
    LooksInBatches,
    ObservesChunks,
    System,
    shows_removal,
)

T = TypeVar("T")

log = logging.getLogger(__name__)

_BATCHES_PER_THREAD = 8
_CHUNKS_AHEAD = 2
_CHUNKS_UNPUBLISHED = 3
_LOOKS = 5


@dataclass
class Chunk:
    """Calls whose intents were published together.

    :param begun: when the intents were published, seconds since the epoch.
    :param records: number of records in these calls.
    :param found: number of records by outcome; unanswered ones have none yet.
    :param ended: when the last outcome was published, seconds since the epoch.
    :param in_flight: number of calls whose outcomes are not published yet.
    """

    begun: float
    records: int
    found: Counter[OutcomeKind] = field(default_factory=Counter)
    ended: float = 0.0
    in_flight: int = 0


@dataclass
class _Ahead:
    """Calls whose intents are not published yet.

    :param batches: the records of each call.
    :param look: tells which records are there, maybe with those of other chunks; None: the system has observed them at
        the start.
    :param check: tells which of these records must not be sent, by key; None: not asked yet, or nothing is checked.
    """

    batches: Sequence[Sequence[Record]]
    look: Future[Looked] | None
    check: Future[Checked] | None = None

    @property
    def records(self) -> list[Record]:
        """The records of all calls."""
        return [record for batch in self.batches for record in batch]


_Found: TypeAlias = "list[tuple[Record, Outcome]]"
_Call: TypeAlias = "Future[_Found]"


@dataclass(frozen=True)
class _Verified:
    """Calls that have ended, and are verified together.

    :param calls: the calls with their chunks.
    :param outcomes: the records of these calls that have an outcome, in their order.
    """

    calls: Mapping[_Call, Chunk]
    outcomes: Future[_Found]


class Runner:
    """Carries out one list against one system.

    :param system: the system.
    :param journal: the opened journal.
    :param limits: the breakers.
    :param concurrency: largest number of calls in flight.
    :param verify: probe the records after their calls, to raise the proof to ``probe`` where the system allows it.
    :param report: called with each chunk, in the thread that runs the list, when its outcomes are published.
    :param recheck: called with the records of each chunk shortly before they are sent, in a thread of the pool; returns
        the outcomes of those that must not be sent, by key. An error that it raises stops the sending.
    :param earlier: called once, as soon as a look does not find a record; returns what earlier runs of the DAG
        destroyed or recycled and nobody has marked since, by key.
    :param interrupt: called when the try is aborted, so that calls in flight neither wait nor repeat themselves.
    :param clock: seconds, for how long outcomes are written again.
    :param sleep: waits between two writes, in seconds.

    ``stop_state`` tells whether and why the sending ended early.
    """

    def __init__(
        self,
        system: System,
        journal: Journal,
        limits: Limits,
        *,
        concurrency: int,
        verify: bool = True,
        report: Callable[[Chunk], object] = lambda _: None,
        recheck: Callable[[Sequence[Record]], Mapping[str, Outcome]] | None = None,
        earlier: Callable[[], Mapping[str, Earlier]] = dict,
        interrupt: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.system = system
        self.journal = journal
        self.limits = limits
        self.concurrency = concurrency
        self.report = report
        self.recheck = recheck
        self.interrupt = interrupt
        self.stop_state = StopState()
        look = self._last_look = LastLook(journal, limits, self.stop_state, recheck, earlier)
        self._attempts = Attempts(system, journal, self.stop_state, look.check, look.newest, verify=verify)
        self._writer = OutcomeWriter(journal, self._attempts.forget, clock=clock, sleep=sleep)

    def stop(self, reason: str) -> None:
        """Send nothing more and end at once; may be called from a signal handler."""
        self.stop_state.skip_probes = True
        self.stop_state.stop_because(reason)

    def may_send(self) -> bool:
        """Tell whether this thread may begin a request that changes something; asked before each by the client."""
        return self._attempts.may_send()

    def run(self, records: Sequence[Record]) -> Sequence[Outcome]:
        """Carry out the list, continuing where earlier tries stopped.

        :param records: the whole list.
        :return: one outcome for each record, in the order of the list.
        :raises JournalError: a newer try has taken over.
        :raises EvidenceError: the list names a record twice, or the store cannot be written.
        """
        state = self.journal.state
        todo, doubtful = self._left(records), state.doubtful
        if todo:
            self._attempts.wait_for_in_flight()
            try:
                groups = self._prepare(todo, doubtful)
            except VendorError as error:
                self.stop_state.stop(error)
            else:
                try:
                    progress = Progress(len(todo), self.limits)
                    for group in groups:
                        self._send_with_looks(group, doubtful, progress)
                except BaseException as error:
                    self._stop_on(error)
                    self._close_intents(todo)
                    raise
            self._close_intents(todo)
        self.stop_state.no_retry = self.stop_state.no_retry or self.stop_state.refused
        self.journal.check_fence()  # these outcomes must not replace those of a newer try
        return self.journal.outcomes.in_order(records, self._attempts.not_attempted)

    def _left(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return the records that have no final outcome yet."""
        outcomes, keys, places = self.journal.state.outcomes, DigestSet(), array("Q")
        for place, record in enumerate(records):
            if not keys.add(record.key):
                raise EvidenceError(f"The list names {record.key!r} twice; nothing was sent.")
            if (known := outcomes.get(record.key)) is None or not known.kind.final:
                places.append(place)
        return Chosen(records, places)

    def _prepare(self, todo: Sequence[Record], doubtful: Set[str]) -> Sequence[Sequence[Record]]:
        """Return the records in groups that are carried out one after the other."""
        state, system = self.journal.state, self.system
        if isinstance(system, LooksInBatches):
            system.canaries = list(state.canaries)
        if isinstance(system, KnowsMarked):
            system.marked_before = self._marked_before(state.observed_before, doubtful)
        self.journal.record_observed(system.prepare(todo, state.observed_before & doubtful))
        return system.arrange(todo) if isinstance(system, LooksInBatches) else [todo]

    def _marked_before(self, observed: Set[str], doubtful: Set[str]) -> Set[str]:
        """Return a few records that an earlier try observed and marked, as far as its calls were answered.

        What is only inferred shows how the system behaves if it is far more than what is still in doubt.
        """
        told: list[str] = []
        inferred: list[str] = []
        for outcome in filter(None, map(self.journal.state.outcomes.get, observed)):
            if outcome.kind is OutcomeKind.DESTROYED:
                (inferred if outcome.proof is Proof.INFERRED else told).append(outcome.key)
            if len(told) == A_FEW_MARKED:
                break
        if not told and shows_removal(len(inferred), len(doubtful)):
            told = inferred[:A_FEW_MARKED]
        return frozenset(told)

    def _send_with_looks(self, todo: Sequence[Record], doubtful: Set[str], progress: Progress) -> None:
        """Carry out a group; where a look was too old when its call was to leave, or proved nothing, look again."""
        for _ in range(_LOOKS):
            mine = doubtful and doubtful & {record.key for record in todo}
            self._send_in_rounds(todo, mine, progress)
            again = self._attempts.take_outdated() | self._last_look.take_unproven()
            if not again or self.stop_state.reason:
                return
            todo = [record for record in todo if record.key in again]
            log.info("The last look at %s records was too old to send their calls, or proved nothing", len(todo))
            doubtful = self.journal.state.doubtful

    def _send_in_rounds(self, todo: Sequence[Record], doubtful: Set[str], progress: Progress) -> None:
        first = 0
        if self.stop_state.reason:  # nothing new may be sent: only what earlier tries sent is looked up
            todo, first = [record for record in todo if record.key in doubtful], 1
        for round_ in range(first, ROUNDS):
            self._send(todo, doubtful, progress, round_)
            in_doubt = self.journal.state.in_doubt
            todo = [record for record in todo if record.key in in_doubt] if in_doubt else []
            if not todo or self.stop_state.skip_probes or self.stop_state.no_retry:
                return
            doubtful = {record.key for record in todo}
            progress.next_round()
            self._attempts.wait_for_in_flight()

    def _close_intents(self, todo: Sequence[Record]) -> None:
        """Record what is known of the records that were intended and have no outcome; most were not sent."""
        in_doubt, why = self.journal.state.in_doubt - self._writer.unwritten, self.stop_state.reason
        if in_doubt or self._writer.unwritten:
            self._writer.write([(each, self._attempts.unresolved(each, why)) for each in todo if each.key in in_doubt])

    def _stop_on(self, error: BaseException) -> None:
        why = str(error) if isinstance(error, RecordsError) else f"the task was interrupted ({type(error).__name__})"
        self.stop(why)

    def _send(self, todo: Sequence[Record], doubtful: Set[str], progress: Progress, round_: int) -> None:
        """Carry out batches so that no thread waits for the journal or for the slowest call of a chunk.

        The intents of a chunk are published as soon as no more than one other chunk is in flight: that one keeps the
        threads busy while outcomes and intents are written. For the same reason two chunks are looked at ahead of
        that, or as many more as one look takes. Calls that were answered are verified together, as many as fill a
        look, and their outcomes are published after that. No more than one look and four chunks have intents without
        outcomes: the next chunk is intended only while these are one look and three chunks.
        """
        size, width = self.system.batch_size, self.concurrency * _BATCHES_PER_THREAD
        records = iter(todo)
        batches = iter(lambda: list(islice(records, size)), [])
        looked_at_once = max(1, self.system.look_size // size) if isinstance(self.system, LooksInBatches) else width
        observing = self.system if round_ == 0 and isinstance(self.system, ObservesChunks) else None
        one_look, far = looked_at_once if observing else width, _CHUNKS_AHEAD * width
        ahead: list[_Ahead] = []
        in_flight: dict[_Call, Chunk] = {}
        ended: deque[_Call] = deque()
        verified: list[_Verified] = []
        signal = threading.Event()
        more = True

        def is_looked_at(chunk: _Ahead) -> bool:
            parts = (chunk.look, chunk.check)
            return all(part is None or part.done() for part in parts) and not (self.recheck and chunk.check is None)

        def may_begin() -> bool:
            """Tell whether the next chunk may be intended now."""
            unpublished = len(in_flight) + sum(len(each.calls) for each in verified)
            left_open = len(in_flight) - len(ended)
            looked_at = any(is_looked_at(each) for each in ahead[:1])
            return looked_at and left_open <= width and unpublished <= looked_at_once + _CHUNKS_UNPUBLISHED * width

        def may_verify() -> bool:
            """Tell whether the calls that have ended fill a look, or no others will come to fill it."""
            last = not more and not ahead and len(ended) == len(in_flight)
            return bool(ended) and (last or len(ended) >= looked_at_once)

        def enough() -> bool:
            return may_begin() or may_verify() or any(each.outcomes.done() for each in verified[:1])

        def note(_: Future[Any]) -> None:
            if enough():
                signal.set()

        def note_end(call: _Call) -> None:
            ended.append(call)
            note(call)

        with ThreadPoolExecutor(self.concurrency, thread_name_prefix=self.system.name) as pool:
            try:
                while more or ahead or in_flight or verified:
                    if self.stop_state.skip_probes or (self.stop_state.reason and round_ == 0):
                        more = False
                        ahead.clear()
                    while more and sum(len(each.batches) for each in ahead) < far:
                        next_ = list(islice(batches, one_look))
                        more = len(next_) == one_look
                        look = pool.submit(self._last_look.look, observing, next_) if observing and next_ else None
                        ahead += [_Ahead(chunk, look) for chunk in _evenly(next_, width)]
                        if look:
                            look.add_done_callback(note)
                    for each in _first(ahead, far) if self.recheck else ():
                        if each.check is None:
                            each.check = pool.submit(self._last_look.check_ahead, each.records)
                            each.check.add_done_callback(note)
                    if may_begin():
                        first, begun = ahead.pop(0), time.time()
                        barred = dict(first.check.result().barred) if first.check else {}
                        if first.look:
                            keys = {record.key for record in first.records}
                            barred |= {key: each for key, each in first.look.result().earlier.items() if key in keys}
                        # Of a lost journal nobody knows what it sent: all is looked up before anything else counts.
                        if not self.journal.state.missing_session:
                            self._leave_out(first, barred.keys() - doubtful, barred, progress)
                        self._publish_intents(first)
                        chunk = Chunk(begun, len(first.records), in_flight=len(first.batches))
                        for batch in first.batches:
                            future = pool.submit(self._carry_out, batch, doubtful, progress, round_, barred)
                            in_flight[future] = chunk
                            future.add_done_callback(note_end)
                        continue
                    if not more and not ahead and not in_flight and not verified:
                        break
                    signal.clear()
                    if not enough():
                        signal.wait(LEASE / 5)
                    if may_verify():
                        calls = {call: in_flight[call] for call in list(ended)[:looked_at_once]}  # others append to it
                        answered = [each for call in calls for each in call.result()]
                        outcomes = pool.submit(self._verify, answered, progress)
                        verified.append(_Verified(calls, outcomes))
                        for call in calls:
                            ended.popleft()
                            del in_flight[call]
                        outcomes.add_done_callback(note)
                    while verified and verified[0].outcomes.done():
                        self._publish(verified[0])
                        del verified[0]
                    if in_flight and not self.stop_state.reason:
                        self.journal.keep_alive()
                    progress.say()
            except BaseException as error:
                self._stop_on(error)
                self.interrupt()
                wait(in_flight)
                taken = {call for each in verified for call in each.calls}
                rest = {call: chunk for call, chunk in in_flight.items() if call not in taken}
                self._publish(*verified, _Verified(rest, _unverified(rest)))
                raise
        if self.stop_state.defect is not None:
            raise self.stop_state.defect

    def _leave_out(self, chunk: _Ahead, keys: Set[str], barred: Mapping[str, Outcome], progress: Progress) -> None:
        """Publish the outcomes of records that must not be sent and never were, and take them out of the chunk."""
        if records := [record for record in chunk.records if record.key in keys]:
            outcomes = _timed(barred[record.key] for record in records)
            self._judge(progress.add(list(outcomes.values()), 0))
            self._writer.write([(record, outcomes[record.key]) for record in records])
            batches = [[record for record in batch if record.key not in keys] for batch in chunk.batches]
            chunk.batches = [batch for batch in batches if batch]

    def _publish_intents(self, chunk: _Ahead) -> None:
        """Publish what was observed, then what is about to be called."""
        looked = chunk.look.result() if chunk.look else Looked(math.inf)
        if chunk.look or not isinstance(self.system, ObservesChunks):  # else its look of the first round counts
            checked = chunk.check.result().begun if chunk.check else math.inf
            self._attempts.note_look(chunk.records, min(looked.begun, checked))
        if there := looked.there & {record.key for record in chunk.records}:
            canaries = self.system.canaries if isinstance(self.system, LooksInBatches) else ()
            self.journal.record_observed(there, canaries)
        if chunk.batches:
            self.journal.intend(record.key for record in chunk.records)

    def _publish(self, *verified: _Verified) -> None:
        """Publish the outcomes of calls that have ended, and report chunks that are complete."""
        self._writer.write([found for each in verified for found in each.outcomes.result()])
        for each in verified:
            outcomes = iter(each.outcomes.result())
            for call, chunk in each.calls.items():
                chunk.in_flight -= 1
                chunk.found.update(outcome.kind for _, outcome in islice(outcomes, len(call.result())))
                if not chunk.in_flight:
                    chunk.ended = time.time()
                    self.report(chunk)

    def _carry_out(
        self,
        batch: Sequence[Record],
        doubtful: Set[str],
        progress: Progress,
        round_: int,
        barred: Mapping[str, Outcome],
    ) -> _Found:
        """Return the records of a batch that have an outcome, all but unanswered ones; runs in a thread of the pool."""
        try:
            found = self._attempts.make(batch, doubtful, round_, barred)
        except Exception as error:  # noqa: BLE001 - a defect here must not lose the outcomes of the other batches
            self.stop_state.stop_on_defect(error)
            why = f"unexpected {type(error).__name__} while it was carried out"
            found = {record.key: self._attempts.unresolved(record, why) for record in batch}
        found = _timed(found.values())
        answered = [(record, found[record.key]) for record in batch if record.key in found]
        self._judge(progress.add(list(found.values()), len(batch) - len(found)))
        return answered

    def _verify(self, answered: _Found, progress: Progress) -> _Found:
        """Return the outcomes as a probe of their records confirms or corrects them; runs in a thread of the pool."""
        try:
            verified = zip((record for record, _ in answered), self._attempts.verify(answered), strict=True)
            after = list(_timed(self._last_look.judge_answers(self.system, list(verified))).values())
        except Exception as error:  # noqa: BLE001 - a defect here must not lose the outcomes of these calls
            self.stop_state.stop_on_defect(error)
            return _unprobed(answered)
        self._judge(progress.correct([outcome for _, outcome in answered], after))
        return [(record, outcome) for (record, _), outcome in zip(answered, after, strict=True)]

    def _judge(self, too_many_failures: bool) -> None:
        if too_many_failures:
            self.stop_state.stop_because(
                f"more than {self.limits.max_failure_rate:.0%} of the calls failed (max_failure_rate); "
                "see their reasons"
            )


def _first(chunks: Iterable[_Ahead], calls: int) -> Iterator[_Ahead]:
    """Return chunks until they have as many calls as asked for."""
    for chunk in chunks:
        if calls <= 0:
            return
        calls -= len(chunk.batches)
        yield chunk


def _evenly(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """Cut a sequence into as few parts of about the same length as need be.

    :param most: largest length of a part.
    """
    size = math.ceil(len(items) / math.ceil(len(items) / most)) if items else 1
    return [items[start : start + size] for start in range(0, len(items), size)]


def _timed(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    time_ = now()
    return {each.key: each if each.time else replace(each, time=time_) for each in outcomes}


def _unprobed(found: _Found) -> _Found:
    outcomes = unjudged(without_probe(outcome for _, outcome in found))
    return [(record, outcome) for (record, _), outcome in zip(found, outcomes, strict=True)]


def _unverified(calls: Iterable[_Call]) -> Future[_Found]:
    future = Future[_Found]()
    future.set_result(_unprobed([each for call in calls for each in call.result()]))
    return future
