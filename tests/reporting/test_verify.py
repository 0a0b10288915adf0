"""Verification finds every forged claim."""

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
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_mock import MockerFixture

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.segment import render_segment
from airflow_provider_records.evidence.signature import VerificationKey
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import (
    CertificateUnfinishedError,
    ConfigurationError,
    NewerFormatError,
    StoreUnavailableError,
)
from airflow_provider_records.reporting import issue
from airflow_provider_records.reporting.verify import Report, verify
from tests.evidence import evidence_factory
from tests.reporting.certified import (
    KEY,
    NAME,
    Edit,
    Evidence,
    pem,
    problem,
    segments,
)


def other_notes(report: Report) -> list[str]:
    """Return the notes but those on the approvals, which nobody signs here."""
    notes = [note for note in report.notes if not note.startswith("The approvals of task ")]
    assert len(report.notes) - len(notes) == 4
    return notes


def test_a_night_verifies(original: Evidence) -> None:
    report = original.verify()
    assert report.ok, report.problem
    size = sum(each["size"] for each in original.document["files"])
    same = "as many outcomes, in its order, as the journal has them"
    assert report.checked == [
        f"the certificate is unchanged: {original.digest}",
        f"signed with the key {VerificationKey.from_key(KEY.public_key()).key_id}",
        "its page is unchanged and names this certificate",
        f"{len(original.files) - 1} files are unchanged, {size:,} bytes",
        "3 approvals by 1 person, each for the list that it names",
        f"enaio: 8 records on the list, {same} (7 destroyed, 1 blocked; proofs: 8 by response)",
        f"Opus: 7 records on the list, {same} (7 marked; proofs: 7 by response)",
        f"enaio: 2 records on the list, {same} (2 destroyed; proofs: 2 by response)",
        f"enaio: 4 records on the list, {same} (4 destroyed; proofs: 4 by response)",
        f"Opus: 4 records on the list, {same} (4 marked; proofs: 4 by response)",
    ]
    assert [note.partition(",")[0] for note in other_notes(report)] == [
        "The signature was checked with the key that the certificate names itself"
    ]
    kinds = {path.relative_to(original.root).parts[0] for path in original.files}
    assert kinds == {"manifests", "approvals", "orders", "disposals", "certificates"}


def test_with_the_published_key_nothing_is_left_to_note(original: Evidence, tmp_path: Path) -> None:
    report = original.verify(pem(tmp_path / "key.pem", KEY))
    assert report.ok
    assert other_notes(report) == []


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


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d["counts"]["enaio"].update(destroyed=10, blocked=0), "about counts does not follow"),
        (lambda d: d.update(complete=False), "about complete does not follow"),
        (
            lambda d: d["missing_disposals"].append({"task": "x", "journal_files": 1}),
            "about missing_disposals does not follow",
        ),
        (lambda d: d["undisposed_records"].append({}), "about undisposed_records does not follow"),
        (lambda d: d["disposals"][0]["disposal"]["options"].update(min_approvals=2), r"\(disposal\) does not follow"),
        (lambda d: d["scope"]["selection"].pop(), "about scope does not follow"),
        (lambda d: d["approvals"][0].update(approver="boss"), "about approvals does not follow"),
        (lambda d: d["approvals"].pop(), "about approvals does not follow"),
        (lambda d: d["manifests"][0].update(count=7), "about manifests does not follow"),
        (lambda d: d["disposals"][0]["not_destroyed"].pop(), r"\(not_destroyed\) does not follow"),
        (lambda d: d["disposals"][0]["proofs"].update(probe=8, response=0), r"\(proofs\) does not follow"),
        (lambda d: d["disposals"][0].update(process_died=1), r"\(process_died\) does not follow"),
        (lambda d: d["disposals"][0]["journal"].pop(0), r"\(journal\) does not follow"),
        (lambda d: d["disposals"][0]["journal"][0].update(head="sha256:0"), r"\(journal\) does not follow"),
        (lambda d: d["disposals"][0]["uncounted"].append({}), r"\(uncounted\) does not follow"),
        (lambda d: d["disposals"][0].update(complete=False), r"\(complete\) does not follow"),
        (lambda d: d["disposals"][0]["disposal"]["counts"].update(destroyed=8), r"\(disposal\) does not follow"),
        (lambda d: d["disposals"][0]["disposal"].update(dry_run=True), r"\(disposal\) does not follow"),
        (lambda d: d["disposals"].pop(), "list of files does not fit"),
        (lambda d: d["run"].update(run_id="other"), "belongs at certificates/retention_nightly/other.json"),
        (lambda d: d["files"].append(dict(d["files"][0])), "twice"),
        (lambda d: d["files"].append({"name": "../secret", "sha256": "", "size": 0}), "outside"),
        (lambda d: d["files"].append({"name": "/etc/passwd", "sha256": "", "size": 0}), "outside"),
        (lambda d: d["files"].pop(), "list of files does not fit|does not follow|is not in the certificate|missing"),
        (lambda d: d.update(format="note"), "no certificate"),
        (lambda d: d.pop("files"), "not have the expected form"),
        (lambda d: d.update(disposals="none"), "not have the expected form"),
        (lambda d: d.update(disposals=[{}]), "not have the expected form"),
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


