"""What a certificate says, how it is sealed, and what it refuses to certify."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import time
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.authorization import for_part
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof, now
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, SystemDescription, task_folder
from airflow_provider_records.exceptions import ApprovalError, ConfigurationError, EvidenceError, JournalError
from airflow_provider_records.reporting import bar, certificate_page, issue, wording
from airflow_provider_records.reporting.verdict import RunStatus, verdict
from tests.evidence import evidence_factory

KEY = Ed25519PrivateKey.generate()
PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "evidence"))


@pytest.fixture
def listed(store: Store) -> Manifest:
    return Manifest.write(store, evidence_factory.records(40))


def keys(manifest: Manifest) -> list[str]:
    return [record.key for record in manifest]


def certify(store: Store, *disposals: Disposal, key: Ed25519PrivateKey | None = None) -> dict[str, Any]:
    """Write the certificate and read back what lies in the store."""
    written = issue.write(store, disposals, evidence_factory.facts("certificate"), key)
    content: dict[str, Any] = json.loads(store.read(store.name(written.uri)))
    assert content == written.document
    return content


def html(store: Store) -> str:
    """Return the page of the run."""
    return store.read(
        certificate.file_name(evidence_factory.DAG, evidence_factory.RUN).replace(".json", ".html")
    ).decode()


def night(store: Store, listed: Manifest) -> list[Disposal]:
    """A delete with refusals, then the mark of what went."""
    approvals = evidence_factory.approve(
        store, listed, "j.weber@example.org", "u.groessmann@example.org", comment="checked"
    )
    told = {keys(listed)[3]: OutcomeKind.BLOCKED, keys(listed)[7]: OutcomeKind.ABSENT}
    deleted = evidence_factory.carry_out(store, listed, approvals, system=evidence_factory.Told(told))
    gone = Manifest.write(store, (record for record in listed if record.key not in told))
    marked = evidence_factory.carry_out(
        store, gone, approvals, name="opus", approved=listed, made=evidence_factory.facts("mark")
    )
    return [deleted, marked]


def test_a_night(store: Store, listed: Manifest) -> None:
    document = certify(store, *night(store, listed), key=KEY)
    assert (document["type"], document["version"], document["complete"]) == ("certificate", 1, True)
    assert (document["run"]["dag_id"], document["run"]["run_id"]) == (evidence_factory.DAG, evidence_factory.RUN)
    assert document["made"] == evidence_factory.facts("certificate")
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
        (document["disposals"][1]["record"]["digest"], 38),
    }
    approvals = sorted(document["approvals"], key=lambda each: str(each["approver"]))
    assert [(each["approver"], each["digest"], each["comment"]) for each in approvals] == [
        ("j.weber@example.org", listed.digest, "checked"),
        ("u.groessmann@example.org", listed.digest, "checked"),
    ]
    deleted, marked = document["disposals"]
    assert deleted["method"] == "Deleted permanently from enaio (hard delete)"
    assert marked["method"] == "Status set to Destroyed in Opus; deletes no content"
    assert deleted["proofs"] == {"response": 40, "probe": 0, "inferred": 0}
    assert [(each["outcome"], each["count"], each["keys"]) for each in deleted["not_destroyed"]] == [
        ("blocked", 1, [keys(listed)[3]]),
        ("absent", 1, [keys(listed)[7]]),
    ]
    assert deleted["not_destroyed"][0]["reason"] == evidence_factory.REASONS[OutcomeKind.BLOCKED]
    assert marked["not_destroyed"] == []
    assert [(each["try"], each["segments"] > 2) for each in deleted["journal"]] == [(1, True)]


def test_names_every_file_by_its_hash(store: Store, listed: Manifest) -> None:
    disposals = night(store, listed)
    names = [name for folder in ("manifests", "approvals", "disposals") for name in store.names(folder)]
    assert certify(store, *disposals)["files"] == [
        {"name": name, "sha256": hashlib.sha256(store.read(name)).hexdigest(), "size": len(store.read(name))}
        for name in sorted(names)
    ]


def test_anyone_can_recompute_digest_and_signature(store: Store, listed: Manifest) -> None:
    """With nothing of ours: sorted keys, no blanks, UTF-8, without digest and signature."""
    certify(store, *night(store, listed), key=KEY)
    content = store.read(certificate.file_name(evidence_factory.DAG, evidence_factory.RUN))
    document = json.loads(content)
    signature, stated = document["signature"], document["digest"]
    form: dict[str, Any] = {"ensure_ascii": False, "sort_keys": True, "separators": (",", ":")}
    assert json.dumps(document, **form).encode() + b"\n" == content
    del document["signature"], document["digest"]
    body = json.dumps(document, **form).encode()
    assert f"sha256:{hashlib.sha256(body).hexdigest()}" == stated
    raw = base64.b64decode(signature["public_key"])
    assert raw == KEY.public_key().public_bytes_raw()
    assert signature["key_id"] == f"sha256:{hashlib.sha256(raw).hexdigest()}"
    key, value = Ed25519PublicKey.from_public_bytes(raw), base64.b64decode(signature["value"])
    key.verify(value, body)
    with pytest.raises(InvalidSignature):
        key.verify(value, body + b" ")


def test_without_a_key_there_is_no_signature(store: Store, listed: Manifest) -> None:
    assert "signature" not in certify(store, *night(store, listed))
    assert "carries no electronic signature" in html(store)


@pytest.mark.parametrize(
    ("pem", "words_"),
    [
        (b"", "no unencrypted private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no unencrypted private key"),
        (KEY.private_bytes(*PKCS8, serialization.BestAvailableEncryption(b"p")), "no unencrypted private key"),
        (
            KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            "no unencrypted private key",
        ),
        (rsa.generate_private_key(65537, 2048).private_bytes(*PKCS8, serialization.NoEncryption()), "no Ed25519 key"),
    ],
    # The keys are random; xdist needs the same names in all workers.
    ids=["nothing", "no key inside", "encrypted", "public", "RSA"],
)
def test_wrong_signing_keys(pem: bytes, words_: str) -> None:
    with pytest.raises(ConfigurationError, match=words_):
        certificate.signing_key(pem)


def test_signing_key() -> None:
    key = certificate.signing_key(KEY.private_bytes(*PKCS8, serialization.NoEncryption()))
    assert key.public_key() == KEY.public_key()


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
    told = evidence_factory.Told({keys(listed)[0]: result})
    document = certify(
        store, evidence_factory.carry_out(store, listed, evidence_factory.approve(store, listed, "a"), system=told)
    )
    assert document["complete"] is complete
    assert RunStatus.from_document(document).left == ("" if complete else f"enaio: 1 {result}")


def test_a_dry_run_is_not_complete(store: Store, listed: Manifest) -> None:
    document = certify(store, evidence_factory.carry_out(store, listed, dry_run=True))
    assert document["complete"] is False
    assert RunStatus.from_document(document).left == "enaio: dry run, nothing was sent"
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
    assert "Holds were not looked up separately" in first
    assert "no proof about media" in first
    assert "needs no approval" not in first
    soft = said(
        approvals=approvals,
        description=evidence_factory.describe("enaio", hard_delete=False),
        made=evidence_factory.facts("soft"),
        system=evidence_factory.Told(usual=OutcomeKind.RECYCLED),
    )
    assert "can be restored until the bin is emptied" in soft
    assert "no proof about media" not in soft
    assert "needs no approval (require_approval=False)" in said(made=evidence_factory.facts("bold"))
    assert "Destroyed in Opus is a status" in said(name="opus", made=evidence_factory.facts("mark"))


class Inferring(evidence_factory.Told):
    """Every outcome is inferred."""

    def _outcome(self, record: Any) -> Outcome:
        return Outcome(record.key, OutcomeKind.DESTROYED, Proof.INFERRED, "not found after our own unanswered call")


def test_says_what_is_only_inferred(store: Store, listed: Manifest) -> None:
    document = certify(store, evidence_factory.carry_out(store, listed, system=Inferring()))
    assert document["disposals"][0]["proofs"] == {"response": 0, "probe": 0, "inferred": 40}
    assert any(
        each.startswith("40 outcomes in enaio (task delete_enaio) are inferred") for each in document["statements"]
    )


def test_part_of_a_longer_approved_list(store: Store, listed: Manifest) -> None:
    (whole,) = evidence_factory.approve(store, listed, "a")
    part = Manifest.write(store, list(listed)[:15])
    source = {"kind": "part", "approval": whole}
    approval = Approval(part.digest, "a", "2026-11-22T07:00:00Z", source, part_of=listed.digest).write(store)
    document = certify(store, evidence_factory.carry_out(store, part, [approval]))
    assert {store.uri(each["file"]) for each in document["approvals"]} == {whole, approval}
    assert {each["digest"] for each in document["manifests"]} == {listed.digest, part.digest}


def test_parts_of_mapped_tasks_add_up(store: Store, listed: Manifest) -> None:
    parts = [Manifest.write(store, list(listed)[:15]), Manifest.write(store, list(listed)[15:])]
    disposals = [
        evidence_factory.carry_out(store, part, made=evidence_factory.facts("delete", map_index=place))
        for place, part in enumerate(parts)
    ]
    assert certify(store, *disposals)["counts"]["enaio"]["destroyed"] == 40


def in_parts(store: Store, listed: Manifest, told: evidence_factory.Told | None = None) -> list[Disposal]:
    """An approved list in two parts, of 15 and 25 records; each is deleted, then what went of it is marked."""
    approvals = [Approval.read(store, uri) for uri in evidence_factory.approve(store, listed, "a", "b")]
    found = []
    for place, some in enumerate((list(listed)[:15], list(listed)[15:])):
        part = Manifest.write(store, some)
        given_ = [for_part(approval, part.digest).write(store) for approval in approvals]
        made = evidence_factory.facts("part.delete", map_index=place)
        deleted = evidence_factory.carry_out(store, part, given_, system=told, made=made)
        gone = [record for record in some if not told or record.key not in told.results]
        made = evidence_factory.facts("part.mark", map_index=place)
        marked = evidence_factory.carry_out(
            store, Manifest.write(store, gone), given_, name="opus", approved=part, made=made
        )
        found += [deleted, marked]
    return found


def forget(store: Store, disposal: Disposal) -> str:
    """Take away what a task instance wrote, as if it had never begun; return its folder."""
    folder = evidence_factory.folder(disposal.made)
    shutil.rmtree(store.uri(folder).removeprefix("file://"))
    return folder


def test_all_parts_are_the_whole_though_the_mark_leaves_out_what_was_blocked(store: Store, listed: Manifest) -> None:
    told = evidence_factory.Told({keys(listed)[3]: OutcomeKind.BLOCKED, keys(listed)[20]: OutcomeKind.BLOCKED})
    document = certify(store, *in_parts(store, listed, told))
    assert (document["omitted"], document["uncovered"], document["complete"]) == ([], [], True)
    assert RunStatus.from_document(document).left == ""
    assert "What has no disposal" not in html(store)


def test_a_part_that_began_and_summed_nothing_up_is_named(store: Store, listed: Manifest) -> None:
    """A mapped task that was killed on its last try pushed nothing, and Airflow passes over it in silence."""
    deleted, marked, killed, unmarked = in_parts(store, listed)
    forget(store, unmarked)
    folder = evidence_factory.folder(killed.made)
    for name in store.names(folder):
        if "/journal/" not in name:
            Path(store.uri(name).removeprefix("file://")).unlink()
    document = certify(store, deleted, marked)
    journal = store.names(folder)
    assert document["omitted"] == [{"task": folder, "journal_files": len(journal)}]
    assert document["uncovered"] == [
        {"system": system, "digest": listed.digest, "count": 25} for system in ("enaio", "opus")
    ]
    assert document["complete"] is False
    assert set(journal) <= {each["name"] for each in document["files"]}
    gaps = wording.gaps(document)
    assert gaps[0].startswith(f"{folder} has a journal, and no disposal of it was given")
    assert gaps[1].startswith(f"enaio: 25 records of the approved list {listed.digest} have no disposal")
    assert RunStatus.from_document(document).left == "; ".join(gaps)
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
    assert document["omitted"] == []
    assert document["uncovered"] == [{"system": system, "digest": listed.digest, "count": 25}]
    assert document["complete"] is False


def test_another_task_of_the_run_that_is_given_nowhere_is_named(store: Store, listed: Manifest) -> None:
    disposals = night(store, listed)
    other = evidence_factory.carry_out(store, Manifest.write(store, ["x"]), made=evidence_factory.facts("journal"))
    evidence_factory.carry_out(
        store, Manifest.write(store, ["y"]), made=evidence_factory.facts("delete_enaio", run="another_night")
    )
    evidence_factory.carry_out(store, Manifest.write(store, ["z"]), made=evidence_factory.facts("look"), dry_run=True)
    document = certify(store, *disposals)
    assert [each["task"] for each in document["omitted"]] == [evidence_factory.folder(other.made)]
    assert document["uncovered"] == []
    assert certify(store, *disposals, other)["complete"] is True


def test_a_rehearsal_beside_a_deed_that_is_not_given_is_no_rehearsal(store: Store, listed: Manifest) -> None:
    evidence_factory.carry_out(store, listed)
    rehearsed = evidence_factory.carry_out(store, listed, made=evidence_factory.facts("look"), dry_run=True)
    assert verdict(RunStatus.from_document(certify(store, rehearsed))).level == "open"


def test_what_a_later_reviewer_took_out_needs_no_disposal(store: Store, listed: Manifest) -> None:
    (first,) = evidence_factory.approve(store, listed, "a")
    rest = Manifest.write(store, list(listed)[2:])
    withhold = dict.fromkeys(keys(listed)[:2], "a lawsuit is pending")
    source = {"kind": "airflow", "task": "second"}
    second = Approval(rest.digest, "b", now(), source, shown=listed.digest, withheld=withhold)
    kept = for_part(Approval.read(store, first), rest.digest)
    assert kept.part_of == listed.digest
    disposal = evidence_factory.carry_out(store, rest, [kept.write(store), second.write(store)])
    document = certify(store, disposal)
    assert (document["uncovered"], document["complete"]) == ([], True)


def test_as_many_people_as_the_task_demanded(store: Store, listed: Manifest) -> None:
    def demanded(number: object, *people: str) -> dict[str, Any]:
        made = evidence_factory.facts(f"delete_{number}_{'_'.join(people)}")
        options = {"min_approvals": number}
        return certify(
            store,
            evidence_factory.carry_out(
                store, listed, evidence_factory.approve(store, listed, *people), options=options, made=made
            ),
        )

    assert demanded(2, "a", "b")["disposals"][0]["record"]["options"]["min_approvals"] == 2
    assert "Task delete_2_a_b demanded the approval of at least 2 different persons." in html(store)
    with pytest.raises(ApprovalError, match=f"{listed.digest} has 1 distinct approvers and needs 2"):
        demanded(2, "a")
    with pytest.raises(ApprovalError, match="has 1 distinct approvers"):
        demanded(2, "a", "a")
    for number in (0, True, "2", 1.5):
        with pytest.raises(EvidenceError, match="must be a whole number of at least 1"):
            demanded(number, "a")


@pytest.mark.parametrize("other", [{"task": "another"}, {"task": "certificate", "map_index": 3}])
def test_another_tasks_certificate_is_not_superseded(store: Store, listed: Manifest, other: dict[str, Any]) -> None:
    disposals = night(store, listed)
    issue.write(store, disposals, evidence_factory.facts(**other))
    before = {name: store.read(name) for name in store.names("certificates")}
    with pytest.raises(ConfigurationError, match=r"was written by task .*: name all of its disposals in disposals="):
        certify(store, *disposals)
    assert {name: store.read(name) for name in store.names("certificates")} == before


def test_an_older_certificate_is_kept_and_named(store: Store, listed: Manifest) -> None:
    disposals = night(store, listed)
    name = certificate.file_name(evidence_factory.DAG, evidence_factory.RUN)
    first = certify(store, *disposals)
    content, first_page = store.read(name), html(store)
    second = certify(store, *disposals)
    kept = name.replace(".json", f".superseded-{first['digest'][7:19]}.json")
    assert second["supersedes"] == {"file": kept, "digest": first["digest"]}
    assert store.read(kept) == content
    assert store.read(kept.replace(".json", ".html")).decode() == first_page
    assert kept in {each["name"] for each in second["files"]}
    assert first["digest"] in html(store)
    third = certify(store, *disposals)
    assert third["supersedes"]["digest"] == second["digest"]
    assert len(store.names("certificates")) == 6


def test_a_broken_older_certificate_is_kept_too(store: Store, listed: Manifest) -> None:
    disposals = night(store, listed)
    store.write(certificate.file_name(evidence_factory.DAG, evidence_factory.RUN), b'{"digest": "sha256:')
    document = certify(store, *disposals)
    assert store.read(document["supersedes"]["file"]) == b'{"digest": "sha256:'


def test_refuses_what_does_not_add_up(store: Store, listed: Manifest) -> None:
    disposal, _ = night(store, listed)
    wrong = dict(disposal.counts) | {"destroyed": 39, "blocked": 0}
    changed = Disposal(**{**vars(disposal), "counts": wrong})
    with pytest.raises(EvidenceError, match="do not add up to the counts"):
        certify(store, changed)
    assert store.names("certificates") == []


def forge_outcomes(store: Store, disposal: Disposal, lines: list[bytes]) -> Disposal:
    """Replace the outcomes of a disposal by others that fit their own name."""
    uri, _, _ = store.write_lines(store.name(disposal.outcomes).rpartition("/")[0], lines)
    found = dict.fromkeys(map(str, OutcomeKind), 0)
    for line in lines:
        found[json.loads(line)["outcome"]] += 1
    forged = Disposal(**{**vars(disposal), "outcomes": uri, "counts": found})
    return forged.write(store, task_folder(store.name(disposal.uri)))


def test_refuses_outcomes_that_the_journal_does_not_know(store: Store, listed: Manifest) -> None:
    disposal, _ = night(store, listed)
    lines = store.read(store.name(disposal.outcomes)).splitlines(keepends=True)
    forged = forge_outcomes(store, disposal, [line.replace(b'"blocked"', b'"destroyed"') for line in lines])
    with pytest.raises(JournalError, match="is destroyed; its journal says blocked"):
        certify(store, forged)
    swapped = forge_outcomes(store, disposal, [lines[1], lines[0], *lines[2:]])
    with pytest.raises(EvidenceError, match="line 1 is about"):
        certify(store, swapped)
    short = forge_outcomes(store, disposal, lines[:-1])
    with pytest.raises(EvidenceError, match="39 outcomes for 40 records"):
        certify(store, short)
    long = forge_outcomes(store, disposal, [*lines, lines[0]])
    with pytest.raises(EvidenceError, match="no more records"):
        certify(store, long)


def test_refuses_outcomes_without_a_journal(store: Store, listed: Manifest) -> None:
    disposal, _ = night(store, listed)
    for name in store.names(evidence_factory.folder(disposal.made) + "/journal"):
        Path(store.uri(name).removeprefix("file://")).unlink()
    with pytest.raises(JournalError, match="there is no journal of it"):
        certify(store, disposal)


def test_refuses_what_a_newer_try_has_begun(store: Store, listed: Manifest) -> None:
    disposal, _ = night(store, listed)
    evidence_factory.journal(store, listed, evidence_factory.facts("delete_enaio", 2))
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
    opened = evidence_factory.journal(store, listed, evidence_factory.facts("delete_enaio"))
    opened.intend(["smuggled"])
    opened.record([Outcome("smuggled", OutcomeKind.DESTROYED, Proof.RESPONSE, time=now())])
    disposal = evidence_factory.carry_out(
        store, listed, evidence_factory.approve(store, listed, "a"), made=evidence_factory.facts("delete_enaio", 2)
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
    opened = evidence_factory.journal(store, listed, evidence_factory.facts("delete_enaio"))
    opened.record([Outcome(key, OutcomeKind.DESTROYED, Proof.RESPONSE, time=now())])
    disposal = evidence_factory.carry_out(store, listed, made=evidence_factory.facts("delete_enaio", 2))
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
    uri, digest, _ = store.write_lines("manifests", [lines])
    with pytest.raises(EvidenceError, match=words_):
        certify(store, Disposal(**{**vars(disposal), "manifest": uri, "digest": digest, "approved": [digest]}))


def test_refuses_what_lies_elsewhere(store: Store, listed: Manifest) -> None:
    disposal = evidence_factory.carry_out(store, listed, evidence_factory.approve(store, listed, "a"))
    for uri in ("file:///elsewhere/a.json", store.uri("approvals/../../a.json")):
        for changed in ({"approvals": [uri]}, {"outcomes": uri}):
            with pytest.raises(EvidenceError, match="does not lie in the evidence store"):
                certify(store, Disposal(**{**vars(disposal), **changed}))


def test_a_zombies_late_answer_is_listed_and_not_counted(store: Store, listed: Manifest) -> None:
    """An older try publishes an answer after the newer one has read its journal."""
    made, key = evidence_factory.facts("delete_enaio"), keys(listed)[0]
    hour_ago: dict[str, Any] = {"clock": lambda: time.time() - 3600}
    old = Journal(
        store, evidence_factory.folder(made), listed.digest, started=evidence_factory.STARTED, try_number=1, **hour_ago
    )
    old.intend([key])
    newer = evidence_factory.carry_out(
        store,
        listed,
        system=evidence_factory.Told({key: OutcomeKind.BLOCKED}),
        made=evidence_factory.facts("delete_enaio", 2),
    )
    old.record([Outcome(key, OutcomeKind.DESTROYED, Proof.RESPONSE, time=now())])
    document = certify(store, newer)
    assert document["counts"]["enaio"]["blocked"] == 1
    assert document["disposals"][0]["uncounted"] == [{"key": key, "outcome": "destroyed"}]
    assert any("holds 1 answers that its summary does not count" in each for each in document["statements"])
    assert "answers that are not counted above, 1" in html(store)


def test_a_list_emptied_by_a_clear_does_not_hide_what_went(store: Store, listed: Manifest) -> None:
    """Clearing a whole run after its night lists nothing any more; the journal still knows what was destroyed."""
    evidence_factory.carry_out(store, listed, evidence_factory.approve(store, listed, "a"))
    again = evidence_factory.carry_out(store, Manifest.write(store, []), made=evidence_factory.facts("delete_enaio", 2))
    document = certify(store, again)
    assert len(document["disposals"][0]["uncounted"]) == 40


class Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


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
    approval = Approval(listed.digest, HOSTILE[0], "2026-11-22T07:00:00Z", source, HOSTILE[1], HOSTILE[2]).write(store)
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
        store, evidence_factory.carry_out(store, listed, approvals, system=evidence_factory.Told(told)), key=KEY
    )
    text = html(store)
    annex = text[text.index("Every record") :]
    places = {record.key: annex.index(f">{record.key}<") for record in listed}
    order = sorted(places, key=places.__getitem__)
    assert order == [keys(listed)[30], keys(listed)[31], *(key for key in keys(listed) if key not in told)]
    for part in (document["digest"], document["signature"]["key_id"], "no open cases", "j.weber@example.org"):
        assert part in text
    assert "Not complete" in text
    assert evidence_factory.REASONS[OutcomeKind.FAILED] in text


def test_a_large_page_is_written_in_pieces(store: Store) -> None:
    listed = Manifest.write(store, (f"k{number}" for number in range(3000)))
    disposal = evidence_factory.carry_out(store, listed)
    document = certify(store, disposal)
    sizes = [len(piece) for piece in certificate_page.pieces(store, document, [disposal])]
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
    told = evidence_factory.Told({keys(listed)[place]: result for place, result in results.items()})
    said = verdict(RunStatus.from_document(certify(store, evidence_factory.carry_out(store, listed, system=told))))
    assert (said.level, said.title) == (level, title)


def test_verdict_of_a_rehearsal(store: Store, listed: Manifest) -> None:
    assert (
        verdict(RunStatus.from_document(certify(store, evidence_factory.carry_out(store, listed, dry_run=True)))).level
        == "rehearsal"
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**7), min_size=7, max_size=7).filter(any))
def test_a_bar_shows_every_outcome_within_its_width(numbers: list[int]) -> None:
    counts = dict(zip(map(str, OutcomeKind), numbers, strict=True))
    pieces = bar.bar(counts)
    assert [piece.kind for piece in pieces] == [each for each in reversed(bar.ORDER) if counts[each]]
    assert all(piece.width >= 7.5 for piece in pieces)
    assert all(here.start + here.width < there.start for here, there in pairwise(pieces))
    assert abs(pieces[-1].start + pieces[-1].width - 1000) < 0.5
    widths = [piece.width for piece in sorted(pieces, key=lambda piece: piece.records)]
    assert all(less <= more + 0.5 for less, more in pairwise(widths))


def test_every_outcome_and_proof_has_words() -> None:
    assert set(wording.RESULTS) == set(OutcomeKind) == set(bar.ORDER)
    assert set(wording.PROOFS) == set(Proof)
    for description in (evidence_factory.describe("opus"), SystemDescription("Elsewhere")):
        assert all(wording.meaning(description, kind) for kind in OutcomeKind)
        assert description.meanings.keys() <= set(OutcomeKind)
    assert "permanently" not in wording.meaning(evidence_factory.describe("opus"), OutcomeKind.DESTROYED)
    assert wording.label(evidence_factory.describe("opus"), OutcomeKind.DESTROYED) == "marked"
    assert wording.label(evidence_factory.describe("enaio"), OutcomeKind.DESTROYED) == "destroyed"
