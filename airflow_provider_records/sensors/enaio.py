"""OPTIMAL SYSTEMS enaio: wait until an index field of every object approves its disposal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.sensors.approval import ApprovalSensor, check_approver_field
from airflow_provider_records.sensors.base import status_texts
from airflow_provider_records.task.records import Selection
from airflow_provider_records.triggers.base import REFUSED
from airflow_provider_records.triggers.enaio import EnaioApprovalTrigger


class EnaioApprovalSensor(ApprovalSensor):
    """Wait until an index field of every object on the list has an approving value.

    enaio has no approval function; the approval is an index field that the customer defines. One rejected object
    fails the whole list, unless ``on_rejected="withhold"``. While the sensor is deferred, it polls only the first
    thousand objects of a longer list; when these approve, it reads all of them.

    :param records: a manifest reference, a list of ids or of record mappings, or one id.
    :param field: internal name of the index field.
    :param approved: value or values that approve, compared exactly after blanks around them are removed.
    :param rejected: value or values that reject. With any other value the sensor waits.
    :param on_rejected: ``"fail"``: one rejected object fails the task at once. ``"withhold"``: when all others are
        approved, these go on; a rejected one is put on hold with the field's value as reason, until a reviewer of this
        DAG or ``airflow-records hold release`` ends that. Also before each chunk of the disposal, an object that does
        not approve any more is then ``blocked``, and stops no others.
    :param approver_field: internal name of an index field that names who approved. The approval is then by that person,
        or by each of several whom the field of every object names; where no person approved all objects, the approval
        names nobody. An approved object in which it is empty fails the task. Whoever may write the field may name
        anybody.
    :param for_tasks: ids of the disposing tasks downstream that the approval covers; None: all of them.
    :param covers: where another DAG disposes of the records: ``{"system", "method", "conn_id"}`` of each of its tasks.
    :param valid_for: how long the approval allows new deletes; None: ``[records] approval_valid_days`` (30).
    :param enaio_conn_id: connection of type ``enaio``.
    :return: the manifest reference with an approval of its digest.
    :raises AirflowFailException: an object is rejected or does not exist.
    """

    template_fields: Sequence[str] = (*ApprovalSensor.template_fields, "enaio_conn_id")

    def __init__(
        self,
        *,
        field: str,
        approved: str | Sequence[str],
        rejected: str | Sequence[str] = (),
        on_rejected: Literal["fail", "withhold"] = "fail",
        approver_field: str | None = None,
        enaio_conn_id: str = EnaioHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(field, str) or not field.strip():
            raise ConfigurationError("field is the internal name of an index field; it is empty.")
        self.field = field
        self.approved = status_texts("approved", [approved] if isinstance(approved, str) else approved, needed=True)
        self.rejected = status_texts("rejected", [rejected] if isinstance(rejected, str) else rejected, needed=False)
        if both := set(self.approved) & set(self.rejected):
            raise ConfigurationError(f"{sorted(both)} cannot both approve and reject.")
        if on_rejected not in {"fail", "withhold"}:
            raise ConfigurationError(f'on_rejected is "fail" or "withhold", not {on_rejected!r}.')
        if on_rejected == "withhold" and not self.rejected:
            raise ConfigurationError('on_rejected="withhold" needs the values that reject, in rejected.')
        self.on_rejected = on_rejected
        self.approver_field = check_approver_field(approver_field)
        self.enaio_conn_id = enaio_conn_id

    @cached_property
    def hook(self) -> EnaioHook:
        """The client."""
        return EnaioHook(self.enaio_conn_id)

    def approval_question(self, selection: Selection, common: Mapping[str, Any]) -> EnaioApprovalTrigger:
        """Return the trigger that reads the field of every object."""
        return EnaioApprovalTrigger(
            objects=[(record.target_id, record.object_type_id) for record in selection.manifest],
            field=self.field,
            approved=self.approved,
            rejected=self.rejected,
            on_rejected=self.on_rejected,
            approver_field=self.approver_field,
            **common,
        )

    def source(self) -> tuple[str, dict[str, Any]]:
        """Return the field as approver; without ``approver_field`` nothing names the person who set it."""
        source = {
            "kind": "enaio",
            "conn_id": self.enaio_conn_id,
            "field": self.field,
            "approved": list(self.approved),
        }
        if self.on_rejected == "withhold":
            source["on_rejected"] = self.on_rejected
        return f"enaio:{self.field}", source

    def refused(self, answer: Mapping[str, Any], manifest: Manifest) -> dict[str, str]:
        """Return the records whose objects the field rejects, with its value as reason."""
        values = answer.get(REFUSED, {})
        return {
            record.key: f"{self.field} = {values[record.target_id]!r}"
            for record in manifest
            if record.target_id in values
        }
