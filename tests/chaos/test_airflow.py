"""Nights in ``airflow standalone`` whose processes are killed, frozen and cleared again and again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.conftest import Installation
from tests.system.test_standalone import Api, standalone, task_process, wait

CONTENT = {
    "records_nightly_enaio": ("enaio", "delete_object", "destroyed", "DR-ENAIO-"),
    "records_nightly_unifier": ("unifier", "delete_document", "recycled", "DR-UNIFIER-"),
}
each_dag = pytest.mark.parametrize("dag", list(CONTENT))


class Storm:
    """One night and what happens to it."""

    def __init__(self, begin: Callable[..., Installation], dag: str) -> None:
        self.vendor, self.call, self.effect, self.prefix = CONTENT[dag]
        self.dag = dag
        self.dice = random.Random(dag)
        # One call at a time: most of the list is still to be sent when the task is killed.
        self.installation = begin(60, timeout=2, max_concurrency=1)
        # A task whose supervisor is gone too is given up after this time, not after five minutes.
        self.installation.env |= {
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            # A new scheduler looks for what a dead one has left.
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        }
        # Well below the timeout: what kills here is the test, not a slow system.
        for call, latency in ((self.call, 200), ("destroy_records", 800)):
            self.installation.fault(vendor="*", call=call, times=None, latency_ms=latency)

    def start(self, api: Api, child: Any) -> None:
        self.api, self.child = api, child
        self.run_id = api.trigger(self.dag)
        api.wait_for_state(self.run_id, "approve", "deferred", self.dag)
        self.installation.decide(self.prefix).join(60)

    def told(self) -> str:
        return f"{self.api.told(self.run_id, self.dag)}\n{self.installation.told()}"

    def end(self) -> None:
        wait(lambda: self.api.run_state(self.run_id, self.dag) in {"success", "failed"}, self.told)

    def sent(self, call: str) -> int:
        return sum(entry.call == call for entry in list(self.installation.sandbox.log))

    def published(self, segment: str, number: int = 1) -> bool:
        """Tell whether the deleting task has published such segments of its journal."""
        found = self.installation.evidence.glob(f"disposals/*/*/delete/-1/journal/{segment}.jsonl")
        return len(list(found)) >= number

    def wait_for(self, done: Callable[[], bool]) -> None:
        """Wait for an event; fail as soon as the night is over without it."""
        certificate = self.installation.evidence / "certificates"
        wait(lambda: done() or certificate.exists(), self.told)
        assert done(), f"the night is over and it has not come; seen:\n{self.told()}"

    def catch(self, call: str, more: int = 1) -> psutil.Process:
        """Return the process of the task that sends such calls, once it has sent some more of them."""
        aim = self.sent(call) + more
        self.wait_for(lambda: self.sent(call) >= aim)
        return task_process(self.child, self.installation.url)

    def catch_halfway(self) -> psutil.Process:
        """Return the process of the deleting task while calls of a second chunk are being sent."""
        self.wait_for(lambda: self.published("*/*-intents", 2))
        return self.catch(self.call)

    def check(self) -> None:
        """Hold the evidence against the sandbox's log."""
        installation, disposals = self.installation, self.installation.disposals()
        ((delete,), (mark,)) = disposals["delete"], disposals["mark"]
        approved = {str(item["target_id"]): item["key"] for item in installation.manifest(delete["digest"])}
        effects = installation.sandbox.effects(self.vendor, self.effect)
        assert max(Counter(effects).values()) == 1
        assert set(effects) <= set(approved)
        done = {approved[each] for each in effects}
        outcomes = installation.outcomes(delete)
        assert sum(delete["counts"].values()) == len(outcomes) == len(approved)
        by_result: dict[str, set[str]] = {}
        for key, item in outcomes.items():
            by_result.setdefault(item["outcome"], set()).add(key)
        claimed, unknown = by_result.get(self.effect, set()), by_result.get("unknown", set())
        assert done <= claimed | unknown
        assert not claimed - done
        # The due list names no folder of Unifier, so that nobody can look up what was in the air.
        assert not unknown or self.vendor == "unifier"
        assert set(by_result) <= {self.effect, "absent", "blocked", "unknown"}
        marked = installation.sandbox.effects("opus", "marked")
        assert len(marked) == len(set(marked))
        assert not installation.sandbox.effects("opus", "marked_again")
        marks = installation.outcomes(mark)
        assert set(marks) == claimed | by_result.get("absent", set())
        assert {key for key, item in marks.items() if item["outcome"] == "destroyed"} == set(marked)
        assert sum(mark["counts"].values()) == len(marks)
        assert installation.certificate()["complete"] is not bool(unknown)


@each_dag
def test_killed_again_and_again(begin: Callable[..., Installation], dag: str, tmp_path: Path) -> None:
    storm = Storm(begin, dag)
    with standalone(storm.installation, tmp_path / "standalone.log") as (api, child):
        storm.start(api, child)
        storm.catch_halfway().kill()
        if storm.vendor == "enaio":  # of Unifier all that is left was intended, and is unknown from now on
            storm.catch(storm.call, storm.dice.randint(1, 15)).kill()
        # Once: its few calls are all in the air by then, and the next try may have none left to send. Where some stay
        # unknown it comes minutes later: the deleting task uses up its tries, and each waits for the calls of the last.
        storm.catch("destroy_records").kill()
        storm.end()
    storm.check()
    tries = {task: made["provenance"]["try_number"] for task, (made,) in storm.installation.disposals().items()}
    assert tries["delete"] >= (3 if storm.vendor == "enaio" else 2)
    assert tries["mark"] >= 2


@each_dag
@pytest.mark.parametrize("frozen", [False, True], ids=["cleared", "frozen"])
def test_a_zombie_beside_its_retry(begin: Callable[..., Installation], dag: str, frozen: bool, tmp_path: Path) -> None:
    storm = Storm(begin, dag)
    with standalone(storm.installation, tmp_path / "standalone.log") as (api, child):
        storm.start(api, child)
        task = storm.catch_halfway()
        if frozen:
            supervisor = task.parent()
            assert supervisor is not None
            both = [task, supervisor]
            for process in both:
                process.suspend()
            storm.wait_for(lambda: storm.published("0002*/*-open"))
            for process in both:
                process.resume()
        else:
            api.call(
                "POST", f"dags/{dag}/clearTaskInstances",
                dry_run=False, dag_run_id=storm.run_id, task_ids=["delete"], only_failed=False,
            )  # fmt: skip
        storm.end()
    storm.check()
    assert storm.installation.disposals()["delete"][0]["provenance"]["try_number"] > 1


@each_dag
def test_all_of_airflow_is_killed_and_started_again(
    begin: Callable[..., Installation], dag: str, tmp_path: Path
) -> None:
    storm = Storm(begin, dag)
    with standalone(storm.installation, tmp_path / "standalone.log") as (api, child):
        storm.start(api, child)
        storm.catch_halfway()
        for process in [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
                process.kill()
    with standalone(storm.installation, tmp_path / "again.log") as (storm.api, _):
        storm.end()
    storm.check()
