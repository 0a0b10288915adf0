"""Verification finds every changed byte of a certificate, its page, their signatures and every file below."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.signature import VerificationKey, sign
from airflow_provider_records.reporting.verify import verify
from tests.reporting.certified import (
    KEY,
    NAME,
    Edit,
    Evidence,
    pem,
    problem,
)


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
        assert problem(evidence.verify()) == f"{name} is missing; without it the certificate cannot be verified."
        hidden.rename(path)


def test_another_form_of_the_same_json_is_found(evidence: Evidence) -> None:
    document = evidence.document
    for content in (
        json.dumps(document).encode() + b"\n",
        canonical(document),
        canonical(document) + b"\r\n",
        canonical(document)[:-1] + b',"version":1}\n',
        json.dumps(document, sort_keys=True, separators=(",", ":")).replace("a", "\\u0061", 1).encode() + b"\n",
    ):
        evidence.path.write_bytes(content)
        assert "not in the one form" in problem(evidence.verify())


def test_a_stripped_or_exchanged_signature_is_found(evidence: Evidence, tmp_path: Path) -> None:
    key, other = pem(tmp_path / "key.pem", KEY), Ed25519PrivateKey.generate()
    document, content = evidence.document, evidence.path.read_bytes()
    signature = evidence.path.with_name(f"{evidence.path.name}.sig")
    own = signature.read_bytes()
    for changed in (other.sign(content), own[:-1], own + b"\n", b"", bytes(64), bytes(10_000)):
        signature.write_bytes(changed)
        assert f"{NAME}.sig does not belong to {NAME}" in problem(evidence.verify(key))
    signature.write_bytes(own)
    for named, words in (
        (VerificationKey.from_key(other.public_key()).to_dict(), "was signed with the key"),
        (None, "is not signed, though a public key was given"),
        (document["key"] | {"algorithm": "none"}, "do not fit each other"),
        (document["key"] | {"key_id": f"sha256:{'0' * 64}"}, "do not fit each other"),
        (document["key"] | {"public_key": "AAAA"}, "do not fit each other"),
    ):
        evidence.path.write_bytes(canonical(document | {"key": named}) + b"\n")
        assert words in problem(evidence.verify(key)), named


def test_a_certificate_whose_signature_was_stripped_whole_does_not_pass_for_signed(
    evidence: Evidence, tmp_path: Path
) -> None:
    """Who can write to the folder can make an unsigned one; it is called that, and the left signatures are told."""
    signatures = [path for path in evidence.own if path.suffix == ".sig"]
    evidence.key = None
    evidence.reseal(evidence.document | {"key": None})
    report = evidence.verify()
    assert report.notes[0].startswith("It is not signed")
    for signature in signatures:
        name = signature.relative_to(evidence.root)
        assert any(note.startswith(f"{name} does not belong to this certificate") for note in report.notes)
    assert "is not signed, though" in problem(evidence.verify(pem(tmp_path / "key.pem", KEY)))


def test_words_changed_without_a_signature_are_found_by_the_checksum(tmp_path: Path) -> None:
    unsigned = Evidence(tmp_path / "evidence", key=None)
    document = unsigned.document
    document["statements"].pop()
    unsigned.path.write_bytes(canonical(document) + b"\n")
    assert f"{NAME} was changed: its bytes do not match the checksum in {NAME}.sha256" in problem(unsigned.verify())


@pytest.mark.parametrize("key", [KEY, None], ids=["signed", "unsigned"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<strong>Complete, with refusals</strong>", "<strong>Complete</strong>"),
        ("j.weber", "a.weber"),
        ("2 destroyed", "3 destroyed"),
        ("blocked", "destroyed"),
        ("</main>", "</main>\n"),
        ("</html>", "</html> "),
    ],
)
def test_a_page_that_says_something_else_is_found(
    tmp_path: Path, key: Ed25519PrivateKey | None, old: str, new: str
) -> None:
    """The paper that people sign: a changed verdict, name, number, outcome, or any byte."""
    evidence = Evidence(tmp_path / "evidence", key)
    text = evidence.page.read_text()
    assert old in text
    evidence.page.write_text(text.replace(old, new, 1))
    assert evidence.page.relative_to(evidence.root).as_posix() in problem(evidence.verify())


def test_flipped_bytes_of_the_page_and_of_what_lies_beside_are_found(original: Evidence) -> None:
    for path in original.own[1:]:
        content = path.read_bytes()
        try:
            for place in {*range(0, len(content), max(1, len(content) // 200)), len(content) - 1}:
                changed = bytearray(content)
                changed[place] ^= 1
                path.write_bytes(changed)
                assert not original.verify().ok, f"{path}, byte {place}"
        finally:
            path.write_bytes(content)
    assert original.verify().ok


def test_the_page_or_a_signature_taken_away_is_found(evidence: Evidence) -> None:
    for path in evidence.own[1:]:
        hidden = path.rename(path.with_suffix(".hidden"))
        name = path.relative_to(evidence.root).as_posix()
        assert problem(evidence.verify()) == f"{name} is missing; without it the certificate cannot be verified."
        hidden.rename(path)


@pytest.mark.usefixtures("always_anew")
def test_the_page_of_another_certificate_is_found(evidence: Evidence) -> None:
    """It is genuine, and so is its signature; the newer one even names the older one, as the one that it replaces."""
    older = evidence.digest
    evidence.certify()
    kept = evidence.root / certificate.superseded_name(NAME, older)
    pages = [kept.with_suffix(".html"), evidence.page]
    for page, other, path in ((*pages, kept), (*reversed(pages), evidence.path)):
        both = [(each, each.read_bytes()) for each in (page, page.with_name(f"{page.name}.sig"))]
        for each, _ in both:
            shutil.copy(each.with_name(each.name.replace(page.name, other.name)), each)
        assert "is the page of another certificate" in problem(verify(path))
        for each, content in both:
            each.write_bytes(content)
    assert verify(kept).ok
    assert evidence.verify().ok


def test_a_signed_page_that_names_no_certificate_is_found(evidence: Evidence) -> None:
    content = evidence.page.read_bytes().replace(b'name="airflow-records-certificate"', b'name="another"')
    evidence.page.write_bytes(content)
    evidence.store.write(*sign(certificate.page_name(NAME), content, KEY))
    assert "it names none" in problem(evidence.verify())


def test_swapped_signatures_are_found(evidence: Evidence) -> None:
    first, second = (path for path in evidence.own if path.suffix == ".sig")
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    assert "does not belong to" in problem(evidence.verify())


def test_the_page_of_another_run_is_found(evidence: Evidence, tmp_path: Path) -> None:
    other = Evidence(tmp_path / "other")
    for page in (path for path in evidence.own if path.name.startswith(evidence.page.name)):
        page.write_bytes((other.root / page.relative_to(evidence.root)).read_bytes())
    assert "is the page of another certificate" in problem(evidence.verify())


@pytest.mark.parametrize(
    "edit",
    [
        lambda fields: fields["provenance"].update(try_number=3),
        lambda fields: fields["provenance"].update(run_started_at="2026-11-23T02:00:07+00:00"),
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
