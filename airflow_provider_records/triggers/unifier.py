"""Is a record of a Unifier business process approved?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_records.exceptions import (
    ApprovalError,
    ApprovalRejectedError,
    ConfigurationError,
    NotFoundError,
)
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.triggers.base import APPROVERS, VendorTrigger

FEWEST_DIGITS = 12
"""Hex digits of a digest that a record number must repeat to stand for one list only."""


class UnifierApprovalTrigger(VendorTrigger):
    """Wait until the status of a business process record decides (Unifier REST: Get BP Record).

    :param project_number: the record's shell; empty: company level.
    :param bpname: display name of the business process, case-sensitive.
    :param record_no: number of the record.
    :param approved: status texts that approve.
    :param rejected: status texts that reject.
    :param status_field: field of the record that holds the status.
    :param digest_field: field that holds the digest of the approved list; None: ``record_no`` contains a part of it.
    :param digest: digest of the list that is to be approved.
    :param wait_for_record: wait for a record that does not exist yet instead of failing.
    :param approver_field: field that names who approved; None: the record names nobody.
    """

    hook_class = UnifierHook

    def __init__(
        self,
        *,
        project_number: str,
        bpname: str,
        record_no: str,
        approved: Sequence[str],
        rejected: Sequence[str],
        status_field: str,
        digest_field: str | None,
        digest: str,
        wait_for_record: bool,
        approver_field: str | None = None,
        **common: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**common)
        self.project_number = project_number
        self.bpname = bpname
        self.record_no = record_no
        self.approved = approved
        self.rejected = rejected
        self.status_field = status_field
        self.digest_field = digest_field
        self.digest = digest
        self.wait_for_record = wait_for_record
        self.approver_field = approver_field

    def question(self) -> dict[str, Any]:
        """Return what the question consists of, as plain JSON."""
        return {
            "project_number": self.project_number,
            "bpname": self.bpname,
            "record_no": self.record_no,
            "approved": list(self.approved),
            "rejected": list(self.rejected),
            "status_field": self.status_field,
            "digest_field": self.digest_field,
            "digest": self.digest,
            "wait_for_record": self.wait_for_record,
            "approver_field": self.approver_field,
        }

    def ask(self, hook: UnifierHook) -> Mapping[str, Any] | None:
        """Read the record; return its status, and who approved if a field says so, when it is approved.

        :raises ConfigurationError: neither the record number nor a field binds the record to the list; no request was
            sent.
        :raises ApprovalRejectedError: it is rejected.
        :raises ApprovalError: it does not exist, lacks a field, or approves another list.
        :raises VendorError: Unifier does not know the project or the process, or refuses.
        """
        if self.digest_field is None and not _repeats(self.record_no, self.digest):
            raise unbound(f"record_no was rendered to {self.record_no!r}, which names another list than {self.digest}")
        where = f"record {self.record_no} of {self.bpname!r}"
        try:
            record = hook.get_bp_record(self.project_number, self.bpname, self.record_no)
        except NotFoundError as error:
            if self.wait_for_record:
                self.seen = f"there is no {where}"
                return None
            raise ApprovalError(
                f"Unifier has no {where}, so nobody can approve it there: {error} Open it first, or write "
                "wait_for_record=True into the DAG."
            ) from None
        status = _field(record, self.status_field, where)
        self.seen = f"{where} is {status!r}"
        if status in self.rejected:
            raise ApprovalRejectedError(f"Unifier {where} is {status!r}: the disposal of {self.digest} was rejected.")
        # A missing field is an error now, not after a week of waiting; an empty digest may still be entered.
        found = None if self.digest_field is None else _field(record, self.digest_field, where)
        approver = None if self.approver_field is None else _field(record, self.approver_field, where)
        if status not in self.approved:
            return None
        if found not in {None, self.digest}:
            raise ApprovalError(
                f"Unifier {where} approves the list {found!r} (field {self.digest_field!r}), not {self.digest}. "
                "Open a new record for this list, or start a new DAG run."
            )
        if approver is None:
            return {"status": status}
        if not approver:
            raise ApprovalError(
                f"Unifier {where} is {status!r}, and its field {self.approver_field!r} (approver_field), which must "
                "name who approved, is empty. Have the workflow fill it in, then clear this task."
            )
        return {"status": status, APPROVERS: [approver]}


def unbound(what: str) -> ConfigurationError:
    """Return the error of a record that no part of a digest binds to one list.

    :param what: what is wrong with the record number.
    """
    return ConfigurationError(
        f"{what}, and digest_field is not set: once such a record is approved, it would approve every list. Set "
        "digest_field to the field of the record that holds the list's digest, or build record_no from at least "
        f"{FEWEST_DIGITS} hex digits of it, such as \"DR-{{{{ ti.xcom_pull(task_ids='due')['digest'][7:19] }}}}\"."
    )


def _repeats(record_no: str, digest: str) -> bool:
    digits, number = digest.removeprefix("sha256:"), record_no.lower()
    last = len(digits) - FEWEST_DIGITS
    return any(digits[start : start + FEWEST_DIGITS] in number for start in range(last + 1))


def _field(record: Mapping[str, object], name: str, where: str) -> str:
    if name not in record:
        raise ApprovalError(
            f"Unifier {where} has no field {name!r}; add it to the Integration interface of the business process, "
            "or name another field in the DAG."
        )
    value = record[name]
    return "" if value is None else str(value).strip()
