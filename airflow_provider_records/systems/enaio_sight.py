"""What an account of enaio sees of single objects, and whether it sees anything at all."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from airflow_provider_records.evidence.distinct import DigestSet
from airflow_provider_records.exceptions import (
    NoAnswerError,
    NotFoundError,
    NotSentError,
    RefusedError,
    StopError,
    UnavailableError,
    VendorError,
)
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.enaio_responses import EnaioObject
from airflow_provider_records.systems.enaio_batch import FOLDER, REGISTER, BatchProbe
from airflow_provider_records.systems.enaio_look import Look, Presence, live

BLIND = "this account sees nothing: neither an object of the list nor any other one that it saw before"
_CANARIES = 3


class Sight:
    """Looks at single objects, and at canaries: objects that are alive and not on the list.

    "Not found" proves nothing of an object unless a canary can be read then: the account may have lost its rights.

    :param hook: the client.
    :param batch: the searches, which find canaries.
    :param hard_delete: objects in the recycle bin are deleted as well.
    """

    def __init__(self, hook: EnaioHook, batch: BatchProbe, *, hard_delete: bool) -> None:
        self.hook = hook
        self.hard_delete = hard_delete
        self.listed = DigestSet()
        self.canaries: list[str] = []
        self.type_canaries: dict[str, str | None] = {}
        self._candidates: dict[str, str | None] = {}
        self._batch = batch
        self._choosing = threading.Lock()

    def deletable(self, presence: Presence) -> bool:
        """Tell whether a call may delete what is there."""
        return presence.live or (presence is Presence.BINNED and self.hard_delete)

    def look_at(self, object_id: str) -> Look | VendorError:
        """Look at one object; an error that concerns only this object is returned.

        :raises StopError: no other request can succeed either.
        :raises UnavailableError: as above.
        """
        try:
            presence, found = self.locate(object_id)
        except (StopError, UnavailableError):
            raise
        except VendorError as error:
            return error
        return Look(presence, found)

    def look_if_alive(self, object_id: str) -> Look | VendorError:
        """Look at one object as :meth:`look_at` does, but not into the recycle bin where it is not found alive.

        What this does not find has to be looked at again (:meth:`look_again`), there as well.
        """
        try:
            found = self.hook.get_object(object_id)
        except NotFoundError:
            return Look(Presence.GONE)
        except RefusedError:
            return self.look_at(object_id)
        except (StopError, UnavailableError):
            raise
        except VendorError as error:
            return error
        return Look(live(found), found)

    def locate(self, object_id: str) -> tuple[Presence, EnaioObject | None]:
        """Look for an object, live and in the recycle bin; changes nothing.

        :raises VendorError: enaio cannot be asked.
        """
        hidden = False
        for binned in (False, True):
            try:
                found = self.hook.get_object(object_id, binned=binned)
            except NotFoundError:
                continue
            except RefusedError:
                hidden = True
                continue
            if not binned:
                return live(found), found
            if self.hard_delete:  # whose objects are not expected there; a look into the bin may show what is alive
                with suppress(NotFoundError, RefusedError):
                    alive = self.hook.get_object(object_id)
                    return live(alive), alive
                return self._binned_still(object_id)
            return Presence.BINNED, found
        return (Presence.HIDDEN if hidden else Presence.GONE), None

    def _binned_still(self, object_id: str) -> tuple[Presence, EnaioObject | None]:
        """Look into the bin again: a look there shows what is alive, too, and the account may see nothing since."""
        try:
            return Presence.BINNED, self.hook.get_object(object_id, binned=True)
        except NotFoundError:
            return Presence.GONE, None
        except RefusedError:
            return Presence.HIDDEN, None

    def candidates(self, type_names: Set[str]) -> dict[str, str]:
        """Return an object of each type that may be its canary, if the same answer shows it and objects of the list.

        :param type_names: types that the list names; those that have their canary are left out.
        :raises VendorError: no other request can succeed either.
        """
        with self._choosing:
            new = type_names - self.type_canaries.keys() - {""}
            for name in sorted(new - self._candidates.keys()):
                self._candidates[name] = self._not_listed(self._batch.newest(name, self.listed))
            return {name: candidate for name in new if (candidate := self._candidates[name])}

    def choose_canaries(self, looks: Mapping[str, Look | VendorError]) -> None:
        """Choose objects that are alive and not on the list: of the same types, else the folders of these objects.

        One answer must show a canary together with an object of the list: another archive may be behind the address
        since.

        :param looks: what was looked at, candidates too.
        """
        shown: dict[str, list[Look]] = {}
        for object_id, look in looks.items():
            if isinstance(look, Look) and look.presence.live and object_id in self.listed:
                shown.setdefault(look.listed_by, []).append(look)
        with self._choosing:
            for name, alike in shown.items():
                if name not in self.type_canaries:
                    canary = self.type_canaries[name] = self._canary(name, alike, looks)
                    self._keep_canaries([canary] if canary else self._folders(alike))

    def _canary(self, type_name: str, alike: Sequence[Look], looks: Mapping[str, Look | VendorError]) -> str | None:
        """Return an object of a type that one answer shows together with objects of the list, if there is one."""
        candidate = self._candidates.get(type_name)
        if candidate and candidate in looks:
            look = looks[candidate]
            return candidate if isinstance(look, Look) and look.listed_by == type_name else None
        newest = self._batch.newest(type_name, self.listed) if type_name else []
        if (candidate := self._not_listed(newest)) is None:
            return None
        alive = [look.found.object_id for look in alike if look.found]
        together = not set(alive).isdisjoint(newest) or self._batch.together(type_name, [candidate, *alive[-1:]])
        return candidate if together else None

    def _not_listed(self, object_ids: Sequence[str]) -> str | None:
        return next((object_id for object_id in object_ids if object_id not in self.listed), None)

    def _folders(self, looks: Sequence[Look]) -> list[str]:
        """Return folders of objects that can be read; only where all are on the list, one that is.

        :raises NoAnswerError: it is not known whether they can be read; without a canary nothing would prove absence.
        """
        fields = [look.found.fields for look in looks if look.found]
        ids = {row.get(name, "") for row in fields for name in (FOLDER, REGISTER)} - {""}
        for object_id in [look.found.object_id for look in looks if look.found][:_CANARIES]:
            if all(each in self.listed for each in ids):
                ids |= self.places(object_id)
        candidates = sorted(ids, key=lambda object_id: (object_id in self.listed, object_id))
        raised = (StopError, UnavailableError, NoAnswerError)
        return [object_id for object_id in candidates[:_CANARIES] if self._reads(object_id, raised)]

    def _keep_canaries(self, ids: Iterable[str]) -> None:
        self.canaries = list(dict.fromkeys([*self.canaries, *ids]))[:_CANARIES]

    def _reads(self, object_id: str, raised: tuple[type[VendorError], ...] = (StopError, UnavailableError)) -> bool:
        try:
            return self.locate(object_id)[0].live
        except raised:
            raise
        except VendorError:
            return False

    def sees(self) -> bool:
        """Tell whether the account can read an object now that was alive before."""
        return any(self._reads(object_id) for object_id in self.canaries)

    def is_gone(self, object_id: str) -> bool:
        """Tell whether an object that was not found is not there: the account sees others before and after it looks."""
        return self.sees() and self.locate(object_id)[0] is Presence.GONE and self.sees()

    def may_live(self, object_id: str) -> bool:
        """Tell whether an object that a look into the bin showed may be live: that look shows a live one, too.

        It is not only if it is not found live between two looks into the bin that show it: meanwhile this account may
        have seen nothing.
        """
        try:
            self.hook.get_object(object_id)
        except (NotFoundError, RefusedError):
            return self.locate(object_id)[0] is not Presence.BINNED
        except (StopError, UnavailableError):
            raise
        except VendorError:
            return True
        return True

    def look_again(self, looks: Mapping[str, Look | VendorError]) -> dict[str, Look | VendorError]:
        """Look again at what a look did not find alive: it may have seen nothing at all for a moment.

        An object is gone only if another one is seen before this second look and after it: meanwhile the account may
        have lost its rights, or another archive may answer.
        """
        found = {each: look.presence for each, look in looks.items() if isinstance(look, Look)}
        missing = [
            each
            for each, presence in found.items()
            if presence in (Presence.GONE, Presence.BINNED) and not self.deletable(presence)
        ]
        gone = [each for each in missing if found[each] is Presence.GONE]
        alive = [] if self.canaries else [each for each in found if found[each].live][-1:]
        again: dict[str, Look | VendorError] = {}

        def sees() -> bool:
            again.update((each, self.look_at(each)) for each in alive)
            shown = [look for each in alive if isinstance(look := again[each], Look) and look.presence.live]
            return bool(shown) or self.sees()

        def still_gone() -> list[str]:
            """Return what is gone now, the object that was to be seen included."""
            return [id_ for id_, look in again.items() if isinstance(look, Look) and look.presence is Presence.GONE]

        seen_before = bool(gone) and sees()
        with ThreadPoolExecutor(self.hook.settings.max_concurrency, thread_name_prefix="enaio") as pool:
            again |= dict(zip(missing, pool.map(self.look_at, missing), strict=True))
        if still_gone() and not (seen_before and sees()):
            again |= dict.fromkeys(still_gone(), NotSentError(f"{BLIND}."))
        return again

    def places(self, object_id: str) -> set[str]:
        """Return the objects that a single object lies in, as no search shows them."""
        try:
            paths = self.hook.locations(object_id)
        except (StopError, UnavailableError):
            raise
        except VendorError:
            return set()
        ids = {_value(step, "system:objectId") for path in paths for step in path}
        return ids - {"", object_id}


def _value(step: Mapping[str, Any], name: str) -> str:
    """Return a field of a step in a path, whose shape the vendor does not describe."""
    entry = (step.get("properties") or {}).get(name) if isinstance(step.get("properties"), dict) else step.get(name)
    value = entry.get("value") if isinstance(entry, dict) else entry
    return value if isinstance(value, str) and value.isascii() and value.isdigit() else ""
