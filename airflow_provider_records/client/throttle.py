"""How fast all threads of a task send together, and when none of them sends any more.

* **Asked to slow down** (HTTP 429, or ``Retry-After`` in the response to a failed request): nothing is sent for as long
  as the system asks. Then all threads together go on with nine tenths of the rate that the system has accepted since
  it asked before; that is the best measure of its limit. From there the rate grows, slowly at first (by a tenth in 3 s,
  to the double in 8 s, to the hundredfold in 21 s), until the system asks again.
* **Half-open**: eight requests in a row got no usable response, for whatever reason. All threads wait, then a single
  request tries; the first usable response closes the circuit, and all go on as fast as before.
* Each wait that follows another one without a usable response is longer, up to 30 s, and jittered.
* **Open**: three waits brought no usable response, and two minutes have passed since the first of these failures; or
  the system asks to wait for more than ten minutes; or there are no credentials. Nothing is sent for a minute then,
  and after three such waits a single failure opens the circuit again.

A request belongs to the *generation* in which it was sent; a new generation begins with every wait. A failure of an
older generation was sent before the wait, and says nothing new.
"""

from __future__ import annotations

import math
import random
import threading
import time
from typing import ClassVar

from airflow_provider_records.exceptions import UnavailableError

FAILURES_IN_A_ROW = 8
LONGEST_RETRY_AFTER = 600.0
FRUITLESS_WAITS = 3
OPEN_FOR = 60.0
LONGEST_OPEN = 3600.0

_SLOWER = "Let the next try come later (retry_delay), and set requests_per_second if its limit is known."
_CHECK = "Check that it is up and can be reached from this worker: host field, network, proxy, timeout."


class RateLimiter:
    """When the next request may be sent. Not safe for threads: :class:`Throttle` holds the lock.

    :param requests_per_second: the connection's limit, or None.
    """

    growth: ClassVar[float] = 10.0
    """Seconds until the rate has grown by the factor e."""
    slowest: ClassVar[float] = 1.0
    """Requests a second where the system has accepted none."""

    def __init__(self, requests_per_second: float | None) -> None:
        self.generation = 0
        self.paused_until = 0.0
        self._gap = 1.0 / requests_per_second if requests_per_second else 0.0
        self._next = 0.0
        self._rate = math.inf
        self._grows_from = 0.0
        self._accepted = 0
        self._counted_from = math.inf

    def acquire(self, now: float, gap: float | None = None) -> float:
        """Reserve the next slot; it is lost when a new generation begins.

        :param now: the time, in seconds.
        :param gap: seconds until the slot after it; None: as the accepted rate allows. The connection's limit holds.
        :return: the time of the slot, in seconds.
        """
        slot = max(now, self._next, self.paused_until)
        self._counted_from = min(self._counted_from, now)
        self._next = slot + max(self._gap, self._gap_at(slot) if gap is None else gap)
        return slot

    def _gap_at(self, slot: float) -> float:
        undisturbed = slot - self._grows_from
        if undisturbed > 6 * self.growth:
            return 0.0
        return 1.0 / (self._rate * math.exp((undisturbed / self.growth) ** 2))

    def accepted(self, generation: int) -> None:
        """Count a request that the system took.

        :param generation: in which it was sent.
        """
        self._accepted += generation == self.generation

    def measure(self, now: float) -> None:
        """Take nine tenths of the rate that the system has accepted since the last time for its limit."""
        rate = self._accepted / max(now - self._counted_from, 0.001)
        self._rate = max(self.slowest, 0.9 * rate)
        self._accepted, self._counted_from = 0, now

    def pause(self, now: float, until: float, *, grow: bool = False) -> None:
        """Begin a new generation, in which nothing is sent before ``until``.

        :param grow: the rate grows from then on.
        """
        self.generation += 1
        self.paused_until = max(self.paused_until, until)
        self._next = max(self.paused_until, now + self._gap)
        if grow:
            self._grows_from = self.paused_until


