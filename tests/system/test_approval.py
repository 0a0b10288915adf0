"""People approve in real Airflow, over the API that its page uses too, while ``dags test`` runs the night."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_records import demo
from airflow_provider_records.reporting.verify import verify
from tests.minors import since
from tests.smtp_sink import smtp_sink
from tests.system.conftest import Installation
from tests.system.test_mapped import assert_each_once
from tests.system.test_nights import assert_true, state
from tests.system.test_standalone import Api, wait

pytestmark = [pytest.mark.system, since("3.3")]  # before, "dags test" gets no answers: see test_standalone
DAG, MAILS = "records_nightly_approval", "records_with_mails"
USERS = ("reviewer_1", "reviewer_2", "stranger")
INTRUDER = "intruder"
Begin = Callable[..., Installation]
Start = Callable[..., "Run"]
Offices = dict[str, "Office"]


@dataclass
class Office:
    """One person at Airflow's API.

    :param api: as this person.
    """

    api: Api

    def answer(self, request: dict[str, Any], option: str, **inputs: str) -> requests.Response:
        """Answer with the call of the README."""
        ti = request["task_instance"]
        return self.api.session.patch(
            f"{self.api.base}/api/v2/dags/{ti['dag_id']}/dagRuns/{ti['dag_run_id']}/taskInstances/{ti['task_id']}"
            f"/{ti['map_index']}/hitlDetails",
            params={name: ti[name] for name in ("region_id", "region_index") if name in ti},  # of a loop
            json={"chosen_options": [option], "params_input": inputs},
            timeout=120,
        )

    def approve(self, request: dict[str, Any], **inputs: str) -> requests.Response:
        """Approve the list and the order that the request shows."""
        shown = {name: request["params"][name]["value"] for name in ("manifest", "order")}
        return self.answer(request, "Approve", **shown, **inputs)


@pytest.fixture(scope="module")
def offices(airflow_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offices]:
    """Airflow's API server, with users who are somebody."""
    folder, port = tmp_path_factory.mktemp("api"), demo.free_port()
    env = {
        **demo.airflow_environment(airflow_home),
        **demo.standalone_variables(port),
        "AIRFLOW__CORE__DAGS_FOLDER": str(airflow_home / "dags"),
        **demo.user_variables({**dict.fromkeys(USERS, "op"), INTRUDER: "user"}, folder),
    }

    def served() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=30).ok
        except requests.ConnectionError:
            return False

    with (folder / "api.log").open("wb") as log, demo.child_process(demo.airflow("api-server"), env, log):
        wait(served, lambda: (folder / "api.log").read_text()[-5000:])
        passwords = json.loads((folder / "passwords.json").read_text())
        yield {user: Office(Api(port, username=user, password=passwords[user])) for user in (*USERS, INTRUDER)}