def test_a_newer_certificate_is_called_newer_and_not_changed(evidence: Evidence) -> None:
    evidence.reseal(evidence.document | {"version": 2})
    with pytest.raises(NewerFormatError, match="was written by a newer release"):
        evidence.verify()


def test_members_of_a_later_release_change_nothing(evidence: Evidence) -> None:
    document = evidence.document
    for part in (document, document["run"], document["key"], document["files"][0], document["disposals"][0]):
        part["later"] = "?"
    evidence.reseal(document)
    report = evidence.verify()
    assert report.ok, report.problem


def test_another_runs_disposal_is_found(evidence: Evidence) -> None:
    document = evidence.document
    entry = document["disposals"][0]
    entry["disposal"]["provenance"]["run_id"] = "scheduled__2026-11-21T02:00:00+00:00"
    (evidence.root / entry["file"]).write_bytes(canonical({**formats.DISPOSAL.members, **entry["disposal"]}) + b"\n")
    evidence.relist(document)
    evidence.reseal(document)
    assert problem(evidence.verify()) == f"{entry['file']} belongs to another run than the certificate."


def test_a_file_that_cannot_be_read_is_neither_called_missing_nor_changed(
    evidence: Evidence, mocker: MockerFixture
) -> None:
    opened: Any = os.open
    bad = evidence.files[1]

    def broken(path: Any, *how: Any, **more: Any) -> Any:
        if path == bad:
            raise OSError(errno.EIO, "Input/output error")
        return opened(path, *how, **more)

    mocker.patch.object(os, "open", broken)
    with pytest.raises(StoreUnavailableError, match=f"{bad.name} cannot be read: Input/output error"):
        evidence.verify()


@pytest.mark.parametrize("place", [0, -1], ids=["certificate", "below"])
@pytest.mark.parametrize("level", [0, 1])
def test_a_folder_that_leads_out_of_the_evidence_is_not_followed(
    evidence: Evidence, place: int, level: int, tmp_path: Path
) -> None:
    below = next(path for path in evidence.files if "journal" in path.parts)
    folder = (evidence.own[0] if place == 0 else below).parents[level]
    folder.rename(tmp_path / "outside")
    folder.symlink_to(tmp_path / "outside")
    said = problem(evidence.verify())
    assert (
        said == f"{folder.relative_to(evidence.root)} is a link; the evidence store holds plain files and folders only."
    )


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
@pytest.mark.parametrize("place", [0, 1, 2, 3, 4], ids=["certificate", "signature", "page", "page signature", "below"])
def test_what_is_no_plain_file_is_not_opened(evidence: Evidence, replace: Callable[[Path], None], place: int) -> None:
    """A pipe or a device would be read for ever."""
    path = [*evidence.own, evidence.files[1]][place]
    replace(path)
    if (place, replace) == (0, _folder):
        with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
            evidence.verify()
    else:
        assert problem(evidence.verify()).startswith(f"{path.relative_to(evidence.root)} is no plain file")


def test_a_file_exchanged_between_look_and_opening_is_not_read(evidence: Evidence, mocker: MockerFixture) -> None:
    """A link is not followed then, and a pipe is not waited for."""
    path = evidence.files[1]
    looked: Any = Path.lstat
    for replace, words in ((_link, "Too many levels of symbolic links"), (_pipe, "is no plain file")):
        content = path.read_bytes()

        def exchange(self: Path, replace: Callable[[Path], None] = replace) -> Any:
            found = looked(self)
            if self == path:
                replace(self)
            return found

        mocker.patch.object(Path, "lstat", exchange)
        try:
            found = problem(evidence.verify())
        except StoreUnavailableError as error:
            found = str(error)
        mocker.stopall()
        assert words in found
        path.unlink()
        path.write_bytes(content)


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
    entry["disposal"] |= changed
    entry["file"] = evidence.store.name(evidence_factory.forge(evidence.store, evidence.store.uri(old), **changed))
    next(each for each in document["files"] if each["name"] == old)["name"] = entry["file"]
    evidence.relist(document)
    evidence.reseal(document)
    opened = mocker.spy(os, "open")
    assert words in problem(evidence.verify())
    names = {call.args[0] for call in opened.call_args_list}
    assert names
    assert names <= {*evidence.own, *(evidence.root / each["name"] for each in document["files"])}


