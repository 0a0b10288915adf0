"""Airflow's API server in this process, with its real auth manager, two teams, and an evidence store of many runs."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_provider_records.evidence import certificate, signature
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance
from airflow_provider_records.reporting import issue
from tests.evidence import evidence_factory
from tests.minors import has

DAG, OTHER = "retention_nightly", "foreign_nightly"
USERS = {"admin": "admin", "anna": "viewer:records", "bert": "viewer:foreign"}
if not has("3.2"):  # no roles of teams
    USERS = {user: role.partition(":")[0] for user, role in USERS.items()}
Client = Callable[[str], TestClient]
BEGIN = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The application of the API server; its database knows two DAGs, each of a team of its own."""
    home = tmp_path_factory.mktemp("server")
    passwords = {user: secrets.token_urlsafe() for user in USERS}
    (home / "passwords.json").write_text(json.dumps(passwords))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "CORE__MULTI_TEAM": "True",
            "CORE__EXECUTOR": "LocalExecutor",
            "API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        }.items():
            patch.setenv(f"AIRFLOW__{name}", value)
        from airflow.api_fastapi.app import create_app, purge_cached_app
        from airflow.utils.db import initdb
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        event.listen(Engine, "connect", _no_sync)
        initdb()
        _know_dags()
        purge_cached_app()
        application = create_app(apps="core")
        application.state.passwords = passwords
        yield application
        purge_cached_app()
        event.remove(Engine, "connect", _no_sync)


def _no_sync(connection: Any, _: object) -> None:
    """Let SQLite not wait for the disk: the database of a test need not survive a power failure."""
    connection.execute("PRAGMA synchronous = OFF")


def _know_dags() -> None:
    """Put the DAGs in, unless another turn of this package, in the same process and database, has done so."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.team import Team
    from airflow.utils.session import create_session

    with create_session() as session:
        if session.get(DagModel, DAG):
            return
        for dag_id, team in ((DAG, "records"), (OTHER, "foreign")):
            bundle = DagBundleModel(name=f"bundle_{team}")
            bundle.teams.append(Team(name=team, **({} if has("3.2") else {"id": uuid.uuid4()})))
            session.add(bundle)
            session.flush()
            session.add(DagModel(dag_id=dag_id, bundle_name=bundle.name))  # type: ignore[no-untyped-call]


@pytest.fixture
def sign_in(server: Any) -> Iterator[Client]:
    """Return a browser in which a user is signed in to Airflow: ``sign_in("anna")``; an empty name: nobody.

    Airflow forgets every run at the end.
    """
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    def enter(user: str) -> TestClient:
        client = TestClient(server, follow_redirects=False, headers={"Accept": "text/html"})
        if user:
            login = {"username": user, "password": server.state.passwords[user]}
            token = client.post("/auth/token", json=login).json()["access_token"]
            client.cookies.set("_token", token)
        return client

    yield enter
    with create_session() as session:
        session.execute(delete(DagRun))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """The evidence store of this test."""
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", f"file://{tmp_path}/evidence")
    return Store(f"file://{tmp_path}/evidence")


def run_id(age: int) -> str:
    """Return the run id of the run this many days before the newest."""
    return f"scheduled__{(BEGIN - timedelta(days=age)).isoformat()}"


def provenance(task: str, *, dag_id: str = DAG, run: str = "", **more: Any) -> Provenance:
    """Return who carries out a task."""
    return evidence_factory.provenance(task, run=run or run_id(0), dag_id=dag_id, **more)


def dispose(
    store: Store,
    *,
    run: str = "",
    dag_id: str = DAG,
    records: list[dict[str, Any]] | None = None,
    people: tuple[str, ...] = ("j.mueller@example.org",),
    results: Mapping[str, OutcomeKind] | None = None,
    certified: bool = True,
) -> list[Disposal]:
    """Carry out a run: deleted in enaio, marked in Opus, certified."""
    manifest = Manifest.write(store, records if records is not None else evidence_factory.records(9))
    asked = provenance("approve", dag_id=dag_id, run=run)
    approvals = evidence_factory.approve(store, manifest, *people, by=asked) if people else []
    system = evidence_factory.ObedientSystem(results)
    deleted = evidence_factory.carry_out(
        store, manifest, approvals, system=system, by=provenance("delete", dag_id=dag_id, run=run)
    )
    gone = Manifest.write(store, (each for each in manifest if each.key not in (results or {})))
    origin = provenance("mark", dag_id=dag_id, run=run)
    marked = evidence_factory.carry_out(store, gone, approvals, name="opus", by=origin, approved=manifest)
    found = [deleted, marked]
    if certified:
        issue.write(store, found, provenance("certificate", dag_id=dag_id, run=run))
    return found


def know_runs(ages: Iterable[int], state: str = "success", *, run: str = "", dag_id: str = DAG) -> None:
    """Let Airflow's database know runs."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    with create_session() as session:
        for age in ages:
            due = BEGIN - timedelta(days=age)
            session.add(
                DagRun(
                    dag_id=dag_id,
                    run_id=run or run_id(age),
                    run_type=DagRunType.MANUAL,
                    state=DagRunState(state),
                    run_after=due,
                    start_date=due,
                )
            )


def know_run(age: int, state: str = "success", *, run: str = "", dag_id: str = DAG) -> None:
    """Let Airflow's database know a run."""
    know_runs([age], state, run=run, dag_id=dag_id)


