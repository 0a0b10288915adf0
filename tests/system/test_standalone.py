"""The night in ``airflow standalone``: scheduler, triggerer, API server, and a worker that is killed half-way."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from airflow_provider_records import demo
from tests.minors import before
from tests.system.conftest import Installation
from tests.system.test_nights import assert_true

pytestmark = pytest.mark.system
DAG = "records_nightly_enaio"
PATIENCE = 600.0
"""Seconds until an event that does not come fails the test; many times what the slowest takes."""


class Api:
    """Airflow's REST API.

    :param port: where it is served.
    :param user: username and password; left out where everybody is an admin.
    """

    def __init__(self, port: int, **user: str) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.session = requests.Session()
        answer = self.session.request(
            "POST" if user else "GET", f"{self.base}/auth/token", json=user or None, timeout=30
        )
        self.token = str(answer.json()["access_token"])
        self.session.headers["Authorization"] = f"Bearer {self.token}"

    def call(self, method: str, path: str, **body: Any) -> Any:
        answer = self.session.request(method, f"{self.base}/api/v2/{path}", json=body or None, timeout=120)
        deadline = time.monotonic() + 60
        while answer.status_code == 500 and time.monotonic() < deadline:  # SQLite is locked on a busy machine
            time.sleep(0.5)
            answer = self.session.request(method, f"{self.base}/api/v2/{path}", json=body or None, timeout=120)
        assert answer.ok, answer.text
        return answer.json()

    def trigger(self, dag: str = DAG) -> str:
        """Trigger a DAG as soon as the DAG processor has read it; return the run id."""
        self.wait_for_dag(dag)
        self.call("PATCH", f"dags/{dag}", is_paused=False)
        return str(self.call("POST", f"dags/{dag}/dagRuns", logical_date=None)["dag_run_id"])

    def wait_for_dag(self, dag: str) -> None:
        """Wait until the DAG processor has read a DAG."""
        path = f"{self.base}/api/v2/dags"
        wait(lambda: self.session.get(f"{path}/{dag}", timeout=30).ok, lambda: self.session.get(path, timeout=30).text)

    def tasks(self, run_id: str, dag: str = DAG) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"dags/{dag}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return found

    def states(self, run_id: str, dag: str = DAG) -> dict[str, str]:
        return {item["task_id"]: item["state"] for item in self.tasks(run_id, dag)}

    def run_state(self, run_id: str, dag: str = DAG) -> str:
        return str(self.call("GET", f"dags/{dag}/dagRuns/{run_id}")["state"])

    def wait_for_state(self, run_id: str, task_id: str, state: str, dag: str = DAG) -> None:
        """Wait until a task is in a state."""
        wait(lambda: self.states(run_id, dag).get(task_id) == state, lambda: self.told(run_id, dag))

    def wait_for_end(self, run_id: str, dag: str = DAG) -> str:
        """Wait until a run has ended; return its state."""
        wait(lambda: self.run_state(run_id, dag) in {"success", "failed"}, lambda: self.told(run_id, dag))
        return self.run_state(run_id, dag)

    def told(self, run_id: str, dag: str = DAG) -> str:
        """Say how far a run has come."""
        tasks = (
            f"{item['task_id']}: {item['state']}, try {item['try_number']} of {item['max_tries'] + 1}"
            for item in self.tasks(run_id, dag)
        )
        return "\n".join((f"{dag}: {self.run_state(run_id, dag)}", *tasks))


def wait(done: Callable[[], Any], seen: Callable[[], Any]) -> None:
    """Wait for an event.

    :param done: tells whether it has come.
    :param seen: says what was seen instead, for the failure.
    :raises AssertionError: it has not come within ``PATIENCE``.
    """
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s in vain; seen:\n{seen()}"
        time.sleep(0.1)


def wait_until_heard(log: Path, dag: str, run_id: str, task_id: str, *, time: int = 1) -> None:
    """Wait until the scheduler knows that a task's process has ended: Airflow fails a task that was answered before.

    :param log: what ``airflow standalone`` prints.
    :param time: for which time the process has ended, from 1.
    """
    event = f"event with state success for task instance TaskInstanceKey(dag_id='{dag}', task_id='{task_id}'"
    wait(
        lambda: log.read_text().count(f"{event}, run_id='{run_id}'") >= time,
        lambda: log.read_text()[-5000:],
    )


@contextmanager
def standalone(
    installation: Installation, log: Path, users: Mapping[str, str] | None = None
) -> Iterator[tuple[Api, Any]]:
    """Run ``airflow standalone`` on a free port.

    :param users: roles by user name; the API is that of the first. None: everybody is an admin.
    """
    port = demo.free_port()
    installation.env |= demo.standalone_variables(port)
    if users:
        installation.env |= demo.user_variables(users, log.parent)
    with log.open("wb") as file, demo.child_process(demo.airflow("standalone"), installation.env, file) as child:
        assert demo.ready(child, port), log.read_text()[-5000:]
        yield Api(port, **login(log.parent, next(iter(users)))) if users else Api(port), child


def login(folder: Path, user: str) -> dict[str, str]:
    """Return a user's name and password."""
    return {"username": user, "password": json.loads((folder / "passwords.json").read_text())[user]}


