"""Summaries of what was carried out: what is written, what is read as one, and outcomes that must add up."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance, SystemDescription, write_outcomes
from airflow_provider_records.exceptions import EvidenceError, NewerFormatError

FOLDER = TaskFolder.of("night", "run", "delete", -1)
D, B = OutcomeKind.DESTROYED, OutcomeKind.BLOCKED
TEXTS = ("system", "manifest", "digest", "outcomes", "started_at", "ended_at")
WRONG_COUNTS: list[Any] = [None, [], {"failed": "1"}, {"failed": -1}, {"failed": True}]
NOTHING = dict.fromkeys(map(str, OutcomeKind), 0)


def disposal(**change: Any) -> Disposal:
    members: dict[str, Any] = {
        "system": "enaio",
        "description": SystemDescription("enaio"),
        "manifest": "file:///e/manifests/1.jsonl",
        "digest": "sha256:1",
        "approved": ["sha256:1"],
        "approvals": [],
        "approval_required": True,
        "dry_run": False,
        "counts": NOTHING | {"destroyed": 1, "blocked": 1},
        "outcomes": "file:///e/outcomes/1.jsonl",
        "started_at": "2026-11-22T07:00:00Z",
        "ended_at": "2026-11-22T08:00:00Z",
        "provenance": Provenance("night", "run", "delete", -1, 2),
    }
    return Disposal(**{**members, **change})


def carried_out(store: Store, *kinds: OutcomeKind) -> Disposal:
    """Write a list with an outcome for each record, and the summary."""
    manifest = Manifest.write(store, [f"k{place}" for place in range(len(kinds))])
    found = [Outcome(record.key, kind) for record, kind in zip(manifest, kinds, strict=True)]
    uri, counts = write_outcomes(store, manifest, found, FOLDER)
    return disposal(manifest=manifest.uri, digest=manifest.digest, outcomes=uri, counts=counts).write(store)


def test_every_kind_has_a_number_also_the_ones_that_did_not_occur(store: Store) -> None:
    nothing = dict.fromkeys(map(str, OutcomeKind), 0)
    assert carried_out(store).to_dict()["counts"] == nothing
    assert carried_out(store, OutcomeKind.BLOCKED, D, OutcomeKind.BLOCKED).to_dict()["counts"] == {
        **nothing,
        "blocked": 2,
        "destroyed": 1,
    }


def test_a_summary_lies_under_its_try_and_the_hash_of_its_bytes(store: Store) -> None:
    written = disposal().write(store)
    content = store.read(store.name(written.uri))
    name = FOLDER.summary(2, hashlib.sha256(content).hexdigest())
    assert store.name(written.uri) == name
    found = Disposal.read(store, written.uri)
    assert (found.uri, found.to_dict()) == (written.uri, disposal().to_dict())
    assert content == canonical(json.loads(content)) + b"\n"


def test_two_summaries_of_one_try_lie_beside_each_other(store: Store) -> None:
    first, second = disposal().write(store), disposal(stopped="told to").write(store)
    assert Disposal.read(store, first.uri).stopped is None
    assert Disposal.read(store, second.uri).stopped == "told to"


def test_members_of_a_later_release_are_written_back() -> None:
    members = disposal().to_dict()
    for part in (members, members["provenance"], members["description"]):
        part["later"] = {"deep": [1]}
    assert Disposal.from_dict(members).to_dict() == members


@pytest.mark.parametrize(
    ("change", "error"),
    [
        *(({name: None}, ValueError) for name in TEXTS),
        *(({name: value}, ValueError) for name in ("approved", "approvals") for value in (None, "x", [7], {"x": 1})),
        *(({name: value}, ValueError) for name in ("approval_required", "dry_run") for value in (None, 1, "yes")),
        *(({"counts": counts}, ValueError) for counts in WRONG_COUNTS),
        ({"counts": {"returned": 0}}, NewerFormatError),
        ({"stopped": 7}, ValueError),
        ({"options": None}, ValueError),
        ({"description": {}}, TypeError),
        ({"description": {"title": 7}}, ValueError),
        ({"provenance": {"dag_id": "night"}}, TypeError),
    ],
    ids=str,
)
def test_a_member_of_another_type_is_refused(change: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Disposal.from_dict(disposal().to_dict() | change)


@pytest.mark.parametrize("name", ["digest", "counts", "provenance", "description", "approvals"])
def test_a_member_that_is_missing_is_refused(name: str) -> None:
    members = disposal().to_dict()
    del members[name]
    with pytest.raises((KeyError, TypeError), match=name):
        Disposal.from_dict(members)


@pytest.mark.parametrize(
    "change",
    [
        {"map_index": "-1"},
        {"map_index": None},
        {"try_number": True},
        {"try_number": 1.0},
        {"dag_id": 7},
        {"task_id": None},
        {"hostname": 7},
    ],
    ids=str,
)
def test_a_provenance_with_a_member_of_another_type_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="provenance has a wrong type"):
        Provenance.from_dict(Provenance("night", "run", "delete", -1, 1).to_dict() | change)


def test_a_provenance_leaves_out_what_is_not_known_and_names_its_folder() -> None:
    found = Provenance("night", "run", "delete", 3, 1, hostname="worker")
    assert found.to_dict() == {
        "dag_id": "night",
        "run_id": "run",
        "task_id": "delete",
        "map_index": 3,
        "try_number": 1,
        "hostname": "worker",
    }
    assert Provenance.from_dict(found.to_dict()) == found
    assert found.folder == TaskFolder.of("night", "run", "delete", 3)


@pytest.mark.parametrize(
    "change",
    [
        {"method": None},
        {"meanings": []},
        {"meanings": {"destroyed": 7}},
        {"caveats": "one text"},
        {"caveats": [7]},
        {"action": 1},
    ],
    ids=str,
)
def test_a_description_with_a_member_of_another_type_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="description has a wrong type"):
        SystemDescription.from_dict(SystemDescription("enaio").to_dict() | change)


def test_a_file_whose_bytes_do_not_match_its_name_is_no_disposal(store: Store) -> None:
    uri = disposal().write(store).uri
    content = store.read(store.name(uri))
    for changed in (content.replace(b'"destroyed":1', b'"destroyed":2'), content + b"\n", b"", b"nonsense"):
        store.write(store.name(uri), changed)
        with pytest.raises(EvidenceError, match="is no disposal, or was changed"):
            Disposal.read(store, uri)


@pytest.mark.parametrize("content", [b"null\n", b"[]\n", b"{}\n", b"[" * 100_000])
def test_a_file_under_the_hash_of_its_bytes_is_still_no_disposal(store: Store, content: bytes) -> None:
    uri = store.write(FOLDER.summary(1, hashlib.sha256(content).hexdigest()), content)
    with pytest.raises(EvidenceError, match="is no disposal, or was changed"):
        Disposal.read(store, uri)


def test_a_summary_of_a_newer_version_is_called_newer(store: Store) -> None:
    content = canonical(disposal().to_dict() | formats.Format("disposal", 2).members) + b"\n"
    uri = store.write(FOLDER.summary(1, hashlib.sha256(content).hexdigest()), content)
    with pytest.raises(NewerFormatError):
        Disposal.read(store, uri)


@pytest.mark.parametrize("kind", OutcomeKind)
def test_only_what_another_try_may_change_leaves_it_incomplete(kind: OutcomeKind) -> None:
    found = Disposal.from_dict(disposal(counts={str(kind): 2}).to_dict())
    assert found.complete is kind.final
    assert found.left == ("" if kind.final else f"2 {kind}")


def test_all_that_is_left_is_named() -> None:
    assert disposal(counts=NOTHING | {"failed": 1, "not_attempted": 3}).left == "1 failed, 3 not_attempted"


@pytest.mark.parametrize(
    ("change", "idle"), [({}, False), ({"dry_run": True}, True), ({"counts": NOTHING}, True)], ids=str
)
def test_a_dry_run_and_an_empty_list_have_no_journal(change: dict[str, Any], idle: bool) -> None:
    assert disposal(**change).idle is idle


def test_the_reference_names_every_outcome() -> None:
    found = Disposal.from_dict(disposal(counts={"destroyed": 1}).to_dict(), "file:///e/disposal.json")
    assert found.reference() == {
        "disposal": "file:///e/disposal.json",
        "manifest": "file:///e/manifests/1.jsonl",
        "digest": "sha256:1",
        "system": "enaio",
        "complete": True,
        "counts": NOTHING | {"destroyed": 1},
    }


def test_outcomes_are_one_for_each_record_in_order(store: Store) -> None:
    manifest = Manifest.write(store, ["1", "2"])
    for lines in (["1"], ["2", "1"], ["1", "1"], ["1", "2", "3"]):
        with pytest.raises(EvidenceError, match="must add up"):
            write_outcomes(store, manifest, [Outcome(key, D) for key in lines], FOLDER)
    assert store.names(FOLDER.path) == []


def test_outcomes_are_read_again_as_they_were_written(store: Store) -> None:
    found = carried_out(store, D, B)
    assert [(outcome.key, outcome.kind) for outcome in found.each_outcome(store)] == [("k0", D), ("k1", B)]
    assert found.counts == NOTHING | {"destroyed": 1, "blocked": 1}


def test_outcomes_that_do_not_add_up_to_the_counts_are_refused_at_the_end(store: Store) -> None:
    found = carried_out(store, D, B)
    for counts in ({"destroyed": 2}, {"destroyed": 1, "blocked": 2}, {}):
        with pytest.raises(EvidenceError, match="do not add up to the counts"):
            list(Disposal.from_dict(found.to_dict() | {"counts": counts}, found.uri).each_outcome(store))
