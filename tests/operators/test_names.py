"""Nights with ``names_key_file``: nothing that is left of them names a title or a person, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records import cli
from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence import titles
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.names import KeyedNaming, is_hash
from airflow_provider_records.evidence.slip import Slip
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator, EnaioDueRecordsOperator
from airflow_provider_records.operators.manifest import RecordListOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator, UnifierDueDocumentsOperator
from airflow_provider_records.reporting import issue
from airflow_provider_records.reporting.verify import verify
from airflow_provider_records.sandbox import seed
from airflow_provider_records.sandbox.unifier import Document, FakeUnifier, Folder
from airflow_provider_records.sensors.enaio import EnaioApprovalSensor
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor
from tests.evidence.schemas import assert_store_valid
from tests.operators import factories
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.operators.opus_night import DUE, due, free, mark, outcomes
from tests.operators.reviewer import Request, request_for

__all__ = ["request_for"]

MIRA: Any = {"id": "m.sommerfeld", "name": "Mira Sommerfeld"}
OLE: Any = {"id": "o.petersen", "name": "Ole Petersen"}
BOTH = {"assigned_users": [MIRA, OLE]}
PEOPLE = ("sommerfeld", "petersen", "clerk", *seed._AUTHORS)
KEY = b"a key of names that nobody can guess"
NAMING = KeyedNaming(KEY)
SHELL = "P-0900"


def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: bytes = KEY) -> None:
    """Set the option, as a worker has it from now on."""
    file = tmp_path / f"{key[:4].hex()}.key"
    file.touch(mode=0o600)
    file.write_bytes(key + b"\n")
    monkeypatch.setenv("AIRFLOW__RECORDS__NAMES_KEY_FILE", str(file))


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, tmp_path)


def folder(served: ServedSandbox) -> Path:
    return Path(served.store.root.removeprefix("file://"))


def assert_names_nobody(served: ServedSandbox, given: list[str], *xcoms: Any, but: str = "") -> None:
    """Look through every byte of the evidence, and what tasks returned.

    :param given: the titles.
    :param but: folder of the store that may hold them.
    """
    words = [*given, *PEOPLE]
    assert len(given) > 2
    found = {str(path.relative_to(folder(served))): path.read_bytes() for path in folder(served).rglob("*.*")}
    assert len(found) > 8
    found |= {"an XCom": json.dumps(xcoms, ensure_ascii=False).encode()}
    for name, content in found.items():
        text = content.decode(errors="replace").casefold()
        named = [word for word in words if word.casefold() in text and not (but and name.startswith(but))]
        assert not named, f"{name} holds {named[:3]}"


def certify(*disposals: Any, **more: Any) -> Any:
    return run(DestructionCertificateOperator(task_id="certificate", disposals=list(disposals), **more))


def assert_verifies(served: ServedSandbox, certificate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify and replay, and read the page, as an auditor without the key."""
    monkeypatch.delenv("AIRFLOW__RECORDS__NAMES_KEY_FILE")
    path = certificate["certificate"].removeprefix("file://")
    report = verify(path)
    assert report.problem is None
    assert_store_valid(served.store)
    assert cli.main(["replay", path]) == 0, "nothing is back"
    hashes = "hmac-sha256:"
    assert hashes in Path(path).read_text()
    assert hashes in Path(certificate["html"].removeprefix("file://")).read_text()
    assert not served.store.names("titles")


def titles_of(served: ServedSandbox, reference: Any) -> dict[str, str]:
    """Return the titles that a list stands for, by key, and check that the list has their hashes."""
    kept: dict[str, str] = {}
    for name in served.store.names("titles"):
        _, *lines = served.store.read(name).splitlines()
        kept |= {line["name"]: line["title"] for line in map(json.loads, lines)}
    found = {}
    for record in Manifest.open(served.store, reference["digest"]):
        assert record.title is not None
        assert is_hash(record.title)
        found[record.key] = kept[record.title]
        assert record.title == NAMING.title(found[record.key])
    return found


# A night of each source


