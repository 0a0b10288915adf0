"""A content system in memory that does as it is told, and knows what really happened."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import (
    AuthenticationError,
    EvidenceError,
    JournalError,
    NoAnswerError,
    NotSentError,
    ServerError,
)
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.runner import Runner
from tests.evidence.failing_store import Killed

DIGEST = "sha256:" + "1" * 64
FOLDER = TaskFolder.of("night", "run", "delete", -1)
STARTED = "2026-11-22T02:00:00+00:00"
NO_LIMITS = Limits(10**6, 1.0)
PLAN = {
    "r001": ["lost_before"],
    "r003": ["lost_after"],
    "r004": ["blocked"],
    "r006": ["open_after"],
    "r007": ["failed"],
}
"""What becomes of the calls of a try, where a test does not care, but one of each kind should be among them."""

LOST = ("lost_before", "lost_after", "error_before", "error_after", "open_before", "open_after", "bug_after")
"""What leaves open whether the call was carried out."""
SURE = ("ok", "blocked", "failed", "not_sent", "refused_login")
DEADLY = ("die_before", "die_after")
WHOLE: dict[str, type[BaseException]] = {
    "lost": NoAnswerError,
    "error": ServerError,
    "bug": RuntimeError,
    "die": Killed,
    "not": NotSentError,
    "refused": AuthenticationError,
}
"""What becomes of a call as a whole."""


Recheck = Callable[[Sequence[Record]], Mapping[str, Outcome]]


class Archive:
    """The truth: what is there, what was called, and what should not have happened.

    :param keys: what is there at first.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self.there = set(keys)
        self.destroyed: set[str] = set()
        self.destroyed_by_others: set[str] = set()
        self.observed: set[str] = set()
        self.sent: list[str] = []
        self.probed: list[str] = []
        self.verified: list[list[str]] = []
        self.wrong: list[str] = []
        self.dead = False
        self._open: set[str] = set()
        self._lock = threading.Lock()

    def destroy_as_others(self, key: str) -> None:
        """Somebody else destroys a record."""
        with self._lock:
            if key in self.there:
                self.there.discard(key)
                self.destroyed_by_others.add(key)

    def begin(self, key: str) -> None:
        with self._lock:
            if self.dead:
                raise Killed
            self.sent.append(key)
            if key in self._open:
                self.wrong.append(f"{key} was sent again without a probe")
            if key in self.destroyed:
                self.wrong.append(f"{key} was sent again after it was destroyed")

    def end(self, key: str, effect: bool, known: bool) -> None:
        with self._lock:
            if effect and key in self.there:
                self.there.discard(key)
                self.destroyed.add(key)
            if not known:
                self._open.add(key)

    def probe(self, key: str) -> bool:
        with self._lock:
            if self.dead:
                raise Killed
            self.probed.append(key)
            self._open.discard(key)
            return key in self.there


class ObedientSystem:
    """The system as the runner sees it, for one try.

    :param archive: the truth.
    :param plan: what becomes of the first, second, ... call for a key; ``ok`` where it says nothing.
    :param blind: keys that cannot be probed.
    :param at_call: run in each call, before it has an effect.
    :param others: what others destroy during the try: right before our ``look``, ``call`` or ``probe`` of the key.
    """

    name = "archive"

    def __init__(
        self,
        archive: Archive,
        plan: Mapping[str, Sequence[str]] | None = None,
        *,
        batch_size: int = 1,
        blind: Set[str] = frozenset(),
        at_call: Callable[[str], object] = lambda _: None,
        others: Mapping[str, str] | None = None,
    ) -> None:
        self.others = dict(others or {})
        self.archive = archive
        self.batch_size = batch_size
        self.blind = blind
        self.at_call = at_call
        self.prepared = 0
        self._left = {key: list(calls) for key, calls in (plan or {}).items()}

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        self.prepared += 1
        return self._look(records)

    def _look(self, records: Sequence[Record]) -> Set[str]:
        for record in records:
            self._others_come("look", record.key)
        observed = {record.key for record in records if record.key in self.archive.there}
        self.archive.observed |= observed
        return observed

    def _others_come(self, moment: str, key: str) -> None:
        if self.others.get(key) == moment:
            self.archive.destroy_as_others(key)

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        for record in batch:
            self.archive.begin(record.key)
            self.at_call(record.key)
            self._others_come("call", record.key)
        todo = [(left.pop(0) if (left := self._left.get(record.key)) else "ok") for record in batch]
        whole = next((each for each in todo if each.partition("_")[0] in WHOLE), None)
        answers = [self._one(record, whole or each, unanswered) for record, each in zip(batch, todo, strict=True)]
        if whole is None:
            return answers
        if whole.startswith("die"):
            self.archive.dead = True
        raise WHOLE[whole.partition("_")[0]](f"told to: {whole}")

    def _one(self, record: Record, what: str, unanswered: frozenset[str]) -> Outcome | None:
        key = record.key
        was_there = key in self.archive.there
        if what in {"blocked", "failed"} and not was_there:
            what = "ok"
        known = what in SURE
        self.archive.end(key, what == "ok" or what.endswith("_after"), known)
        if what == "blocked":
            return Outcome(key, OutcomeKind.BLOCKED, Proof.RESPONSE, "locked")
        if what == "failed":
            return Outcome(key, OutcomeKind.FAILED, Proof.RESPONSE, "busy")
        if what != "ok":
            return None
        if was_there:
            return Outcome(key, OutcomeKind.DESTROYED, Proof.RESPONSE)
        if key in unanswered:
            return Outcome(key, OutcomeKind.DESTROYED, Proof.INFERRED)
        return Outcome(key, OutcomeKind.ABSENT, Proof.RESPONSE)

    def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
        if any(record.key in self.blind for record in batch):
            raise ServerError("told to be blind")
        for record in batch:
            self._others_come("probe", record.key)
        return [
            None if self.archive.probe(record.key) else Outcome(record.key, OutcomeKind.DESTROYED, Proof.INFERRED)
            for record in batch
        ]

    def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        self.archive.verified.append([record.key for record, _ in batch])
        if any(record.key in self.blind for record, _ in batch):
            raise ServerError("told to be blind")
        return [
            Outcome(record.key, OutcomeKind.FAILED if record.key in self.archive.there else outcome.kind, Proof.PROBE)
            for record, outcome in batch
        ]


