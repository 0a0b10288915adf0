"""What was added after a certificate: later tries are told from tampering."""

from __future__ import annotations

import hashlib
import json

import pytest

from airflow_provider_records.evidence import certificate, formats
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.segment import render_segment
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import EvidenceError, JournalError
from airflow_provider_records.reporting.later import later_tries
from tests.evidence import evidence_factory
from tests.reporting.certified import (
    Evidence,
    problem,
    segments,
)


def test_later_tries_are_told_from_tampering(evidence: Evidence) -> None:
    """A task that was cleared after the certificate: the certificate stands, and verify says what came later."""
    evidence.delete(3, {evidence.keys[2]: OutcomeKind.DESTROYED})
    report = evidence.verify()
    assert report.ok, report.problem
    assert [note for note in report.notes if "by later tries; it does not cover them" in note]


def test_an_older_try_that_sums_up_after_the_certificate_changes_nothing(evidence: Evidence) -> None:
    """It was given up, and froze between its last look for a newer try and its last write."""
    disposal = evidence.disposals[0]
    late = Disposal(
        **{**vars(disposal), "provenance": evidence_factory.provenance("delete_enaio", 1), "stopped": "frozen"}
    )
    late.write(evidence.store)
    report = evidence.verify()
    assert report.ok, report.problem
    assert any(note.startswith("1 files were added") for note in report.notes)
    evidence.certify()
    assert evidence.document["disposals"][0]["disposal"]["provenance"]["try_number"] == 2
    assert evidence.verify().ok


def test_a_try_that_began_after_the_certificate_is_noted(evidence: Evidence) -> None:
    evidence_factory.journal(evidence.store, evidence.listed, evidence_factory.provenance("delete_enaio", 3))
    report = evidence.verify()
    assert report.ok, report.problem
    assert any(note.startswith("1 files were added") for note in report.notes)


def test_a_summary_of_a_try_that_never_was_is_found(evidence: Evidence) -> None:
    never = Disposal(**{**vars(evidence.disposals[0]), "provenance": evidence_factory.provenance("delete_enaio", 3)})
    never.write(evidence.store)
    assert "no later try accounts for it" in problem(evidence.verify())


def test_the_summary_of_a_later_try_must_fit_its_name_too(evidence: Evidence) -> None:
    disposal = evidence.delete(3, {})
    path = evidence.root / evidence.store.name(disposal.uri)
    fields = json.loads(path.read_bytes())
    path.write_bytes(canonical(fields | {"stopped": "never"}) + b"\n")
    assert "is no disposal, or was changed" in problem(evidence.verify())


def test_a_later_try_with_an_emptied_list_takes_nothing_away(evidence: Evidence) -> None:
    empty = Manifest.write(evidence.store, [])
    again = evidence_factory.carry_out(evidence.store, empty, by=evidence_factory.provenance("delete_enaio", 3))
    report = evidence.verify()
    assert report.ok, report.problem
    evidence.disposals[0] = again
    with pytest.raises(JournalError, match="says that nothing was sent"):
        evidence.certify()


@pytest.mark.parametrize("name", ["note.txt", "outcomes/made_up.jsonl", "journal/note.jsonl"])
def test_a_file_that_nothing_accounts_for_is_found(evidence: Evidence, name: str) -> None:
    path = evidence.root / evidence_factory.provenance("delete_enaio").folder.path / name
    path.write_bytes(b"{}\n")
    words = problem(evidence.verify())
    assert path.relative_to(evidence.root).as_posix() in words


def test_outcomes_without_a_later_try_are_found(evidence: Evidence) -> None:
    content = b'{"key":"x","outcome":"destroyed"}\n'
    folder = evidence.root / evidence_factory.provenance("delete_enaio").folder.path / "outcomes"
    (folder / f"{hashlib.sha256(content).hexdigest()}.jsonl").write_bytes(content)
    assert "no later try accounts for it" in problem(evidence.verify())


def test_a_session_that_read_nothing_is_found(evidence: Evidence) -> None:
    """A planted session has its own hashes right, but has not read what was there."""
    first = segments(evidence)[0]
    header = json.loads(first.read_bytes().splitlines()[0]) | {"session": "0009-0009-planted0", "try": 9}
    path = first.parent.parent / header["session"] / first.name
    path.parent.mkdir()
    path.write_bytes(render_segment(header, []))
    assert "was added to the journal" in problem(evidence.verify())


def test_a_later_segment_cut_off_is_noted(evidence: Evidence) -> None:
    evidence_factory.journal(evidence.store, evidence.listed, evidence_factory.provenance("delete_enaio", 3))
    last = segments(evidence)[-1]
    last.write_bytes(last.read_bytes()[:-10])
    report = evidence.verify()
    assert report.ok, report.problem
    assert any("is cut off: a later try ended while it wrote" in note for note in report.notes)


def test_a_task_that_began_after_the_certificate_is_noted(evidence: Evidence) -> None:
    later = evidence_factory.carry_out(
        evidence.store, evidence.listed, evidence.approvals, by=evidence_factory.provenance("later")
    )
    report = evidence.verify()
    assert report.ok, report.problem
    assert any(note.startswith(f"{later.provenance.folder.path} has a journal that") for note in report.notes)


def notes(evidence: Evidence) -> list[str]:
    found = certificate.parse(evidence.path.read_bytes())
    return list(later_tries(evidence.store, found))


def test_nothing_added_is_nothing_to_say(original: Evidence) -> None:
    assert notes(original) == []


def test_all_files_of_a_later_try_are_counted_once(evidence: Evidence) -> None:
    before = len(evidence.store.names(""))
    evidence.delete(3, {})
    folder = evidence_factory.provenance("delete_enaio").folder.path
    added = len(evidence.store.names("")) - before
    assert notes(evidence) == [
        f"{added} files were added to {folder} after the certificate was written, by later tries; it does not cover "
        "them."
    ]


def test_outcomes_that_no_summary_names_are_those_of_a_later_try_only_under_their_hash(evidence: Evidence) -> None:
    """A try that ended between its outcomes and its summary leaves such a file."""
    evidence_factory.journal(evidence.store, evidence.listed, evidence_factory.provenance("delete_enaio", 3))
    folder = evidence_factory.provenance("delete_enaio").folder.outcomes
    uri, _, _ = evidence.store.write_lines(folder, formats.OUTCOMES.line, [])
    assert [note.startswith("2 files were added") for note in notes(evidence)] == [True]
    (evidence.root / evidence.store.name(uri)).write_bytes(b"changed")
    with pytest.raises(EvidenceError, match="no later try accounts for it"):
        notes(evidence)


def test_a_session_that_has_read_only_some_of_the_journal_is_refused(evidence: Evidence) -> None:
    """The certificate names two sessions; no try that came later can have missed one of them."""
    evidence_factory.journal(evidence.store, evidence.listed, evidence_factory.provenance("delete_enaio", 3))
    last = segments(evidence)[-1]
    header = json.loads(last.read_bytes().splitlines()[0])
    assert len(header["read"]) == 2
    header["read"].popitem()
    last.write_bytes(render_segment(header, []))
    with pytest.raises(EvidenceError, match=f"Session {header['session']} was added to the journal"):
        notes(evidence)


def test_a_task_without_a_journal_is_no_later_task(evidence: Evidence) -> None:
    """A rehearsal sends nothing, so that nothing of it is missing on a certificate."""
    evidence_factory.carry_out(
        evidence.store, evidence.listed, by=evidence_factory.provenance("rehearsal"), dry_run=True
    )
    assert notes(evidence) == []
