"""How Oracle Primavera Unifier moves documents to its recycle bin, and how far it can be asked afterwards."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from typing import Self

from airflow_provider_records.evidence.names import PLAIN, Naming
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.spool import sorted_items
from airflow_provider_records.evidence.summary import SystemDescription
from airflow_provider_records.exceptions import (
    InvalidRecordsError,
    NotFoundError,
    NotSentError,
    RefusedError,
    ServerError,
    StopError,
    UnavailableError,
    UnreadableAnswerError,
    VendorError,
)
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.hooks.unifier_responses import NODE_ID
from airflow_provider_records.systems.base import outcome_from_error
from airflow_provider_records.systems.expectation import is_other, text_of
from airflow_provider_records.systems.finding import Finding, GoneRecord, Probe, Whereabouts, grouped
from airflow_provider_records.systems.unifier_folder import Canaries, Contents, FolderAddress, Listing

log = logging.getLogger(__name__)

_CHECK = "Check the address of the connection, and the rights of its account to read and delete documents."
_NO_PROJECT = (
    f"no other document was deleted by this try, and it names neither folder nor project_number to look at. {_CHECK}"
)


class UnifierSystem:
    """How Unifier recycles a document, and how far it can be asked afterwards.

    No call gets a document by its own id. A probe is a listing of its folder, which the record must name:
    ``parent_id``, or the attribute ``project_number`` (empty: company level) with ``location``. If it does, a
    document is deleted only if its folder listed it as a document shortly before: the id of a file or folder that
    was taken for a node id deletes nothing. One listing serves all documents of a folder in a chunk, before and after
    their calls.

    "Not listed any more" proves something only while the account still sees the folder: another node of it has to be
    listed as before or, if no call has left any there, the folder itself in the one above it. The latter never shows
    that others removed a document. One that was never listed may have been moved: nothing is sent for it, and nothing
    is claimed.

    A document whose record names no folder is known by the answer to its call only, and "unknown id" is also what an
    account without rights may be told. The answer counts if the top folder of the record's ``project_number`` shows
    anything before and afterwards; where the record names no project, if the same try deleted another document.

    :param hook: the client.
    :param expect: label that a listing shows, by the record's field or attribute that it must equal. It needs records
        that name their folder.
    :param naming: how titles and people stand on the lists, and in what is said of them.
    """

    name = "unifier"
    batch_size = 1
    look_size = 500
    may_list_removed = True

    def __init__(self, hook: UnifierHook, *, expect: Mapping[str, str] | None = None, naming: Naming = PLAIN) -> None:
        self.hook = hook
        self.expect = dict(expect or {})
        self.naming = naming
        self.canaries: list[str] = []  # each folder has its own
        self._missing: set[str] = set()
        self._on_list: Set[str] = frozenset()
        self._observed: set[str] = set()
        self._sees_list = False
        self._not_shown: dict[str, str | VendorError] = {}
        self._folder_canaries: dict[FolderAddress, Canaries] = {}
        self._uncalled: dict[FolderAddress, set[str]] = {}
        self._kept: dict[FolderAddress, Listing] = {}  # of what is to be called for
        self._places: dict[str, FolderAddress] = {}  # by id, until its call
        self._shown_by: dict[str, tuple[float, Contents]] = {}  # by id, the newest listing of another folder
        self._lock = threading.Lock()
        self._blind: dict[str, str] = {}
        self._recent = lru_cache(maxsize=64)(lambda folder: Listing(lambda: self._read_for_all(folder)))

    @classmethod
    def from_connection(cls, conn_id: str) -> Self:
        """Return the system behind an Airflow connection, to look back."""
        return cls(UnifierHook(conn_id))

    @property
    def max_concurrency(self) -> int:
        """The number of requests that the connection allows at the same time."""
        return self.hook.settings.max_concurrency

    @property
    def target(self) -> str:
        """Where the connection leads."""
        return self.hook.target

    def describe(self) -> SystemDescription:
        """Say that documents are moved to the recycle bin: the API has no permanent deletion."""
        return SystemDescription(
            "Unifier",
            "Moved to the recycle bin of Unifier, whose interface knows no permanent deletion",
            action="recycle",
        )

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        """Refuse malformed node ids and folders."""
        for record in records:
            if not NODE_ID.fullmatch(record.target_id):
                raise InvalidRecordsError(
                    f"Record {record.key!r}: target_id {record.target_id!r} is no node id of Unifier, which is a whole "
                    "number; nothing was sent."
                )
            if FolderAddress.from_record(record) is None and self.expect:
                raise InvalidRecordsError(
                    f"Record {record.key!r} names no folder, so that expect= cannot be compared; nothing was sent."
                )
        self._on_list = {record.target_id for record in records}
        self._observed = set(observed_before)
        self._sees_list = False
        self._not_shown = {}
        return frozenset()

    def arrange(self, records: Sequence[Record]) -> Sequence[Sequence[Record]]:
        """Return the records folder by folder, so that a look needs few listings."""
        return [sorted_items(records, lambda record: str(FolderAddress.from_record(record)))]

    def forget(self, records: Sequence[Record]) -> None:
        """Let go of what the listings showed of these documents."""
        for record in records:
            self._observed.discard(record.key)
            self._missing.discard(record.key)
            self._not_shown.pop(record.key, None)
            self._blind.pop(record.key, None)
            self._note_call(record)

    def not_there(self, records: Sequence[Record]) -> Set[str]:
        """Return which records their folders did not list, under any type or name."""
        return {record.key for record in records} & self._missing

    def other_objects(self, records: Sequence[Record]) -> Set[str]:
        """Return of which records their folders list another document under the id."""
        return {record.key for record in records if is_other(self._not_shown.get(record.key))}

    def unseen(self, records: Sequence[Record]) -> Set[str]:
        """Return the same: the evidence of an earlier run says why they are not there."""
        return self.not_there(records)

    def unproven(self, records: Sequence[Record]) -> Set[str]:
        """Return whose folders may hold more than they list: neither another node nor the folder itself is seen.

        All may, until a folder has shown a document of the list: another archive may be behind the address.
        """
        if not self._sees_list:
            return {record.key for record in records}
        folders: dict[FolderAddress | None, list[Record]] = {}
        for record in records:
            folders.setdefault(FolderAddress.from_record(record), []).append(record)
        return {each.key for folder, alike in folders.items() if not self._is_seen(folder) for each in alike}

    def _is_seen(self, folder: FolderAddress | None) -> bool:
        listed = None if folder is None else self._listing(folder).newest
        try:
            return folder is not None and listed is not None and self._proves_absence(folder, listed)
        except (StopError, UnavailableError):
            raise
        except VendorError:
            return False

    def observe(self, records: Sequence[Record]) -> Set[str]:
        """List every folder that the records name; where they name only a project, its top folder."""
        self._look_at_projects([record for record in records if FolderAddress.from_record(record) is None])
        stopped = threading.Event()

        def look(folder: FolderAddress) -> Contents | VendorError:
            if stopped.is_set():
                return NotSentError(f"its {folder} was not listed: another one could not be")
            try:
                return self._contents(folder)
            except UnavailableError:
                raise
            except VendorError as error:  # reported for each of its records when it is its turn
                if isinstance(error, StopError):
                    stopped.set()
                return error

        folders: dict[FolderAddress, list[Record]] = {}
        for record in records:
            if folder := FolderAddress.from_record(record):
                folders.setdefault(folder, []).append(record)
                self._places[record.target_id] = folder
        here: set[str] = set()
        with ThreadPoolExecutor(self.max_concurrency, thread_name_prefix=self.name) as pool:
            for folder, found in zip(folders, pool.map(look, folders), strict=True):
                if isinstance(found, Contents):
                    if label := found.not_answered(self.expect):
                        raise StopError(
                            f"Unifier's {folder} does not show {label!r}, which the DAG names in expect=; nothing more "
                            "was deleted."
                        )
                    self._folder_canaries.setdefault(folder, Canaries.among(found, folder, self._on_list))
                    missing = {each.key for each in folders[folder] if each.target_id not in found.by_id}
                    self._missing |= missing if found.readable else frozenset()
                for record in folders[folder]:
                    try:
                        why = found.obstacle(record, self.expect, self.naming) if isinstance(found, Contents) else found
                    except UnreadableAnswerError as error:
                        why = error
                    if why is None:
                        here.add(record.key)
                        self._not_shown.pop(record.key, None)
                        self._note_uncalled(record, folder)
                    else:
                        self._not_shown[record.key] = why
        self._observed |= here
        self._sees_list = self._sees_list or bool(here)
        self._missing -= here
        return here

    def foresee(self, records: Sequence[Record]) -> list[Outcome | None]:
        """Return what keeps documents from being deleted, as the listings of their folders show them."""
        found: list[Outcome | None] = []
        for record in records:
            if (folder := FolderAddress.from_record(record)) is None:
                found.append(Outcome(record.key, OutcomeKind.UNKNOWN, reason="it names no folder to look into"))
            else:
                found.append(None if record.key in self._observed else self._not_sent(record, folder))
        return found

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        """Delete one document ("Delete Documents by node_id")."""
        return [self._delete(record, record.key in unanswered) for record in batch]

    def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
        """List the folder after an unanswered call ("Get Folders or Documents Metadata")."""
        return [self._resolve_unanswered(record) for record in batch]

    def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        """List each folder once. Some listings show the recycle bin; then the outcome stays as it is."""
        listed: dict[FolderAddress, Contents] = {}
        proving: set[FolderAddress] = set()
        for folder in {folder for record, _ in batch if (folder := FolderAddress.from_record(record))}:
            with _answers_only(folder):
                listed[folder] = self._contents(folder)
        end = time.monotonic()  # of the folders above, one listing serves all below
        for folder, contents in listed.items():
            with _answers_only(folder):
                if self._proves_absence(folder, contents, end):
                    proving.add(folder)
        outcomes = []
        for record, outcome in batch:
            where = FolderAddress.from_record(record)
            there = where is not None and where in listed and record.target_id in listed[where].by_id
            absent = outcome.kind is OutcomeKind.ABSENT
            if there and absent:
                reason = f"Unifier does not know its node id, yet its {where} lists it"
                outcomes.append(Outcome(record.key, OutcomeKind.UNKNOWN, None, reason, outcome.request_id))
            elif where is not None and absent and (where not in proving or not self._shows_known(where, listed[where])):
                reason = (
                    f"Unifier does not know its node id; nothing shows that this account still sees all of its {where}"
                )
                outcomes.append(Outcome(record.key, OutcomeKind.FAILED, None, reason, outcome.request_id))
            elif there or where not in proving:
                outcomes.append(outcome)
            else:
                outcomes.append(replace(outcome, proof=Proof.PROBE))
        return outcomes

    def disbelieved(self, records: Sequence[Record], *, removed: bool) -> Mapping[str, str]:
        """List the top folder of each project: what an account that sees nothing there is told proves nothing."""
        why = {number: self._sees_nothing(number, removed) for number in _by_project(records)}
        doubts = {each.key: self._blind.get(each.key) or why[_project_of(each)] for each in records}
        return {key: each for key, each in doubts.items() if each}

    def _look_at_projects(self, records: Sequence[Record]) -> None:
        """List the top folder of each project before the calls: an account may see nothing at first.

        :raises UnavailableError: no other request can succeed either.
        """
        for number, alike in _by_project(records).items():
            try:
                why = self._sees_nothing(number, removed=True)
            except StopError as error:  # it may delete all the same
                why = str(error)
            for record in alike:
                self._blind.pop(record.key, None)
                if why:
                    self._blind[record.key] = why

    def _sees_nothing(self, project_number: str | None, removed: bool) -> str:
        """Say why nothing shows that the account sees documents of a project; empty: it does.

        :raises StopError: no other request can succeed either.
        :raises UnavailableError: as above.
        """
        if project_number is None:
            return "" if removed else _NO_PROJECT
        top = FolderAddress(None, project_number, "/")
        try:
            listed = self._contents(top)
        except (StopError, UnavailableError):
            raise
        except VendorError as error:
            return f"its {top} cannot be listed: {error} {_CHECK}"
        if listed.by_id:
            return ""
        way_out = "If it is empty, put a document there, and clear this task."
        return f"this account sees nothing in its {top}. {_CHECK} {way_out}"

    def _proves_absence(self, folder: FolderAddress, contents: Contents, end: float | None = None) -> bool:
        """Tell whether a listing shows that a document is not there any more.

        :param folder: the folder.
        :param contents: what the listing shows.
        :param end: when it had ended, by the monotonic clock; None: now.
        :raises VendorError: Unifier cannot be asked for the folder above.
        """
        if not contents.readable:
            return False
        if self._shows_known(folder, contents):
            return True
        canaries = self._canaries_of(folder, contents)
        if canaries.nodes or self._uncalled.get(folder):
            return False  # nobody is known to have removed all of these
        above = canaries.above
        if above is None:
            return False
        nodes = self._listing(above).since(time.monotonic() if end is None else end).by_id.values()
        return any(node.type == "Folder" and node.path == canaries.path for node in nodes)

    def _shows_known(self, folder: FolderAddress, contents: Contents) -> bool:
        """Tell whether a listing shows a node that is on the list, or that was in the folder before."""
        known = self._canaries_of(folder, contents).nodes
        return any(node_id in known or node_id in self._on_list for node_id in contents.by_id)

    def _canaries_of(self, folder: FolderAddress, contents: Contents) -> Canaries:
        return self._folder_canaries.get(folder) or Canaries.among(contents, folder, self._on_list)

    def _note_uncalled(self, record: Record, folder: FolderAddress) -> None:
        """Take note that a document is in its folder, and keep the folder's newest listing until its call."""
        with self._lock:
            self._uncalled.setdefault(folder, set()).add(record.target_id)
            self._kept.setdefault(folder, self._recent(folder))

    def _note_call(self, record: Record) -> None:
        """Take note that a document of the list need not be in its folder any more."""
        folder = FolderAddress.from_record(record)
        if folder is None:
            return
        with self._lock:
            uncalled = self._uncalled.get(folder, set())
            uncalled.discard(record.target_id)
            self._places.pop(record.target_id, None)
            self._shown_by.pop(record.target_id, None)
            if not uncalled:
                self._uncalled.pop(folder, None)
                self._kept.pop(folder, None)

    def look_back(self, claims: Sequence[GoneRecord]) -> Iterator[Probe]:
        """List the folders that the records name: Unifier shows a document nowhere else."""
        folders = grouped(claims, lambda claim: FolderAddress.from_record(claim.record))
        return (Probe(ours, partial(self._find, folder, ours)) for folder, ours in folders.items())

    def _find(self, folder: FolderAddress | None, claims: Sequence[GoneRecord]) -> list[Finding]:
        if folder is None:
            why = "the record does not name its folder, and Unifier finds no document by its id"
            return [Finding(claim, Whereabouts.UNSEEN, why) for claim in claims]
        listed = self.read(folder, {claim.record.target_id for claim in claims}).by_id
        return [_found(claim, claim.record.target_id in listed, folder) for claim in claims]

    def _delete(self, record: Record, in_doubt: bool) -> Outcome:
        folder = FolderAddress.from_record(record)
        if folder is not None and record.key not in self._observed:
            return self._not_sent(record, folder)
        if folder is not None and not in_doubt and (why := self._newest_obstacle(record, folder)):
            return _unfit(record, folder, why)
        self._note_call(record)
        try:
            done = self.hook.delete_document(record.target_id)
        except NotFoundError as error:
            if in_doubt:
                return self._not_found_after_doubt(record, error)
            reason = "Unifier does not know its node id: it was gone before, or the id is wrong"
            # The folder listed it shortly before, so that only another look at the folder shows what the answer means.
            proof = Proof.RESPONSE if folder is None else None
            return outcome_from_error(record, OutcomeKind.ABSENT, reason, error, proof=proof)
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
        if record.key not in self._observed:
            # Only records that were observed are ever sent, so there was no call for this one.
            why = contents.obstacle(record, self.expect, self.naming)
            return None if why is None else _unfit(record, folder, why)
        if record.target_id in contents.by_id:
            if (why := contents.obstacle(record, self.expect, self.naming)) is None:
                return None
            reason = f"its call went unanswered, and it is not sent again: its {folder} {why}"
            return Outcome(record.key, OutcomeKind.UNKNOWN, reason=reason)
        if not self._proves_absence(folder, contents):
            reason = f"its call went unanswered; nothing shows that this account still sees all of its {folder}"
            return Outcome(record.key, OutcomeKind.UNKNOWN, reason=reason)
        reason = f"its call went unanswered; its {folder} listed it before and does not any more"
        return Outcome(record.key, OutcomeKind.RECYCLED, Proof.INFERRED, reason)

    def _not_sent(self, record: Record, folder: FolderAddress) -> Outcome:
        why = self._not_shown.get(record.key)
        if isinstance(why, (StopError, UnavailableError)):
            raise why
        if isinstance(why, RefusedError):
            return outcome_from_error(record, OutcomeKind.BLOCKED, f"nothing was sent: {why.reason}", why)
        if isinstance(why, VendorError):
            reason = f"nothing was sent, since its {folder} cannot be listed: {why}"
            return outcome_from_error(record, OutcomeKind.FAILED, reason, why, proof=None)
        return _unfit(record, folder, why or "was not listed")

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
        """Tell whether the record's folder lists it; None if nobody can tell."""
        folder = FolderAddress.from_record(record)
        if folder is None:
            return None
        try:
            contents = self._contents(folder)
            if record.target_id in contents.by_id:
                return True
            return False if self._proves_absence(folder, contents) else None
        except VendorError:
            return None

    def _newest_obstacle(self, record: Record, folder: FolderAddress) -> str | None:
        """Say what a listing for other records has shown since this one was looked at."""
        listing = self._listing(folder)
        begun, elsewhere = self._shown_by.get(record.target_id, (-math.inf, None))
        newest = elsewhere if begun > listing.begun else listing.newest
        try:
            return newest.obstacle(record, self.expect, self.naming) if newest else None
        except UnreadableAnswerError:
            return None

    def _read_for_all(self, folder: FolderAddress) -> Contents:
        """List a folder, and take note of what it shows of documents whose records name others."""
        begun = time.monotonic()
        contents = self.read(folder, self._wanted(folder))
        with self._lock:
            for node_id in contents.by_id:
                known = self._shown_by.get(node_id, (-math.inf, contents))[0]
                if self._places.get(node_id, folder) != folder and begun > known:
                    self._shown_by[node_id] = begun, contents
        return contents

    def _listing(self, folder: FolderAddress) -> Listing:
        return self._kept.get(folder) or self._recent(folder)

    def _contents(self, folder: FolderAddress) -> Contents:
        return self._listing(folder).since(time.monotonic())

    def _wanted(self, folder: FolderAddress) -> Set[str]:
        """Return what a listing is asked for: what is on the list, and what was there besides it before."""
        canaries = self._folder_canaries.get(folder)
        return self._on_list | canaries.nodes if canaries else self._on_list

    def read(self, folder: FolderAddress, wanted: Set[str]) -> Contents:
        """List a folder now; it changes nothing.

        :param wanted: ids of nodes or files; of others only a few are kept.
        :raises VendorError: Unifier cannot be asked, or does not know the folder.
        """
        gather = partial(Contents, wanted=wanted)
        if folder.node_id is not None:
            return self.hook.gather_nodes(gather, folder.node_id, node_type=None)
        place = {"project_number": folder.project_number, "parent_path": folder.path}
        return self.hook.gather_nodes(gather, **place, node_type=None)


