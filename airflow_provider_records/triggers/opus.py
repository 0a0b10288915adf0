"""Is anything on an Opus due list?"""

from __future__ import annotations

from typing import Any

from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.opus_responses import DueRecord
from airflow_provider_records.triggers.base import VendorTrigger


class OpusDueRecordsTrigger(VendorTrigger):
    """Wait until the due list has a first record (Opus API: connector records).

    :param connector_id: GUID of the connector connection.
    :param due_before: date that the list is asked with, as it is sent.
    """

    hook_class = OpusHook

    def __init__(self, *, connector_id: str, due_before: str, **common: Any) -> None:  # noqa: ANN401
        super().__init__(**common)
        self.connector_id = connector_id
        self.due_before = due_before

    def question(self) -> dict[str, Any]:
        """Return what the question consists of, as plain JSON."""
        return {"connector_id": self.connector_id, "due_before": self.due_before}

    def ask(self, hook: OpusHook) -> DueRecord | None:
        """Return the first record of the list, or None.

        :raises VendorError: Opus refuses.
        """
        first = next(iter(hook.iter_due_records(self.connector_id, self.due_before, 1)), None)
        self.seen = f"nothing is due before {self.due_before}" if first is None else "records are due"
        return first
