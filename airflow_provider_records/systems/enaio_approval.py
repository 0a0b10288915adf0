"""An index field of enaio that approved the objects of a list, read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import NotFoundError, StopError, UnavailableError, VendorError
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.enaio_responses import EnaioObject
from airflow_provider_records.systems.enaio_batch import BatchProbe
from airflow_provider_records.systems.enaio_look import Look, Looks, Presence, listed_type, live


class EnaioFieldSource:
    """The field whose value approves each object.

    :param digest: digest of the approved list; the field names none.
    :param source: the field and its approving values.
    """

    def __init__(self, digest: str, source: Mapping[str, Any]) -> None:
        self._hook = EnaioHook(source["conn_id"])
        self._field = source["field"]
        self._approved = source["approved"]
        self._withholds = source.get("on_rejected") == "withhold"
        self._object_types: dict[str, str] = {}
        self._looks = Looks(BatchProbe(self._hook, wished=(self._field,)), self._look_at, self._approves)

    def stop(self) -> None:
        """End all sending and waiting."""
        self._hook.stopping = True

    def withdrawn(self, records: Sequence[Record]) -> str | Mapping[str, str | VendorError]:
        """Return which object does not approve any more, all of them by key where the sensor withholds single ones.

        One search shows many that still approve; only a look at a single object says that it does not. One that is not
        there says nothing, and one that cannot be read concerns no other.

        :raises VendorError: enaio cannot be read.
        """
        self._object_types |= {each.target_id: each.object_type_id for each in records if each.object_type_id}
        types = {record.target_id: listed_type(record) for record in records}
        try:
            looks = self._looks.at(list(types), types)
        finally:
            for object_id in types:
                self._object_types.pop(object_id, None)
        changed: list[tuple[Record, str]] = []
        unread: dict[str, VendorError] = {}
        for record in records:
            look = looks[record.target_id]
            if isinstance(look, VendorError):
                unread[record.key] = look
            elif look.found and not self._approves(look.found):
                changed.append((record, self._value(look.found)))
        if self._withholds:
            return unread | {record.key: f"{self._field} = {text!r} now" for record, text in changed}
        if not changed:
            return unread
        record, text = changed[0]
        found = f"{self._field} = {text!r}"
        return f"enaio object {record.target_id} has {found} now ({len(changed)} of {len(records)} objects)."

    def _look_at(self, object_id: str) -> Look | VendorError:
        try:
            found = self._hook.get_object(object_id, object_type_id=self._object_types.get(object_id))
        except NotFoundError:
            return Look(Presence.GONE)
        except (StopError, UnavailableError):
            raise
        except VendorError as error:
            return error
        return Look(live(found), found)

    def _approves(self, found: EnaioObject) -> bool:
        return self._value(found) in self._approved

    def _value(self, found: EnaioObject) -> str:
        return found.fields.get(self._field, "").strip()
