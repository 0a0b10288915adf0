"""Parts of an approved list: together they are the list, and each stands on the list's approval and on no other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.exceptions import ApprovalError, ConfigurationError, EvidenceError
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import SplitManifestOperator
from airflow_provider_records.task.records import resolve
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import given, run

RECORDS = [{"key": f"enaio-{number}", "target_id": str(number), "title": f"Akte {number}"} for number in range(1, 24)]


def approved(served: ServedSandbox, records: Any = RECORDS, *approvers: str) -> dict[str, Any]:
    manifest = Manifest.write(served.store, records)
    return manifest_reference(manifest, [approve(served, manifest.digest, name) for name in approvers or ("anna",)])


def approve(served: ServedSandbox, digest: str, name: str) -> str:
    ordered = given(served.store, digest)
    return Approval(digest, name, now(), {"kind": "test"}, comment="seen", **ordered).write(served.store)


def split(records: Any, size: int = 5) -> Any:
    return run(SplitManifestOperator(task_id="split", records=records, size=size))


def fields(served: ServedSandbox, reference: Any) -> list[dict[str, Any]]:
    manifest = Manifest.open(served.store, reference["digest"], reference["manifest"])
    assert manifest.count == reference["count"]
    return [record.to_dict() for record in manifest]


@pytest.mark.parametrize("size", [1, 5, 22, 23, 24, 1000])
def test_the_parts_are_the_list(served: ServedSandbox, size: int) -> None:
    whole = approved(served)
    parts = split(whole, size)
    assert [item for part in parts for item in fields(served, part)] == RECORDS
    assert all(part["count"] == size for part in parts[:-1])
    assert json.loads(json.dumps(parts)) == parts
    assert not served.sandbox.log


@pytest.mark.parametrize("size", [1, 5, 23, 24])
def test_each_part_stands_on_the_approvals_of_the_list(served: ServedSandbox, size: int) -> None:
    whole = approved(served, RECORDS, "anna", "ben")
    for part in split(whole, size):
        selection = resolve(part, served.store)
        selection.authorize(approval_required=True, min_approvals=2)
        with pytest.raises(ApprovalError, match="2 distinct approvers and needs 3"):
            selection.authorize(approval_required=True, min_approvals=3)
        if size < len(RECORDS):
            for uri in part["approvals"]:
                approval = Approval.read(served.store, uri)
                assert approval.part_of == whole["digest"]
                assert approval.source["approval"] in whole["approvals"]
                assert approval.comment == "seen"
        else:
            assert part == whole


def test_one_person_twice_stays_one_in_the_parts(served: ServedSandbox) -> None:
    whole = approved(served)
    ordered = given(served.store, whole["digest"])
    again = Approval(whole["digest"], "anna", "2026-01-01T00:00:00Z", {"kind": "elsewhere"}, **ordered).write(
        served.store
    )
    for part in split({**whole, "approvals": [*whole["approvals"], again]}):
        assert len(part["approvals"]) == 2
        with pytest.raises(ApprovalError, match="1 distinct approvers and needs 2"):
            resolve(part, served.store).authorize(approval_required=True, min_approvals=2)


def test_a_list_without_approval_makes_parts_without(served: ServedSandbox) -> None:
    for part in split(approved(served) | {"approvals": []}):
        assert part["approvals"] == []
        with pytest.raises(ApprovalError, match="0 distinct approvers"):
            resolve(part, served.store).authorize(approval_required=True)


def test_an_empty_list_is_one_empty_part_that_sends_nothing(served: ServedSandbox) -> None:
    (part,) = split([])
    assert part["count"] == 0
    done = run(EnaioDeleteObjectOperator(task_id="delete", records=part))
    assert done["complete"]
    assert not served.sandbox.log


def test_an_approval_of_another_list_is_refused(served: ServedSandbox) -> None:
    other = approved(served, ["enaio-99"])
    with pytest.raises(AirflowFailException, match="for another list"):
        split(approved(served) | {"approvals": other["approvals"]})
    assert len(served.store.names("manifests")) == 2


def test_a_part_that_is_split_again_stands_on_the_approvals_of_the_whole_list(served: ServedSandbox) -> None:
    whole = approved(served, RECORDS, "anna", "ben")
    first, *_ = split(whole, 5)
    assert split(first, 5) == [first]
    for part in split(first, 2):
        resolve(part, served.store).authorize(approval_required=True, min_approvals=2)
        for uri in part["approvals"]:
            approval = Approval.read(served.store, uri)
            assert approval.part_of == whole["digest"]
            assert approval.source["approval"] in whole["approvals"]


@pytest.mark.parametrize("most", [4, 5])
def test_more_parts_than_airflow_maps_are_refused(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", str(most))
    whole = approved(served)
    if most < 5:
        with pytest.raises(AirflowFailException, match=r"23 records in parts of 5 make 5 mapped tasks.*raise size"):
            split(whole, 5)
        assert len(served.store.names("manifests")) == 1
    else:
        assert len(split(whole, 5)) == 5


@pytest.mark.parametrize("size", [0, -1, True, 2.0, "5", None])
def test_a_size_that_is_none_is_refused_when_the_dag_is_read(size: Any) -> None:
    with DAG("night"), pytest.raises(ConfigurationError, match="size"):
        SplitManifestOperator(task_id="split", records=[], size=size)


# Somebody tampers


def forged(served: ServedSandbox, part: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Write a changed approval of a part, under its right name."""
    approval = Approval.read(served.store, part["approvals"][0])
    return {**part, "approvals": [replace(approval, **changes).write(served.store)]}


