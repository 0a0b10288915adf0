"""How a run ended, told from typed facts: the same from a certificate and from the summaries themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, SystemDescription
from airflow_provider_records.exceptions import EvidenceError
from airflow_provider_records.reporting import issue, wording
from airflow_provider_records.reporting.verdict import RunStatus, verdict
from tests.evidence import evidence_factory

GAP = "a task has a journal, and no disposal of it was given"


def disposal(*, dry_run: bool = False, stopped: str | None = None, **counts: int) -> Disposal:
    return Disposal(
        system="enaio",
        description=SystemDescription("enaio"),
        manifest="",
        digest="",
        approved=["sha256:" + "1" * 64],
        approvals=[],
        approval_required=False,
        dry_run=dry_run,
        counts=dict.fromkeys(map(str, OutcomeKind), 0) | counts,
        outcomes="",
        started_at="",
        ended_at="",
        provenance=evidence_factory.provenance("delete"),
        stopped=stopped,
    )


@pytest.mark.parametrize(
    ("status", "level", "title", "text"),
    [
        (RunStatus([]), "open", "Nothing carried out", "No list of this run was carried out"),
        (RunStatus([], [GAP]), "open", "Not complete", f"Left to do: {GAP}."),
        (RunStatus([disposal(not_attempted=4, dry_run=True)]), "rehearsal", "Rehearsal only", "nothing was destroyed"),
        (RunStatus([disposal(dry_run=True)], [GAP]), "open", "Not complete", f"dry run, nothing was sent; {GAP}."),
        (RunStatus([disposal(destroyed=4)], [GAP]), "open", "Not complete", f"Left to do: {GAP}."),
        (
            RunStatus([disposal(destroyed=4, failed=2, unknown=1, stopped="the breaker opened")]),
            "open",
            "Not complete",
            "Left to do: enaio: 2 failed, 1 unknown (the breaker opened).",
        ),
        (RunStatus([disposal()]), "done", "Nothing to destroy", "The lists of this run were empty."),
        (RunStatus([disposal(destroyed=4)]), "done", "Complete", "Every record on the approved lists"),
        (RunStatus([disposal(destroyed=4)], withheld=2), "done", "Complete", "2 records were withheld before approval"),
        (
            RunStatus([disposal(absent=1004, destroyed=3)], withheld=2),
            "partly",
            "Complete, with absent records",
            "1,004 were not there before, and not by this DAG as far as anybody knows. 2 records were withheld",
        ),
        (
            RunStatus([disposal(absent=2, blocked=1)]),
            "partly",
            "Complete, with refusals",
            "Blocked, each with its reason: 1 in enaio. 2 were not there before",
        ),
        (RunStatus([replace(disposal(absent=4), destroyed_earlier=4)]), "done", "Complete", "Every record on"),
        (
            RunStatus([disposal(blocked=1000), disposal(blocked=2, destroyed=1)]),
            "partly",
            "Complete, with refusals",
            "Blocked, each with its reason: 1,000 in enaio and 2 in enaio.",
        ),
    ],
)
def test_verdicts(status: RunStatus, level: str, title: str, text: str) -> None:
    said = verdict(status)
    assert (said.level, said.title) == (level, title)
    assert text in said.text


COUNTS = st.fixed_dictionaries({str(result): st.integers(0, 2) for result in OutcomeKind})


@given(st.lists(st.builds(replace, st.just(disposal()), dry_run=st.booleans(), counts=COUNTS)), st.booleans())
def test_a_run_is_done_only_if_nothing_is_left(disposals: list[Disposal], gap: bool) -> None:
    status = RunStatus(disposals, [GAP] if gap else [])
    left = gap or any(each.dry_run or any(each.counts[r] for r in OutcomeKind if not r.final) for each in disposals)
    assert status.complete is not left
    assert bool(status.left) is left
    assert (verdict(status).level in {"done", "partly"}) is (not left and bool(disposals))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "evidence"))


def test_a_certificate_says_the_same_as_its_summaries(store: Store) -> None:
    listed = Manifest.write(store, evidence_factory.records(9))
    keys = [record.key for record in listed]
    deleted = evidence_factory.carry_out(
        store,
        listed,
        system=evidence_factory.ObedientSystem({keys[0]: OutcomeKind.FAILED, keys[1]: OutcomeKind.BLOCKED}),
    )
    looked = evidence_factory.carry_out(store, listed, dry_run=True, by=evidence_factory.provenance("look"))
    written = issue.write(store, [deleted, looked], evidence_factory.provenance("certificate"))
    status = RunStatus.from_document(certificate.read(store, store.name(written.uri)))
    assert status == RunStatus((deleted, looked))
    assert "enaio: 1 failed; enaio: dry run, nothing was sent" in verdict(status).text


def test_what_a_status_covers(store: Store) -> None:
    listed = Manifest.write(store, evidence_factory.records(9))
    first = evidence_factory.carry_out(store, listed)
    again = evidence_factory.carry_out(store, listed, by=evidence_factory.provenance("delete_enaio", 2))
    looked = evidence_factory.carry_out(store, listed, dry_run=True, by=evidence_factory.provenance("look"))
    assert RunStatus([first]).covers([first])
    assert RunStatus([first]).covers([replace(first, uri="moved"), looked])
    assert not RunStatus([first]).covers([again])
    assert not RunStatus([first]).covers([first, again])
    assert not RunStatus([first, looked]).covers([first])


@pytest.mark.parametrize(
    "change",
    [
        {"disposals": None},
        {"disposals": [{"disposal": {}}]},
        {"approvals": [7]},
        {"approvals": [{"withheld": 7}]},
        {"missing_disposals": [{}]},
        {"undisposed_records": [{"system": "enaio", "digest": "", "count": "many"}]},
    ],
    ids=str,
)
def test_a_document_of_a_wrong_shape(store: Store, change: dict[str, Any]) -> None:
    made = evidence_factory.carry_out(store, Manifest.write(store, evidence_factory.records(3)))
    written = issue.write(store, [made], evidence_factory.provenance("certificate")).certificate.to_dict()
    document = {**written, **change}
    with pytest.raises(EvidenceError, match="The certificate does not have the expected form"):
        RunStatus.from_document(certificate.Certificate.from_dict(document))
    for name in change:
        del document[name]
    with pytest.raises(EvidenceError, match="The certificate does not have the expected form"):
        RunStatus.from_document(certificate.Certificate.from_dict(document))


@pytest.mark.parametrize(
    ("marks", "number"),
    [
        ([disposal(blocked=2, destroyed=8)], 2),
        ([disposal(blocked=1, destroyed=3), disposal(blocked=1, destroyed=5)], 2),
        ([disposal(blocked=2, destroyed=18)], 0),  # a list of its own: the refused ones may have their content still
        ([disposal(destroyed=10)], 0),
        ([], 0),
    ],
)
def test_content_that_is_gone_and_may_not_be_marked_is_an_alarm(marks: list[Disposal], number: int) -> None:
    opus = SystemDescription("Opus", action="mark")
    status = RunStatus([disposal(destroyed=9, absent=1), *(replace(each, description=opus) for each in marks)])
    assert status.alarms == ([wording.refused_marks("Opus", number)] if number else [])


def test_a_refused_mark_without_destroyed_content_is_no_alarm() -> None:
    marked = replace(disposal(blocked=2), description=SystemDescription("Opus", action="mark"))
    assert RunStatus([marked]).alarms == []
    other = replace(disposal(destroyed=2), approved=["sha256:" + "9" * 64])
    assert RunStatus([other, marked]).alarms == []
