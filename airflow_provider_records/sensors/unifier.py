"""Oracle Primavera Unifier: wait until a business process record approves a list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.sensors.approval import ApprovalSensor, check_approver_field
from airflow_provider_records.sensors.base import status_texts
from airflow_provider_records.task.records import Selection
from airflow_provider_records.triggers.unifier import FEWEST_DIGITS, UnifierApprovalTrigger, unbound

_MAY_BIND = re.compile(rf"[{{][{{%]|[0-9a-f]{{{FEWEST_DIGITS}}}", re.IGNORECASE)
"""A template, or the digits themselves: Airflow makes a mapped task again with what was rendered."""


class UnifierApprovalSensor(ApprovalSensor):
    """Wait until a record of a Unifier business process has an approving status.

    The record must name the list, else it would approve every later list as well: by the digest in a field of its
    (``digest_field``), or by at least 12 hex digits of the digest in its number. The documents must not be attached to
    it: Unifier refuses to delete a document that is linked to a record.

    :param records: a manifest reference, a list of ids or of record mappings, or one id.
    :param project_number: the record's project or shell; empty or None for the company level.
    :param bpname: display name of the business process, case-sensitive.
    :param record_no: number of the record; without ``digest_field`` a template with a part of the list's digest, such
        as ``DR-{{ ti.xcom_pull(task_ids='due')['digest'][7:19] }}``.
    :param approved: status texts that approve, compared exactly after blanks around them are removed.
    :param rejected: status texts that reject; they fail the task at once. With any other status the sensor waits.
    :param status_field: field of the record that holds the status.
    :param digest_field: field that must contain the list's digest; None: ``record_no`` contains a part of it.
    :param approver_field: field of the record that names who approved, such as one that its workflow fills in; the
        approval is then by that person. An approved record in which it is empty fails the task. None: the approval
        names nobody.
    :param wait_for_record: whether to wait for a record that does not exist yet; False: the task fails.
    :param for_tasks: ids of the disposing tasks downstream that the approval covers; None: all of them.
    :param covers: where another DAG disposes of the records: ``{"system", "method", "conn_id"}`` of each of its tasks.
    :param valid_for: how long the approval allows new deletes; None: ``[records] approval_valid_days`` (30).
    :param unifier_conn_id: connection of type ``unifier``.
    :return: the manifest reference with an approval of its digest.
    :raises ConfigurationError: when the DAG is parsed: ``record_no`` is the same for every list, and there is no
        ``digest_field``; or another argument is wrong.
    :raises AirflowFailException: the record rejects or approves another list, its rendered number does not name this
        list (without ``digest_field``), or a name is wrong.
    """

    template_fields: Sequence[str] = (
        *ApprovalSensor.template_fields,
        "project_number",
        "bpname",
        "record_no",
        "unifier_conn_id",
    )

    def __init__(
        self,
        *,
        project_number: str | None,
        bpname: str,
        record_no: str,
        approved: Sequence[str] = ("Approved",),
        rejected: Sequence[str] = ("Rejected",),
        status_field: str = "status",
        digest_field: str | None = None,
        approver_field: str | None = None,
        wait_for_record: bool = False,
        unifier_conn_id: str = UnifierHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.project_number = project_number
        self.bpname = bpname
        self.record_no = record_no
        self.approved = status_texts("approved", approved, needed=True)
        self.rejected = status_texts("rejected", rejected, needed=False)
        if both := set(self.approved) & set(self.rejected):
            raise ConfigurationError(f"{sorted(both)} cannot both approve and reject.")
        for name, field in (("status_field", status_field), ("digest_field", digest_field)):
            if not (isinstance(field, str) and field.strip()) and (name, field) != ("digest_field", None):
                raise ConfigurationError(f"{name} is the name of a field of the record, not {field!r}.")
        if digest_field is None and isinstance(record_no, str) and not _MAY_BIND.search(record_no):
            raise unbound(f"record_no={record_no!r} is the same for every list")
        self.status_field = status_field
        self.digest_field = digest_field
        self.approver_field = check_approver_field(approver_field)
        self.wait_for_record = wait_for_record
        self.unifier_conn_id = unifier_conn_id

    @cached_property
    def hook(self) -> UnifierHook:
        """The client."""
        return UnifierHook(self.unifier_conn_id)

    def approval_question(self, selection: Selection, common: Mapping[str, Any]) -> UnifierApprovalTrigger:
        """Return the trigger that reads the status of the record."""
        return UnifierApprovalTrigger(
            **self._record(),
            approved=self.approved,
            rejected=self.rejected,
            status_field=self.status_field,
            digest_field=self.digest_field,
            digest=selection.manifest.digest,
            wait_for_record=self.wait_for_record,
            approver_field=self.approver_field,
            **common,
        )

    def source(self) -> tuple[str, dict[str, Any]]:
        """Return the record as approver; without ``approver_field`` nothing names the person."""
        names = self._record()
        source = {
            "kind": "unifier",
            "conn_id": self.unifier_conn_id,
            **names,
            "status_field": self.status_field,
            "approved": list(self.approved),
            "digest_field": self.digest_field,
        }
        return f"unifier:{'/'.join(names.values())}", source

    def _record(self) -> dict[str, str]:
        """Return what identifies the record; the company level is always "", so that a record is one approver."""
        names = {
            "project_number": self.project_number or "",
            "bpname": self.bpname,
            "record_no": self.record_no,
        }
        for name, value in names.items():
            is_text = isinstance(value, str) and value == value.strip() and value != "None"
            if not is_text or (not value and name != "project_number"):
                raise ConfigurationError(f"{name} must be text without blanks around it; it was rendered to {value!r}.")
        return names
