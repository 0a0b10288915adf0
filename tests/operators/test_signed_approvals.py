"""Where a signing key is set, a new delete needs approvals that an approving task signed with it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.signature import VerificationKey, sign
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import SplitManifestOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.reporting.verify import Report, verify
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor
from tests.evidence.schemas import assert_store_valid
from tests.minors import DownstreamTasksSkipped
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.operators.reviewer import ANNA, BEN, Request, request_for
from tests.operators.test_four_eyes import gone, keys, listed
from tests.reporting.certified import PKCS8, pem
from tests.sensors.factories import DUE, look, unifier
from tests.sensors.test_approval import by_unifier, number

__all__ = ["listed", "request_for"]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "signing_key.pem"
    path.touch(mode=0o600)
    return path


@pytest.fixture
def key(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Ed25519PrivateKey:
    monkeypatch.setenv("AIRFLOW__RECORDS__SIGNING_KEY_FILE", str(key_file))
    return new_key(key_file)


def new_key(key_file: Path) -> Ed25519PrivateKey:
    made = Ed25519PrivateKey.generate()
    key_file.write_bytes(made.private_bytes(*PKCS8, serialization.NoEncryption()))
    return made


def delete(records: Any, try_number: int = 1, **more: Any) -> Any:
    return run(EnaioDeleteObjectOperator(task_id="delete", records=records, hard_delete=True, **more), try_number)


def certify(served: ServedSandbox, *disposals: Any, public_key: Path | None = None) -> Report:
    reference = run(DestructionCertificateOperator(task_id="certificate", disposals=list(disposals)))
    assert_store_valid(served.store)
    return verify(reference["certificate"].removeprefix("file://"), public_key)


def test_a_signed_approval_deletes_and_its_certificate_says_so(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], key: Ed25519PrivateKey, tmp_path: Path
) -> None:
    first = keys(served, listed)[0]
    review = request_for(listed).ask().approve(ANNA)
    reference = request_for(review, task_id="confirm").ask().approve(BEN, withhold=f"{first}: held")
    parts = run(SplitManifestOperator(task_id="split", records=reference, size=100))
    done = delete(parts[0], min_approvals=2)
    assert done["counts"]["destroyed"] == 7
    marked = run(OpusDestroyRecordsOperator(task_id="mark", records=done, min_approvals=2))
    report = certify(served, done, marked, public_key=pem(tmp_path / "public.pem", key))
    assert report.ok, report.problem
    assert "2 approvals signed with the key that the deleting task demanded" in report.checked
    assert not [note for note in report.notes if "signed" in note]
    options = Disposal.read(served.store, done["disposal"]).options
    assert options["approval_key"] == VerificationKey.from_key(key.public_key()).to_dict()
    assert report.certificate is not None
    signed = {each["file"] for each in report.certificate.approvals if "signed_by" in each}
    assert {f"{name}.sig" for name in signed} <= {each.name for each in report.certificate.files}
    Path(served.store.uri(f"{min(signed)}.sig").removeprefix("file://")).write_bytes(b"x" * 64)
    assert not verify(report.store.uri(report.name)).ok


@pytest.mark.parametrize("forged", ["unsigned", "of another key", "of another approval", "cut off"])
def test_an_approval_without_its_signature_deletes_nothing(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], key: Ed25519PrivateKey, forged: str
) -> None:
    """Whoever can write to the store writes an approval, and posts a reference to it."""
    reference = request_for(listed).ask().approve(ANNA)
    (uri,) = reference["approvals"]
    uri = replace(Approval.read(served.store, uri), approver="airflow:ben", name="Ben").write(served.store)
    name = served.store.name(uri)
    signature = {
        "unsigned": None,
        "of another key": sign(name, served.store.read(name), Ed25519PrivateKey.generate())[1],
        "of another approval": served.store.read(served.store.name(reference["approvals"][0]) + ".sig"),
        "cut off": key.sign(served.store.read(name))[:63],
    }[forged]
    if signature is not None:
        served.store.write(f"{name}.sig", signature)
    words = "'airflow:ben' (is not signed|has no valid signature by the key sha256:)"
    posted = {**reference, "approvals": [*reference["approvals"], uri]}
    parts = run_unsigned(posted)
    for records in (posted, {**reference, "approvals": [uri]}, parts):
        for more in ({}, {"require_approval": False}):
            with pytest.raises(AirflowFailException, match=words):
                delete(records, **more)
    with pytest.raises(AirflowFailException, match=words):
        request_for(posted, task_id="confirm").execute()
    assert not gone(served)
    assert not served.store.names("disposals")


def run_unsigned(posted: Any) -> Any:
    """Cut a list as somebody does who has no key and needs none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AIRFLOW__RECORDS__SIGNING_KEY_FILE")
        return run(SplitManifestOperator(task_id="split", records=posted, size=3))


def test_sensors_sign_as_well(served: ServedSandbox, key: Ed25519PrivateKey) -> None:
    ids = ["1", "2"]
    unifier(served).open_request("P-0001", number(ids, "DR-1"), status="Approved")
    due = look(OpusDueRecordsSensor(task_id="due", due_before=DUE, due_means_approved=True))
    for reference in (look(by_unifier(ids)), due):
        (uri,) = reference["approvals"]
        name = served.store.name(uri)
        key.public_key().verify(served.store.read(f"{name}.sig"), served.store.read(name))


def test_an_approval_by_the_previous_key_is_refused_until_that_key_is_back(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], key: Ed25519PrivateKey, key_file: Path
) -> None:
    old = key_file.read_bytes()
    reference = request_for(listed).ask().approve(ANNA)
    new_key(key_file)
    with pytest.raises(AirflowFailException, match=r"has no valid signature .*another key, such as the one before"):
        delete(reference)
    key_file.write_bytes(old)
    done = delete(reference)
    new_key(key_file)
    report = certify(served, done)
    assert report.ok, report.problem
    (note,) = [note for note in report.notes if "another key" in note]
    assert "The approvals of task delete are signed with another key than the certificate" in note
    assert report.certificate is not None
    assert note in report.certificate.statements


def test_a_certificate_does_not_vouch_for_approvals_of_a_time_without_a_key(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, key_file: Path
) -> None:
    done = delete(request_for(listed).ask().approve(ANNA))
    monkeypatch.setenv("AIRFLOW__RECORDS__SIGNING_KEY_FILE", str(key_file))
    new_key(key_file)
    report = certify(served, done)
    assert report.ok, report.problem
    (note,) = [note for note in report.notes if "approvals of task delete are not signed" in note]
    assert report.certificate is not None
    assert note in report.certificate.statements


def test_a_rejection_counts_without_a_signature(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], key: Ed25519PrivateKey
) -> None:
    reference = request_for(listed, task_id="left").ask().approve(ANNA)
    with suppress(DownstreamTasksSkipped):
        request_for(listed, task_id="right").ask().answer("Reject", BEN)
    assert not [name for name in served.store.names("rejections") if name.endswith(".sig")]
    with pytest.raises(AirflowFailException, match="Ben rejected this list"):
        delete(reference)


def test_a_key_that_cannot_be_read_lets_nothing_pass(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], key: Ed25519PrivateKey, key_file: Path
) -> None:
    page = request_for(listed).ask()
    reference = page.approve(ANNA)
    key_file.unlink()
    with pytest.raises(AirflowFailException, match=r"signing_key_file .* cannot be read"):
        delete(reference)
    assert not gone(served)
