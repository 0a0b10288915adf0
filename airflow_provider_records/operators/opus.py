"""AvePoint Opus: list the records whose retention has ended, mark records as Destroyed, file certificates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import ConfigurationError, RefusedError, UnreadableAnswerError
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.operators.base import DisposeOperator
from airflow_provider_records.operators.listing import ListOperator
from airflow_provider_records.systems.opus import OpusSystem
from airflow_provider_records.task.context import evidence_store, hard_stops
from airflow_provider_records.task.due_list import check_reading, due_manifest, refuse_far_bound
from airflow_provider_records.task.filing import check_filing, filed_record, verified_certificate
from airflow_provider_records.task.listing import Listing
from airflow_provider_records.task.marking import never_after_failure

if TYPE_CHECKING:
    from airflow.sdk import Context


class OpusDestroyRecordsOperator(DisposeOperator):
    """Mark records as Destroyed in Opus, in batches of at most 15.

    Nothing in Opus deletes content: run it after the content was destroyed where it lives. A record that Opus
    refuses (not approved, held) becomes ``blocked``; Opus has no call that shows why.

    :param records: see :class:`~airflow_provider_records.operators.base.DisposeOperator`; usually the disposal
        reference of the deleting task.
    :param accept: which outcomes of that disposal count: ``destroyed``, ``recycled``, ``absent``.
    :param opus_conn_id: connection of type ``opus``.
    :raises ConfigurationError: when the DAG is parsed: its trigger rule lets it never run after a deleting task that
        failed for some of its records, so that the others would stay unmarked.
    """

    template_fields: Sequence[str] = (*DisposeOperator.template_fields, "opus_conn_id")
    system_name = "opus"
    place_arguments = ("opus_conn_id",)

    def __init__(self, *, opus_conn_id: str = OpusHook.default_conn_name, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        if unmarked := never_after_failure(self.trigger_rule, self.records):
            raise ConfigurationError(unmarked)
        self.opus_conn_id = opus_conn_id

    @cached_property
    def hook(self) -> OpusHook:
        """The client."""
        return OpusHook(self.opus_conn_id)

    def system(self) -> OpusSystem:
        """Return Opus, set up as the DAG says."""
        return OpusSystem(self.hook)


class OpusDueRecordsOperator(ListOperator):
    """List the records whose retention has ended, and keep the list as a manifest.

    *Due* is not *approved*: the list must pass an approval before anything is deleted.

    :param due_before: records due earlier than this; ISO 8601 text or datetime, not later than now. One with a time
        zone is converted to UTC, one without is UTC. It is sent without offset: a bound 12 hours or more in the past
        lists nothing early in any tenant's zone; a later bound is logged as a warning.
    :param connector_id: GUID of the Opus connector connection; None: the connection's.
    :param target_id_pattern: regular expression with one group that finds the content system's id in the
        ``rowKey``; it must match the whole key. None: the ``rowKey`` itself is the id.
    :param page_size: records a page, 1 to 100.
    :param set_aside: rows of which no record can be made that surely is the right one (a key that does not match the
        pattern, blanks around a key or invisible characters in it, a key that comes twice, two keys of one object) are
        left out; log, request and certificate say so. More than a tenth of the rows, and more than 20, are an error.
        False: one such row is.
    :param opus_conn_id: connection of type ``opus``.
    :return: a manifest reference; ``set_aside`` is the number of rows that were left out.
    :raises ConfigurationError: when the DAG is parsed: an argument is wrong, or ``due_before`` is more than a day in
        the future.
    :raises AirflowFailException: an argument or the connection is wrong, too many rows are odd, or there are more
        records than ``[records] max_records`` times ``[core] max_map_length``: such a list is not cut.
    """

    template_fields: Sequence[str] = ("due_before", "connector_id", "opus_conn_id")

    def __init__(
        self,
        *,
        due_before: datetime | str,
        connector_id: str | None = None,
        target_id_pattern: str | None = None,
        page_size: int = 100,
        opus_conn_id: str = OpusHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        refuse_far_bound(due_before)
        check_reading(target_id_pattern, page_size)
        self.due_before = due_before
        self.connector_id = connector_id
        self.target_id_pattern = target_id_pattern
        self.page_size = page_size
        self.opus_conn_id = opus_conn_id

    def make_list(self, store: Store, origin: Provenance) -> Listing:
        """Read the whole due list."""
        return due_manifest(
            OpusHook(self.opus_conn_id),
            store,
            origin,
            due_before=self.due_before,
            connector_id=self.connector_id,
            target_id_pattern=self.target_id_pattern,
            page_size=self.page_size,
            set_aside=self.set_aside,
        )


class OpusSubmitCertificateOperator(BaseOperator):
    """File a certificate in Opus: submit one record that describes it, with a class, and so a retention, of its own.

    The certificate stays where it lies; the record names its run, and its digest in the ``rowKey``. However often the
    task runs, a certificate is filed once. Due lists set the record aside by name when its own retention ends.

    :param certificate: output of a
        :class:`~airflow_provider_records.operators.certificate.DestructionCertificateOperator`.
    :param term_full_path: the term that classifies the record, such as ``Administration/Certificates``; it must exist.
    :param connector_id: GUID of the Opus connector connection that takes the record; None: the connection's. Best one
        that no due list is read from.
    :param opus_conn_id: connection of type ``opus``.
    :return: ``{"row_key": text, "term_full_path": text, "request_id": text or None}``.
    :raises ConfigurationError: when the DAG is parsed: ``term_full_path`` is empty, or ``connector_id`` is no GUID.
    :raises AirflowFailException: the certificate does not verify or is another than the reference points to, and
        nothing was submitted; or Opus refuses the record.
    """

    template_fields: Sequence[str] = ("certificate", "term_full_path", "connector_id", "opus_conn_id")

    def __init__(
        self,
        *,
        certificate: Any,  # noqa: ANN401
        term_full_path: str,
        connector_id: str | None = None,
        opus_conn_id: str = OpusHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        check_filing(term_full_path, connector_id)
        self.certificate = certificate
        self.term_full_path = term_full_path
        self.connector_id = connector_id
        self.opus_conn_id = opus_conn_id

    @cached_property
    def hook(self) -> OpusHook:
        """The client."""
        return OpusHook(self.opus_conn_id)

    def on_kill(self) -> None:
        """Stop sending."""
        if "hook" in self.__dict__:
            self.hook.stopping = True

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the record; see the class."""
        with hard_stops():
            check_filing(self.term_full_path, self.connector_id)
            record = filed_record(verified_certificate(self.certificate, evidence_store()), self.term_full_path)
            key = record["rowKey"]
            answer = self.hook.submit_records(self.connector_id, [record], "Skip")
            if answer.refused:
                raise RefusedError(
                    f"Opus refuses the record of the certificate. Does the term {self.term_full_path!r} exist, and may "
                    "this client submit to the connector?",
                    status=answer.status,
                    request_id=answer.request_id,
                    detail=answer.refused[key],
                )
            if answer.unclear:
                raise UnreadableAnswerError("Opus does not say if it took the record; the next try submits it again.")
        self.log.info("Filed in Opus as %s, class %s", key, self.term_full_path)
        return {"row_key": key, "term_full_path": self.term_full_path, "request_id": answer.request_id}
