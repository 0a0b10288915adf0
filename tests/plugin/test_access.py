"""Nobody sees more on the page than Airflow's own auth manager lets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.plugin import access
from tests.evidence import evidence_factory
from tests.minors import since
from tests.plugin.conftest import (
    DAG,
    OTHER,
    Client,
    ask,
    dispose,
    form,
    keep_as_asked,
    know_run,
    provenance,
    run_id,
    store_task,
)

SECRET = "nobody may read this"


def paths(store: Store, dag_id: str = DAG, run: str = "") -> list[str]:
    """Return every address that shows something of a run."""
    where = f"dag_id={quote(dag_id)}&run_id={quote(run or run_id(0), safe='')}"
    digests = sorted(Path(name).stem for name in store.names("manifests"))
    return [
        f"/records/run?{where}",
        f"/records/outcomes?{where}&task_id=delete",
        f"/records/certificate.html?{where}",
        f"/records/certificate.json?{where}",
        *(f"/records/manifests/{digest}{suffix}?{where}" for digest in digests for suffix in ("", ".jsonl")),
    ]


def test_who_may_read_the_dag_sees_everything_of_its_runs(store: Store, sign_in: Client) -> None:
    dispose(store)
    for user in ("anna", "admin"):
        client = sign_in(user)
        assert run_id(0) in client.get("/records/").text
        for path in paths(store):
            assert client.get(path).status_code == 200, path


@since("3.2")  # teams
def test_who_may_not_read_the_dag_sees_nothing_of_them(store: Store, sign_in: Client) -> None:
    dispose(store)
    bert = sign_in("bert")
    overview = bert.get("/records/")
    assert overview.status_code == 200
    assert "No disposals yet" in overview.text
    for path in (*paths(store), f"/records/?dag_id={DAG}"):
        answer = bert.get(path)
        assert answer.status_code == 404, path
        assert run_id(0) not in answer.text
        assert "enaio" not in answer.text


def test_who_is_not_signed_in_is_led_to_the_login(store: Store, sign_in: Client) -> None:
    dispose(store)
    nobody = sign_in("")
    for path in ("/records/", *paths(store)):
        answer = nobody.get(path)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/api/v2/auth/login?next=%2Frecords%2F")
        assert answer.content == b""
        assert nobody.get(path, headers={"Accept": "application/json"}).status_code == 401, path
    login = nobody.get(nobody.get("/records/run?dag_id=a&run_id=b").headers["location"])
    assert unquote(login.headers["location"]) == "/auth/login?next=/records/run?dag_id=a&run_id=b"


def test_a_token_that_is_none_opens_nothing(store: Store, sign_in: Client) -> None:
    dispose(store)
    for token in ("", "none", "a.b.c"):
        nobody = sign_in("")
        nobody.cookies.set("_token", token)
        for path in ("/records/", *paths(store)):
            assert nobody.get(path).status_code in {303, 403}, path
            with_header = nobody.get(path, headers={"Authorization": f"Bearer {token or 'x'}"})
            assert with_header.status_code in {303, 401, 403}, path


def test_a_token_in_the_header_does_as_well_as_the_cookie(store: Store, sign_in: Client, server: Any) -> None:
    dispose(store)
    client = sign_in("")
    login = {"username": "anna", "password": server.state.passwords["anna"]}
    token = client.post("/auth/token", json=login).json()["access_token"]
    answer = client.get(paths(store)[3], headers={"Authorization": f"Bearer {token}", "Accept": "*/*"})
    assert answer.json()["run"]["dag_id"] == DAG


@since("3.2")  # teams
def test_a_list_of_another_dag_is_not_shown_as_one_of_mine(store: Store, sign_in: Client) -> None:
    dispose(store)
    dispose(store, dag_id=OTHER, records=[{"key": "foreign-1", "title": SECRET}])
    foreign = Manifest.write(store, [{"key": "foreign-1", "title": SECRET}]).digest.removeprefix("sha256:")
    anna = sign_in("anna")
    for where in (f"dag_id={DAG}&run_id={quote(run_id(0), safe='')}", f"dag_id={DAG}", f"dag_id={OTHER}", ""):
        for suffix in ("", ".jsonl"):
            answer = anna.get(f"/records/manifests/{foreign}{suffix}?{where}")
            assert answer.status_code == 404
            assert SECRET not in answer.text
    assert (
        SECRET
        in sign_in("bert").get(f"/records/manifests/{foreign}?dag_id={OTHER}&run_id={quote(run_id(0), safe='')}").text
    )
    assert OTHER not in anna.get("/records/").text


@since("3.2")  # teams
def test_a_list_that_waits_for_its_approval_is_shown_to_who_may_read_the_run(store: Store, sign_in: Client) -> None:
    manifest = Manifest.write(store, evidence_factory.records(30))
    digest = manifest.digest.removeprefix("sha256:")
    path = f"/records/manifests/{digest}?dag_id={DAG}&run_id={quote(run_id(0), safe='')}"
    know_run(0, "running")
    _push({"manifest": manifest.uri, "digest": manifest.digest, "count": 30, "approvals": []})
    ask(form(manifest.digest))
    assert sign_in("anna").get(path).status_code == 404
    keep_as_asked(store, manifest)
    assert "30 records" in sign_in("anna").get(path).text
    assert sign_in("bert").get(path).status_code == 404
    assert sign_in("anna").get(path.replace("02%3A00", "03%3A00")).status_code == 404


@since("3.2")  # teams
def test_one_of_several_parts_is_shown_to_who_may_read_the_run(store: Store, sign_in: Client) -> None:
    parts = [Manifest.write(store, evidence_factory.records(30)[start : start + 10]) for start in (0, 10, 20)]
    know_run(0, "running")
    for place, part in enumerate(parts):
        keep_as_asked(store, part, map_index=place)
    for part in parts:
        path = f"/records/manifests/{part.digest[7:]}?dag_id={DAG}&run_id={quote(run_id(0), safe='')}"
        assert "10 records" in sign_in("anna").get(path).text
        assert sign_in("bert").get(path).status_code == 404


def test_a_list_of_another_team_does_not_open_for_who_returns_its_digest(store: Store, sign_in: Client) -> None:
    foreign = Manifest.write(store, [{"key": "foreign-1", "title": SECRET}])
    know_run(0)
    _push({"manifest": foreign.uri, "digest": foreign.digest, "count": 1, "approvals": []})
    ask(form(foreign.digest))
    for suffix in ("", ".jsonl", ".csv"):
        path = f"/records/manifests/{foreign.digest[7:]}{suffix}"
        answer = sign_in("anna").get(path, params={"dag_id": DAG, "run_id": run_id(0)})
        assert answer.status_code == 404
        assert SECRET not in answer.text


def _push(value: Any, task_id: str = "due", key: str = "return_value") -> None:
    """Push an XCom, as the API server stores it."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        store_task(session, task_id)
        XComModel.set(key, value, dag_id=DAG, task_id=task_id, run_id=run_id(0), session=session)


