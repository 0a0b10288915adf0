"""What ``bench_speed.py`` measures, each in a separate process: ``speed_parts.py NAME ARGUMENTS RESULT``.

The arguments are JSON. The result is a JSON file with wall-clock seconds, processor seconds and peak memory in MB.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

OBJECTS = "enaio/api/dms/objects"
DUE_BEFORE = "2026-11-01T00:00:00"


class Meter:
    """Measures blocks of code."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}

    @property
    def peak(self) -> float:
        """The peak memory of the process so far, in MB."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (20 if sys.platform == "darwin" else 10))

    @contextmanager
    def running(self, name: str = "all") -> Iterator[None]:
        """Measure a block; the times of several blocks add up in ``all``."""
        clock, before = time.perf_counter(), os.times()
        yield
        after, took = os.times(), time.perf_counter() - clock
        self.facts[name] = took
        if name != "all":
            self.facts["all"] = self.facts.get("all", 0.0) + took
        self.facts["processor"] = self.facts.get("processor", 0.0) + sum(after[:2]) - sum(before[:2])

    def result(self) -> dict[str, Any]:
        """Return all measurements, with the peak memory of the process."""
        return {**self.facts, "peak": self.peak}


def listed(count: int, *, typed: bool = False) -> list[dict[str, Any]]:
    """Return records of the sandbox that are due and without trouble.

    :param typed: with the internal names of their object types.
    """
    from airflow_provider_records.sandbox.seed import items

    due = (item for item in items(seeded(count), 7) if item.due < DUE_BEFORE)
    found = (item for item in due if item.system == "enaio" and not item.trouble)
    return [
        {
            "key": item.key,
            "target_id": item.target_id,
            "title": item.title,
            "classification": item.classification,
            **({"attributes": {"object_type": item.object_type}} if typed else {}),
        }
        for item in itertools.islice(found, count)
    ]


def seeded(count: int) -> int:
    """Return the number of due records with which a sandbox has ``count`` without trouble."""
    return count + count // 15 + 10


def bare(meter: Meter, *, url: str, count: int, threads: int, user: str, password: str) -> None:
    """Delete in a thread pool over one session, as a script does: without list, journal, probe and outcome."""
    targets = [f"{url}/{OBJECTS}/{record['target_id']}" for record in listed(count)]
    session = requests.Session()
    session.auth = (user, password)
    session.mount("http://", HTTPAdapter(pool_maxsize=threads))

    def delete(target: str) -> int:
        return session.delete(target, params={"hardDelete": "true"}, timeout=60).status_code

    with meter.running(), ThreadPoolExecutor(threads) as workers:
        answers = list(workers.map(delete, targets))
    if set(answers) != {204}:
        raise SystemExit(f"answers: {set(answers)}")


def operator(meter: Meter, count: int, typed: bool) -> None:
    """Run ``EnaioDeleteObjectOperator`` on an approved list, from reading the list to writing the summary.

    Before each chunk it reads the field again that approved the objects.
    """
    from airflow_provider_records.evidence.manifest import Manifest
    from airflow_provider_records.task.context import evidence_store

    store = evidence_store()
    delete(meter, count, Manifest.write(store, listed(count, typed=typed)))


def delete(meter: Meter, count: int, manifest: Any) -> None:  # noqa: ANN401
    """Run ``EnaioDeleteObjectOperator`` on a list whose objects a field approves: that it is empty."""
    from airflow_provider_records.evidence.reference import manifest_reference
    from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator

    field = {"kind": "enaio", "conn_id": "enaio_default", "field": "Disposal", "approved": [""]}
    reference = manifest_reference(manifest, [approve(manifest.store, manifest.digest, source=field)])
    task = EnaioDeleteObjectOperator(task_id="delete", records=reference, hard_delete=True, max_records=count)
    with meter.running():
        done = execute(task)
    if done["counts"]["destroyed"] != count:
        raise SystemExit(f"outcomes: {done['counts']}")


def night(meter: Meter, count: int) -> None:
    """Run the operators of a disposal run: due list, delete and look, mark, certificate."""
    from airflow_provider_records.evidence.due_list import DueList
    from airflow_provider_records.evidence.manifest import Manifest
    from airflow_provider_records.hooks.opus import OpusHook
    from airflow_provider_records.operators.certificate import DestructionCertificateOperator
    from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
    from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
    from airflow_provider_records.task.context import evidence_store

    pattern = r"enaio-(\d+)"
    with meter.running("due list"):
        due = execute(OpusDueRecordsOperator(task_id="due", due_before=DUE_BEFORE, target_id_pattern=pattern))
    store = evidence_store()
    manifest = Manifest.open(store, due["digest"])
    opus = OpusHook("opus_default")
    due_list = DueList(opus.conn_id, opus.target, str(opus.connector_id), DUE_BEFORE)
    approval = approve(store, manifest.digest, due_list=due_list)
    approved, more = {**due, "approvals": [approval]}, ("destroyed", "absent")
    with meter.running("delete and look"):
        task = EnaioDeleteObjectOperator(task_id="delete", records=approved, hard_delete=True, max_records=count)
        deleted = execute(task)
    with meter.running("mark"):
        marked = execute(OpusDestroyRecordsOperator(task_id="mark", records=deleted, accept=more, max_records=count))
    with meter.running("certificate"):
        execute(DestructionCertificateOperator(task_id="certificate", disposals=[deleted, marked]))
    meter.facts |= {"due": due["count"], "deleted": deleted["counts"], "marked": marked["counts"]}


def unifier(meter: Meter, count: int, folder: int) -> None:
    """Run ``UnifierDeleteDocumentOperator`` on an approved list, folder by folder."""
    from airflow_provider_records.evidence.manifest import Manifest
    from airflow_provider_records.evidence.reference import manifest_reference
    from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
    from airflow_provider_records.task.context import evidence_store

    def document(number: int) -> dict[str, Any]:
        path = f"/{1 + number // folder}"
        return {"key": str(1000 + number), "location": path, "attributes": {"project_number": "P-0001"}}

    manifest = Manifest.write(evidence_store(), map(document, range(count)))
    reference = manifest_reference(manifest, [approve(manifest.store, manifest.digest)])
    task = UnifierDeleteDocumentOperator(task_id="recycle", records=reference, max_records=count)
    with meter.running():
        done = execute(task)
    if done["counts"]["recycled"] != count:
        raise SystemExit(f"outcomes: {done['counts']}")


def memory(meter: Meter, count: int) -> None:
    """Run ``EnaioDeleteObjectOperator`` on a long list, in an archive that is made up in this process."""
    from airflow_provider_records.evidence.manifest import Manifest
    from airflow_provider_records.hooks.enaio import EnaioHook
    from airflow_provider_records.hooks.enaio_responses import EnaioObject, Page
    from airflow_provider_records.task.context import evidence_store

    first, gone = 10**6, bytearray(count + 1)  # the last one stays

    def shown(ids: Iterable[str]) -> list[EnaioObject]:
        return [
            EnaioObject(each, "1", "DOCUMENT", {"Disposal": ""}, type_name="Invoice")
            for each in ids
            if not gone[int(each) - first]
        ]

    def asked(statement: str) -> list[str]:
        among = re.search(r"IN \((.*?)\)", statement)
        return among[1].split(", ") if among else [str(first + count)]

    def search(_: EnaioHook, statement: str, *__: Any, **___: Any) -> Iterator[EnaioObject]:  # noqa: ANN401
        return iter(shown(asked(statement)))

    def search_page(_: EnaioHook, statement: str, *__: Any, deleted: str, **___: Any) -> Page:  # noqa: ANN401
        return Page([] if "ONLY" in deleted else shown(asked(statement)), False, None)

    def delete_object(hook: EnaioHook, object_id: str, **_: Any) -> None:  # noqa: ANN401
        if not hook.may_send():
            raise SystemExit("nothing more may be sent")
        gone[int(object_id) - first] = 1

    def made_up() -> Iterator[dict[str, Any]]:
        for number in range(count):
            yield {"key": str(first + number), "title": f"Scan {number}", "attributes": {"object_type": "Invoice"}}

    for act in (search, search_page, delete_object):
        setattr(EnaioHook, act.__name__, act)
    setattr(EnaioHook, "check_hard_delete", lambda _: None)  # noqa: B010 - as above
    manifest = Manifest.write(evidence_store(), made_up())
    meter.facts["before"] = meter.peak
    delete(meter, count, manifest)


def approve(store: Any, digest: str, *, source: Any = None, due_list: Any = None) -> str:  # noqa: ANN401
    """Approve a list for the tasks of this benchmark; return the URI of the approval."""
    from airflow_provider_records.evidence.approval import Approval
    from airflow_provider_records.evidence.order import Covered, Order
    from airflow_provider_records.hooks.enaio import EnaioHook
    from airflow_provider_records.hooks.opus import OpusHook
    from airflow_provider_records.hooks.unifier import UnifierHook
    from airflow_provider_records.task.context import signing_key

    enaio, opus, unifier = EnaioHook("enaio_default"), OpusHook("opus_default"), UnifierHook("unifier_default")
    tasks = [
        Covered("delete", "enaio", "destroy", enaio.target, enaio.conn_id),
        Covered("mark", "opus", "mark", opus.target, opus.conn_id),
        Covered("recycle", "unifier", "recycle", unifier.target, unifier.conn_id),
    ]
    times = ("2026-11-22T04:00:00Z", "2999-01-01T00:00:00Z")
    order = Order(digest, tasks, "bench", "manual__2026-11-22", *times, due_list)
    order.write(store)
    who = "process" if source else "person"
    approval = Approval(digest, "anna", order.asked_at, source or {"kind": "bench"}, approver_type=who, order=order.id)
    return approval.write(store, signing_key())


def execute(task: Any) -> Any:  # noqa: ANN401
    """Run an operator's ``execute`` with the part of the context that it uses."""
    from datetime import UTC, datetime
    from types import SimpleNamespace

    from airflow.sdk.execution_time.context import OutletEventAccessors

    names = {"dag_id": "bench", "run_id": "manual__2026-11-22", "task_id": task.task_id}
    ti = SimpleNamespace(**names, map_index=-1, try_number=1, xcom_push=lambda **_: None)
    dag_run = SimpleNamespace(start_date=datetime(2026, 11, 22, 4, 30, tzinfo=UTC))
    return task.execute({"ti": ti, "dag_run": dag_run, "outlet_events": OutletEventAccessors()})


PARTS: Iterable[Callable[..., None]] = (bare, operator, night, unifier, memory)

if __name__ == "__main__":
    _, wanted, arguments, to = sys.argv
    measured = Meter()
    {part.__name__: part for part in PARTS}[wanted](measured, **json.loads(arguments))
    Path(to).write_text(json.dumps(measured.result()))
