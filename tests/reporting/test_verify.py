"""Verification finds every changed byte, every forged claim, and tells later tries from tampering."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.authorization import for_part
from airflow_provider_records.evidence.journal import render
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.record import Record, canonical
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import ConfigurationError, StoreUnavailableError
from airflow_provider_records.reporting import issue
from airflow_provider_records.reporting.verify import Report, verify
from tests.evidence import evidence_factory

KEY = Ed25519PrivateKey.generate()
NAME = certificate.file_name(evidence_factory.DAG, evidence_factory.RUN)


class Evidence:
    """One certified night in a folder: an approved list in two parts, a refusal, a retry, and the marks."""

    def __init__(self, root: Path, key: Ed25519PrivateKey | None = KEY) -> None:
        self.root, self.key = root, key
        self.store = Store(str(root))
        whole = Manifest.write(self.store, evidence_factory.records(12))
        first, _ = evidence_factory.approve(self.store, whole, "j.weber@example.org", "u.groessmann@example.org")
        self.listed = Manifest.write(self.store, list(whole)[:8])
        source = {"kind": "part", "approval": first}
        time = "2026-11-22T07:30:00Z"
        part = Approval(self.listed.digest, "j.weber@example.org", time, source, part_of=whole.digest)
        self.keys = [record.key for record in self.listed]
        self.approvals = [part.write(self.store)]
        told = {self.keys[2]: OutcomeKind.BLOCKED}
        self.delete(1, {**told, self.keys[5]: OutcomeKind.FAILED})
        deleted = self.delete(2, told)
        gone = Manifest.write(self.store, (record for record in self.listed if record.key not in told))
        marked = evidence_factory.carry_out(
            self.store, gone, self.approvals, name="opus", approved=self.listed, made=evidence_factory.facts("mark")
        )
        bold = evidence_factory.carry_out(
            self.store, Manifest.write(self.store, ["x", "y"]), made=evidence_factory.facts("bold")
        )
        self.disposals = [deleted, marked, bold, *self.rest(Approval.read(self.store, first), list(whole)[8:])]
        self.certify()

    def rest(self, approval: Approval, records: list[Record]) -> list[Disposal]:
        part = Manifest.write(self.store, records)
        given = [for_part(approval, part.digest).write(self.store)]
        return [
            evidence_factory.carry_out(
                self.store, part, given, name=name, made=evidence_factory.facts("rest", map_index=place)
            )
            for place, name in enumerate(("enaio", "opus"))
        ]

    def delete(self, try_number: int, told: dict[str, OutcomeKind]) -> Disposal:
        made = evidence_factory.facts("delete_enaio", try_number)
        return evidence_factory.carry_out(
            self.store, self.listed, self.approvals, system=evidence_factory.Told(told), made=made
        )

    def certify(self) -> None:
        issue.write(self.store, self.disposals, evidence_factory.facts("certificate"), self.key)

    @property
    def path(self) -> Path:
        return self.root / NAME

    @property
    def document(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.path.read_bytes())
        return content

    @property
    def files(self) -> list[Path]:
        """The certificate and every file that it rests on."""
        return [self.path, *(self.root / each["name"] for each in self.document["files"])]

    def reseal(self, document: dict[str, Any]) -> None:
        """Forge: write another document with a digest and a signature that fit it."""
        body = {name: value for name, value in document.items() if name not in {"digest", "signature"}}
        self.path.write_bytes(canonical(certificate.seal(body, self.key)) + b"\n")

    def relist(self, document: dict[str, Any]) -> None:
        """Forge: let the list of files fit what lies there now."""
        for each in document["files"]:
            content = (self.root / each["name"]).read_bytes()
            each |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}

    def verify(self, public_key: Path | None = None) -> Report:
        return verify(self.path, public_key)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Evidence that tests read and leave as it is."""
    return Evidence(tmp_path_factory.mktemp("night") / "evidence")


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path / "evidence")


