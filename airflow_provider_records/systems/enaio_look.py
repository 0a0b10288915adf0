"""Looks at many objects of enaio: with the search of their type, else one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import VendorError
from airflow_provider_records.hooks.enaio_responses import EnaioObject
from airflow_provider_records.systems.enaio_batch import BatchProbe

CONTAINERS = {"FOLDER", "REGISTER"}
_TYPE_NAME = re.compile(r"[^\W\d]\w*")


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
        return self is Presence.LIVE or self is Presence.CONTAINER  # a set would hash it, in Python


@dataclass(frozen=True)
class Look:
    """What a look showed of an object.

    :param presence: where it is.
    :param found: the object, where it was found.
    :param listed_by: the type whose search listed it; empty: it was looked at singly.
    """

    presence: Presence
    found: EnaioObject | None = None
    listed_by: str = ""


class Looks:
    """Looks at many objects.

    :param batch: the searches.
    :param look_at: looks at one object, by its id.
    :param counts: tells of an object that a search lists whether this is enough; else it is looked at singly.
    """

    def __init__(
        self,
        batch: BatchProbe,
        look_at: Callable[[str], Look | VendorError],
        counts: Callable[[EnaioObject], bool] = lambda _: True,
    ) -> None:
        self._batch = batch
        self._look_at = look_at
        self._counts = counts
        self._newest = ""

    def at(
        self, object_ids: Sequence[str], types: Mapping[str, str], *, thorough: bool = True
    ) -> dict[str, Look | VendorError]:
        """Return what is known of each object: by the search of its type, else by a look at it alone.

        :param object_ids: ids, each once.
        :param types: the internal name of the type by id, see :func:`listed_type`; empty where it is not known.
        :param thorough: False: look singly at a few objects only, to find their types; the rest may be left out.
        :raises VendorError: no other request can succeed either.
        """
        looks: dict[str, Look | VendorError] = {}
        searched: set[str] = set()

        def search(type_name: str, ids: Sequence[str]) -> None:
            searched.add(type_name)
            if listed := self._batch.listed(type_name, ids):
                self._newest = type_name
            for object_id, found in listed.items():
                if self._counts(found):
                    looks[object_id] = Look(live(found), found, type_name)

        def left() -> list[str]:
            return [object_id for object_id in object_ids if object_id not in looks]

        for name in sorted(set(types.values()) - {""}):
            search(name, [object_id for object_id in object_ids if types.get(object_id) == name])
        for name in sorted(self._batch.types, key=lambda name: name != self._newest):  # alike go one after the other
            search(name, [object_id for object_id in left() if types.get(object_id) != name])
        size, most = 1, self._batch.hook.settings.max_concurrency  # the type of one may show the others
        with ThreadPoolExecutor(most, thread_name_prefix="enaio") as pool:
            while left():
                batch = left()[:size]
                found = dict(zip(batch, pool.map(self._look_at, batch), strict=True))
                looks |= found
                names = {look.found.type_name for look in found.values() if isinstance(look, Look) and look.found}
                new = [name for name in sorted(names) if _TYPE_NAME.fullmatch(name) and name not in searched]
                for name in new:
                    alike = [object_id for object_id, look in found.items() if _named(look) == name]
                    search(name, [*alike, *left()])
                    if name in self._batch.types:  # what it did not list, though it was alive, is looked at once more
                        for object_id in alike:
                            look = looks[object_id]
                            if isinstance(look, Look) and look.presence.live and look.listed_by != name:
                                del looks[object_id]
                if not (thorough or new or size < most):
                    break
                size = 1 if new else most
        return looks


def objects(looks: Iterable[Look | VendorError]) -> Iterator[EnaioObject]:
    """Return the objects that looks have found."""
    return (look.found for look in looks if isinstance(look, Look) and look.found)


def live(found: EnaioObject) -> Presence:
    """Return where an object is that is not in the recycle bin."""
    return Presence.CONTAINER if found.base_type in CONTAINERS else Presence.LIVE


def listed_type(record: Record) -> str:
    """Return the internal name of a record's type, where the list names one that can stand in a statement."""
    name = record.attributes.get("object_type")
    return name if isinstance(name, str) and _TYPE_NAME.fullmatch(name) else ""


def search_key(record: Record) -> str:
    """Return what records of one type share, so that a search for them is full: without a type, the classification."""
    return f"{listed_type(record)}\n{record.classification or ''}"


def _named(look: Look | VendorError) -> str:
    return look.found.type_name if isinstance(look, Look) and look.found else ""
