"""A long certificate has several pages; each is checked like the first one, and a missing or changed one is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.signature import CHECKSUM, SIGNATURE, sign
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import CertificateUnfinishedError
from airflow_provider_records.reporting import certificate_page, issue
from airflow_provider_records.reporting.verify import verify
from tests.evidence import evidence_factory
from tests.evidence.failing_store import Killed
from tests.reporting.certified import KEY, NAME, Evidence, Page, html, problem

FOLDER = certificate.parts_folder(NAME)


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_page, "ROWS_PER_PAGE", 5)


@pytest.fixture(params=[KEY, None], ids=["signed", "unsigned"])
def evidence(tmp_path: Path, request: pytest.FixtureRequest) -> Evidence:
    """A night with 25 rows."""
    return Evidence(tmp_path / "evidence", key=request.param)


def parts(evidence: Evidence) -> list[Path]:
    return sorted((evidence.root / FOLDER).glob("*.html"))


def rows(page: str) -> list[str]:
    """Return the numbers in the first column of the tables of records."""
    tables = page.split('<table class="records">')[1:]
    return [cell.split("</td>")[0] for table in tables for cell in table.split('<td class="place">')[1:]]


def test_the_pages_hold_every_row_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_page, "ROWS_PER_PAGE", 1000)
    whole = Evidence(tmp_path / "whole")
    expected = rows(whole.page.read_text())
    assert len(expected) == 25
    assert not (whole.root / FOLDER).exists()
    monkeypatch.setattr(certificate_page, "ROWS_PER_PAGE", 5)
    cut = Evidence(tmp_path / "cut")
    pages = [cut.page.read_text(), *(path.read_text() for path in parts(cut))]
    assert [len(rows(page)) for page in pages] == [5] * 5
    assert [row for page in pages for row in rows(page)] == expected
    assert "This page lists the first 5. The others are on the pages" in pages[0]
    for number, page in enumerate(pages, 1):
        assert f'<meta name="airflow-records-part" content="{number} of 5">' in page
        assert f"part {number} of 5</title>" in page
        assert cut.digest in page
    assert "(continued)" in pages[1]
    assert "continued" not in pages[0]


def test_withheld_records_are_cut_too(store: Store) -> None:
    listed = Manifest.write(store, evidence_factory.records(9))
    withheld = {record.key: "a lawsuit is pending" for record in list(listed)[:7]}
    rest = Manifest.write(store, list(listed)[7:])
    given = evidence_factory.given(store, listed.digest)
    approval = Approval(
        rest.digest, "a", "2026-11-22T07:00:00Z", {"kind": "x"}, shown=listed.digest, withheld=withheld, **given
    )
    disposal = evidence_factory.carry_out(store, rest, [approval.write(store)])
    issue.write(store, [disposal], evidence_factory.provenance("certificate"), KEY)
    assert rows(html(store)) == ["1", "2", "3", "4", "5"]
    assert rows(store.read(certificate.part_name(NAME, 2)).decode()) == ["6", "7", "1", "2"]
    assert verify(store.uri(NAME)).ok


def test_nothing_on_a_further_page_acts(store: Store) -> None:
    hostile = '<script>alert(1)</script>"><img src=x>'
    listed = Manifest.write(store, [{"key": f"k{number}", "title": hostile} for number in range(6)])
    disposal = evidence_factory.carry_out(store, listed, evidence_factory.approve(store, listed, "a"))
    issue.write(store, [disposal], evidence_factory.provenance("certificate"), KEY)
    page = Page(store.read(certificate.part_name(NAME, 2)).decode())
    assert {tag for tag, _ in page.tags} & {"script", "img", "a", "form"} == set()
    assert hostile in "".join(page.text)


def test_verify_says_how_many_pages_it_checked(evidence: Evidence) -> None:
    report = evidence.verify()
    assert report.ok, report.problem
    assert "its 5 pages are unchanged and name this certificate" in report.checked


def test_a_changed_page_is_named(evidence: Evidence) -> None:
    for path in parts(evidence):
        content = path.read_bytes()
        for place in (0, len(content) // 2, len(content) - 1):
            changed = bytearray(content)
            changed[place] ^= 1
            path.write_bytes(changed)
            assert f"{FOLDER}/{path.name}" in problem(evidence.verify())
        path.write_bytes(content)
    assert evidence.verify().ok


def test_a_missing_page_is_named(evidence: Evidence) -> None:
    end = SIGNATURE if evidence.key else CHECKSUM
    for path in [each for page in parts(evidence) for each in (page, page.with_name(page.name + end))]:
        hidden = path.rename(evidence.root / "hidden")
        missing = f"{FOLDER}/{path.name} is missing; without it the certificate cannot be verified."
        assert problem(evidence.verify()) == missing
        hidden.rename(path)


def test_an_extra_page_is_named(evidence: Evidence) -> None:
    """Also one that is whole: its bytes and its signature are those of another page."""
    page = certificate.part_name(NAME, 6)
    evidence.store.write(page, (evidence.root / certificate.part_name(NAME, 5)).read_bytes())
    assert problem(evidence.verify()) == (f"{page} is no part of this certificate: its page says that it has 5 pages.")


def test_pages_that_are_exchanged_are_named(evidence: Evidence) -> None:
    """Signatures are over bytes, not over names: each of the two is whole."""
    second, third = (certificate.part_name(NAME, part) for part in (2, 3))
    content = evidence.store.read(third)
    evidence.store.write(second, content)
    evidence.store.write(*sign(second, content, evidence.key))
    assert problem(evidence.verify()) == f"{second} is part 3 of 5 of this certificate, and not part 2 of 5."


def test_a_page_of_another_certificate_is_named(evidence: Evidence, tmp_path: Path) -> None:
    other = Evidence(tmp_path / "other", evidence.key)
    part = certificate.part_name(NAME, 2)
    evidence.store.write(part, other.store.read(part))
    evidence.store.write(*sign(part, other.store.read(part), evidence.key))
    assert f"{part} is the page of another certificate" in problem(evidence.verify())


def test_a_first_page_that_says_less_leaves_pages_over(evidence: Evidence) -> None:
    page = evidence.page.read_bytes().replace(b'content="1 of 5"', b'content="1 of 4"')
    evidence.page.write_bytes(page)
    evidence.store.write(*sign(evidence.page.relative_to(evidence.root).as_posix(), page, evidence.key))
    assert "part-2.html is part 2 of 5 of this certificate, and not part 2 of 4" in problem(evidence.verify())


def test_a_shorter_certificate_leaves_no_page_of_the_longer_one(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longer one is kept with all of its pages."""
    first = evidence.digest
    evidence.disposals[0] = evidence.delete(3, {evidence.keys[2]: OutcomeKind.BLOCKED})
    monkeypatch.setattr(certificate_page, "ROWS_PER_PAGE", 20)
    evidence.certify()
    assert [path.name for path in parts(evidence)] == ["part-2.html"]
    assert evidence.verify().ok
    older = verify(evidence.root / certificate.superseded_name(NAME, first))
    assert older.ok, older.problem
    assert "its 5 pages are unchanged and name this certificate" in older.checked


