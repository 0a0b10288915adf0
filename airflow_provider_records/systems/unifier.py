"""How Oracle Primavera Unifier moves documents to its recycle bin, and how far it can be asked afterwards."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Self

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.summary import SystemDescription
from airflow_provider_records.exceptions import (
    InvalidRecordsError,
    NotFoundError,
    RefusedError,
    ServerError,
    StopError,
    UnavailableError,
    VendorError,
)
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.hooks.unifier_responses import NODE_ID, Node
from airflow_provider_records.systems.base import outcome_from_error
from airflow_provider_records.systems.finding import Finding, GoneRecord, Probe, Whereabouts, grouped

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderAddress:
    """A folder as a record names it: by its node id, or by shell and path.

    :param node_id: the record's ``parent_id``.
    :param project_number: the record's attribute ``project_number``; empty: company level.
    :param path: the record's ``location``.
    """

    node_id: str | None = None
    project_number: str = ""
    path: str = ""

    @classmethod
    def from_record(cls, record: Record) -> FolderAddress | None:
        """Return the folder that a record names, or None.

        :raises InvalidRecordsError: its node id, shell or path is malformed.
        """
        if record.parent_id is not None:
            if not NODE_ID.fullmatch(record.parent_id):
                raise InvalidRecordsError(f"Record {record.key!r}: parent_id must be the node id of a folder.")
            return cls(record.parent_id)
        if record.location is None or "project_number" not in record.attributes:
            return None
        project = record.attributes["project_number"] or ""
        if not isinstance(project, str) or not record.location.startswith("/"):
            raise InvalidRecordsError(
                f"Record {record.key!r}: the attribute project_number must be text, and location a path from '/'."
            )
        return cls(None, project, record.location.rstrip("/") or "/")

    def __str__(self) -> str:
        return f"folder {self.node_id or self.path}" + (f" of {self.project_number}" if self.project_number else "")


class Contents:
    """What one listing of a folder showed.

    :param nodes: the documents and folders directly in it.
    """

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.by_id = {node.node_id: node for node in nodes}
        self.by_file = {node.file_id: node for node in self.by_id.values() if node.file_id}

    def obstacle(self, record: Record) -> str | None:
        """Say why the record's id is not that of its document here; None if it is."""
        node, owner = self.by_id.get(record.target_id), self.by_file.get(record.target_id)
        if node is None:
            hint = f"it is the file id of node {owner.node_id}" if owner else "it was deleted or moved before"
            return f"does not list node {record.target_id}: {hint}, or the id is wrong"
        if node.type != "Document":
            return f"lists node {record.target_id} as {node.type or 'something of no type'}, not as a document"
        if owner and record.title == owner.name != node.name:
            return f"lists node {record.target_id} under another name: it is the file id of node {owner.node_id}"
        return None


