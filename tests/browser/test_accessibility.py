"""Everybody can use the pages: axe finds nothing in light and dark, and every control is reached by the keyboard."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect

from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.store import Store
from tests.browser.conftest import SignIn, Site
from tests.browser.evidence import DAG, REFUSED, REJECTED

pytestmark = pytest.mark.system
ASKING = "approval_hostile"
OPTIONS = {"rules": {"target-size": {"enabled": True}}}
CONTROLS = "a[href]:not([tabindex='-1']), button, input, select, textarea, summary"
FOCUSED = """() => {
    const now = document.activeElement;
    const place = [...document.querySelectorAll(CONTROLS)].indexOf(now);
    const style = getComputedStyle(now);
    return [place, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];
}""".replace("CONTROLS", f'"{CONTROLS}"')
"""The place of the focused control among those of the page, and whether it is seen to have the focus."""


@pytest.fixture(scope="module")
def addresses(site: Site, past: Store) -> dict[str, str]:
    """The address of each kind of page, below ``/records``, each with all that it can show."""
    api = site.api()
    api.wait_for_dag(ASKING)
    api.wait_for_state(api.trigger(ASKING), "approve", "awaiting_input", ASKING)
    (order,) = Order.asked_in(past, DAG, REFUSED)
    run = {"dag_id": DAG, "run_id": REFUSED}
    return {
        "overview": "/",
        "tile": "/tile",
        "run": f"/run?{urlencode(run)}",
        "rejected": f"/run?{urlencode({**run, 'run_id': REJECTED})}",
        "outcomes": f"/outcomes?{urlencode({**run, 'task_id': 'delete'})}",
        "blocked": f"/outcomes?{urlencode({**run, 'task_id': 'delete', 'outcome': 'blocked'})}",
        "list": f"/manifests/{order.digest.removeprefix('sha256:')}?{urlencode(run)}",
        "certificate": f"/certificate.html?{urlencode(run)}",
        "message": f"/run?{urlencode({**run, 'run_id': 'none'})}",
    }


PAGES = ["overview", "tile", "run", "rejected", "outcomes", "blocked", "list", "certificate", "message"]


@pytest.fixture
def page(sign_in: SignIn) -> Page:
    """The pages by themselves, as Airflow's frames show them."""
    return sign_in(bypass_csp=True)  # the certificate allows no script, not even axe


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(page: Page, addresses: dict[str, str], name: str, theme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=theme)
    page.goto(f"/records{addresses[name]}")
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"page-{name}-{theme}.png", full_page=True)
    for width in (1400, 380):
        page.set_viewport_size({"width": width, "height": 1000})
        found = Axe().run(page, options=OPTIONS).response
        assert len(found["passes"]) > 5
        assert [(each["id"], each["nodes"][0]["target"]) for each in found["violations"]] == [], width


@pytest.mark.parametrize("name", [name for name in PAGES if name != "certificate"])
def test_every_control_is_reached_by_tab(page: Page, addresses: dict[str, str], name: str) -> None:
    page.goto(f"/records{addresses[name]}")
    controls = page.locator(CONTROLS).count()
    assert controls
    for place in range(controls):
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUSED) == [place, True]


def test_the_certificate_has_nothing_to_press(page: Page, addresses: dict[str, str]) -> None:
    page.goto(f"/records{addresses['certificate']}")
    assert page.locator(CONTROLS).count() == 0


def test_the_whole_way_from_the_overview_to_a_record_by_the_keyboard(page: Page, addresses: dict[str, str]) -> None:
    page.goto("/records/")
    page.locator("tr", has_text=REFUSED).get_by_role("link").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Who approved")).to_be_visible()
    while page.evaluate("document.activeElement.textContent") != "Every record":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("navigation", name="Outcomes")).to_be_visible()
