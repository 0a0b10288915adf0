"""Whole nights without Opus in real Airflow: listed, approved, deleted, certified; the sandbox's log is the truth."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.system.conftest import Installation
from tests.system.test_nights import Begin, state

pytestmark = pytest.mark.system


def assert_only_the_list_is_gone(installation: Installation, vendor: str, effect: str) -> set[str]:
    """Exactly the records whose outcome says so are gone, each deleted once; return their ids."""
    (delete,) = installation.disposals()["delete"]
    listed = {item["key"]: item for item in installation.manifest(delete["digest"])}
    outcomes = installation.outcomes(delete)
    gone = Counter(installation.sandbox.effects(vendor, effect))
    assert set(outcomes) == set(listed)
    assert set(gone) == {listed[key]["target_id"] for key, item in outcomes.items() if item["outcome"] == effect}
    assert max(gone.values()) == 1
    assert not [entry for entry in installation.sandbox.log if entry.vendor == "opus"]
    assert installation.certificate()["complete"] is True
    return {str(item["target_id"]) for item in listed.values()}


def test_enaio_only(begin: Begin) -> None:
    installation = begin()
    fake: Any = installation.sandbox.vendors["enaio"]
    invoices = [item for item in fake.archive.objects.values() if item.object_type == "Invoice"]
    due = [item.id for item in invoices if item.fields["RetentionEnd"] < "2026"]
    for object_id in due[1:] + [item.id for item in invoices if item.fields["RetentionEnd"] > "2030"]:
        fake.set_field(object_id, "Disposal", "approved")
    log = installation.test_dag("records_enaio_only")
    assert state(log) == "success", log[-4000:]
    assert assert_only_the_list_is_gone(installation, "enaio", "destroyed") == set(due[1:])


def test_unifier_only(begin: Begin) -> None:
    installation = begin()
    fake: Any = installation.sandbox.vendors["unifier"]
    installation.decide("DR-DOCS-")
    log = installation.test_dag("records_unifier_only")
    assert state(log) == "success", log[-4000:]
    listed = assert_only_the_list_is_gone(installation, "unifier", "recycled")
    assert listed
    for node_id in listed:
        document = fake.documents[int(node_id)]
        assert (document.project, document.path[:8]) == ("P-0001", "/Closed/")
        assert document.uploaded < "2016"


def test_from_file(begin: Begin) -> None:
    installation = begin()
    fake: Any = installation.sandbox.vendors["enaio"]
    documents = [item for item in fake.archive.objects.values() if item.base == "DOCUMENT"][:5]
    source = installation.evidence.parent / "due.csv"
    lines = ["File no.;Title;Object;Closed", *(f'F-{item.id};"{item.id}; x";{item.id};2014' for item in documents)]
    source.write_text("\n".join(lines))
    installation.env["AIRFLOW_VAR_RECORDS_DUE_FILE"] = str(source)
    installation.decide("DR-FILE-")
    log = installation.test_dag("records_from_file")
    assert state(log) == "success", log[-4000:]
    assert assert_only_the_list_is_gone(installation, "enaio", "destroyed") == {item.id for item in documents}