def task_process(child: Any, url: str) -> psutil.Process:
    """Return the process of Airflow's that talks to the sandbox: the task itself."""
    port = int(url.rsplit(":", 1)[1])
    open_to_sandbox = Counter[psutil.Process]()
    for process in psutil.Process(child.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            for connection in process.net_connections("tcp"):
                if connection.raddr and connection.raddr.port == port and connection.status == "ESTABLISHED":
                    open_to_sandbox[process] += 1
    assert open_to_sandbox, "no process of Airflow's is connected to the sandbox"
    # The triggerer may still hold the one connection of its trigger; the task has one for each thread.
    return max(open_to_sandbox, key=lambda process: open_to_sandbox[process])


def test_a_killed_worker_is_taken_over_without_a_double_delete(
    begin: Callable[..., Installation], tmp_path: Path
) -> None:
    installation = begin(120, timeout=2)
    installation.fault(vendor="enaio", call="delete_object", times=None, latency_ms=300)
    with standalone(installation, tmp_path / "standalone.log") as (api, child):
        run_id = api.trigger()
        # The sensor is deferred in the triggerer by then: the record does not exist yet, and it waits for it.
        api.wait_for_state(run_id, "approve", "deferred")
        installation.decide("DR-ENAIO-").join(60)
        wait(lambda: len(installation.sandbox.effects("enaio", "destroyed")) >= 20, installation.told)
        task_process(child, installation.url).kill()
        assert api.wait_for_end(run_id) == "success", api.told(run_id)
    assert_true(installation, "enaio", "destroyed")
    (delete,) = installation.disposals()["delete"]
    assert delete["provenance"]["try_number"] == 2
    assert installation.certificate()["complete"] is True
    leftover = [process for process in psutil.process_iter() if is_ours(process, installation.home)]
    assert not leftover


@before("3.3")
def test_people_approve_while_the_triggerer_waits(begin: Callable[..., Installation], tmp_path: Path) -> None:
    """``dags test`` cannot do that: its own trigger gets no answers."""
    dag, people = "records_nightly_approval", {"review": "reviewer_1", "confirm": "reviewer_2"}
    installation = begin(30)
    roles = {"operator": "admin", **dict.fromkeys(people.values(), "op")}
    with standalone(installation, tmp_path / "standalone.log", roles) as (api, _):
        run_id = api.trigger(dag)
        for task_id, user in people.items():
            api.wait_for_state(run_id, task_id, "deferred", dag)
            wait_until_heard(tmp_path / "standalone.log", dag, run_id, task_id)
            person = Api(int(api.base.rsplit(":", 1)[1]), **login(tmp_path, user))
            form = f"dags/{dag}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
            shown = person.call("GET", form)["params"]
            given = {name: shown[name]["value"] for name in ("manifest", "order")}
            person.call("PATCH", form, chosen_options=["Approve"], params_input=given)
        assert api.wait_for_end(run_id, dag) == "success", api.told(run_id, dag)
    assert_true(installation, "enaio", "destroyed")
    (delete,) = installation.disposals()["delete"]
    assert len(delete["approvals"]) == 2
    assert installation.certificate()["complete"] is True


def is_ours(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get("AIRFLOW_HOME") == str(home)
    except psutil.Error:
        return False
