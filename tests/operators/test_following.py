"""What others are told of a disposal: asset events, OpenLineage, and the links of its task."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from airflow.sdk import DAG, Asset
from airflow.sdk.definitions.asset import AssetUniqueKey

from airflow_provider_records.operators.assets import DISPOSALS, disposed
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.task.links import CertificateLink, DisposalLink, ListLink, list_url
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import TaskInstance, context, run

RUN = "manual__2026-11-22T04:30:00+00:00"


def documents(served: ServedSandbox, number: int) -> list[str]:
    """Return documents of enaio that nothing holds."""
    archive: Any = served.sandbox.vendors["enaio"]
    return sorted(item.id for item in archive.archive.objects.values() if item.base == "DOCUMENT")[:number]


def deleting(served: ServedSandbox, records: list[str], **options: Any) -> EnaioDeleteObjectOperator:
    """Return a task that deletes records that nobody need approve."""
    given: dict[str, Any] = {"hard_delete": True, "require_approval": False, "max_failure_rate": 1.0, **options}
    return EnaioDeleteObjectOperator(task_id="delete", records=records, **given)


def carry_out(operator: Any) -> tuple[dict[str, Any], list[Any]]:
    """Execute; return the reference and the events that Airflow would register."""
    where = context(operator)
    return operator.execute(where), where["outlet_events"][DISPOSALS].asset_alias_events


@pytest.mark.parametrize(("hard", "result"), [(True, "destroyed"), (False, "recycled")])
def test_what_was_disposed_of_changes_the_asset_of_the_system(served: ServedSandbox, hard: bool, result: str) -> None:
    reference, (event,) = carry_out(deleting(served, [*documents(served, 3), "9999999"], hard_delete=hard))
    assert event.dest_asset_key == AssetUniqueKey.from_asset(disposed("enaio", result))
    assert event.source_alias_name == "records_disposals"
    assert event.extra["records"] == reference["counts"][result] == 3
    assert event.extra["digest"] == reference["digest"]
    assert event.extra["disposal"] == reference["disposal"]


def test_the_assets_are_a_contract() -> None:
    assert disposed("enaio") == Asset(name="records_destroyed_enaio", uri="x-records://enaio/destroyed")
    assert disposed("unifier", "recycled") == Asset(name="records_recycled_unifier", uri="x-records://unifier/recycled")


def test_no_event_where_nothing_was_disposed_of(served: ServedSandbox) -> None:
    for records, options in (([], {}), (["9999999"], {}), (documents(served, 2), {"dry_run": True})):
        _, events = carry_out(deleting(served, records, **options))
        assert events == []


def test_no_event_before_the_disposal_is_complete(served: ServedSandbox) -> None:
    broken, *others = documents(served, 3)
    served.fault(vendor="enaio", call="delete_object", match=f"/{broken}", times=None, status=500, act=False)
    operator = deleting(served, [broken, *others])
    where = context(operator)
    with pytest.raises(Exception, match="1 failed of 3 records"):
        operator.execute(where)
    assert where["outlet_events"][DISPOSALS].asset_alias_events == []
    served.sandbox.faults.clear()
    where = context(operator, try_number=2)
    operator.execute(where)
    (event,) = where["outlet_events"][DISPOSALS].asset_alias_events
    assert event.extra["records"] == 3


MINE = Asset("mine")


@pytest.mark.parametrize(
    ("outlets", "kept"), [(None, []), (MINE, [MINE]), ([MINE], [MINE]), ([MINE, DISPOSALS], [MINE])]
)
def test_outlets_of_the_dag_are_kept(outlets: Any, kept: list[Asset]) -> None:
    kind, given = OpusDestroyRecordsOperator, {"outlets": outlets}
    with DAG("night"):
        tasks: list[Any] = [
            kind(task_id="mark", records=[], **given),
            kind(task_id="by_default", records=[], default_args=given),
            mapped := kind.partial(task_id="mapped", **given).expand(records=[["1"]]),
            kind.partial(task_id="mapped_by_default", default_args=given).expand(records=[["1"]]),
            mapped.unmap({"records": ["1"]}),
        ]
    assert [task.outlets for task in tasks] == [[*kept, DISPOSALS]] * len(tasks)


def lineage(operator: Any) -> Any:
    """Ask as the OpenLineage provider does."""
    return DefaultExtractor(operator).extract_on_complete(None)


def test_openlineage_hears_of_each_dropped_dataset(served: ServedSandbox) -> None:
    records = documents(served, 3)
    operator = deleting(served, [*records, "9999999"])
    carry_out(operator)
    inputs = lineage(operator).inputs
    assert [(each.namespace, each.name) for each in inputs] == [
        (f"enaio://{urlsplit(served.url).netloc}/enaio/api/dms", record) for record in records
    ]
    for each in inputs:
        facet = each.facets["lifecycleStateChange"]
        assert facet.lifecycleStateChange.value == "DROP"
        assert facet.previousIdentifier.name == each.name


def test_openlineage_hears_of_nothing_that_may_still_be_there(served: ServedSandbox) -> None:
    recycled = deleting(served, documents(served, 3), hard_delete=False)
    carry_out(recycled)
    marked = OpusDestroyRecordsOperator(task_id="mark", records=["no-such-key"], require_approval=False)
    before = deleting(served, [])
    for operator in (recycled, marked, before):
        found = lineage(operator)
        assert found is None or not found.inputs


@pytest.mark.parametrize(
    ("base_url", "begins"),
    [
        ("", "/plugin/disposals/records/"),
        ("https://airflow.example.org", "https://airflow.example.org/plugin/disposals/records/"),
        ("https://example.org/air/", "https://example.org/air/plugin/disposals/air/records/"),
    ],
)
def test_links(monkeypatch: pytest.MonkeyPatch, base_url: str, begins: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    operator = OpusDestroyRecordsOperator(task_id="mark", records=[])
    ti: Any = TaskInstance("mark")
    where = "dag_id=night&run_id=manual__2026-11-22T04%3A30%3A00%2B00%3A00"
    assert DisposalLink().get_link(operator, ti_key=ti) == f"{begins}run?{where}#task-mark"
    assert CertificateLink().get_link(operator, ti_key=ti) == f"{begins}certificate.html?{where}"
    assert ListLink().get_link(operator, ti_key=ti) == ""
    operator.listed = f"sha256:{'b' * 64}"
    assert ListLink().get_link(operator, ti_key=ti) == f"{begins}manifests/{'b' * 64}?{where}"
    assert list_url(f"sha256:{'a' * 64}", "night", RUN) == f"{begins}manifests/{'a' * 64}?{where}"


def test_the_due_list_can_be_opened_from_its_task_and_from_its_log(
    served: ServedSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    operator = OpusDueRecordsOperator(task_id="due", due_before="2026-11-01T00:00:00")
    reference = run(operator)
    ti: Any = TaskInstance("due")
    link = ListLink().get_link(operator, ti_key=ti)
    assert reference["digest"].removeprefix("sha256:") in link
    assert link in capsys.readouterr().out
