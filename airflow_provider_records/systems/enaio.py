"""How OPTIMAL SYSTEMS enaio deletes objects, and how it shows what became of them."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from functools import partial
from typing import Self

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.summary import SystemDescription
from airflow_provider_records.exceptions import (
    AuthenticationError,
    NoAnswerError,
    NotFoundError,
    RefusedError,
    ServerError,
    StopError,
    UnavailableError,
    VendorError,
)
from airflow_provider_records.hooks.enaio import EnaioHook, check_object_id
from airflow_provider_records.hooks.enaio_responses import EnaioObject
from airflow_provider_records.systems.base import outcome_from_error
from airflow_provider_records.systems.finding import Finding, GoneRecord, Probe, Whereabouts

log = logging.getLogger(__name__)

CONTAINERS = {"FOLDER", "REGISTER"}
_TYPE_NAME = re.compile(r"[^\W\d]\w*")
_IDS_PER_SEARCH = 200


class Presence(Enum):
    """Where a probe found an object."""

    LIVE = "live"
    CONTAINER = "live, and it can hold others"
    BINNED = "in the recycle bin"
    GONE = "neither live nor in the recycle bin"
    HIDDEN = "the account may not read it"

    @property
    def live(self) -> bool:
        """Whether the object is outside of the recycle bin."""
        return self in {Presence.LIVE, Presence.CONTAINER}


class EnaioSystem:
    """How enaio deletes an object and shows what became of it.

    A probe is a GET by the bare id, then one into the recycle bin, which shows only what this account deleted.
    Shortly before its calls it looks which objects are there: only of those can a call that went unanswered be the
    reason that they are gone. One search shows up to 200 objects; it needs the internal name of their type, which a
    single look tells where the service names it (6.3.1). What no search shows is looked at singly. Nothing is sent for
    an object that no look showed.

    ``destroyed`` means removed from enaio; whether the storage medium was erased is the server's setting.

    The service's ``cascadeDelete`` is never sent: it deletes children that nobody approved, and no call lists all
    children. ``cascade_delete`` means here: a folder is deleted last, after all objects of the list that it contains
    (their ``location`` is its id), and is ``not_attempted`` until then. A folder that contains objects that are not on
    the list stays, because the service refuses to delete a folder that is not empty.

    :param hook: the client.
    :param hard_delete: delete permanently instead of moving to the recycle bin.
    :param cascade_delete: the list holds folders together with their contents.
    :param location: id of the parent, for records that name none: remove from this place only.
    :param object_type_id: object type, for records that name none.
    """

    name = "enaio"
    batch_size = 1

    def __init__(
        self,
        hook: EnaioHook,
        *,
        hard_delete: bool = False,
        cascade_delete: bool = False,
        location: str | None = None,
        object_type_id: str | None = None,
    ) -> None:
        self.hook = hook
        self.hard_delete = hard_delete
        self.cascade_delete = cascade_delete
        self.location = location
        self.object_type_id = object_type_id
        self._observed: set[str] = set()
        self._not_shown: dict[str, Presence | VendorError] = {}
        self._types: dict[str, bool] = {}
        self._children: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_connection(cls, conn_id: str) -> Self:
        """Return the system behind an Airflow connection, to look back."""
        return cls(EnaioHook(conn_id))

    @property
    def max_concurrency(self) -> int:
        """The number of requests that the connection allows at the same time."""
        return self.hook.settings.max_concurrency

    @property
    def target(self) -> str:
        """Where the connection leads."""
        return self.hook.target

    def describe(self) -> SystemDescription:
        """Say whether objects are deleted permanently, and that nothing is known about the storage medium then."""
        if not self.hard_delete:
            return SystemDescription("enaio", "Moved to the recycle bin of enaio (soft delete)", action="recycle")
        return SystemDescription(
            "enaio",
            "Deleted permanently from enaio (hard delete)",
            caveats=[
                "Destroyed in enaio means removed from enaio. Whether an archive medium still holds the content "
                "depends on the server's settings; there is no proof about media."
            ],
        )

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        """Refuse malformed ids, and a hard delete by a service that is known to be too old for it."""
        for record in records:
            for value in (record.target_id, self._location(record), self._object_type(record)):
                check_object_id(value or "0")
        if self.hard_delete:
            self.hook.check_hard_delete()
        else:
            self.hook.service_version()  # so that a refused password is tried once, not by every thread
        if self.cascade_delete:
            for record in records:
                if (parent := self._location(record)) and parent != record.target_id:
                    self._children.setdefault(parent, set()).add(record.target_id)
        self._observed = set(observed_before)
        self._not_shown = {}
        return frozenset()

    def observe(self, records: Sequence[Record]) -> Set[str]:
        """Look which objects are there."""
        there = self._look(list(dict.fromkeys(record.target_id for record in records)))
        here = {record.key for record in records if record.target_id in there}
        self._observed |= here
        return here

    def _look(self, left: list[str]) -> set[str]:
        """Return which objects are there, so that a call of ours can delete them."""
        there: set[str] = set()
        new = [name for name, searchable in self._types.copy().items() if searchable]
        size = 1  # the type of one may show the others
        with ThreadPoolExecutor(self.max_concurrency, thread_name_prefix=self.name) as pool:
            while left:
                for name in new:
                    there |= self._listed(name, left)
                    left = [object_id for object_id in left if object_id not in there]
                batch, left = left[:size], left[size:]
                types = dict(zip(batch, pool.map(self._look_at, batch), strict=True))
                there |= {object_id for object_id, name in types.items() if name is not None}
                new = [name for name in set(types.values()) if name and _TYPE_NAME.fullmatch(name)]
                new = [name for name in new if name not in self._types]
                self._types |= dict.fromkeys(new, True)
                size = 1 if new else self.max_concurrency
        for object_id in there:
            self._not_shown.pop(object_id, None)
        return there

    def _look_at(self, object_id: str) -> str | None:
        """Return the internal name of an object's type, empty if not known; None if no call of ours can delete it."""
        try:
            presence, found = self._locate(object_id)
        except (StopError, UnavailableError):
            raise
        except VendorError as error:
            self._not_shown[object_id] = error
            return None
        if presence.live or (presence is Presence.BINNED and self.hard_delete):
            return found.type_name if found and presence.live else ""
        self._not_shown[object_id] = presence
        return None

    def _listed(self, type_name: str, object_ids: Sequence[str]) -> set[str]:
        """Return the objects that a search of their type shows; it may show none, then they are looked at singly."""
        ids_in = "WHERE system:objectId IN (@ids) ORDER BY system:objectId"
        statement = f"SELECT system:objectId FROM {type_name} {ids_in}"  # noqa: S608 - _TYPE_NAME is a plain word
        listed: set[str] = set()
        try:
            for start in range(0, len(object_ids), _IDS_PER_SEARCH):
                ids = object_ids[start : start + _IDS_PER_SEARCH]
                listed |= {item.object_id for item in self.hook.search(statement, {"ids": ids}, page_size=len(ids))}
        except (AuthenticationError, UnavailableError):
            raise
        except VendorError as error:
            self._types[type_name] = False
            log.info("%s; objects of type %s are looked at singly", error, type_name)
        return listed & set(object_ids)

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        """Delete one object."""
        (record,) = batch
        in_doubt = record.key in unanswered
        outcome = self._wait_for_children(record) or self._not_sent(record, in_doubt)
        outcome = outcome or self._delete(record, in_doubt)
        self._release_parent(record, outcome)
        return [outcome]

    def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
        """Probe an object whose call got no response."""
        (record,) = batch
        presence = self.probe(record)
        outcome = None if presence.live else self._after_doubt(record, presence)
        self._release_parent(record, outcome)
        return [outcome]

    def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        """Probe objects after the service said that they were deleted."""
        found = []
        for record, outcome in batch:
            try:
                found.append(self._verified(record, outcome))
            except (StopError, UnavailableError):
                raise
            except VendorError as error:
                log.warning("%s; the outcome of %s stays proven by the answer only", error, record.key)
                found.append(outcome)
        return found

    def _verified(self, record: Record, outcome: Outcome) -> Outcome:
        presence = self.probe(record)
        if presence.live:
            return self._still_there(record, "the service said that it was deleted")
        if presence is Presence.BINNED:
            return self._recycled(record)
        if presence is Presence.GONE and self.hard_delete:
            return Outcome(record.key, OutcomeKind.DESTROYED, Proof.PROBE)
        return outcome

    def _delete(self, record: Record, in_doubt: bool) -> Outcome | None:
        location = self._location(record)
        try:
            self.hook.delete_object(
                record.target_id,
                object_type_id=self._object_type(record),
                location=location,
                hard_delete=self.hard_delete,
            )
        except (NotFoundError, RefusedError, ServerError) as error:
            return self._refused(record, error, in_doubt)
        kind = OutcomeKind.DESTROYED if self.hard_delete else OutcomeKind.RECYCLED
        outcome = Outcome(record.key, kind, Proof.RESPONSE)
        if location is None:
            return outcome
        try:
            # The response is the same whether the object was deleted or only removed from this one place.
            return self._verified(record, outcome)
        except VendorError:
            return None

    def _refused(self, record: Record, error: VendorError, in_doubt: bool) -> Outcome | None:
        if isinstance(error, ServerError) and not in_doubt:
            return None
        try:
            presence = self.probe(record)
        except StopError:
            raise
        except VendorError as failure:
            if in_doubt:
                raise NoAnswerError(str(failure), detail=error.detail) from failure
            # Not None: this call did nothing, and the next try must not take it for an unanswered one.
            return outcome_from_error(
                record, OutcomeKind.FAILED, f"{error} It could not be looked up: {failure}", error
            )
        if in_doubt and not presence.live:
            return self._after_doubt(record, presence, refused=isinstance(error, RefusedError))
        if isinstance(error, ServerError):
            if presence is Presence.CONTAINER:
                reason = f"it is probably not empty ({_code(error)})"
                return outcome_from_error(record, OutcomeKind.BLOCKED, reason, error)
            return outcome_from_error(record, OutcomeKind.FAILED, str(error), error)
        if isinstance(error, NotFoundError):
            if not in_doubt:
                return self._not_found(record, error, presence)
            if self.hard_delete or self._location(record):
                return self._still_there(record, "after an unanswered call of ours the service does not find it")
        if presence is Presence.BINNED and not self.hard_delete:
            return self._recycled(record, "was in the recycle bin before")
        reason = {
            Presence.CONTAINER: "it is not empty, or the account lacks the right to delete it or what it holds",
            Presence.BINNED: "it is in the recycle bin; purging it needs a right, and DMS 5.3.0 or later",
        }.get(presence, "the account lacks the right to delete it, or it is locked or in a workflow")
        return outcome_from_error(record, OutcomeKind.BLOCKED, f"{reason} ({_code(error)})", error)

    def _not_found(self, record: Record, error: VendorError, presence: Presence) -> Outcome:
        """Return what a "not found" means if no earlier call of ours explains it."""
        if presence is Presence.GONE:
            reason = "the service finds it neither live nor in the recycle bin of this account"
            return Outcome(record.key, OutcomeKind.ABSENT, Proof.PROBE, reason)
        if presence is Presence.BINNED:
            return self._recycled(record, "was in the recycle bin before")
        if presence is Presence.HIDDEN:
            reason = "enaio does not find it, but it may be there: the account may not read it"
            return outcome_from_error(record, OutcomeKind.BLOCKED, reason, error)
        wrong = [f"location {self._location(record)}"] if self._location(record) else []
        wrong += [f"object type {self._object_type(record)}"] if self._object_type(record) else []
        reason = f"It can be read, but not deleted{' with ' if wrong else ''}{' and '.join(wrong)}: check these."
        return outcome_from_error(record, OutcomeKind.FAILED, f"{error} {reason}", error)

    def _after_doubt(self, record: Record, presence: Presence, *, refused: bool = False) -> Outcome:
        """Return the outcome of an object that is not live any more after a call of ours that got no response."""
        observed = record.key in self._observed
        if presence is Presence.BINNED:
            return self._recycled(record, None if observed else "was in the recycle bin before")
        if presence is Presence.GONE and not observed:
            reason = "it is neither live nor in the recycle bin, and it was not there before our call either"
            return Outcome(record.key, OutcomeKind.ABSENT, Proof.PROBE, reason)
        if presence is Presence.GONE and self.hard_delete and not refused:
            reason = "our call went unanswered; it is neither live nor in the recycle bin since"
            return Outcome(record.key, OutcomeKind.DESTROYED, Proof.INFERRED, reason)
        reason = f"our call went unanswered; a probe says: {presence.value}, which does not show what became of it"
        return Outcome(record.key, OutcomeKind.UNKNOWN, reason=reason)

    def _still_there(self, record: Record, why: str) -> Outcome:
        if location := self._location(record):
            reason = f"taken out of {location} at most: it is still filed elsewhere; records for all places are needed"
            return Outcome(record.key, OutcomeKind.BLOCKED, Proof.PROBE, reason)
        return Outcome(record.key, OutcomeKind.FAILED, Proof.PROBE, f"{why}, but it is still there")

    def _recycled(self, record: Record, reason: str | None = None) -> Outcome:
        if self.hard_delete:
            reason = f"{reason or 'is in the recycle bin'} though a hard delete was asked for"
        return Outcome(record.key, OutcomeKind.RECYCLED, Proof.PROBE, reason)

    def probe(self, record: Record) -> Presence:
        """Look for the object, live and in the recycle bin; changes nothing.

        :raises VendorError: enaio cannot be asked.
        """
        return self._locate(record.target_id)[0]

    def _locate(self, object_id: str) -> tuple[Presence, EnaioObject | None]:
        hidden = False
        for binned in (False, True):
            try:
                found = self.hook.get_object(object_id, binned=binned)
            except NotFoundError:
                continue
            except RefusedError:
                hidden = True
                continue
            if binned:
                return Presence.BINNED, found
            return (Presence.CONTAINER if found.base_type in CONTAINERS else Presence.LIVE), found
        return (Presence.HIDDEN if hidden else Presence.GONE), None

    def look_back(self, claims: Sequence[GoneRecord]) -> Iterator[Probe]:
        """Probe each object by its id: live, or in the recycle bin of the connection's user."""
        return (Probe([claim], partial(self._find, claim)) for claim in claims)

    def _find(self, claim: GoneRecord) -> list[Finding]:
        presence = self.probe(claim.record)
        if presence is Presence.HIDDEN:
            return [Finding(claim, Whereabouts.UNSEEN, presence.value)]
        if presence.live:
            return [Finding(claim, Whereabouts.BACK, "live")]
        if presence is Presence.BINNED and claim.outcome.kind is not OutcomeKind.RECYCLED:
            return [Finding(claim, Whereabouts.BACK, presence.value)]
        return [Finding(claim, Whereabouts.GONE)]

    def _wait_for_children(self, record: Record) -> Outcome | None:
        """Leave a folder to the next try while records of the list that it contains are still to be deleted."""
        with self._lock:
            children = len(self._children.get(record.target_id, ()))
        if not children:
            return None
        reason = f"not sent: {children} records of the list lie in it and go first; the next try carries on"
        return Outcome(record.key, OutcomeKind.NOT_ATTEMPTED, reason=reason)

    def _not_sent(self, record: Record, in_doubt: bool) -> Outcome | None:
        """Return the outcome of an object that no look showed; None if one did."""
        shown = self._not_shown.get(record.target_id)
        if shown is None:
            return None
        if in_doubt and not isinstance(shown, VendorError):
            try:
                shown = self.probe(record)
            except (StopError, UnavailableError):
                raise
            except VendorError as error:
                shown = error
            else:
                if not shown.live:
                    return self._after_doubt(record, shown)
                reason = (
                    "nothing was sent: it is there, though the first look did not show it; the next try looks again"
                )
                return Outcome(record.key, OutcomeKind.FAILED, reason=reason)
        if isinstance(shown, VendorError):
            reason = f"nothing was sent: it could not be looked at before: {shown}"
            return outcome_from_error(record, OutcomeKind.FAILED, reason, shown, proof=None)
        if shown is Presence.BINNED:
            return self._recycled(record, "was in the recycle bin before")
        if shown is Presence.HIDDEN:
            reason = "nothing was sent: the account may not read it, so that nobody could tell what became of it"
            return Outcome(record.key, OutcomeKind.BLOCKED, Proof.PROBE, reason)
        reason = "the service finds it neither live nor in the recycle bin of this account"
        return Outcome(record.key, OutcomeKind.ABSENT, Proof.PROBE, reason)

    def _release_parent(self, record: Record, outcome: Outcome | None) -> None:
        if outcome is not None and outcome.kind.final:
            with self._lock:
                self._children.get(self._location(record) or "", set()).discard(record.target_id)

    def _location(self, record: Record) -> str | None:
        return record.location or self.location

    def _object_type(self, record: Record) -> str | None:
        return record.object_type_id or self.object_type_id


def _code(error: VendorError) -> str:
    return f"enaio code {error.code}" if error.code else f"HTTP {error.status}"
