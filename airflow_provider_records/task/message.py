"""Plain texts for Airflow's notifiers: a list waits for an answer, and what a run has done."""

from __future__ import annotations

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.summary import Disposal, Provenance
from airflow_provider_records.reporting import wording
from airflow_provider_records.reporting.issue import IssuedCertificate
from airflow_provider_records.reporting.verdict import RunStatus, verdict
from airflow_provider_records.task.links import certificate_url, list_url, request_url, run_url


def request_message(subject: str, manifest: Manifest, order: Order, origin: Provenance) -> str:
    """Return a message that people are asked about a list.

    :param subject: headline of the request.
    :param order: what an approval allows.
    :param origin: the task instance that asks.
    """
    where, until = (origin.dag_id, origin.run_id), order.valid_until[:16].replace("T", " ")
    return "\n".join(
        [
            subject,
            f"An approval is possible until {until} UTC.",
            "",
            f"Answer: {request_url(*where, origin.task_id, origin.map_index)}",
            f"Whole list: {list_url(manifest.digest, *where)}",
        ]
    )


def run_message(issued: IssuedCertificate, origin: Provenance) -> str:
    """Return a message of what a run has done: how it ended, the outcomes in each system, where to read more.

    :param issued: its certificate.
    :param origin: the task instance that wrote it.
    """
    status = RunStatus.from_document(issued.certificate)
    ended, where = verdict(status), (origin.dag_id, origin.run_id)
    return "\n".join(
        [
            f"{ended.title}: {origin.dag_id}, {origin.run_id}",
            *status.alarms,
            ended.text,
            "",
            *(_outcomes(disposals) for disposals in _by_task(status)),
            "",
            f"Run: {run_url(*where)}",
            f"Certificate: {certificate_url(*where)}",
            f"Digest: {issued.certificate.digest}",
        ]
    )


def _by_task(status: RunStatus) -> list[list[Disposal]]:
    """Return the disposals of a run, those of a mapped task together."""
    found: dict[str, list[Disposal]] = {}
    for each in status.disposals:
        found.setdefault(each.provenance.task_id, []).append(each)
    return list(found.values())


def _outcomes(disposals: list[Disposal]) -> str:
    """Return a line such as ``enaio: 57 destroyed, 2 blocked``."""
    description = disposals[0].description
    counts = {kind: sum(each.counts[kind] for each in disposals) for kind in OutcomeKind}
    told = [f"{count:,} {wording.label(description, kind)}" for kind, count in counts.items() if count]
    return f"{description.title}: {', '.join(told) or 'empty list'}"
