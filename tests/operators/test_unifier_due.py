"""What is due in Unifier: only what surely is, found by a search or by the listings of the folders."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import ConfigurationError, VendorError
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator, UnifierDueDocumentsOperator
from airflow_provider_records.sandbox.unifier import Document, FakeUnifier, Folder
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.operators.opus_night import outcomes

SEARCHED = ("upload_date", "Upload Date")
DATE_FIELDS = pytest.mark.parametrize("date_field", ["Upload Date", SEARCHED], ids=["listed", "searched"])
SHELL = "P-0900"


@pytest.fixture
def unifier(served: ServedSandbox) -> FakeUnifier:
    """A shell with a document for each day and folder: ``/Closed``, ``/Closed/2014``, ``/Closed/2014/Drafts``."""
    fake = served.sandbox.vendors["unifier"]
    assert isinstance(fake, FakeUnifier)
    fake.shells[SHELL] = "Active"
    above = 0
    for number, path in enumerate(("/Closed", "/Closed/2014", "/Closed/2014/Drafts", "/Closed2")):
        folder = Folder(9_000 + number, SHELL, path, above if number < 3 else 0)
        fake.folders[folder.node_id] = folder
        above = folder.node_id
        add(fake, folder, 9_100 + number, "2014-05-25 08:00:00")
        add(fake, folder, 9_200 + number, "2025-05-25 08:00:00")
    return fake


def add(fake: FakeUnifier, folder: Folder, node_id: int, uploaded: str) -> None:
    path = f"{folder.path}/Plan {node_id}.pdf"
    fake.documents[node_id] = Document(node_id, node_id + 500, folder.node_id, SHELL, path, uploaded)


def operator(**more: Any) -> UnifierDueDocumentsOperator:
    options = {"project_number": SHELL, "parent_path": "/Closed", "date_field": SEARCHED, "due_before": "2020-01-01"}
    return UnifierDueDocumentsOperator(task_id="due", **{**options, **more})


def listed(served: ServedSandbox, **more: Any) -> dict[int, Record]:
    reference = run(operator(**more))
    return {int(record.target_id): record for record in Manifest.open(served.store, reference["digest"])}


@DATE_FIELDS
def test_exactly_the_documents_below_the_folder_that_are_due_are_listed(
    served: ServedSandbox, unifier: FakeUnifier, date_field: Any
) -> None:
    found = listed(served, date_field=date_field)
    assert set(found) == {9_100, 9_101, 9_102}
    for node_id, record in found.items():
        document = unifier.documents[node_id]
        assert (record.key, record.target_id) == (str(node_id), str(node_id))
        assert record.title == f"Plan {node_id}.pdf"
        assert (record.location, record.parent_id) == (document.path.rpartition("/")[0], str(document.parent_id))
        assert record.attributes["project_number"] == SHELL
        assert record.attributes["due_before"] == "2020-01-01T00:00:00"
        assert record.attributes["due"].replace("/", "-")[:4] in {"2014", "05-2"}
    listings = 0 if date_field is SEARCHED else 3
    assert (served.calls("unifier", "search_nodes"), served.calls("unifier", "list_nodes")) == (
        int(not listings),
        listings,
    )


@pytest.mark.parametrize(
    "switch",
    [
        {"search_call": "404"},
        {"search_call": "405"},
        {"search_depth": "direct"},
        {"search_dates": False},
    ],
    ids=str,
)
def test_where_a_search_does_not_show_all_the_folders_are_listed(
    served: ServedSandbox, unifier: FakeUnifier, switch: dict[str, Any]
) -> None:
    unifier.turn(switch)
    assert set(listed(served)) == {9_100, 9_101, 9_102}
    assert served.calls("unifier", "list_nodes") >= 3


def test_a_name_that_the_search_does_not_know_is_no_empty_list(served: ServedSandbox, unifier: FakeUnifier) -> None:
    served.fault(vendor="unifier", call="search_nodes", times=None, status=200, body='{"status": 1999, "data": []}')
    assert set(listed(served, date_field=("unknown", "Upload Date"))) == {9_100, 9_101, 9_102}


@pytest.mark.parametrize("rows", [[{"node_id": 7, "node_path": "/Other/x.pdf", "Upload Date": "2014/01/01 00:00"}]])
def test_what_a_search_finds_elsewhere_is_not_listed(
    served: ServedSandbox, unifier: FakeUnifier, rows: list[Any]
) -> None:
    served.fault(vendor="unifier", call="search_nodes", times=None, put={"/data": rows})
    assert set(listed(served)) == {9_100, 9_101, 9_102}


@DATE_FIELDS
def test_only_the_folder_itself(served: ServedSandbox, unifier: FakeUnifier, date_field: Any) -> None:
    assert set(listed(served, recursive=False, date_field=date_field)) == {9_100}
    assert served.calls("unifier", "search_nodes") == 0


@DATE_FIELDS
@pytest.mark.parametrize("labels", ["by_form", "Name", "file_name", "neither"])
@pytest.mark.parametrize("node_ids", ["number", "text"])
def test_labels_and_ids_may_have_any_form(
    served: ServedSandbox, unifier: FakeUnifier, date_field: Any, labels: str, node_ids: str
) -> None:
    unifier.turn({"labels": labels, "node_ids": node_ids})
    assert set(listed(served, date_field=date_field)) == {9_100, 9_101, 9_102}


def test_a_date_that_may_mean_a_later_day_is_not_due_yet(served: ServedSandbox, unifier: FakeUnifier) -> None:
    unifier.turn({"labels": "file_name"})
    add(unifier, unifier.folders[9_000], 9_300, "2014-03-12 08:00:00")  # 03/12/2014 may be in December
    assert set(listed(served, date_field="Upload Date", due_before="2014-06-01")) == {9_100, 9_101, 9_102}
    assert 9_300 in listed(served, date_field="Upload Date", due_before="2014-12-04")


def test_odd_rows_are_set_aside_and_a_document_without_a_date_is_not_due(
    served: ServedSandbox, unifier: FakeUnifier, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        {"node_id": 1, "node_path": "/Closed/a", "type": "Document", "Upload Date": "2014/01/01 00:00"},
        {"node_id": 2, "node_path": "/Closed/b", "type": "Document", "Upload Date": "soon"},
        {"node_id": 3, "node_path": "/Closed/c", "type": "Document", "Upload Date": None},
        {"node_id": 4, "node_path": "/Closed/d", "type": "Document"},
        {"node_id": 5, "node_path": "/Closed/e", "type": "Shortcut", "Upload Date": "2014/01/01 00:00"},
        {"node_id": 1, "node_path": "/Closed/a", "type": "Document", "Upload Date": "2014/01/01 00:00"},
        {"node_path": "/Closed/f", "type": "Document", "Upload Date": "2014/01/01 00:00"},
        {"node_id": 7, "type": "Document", "projectnumber": "P-7", "Upload Date": "2014/01/01 00:00"},
    ]
    served.fault(vendor="unifier", call="list_nodes", times=None, put={"/data": rows})
    found = listed(served, date_field="Upload Date", recursive=False)
    assert set(found) == {1}
    assert (found[1].location, found[1].parent_id) == ("/Closed", None)
    assert "Set aside: '2': its Upload Date is no date" in caplog.text
    assert "Set aside: '5': Unifier lists it as Shortcut" in caplog.text
    assert "Set aside: '/Closed/f': Unifier lists it without a node id" in caplog.text
    assert "Set aside: '7': Unifier lists it in another shell, P-7" in caplog.text
    with pytest.raises(AirflowFailException, match="no list was made"):
        listed(served, date_field="Upload Date", recursive=False, set_aside=False)


def test_a_date_that_no_document_shows_is_an_error(served: ServedSandbox, unifier: FakeUnifier) -> None:
    with pytest.raises(AirflowFailException, match=r"None of the 6 documents .* shows 'Issue Date'.*Upload Date"):
        run(operator(date_field="Issue Date"))
    assert served.store.names("") == []


@DATE_FIELDS
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_folder_that_cannot_be_read_leaves_no_list(
    served: ServedSandbox, unifier: FakeUnifier, date_field: Any, skip: int
) -> None:
    unifier.turn({"search_call": "404"})
    served.fault(vendor="unifier", call="list_nodes", skip=skip, times=None, status=500)
    with pytest.raises(VendorError):
        run(operator(date_field=date_field))
    assert served.store.names("") == []


def test_a_folder_that_does_not_exist_is_an_error(served: ServedSandbox, unifier: FakeUnifier) -> None:
    with pytest.raises(VendorError, match="1074"):
        run(operator(parent_path="/Nowhere"))


def test_a_bound_later_than_now_is_refused_before_any_request(served: ServedSandbox) -> None:
    with pytest.raises(AirflowFailException, match="later than now"):
        run(operator(due_before=datetime.now(UTC) + timedelta(minutes=5)))
    assert not served.sandbox.log
    with DAG("night"), pytest.raises(ConfigurationError, match="later than now"):
        operator(due_before=datetime.now(UTC) + timedelta(days=2))


@pytest.mark.parametrize(("hours", "warns"), [(1, True), (12.1, False)])
def test_a_bound_that_may_be_early_in_unifiers_zone_is_said(
    served: ServedSandbox, unifier: FakeUnifier, hours: float, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run(operator(due_before=datetime.now(UTC) - timedelta(hours=hours)))
    assert ("The time zone of Unifier is not known" in caplog.text) is warns


@pytest.mark.parametrize(
    "wrong",
    [
        {"project_number": None},
        {"project_number": 7},
        {"parent_path": "Closed"},
        {"parent_path": None},
        {"date_field": ""},
        {"date_field": " - "},
        {"date_field": ("upload_date", "")},
        {"date_field": ("a", "b", "c")},
        {"recursive": "yes"},
        {"set_aside": None},
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused_when_the_dag_is_read(wrong: dict[str, Any]) -> None:
    with DAG("night"), pytest.raises(ConfigurationError, match=next(iter(wrong))):
        operator(**wrong)


@DATE_FIELDS
def test_a_due_list_of_unifier_alone_is_recycled(served: ServedSandbox, unifier: FakeUnifier, date_field: Any) -> None:
    reference = run(operator(date_field=date_field))
    deleted = run(UnifierDeleteDocumentOperator(task_id="delete", records=reference, require_approval=False))
    assert deleted["counts"]["recycled"] == 3, outcomes(served, deleted)
    assert set(served.sandbox.effects("unifier", "recycled")) == {"9100", "9101", "9102"}


def test_documents_of_the_company_level(served: ServedSandbox, unifier: FakeUnifier) -> None:
    unifier.folders[9_900] = Folder(9_900, "", "/Closed")
    unifier.documents[9_901] = Document(9_901, 9_902, 9_900, "", "/Closed/x.pdf", "2014-05-25 08:00:00")
    found = listed(served, project_number="")
    assert [(record.target_id, record.attributes["project_number"]) for record in found.values()] == [("9901", "")]
