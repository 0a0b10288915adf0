"""What a certificate says."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.authorization import for_part
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import PROCESS_DIED, Outcome, OutcomeKind, Proof, now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalError, EvidenceError, JournalError
from airflow_provider_records.reporting import wording
from airflow_provider_records.reporting.verdict import verdict
from tests.evidence import evidence_factory
from tests.reporting.certified import (
    KEY,
    Page,
    certify,
    forget,
    html,
    in_parts,
    keys,
    night,
    status,
)


def test_a_night(store: Store, listed: Manifest) -> None:
    document = certify(store, *night(store, listed), key=KEY)
    assert (document["format"], document["version"]) == ("airflow-records/certificate", 1)
    assert document["complete"] is True
    assert (document["run"]["dag_id"], document["run"]["run_id"]) == (evidence_factory.DAG, evidence_factory.RUN)
    assert document["provenance"] == evidence_factory.provenance("certificate").to_dict()
    assert document["scope"] == {
        "systems": ["enaio", "opus"],
        "selection": [
            {"connector_id": "3f0c6a52-8d1e-4b7a-9c35-5e2a71d04b68", "due_before": "2026-11-21T12:00:00"},
        ],
        "time_zone": "UTC",
    }
    none = dict.fromkeys(map(str, OutcomeKind), 0)
    assert document["counts"] == {
        "enaio": none | {"destroyed": 38, "absent": 1, "blocked": 1},
        "opus": none | {"destroyed": 38},
    }
    assert {(each["digest"], each["count"]) for each in document["manifests"]} == {
        (listed.digest, 40),
        (document["disposals"][1]["disposal"]["digest"], 38),
    }
    approvals = sorted(document["approvals"], key=lambda each: str(each["approver"]))
    assert [(each["approver"], each["digest"], each["comment"]) for each in approvals] == [
        ("j.weber@example.org", listed.digest, "checked"),
        ("u.groessmann@example.org", listed.digest, "checked"),
    ]
    deleted, marked = document["disposals"]
    assert deleted["method"] == "Deleted permanently from enaio (hard delete)"
    assert marked["method"] == "Status set to Destroyed in Opus; deletes no content"
    assert deleted["proofs"] == {"response": 40}
    assert [(each["outcome"], each["count"], each["keys"]) for each in deleted["not_destroyed"]] == [
        ("blocked", 1, [keys(listed)[3]]),
        ("absent", 1, [keys(listed)[7]]),
    ]
    assert deleted["not_destroyed"][0]["reason"] == evidence_factory.REASONS[OutcomeKind.BLOCKED]
    assert marked["not_destroyed"] == []
    assert [(each["try"], each["segments"] > 2) for each in deleted["journal"]] == [(1, True)]


def test_names_every_file_by_its_hash(store: Store, listed: Manifest) -> None:
    disposals = night(store, listed)
    names = [name for folder in ("manifests", "approvals", "orders", "disposals") for name in store.names(folder)]
    assert certify(store, *disposals)["files"] == [
        {"name": name, "sha256": hashlib.sha256(store.read(name)).hexdigest(), "size": len(store.read(name))}
        for name in sorted(names)
    ]


@pytest.mark.parametrize(
    ("result", "complete"),
    [
        (OutcomeKind.DESTROYED, True),
        (OutcomeKind.RECYCLED, True),
        (OutcomeKind.ABSENT, True),
        (OutcomeKind.BLOCKED, True),
        (OutcomeKind.FAILED, False),
        (OutcomeKind.UNKNOWN, False),
    ],
)
def test_complete_means_nothing_left_for_another_try(
    store: Store, listed: Manifest, result: OutcomeKind, complete: bool
) -> None:
    told = evidence_factory.ObedientSystem({keys(listed)[0]: result})
    document = certify(
        store, evidence_factory.carry_out(store, listed, evidence_factory.approve(store, listed, "a"), system=told)
    )
    assert document["complete"] is complete
    assert status(document).left == ("" if complete else f"enaio: 1 {result}")


def test_a_dry_run_is_not_complete(store: Store, listed: Manifest) -> None:
    document = certify(store, evidence_factory.carry_out(store, listed, dry_run=True))
    assert document["complete"] is False
    assert status(document).left == "enaio: dry run, nothing was sent"
    assert document["disposals"][0]["method"].startswith("Dry run")
    assert any(each.startswith("Dry run: task delete_enaio") for each in document["statements"])
    assert [len(each["keys"]) for each in document["disposals"][0]["not_destroyed"]] == [40]


def test_an_empty_list_is_complete(store: Store) -> None:
    document = certify(store, evidence_factory.carry_out(store, Manifest.write(store, [])))
    assert document["complete"] is True
    assert document["disposals"][0]["method"] == "The list was empty; nothing was sent"
    assert "Nothing to destroy" in html(store)


def test_says_what_it_does_not_cover(store: Store, listed: Manifest) -> None:
    def said(**options: Any) -> str:
        return "\n".join(certify(store, evidence_factory.carry_out(store, listed, **options))["statements"])

    approvals = evidence_factory.approve(store, listed, "a")
    first = said(approvals=approvals)
    assert "Backups, replicas, exports" in first
    assert "Holds are those of the register of this evidence store" in first
    assert "no proof about media" in first
    assert "needs no approval" not in first
    (bin_,) = evidence_factory.covered({"soft": ("enaio",)})
    soft = said(
        approvals=evidence_factory.approve(store, listed, "a", tasks=[replace(bin_, method="recycle")]),
        description=evidence_factory.describe("enaio", hard_delete=False),
        by=evidence_factory.provenance("soft"),
        system=evidence_factory.ObedientSystem(usual=OutcomeKind.RECYCLED),
    )
    assert "can be restored until the bin is emptied" in soft
    assert "no proof about media" not in soft
    assert "needs no approval (require_approval=False)" in said(by=evidence_factory.provenance("bold"))
    assert "Destroyed in Opus is a status" in said(name="opus", by=evidence_factory.provenance("mark"))


class Inferring(evidence_factory.ObedientSystem):
    """Every outcome is inferred."""

    def _outcome(self, record: Any) -> Outcome:
        return Outcome(record.key, OutcomeKind.DESTROYED, Proof.INFERRED, "not found after our own unanswered call")


def test_says_what_is_only_inferred(store: Store, listed: Manifest) -> None:
    document = certify(store, evidence_factory.carry_out(store, listed, system=Inferring()))
    assert document["disposals"][0]["proofs"] == {"inferred": 40}
    assert any(
        each.startswith("40 outcomes in enaio (task delete_enaio) are inferred") for each in document["statements"]
    )


class Died(evidence_factory.ObedientSystem):
    """An earlier process of ours died: of the first three calls it is not known whether they left."""

    def _outcome(self, record: Any) -> Outcome:
        first = record.key in self.first
        reason = PROCESS_DIED if first else "our own call went unanswered"
        return Outcome(record.key, OutcomeKind.DESTROYED, Proof.INFERRED, reason)

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        self.first = {record.key for record in records[:3]}
        return super().prepare(records, observed_before)


def test_says_in_a_line_of_its_own_where_it_is_not_known_whether_a_call_left(store: Store, listed: Manifest) -> None:
    document = certify(store, evidence_factory.carry_out(store, listed, system=Died()))
    (entry,) = document["disposals"]
    assert (entry["proofs"], entry["process_died"]) == ({"inferred": 40}, 3)
    said = [each for each in document["statements"] if "inferred" in each]
    assert len(said) == 2
    assert said[0].startswith("37 outcomes in enaio (task delete_enaio) are inferred: the record was seen there")
    assert said[1].startswith("3 outcomes in enaio (task delete_enaio) are inferred after our process died; whether")
    assert all(line in html(store) for line in said)


def test_part_of_a_longer_approved_list(store: Store, listed: Manifest) -> None:
    (whole,) = evidence_factory.approve(store, listed, "a")
    part = Manifest.write(store, list(listed)[:15])
    approval = for_part(Approval.read(store, whole), part.digest).write(store)
    document = certify(store, evidence_factory.carry_out(store, part, [approval]))
    assert {store.uri(each["file"]) for each in document["approvals"]} == {whole, approval}
    assert {each["digest"] for each in document["manifests"]} == {listed.digest, part.digest}


def test_parts_of_mapped_tasks_add_up(store: Store, listed: Manifest) -> None:
    parts = [Manifest.write(store, list(listed)[:15]), Manifest.write(store, list(listed)[15:])]
    disposals = [
        evidence_factory.carry_out(store, part, by=evidence_factory.provenance("delete", map_index=place))
        for place, part in enumerate(parts)
    ]
    assert certify(store, *disposals)["counts"]["enaio"]["destroyed"] == 40


@pytest.mark.parametrize(
    ("instance", "said"),
    [
        ({}, "Task delete, try 1"),
        ({"map_index": 1}, "Task delete, part 2, try 1"),
        ({"iteration": 0}, "Task delete, part 1, try 1"),
        ({"map_index": 1, "iteration": 2}, "Task delete, part 2.3, try 1"),
    ],
)
def test_the_page_tells_instances_of_a_task_apart(
    store: Store, listed: Manifest, instance: dict[str, Any], said: str
) -> None:
    certify(store, evidence_factory.carry_out(store, listed, by=evidence_factory.provenance("delete", **instance)))
    assert said in html(store)


def test_all_parts_are_the_whole_though_the_mark_leaves_out_what_was_blocked(store: Store, listed: Manifest) -> None:
    told = evidence_factory.ObedientSystem(
        {keys(listed)[3]: OutcomeKind.BLOCKED, keys(listed)[20]: OutcomeKind.BLOCKED}
    )
    document = certify(store, *in_parts(store, listed, told))
    assert (document["missing_disposals"], document["undisposed_records"], document["complete"]) == ([], [], True)
    assert status(document).left == ""
    assert "What has no disposal" not in html(store)


def test_a_part_that_began_and_summed_nothing_up_is_named(store: Store, listed: Manifest) -> None:
    """A mapped task that was killed on its last try pushed nothing, and Airflow passes over it in silence."""
    deleted, marked, killed, unmarked = in_parts(store, listed)
    forget(store, unmarked)
    folder = killed.provenance.folder.path
    for name in store.names(folder):
        if "/journal/" not in name:
            Path(store.uri(name).removeprefix("file://")).unlink()
    document = certify(store, deleted, marked)
    journal = store.names(folder)
    assert document["missing_disposals"] == [{"task": folder, "journal_files": len(journal)}]
    assert document["undisposed_records"] == [
        {"system": system, "digest": listed.digest, "count": 25} for system in ("enaio", "opus")
    ]
    assert document["complete"] is False
    assert set(journal) <= {each["name"] for each in document["files"]}
    gaps = wording.gaps(document)
    assert gaps[0].startswith(f"{folder} has a journal, and no disposal of it was given")
    assert gaps[1].startswith(f"enaio: 25 records of the approved list {listed.digest} have no disposal")
    assert status(document).left == "; ".join(gaps)
    text = "".join(Page(html(store)).text)
    assert all(text.count(gap) == 2 for gap in gaps)
    assert "Not complete" in text


@pytest.mark.parametrize(("left_out", "system"), [(2, "enaio"), (3, "opus")])
def test_a_part_that_never_began_leaves_records_uncovered(
    store: Store, listed: Manifest, left_out: int, system: str
) -> None:
    disposals = in_parts(store, listed)
    forget(store, disposals.pop(left_out))
    document = certify(store, *disposals)
    assert document["missing_disposals"] == []
    assert document["undisposed_records"] == [{"system": system, "digest": listed.digest, "count": 25}]
    assert document["complete"] is False


def test_another_task_of_the_run_that_is_given_nowhere_is_named(store: Store, listed: Manifest) -> None:
    disposals = night(store, listed)
    other = evidence_factory.carry_out(store, Manifest.write(store, ["x"]), by=evidence_factory.provenance("journal"))
    evidence_factory.carry_out(
        store, Manifest.write(store, ["y"]), by=evidence_factory.provenance("delete_enaio", run="another_night")
    )
    evidence_factory.carry_out(
        store, Manifest.write(store, ["z"]), by=evidence_factory.provenance("look"), dry_run=True
    )
    document = certify(store, *disposals)
    assert [each["task"] for each in document["missing_disposals"]] == [other.provenance.folder.path]
    assert document["undisposed_records"] == []
    assert certify(store, *disposals, other)["complete"] is True


def test_a_rehearsal_beside_a_deed_that_is_not_given_is_no_rehearsal(store: Store, listed: Manifest) -> None:
    evidence_factory.carry_out(store, listed)
    rehearsed = evidence_factory.carry_out(store, listed, by=evidence_factory.provenance("look"), dry_run=True)
    assert verdict(status(certify(store, rehearsed))).level == "open"


def test_what_a_later_reviewer_took_out_needs_no_disposal(store: Store, listed: Manifest) -> None:
    (first,) = evidence_factory.approve(store, listed, "a")
    rest = Manifest.write(store, list(listed)[2:])
    withhold = dict.fromkeys(keys(listed)[:2], "a lawsuit is pending")
    source = {"kind": "airflow", "task": "second"}
    ordered = evidence_factory.given(store, listed.digest)
    second = Approval(
        rest.digest,
        "b",
        now(),
        source,
        shown=listed.digest,
        withheld=withhold,
        **ordered,
    )
    kept = for_part(Approval.read(store, first), rest.digest)
    assert kept.part_of == listed.digest
    disposal = evidence_factory.carry_out(store, rest, [kept.write(store), second.write(store)])
    document = certify(store, disposal)
    assert (document["undisposed_records"], document["complete"]) == ([], True)


def test_as_many_people_as_the_task_demanded(store: Store, listed: Manifest) -> None:
    def demanded(number: object, *people: str) -> dict[str, Any]:
        task_id = f"delete_{number}_{'_'.join(people)}"
        origin, tasks = evidence_factory.provenance(task_id), evidence_factory.covered({task_id: ("enaio",)})
        options = {"min_approvals": number}
        return certify(
            store,
            evidence_factory.carry_out(
                store, listed, evidence_factory.approve(store, listed, *people, tasks=tasks), options=options, by=origin
            ),
        )

    assert demanded(2, "a", "b")["disposals"][0]["disposal"]["options"]["min_approvals"] == 2
    assert "Task delete_2_a_b demanded the approval of at least 2 different persons." in html(store)
    with pytest.raises(ApprovalError, match=f"{listed.digest} has 1 distinct approvers and needs 2"):
        demanded(2, "a")
    with pytest.raises(ApprovalError, match="has 1 distinct approvers"):
        demanded(2, "a", "a")
    for number in (0, True, "2", 1.5):
        with pytest.raises(EvidenceError, match="must be a whole number of at least 1"):
            demanded(number, "a")


def test_a_zombies_late_answer_is_listed_and_not_counted(store: Store, listed: Manifest) -> None:
    """An older try publishes an answer after the newer one has read its journal."""
    origin, key = evidence_factory.provenance("delete_enaio"), keys(listed)[0]
    old = evidence_factory.journal(store, listed, origin, clock=lambda: time.time() - 3600)
    old.intend([key])
    newer = evidence_factory.carry_out(
        store,
        listed,
        system=evidence_factory.ObedientSystem({key: OutcomeKind.BLOCKED}),
        by=evidence_factory.provenance("delete_enaio", 2),
    )
    old.record([Outcome(key, OutcomeKind.DESTROYED, Proof.RESPONSE, time=now())])
    document = certify(store, newer)
    assert document["counts"]["enaio"]["blocked"] == 1
    assert document["disposals"][0]["uncounted"] == [{"key": key, "outcome": "destroyed"}]
    assert any("holds 1 answer that its summary does not count" in each for each in document["statements"])
    assert "answers that are not counted above, 1" in html(store)


def test_a_summary_that_says_less_than_its_journal_is_not_certified(store: Store, listed: Manifest) -> None:
    """Clearing a whole run after its night lists nothing any more; the journal still knows what was destroyed."""
    evidence_factory.carry_out(store, listed, evidence_factory.approve(store, listed, "a"))
    again = evidence_factory.carry_out(
        store, Manifest.write(store, []), by=evidence_factory.provenance("delete_enaio", 2)
    )
    with pytest.raises(JournalError, match="says that nothing was sent; its journal says otherwise"):
        certify(store, again)