class CircuitBreaker:
    """Whether requests may be sent at all. Not safe for threads: :class:`Throttle` holds the lock."""

    first_wait: ClassVar[float] = 0.5
    longest_wait: ClassVar[float] = 30.0
    patience: ClassVar[float] = 120.0
    """Seconds that the failures must last before the circuit opens."""

    def __init__(self) -> None:
        self.failures = 0
        self._failing_since = 0.0
        self._fruitless_waits = 0
        self._open_until = 0.0
        self._asked_until = 0.0
        self._reason = ""

    @property
    def is_half_open(self) -> bool:
        """Whether single requests try if the system works again."""
        return self.failures >= FAILURES_IN_A_ROW

    def check(self, now: float) -> None:
        """Let a request pass, unless the circuit is open.

        :raises UnavailableError: it is; ``retry_after`` is what is left of the wait that the system asked for.
        """
        if now < self._open_until:
            error = UnavailableError(self._reason)
            error.retry_after = self._asked_until - now if self._asked_until > now else None
            raise error

    def record_success(self) -> None:
        """Close the circuit."""
        self.failures = self._fruitless_waits = 0

    def record_failure(self, now: float) -> float:
        """Count a failure; return for how many seconds there have been nothing but failures."""
        self._failing_since = self._failing_since if self.failures else now
        self.failures += 1
        return now - self._failing_since

    def gives_up(self, failing_for: float) -> bool:
        """Tell whether the next failure opens the circuit.

        :param failing_for: seconds since the first of the failures.
        """
        return self._fruitless_waits >= FRUITLESS_WAITS and failing_for >= self.patience

    def next_wait(self) -> float:
        """Return the seconds of the next wait; each is longer than the one before, until a request succeeds."""
        wait = min(self.longest_wait, self.first_wait * 2.0 ** min(self._fruitless_waits, 9))
        self._fruitless_waits += 1
        return wait * random.uniform(0.5, 1.0)

    def open(self, now: float, seconds: float, reason: str, asked: float = 0.0) -> float:
        """Let nothing pass.

        :param seconds: for how long.
        :param reason: what is wrong, and what would change it.
        :param asked: seconds that the system asks to wait.
        :return: until when.
        """
        self._open_until = now + seconds
        self._asked_until = now + asked if asked else self._asked_until
        self._reason = f"Nothing is sent any more: {reason}"
        return self._open_until


class Throttle:
    """Rate limiter and circuit breaker of one connection, for all threads of a task.

    :param requests_per_second: the connection's limit, or None.
    """

    def __init__(self, requests_per_second: float | None) -> None:
        self.limiter = RateLimiter(requests_per_second)
        self.breaker = CircuitBreaker()
        self._lock = threading.Lock()

    @property
    def generation(self) -> int:
        """The current generation; a slot of another one is lost."""
        return self.limiter.generation

    def acquire(self) -> tuple[float, int]:
        """Reserve the next slot.

        :return: the seconds until then, and the generation.
        :raises UnavailableError: nothing is sent now.
        """
        with self._lock:
            now = time.monotonic()
            self.breaker.check(now)
            gap = self.breaker.longest_wait if self.breaker.is_half_open else None
            return self.limiter.acquire(now, gap) - now, self.limiter.generation

    def succeeded(self, generation: int) -> None:
        """Take note of a usable response, which may be a refusal.

        :param generation: in which the request was sent.
        """
        with self._lock:
            self.limiter.accepted(generation)
            if self.breaker.is_half_open:
                self.limiter.pause(time.monotonic(), 0.0)  # ends the wait of all threads
            self.breaker.record_success()

    def failed(self, generation: int, problem: str, asked: float | None) -> None:
        """Take note of a request without a usable response.

        :param generation: in which it was sent.
        :param problem: what went wrong, for the message if the circuit opens.
        :param asked: seconds that the system asks to wait, 0 if it does not say how long; None: it does not ask.
        """
        with self._lock:
            now, limiter, breaker = time.monotonic(), self.limiter, self.breaker
            failing_for = breaker.record_failure(now)
            is_news = generation == limiter.generation
            if asked is not None and asked > LONGEST_RETRY_AFTER:
                reason = f"the system asks to wait {asked:.0f} s, which is too long. {_SLOWER} The last response"
                limiter.pause(now, breaker.open(now, min(asked, LONGEST_OPEN), f"{reason}: {problem}", asked))
            elif is_news and breaker.gives_up(failing_for):
                count = f"{breaker.failures} requests in a row, in {failing_for:.0f} s"
                reason = f"{count}, brought no usable response. {_CHECK} The last"
                limiter.pause(now, breaker.open(now, OPEN_FOR, f"{reason}: {problem}"))
            elif asked is not None and is_news:
                limiter.measure(now)
                limiter.pause(now, now + max(asked, breaker.next_wait()), grow=True)
            elif asked and now + asked > limiter.paused_until:
                limiter.pause(now, now + asked, grow=True)
            elif is_news and breaker.is_half_open:
                limiter.pause(now, now + breaker.next_wait())

    def open(self, reason: str) -> None:
        """Send nothing for a minute.

        :param reason: what is wrong, and what would change it.
        """
        with self._lock:
            now = time.monotonic()
            self.limiter.pause(now, self.breaker.open(now, OPEN_FOR, reason))