def pem(path: Path, key: Ed25519PrivateKey) -> Path:
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    path.write_bytes(key.public_key().public_bytes(*form))
    return path


def problem(report: Report) -> str:
    assert not report.ok
    assert report.problem is not None
    return report.problem


def test_a_night_verifies(original: Evidence) -> None:
    report = original.verify()
    assert report.ok, report.problem
    size = sum(each["size"] for each in original.document["files"])
    same = "as many outcomes, in its order, as the journal has them"
    assert report.checked == [
        f"the certificate is unchanged: {original.document['digest']}",
        f"signed with the key {certificate.key_id(KEY.public_key())}",
        f"{len(original.files) - 1} files are unchanged, {size:,} bytes",
        "3 approvals by 1 person, each for the list that it names",
        f"enaio: 8 records on the list, {same} (7 destroyed, 1 blocked)",
        f"Opus: 7 records on the list, {same} (7 destroyed)",
        f"enaio: 2 records on the list, {same} (2 destroyed)",
        f"enaio: 4 records on the list, {same} (4 destroyed)",
        f"Opus: 4 records on the list, {same} (4 destroyed)",
    ]
    assert [note.partition(",")[0] for note in report.notes] == [
        "The signature was checked with the key that the certificate names itself"
    ]
    kinds = {path.relative_to(original.root).parts[0] for path in original.files}
    assert kinds == {"manifests", "approvals", "disposals", "certificates"}


def test_with_the_published_key_nothing_is_left_to_note(original: Evidence, tmp_path: Path) -> None:
    report = original.verify(pem(tmp_path / "key.pem", KEY))
    assert report.ok
    assert report.notes == []


def test_verifies_wherever_the_folder_was_moved_to(evidence: Evidence, tmp_path: Path) -> None:
    moved = tmp_path / "archive" / "2033 copy"
    shutil.copytree(evidence.root, moved)
    shutil.rmtree(evidence.root)
    report = verify(moved / NAME)
    assert report.ok, report.problem


