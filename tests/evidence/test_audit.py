"""What the files of a run say together, and what is refused: evidence that is missing, was changed or does not fit."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.audit import AuditResult, Parts, audit, missing_disposals
from airflow_provider_records.evidence.authorization import Authorization, for_part
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof, now
from airflow_provider_records.evidence.reader import EvidenceReader, manifest_name
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import ApprovalError, EvidenceError, JournalError, NewerFormatError
from tests.evidence import evidence_factory
from tests.evidence.evidence_factory import ObedientSystem, provenance


@pytest.fixture
def listed(store: Store) -> Manifest:
    return Manifest.write(store, evidence_factory.records(40))


def audited(store: Store, *disposals: Disposal) -> AuditResult:
    return audit(EvidenceReader(store, store.root), {store.name(each.uri): each for each in disposals})


def keys(manifest: Manifest) -> list[str]:
    return [record.key for record in manifest]


def deleted(store: Store, listed: Manifest) -> Disposal:
    """Carry out an approved list with two refusals, out of the order of their severity, and one that was absent."""
    told = {
        keys(listed)[3]: OutcomeKind.BLOCKED,
        keys(listed)[7]: OutcomeKind.ABSENT,
        keys(listed)[9]: OutcomeKind.BLOCKED,
    }
    approvals = evidence_factory.approve(store, listed, "j.weber@example.org", "u.groessmann@example.org")
    return evidence_factory.carry_out(store, listed, approvals, system=ObedientSystem(told))


def test_what_is_on_a_certificate_follows_from_the_files(store: Store, listed: Manifest) -> None:
    disposal = deleted(store, listed)
    found = audited(store, disposal)
    (entry,) = found.facts["disposals"]
    assert found.facts["complete"] is entry["complete"] is True
    assert found.facts["counts"] == {"enaio": dict(disposal.counts)}
    assert found.facts["manifests"] == [{"file": manifest_name(listed.digest), "digest": listed.digest, "count": 40}]
    assert [approval["approver"] for approval in found.facts["approvals"]] == [
        Approval.read(store, store.uri(name)).approver for name in store.names("approvals")
    ]
    assert found.facts["scope"]["systems"] == ["enaio"]
    assert {each["due_before"] for each in found.facts["scope"]["selection"]} == {"2026-11-21T12:00:00"}
    assert entry["disposal"] == disposal.to_dict()
    assert entry["proofs"] == {"response": 40}
    assert [(each["outcome"], each["keys"]) for each in entry["not_destroyed"]] == [
        ("blocked", [keys(listed)[3], keys(listed)[9]]),
        ("absent", [keys(listed)[7]]),
    ]
    assert [(each["try"], each["segments"] > 1) for each in entry["journal"]] == [(1, True)]
    assert (entry["uncounted"], found.facts["missing_disposals"], found.facts["undisposed_records"]) == ([], [], [])
    assert found.names == store.names("")


def test_a_dry_run_is_not_complete(store: Store, listed: Manifest) -> None:
    found = audited(store, evidence_factory.carry_out(store, listed, dry_run=True))
    assert (found.facts["complete"], found.facts["disposals"][0]["complete"]) == (False, False)


def test_one_disposal_that_is_left_makes_the_whole_incomplete(store: Store, listed: Manifest) -> None:
    left = evidence_factory.carry_out(
        store, listed, system=ObedientSystem(usual=OutcomeKind.FAILED), by=provenance("left")
    )
    done = deleted(store, listed)
    found = audited(store, done, left)
    assert [entry["complete"] for entry in found.facts["disposals"]] == [True, False]
    assert found.facts["complete"] is False
    assert found.facts["counts"]["enaio"] == {kind: number + left.counts[kind] for kind, number in done.counts.items()}


def test_an_answer_that_an_older_try_wrote_late_is_listed_and_not_counted(store: Store, listed: Manifest) -> None:
    key = keys(listed)[0]
    folder = provenance("delete_enaio").folder
    started, hour_ago = evidence_factory.STARTED, lambda: time.time() - 3600
    place = evidence_factory.place_of("enaio", evidence_factory.describe("enaio"))
    old = Journal(store, folder, listed.digest, started=started, try_number=1, clock=hour_ago, place=place)
    old.intend([key])
    newer = evidence_factory.carry_out(
        store, listed, system=ObedientSystem({key: OutcomeKind.BLOCKED}), by=provenance("delete_enaio", 2)
    )
    old.record([Outcome(key, OutcomeKind.DESTROYED, Proof.RESPONSE, time=now())])
    (entry,) = audited(store, newer).facts["disposals"]
    assert entry["disposal"]["counts"]["blocked"] == 1
    assert entry["uncounted"] == [{"key": key, "outcome": "destroyed"}]


def test_a_file_that_came_later_does_not_count(store: Store, listed: Manifest) -> None:
    disposal = deleted(store, listed)
    file = store.name(disposal.uri)
    names = frozenset(store.names(""))
    before = audited(store, disposal)
    evidence_factory.carry_out(store, listed, by=provenance("later"))
    evidence_factory.journal(store, listed, provenance("delete_enaio", 2))
    assert audit(EvidenceReader(store, store.root, names), {file: disposal}) == before
    assert audit(EvidenceReader(store, store.root, names), {file: disposal}).names == sorted(names)


def test_a_task_that_has_a_journal_and_no_disposal_is_missing(store: Store, listed: Manifest) -> None:
    disposal = deleted(store, listed)
    origin = provenance("part.delete", map_index=3)
    evidence_factory.journal(store, listed, origin).intend(keys(listed)[:1])
    file = store.name(disposal.uri)
    found, journals = missing_disposals(store, None, [file])
    assert found == [{"task": origin.folder.path, "journal_files": 2}]
    assert journals == set(store.names(origin.folder.journal))
    assert missing_disposals(store, {file}, [file]) == ([], set())
    whole = audited(store, disposal)
    assert (whole.facts["missing_disposals"], whole.facts["complete"]) == (found, False)
    assert journals < set(whole.names)


def test_another_run_is_not_looked_at(store: Store, listed: Manifest) -> None:
    disposal = deleted(store, listed)
    evidence_factory.journal(store, listed, provenance("delete_enaio", run="another"))
    assert missing_disposals(store, None, [store.name(disposal.uri)]) == ([], set())


def part(system: str, whole: str, own: str, withheld: str = "") -> tuple[Disposal, Authorization]:
    """A disposal of a part, as the audit gives it to :class:`Parts`."""
    approval = Approval(own, "a", "2026-11-22T07:00:00Z", {"kind": "part"}, part_of=whole, **evidence_factory.GIVEN)
    disposal = Disposal.from_dict(
        {
            "system": system,
            "description": {"title": system},
            "manifest": "",
            "digest": own,
            "approved": [own],
            "approvals": [],
            "approval_required": True,
            "dry_run": False,
            "counts": {},
            "outcomes": "",
            "started_at": "",
            "ended_at": "",
            "provenance": provenance("part").to_dict(),
        }
    )
    return disposal, Authorization(own, [approval], [approval], dict.fromkeys(withheld, approval), own)


LINES = {
    "whole": [(key, key.encode()) for key in "abcd"],
    "first": [("a", b"a"), ("b", b"b")],
    "rest": [("c", b"c"), ("d", b"d")],
    "changed": [("c", b"c"), ("d", b"D")],
}


@pytest.mark.parametrize(
    ("given", "undisposed"),
    [
        ([], []),
        ([("enaio", "first"), ("enaio", "rest")], []),
        ([("enaio", "first")], [("enaio", 2)]),
        ([("enaio", "first"), ("enaio", "first")], [("enaio", 2)]),
        ([("enaio", "first"), ("opus", "rest")], [("enaio", 2), ("opus", 2)]),
        ([("enaio", "first"), ("enaio", "changed")], [("enaio", 1)]),
    ],
    ids=["no parts", "all parts", "one part", "one part twice", "each to another system", "a changed line"],
)
def test_every_system_is_given_every_record_of_a_list_that_was_cut(
    given: list[tuple[str, str]], undisposed: list[tuple[str, int]]
) -> None:
    parts = Parts()
    for system, own in given:
        parts.take(*part(system, "whole", own))
    expected = [{"system": system, "digest": "whole", "count": count} for system, count in undisposed]
    assert parts.undisposed_records(LINES.__getitem__) == expected


def test_what_a_reviewer_withheld_from_the_whole_list_is_not_undisposed() -> None:
    parts = Parts()
    parts.take(*part("enaio", "whole", "first", withheld="c"))
    assert parts.undisposed_records(LINES.__getitem__) == [{"system": "enaio", "digest": "whole", "count": 1}]


def test_a_newer_file_is_called_newer(store: Store, listed: Manifest) -> None:
    disposal = deleted(store, listed)
    line = formats.Format("outcomes", 2).line
    uri, _, _ = store.write_lines(disposal.provenance.folder.outcomes, line, [b"of another form\n"])
    with pytest.raises(NewerFormatError):
        audited(store, Disposal(**{**vars(disposal), "outcomes": uri}))


def test_outcomes_in_the_folder_of_another_task_are_refused(store: Store, listed: Manifest) -> None:
    disposal = deleted(store, listed)
    other = evidence_factory.carry_out(store, listed, by=provenance("other"))
    with pytest.raises(EvidenceError, match="do not lie in the folder of their task"):
        audited(store, Disposal(**{**vars(disposal), "outcomes": other.outcomes}))


def test_an_approval_that_lacks_is_said_with_the_file_that_needs_it(store: Store, listed: Manifest) -> None:
    disposal = Disposal(**{**vars(deleted(store, listed)), "approvals": []})
    with pytest.raises(ApprovalError, match=re.escape(f"{store.name(disposal.uri)}: The list")):
        audited(store, disposal)


def test_whatever_a_file_holds_is_an_error_of_ours(store: Store, listed: Manifest) -> None:
    disposal = deleted(store, listed)
    folder = disposal.provenance.folder.outcomes
    for line in (b"null\n", b"[]\n", b'{"key":7}\n', b'{"outcome":"blocked"}\n'):
        uri, _, _ = store.write_lines(folder, formats.OUTCOMES.line, [line])
        with pytest.raises(EvidenceError, match=r"not of its form|do not follow the list"):
            audited(store, Disposal(**{**vars(disposal), "outcomes": uri}))


def test_refuses_what_does_not_add_up(store: Store, listed: Manifest) -> None:
    disposal = deleted(store, listed)
    wrong = dict(disposal.counts) | {"destroyed": 39, "blocked": 0}
    changed = Disposal(**{**vars(disposal), "counts": wrong})
    with pytest.raises(EvidenceError, match="do not add up to the counts"):
        audited(store, changed)


def forge_outcomes(store: Store, disposal: Disposal, lines: list[bytes]) -> Disposal:
    """Replace the outcomes of a disposal by others that fit their own name."""
    uri, _, _ = store.write_lines(disposal.provenance.folder.outcomes, formats.OUTCOMES.line, lines)
    found = dict.fromkeys(map(str, OutcomeKind), 0)
    for line in lines:
        found[json.loads(line)["outcome"]] += 1
    forged = Disposal(**{**vars(disposal), "outcomes": uri, "counts": found})
    return forged.write(store)


def test_refuses_outcomes_that_the_journal_does_not_know(store: Store, listed: Manifest) -> None:
    disposal = deleted(store, listed)
    lines = store.read(store.name(disposal.outcomes)).splitlines(keepends=True)[1:]
    forged = forge_outcomes(store, disposal, [line.replace(b'"blocked"', b'"destroyed"') for line in lines])
    with pytest.raises(JournalError, match="is destroyed; its journal says blocked"):
        audited(store, forged)
    swapped = forge_outcomes(store, disposal, [lines[1], lines[0], *lines[2:]])
    with pytest.raises(EvidenceError, match="number 1 is about"):
        audited(store, swapped)
    short = forge_outcomes(store, disposal, lines[:-1])
    with pytest.raises(EvidenceError, match="39 outcomes for 40 records"):
        audited(store, short)
    long = forge_outcomes(store, disposal, [*lines, lines[0]])
    with pytest.raises(EvidenceError, match="no more records"):
        audited(store, long)


def test_refuses_outcomes_without_a_journal(store: Store, listed: Manifest) -> None:
    disposal = deleted(store, listed)
    for name in store.names(disposal.provenance.folder.path + "/journal"):
        Path(store.uri(name).removeprefix("file://")).unlink()
    with pytest.raises(JournalError, match="there is no journal of it"):
        audited(store, disposal)


def test_refuses_what_a_newer_try_has_begun(store: Store, listed: Manifest) -> None:
    disposal = deleted(store, listed)
    evidence_factory.journal(store, listed, provenance("delete_enaio", 2))
    with pytest.raises(JournalError, match=r"ends with session .* \(try 2\), but the summary is of try 1"):
        audited(store, disposal)


def test_refuses_records_outside_the_approved_list(store: Store, listed: Manifest) -> None:
    approvals = evidence_factory.approve(store, listed, "a")
    more = Manifest.write(store, [*listed, {"key": "not-approved"}])
    disposal = evidence_factory.carry_out(store, more, approvals, approved=listed)
    with pytest.raises(ApprovalError, match=r"'not-approved' of the list .* is not on the list that was approved"):
        audited(store, disposal)


def test_refuses_a_journal_outside_the_approved_list(store: Store, listed: Manifest) -> None:
    """A call for a record that nobody approved is found even if no summary speaks of it."""
    opened = evidence_factory.journal(store, listed, provenance("delete_enaio"))
    opened.intend(["smuggled"])
    opened.record([Outcome("smuggled", OutcomeKind.DESTROYED, Proof.RESPONSE, time=now())])
    disposal = evidence_factory.carry_out(
        store, listed, evidence_factory.approve(store, listed, "a"), by=provenance("delete_enaio", 2)
    )
    with pytest.raises(JournalError, match="'smuggled', which is on no approved list"):
        audited(store, disposal)


def test_refuses_missing_and_foreign_approvals(store: Store, listed: Manifest) -> None:
    approvals = evidence_factory.approve(store, listed, "a")
    disposal = evidence_factory.carry_out(store, listed, approvals)
    with pytest.raises(ApprovalError, match=f"{listed.digest} has 0 distinct approvers and needs 1"):
        audited(store, Disposal(**{**vars(disposal), "approvals": []}))
    other = evidence_factory.approve(store, Manifest.write(store, ["other"]), "a")
    with pytest.raises(ApprovalError, match="is for another list"):
        audited(store, Disposal(**{**vars(disposal), "approvals": [*approvals, *other]}))


@pytest.mark.parametrize("field", ["approver", "part_of"])
def test_refuses_a_part_that_does_not_fit_its_whole(store: Store, listed: Manifest, field: str) -> None:
    (whole,) = evidence_factory.approve(store, listed, "a")
    part = Manifest.write(store, list(listed)[:15])
    fields: dict[str, Any] = {"approver": "a", "part_of": listed.digest, field: part.digest}
    source = {"kind": "part", "approval": whole}
    ordered = evidence_factory.given(store, listed.digest)
    approval = Approval(
        digest=part.digest,
        approved_at="2026-11-22T07:00:00Z",
        source=source,
        **ordered,
        **fields,
    ).write(store)
    with pytest.raises(ApprovalError, match="does not fit the one that it rests on"):
        audited(store, evidence_factory.carry_out(store, part, [approval]))


def test_refuses_a_part_with_records_that_the_whole_does_not_have(store: Store, listed: Manifest) -> None:
    (whole,) = evidence_factory.approve(store, listed, "a")
    part = Manifest.write(store, [*listed, {"key": "added"}])
    approval = for_part(Approval.read(store, whole), part.digest).write(store)
    with pytest.raises(ApprovalError, match="'added' of the list"):
        audited(store, evidence_factory.carry_out(store, part, [approval]))


def test_refuses_a_journal_of_another_list(store: Store, listed: Manifest) -> None:
    disposal = evidence_factory.carry_out(store, listed, evidence_factory.approve(store, listed, "a"))
    longer = Manifest.write(store, [*listed, {"key": "added"}])
    moved = Disposal(
        **{**vars(disposal), "approved": [longer.digest], "approvals": evidence_factory.approve(store, longer, "a")}
    )
    with pytest.raises(JournalError, match="belongs to another list"):
        audited(store, moved)


def test_refuses_an_outcome_without_an_intent(store: Store, listed: Manifest) -> None:
    key = keys(listed)[0]
    opened = evidence_factory.journal(store, listed, provenance("delete_enaio"))
    opened.record([Outcome(key, OutcomeKind.DESTROYED, Proof.RESPONSE, time=now())])
    disposal = evidence_factory.carry_out(store, listed, by=provenance("delete_enaio", 2))
    with pytest.raises(JournalError, match="without the intent before it"):
        audited(store, disposal)


@pytest.mark.parametrize(
    ("lines", "words_"),
    [
        (b'{"key":"a","target_id":"a"}\n{"key":"a","target_id":"b"}\n', "names a record twice"),
        (b'{"key":"a","target_id":"a"},{"key":"b","target_id":"b"}\n', "not of its form"),
        (b'{"key":"a","target_id":"a"}\nnull\n', "not of its form"),
        (b"no list\n", "not of its form"),
    ],
)
def test_refuses_what_is_no_list(store: Store, listed: Manifest, lines: bytes, words_: str) -> None:
    disposal = evidence_factory.carry_out(store, listed)
    uri, digest, _ = store.write_lines("manifests", formats.MANIFEST.line, [lines])
    with pytest.raises(EvidenceError, match=words_):
        audited(store, Disposal(**{**vars(disposal), "manifest": uri, "digest": digest, "approved": [digest]}))


def test_refuses_what_lies_elsewhere(store: Store, listed: Manifest) -> None:
    disposal = evidence_factory.carry_out(store, listed, evidence_factory.approve(store, listed, "a"))
    for uri in ("file:///elsewhere/a.json", store.uri("approvals/../../a.json")):
        for changed in ({"approvals": [uri]}, {"outcomes": uri}):
            with pytest.raises(EvidenceError, match="does not lie in the evidence store"):
                audited(store, Disposal(**{**vars(disposal), **changed}))
