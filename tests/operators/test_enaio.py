"""What a DAG may ask of enaio, and how it reaches the request and the evidence."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import DisposalIncompleteError
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run


def documents(served: ServedSandbox, number: int) -> list[Any]:
    """Return documents of enaio that nothing holds."""
    archive: Any = served.sandbox.vendors["enaio"]
    return [item for item in archive.archive.objects.values() if item.base == "DOCUMENT"][:number]


def type_id(served: ServedSandbox, document: Any) -> str:
    enaio: Any = served.sandbox.vendors["enaio"]
    return str(enaio.archive.types[document.object_type].id)


def delete(records: Any, **options: Any) -> Any:
    return run(EnaioDeleteObjectOperator(task_id="delete", records=records, require_approval=False, **options))


def deletes(served: ServedSandbox) -> list[str]:
    return [entry.path for entry in served.sandbox.log if entry.call == "delete_object"]


@pytest.mark.parametrize(("hard", "result"), [(False, "recycled"), (True, "destroyed")], ids=["default", "hard delete"])
def test_records_are_recycled_unless_the_dag_says_hard_delete(served: ServedSandbox, hard: bool, result: str) -> None:
    (document,) = documents(served, 1)
    reference = delete([document.id], **({"hard_delete": True} if hard else {}))
    assert reference["counts"][result] == 1
    (path,) = deletes(served)
    assert ("hardDelete=true" in path) is hard


def test_the_place_and_the_type_of_the_dag_hold_where_a_record_names_none(served: ServedSandbox) -> None:
    first, second = documents(served, 2)
    named = {"key": second.id, "location": second.places[0], "object_type_id": type_id(served, second)}
    reference = delete([first.id, named], location=first.places[0], object_type_id=type_id(served, first))
    assert reference["counts"]["recycled"] == 2
    sent = {path.partition("?")[0].rpartition("/")[2]: path.partition("?")[2] for path in deletes(served)}
    assert f"location={first.places[0]}" in sent[first.id]
    assert f"location={second.places[0]}" in sent[second.id]


@pytest.mark.parametrize("wrong", [{"location": "999999"}, {"object_type_id": "999999"}], ids=["place", "type"])
def test_a_place_or_a_type_that_is_not_the_records_deletes_nothing(
    served: ServedSandbox, wrong: dict[str, Any]
) -> None:
    (document,) = documents(served, 1)
    operator = EnaioDeleteObjectOperator(
        task_id="delete", records=[document.id], require_approval=False, max_failure_rate=1.0, **wrong
    )
    with pytest.raises(DisposalIncompleteError, match="1 failed of 1 records"):
        run(operator)
    assert not served.sandbox.effects("enaio", "recycled")


def test_the_evidence_says_how_the_dag_had_it_deleted(served: ServedSandbox) -> None:
    (document,) = documents(served, 1)
    asked = {"hard_delete": True, "cascade_delete": True, "location": document.places[0], "object_type_id": None}
    done = Disposal.read(served.store, delete([document.id], **asked)["disposal"])
    assert {name: done.options[name] for name in asked} == asked
    assert (done.conn_id, done.method) == ("enaio_default", "destroy")


@pytest.mark.parametrize("cascade", [False, True])
def test_a_folder_listed_before_its_content_goes_after_it_only_with_cascade_delete(
    served: ServedSandbox, cascade: bool
) -> None:
    enaio: Any = served.sandbox.vendors["enaio"]
    enaio.archive.add("900001", "File", base="FOLDER")
    enaio.archive.add("900002", "Invoice", places=["900001"])
    listed = ["900001", {"key": "900002", "location": "900001"}]
    if not cascade:
        assert delete(listed, hard_delete=True, concurrency=1)["counts"]["blocked"] == 1
        return
    assert delete(listed, hard_delete=True, cascade_delete=True)["counts"]["destroyed"] == 2


def test_what_is_on_hold_in_a_folder_decides_about_the_folder_in_the_same_try(served: ServedSandbox) -> None:
    enaio: Any = served.sandbox.vendors["enaio"]
    enaio.archive.add("900001", "File", base="FOLDER")
    for document in ("900002", "900003"):
        enaio.archive.add(document, "Invoice", places=["900001"])
    listed = ["900001", "900002", "900003"]
    reference = delete(listed, hard_delete=True, cascade_delete=True, holds=["900002"])
    assert (reference["counts"]["destroyed"], reference["counts"]["blocked"]) == (1, 2)
    found = {
        each.key: each.reason or ""
        for each in Disposal.read(served.store, reference["disposal"]).each_outcome(served.store)
    }
    assert found["900001"].startswith("it is not empty")


def test_place_type_and_connection_may_be_templates(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ENAIO_ARCHIVE", os.environ["AIRFLOW_CONN_ENAIO_DEFAULT"])
    operator = EnaioDeleteObjectOperator(
        task_id="delete",
        records="{{ id }}",
        location="{{ place }}",
        object_type_id="{{ type }}",
        enaio_conn_id="enaio_{{ name }}",
    )
    operator.render_template_fields({"id": "1", "place": "10", "type": "5", "name": "archive"})  # type: ignore[typeddict-unknown-key]
    assert (operator.records, operator.location, operator.object_type_id) == ("1", "10", "5")
    assert operator.hook.conn_id == "enaio_archive"


def test_no_connection_is_read_when_the_dag_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ENAIO_DEFAULT", json.dumps({"conn_type": "wrong"}))
    operator = EnaioDeleteObjectOperator(task_id="delete", records=[])
    assert "hook" not in operator.__dict__
