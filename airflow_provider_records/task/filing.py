"""A certificate as a record of Opus: read and verified, described, and told from the records that are disposed of."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import XComArg

from airflow_provider_records.evidence.certificate import Certificate
from airflow_provider_records.evidence.reference import CertificateReference
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ConfigurationError, EvidenceError
from airflow_provider_records.hooks.opus import checked_guid
from airflow_provider_records.reporting.verify import verify

_FILED = "airflow-records-certificate-"
_AUTHOR = "airflow-provider-records"


def check_filing(term_full_path: object, connector_id: object) -> None:
    """Check under which term, and by which connector, a certificate is filed; what is not known yet passes.

    :param term_full_path: full path of a term, a template, or the output of a task.
    :param connector_id: GUID of a connector, a template, the output of a task, or None.
    :raises ConfigurationError: the term is empty or no text, or the connector is no GUID.
    """
    if not isinstance(term_full_path, XComArg) and not (isinstance(term_full_path, str) and term_full_path.strip()):
        raise ConfigurationError(
            "term_full_path must be the full path of a term in Opus, such as Administration/Certificates, not "
            f"{term_full_path!r}."
        )
    if isinstance(connector_id, str) and "{{" not in connector_id:
        checked_guid(connector_id)


def verified_certificate(reference: object, store: Store) -> Certificate:
    """Read the certificate that a reference points to, and everything that it rests on.

    :param reference: what the certifying task returned.
    :param store: the evidence store.
    :raises InvalidRecordsError: it is no certificate reference.
    :raises EvidenceError: the certificate does not verify, or is another than the reference points to.
    """
    known = CertificateReference.from_dict(reference)
    store.name(known.certificate)  # refuses one that lies elsewhere
    report = verify(known.certificate, open_store=lambda _: store)
    if report.certificate is None or report.problem is not None:
        raise EvidenceError(f"{known.certificate} does not verify, so nothing was submitted: {report.problem}")
    if report.certificate.digest != known.digest:
        raise EvidenceError(
            f"{known.certificate} is {report.certificate.digest}, not {known.digest}, which the certifying task "
            "returned, so nothing was submitted. Clear the certifying task, then this one."
        )
    return report.certificate


def filed_record(certificate: Certificate, term_full_path: str) -> dict[str, str]:
    """Return the record that describes a certificate in Opus; for the same certificate it is always the same.

    :param certificate: what it describes.
    :param term_full_path: the term that classifies it.
    """
    run = certificate.run
    written = datetime.fromisoformat(certificate.written_at).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "rowKey": _FILED + certificate.digest.removeprefix("sha256:"),
        "leafName": f"Certificate of destruction: {run.dag_id}, {run.run_id}",
        "termFullPath": term_full_path,
        "timeCreated": written,
        "timeModified": written,
        "createdBy": _AUTHOR,
        "modifiedBy": _AUTHOR,
    }


def is_filed(row_key: str) -> bool:
    """Tell whether a record of Opus describes a certificate, which no disposal may take for a record of its own."""
    return row_key.startswith(_FILED)