def store_task(session: Any, task_id: str, *, dag_id: str = DAG, run: str = "", **more: Any) -> tuple[int, Any]:
    """Store a task instance of a run that Airflow knows; return the number of the run and its own id."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import insert, select

    run = run or run_id(0)
    number = session.scalars(select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run)).one()
    task = uuid.uuid4() if has("3.2") else str(uuid.uuid4())
    row = {"id": task, "task_id": task_id, "dag_id": dag_id, "run_id": run, "map_index": -1} | more
    rest = {"pool": "default_pool", "pool_slots": 1, "try_number": 1, "max_tries": 0}
    session.execute(insert(TaskInstance).values(**row, **rest))
    return number, task


def keep_as_asked(store: Store, manifest: Manifest, map_index: int = -1) -> None:
    """Write the order of an approving step of the run."""
    order = Order.read(store, evidence_factory.order(store, manifest.digest, dag_id=DAG, run_id=run_id(0)))
    order.keep_as_asked(store, task_id="approve", map_index=map_index, try_number=None)


def ask(
    params: Any,
    *,
    subject: str = "30 records: permanently delete from enaio?",
    body: str = "",
    task_id: str = "approve",
    **more: Any,
) -> Any:
    """Ask people, as a task that needs an answer does; return the id of its task instance."""
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session

    with create_session() as session:
        _, task = store_task(session, task_id, **{"state": "awaiting_input" if has("3.3") else "deferred", **more})
        session.add(HITLDetail(ti_id=task, options=["Approve"], subject=subject, body=body, params=params))
    return task


def form(digest: str) -> dict[str, Any]:
    """Return the form of the approval operator, as Airflow stores it."""
    return {"manifest": {"value": digest, "schema": {"const": digest}}, "comment": {"value": "", "schema": {}}}


def set_state(state: str, *, run: str = "", dag_id: str = DAG) -> None:
    """Let a run go on, or end."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == (run or run_id(0))))
        found.one().set_state(DagRunState(state))


def tree(store: Store) -> dict[str, tuple[int, int, int]]:
    """Return every file and folder of a store with what would change if it were written."""
    root = Path(store.root.removeprefix("file://"))
    found = {str(path): path.stat() for path in (root, *root.rglob("*"))}
    return {path: (about.st_mtime_ns, about.st_size, about.st_ino) for path, about in found.items()}


def begin(store: Store, manifest: Manifest, origin: Provenance) -> Journal:
    """Open the journal of a try, as a disposing task does."""
    return Journal(
        store,
        origin.folder,
        manifest.digest,
        started=origin.started,
        try_number=origin.try_number,
        about={"system": "enaio", "records": manifest.count},
        place=evidence_factory.place_of("enaio", evidence_factory.describe("enaio")),
    )


def many_runs(store: Store, number: int, records: int = 200) -> None:
    """Make an evidence store of many runs; each is like one of a few that were carried out.

    Some of them have blocked records, or failures that no later try resolved.
    """
    listed = evidence_factory.records(records)
    patterns = []
    for place, (blocked, failed) in enumerate(((0, 0), (3, 0), (12, 0), (30, 0), (6, 4))):
        run, these = f"pattern{place}", listed[11 * place :]
        keys = [each["key"] for each in these]
        results = {
            **dict.fromkeys(keys[:blocked], OutcomeKind.BLOCKED),
            **dict.fromkeys(keys[blocked : blocked + failed], OutcomeKind.FAILED),
            **dict.fromkeys(keys[len(keys) - place :], OutcomeKind.ABSENT),
        }
        deleted, marked = dispose(store, run=run, records=these, results=results)
        left = {OutcomeKind.BLOCKED: blocked, OutcomeKind.FAILED: failed, OutcomeKind.ABSENT: place}
        gone = {OutcomeKind.DESTROYED: len(keys) - blocked - failed - place}
        none = dict.fromkeys(map(str, OutcomeKind), 0)
        assert (deleted.counts, marked.counts) == (none | left | gone, none | gone)
        patterns.append((run, [deleted, marked]))
    root = Path(store.root.removeprefix("file://"))
    _copy(store, root, patterns, number)
    for pattern, _ in patterns:
        shutil.rmtree(root / f"disposals/{DAG}/{pattern}")
        for paper in (root / f"certificates/{DAG}").glob(f"{pattern}.*"):
            paper.unlink()


def _copy(store: Store, root: Path, patterns: list[tuple[str, list[Disposal]]], number: int) -> None:
    for age in range(number):
        pattern, found = patterns[(age * 7 + age // 11) % len(patterns)]
        run = run_id(age)
        begun = BEGIN - timedelta(days=age)
        document = json.loads(store.read(certificate.file_name(DAG, pattern)))
        for disposal, entry in zip(found, document["disposals"], strict=True):
            old = root / disposal.provenance.folder.path
            origin = replace(disposal.provenance, run_id=run)
            new = root / origin.folder.path
            shutil.copytree(old, new, copy_function=os.link, ignore=shutil.ignore_patterns("try-*"))
            written = replace(
                disposal,
                provenance=origin,
                outcomes=disposal.outcomes.replace(f"/{pattern}/", f"/{new.parent.parent.name}/"),
                started_at=begun.isoformat()[:19] + "Z",
                ended_at=(begun + timedelta(minutes=7)).isoformat()[:19] + "Z",
            ).write(store)
            entry["file"] = store.name(written.uri)
            entry["disposal"] = written.to_dict()
        document["run"]["run_id"] = run
        name, content = certificate.file_name(DAG, run), canonical(document) + b"\n"
        store.write(*signature.sign(name, content, None))
        store.write(name, content)
        os.link(root / f"certificates/{DAG}/{pattern}.html", root / name.replace(".json", ".html"))
