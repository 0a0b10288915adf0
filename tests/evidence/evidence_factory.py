"""One night's evidence, made with the real journal and runner against a system that does as it is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.authorization import journal_key
from airflow_provider_records.evidence.binding import Place
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Covered, Order
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance, SystemDescription, write_outcomes
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.rehearsal import rehearse
from airflow_provider_records.execution.runner import Runner
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.sandbox.seed import items
from airflow_provider_records.systems import SYSTEMS, system_class
from airflow_provider_records.systems.enaio import EnaioSystem

DAG, RUN = "retention_nightly", "scheduled__2026-11-22T02:00:00+00:00"
GIVEN: dict[str, Any] = {"approver_type": "person", "order": f"sha256:{'0' * 64}"}
"""What an approval states where no test looks up its order."""
TASKS = {
    "delete_enaio": ("enaio",),
    "delete_unifier": ("unifier",),
    "delete": ("enaio",),
    "part.delete": ("enaio",),
    "rest": ("enaio", "opus"),
    "mark": ("opus",),
    "delete_opus": ("opus",),
    "part.mark": ("opus",),
}
"""The systems of the tasks that an order covers, where a test does not care."""
STARTED = "2026-11-22T02:00:07.120000+00:00"
REASONS = {
    OutcomeKind.BLOCKED: "refused by enaio: the object is checked out by j.müller; have it checked in",
    OutcomeKind.FAILED: "enaio answered with an error of its own (HTTP 500)",
    OutcomeKind.UNKNOWN: "its call went unanswered and it could not be looked up",
    OutcomeKind.ABSENT: "enaio did not know it before we asked",
}


class ObedientSystem:
    """A system that answers what it was told, by key; everything else is destroyed."""

    name = "enaio"
    batch_size = 1

    def __init__(
        self, results: Mapping[str, OutcomeKind] | None = None, usual: OutcomeKind = OutcomeKind.DESTROYED
    ) -> None:
        self.results = dict(results or {})
        self.usual = usual

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        return {record.key for record in records}

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        return [self._outcome(record) for record in batch]

    def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
        return [None for _ in batch]

    def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        return [outcome for _, outcome in batch]

    def _outcome(self, record: Record) -> Outcome:
        result = self.results.get(record.key, self.usual)
        proof = None if result in (OutcomeKind.FAILED, OutcomeKind.UNKNOWN) else Proof.RESPONSE
        return Outcome(record.key, result, proof, REASONS.get(result), request_id=f"req-{record.key[-6:]}")


def records(count: int) -> list[dict[str, Any]]:
    """Make up records as the due list of Opus gives them."""
    return [
        {
            "key": item.key,
            "target_id": item.target_id,
            "title": item.title,
            "classification": item.classification,
            "attributes": {
                "connector_id": item.connector_id,
                "due_before": "2026-11-21T12:00:00",
                "created": item.created,
                "modified": item.modified,
            },
        }
        for item in items(count, 7)
        if item.system == "enaio"
    ][:count]


def covered(tasks: Mapping[str, Sequence[str]] = TASKS) -> list[Covered]:
    """Return what an order covers, by the systems of its tasks."""
    found = []
    for task_id, systems in tasks.items():
        for name in systems:
            described = describe(name)
            place = place_of(name, described)
            found.append(Covered(task_id, name, place.method, place.target, place.conn_id, described.title))
    return found


def order(store: Store, digest: str, **change: Any) -> str:
    """Write an order for a list; return its digest."""
    known: dict[str, Any] = {
        "dag_id": DAG,
        "run_id": RUN,
        "asked_at": "2026-11-22T06:58:00.000Z",
        "valid_until": "2026-12-22T06:58:00.000Z",
        "tasks": covered(),
    }
    made = Order(digest, **{**known, **change})
    made.write(store)
    return made.id


def given(store: Store, digest: str, **change: Any) -> dict[str, Any]:
    """Return what an approval states of what it allows, where a test does not care."""
    return {"approver_type": "person", "order": order(store, digest, **change)}


def approve(
    store: Store, manifest: Manifest, *people: str, comment: str = "", by: Provenance | None = None, **ordered: Any
) -> list[str]:
    """Have people approve a list, in the run of a task or in the usual one."""
    run = {"dag_id": by.dag_id, "run_id": by.run_id} if by else {}
    asked = given(store, manifest.digest, **run, **ordered)
    return [
        Approval(
            digest=manifest.digest,
            approver=person,
            name=person.split("@")[0],
            approved_at=f"2026-11-22T07:{minute:02}:41Z",
            source={"kind": "airflow", "task": f"approve_{minute}"},
            comment=comment,
            **asked,
        ).write(store)
        for minute, person in enumerate(people, 14)
    ]


def provenance(task: str, try_number: int = 1, *, run: str = RUN, map_index: int = -1, **more: Any) -> Provenance:
    """Return who carries out a task."""
    known = {
        "dag_id": DAG,
        "run_started_at": STARTED,
        "dag_version_id": "0199f2c1-7d5e-7a53-9d0c-1f0c5f3b8a11",
        "hostname": "worker-3",
        "provider_version": "0.1.0",
        "airflow_version": "3.3.2",
        "python_version": "3.11.2",
    }
    return Provenance(run_id=run, task_id=task, map_index=map_index, try_number=try_number, **(known | more))


def forge(store: Store, disposal: str, **change: Any) -> str:
    """Replace a summary by one with other members, under the name that its bytes then have; return its URI."""
    content = canonical(json.loads(store.read(store.name(disposal))) | change) + b"\n"
    try_folder = disposal.split("/")[-2]
    Path(disposal.removeprefix("file://")).unlink(missing_ok=True)
    name = f"{try_folder.rpartition('-')[0]}-{hashlib.sha256(content).hexdigest()}"
    return store.write(f"{TaskFolder.containing(store.name(disposal)).path}/{name}/disposal.json", content)


def journal(store: Store, manifest: Manifest, origin: Provenance, **options: Any) -> Journal:
    """Open the journal of a try."""
    return Journal(
        store,
        origin.folder,
        manifest.digest,
        started=origin.started,
        try_number=origin.try_number,
        place=place_of("enaio", describe("enaio")),
        **options,
    )


def place_of(name: str, description: SystemDescription) -> Place:
    """Return where and how a list is carried out against a system."""
    return Place(name, f"https://{name}.example.org", description.action, f"{name}_default")


def describe(name: str, *, hard_delete: bool = True) -> SystemDescription:
    """Return what a system says of itself; an unknown one says its name everywhere."""
    if name not in SYSTEMS:
        return SystemDescription(name, name, dict.fromkeys(map(str, OutcomeKind), name), [name])
    if name == "enaio":
        return EnaioSystem(EnaioHook("enaio_default"), hard_delete=hard_delete).describe()
    return system_class(name).from_connection(f"{name}_default").describe()


def carry_out(
    store: Store,
    manifest: Manifest,
    approvals: Sequence[str] = (),
    *,
    system: ObedientSystem | None = None,
    name: str = "enaio",
    description: SystemDescription | None = None,
    by: Provenance | None = None,
    approved: Manifest | Sequence[Manifest] | None = None,
    dry_run: bool = False,
    options: Mapping[str, Any] | None = None,
    begun: str | None = None,
    follows: Sequence[str] | None = None,
) -> Disposal:
    """Carry out a list as ``DisposeOperator`` does."""
    by = by or provenance(f"delete_{name}")
    sources = [approved] if isinstance(approved, Manifest) else [manifest] if approved is None else approved
    digests = [source.digest for source in sources]
    system = system or ObedientSystem()
    stopped = None
    outcomes: Sequence[Outcome] = []
    described = description or describe(name)
    place = place_of(name, described)
    if manifest.count and dry_run:
        outcomes = rehearse(system, list(manifest), concurrency=2)
    elif manifest.count:
        opened = Journal(
            store,
            by.folder,
            journal_key(digests),
            started=by.started,
            try_number=by.try_number,
            place=place,
            about={"begun": begun or "2026-11-22T07:59:00.000Z"},
        )
        runner = Runner(system, opened, Limits(10**7, 0.5), concurrency=8)
        outcomes = runner.run(list(manifest))
        stopped = runner.stop_state.reason or None
    uri, counts = write_outcomes(store, manifest, outcomes, by.folder)
    times = sorted(outcome.time for outcome in outcomes if outcome.time) or ["2026-11-22T08:00:00.000Z"]
    times = [begun, *times] if begun else times
    return Disposal(
        system=name,
        description=described,
        manifest=manifest.uri,
        digest=manifest.digest,
        approved=digests,
        approvals=list(approvals),
        approval_required=bool(approvals),
        dry_run=dry_run,
        counts=counts,
        outcomes=uri,
        started_at=times[0],
        ended_at=times[-1],
        provenance=by,
        options={
            "min_approvals": 1,
            "max_records": 1000,
            "hard_delete": name == "enaio",
            **(options or {}),
        },
        stopped=stopped,
        target=place.target,
        method=place.method,
        conn_id=place.conn_id,
        follows=follows,
    ).write(store)
