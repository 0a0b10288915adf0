"""The page of a certificate: it shows everything, and nothing on it acts."""

from __future__ import annotations

import pytest

from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.reporting import certificate_page
from airflow_provider_records.reporting.language import language
from airflow_provider_records.reporting.verdict import verdict
from airflow_provider_records.reporting.verify import verify
from tests.evidence import evidence_factory
from tests.reporting.certified import (
    KEY,
    NAME,
    Page,
    certify,
    digest,
    html,
    keys,
    night,
    status,
)

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "</title></style><svg onload=alert(3)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(4)",
    "invoice \u202efdp.exe",
    "\u200bzero width",
)


def test_hostile_titles_stay_text(store: Store) -> None:
    listed = Manifest.write(
        store,
        [
            {"key": f"k{place}", "title": title, "classification": title, "attributes": {"x": title}}
            for place, title in enumerate(HOSTILE)
        ],
    )
    source = {"kind": HOSTILE[0], HOSTILE[1]: HOSTILE[2]}
    ordered = evidence_factory.given(store, listed.digest)
    approval = Approval(
        listed.digest,
        HOSTILE[0],
        "2026-11-22T07:00:00Z",
        source,
        HOSTILE[1],
        HOSTILE[2],
        **ordered,
    ).write(store)
    certify(store, evidence_factory.carry_out(store, listed, [approval], options={"location": HOSTILE[2]}))
    text = html(store)
    parsed = Page(text)
    assert {tag for tag, _ in parsed.tags} & {"script", "img", "iframe", "object", "link", "a", "form"} == set()
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    assert not [name for _, attributes in parsed.tags for name in attributes if name in {"src", "href", "style"}]
    policy = [attributes["content"] for tag, attributes in parsed.tags if "http-equiv" in attributes]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    shown = "".join(parsed.text)
    for title in HOSTILE[:5]:
        assert title in shown
    assert "invoice [U+202E]fdp.exe" in shown
    assert "[U+200B]zero width" in shown
    assert "49" not in [part.strip() for part in parsed.text]


def test_the_page_holds_every_record_and_the_left_ones_first(store: Store, listed: Manifest) -> None:
    told = {keys(listed)[30]: OutcomeKind.FAILED, keys(listed)[31]: OutcomeKind.BLOCKED}
    approvals = evidence_factory.approve(store, listed, "j.weber@example.org", comment="no open cases")
    document = certify(
        store,
        evidence_factory.carry_out(store, listed, approvals, system=evidence_factory.ObedientSystem(told)),
        key=KEY,
    )
    text = html(store)
    annex = text[text.index("Every record") :]
    places = {record.key: annex.index(f">{record.key}<") for record in listed}
    order = sorted(places, key=places.__getitem__)
    assert order == [keys(listed)[30], keys(listed)[31], *(key for key in keys(listed) if key not in told)]
    for part in (digest(store), document["key"]["key_id"], "no open cases", "j.weber@example.org"):
        assert part in text
    assert "Not complete" in text
    assert evidence_factory.REASONS[OutcomeKind.FAILED] in text


def test_a_large_page_is_written_in_pieces(store: Store) -> None:
    listed = Manifest.write(store, (f"k{number}" for number in range(3000)))
    disposal = evidence_factory.carry_out(store, listed)
    document = certify(store, disposal)
    (page,) = certificate_page.pages(store, certificate.Certificate.from_dict(document), [disposal])
    sizes = [len(piece) for piece in page]
    assert len(sizes) > 20
    assert max(sizes) < 100_000


@pytest.mark.parametrize(
    ("results", "level", "title"),
    [
        ({}, "done", "Complete"),
        ({0: OutcomeKind.BLOCKED}, "partly", "Complete, with refusals"),
        ({0: OutcomeKind.UNKNOWN}, "open", "Not complete"),
    ],
)
def test_verdicts(store: Store, listed: Manifest, results: dict[int, OutcomeKind], level: str, title: str) -> None:
    told = evidence_factory.ObedientSystem({keys(listed)[place]: result for place, result in results.items()})
    said = verdict(status(certify(store, evidence_factory.carry_out(store, listed, system=told))))
    assert (said.level, said.title) == (level, title)


def test_verdict_of_a_rehearsal(store: Store, listed: Manifest) -> None:
    assert verdict(status(certify(store, evidence_factory.carry_out(store, listed, dry_run=True)))).level == "rehearsal"


WORDS = {
    "de": ("Vernichtungsnachweis", "Wer freigegeben hat", "22.11.2026, ", "blockiert", "Sicherungen, Replikate"),
    "nl": ("Verklaring van vernietiging", "Wie heeft goedgekeurd", "22 nov 2026, ", "geblokkeerd", "Back-ups"),
}


@pytest.mark.parametrize("code", WORDS)
def test_the_page_speaks_a_language_and_the_certificate_stays_english(
    store: Store, listed: Manifest, code: str
) -> None:
    told = night(store, listed)
    english = certify(store, *told, key=KEY)
    assert english["language"] == "en"
    first = html(store)
    document = certify(store, *told, key=KEY, language=language(code))
    assert document["language"] == code
    assert document["supersedes"]["file"]
    text = html(store)
    assert f'<html lang="{code}">' in text
    for words in WORDS[code]:
        assert words in text
        assert words not in first
    for part in ("statements", "disposals", "approvals", "counts"):
        assert document[part] == english[part]
    report = verify(store.uri(NAME).removeprefix("file://"))
    assert report.ok, report.problem


@pytest.mark.parametrize("code", WORDS)
def test_a_hostile_title_stays_text_in_every_language(store: Store, code: str) -> None:
    listed = Manifest.write(store, [{"key": HOSTILE[0], "title": "%(num)s % {0}"}])
    approval = evidence_factory.approve(store, listed, HOSTILE[1], comment=HOSTILE[2])
    certify(store, evidence_factory.carry_out(store, listed, approval), language=language(code))
    parsed = Page(html(store))
    assert {tag for tag, _ in parsed.tags} & {"script", "img", "a"} == set()
    shown = "".join(parsed.text)
    assert "%(num)s % {0}" in shown
    assert HOSTILE[2] in shown


@pytest.mark.parametrize(("code", "number"), [("en", "1,172"), ("de", "1.172"), ("nl", "1.172")])
def test_numbers_beyond_a_thousand_have_their_groups_and_do_not_break(store: Store, code: str, number: str) -> None:
    listed = Manifest.write(store, (f"k{place}" for place in range(1172)))
    certify(store, evidence_factory.carry_out(store, listed), language=language(code))
    text = html(store)
    assert f'<td class="place">{number}</td>' in text
    assert ".records .place { width: 10ch; }" in text
