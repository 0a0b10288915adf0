"""Evidence of runs that show all that the page can: what was left and why, withheld, set aside, rejected."""

from __future__ import annotations

from airflow_provider_records.evidence.approval import Approval, Rejection
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.set_aside import OddRow, SetAside
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.reporting import issue
from tests.evidence import evidence_factory

DAG = "retention_nightly"
REFUSED, REJECTED = "scheduled__2026-11-22T04:30:00+00:00", "scheduled__2026-11-21T04:30:00+00:00"
WITHHELD = 3


def refused_marks(store: Store) -> None:
    """Write a run in which content was destroyed and a mark was refused, records were withheld and rows set aside."""
    shown = Manifest.write(store, evidence_factory.records(60))
    keys = [each.key for each in shown]
    left = Manifest.write(store, [each for each in shown if each.key not in keys[:WITHHELD]])
    asked = evidence_factory.given(store, shown.digest, dag_id=DAG, run_id=REFUSED)
    approval = Approval(
        digest=left.digest,
        approver="airflow:anna",
        name="Anna Amsel",
        approved_at="2026-11-22T07:14:41Z",
        source={"kind": "airflow", "task": "review"},
        comment="Seen, all but three.",
        shown=shown.digest,
        withheld={key: f"lawsuit 4 O {number}/26" for number, key in enumerate(keys[:WITHHELD], 12)},
        **asked,
    ).write(store)
    Order.read(store, asked["order"]).keep_as_asked(store, task_id="review", map_index=-1, try_number=None)
    SetAside(shown.digest, DAG, REFUSED, "due").write(store, [OddRow("enaio-07", "its key comes twice")])
    results = {
        **dict.fromkeys(keys[5:9], OutcomeKind.BLOCKED),
        **dict.fromkeys(keys[9:11], OutcomeKind.FAILED),
        keys[11]: OutcomeKind.ABSENT,
    }
    deleted = evidence_factory.carry_out(
        store,
        left,
        [approval],
        system=evidence_factory.ObedientSystem(results),
        by=evidence_factory.provenance("delete", run=REFUSED, dag_id=DAG),
    )
    gone = Manifest.write(store, (each for each in left if each.key not in results))
    marked = evidence_factory.carry_out(
        store,
        gone,
        [approval],
        name="opus",
        by=evidence_factory.provenance("mark", run=REFUSED, dag_id=DAG),
        system=evidence_factory.ObedientSystem({keys[20]: OutcomeKind.BLOCKED}),
        approved=left,
    )
    issue.write(store, [deleted, marked], evidence_factory.provenance("certificate", run=REFUSED, dag_id=DAG))


def rejected(store: Store) -> None:
    """Write a run in which somebody rejected the list."""
    manifest = Manifest.write(store, evidence_factory.records(30))
    asked = evidence_factory.given(store, manifest.digest, dag_id=DAG, run_id=REJECTED)
    Order.read(store, asked["order"]).keep_as_asked(store, task_id="review", map_index=-1, try_number=None)
    Rejection(
        manifest.digest,
        "airflow:bea",
        "2026-11-21T07:14:41Z",
        {"kind": "airflow"},
        "Bea",
        "The court wants to see them.",
        dag_id=DAG,
        run_id=REJECTED,
    ).write(store)
