"""The contents of the fake enaio: objects, their types and places, and the effects of deleting them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_records.sandbox.enaio_search import BadQueryError, Statement, Values

UNNAMED_FIELDS = {"system:OBJECT_RETENTION", "system:OBJECT_RETENTION_PLANNED", "system:OBJECT_LOCKUSER"}
"""System fields that no page of the vendor names for this service."""
SYSTEM_FIELDS = {
    "system:objectId",
    "system:objectTypeId",
    "system:baseTypeId",
    "system:lastModificationDate",
    "system:SDSTA_ID",
    "system:SDREG_ID",
} | UNNAMED_FIELDS


@dataclass
class StoredObject:
    """One folder, register or document.

    :param id: digits.
    :param object_type: name of its type, e.g. ``Invoice``.
    :param base: ``FOLDER``, ``REGISTER`` or ``DOCUMENT``.
    :param fields: index fields.
    :param places: ids of its parents; only documents can have more than one.
    :param modified: last change, ISO 8601 with offset.
    :param no_read: users who cannot see it.
    :param no_delete: users who may not delete it.
    :param retention: last day of the retention, ``YYYY-MM-DD``; empty: none.
    :param planned_retention: last day of the retention that begins when it is archived; empty: none.
    :param archived: on a storage medium; the technical user lacks the role to delete it.
    :param in_workflow: whether a workflow process uses it.
    :param locked_by: the user who checked it out; empty: it is not checked out.
    :param bin: the user whose recycle bin contains it; empty: it is live.
    """

    id: str
    object_type: str
    base: str = "DOCUMENT"
    fields: dict[str, str] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)
    modified: str = "2020-12-08T18:33:14+01:00"
    no_read: set[str] = field(default_factory=set)
    no_delete: set[str] = field(default_factory=set)
    retention: str = ""
    planned_retention: str = ""
    archived: bool = False
    in_workflow: bool = False
    locked_by: str = ""
    bin: str = ""


@dataclass
class ObjectType:
    """An object type: its id and its index fields."""

    id: str
    fields: set[str] = field(default_factory=set)


class Archive:
    """All objects, live or in a recycle bin, and the ids of the destroyed ones.

    ``lag`` is the number of seconds for which a search goes on showing an object as it was before a change.
    """

    def __init__(self) -> None:
        self.objects: dict[str, StoredObject] = {}
        self.types: dict[str, ObjectType] = {}
        self.destroyed: list[str] = []
        self._children: dict[str, dict[str, None]] = {}
        self._selects = 0
        self.lag = 0.0
        self._system_fields: dict[str, Callable[[StoredObject], str]] = {
            "system:objectId": lambda item: item.id,
            "system:baseTypeId": lambda item: item.base,
            "system:objectTypeId": lambda item: self.types[item.object_type].id,
            "system:lastModificationDate": lambda item: item.modified,
            "system:OBJECT_RETENTION": lambda item: item.retention,
            "system:OBJECT_RETENTION_PLANNED": lambda item: item.planned_retention,
            "system:OBJECT_LOCKUSER": lambda item: item.locked_by,
        }
        self._past: dict[str, list[tuple[float, StoredObject]]] = {}

    def add(
        self,
        object_id: str,
        object_type: str,
        *,
        base: str = "DOCUMENT",
        fields: dict[str, str] | None = None,
        places: Iterable[str] = (),
    ) -> StoredObject:
        """Add an object; the caller sets rights, locks and so on at what is returned.

        :param object_id: digits.
        :param object_type: name of its type; an unknown name creates the type.
        :param base: ``FOLDER``, ``REGISTER`` or ``DOCUMENT``.
        :param fields: index fields.
        :param places: ids of the folders or registers that contain it.
        :raises ValueError: the id is taken or not made of digits, or it cannot be filed in these places.
        """
        places = list(places)
        if not is_object_id(object_id) or object_id in self.objects:
            raise ValueError(f"{object_id!r} is taken or not made of digits")
        if lost := [place for place in places if place not in self.objects]:
            raise ValueError(f"{object_id} cannot lie in {', '.join(lost)}: no such object")
        if len(places) > (0 if base == "FOLDER" else 1 if base == "REGISTER" else len(places)):
            raise ValueError(f"{object_id} is a {base} and cannot lie in {len(places)} places")
        made = StoredObject(object_id, object_type, base, dict(fields or {}), places)
        self.objects[object_id] = made
        for place in places:
            self._children.setdefault(place, {})[object_id] = None
        # The first id is that of the vendor's example.
        known = self.types.setdefault(object_type, ObjectType(str(262238 + len(self.types))))
        known.fields.update(made.fields)
        return made

    def leave(self, item: StoredObject, places: list[str]) -> dict[str, Any]:
        """Remove the object from some of its places; return the effect."""
        for place in places:
            item.places.remove(place)
            del self._children[place][item.id]
        return {"effect": "removed_from_place", "id": item.id, "places": places}

    def recycle(self, item: StoredObject, user: str) -> dict[str, Any]:
        """Move the object to a user's recycle bin; return the effect."""
        self.keep_past(item)
        item.bin = user
        return {"effect": "recycled", "id": item.id}

    def destroy(self, item: StoredObject) -> dict[str, Any]:
        """Remove the object for good; return the effect."""
        self.keep_past(item)
        self.leave(item, list(item.places))
        del self.objects[item.id]
        self.destroyed.append(item.id)
        return {"effect": "destroyed", "id": item.id}

    def keep_past(self, item: StoredObject) -> None:
        """Remember what an object is like, right before it changes, for searches that lag behind."""
        if self.lag:
            past = replace(item, fields=dict(item.fields), places=list(item.places))
            self._past.setdefault(item.id, []).append((time.monotonic(), past))

    def _as_of(self, object_id: str, moment: float) -> StoredObject | None:
        """Return what an object was like at a moment; None: it was not there."""
        past = (item for until, item in self._past.get(object_id, ()) if until > moment)
        return next(past, self.objects.get(object_id))

    def children(self, object_id: str) -> list[StoredObject]:
        """Return its direct children, live or in a recycle bin."""
        return [self.objects[child] for child in self._children.get(object_id, {})]

    def tree(self, top: StoredObject) -> list[StoredObject]:
        """Return the object and all below it in the same state (live, or in that recycle bin); the object first."""
        found = {top.id: top}
        waiting = [top.id]
        while waiting:
            for child in self.children(waiting.pop()):
                if child.id not in found and child.bin == top.bin:
                    found[child.id] = child
                    waiting.append(child.id)
        return list(found.values())

    def line(self, bottom: StoredObject) -> list[StoredObject]:
        """Return the object and all of its ancestors."""
        found = {bottom.id: bottom}
        waiting = [bottom]
        while waiting:
            for place in waiting.pop().places:
                found[place] = self.objects[place]
                waiting.append(found[place])
        return list(found.values())

    def select(self, statement: Statement, user: str, *, binned: bool) -> list[StoredObject]:
        """Return the objects that a statement finds.

        :param statement: the parsed statement.
        :param user: the user who searches: finds what the user may read, and in no other recycle bin.
        :param binned: search the user's recycle bin instead of the live objects.
        :raises BadQueryError: the statement names an object type or a field that does not exist.
        """
        if statement.object_type not in self.types:
            raise BadQueryError(f"there is no object type {statement.object_type!r}")
        if unknown := sorted(statement.names() - SYSTEM_FIELDS - self.types[statement.object_type].fields):
            raise BadQueryError(f"{statement.object_type} has no field {', '.join(unknown)}")
        known: Iterable[str] = {**self.objects, **self._past} if self._past else self.objects
        ids = next((each.operands for each in statement.conditions if each.names_ids), known)
        moment = time.monotonic() - self.lag
        rows = [
            item
            for item in filter(None, (self._as_of(each, moment) for each in dict.fromkeys(ids)))
            if item.object_type == statement.object_type
            and item.bin == (user if binned else "")
            and user not in item.no_read
            and statement.matches(self.values(item))
        ]
        self._selects += 1
        if self._selects % 2 == 0:
            # Without ORDER BY the order is undefined; a client that relies on it must fail here.
            rows.reverse()
        statement.sort(rows, self.values)
        return rows

    def values(self, item: StoredObject) -> Values:
        """Return a function that looks up a field's values; fields about the parents have one value for each place."""

        system = self._system_fields

        def lookup(name: str) -> list[str]:
            if name == "system:SDSTA_ID":
                return [self._folder_of(place) for place in item.places]
            if name == "system:SDREG_ID":
                return [place for place in item.places if self._base_of(place) == "REGISTER"]
            if name in item.fields:
                return [item.fields[name]]
            return [system[name](item)] if name in system else []

        return lookup

    def _base_of(self, object_id: str) -> str:
        # An object in a recycle bin keeps the ids of parents that may have been destroyed.
        return self.objects[object_id].base if object_id in self.objects else ""

    def _folder_of(self, object_id: str) -> str:
        while self._base_of(object_id) == "REGISTER" and self.objects[object_id].places:
            object_id = self.objects[object_id].places[0]
        return object_id


def is_object_id(text: str) -> bool:
    """Tell whether a text can be an id of enaio."""
    return text.isascii() and text.isdigit()
