"""In which order folders of enaio and what they hold are deleted."""

from __future__ import annotations

import threading
from collections.abc import Sequence, Set

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.systems.enaio_batch import FOLDER, IDS_PER_SEARCH, REGISTER, BatchProbe, parts
from airflow_provider_records.systems.enaio_look import Look, Looks, Presence, listed_type
from airflow_provider_records.systems.enaio_sight import Sight


class FolderOrder:
    """The objects of a list go first, then the folders of the list that hold them.

    :param batch: the searches, which show folder and register of each object.
    :param sight: the looks at single objects, and what is on the list.
    """

    def __init__(self, batch: BatchProbe, sight: Sight) -> None:
        self._batch = batch
        self._sight = sight
        self._parents: dict[str, set[str]] = {}
        self._children: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def groups(self, records: Sequence[Record], locations: Sequence[str | None]) -> Sequence[Sequence[Record]]:
        """Return the records in groups that go one after the other: what a folder holds before the folder.

        :param records: the records.
        :param locations: for each record the id of the parent that it is taken out of, if there is one.
        :raises VendorError: no other request can succeed either.
        """
        types = {record.target_id: listed_type(record) for record in records}
        containers: set[str] = set()
        for record, location in zip(records, locations, strict=True):
            if location:
                self._note_parents(record.target_id, {location})
        looks = Looks(self._batch, self._sight.look_at)
        for ids in parts(list(types), IDS_PER_SEARCH - 1):
            for object_id, look in looks.at(ids, types).items():
                if isinstance(look, Look) and look.found:
                    fields = look.found.fields
                    shown = {fields.get(name, "") for name in (FOLDER, REGISTER)} - {""}
                    self._note_parents(object_id, shown or self._sight.places(object_id))
                    if look.presence is Presence.CONTAINER:
                        containers.add(object_id)
        levels: dict[str, int] = {}
        for level in range(len(records)):
            ripe = [each for each in types.keys() - levels.keys() if self._children.get(each, set()) <= levels.keys()]
            levels |= dict.fromkeys(ripe, level)
            if not ripe:
                break
        last = max(levels.values(), default=0) + 1
        groups: dict[tuple[bool, int], list[Record]] = {}
        for record in records:
            id_ = record.target_id  # a search shows one place of a document; it may lie in any container
            groups.setdefault((id_ in containers, levels.get(id_, last)), []).append(record)
        return [groups[level] for level in sorted(groups)]

    def wait_for_children(self, record: Record) -> Outcome | None:
        """Leave a folder to the next try while records of the list that it contains are still to be deleted."""
        with self._lock:
            children = len(self._children.get(record.target_id, ()))
        if not children:
            return None
        reason = f"not sent: {children} records of the list lie in it and go first; the next try carries on"
        return Outcome(record.key, OutcomeKind.NOT_ATTEMPTED, reason=reason)

    def release_parents(self, object_id: str) -> None:
        """Let the folders of an object go; to be called once its outcome is final, whether it was sent or not.

        :param object_id: the object.
        """
        with self._lock:
            for parent in self._parents.get(object_id, ()):
                self._children[parent].discard(object_id)

    def _note_parents(self, object_id: str, parents: Set[str]) -> None:
        for parent in filter(self._sight.listed.__contains__, parents - {object_id}):
            self._parents.setdefault(object_id, set()).add(parent)
            self._children.setdefault(parent, set()).add(object_id)
