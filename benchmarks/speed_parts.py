"""What ``bench_speed.py`` measures, each in a separate process: ``speed_parts.py NAME ARGUMENTS RESULT``.

The arguments are JSON. The result is a JSON file with wall-clock seconds, processor seconds, peak memory in MB, and the
number of requests sent.
"""

# ruff: noqa: T201 - the null server prints its address

from __future__ import annotations

import asyncio
import itertools
import json
import os
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
from urllib3 import BaseHTTPResponse

OBJECTS = "enaio/api/dms/objects"
DUE_BEFORE = "2026-11-01T00:00:00"


class Meter:
    """Measures blocks of code, and counts requests."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self._sent = itertools.count()

    def count_requests(self) -> None:
        """Count the requests that are sent from now on."""
        from airflow_provider_records.client.transport import Request, Transport

        send, sent = Transport.send_once, self._sent

        def counted(transport: Transport, request: Request) -> BaseHTTPResponse:
            next(sent)
            return send(transport, request)

        Transport.send_once = counted  # type: ignore[assignment, method-assign]

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
        """Return all measurements, with the peak memory of the process in MB."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (20 if sys.platform == "darwin" else 10))
        return {**self.facts, "peak": peak, "sent": next(self._sent)}


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


def bare(meter: Meter, *, url: str, count: int, threads: int, client: str, user: str, password: str) -> None:
    """Delete in a thread pool over one session, as a script does: without list, journal, probe and outcome."""
    targets = [f"{url}/{OBJECTS}/{record['target_id']}" for record in listed(count)]
    if client == "requests":
        session = requests.Session()
        session.auth = (user, password)
        session.mount("http://", HTTPAdapter(pool_maxsize=threads))

        def delete(target: str) -> int:
            return session.delete(target, params={"hardDelete": "true"}, timeout=60).status_code
    else:
        import urllib3

        pool = urllib3.PoolManager(maxsize=threads, headers=urllib3.make_headers(basic_auth=f"{user}:{password}"))

        def delete(target: str) -> int:
            return pool.request("DELETE", f"{target}?hardDelete=true", timeout=60).status

    with meter.running(), ThreadPoolExecutor(threads) as workers:
        answers = list(workers.map(delete, targets))
    if set(answers) != {204}:
        raise SystemExit(f"answers: {set(answers)}")


def operator(meter: Meter, count: int, verify: bool, typed: bool = False) -> None:
    """Run ``EnaioDeleteObjectOperator`` on an approved list, from reading the list to writing the summary."""
    from airflow_provider_records.evidence.manifest import Manifest
    from airflow_provider_records.evidence.reference import manifest_reference
    from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
    from airflow_provider_records.task.context import evidence_store

    store = evidence_store()
    manifest = Manifest.write(store, listed(count, typed=typed))
    approval = approve(store, manifest.digest)
    task = EnaioDeleteObjectOperator(
        task_id="delete",
        records=manifest_reference(manifest, [approval]),
        hard_delete=True,
        max_records=count,
        verify=verify,
    )
    meter.count_requests()
    with meter.running():
        reference = execute(task)
    if reference["counts"]["destroyed"] != count:
        raise SystemExit(f"outcomes: {reference['counts']}")


def night(meter: Meter, count: int) -> None:
    """Run the operators of a disposal run: due list, delete and probe, mark, certificate."""
    from airflow_provider_records.evidence.manifest import Manifest
    from airflow_provider_records.operators.certificate import DestructionCertificateOperator
    from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
    from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
    from airflow_provider_records.task.context import evidence_store

    meter.count_requests()
    pattern = r"enaio-(\d+)"
    with meter.running("due list"):
        due = execute(OpusDueRecordsOperator(task_id="due", due_before=DUE_BEFORE, target_id_pattern=pattern))
    store = evidence_store()
    manifest = Manifest.open(store, due["digest"])
    approval = approve(store, manifest.digest)
    approved, more = {**due, "approvals": [approval]}, ("destroyed", "absent")
    with meter.running("delete and look"):
        task = EnaioDeleteObjectOperator(task_id="delete", records=approved, hard_delete=True, max_records=count)
        deleted = execute(task)
    with meter.running("mark"):
        marked = execute(OpusDestroyRecordsOperator(task_id="mark", records=deleted, accept=more, max_records=count))
    with meter.running("certificate"):
        execute(DestructionCertificateOperator(task_id="certificate", disposals=[deleted, marked]))
    meter.facts |= {"due": due["count"], "deleted": deleted["counts"], "marked": marked["counts"]}


def lists(meter: Meter, count: int) -> None:
    """Write a list, approve it, open it again, check the approval, and read every record."""
    from bench_evidence import made_up

    from airflow_provider_records.evidence.manifest import Manifest
    from airflow_provider_records.evidence.reference import manifest_reference
    from airflow_provider_records.evidence.store import Store
    from airflow_provider_records.task.records import resolve

    store = Store(os.environ["AIRFLOW__RECORDS__EVIDENCE_PATH"])
    with meter.running("written and digested"):
        written = Manifest.write(store, made_up(count))
    with meter.running("approved, opened, digest recomputed, approval checked"):
        approval = approve(store, written.digest)
        selection = resolve(manifest_reference(written, [approval]), store)
        selection.authorize(approval_required=True)
    with meter.running("every record read back"):
        if sum(1 for _ in selection.manifest) != count:
            raise SystemExit("not all were read back")


def approve(store: Any, digest: str) -> str:  # noqa: ANN401
    """Approve a list for the tasks of this benchmark; return the URI of the approval."""
    from airflow_provider_records.evidence.approval import Approval
    from airflow_provider_records.evidence.order import Covered, Order
    from airflow_provider_records.hooks.enaio import EnaioHook
    from airflow_provider_records.hooks.opus import OpusHook
    from airflow_provider_records.task.context import signing_key

    enaio, opus = EnaioHook("enaio_default"), OpusHook("opus_default")
    tasks = [
        Covered("delete", "enaio", "destroy", enaio.target, enaio.conn_id),
        Covered("mark", "opus", "mark", opus.target, opus.conn_id),
    ]
    order = Order(digest, tasks, "bench", "manual__2026-11-22", "2026-11-22T04:00:00Z", "2999-01-01T00:00:00Z")
    order.write(store)
    source = {"kind": "bench"}
    approval = Approval(digest, "anna", order.asked_at, source, approver_type="person", order=order.id)
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


class _Null(asyncio.Protocol):
    """Responds to everything that ends like a request after ``latency`` seconds: the least work of a server."""

    latency = 0.0

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            answer = b"HTTP/1.1 204 No Content\r\nserver: null\r\n\r\n"
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, answer)


async def null_server(latency: float) -> None:
    """Print the URL and serve until the process is ended."""
    _Null.latency = latency
    server = await asyncio.get_running_loop().create_server(_Null, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


PARTS: Iterable[Callable[..., None]] = (bare, operator, night, lists)

if __name__ == "__main__":
    _, wanted, arguments, *to = sys.argv
    if wanted == "null":
        asyncio.run(null_server(**json.loads(arguments)))
    else:
        measured = Meter()
        {part.__name__: part for part in PARTS}[wanted](measured, **json.loads(arguments))
        Path(to[0]).write_text(json.dumps(measured.result()))