def test_forged_outcomes_are_found_though_every_hash_fits(evidence: Evidence) -> None:
    """Whoever changes outcomes, summary and certificate alike still meets the journal."""
    document = evidence.document
    entry = document["disposals"][0]
    old = evidence.root / evidence.store.name(entry["disposal"]["outcomes"])
    content = old.read_bytes().replace(b'"blocked"', b'"destroyed"')
    new = old.with_name(f"{hashlib.sha256(content).hexdigest()}.jsonl")
    old.unlink()
    new.write_bytes(content)
    entry["disposal"]["outcomes"] = evidence.store.uri(new.relative_to(evidence.root).as_posix())
    entry["disposal"]["counts"] |= {"destroyed": 8, "blocked": 0}
    forged = evidence.store.name(
        evidence_factory.forge(evidence.store, evidence.store.uri(entry["file"]), **entry["disposal"])
    )
    names = {old.relative_to(evidence.root).as_posix(): new.relative_to(evidence.root).as_posix()}
    names[entry["file"]] = entry["file"] = forged
    for each in document["files"]:
        each["name"] = names.get(each["name"], each["name"])
    evidence.relist(document)
    evidence.reseal(document)
    assert f"says that {evidence.keys[2]!r} is destroyed; its journal says blocked" in problem(evidence.verify())


def test_a_forged_journal_is_found_though_its_own_hash_fits(evidence: Evidence) -> None:
    """A segment with other lines and its own end breaks the chain of the next one."""
    document = evidence.document
    path = next(path for path in segments(evidence) if path.name.endswith("intents.jsonl"))
    header, *lines = (json.loads(line) for line in path.read_bytes().splitlines()[:-1])
    path.write_bytes(render_segment(header, [*lines[1:], lines[0]]))
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


def test_a_certificate_that_lies_elsewhere(evidence: Evidence, tmp_path: Path) -> None:
    lone = tmp_path / "copy.json"
    shutil.copy(evidence.path, lone)
    assert "is verified where it lies" in problem(verify(lone))
    for path in evidence.own:
        shutil.copy(path, path.with_name(path.name.replace(evidence.path.stem, "manual__2026-11-23")))
    assert "belongs at" in problem(verify(evidence.path.with_name("manual__2026-11-23.json")))


def test_a_certificate_that_is_not_there(evidence: Evidence) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json cannot be read: No such file"):
        verify(evidence.path.with_name("none.json"))
    evidence.path.unlink()
    with pytest.raises(CertificateUnfinishedError, match="is not there, but its page is"):
        evidence.verify()


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
    assert f"{left_out.provenance.folder.path} has a journal" in note
    assert "Opus: 4 records of the approved list" in note
    assert not any("does not name" in each for each in report.notes if each is not note)
    document = evidence.document
    document |= {"complete": True, "undisposed_records": []}
    evidence.reseal(document)
    assert "about undisposed_records does not follow" in problem(evidence.verify())
    document["missing_disposals"] = []
    evidence.reseal(document)
    assert "about missing_disposals does not follow" in problem(evidence.verify())


def test_fewer_people_than_the_task_demanded_are_found(evidence: Evidence) -> None:
    """A summary and a certificate that were made up whole still need the approvals."""
    document = evidence.document
    entry = document["disposals"][0]
    entry["disposal"]["options"]["min_approvals"] = 2
    old, uri = entry["file"], evidence.store.uri(entry["file"])
    entry["file"] = evidence.store.name(
        evidence_factory.forge(evidence.store, uri, options=entry["disposal"]["options"])
    )
    next(each for each in document["files"] if each["name"] == old)["name"] = entry["file"]
    evidence.relist(document)
    evidence.reseal(document)
    assert "has 1 distinct approvers" in problem(evidence.verify())


def test_what_is_incomplete_is_noted(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "evidence"))
    listed = Manifest.write(store, evidence_factory.records(5))
    told = evidence_factory.ObedientSystem({next(iter(listed)).key: OutcomeKind.FAILED})
    issue.write(
        store, [evidence_factory.carry_out(store, listed, system=told)], evidence_factory.provenance("certificate")
    )
    report = verify(tmp_path / "evidence" / NAME)
    assert report.ok
    assert report.notes[-1] == "The certificate says that it is not complete: enaio: 1 failed."
