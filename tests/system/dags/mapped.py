"""Whatever a DAG may map, mapped in both ways: ``mapped_by_expand`` and ``mapped_by_expand_kwargs``."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.assets import DISPOSALS
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import SplitManifestOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor

DUE = ["2026-11-01T00:00:00"]


def by_expand(partial: Any, records: Any) -> Any:
    """Map over the parts themselves."""
    return partial.expand(records=records)


def by_expand_kwargs(partial: Any, records: Any) -> Any:
    """Map over mappings of arguments."""
    return partial.expand_kwargs(records.map(lambda part: {"records": part}))


def request(part: dict[str, Any]) -> dict[str, Any]:
    """Return what the sensor needs to know of a part."""
    return {"records": part, "record_no": f"DR-{part['digest'][7:19]}"}


for mapped in (by_expand, by_expand_kwargs):
    with DAG(f"mapped_{mapped.__name__}", schedule=None):
        objects = OpusDueRecordsSensor.partial(task_id="objects", target_id_pattern=r"enaio-(\d+)")
        split = SplitManifestOperator(task_id="split_objects", records=objects.expand(due_before=DUE).output, size=25)
        approve = UnifierApprovalSensor.partial(
            task_id="approve",
            project_number="P-0001",
            bpname="Disposal Request",
            digest_field="disposal_digest",
            approved=["Approved"],
            wait_for_record=True,
            deferrable=True,
            poke_interval=timedelta(seconds=1),
        ).expand_kwargs(split.output.map(request))
        documents = OpusDueRecordsSensor.partial(
            task_id="documents",
            target_id_pattern=r"unifier-(\d+)",
            opus_conn_id="opus_projects",
            due_means_approved=True,
        ).expand_kwargs([{"due_before": due_before} for due_before in DUE])
        whole = SplitManifestOperator(task_id="split_documents", records=documents.output, size=5)
        done = [
            mapped(
                EnaioDeleteObjectOperator.partial(task_id="enaio", enaio_conn_id="enaio_default", hard_delete=True),
                approve.output,
            ),
            mapped(
                UnifierDeleteDocumentOperator.partial(task_id="unifier", unifier_conn_id="unifier_default"),
                whole.output,
            ),
            mapped(OpusDestroyRecordsOperator.partial(task_id="opus", opus_conn_id="opus_default"), approve.output),
        ]

        @task(inlets=[DISPOSALS])
        def told(*, inlet_events: Any = None, run_id: str | None = None) -> None:
            """Print what whoever follows the disposals of this run is told."""
            for event in inlet_events[DISPOSALS]:
                if event.source_run_id == run_id:
                    facts = [event.source_task_id, event.source_map_index, event.extra["records"]]
                    print("TOLD", json.dumps(facts))

        done >> told()

with DAG("mapped_approval", schedule=None, params={"of_the_dag": 1}):
    due = OpusDueRecordsOperator(task_id="due", due_before=DUE[0], target_id_pattern=r"enaio-(\d+)")
    parts = SplitManifestOperator(task_id="split", records=due.output, size=30)
    review = DisposalApprovalOperator.partial(
        task_id="review",
        assigned_users=[{"id": "reviewer_1", "name": "Reviewer 1"}],
        response_timeout=timedelta(hours=1),
    ).expand(records=parts.output)
    EnaioDeleteObjectOperator.partial(task_id="delete", hard_delete=True).expand(records=review.output)
