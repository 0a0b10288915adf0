"""The page "Disposals" in Airflow's own UI: from the navigation, while a run is active, and afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import FrameLocator, Page, expect

from airflow_provider_records.sandbox.core import Fault
from tests.browser.conftest import SignIn, Site, look
from tests.system.test_standalone import Api, wait

pytestmark = pytest.mark.system
LONG = 120_000
"""Milliseconds; a machine that runs all tests at once may need them to show a first page."""
expect.set_options(timeout=LONG)
DAG, FOLLOWER = "page_run", "page_follower"
MISSING = "9999999"
AROUND = """paper => {
    const brush = document.createElement("canvas").getContext("2d");
    const drawn = colour => {
        brush.fillStyle = colour;
        brush.fillRect(0, 0, 1, 1);
        return brush.getImageData(0, 0, 1, 1).data.join();
    };
    return drawn(getComputedStyle(document.documentElement).backgroundColor) === drawn(paper);
}"""
"""Whether Airflow around the page has this colour; its own are not written as RGB."""


@pytest.fixture(scope="module")
def objects(site: Site) -> list[str]:
    """Documents of enaio that no other test deletes, of which one is locked, and one that is not there.

    They are more than one look afterwards takes, so that the first outcomes are shown while the last calls are made.
    """
    archive: Any = site.sandbox.vendors["enaio"]
    made = [archive.archive.add(str(9_000_000 + number), "Invoice") for number in range(239)]
    made[7].locked_by = "clerk"
    return [*(item.id for item in made), MISSING]


@pytest.fixture
def slow(site: Site, objects: list[str]) -> Iterator[None]:
    """Let one delete near the end take its time, so that there is something to watch."""
    fault = Fault(vendor="enaio", call="delete_object", match=f"/{objects[230]}", latency_ms=25_000)
    site.sandbox.faults.append(fault)
    yield
    if fault in site.sandbox.faults:
        site.sandbox.faults.remove(fault)


def patient(page: Page) -> Page:
    """Let a page take its time."""
    page.context.set_default_timeout(LONG)
    page.context.set_default_navigation_timeout(LONG)
    return page


def frame(page: Page) -> FrameLocator:
    """Return what Airflow shows of the page."""
    return page.frame_locator("iframe[title=Disposals]")


def trigger(site: Site, objects: list[str]) -> str:
    api = site.api()
    api.wait_for_dag(DAG)
    made = api.call("POST", f"dags/{DAG}/dagRuns", logical_date=None, conf={"ids": objects})
    return str(made["dag_run_id"])


def test_a_run_is_followed_and_found_again(site: Site, sign_in: SignIn, objects: list[str], slow: None) -> None:
    api = site.api()
    api.wait_for_dag(FOLLOWER)
    page = patient(sign_in("viewer"))
    run_id = trigger(site, objects)
    page.goto("/")
    page.get_by_role("link", name="Disposals").click()
    shown = frame(page)
    expect(shown.get_by_role("heading", name="Disposals", exact=True)).to_be_visible()
    # A run appears when its disposing task has begun.
    wait(lambda: list((site.evidence / f"disposals/{DAG}").glob("*/delete/-1/journal/*/*outcomes*")), site.told)
    page.reload()
    bar = shown.get_by_role("progressbar").first
    expect(bar).to_have_attribute("aria-valuetext", re.compile(r"^[1-9]\d* of 240 records"))
    look(page, "disposals-running")
    # The page updates itself.
    expect(shown.get_by_role("row").filter(has_text=run_id)).to_contain_text("Complete")
    expect(shown.get_by_role("progressbar")).to_have_count(0)
    row = shown.get_by_role("row").filter(has_text=run_id)
    expect(row).to_contain_text("238 destroyed, 1 already gone, 1 blocked")
    look(page, "disposals")

    # The page of the run, whose address can be opened again.
    row.get_by_role("link").first.click()
    expect(shown.get_by_role("heading", name="enaio: 240 records")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/plugin/disposals/records/run\?dag_id=page_run"))
    look(page, "disposals-run")
    page.goto(page.url)
    expect(shown.get_by_role("heading", name="enaio: 240 records")).to_be_visible()

    # The list, and back by the browser.
    shown.get_by_role("link", name=re.compile("^sha256:")).first.click()
    expect(shown.get_by_role("heading", name="240 records")).to_be_visible()
    expect(shown.get_by_text(objects[0])).to_be_visible()
    look(page, "disposals-list")
    page.go_back()
    expect(shown.get_by_role("heading", name="enaio: 240 records")).to_be_visible()

    # The certificate opens beside it.
    with page.context.expect_page() as opened:
        shown.get_by_role("link", name="Certificate", exact=True).click()
    expect(opened.value.get_by_role("heading", name="Certificate of destruction")).to_be_visible()
    opened.value.close()

    # Out to Airflow's own page of the run, and back by the task's link.
    shown.get_by_role("link", name="Run in Airflow").click()
    expect(page).to_have_url(re.compile(rf"/dags/{DAG}/runs/"))
    page.goto(f"/dags/{DAG}/runs/{run_id}/tasks/delete/details")
    page.get_by_role("link", name="Disposal", exact=True).click()
    expect(shown.get_by_role("heading", name="enaio: 240 records")).to_be_visible()
    page.goto(f"/dags/{DAG}/runs/{run_id}/tasks/certificate/details")
    page.get_by_role("link", name="Certificate", exact=True).click()
    expect(shown.get_by_role("heading", name="Certificate of destruction")).to_be_visible()

    # The tabs of the run and of its task show the same, and Airflow's first page has it on its tile.
    for path in (f"/dags/{DAG}/runs/{run_id}", f"/dags/{DAG}/runs/{run_id}/tasks/delete"):
        page.goto(path)
        page.get_by_role("link", name="Records", exact=True).click()
        tab = page.frame_locator("iframe[title=Records]")
        expect(tab.get_by_role("heading", name="enaio: 240 records")).to_be_visible()
        look(page, f"tab-of-{'task' if 'tasks' in path else 'run'}")
    page.goto("/")
    tile = shown.get_by_role("row").filter(has_text=DAG).first
    expect(tile).to_contain_text("238 destroyed, 1 already gone, 1 blocked")
    look(page, "tile")
    tile.get_by_role("link").click()
    expect(shown.get_by_role("heading", name="enaio: 240 records")).to_be_visible()

    # The other DAG was told.
    (event,) = api.call("GET", f"assets/events?source_dag_id={DAG}&source_run_id={quote(run_id)}")["asset_events"]
    assert event["uri"] == "x-records://enaio/destroyed"
    assert event["extra"]["records"] == 238
    assert event["extra"]["counts"]["absent"] == 1
    wait(lambda: [run for run in event_runs(api, event) if run["dag_id"] == FOLLOWER], lambda: event_runs(api, event))


def event_runs(api: Api, event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs that an asset event has started so far."""
    events = api.call("GET", f"assets/events?asset_id={event['asset_id']}")["asset_events"]
    runs: list[dict[str, Any]] = next(item["created_dagruns"] for item in events if item["id"] == event["id"])
    return runs


def test_nobody_sees_it_without_a_login(site: Site) -> None:
    answer = requests.get(f"{site.base}/records/", headers={"Accept": "text/html"}, timeout=120, allow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/api/v2/auth/login")
    assert requests.get(f"{site.base}/records/", timeout=120).status_code == 401


def test_the_page_follows_airflows_theme(site: Site, sign_in: SignIn) -> None:
    page = patient(sign_in("viewer"))
    page.goto("/plugin/disposals")
    inside = frame(page).locator("html")
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        expect(inside).to_have_attribute("data-theme", theme)
    # Whatever the browser prefers, what its user has chosen in Airflow wins.
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    expect(inside).to_have_attribute("data-theme", "dark")
    paper = inside.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    page.wait_for_function(AROUND, arg=paper)
