"""References that tasks hand on: what is taken for one, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.reference import DisposalReference, ManifestReference, manifest_reference
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import InvalidRecordsError

GIVEN: dict[str, Any] = {
    "manifest": "file:///e/manifests/1.jsonl",
    "digest": "sha256:1",
    "count": 2,
    "approvals": ["file:///e/approvals/a.json"],
    "withheld": 1,
    "set_aside": 4,
    "on_hold": 0,
}
DISPOSAL = {"disposal": "file:///e/d.json", "manifest": "file:///e/m.jsonl", "digest": "sha256:1"}


def test_a_reference_to_a_list_survives_xcom() -> None:
    reference = ManifestReference.from_dict(json.loads(json.dumps(GIVEN)))
    assert reference == ManifestReference(**GIVEN)
    assert reference.to_dict() == GIVEN


def test_a_reference_without_approvals_stands_for_a_list_that_nobody_has_approved_yet() -> None:
    reference = ManifestReference.from_dict({name: GIVEN[name] for name in ("manifest", "digest", "count")})
    assert (list(reference.approvals), reference.withheld) == ([], 0)
    assert reference.to_dict()["approvals"] == []


def test_unknown_members_are_ignored() -> None:
    assert ManifestReference.from_dict(GIVEN | {"later": {"x": None}}) == ManifestReference.from_dict(GIVEN)
    assert DisposalReference.from_dict(DISPOSAL | {"complete": "?"}) == DisposalReference(*DISPOSAL.values())


@pytest.mark.parametrize("name", ["manifest", "digest", "count"])
def test_a_member_that_is_missing_is_refused(name: str) -> None:
    with pytest.raises(InvalidRecordsError, match="A manifest reference is what an upstream task returns"):
        ManifestReference.from_dict({key: value for key, value in GIVEN.items() if key != name})


@pytest.mark.parametrize(
    "change",
    [
        *({name: value} for name in ("manifest", "digest") for value in (None, 7, ["x"], b"x")),
        *({name: value} for name in ("count", "withheld", "set_aside", "on_hold") for value in (None, "2", 2.0, True)),
        *({"approvals": value} for value in (None, "file:///e", ["x", None], [7], {"x": 1}, ("x",))),
    ],
    ids=str,
)
def test_a_member_of_another_type_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecordsError, match="A manifest reference is what an upstream task returns"):
        ManifestReference.from_dict(GIVEN | change)


def test_the_reference_to_a_written_list_is_plain_json(tmp_path: Path) -> None:
    manifest = Manifest.write(Store(str(tmp_path)), ["a", "b"])
    reference = manifest_reference(manifest, iter(["uri"]), withheld=3, set_aside=4)
    assert json.loads(json.dumps(reference)) == {
        "manifest": manifest.uri,
        "digest": manifest.digest,
        "count": 2,
        "approvals": ["uri"],
        "withheld": 3,
        "set_aside": 4,
        "on_hold": 0,
    }


@pytest.mark.parametrize("name", list(DISPOSAL))
@pytest.mark.parametrize("value", [None, 7, [], {}, b"x"], ids=str)
def test_a_disposal_reference_needs_its_three_texts(name: str, value: object) -> None:
    with pytest.raises(InvalidRecordsError, match="A disposal reference is what a disposing task returns"):
        DisposalReference.from_dict(DISPOSAL | {name: value})


@pytest.mark.parametrize(("fields", "kind"), [(None, "NoneType"), ("x", "str"), (7, "int"), ([], "list"), ({}, "dict")])
def test_what_is_no_disposal_reference_is_named_by_its_type(fields: object, kind: str) -> None:
    with pytest.raises(InvalidRecordsError, match=f"this is {kind}. Did the upstream task run"):
        DisposalReference.from_dict(fields)