def test_verifies_from_any_working_directory(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(evidence.path.parent)
    assert verify(evidence.path.name).ok


def test_needs_neither_airflow_nor_jinja(original: Evidence) -> None:
    code = (
        "import sys\n"
        "for name in ('airflow', 'jinja2', 'requests', 'rich', 'starlette', 'fsspec'): sys.modules[name] = None\n"
        "from airflow_provider_records.reporting.verify import verify\n"
        "report = verify(sys.argv[1])\n"
        "sys.exit(report.problem)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(original.path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_unsigned(tmp_path: Path) -> None:
    unsigned = Evidence(tmp_path / "evidence", key=None)
    report = unsigned.verify()
    assert report.ok
    assert report.notes[0].startswith("It is not signed")
    assert "is not signed, though a public key was given" in problem(unsigned.verify(pem(tmp_path / "k", KEY)))


def test_signed_with_another_key(original: Evidence, tmp_path: Path) -> None:
    other = pem(tmp_path / "other.pem", Ed25519PrivateKey.generate())
    assert "was signed with the key" in problem(original.verify(other))


def test_a_key_file_that_is_none(original: Evidence, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        original.verify(tmp_path / "missing.pem")
    (tmp_path / "text.pem").write_text("no key")
    with pytest.raises(ConfigurationError, match="no public key in PEM"):
        original.verify(tmp_path / "text.pem")


def test_flipped_bytes_of_the_certificate_are_found(original: Evidence) -> None:
    """Every byte of its beginning and its end, where digest and signature stand, and every fifth between."""
    content = original.path.read_bytes()
    end = len(content)
    try:
        for place in sorted({*range(1000), *range(1000, end, 5), *range(end - 1000, end)}):
            changed = bytearray(content)
            changed[place] ^= 1
            original.path.write_bytes(changed)
            assert not original.verify().ok, f"byte {place}: {content[max(0, place - 30) : place + 30]!r}"
    finally:
        original.path.write_bytes(content)


def test_flipped_bytes_of_every_other_file_are_found(original: Evidence) -> None:
    """First, last, and every seventh byte of each; the final line end dropped and doubled; the file emptied."""
    for path in original.files[1:]:
        content = path.read_bytes()
        try:
            for place in {0, *range(0, len(content), 7), len(content) - 2, len(content) - 1}:
                changed = bytearray(content)
                changed[place] ^= 1
                path.write_bytes(changed)
                assert not original.verify().ok, f"{path}, byte {place}"
            for other in (content[:-1], content + b"\n", content + b" ", b"", content[: len(content) // 2]):
                path.write_bytes(other)
                assert not original.verify().ok, f"{path}, {len(other)} of {len(content)} bytes"
        finally:
            path.write_bytes(content)
    assert original.verify().ok


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_edit_of_any_file_goes_unseen(original: Evidence, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(original.files))
    content = path.read_bytes()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 40)))
    piece = data.draw(st.one_of(st.binary(max_size=20), st.sampled_from([b"\n", b" ", b'"', b"{}", b"0", b"1"])))
    changed = content[:start] + piece + content[end:]
    if changed == content:
        return
    try:
        path.write_bytes(changed)
        assert not original.verify().ok
    finally:
        path.write_bytes(content)


def test_every_missing_file_is_named(evidence: Evidence) -> None:
    for path in evidence.files[1:]:
        hidden = path.rename(path.with_suffix(".hidden"))
        name = path.relative_to(evidence.root).as_posix()
        assert problem(evidence.verify()) == f"{name} is missing: the certificate rests on it."
        hidden.rename(path)


def test_another_form_of_the_same_json_is_found(evidence: Evidence) -> None:
    document = evidence.document
    for content in (
        json.dumps(document).encode() + b"\n",
        canonical(document),
        canonical(document) + b"\r\n",
        canonical(dict(document))[:-1] + b',"version":1}\n',
        json.dumps(document, sort_keys=True, separators=(",", ":")).replace("a", "\\u0061", 1).encode() + b"\n",
    ):
        evidence.path.write_bytes(content)
        assert "not in the one form" in problem(evidence.verify())


Edit = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d["counts"]["enaio"].update(destroyed=10, blocked=0), "about counts does not follow"),
        (lambda d: d.update(complete=False), "about complete does not follow"),
        (lambda d: d["omitted"].append({"task": "x", "journal_files": 1}), "about omitted does not follow"),
        (lambda d: d["uncovered"].append({}), "about uncovered does not follow"),
        (lambda d: d["disposals"][0]["record"]["options"].update(min_approvals=2), r"\(record\) does not follow"),
        (lambda d: d["scope"]["selection"].pop(), "about scope does not follow"),
        (lambda d: d["approvals"][0].update(approver="boss"), "about approvals does not follow"),
        (lambda d: d["approvals"].pop(), "about approvals does not follow"),
        (lambda d: d["manifests"][0].update(count=7), "about manifests does not follow"),
        (lambda d: d["disposals"][0]["not_destroyed"].pop(), r"\(not_destroyed\) does not follow"),
        (lambda d: d["disposals"][0]["proofs"].update(probe=8, response=0), r"\(proofs\) does not follow"),
        (lambda d: d["disposals"][0]["journal"].pop(0), r"\(journal\) does not follow"),
        (lambda d: d["disposals"][0]["journal"][0].update(head="sha256:0"), r"\(journal\) does not follow"),
        (lambda d: d["disposals"][0]["uncounted"].append({}), r"\(uncounted\) does not follow"),
        (lambda d: d["disposals"][0].update(complete=False), r"\(complete\) does not follow"),
        (lambda d: d["disposals"][0]["record"]["counts"].update(destroyed=8), r"\(record\) does not follow"),
        (lambda d: d["disposals"][0]["record"].update(dry_run=True), r"\(record\) does not follow"),
        (lambda d: d["disposals"].pop(), "list of files does not fit"),
        (lambda d: d["run"].update(run_id="other"), "belongs at certificates/retention_nightly/other.json"),
        (lambda d: d["files"].append(dict(d["files"][0])), "twice"),
        (lambda d: d["files"].append({"name": "../secret", "sha256": "", "size": 0}), "outside"),
        (lambda d: d["files"].append({"name": "/etc/passwd", "sha256": "", "size": 0}), "outside"),
        (lambda d: d["files"].pop(), "list of files does not fit|does not follow|is not in the certificate|missing"),
        (lambda d: d.update(version=2), "format version 2"),
        (lambda d: d.update(type="note"), "no certificate"),
        (lambda d: d.pop("files"), "not of the form"),
        (lambda d: d.update(disposals="none"), "not of the form"),
        (lambda d: d.update(store="file:///elsewhere"), "does not lie in the evidence store"),
    ],
)
def test_a_forged_claim_is_found_though_digest_and_signature_fit(evidence: Evidence, edit: Edit, words: str) -> None:
    document = evidence.document
    edit(document)
    evidence.reseal(document)
    report = evidence.verify()
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(problem(report))


