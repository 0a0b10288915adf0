"""Is the disposal of enaio objects approved in an index field of theirs?"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_provider_records.exceptions import ApprovalError, ApprovalRejectedError, NotFoundError
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.enaio_responses import EnaioObject
from airflow_provider_records.triggers.base import VendorTrigger

MOST_OBJECTS = 1000
"""In the database row of a trigger, which some databases limit to 64 KB."""


class EnaioApprovalTrigger(VendorTrigger):
    """Wait until an index field of every object approves (enaio DMS service: GET objectId).

    In the triggerer, only the first thousand objects of a longer list are watched; the worker then reads all of them.

    :param objects: object id and object type id (or None) of every object.
    :param field: internal name of the index field.
    :param approved: values that approve.
    :param rejected: values that reject.
    """

    hook_class = EnaioHook

    def __init__(
        self,
        *,
        objects: Sequence[Sequence[str | None]],
        field: str,
        approved: Sequence[str],
        rejected: Sequence[str],
        **common: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**common)
        self.objects = objects
        self.field = field
        self.approved = approved
        self.rejected = rejected

    def question(self) -> dict[str, Any]:
        """Return what the question consists of, as plain JSON."""
        return {
            "objects": [list(pair) for pair in self.objects[:MOST_OBJECTS]],
            "field": self.field,
            "approved": list(self.approved),
            "rejected": list(self.rejected),
        }

    def ask(self, hook: EnaioHook) -> Mapping[str, Any] | None:
        """Read every object; return the values that were found when all are approved.

        :raises ApprovalRejectedError: one is rejected.
        :raises ApprovalError: one does not exist.
        :raises VendorError: enaio refuses.
        """
        failed = threading.Event()

        def value(pair: Sequence[str | None]) -> tuple[str, str]:
            if failed.is_set():  # refused credentials must not be tried once for each object
                return str(pair[0]), ""
            try:
                return self._value(hook, str(pair[0]), pair[1])
            except Exception:
                failed.set()
                raise

        with ThreadPoolExecutor(hook.settings.max_concurrency) as pool:
            values = dict(pool.map(value, self.objects))
        if rejected := [object_id for object_id, value in values.items() if value in self.rejected]:
            raise ApprovalRejectedError(
                f"enaio object {rejected[0]} has {self.field} = {values[rejected[0]]!r}: its disposal was rejected "
                f"({len(rejected)} of {len(values)} objects). Start a new DAG run without them."
            )
        found = sorted(set(values.values()))
        return {"values": found} if set(found) <= set(self.approved) else None

    def _value(self, hook: EnaioHook, object_id: str, object_type_id: str | None) -> tuple[str, str]:
        try:
            found: EnaioObject = hook.get_object(object_id, object_type_id=object_type_id)
        except NotFoundError as error:
            raise ApprovalError(f"enaio object {object_id} does not exist, so nobody can approve it: {error}") from None
        return object_id, found.fields.get(self.field, "").strip()
