"""The files of a journal, and what they say together.

A journal is a folder of segments, one folder a session. A segment is published whole: a header line, which names the
format, lines, and a trailer with the hash of all before it. See :mod:`airflow_provider_records.evidence.journal`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.outcome import OutcomeKind, known_kind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, JournalError, NewerFormatError

OPEN, OBSERVED, INTENTS, ALIVE, OUTCOMES = "open", "observed", "intents", "alive", "outcomes"
_KINDS = frozenset({OPEN, OBSERVED, INTENTS, ALIVE, OUTCOMES})
_TEXT = frozenset({"session", "started", "kind", "prev", "time"})
_NUMBERS = frozenset({"try", "seq", "lines"})
_MAY_HAVE = frozenset({"system", "target", "method", "conn_id", "missing_session", "begun", "refused", "timeline"})
_LINE_TEXT = ("proof", "reason", "request_id", "detail", "time")

Known = TypeVar("Known")


@dataclass(frozen=True)
class Segment:
    """One published piece of a journal.

    :param name: its name in the store.
    :param header: its first line, without the members that name the format.
    :param lines: what it holds.
    :param digest: hash of its bytes.
    """

    name: str
    header: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]
    digest: str


@dataclass
class JournalState(Generic[Known]):
    """What all sessions of a journal know together: the one fold over its segments.

    :param read: makes of a line what is kept of an outcome.
    :param outcomes: what is known of each key; the last final outcome stands.
    :param in_doubt: keys with an intent that has no outcome.
    :param unanswered: keys to which any call went unanswered, resolved since or not.
    :param abandoned: keys that a session intended, and had no outcome for when another one started: it is not known
        whether a call left.
    :param observed_before: keys that were observed to be there by the try that called for them, or by this one, before
        any call. What a later try observes in their place shows that the earlier calls did nothing.
    :param canaries: ids of objects that the system saw besides the list.
    :param missing_session: URI of an earlier try's session that is not there any more; empty: none is missing.
    """

    read: Callable[[Mapping[str, Any]], Known]
    outcomes: MutableMapping[str, Known] = field(default_factory=dict)
    in_doubt: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    abandoned: set[str] = field(default_factory=set)
    observed_before: set[str] = field(default_factory=set)
    canaries: list[str] = field(default_factory=list)
    missing_session: str = ""
    _open: set[str] = field(default_factory=set)
    _unresolved: set[str] = field(default_factory=set)
    _observed_earlier: set[str] = field(default_factory=set)
    _observed_uncalled: set[str] = field(default_factory=set)

    @property
    def doubtful(self) -> set[str]:
        """Keys for which a call may have been sent of which nobody knows what became."""
        return self.in_doubt | self._unresolved

    def add(self, segment: Segment) -> None:
        """Take in a segment; those of a journal in their order.

        :raises NewerFormatError: it holds an outcome that this release does not know.
        """
        kind = segment.header["kind"]
        if kind == INTENTS:
            keys = {line["key"] for line in segment.lines}
            self.in_doubt |= keys
            self._observed_uncalled -= keys
        elif kind == OBSERVED:
            self.observe({line["key"] for line in segment.lines})
            self.canaries = segment.header.get("canaries", self.canaries)
        elif kind == OUTCOMES:
            for line in segment.lines:
                flags = bool(line.get("unanswered")), bool(line.get("stayed"))
                self.apply(line["key"], known_kind(line["outcome"]), *flags, self.read(line))
        elif kind == OPEN:
            self.missing_session = segment.header.get("missing_session", self.missing_session)
            self.abandon()

    def abandon(self) -> None:
        """Take in that a new session starts; of what the one before observed, what it called for counts."""
        self.abandoned |= self.in_doubt
        self.observed_before -= self._observed_uncalled
        self._observed_uncalled.clear()
        self._observed_earlier = self.observed_before & self.doubtful

    def observe(self, keys: Set[str]) -> Set[str]:
        """Take in what a try observed at its start; return what of it is new.

        What an earlier try observed counts only for its own calls: a later one may meet another state of affairs. And
        what is there again after an earlier try's call counts only for a call that follows.
        """
        doubtful = self.doubtful
        self.observed_before &= doubtful
        new = keys - (self.observed_before - self._observed_earlier)
        self.observed_before |= new
        self._observed_earlier -= new
        self._observed_uncalled |= new & doubtful
        return new

    def apply(self, key: str, kind: OutcomeKind, unanswered: bool, stayed: bool, known: Known) -> None:
        """Take in an outcome.

        :param unanswered: whether a call went unanswered, so that it may still take effect.
        :param stayed: whether it was still there after that, so that what was observed before counts for no call.
        :param known: what is kept of it.
        """
        unresolved = unanswered or kind is OutcomeKind.UNKNOWN
        if kind.final or key not in self.outcomes or key in self._open:
            self.outcomes[key] = known
            (self._open.discard if kind.final else self._open.add)(key)
            (self._unresolved.add if unresolved else self._unresolved.discard)(key)
        if unresolved:
            self.unanswered.add(key)
        if unanswered or kind is not OutcomeKind.UNKNOWN:
            self.abandoned.discard(key)
        if stayed:
            self.observed_before.discard(key)
        self.in_doubt.discard(key)


def render_segment(header: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the bytes of a segment."""
    first = {**header, **formats.JOURNAL.members, "lines": len(lines)}
    body = b"".join(canonical(line) + b"\n" for line in (first, *lines))
    return body + _trailer(body)


