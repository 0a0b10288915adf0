"""The certificate's operator: what ``disposals=`` may be, the key, and what an incomplete night means."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time.lazy_sequence import LazyXComSequence
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.signature import VerificationKey
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import CertificateIncompleteError, InvalidRecordsError
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.reporting.verify import verify
from tests.evidence import evidence_factory
from tests.operators import factories
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import context

RUN: dict[str, Any] = {"dag_id": evidence_factory.DAG, "run_id": evidence_factory.RUN}


@pytest.fixture
def key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "signing_key.pem"
    monkeypatch.setenv("AIRFLOW__RECORDS__SIGNING_KEY_FILE", str(path))
    path.touch(mode=0o600)
    return path


def pem() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def disposed(store: Store, count: int = 5, **told: Any) -> Disposal:
    """One approved list, carried out."""
    place = told.pop("place", -1)
    listed = Manifest.write(store, (f"{place}-{number}" for number in range(count)))
    results = {f"{place}-{number}": result for number, result in enumerate(told.pop("results", []))}
    origin = evidence_factory.provenance("delete", map_index=place, **told)
    return evidence_factory.carry_out(
        store,
        listed,
        evidence_factory.approve(store, listed, "a", by=origin),
        system=evidence_factory.ObedientSystem(results),
        by=origin,
    )


def certify(disposals: Any, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the operator; return what it returned and what it pushed."""
    operator = DestructionCertificateOperator(task_id="certificate", disposals=disposals, **options)
    task = context(operator, **RUN)
    return operator.execute(task), task["ti"].pushed


def document(reference: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(reference["certificate"].removeprefix("file://")).read_bytes())
    return content


def refused(disposals: Any, words: str, **options: Any) -> AirflowFailException:
    with pytest.raises(AirflowFailException, match=words) as caught:
        certify(disposals, **options)
    return caught.value


