"""A record of a Unifier business process that approved a list, read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import NotFoundError
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.systems.expectation import text_of


class UnifierRecordSource:
    """The record that approved a list; it is read once for each chunk.

    :param digest: digest of the approved list.
    :param source: project, process and number of the record, its status field, the approving statuses, and the field
        that holds the digest, if there is one.
    """

    def __init__(self, digest: str, source: Mapping[str, Any]) -> None:
        self._hook = UnifierHook(source["conn_id"])
        self._digest = digest
        self._source = source

    def stop(self) -> None:
        """End all sending and waiting."""
        self._hook.stopping = True

    def withdrawn(self, _: Sequence[Record]) -> str:
        """Return why the record does not approve the list any more: it is gone, or has another status or digest.

        :raises VendorError: Unifier cannot be read.
        """
        project, bpname, record_no = (self._source[name] for name in ("project_number", "bpname", "record_no"))
        where = f"Unifier record {record_no} of {bpname!r}"
        try:
            fields = self._hook.get_bp_record(project, bpname, record_no)
        except NotFoundError:
            return f"{where} is not there any more."
        status = text_of(fields.get(self._source["status_field"]))
        if status not in self._source["approved"]:
            return f"{where} is {status!r} now."
        digest_field = self._source["digest_field"]
        if digest_field is not None and (found := text_of(fields.get(digest_field))) != self._digest:
            return f"{where} names the list {found!r} now, not {self._digest}."
        return ""