class LookingSystem(ObedientSystem):
    """The same, but it observes the records of a few calls shortly before them."""

    look_size = 1

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.canaries: list[str] = []

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        self.prepared += 1
        return frozenset()

    def arrange(self, records: Sequence[Record]) -> Sequence[Sequence[Record]]:
        return [records]

    def other_objects(self, records: Sequence[Record]) -> Set[str]:
        return frozenset()

    def unseen(self, records: Sequence[Record]) -> Set[str]:
        return self.not_there(records)

    def not_there(self, records: Sequence[Record]) -> Set[str]:
        return {record.key for record in records} - self.archive.observed

    def unproven(self, records: Sequence[Record]) -> Set[str]:
        return frozenset()

    def foresee(self, records: Sequence[Record]) -> list[Outcome | None]:
        gone = self.not_there(records)
        return [Outcome(each.key, OutcomeKind.ABSENT, Proof.PROBE) if each.key in gone else None for each in records]

    def observe(self, records: Sequence[Record]) -> Set[str]:
        if self.archive.dead:
            raise Killed
        return self._look(records)


def listed(count: int) -> list[Record]:
    """Return a list of records."""
    return [Record(f"r{number:03}", f"t{number}") for number in range(count)]


def names(count: int) -> list[str]:
    """Return the keys of such a list."""
    return [record.key for record in listed(count)]


def opened(store: Store, number: int, **options: Any) -> Journal:
    """Open the journal of a try."""
    return Journal(store, FOLDER, DIGEST, try_number=number, **{"started": STARTED, "call_seconds": 0.0, **options})


def dying_with(archive: Archive) -> Callable[[int, bool], None]:
    """Return what lets nothing be written any more by a process that died in a call."""

    def on_write(_: int, done: bool) -> None:
        if archive.dead and not done:
            raise Killed

    return on_write


def survive(work: Callable[[], object]) -> None:
    """Run a try that may fail or die."""
    with contextlib.suppress(Killed, EvidenceError, JournalError, RuntimeError):
        work()


class Passing:
    """Seconds that pass while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def one_try(
    store: Store,
    system: ObedientSystem,
    records: Sequence[Record],
    number: int,
    *,
    concurrency: int = 2,
    limits: Limits | None = None,
    steady: Callable[[], float] | None = None,
    started: str = STARTED,
    passing: Passing | None = None,
    recheck: Recheck | None = None,
) -> list[Outcome]:
    """Run one try as an operator does."""
    options: dict[str, Any] = {} if steady is None else {"steady": steady}
    journal = opened(store, number, started=started, **options)
    passing = passing or Passing()
    runner = Runner(
        system,
        journal,
        limits or Limits(10**6, 1.0, 1.0),
        concurrency=concurrency,
        clock=passing.clock,
        sleep=passing.sleep,
        recheck=recheck,
    )
    return list(runner.run(records))


def check_truth(archive: Archive, outcomes: Sequence[Outcome]) -> None:
    """Hold what is claimed after any try against the truth: who destroyed what, and who looked."""
    assert archive.wrong == []
    for outcome in outcomes:
        key, kind = outcome.key, outcome.kind
        if kind in {OutcomeKind.DESTROYED, OutcomeKind.RECYCLED}:
            assert key not in archive.there, outcome
            assert key in (archive.observed if outcome.proof is Proof.INFERRED else archive.destroyed), outcome
        if key in archive.destroyed:
            assert kind in {
                OutcomeKind.DESTROYED,
                OutcomeKind.RECYCLED,
                OutcomeKind.FAILED,
                OutcomeKind.UNKNOWN,
            }, outcome
        if kind is OutcomeKind.NOT_ATTEMPTED:
            assert key not in archive.sent, outcome


def counts(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Count outcomes by kind; every kind has a number."""
    found = Counter(outcome.kind for outcome in outcomes)
    return {str(kind): found[kind] for kind in OutcomeKind}


def check(archive: Archive, records: Sequence[Record], outcomes: Sequence[Outcome], first: Set[str]) -> None:
    """Hold what is claimed after the last try against the truth.

    :param first: keys that were there before the first try.
    """
    check_truth(archive, outcomes)
    assert [outcome.key for outcome in outcomes] == [record.key for record in records]
    assert set(archive.sent) <= {record.key for record in records}
    for outcome in outcomes:
        assert outcome.kind.final, outcome
        assert (outcome.key in archive.there) == (outcome.kind is OutcomeKind.BLOCKED), outcome
        assert (outcome.kind is OutcomeKind.ABSENT) <= (outcome.key not in first), outcome
