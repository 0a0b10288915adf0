"""A fourth system, as another package would add it: this file is all of it, and no other file knows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from functools import cached_property, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from airflow_provider_records import cli
from airflow_provider_records.client.hook import VendorHook, basic_auth, quoted
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import SystemDescription
from airflow_provider_records.operators.base import DisposeOperator
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.reporting.verify import verify
from airflow_provider_records.systems import SYSTEMS
from airflow_provider_records.systems.base import RegisteredSystem
from airflow_provider_records.systems.finding import Finding, GoneRecord, Probe, Whereabouts
from tests.operators.factories import context, run
from tests.plugin.conftest import DAG, Client, know_run, server, set_state, sign_in

__all__ = ["server", "sign_in"]

CAVEAT = "Whether the shelf keeps copies is not known."
MEANING = "taken from the shelf for good"
KEYS = [f"s{number:02}" for number in range(24)]
TASK = "clear"


class ShelfHook(VendorHook):
    """Client of the fourth system."""

    vendor = "Shelf"
    conn_name_attr = "shelf_conn_id"
    default_conn_name = "shelf_default"
    conn_type = "shelf"
    hook_name = "Shelf"

    @cached_property
    def auth(self) -> Any:
        return basic_auth(self.settings.login, self.settings.password)

    def remove(self, target_id: str) -> int:
        url = self.url("objects", quoted(target_id))
        return self.send("remove", "DELETE", url, lambda found: found.status, repeatable=False)

    def has(self, target_id: str) -> bool:
        url = self.url("objects", quoted(target_id))
        return self.send("has", "GET", url, lambda found: found.status, repeatable=True) == 200


class ShelfSystem:
    """How the fourth system deletes objects, and how it shows what became of them."""

    name = "shelf"
    batch_size = 1

    def __init__(self, hook: ShelfHook) -> None:
        self.hook = hook
        self._observed: Set[str] = frozenset()

    @classmethod
    def from_connection(cls, conn_id: str) -> Self:
        return cls(ShelfHook(conn_id))

    @property
    def max_concurrency(self) -> int:
        return self.hook.settings.max_concurrency

    @property
    def target(self) -> str:
        return self.hook.target

    def describe(self) -> SystemDescription:
        return SystemDescription("The Shelf", "Cleared from The Shelf", {"destroyed": MEANING}, [CAVEAT])

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        here = frozenset(record.key for record in records if self.hook.has(record.target_id))
        self._observed = here | observed_before
        return here

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        (record,) = batch
        match self.hook.remove(record.target_id):
            case 204:
                return [Outcome(record.key, OutcomeKind.DESTROYED, Proof.RESPONSE)]
            case 404:
                return [Outcome(record.key, OutcomeKind.ABSENT, Proof.RESPONSE, "The Shelf does not know it")]
            case _:
                return [Outcome(record.key, OutcomeKind.BLOCKED, Proof.RESPONSE, "locked on The Shelf")]

    def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
        (record,) = batch
        if self.hook.has(record.target_id):
            return [None]
        if record.key in self._observed:
            return [Outcome(record.key, OutcomeKind.DESTROYED, Proof.INFERRED, "it was there before our call")]
        return [Outcome(record.key, OutcomeKind.ABSENT, Proof.PROBE, "it was gone before our call")]

    def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        return [
            replace(
                outcome, kind=OutcomeKind.FAILED if self.hook.has(record.target_id) else outcome.kind, proof=Proof.PROBE
            )
            for record, outcome in batch
        ]

    def look_back(self, claims: Sequence[GoneRecord]) -> Iterator[Probe]:
        return (Probe([claim], partial(self._find, claim)) for claim in claims)

    def _find(self, claim: GoneRecord) -> list[Finding]:
        if self.hook.has(claim.record.target_id):
            return [Finding(claim, Whereabouts.BACK, "on the shelf")]
        return [Finding(claim, Whereabouts.GONE)]


class ClearShelfOperator(DisposeOperator):
    """The operator of the fourth system."""

    system_name = "shelf"

    @cached_property
    def hook(self) -> ShelfHook:
        return ShelfHook("shelf_default")

    def system(self) -> RegisteredSystem:
        return ShelfSystem(self.hook)


class Shelf(ThreadingHTTPServer):
    """The fourth system itself, served on a socket.

    ``kill_at`` is the number of deletes after which ``caller`` is killed, before it gets the response.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects = dict.fromkeys(KEYS, "there")
        self.deletes: list[str] = []
        self.caller: subprocess.Popen[bytes] | None = None
        self.kill_at = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def delete(self, name: str) -> int:
        with self.lock:
            self.deletes.append(name)
            if self.objects.get(name) == "locked":
                return 423
            status = 204 if self.objects.pop(name, None) else 404
            if self.caller and len(self.deletes) == self.kill_at:
                self.caller.kill()
                self.caller.wait(30)
            return status


class Handler(BaseHTTPRequestHandler):
    """Answers ``GET`` and ``DELETE /objects/<id>``."""

    server: Shelf
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._reply(200 if self.path.rpartition("/")[2] in self.server.objects else 404)

    def do_DELETE(self) -> None:
        self._reply(self.server.delete(self.path.rpartition("/")[2]))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _reply(self, status: int) -> None:
        try:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", "0")
            self.end_headers()
        except ConnectionError:
            pass  # the caller was killed


