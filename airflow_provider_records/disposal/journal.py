"""The write-ahead log of a disposal: intent before the call, outcome after it, hash-chained.

A journal is a folder of segments. A segment is published whole before anything that depends on it happens: a
header line, lines, and a trailer with the hash of all before it. Each try of a task opens a *session* with a
chain of its own, whose first segment names the heads of all sessions it has read. A session ends as soon as it
sees a newer one (the fence): publish intents, look for the fence, then send.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_records.disposal.outcome import Outcome, Result, now
from airflow_provider_records.disposal.record import canonical
from airflow_provider_records.disposal.store import Store
from airflow_provider_records.exceptions import EvidenceError, JournalError

OPEN, SEEN, INTENTS, OUTCOMES = "open", "seen", "intents", "outcomes"


@dataclass(frozen=True)
class Segment:
    """One published piece of a journal.

    :param name: its name in the store.
    :param header: its first line.
    :param lines: what it holds.
    :param digest: hash of its bytes.
    """

    name: str
    header: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]
    digest: str


@dataclass
class State:
    """What all sessions of a journal know together.

    :param outcomes: the outcome of each key; the first final one stands.
    :param in_doubt: keys with an intent that has no outcome.
    :param unanswered: keys to which any call of ours went unanswered, settled since or not.
    :param seen: keys that were seen to be there before a try called anything.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    in_doubt: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def learn(self, outcome: Outcome) -> None:
        """Take in an outcome."""
        known = self.outcomes.get(outcome.key)
        if known is None or not known.result.final:
            self.outcomes[outcome.key] = outcome
        if outcome.unanswered or outcome.result is Result.UNKNOWN:
            self.unanswered.add(outcome.key)


