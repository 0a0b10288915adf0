"""Which other task instances say, or may say, that they disposed of a record: no deletion is claimed twice.

An unanswered call is taken for the reason that a record is gone. Another run may have deleted it meanwhile; its journal
says so, or that a call of it is in doubt. Only journals that were written since this task began its own can: what was
deleted before that, no look of it showed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from airflow_provider_records.evidence.binding import Place, intended
from airflow_provider_records.evidence.folders import DISPOSALS, TaskFolder
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.segment import JournalState, Segment, load_segments, parse_segment
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, JournalError

_SLACK = timedelta(hours=1)
"""The clocks of two workers may differ, and a call may take effect some time after the last segment."""


class Claimed(StrEnum):
    """What became of a record, as the journal of another task instance says."""

    DISPOSED = "disposed"
    """It disposed of the record, as this task does."""
    BINNED = "binned"
    """It moved the record into a recycle bin, out of which this task deletes."""
    IN_DOUBT = "in doubt"
    """A call of it got no response."""


@dataclass(frozen=True)
class DeletionClaim:
    """What the journal of another task instance says of a record.

    :param folder: its folder, which names DAG, run and task.
    :param claimed: what it says.
    """

    folder: TaskFolder
    claimed: Claimed


def claimed_elsewhere(
    store: Store, own: TaskFolder, place: Place, since: datetime, records: Sequence[Record]
) -> dict[str, DeletionClaim]:
    """Look into the journals of all other task instances of the store.

    :param own: the folder of this task instance.
    :param place: where it disposes of the records.
    :param since: when it began its journal.
    :param records: the records that are asked about.
    :return: claims by key; that somebody disposed of a record wins.
    :raises EvidenceError: the store cannot be read.
    """
    found: dict[str, DeletionClaim] = {}
    wanted = {_identity(record, place): record.key for record in records}
    for folder, sessions in _journals(store).items():
        if folder == own or not _written_since(store, sessions, since - _SLACK):
            continue
        try:
            claims = dict(_claims(store, folder, place))
        except JournalError:
            continue  # one that was changed proves nothing
        for identity, claimed in claims.items():
            key = wanted.get(identity)
            if key is not None and (claimed is Claimed.DISPOSED or key not in found):
                found[key] = DeletionClaim(folder, claimed)
    return found


def _identity(record: Record, place: Place) -> str:
    """Return what tells a record from others in its system."""
    return record.key if place.method == "mark" else record.target_id


def _journals(store: Store) -> dict[TaskFolder, dict[str, str]]:
    """Return the name of the last segment of each session, by the folder of the task instance."""
    found: dict[TaskFolder, dict[str, str]] = {}
    for name in store.names(DISPOSALS):
        folder = TaskFolder.containing(name)
        if folder.is_journal(name):
            found.setdefault(folder, {})[name.rpartition("/")[0]] = name
    return found


def _written_since(store: Store, sessions: Mapping[str, str], since: datetime) -> bool:
    for name in sessions.values():
        try:
            segment = parse_segment(name, store.read(name))
        except JournalError:
            return True
        if segment is None or datetime.fromisoformat(segment.header["time"]) >= since:
            return True
    return False


def _claims(store: Store, folder: TaskFolder, place: Place) -> Iterator[tuple[str, Claimed]]:
    """Return what this task instance says of the records that it disposed of, or may have, by identity."""
    for _, identity, kind in called_for(store, folder, place):
        if kind is None:
            yield identity, Claimed.IN_DOUBT
        else:
            binned = kind is OutcomeKind.RECYCLED and place.method == "destroy"
            yield identity, Claimed.BINNED if binned else Claimed.DISPOSED


def called_for(store: Store, folder: TaskFolder, place: Place) -> Iterator[tuple[str, str, OutcomeKind | None]]:
    """Return what the journal of a task instance says of the records that it disposed of at a place, or may have.

    :return: the key, what tells the record from others in its system, and what became of it; None: its call is in
        doubt.
    :raises JournalError: the journal was changed.
    """
    segments = load_segments(store, folder.journal)
    sessions = intended(segments)
    if not any((each.place.system, each.place.target) == (place.system, place.target) for each in sessions.values()):
        return
    identities = {key: key for session in sessions.values() for key in session.keys}
    for session in sessions.values():
        identities |= _identities(store, session.manifest, place)
    state = _fold(segments)
    for key, outcome in state.outcomes.items():
        if outcome.kind in {OutcomeKind.DESTROYED, OutcomeKind.RECYCLED} and key not in state.doubtful:
            yield key, identities.get(key, key), outcome.kind
    for key in state.doubtful:
        yield key, identities.get(key, key), None


def _identities(store: Store, digest: str, place: Place) -> dict[str, str]:
    try:
        return {record.key: _identity(record, place) for record in Manifest.open(store, digest)}
    except EvidenceError:
        return {}  # the key of several lists together; then the keys have to do


def _fold(segments: Sequence[Segment]) -> JournalState[Outcome]:
    state = JournalState(Outcome.from_dict)
    for segment in segments:
        state.add(segment)
    return state
