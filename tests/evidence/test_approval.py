"""The form of an approval's file."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError
from tests.evidence import evidence_factory

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64


def approval(approver: str = "anna", digest: str = DIGEST, **fields: Any) -> Approval:
    return Approval(
        digest,
        approver,
        "2026-11-22T07:00:00Z",
        {"kind": "airflow", "task": "approve"},
        **{**evidence_factory.GIVEN, **fields},
    )


def planted(store: Store, value: object) -> str:
    content = value if isinstance(value, bytes) else canonical(value) + b"\n"
    return store.write(f"approvals/{hashlib.sha256(content).hexdigest()}.json", content)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "Anna Ü", "comment": "ja\n<b>", "part_of": OTHER},
        {"shown": OTHER, "withheld": {"enaio-1": "held", "ü": "wird gebraucht"}},
    ],
)
def test_an_approval_is_read_as_it_was_written(store: Store, fields: dict[str, Any]) -> None:
    given = approval(**fields)
    uri = given.write(store)
    read = Approval.read(store, uri)
    assert read == given
    assert read.uri == uri
    assert read.write(store) == uri


def test_unknown_members_are_kept(store: Store) -> None:
    """A later release may add members; what this release writes back must not lose them."""
    more = {"uri": "file:///elsewhere", "place": {"x": [1]}}
    uri = planted(store, {**formats.APPROVAL.members, **approval().to_dict(), **more})
    read = Approval.read(store, uri)
    assert read.unrecognized == more
    assert read.uri == uri
    assert read.write(store) == uri


def test_every_changed_byte_is_found(store: Store) -> None:
    uri = approval(comment="ü").write(store)
    name = store.name(uri)
    content = store.read(name)
    for place in range(len(content)):
        store.write(name, content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(EvidenceError, match="was changed"):
            Approval.read(store, uri)


def test_an_approval_is_found_nowhere_but_in_its_folder(store: Store) -> None:
    uri = approval().write(store)
    elsewhere = store.write(f"disposals/{store.name(uri).rpartition('/')[2]}", store.read(store.name(uri)))
    with pytest.raises(EvidenceError, match="is no approval"):
        Approval.read(store, elsewhere)
    with pytest.raises(EvidenceError, match="is missing"):
        Approval.read(store, uri.replace(".json", "0.json"))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "airflow-records/disposal"},
        {"format": None},
        {"order": ""},
        {"order": None},
        {"approver": ""},
        {"approver": " "},
        {"approver": None},
        {"approver": ["anna"]},
        {"approver": 7},
        {"digest": 7},
        {"digest": ""},
        {"approved_at": None},
        {"source": "airflow"},
        {"source": None},
        {"part_of": ["x"]},
        {"comment": 1},
        {"name": {}},
        {"shown": OTHER},
        {"withheld": {"enaio-1": "held"}},
        {"shown": OTHER, "withheld": {}},
        {"shown": OTHER, "withheld": {"enaio-1": ""}},
        {"shown": OTHER, "withheld": {"enaio-1": None}},
        {"shown": OTHER, "withheld": ["enaio-1"]},
        {"shown": OTHER, "withheld": {"enaio-1": "held"}, "part_of": OTHER},
    ],
)
def test_what_is_not_of_its_form_is_no_approval(store: Store, change: dict[str, Any]) -> None:
    uri = planted(store, {**formats.APPROVAL.members, **approval().to_dict(), **change})
    with pytest.raises(EvidenceError, match="is no approval"):
        Approval.read(store, uri)


@pytest.mark.parametrize("value", [[], None, "x", 7, {}, formats.APPROVAL.members, b"nonsense", b"", b"\xff"])
def test_what_is_something_else_is_no_approval(store: Store, value: object) -> None:
    with pytest.raises(EvidenceError, match="is no approval"):
        Approval.read(store, planted(store, value))
