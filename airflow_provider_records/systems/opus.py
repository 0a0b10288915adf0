"""How AvePoint Opus marks records as Destroyed, and how far it can be asked afterwards."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from functools import partial
from typing import Self

from airflow_provider_records.evidence.distinct import Digests, digest_of
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof, now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.summary import SystemDescription
from airflow_provider_records.exceptions import UnreadableAnswerError, VendorError
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.systems.base import A_FEW_MARKED, shows_removal
from airflow_provider_records.systems.finding import Finding, GoneRecord, Probe, Whereabouts, grouped

ListKey = tuple[str, str]
"""The due list that a record was on: the connector id, and the date that the list was read with."""


class OpusSystem:
    """How Opus marks a record as Destroyed, and how far it can be asked afterwards.

    Opus shows nothing but its due list. So after a lost response a record is known to be marked only if it was listed
    before and is not listed any more (Opus API: connector records). Reading the list takes one request for each hundred
    records of the connector, so one reading serves all records whose last mark had ended when the reading began.

    Opus may go on listing what is marked. So that a refused record is still listed shows that no earlier call marked it
    only if other records that were listed, and that Opus says it marked, are not listed any more. Of a mark that is
    only inferred, nothing is known but that its record has left the list, and one may leave it for another reason; so
    such marks show it only if far more records of unanswered calls have left the list than have stayed.

    :param hook: the client.
    """

    name = "opus"
    batch_size = 15
    may_list_removed = True

    def __init__(self, hook: OpusHook) -> None:
        self.hook = hook
        self._observed: Set[str] = frozenset()
        self._observed_before: Set[str] = frozenset()
        self._lists: set[ListKey] = set()
        self._keys: Set[str] = frozenset()
        self.marked_before: Set[str] = frozenset()
        self._marked: dict[str, float] = {}
        self._left: set[str] = set()
        self._stayed: set[str] = set()
        self._readings: tuple[tuple[float, Set[str]], ...] = ()
        self._ended: dict[str, float] = {}
        self._condition = threading.Condition()
        self._marking = 0
        self._reading = False

    @classmethod
    def from_connection(cls, conn_id: str) -> Self:
        """Return the system behind an Airflow connection, to look back."""
        return cls(OpusHook(conn_id))

    @property
    def max_concurrency(self) -> int:
        """The number of requests that the connection allows at the same time."""
        return self.hook.settings.max_concurrency

    @property
    def target(self) -> str:
        """Where the connection leads."""
        return self.hook.target

    def describe(self) -> SystemDescription:
        """Say that a status is set, and that no content is deleted by that."""
        return SystemDescription(
            "Opus",
            "Status set to Destroyed in Opus; deletes no content",
            meanings={
                OutcomeKind.DESTROYED.value: "the status Destroyed is set",
                OutcomeKind.BLOCKED.value: (
                    "not marked by this task: Opus refuses it (not approved there, on hold, not to be destroyed, or "
                    "Destroyed already)"
                ),
                OutcomeKind.FAILED.value: "not marked, as far as known: an error that another try may cure",
                OutcomeKind.NOT_ATTEMPTED.value: "not marked: nothing was sent for it",
            },
            caveats=[
                "Destroyed in Opus is a status. It deletes no content, and Opus offers no way to read the status of a "
                "single record back."
            ],
            action="mark",
        )

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        """Read the due list before the first mark: a record that leaves it later was marked.

        The reading of the deleting task is too old for that. Others may have marked a record since, and after an
        unanswered mark of ours nothing tells their mark from it: the record would have to be ``unknown`` for good.
        """
        self._lists = {due_list for record in records if (due_list := self.due_list(record))}
        keys = {record.key for record in records}
        self._keys = keys | self.marked_before
        self._marked = dict.fromkeys(self.marked_before, -math.inf)
        self._observed = (self._read() if self._lists else frozenset()) & keys
        self._observed_before = self._observed | observed_before
        return self._observed

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        """Mark up to 15 records."""
        keys = [record.key for record in batch]
        with self._mark(keys):
            answer = self.hook.destroy_records(keys)
        self._note_marked(answer.destroyed)
        refused_again = answer.refused.keys() & unanswered
        listed = self._still_listed(refused_again)
        unmarked = listed if listed and self._leaves_when_marked() else frozenset[str]()
        outcomes: list[Outcome | None] = []
        for record in batch:
            key = record.key
            if key in refused_again and key not in unmarked:
                reason = "Opus refuses it after an unanswered call of ours, which may have marked it"
                if key in listed:
                    reason += "; it is still listed, but nothing shows that what is marked leaves the due list"
                detail = answer.refused[key]
                outcomes.append(Outcome(key, OutcomeKind.UNKNOWN, reason=reason, detail=detail, stayed=True))
            elif key in answer.refused:
                reason = (
                    "refused by Opus: not approved, on hold, not to be destroyed, or Destroyed already; look at it in "
                    "Opus"
                )
                outcomes.append(
                    Outcome(
                        key,
                        OutcomeKind.BLOCKED,
                        Proof.RESPONSE,
                        reason,
                        request_id=answer.request_id,
                        detail=answer.refused[key],
                    )
                )
            elif key in answer.destroyed:
                outcomes.append(Outcome(key, OutcomeKind.DESTROYED, Proof.RESPONSE, request_id=answer.request_id))
            else:
                outcomes.append(None)
        return outcomes

    def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
        """Read the due list after a lost response.

        What an earlier try sent cannot take effect any more when this one begins. So a record that was still listed
        then, and that this try has not called for, was not taken off the list by a mark of ours.
        """
        keys = {record.key for record in batch}
        here = self._observed & keys - self._ended.keys()
        if self._lists and here != keys:
            here |= self._probe(keys)
        with self._condition:
            self._stayed |= here
            self._left |= (keys & self._observed_before) - here
        outcomes: list[Outcome | None] = []
        for record in batch:
            key = record.key
            if key in here:
                outcomes.append(None)
            elif self.due_list(record) is None:
                reason = "the mark went unanswered, and without a connector id Opus cannot be asked about it"
                outcomes.append(Outcome(key, OutcomeKind.UNKNOWN, reason=reason, time=now()))
            elif key in self._observed_before:
                reason = "the mark went unanswered; the record has left the due list since"
                outcomes.append(Outcome(key, OutcomeKind.DESTROYED, Proof.INFERRED, reason, time=now()))
            else:
                reason = "the mark went unanswered, and nothing shows that the record left the due list by it"
                outcomes.append(Outcome(key, OutcomeKind.UNKNOWN, reason=reason, time=now()))
        return outcomes

    def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        """Opus cannot be asked about a single record."""
        return [outcome for _, outcome in batch]

    def forget(self, records: Sequence[Record]) -> None:
        """Let go of when the marks of these records ended."""
        with self._condition:
            for record in records:
                self._ended.pop(record.key, None)

    def look_back(self, claims: Sequence[GoneRecord]) -> Iterator[Probe]:
        """Read the due lists: a record is listed only while it is due, so one that is marked is not."""
        readable = grouped(claims, lambda claim: self.due_list(claim.record) is not None)
        return (Probe(ours, partial(self._find, known, ours)) for known, ours in readable.items())

    def _find(self, known: bool, claims: Sequence[GoneRecord]) -> list[Finding]:
        if not known:
            why = "without a connector id Opus cannot be asked; the connection has no connector_id either"
            return [Finding(claim, Whereabouts.UNSEEN, why) for claim in claims]
        due = self.prepare([claim.record for claim in claims], frozenset())
        return [
            Finding(claim, Whereabouts.BACK, "on the due list again")
            if claim.record.key in due
            else Finding(claim, Whereabouts.GONE)
            for claim in claims
        ]

    def due_list(self, record: Record) -> ListKey | None:
        """Return the due list that a record is looked for on, or None if no connector is known."""
        connector = record.attributes.get("connector_id") or self.hook.connector_id
        if not isinstance(connector, str):
            return None
        due_before = record.attributes.get("due_before")
        return connector, due_before if isinstance(due_before, str) else now()[:19]

    def _read(self) -> Set[str]:
        found: set[str] = set()
        for connector_id, due_before in sorted(self._lists):
            rows = Digests()
            for row in self.hook.iter_due_records(connector_id, due_before):
                facts = digest_of(repr(row))
                if rows.put(digest_of(row.row_key), facts) not in {None, facts}:
                    raise UnreadableAnswerError(
                        f"Opus lists the record {row.row_key!r} with two sets of fields; the list proves nothing."
                    )
                if row.row_key in self._keys:
                    found.add(row.row_key)
        return found

    def _still_listed(self, refused: Set[str]) -> Set[str]:
        """Return the refused records that are still on the due list; none where it cannot be read."""
        try:
            return self._probe(refused) if refused and self._lists else frozenset()
        except VendorError:
            return frozenset()

    def _note_marked(self, keys: Iterable[str]) -> None:
        """Remember a few records that were listed before, and that Opus says it marked right now."""
        with self._condition:
            for key in keys:
                if len(self._marked) < A_FEW_MARKED and key in self._observed_before:
                    self._marked[key] = time.monotonic()

    def _leaves_when_marked(self) -> bool:
        """Tell whether the newest reading shows that what is marked leaves the due list."""
        begun, listed = self._readings[-1]
        with self._condition:
            marked = {key for key, at in self._marked.items() if at <= begun}
            inferred = shows_removal(len(self._left), len(self._stayed))
        return marked.isdisjoint(listed) if marked else inferred

    def _probe(self, keys: Set[str]) -> Set[str]:
        """Return which records are on the due list, read while no mark of ours is in flight.

        A list that shrinks while it is read may skip records, and a skipped record would be taken for a
        destroyed one; so a record counts as gone only if two successive readings do not show it.
        """
        asked = time.monotonic()
        here = self._known(keys, asked)
        if here is None:
            with self._no_mark_in_flight():
                while (here := self._known(keys, asked)) is None:
                    begun = time.monotonic()
                    self._readings = (*self._readings[-1:], (begun, self._read()))
        return here

    def _known(self, keys: Set[str], asked: float) -> Set[str] | None:
        """Return which records are on the due list; None if the last two readings do not tell.

        A reading tells only if it began after the last mark of each record had ended, or after ``asked``: the
        runner asks when no earlier call can take effect any more.
        """
        since = min(asked, max(self._ended.get(key, -math.inf) for key in keys))
        told = [listed for begun, listed in self._readings if begun >= since]
        here = frozenset[str]().union(*told) & keys
        return here if here == keys or len(told) > 1 else None

    @contextmanager
    def _mark(self, keys: Iterable[str]) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._reading)
            self._marking += 1
        may_last = 2 * self.hook.settings.timeout  # without a response: to connect, and to wait for the response
        try:
            yield
            may_last = 0.0
        finally:
            with self._condition:
                self._ended |= dict.fromkeys(keys, time.monotonic() + may_last)
                self._marking -= 1
                self._condition.notify_all()

    @contextmanager
    def _no_mark_in_flight(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._reading)
            self._reading = True
            self._condition.wait_for(lambda: not self._marking)
        try:
            yield
        finally:
            with self._condition:
                self._reading = False
                self._condition.notify_all()