def test_a_stripped_or_exchanged_signature_is_found(evidence: Evidence, tmp_path: Path) -> None:
    key = pem(tmp_path / "key.pem", KEY)
    document = evidence.document
    own = document.pop("signature")
    evidence.path.write_bytes(canonical(document) + b"\n")
    assert "is not signed" in problem(evidence.verify(key))
    foreign = certificate.seal(
        {name: value for name, value in document.items() if name != "digest"}, Ed25519PrivateKey.generate()
    )["signature"]
    for signature, words in (
        (foreign, "was signed with the key"),
        (own | {"value": foreign["value"]}, "does not belong to this certificate"),
        (own | {"algorithm": "none"}, "does not describe itself"),
        (own | {"key_id": foreign["key_id"]}, "does not describe itself"),
        (own | {"more": ""}, "does not describe itself"),
        (own | {"value": own["value"][:-3] + "==="}, "does not describe itself"),
        ({}, "does not describe itself"),
        ("", "does not describe itself"),
    ):
        evidence.path.write_bytes(canonical(document | {"signature": signature}) + b"\n")
        assert words in problem(evidence.verify(key)), signature


def test_words_changed_without_a_signature_are_found_by_the_digest(tmp_path: Path) -> None:
    unsigned = Evidence(tmp_path / "evidence", key=None)
    document = unsigned.document
    document["statements"].pop()
    unsigned.path.write_bytes(canonical(document) + b"\n")
    assert "its content does not match its digest" in problem(unsigned.verify())


def test_another_runs_disposal_is_found(evidence: Evidence) -> None:
    document = evidence.document
    entry = document["disposals"][0]
    entry["record"]["made"]["run_id"] = "scheduled__2026-11-21T02:00:00+00:00"
    (evidence.root / entry["file"]).write_bytes(canonical({"type": "disposal", **entry["record"]}) + b"\n")
    evidence.relist(document)
    evidence.reseal(document)
    assert problem(evidence.verify()) == f"{entry['file']} belongs to another run than the certificate."


def test_a_file_that_cannot_be_read_is_neither_called_missing_nor_changed(
    evidence: Evidence, mocker: MockerFixture
) -> None:
    opened: Any = Path.open
    bad = evidence.files[1]

    def broken(path: Path, *how: Any, **more: Any) -> Any:
        if path == bad:
            raise OSError(errno.EIO, "Input/output error")
        return opened(path, *how, **more)

    mocker.patch.object(Path, "open", broken)
    with pytest.raises(StoreUnavailableError, match=f"{bad.name} cannot be read: Input/output error"):
        evidence.verify()
    mocker.stopall()
    folder = bad.parent
    folder.rename(folder.with_name("aside"))
    folder.symlink_to(folder.name)
    with pytest.raises(StoreUnavailableError, match="cannot be read: Too many levels of symbolic links"):
        evidence.verify()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.symlink_to(path.with_name("aside"))