class _Listing:
    """The newest listing of one folder, shared by all threads that may rely on it."""

    def __init__(self, read: Callable[[], Contents]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._begun = -math.inf
        self._contents = Contents()

    def since(self, moment: float) -> Contents:
        """Return a listing that was requested after ``moment``: an older one may still show deleted documents."""
        with self._lock:
            if self._begun < moment:
                begun = time.monotonic()
                self._contents = self._read()
                self._begun = begun
            return self._contents


class UnifierSystem:
    """How Unifier recycles a document, and how far it can be asked afterwards.

    No call gets a document by its own id. A probe is a listing of its folder, which the record must name:
    ``parent_id``, or the attribute ``project_number`` (empty: company level) with ``location``. If it does, a
    document is deleted only if its folder listed it as a document before the first call: the id of a file or folder
    that was taken for a node id deletes nothing. What was listed goes into the journal, so that after a lost
    response "not listed" means that our call did it. A document that is not listed may have been moved: nothing is
    sent for it, and nothing is claimed.

    :param hook: the client.
    """

    name = "unifier"
    batch_size = 1

    def __init__(self, hook: UnifierHook) -> None:
        self.hook = hook
        self._observed_before: Set[str] = frozenset()
        self._listing = lru_cache(maxsize=64)(lambda folder: _Listing(lambda: self.read(folder)))

    @classmethod
    def from_connection(cls, conn_id: str) -> Self:
        """Return the system behind an Airflow connection, to look back."""
        return cls(UnifierHook(conn_id))

    @property
    def max_concurrency(self) -> int:
        """The number of requests that the connection allows at the same time."""
        return self.hook.settings.max_concurrency

    def describe(self) -> SystemDescription:
        """Say that documents are moved to the recycle bin: the API has no permanent deletion."""
        return SystemDescription(
            "Unifier",
            "Moved to the recycle bin of Unifier, whose interface knows no permanent deletion",
            action="recycle",
        )

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        """Refuse malformed node ids, and list every folder that the records name."""
        folders: dict[FolderAddress, list[Record]] = {}
        for record in records:
            if not NODE_ID.fullmatch(record.target_id):
                raise InvalidRecordsError(
                    f"Record {record.key!r}: target_id {record.target_id!r} is no node id of Unifier, which is a whole "
                    "number; nothing was sent."
                )
            if (folder := FolderAddress.from_record(record)) and record.key not in observed_before:
                folders.setdefault(folder, []).append(record)

        stopped = threading.Event()

        def observed(folder: FolderAddress) -> list[str]:
            try:
                contents = Contents() if stopped.is_set() else self.read(folder)
            except UnavailableError:
                raise
            except VendorError as error:  # reported for each of its records when it is its turn
                if isinstance(error, StopError):
                    stopped.set()
                return []
            return [record.key for record in folders[folder] if contents.obstacle(record) is None]

        with ThreadPoolExecutor(self.hook.settings.max_concurrency, thread_name_prefix=self.name) as pool:
            here = frozenset(key for keys in pool.map(observed, folders) for key in keys)
        self._observed_before = here | observed_before
        return here

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        """Delete one document ("Delete Documents by node_id")."""
        return [self._delete(record, record.key in unanswered) for record in batch]

    def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
        """List the folder after an unanswered call ("Get Folders or Documents Metadata")."""
        return [self._resolve_unanswered(record) for record in batch]

    def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        """List each folder once. Some listings show the recycle bin; then the outcome stays as it is."""
        folders = {folder for record, _ in batch if (folder := FolderAddress.from_record(record))}
        listed: dict[FolderAddress, Contents] = {}
        for folder in folders:
            try:
                listed[folder] = self._contents(folder)
            except (StopError, UnavailableError):
                raise
            except VendorError as error:
                log.warning("%s; what was deleted in it stays proven by the answers only", error)
        return [self._verified(record, outcome, listed) for record, outcome in batch]

    def _verified(self, record: Record, outcome: Outcome, listed: Mapping[FolderAddress, Contents]) -> Outcome:
        folder = FolderAddress.from_record(record)
        if folder is None or folder not in listed:
            return outcome
        if record.target_id not in listed[folder].by_id:
            return Outcome(record.key, outcome.kind, Proof.PROBE, outcome.reason, outcome.request_id, outcome.detail)
        if outcome.kind is OutcomeKind.ABSENT:
            reason = f"Unifier does not know its node id, yet its {folder} lists it"
            return Outcome(record.key, OutcomeKind.UNKNOWN, None, reason, outcome.request_id, outcome.detail)
        return outcome

    def look_back(self, claims: Sequence[GoneRecord]) -> Iterator[Probe]:
        """List the folders that the records name: Unifier shows a document nowhere else."""
        folders = grouped(claims, lambda claim: FolderAddress.from_record(claim.record))
        return (Probe(ours, partial(self._find, folder, ours)) for folder, ours in folders.items())

    def _find(self, folder: FolderAddress | None, claims: Sequence[GoneRecord]) -> list[Finding]:
        if folder is None:
            why = "the record does not name its folder, and Unifier finds no document by its id"
            return [Finding(claim, Whereabouts.UNSEEN, why) for claim in claims]
        listed = self.read(folder).by_id
        return [_found(claim, claim.record.target_id in listed, folder) for claim in claims]

    def _delete(self, record: Record, in_doubt: bool) -> Outcome:
        folder = FolderAddress.from_record(record)
        if folder is not None and record.key not in self._observed_before:
            return self._not_sent(record, folder)
        try:
            done = self.hook.delete_document(record.target_id)
        except NotFoundError as error:
            if in_doubt:
                return self._not_found_after_doubt(record, error)
            reason = "Unifier does not know its node id: it was gone before, or the id is wrong"
            return outcome_from_error(record, OutcomeKind.ABSENT, reason, error)
        except RefusedError as error:
            return outcome_from_error(record, OutcomeKind.BLOCKED, error.reason, error)
        except ServerError as error:
            return self._after_error(record, error)
        return Outcome(
            record.key, OutcomeKind.RECYCLED, Proof.RESPONSE, request_id=done.request_id, detail=done.message or None
        )

    def _resolve_unanswered(self, record: Record) -> Outcome | None:
        folder = FolderAddress.from_record(record)
        if folder is None:
            reason = (
                "its call went unanswered, and no call of Unifier finds a document by its id; name its folder "
                "(parent_id, or project_number and location), so that it can be looked up"
            )
            return Outcome(record.key, OutcomeKind.UNKNOWN, reason=reason)
        contents = self._contents(folder)
        if record.key not in self._observed_before:
            # Only records that were observed are ever sent, so there was no call for this one.
            return _unfit(record, folder, contents)
        if record.target_id in contents.by_id:
            return None
        reason = f"its call went unanswered; its {folder} listed it before and does not any more"
        return Outcome(record.key, OutcomeKind.RECYCLED, Proof.INFERRED, reason)

    def _not_sent(self, record: Record, folder: FolderAddress) -> Outcome:
        try:
            contents = self._contents(folder)
        except (StopError, UnavailableError):
            raise
        except RefusedError as error:
            return outcome_from_error(record, OutcomeKind.BLOCKED, f"nothing was sent: {error.reason}", error)
        except VendorError as error:
            reason = f"nothing was sent, since its {folder} cannot be listed: {error}"
            return outcome_from_error(record, OutcomeKind.FAILED, reason, error, proof=None)
        reason = f"nothing was sent: its {folder} could not be listed before; the next try looks again"
        return _unfit(record, folder, contents) or Outcome(record.key, OutcomeKind.FAILED, reason=reason)

    def _not_found_after_doubt(self, record: Record, error: NotFoundError) -> Outcome:
        """Return what code 12764 means after an unanswered call of ours; only a probe tells whether the call did it."""
        reason = "Unifier does not know its node id after an unanswered call of ours"
        there = self._still_listed(record)
        if there is None:
            reason += ", and its folder cannot be seen"
            return outcome_from_error(record, OutcomeKind.UNKNOWN, reason, error, proof=None)
        if there:
            reason += ", yet its folder lists it"
            return outcome_from_error(record, OutcomeKind.UNKNOWN, reason, error, proof=None)
        reason += ", and its folder does not list it"
        return outcome_from_error(record, OutcomeKind.RECYCLED, reason, error, proof=Proof.INFERRED)

    def _after_error(self, record: Record, error: ServerError) -> Outcome:
        """Return what an error code means that does not tell whether the document was deleted."""
        there = self._still_listed(record)
        if there is False:
            reason = f"{error} Its folder does not list it."
            return outcome_from_error(record, OutcomeKind.RECYCLED, reason, error, proof=Proof.INFERRED)
        server_failed = 500 <= int(error.code or 0) < 600
        if there is None and server_failed:
            return outcome_from_error(
                record, OutcomeKind.UNKNOWN, f"{error} Its folder cannot be seen.", error, proof=None
            )
        return outcome_from_error(record, OutcomeKind.FAILED, str(error), error, proof=None, unanswered=server_failed)

    def _still_listed(self, record: Record) -> bool | None:
        """Tell whether the record's folder lists it; None if the folder cannot be listed."""
        folder = FolderAddress.from_record(record)
        try:
            return None if folder is None else record.target_id in self._contents(folder).by_id
        except VendorError:
            return None

    def _contents(self, folder: FolderAddress) -> Contents:
        return self._listing(folder).since(time.monotonic())

    def read(self, folder: FolderAddress) -> Contents:
        """List a folder now; it changes nothing.

        :raises VendorError: Unifier cannot be asked, or does not know the folder.
        """
        if folder.node_id is not None:
            nodes = self.hook.list_nodes(folder.node_id, node_type=None)
        else:
            nodes = self.hook.list_nodes(project_number=folder.project_number, parent_path=folder.path, node_type=None)
        return Contents(nodes)


def _unfit(record: Record, folder: FolderAddress, contents: Contents) -> Outcome | None:
    obstacle = contents.obstacle(record)
    if obstacle is None:
        return None
    return Outcome(record.key, OutcomeKind.BLOCKED, Proof.PROBE, f"nothing was sent: its {folder} {obstacle}")


def _found(claim: GoneRecord, listed: bool, folder: FolderAddress) -> Finding:
    if not listed:
        return Finding(claim, Whereabouts.GONE)
    if claim.outcome.proof is Proof.RESPONSE:
        # Some listings go on showing documents that are in the recycle bin.
        why = "its folder lists it, but nobody saw the folder without it: a listing may show what is in the bin"
        return Finding(claim, Whereabouts.UNSEEN, why)
    return Finding(claim, Whereabouts.BACK, f"listed in {folder}")
