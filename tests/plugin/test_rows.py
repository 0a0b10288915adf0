"""The overview's rows: when a run was due, how it ended, who approved it, and the figures over several runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from airflow_provider_records.evidence.approval import Approval, Rejection
from airflow_provider_records.evidence.authorization import for_part
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.plugin import rows
from airflow_provider_records.plugin.access import AirflowRun
from airflow_provider_records.plugin.rows import (
    Row,
    due_at,
    reason_totals,
    run_row,
    run_verdict,
    totals,
    unreadable_row,
)
from airflow_provider_records.plugin.runs import DisposalRun, RunReader
from airflow_provider_records.reporting import issue
from tests.evidence import evidence_factory
from tests.plugin.conftest import DAG, Client, ask, begin, dispose, form, know_run, provenance, run_id, set_state
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
    Rejection(
        manifest.digest, "airflow:7", "2026-11-22T07:00:00Z", {"kind": "airflow"}, dag_id="records", run_id="r"
    ).write(store)


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


# One row, without a server


def airflow_run(state: str = "success", due: datetime = datetime(2026, 11, 22, 2, tzinfo=UTC)) -> AirflowRun:
    return AirflowRun(run_id(0), state, due, "" if state == "running" else "1")


def row(store: Store, known: AirflowRun | None = None, *, due: str = "", run: str = "", certified: bool = True) -> Row:
    found = run_row(RunReader(store), DAG, run or run_id(0), known, due=due, certified=certified)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("folder", "known", "expected"),
    [
        ("anything", airflow_run(), "2026-11-22T02:00:00"),
        ("x", airflow_run(due=datetime(2026, 11, 22, 2, tzinfo=timezone(timedelta(hours=2)))), "2026-11-22T00:00:00"),
        ("scheduled__2026-01-02T03%3A04%3A05%2B00%3A00", airflow_run(), "2026-11-22T02:00:00"),
        ("scheduled__2026-01-02T03%3A04%3A05%2B00%3A00", None, "2026-01-02T03:04:05"),
        ("nightly", None, ""),
        ("2026-01-02", None, ""),
    ],
    ids=["known", "another zone", "known, and in its id", "in its id", "in no id", "a date only"],
)
def test_a_run_is_due_when_airflow_says_or_when_its_id_does(
    folder: str, known: AirflowRun | None, expected: str
) -> None:
    assert due_at(folder, known) == expected


def test_a_run_that_nobody_knows_has_no_row(store: Store) -> None:
    dispose(store)
    assert run_row(RunReader(store), DAG, run_id(5), None, due="", certified=False) is None


def test_a_run_that_only_airflow_knows_has_a_row(store: Store) -> None:
    found = row(store, airflow_run("running"), certified=False)
    assert (found.live, found.verdict.level, found.approvers) == (True, "running", [])


def test_a_run_without_a_known_time_was_due_when_its_first_task_began(store: Store) -> None:
    found = dispose(store, run="nightly")
    assert row(store, run="nightly").due_at == min(each.started_at for each in found)
    assert row(store, run="nightly", due="2026-01-01T00:00:00").due_at == "2026-01-01T00:00:00"


def test_a_row_names_each_approver_once(store: Store) -> None:
    dispose(store, people=("j.mueller@example.org", "a.kaya@example.org"))
    assert row(store).approvers == ["j.mueller", "a.kaya"]


def test_the_first_mapped_instance_names_the_approvers(store: Store) -> None:
    whole = Manifest.write(store, evidence_factory.records(6))
    approvals = evidence_factory.approve(store, whole, "anna@example.org")
    for place in (0, 1):
        by = provenance("delete", map_index=place)
        given = approvals if place == 0 else ()
        evidence_factory.carry_out(store, whole, given, by=by)
    assert row(store, certified=False).approvers == ["anna"]


def test_approvals_that_cannot_be_read_leave_the_row_and_say_so(store: Store) -> None:
    disposal, _ = dispose(store)
    Path(disposal.approvals[0].removeprefix("file://")).unlink()
    found = row(store)
    assert found.run.problem
    assert (found.approvers, found.verdict.title) == ([], "Unreadable")


def test_the_certificate_of_an_active_run_is_not_read(store: Store) -> None:
    dispose(store)
    assert row(store, airflow_run("running")).run.certificate is None
    assert row(store, airflow_run("failed")).run.certificate is not None
    assert row(store, certified=False).run.certificate is None


def test_a_row_that_cannot_be_read_says_why() -> None:
    found = unreadable_row(DAG, "2026-11-22T02:00:00", "the disk is gone")
    assert (found.run.dag_id, found.run.run_id, found.due_at) == (DAG, "", "2026-11-22T02:00:00")
    assert found.verdict == ("open", "Unreadable", "the disk is gone")
    assert not found.live


def interrupted(store: Store) -> DisposalRun:
    """Return a run with a try that has not written its summary."""
    dispose(store, certified=False)
    begin(store, Manifest.write(store, evidence_factory.records(9)), provenance("delete", try_number=2))
    return RunReader(store).read(DAG, run_id(0))


@pytest.mark.parametrize(
    ("problem", "state", "title"),
    [("a file was changed", "running", "Unreadable"), ("", "running", "Running"), ("", "failed", "Interrupted")],
    ids=["unreadable", "running", "interrupted"],
)
def test_a_run_is_unreadable_before_it_is_running_and_running_before_it_is_interrupted(
    store: Store, problem: str, state: str, title: str
) -> None:
    run = interrupted(store)
    assert run_verdict(DisposalRun(DAG, run.run_id, run.tasks, problem), airflow_run(state), ()).title == title


@pytest.mark.parametrize("certified", [False, True])
def test_withheld_records_are_in_the_verdict_with_and_without_a_certificate(store: Store, certified: bool) -> None:
    whole = Manifest.write(store, evidence_factory.records(6))
    first = next(iter(whole)).key
    part = Manifest.write(store, [each for each in whole if each.key != first])
    approval = Approval(
        digest=part.digest,
        approver="anna",
        approved_at="2026-11-22T07:00:00Z",
        source={"kind": "airflow"},
        shown=whole.digest,
        withheld={first: "still needed"},
        **evidence_factory.given(store, whole.digest),
    )
    done = evidence_factory.carry_out(store, part, [approval.write(store)], by=provenance("delete"))
    if certified:
        issue.write(store, [done], provenance("certificate"))
    reader = RunReader(store)
    run = reader.read(DAG, run_id(0), certified=certified)
    assert (run.certificate is not None) is certified
    assert "withheld" in run_verdict(run, None, reader.approvals([done])).text


# Figures over several runs


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_totals_add_up_each_system_over_all_runs(store: Store) -> None:
    first = evidence_factory.records(9)[0]["key"]
    dispose(store, run=run_id(0), results={first: OutcomeKind.BLOCKED})
    dispose(store, run=run_id(1))
    found = totals([row(store), row(store, run=run_id(1))])
    assert list(found) == ["enaio", "opus"]
    assert {kind: number for kind, number in found["enaio"].items() if number} == {"destroyed": 17, "blocked": 1}
    assert {kind: number for kind, number in found["opus"].items() if number} == {"destroyed": 17}
    assert totals([]) == {}


def test_reasons_are_counted_over_runs_the_most_frequent_first(store: Store, pool: Executor) -> None:
    keys = [each["key"] for each in evidence_factory.records(9)]
    dispose(store, run=run_id(0), results={keys[0]: OutcomeKind.BLOCKED, keys[1]: OutcomeKind.FAILED})
    dispose(store, run=run_id(1), results={keys[0]: OutcomeKind.BLOCKED, keys[2]: OutcomeKind.ABSENT})
    found, left_out = reason_totals(RunReader(store), [row(store, run=run_id(age)) for age in (0, 1)], pool)
    assert [(each.system, each.group.kind, each.group.count, each.runs) for each in found] == [
        ("enaio", OutcomeKind.BLOCKED, 2, 2),
        ("enaio", OutcomeKind.FAILED, 1, 1),
    ]
    assert found[0].group.reason == evidence_factory.REASONS[OutcomeKind.BLOCKED]
    assert left_out == 0


def test_a_rehearsal_has_no_reasons(store: Store, pool: Executor) -> None:
    manifest = Manifest.write(store, evidence_factory.records(3))
    evidence_factory.carry_out(store, manifest, by=provenance("look"), dry_run=True)
    assert reason_totals(RunReader(store), [row(store, certified=False)], pool) == ([], 0)


@pytest.mark.parametrize(("largest", "left_out"), [(9, 0), (8, 1)], ids=["at the limit", "above"])
def test_the_reasons_of_a_large_run_are_left_out_and_that_is_counted(
    store: Store, pool: Executor, monkeypatch: pytest.MonkeyPatch, largest: int, left_out: int
) -> None:
    monkeypatch.setattr(rows, "_LARGEST", largest)
    key = evidence_factory.records(9)[0]["key"]
    dispose(store, results={key: OutcomeKind.BLOCKED})
    found, not_counted = reason_totals(RunReader(store), [row(store)], pool)
    assert (len(found), not_counted) == (1 - left_out, left_out)


def test_a_run_whose_outcomes_are_missing_is_counted_as_left_out(store: Store, pool: Executor) -> None:
    key = evidence_factory.records(9)[0]["key"]
    disposal, _ = dispose(store, results={key: OutcomeKind.BLOCKED})
    Path(disposal.outcomes.removeprefix("file://")).unlink()
    assert reason_totals(RunReader(store), [row(store)], pool) == ([], 1)