def refused(served: ServedSandbox, reference: dict[str, Any], words: str) -> None:
    with pytest.raises(AirflowFailException, match=words):
        run(EnaioDeleteObjectOperator(task_id="delete", records=reference))
    assert served.calls("enaio", "delete_object") == 0
    assert not served.sandbox.effects("enaio", "recycled")


@pytest.mark.parametrize(
    "stranger",
    [
        {"key": "enaio-24", "target_id": "24"},
        {**RECORDS[0], "target_id": "24"},
        {**RECORDS[0], "location": "4711"},
        {**RECORDS[0], "title": "Another title"},
    ],
)
def test_a_record_that_is_not_on_the_list_spoils_its_part(served: ServedSandbox, stranger: dict[str, str]) -> None:
    first, *_ = split(approved(served))
    mixed = Manifest.write(served.store, [*RECORDS[1:5], stranger])
    reference = forged(served, manifest_reference(mixed, first["approvals"]), digest=mixed.digest)
    refused(served, reference, f"{stranger['key']}.*not on the list that was approved")


def test_an_approval_of_one_part_is_not_one_of_another(served: ServedSandbox) -> None:
    first, second, *_ = split(approved(served))
    refused(served, {**second, "approvals": first["approvals"]}, "for another list")


@pytest.mark.parametrize("changes", [{"approver": "mallory"}, {"part_of": f"sha256:{'0' * 64}"}])
def test_a_part_must_fit_what_it_rests_on(served: ServedSandbox, changes: dict[str, str]) -> None:
    first, *_ = split(approved(served))
    refused(served, forged(served, first, **changes), "does not fit the one that it rests on")


def test_a_part_of_a_part_is_refused(served: ServedSandbox) -> None:
    first, *_ = split(approved(served))
    smaller = Manifest.write(served.store, RECORDS[:2])
    nested = {"digest": smaller.digest, "part_of": first["digest"], "source": {"approval": first["approvals"][0]}}
    reference = forged(served, manifest_reference(smaller, first["approvals"]), **nested)
    refused(served, reference, "does not fit the one that it rests on")


def test_what_it_rests_on_must_be_there_and_unchanged(served: ServedSandbox) -> None:
    whole = approved(served)
    first, *_ = split(whole)
    file = Path(served.store.root.removeprefix("file://")) / served.store.name(whole["approvals"][0])
    content = file.read_bytes()
    file.write_bytes(content.replace(b"anna", b"hans"))
    refused(served, first, "was changed")
    file.unlink()
    refused(served, first, "is missing")
    with pytest.raises(EvidenceError):
        Approval.read(served.store, whole["approvals"][0])
