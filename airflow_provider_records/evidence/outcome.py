"""What became of one record, and how strong the proof is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class OutcomeKind(StrEnum):
    """What became of a record."""

    DESTROYED = "destroyed"
    """Permanently gone; for Opus: the status is set."""
    RECYCLED = "recycled"
    """Moved to a recycle bin; never called destroyed."""
    ABSENT = "absent"
    """Was already gone before us."""
    BLOCKED = "blocked"
    """The system refuses for a business reason; final for this run."""
    FAILED = "failed"
    """An error that a retry may cure."""
    UNKNOWN = "unknown"
    """The answer was lost and could not be settled."""
    NOT_ATTEMPTED = "not_attempted"
    """No call was sent."""

    @property
    def final(self) -> bool:
        """Whether a retry of the same run leaves it as it is."""
        return self not in _OPEN

    @property
    def gone(self) -> bool:
        """Whether the record is no longer where it was."""
        return self in _GONE


_OPEN = frozenset({OutcomeKind.FAILED, OutcomeKind.UNKNOWN, OutcomeKind.NOT_ATTEMPTED})
_GONE = frozenset({OutcomeKind.DESTROYED, OutcomeKind.RECYCLED, OutcomeKind.ABSENT})


class Proof(StrEnum):
    """How an outcome is known."""

    RESPONSE = "response"
    """The system said so."""
    PROBE = "probe"
    """We looked afterwards."""
    INFERRED = "inferred"
    """Our own unanswered intent, then "not found"."""


def now() -> str:
    """Return the time in UTC as ISO 8601 text with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one record.

    :param key: the record's key.
    :param result: see :class:`Result`.
    :param proof: see :class:`Proof`; None where nothing was done.
    :param reason: in words: why it is blocked, failed, unknown or not attempted.
    :param request_id: the vendor's id of the request.
    :param detail: the vendor's raw text, at most 500 characters.
    :param time: when it became known, ISO 8601 in UTC.
    :param unanswered: a call of ours for this record went unanswered, so that it may take effect late.
    """

    key: str
    kind: OutcomeKind
    proof: Proof | None = None
    reason: str | None = None
    request_id: str | None = None
    detail: str | None = None
    time: str = ""
    unanswered: bool = False

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Outcome:
        """Read what :meth:`fields` wrote."""
        proof = fields.get("proof")
        return cls(
            key=fields["key"],
            kind=OutcomeKind(fields["outcome"]),
            proof=Proof(proof) if proof else None,
            reason=fields.get("reason"),
            request_id=fields.get("request_id"),
            detail=fields.get("detail"),
            time=fields.get("time", ""),
            unanswered=bool(fields.get("unanswered", False)),
        )

    def fields(self) -> dict[str, str | bool]:
        """Return the outcome as plain JSON, without what is empty."""
        pairs = {"outcome" if name == "kind" else name: getattr(self, name) for name in self.__slots__}
        return {name: value if value is True else str(value) for name, value in pairs.items() if value}


def counts(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Count outcomes by result; every result has a number."""
    found = Counter(outcome.kind for outcome in outcomes)
    return {str(kind): found[kind] for kind in OutcomeKind}
