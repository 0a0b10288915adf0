"""What the page shows, and that nothing it shows can do anything."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from openpyxl import load_workbook

from airflow_provider_records.evidence import titles
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.names import KeyedNaming
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.slip import Slip
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.plugin import app
from airflow_provider_records.reporting import certificate_page
from tests.evidence import evidence_factory
from tests.evidence.failing_store import in_memory
from tests.minors import since
from tests.plugin.conftest import DAG, Client, begin, dispose, know_run, provenance, run_id, set_state, tree

EVIL = '<script>alert("x")</script>\'"><img src=x onerror=alert(1)>\u202etxt.\u200b{{ 7*7 }}'


def run_page(client: TestClient, run: str = "", dag_id: str = DAG) -> str:
    """Return the page of a run."""
    answer = client.get("/records/run", params={"dag_id": dag_id, "run_id": run or run_id(0)})
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def page_text(page: str) -> str:
    """Return what a page says, without its marks."""
    shown = re.sub(r"<title>.*?</title>", "", re.split(r"<main[^>]*>", page)[1])
    return " ".join(re.sub(r"<[^>]+>", " ", shown).split())


class Marks(HTMLParser):
    """Every element of a page, with what it loads or runs."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def test_a_run_with_its_counts_reasons_approvals_and_papers(store: Store, sign_in: Client) -> None:
    keys = [each["key"] for each in evidence_factory.records(9)]
    dispose(
        store,
        people=("j.mueller@example.org", "a.kaya@example.org"),
        results={keys[0]: OutcomeKind.BLOCKED, keys[1]: OutcomeKind.BLOCKED, keys[2]: OutcomeKind.ABSENT},
    )
    know_run(0)
    anna = sign_in("anna")
    overview = page_text(anna.get("/records/").text)
    assert "22 Nov 2026, 02:00 scheduled__2026-11-22T02:00:00+00:00" in overview
    assert "enaio 6 destroyed, 1 already gone, 2 blocked" in overview
    assert "Opus 6 marked" in overview
    assert "j.mueller , a.kaya Complete, with refusals" in overview
    reason = "refused by enaio: the object is checked out by j.müller; have it checked in"
    assert f"enaio blocked {reason} 2 1" in overview
    page = run_page(anna)
    said = page_text(page)
    assert "enaio: 9 records" in said
    assert f"blocked {reason} 2" in said
    assert "already gone enaio did not know it before we asked 1" in said
    assert "Deleted permanently from enaio" in said
    assert "j.mueller j.mueller@example.org 22 Nov 2026, 07:14:41 airflow sha256:" in said
    assert "a.kaya" in said
    links = [value for name, value in Marks(page).attributes if name == "href"]
    assert "/dags/retention_nightly/runs/scheduled__2026-11-22T02%3A00%3A00%2B00%3A00" in links
    for link in links:
        if link.startswith("/records"):
            assert anna.get(link).status_code == 200, link
    assert sum("certificate" in link for link in links) == 2
    assert sum("/manifests/" in link for link in links) == 4


def test_the_certificate_is_served_as_it_is_and_can_do_nothing(store: Store, sign_in: Client) -> None:
    dispose(store)
    for suffix, kind in (("html", "text/html; charset=utf-8"), ("json", "application/json")):
        where = {"dag_id": DAG, "run_id": run_id(0)}
        answer = sign_in("anna").get(f"/records/certificate.{suffix}", params=where)
        (name,) = [name for name in store.names("certificates") if name.endswith(suffix)]
        assert answer.content == store.read(name)
        assert answer.headers["content-type"] == kind
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "; sandbox;" in policy
        assert "script-src" not in policy


