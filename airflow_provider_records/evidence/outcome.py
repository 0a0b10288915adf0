"""What became of one record, and how strong the proof is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from airflow_provider_records.evidence.formats import newer_member


class OutcomeKind(StrEnum):
    """What became of a record."""

    DESTROYED = "destroyed"
    """Permanently gone; for Opus: the status is set."""
    RECYCLED = "recycled"
    """Moved to a recycle bin; never called destroyed."""
    ABSENT = "absent"
    """Was not there before anything was sent."""
    BLOCKED = "blocked"
    """Must not be deleted (hold, retention, not due, not the object that was approved), or the system refuses it."""
    FAILED = "failed"
    """An error that a retry may cure."""
    UNKNOWN = "unknown"
    """The response was lost, and nothing could be found out since."""
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
    """The same look at the system showed it before the call, and does not afterwards."""
    INFERRED = "inferred"
    """A call of ours went unanswered, then the record was not found."""


_BY_TEXT: Mapping[object, OutcomeKind] = {str(kind): kind for kind in OutcomeKind}
_PROOFS: Mapping[object, Proof] = {str(proof): proof for proof in Proof}
_MEMBERS = frozenset(
    {"key", "outcome", "proof", "reason", "request_id", "detail", "time", "unanswered", "stayed", "earlier"}
)


def known_kind(text: object) -> OutcomeKind:
    """Return the outcome that a file names.

    :raises NewerFormatError: this release does not know it.
    :raises ValueError: it is no text.
    """
    if (kind := _BY_TEXT.get(text)) is not None:
        return kind
    if not isinstance(text, str):
        raise ValueError("an outcome must be text")
    raise newer_member(f"An outcome is {text[:40]!r}")


def _known_proof(text: object) -> Proof:
    if (proof := _PROOFS.get(text)) is not None:
        return proof
    if not isinstance(text, str):
        raise ValueError("a proof must be text")
    raise newer_member(f"A proof is {text[:40]!r}")


PROCESS_DIED = "our process died; whether this call left is not known"
"""The reason of an inferred outcome whose call a process intended that ended before it could say what it did."""


def now() -> str:
    """Return the time in UTC as ISO 8601 text with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one record.

    :param key: the record's key.
    :param kind: see :class:`OutcomeKind`.
    :param proof: see :class:`Proof`; None where nothing was done.
    :param reason: in words: why it is blocked, failed, unknown or not attempted.
    :param request_id: the vendor's id of the request.
    :param detail: the vendor's raw text, at most 500 characters.
    :param time: when it became known, ISO 8601 in UTC.
    :param unanswered: a call for this record went unanswered, so that it may take effect late.
    :param stayed: after a call that went unanswered the record was still there, or refused, and nothing was sent since:
        that it is gone some day does not show that a call of ours did it.
    :param earlier: of one that is absent: what an earlier run of the DAG did to it (``destroyed`` or ``recycled``), if
        nobody has marked it since.
    :param unrecognized: members of a file that this release does not know; they are written back as they are.
    """

    key: str
    kind: OutcomeKind
    proof: Proof | None = None
    reason: str | None = None
    request_id: str | None = None
    detail: str | None = None
    time: str = ""
    unanswered: bool = False
    stayed: bool = False
    earlier: OutcomeKind | None = None
    unrecognized: Mapping[str, Any] | None = None

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Outcome:
        """Read what :meth:`to_dict` wrote.

        :raises NewerFormatError: it holds an outcome or a proof that this release does not know.
        :raises ValueError: a member has another type than it must have.
        :raises KeyError: it has no key or no outcome.
        """
        proof = fields.get("proof")
        unrecognized = None if fields.keys() <= _MEMBERS else {n: v for n, v in fields.items() if n not in _MEMBERS}
        return cls(
            fields["key"],
            known_kind(fields["outcome"]),
            None if proof is None else _known_proof(proof),
            fields.get("reason"),
            fields.get("request_id"),
            fields.get("detail"),
            fields.get("time", ""),
            bool(fields.get("unanswered")),
            bool(fields.get("stayed")),
            None if (earlier := fields.get("earlier")) is None else known_kind(earlier),
            unrecognized,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain JSON, without what is empty."""
        pairs: dict[str, Any] = {"key": self.key, "outcome": str(self.kind)}
        if self.proof:
            pairs["proof"] = str(self.proof)
        if self.reason:
            pairs["reason"] = self.reason
        if self.request_id:
            pairs["request_id"] = self.request_id
        if self.detail:
            pairs["detail"] = self.detail
        if self.time:
            pairs["time"] = self.time
        if self.unanswered:
            pairs["unanswered"] = True
        if self.stayed:
            pairs["stayed"] = True
        if self.earlier:
            pairs["earlier"] = str(self.earlier)
        return {**self.unrecognized, **pairs} if self.unrecognized else pairs
