"""Is the disposal of enaio objects approved in an index field of theirs?"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from airflow_provider_records.exceptions import ApprovalError, ApprovalRejectedError, NotFoundError
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.enaio_responses import CHANGED, MODIFIED, EnaioObject
from airflow_provider_records.triggers.base import APPROVERS, REFUSED, VendorTrigger

MOST_OBJECTS = 1000
"""In the database row of a trigger, which some databases limit to 64 KB."""
_VALUES = 5
"""Maximum number of values of the field that the log names."""


class EnaioApprovalTrigger(VendorTrigger):
    """Wait until an index field of every object approves (enaio DMS service: GET objectId).

    In the triggerer, only the first thousand objects of a longer list are watched; the worker then reads all of them.

    :param objects: object id and object type id (or None) of every object.
    :param field: internal name of the index field.
    :param approved: values that approve.
    :param rejected: values that reject.
    :param on_rejected: ``fail``, or ``withhold``: the other objects may go on without a rejected one.
    :param approver_field: internal name of the index field that names who approved; None: there is none.
    """

    hook_class = EnaioHook

    def __init__(
        self,
        *,
        objects: Sequence[Sequence[str | None]],
        field: str,
        approved: Sequence[str],
        rejected: Sequence[str],
        on_rejected: str = "fail",
        approver_field: str | None = None,
        **common: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**common)
        self.objects = objects
        self.field = field
        self.approved = approved
        self.rejected = rejected
        self.on_rejected = on_rejected
        self.approver_field = approver_field

    def question(self) -> dict[str, Any]:
        """Return what the question consists of, as plain JSON."""
        return {
            "objects": [list(pair) for pair in self.objects[:MOST_OBJECTS]],
            "field": self.field,
            "approved": list(self.approved),
            "rejected": list(self.rejected),
            "on_rejected": self.on_rejected,
            "approver_field": self.approver_field,
        }

    def ask(self, hook: EnaioHook) -> Mapping[str, Any] | None:
        """Read every object; return what was found, when all are approved.

        With ``on_rejected="withhold"``, when all others are; the answer then names the rejected ones with their values.

        :return: the values, who approved all, and when each object was changed last: to set the field was a change.
        :raises ApprovalRejectedError: one is rejected, and ``on_rejected="fail"``.
        :raises ApprovalError: one does not exist, or is approved and does not name who approved.
        :raises VendorError: enaio refuses.
        """
        failed = threading.Event()

        def value(pair: Sequence[str | None]) -> tuple[str, EnaioObject | None]:
            if failed.is_set():  # refused credentials must not be tried once for each object
                return str(pair[0]), None
            try:
                return self._value(hook, str(pair[0]), pair[1])
            except Exception:
                failed.set()
                raise

        with ThreadPoolExecutor(hook.settings.max_concurrency) as pool:
            shown = {object_id: found for object_id, found in pool.map(value, self.objects) if found}
        values = {object_id: each.fields.get(self.field, "").strip() for object_id, each in shown.items()}
        self.seen = _counted(self.field, values.values())
        rejected = {object_id: value for object_id, value in values.items() if value in self.rejected}
        if rejected and self.on_rejected == "fail":
            first = next(iter(rejected))
            raise ApprovalRejectedError(
                f"enaio object {first} has {self.field} = {rejected[first]!r}: its disposal was rejected "
                f"({len(rejected)} of {len(values)} objects). Put them on hold (airflow-records hold add) and start a "
                'new DAG run, or let on_rejected="withhold" do so.'
            )
        found = sorted({value for object_id, value in values.items() if object_id not in rejected})
        if not set(found) <= set(self.approved):
            return None
        answer: dict[str, Any] = {"values": found} | ({REFUSED: rejected} if rejected else {})
        going = {object_id: each.fields for object_id, each in shown.items() if object_id not in rejected}
        if changed := {object_id: at for object_id, fields in going.items() if (at := fields.get(MODIFIED))}:
            answer[CHANGED] = changed
        if self.approver_field is not None:
            named = {object_id: fields.get(self.approver_field, "") for object_id, fields in going.items()}
            answer[APPROVERS] = self._approvers(named)
        return answer

    def _approvers(self, named: Mapping[str, str]) -> list[str]:
        """Return whom the field of every object names."""
        everywhere: dict[str, str] | None = None
        for object_id, text in named.items():
            names = {" ".join(name.casefold().split()): name for name in _names(text)}
            if not names:
                raise ApprovalError(
                    f"enaio object {object_id} is approved, and its field {self.approver_field} (approver_field), "
                    "which must name who approved, is empty. Fill it in, then clear this task."
                )
            everywhere = names if everywhere is None else {key: everywhere[key] for key in everywhere if key in names}
        return sorted((everywhere or {}).values())

    def _value(self, hook: EnaioHook, object_id: str, object_type_id: str | None) -> tuple[str, EnaioObject]:
        try:
            return object_id, hook.get_object(object_id, object_type_id=object_type_id)
        except NotFoundError as error:
            raise ApprovalError(f"enaio object {object_id} does not exist, so nobody can approve it: {error}") from None


def _counted(field: str, values: Iterable[str]) -> str:
    """Return how many objects have which value, the most first."""
    counted = Counter(values).most_common()
    said = [f"{value[:40]!r} ({number})" for value, number in counted[:_VALUES]]
    return f"{field} = {', '.join([*said, *['…'] * (len(counted) > _VALUES)])}"


def _names(text: str) -> list[str]:
    """Return the names in a field, of which one with several values is given as JSON text."""
    values: Any = text
    if text.startswith("["):
        with suppress(ValueError):
            values = json.loads(text)
    names = values if isinstance(values, list) and all(isinstance(each, str) for each in values) else [text]
    return [name.strip() for name in names if name.strip()]
