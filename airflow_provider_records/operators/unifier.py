"""Oracle Primavera Unifier: list the documents that are due, and move documents to the recycle bin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.operators.base import DisposeOperator
from airflow_provider_records.operators.listing import ListOperator
from airflow_provider_records.systems.unifier import UnifierSystem
from airflow_provider_records.systems.unifier_folder import checked_expect
from airflow_provider_records.task.due_list import checked_bound, refuse_far_bound
from airflow_provider_records.task.listing import Listing, write_list
from airflow_provider_records.task.unifier_due import UnifierDue


class UnifierDeleteDocumentOperator(DisposeOperator):
    """Move Unifier documents to the recycle bin.

    Unifier's REST interface cannot destroy: the outcome is ``recycled``, and a person empties the bin in Unifier.

    :param records: see :class:`~airflow_provider_records.operators.base.DisposeOperator`; ``target_id`` is the
        node id (not the file id). Where a record names its folder (``parent_id``, or ``location`` and the attribute
        ``project_number``), the folder's listing is checked before and after; else the answer is all there is. A
        document whose row shows another project or path, or another ``file_id`` than an attribute of that name, is
        ``blocked``.
    :param expect: label that listings show by the record's field or attribute that it must equal, such as
        ``{"Name": "title"}``; a document with another value is ``blocked``. Every record must name its folder then.
    :param unifier_conn_id: connection of type ``unifier``.
    """

    template_fields: Sequence[str] = (*DisposeOperator.template_fields, "unifier_conn_id")
    system_name = "unifier"
    place_arguments = ("unifier_conn_id",)

    def __init__(
        self,
        *,
        expect: Mapping[str, str] | None = None,
        unifier_conn_id: str = UnifierHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.expect = expect
        self._expect = checked_expect(expect)
        self.unifier_conn_id = unifier_conn_id

    @cached_property
    def hook(self) -> UnifierHook:
        """The client."""
        return UnifierHook(self.unifier_conn_id)

    def system(self) -> UnifierSystem:
        """Return Unifier, set up as the DAG says."""
        return UnifierSystem(self.hook, expect=self._expect, naming=self._naming)

    def options(self) -> dict[str, Any]:
        """Return what the DAG asked for, for the evidence."""
        return {**super().options(), "expect": self._expect}


class UnifierDueDocumentsOperator(ListOperator):
    """List the documents below a folder whose date lies before a bound, and keep the list as a manifest.

    *Due* is not *approved*: the list must pass an approval before anything is deleted. The folder of each document is
    kept with it, so that its listing can be compared before and after the deletion. The record's key is the node id.

    :param project_number: number of the shell; empty: company level.
    :param parent_path: path of the folder, such as ``/Closed``.
    :param date_field: label of the date as listings show it, such as ``Issue Date``: the folders are listed one by one.
        With its name in uDesigner before it, ``("uuu_file_issue_date", "Issue Date")``, one search finds the documents
        where Unifier has that call; where it has not, or where the search shows nothing of the folders below, the
        folders are listed as well. Every date is compared again here. A document without a date is not due. A date that
        can be read in two ways (``03/02/2014``) counts as the later one, a day is over when the next one begins.
    :param due_before: documents whose date is strictly earlier; ISO 8601 text or datetime, not later than now. One
        without a time zone is UTC. Less than 12 hours in the past is logged as a warning: the zone of Unifier's dates
        is not known.
    :param recursive: list the folders below as well.
    :param set_aside: see :class:`~airflow_provider_records.operators.listing.ListOperator`.
    :param unifier_conn_id: connection of type ``unifier``.
    :return: a manifest reference; ``set_aside`` is the number of rows that were left out.
    :raises ConfigurationError: when the DAG is parsed: an argument is wrong, or ``due_before`` is more than a day in
        the future.
    :raises AirflowFailException: ``due_before`` is later than now, no document shows the date, too many rows are odd,
        or there are more records than ``[records] max_records`` times ``[core] max_map_length``: such a list is not
        cut.
    """

    template_fields: Sequence[str] = ("due_before", "unifier_conn_id")

    def __init__(
        self,
        *,
        project_number: str,
        parent_path: str,
        date_field: str | tuple[str, str],
        due_before: datetime | str,
        recursive: bool = True,
        unifier_conn_id: str = UnifierHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.due = UnifierDue(project_number, parent_path, date_field, recursive)
        refuse_far_bound(due_before)
        self.due_before = due_before
        self.unifier_conn_id = unifier_conn_id

    def make_list(self, store: Store, origin: Provenance) -> Listing:
        """Find all due documents."""
        bound = checked_bound(self.due_before, "Unifier")
        hook = UnifierHook(self.unifier_conn_id)
        due_list = self.due.due_list(hook, bound)
        rows = self.due.rows(hook, bound, store.naming)
        return write_list(store, rows, origin, set_aside=self.set_aside, due_list=due_list)
