"""Which requests wait for people, and who sees them on the page."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import uuid4

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.reporting import approval_request
from tests.evidence import evidence_factory
from tests.minors import since
from tests.plugin.conftest import DAG, OTHER, Client, ask, dispose, form, keep_as_asked, know_run, run_id
from tests.plugin.test_app import EVIL, Marks, page_text

DIGEST = "sha256:" + "ab" * 32


def answered(task: Any) -> None:
    """Store an answer."""
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session
    from sqlalchemy import func, update

    with create_session() as session:
        session.execute(update(HITLDetail).where(HITLDetail.ti_id == task).values(responded_at=func.now()))


def test_a_request_is_at_the_head_of_the_page_until_it_is_answered(store: Store, sign_in: Client) -> None:
    manifest = Manifest.write(store, evidence_factory.records(30))
    know_run(0, "running")
    anna = sign_in("anna")
    assert 'id="pending"' not in anna.get("/records/").text
    keep_as_asked(store, manifest)
    (order,) = Order.asked_in(store, DAG, run_id(0))
    subject = approval_request.subject(manifest, order, "approve").replace("30 records", "1,030 records")
    task = ask(form(manifest.digest), subject=subject)
    page = anna.get("/records/").text
    row = page.split("Waiting for approval")[1].split("<tbody>")[1].split("</tbody>")[0]
    assert page_text(f"<main>{row}").startswith(f"{DAG} {run_id(0)} approve 1,030 ")
    links = [value for name, value in Marks(page).attributes if name == "href"]
    assert f"/dags/{DAG}/runs/{quote(run_id(0), safe='')}/tasks/approve/required_actions" in links
    (whole,) = [link for link in links if "/manifests/" in link]
    assert "30 records" in anna.get(whole).text
    answered(task)
    assert 'id="pending"' not in anna.get("/records/").text


@since("3.4")  # loops
def test_the_address_of_a_request_in_a_loop_names_its_iteration(store: Store, sign_in: Client) -> None:
    """Airflow's page of a task in a loop cannot be opened without its region."""
    know_run(0, "running")
    region = uuid4()
    ask(form(DIGEST), task_id="night.review", region_id=region, map_index=1)
    (address,) = (
        value
        for name, value in Marks(sign_in("anna").get("/records/").text).attributes
        if name == "href" and "required_actions" in str(value)
    )
    assert str(address).endswith(f"/tasks/night.review/required_actions?region_id={region}&region_index=1")


@since("3.2")  # teams
def test_only_requests_for_a_list_of_readable_dags_that_still_wait_are_shown(store: Store, sign_in: Client) -> None:
    dispose(store, run="earlier")
    know_run(0, "running")
    know_run(0, "running", dag_id=OTHER)
    ask(form(DIGEST), dag_id=OTHER, task_id="foreign_task")
    ask({"other": {"value": DIGEST}}, task_id="another_form")
    ask({"manifest": {"value": 7}}, task_id="no_text")
    ask(form(DIGEST), task_id="done_by_hand", state="success")
    ask(form(DIGEST), task_id="mapped_one", map_index=3, subject="Well?")
    for path in ("/records/", f"/records/?dag_id={DAG}"):
        page = sign_in("anna").get(path).text
        assert "mapped_one, part 4" in page
        assert "/tasks/mapped_one/mapped/3/required_actions" in page
        assert OTHER not in page
        assert not [name for name in ("foreign_task", "another_form", "no_text", "done_by_hand") if name in page]
    assert "foreign_task" in sign_in("bert").get(f"/records/?dag_id={OTHER}").text
    admin = sign_in("admin")
    assert "foreign_task" in admin.get("/records/").text
    assert "foreign_task" not in admin.get(f"/records/?dag_id={DAG}").text


def test_hostile_texts_of_a_request_do_nothing(store: Store, sign_in: Client) -> None:
    know_run(0, "running")  # Airflow itself refuses such an id of a run
    ask(form(f"sha256:{EVIL}"), task_id=EVIL, subject=f"3 records: {EVIL}", body=EVIL)
    shown = sign_in("anna").get("/records/").text.split("<main>")[1]
    assert "Waiting for approval" in shown
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown
    assert "<img" not in shown
    assert "\u202e" not in shown
    assert not [name for name, _ in Marks(shown).attributes if name.startswith("on")]