def test_returns_a_small_reference(store: Store) -> None:
    reference, pushed = certify([disposed(store).reference()])
    assert set(reference) == {"certificate", "html", "digest", "complete", "summary"}
    assert reference["complete"] is True
    content = Path(reference["certificate"].removeprefix("file://")).read_bytes()
    assert reference["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert json.loads(json.dumps(reference)) == reference
    assert pushed == {}
    for name in ("certificate", "html"):
        assert Path(reference[name].removeprefix("file://")).is_file()


def test_the_summary_says_in_plain_text_how_the_run_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/night")
    parts = [disposed(store, place=place, results=[OutcomeKind.BLOCKED]).reference() for place in (0, 1)]
    reference, _ = certify(parts)
    headline, verdict, _, outcomes, _, run, certificate, digest = reference["summary"].split("\n")
    assert headline == f"Complete, with refusals: {RUN['dag_id']}, {RUN['run_id']}"
    assert "Blocked, each with its reason: 1 in enaio and 1 in enaio" in verdict
    assert outcomes == "enaio: 8 destroyed, 2 blocked"
    page = "https://airflow.example.org/night/plugin/disposals/night/records"
    assert run.startswith(f"Run: {page}/run?dag_id=")
    assert certificate.startswith(f"Certificate: {page}/certificate.html?dag_id=")
    assert digest == f"Digest: {reference['digest']}"


def test_what_is_left_has_its_summary_too(store: Store) -> None:
    operator = DestructionCertificateOperator(
        task_id="certificate", disposals=[disposed(store, results=[OutcomeKind.FAILED]).reference()]
    )
    task = context(operator, **RUN)
    with pytest.raises(AirflowFailException):
        operator.execute(task)
    assert task["ti"].pushed["return_value"]["summary"].startswith("Not complete: ")


def lazy(items: Sequence[Any]) -> LazyXComSequence[Any]:
    """The output of a mapped task as ``execute`` receives it, without an API server behind it."""

    class Pulled(LazyXComSequence[Any]):
        def __init__(self) -> None: ...

        def __len__(self) -> int:
            return len(items)

        def __getitem__(self, place: Any) -> Any:
            return items[place]

        def __iter__(self) -> Iterator[Any]:
            return iter(items)

    return Pulled()


@pytest.mark.parametrize(
    "shape",
    [
        lambda a, b: [a, b],
        lambda a, b: (a, b),
        lambda a, b: lazy([a, b]),
        lambda a, b: [lazy([a, b])],
        lambda a, b: [[a], lazy([b])],
        lambda a, b: [a, lazy([]), b],
        lambda a, b: [a, b, a],
    ],
)
def test_takes_outputs_in_every_shape(store: Store, shape: Callable[[Any, Any], Any]) -> None:
    first, second = (disposed(store, place=place).reference() for place in (0, 1))
    reference, _ = certify(shape(first, second))
    assert [each["disposal"]["provenance"]["map_index"] for each in document(reference)["disposals"]] == [0, 1]
    assert document(reference)["counts"]["enaio"]["destroyed"] == 10


def test_takes_a_single_reference(store: Store) -> None:
    assert certify(disposed(store).reference())[0]["complete"] is True


@pytest.mark.parametrize("given", [[], [[]], lazy([]), ()])
def test_nothing_to_certify(store: Store, given: Any) -> None:
    assert isinstance(refused(given, "nothing to certify").__cause__, InvalidRecordsError)
    assert store.names("certificates") == []


@pytest.mark.parametrize("wrap", [lambda good: [good, None], lambda good: [good, lazy([None])]])
def test_a_task_that_pushed_nothing_is_named_as_such(store: Store, wrap: Callable[[Any], Any]) -> None:
    error = refused(wrap(disposed(store).reference()), "an upstream task pushed no disposal")
    assert isinstance(error.__cause__, InvalidRecordsError)
    assert store.names("certificates") == []


@pytest.mark.parametrize(
    "given", ["None", "[{'disposal': 'file:///x'}]", 7, {"manifest": "file:///x"}, {"disposal": None}, [b"x"], {}]
)
def test_refuses_what_is_no_reference(store: Store, given: Any) -> None:
    refused(given, "A disposal reference is what a disposing task returns")


def test_refuses_a_reference_that_does_not_fit(store: Store) -> None:
    reference = disposed(store).reference()
    refused([reference | {"digest": "sha256:" + "0" * 64}], "about another list")
    refused([reference | {"disposal": "file:///elsewhere/disposal.json"}], "does not lie in the evidence store")
    refused([reference | {"disposal": store.uri("disposals/none/disposal.json")}], "is missing")


def test_refuses_another_runs_disposal(store: Store) -> None:
    other = disposed(store, run="scheduled__2026-11-21T02:00:00+00:00")
    refused([disposed(store).reference(), other.reference()], r"is of the run scheduled__2026-11-21")
    assert store.names("certificates") == []


def test_evidence_that_does_not_fit_is_not_certified(store: Store) -> None:
    disposal = disposed(store)
    journal = Path(store.uri(store.names(disposal.provenance.folder.path + "/journal")[1]).removeprefix("file://"))
    journal.write_bytes(journal.read_bytes().replace(b"-1-0", b"-1-9"))
    refused([disposal.reference()], "The journal was changed")
    assert store.names("certificates") == []


def test_what_is_left_fails_the_task_after_the_certificate(store: Store) -> None:
    disposal = disposed(
        store, count=30, results=[OutcomeKind.FAILED, OutcomeKind.FAILED, OutcomeKind.UNKNOWN, OutcomeKind.BLOCKED]
    )
    operator = DestructionCertificateOperator(task_id="certificate", disposals=[disposal.reference()])
    task = context(operator, **RUN)
    with pytest.raises(AirflowFailException, match="not everything is done: enaio: 2 failed, 1 unknown") as caught:
        operator.execute(task)
    assert isinstance(caught.value.__cause__, CertificateIncompleteError)
    pushed = task["ti"].pushed["return_value"]
    assert pushed["complete"] is False
    assert pushed["certificate"] in str(caught.value)
    content = Path(pushed["certificate"].removeprefix("file://")).read_bytes()
    assert pushed["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_what_is_left_may_be_accepted(store: Store) -> None:
    reference, _ = certify([disposed(store, results=[OutcomeKind.UNKNOWN]).reference()], require_complete=False)
    assert reference["complete"] is False


def test_blocked_records_are_final(store: Store) -> None:
    assert certify([disposed(store, results=[OutcomeKind.BLOCKED]).reference()])[0]["complete"] is True


def test_a_dry_run_is_never_complete(store: Store) -> None:
    disposal = evidence_factory.carry_out(store, Manifest.write(store, ["a"]), dry_run=True)
    refused([disposal.reference()], "enaio: dry run, nothing was sent")
    assert certify([disposal.reference()], require_complete=False)[0]["complete"] is False


def test_a_task_that_was_skipped_is_not_passed_over_where_another_ones_output_is_gone(served: ServedSandbox) -> None:
    """A clear has left one of two mapped deletes, whose journal is there; the marks were skipped."""
    enaio: Any = served.sandbox.vendors["enaio"]
    with DAG(RUN["dag_id"]):
        listed = EnaioDeleteObjectOperator.partial(task_id="delete", require_approval=False).expand(records=[["1"]])
        mark = OpusDestroyRecordsOperator(task_id="mark", records=listed.output, trigger_rule="all_done")
        certificate = DestructionCertificateOperator(task_id="certificate", disposals=[listed.output, mark.output])
    deleted = []
    for place, id_ in enumerate(("800000", "800001")):
        enaio.archive.add(id_, "Invoice")
        delete = EnaioDeleteObjectOperator(task_id="delete", records=[id_], require_approval=False)
        deleted.append(factories.run(delete, map_index=place, **RUN))
    certificate.disposals = [deleted[:1], None]  # as Airflow renders it
    with pytest.raises(AirflowFailException, match="an upstream task pushed no disposal"):
        certificate.execute(context(certificate, **RUN))
    certificate.disposals = [deleted[:1], factories.run(OpusDestroyRecordsOperator(task_id="mark", records=[]), **RUN)]
    assert certificate.execute(context(certificate, **RUN))["complete"]


def test_a_mapped_task_that_pushed_nothing_is_covered(store: Store) -> None:
    """Airflow leaves out of a mapped task's output what was never pushed, without a word; its journal is there."""
    given, _ = disposed(store, place=0), disposed(store, place=1)
    reference, _ = certify(lazy([given.reference()]))
    assert reference["complete"] is True
    assert document(reference)["counts"]["enaio"]["destroyed"] == 10


def test_all_iterations_of_a_loop_are_covered_whatever_is_named(store: Store) -> None:
    iterations = [disposed(store, iteration=iteration) for iteration in (0, 1, 2)]
    reference, _ = certify([iterations[-1].reference()])
    assert reference["complete"] is True
    assert document(reference)["counts"]["enaio"]["destroyed"] == 15


def test_an_iteration_that_a_vendor_approved_and_nothing_disposed_of_is_left(store: Store) -> None:
    """Airflow leaves out of a loop's output what was never pushed, without a word, and there is no journal either."""
    first = disposed(store, iteration=0)
    asked = evidence_factory.provenance("approve", iteration=1)
    listed = Manifest.write(store, ["left"])
    order = evidence_factory.given(store, listed.digest)
    source = {"kind": "unifier", **asked.asking}
    Approval(listed.digest, "unifier:x", "2026-11-22T07:14:41Z", source, **order).write(store)
    refused([first.reference()], "not everything is done")


def test_an_iteration_that_a_clear_began_anew_goes_on_where_the_old_one_was(store: Store) -> None:
    """Its tries count from 1 again."""
    listed = Manifest.write(store, evidence_factory.records(5))
    approvals = evidence_factory.approve(store, listed, "a")
    old = evidence_factory.provenance("delete", 2, iteration=1)
    first = evidence_factory.carry_out(store, listed, approvals, by=old)
    later = "2026-11-22T09:00:00+00:00"
    assert later > old.run_started_at
    new = evidence_factory.provenance("delete", 1, iteration=1, loop_began_at=later)
    unasked = evidence_factory.ObedientSystem(usual=OutcomeKind.FAILED)
    second = evidence_factory.carry_out(store, listed, approvals, system=unasked, by=new)
    for named in (first, second):
        reference, _ = certify([named.reference()])
        assert reference["complete"] is True
        assert document(reference)["counts"]["enaio"]["destroyed"] == 5
        (entry,) = document(reference)["disposals"]
        assert entry["disposal"]["provenance"]["loop_began_at"] == later


def test_one_task_that_is_neither_mapped_nor_in_a_loop_writes_the_certificate(store: Store) -> None:
    reference = disposed(store).reference()
    operator = DestructionCertificateOperator(task_id="certificate", disposals=[reference])
    with pytest.raises(AirflowFailException, match="of one task that is neither"):
        operator.execute(context(operator, **RUN, map_index=0))
    with pytest.raises(AirflowFailException, match="of one task that is neither"):
        operator.execute(context(operator, **RUN) | {"loop": SimpleNamespace(index=0)})
    assert store.names("certificates") == []
    certify([reference])
    second = DestructionCertificateOperator(task_id="second", disposals=[reference])
    with pytest.raises(AirflowFailException, match="was written by task 'certificate'"):
        second.execute(context(second, **RUN))


@pytest.mark.parametrize(("given", "held"), [({}, (2, 70)), ({"min_approvals": 1, "max_records": 50}, (1, 50))])
def test_the_limits_that_held_are_on_the_certificate(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], held: tuple[int, int]
) -> None:
    """Also those that [records] decides, and not the DAG."""
    monkeypatch.setenv("AIRFLOW__RECORDS__MIN_APPROVALS", "2")
    monkeypatch.setenv("AIRFLOW__RECORDS__MAX_RECORDS", "70")
    listed = Manifest.write(served.store, list(served.sandbox.vendors["enaio"].archive.objects)[:2])  # type: ignore[attr-defined]
    allowed: dict[str, Any] = {"tasks": factories.covered(), "valid_until": "2999-01-01T00:00:00Z"}
    records = manifest_reference(listed, evidence_factory.approve(served.store, listed, "a", "b", **allowed))
    delete = EnaioDeleteObjectOperator(task_id="delete", records=records, accept=("absent", "destroyed"), **given)
    done = delete.execute(context(delete, **RUN))
    (entry,) = document(certify([done], require_complete=False)[0])["disposals"]
    options = entry["disposal"]["options"]
    assert (options["min_approvals"], options["max_records"]) == held
    assert options["accept"] == ["absent", "destroyed"]


def test_signs_with_the_configured_key(store: Store, key_file: Path) -> None:
    key = Ed25519PrivateKey.generate()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_file.write_bytes(key.private_bytes(*form))
    reference, _ = certify([disposed(store).reference()])
    assert document(reference)["key"] == VerificationKey.from_key(key.public_key()).to_dict()
    for name in ("certificate", "html"):
        path = Path(reference[name].removeprefix("file://"))
        key.public_key().verify(path.with_name(f"{path.name}.sig").read_bytes(), path.read_bytes())


def test_without_a_configured_key_it_is_unsigned(store: Store) -> None:
    reference, _ = certify([disposed(store).reference()])
    assert document(reference)["key"] is None
    kinds = {name.rpartition(".")[2] for name in store.names("certificates")}
    assert kinds == {"json", "html", "sha256"}


def test_the_configured_language_is_the_page_s_and_another_one_makes_a_new_page(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = disposed(store).reference()
    said = []
    for code in ("en", "de", "de"):
        monkeypatch.setenv("AIRFLOW__RECORDS__LANGUAGE", code)
        said.append(document(certify([reference])[0]))
    assert [each["language"] for each in said] == ["en", "de", "de"]
    assert said[0]["id"] != said[1]["id"]
    assert said[1] == said[2]
    monkeypatch.setenv("AIRFLOW__RECORDS__LANGUAGE", "Deutsch")
    refused([reference], r"\[records\] language is 'Deutsch'")


def test_a_missing_or_wrong_key_stops_before_anything_is_written(store: Store, key_file: Path) -> None:
    reference = disposed(store).reference()
    key_file.unlink()
    refused([reference], f"signing_key_file {key_file} cannot be read: No such file")
    key_file.touch(mode=0o600)
    key_file.write_text("secret words")
    error = refused([reference], "no unencrypted private key in PEM")
    assert "secret words" not in str(error)
    key_file.unlink()
    key_file.mkdir()
    refused([reference], "cannot be read: Is a directory")
    assert store.names("certificates") == []


def test_values_are_checked_when_the_task_runs_only() -> None:
    operator = DestructionCertificateOperator(task_id="certificate", disposals="{{ later }}")
    assert operator.template_fields == ("disposals",)
    assert operator.disposals == "{{ later }}"


def test_a_night_against_the_sandbox(served: ServedSandbox) -> None:
    """Due list, delete, mark and certificate as a DAG runs them, over HTTP; what it says is what the sandbox saw."""

    def run(operator: Any) -> Any:
        return operator.execute(context(operator, **RUN))

    due = run(OpusDueRecordsOperator(task_id="due", due_before="2026-11-01T00:00:00", target_id_pattern=r"enaio-(\d+)"))
    deleted = run(EnaioDeleteObjectOperator(task_id="delete", records=due, hard_delete=True, require_approval=False))
    marked = run(
        OpusDestroyRecordsOperator(
            task_id="mark", records=deleted, accept=("destroyed", "absent"), require_approval=False
        )
    )
    reference = run(DestructionCertificateOperator(task_id="certificate", disposals=[deleted, marked]))
    report = verify(reference["certificate"].removeprefix("file://"))
    assert report.ok, report.problem
    said = document(reference)
    assert said["counts"] == {"enaio": deleted["counts"], "opus": marked["counts"]}
    assert deleted["counts"]["blocked"] > 0
    assert deleted["counts"]["destroyed"] > 40
    gone = set(served.sandbox.vendors["enaio"].archive.destroyed)  # type: ignore[attr-defined]
    listed = {record.key: record.target_id for record in Manifest.open(served.store, due["digest"])}
    left = {key for group in said["disposals"][0]["not_destroyed"] for key in group["keys"]}
    assert {target for key, target in listed.items() if key not in left} == gone


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o641])
def test_a_key_that_everybody_may_use_signs_nothing(mode: int, store: Store, key_file: Path) -> None:
    reference = disposed(store).reference()
    key_file.write_bytes(pem())
    key_file.chmod(mode)
    refused([reference], f"signing_key_file {key_file} may be used by everybody on the machine .mode {mode:03o}.")
    assert store.names("certificates") == []


def test_a_mounted_secret_signs_though_it_is_a_link_and_its_group_may_read_it(store: Store, key_file: Path) -> None:
    secret = key_file.with_name("..data")
    secret.write_bytes(pem())
    secret.chmod(0o440)
    key_file.unlink()
    key_file.symlink_to(secret)
    reference, _ = certify([disposed(store).reference()])
    assert document(reference)["key"]["algorithm"] == "Ed25519"
