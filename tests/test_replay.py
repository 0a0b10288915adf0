"""What a restored backup brings back is found, all of it and nothing else, by looking only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest

from airflow_provider_records import cli
from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.replay import claims, look
from airflow_provider_records.sandbox.core import Entry
from airflow_provider_records.systems import SYSTEMS
from airflow_provider_records.systems.finding import Finding, Whereabouts
from tests.evidence.schemas import assert_store_valid
from tests.operators.conftest import ServedSandbox, served
from tests.operators.factories import run

__all__ = ["served"]

CONNECTIONS = ("enaio_default", "opus_default", "unifier_default")
READS = {"get_object", "search", "info", "due_records", "token", "list_nodes", "login"}


class CertifiedRun:
    """One certified run: enaio hard and soft, Unifier with and without folders, and the marks in Opus."""

    def __init__(self, served: ServedSandbox) -> None:
        self.served = served
        self.opus = cast(Any, served.sandbox.vendors["opus"])
        self.enaio = cast(Any, served.sandbox.vendors["enaio"])
        self.unifier = cast(Any, served.sandbox.vendors["unifier"])
        due = run(
            OpusDueRecordsOperator(task_id="due", due_before="2026-11-01T00:00:00", target_id_pattern=r"enaio-(\d+)")
        )
        content = [record.to_dict() for record in Manifest.open(served.store, due["digest"])]
        for record in content:
            self.opus.decide(record["key"], "approve")
            self.opus.decide(record["key"], "release")
        self.backup = deepcopy(self.enaio.archive.objects)
        documents = [
            {"key": f"unifier-{node}", "target_id": str(node), "parent_id": str(document.parent_id)}
            for node, document in list(self.unifier.documents.items())[:12]
        ]
        for record in documents[8:]:
            del record["parent_id"]
        self.blind = {record["key"] for record in documents[8:]}
        told: dict[str, Any] = {"require_approval": False, "max_failure_rate": 1}
        hard = run(EnaioDeleteObjectOperator(task_id="hard", records=content[:24], hard_delete=True, **told))
        soft = run(EnaioDeleteObjectOperator(task_id="soft", records=content[24:32], **told))
        bin_ = run(UnifierDeleteDocumentOperator(task_id="bin", records=documents, **told))
        mark = run(OpusDestroyRecordsOperator(task_id="mark", records=hard, require_approval=False))
        rehearsed = run(EnaioDeleteObjectOperator(task_id="look", records=content[:24], dry_run=True))
        made = run(
            DestructionCertificateOperator(
                task_id="certificate", disposals=[hard, soft, bin_, mark, rehearsed], require_complete=False
            )
        )
        self.certificate = Path(made["certificate"].removeprefix("file://"))
        self.keys = {name: self._gone(reference) for name, reference in (
            ("hard", hard), ("soft", soft), ("bin", bin_), ("mark", mark),
        )}  # fmt: skip
        assert_store_valid(served.store)
        served.sandbox.log.clear()

    def _gone(self, reference: dict[str, Any]) -> list[str]:
        disposal = Disposal.read(self.served.store, reference["disposal"])
        return [outcome.key for outcome in disposal.each_outcome(self.served.store) if outcome.kind.gone]

    def restore(self, key: str) -> None:
        """Put a destroyed or recycled enaio object, or a recycled document, back where it was."""
        system, _, number = key.partition("-")
        if system == "unifier":
            self.unifier.documents[int(number)].binned = False
        elif number in self.enaio.archive.objects:
            self.enaio.archive.objects[number].bin = ""
        else:
            old = self.backup[number]
            self.enaio.archive.add(number, old.object_type, base=old.base, fields=old.fields, places=old.places)

    def unmark(self, key: str) -> None:
        for record in self.opus.records(key):
            record.status = "Active"

    def state(self) -> list[dict[str, Any]]:
        """Return what the three vendors hold."""
        held = [deepcopy(part.state()) for part in (self.opus, self.enaio, self.unifier)]
        for state in held:
            state.pop("logins", None)
        return held

    def look(self) -> list[Finding]:
        return look(claims(certificate.parse(self.certificate.read_bytes()), self.served.store))

    def replay(self, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        capsys.readouterr()
        code = cli.main(["replay", str(self.certificate)])
        said = capsys.readouterr()
        return code, said.out + said.err


@pytest.fixture(autouse=True)
def _no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says "server", to this process and all its later tests, unless another word is there."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")


@pytest.fixture
def certified(served: ServedSandbox) -> CertifiedRun:
    return CertifiedRun(served)


def found(findings: list[Finding], state: Whereabouts) -> set[tuple[str, str]]:
    return {(finding.claim.system, finding.claim.record.key) for finding in findings if finding.whereabouts is state}


def changing(log: list[Entry]) -> list[str]:
    return [entry.call for entry in log if entry.effects or entry.call not in READS]


def test_nothing_is_back(certified: CertifiedRun, capsys: pytest.CaptureFixture[str]) -> None:
    findings = certified.look()
    assert found(findings, Whereabouts.BACK) == set()
    assert sorted((finding.claim.system, finding.claim.record.key) for finding in findings) == sorted(
        [("enaio", key) for key in (*certified.keys["hard"], *certified.keys["soft"])]
        + [("unifier", key) for key in certified.keys["bin"]]
        + [("opus", key) for key in certified.keys["mark"]]
    )
    blind = {key for key in certified.keys["bin"] if key in certified.blind}
    assert found(findings, Whereabouts.UNSEEN) == {("unifier", key) for key in blind} != set()

    code, said = certified.replay(capsys)
    assert code == 0, said
    assert "Everything fits." in said
    assert "Back:" not in said
    rows = {
        line.split()[0]: line.split()[1:] for line in said.splitlines() if line.startswith(("enaio ", "Uni", "Opus "))
    }
    seen = len(certified.keys["bin"]) - len(blind)
    assert rows["enaio"] == [str(len(certified.keys["hard"]) + len(certified.keys["soft"]))] * 2 + ["0", "0"]
    assert rows["Unifier"] == [str(len(certified.keys["bin"])), str(seen), "0", str(len(blind))]
    assert rows["Opus"] == [str(len(certified.keys["mark"]))] * 2 + ["0", "0"]
    assert f"Unifier, {len(blind)} records: the record does not name its folder" in said


def test_exactly_what_was_restored_is_back_and_nothing_changes(
    certified: CertifiedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [key for key in certified.keys["bin"] if key not in certified.blind]
    live, binned = certified.keys["hard"][:2], certified.keys["hard"][5]
    soft, document = certified.keys["soft"][1], folders[2]
    for key in (*live, binned, soft, document):
        certified.restore(key)
    certified.enaio.archive.objects[binned.partition("-")[2]].bin = certified.enaio.user
    certified.unmark(marked := certified.keys["mark"][3])
    before = certified.state()

    code, said = certified.replay(capsys)

    back = {("enaio", key) for key in (*live, binned, soft)} | {("unifier", document), ("opus", marked)}
    assert code == 1
    listed = [line for line in said.splitlines() if " now " in line]
    assert {(line.split()[0].lower(), line.split()[1]) for line in listed} == back
    assert len(listed) == len(back)
    (line,) = (line for line in listed if binned in line)
    assert "destroyed" in line
    assert "now in the recycle bin" in line
    assert f"(id {binned.partition('-')[2]}) " in line
    assert certified.backup[binned.partition("-")[2]].fields["Title"] in line
    assert changing(certified.served.sandbox.log) == []
    assert certified.state() == before


def test_the_evidence_may_have_moved(
    certified: CertifiedRun, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    certified.restore(key := certified.keys["hard"][0])
    kept = tmp_path / "archive" / "evidence"
    shutil.copytree(tmp_path / "evidence", kept)
    shutil.rmtree(tmp_path / "evidence")
    certified.certificate = kept / certified.certificate.relative_to(tmp_path / "evidence")
    code, said = certified.replay(capsys)
    assert code == 1
    assert f"enaio {key} " in said


def test_a_broken_certificate_asks_nobody(certified: CertifiedRun, capsys: pytest.CaptureFixture[str]) -> None:
    content = certified.certificate.read_bytes()
    certified.certificate.write_bytes(content.replace(b'"hard"', b'"Hard"', 1))
    code, said = certified.replay(capsys)
    assert code == 2
    assert "DOES NOT FIT" in said
    assert "Nothing was looked up" in said
    assert certified.served.sandbox.log == []


def test_a_system_that_refuses_is_asked_no_more_and_the_others_are(
    certified: CertifiedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    certified.unmark(marked := certified.keys["mark"][0])
    certified.served.fault(vendor="enaio", times=None, status=401)
    findings = certified.look()
    ours = len(certified.keys["hard"]) + len(certified.keys["soft"])
    assert len([1 for system, _ in found(findings, Whereabouts.UNSEEN) if system == "enaio"]) == ours
    assert certified.served.calls("enaio", "get_object") <= 2 * 8, (
        "each thread asks once, and once more without cookies"
    )
    assert found(findings, Whereabouts.BACK) == {("opus", marked)}
    code, said = certified.replay(capsys)
    assert code == 1
    assert f"enaio, {ours} records: enaio get_object (connection 'enaio_default'): the credentials were refused" in said


@pytest.mark.parametrize("name", ["enaio", "unifier", "opus"])
def test_without_its_connection_a_system_cannot_be_asked(
    certified: CertifiedRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(f"AIRFLOW_CONN_{name.upper()}_DEFAULT")
    findings = certified.look()
    assert {finding.claim.system for finding in findings if finding.failed} == {name}
    assert all("_default" in finding.detail for finding in findings if finding.failed)
    assert certified.replay(capsys)[0] == 2


def test_a_system_that_this_release_does_not_know_is_named_and_the_others_are_asked(
    certified: CertifiedRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SYSTEMS, "opus")
    findings = certified.look()
    assert {finding.claim.record.key for finding in findings if finding.failed} == set(certified.keys["mark"])
    code, said = certified.replay(capsys)
    assert code == 2
    assert f"Opus, {len(certified.keys['mark'])} records: this release does not know the system 'opus'" in said
    certified.restore(certified.keys["hard"][0])
    assert certified.replay(capsys)[0] == 1


def test_one_record_that_cannot_be_read_leaves_the_others(certified: CertifiedRun) -> None:
    odd = certified.keys["hard"][4]
    certified.restore(certified.keys["hard"][7])
    certified.served.fault(
        vendor="enaio", call="get_object", match=odd.partition("-")[2], times=None, status=500, body={}
    )
    findings = certified.look()
    assert {finding.claim.record.key for finding in findings if finding.failed} == {odd}
    assert found(findings, Whereabouts.BACK) == {("enaio", certified.keys["hard"][7])}


def test_what_the_account_may_not_see_is_not_called_gone(certified: CertifiedRun) -> None:
    certified.restore(key := certified.keys["hard"][0])
    certified.enaio.archive.objects[key.partition("-")[2]].no_read.add(certified.enaio.user)
    certified.enaio.turn({"unreadable": "400"})
    assert ("enaio", key) in found(certified.look(), Whereabouts.UNSEEN)


def test_a_folder_that_lists_its_recycle_bin_tells_nothing(served: ServedSandbox) -> None:
    served.sandbox.vendors["unifier"].turn({"binned_listed": True})
    certified = CertifiedRun(served)
    listed = {("unifier", key) for key in certified.keys["bin"]}
    assert listed <= found(certified.look(), Whereabouts.UNSEEN)


def test_opus_without_a_connector_cannot_be_asked(certified: CertifiedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = claims(certificate.parse(certified.certificate.read_bytes()), certified.served.store)
    opus = [claim for claim in ours if claim.system == "opus"]
    for claim in opus:
        del claim.record.attributes["connector_id"]  # type: ignore[attr-defined]
    connection = json.loads(os.environ["AIRFLOW_CONN_OPUS_DEFAULT"])
    del connection["extra"]["connector_id"]
    monkeypatch.setenv("AIRFLOW_CONN_OPUS_DEFAULT", json.dumps(connection))
    findings = look(opus)
    assert {finding.whereabouts for finding in findings} == {Whereabouts.UNSEEN}
    assert len(findings) == len(opus) == len(certified.keys["mark"])


@pytest.mark.system
def test_the_connections_of_airflows_database_count(certified: CertifiedRun, tmp_path: Path) -> None:
    certified.restore(key := certified.keys["hard"][0])
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    env |= {"AIRFLOW_HOME": str(tmp_path / "home"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    made = {conn_id: json.loads(os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"]) for conn_id in CONNECTIONS}
    # Only what a connection needs: the whole database takes a minute.
    code = (
        "import json, sys\n"
        "from airflow import settings\n"
        "from airflow.models import Connection\n"
        "from airflow.utils.session import create_session\n"
        "tables = [Connection.metadata.tables[name] for name in ('team', 'connection')]\n"
        "Connection.metadata.create_all(settings.engine, tables)\n"
        "with create_session() as session:\n"
        "    for conn_id, fields in json.loads(sys.argv[1]).items():\n"
        "        session.add(Connection.from_json(json.dumps(fields), conn_id=conn_id))\n"
    )
    subprocess.run([sys.executable, "-c", code, json.dumps(made)], env=env, check=True, timeout=300)
    command = [sys.executable, "-m", "airflow_provider_records.cli", "replay", str(certified.certificate)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"  enaio {key} (id {key.partition('-')[2]}) " in done.stdout
