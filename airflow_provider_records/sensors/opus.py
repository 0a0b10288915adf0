"""AvePoint Opus: wait until records are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from airflow_provider_records.evidence.approval import DAG, Approval
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.sensors.base import VendorSensor
from airflow_provider_records.task.arguments import check_switches
from airflow_provider_records.task.asking import Scope, compute
from airflow_provider_records.task.context import evidence_store, signing_key
from airflow_provider_records.task.due_list import check_reading, due_bound, due_manifest, refuse_far_bound
from airflow_provider_records.task.links import ListLink
from airflow_provider_records.task.records import Selection
from airflow_provider_records.triggers.opus import OpusDueRecordsTrigger


class OpusDueRecordsSensor(VendorSensor):
    """Wait until records are due, and write the list as a manifest.

    Opus publishes no approval status: *due* does not mean *approved*. Only ``due_means_approved=True`` in the DAG makes
    the due list an approved one. Use it only if your Opus lists a record after its reviewers have decided.

    :param due_before: records due earlier than this; ISO 8601 text or datetime, not later than now. One without a time
        zone is UTC. Less than 12 hours in the past is logged as a warning: the tenant's zone is not known.
    :param connector_id: GUID of the Opus connector connection; None: that of the Airflow connection.
    :param target_id_pattern: regular expression whose one group is the content system's id within the key.
    :param page_size: records per page, 1 to 100.
    :param set_aside: odd rows are left out by name; see
        :class:`~airflow_provider_records.operators.opus.OpusDueRecordsOperator`.
    :param due_means_approved: the DAG states that a record that is due in Opus is approved.
    :param for_tasks: ids of the disposing tasks downstream that the approval covers; None: all of them.
    :param covers: where another DAG disposes of the records: ``{"system", "method", "conn_id"}`` of each of its tasks.
    :param valid_for: how long that approval allows new deletes; None: ``[records] approval_valid_days`` (30).
    :param opus_conn_id: connection of type ``opus``.
    :return: a manifest reference; with an approval only if ``due_means_approved``.
    :raises ConfigurationError: when the DAG is parsed: an argument is wrong, or ``due_before`` is more than a day in
        the future.
    :raises AirflowFailException: an argument or the connection is wrong.
    """

    template_fields: Sequence[str] = ("due_before", "connector_id", "opus_conn_id")
    operator_extra_links = (ListLink(),)

    def __init__(
        self,
        *,
        due_before: datetime | str,
        connector_id: str | None = None,
        target_id_pattern: str | None = None,
        page_size: int = 100,
        set_aside: bool = True,
        due_means_approved: bool = False,
        for_tasks: Sequence[str] | None = None,
        covers: Sequence[Mapping[str, str]] | None = None,
        valid_for: timedelta | None = None,
        opus_conn_id: str = OpusHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        refuse_far_bound(due_before)
        check_reading(target_id_pattern, page_size)
        check_switches(set_aside=set_aside, due_means_approved=due_means_approved)
        self.due_before = due_before
        self.connector_id = connector_id
        self.target_id_pattern = target_id_pattern
        self.page_size = page_size
        self.set_aside = set_aside
        self.due_means_approved = due_means_approved
        self.scope = Scope.checked(for_tasks, covers, valid_for)
        self.opus_conn_id = opus_conn_id

    @cached_property
    def hook(self) -> OpusHook:
        """The client."""
        return OpusHook(self.opus_conn_id)

    def trigger(self, common: Mapping[str, Any]) -> OpusDueRecordsTrigger:
        """Return the trigger that waits for the first due record."""
        evidence_store()  # whatever is wrong with it is said before anything is asked
        return OpusDueRecordsTrigger(
            connector_id=self.hook.due_connector(self.connector_id),
            due_before=due_bound(self.due_before),
            **common,
        )

    def result(self, answer: Any) -> dict[str, Any] | None:  # noqa: ANN401
        """Read the whole list."""
        store = evidence_store()
        listing = due_manifest(
            self.hook,
            store,
            self.origin,
            due_before=self.due_before,
            connector_id=self.connector_id,
            target_id_pattern=self.target_id_pattern,
            page_size=self.page_size,
            set_aside=self.set_aside,
        )
        manifest = listing.manifest
        if not manifest.count:
            return None
        self.listed = manifest.digest
        if not self.due_means_approved:
            self.log.info("%s records are due (%s). Due does not mean approved.", manifest.count, manifest.digest)
            return listing.reference()
        selection = Selection(manifest, [manifest.digest], due_lists=[listing.due_list])
        order = compute(self, self.scope, self.context, selection, now())
        order.write(store)
        self.log.info("The DAG allows until %s: %s (order %s)", order.valid_until, order.summary, order.id)
        source = {"kind": "opus", "conn_id": self.opus_conn_id, "due_means_approved": True, **self.origin.asking}
        approval = Approval(
            manifest.digest,
            "opus:due_means_approved",
            order.asked_at,
            source,
            approver_type=DAG,
            order=order.id,
            comment="The DAG states that a record on Opus's due list is approved; Opus itself publishes no approval.",
        )
        return listing.reference([approval.write(store, signing_key())])
