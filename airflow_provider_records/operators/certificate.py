"""Certify what one DAG run destroyed, and what it did not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, XComArg

from airflow_provider_records.evidence import titles
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.run import all_disposals
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance
from airflow_provider_records.exceptions import (
    CertificateIncompleteError,
    ConfigurationError,
    EvidenceError,
    InvalidRecordsError,
)
from airflow_provider_records.reporting import issue
from airflow_provider_records.task.arguments import check_switches
from airflow_provider_records.task.context import evidence_store, hard_stops, provenance, reading_language, signing_key
from airflow_provider_records.task.disposing import DisposingOperator
from airflow_provider_records.task.links import CertificateLink
from airflow_provider_records.task.message import run_message
from airflow_provider_records.task.records import read_disposal

if TYPE_CHECKING:
    from airflow.sdk import Context


class DestructionCertificateOperator(BaseOperator):
    """Write the certificate of a DAG run: canonical JSON and a page to print, each signed if there is a key.

    Beside each of the two lies its signature (``.sig``), or a checksum (``.sha256``) if there is no key.

    A run has one certificate, so one task, which is not mapped, names all disposals of the run. It covers what the
    journals of the run hold, also where a clear has taken the reference away. What was begun without a summary, or
    approved in this run without a disposal, makes the certificate incomplete, and it says so.

    :param disposals: disposal references of this DAG run: a list, which may hold the outputs of mapped tasks.
    :param require_complete: fail, after the certificate is written, if records are left for another try, a
        disposal was a dry run, or something that was begun or approved has no disposal. Blocked records are final:
        they stand on the certificate and do not fail it.
    :return: ``{"certificate": uri, "html": uri, "digest": "sha256:…", "complete": bool, "summary": text}``. The
        summary is plain text for a notifier: how the run ended, the outcomes in each system, and links to the page of
        the run and to the certificate. It is there also when the task fails because something is left.
    :raises AirflowFailException: there is nothing to certify, evidence does not fit, or something is left.
    """

    template_fields: Sequence[str] = ("disposals",)
    operator_extra_links = (CertificateLink(),)

    def __init__(self, *, disposals: Any, require_complete: bool = True, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        check_switches(require_complete=require_complete)
        self.disposals = disposals
        self.require_complete = require_complete
        tasks = (task for task, _ in XComArg.iter_xcom_references(disposals))
        self._named = frozenset(task.task_id for task in tasks if isinstance(task, DisposingOperator))

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the certificate; see the class."""
        with hard_stops():
            store, origin = evidence_store(), provenance(context)
            if origin.map_index >= 0 or origin.iteration >= 0:
                raise ConfigurationError(
                    "A run has one certificate, and a task that is mapped or in a loop would write several over each "
                    "other. Name all disposals of the run in disposals= of one task that is neither."
                )
            items = list(_references(self.disposals))
            named = [_of_this_run(read_disposal(item, store), origin) for item in items if item is not None]
            found = all_disposals(store, origin.dag_id, origin.run_id, named)
            _check_none(items.count(None), named, found, store, self._named)
            if not found:
                raise InvalidRecordsError(
                    "disposals= holds no disposal reference, so there is nothing to certify. Did the disposing tasks "
                    "run? An upstream failure, such as a rejected approval, leaves none."
                )
            key = signing_key()
            written = issue.write(store, found, origin, key, reading_language())
            titles.remove(store, origin.dag_id, origin.run_id)
        if key is None:
            self.log.warning("The certificate is not signed: [records] signing_key_file names no key.")
        reference = written.reference() | {"summary": run_message(written, origin)}
        self.log.info("Certificate %s (%s)", written.uri, reference["digest"])
        if self.require_complete and not written.complete:
            # Pushed before the failure: a certificate of what was not done is worth as much.
            context["ti"].xcom_push(key="return_value", value=reference)
            with hard_stops():
                raise CertificateIncompleteError(
                    f"The certificate {written.uri} is written, but not everything is done: {written.left}. Clear the "
                    "disposing task, then this one; or write require_complete=False into the DAG."
                )
        return reference


def _references(disposals: object) -> Iterator[object]:
    """Flatten the outputs of mapped tasks."""
    if isinstance(disposals, Sequence) and not isinstance(disposals, (str, bytes)):
        for item in disposals:
            yield from _references(item)
    else:
        yield disposals


def _of_this_run(disposal: Disposal, origin: Provenance) -> Disposal:
    """A certificate speaks about one DAG run; another run has its own."""
    theirs = disposal.provenance
    if (theirs.dag_id, theirs.run_id) != (origin.dag_id, origin.run_id):
        raise EvidenceError(
            f"{disposal.uri} is of the run {theirs.run_id} of {theirs.dag_id}; this certificate is of "
            f"{origin.run_id} of {origin.dag_id}."
        )
    return disposal


def _check_none(
    missing: int, named: Sequence[Disposal], found: Sequence[Disposal], store: Store, tasks: Set[str]
) -> None:
    """Accept an output that a clear has taken away only where the journals hold what it pointed to.

    :param tasks: the tasks that are not mapped and whose outputs the DAG names: None stands for one of these.
    """
    folders = {TaskFolder.containing(store.name(each.uri)) for each in named}
    unnamed = [each for each in found if TaskFolder.containing(store.name(each.uri)) not in folders]
    if missing > len(unnamed) or (missing and tasks - {each.provenance.task_id for each in found}):
        raise InvalidRecordsError(
            "disposals= holds None: an upstream task pushed no disposal, and no journal of this run holds one in its "
            "place. It was skipped, failed before it began, or was marked as success by hand; a certificate that "
            "passes over it would say too much. Clear that task."
        )