def _trailer(body: bytes) -> bytes:
    return canonical({"end": hashlib.sha256(body).hexdigest()}) + b"\n"


def parse_segment(name: str, content: bytes) -> Segment | None:
    """Read a segment; None if it is torn: cut off before its end, so that nothing was ever built on it.

    :raises NewerFormatError: it was written by a newer release.
    :raises JournalError: it was changed: it is neither a segment nor the beginning of one.
    """
    *complete, rest = content.split(b"\n")
    if not complete:
        return None
    body = content[: len(content) - len(rest)]
    try:
        header = formats.JOURNAL.check_line(complete[0], name)
        lines = json.loads(b"[%b]" % b",".join(complete[1:]))  # at once: a third of the time that line by line takes
        if len(lines) + 1 != len(complete):
            raise ValueError
        missing = header["lines"] + 1 - len(lines)
        if missing > 0 and not (lines and "end" in lines[-1]):
            # A file system may fill with zeros what it lost.
            if missing > 1 or _trailer(body).startswith(rest.rstrip(b"\0")):
                return None
            raise ValueError
        body = body[: -len(complete[-1]) - 1]
        if missing or rest or complete[-1] + b"\n" != _trailer(body):
            raise ValueError
        _check_header(header)
        if header["kind"] not in _KINDS:
            raise formats.newer_member(f"{name} is a segment of the kind {header['kind'][:40]!r}")
        _check_lines(header["kind"], lines[:-1])
    except NewerFormatError:
        raise
    except (EvidenceError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise JournalError(f"The journal was changed: {name} does not match its own hash.") from None
    return Segment(name, header, lines[:-1], f"sha256:{hashlib.sha256(content).hexdigest()}")


def _check_header(header: Mapping[str, Any]) -> None:
    """Check that a header has all members that its readers use.

    :raises ValueError: a member is missing, or has another type than it must have.
    """
    texts = {name: header.get(name) for name in _TEXT} | {name: header[name] for name in _MAY_HAVE & header.keys()}
    numbers = [header.get(name) for name in _NUMBERS]
    if not all(isinstance(text, str) for text in texts.values()) or not all(type(each) is int for each in numbers):
        raise ValueError
    if datetime.fromisoformat(header["time"]).tzinfo is None:
        raise ValueError
    if "timeline" in header and type(header.get("elapsed")) not in {int, float}:
        raise ValueError
    canaries = header.get("canaries", [])
    if not isinstance(canaries, list) or not all(isinstance(each, str) for each in canaries):
        raise ValueError
    if header["kind"] == OPEN:
        read, end = header.get("read"), header.get("calls_end_within")
        heads = [*read.keys(), *read.values()] if isinstance(read, dict) else [None]
        if not all(isinstance(text, str) for text in (*heads, header.get("manifest"))):
            raise ValueError
        if isinstance(end, bool) or not isinstance(end, (int, float)) or not 0 <= end < math.inf:
            raise ValueError


def _check_lines(kind: str, lines: Sequence[Any]) -> None:
    """Check that each line has the members that its readers use.

    :raises ValueError: a member is missing, or has another type than it must have.
    """
    for line in lines:
        if not isinstance(line["key"], str):
            raise ValueError
        if kind == OUTCOMES and not (
            isinstance(line["outcome"], str)
            and all(line.get(name) is None or isinstance(line[name], str) for name in _LINE_TEXT)
        ):
            raise ValueError


def load_segments(store: Store, folder: str) -> list[Segment]:
    """Read all segments of a journal at once, see :func:`each_segment`."""
    return list(each_segment(store, folder))


def each_segment(store: Store, folder: str) -> Iterator[Segment]:
    """Read the segments of a journal one by one and check every chain; what is torn is left out.

    A segment whose publication was not confirmed may be there, torn, or missing; the session then went on from
    the last one that was. Whoever uses segments before the end has to expect an error there.

    :param folder: the journal's folder.
    :return: the segments, session by session in the order of their start.
    :raises NewerFormatError: a segment was written by a newer release.
    :raises JournalError: a segment was changed or is missing.
    """
    sessions: dict[str, list[str]] = {}
    for name in store.names(folder):
        session, nested, _ = name.removeprefix(f"{folder}/").partition("/")
        if nested:
            sessions.setdefault(session, []).append(name)
    started = {session: first for session, names in sessions.items() if (first := _first_whole(store, names))}
    names = [
        name
        for session, first in sorted(started.items(), key=lambda each: (*order(each[1]), each[1]["session"]))
        for name in sessions[session]
    ]
    digests: set[str] = set()
    begun: set[str] = set()
    for name, content in zip(names, store.read_all(names), strict=True):
        session, _, file = name.removeprefix(f"{folder}/").partition("/")
        if (segment := parse_segment(name, content)) is None:
            continue
        header = segment.header
        follows = header["prev"] in digests if session in begun else header["kind"] == OPEN
        if not follows or header["session"] != session or file != segment_name(header["seq"], header["kind"]):
            raise JournalError(f"The journal was changed: {name} does not follow the segment before it.")
        begun.add(session)
        digests.add(segment.digest)
        yield segment
    for first in started.values():
        for session, head in first["read"].items():
            if head not in digests:
                raise JournalError(f"The journal was changed: session {session} lacks segments that were read before.")


def _first_whole(store: Store, names: Iterable[str]) -> Mapping[str, Any] | None:
    """Return the header of a session's first segment that is not torn."""
    segments = (parse_segment(name, store.read(name)) for name in names)
    return next((segment.header for segment in segments if segment is not None), None)


def has_intents(store: Store, folder: TaskFolder) -> bool:
    """Tell whether a try of a task instance called for any record, or was about to."""
    return any(name.endswith(f"-{INTENTS}.jsonl") for name in store.names(folder.journal))


def segment_name(seq: int, kind: str) -> str:
    """Return the last part of a segment's name."""
    return f"{seq:06}-{kind}.jsonl"


def order(header: Mapping[str, Any]) -> tuple[str, int]:
    """Return what orders sessions: the moment from which tries count, then the number of their try."""
    return header["started"], header["try"]