def _device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("replace", [_folder, _pipe, _link, _device])
def test_what_is_no_plain_file_is_not_opened(evidence: Evidence, replace: Callable[[Path], None]) -> None:
    """A pipe or a device would be read for ever."""
    replace(evidence.files[1])
    name = evidence.files[1].relative_to(evidence.root)
    assert problem(evidence.verify()).startswith(f"{name} is no plain file")


def test_a_pipe_added_to_a_journal_is_not_opened(evidence: Evidence) -> None:
    folder = segments(evidence)[0].parent
    os.mkfifo(folder / "000099-intents.jsonl")
    assert "000099-intents.jsonl is no plain file" in problem(evidence.verify())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: {"outcomes": d["store"] + "//dev/zero"}, "//dev/zero does not lie in the evidence store"),
        (lambda d: {"outcomes": d["store"] + "/a/../../x"}, "does not lie in the evidence store"),
        (lambda d: {"outcomes": d["store"] + "/a\0b"}, "does not lie in the evidence store"),
        (lambda d: {"outcomes": d["store"] + "/extra.jsonl"}, "extra.jsonl is not in the certificate's list of files"),
        (lambda d: {"outcomes": f"{d['store']}/{d['manifests'][0]['file']}"}, "do not lie in the folder of their task"),
        (lambda d: {"approvals": [d["store"] + "//dev/zero"]}, "//dev/zero does not lie in the evidence store"),
        (lambda d: {"digest": "sha256:../../dev/zero"}, "dev/zero.jsonl does not lie in the evidence store"),
        (lambda d: {"digest": "sha256:/dev/zero"}, "dev/zero.jsonl does not lie in the evidence store"),
    ],
)
def test_nothing_outside_of_the_evidence_is_opened(
    evidence: Evidence, mocker: MockerFixture, change: Edit, words: str
) -> None:
    """A summary that was made up whole, with every digest and the signature fitting it."""
    (evidence.root / "extra.jsonl").write_bytes(b"")
    document = evidence.document
    entry = document["disposals"][0]
    old, changed = entry["file"], change(document)
    entry["record"] |= changed
    entry["file"] = evidence.store.name(evidence_factory.forge(evidence.store, evidence.store.uri(old), **changed))
    next(each for each in document["files"] if each["name"] == old)["name"] = entry["file"]
    evidence.relist(document)
    evidence.reseal(document)
    opened = mocker.spy(Path, "open")
    assert words in problem(evidence.verify())
    names = {call.args[0].relative_to(evidence.root).as_posix() for call in opened.call_args_list}
    assert names <= {*(each["name"] for each in document["files"]), NAME}


def test_forged_outcomes_are_found_though_every_hash_fits(evidence: Evidence) -> None:
    """Whoever changes outcomes, summary and certificate alike still meets the journal."""
    document = evidence.document
    entry = document["disposals"][0]
    old = evidence.root / evidence.store.name(entry["record"]["outcomes"])
    content = old.read_bytes().replace(b'"blocked"', b'"destroyed"')
    new = old.with_name(f"{hashlib.sha256(content).hexdigest()}.jsonl")
    old.unlink()
    new.write_bytes(content)
    entry["record"]["outcomes"] = evidence.store.uri(new.relative_to(evidence.root).as_posix())
    entry["record"]["counts"] |= {"destroyed": 8, "blocked": 0}
    forged = evidence.store.name(
        evidence_factory.forge(evidence.store, evidence.store.uri(entry["file"]), **entry["record"])
    )
    names = {old.relative_to(evidence.root).as_posix(): new.relative_to(evidence.root).as_posix()}
    names[entry["file"]] = entry["file"] = forged
    for each in document["files"]:
        each["name"] = names.get(each["name"], each["name"])
    evidence.relist(document)
    evidence.reseal(document)
    assert f"says that {evidence.keys[2]!r} is destroyed; its journal says blocked" in problem(evidence.verify())


