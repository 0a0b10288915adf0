"""What a clear may change of a run: another list, method or target is refused, and what was done stays certified."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.reporting.verify import verify
from airflow_provider_records.sandbox.server import Server
from tests.evidence.schemas import assert_store_valid
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run


@pytest.fixture
def documents(served: ServedSandbox) -> list[str]:
    """Return objects that enaio deletes when it is asked to."""
    found: Any = served.sandbox.vendors["enaio"]
    free = [each for each in found.archive.objects.values() if each.base == "DOCUMENT"]
    held = ("locked_by", "in_workflow", "no_delete", "no_read", "archived")
    return [each.id for each in free if not any(getattr(each, name) for name in held)][:12]


def delete(records: Any, try_number: int = 1, **more: Any) -> Any:
    given = {"hard_delete": True, "require_approval": False, **more}
    return run(EnaioDeleteObjectOperator(task_id="delete", records=records, **given), try_number)


def certify(served: ServedSandbox, *disposals: Any, **more: Any) -> dict[str, Any]:
    """Certify the run, verify it, and return what the certificate says."""
    reference = run(DestructionCertificateOperator(task_id="certificate", disposals=list(disposals), **more))
    path = Path(reference["certificate"].removeprefix("file://"))
    report = verify(path)
    assert report.ok, report.problem
    assert_store_valid(served.store)
    return dict(json.loads(path.read_bytes()))


def deleted(served: ServedSandbox) -> int:
    return served.calls("enaio", "delete_object")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda ids: ([], {}), "was now given an empty list"),
        (lambda ids: (ids[:5], {"dry_run": True}), "was now given dry_run=True"),
        (lambda ids: ([], {"dry_run": True}), "was now given dry_run=True"),
        (lambda ids: (ids[:4], {}), "was now given a list of 4 records without"),
        (lambda ids: (ids[:6], {}), "was now given the list sha256:"),
        (lambda ids: (ids[:5], {"hard_delete": False}), "was now given enaio at http.*, method recycle"),
    ],
    ids=["empty", "rehearsal", "empty-rehearsal", "shorter", "longer", "method"],
)
def test_what_has_begun_is_bound(served: ServedSandbox, documents: list[str], given: Any, words: str) -> None:
    done = delete(documents[:5])
    before, requests = certify(served, done), deleted(served)
    records, options = given(documents)
    with pytest.raises(AirflowFailException, match=f"5 records begun.*{words}.*Start a new DAG run"):
        delete(records, 2, **options)
    assert deleted(served) == requests == 5
    assert certify(served, done)["counts"] == before["counts"] == {"enaio": done["counts"]}


def test_another_target_is_refused_under_the_same_connection(
    served: ServedSandbox, documents: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served.fault(vendor="enaio", call="delete_object", skip=2, times=None, status=500, act=False)
    with pytest.raises(Exception, match="failed"):
        delete(documents[:5], concurrency=1)
    served.sandbox.faults.clear()
    requests = deleted(served)
    known = os.environ["AIRFLOW_CONN_ENAIO_DEFAULT"]
    with Server(served.sandbox) as elsewhere:
        monkeypatch.setenv("AIRFLOW_CONN_ENAIO_DEFAULT", known.replace(served.url, elsewhere.url))
        with pytest.raises(AirflowFailException, match=f"was now given enaio at {elsewhere.url}"):
            delete(documents[:5], 2)
    assert deleted(served) == requests
    monkeypatch.setenv("AIRFLOW_CONN_ENAIO_DEFAULT", known)
    monkeypatch.setenv("AIRFLOW_CONN_ENAIO_RENAMED", known)  # the same target is the same place
    done = delete(documents[:5], 3, enaio_conn_id="enaio_renamed")
    assert done["counts"]["destroyed"] == 5
    said = certify(served, done)["disposals"][0]["disposal"]
    assert (said["conn_id"], said["method"]) == ("enaio_renamed", "destroy")
    assert said["target"].startswith(served.url)


def test_a_late_list_after_an_empty_one_goes_on(served: ServedSandbox, documents: list[str]) -> None:
    certify(served, delete([]))
    done = delete(documents[:3], 2)
    assert done["counts"]["destroyed"] == 3
    assert certify(served, done)["counts"]["enaio"]["destroyed"] == 3


def test_the_real_try_after_a_rehearsal_goes_on(served: ServedSandbox, documents: list[str]) -> None:
    certify(served, delete(documents[:3], dry_run=True), require_complete=False)
    done = delete(documents[:3], 2)
    assert done["counts"]["destroyed"] == 3
    said = certify(served, done)
    assert said["complete"]
    assert said["counts"]["enaio"]["destroyed"] == 3


def test_a_try_that_intended_nothing_binds_nothing(
    served: ServedSandbox, documents: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Journal, "intend", dies)
        with pytest.raises(KeyboardInterrupt):
            delete(documents[:3], hard_delete=False)
    done = delete(documents[3:7], 2)
    assert done["counts"]["destroyed"] == 4
    assert certify(served, done)["complete"]


def test_the_journal_names_where_and_how(served: ServedSandbox, documents: list[str]) -> None:
    disposal = Disposal.read(served.store, delete(documents[:1])["disposal"])
    journal = disposal.provenance.folder.journal
    opened = next(name for name in served.store.names(journal) if name.endswith("-open.jsonl"))
    header = json.loads(served.store.read(opened).splitlines()[0])
    named = {name: header[name] for name in ("system", "target", "method", "conn_id")}
    assert named == disposal.place.to_dict()
    assert named["method"] == "destroy"
    assert named["conn_id"] == "enaio_default"
