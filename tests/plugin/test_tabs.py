"""The page on a run, on a task instance, and as a tile on Airflow's first page."""

from __future__ import annotations

import re
from urllib.parse import quote

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.plugin import DisposalsPlugin
from tests.evidence import evidence_factory
from tests.minors import since
from tests.plugin.conftest import DAG, OTHER, Client, ask, dispose, form, keep_as_asked, know_run, run_id
from tests.plugin.test_app import page_text


def filled(href: str, *, encode: bool, run: str = "") -> str:
    """Return the address that Airflow makes of a view's; from 3.3 on it encodes what it fills in."""
    values = {"DAG_ID": DAG, "RUN_ID": run or run_id(0), "TASK_ID": "delete", "MAP_INDEX": "-1"}
    return "/" + re.sub(
        r"\{(\w+)\}", lambda found: quote(values[found[1]], safe="") if encode else values[found[1]], href
    )


def views(destination: str) -> list[str]:
    return [view["href"] for view in DisposalsPlugin.external_views if view["destination"] == destination]


def test_the_tabs_of_run_and_task_lead_to_the_run(store: Store, sign_in: Client) -> None:
    dispose(store)
    know_run(0, "success")
    anna = sign_in("anna")
    for destination, fragment in (("dag_run", ""), ("task_instance", "#task-delete")):
        (href,) = views(destination)
        for encode in (True, False):
            answer = anna.get(filled(href, encode=encode))
            assert answer.status_code == 303
            target = answer.headers["Location"]
            assert target == f"/records/run?dag_id={DAG}&run_id={quote(run_id(0), safe='')}{fragment}"
        assert "Who approved" in anna.get(target).text


def test_a_run_that_has_nothing_to_do_with_records_says_so(store: Store, sign_in: Client) -> None:
    dispose(store)
    know_run(1, "success")
    for destination in ("dag_run", "task_instance"):
        (href,) = views(destination)
        answer = sign_in("anna").get(filled(href, encode=True, run=run_id(1)))
        assert answer.status_code == 200
        assert "Nobody has been asked about records in this run" in page_text(answer.text)


@since("3.2")  # teams
def test_a_tab_needs_the_right_to_read_the_runs_of_its_dag(store: Store, sign_in: Client) -> None:
    dispose(store, dag_id=OTHER)
    assert sign_in("anna").get(f"/records/of/{OTHER}/{run_id(0)}").status_code == 404
    assert sign_in("").get(f"/records/of/{OTHER}/{run_id(0)}").status_code == 303


def test_the_tile_has_the_newest_runs_and_who_is_waited_for(store: Store, sign_in: Client) -> None:
    anna = sign_in("anna")
    assert "data-empty" in anna.get("/records/tile").text
    for age in range(1, 9):
        dispose(store, run=run_id(age))
        know_run(age, "success")
    manifest = Manifest.write(store, evidence_factory.records(30))
    know_run(0, "running")
    keep_as_asked(store, manifest)
    ask(form(manifest.digest))
    page = anna.get("/records/tile").text
    assert "data-empty" not in page
    assert f"1 list waits for approval: {DAG} ( Required action )" in page_text(page)
    assert page.count('<th scope="row">') == 5
    assert "Waiting for approval" in page
    links = re.findall(r'href="([^"]+)" target="_top"', page)
    assert "/plugin/disposals" in links
    assert f"/plugin/disposals/records/run?dag_id={DAG}&amp;run_id={quote(run_id(1), safe='')}" in links


def test_the_tile_is_a_component_that_airflow_finds(sign_in: Client) -> None:
    (app,) = DisposalsPlugin.react_apps
    answer = sign_in("anna").get(app["bundle_url"])
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert f'globalThis["{app["name"]}"] =' in answer.text
    assert sign_in("").get(app["bundle_url"], headers={"Accept": "*/*"}).status_code == 401