def segments(evidence: Evidence) -> list[Path]:
    folder = evidence.root / evidence_factory.folder(evidence_factory.facts("delete_enaio")) / "journal"
    return sorted(folder.glob("*/*.jsonl"))


def test_a_forged_journal_is_found_though_its_own_hash_fits(evidence: Evidence) -> None:
    """A segment with other lines and its own end breaks the chain of the next one."""
    document = evidence.document
    path = next(path for path in segments(evidence) if path.name.endswith("intents.jsonl"))
    header, *lines = (json.loads(line) for line in path.read_bytes().splitlines()[:-1])
    path.write_bytes(render(header, [*lines[1:], lines[0]]))
    evidence.relist(document)
    evidence.reseal(document)
    assert "does not follow the segment before it" in problem(evidence.verify())


def test_a_journal_that_lost_its_end_is_found(evidence: Evidence) -> None:
    """The newer session had read it."""
    document = evidence.document
    first = segments(evidence)[0].parent
    last = max(first.iterdir())
    last.unlink()
    document["files"] = [each for each in document["files"] if not each["name"].endswith(f"{first.name}/{last.name}")]
    evidence.reseal(document)
    assert "lacks segments that were read before" in problem(evidence.verify())


def test_later_tries_are_told_from_tampering(evidence: Evidence) -> None:
    """A task that was cleared after the certificate: the certificate stands, and verify says what came later."""
    evidence.delete(3, {evidence.keys[2]: OutcomeKind.DESTROYED})
    report = evidence.verify()
    assert report.ok, report.problem
    assert [note for note in report.notes if "by later tries; the certificate does not cover them" in note]


def test_an_older_try_that_sums_up_after_the_certificate_changes_nothing(evidence: Evidence) -> None:
    """It was given up, and froze between its last look for a newer try and its last write."""
    disposal = evidence.disposals[0]
    late = Disposal(**{**vars(disposal), "made": evidence_factory.facts("delete_enaio", 1), "stopped": "frozen"})
    late.write(evidence.store, evidence_factory.folder(late.made))
    report = evidence.verify()
    assert report.ok, report.problem
    assert any(note.startswith("1 files were added") for note in report.notes)
    evidence.certify()
    assert evidence.document["disposals"][0]["record"]["made"]["try_number"] == 2
    assert evidence.verify().ok


def test_a_try_that_began_after_the_certificate_is_noted(evidence: Evidence) -> None:
    evidence_factory.journal(evidence.store, evidence.listed, evidence_factory.facts("delete_enaio", 3))
    report = evidence.verify()
    assert report.ok, report.problem
    assert any(note.startswith("1 files were added") for note in report.notes)


def test_a_superseded_certificate_still_verifies(evidence: Evidence) -> None:
    first = evidence.document["digest"]
    evidence.disposals[0] = evidence.delete(3, {})
    evidence.certify()
    newer = evidence.verify()
    assert newer.ok, newer.problem
    assert any(note.startswith(f"It replaces an earlier certificate of this run, {first}") for note in newer.notes)
    older = verify(evidence.root / certificate.superseded_name(NAME, first))
    assert older.ok, older.problem
    assert f"It was superseded: a newer certificate of this run lies at {NAME}." in older.notes


def test_what_superseded_a_certificate_is_looked_at(evidence: Evidence) -> None:
    kept = evidence.root / certificate.superseded_name(NAME, evidence.document["digest"])
    kept.write_bytes(evidence.path.read_bytes())
    assert any(note.startswith("It is a copy of the certificate at") for note in verify(kept).notes)
    evidence.path.unlink()
    report = verify(kept)
    assert report.ok, report.problem
    assert f"It was superseded, but the newer certificate of this run does not lie at {NAME}: it was taken away." in (
        report.notes
    )