def operator(records: Any) -> ClearShelfOperator:
    """Return the disposing task."""
    return ClearShelfOperator(task_id=TASK, records=records, require_approval=False, concurrency=1)


def first_try(records: str) -> None:
    """Be the first try, in a process of its own.

    :param records: manifest reference as JSON.
    """
    operator(json.loads(records)).execute(context(operator([]), 1, dag_id=DAG))


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Shelf]:
    """The served system, registered, with a connection to it and an evidence store."""
    monkeypatch.setitem(SYSTEMS, "shelf", f"{__name__}:ShelfSystem")
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", f"file://{tmp_path}/evidence")
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    with Shelf() as served:
        connection = {"conn_type": "shelf", "host": served.url, "login": "robot", "password": "secret"}
        monkeypatch.setenv("AIRFLOW_CONN_SHELF_DEFAULT", json.dumps(connection))
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def listed(store: Store) -> dict[str, Any]:
    """Return the reference of a list of everything that is on the shelf."""
    manifest = Manifest.write(store, ({"key": key, "title": f"Box {key}"} for key in KEYS))
    return {"manifest": manifest.uri, "digest": manifest.digest, "count": manifest.count, "approvals": []}


def page(client: Any, run_id: str) -> str:
    """Return the page of the run."""
    found = client.get("/records/run", params={"dag_id": DAG, "run_id": run_id})
    assert found.status_code == 200, found.text
    return str(found.text)


def test_it_is_deleted_killed_resumed_certified_verified_shown_and_replayed(
    shelf: Shelf,
    sign_in: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = Store(f"file://{tmp_path}/evidence")
    reference = listed(store)
    shelf.objects[KEYS[20]] = "locked"
    del shelf.objects[KEYS[21]]
    browser = sign_in("anna")
    run_id = context(operator([])).get("ti").run_id
    know_run(0, "running", run=run_id)

    # Delete, and die after an object is gone and before the response arrives.
    shelf.kill_at = 9
    code = f"import sys; from {__name__} import first_try; first_try(sys.argv[1])"
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", code, json.dumps(reference)]
    with subprocess.Popen(command, env=environment, cwd=root) as shelf.caller:
        assert shelf.caller.wait(120) == -9
    assert len(shelf.deletes) == 9
    assert "The Shelf" in page(browser, run_id), "a journal alone must name the system"

    # Resume: nothing is sent twice, and what was in flight is resolved.
    done = operator(reference)
    given = context(done, 2, dag_id=DAG)
    disposal = done.execute(given)
    assert sorted(shelf.deletes) == sorted(set(KEYS))
    counts = {kind: number for kind, number in disposal["counts"].items() if number}
    assert counts == {"destroyed": 22, "blocked": 1, "absent": 1}
    assert disposal["complete"] is True
    assert disposal["system"] == "shelf"

    # Lineage.
    lineage = done.get_openlineage_facets_on_complete(None)
    assert lineage is not None
    assert {each.namespace for each in lineage.inputs} == {shelf.url.replace("http", "shelf")}
    assert len(lineage.inputs) == 22

    # Certificate.
    made = run(DestructionCertificateOperator(task_id="certify", disposals=[disposal]), dag_id=DAG)
    certificate = Path(made["certificate"].removeprefix("file://"))
    document = json.loads(certificate.read_bytes())
    assert document["disposals"][0]["method"] == "Cleared from The Shelf"
    # The call that killed the process has no outcome; those before it had one by then, or not yet.
    assert 1 <= document["disposals"][0]["proofs"]["inferred"] <= 9
    assert CAVEAT in document["statements"]
    html = certificate.with_suffix(".html").read_text()
    assert "The Shelf: 24 records" in html
    assert MEANING in html
    assert CAVEAT in html

    # Page.
    set_state("success", run=run_id)
    shown = page(browser, run_id)
    assert "The Shelf: 24 records" in shown
    assert "Cleared from The Shelf" in shown
    assert "locked on The Shelf" in shown
    overview = browser.get("/records/", params={"dag_id": DAG}).text
    assert "The Shelf" in overview

    # Verify: without the system, too.
    with monkeypatch.context() as without:
        without.delitem(SYSTEMS, "shelf")
        report = verify(certificate)
    assert report.ok, report.problem
    assert any(line.startswith("The Shelf: 24 records") for line in report.checked)

    # Replay.
    assert cli.main(["replay", str(certificate)]) == 0
    assert "Back:" not in capsys.readouterr().out
    shelf.objects[KEYS[3]] = "there"
    assert cli.main(["replay", str(certificate)]) == 1
    said = capsys.readouterr().out
    assert f"  The Shelf {KEYS[3]} (id {KEYS[3]}) 'Box {KEYS[3]}': destroyed" in said
    assert "now on the shelf" in said

    # Replay by a release that does not know it.
    monkeypatch.delitem(SYSTEMS, "shelf")
    assert cli.main(["replay", str(certificate)]) == 2
    assert "  The Shelf, 23 records: this release does not know the system 'shelf'" in capsys.readouterr().out