@dataclass
class Run:
    """A night that runs beside the test.

    :param dag_id: its DAG.
    :param process: ``dags test``.
    :param log: what this prints.
    """

    dag_id: str
    process: subprocess.Popen[bytes]
    log: Path

    def asks(self, office: Office, task_id: str) -> dict[str, Any]:
        """Wait until a task waits for an answer; return its request.

        ``dags test`` writes the state of a task once more after the task's process has ended. An answer before that is
        lost, and the night waits for ever.
        """
        found: list[dict[str, Any]] = []
        form = f"hitlDetails?response_received=false&task_id={task_id}&state=awaiting_input"

        def look() -> bool:
            found[:] = office.api.call("GET", f"dags/{self.dag_id}/dagRuns/~/{form}")["hitl_details"]
            log = self.log.read_text()
            assert found or self.process.poll() is None, log[-5000:]
            begun, ended = (log.count(f"[DAG TEST] {word} task_id={task_id} ") for word in ("starting", "end task"))
            return bool(found) and begun == ended

        wait(look, lambda: self.log.read_text()[-5000:])
        return found[0]

    def end(self) -> str:
        """Wait for its end; return its log."""
        self.process.wait(300)
        return self.log.read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Run a night in a process of its own."""
    runs: list[Run] = []

    def begin(installation: Installation, dag_id: str = DAG) -> Run:
        log = tmp_path / "night.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                demo.airflow("dags", "test", dag_id), env=installation.env, stdout=file, stderr=subprocess.STDOUT
            )
        runs.append(Run(dag_id, process, log))
        return runs[-1]

    yield begin
    for run in runs:
        run.process.kill()
        run.process.wait(60)


def test_four_eyes_and_one_record_withheld(begin: Begin, start: Start, offices: Offices) -> None:
    installation = begin()
    one, two, stranger = (offices[user] for user in USERS)
    run = start(installation)
    request = run.asks(one, "review")
    digest = request["params"]["manifest"]["value"]
    live = installation.sandbox.vendors["enaio"].state()["live"]
    kept = next(item for item in installation.manifest(digest) if item["target_id"] in live)
    assert kept["title"].split()[0] in request["body"]
    assert stranger.approve(request).status_code == 403
    assert one.approve(request, withhold=f"{kept['key']}: the court wants it", comment="Seen.").ok
    request = run.asks(two, "confirm")
    assert "the court wants it" in request["body"].replace("\\", "")
    assert one.approve(request).status_code == 403
    assert two.approve(request).ok
    assert state(log := run.end()) == "success", log[-3000:]
    assert_true(installation, "enaio", "destroyed")
    (delete,) = installation.disposals()["delete"]
    assert len(delete["approvals"]) == 2
    assert kept["key"] not in {item["key"] for item in installation.manifest(delete["digest"])}
    assert kept["target_id"] in installation.sandbox.vendors["enaio"].state()["live"]
    assert kept["key"] not in installation.sandbox.effects("opus", "marked")
    certificate = installation.certificate()
    people = {each["approver"]: each for each in certificate["approvals"]}
    assert set(people) == {"airflow:reviewer_1", "airflow:reviewer_2"}
    assert people["airflow:reviewer_1"]["withheld"] == {kept["key"]: "the court wants it"}
    assert people["airflow:reviewer_1"]["shown"] == digest
    (path,) = installation.evidence.glob("certificates/*/*.json")
    report = verify(path)
    assert report.ok, report.problem
    assert any("1 record was withheld" in line for line in report.checked)


def test_the_old_page_releases_nothing(begin: Begin, start: Start, offices: Offices) -> None:
    """Somebody clears the night while its list waits for an answer, and the list is another one then."""
    installation = begin()
    one = offices["reviewer_1"]
    run = start(installation)
    old = run.asks(one, "review")
    run_id = old["task_instance"]["dag_run_id"]
    shown = old["params"]["manifest"]["value"]
    held = installation.manifest(shown)[0]["key"]
    installation.sandbox.vendors["opus"].decide(held, "hold")  # type: ignore[attr-defined]
    # Without what it keeps of its first order the task would ask again, and Airflow shows the old request.
    (asked,) = installation.evidence.glob("asked/*/*/review/*.json")
    asked.unlink()
    one.api.call(
        "POST",
        f"dags/{DAG}/clearTaskInstances",
        dry_run=False,
        only_failed=False,
        dag_run_id=run_id,
        task_ids=["due"],
        include_downstream=True,
    )
    wait(lambda: len(list(installation.evidence.glob("manifests/*.jsonl"))) == 2, lambda: one.api.told(run_id, DAG))
    wait(
        lambda: run.asks(one, "review")["task_instance"]["try_number"] > old["task_instance"]["try_number"],
        lambda: one.api.told(run_id, DAG),
    )
    again = run.asks(one, "review")
    assert again["params"]["manifest"]["value"] == shown
    assert one.approve(again).ok
    log = run.end()
    assert "start a new DAG run" in log
    assert state(log) == "failed"
    assert not list(installation.evidence.glob("approvals/*"))
    assert not installation.sandbox.effects("enaio", "destroyed")


def test_each_part_is_approved_by_itself(begin: Begin, start: Start, offices: Offices) -> None:
    installation = begin()
    run = start(installation, "mapped_approval")
    for _ in range(2):
        assert offices["reviewer_1"].approve(run.asks(offices["reviewer_1"], "review")).ok
    assert state(log := run.end()) == "success", log[-3000:]
    first, second = assert_each_once(installation, "enaio", "delete")
    assert first["approvals"] != second["approvals"]


def test_an_approval_of_an_earlier_run_releases_nothing(begin: Begin, start: Start, offices: Offices) -> None:
    """An ordinary user posts it as the output of the approving tasks and marks these as success."""
    installation = begin()
    one, two, intruder = offices["reviewer_1"], offices["reviewer_2"], offices[INTRUDER].api
    earlier = start(installation)
    first = earlier.asks(one, "review")
    assert one.approve(first).ok
    assert two.approve(earlier.asks(two, "confirm")).ok
    earlier.end()
    run_id = first["task_instance"]["dag_run_id"]
    entry = f"dags/{DAG}/dagRuns/{{}}/taskInstances/confirm/xcomEntries"
    stolen = intruder.call("GET", f"{entry.format(run_id)}/return_value?stringify=false")["value"]
    assert len(stolen["approvals"]) == 2
    effects = installation.sandbox.effects("enaio", "destroyed")

    run = start(installation)
    run_id = run.asks(one, "review")["task_instance"]["dag_run_id"]
    intruder.call("POST", entry.format(run_id), key="return_value", value=stolen)
    for task_id in ("review", "confirm"):
        intruder.call("PATCH", f"dags/{DAG}/dagRuns/{run_id}/taskInstances/{task_id}", new_state="success")
    log = run.end()
    assert "was given in the run" in log
    assert state(log) == "failed"
    assert installation.sandbox.effects("enaio", "destroyed") == effects


def test_reviewers_and_managers_get_their_mails(begin: Begin, start: Start, offices: Offices) -> None:
    installation = begin()
    with smtp_sink() as sink:
        installation.env["AIRFLOW_CONN_SMTP_DEFAULT"] = sink.connection
        run = start(installation, MAILS)
        request = run.asks(offices["reviewer_1"], "review")
        assert offices["reviewer_1"].approve(request).ok
        assert state(log := run.end()) == "success", log[-3000:]
        asked, done = sink.mails
        assert asked["To"] == "reviewers@example.org"
        assert asked["Subject"] == request["subject"]
        assert "Whole list: " in sink.text(0)
        assert done["To"] == "records@example.org"
        assert "enaio: " in sink.text(1)
        (page,) = installation.evidence.glob("certificates/*/*.html")
        (attached,) = done.iter_attachments()
        assert attached.get_filename() == page.name
        assert attached.get_payload(decode=True) == page.read_bytes()


def test_a_mail_server_that_is_down_stops_nothing(begin: Begin, start: Start, offices: Offices) -> None:
    installation = begin()
    installation.env["AIRFLOW_CONN_SMTP_DEFAULT"] = "smtp://127.0.0.1:9/?disable_ssl=true&disable_tls=true"
    run = start(installation, MAILS)
    assert offices["reviewer_1"].approve(run.asks(offices["reviewer_1"], "review")).ok
    assert state(log := run.end()) == "success", log[-3000:]
    assert "the request can be answered all the same" in log
    assert installation.certificate()["complete"] is True
