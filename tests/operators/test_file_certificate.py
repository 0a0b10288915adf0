"""Filing a certificate in Opus, against the served sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence import certificate as documents
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.exceptions import ConfigurationError, NoAnswerError, UnreadableAnswerError
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.opus import OpusSubmitCertificateOperator
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR
from tests.evidence import evidence_factory
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.operators.opus_night import due, free

TERM = "Administration/Certificates"


@pytest.fixture
def certificate(served: ServedSandbox) -> dict[str, Any]:
    """Certify a run, and make the term in Opus under which its certificate is filed."""
    opus(served).terms.add(TERM)
    listed = Manifest.write(served.store, ["1", "2"])
    disposal = evidence_factory.carry_out(served.store, listed, evidence_factory.approve(served.store, listed, "a"))
    operator = DestructionCertificateOperator(task_id="certificate", disposals=[disposal.reference()])
    reference: dict[str, Any] = run(operator, dag_id=evidence_factory.DAG, run_id=evidence_factory.RUN)
    return reference


def opus(served: ServedSandbox) -> Any:
    return served.sandbox.vendors["opus"]


def file(reference: Any, **more: Any) -> Any:
    return run(OpusSubmitCertificateOperator(task_id="file", certificate=reference, **{"term_full_path": TERM, **more}))


def filed(served: ServedSandbox) -> list[str]:
    return served.sandbox.effects("opus", "submitted")


def test_one_record_describes_the_certificate(served: ServedSandbox, certificate: dict[str, Any]) -> None:
    returned = file(certificate)
    key = f"airflow-records-certificate-{certificate['digest'].removeprefix('sha256:')}"
    assert filed(served) == [key]
    assert returned["row_key"] == key
    (call,) = (entry for entry in served.sandbox.log if entry.call == "submit_records")
    sent = json.loads(call.request)
    written = documents.read(served.store, served.store.name(certificate["certificate"])).written_at
    assert sent == {
        "id": ENAIO_CONNECTOR,
        "conflictOption": "Skip",
        "data": [
            {
                "rowKey": key,
                "leafName": f"Certificate of destruction: {evidence_factory.DAG}, {evidence_factory.RUN}",
                "termFullPath": TERM,
                "timeCreated": written[:19].replace("T", " "),
                "timeModified": written[:19].replace("T", " "),
                "createdBy": "airflow-provider-records",
                "modifiedBy": "airflow-provider-records",
            }
        ],
    }


def test_a_lost_response_is_retried_and_files_nothing_twice(served: ServedSandbox, certificate: dict[str, Any]) -> None:
    served.fault(vendor="opus", call="submit_records", drop=True)
    with pytest.raises(NoAnswerError) as lost:
        file(certificate)
    assert lost.value.retry
    again = file(certificate)
    assert served.calls("opus", "submit_records") == 2
    assert filed(served) == [again["row_key"]]


@pytest.mark.parametrize("partial", ["line_and_body", "line", "body", "neither"])
def test_a_term_that_does_not_exist_fails_the_task_for_good(
    served: ServedSandbox, certificate: dict[str, Any], partial: str
) -> None:
    opus(served).turn({"partial": partial})
    with pytest.raises(AirflowFailException, match="Does the term 'No/Such' exist"):
        file(certificate, term_full_path="No/Such")
    assert filed(served) == []


def test_an_answer_that_names_nobody_is_retried(served: ServedSandbox, certificate: dict[str, Any]) -> None:
    opus(served).turn({"failed_items": "unreadable"})
    with pytest.raises(UnreadableAnswerError, match="the next try submits it again"):
        file(certificate, term_full_path="No/Such")


def test_a_certificate_that_does_not_verify_is_not_filed(served: ServedSandbox, certificate: dict[str, Any]) -> None:
    page = Path(certificate["html"].removeprefix("file://"))
    page.write_bytes(page.read_bytes().replace(b"Certificate of", b"Certificate  of"))
    with pytest.raises(AirflowFailException, match=r"does not verify, so nothing was submitted: .*html was changed"):
        file(certificate)
    assert served.sandbox.log == []


def test_another_certificate_than_the_task_returned_is_not_filed(
    served: ServedSandbox, certificate: dict[str, Any]
) -> None:
    with pytest.raises(AirflowFailException, match="Clear the certifying task"):
        file({**certificate, "digest": "sha256:" + "0" * 64})
    elsewhere = certificate["certificate"].replace("/evidence/", "/other/")
    with pytest.raises(AirflowFailException, match="other"):
        file({**certificate, "certificate": elsewhere})
    assert served.sandbox.log == []


@pytest.mark.parametrize("reference", [None, [], "file:///certificates/a/b.json", {"certificate": "x"}])
def test_what_is_no_certificate_reference_is_refused(served: ServedSandbox, reference: Any) -> None:
    with pytest.raises(AirflowFailException, match="certificate reference"):
        file(reference)
    assert served.sandbox.log == []


@pytest.mark.parametrize("term", ["", " ", None, 5, b"a", ["a"]])
def test_a_term_is_checked_when_the_dag_is_parsed(term: Any) -> None:
    with DAG("night", schedule=None), pytest.raises(ConfigurationError, match="term_full_path must be"):
        OpusSubmitCertificateOperator(task_id="file", certificate={}, term_full_path=term)


def test_so_is_a_connector() -> None:
    with DAG("night", schedule=None), pytest.raises(ConfigurationError, match="connector_id must be a GUID"):
        OpusSubmitCertificateOperator(task_id="file", certificate={}, term_full_path=TERM, connector_id="certificates")


def test_what_is_known_only_later_is_checked_later() -> None:
    with DAG("night", schedule=None):
        made: Any = DestructionCertificateOperator(task_id="certificate", disposals=[]).output
        known_later = {"term_full_path": made["term"], "connector_id": "{{ var.value.connector }}"}
        OpusSubmitCertificateOperator(task_id="file", certificate=made, **known_later)


@pytest.mark.parametrize("pattern", [r"enaio-(\d+)", "(.+)", None])
def test_a_due_list_sets_the_record_aside_when_its_own_retention_ends(
    served: ServedSandbox, certificate: dict[str, Any], pattern: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    before = due(target_id_pattern=pattern)
    key = file(certificate)["row_key"]
    (record,) = opus(served).records(key)
    record.due = "2020-01-01T00:00:00+00:00"
    free(served, before)
    opus(served).decide(key, "approve")
    after = due(target_id_pattern=pattern)
    assert after["digest"] == before["digest"]
    assert after["set_aside"] == before["set_aside"] + 1
    assert f"Set aside: '{key}': it is a certificate" in caplog.text