def test_a_superseded_certificate_is_a_file_like_any_other(evidence: Evidence) -> None:
    first = evidence.document["digest"]
    evidence.certify()
    kept = evidence.root / certificate.superseded_name(NAME, first)
    kept.write_bytes(kept.read_bytes().replace(b'"complete":true', b'"complete":null'))
    assert f"{kept.name} was changed" in problem(evidence.verify())


@pytest.mark.parametrize(
    "edit",
    [
        lambda fields: fields["made"].update(try_number=3),
        lambda fields: fields["made"].update(run_started_at="2026-11-23T02:00:07+00:00"),
        lambda fields: fields.update(ended_at="2026-11-23T00:00:00.000Z"),
        lambda fields: fields.update(dry_run=True),
        lambda fields: fields["counts"].update(dict.fromkeys(fields["counts"], 0)),
        lambda fields: fields.update(more=1),
        lambda fields: fields.pop("counts"),
    ],
)
def test_a_summary_changed_by_hand_is_not_taken_for_a_later_try(evidence: Evidence, edit: Edit) -> None:
    path = evidence.root / evidence.document["disposals"][0]["file"]
    fields = json.loads(path.read_bytes())
    edit(fields)
    path.write_bytes(canonical(fields) + b"\n")
    assert "was changed: its bytes are not those that the certificate was made from" in problem(evidence.verify())


def test_a_summary_of_a_try_that_never_was_is_found(evidence: Evidence) -> None:
    never = Disposal(**{**vars(evidence.disposals[0]), "made": evidence_factory.facts("delete_enaio", 3)})
    never.write(evidence.store, evidence_factory.folder(never.made))
    assert "no later try accounts for it" in problem(evidence.verify())


def test_the_summary_of_a_later_try_must_fit_its_name_too(evidence: Evidence) -> None:
    disposal = evidence.delete(3, {})
    path = evidence.root / evidence.store.name(disposal.uri)
    fields = json.loads(path.read_bytes())
    path.write_bytes(canonical(fields | {"stopped": "never"}) + b"\n")
    assert "is no disposal, or was changed" in problem(evidence.verify())


def test_a_later_try_with_an_emptied_list_takes_nothing_away(evidence: Evidence) -> None:
    first = evidence.document["digest"]
    empty = Manifest.write(evidence.store, [])
    again = evidence_factory.carry_out(evidence.store, empty, made=evidence_factory.facts("delete_enaio", 3))
    report = evidence.verify()
    assert report.ok, report.problem
    evidence.disposals[0] = again
    evidence.certify()
    older = verify(evidence.root / certificate.superseded_name(NAME, first))
    assert older.ok, older.problem
    newer = evidence.verify()
    assert newer.ok, newer.problem
    assert len(evidence.document["disposals"][0]["uncounted"]) == 8


@pytest.mark.parametrize("name", ["note.txt", "outcomes/made_up.jsonl", "journal/note.jsonl"])
def test_a_file_that_nothing_accounts_for_is_found(evidence: Evidence, name: str) -> None:
    path = evidence.root / evidence_factory.folder(evidence_factory.facts("delete_enaio")) / name
    path.write_bytes(b"{}\n")
    words = problem(evidence.verify())
    assert path.relative_to(evidence.root).as_posix() in words


def test_outcomes_without_a_later_try_are_found(evidence: Evidence) -> None:
    content = b'{"key":"x","outcome":"destroyed"}\n'
    folder = evidence.root / evidence_factory.folder(evidence_factory.facts("delete_enaio")) / "outcomes"
    (folder / f"{hashlib.sha256(content).hexdigest()}.jsonl").write_bytes(content)
    assert "no later try accounts for it" in problem(evidence.verify())


def test_a_session_that_read_nothing_is_found(evidence: Evidence) -> None:
    """A planted session has its own hashes right, but has not read what was there."""
    first = segments(evidence)[0]
    header = json.loads(first.read_bytes().splitlines()[0]) | {"session": "0009-0009-planted0", "try": 9}
    path = first.parent.parent / header["session"] / first.name
    path.parent.mkdir()
    path.write_bytes(render(header, []))
    assert "was added to the journal" in problem(evidence.verify())


