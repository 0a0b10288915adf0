"""Counts what became of the records of a try, and says in the log how far it is."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.execution.limits import FAILURES, Limits

log = logging.getLogger(__name__)

_EVERY = 5.0


@dataclass
class Progress:
    """Counts over all threads of one try."""

    total: int
    limits: Limits
    lock: threading.Lock = field(default_factory=threading.Lock)
    begun: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)
    found: Counter[OutcomeKind] = field(default_factory=Counter)
    calls: int = 0
    attempted: int = 0
    failures: int = 0
    unanswered: int = 0

    def add(self, outcomes: Sequence[Outcome], unanswered: int) -> bool:
        """Count outcomes, and unanswered records as failures until they are probed; tell if there are too many."""
        with self.lock:
            before = self.attempted
            self.unanswered += unanswered
            self.attempted += unanswered
            self.failures += unanswered
            for outcome in outcomes:
                self.found[outcome.kind] += 1
                if outcome.kind is not OutcomeKind.NOT_ATTEMPTED:
                    self.attempted += 1
                    self.failures += outcome.kind in FAILURES
            self.calls += self.attempted > before
            return self.limits.too_many_failures(self.calls, self.attempted, self.failures)

    def correct(self, before: Sequence[Outcome], after: Sequence[Outcome]) -> bool:
        """Count outcomes anew that a probe has changed; tell if there are too many failures."""
        with self.lock:
            for old, new in zip(before, after, strict=True):
                self.found[old.kind] -= 1
                self.found[new.kind] += 1
                self.failures += (new.kind in FAILURES) - (old.kind in FAILURES)
            return self.limits.too_many_failures(self.calls, self.attempted, self.failures)

    def next_round(self) -> None:
        """Remove unanswered records from the counts: the next round counts them again."""
        self.attempted -= self.unanswered
        self.failures -= self.unanswered
        self.unanswered = 0

    def say(self) -> None:
        # Without the lock: a timeout that Airflow raises in the main thread could leave it locked forever.
        if time.monotonic() - self.said < _EVERY:
            return
        self.said = time.monotonic()
        rate = self.attempted / (self.said - self.begun)
        left = f"{(self.total - self.attempted) / rate:.0f} s left" if rate else "no answer yet"
        found = [f"{self.found[kind]} {kind}" for kind in OutcomeKind if self.found[kind]]
        found += [f"{self.unanswered} unanswered"] if self.unanswered else []
        counts = ", ".join(found) or "none"
        log.info("%s of %s records (%s), %.1f a second, %s", self.attempted, self.total, counts, rate, left)
