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
        self._withholds = source.get("on_rejected") == "withhold"

    def stop(self) -> None:
        """End all sending and waiting."""
        self._hook.stopping = True

    def withdrawn(self, records: Sequence[Record]) -> str | Mapping[str, str]:
        """Return which object does not approve any more, all of them by key where the sensor withholds single ones.

        One that is not there says nothing.

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
            values = zip(records, pool.map(value, records), strict=True)
            changed = [(record, text) for record, text in values if text is not None and text not in self._approved]
        if self._withholds:
            return {record.key: f"{self._field} = {text!r} now" for record, text in changed}
        if not changed:
            return ""
        record, text = changed[0]
        found = f"{self._field} = {text!r}"
        return f"enaio object {record.target_id} has {found} now ({len(changed)} of {len(records)} objects)."

    def _value(self, record: Record) -> str | None:
        try:
            found = self._hook.get_object(record.target_id, object_type_id=record.object_type_id)
        except NotFoundError:
            return None
        return found.fields.get(self._field, "").strip()