def test_a_later_segment_cut_off_is_noted(evidence: Evidence) -> None:
    evidence_factory.journal(evidence.store, evidence.listed, evidence_factory.facts("delete_enaio", 3))
    last = segments(evidence)[-1]
    last.write_bytes(last.read_bytes()[:-10])
    report = evidence.verify()
    assert report.ok, report.problem
    assert any("is cut off: a later try ended while it wrote" in note for note in report.notes)


def test_a_certificate_that_lies_elsewhere(evidence: Evidence, tmp_path: Path) -> None:
    lone = tmp_path / "copy.json"
    shutil.copy(evidence.path, lone)
    assert "is verified where it lies" in problem(verify(lone))
    other = evidence.path.with_name("manual__2026-11-23.json")
    shutil.copy(evidence.path, other)
    assert "belongs at" in problem(verify(other))
    assert "is missing" in problem(verify(evidence.path.with_name("none.json")))


@pytest.mark.parametrize("content", [b"", b"\n", b"[]\n", b"null\n", b"{}\n", b"\xff\xfe", b"[" * 100_000])
def test_no_certificate_at_all(evidence: Evidence, content: bytes) -> None:
    evidence.path.write_bytes(content)
    assert "no JSON document" in (words := problem(evidence.verify())) or "no certificate" in words


def test_what_has_no_disposal_is_noted_and_cannot_be_denied(evidence: Evidence) -> None:
    left_out = evidence.disposals.pop()
    evidence.certify()
    report = evidence.verify()
    assert report.ok, report.problem
    (note,) = (note for note in report.notes if note.startswith("The certificate says that it is not complete"))
    assert f"{evidence_factory.folder(left_out.made)} has a journal" in note
    assert "Opus: 4 records of the approved list" in note
    assert not any("does not name" in each for each in report.notes if each is not note)
    document = evidence.document
    document |= {"complete": True, "uncovered": []}
    evidence.reseal(document)
    assert "about uncovered does not follow" in problem(evidence.verify())
    document["omitted"] = []
    evidence.reseal(document)
    assert "about omitted does not follow" in problem(evidence.verify())


def test_a_task_that_began_after_the_certificate_is_noted(evidence: Evidence) -> None:
    later = evidence_factory.carry_out(
        evidence.store, evidence.listed, evidence.approvals, made=evidence_factory.facts("later")
    )
    report = evidence.verify()
    assert report.ok, report.problem
    assert any(note.startswith(f"{evidence_factory.folder(later.made)} has a journal that") for note in report.notes)


def test_fewer_people_than_the_task_demanded_are_found(evidence: Evidence) -> None:
    """A summary and a certificate that were made up whole still need the approvals."""
    document = evidence.document
    entry = document["disposals"][0]
    entry["record"]["options"]["min_approvals"] = 2
    old, uri = entry["file"], evidence.store.uri(entry["file"])
    entry["file"] = evidence.store.name(evidence_factory.forge(evidence.store, uri, options=entry["record"]["options"]))
    next(each for each in document["files"] if each["name"] == old)["name"] = entry["file"]
    evidence.relist(document)
    evidence.reseal(document)
    assert "has 1 distinct approvers" in problem(evidence.verify())


def test_what_is_incomplete_is_noted(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "evidence"))
    listed = Manifest.write(store, evidence_factory.records(5))
    told = evidence_factory.Told({next(iter(listed)).key: OutcomeKind.FAILED})
    issue.write(store, [evidence_factory.carry_out(store, listed, system=told)], evidence_factory.facts("certificate"))
    report = verify(tmp_path / "evidence" / NAME)
    assert report.ok
    assert report.notes[-1] == "The certificate says that it is not complete: enaio: 1 failed."
