"""The write-ahead log of a disposal: intent before the call, outcome after it, hash-chained.

A journal is a folder of segments (:mod:`airflow_provider_records.evidence.segment`), each published whole before
anything that depends on it happens. Each try of a task opens a *session* with a chain of its own, whose first segment
names the heads of all sessions it has read.

Two tries may run at once: a worker that was given up may still live. What keeps them apart:

- A session publishes its intents, then looks for a newer session, then sends. A newer session publishes its start,
  then looks for segments that it has not read. In whatever order these steps fall, one of the two sees the other.
- Calls already sent must be over before the newer session looks at their records. So a call may be begun only within
  ``LEASE`` seconds after its session published something and then saw no newer one; and a newer one waits until the
  last such publication is older than that plus the longest time a call can take.

The second rule rests on no wall clock: one may be set, and those of two workers may differ. Within a process, and
between processes on one start of one machine, seconds are compared that pass evenly (:mod:`.clock`). What a session on
another machine published counts as published just now, so the newer session waits the whole time by its own clock.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_records.evidence.binding import Place, intended, refuse_other
from airflow_provider_records.evidence.claims import DeletionClaim, claimed_elsewhere
from airflow_provider_records.evidence.clock import elapsed
from airflow_provider_records.evidence.clock import timeline as boot_timeline
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.long_list import SpooledOutcomes
from airflow_provider_records.evidence.outcome import Outcome, known_kind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.segment import (
    ALIVE,
    INTENTS,
    OBSERVED,
    OPEN,
    OUTCOMES,
    JournalState,
    Segment,
    each_segment,
    order,
    parse_segment,
    render_segment,
    segment_name,
)
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import JournalError

LEASE = 10.0
_MARGIN = 2.0
"""Seconds by which two clocks may drift apart while calls are waited for, and by which a timer may be late."""


@dataclass
class _Flight:
    """Calls of another session that the system may still be processing.

    :param within: seconds after ``last`` until they are over.
    :param last: when the session last took the right to begin calls, by our own :func:`elapsed`; infinite if that is
        not known, since the session ran on another machine.
    :param keys: what it intended and has no outcome for.
    """

    within: float
    last: float = -math.inf
    keys: set[str] = field(default_factory=set)


class Journal:
    """The journal of one task instance, opened for one try.

    :param store: the evidence store.
    :param folder: the task instance's folder.
    :param manifest: digest of the approved list that the journal belongs to.
    :param started: the moment from which tries count from 1, ISO 8601: when the DAG run started, or later its loop. It
        orders runs that were created anew under the same id.
    :param try_number: number of the try, from 1.
    :param call_seconds: longest time a call can take from its beginning until it has taken effect or never will.
    :param expected: ``uri`` of the newest session that began a call, where that is known from elsewhere; of the
        journal's folder, where only that there was an earlier try is known. The first is to be
        kept there before the first call: its first segment is on storage by then, and names all that it read.
    :param place: where and how the list is carried out. As soon as an intent stands, the journal is bound to list and
        place.
    :param about: what the start of the session says for those who watch, such as the number of records.
    :param clock: seconds since the epoch, for what the segments say; nothing is decided by it.
    :param steady: seconds that pass evenly, by which rights to call end and are waited for.
    :param timeline: names the sessions that ``steady`` is the same for; empty: there are no others.
    :raises JournalError: the journal is bound to another list or place, was changed, or a newer try has opened it.
    """

    def __init__(
        self,
        store: Store,
        folder: TaskFolder,
        manifest: str,
        *,
        started: str,
        try_number: int,
        call_seconds: float = 120.0,
        expected: str = "",
        place: Place | None = None,
        about: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = elapsed,
        timeline: str | None = None,
    ) -> None:
        self.store = store
        self.folder = folder.journal
        self._task_folder = folder
        self._began = datetime.fromtimestamp(clock(), UTC)
        any_session = expected == store.uri(self.folder) and store.names(self.folder)
        self._expected = "" if any_session else expected
        self._place = place or Place()
        self._about = {**self._place.to_dict(), **(about or {})}
        self._clock = clock
        self._steady = steady
        self._timeline = boot_timeline() if timeline is None else timeline
        self._started = {"started": started, "try": try_number}
        self._call_seconds = call_seconds
        self._calls_end_within = LEASE + call_seconds
        self._lease_until = -math.inf
        self.resumed = self._open(manifest)
        while set(store.names(self.folder)) - self._names:  # published after we read and before we started
            self._open(manifest)

    @property
    def uri(self) -> str:
        """The URI of this session."""
        return self.store.uri(f"{self.folder}/{self._session}")

    def _open(self, manifest: str) -> bool:
        """Read what there is and start a session upon it; tell whether there was anything."""
        self.outcomes = SpooledOutcomes()
        self.state = JournalState(Outcome.from_dict, self.outcomes)
        self._flights: dict[str, _Flight] = {}
        self._names = set(self.store.names(self.folder))
        heads: dict[str, str] = {}

        def taken() -> Iterator[Segment]:
            for segment in each_segment(self.store, self.folder):
                self._take(segment)
                self._began = min(self._began, datetime.fromisoformat(segment.header["time"]))
                heads[segment.header["session"]] = segment.digest
                yield segment

        refuse_other(intended(taken()), manifest, self._place)
        self.state.abandon()
        self._session = f"{len(heads) + 1:04}-{self._started['try']:04}-{secrets.token_hex(4)}"
        self._known = {*heads, self._session}
        self._seq, self._prev = 0, ""
        self._names.add(f"{self.folder}/{self._session}/{segment_name(0, OPEN)}")
        missing = bool(self._expected) and self._expected not in {
            self.store.uri(f"{self.folder}/{session}") for session in heads
        }
        if missing:
            self.state.missing_session = self._expected
        more = (
            {**self._about, "missing_session": self.state.missing_session}
            if self.state.missing_session
            else self._about
        )
        begun = self._publish(OPEN, [], manifest=manifest, read=heads, calls_end_within=self._calls_end_within, **more)
        flights = [flight for flight in self._flights.values() if flight.keys]
        if missing:  # nobody knows what it says, so the last call is taken to have begun just now
            flights.append(_Flight(self._calls_end_within, begun))
        self._settled_at = max((min(each.last, begun) + each.within + _MARGIN for each in flights), default=-math.inf)
        return bool(heads)

    def _take(self, segment: Segment) -> None:
        header, state = segment.header, self.state
        kind, session = header["kind"], header["session"]
        if kind == OPEN:
            if order(header) > order(self._started):
                raise _taken_over(session)
            self._flights[session] = _Flight(header["calls_end_within"])
        state.add(segment)
        flight = self._flights[session]
        if kind in {INTENTS, ALIVE}:
            same = self._timeline and header.get("timeline") == self._timeline
            flight.last = header["elapsed"] if same else math.inf
        if kind == INTENTS:
            flight.keys |= {line["key"] for line in segment.lines}
        elif kind == OUTCOMES:
            for line in segment.lines:
                if line["key"] not in state.unanswered or known_kind(line["outcome"]).final:
                    flight.keys.discard(line["key"])

    def seconds_until_settled(self) -> float:
        """Return the seconds until no call that went unanswered can take effect any more."""
        return max(0.0, self._settled_at - self._steady())

    def note_unanswered(self) -> None:
        """Take note that a call went unanswered just now."""
        self._settled_at = max(self._settled_at, self._steady() + self._call_seconds)

    def record_observed(self, keys: Set[str], canaries: Sequence[str] = ()) -> None:
        """Publish which records were observed to be there, for a later try that must judge an unanswered call.

        :param keys: the records.
        :param canaries: ids of objects that are not on the list, and that were there as well.
        :raises EvidenceError: the store cannot be written.
        """
        if self.state.observed_before or keys:
            more = {"canaries": list(canaries)} if canaries else {}
            self._publish(OBSERVED, [{"key": key} for key in sorted(self.state.observe(keys))], **more)

    def intend(self, keys: Iterable[str]) -> None:
        """Publish what is about to be called; return only when it is on storage.

        :raises JournalError: a newer try of this task has taken over, nothing may be sent any more.
        :raises EvidenceError: the store cannot be written.
        """
        lines = [{"key": key} for key in keys]
        self.state.in_doubt |= {line["key"] for line in lines}
        self._renew_lease(INTENTS, lines)

    def keep_alive(self) -> None:
        """Renew the right to begin calls; to be called every ``LEASE / 5`` seconds while there are any.

        :raises JournalError: as :meth:`intend`.
        :raises EvidenceError: as :meth:`intend`.
        """
        if self._steady() > self._lease_until - LEASE / 2:
            self._renew_lease(ALIVE, [])

    def holds_lease(self) -> bool:
        """Tell whether a call may be begun now."""
        return self._steady() < self._lease_until

    def release_lease(self) -> None:
        """Let no call be begun until the lease is renewed."""
        self._lease_until = -math.inf

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Publish outcomes.

        :raises StoreUnavailableError: the store cannot be written now; the outcomes can be published again.
        :raises EvidenceError: the store cannot be written.
        """
        if outcomes:
            outcomes = [self.store.naming.said_by_vendor(outcome) for outcome in outcomes]
            self._publish(OUTCOMES, [outcome.to_dict() for outcome in outcomes])
            for outcome in outcomes:
                self.state.apply(outcome.key, outcome.kind, outcome.unanswered, outcome.stayed, outcome)

    def claimed_elsewhere(self, records: Sequence[Record]) -> dict[str, DeletionClaim]:
        """Return which of these records another task instance disposed of, or may have, since this one began.

        :raises EvidenceError: the store cannot be read.
        """
        return claimed_elsewhere(self.store, self._task_folder, self._place, self._began, records)

    def check_fence(self) -> None:
        """Stop if a newer try has opened the journal.

        :raises JournalError: it has.
        """
        for session in set(self.store.children(self.folder)) - self._known:
            # Its folder comes before its first segment. To list it again finds that; to ask for the segment by
            # name may not, for a minute: network file systems remember what was not there.
            name = f"{self.folder}/{session}/{segment_name(0, OPEN)}"
            if segment_name(0, OPEN) not in self.store.children(f"{self.folder}/{session}"):
                continue
            if (segment := parse_segment(name, self.store.read(name))) is None:
                continue
            if (*order(segment.header), session) > (*order(self._started), self._session):
                raise _taken_over(session)
            self._known.add(session)

    def _renew_lease(self, kind: str, lines: Sequence[Mapping[str, Any]]) -> None:
        begun = self._publish(kind, lines)
        self.check_fence()
        self._lease_until = begun + LEASE

    def _publish(self, kind: str, lines: Sequence[Mapping[str, Any]], **more: object) -> float:
        """Publish a segment; return when that was begun, in seconds that pass evenly."""
        begun, seq = self._steady(), self._seq
        # Never the same name again: of a segment whose publication failed nobody knows whether it is there.
        self._seq += 1
        written_at = datetime.fromtimestamp(self._clock(), UTC)
        header = {
            **self._started,
            **more,
            "session": self._session,
            "kind": kind,
            "seq": seq,
            "prev": self._prev,
            "time": written_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if self._timeline:
            header |= {"timeline": self._timeline, "elapsed": round(begun, 3)}
        content = render_segment(header, lines)
        self.store.write(f"{self.folder}/{self._session}/{segment_name(seq, kind)}", content)
        self._prev = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return begun


def _taken_over(session: str) -> JournalError:
    return JournalError(f"A newer try of this task (session {session}) has taken over the disposal; this one stops.")