def render(header: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the bytes of a segment."""
    body = b"".join(canonical(line) + b"\n" for line in (header, *lines))
    return body + canonical({"end": hashlib.sha256(body).hexdigest()}) + b"\n"


def parse(name: str, content: bytes) -> Segment | None:
    """Read a segment; None if it is torn (its end is missing).

    :raises JournalError: it has an end, but was changed.
    """
    body, _, trailer = content.removesuffix(b"\n").rpartition(b"\n")
    try:
        end = json.loads(trailer)["end"] if content.endswith(b"\n") else None
    except (ValueError, KeyError, TypeError):
        end = None
    if end is None:
        return None
    if hashlib.sha256(body + b"\n").hexdigest() != end:
        raise JournalError(f"The journal was changed: {name} does not match its own hash.")
    header, *lines = (json.loads(line) for line in body.split(b"\n"))
    return Segment(name, header, lines, f"sha256:{hashlib.sha256(content).hexdigest()}")


def load(store: Store, folder: str) -> list[Segment]:
    """Read all segments of a journal and check every chain; a torn tail is left out.

    :return: the segments, session by session in the order of their start.
    :raises JournalError: a segment was changed or is missing.
    """
    sessions: dict[str, list[Segment]] = {}
    torn: dict[str, str] = {}
    for name in store.names(folder):
        session, _, rest = name.removeprefix(f"{folder}/").partition("/")
        if not rest:
            continue
        if session in torn:
            raise JournalError(f"The journal was changed: {torn[session]} is cut off, but {name} follows it.")
        segment = parse(name, store.read(name))
        chain = sessions.setdefault(session, [])
        if segment is None:
            torn[session] = name
            continue
        header = segment.header
        expected = chain[-1].digest if chain else ""
        if header.get("prev") != expected or header.get("seq") != len(chain) or header.get("session") != session:
            raise JournalError(f"The journal was changed: {name} does not follow the segment before it.")
        chain.append(segment)
    _check_heads(sessions)
    order = sorted((chain for chain in sessions.values() if chain), key=lambda chain: _order(chain[0].header))
    return [segment for chain in order for segment in chain]


def _check_heads(sessions: Mapping[str, Sequence[Segment]]) -> None:
    digests = {segment.digest for chain in sessions.values() for segment in chain}
    for chain in sessions.values():
        for session, head in (chain[0].header.get("read", {}) if chain else {}).items():
            if head not in digests:
                raise JournalError(f"The journal was changed: session {session} lacks segments that were read before.")


def _order(header: Mapping[str, Any]) -> tuple[str, int, str]:
    return (header["started"], header["try"], header["session"])


class Journal:
    """The journal of one task instance, opened for one try.

    :param store: the evidence store.
    :param folder: the task instance's folder.
    :param manifest: digest of the approved list that the journal belongs to.
    :param started: when the DAG run started, ISO 8601; orders runs that were created anew under the same id.
    :param try_number: number of the try, from 1.
    :raises JournalError: the journal belongs to another list, or was changed.
    """

    def __init__(self, store: Store, folder: str, manifest: str, *, started: str, try_number: int) -> None:
        self.store = store
        self.folder = f"{folder}/journal"
        self.state = State()
        self.tries = 0
        earlier = load(store, self.folder)
        heads: dict[str, str] = {}
        for segment in earlier:
            self._take(segment, manifest)
            heads[segment.header["session"]] = segment.digest
        self.tries = len(heads)
        self.resumed = bool(earlier)
        self._session = f"{self.tries + 1:04}-{try_number:04}-{secrets.token_hex(4)}"
        self._seq = 0
        self._prev = ""
        self._known = {*heads, self._session}
        self._header = {"session": self._session, "started": started, "try": try_number}
        self._publish(OPEN, [], manifest=manifest, read=heads)

    def _take(self, segment: Segment, manifest: str) -> None:
        kind = segment.header["kind"]
        if kind == OPEN and segment.header["manifest"] != manifest:
            raise JournalError(
                f"This task instance has already worked on the list {segment.header['manifest']}; it was now given "
                f"{manifest}. Nothing was deleted. Start a new DAG run for the new list."
            )
        if kind == INTENTS:
            self.state.in_doubt |= {line["key"] for line in segment.lines}
        elif kind == SEEN:
            self.state.seen |= {line["key"] for line in segment.lines}
        elif kind == OUTCOMES:
            for line in segment.lines:
                outcome = Outcome.of(line)
                self.state.learn(outcome)
                self.state.in_doubt.discard(outcome.key)

    def see(self, keys: Set[str]) -> None:
        """Publish which records were seen to be there, for a later try that must judge an unanswered call.

        :raises EvidenceError: the store cannot be written.
        """
        if new := sorted(keys - self.state.seen):
            self._publish(SEEN, [{"key": key} for key in new])
            self.state.seen |= keys

    def intend(self, keys: Iterable[str]) -> None:
        """Publish what is about to be called; return only when it is on storage.

        :raises JournalError: a newer try of this task has taken over, nothing may be sent any more.
        :raises EvidenceError: the store cannot be written.
        """
        self._publish(INTENTS, [{"key": key} for key in keys])
        self.check_fence()

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Publish outcomes.

        :raises EvidenceError: the store cannot be written.
        """
        if outcomes:
            self._publish(OUTCOMES, [outcome.fields() for outcome in outcomes])
            for outcome in outcomes:
                self.state.learn(outcome)
                self.state.in_doubt.discard(outcome.key)

    def check_fence(self) -> None:
        """Stop if a newer try has opened the journal.

        :raises JournalError: it has.
        """
        for name in self.store.names(self.folder):
            session = name.removeprefix(f"{self.folder}/").partition("/")[0]
            if session in self._known:
                continue
            try:
                segment = parse(name, self.store.read(name))
            except EvidenceError:
                segment = None
            if segment is None or segment.header.get("kind") != OPEN:
                continue
            if _order(segment.header) > _order(self._header):
                raise JournalError(
                    f"A newer try of this task (session {session}) has taken over the disposal; this one stops."
                )
            self._known.add(session)

    def _publish(self, kind: str, lines: Sequence[Mapping[str, Any]], **more: object) -> None:
        header = {
            **self._header,
            **more,
            "kind": kind,
            "seq": self._seq,
            "prev": self._prev,
            "time": now(),
        }
        content = render(header, lines)
        self.store.write(f"{self.folder}/{self._session}/{self._seq:06}-{kind}.jsonl", content)
        self._prev = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._seq += 1
