"""What a DAG may ask of Unifier, and how it reaches the request and the evidence."""

from __future__ import annotations

import os
from typing import Any

import pytest

from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.systems.unifier import UnifierSystem
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run


def documents(served: ServedSandbox, number: int) -> list[str]:
    """Return node ids of documents that nothing holds."""
    unifier: Any = served.sandbox.vendors["unifier"]
    return [str(node) for node in unifier.documents][:number]


def delete(records: Any, **options: Any) -> Any:
    return run(UnifierDeleteDocumentOperator(task_id="delete", records=records, require_approval=False, **options))


def test_documents_are_recycled_and_never_called_destroyed(served: ServedSandbox) -> None:
    nodes = documents(served, 2)
    reference = delete(nodes)
    assert (reference["counts"]["recycled"], reference["counts"]["destroyed"]) == (2, 0)
    assert reference["complete"]
    assert sorted(served.sandbox.effects("unifier", "recycled")) == sorted(nodes)


def test_the_evidence_names_the_system_and_the_connection(served: ServedSandbox) -> None:
    done = Disposal.read(served.store, delete(documents(served, 1))["disposal"])
    assert (done.system, done.conn_id, done.method) == ("unifier", "unifier_default", "recycle")
    described = UnifierDeleteDocumentOperator(task_id="again", records=[]).system().describe()
    assert done.description.to_dict() == described.to_dict()


def test_the_connection_may_be_a_template(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_UNIFIER_ARCHIVE", os.environ["AIRFLOW_CONN_UNIFIER_DEFAULT"])
    operator = UnifierDeleteDocumentOperator(task_id="delete", records="{{ id }}", unifier_conn_id="unifier_{{ name }}")
    operator.render_template_fields({"id": "1", "name": "archive"})  # type: ignore[typeddict-unknown-key]
    assert (operator.records, operator.hook.conn_id) == ("1", "unifier_archive")
    system = operator.system()
    assert isinstance(system, UnifierSystem)
    assert system.hook is operator.hook
