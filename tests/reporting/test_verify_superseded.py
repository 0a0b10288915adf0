"""A certificate that was replaced: it still verifies under the name that it is kept at."""

from __future__ import annotations

import shutil

import pytest

from airflow_provider_records.evidence import certificate
from airflow_provider_records.reporting.verify import verify
from tests.reporting.certified import NAME, Evidence, problem


def test_a_superseded_certificate_still_verifies(evidence: Evidence) -> None:
    first = evidence.digest
    evidence.disposals[0] = evidence.delete(3, {})
    evidence.certify()
    newer = evidence.verify()
    assert newer.ok, newer.problem
    assert any(note.startswith(f"It replaces an earlier certificate of this run, {first}") for note in newer.notes)
    older = verify(evidence.root / certificate.superseded_name(NAME, first))
    assert older.ok, older.problem
    assert f"It was superseded: a newer certificate of this run lies at {NAME}." in older.notes


def test_what_superseded_a_certificate_is_looked_at(evidence: Evidence) -> None:
    kept = evidence.root / certificate.superseded_name(NAME, evidence.digest)
    for path in evidence.own:
        shutil.copy(path, path.with_name(path.name.replace(evidence.path.stem, kept.stem)))
    assert any(note.startswith("It is a copy of the certificate at") for note in verify(kept).notes)
    evidence.path.unlink()
    report = verify(kept)
    assert report.ok, report.problem
    assert f"It was superseded, but the newer certificate of this run does not lie at {NAME}: it was taken away." in (
        report.notes
    )


@pytest.mark.usefixtures("always_anew")
def test_a_superseded_certificate_is_a_file_like_any_other(evidence: Evidence) -> None:
    first = evidence.digest
    evidence.certify()
    kept = evidence.root / certificate.superseded_name(NAME, first)
    kept.write_bytes(kept.read_bytes().replace(b'"complete":true', b'"complete":null'))
    assert f"{kept.name} was changed" in problem(evidence.verify())
