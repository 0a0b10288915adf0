"""Plain texts for Airflow's notifiers: a list waits for an answer, and what a run has done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.summary import Disposal, Provenance
from airflow_provider_records.reporting import wording
from airflow_provider_records.reporting.issue import IssuedCertificate
from airflow_provider_records.reporting.language import Language, language
from airflow_provider_records.reporting.verdict import RunStatus, verdict
from airflow_provider_records.task.links import certificate_url, list_url, request_url, run_url

if TYPE_CHECKING:
    from airflow.sdk import Context


def request_message(subject: str, manifest: Manifest, order: Order, context: Context, language: Language) -> str:
    """Return a message that people are asked about a list.

    :param subject: headline of the request.
    :param order: what an approval allows.
    :param context: of the task that asks.
    :param language: the language of the message.
    """
    gettext = language.gettext
    whole = list_url(manifest.digest, context["ti"].dag_id, context["ti"].run_id)
    return "\n".join(
        [
            subject,
            gettext("An approval is possible until %(when)s UTC.", when=language.minute(order.valid_until)),
            "",
            gettext("Answer: %(address)s", address=request_url(context)),
            gettext("Whole list: %(address)s", address=whole),
        ]
    )


def run_message(issued: IssuedCertificate, origin: Provenance) -> str:
    """Return a message of what a run has done: how it ended, the outcomes in each system, where to read more.

    It is in the certificate's language.

    :param issued: its certificate.
    :param origin: the task instance that wrote it.
    """
    speech = language(issued.certificate.language)
    status, gettext = RunStatus.from_document(issued.certificate, speech), speech.gettext
    ended, where = verdict(status), (origin.dag_id, origin.run_id)
    return "\n".join(
        [
            f"{ended.title}: {origin.dag_id}, {origin.run_id}",
            *status.alarms,
            ended.text,
            "",
            *(_outcomes(disposals, speech) for disposals in _by_task(status)),
            "",
            gettext("Run: %(address)s", address=run_url(*where)),
            gettext("Certificate: %(address)s", address=certificate_url(*where)),
            gettext("Digest: %(digest)s", digest=issued.certificate.digest),
        ]
    )


def _by_task(status: RunStatus) -> list[list[Disposal]]:
    """Return the disposals of a run, those of a mapped task together."""
    found: dict[str, list[Disposal]] = {}
    for each in status.disposals:
        found.setdefault(each.provenance.task_id, []).append(each)
    return list(found.values())


def _outcomes(disposals: list[Disposal], language: Language) -> str:
    """Return a line such as ``enaio: 57 destroyed, 2 blocked``."""
    description = disposals[0].description
    counts = {kind: sum(each.counts[kind] for each in disposals) for kind in OutcomeKind}
    told = [
        f"{language.number(count)} {wording.label(description, kind, language)}"
        for kind, count in counts.items()
        if count
    ]
    return f"{description.title}: {', '.join(told) or language.gettext('empty list')}"
