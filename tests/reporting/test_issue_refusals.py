"""What is not certified: evidence that is missing, was changed or does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof, now
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import ApprovalError, ConfigurationError, EvidenceError, JournalError
from airflow_provider_records.reporting import issue
from tests.evidence import evidence_factory
from tests.reporting.certified import (
    certify,
    keys,
    night,
)


@pytest.mark.parametrize("other", [{"task": "another"}, {"task": "certificate", "map_index": 3}])
def test_another_tasks_certificate_is_not_superseded(store: Store, listed: Manifest, other: dict[str, Any]) -> None:
    disposals = night(store, listed)
    issue.write(store, disposals, evidence_factory.provenance(**other))
    before = {name: store.read(name) for name in store.names("certificates")}
    with pytest.raises(ConfigurationError, match=r"was written by task .*: name all of its disposals in disposals="):
        certify(store, *disposals)
    assert {name: store.read(name) for name in store.names("certificates")} == before


def test_refuses_what_does_not_add_up(store: Store, listed: Manifest) -> None:
    disposal, _ = night(store, listed)
    wrong = dict(disposal.counts) | {"destroyed": 39, "blocked": 0}
    changed = Disposal(**{**vars(disposal), "counts": wrong})
    with pytest.raises(EvidenceError, match="do not add up to the counts"):
        certify(store, changed)
    assert store.names("certificates") == []


def forge_outcomes(store: Store, disposal: Disposal, lines: list[bytes]) -> Disposal:
    """Replace the outcomes of a disposal by others that fit their own name."""
    uri, _, _ = store.write_lines(disposal.provenance.folder.outcomes, formats.OUTCOMES.line, lines)
    found = dict.fromkeys(map(str, OutcomeKind), 0)
    for line in lines:
        found[json.loads(line)["outcome"]] += 1
    forged = Disposal(**{**vars(disposal), "outcomes": uri, "counts": found})
    return forged.write(store)


def test_refuses_outcomes_that_the_journal_does_not_know(store: Store, listed: Manifest) -> None:
    disposal, _ = night(store, listed)
    lines = store.read(store.name(disposal.outcomes)).splitlines(keepends=True)[1:]
    forged = forge_outcomes(store, disposal, [line.replace(b'"blocked"', b'"destroyed"') for line in lines])
    with pytest.raises(JournalError, match="is destroyed; its journal says blocked"):
        certify(store, forged)
    swapped = forge_outcomes(store, disposal, [lines[1], lines[0], *lines[2:]])
    with pytest.raises(EvidenceError, match="number 1 is about"):
        certify(store, swapped)
    short = forge_outcomes(store, disposal, lines[:-1])
    with pytest.raises(EvidenceError, match="39 outcomes for 40 records"):
        certify(store, short)
    long = forge_outcomes(store, disposal, [*lines, lines[0]])
    with pytest.raises(EvidenceError, match="no more records"):
        certify(store, long)


def test_refuses_outcomes_without_a_journal(store: Store, listed: Manifest) -> None:
    disposal, _ = night(store, listed)
    for name in store.names(disposal.provenance.folder.path + "/journal"):
        Path(store.uri(name).removeprefix("file://")).unlink()
    with pytest.raises(JournalError, match="there is no journal of it"):
        certify(store, disposal)


def test_refuses_what_a_newer_try_has_begun(store: Store, listed: Manifest) -> None:
    disposal, _ = night(store, listed)
    evidence_factory.journal(store, listed, evidence_factory.provenance("delete_enaio", 2))
    with pytest.raises(JournalError, match=r"ends with session .* \(try 2\), but the summary is of try 1"):
        certify(store, disposal)


def test_refuses_records_outside_the_approved_list(store: Store, listed: Manifest) -> None:
    approvals = evidence_factory.approve(store, listed, "a")
    more = Manifest.write(store, [*listed, {"key": "not-approved"}])
    disposal = evidence_factory.carry_out(store, more, approvals, approved=listed)
    with pytest.raises(ApprovalError, match=r"'not-approved' of the list .* is not on the list that was approved"):
        certify(store, disposal)


def test_refuses_a_journal_outside_the_approved_list(store: Store, listed: Manifest) -> None:
    """A call for a record that nobody approved is found even if no summary speaks of it."""
    opened = evidence_factory.journal(store, listed, evidence_factory.provenance("delete_enaio"))
    opened.intend(["smuggled"])
    opened.record([Outcome("smuggled", OutcomeKind.DESTROYED, Proof.RESPONSE, time=now())])
    disposal = evidence_factory.carry_out(
        store, listed, evidence_factory.approve(store, listed, "a"), by=evidence_factory.provenance("delete_enaio", 2)
    )
    with pytest.raises(JournalError, match="'smuggled', which is on no approved list"):
        certify(store, disposal)


def test_refuses_missing_and_foreign_approvals(store: Store, listed: Manifest) -> None:
    approvals = evidence_factory.approve(store, listed, "a")
    disposal = evidence_factory.carry_out(store, listed, approvals)
    with pytest.raises(ApprovalError, match=f"{listed.digest} has 0 distinct approvers and needs 1"):
        certify(store, Disposal(**{**vars(disposal), "approvals": []}))
    other = evidence_factory.approve(store, Manifest.write(store, ["other"]), "a")
    with pytest.raises(ApprovalError, match="is for another list"):
        certify(store, Disposal(**{**vars(disposal), "approvals": [*approvals, *other]}))


@pytest.mark.parametrize("field", ["approver", "part_of"])
def test_refuses_a_part_that_does_not_fit_its_whole(store: Store, listed: Manifest, field: str) -> None:
    (whole,) = evidence_factory.approve(store, listed, "a")
    part = Manifest.write(store, list(listed)[:15])
    fields: dict[str, Any] = {"approver": "a", "part_of": listed.digest, field: part.digest}
    source = {"kind": "part", "approval": whole}
    approval = Approval(digest=part.digest, approved_at="2026-11-22T07:00:00Z", source=source, **fields).write(store)
    with pytest.raises(ApprovalError, match="does not fit the one that it rests on"):
        certify(store, evidence_factory.carry_out(store, part, [approval]))


def test_refuses_a_part_with_records_that_the_whole_does_not_have(store: Store, listed: Manifest) -> None:
    (whole,) = evidence_factory.approve(store, listed, "a")
    part = Manifest.write(store, [*listed, {"key": "added"}])
    source = {"kind": "part", "approval": whole}
    approval = Approval(part.digest, "a", "2026-11-22T07:00:00Z", source, part_of=listed.digest).write(store)
    with pytest.raises(ApprovalError, match="'added' of the list"):
        certify(store, evidence_factory.carry_out(store, part, [approval]))


def test_refuses_a_journal_of_another_list(store: Store, listed: Manifest) -> None:
    disposal = evidence_factory.carry_out(store, listed, evidence_factory.approve(store, listed, "a"))
    longer = Manifest.write(store, [*listed, {"key": "added"}])
    moved = Disposal(
        **{**vars(disposal), "approved": [longer.digest], "approvals": evidence_factory.approve(store, longer, "a")}
    )
    with pytest.raises(JournalError, match="belongs to another list"):
        certify(store, moved)


def test_refuses_an_outcome_without_an_intent(store: Store, listed: Manifest) -> None:
    key = keys(listed)[0]
    opened = evidence_factory.journal(store, listed, evidence_factory.provenance("delete_enaio"))
    opened.record([Outcome(key, OutcomeKind.DESTROYED, Proof.RESPONSE, time=now())])
    disposal = evidence_factory.carry_out(store, listed, by=evidence_factory.provenance("delete_enaio", 2))
    with pytest.raises(JournalError, match="without the intent before it"):
        certify(store, disposal)


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
        certify(store, Disposal(**{**vars(disposal), "manifest": uri, "digest": digest, "approved": [digest]}))


def test_refuses_what_lies_elsewhere(store: Store, listed: Manifest) -> None:
    disposal = evidence_factory.carry_out(store, listed, evidence_factory.approve(store, listed, "a"))
    for uri in ("file:///elsewhere/a.json", store.uri("approvals/../../a.json")):
        for changed in ({"approvals": [uri]}, {"outcomes": uri}):
            with pytest.raises(EvidenceError, match="does not lie in the evidence store"):
                certify(store, Disposal(**{**vars(disposal), **changed}))