@pytest.mark.parametrize("suffix", ["", ".jsonl"])
def test_a_digest_in_a_free_text_opens_no_list(store: Store, sign_in: Client, suffix: str) -> None:
    foreign = Manifest.write(store, [{"key": "foreign-1", "title": SECRET}])
    mine = Manifest.write(store, evidence_factory.records(9))
    know_run(0)
    approvals = evidence_factory.approve(store, mine, foreign.digest, comment=foreign.digest)
    evidence_factory.carry_out(
        store,
        mine,
        approvals,
        name=foreign.digest,
        by=provenance("delete", unrecognized={"requested_by": foreign.digest}),
    )
    _push({"manifest": mine.uri, "digest": mine.digest, "note": foreign.digest})
    _push([foreign.digest, {"title": foreign.digest, "digest": foreign.digest}], "titles")
    _push({"manifest": foreign.uri, "digest": foreign.digest}, "remarks", key="note")
    _push(f"{{{foreign.digest}", "broken")
    ask({**form(mine.digest), "comment": {"value": foreign.digest}}, body=f"Titles: {foreign.digest}")
    for user in ("anna", "admin"):
        where = {"dag_id": DAG, "run_id": run_id(0)}
        answer = sign_in(user).get(f"/records/manifests/{foreign.digest[7:]}{suffix}", params=where)
        assert answer.status_code == 404
        assert SECRET not in answer.text
        assert sign_in(user).get(f"/records/manifests/{mine.digest[7:]}{suffix}", params=where).status_code == 200


@since("3.2")  # teams
def test_a_dag_that_airflow_does_not_know_any_more_is_for_those_who_may_read_all(store: Store, sign_in: Client) -> None:
    dispose(store, dag_id="deleted_dag")
    assert "deleted_dag" in sign_in("admin").get("/records/").text
    for user in ("anna", "bert"):
        assert "deleted_dag" not in sign_in(user).get("/records/").text
        for path in paths(store, "deleted_dag"):
            assert sign_in(user).get(path).status_code == 404