@contextmanager
def _answers_only(folder: FolderAddress) -> Iterator[None]:
    """Let what was deleted in a folder stay proven by the answers if it cannot be listed."""
    try:
        yield
    except (StopError, UnavailableError):
        raise
    except VendorError as error:
        log.warning("%s; what was deleted in %s stays proven by the answers only", error, folder)


def _project_of(record: Record) -> str | None:
    number = record.attributes.get("project_number")
    return None if number is None else text_of(number)


def _by_project(records: Sequence[Record]) -> dict[str | None, list[Record]]:
    projects: dict[str | None, list[Record]] = {}
    for record in records:
        projects.setdefault(_project_of(record), []).append(record)
    return projects


def _unfit(record: Record, folder: FolderAddress, why: str) -> Outcome:
    return Outcome(record.key, OutcomeKind.BLOCKED, Proof.PROBE, f"nothing was sent: its {folder} {why}")


def _found(claim: GoneRecord, listed: bool, folder: FolderAddress) -> Finding:
    if not listed:
        return Finding(claim, Whereabouts.GONE)
    if claim.outcome.proof is Proof.RESPONSE:
        # Some listings go on showing documents that are in the recycle bin.
        why = "its folder lists it, but nobody saw the folder without it: a listing may show what is in the bin"
        return Finding(claim, Whereabouts.UNSEEN, why)
    return Finding(claim, Whereabouts.BACK, f"listed in {folder}")
