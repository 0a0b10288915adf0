"""What a journal is bound to as soon as an intent stands in it: one list, one system, one target, one method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_records.evidence.distinct import DigestSet
from airflow_provider_records.evidence.segment import INTENTS, OPEN, Segment
from airflow_provider_records.exceptions import JournalError


@dataclass(frozen=True)
class Place:
    """Where and how a list is carried out.

    :param system: the short name of the system, such as ``enaio``.
    :param target: where the system's client acts, see ``VendorHook.target``.
    :param method: ``destroy``, ``recycle`` or ``mark``.
    :param conn_id: the Airflow connection; another connection to the same target is the same place.
    """

    system: str = ""
    target: str = ""
    method: str = ""
    conn_id: str = field(default="", compare=False)

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Place:
        """Read it from the header of a session or from the members of a summary; what is missing is empty."""
        return cls(*(str(members.get(name, "")) for name in cls.__dataclass_fields__))

    def to_dict(self) -> dict[str, str]:
        """Return the members as JSON has them, without what is empty."""
        return {name: value for name, value in vars(self).items() if value}

    def __str__(self) -> str:
        return f"{self.system or 'no system'} at {self.target or 'no target'}, method {self.method or 'none'}"


@dataclass(frozen=True)
class Session:
    """What one try intended.

    :param manifest: what its list comes from, see ``journal_key``.
    :param place: where and how it carried the list out.
    :param keys: the records that it intended to call for.
    """

    manifest: str
    place: Place
    keys: Set[str]


def intended(segments: Iterable[Segment]) -> dict[str, Session]:
    """Return the sessions of a journal that intended anything, by name; a try that intended nothing binds nothing."""
    keys: dict[str, set[str]] = {}
    opened: dict[str, Mapping[str, Any]] = {}
    for segment in segments:
        if segment.header["kind"] == INTENTS:
            keys.setdefault(segment.header["session"], set()).update(line["key"] for line in segment.lines)
        elif segment.header["kind"] == OPEN:
            opened[segment.header["session"]] = segment.header
    return {
        session: Session(opened[session]["manifest"], Place.from_dict(opened[session]), intended_keys)
        for session, intended_keys in keys.items()
    }


def refuse_other(sessions: Mapping[str, Session], manifest: str, place: Place) -> None:
    """Refuse to go on under a journal that is bound to something else.

    :param sessions: what the journal intended.
    :param manifest: what the given list comes from, see ``journal_key``.
    :param place: where and how it is to be carried out.
    :raises JournalError: an intent stands for another list, system, target or method.
    """
    for session in sessions.values():
        if session.manifest != manifest:
            raise _bound(session, f"the list {manifest}")
        if session.place != place:
            raise _bound(session, str(place))


def refuse_less(sessions: Mapping[str, Session], keys: Iterable[str], *, dry_run: bool) -> None:
    """Refuse a list that leaves out what a journal holds already, such as the empty list, and a rehearsal.

    :param sessions: what the journal intended.
    :param keys: the records of the given list; they are not read where nothing was intended.
    :param dry_run: whether nothing is to be sent.
    :raises JournalError: an intent stands that the given list does not cover.
    """
    listed = DigestSet(keys if sessions and not dry_run else ())
    for session in sessions.values():
        if dry_run:
            raise _bound(session, "dry_run=True")
        if left_out := min((key for key in session.keys if key not in listed), default=""):
            given = f"a list of {listed.count} records without {left_out!r}" if listed.count else "an empty list"
            raise _bound(session, given)


def _bound(session: Session, given: str) -> JournalError:
    count = len(session.keys)
    return JournalError(
        f"This task instance has already worked on the list {session.manifest} ({session.place}; {count} "
        f"record{'' if count == 1 else 's'} begun); it was now given {given}. Nothing was sent, and what it did "
        "stands. Start a new DAG run."
    )
