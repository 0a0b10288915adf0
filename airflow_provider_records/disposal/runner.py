"""Carries out a list against one system: chunk by chunk, resumable, and never beyond what is known.

The rule of repeating lives here and nowhere else. A call that may have been carried out without our knowing is
followed by a look (:meth:`System.settle`), and only a record that is still there is sent again, once. After a call
without an answer the look comes in a later round, when the call cannot take effect any more: sooner, it would take a
record for one that is still there, and both calls would take effect.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from airflow_provider_records.disposal.journal import LEASE, Journal
from airflow_provider_records.disposal.limits import FAILURES, Limits
from airflow_provider_records.disposal.outcome import Outcome, Proof, Result, now
from airflow_provider_records.disposal.record import Record
from airflow_provider_records.exceptions import (
    EvidenceError,
    NoAnswerError,
    NotFoundError,
    NotSentError,
    RecordsError,
    RefusedError,
    StopError,
    UnavailableError,
    VendorError,
)

log = logging.getLogger(__name__)

_PROGRESS_EVERY = 5.0
_BATCHES_PER_THREAD = 8
_NAP = 0.1
_ROUNDS = 3
"""Send; look at what went unanswered and send it again; look once more."""
_NOT_DONE = (NotSentError, NotFoundError, RefusedError, StopError)
"""What says that a call did nothing."""
_MAY_STILL_ACT = (None, 502, 503, 504)
"""Without an answer, or with one from a gateway only, the system may still be at it."""


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


@dataclass
class Chunk:
    """Calls whose intents were published together, once the last of them has ended.

    :param begun: when they were published, seconds since the epoch.
    :param records: how many records they are for.
    :param found: number of records by outcome; what went unanswered has none yet.
    :param ended: when the last outcome was published.
    """

    begun: float
    records: int
    found: Counter[Result] = field(default_factory=Counter)
    ended: float = 0.0
    flying: int = 0


@dataclass
class _Progress:
    """Counts over all threads of one try."""

    total: int
    limits: Limits
    lock: threading.Lock = field(default_factory=threading.Lock)
    begun: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)
    found: Counter[Result] = field(default_factory=Counter)
    calls: int = 0
    attempted: int = 0
    failures: int = 0
    unanswered: int = 0

    def add(self, outcomes: Sequence[Outcome], unanswered: int) -> bool:
        """Count; a call without an answer is a failure until a look says more. Tell whether there are too many."""
        with self.lock:
            before = self.attempted
            self.unanswered += unanswered
            self.attempted += unanswered
            self.failures += unanswered
            for outcome in outcomes:
                self.found[outcome.result] += 1
                if outcome.result is not Result.NOT_ATTEMPTED:
                    self.attempted += 1
                    self.failures += outcome.result in FAILURES
            self.calls += self.attempted > before
            return self.limits.too_many_failures(self.calls, self.attempted, self.failures)

    def next_round(self) -> None:
        """Let what went unanswered be counted again."""
        self.attempted -= self.unanswered
        self.failures -= self.unanswered
        self.unanswered = 0

    def say(self) -> None:
        # Without the lock: a timeout that Airflow raises in the main thread could leave it locked for ever.
        if time.monotonic() - self.said < _PROGRESS_EVERY:
            return
        self.said = time.monotonic()
        rate = self.attempted / (self.said - self.begun)
        left = f"{(self.total - self.attempted) / rate:.0f} s left" if rate else "no answer yet"
        found = [f"{self.found[result]} {result}" for result in Result if self.found[result]]
        found += [f"{self.unanswered} unanswered"] if self.unanswered else []
        counts = ", ".join(found) or "none"
        log.info("%s of %s records (%s), %.1f a second, %s", self.attempted, self.total, counts, rate, left)


class Runner:
    """Carries out one list against one system.

    :param system: the system.
    :param journal: the opened journal.
    :param limits: the breakers.
    :param concurrency: calls in flight at most.
    :param verify: look afterwards and raise the proof to ``probe`` where the system can be asked.
    :param report: told of each chunk in the thread that runs the list, once its outcomes are published.

    ``stop_reason`` says why the sending ended early, ``fatal`` whether a retry cannot help.
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
    ) -> None:
        self.system = system
        self.journal = journal
        self.limits = limits
        self.concurrency = concurrency
        self.verify = verify
        self.report = report
        self.stop_reason: str | None = None
        self.fatal = False
        self._hurried = False
        self._error: BaseException | None = None
        self._causes: dict[str, str] = {}
        self._thread = threading.local()

    def stop(self, reason: str) -> None:
        """Send nothing more and end at once; may be called from a signal handler."""
        self._hurried = True
        self._end(reason)

    def _end(self, reason: str) -> None:
        """Send nothing more; what went unanswered is still looked at."""
        self.stop_reason = self.stop_reason or reason

    def may_send(self) -> bool:
        """Tell whether this thread may begin a request that changes something; asked before each by the client.

        It waits while the journal cannot be reached, and says no once the sending has stopped.
        """
        if not getattr(self._thread, "disposing", False):
            return True
        while self.stop_reason is None:
            if self.journal.may_call():
                return True
            time.sleep(_NAP)
        return False

    def run(self, records: Sequence[Record]) -> list[Outcome]:
        """Carry out the list, continuing where earlier tries stopped.

        :param records: the whole list.
        :return: one outcome a record, in the order of the list.
        :raises JournalError: a newer try has taken over.
        :raises EvidenceError: the list names a record twice, or the store cannot be written.
        """
        if len({record.key for record in records}) != len(records):
            ((twice, _),) = Counter(record.key for record in records).most_common(1)
            raise EvidenceError(f"The list names {twice!r} twice; nothing was sent.")
        state = self.journal.state
        todo = [
            record for record in records if (known := state.outcomes.get(record.key)) is None or not known.result.final
        ]
        doubtful = state.in_doubt | {
            key for key, known in state.outcomes.items() if known.unanswered or known.result is Result.UNKNOWN
        }
        if todo:
            self._wait_until_quiet()
            try:
                self.journal.see(self.system.prepare(todo, state.seen))
            except (NotSentError, NoAnswerError) as error:
                self._end(str(error))
            else:
                self._send_in_rounds(todo, doubtful)
        self._admit_doubt(todo)
        self.journal.check_fence()  # what is returned now must not replace what a newer try has found
        return [state.outcomes.get(record.key) or self._not_attempted(record) for record in records]

    def _wait_until_quiet(self) -> None:
        """Let unanswered calls come to their end, lest they take effect after we have looked."""
        if (seconds := self.journal.quiet_in()) > 0:
            log.info("Calls that went unanswered may still take effect; waiting %.0f s before looking", seconds)
        while not self._hurried and (left := self.journal.quiet_in()) > 0:
            time.sleep(min(left, _NAP))

    def _send_in_rounds(self, todo: Sequence[Record], doubtful: Set[str]) -> None:
        progress = _Progress(len(todo), self.limits)
        for round_ in range(_ROUNDS):
            self._send(todo, doubtful, progress, round_)
            todo = [record for record in todo if record.key in self.journal.state.in_doubt]
            if not todo or self._hurried or self.fatal:
                return
            doubtful = {record.key for record in todo}
            progress.next_round()
            self._wait_until_quiet()

    def _admit_doubt(self, todo: Sequence[Record]) -> None:
        """Say ``unknown`` of what this try or an earlier one may have called, and nobody has looked at since."""
        reason = f"a call may have gone unanswered, and it was not looked up: {self.stop_reason}"
        self.journal.record(
            [
                Outcome(record.key, Result.UNKNOWN, reason=reason, time=now())
                for record in todo
                if record.key in self.journal.state.in_doubt
            ]
        )

    def _send(self, todo: Sequence[Record], doubtful: Set[str], progress: _Progress, round_: int) -> None:
        """Carry out batches so that no thread waits for the journal, nor for the slowest call of a chunk.

        A chunk is intended as soon as no more than another one is in the air: that one keeps the threads busy while
        outcomes and intents are written. So two chunks at most are intended without a published outcome.
        """
        size, width = self.system.batch_size, self.concurrency * _BATCHES_PER_THREAD
        batches = (todo[start : start + size] for start in range(0, len(todo), size))
        flying: dict[Future[list[Outcome]], Chunk] = {}
        landed: deque[Future[list[Outcome]]] = deque()
        signal = threading.Event()
        more = True

        def enough() -> bool:
            return len(landed) >= width or len(flying) - len(landed) <= (width if more else 0)

        def land(future: Future[list[Outcome]]) -> None:
            landed.append(future)
            if enough():
                signal.set()

        with ThreadPoolExecutor(self.concurrency, thread_name_prefix=self.system.name) as pool:
            try:
                while more or flying:
                    more = more and not self._hurried and (self.stop_reason is None or round_ > 0)
                    if more and len(flying) <= width:
                        begun, next_ = time.time(), list(islice(batches, width))
                        more = len(next_) == width
                        if next_:
                            self.journal.intend(record.key for batch in next_ for record in batch)
                        chunk = Chunk(begun, sum(map(len, next_)), flying=len(next_))
                        for batch in next_:
                            future = pool.submit(self._carry_out, batch, doubtful, progress, round_)
                            flying[future] = chunk
                            future.add_done_callback(land)
                        continue
                    signal.clear()
                    if not enough():
                        signal.wait(LEASE / 5)
                    self._publish([landed.popleft() for _ in range(len(landed))], flying)
                    if flying and self.stop_reason is None:
                        self.journal.keep_alive()
                    progress.say()
            except BaseException as error:
                self.stop(
                    str(error)
                    if isinstance(error, RecordsError)
                    else f"the task was interrupted ({type(error).__name__})"
                )
                wait(flying)
                self._publish(list(flying), flying)
                raise
        if self._error is not None:
            raise self._error

    def _publish(self, landed: Sequence[Future[list[Outcome]]], flying: dict[Future[list[Outcome]], Chunk]) -> None:
        """Publish the outcomes of calls that have ended."""
        self.journal.record([outcome for future in landed for outcome in future.result()])
        for future in landed:
            chunk = flying.pop(future)
            chunk.flying -= 1
            chunk.found.update(outcome.result for outcome in future.result())
            if not chunk.flying:
                chunk.ended = time.time()
                self.report(chunk)

    def _carry_out(
        self, batch: Sequence[Record], doubtful: Set[str], progress: _Progress, round_: int
    ) -> list[Outcome]:
        """Bring every record of a batch to an outcome, but for what went unanswered; runs in a thread of the pool."""
        try:
            found = self._outcomes(batch, doubtful, round_)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not lose the outcomes of the others
            self._error = error
            self._end(f"an unexpected error ({type(error).__name__})")
            reason = f"unexpected {type(error).__name__} while it was carried out"
            found = {record.key: Outcome(record.key, Result.UNKNOWN, reason=reason) for record in batch}
        finally:
            self._thread.disposing = False
        time_ = now()
        outcomes = [replace(outcome, time=outcome.time or time_) for outcome in found.values()]
        if progress.add(outcomes, len(batch) - len(outcomes)):
            self._end(
                f"more than {self.limits.max_failure_rate:.0%} of the calls failed (max_failure_rate); "
                "look at the reasons before you retry"
            )
        return outcomes

    def _outcomes(self, batch: Sequence[Record], doubtful: Set[str], round_: int) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        unanswered = {
            record.key for record in batch if record.key in doubtful or record.key in self.journal.state.unanswered
        }
        send = list(batch)
        journal_lost = bool(self.journal.state.lost)
        if look := [record for record in batch if journal_lost or record.key in doubtful]:
            there = self._settle(look, found)
            if journal_lost:
                found |= {key: _unclaimed(outcome) for key, outcome in found.items() if key not in self._causes}
            send = [record for record in batch if record.key not in found or record in there]
        calls = 0 if round_ == _ROUNDS - 1 else 2
        while send:
            if not calls:
                reason = "two calls did not do it, and it is still there; the last one: "
                found |= {
                    record.key: Outcome(record.key, Result.FAILED, reason=reason + self._causes[record.key])
                    for record in send
                }
                break
            calls -= 1
            self._thread.disposing = True
            if not self.may_send():
                found |= {record.key: self._not_attempted(record) for record in send}
                break
            left_open = self._dispose(send, frozenset(unanswered), found)
            unanswered |= {record.key for record in left_open}
            send = self._settle(left_open, found) if left_open else []
        if confused := [key for key, outcome in found.items() if key != outcome.key]:
            raise ValueError(f"{self.system.name} answered for another record than {confused[0]!r}")
        return {
            key: replace(outcome, unanswered=True) if key in unanswered and not outcome.result.final else outcome
            for key, outcome in found.items()
        }

    def _dispose(self, batch: Sequence[Record], unanswered: frozenset[str], found: dict[str, Outcome]) -> list[Record]:
        """Send one call; return what its answer leaves open. What has no answer gets no outcome in this round."""
        try:
            answers = self.system.dispose(batch, unanswered)
        except _NOT_DONE as error:
            self._heed(error)
            unsent = isinstance(error, UnavailableError)
            found |= {record.key: self._not_attempted(record) if unsent else _failed(record, error) for record in batch}
            return []
        except VendorError as error:
            log.warning("%s; it will be looked at what became of it", error)
            self._causes |= {record.key: str(error) for record in batch}
            if error.status not in _MAY_STILL_ACT:
                return list(batch)
            self.journal.lose()
            return []
        left_open = []
        for record, answer in zip(batch, answers, strict=True):
            if answer is None:
                self._causes[record.key] = "its answer left open what became of it"
                left_open.append(record)
            else:
                found[record.key] = self._verified(record, answer)
        return left_open

    def _heed(self, error: VendorError) -> None:
        """Stop sending where no further request makes sense, now or until somebody changes something."""
        if isinstance(error, (StopError, UnavailableError)):
            self.fatal = self.fatal or not error.retry
            self._end(str(error))

    def _verified(self, record: Record, outcome: Outcome) -> Outcome:
        if not self.verify or not outcome.result.gone or outcome.proof is not Proof.RESPONSE:
            return outcome
        try:
            return self.system.verify(record, outcome)
        except VendorError as error:
            self._heed(error)
            log.warning("%s; the outcome of %s stays proven by the answer only", error, record.key)
            return outcome

    def _settle(self, batch: Sequence[Record], found: dict[str, Outcome]) -> list[Record]:
        """Look what became of records; return those that are still there."""
        try:
            answers = self.system.settle(batch)
        except VendorError as error:
            self._heed(error)
            reason = f"its call went unanswered and it could not be looked up: {error}"
            found |= {
                record.key: Outcome(record.key, Result.UNKNOWN, reason=reason, detail=error.detail) for record in batch
            }
            return []
        there = []
        for record, answer in zip(batch, answers, strict=True):
            if answer is None:
                there.append(record)
            else:
                found[record.key] = answer
        return there

    def _not_attempted(self, record: Record) -> Outcome:
        reason = f"not sent: {self.stop_reason}" if self.stop_reason else "not sent"
        return Outcome(record.key, Result.NOT_ATTEMPTED, reason=reason, time=now())


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


def _unclaimed(outcome: Outcome) -> Outcome:
    """Judge what a look shows where the journal is lost that would say whether we ever called for the record."""
    if outcome.proof is Proof.INFERRED:
        reason = "it is gone; the journal that would say whether by us is lost"
        return replace(outcome, result=Result.ABSENT, proof=Proof.PROBE, reason=reason)
    if outcome.result.gone:
        return outcome
    reason = f"the journal that would say whether it was sent is lost; a look says: {outcome.reason}"
    return replace(outcome, result=Result.UNKNOWN, proof=None, reason=reason)


def _failed(record: Record, error: VendorError) -> Outcome:
    return Outcome(record.key, Result.FAILED, reason=str(error), request_id=error.request_id, detail=error.detail)
