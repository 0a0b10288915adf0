"""An index field of enaio that approved the objects of a list, read again."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import NotFoundError
from airflow_provider_records.hooks.enaio import EnaioHook


class EnaioFieldSource:
    """The field whose value approves each object.

    :param digest: digest of the approved list; the field names none.
    :param source: the field and its approving values.
    """

    def __init__(self, digest: str, source: Mapping[str, Any]) -> None:
        self._hook = EnaioHook(source["conn_id"])
        self._field = source["field"]
        self._approved = source["approved"]

    def stop(self) -> None:
        """End all sending and waiting."""
        self._hook.stopping = True

    def withdrawn(self, records: Sequence[Record]) -> str | None:
        """Return which object does not approve any more; one that is not there says nothing.

        :raises VendorError: enaio cannot be read.
        """
        failed = threading.Event()

        def value(record: Record) -> str | None:
            if failed.is_set():  # refused credentials must not be tried once for each object
                return None
            try:
                return self._value(record)
            except Exception:
                failed.set()
                raise

        with ThreadPoolExecutor(min(len(records), self._hook.settings.max_concurrency)) as pool:
            values = dict(zip((record.target_id for record in records), pool.map(value, records), strict=True))
        changed = {id_: value for id_, value in values.items() if value is not None and value not in self._approved}
        if not changed:
            return None
        first = next(iter(changed))
        found = f"{self._field} = {changed[first]!r}"
        return f"enaio object {first} has {found} now ({len(changed)} of {len(values)} objects)."

    def _value(self, record: Record) -> str | None:
        try:
            found = self._hook.get_object(record.target_id, object_type_id=record.object_type_id)
        except NotFoundError:
            return None
        return found.fields.get(self._field, "").strip()