def test_a_browser_runs_nothing_but_the_pages_own_script(store: Store, sign_in: Client) -> None:
    dispose(store)
    for path in ("/records/", f"/records/run?dag_id={DAG}&run_id={run_id(0).replace('+', '%2B')}", "/records/nothing"):
        answer = sign_in("anna").get(path)
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["frame-ancestors"] == policy["connect-src"] == "'self'"
        for tag in ("style", "script"):
            (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        marks = Marks(answer.text)
        assert not {"img", "iframe", "object", "form", "base", "audio", "video"} & set(marks.names)
        assert marks.names.count("script") == marks.names.count("style") == 1
        assert not [name for name, _ in marks.attributes if name.startswith("on") or name in {"style", "src"}]


def test_hostile_texts_do_nothing(store: Store, sign_in: Client) -> None:
    run = f"manual__{EVIL}"
    records = [
        {"key": f"{number}{EVIL}", "title": EVIL, "classification": EVIL, "location": EVIL} for number in range(3)
    ]

    class Hostile(evidence_factory.ObedientSystem):
        def _outcome(self, record: Record) -> Outcome:
            return Outcome(record.key, OutcomeKind.BLOCKED, Proof.RESPONSE, reason=EVIL, request_id=EVIL)

    manifest = Manifest.write(store, records)
    approvals = evidence_factory.approve(store, manifest, EVIL, comment=EVIL)
    origin = provenance(EVIL, run=run)
    evidence_factory.carry_out(store, manifest, approvals, system=Hostile(), name=EVIL, by=origin)
    Slip(manifest.digest, DAG, run, EVIL, EVIL, f"2026 {EVIL}", EVIL).write(store)
    anna = sign_in("anna")
    digest = manifest.digest.removeprefix("sha256:")
    listed = anna.get(f"/records/manifests/{digest}", params={"dag_id": DAG, "run_id": run})
    not_there = anna.get("/records/run", params={"dag_id": DAG, "run_id": f"{run}x"})
    assert not_there.status_code == 404
    for page in (anna.get("/records/").text, run_page(anna, run), listed.text, not_there.text):
        assert "&lt;script&gt;" in page
        shown = page.split("<main>")[1]
        assert "<script" not in shown
        assert "<img" not in shown
        assert "\u202e" not in shown
        assert "{{ 7*7 }}" in shown
        assert not [name for name, _ in Marks(shown).attributes if name.startswith("on")]
    assert "[U+202E]" in listed.text


def test_a_list_is_shown_page_by_page(store: Store, sign_in: Client) -> None:
    records = [{"key": f"key-{number:05}", "title": f"Title {number}"} for number in range(1_234)]
    manifest = Manifest.write(store, records)
    evidence_factory.carry_out(store, Manifest.write(store, records), by=provenance("delete"))
    anna, digest = sign_in("anna"), manifest.digest.removeprefix("sha256:")
    where = {"dag_id": DAG, "run_id": run_id(0)}
    seen = []
    for page in range(1, 8):
        answer = anna.get(f"/records/manifests/{digest}", params={**where, "page": page})
        assert answer.status_code == 200
        seen += re.findall(r"key-\d{5}", answer.text)
    assert seen == [each["key"] for each in records]
    assert "1,234 records" in answer.text
    for wrong in ("0", "-1", "8", "x"):
        assert anna.get(f"/records/manifests/{digest}", params={**where, "page": wrong}).status_code == 404
    whole = anna.get(f"/records/manifests/{digest}.jsonl", params=where)
    assert hashlib.sha256(whole.content).hexdigest() == digest
    assert whole.headers["content-disposition"].startswith("attachment")


def test_a_changed_list_is_not_shown(store: Store, sign_in: Client) -> None:
    dispose(store)
    anna = sign_in("anna")
    (path,) = set(re.findall(r"/records/manifests/[^\"]+", run_page(anna).split("Who approved")[1]))
    name = f"manifests/{path.split('/')[-1].split('?')[0]}.jsonl"
    store.write(name, store.read(name).replace(b"enaio", b"eneio"))
    answer = anna.get(path.replace("&amp;", "&"))
    assert answer.status_code == 503
    assert "was changed" in answer.text


def test_a_running_disposal_shows_its_progress_until_it_has_ended(store: Store, sign_in: Client) -> None:
    manifest = Manifest.write(store, evidence_factory.records(40))
    keys = [record.key for record in manifest]
    origin = provenance("delete")
    know_run(0, "running")
    journal = begin(store, manifest, origin)
    anna = sign_in("anna")
    page = run_page(anna)
    assert "data-live" in page
    assert "0 of 40 records" in page_text(page)
    journal.intend(keys[:16])
    assert "0 of 40 records, 16 in progress" in page_text(run_page(anna))
    outcomes = [Outcome(key, OutcomeKind.DESTROYED, Proof.RESPONSE) for key in keys[:10]]
    journal.record([*outcomes, Outcome(keys[10], OutcomeKind.BLOCKED, Proof.RESPONSE, "locked")])
    said = page_text(run_page(anna))
    assert "11 of 40 records, 5 in progress" in said
    assert "10 destroyed 1 blocked" in said
    overview = anna.get("/records/").text
    assert "data-live" in overview
    assert 'aria-valuenow="11"' in overview
    assert "Running" in page_text(overview)
    evidence_factory.carry_out(store, manifest, by=replace(origin, try_number=2))
    assert "enaio: 40 records" in page_text(run_page(anna))
    assert "data-live" in run_page(anna), "the run goes on with its next task"
    set_state("success")
    for page in (run_page(anna), anna.get("/records/").text):
        assert "data-live" not in page.split("</script>")[1]
        assert "Complete" in page_text(page)


def test_a_retry_shows_what_the_try_before_has_settled(store: Store, sign_in: Client) -> None:
    manifest = Manifest.write(store, evidence_factory.records(20))
    keys = [record.key for record in manifest]
    know_run(0, "running")
    system = evidence_factory.ObedientSystem({keys[0]: OutcomeKind.FAILED, keys[1]: OutcomeKind.FAILED})
    evidence_factory.carry_out(store, manifest, system=system, by=provenance("delete"))
    journal = begin(store, manifest, provenance("delete", try_number=2))
    assert "20 of 20 records 18 destroyed 2 failed" in page_text(run_page(sign_in("anna")))
    journal.intend(keys[:2])
    journal.record([Outcome(keys[0], OutcomeKind.DESTROYED, Proof.PROBE)])
    assert "20 of 20 records, 1 in progress 19 destroyed 1 failed" in page_text(run_page(sign_in("anna")))


def test_what_was_interrupted_is_said(store: Store, sign_in: Client) -> None:
    manifest = Manifest.write(store, evidence_factory.records(20))
    begin(store, manifest, provenance("delete")).intend([record.key for record in manifest][:5])
    know_run(0, "failed")
    page = run_page(sign_in("anna"))
    assert "Interrupted" in page_text(page)
    assert "data-live" not in page.split("</script>")[1]


def test_one_broken_run_does_not_hide_the_others(store: Store, sign_in: Client) -> None:
    for number in range(3):
        dispose(store, run=run_id(number))
    broken = next(
        name for name in store.names("disposals") if run_id(1)[:22] in name and name.endswith("/disposal.json")
    )
    Path(store.uri(broken).removeprefix("file://")).write_bytes(b"{}")
    anna = sign_in("anna")
    said = page_text(anna.get("/records/").text)
    assert said.count("Complete") == 2
    assert "Unreadable" in said
    assert "is no disposal, or was changed" in page_text(run_page(anna, run_id(1)))


def test_reading_never_writes(store: Store, sign_in: Client) -> None:
    dispose(store)
    know_run(1, "running")
    manifest = Manifest.write(store, evidence_factory.records(20))
    begin(store, manifest, provenance("delete", run=run_id(1)))
    before = tree(store)
    anna = sign_in("anna")
    for _ in range(2):
        overview = anna.get("/records/").text
        for run in (run_id(0), run_id(1)):
            overview += run_page(anna, run)
        for link in {value for name, value in Marks(overview).attributes if name == "href" and "/records/" in value}:
            assert anna.get(link).status_code == 200, link
    assert tree(store) == before


def test_an_empty_store_and_one_that_is_not_there(store: Store, sign_in: Client) -> None:
    assert "No disposals yet" in sign_in("anna").get("/records/").text
    dispose(store, run="nothing", records=[])
    said = page_text(sign_in("anna").get("/records/").text)
    assert "enaio empty list" in said
    assert "Nothing to destroy" in said


def test_evidence_in_object_storage(monkeypatch: pytest.MonkeyPatch, sign_in: Client) -> None:
    store = in_memory()  # Airflow itself knows none in memory
    monkeypatch.setattr(app, "opened_store", lambda: store)
    dispose(store)
    anna = sign_in("anna")
    assert "enaio 9 destroyed" in page_text(anna.get("/records/").text)
    links = {
        value for name, value in Marks(run_page(anna)).attributes if name == "href" and value.startswith("/records/")
    }
    assert len(links) >= 5
    for link in links:
        assert anna.get(link).status_code == 200, link


def test_a_run_without_a_certificate_says_so(store: Store, sign_in: Client) -> None:
    dispose(store, certified=False)
    where = {"dag_id": DAG, "run_id": run_id(0)}
    for suffix in ("html", "json"):
        answer = sign_in("anna").get(f"/records/certificate.{suffix}", params=where)
        assert answer.status_code == 404
        assert "not in the evidence store (yet)" in answer.text


@pytest.mark.parametrize("suffix", ["json.sha256", "html.sig", "pem", "JSON"])
def test_only_the_certificate_and_its_page_are_served(store: Store, sign_in: Client, suffix: str) -> None:
    dispose(store)
    answer = sign_in("anna").get(f"/records/certificate.{suffix}", params={"dag_id": DAG, "run_id": run_id(0)})
    assert answer.status_code == 404
    assert "There is no such page." in answer.text


def test_a_program_is_told_of_an_error_in_json_and_a_browser_on_a_page(store: Store, sign_in: Client) -> None:
    anna = sign_in("anna")
    path = f"/records/run?dag_id={DAG}&run_id=none"
    page, program = anna.get(path), anna.get(path, headers={"Accept": "application/json"})
    assert page.status_code == program.status_code == 404
    assert program.json() == {"detail": f"There is no run none of {DAG} in the evidence store or in Airflow."}
    assert "<main>" in page.text


def test_a_program_that_is_not_signed_in_is_refused_and_not_led_to_the_login(store: Store, sign_in: Client) -> None:
    answer = sign_in("").get("/records/", headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert "location" not in answer.headers


@pytest.mark.parametrize("query", ["page=0", "page=x", "page=1000001", "page=1.5"])
def test_a_page_that_no_link_leads_to_is_not_found(store: Store, sign_in: Client, query: str) -> None:
    dispose(store)
    answer = sign_in("anna").get(f"/records/?{query}")
    assert answer.status_code == 404
    assert "There is no such page." in answer.text


def test_a_list_that_is_gone_is_said_to_be_gone(store: Store, sign_in: Client) -> None:
    disposal, _ = dispose(store)
    Path(disposal.manifest.removeprefix("file://")).unlink()
    path = f"/records/manifests/{disposal.digest.removeprefix('sha256:')}"
    for suffix in ("", ".jsonl"):
        answer = sign_in("anna").get(path + suffix, params={"dag_id": DAG, "run_id": run_id(0)})
        assert answer.status_code == 404
        assert "not in the evidence store" in answer.text


def test_the_names_of_downloads_say_what_they_are(store: Store, sign_in: Client) -> None:
    disposal, _ = dispose(store)
    where = {"dag_id": DAG, "run_id": run_id(0)}
    digest = disposal.digest.removeprefix("sha256:")
    paths = {f"manifests/{digest}.jsonl": f"{digest}.jsonl", "certificate.json": "certificate-scheduled__2026-11-22T"}
    for path, name in paths.items():
        said = sign_in("anna").get(f"/records/{path}", params=where).headers["content-disposition"]
        assert said.startswith(f"attachment; filename*=UTF-8''{name}")
    page = sign_in("anna").get("/records/certificate.html", params=where)
    assert "content-disposition" not in page.headers


def test_each_page_of_a_long_certificate_is_shown(
    store: Store, sign_in: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate_page, "ROWS_PER_PAGE", 7)
    dispose(store)
    where = {"dag_id": DAG, "run_id": run_id(0)}
    anna = sign_in("anna")
    links = re.findall(r'href="[^"]*certificate\.html\?([^"]*)"[^>]*>([^<]*)<', run_page(anna))
    assert [text for _, text in links] == ["Certificate", "part 2 of 3", "part 3 of 3"]
    for number, (query, _) in enumerate(links, 1):
        page = anna.get(f"/records/certificate.html?{unescape(query)}")
        assert f"part {number} of 3</title>" in page.text
    assert anna.get("/records/certificate.html", params={**where, "part": 4}).status_code == 404


@since("3.2")  # teams
def test_lists_and_certificates_are_downloaded_as_spreadsheets(store: Store, sign_in: Client) -> None:
    disposal, _ = dispose(store)
    where = {"dag_id": DAG, "run_id": run_id(0)}
    digest = disposal.digest.removeprefix("sha256:")
    keys = [record.key for record in Manifest.open(store, disposal.digest)]
    for path, count in ((f"manifests/{digest}", len(keys)), ("records", 2 * len(keys))):
        table = sign_in("anna").get(f"/records/{path}.csv", params=where)
        assert table.headers["content-disposition"].startswith("attachment")
        rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
        assert [row["Key"] for row in rows[-len(keys) :]] == keys
        book = sign_in("anna").get(f"/records/{path}.xlsx", params=where)
        (sheet,) = load_workbook(io.BytesIO(book.content)).worksheets
        assert (len(rows), sheet.max_row) == (count, count + 1)
        for user, refused in (("bert", 404), ("", 303)):
            assert sign_in(user).get(f"/records/{path}.csv", params=where).status_code == refused
    assert sign_in("anna").get("/records/records.pdf", params=where).status_code == 404


def test_titles_are_shown_without_a_key_until_the_run_is_certified(store: Store, sign_in: Client) -> None:
    """The API server has no key; the list has hashes, and titles lie beside the evidence while people decide."""
    plain = [Record.from_item(each) for each in evidence_factory.records(9)]
    named = list(map(KeyedNaming(b"k" * 32).record, plain))
    disposal, _ = dispose(store, records=[each.to_dict() for each in named], certified=False)
    titles.write(store, DAG, run_id(0), disposal.digest, map(titles.line, named, plain))
    know_run(0)
    where, address = {"dag_id": DAG, "run_id": run_id(0)}, f"/records/manifests/{disposal.digest[7:]}"

    def told() -> str:
        page, table = sign_in("anna").get(address, params=where), sign_in("anna").get(f"{address}.csv", params=where)
        book = load_workbook(io.BytesIO(sign_in("anna").get(f"{address}.xlsx", params=where).content)).worksheets[0]
        cells = " ".join(str(cell) for row in book.iter_rows(values_only=True) for cell in row)
        return f"{unescape(page.text)} {table.text} {cells}"

    before = told()
    assert all(before.count(each.title or "?") >= 3 for each in plain)
    assert "hmac" not in before
    titles.remove(store, DAG, run_id(0))
    after = told()
    assert all(after.count(each.title or "?") >= 3 for each in named)
    assert not [each.title for each in plain if each.title and each.title in after]


def test_a_changed_list_is_not_downloaded_as_a_spreadsheet(store: Store, sign_in: Client) -> None:
    disposal, _ = dispose(store)
    name = store.name(disposal.manifest)
    store.write(name, store.read(name).replace(b"enaio", b"eneio"))
    where = {"dag_id": DAG, "run_id": run_id(0)}
    digest = disposal.digest.removeprefix("sha256:")
    for path in (f"manifests/{digest}.csv", f"manifests/{digest}.xlsx", "records.csv"):
        assert sign_in("anna").get(f"/records/{path}", params=where).status_code == 503


def test_only_as_many_runs_as_fit_are_on_a_page_and_the_next_page_has_the_rest(
    store: Store, sign_in: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "RUNS_PER_PAGE", 2)
    for age in range(3):
        dispose(store, run=run_id(age))
    anna = sign_in("anna")
    shown = [[run_id(age) in anna.get(f"/records/?page={page}").text for age in range(3)] for page in (1, 2, 3)]
    assert shown == [[True, True, False], [False, False, True], [False, False, False]]


def test_every_record_is_shown_and_filtered_by_outcome_and_reason(store: Store, sign_in: Client) -> None:
    listed = evidence_factory.records(450)
    keys = [each["key"] for each in listed]
    dispose(store, records=listed, results={keys[0]: OutcomeKind.BLOCKED, keys[449]: OutcomeKind.ABSENT})
    anna = sign_in("anna")
    links = [
        str(value)
        for name, value in Marks(run_page(anna)).attributes
        if name == "href" and "/outcomes?" in str(value) and "task_id=delete" in str(value)
    ]
    (whole,) = [link for link in links if "outcome=" not in link]
    (blocked,) = [link for link in links if "outcome=blocked" in link]

    def shown(link: str) -> list[str]:
        answer = anna.get(link)
        assert answer.status_code == 200
        return [key for key in keys if f'<td class="mono">{key}<' in answer.text]

    assert shown(blocked) == [keys[0]]
    assert shown(blocked.partition("&reason=")[0] + "&reason=another") == []
    assert shown(whole) == keys[:200]
    assert shown(f"{whole}&page=3") == keys[400:]
    assert shown(f"{whole}&outcome=absent") == [keys[449]]
    assert "450 records" in anna.get(whole).text
    reasons = anna.get(whole).text.split('aria-label="Reason"')[1].split("</nav>")[0]
    assert [shown(unescape(link)) for link in re.findall(r'href="([^"]+)"', reasons)] == [[keys[0]], [keys[449]]]
    marked = anna.get(whole.replace("task_id=delete", "task_id=mark")).text
    assert "Opus: 448 records" in marked
    assert "destroyed" not in page_text(marked)
    assert anna.get(whole.replace("task_id=delete", "task_id=none")).status_code == 404
    assert anna.get(f"{whole}&outcome=gone").status_code == 404
    assert sign_in("").get(whole).status_code == 303


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("de", ("Vernichtungen", "22.11.2026, 02:00", "vernichtet", "Freigegeben von", "Wer freigegeben hat")),
        ("nl", ("Vernietigingen", "22 nov 2026, 02:00", "vernietigd", "Goedgekeurd door", "Wie heeft goedgekeurd")),
    ],
)
def test_the_page_speaks_the_language_that_is_set(
    store: Store, sign_in: Client, monkeypatch: pytest.MonkeyPatch, code: str, words: tuple[str, ...]
) -> None:
    dispose(store, people=("j.mueller@example.org",))
    know_run(0)
    monkeypatch.setenv("AIRFLOW__RECORDS__LANGUAGE", code)
    anna = sign_in("anna")
    pages = anna.get("/records/").text + run_page(anna)
    assert f'<html lang="{code}">' in pages
    for each in words:
        assert each in pages
    assert "There is no" not in anna.get("/records/nothing").text


def test_a_language_that_nobody_speaks_is_named(store: Store, sign_in: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__RECORDS__LANGUAGE", "fr")
    answer = sign_in("anna").get("/records/", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert "[records] language is &#39;fr&#39;" in answer.text
