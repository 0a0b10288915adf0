"""What the page says of each way a run may end."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from airflow_provider_records.evidence.approval import Approval, Rejection
from airflow_provider_records.evidence.authorization import for_part
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.reporting import issue
from tests.evidence import evidence_factory
from tests.plugin.conftest import Client, ask, dispose, form, know_run, provenance, run_id, set_state
from tests.plugin.test_app import page_text, run_page


def state(client: TestClient, run: str = "") -> str:
    """Return the state of a run, which the overview and the page of the run must agree about."""
    overview = client.get("/records/")
    assert overview.status_code == 200
    run = run or run_id(0)
    (row,) = [row for row in overview.text.split("<tr") if f'<small class="mono">{run}<' in row]
    (short,) = re.findall(r'<span class="state \w+">(.*?)</span>', row)
    long = re.findall(r'<div class="verdict \w+"><strong>(.*?)</strong>', run_page(client, run))
    assert long == [short]
    return str(short)


def reject(store: Store, manifest: Manifest) -> None:
    Rejection(manifest.digest, "airflow:7", "2026-11-22T07:00:00Z", {"kind": "airflow"}).write(store)


@pytest.mark.parametrize("certified", [False, True])
def test_a_finished_rehearsal(store: Store, sign_in: Client, certified: bool) -> None:
    manifest = Manifest.write(store, evidence_factory.records(9))
    rehearsed = evidence_factory.carry_out(store, manifest, by=provenance("delete"), dry_run=True)
    if certified:
        issue.write(store, [rehearsed], provenance("certificate"))
    anna = sign_in("anna")
    assert state(anna) == "Rehearsal only"
    assert "nothing was destroyed" in page_text(run_page(anna))


@pytest.mark.parametrize("certified", [False, True])
@pytest.mark.parametrize("result", [result for result in OutcomeKind if not result.final])
def test_an_incomplete_run(store: Store, sign_in: Client, result: OutcomeKind, certified: bool) -> None:
    keys = [each["key"] for each in evidence_factory.records(9)]
    dispose(store, results={keys[0]: result}, certified=certified)
    dispose(store, run=run_id(1))
    anna = sign_in("anna")
    assert state(anna) == "Not complete"
    assert state(anna, run_id(1)) == "Complete"
    left = f"Left to do: enaio: 1 {result.replace('_', ' ')}"
    assert left in page_text(anna.get("/records/").text)
    assert left in page_text(run_page(anna))


def test_a_rehearsal_beside_a_disposal_is_left_to_do(store: Store, sign_in: Client) -> None:
    dispose(store, certified=False)
    evidence_factory.carry_out(store, Manifest.write(store, ["x"]), by=provenance("look"), dry_run=True)
    anna = sign_in("anna")
    assert state(anna) == "Not complete"
    assert "Left to do: enaio: dry run, nothing was sent." in page_text(run_page(anna))


def test_a_rejected_run(store: Store, sign_in: Client) -> None:
    dispose(store, run=run_id(1))
    reject(store, Manifest.write(store, evidence_factory.records(30)))
    know_run(0, "failed")
    anna = sign_in("anna")
    assert state(anna, run_id(1)) == "Complete"
    assert run_id(0) not in anna.get("/records/").text
    said = page_text(run_page(anna))
    assert "Nothing carried out No list of this run was carried out: an approval was refused or is missing" in said
    assert "Nobody: no list of this run was carried out." in said


def test_a_run_of_which_one_list_was_rejected(store: Store, sign_in: Client) -> None:
    dispose(store)
    reject(store, Manifest.write(store, evidence_factory.records(30)))
    know_run(0, "failed")
    assert state(sign_in("anna")) == "Complete"


def test_a_run_whose_approval_ran_out_of_time(store: Store, sign_in: Client) -> None:
    dispose(store, run=run_id(1))
    manifest = Manifest.write(store, evidence_factory.records(30))
    know_run(0, "failed")
    ask(form(manifest.digest), state="failed")
    anna = sign_in("anna")
    assert state(anna, run_id(1)) == "Complete"
    overview = page_text(anna.get("/records/").text)
    assert "Waiting for approval" not in overview
    assert run_id(0) not in overview
    assert "Nothing carried out" in page_text(run_page(anna))


def test_a_run_that_still_waits_for_its_approval(store: Store, sign_in: Client) -> None:
    know_run(0, "running")
    ask(form(Manifest.write(store, evidence_factory.records(30)).digest))
    anna = sign_in("anna")
    assert "Waiting for approval" in page_text(anna.get("/records/").text)
    page = run_page(anna)
    assert "Running" in page_text(page)
    assert "The approvals appear when a task has written its summary." in page_text(page)
    assert "data-live" in page.split("<main>")[1]


def test_a_rehearsal_that_was_killed_before_it_summed_up(store: Store, sign_in: Client) -> None:
    store.write(f"{provenance('delete').folder.path}/outcomes/{'ab' * 32}.jsonl", b"")
    anna = sign_in("anna")
    assert "No disposals yet" in page_text(anna.get("/records/").text)
    know_run(0, "failed")
    assert state(anna) == "Nothing carried out"


def test_a_gap_that_only_the_certificate_knows(store: Store, sign_in: Client) -> None:
    """The part that never began has no file; a rehearsal beside it need not stand on the certificate."""
    whole = Manifest.write(store, evidence_factory.records(9))
    (given,) = [Approval.read(store, uri) for uri in evidence_factory.approve(store, whole, "a")]
    parts = [Manifest.write(store, list(whole)[:5]), Manifest.write(store, list(whole)[5:])]
    disposals = []

    def carry_out(place: int) -> None:
        approval = for_part(given, parts[place].digest).write(store)
        origin = provenance("delete", map_index=place)
        disposals.append(evidence_factory.carry_out(store, parts[place], [approval], by=origin))

    evidence_factory.carry_out(store, whole, by=provenance("look"), dry_run=True)
    carry_out(0)
    issue.write(store, disposals, provenance("certificate"))
    gap = "enaio: 4 records of the approved list"
    anna = sign_in("anna")
    assert state(anna) == "Not complete"
    assert gap in page_text(run_page(anna))
    # What is newer than the certificate counts for more than what it says.
    carry_out(1)
    know_run(0)
    assert gap not in page_text(run_page(anna))
    assert "dry run, nothing was sent" in page_text(run_page(anna))
    issue.write(store, disposals, provenance("certificate"))
    set_state("failed")
    assert state(anna) == "Complete"
