"""A list is approved, rejected, and approved without one of its records, by people in Airflow's own page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from airflow_provider_records.reporting.verify import verify
from tests.browser.conftest import SignIn, Site, look
from tests.system.test_standalone import wait_until_heard

pytestmark = pytest.mark.system
TWO_PEOPLE, HOSTILE = "records_nightly_approval", "approval_hostile"


def request(site: Site, dag: str, run_id: str, task_id: str, *, time: int = 1) -> dict[str, Any]:
    """Wait until a task waits for an answer, for the first or another time; return what is asked."""
    api = site.api()
    wait_until_heard(site.home / "standalone.log", dag, run_id, task_id, time=time)
    api.wait_for_state(run_id, task_id, "awaiting_input", dag)
    found = api.call("GET", f"dags/{dag}/dagRuns/{run_id}/hitlDetails?task_id={task_id}")["hitl_details"]
    asked: dict[str, Any] = found[0]
    return asked


def open_form(page: Page, dag: str, run_id: str, task_id: str) -> None:
    page.goto(f"/dags/{dag}/runs/{run_id}/tasks/{task_id}/required_actions")
    expect(page.get_by_test_id("hitl-option-Approve")).to_be_enabled()


def answer(page: Page, option: str) -> None:
    with page.expect_response(
        lambda response: "hitlDetails" in response.url and response.request.method == "PATCH"
    ) as said:
        page.get_by_test_id(f"hitl-option-{option}").click()
    assert said.value.ok, said.value.text()


def field(page: Page, name: str) -> Locator:
    return page.locator(f"[name=element_{name}]")


def ended(site: Site, dag: str, run_id: str) -> dict[str, str]:
    """Wait until a run has ended; return the states of its tasks."""
    api = site.api()
    api.wait_for_end(run_id, dag)
    return api.states(run_id, dag)


def test_two_people_approve_all_but_one(site: Site, sign_in: SignIn) -> None:
    run_id = site.api().trigger(TWO_PEOPLE)
    digest = request(site, TWO_PEOPLE, run_id, "review")["params"]["manifest"]["value"]
    records = site.manifest(digest)
    live = site.sandbox.vendors["enaio"].state()["live"]
    kept = next(item for item in records if item["target_id"] in live)
    page = sign_in("reviewer_1")
    open_form(page, TWO_PEOPLE, run_id, "review")
    expect(page.get_by_text(f"{len(records)} records").first).to_be_visible()
    expect(page.get_by_text(digest, exact=True)).to_be_visible()
    expect(page.get_by_role("cell", name=kept["key"], exact=True)).to_be_visible()
    whole = page.get_by_role("link", name="Open the whole list")
    assert digest.removeprefix("sha256:") in str(whole.get_attribute("href"))
    assert field(page, "manifest").get_attribute("type") == "hidden"
    expect(page.get_by_text("Example: hr-2014-0006: lawsuit 4 O 12/26; until 2027-06-30.")).to_be_visible()
    look(page, "approval-asked")
    # What is still only asked about can be read to its end, also by who may not administrate.
    with page.expect_popup() as opened:
        whole.click()
    expect(opened.value.frame_locator("iframe").get_by_text(records[30]["key"]).first).to_be_visible()
    opened.value.close()
    # A slip: the same request waits again, and its list says why.
    field(page, "withhold").fill(kept["key"])
    answer(page, "Approve")
    request(site, TWO_PEOPLE, run_id, "review", time=2)
    assert not list(site.evidence.glob("holds/*"))
    open_form(page, TWO_PEOPLE, run_id, "review")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open the whole list").click()
    expect(opened.value.frame_locator("iframe").get_by_text(f"{kept['key']!r} has no reason").first).to_be_visible()
    look(opened.value, "approval-slip")
    opened.value.close()
    field(page, "withhold").fill(f"{kept['key']}: the court wants it")
    field(page, "comment").fill("Looked at all of it.")
    field(page, "withhold").scroll_into_view_if_needed()
    look(page, "approval-filled")
    answer(page, "Approve")
    asked = request(site, TWO_PEOPLE, run_id, "confirm")
    assert [user["id"] for user in asked["assigned_users"]] == ["reviewer_2"]
    assert asked["params"]["manifest"]["value"] != digest
    page = sign_in("reviewer_2")
    open_form(page, TWO_PEOPLE, run_id, "confirm")
    expect(page.get_by_text("Approved already")).to_be_visible()
    expect(page.get_by_text("the court wants it").first).to_be_visible()
    expect(field(page, "withhold")).to_have_value("")
    look(page, "approval-confirm")
    answer(page, "Approve")
    assert set(ended(site, TWO_PEOPLE, run_id).values()) == {"success"}
    assert kept["target_id"] in site.sandbox.vendors["enaio"].state()["live"]
    assert len(set(site.sandbox.effects("enaio", "destroyed"))) > 40
    page.goto(f"/dags/{TWO_PEOPLE}/runs/{run_id}/tasks/review/required_actions")
    expect(page.get_by_text("reviewer_1")).to_be_visible()
    look(page, "approval-answered")
    (path,) = site.evidence.glob(f"certificates/{TWO_PEOPLE}/*.json")
    report = verify(path)
    assert report.ok, report.problem


def test_who_must_not_answer_cannot(site: Site, sign_in: SignIn) -> None:
    run_id = site.api().trigger(HOSTILE)
    request(site, HOSTILE, run_id, "approve")
    page = sign_in("reviewer_2")
    open_form(page, HOSTILE, run_id, "approve")
    with page.expect_response(lambda response: response.request.method == "PATCH") as said:
        page.get_by_test_id("hitl-option-Approve").click()
    assert said.value.status == 403
    look(page, "approval-not-yours")
    # Marked as success by hand: what follows has no list, and says so.
    api = site.api()
    api.call("PATCH", f"dags/{HOSTILE}/dagRuns/{run_id}/taskInstances/approve", new_state="success")
    assert ended(site, HOSTILE, run_id) == {"approve": "success", "delete": "failed"}


def test_hostile_titles_are_only_read_and_the_list_is_rejected(site: Site, sign_in: SignIn) -> None:
    run_id = site.api().trigger(HOSTILE)
    request(site, HOSTILE, run_id, "approve")
    page = sign_in("reviewer_1")
    before = set(site.evidence.glob("approvals/*"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    open_form(page, HOSTILE, run_id, "approve")
    rows = page.get_by_role("table").last.get_by_role("row")
    expect(rows).to_have_count(10)
    expect(page.get_by_role("cell", name="https://host/3", exact=True)).to_be_visible()
    expect(page.get_by_role("cell", name="[click](https://evil.example/link)", exact=True).last).to_be_visible()
    expect(page.get_by_role("cell", name="**bold** _under_ &lt;b&gt;", exact=True).last).to_be_visible()
    assert page.locator("a[href*=evil], a[href*='host/'], img[src*=evil], img[src=x]").count() == 0
    assert not [url for url in asked if "evil" in url]
    look(page, "approval-hostile")
    field(page, "comment").fill("Not these.")
    answer(page, "Reject")
    assert ended(site, HOSTILE, run_id) == {"approve": "success", "delete": "skipped"}
    assert set(site.evidence.glob("approvals/*")) == before