def test_a_certificate_whose_pages_are_not_whole_is_written_anew(evidence: Evidence) -> None:
    parts(evidence)[1].unlink()
    evidence.certify()
    assert evidence.verify().ok


def test_wherever_its_writing_ends_nobody_is_accused(
    evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file that a shorter certificate writes or removes may be the last one; the next try finishes it."""
    evidence.disposals[0] = evidence.delete(3, {evidence.keys[2]: OutcomeKind.BLOCKED})
    monkeypatch.setattr(certificate_page, "ROWS_PER_PAGE", 10)
    names = ("write", "_put", "remove")
    own = {name: getattr(Store, name) for name in names}
    before = tmp_path / "before"
    shutil.copytree(evidence.root, before)
    seen = set()
    for last in range(1, 100):
        shutil.rmtree(evidence.root)
        shutil.copytree(before, evidence.root)
        steps = iter(range(1, last + 1))

        def counted(name: str, steps: object = steps) -> object:
            def step(store: Store, *given: object) -> object:
                if next(steps, None) is None:  # type: ignore[call-overload]
                    raise Killed
                return own[name](store, *given)

            return step

        with monkeypatch.context() as patched:
            for name in names:
                patched.setattr(Store, name, counted(name))
            try:
                evidence.certify()
            except Killed:
                pass
            else:
                break
        try:
            report = evidence.verify()
            assert report.ok, (last, report.problem)
            seen.add("whole")
        except CertificateUnfinishedError:
            seen.add("unfinished")
        evidence.certify()
        assert evidence.verify().ok
    assert seen == {"whole", "unfinished"}
    assert last > 20


def test_5_000_records_stand_on_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    store = Store(str(tmp_path / "evidence"))
    for count, folder in ((5000, False), (5001, True)):
        listed = Manifest.write(store, (f"k{number}" for number in range(count)))
        origin = evidence_factory.provenance("delete", run=f"run {count}")
        disposal = evidence_factory.carry_out(store, listed, by=origin)
        written = issue.write(store, [disposal], evidence_factory.provenance("certificate", run=f"run {count}"), None)
        name = store.name(written.uri)
        assert bool(store.names(certificate.parts_folder(name))) is folder
        assert json.loads(store.read(name))["counts"]
