"""How fast all threads of a task send together, and when none of them sends any more."""

from __future__ import annotations

import math
import random
import threading
import time
from typing import ClassVar

from airflow_provider_records.exceptions import UnavailableError

IN_A_ROW = 8
LONGEST_ASKED = 600.0
WAITS_IN_VAIN = 3
CLOSED_FOR = 60.0
LONGEST_CLOSED = 3600.0

_ASK = "Let the next try come later (retry_delay), and set requests_per_second if its limit is known."
_CHECK = "Check that it is up and can be reached from this worker: host field, network, proxy, timeout."


class Pace:
    """How fast all threads of a task send together, and when none of them sends any more.

    * **Asked to slow down** (HTTP 429, or ``Retry-After`` in the answer to a failed call): nobody sends for as long as
      the system asks. Then all threads together go on with nine tenths of the rate that it has accepted since it
      asked before; its own answers are the best measure of its limit. From there the rate grows, slowly at first (by
      a tenth in 3 s, to the double in 8 s, to the hundredfold in 21 s), until it asks again.
    * **Failing**: eight calls in a row without a usable answer, whatever the reason and the thread. All threads wait,
      then a single call tries; the first usable answer lets all of them go on, as fast as before.
    * Each wait that follows another one in vain is longer, up to 30 s, and jittered.
    * **Closed**: three waits in vain, and two minutes since the first of these failures; or the system asks to wait for
      more than ten minutes; or it gives no credentials. Nothing is sent for a minute then, and after three waits in
      vain a single failure closes it again.

    A call belongs to the *round* in which it left; a new round begins with every wait. What fails in the rounds
    before was in the air already and says nothing new.

    :param requests_per_second: limit, or None.
    """

    first_wait: ClassVar[float] = 0.5
    longest_wait: ClassVar[float] = 30.0
    patience: ClassVar[float] = 120.0
    growth: ClassVar[float] = 10.0
    """Seconds until the rate has grown by the factor e."""
    slowest: ClassVar[float] = 1.0
    """Requests a second, where the system has accepted none."""

    def __init__(self, requests_per_second: float | None) -> None:
        self.round = 0
        self._lock = threading.Lock()
        self._gap = 1.0 / requests_per_second if requests_per_second else 0.0
        self._next = 0.0
        self._held_until = 0.0
        self._rate = math.inf
        self._grows_from = 0.0
        self._accepted = 0
        self._counted_from = math.inf
        self._row = 0
        self._row_from = 0.0
        self._vain = 0
        self._closed_until = 0.0
        self._asked_until = 0.0
        self._why = ""

    def slot(self) -> tuple[float, int]:
        """Reserve the next slot, which is lost when another round begins.

        :return: the seconds until then, and the round.
        :raises UnavailableError: nothing is sent now.
        """
        with self._lock:
            now = time.monotonic()
            if now < self._closed_until:
                error = UnavailableError(self._why)
                error.retry_after = self._asked_until - now if self._asked_until > now else None
                raise error
            slot = max(now, self._next, self._held_until)
            self._counted_from = min(self._counted_from, now)
            self._next = slot + max(self._gap, self._gap_after(slot))
            return slot - now, self.round

    def _gap_after(self, slot: float) -> float:
        if self._row >= IN_A_ROW:
            return self.longest_wait
        calm = slot - self._grows_from
        if calm > 6 * self.growth:
            return 0.0
        return 1.0 / (self._rate * math.exp((calm / self.growth) ** 2))

    def answered(self, round_: int) -> None:
        """Take note of a usable answer, be it a refusal.

        :param round_: in which the call left.
        """
        with self._lock:
            self._accepted += round_ == self.round
            if self._row:
                if self._row >= IN_A_ROW:
                    self._hold(0.0)
                self._row = self._vain = 0

    def failed(self, round_: int, problem: str, asked: float | None) -> None:
        """Take note of a call without a usable answer.

        :param round_: in which the call left.
        :param problem: what went wrong, for the message when the system is given up.
        :param asked: seconds that the system asks to wait, 0 if it does not say how long; None: it does not ask.
        """
        with self._lock:
            now = time.monotonic()
            self._row_from = self._row_from if self._row else now
            self._row += 1
            failing_for = now - self._row_from
            is_news = round_ == self.round
            if asked is not None and asked > LONGEST_ASKED:
                why = f"the system asks to wait {asked:.0f} s, which is too long. {_ASK} The last answer"
                self._asked_until = now + asked
                self._close(min(asked, LONGEST_CLOSED), f"{why}: {problem}")
            elif is_news and self._vain >= WAITS_IN_VAIN and failing_for >= self.patience:
                why = f"{self._row} calls in a row, in {failing_for:.0f} s, brought no usable answer. {_CHECK} The last"
                self._close(CLOSED_FOR, f"{why}: {problem}")
            elif asked is not None and (is_news or (asked and now + asked > self._held_until)):
                self._slow_down(now, asked, is_news)
            elif is_news and self._row >= IN_A_ROW:
                self._hold(now + self._backoff())

    def close(self, why: str) -> None:
        """Send nothing for a minute.

        :param why: what is wrong, and what would change it.
        """
        with self._lock:
            self._close(CLOSED_FOR, why)

    def _slow_down(self, now: float, asked: float, is_news: bool) -> None:
        if is_news:
            accepted = self._accepted / max(now - self._counted_from, 0.001)
            self._rate = max(self.slowest, 0.9 * accepted)
            self._accepted, self._counted_from = 0, now
            asked = max(asked, self._backoff())
        self._hold(now + asked)
        self._grows_from = self._held_until

    def _backoff(self) -> float:
        wait = min(self.longest_wait, self.first_wait * 2.0 ** min(self._vain, 9))
        self._vain += 1
        return wait * random.uniform(0.5, 1.0)

    def _hold(self, until: float) -> None:
        """Begin a new round, in which nobody sends before ``until``."""
        self.round += 1
        self._held_until = max(self._held_until, until)
        self._next = max(self._held_until, time.monotonic() + self._gap)

    def _close(self, seconds: float, why: str) -> None:
        self._closed_until = time.monotonic() + seconds
        self._why = f"Nothing is sent any more: {why}"
        self._hold(self._closed_until)
