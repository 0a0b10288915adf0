"""How OPTIMAL SYSTEMS enaio deletes objects, and how it shows what became of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Self

from airflow_provider_records.evidence.distinct import DigestSet
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.spool import sorted_items
from airflow_provider_records.evidence.summary import SystemDescription
from airflow_provider_records.exceptions import (
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
from airflow_provider_records.systems.enaio_batch import (
    BINNED,
    IDS_PER_SEARCH,
    LIVE,
    BatchProbe,
    parts,
    unanswered,
)
from airflow_provider_records.systems.enaio_checks import ObjectChecks
from airflow_provider_records.systems.enaio_folders import FolderOrder
from airflow_provider_records.systems.enaio_look import Look, Looks, Presence, listed_type, objects, search_key
from airflow_provider_records.systems.enaio_sight import BLIND, Sight
from airflow_provider_records.systems.expectation import is_other
from airflow_provider_records.systems.finding import Finding, GoneRecord, Probe, Whereabouts

log = logging.getLogger(__name__)

_NOWHERE = (
    "the service finds it neither live nor in the recycle bin of this account; the bin of another account, which it "
    "does not show, may hold it"
)


class EnaioSystem:
    """How enaio deletes an object and shows what became of it.

    Before its calls it looks which objects are there, and after them, with one search for up to 200 objects of a type
    (:class:`BatchProbe`); the internal name of the type comes from the list (the attribute ``object_type``) or from a
    look at a single object, where the service names it (6.3.1). Nothing is sent for an object that no look showed.

    "Not listed" alone proves nothing. A deleted object is proven by ``probe`` only if the same statement listed it
    before the call and does not list it afterwards, and if an object that is not on the list (the canary) is still
    listed by that answer. All else is looked at singly: a GET by the bare id, then one into the recycle bin, which
    shows only what this account deleted; and "not found" counts only if the canary can be read after it.

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
    :param checks: what a look must show before an object is deleted.
    """

    name = "enaio"
    batch_size = 1
    look_size = IDS_PER_SEARCH - 1

    def __init__(
        self,
        hook: EnaioHook,
        *,
        hard_delete: bool = False,
        cascade_delete: bool = False,
        location: str | None = None,
        object_type_id: str | None = None,
        checks: ObjectChecks | None = None,
    ) -> None:
        self.hook = hook
        self.hard_delete = hard_delete
        self.cascade_delete = cascade_delete
        self.location = location
        self.object_type_id = object_type_id
        self.checks = checks or ObjectChecks()
        self._batch = BatchProbe(hook, self.checks.named)
        self.sight = Sight(hook, self._batch, hard_delete=hard_delete)
        self._folders = FolderOrder(self._batch, self.sight)
        self._looks = Looks(self._batch, self.sight.look_if_alive)
        self._observes = False
        self._observed: set[str] = set()
        self._unsent: dict[str, Presence | VendorError | str] = {}
        self._unseen: set[str] = set()
        self._shown: dict[str, Look] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_connection(cls, conn_id: str) -> Self:
        """Return the system behind an Airflow connection, to look back."""
        return cls(EnaioHook(conn_id))

    @property
    def canaries(self) -> list[str]:
        """Ids of objects that are alive and not on the list."""
        return self.sight.canaries

    @canaries.setter
    def canaries(self, ids: Iterable[str]) -> None:
        self.sight.canaries = list(ids)

    @property
    def max_concurrency(self) -> int:
        """The number of requests that the connection allows at the same time."""
        return self.hook.settings.max_concurrency

    @property
    def target(self) -> str:
        """Where the connection leads."""
        return self.hook.target

    def describe(self) -> SystemDescription:
        """Say whether objects are deleted permanently, and what nobody can know then."""
        meanings = {OutcomeKind.ABSENT.value: f"not deleted by this task: {_NOWHERE}"}
        if not self.hard_delete:
            method = "Moved to the recycle bin of enaio (soft delete)"
            return SystemDescription("enaio", method, meanings, action="recycle")
        return SystemDescription(
            "enaio",
            "Deleted permanently from enaio (hard delete)",
            meanings,
            caveats=[
                "Destroyed in enaio means removed from enaio. Whether an archive medium still holds the content "
                "depends on the server's settings; there is no proof about media.",
                "enaio shows an account no recycle bin but its own. An object that is called destroyed because it was "
                "not found after a call without a response, or that was already gone, may lie in the recycle bin of "
                "another account.",
            ],
        )

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        """Refuse malformed ids, and a hard delete by a service that is known to be too old for it."""
        self.sight.listed = DigestSet()
        undated = 0
        for record in records:
            for value in (record.target_id, self._location(record), self._object_type(record)):
                check_object_id(value or "0")
            self.sight.listed.add(record.target_id)
            undated += not self.checks.last_change(record)
        if undated:
            log.info(
                "Neither list nor approval says when %s of %s objects were changed last; whether they were changed "
                "since is not compared",
                undated,
                len(records),
            )
        if self.hard_delete:
            self.hook.check_hard_delete()
        else:
            self.hook.service_version()  # so that a refused password is tried once, not by every thread
        self._observed = set(observed_before)
        self._unsent = {}
        return frozenset()

    def arrange(self, records: Sequence[Record]) -> Sequence[Sequence[Record]]:
        """Return the records in groups that go one after the other: what a folder holds before the folder."""
        records = sorted_items(records, search_key)
        self._check_fields(records)
        if not self.cascade_delete:
            return [records]
        return self._folders.groups(records, [self._location(record) for record in records])

    def _check_fields(self, records: Sequence[Record]) -> None:
        """Look at objects of each type: one that is looked at late may not have a field that the DAG names.

        Where the list names no types, all objects are searched for. Then a type stops the try in mid-run only if it
        was hidden behind a few objects of its look that no search lists, or if the service names no types.

        :raises StopError: a type has not.
        """
        if not self.checks.named or (len(records) <= self.look_size and not self.cascade_delete):
            return  # the first look shows them all
        alike: dict[str, list[str]] = {}
        for record in records:
            if len(ids := alike.setdefault(listed_type(record), [])) < self.look_size:
                ids.append(record.target_id)
        unnamed = alike.pop("", [])
        for name, ids in alike.items() if unnamed or len(alike) > 1 else ():
            self._refuse_unanswered(self._batch.listed(name, ids).values())
        rest = (record.target_id for record in records if unnamed and not listed_type(record))
        looks = iter(lambda: list(dict.fromkeys(islice(rest, self.look_size))), [])

        def shown(ids: Sequence[str]) -> list[EnaioObject]:
            return list(objects(self._looks.at(ids, {}, thorough=False).values()))

        at_once = 1  # the first one shows the types to the others, which look at no object singly then
        with ThreadPoolExecutor(self.max_concurrency, thread_name_prefix=self.name) as pool:
            while some := list(islice(looks, at_once)):
                for found in pool.map(shown, some):
                    self._refuse_unanswered(found)
                    if found and not self._batch.types:
                        return  # no search finds the objects of a type
                at_once = self.max_concurrency

    def _refuse_unanswered(self, shown: Iterable[EnaioObject]) -> None:
        if name := self.checks.not_answered(shown):
            raise StopError(unanswered(name))

    def observe(self, records: Sequence[Record]) -> Set[str]:
        """Look which objects are there, and whether they are what was approved."""
        self._observes = True
        types = {record.target_id: listed_type(record) for record in records}
        besides = {object_id: name for name, object_id in self.sight.candidates(set(types.values())).items()}
        looks = self._looks.at([*types, *besides], types | besides)
        self._refuse_unanswered(objects(looks[each] for each in types))
        self.sight.choose_canaries(looks)
        for object_id in besides:
            del looks[object_id]
        again = self.sight.look_again(looks)
        self._refuse_unanswered(objects({**looks, **again}.values()))  # what lies in the bin was not shown before
        here: set[str] = set()
        for record in records:
            look = looks[record.target_id]
            look = again.get(record.target_id, look)
            unsent = self._unsendable(record, look)
            shown_before = looks[record.target_id]
            gone = isinstance(shown_before, Look) and shown_before.presence in (Presence.GONE, Presence.BINNED)
            is_unseen = gone and unsent is not None and not isinstance(unsent, str)
            with self._lock:
                (self._unseen.add if is_unseen else self._unseen.discard)(record.key)
                if unsent is None:
                    self._unsent.pop(record.key, None)
                else:
                    self._unsent[record.key] = unsent
            if isinstance(look, Look) and self.sight.deletable(look.presence):
                here.add(record.key)
                self._shown[record.key] = look
        self._observed |= here
        return here

    def forget(self, records: Sequence[Record]) -> None:
        """Let go of what the looks at these objects showed; their folders need not wait for them any more."""
        for record in records:
            self._folders.release_parents(record.target_id)
            self._observed.discard(record.key)
            self._unseen.discard(record.key)
            self._unsent.pop(record.key, None)
            self._shown.pop(record.key, None)

    def not_there(self, records: Sequence[Record]) -> Set[str]:
        """Return which records the last look did not show at all."""
        return {record.key for record in records if self._unsent.get(record.key) is Presence.GONE}

    def other_objects(self, records: Sequence[Record]) -> Set[str]:
        """Return of which records the last look found another object."""
        return {record.key for record in records if is_other(self._unsent.get(record.key))}

    def unseen(self, records: Sequence[Record]) -> Set[str]:
        """Return which records the last look did not show alive, be it that this account sees nothing."""
        return {record.key for record in records if record.key in self._unseen}

    def unproven(self, records: Sequence[Record]) -> Set[str]:
        """Return which records are not known to be gone, since they could not be looked at, or nothing was seen."""
        gone = (Presence.GONE, Presence.BINNED)
        return {record.key for record in records if self._unsent.get(record.key) not in gone}

    def foresee(self, records: Sequence[Record]) -> list[Outcome | None]:
        """Return what keeps objects from being deleted, as the last look showed them."""
        return [self._not_sent(record, in_doubt=False) for record in records]

    def _unsendable(self, record: Record, look: Look | VendorError) -> Presence | VendorError | str | None:
        if isinstance(look, VendorError):
            return look
        if not self.sight.deletable(look.presence):
            return look.presence
        return self._obstacle(record, look.found, look.listed_by) if look.found else None

    def _obstacle(self, record: Record, found: EnaioObject, listed_by: str = "") -> str | None:
        """Return why an object must not be deleted; older services show only the id of its type, not the name."""
        name = listed_type(record)
        shows_type = not name or found.type_name or listed_by == name
        return self.checks.obstacle(record, found, "" if shows_type else self._batch.type_id(name))

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        """Delete one object."""
        (record,) = batch
        in_doubt = record.key in unanswered
        outcome = self._folders.wait_for_children(record) or self._not_sent(record, in_doubt)
        return [outcome or self._delete(record, in_doubt)]

    def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
        """Probe an object whose call got no response."""
        (record,) = batch
        presence, found = self.sight.locate(record.target_id)
        outcome = None
        # What a hard delete left in the recycle bin, or found there, can still be deleted.
        if not self.sight.deletable(presence):
            outcome = self._after_doubt(record, presence)
        elif found and (why := self._obstacle(record, found)):
            reason = f"it is there, and must stay: {why}"
            outcome = Outcome(record.key, OutcomeKind.BLOCKED, Proof.PROBE, reason)
        return [outcome]

    def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        """Look what became of objects after the service said that they were deleted."""
        found: dict[str, Outcome] = {}
        by_type: dict[str, dict[str, list[tuple[Record, Outcome]]]] = {}
        for record, outcome in batch:
            shown = self._shown.get(record.key)
            alike = by_type.setdefault(shown.listed_by if shown else "", {})
            alike.setdefault(record.target_id, []).append((record, outcome))
        singly = by_type.pop("", {})
        for type_name, answered in by_type.items():
            for ids in parts(list(answered), self.look_size):
                if (now := self._looked_again(type_name, ids)) is None:
                    singly |= {object_id: answered[object_id] for object_id in ids}
                    continue
                for object_id in ids:
                    presence = now.get(object_id, Presence.GONE)
                    if presence.live:  # or the search lags behind
                        singly[object_id] = answered[object_id]
                        continue
                    for record, outcome in answered[object_id]:
                        if presence is Presence.GONE and outcome.proof is None and not self._has_canary(type_name):
                            singly.setdefault(object_id, []).append((record, outcome))
                        else:
                            found[record.key] = self._confirmed(record, outcome, presence)
        if singly:
            found |= self._verify_singly([each for alike in singly.values() for each in alike])
        return [found[record.key] for record, _ in batch]

    def _looked_again(self, type_name: str, ids: Sequence[str]) -> dict[str, Presence] | None:
        """Return where objects are that the same search listed before; None if its answers prove nothing."""
        canary = self.sight.type_canaries.get(type_name)
        live = self._batch.still_listed(type_name, [*ids, *([canary] if canary else [])], LIVE)
        if live is None or (canary not in live if canary else not self.sight.sees()):
            return None
        if (binned := self._batch.still_listed(type_name, ids, BINNED)) is None:
            return None
        return dict.fromkeys(binned, Presence.BINNED) | dict.fromkeys(live - {canary}, Presence.LIVE)

    def _has_canary(self, type_name: str) -> bool:
        return self.sight.type_canaries.get(type_name) is not None

    def _verify_singly(self, batch: Sequence[tuple[Record, Outcome]]) -> dict[str, Outcome]:
        with ThreadPoolExecutor(self.max_concurrency, thread_name_prefix=self.name) as pool:
            looks = list(pool.map(lambda each: self.sight.look_at(each[0].target_id), batch))
        # After the looks: an account that sees nothing any more finds nothing either.
        sees = any(isinstance(look, Look) and look.presence is Presence.GONE for look in looks) and self.sight.sees()
        found: dict[str, Outcome] = {}
        for (record, outcome), look in zip(batch, looks, strict=True):
            found[record.key] = outcome
            if isinstance(look, VendorError):
                log.warning("%s; nothing confirms what the answer says of %s", look, record.key)
            elif look.presence is not Presence.GONE or (sees and self._is_proven_gone(record, outcome)):
                found[record.key] = self._confirmed(record, outcome, look.presence)
        return found

    def _is_proven_gone(self, record: Record, outcome: Outcome) -> bool:
        """Tell whether a look that does not find an object counts; without a proof, it alone says that it is gone."""
        try:
            return outcome.proof is not None or self.sight.is_gone(record.target_id)
        except (StopError, UnavailableError):
            raise
        except VendorError as error:
            log.warning("%s; nothing confirms what the answer says of %s", error, record.key)
            return False

    def _confirmed(self, record: Record, outcome: Outcome, presence: Presence) -> Outcome:
        """Return an outcome as a look after the call confirms or corrects it."""
        if presence.live:
            return self._still_there(record, "the service said that it was deleted")
        if presence is Presence.BINNED:
            return self._recycled(record, Proof.PROBE)
        if presence is Presence.GONE and self.hard_delete:
            return replace(outcome, proof=Proof.PROBE)
        if presence is Presence.GONE and outcome.proof is None:
            return replace(outcome, proof=Proof.RESPONSE)  # it is in no place: taking it out of one has deleted it
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
        # The response is the same whether the object was deleted or only removed from this one place.
        return Outcome(record.key, kind, Proof.RESPONSE if location is None else None)

    def _refused(self, record: Record, error: VendorError, in_doubt: bool) -> Outcome | None:
        if isinstance(error, ServerError) and not in_doubt:
            return None
        shown = self._shown.get(record.key)
        # What may not be deleted for good stays, wherever it is: the last look tells why well enough.
        stays = self.hard_delete and not in_doubt and isinstance(error, RefusedError)
        try:
            presence = shown.presence if shown and stays else self.probe(record)
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
        if presence is Presence.BINNED:
            return self._binned_before(record, error)
        reason = {
            Presence.CONTAINER: "it is not empty, or the account lacks the right to delete it or what it holds",
        }.get(presence, "the account lacks the right to delete it, or it is locked or in a workflow")
        return outcome_from_error(record, OutcomeKind.BLOCKED, f"{reason} ({_code(error)})", error)

    def _not_found(self, record: Record, error: VendorError, presence: Presence) -> Outcome:
        """Return what a "not found" means if no earlier call of ours explains it."""
        if presence is Presence.GONE and not self.sight.is_gone(record.target_id):
            return outcome_from_error(record, OutcomeKind.FAILED, f"{error} It proves nothing: {BLIND}.", error)
        if presence is Presence.GONE:
            return Outcome(record.key, OutcomeKind.ABSENT, Proof.PROBE, _NOWHERE)
        if presence is Presence.BINNED:
            return self._binned_before(record, error)
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
            if not observed:
                return self._binned_before(record)
            return self._recycled(record, Proof.INFERRED, "our call went unanswered; it is in the recycle bin since")
        if presence is Presence.GONE and self._observes and not self.sight.is_gone(record.target_id):
            reason = f"it is neither live nor in the recycle bin, which proves nothing: {BLIND}"
            return Outcome(record.key, OutcomeKind.UNKNOWN, reason=reason)
        if presence is Presence.GONE and not observed:
            reason = f"it is gone, and no look shows that our call did it; {_NOWHERE}"
            return Outcome(record.key, OutcomeKind.ABSENT, Proof.PROBE, reason)
        if presence is Presence.GONE and self.hard_delete and not refused:
            reason = "our call went unanswered; it is neither live nor in the recycle bin of this account since"
            return Outcome(record.key, OutcomeKind.DESTROYED, Proof.INFERRED, reason)
        reason = f"our call went unanswered; a probe says: {presence.value}, which does not show what became of it"
        return Outcome(record.key, OutcomeKind.UNKNOWN, reason=reason)

    def _still_there(self, record: Record, why: str) -> Outcome:
        if location := self._location(record):
            reason = f"taken out of {location} at most: it is still filed elsewhere; records for all places are needed"
            return Outcome(record.key, OutcomeKind.BLOCKED, Proof.PROBE, reason)
        # Its call was answered and seems to have done nothing: it may take effect late.
        reason = f"{why}, but it is still there"
        return Outcome(record.key, OutcomeKind.FAILED, Proof.PROBE, reason, unanswered=True)

    def _recycled(self, record: Record, proof: Proof, reason: str | None = None) -> Outcome:
        if self.hard_delete:
            reason = f"{reason or 'it is in the recycle bin'} though a hard delete was asked for"
        return Outcome(record.key, OutcomeKind.RECYCLED, proof, reason)

    def _binned_before(self, record: Record, error: VendorError | None = None) -> Outcome:
        """Return the outcome of an object that no call of ours moved to the recycle bin."""
        if self.hard_delete and error is not None:
            reason = f"it is in the recycle bin; purging it needs a right, and DMS 5.3.0 or later ({_code(error)})"
            return outcome_from_error(record, OutcomeKind.BLOCKED, reason, error)
        if self.sight.may_live(record.target_id):
            reason = "it was in the recycle bin a moment ago, and is there now; the next try looks again"
            return Outcome(record.key, OutcomeKind.FAILED, reason=reason)
        reason = "it was in the recycle bin of this account before our call; another run may have moved it there"
        return Outcome(record.key, OutcomeKind.ABSENT, Proof.PROBE, reason)

    def probe(self, record: Record) -> Presence:
        """Look for the object, live and in the recycle bin; changes nothing.

        :raises VendorError: enaio cannot be asked.
        """
        return self.sight.locate(record.target_id)[0]

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

    def _not_sent(self, record: Record, in_doubt: bool) -> Outcome | None:
        """Return the outcome of an object that no look showed; None if one did."""
        shown = self._unsent.get(record.key)
        if shown is None:
            return None
        if in_doubt and isinstance(shown, Presence):
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
        if isinstance(shown, str):
            return Outcome(record.key, OutcomeKind.BLOCKED, Proof.PROBE, f"nothing was sent: {shown}")
        if shown is Presence.BINNED:
            return self._binned_before(record)
        if shown is Presence.HIDDEN:
            reason = "nothing was sent: the account may not read it, so that nobody could tell what became of it"
            return Outcome(record.key, OutcomeKind.BLOCKED, Proof.PROBE, reason)
        return Outcome(record.key, OutcomeKind.ABSENT, Proof.PROBE, _NOWHERE)

    def _location(self, record: Record) -> str | None:
        return record.location or self.location

    def _object_type(self, record: Record) -> str | None:
        return record.object_type_id or self.object_type_id


def _code(error: VendorError) -> str:
    return f"enaio code {error.code}" if error.code else f"HTTP {error.status}"