@pytest.mark.usefixtures("key")
def test_a_night_of_opus_names_nobody(
    served: ServedSandbox, request_for: Request, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = due()
    records = list(free(served, listed))
    named = titles_of(served, listed)
    people = {str(record.attributes[name]) for record in records for name in ("created_by", "modified_by")}
    assert people
    assert all(map(is_hash, people))
    page = request_for(listed, **BOTH).ask()
    first = records[0].key
    assert "Fischer" in "".join(named.values())
    assert any(title[:12] in page.shown["body"].replace("\\", "") for title in named.values())
    assert "hmac" not in page.shown["body"]
    assert page.shown["params"]["comment"]["description"] == (
        "Kept with the approval. What is typed here is kept as it is: please name nobody."
    )
    slip = page.slip("Approve", MIRA, withhold="no such key: x")
    assert slip.startswith("The answer of the reviewer cannot be followed.")
    once = page.approve(MIRA, withhold=f"{first}: court: 7 O 12/26", comment="the rest may go")
    twice = request_for(once, task_id="second", **BOTH).ask().approve(OLE)
    served.fault(vendor="enaio", call="delete_object", times=2, status=409, body={"message": named[first]})
    deleted = run(
        EnaioDeleteObjectOperator(
            task_id="delete", records=twice, hard_delete=True, min_approvals=2, max_failure_rate=1
        )
    )
    marked = mark(deleted, max_failure_rate=1)
    assert_names_nobody(served, [*named.values()], listed, once, twice, deleted, marked, but="titles/")
    assert served.store.names("titles")
    certificate = certify(deleted, marked, require_complete=False)
    assert_names_nobody(served, [*named.values()], certificate)
    assert Approval.read(served.store, once["approvals"][0]).approver == NAMING.person("airflow:m.sommerfeld")
    assert Approval.read(served.store, once["approvals"][0]).name == NAMING.person("MIRA  Sommerfeld")
    assert Slip.of_run(served.store, factories.DAG_ID, factories.RUN_ID)[0].who == NAMING.person("Mira Sommerfeld")
    assert_verifies(served, certificate, monkeypatch)
    assert named[first] not in capsys.readouterr().out


ENAIO_DUE: dict[str, Any] = {
    "object_type": "Invoice",
    "due_field": "RetentionEnd",
    "due_before": "2026-01-01",
    "title_field": "Title",
}


@pytest.mark.usefixtures("key")
def test_a_night_of_enaio_names_nobody(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = run(EnaioDueRecordsOperator(task_id="due", **ENAIO_DUE))
    named = titles_of(served, listed)
    archive: Any = served.sandbox.vendors["enaio"]
    first, second, third, *_ = named
    for object_id in named:
        archive.set_field(object_id, "Disposal", "no" if object_id == third else "yes")
        archive.set_field(object_id, "ApprovedBy", '["Mira Sommerfeld", "Ole Petersen"]')
    archive.archive.objects[second].locked_by = "clerk"
    sensor = EnaioApprovalSensor(
        task_id="approve", records=listed, field="Disposal", approved="yes", rejected="no", on_rejected="withhold",
        approver_field="ApprovedBy",
    )  # fmt: skip
    approved = run(sensor)
    archive.archive.objects[first].fields["Title"] = "Akte Sommerfeld"
    delete = EnaioDeleteObjectOperator(
        task_id="delete", records=approved, hard_delete=True, min_approvals=2, expect={"Title": "title"}
    )
    deleted = run(delete)
    found = {key: each.get("reason", "") for key, each in outcomes(served, deleted).items()}
    assert f"locked by {NAMING.person('clerk')}" in found[second]
    assert NAMING.title("Akte Sommerfeld") in found[first]
    assert NAMING.title(named[first]) in found[first]
    assert deleted["counts"]["destroyed"] == len(named) - 3
    certificate = certify(deleted)
    assert_names_nobody(served, [*named.values()], listed, approved, deleted, certificate)
    approvals = [Approval.read(served.store, uri) for uri in approved["approvals"]]
    assert [each.approver for each in approvals] == [
        f"enaio:{name}" for name in approvals[0].source["found"]["approvers"]
    ]
    assert {each.name for each in approvals} == {NAMING.person("Mira Sommerfeld"), NAMING.person("ole petersen")}
    assert_verifies(served, certificate, monkeypatch)


@pytest.fixture
def plans(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> FakeUnifier:
    """A shell with documents that bear names, and no connection to another content system."""
    fake = served.sandbox.vendors["unifier"]
    assert isinstance(fake, FakeUnifier)
    monkeypatch.delenv("AIRFLOW_CONN_ENAIO_DEFAULT")
    monkeypatch.delenv("AIRFLOW_CONN_OPUS_DEFAULT")
    fake.shells[SHELL] = "Active"
    fake.folders[9_000] = Folder(9_000, SHELL, "/Closed", 0)
    for number in range(9_100, 9_106):
        path = f"/Closed/Claim of Mr Sommerfeld {number}.pdf"
        fake.documents[number] = Document(number, number + 500, 9_000, SHELL, path, "2014-05-25 08:00:00")
    fake.documents[9_200] = Document(9_200, 9_700, 9_000, SHELL, "/Closed/Stays.pdf", "2025-05-25 08:00:00")
    return fake


UNIFIER_DUE: dict[str, Any] = {
    "project_number": SHELL,
    "parent_path": "/Closed",
    "date_field": "Upload Date",
    "due_before": "2020-01-01",
}


@pytest.mark.usefixtures("key")
def test_a_night_of_unifier_names_nobody(
    served: ServedSandbox, plans: FakeUnifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = run(UnifierDueDocumentsOperator(task_id="due", **UNIFIER_DUE))
    named = titles_of(served, listed)
    record_no = f"DR-{listed['digest'][7:19]}"
    plans.open_request(SHELL, record_no, status="Approved")
    plans.records[SHELL, "Disposal Request", record_no].fields["approved_by"] = "Mira Sommerfeld"
    sensor = UnifierApprovalSensor(
        task_id="approve", records=listed, project_number=SHELL, bpname="Disposal Request", record_no=record_no,
        approver_field="approved_by",
    )  # fmt: skip
    approved = run(sensor)
    first, second, *_ = (int(key) for key in named)
    plans.documents[first].path = "/Closed/Will of Mrs Petersen.pdf"
    refusal = {"status": 12767, "message": f"{named[str(second)]} is locked", "data": []}
    served.fault(vendor="unifier", call="delete_document", match=str(second), times=None, act=False, body=refusal)
    delete = UnifierDeleteDocumentOperator(
        task_id="delete", records=approved, expect={"Name": "title"}, max_failure_rate=1
    )
    deleted = run(delete)
    assert deleted["counts"]["blocked"] == 2
    assert NAMING.title("Will of Mrs Petersen.pdf") in outcomes(served, deleted)[str(first)]["reason"]
    certificate = certify(deleted, require_complete=False)
    assert_names_nobody(served, [*named.values()], listed, approved, deleted, certificate)
    assert_verifies(served, certificate, monkeypatch)


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("how", ["file", "rows", "inline"])
def test_a_night_of_given_records_names_nobody(
    served: ServedSandbox,
    documents: list[str],
    request_for: Request,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    how: str,
) -> None:
    rows = [{"key": f"k-{each}", "target_id": each, "title": f"Akte Sommerfeld, {each}"} for each in documents]
    if how == "file":
        source = tmp_path / "due.csv"
        source.write_text(
            "key,target_id,title\n"
            + "".join(f'{",".join([*list(each.values())[:2]])},"{each["title"]}"\n' for each in rows)
        )
        listed = run(RecordListOperator(task_id="due", source=str(source)))
    else:
        listed = run(RecordListOperator(task_id="due", records=rows)) if how == "rows" else rows
    page = request_for(listed, **BOTH).ask()
    assert "Akte Sommerfeld" in page.shown["body"].replace("\\", "")
    approved = page.approve(MIRA)
    assert titles_of(served, approved) == {each["key"]: each["title"] for each in rows}
    deleted = run(EnaioDeleteObjectOperator(task_id="delete", records=approved, hard_delete=True))
    assert deleted["counts"]["destroyed"] == len(rows)
    certificate = certify(deleted)
    assert_names_nobody(served, [each["title"] for each in rows], approved, deleted, certificate)
    assert_verifies(served, certificate, monkeypatch)


@pytest.mark.usefixtures("key")
def test_a_node_without_an_id_is_set_aside_without_its_name(served: ServedSandbox, plans: FakeUnifier) -> None:
    row = {"node_path": "/Closed/Claim of Mr Sommerfeld.pdf", "node_type": "Document", "Upload Date": "2014-05-25"}
    served.fault(vendor="unifier", call="list_nodes", put={"/data/0": row})
    listed = run(UnifierDueDocumentsOperator(task_id="due", **UNIFIER_DUE))
    assert listed["set_aside"] == 1
    (name,) = served.store.names("set_aside")
    assert b"ommerfeld" not in served.store.read(name)
    assert NAMING.title("/Closed/Claim of Mr Sommerfeld.pdf").encode() in served.store.read(name)


# Titles for reviewers, until there is a certificate


@pytest.fixture
def deleted(served: ServedSandbox, documents: list[str], request_for: Request, key: None) -> Any:
    rows = [{"key": f"k-{each}", "target_id": each, "title": f"Akte {each}"} for each in documents]
    approved = request_for(run(RecordListOperator(task_id="due", records=rows)), **BOTH).ask().approve(MIRA)
    return run(EnaioDeleteObjectOperator(task_id="delete", records=approved, hard_delete=True))


@pytest.mark.parametrize("dies_in", ["write", "remove", "between"])
def test_titles_go_when_the_certificate_is_there_and_not_before(
    served: ServedSandbox, deleted: Any, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    (name,) = served.store.names("titles")

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        if dies_in == "write":
            broken.setattr(issue, "write", die)
        elif dies_in == "between":
            broken.setattr(titles, "remove", die)
        else:
            broken.setattr(type(served.store), "remove", die)
        with pytest.raises(KeyboardInterrupt):
            certify(deleted)
        assert bool([each for each in served.store.names("certificates") if each.endswith(".json")]) is (
            dies_in != "write"
        )
        assert served.store.names("titles") == [name]
    certificate = certify(deleted)
    assert served.store.names("titles") == []
    assert verify(certificate["certificate"].removeprefix("file://")).problem is None
    assert certify(deleted)["digest"] == certificate["digest"]


def test_titles_are_no_evidence(served: ServedSandbox, deleted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(titles, "remove", lambda *_: None)
    path = certify(deleted)["certificate"].removeprefix("file://")
    there = verify(path)
    (name,) = served.store.names("titles")
    served.store.write(name, b"spoilt")
    assert verify(path).checked == there.checked
    served.store.remove(name)
    assert verify(path).checked == there.checked
    assert there.problem is None


def test_without_titles_reviewers_see_hashes(served: ServedSandbox, request_for: Request, key: None) -> None:
    rows = [{"key": "k", "target_id": "1", "title": "Akte Sommerfeld"}]
    listed = run(RecordListOperator(task_id="due", records=rows))
    for name in served.store.names("titles"):
        served.store.remove(name)
    body = request_for(listed, **BOTH).ask().shown["body"].replace("\\", "")
    assert NAMING.title("Akte Sommerfeld") in body.replace("<!---->", "")


def test_the_next_list_removes_titles_of_runs_that_ended_without_a_certificate(
    served: ServedSandbox, key: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(titles, "now", lambda: "2026-01-01T00:00:00.000Z")
    rows = [{"key": "k", "target_id": "1", "title": "Akte Sommerfeld"}]
    run(RecordListOperator(task_id="due", records=rows), run_id="rejected")
    monkeypatch.setattr(titles, "now", lambda: "2999-01-01T00:00:00.000Z")
    run(RecordListOperator(task_id="due", records=rows), run_id="next")
    assert [name.split("/")[2] for name in served.store.names("titles")] == ["next"]


# Another key, or none


def operators() -> dict[str, Callable[[], Any]]:
    rows = [{"key": "k", "target_id": "1", "title": "Akte"}]
    wait: dict[str, Any] = {"poke_interval": 0.01}
    opened: dict[str, Any] = {"project_number": "P-0001", "bpname": "B", "record_no": "1", "digest_field": "d"}
    return {
        "opus": lambda: OpusDueRecordsOperator(task_id="t", due_before=DUE),
        "opus sensor": lambda: OpusDueRecordsSensor(task_id="t", due_before=DUE, **wait),
        "opus sensor, deferred": lambda: OpusDueRecordsSensor(task_id="t", due_before=DUE, deferrable=True),
        "enaio": lambda: EnaioDueRecordsOperator(task_id="t", **ENAIO_DUE),
        "unifier": lambda: UnifierDueDocumentsOperator(task_id="t", **UNIFIER_DUE),
        "rows": lambda: RecordListOperator(task_id="t", records=rows),
        "request": lambda: DisposalApprovalOperator(
            task_id="t", records=rows, assigned_users=[MIRA], response_timeout=timedelta(days=1)
        ),
        "enaio field": lambda: EnaioApprovalSensor(task_id="t", records=rows, field="F", approved=["y"], **wait),
        "unifier record": lambda: UnifierApprovalSensor(task_id="t", records=rows, **opened, **wait),
        "enaio delete": lambda: EnaioDeleteObjectOperator(task_id="t", records=rows, require_approval=False),
        "unifier delete": lambda: UnifierDeleteDocumentOperator(task_id="t", records=rows, require_approval=False),
        "opus mark": lambda: OpusDestroyRecordsOperator(task_id="t", records=rows, require_approval=False),
        "certificate": lambda: DestructionCertificateOperator(task_id="t", disposals=[]),
    }


@pytest.mark.parametrize("another", [b"another key of names, which is wrong here", None])
@pytest.mark.parametrize("name", operators())
def test_another_key_is_refused_before_any_request(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, another: bytes | None
) -> None:
    use(monkeypatch, tmp_path)
    run(RecordListOperator(task_id="due", records=["1"]))
    before = served.store.names("")
    if another is None:
        monkeypatch.delenv("AIRFLOW__RECORDS__NAMES_KEY_FILE")
    else:
        use(monkeypatch, tmp_path, another)
    with pytest.raises(
        AirflowFailException,
        match=rf"\[records\] names_key_file.*{served.store.root}|{served.store.root}.*names_key_file",
    ):
        run(operators()[name]())
    assert not served.sandbox.log
    assert served.store.names("") == before


@pytest.mark.parametrize(
    ("mode", "words"), [(0o604, "everybody on the machine"), (None, "cannot be read: No such file")]
)
def test_a_key_file_that_is_no_secret_or_not_there_is_refused(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int | None, words: str
) -> None:
    file = tmp_path / "key"
    if mode is not None:
        file.write_bytes(KEY)
        file.chmod(mode)
    monkeypatch.setenv("AIRFLOW__RECORDS__NAMES_KEY_FILE", str(file))
    with pytest.raises(AirflowFailException, match=rf"names_key_file .*{words}.*Nothing was written"):
        run(OpusDueRecordsOperator(task_id="due", due_before=DUE))
    assert not served.sandbox.log
    assert not served.store.names("")


def plain_rows(documents: list[str]) -> list[dict[str, str]]:
    return [{"key": f"k-{each}", "target_id": each, "title": f"Akte {each}"} for each in documents]


def test_a_run_that_began_before_the_key_goes_on(
    served: ServedSandbox, documents: list[str], request_for: Request, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listed = run(RecordListOperator(task_id="due", records=plain_rows(documents)))
    page = request_for(listed, **BOTH).ask()
    use(monkeypatch, tmp_path)
    approved = page.approve(MIRA, withhold=f"k-{documents[0]}: court")
    delete = EnaioDeleteObjectOperator(task_id="delete", records=approved, hard_delete=True)
    deleted = run(delete)
    assert deleted["counts"]["destroyed"] == len(documents) - 1
    assert verify(certify(deleted)["certificate"].removeprefix("file://")).problem is None
    assert not [name for name in served.store.names("") if b"ommerfeld" in served.store.read(name)]


def test_one_person_before_and_after_the_key_is_one(
    served: ServedSandbox, documents: list[str], request_for: Request, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listed = run(RecordListOperator(task_id="due", records=plain_rows(documents)))
    first = request_for(listed, **BOTH).ask().approve(MIRA)
    use(monkeypatch, tmp_path)
    page = request_for(first, task_id="second", **BOTH).ask()
    assert page.shown["assigned_users"] == [OLE]
    with pytest.raises(AirflowFailException, match="has approved this list already"):
        page.approve(MIRA)
    both = request_for(first, task_id="third", **BOTH).ask().approve(OLE)
    with pytest.raises(
        AirflowFailException, match=r"1 distinct approvers and needs 2 .*before \[records\] names_key_file was set"
    ):
        run(EnaioDeleteObjectOperator(task_id="delete", records=both, hard_delete=True, min_approvals=2))
    assert not served.sandbox.effects("enaio", "destroyed")


def test_records_that_were_approved_by_title_are_refused_in_clear_words(
    served: ServedSandbox, documents: list[str], request_for: Request, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = plain_rows(documents)
    page = request_for(rows, **BOTH).ask()
    use(monkeypatch, tmp_path)
    with pytest.raises(
        AirflowFailException, match=r"another order before|the list is sha256:\w+ now.*start a new DAG run"
    ):
        page.approve(MIRA)
    assert not served.store.names("approvals")


# People are compared as without the key


@pytest.mark.usefixtures("key")
def test_four_eyes_are_two_people(served: ServedSandbox, documents: list[str], request_for: Request) -> None:
    rows = plain_rows(documents)
    pages = [request_for(rows, task_id=task_id, **BOTH).ask() for task_id in ("first", "second")]
    same = [page.approve(MIRA) for page in pages]
    with pytest.raises(AirflowFailException, match="1 distinct approvers and needs 2"):
        run(EnaioDeleteObjectOperator(task_id="delete", records=same, hard_delete=True, min_approvals=2))
    second = request_for(same[0], task_id="third", **BOTH).ask()
    assert second.shown["assigned_users"] == [OLE]
    with pytest.raises(AirflowFailException, match="has approved this list already"):
        second.approve(MIRA)


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("name", ["Mira Sommerfeld", "MIRA  sommerfeld ", "m.sommerfeld", "airflow:m.sommerfeld"])
def test_one_person_in_two_sources_is_one(
    served: ServedSandbox, documents: list[str], request_for: Request, name: str
) -> None:
    fake: Any = served.sandbox.vendors["unifier"]
    first = request_for(plain_rows(documents), **BOTH).ask().approve(MIRA)
    record_no = f"DR-{first['digest'][7:19]}"
    fake.open_request("P-0001", record_no, status="Approved")
    fake.records["P-0001", "Disposal Request", record_no].fields["approved_by"] = name
    sensor = UnifierApprovalSensor(
        task_id="sensed", records=first, project_number="P-0001", bpname="Disposal Request", record_no=record_no,
        approver_field="approved_by",
    )  # fmt: skip
    both = run(sensor)
    assert len(both["approvals"]) == 2
    with pytest.raises(AirflowFailException, match="1 distinct approvers and needs 2"):
        run(EnaioDeleteObjectOperator(task_id="delete", records=both, hard_delete=True, min_approvals=2))


@pytest.mark.usefixtures("key")
def test_who_triggered_the_run_cannot_approve(request_for: Request, served: ServedSandbox) -> None:
    page = request_for(["1"], requester="M.Sommerfeld", **BOTH).ask()
    assert page.shown["assigned_users"] == [OLE]
    with pytest.raises(AirflowFailException, match="triggered this DAG run"):
        page.approve(MIRA)


@pytest.mark.usefixtures("key")
def test_who_is_not_assigned_cannot_approve(request_for: Request, served: ServedSandbox) -> None:
    with pytest.raises(AirflowFailException, match="is not in assigned_users"):
        request_for(["1"], assigned_users=[OLE]).ask().approve(MIRA)


@pytest.mark.usefixtures("key")
def test_a_rejection_names_nobody(request_for: Request, served: ServedSandbox) -> None:
    with pytest.raises(AirflowFailException, match=r"Mira Sommerfeld \(m.sommerfeld\) rejected the list"):
        request_for(plain_rows(["1", "2", "3"]), fail_on_reject=True, **BOTH).ask().answer("Reject", MIRA)
    (name,) = served.store.names("rejections")
    kept = json.loads(served.store.read(name))
    assert (kept["rejected_by"], kept["name"]) == (
        NAMING.person("airflow:m.sommerfeld"),
        NAMING.person("Mira Sommerfeld"),
    )
    assert not [name for name in served.store.names("") if b"ommerfeld" in served.store.read(name)]


@pytest.mark.usefixtures("key")
def test_a_hold_by_the_command_names_nobody(
    served: ServedSandbox, documents: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "sommerfeld")
    assert cli.main(["hold", "add", documents[0], documents[1], "--reason", "lawsuit"]) == 0
    assert cli.main(["hold", "release", documents[1], "--reason", "settled"]) == 0
    delete = EnaioDeleteObjectOperator(task_id="delete", records=documents, hard_delete=True, require_approval=False)
    done = run(delete)
    assert done["counts"]["blocked"] == 1
    assert outcomes(served, done)[documents[0]]["reason"] == f"on hold: lawsuit ({NAMING.person('os:sommerfeld')})"
    certify(done, require_complete=False)
    texts = [served.store.read(name) for name in served.store.names("")]
    assert not [text for text in texts if b"sommerfeld" in text]
    assert "sommerfeld" not in capsys.readouterr().out
