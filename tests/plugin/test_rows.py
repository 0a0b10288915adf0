"""The overview's rows: when a run was due, how it ended, who approved it, and the figures over several runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

import pytest
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from fastapi.testclient import TestClient

from airflow_provider_records.evidence.approval import PERSON, Approval, Rejection
from airflow_provider_records.evidence.authorization import for_part
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.set_aside import OddRow, SetAside
from airflow_provider_records.evidence.slip import Slip
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
from airflow_provider_records.plugin.runs import RunReader
from airflow_provider_records.plugin.status import DisposalRun
from airflow_provider_records.reporting import issue
from tests.evidence import evidence_factory
from tests.minors import since
from tests.plugin.conftest import (
    DAG,
    OTHER,
    Client,
    ask,
    begin,
    dispose,
    form,
    keep_as_asked,
    know_run,
    provenance,
    run_id,
    set_state,
    store_task,
)
from tests.plugin.test_app import page_text, run_page


def state(client: TestClient, run: str = "") -> str:
    """Return the state of a run, which the overview and the page of the run must agree about."""
    overview = client.get("/records/")
    assert overview.status_code == 200
    run = run or run_id(0)
    listed = overview.text.split('<h2 id="runs">')[1]
    (row,) = [row for row in listed.split("<tr") if f'<small class="mono">{run}<' in row]
    (short,) = re.findall(r'<span class="state \w+">(.*?)</span>', row)
    long = re.findall(r'<div class="verdict \w+"><strong>(.*?)</strong>', run_page(client, run))
    assert long == [short]
    return str(short)


def reject(store: Store, manifest: Manifest) -> None:
    """Reject a list in the newest run."""
    asked = {"kind": "airflow", "task": "approve"}
    when = "2026-11-22T07:00:00Z"
    Rejection(
        manifest.digest, "airflow:7", when, asked, "Bea", "<i>court</i> case", dag_id=DAG, run_id=run_id(0)
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
    manifest = Manifest.write(store, evidence_factory.records(30))
    keep_as_asked(store, manifest)
    reject(store, manifest)
    anna = sign_in("anna")
    for known in (False, True):  # by Airflow
        if known:
            know_run(0, "failed")
        assert state(anna) == "Rejected"
        page = run_page(anna)
        said = page_text(page)
        assert "Rejected Nothing was carried out. Rejected by Bea: &lt;i&gt;court&lt;/i&gt; case." in said
        assert "Who rejected" in said
        assert f"/records/manifests/{manifest.digest[7:]}?" in page
        assert "Rejected by Bea" in page_text(anna.get("/records/").text)
    assert anna.get(f"/records/?dag_id={DAG}").status_code == 200
    assert OTHER not in anna.get("/records/").text


@since("3.2")  # teams
def test_a_rejected_run_is_shown_to_nobody_who_may_not_read_its_dag(store: Store, sign_in: Client) -> None:
    reject(store, Manifest.write(store, evidence_factory.records(30)))
    bert = sign_in("bert")
    assert run_id(0) not in bert.get("/records/").text
    assert bert.get(f"/records/run?dag_id={DAG}&run_id={quote(run_id(0), safe='')}").status_code == 404


def test_a_run_of_which_one_list_was_rejected(store: Store, sign_in: Client) -> None:
    dispose(store)
    reject(store, Manifest.write(store, evidence_factory.records(30)))
    know_run(0, "failed")
    anna = sign_in("anna")
    assert state(anna) == "Complete"
    assert "Who rejected" in page_text(run_page(anna))


def test_a_run_whose_approval_ran_out_of_time(store: Store, sign_in: Client) -> None:
    manifest = Manifest.write(store, evidence_factory.records(30))
    keep_as_asked(store, manifest)
    know_run(0, "failed")
    ask(form(manifest.digest), state="failed")
    anna = sign_in("anna")
    assert state(anna) == "Not approved"
    overview = page_text(anna.get("/records/").text)
    assert "Waiting for approval" not in overview
    said = page_text(run_page(anna))
    assert "nobody answered in time" in said
    assert "Failed: approve;" in said
    assert "What was asked" in said


def test_a_run_that_still_waits_for_its_approval(store: Store, sign_in: Client) -> None:
    manifest = Manifest.write(store, evidence_factory.records(30))
    keep_as_asked(store, manifest)
    know_run(0, "running")
    ask(form(manifest.digest))
    anna = sign_in("anna")
    assert state(anna) == "Waiting for approval"
    page = run_page(anna)
    assert "/tasks/approve/required_actions" in page
    assert "The approvals appear when a task has written its summary." in page_text(page)
    assert "data-live" in page.split("<main>")[1]


def test_a_run_that_waits_for_an_approval_elsewhere(store: Store, sign_in: Client) -> None:
    keep_as_asked(store, Manifest.write(store, evidence_factory.records(30)))
    know_run(0, "running")
    assert state(sign_in("anna")) == "Waiting for approval"


def test_a_run_that_failed_before_anybody_was_asked(store: Store, sign_in: Client) -> None:
    dispose(store, run=run_id(1))
    know_run(0, "failed")
    with create_session() as session:
        store_task(session, "due", state="failed")
        store_task(session, "approve", state="upstream_failed")
    anna = sign_in("anna")
    assert state(anna) == "Nothing carried out"
    assert state(anna, run_id(1)) == "Complete"
    for page in (anna.get("/records/").text, run_page(anna)):
        assert "Nobody was asked, and nothing was carried out. Failed: due; Airflow" in page_text(page)
    assert '<span class="state open">Nothing carried out' in anna.get("/records/").text


def test_a_run_in_which_nothing_was_due(store: Store, sign_in: Client) -> None:
    dispose(store, run=run_id(1))
    know_run(0, "success")
    anna = sign_in("anna")
    assert state(anna) == "Nothing carried out"
    assert "nothing was due, or its tasks were skipped" in page_text(run_page(anna))
    assert '<span class="state done">Nothing carried out' in anna.get("/records/").text


def returned(value: object) -> None:
    """Let the approving task of the newest run have returned a value."""
    with create_session() as session:
        store_task(session, "approve", state="success")
        XComModel.set("return_value", value, dag_id=DAG, task_id="approve", run_id=run_id(0), session=session)


def test_a_run_that_was_approved_and_not_carried_out(store: Store, sign_in: Client) -> None:
    """Who withheld what and why is on the page; an approval for another run is not, whatever a task returns."""
    shown = Manifest.write(store, evidence_factory.records(30))
    key = evidence_factory.records(30)[3]["key"]
    left = Manifest.write(store, (record for record in shown if record.key != key))
    keep_as_asked(store, shown)
    (order,) = Order.asked_in(store, DAG, run_id(0))

    def approval(name: str, digest: str) -> str:
        return Approval(
            left.digest,
            f"airflow:{name}",
            "2026-11-22T07:00:00Z",
            {"kind": "airflow", "task": "approve"},
            name,
            approver_type=PERSON,
            order=digest,
            shown=shown.digest,
            withheld={key: "<b>lawsuit</b>"},
        ).write(store)

    foreign = evidence_factory.order(store, shown.digest, dag_id=OTHER, run_id="another")
    know_run(0, "failed")
    uris = [approval("Anna", order.id), approval("Carl", foreign)]
    returned({"manifest": left.uri, "digest": left.digest, "approvals": uris})
    anna = sign_in("anna")
    assert state(anna) == "Not carried out"
    page = run_page(anna)
    said = page_text(page)
    assert f"Record Reason Who Of which list {key} &lt;b&gt;lawsuit&lt;/b&gt; Anna" in said
    assert "Carl" not in said
    assert "Anna" in page_text(anna.get("/records/").text)


def test_what_was_set_aside_is_on_the_page(store: Store, sign_in: Client) -> None:
    dispose(store)
    manifest = Manifest.write(store, evidence_factory.records(9))
    SetAside(manifest.digest, DAG, run_id(0), "due").write(store, [OddRow("x-<1>", "its key comes twice")])
    said = page_text(run_page(sign_in("anna")))
    assert "What was set aside 1 row of which no record could be made" in said
    assert "x-&lt;1&gt; its key comes twice" in said


def test_an_answer_that_could_not_be_followed_is_on_the_pages_of_the_run_and_of_its_list(
    store: Store, sign_in: Client
) -> None:
    dispose(store)
    lists = [Manifest.write(store, evidence_factory.records(count)) for count in (9, 3)]
    for number, manifest in enumerate(lists):
        evidence_factory.approve(store, manifest, "ben")
        at = f"2026-11-22T07:0{number}:00Z"
        Slip(manifest.digest, DAG, run_id(0), "review", "Anna", at, f"slip <{number}>").write(store)
    anna = sign_in("anna")
    said = page_text(run_page(anna))
    assert "An answer could not be followed Anna , 22 Nov 2026, 07:00 UTC, task review: slip &lt;0&gt;" in said
    assert said.index("slip &lt;1&gt;") < said.index("slip &lt;0&gt;")
    path = f"/records/manifests/{lists[0].digest.removeprefix('sha256:')}"
    said = page_text(anna.get(path, params={"dag_id": DAG, "run_id": run_id(0)}).text)
    assert "slip &lt;0&gt;" in said
    assert "slip &lt;1&gt;" not in said


def test_without_any_run_the_page_names_the_store_that_it_reads(store: Store, sign_in: Client) -> None:
    said = page_text(sign_in("anna").get("/records/").text)
    assert "No disposals yet" in said
    assert f"reads the evidence store {store.root} ([records] evidence_path" in said


def test_a_dag_with_a_long_id_is_known_by_its_rejection(store: Store, sign_in: Client) -> None:
    long, manifest = "d" * 220, Manifest.write(store, evidence_factory.records(3))
    Rejection(
        manifest.digest, "airflow:7", "2026-11-22T07:00:00Z", {"kind": "airflow"}, dag_id=long, run_id="r" * 220
    ).write(store)
    said = sign_in("admin").get("/records/").text
    assert "r" * 220 in said
    assert long in said


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


def test_each_iteration_of_a_loop_names_its_approvers(store: Store) -> None:
    """Each has a list of its own, which is approved by itself."""
    for iteration, person in enumerate(("anna", "bert")):
        listed = Manifest.write(store, evidence_factory.records(6)[iteration::2])
        asked = provenance("approve", iteration=iteration)
        approvals = evidence_factory.approve(store, listed, f"{person}@example.org", by=asked)
        evidence_factory.carry_out(store, listed, approvals, by=provenance("delete", iteration=iteration))
    assert row(store, certified=False).approvers == ["anna", "bert"]


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
