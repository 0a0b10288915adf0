"""Airflow below a path of its host: navigation, tabs, tile and links of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Page, expect

from airflow_provider_records import demo
from airflow_provider_records.evidence.store import Store
from tests.browser.conftest import SignIn, Site, look
from tests.browser.evidence import DAG, REFUSED
from tests.system.test_standalone import wait

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def base(site: Site) -> Iterator[str]:
    """A second API server of the same Airflow, below a path."""
    port = demo.free_port()
    address = f"http://127.0.0.1:{port}/night"
    env = {**site.env, "AIRFLOW__API__PORT": str(port), "AIRFLOW__API__BASE_URL": address}

    def served() -> bool:
        try:
            return requests.get(f"{address}/api/v2/monitor/health", timeout=30).ok
        except requests.ConnectionError:
            return False

    log = site.home / "below.log"
    with log.open("wb") as file, demo.child_process(demo.airflow("api-server"), env, file):
        wait(served, lambda: log.read_text()[-5000:])
        yield address


def test_everything_is_found_below_a_path(past: Store, sign_in: SignIn, base: str) -> None:
    page: Page = sign_in(base_url=base)
    page.goto(f"{base}/plugin/disposals")
    shown = page.frame_locator("iframe[title=Disposals]")
    shown.locator("tr", has_text=REFUSED).get_by_role("link").first.click()
    expect(shown.get_by_text("Content destroyed, mark refused")).to_be_visible()
    page.goto(page.url)
    expect(shown.get_by_text("Content destroyed, mark refused")).to_be_visible()

    page.goto(f"{base}/")
    row = shown.get_by_role("row").filter(has_text="Not complete")
    expect(row).to_contain_text(DAG)
    look(page, "tile-below-a-path")
    row.get_by_role("link").click()
    expect(shown.get_by_text("Content destroyed, mark refused")).to_be_visible()
    assert page.url.startswith(f"{base}/plugin/disposals/night/records/run?")
