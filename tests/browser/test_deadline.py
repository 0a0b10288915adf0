"""A deadline passes in a running Airflow: its triggerer says so, and the page of the run."""

from __future__ import annotations

import pytest

from tests.browser.conftest import SignIn, Site, look
from tests.system.test_standalone import wait

pytestmark = pytest.mark.system
DAG = "overdue"


def test_nobody_approves_in_time(site: Site, sign_in: SignIn) -> None:
    api = site.api()
    api.wait_for_dag(DAG)
    run_id = api.trigger(DAG)
    log = site.home / "standalone.log"
    wait(lambda: f"Approval overdue: {DAG}, {run_id}" in log.read_text(errors="replace"), lambda: api.told(run_id, DAG))
    page = sign_in()
    page.goto(f"/dags/{DAG}/runs/{run_id}")
    page.get_by_text(run_id).first.wait_for()
    look(page, "deadline")
