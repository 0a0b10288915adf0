"""The JSON Schemas that ship with the package: one a format, and as strict as the reader."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence import empty_lists, formats
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind, Proof
from airflow_provider_records.evidence.set_aside import OddRow, SetAside
from airflow_provider_records.evidence.slip import Slip
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance
from airflow_provider_records.reporting import issue
from tests.evidence import evidence_factory
from tests.evidence.schemas import assert_store_valid, schema, validator

FORMATS = [value for value in vars(formats).values() if isinstance(value, formats.Format)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A run with all kinds of files."""
    store = Store(str(tmp_path))
    listed = Manifest.write(store, evidence_factory.records(9))
    told = evidence_factory.ObedientSystem(dict(zip([record.key for record in listed], OutcomeKind, strict=False)))
    approvals = evidence_factory.approve(store, listed, "anna", "ben", comment="checked")
    deleted = evidence_factory.carry_out(store, listed, approvals, system=told)
    looked = evidence_factory.carry_out(store, listed, dry_run=True, by=evidence_factory.provenance("look"))
    SetAside(listed.digest, evidence_factory.DAG, evidence_factory.RUN, "due").write(store, [OddRow("x ", "odd")])
    Slip(listed.digest, evidence_factory.DAG, evidence_factory.RUN, "approve", "Anna", "2026", "odd").write(store)
    empty_lists.note(store, evidence_factory.provenance("due"), 0)
    for _ in range(2):
        issue.write(store, [deleted, looked], evidence_factory.provenance("certificate"))
    return store


def test_every_format_has_a_schema_that_names_it() -> None:
    names = {path.name for path in (files("airflow_provider_records.evidence") / "schemas").iterdir()}
    assert names == {f"{each.name}.json" for each in FORMATS}
    for each in FORMATS:
        whole = schema(each.name)
        header = whole.get("properties") or whole["$defs"]["header"]["properties"]
        assert header["format"] == {"const": f"airflow-records/{each.name}"}
        assert header["version"] == {"const": each.version}


def test_the_schemas_know_the_outcomes_and_proofs() -> None:
    kinds, proofs = [str(kind) for kind in OutcomeKind], [str(proof) for proof in Proof]
    for outcome in (schema("outcomes")["$defs"]["line"], schema("journal")["$defs"]["outcome"]):
        assert outcome["properties"]["outcome"]["enum"] == kinds
        assert outcome["properties"]["proof"]["enum"] == proofs
    for name in ("disposal", "certificate"):
        assert schema(name)["$defs"]["counts"]["propertyNames"]["enum"] == kinds


def test_the_schemas_know_every_member_of_the_classes() -> None:
    for name, kind in (("disposal", Disposal), ("provenance", Provenance)):
        whole = schema("disposal")
        properties = (whole if name == "disposal" else whole["$defs"][name])["properties"]
        assert properties.keys() - {"format", "version"} == kind.__dataclass_fields__.keys() - {"unrecognized", "uri"}


def test_every_file_of_a_run_is_valid(store: Store) -> None:
    assert assert_store_valid(store) > 10


@pytest.mark.parametrize(
    "part",
    [
        "manifests/",
        "approvals/",
        "set_aside/",
        "/outcomes/",
        "open.jsonl",
        "-outcomes.jsonl",
        "disposal.json",
        "certificates/",
    ],
)
@pytest.mark.parametrize("change", [{"format": "airflow-records/other"}, {"version": 2}, {"version": None}])
def test_a_file_of_another_format_or_version_is_not(store: Store, part: str, change: dict[str, Any]) -> None:
    name = next(name for name in store.names("") if part in name and name.endswith((".json", ".jsonl")))
    first, *rest = store.read(name).splitlines()
    lines = [json.dumps(json.loads(first) | change).encode(), *rest]
    if part.endswith(".jsonl"):
        assert next(validator("journal", "header").iter_errors(json.loads(lines[0])), None) is not None
        return
    store.write(name, b"\n".join(lines) + b"\n")
    with pytest.raises(AssertionError, match=re.escape(name)):
        assert_store_valid(store)


@pytest.mark.parametrize(
    ("name", "definition", "value"),
    [
        ("manifest", "line", {"key": "1"}),
        ("manifest", "line", {"key": "1", "target_id": "1", "title": ""}),
        ("outcomes", "line", {"key": "1", "outcome": "returned"}),
        ("outcomes", "line", {"key": "1", "outcome": "blocked", "proof": "hearsay"}),
        ("journal", "trailer", {"end": "x"}),
        ("journal", "key", {"key": "1", "outcome": "blocked"}),
        ("rejection", "", {**formats.REJECTION.members, "digest": "sha256:x"}),
    ],
)
def test_what_no_release_writes_is_not_valid(name: str, definition: str, value: dict[str, Any]) -> None:
    assert next(validator(name, definition).iter_errors(value), None) is not None