class RightsByName:
    """Answers as FAB's auth manager does, whose rights name what may be read: ``DAG:<id>`` is one, ``DAGs`` are all."""

    resources: frozenset[str]

    def is_authorized_dag(self, *, access_entity: Any = None, details: Any = None, **_: Any) -> bool:
        """Without an id it is about the list of DAGs, in which everybody sees those that are theirs."""
        if access_entity is not None and "DAG Runs" not in self.resources:
            return False
        if not details or not details.id:
            return any(name.startswith("DAG") and name != "DAG Runs" for name in self.resources)
        return not self.resources.isdisjoint({"DAGs", f"DAG:{details.id}"})


def test_rights_to_one_dag_and_to_runs_open_no_other_dag(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.models.team import Team, dag_bundle_team_association_table
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    user, manager = SimpleAuthManagerUser(username="anna", role=None), RightsByName()
    monkeypatch.setattr(access, "get_auth_manager", lambda: manager)
    with create_session() as session:
        # Where there are teams, each of them is asked about as well.
        session.execute(delete(dag_bundle_team_association_table))
        session.execute(delete(Team))
        for resources, seen in (
            ({f"DAG:{DAG}", "DAG Runs"}, {DAG}),
            ({"DAGs", "DAG Runs"}, {DAG, "deleted_dag"}),
            ({"DAGs"}, set()),
            ({"DAG Runs"}, set()),
        ):
            manager.resources = frozenset(resources)
            assert access.readable(user, [DAG, "deleted_dag"], session) == seen
        session.rollback()


def test_nothing_can_be_changed(store: Store, sign_in: Client) -> None:
    dispose(store)
    admin = sign_in("admin")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/records/", *paths(store)):
            assert admin.request(method, path).status_code == 405, path


def test_no_route_is_without_a_guard(sign_in: Client) -> None:
    from airflow.api_fastapi.core_api.security import get_user

    from airflow_provider_records.plugin.app import app

    # Each route asks for the user itself; one that is added and forgets to is guarded all the same.
    assert [each.dependency for each in app.router.dependencies] == [get_user]
    routes = [getattr(route, "path", "") for route in app.routes]
    assert routes == [
        "/",
        "/tile",
        "/tile.js",
        "/of/{dag_id}/{run_id:path}",
        "/of-task/{dag_id}/{task_id}/{run_id:path}",
        "/run",
        "/outcomes",
        "/manifests/{digest}",
        "/certificate.{suffix}",
        "/records.{suffix}",
    ]
    for path in ("/docs", "/redoc", "/openapi.json", "/static/page.css"):
        assert sign_in("admin").get(f"/records{path}").status_code == 404


ESCAPES = [
    "../../../../etc/passwd",
    "..%2f..%2fsecret.json",
    "%2e%2e/%2e%2e/secret.json",
    "....//secret.json",
    "%00",
    "secret",
    "secret.jsonl",
    "%2e%2e%2fsecret.jsonl",
    "a" * 63,
    "a" * 65,
    "A" * 64,
    "a" * 64 + ".json",
    "a" * 64 + ".jsonl.jsonl",
    "a" * 64 + "/../../secret.json",
    "a" * 64 + "%0a",
    "sha256:" + "a" * 64,
]


def test_no_name_leads_out_of_the_lists(store: Store, sign_in: Client) -> None:
    dispose(store)
    for name in ("secret", "manifests/secret", f"manifests/{'a' * 63}", f"manifests/{'A' * 64}"):
        store.write(f"{name}.jsonl", SECRET.encode())
    # What a task returns may hold anything, so that the run "knows" each of these lists.
    know_run(0)
    _push([{"manifest": name, "digest": f"sha256:{name}"} for name in (*ESCAPES, "../secret")])
    admin = sign_in("admin")
    for digest in ESCAPES:
        answer = admin.get(f"/records/manifests/{digest}?dag_id={DAG}&run_id={quote(run_id(0), safe='')}")
        # What a client resolves before it asks never comes to the page; Airflow answers it with its own.
        assert answer.status_code == 404 or '<div id="root"' in answer.text, digest
        assert SECRET not in answer.text


IDS = [
    ("..", ".."),
    ("../disposals", "x"),
    ("", ""),
    (".", "secret"),
    ("%2e%2e", "secret"),
    ("a\x00b", "x"),
    (DAG, "../x"),
]


def test_no_id_leads_out_of_the_certificates(store: Store, sign_in: Client) -> None:
    dispose(store)
    for name in ("secret", "x", "certificates/secret", "certificates/x", "disposals/x"):
        for suffix in ("html", "json"):
            store.write(f"{name}.{suffix}", SECRET.encode())
    admin = sign_in("admin")
    for dag_id, run in IDS:
        for page in ("certificate.html", "certificate.json", "run"):
            answer = admin.get(f"/records/{page}", params={"dag_id": dag_id, "run_id": run})
            assert answer.status_code == 404, (page, dag_id, run)
            assert SECRET not in answer.text
