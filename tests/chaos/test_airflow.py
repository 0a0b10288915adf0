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

from tests.system.conftest import Night
from tests.system.test_standalone import Api, standalone, task_process, wait

CONTENT = {
    "records_nightly_enaio": ("enaio", "delete_object", "destroyed", "DR-ENAIO-"),
    "records_nightly_unifier": ("unifier", "delete_document", "recycled", "DR-UNIFIER-"),
}
each_dag = pytest.mark.parametrize("dag", list(CONTENT))


class Storm:
    """One night and what happens to it."""

    def __init__(self, begin: Callable[..., Night], dag: str, folder: Path) -> None:
        self.vendor, self.call, self.effect, self.prefix = CONTENT[dag]
        self.dag, self.folder = dag, folder
        self.dice = random.Random(dag)
        # One call at a time: the first chunk has its outcomes while the second is still being sent.
        self.night = begin(60, timeout=2, max_concurrency=1)
        # A task whose supervisor is gone too is given up after this time, not after five minutes.
        self.night.env |= {
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            # A new scheduler looks for what a dead one has left.
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        }
        # A busy machine may give up tasks that live; that is one more storm, and must not use up the tries, nor
        # make the pauses between them longer and longer. Many more would take minutes where some stay unknown.
        second = "RecordsRetryPolicy(timedelta(seconds=1)"
        for path in (self.night.home / "dags").glob("*.py"):
            source = path.read_text().replace('"retries": 3', '"retries": 8')
            path.write_text(source.replace(f"{second})", f"{second}, timedelta(seconds=1))"))
        # Well below the timeout: what kills here is the test, not a slow system.
        for call, latency in ((self.call, 200), ("destroy_records", 800)):
            self.night.fault(vendor="*", call=call, times=None, latency_ms=latency)

    def start(self, api: Api) -> str:
        run_id = api.trigger(self.dag)
        wait(lambda: api.states(run_id, self.dag).get("approve") == "deferred", 120)
        self.night.decide(self.prefix).join(60)
        return run_id

    def over(self, api: Api, run_id: str) -> bool:
        return api.run_state(run_id, self.dag) in {"success", "failed"}

    def sent(self, call: str) -> int:
        return sum(entry.call == call for entry in list(self.night.stage.log))

    def catch(self, child: Any, more: int) -> psutil.Process:
        """Return the process of the deleting task once it has sent some more calls."""
        return self.catch_at(child, self.call, self.sent(self.call) + more)

    def catch_at(self, child: Any, call: str, aim: int) -> psutil.Process:
        wait(lambda: self.sent(call) >= aim, 120)
        return task_process(child, self.night.url)

    def check(self) -> None:
        """Hold the evidence against the sandbox's log."""
        night, disposals = self.night, self.night.disposals()
        ((delete,), (mark,)) = disposals["delete"], disposals["mark"]
        approved = {str(item["target_id"]): item["key"] for item in night.manifest(delete["digest"])}
        effects = night.stage.effects(self.vendor, self.effect)
        assert max(Counter(effects).values()) == 1
        assert set(effects) <= set(approved)
        done = {approved[each] for each in effects}
        outcomes = night.outcomes(delete)
        assert sum(delete["counts"].values()) == len(outcomes) == len(approved)
        by_result: dict[str, set[str]] = {}
        for key, item in outcomes.items():
            by_result.setdefault(item["result"], set()).add(key)
        claimed, unknown = by_result.get(self.effect, set()), by_result.get("unknown", set())
        assert done <= claimed | unknown
        assert {outcomes[key]["proof"] for key in claimed - done} <= {"inferred"}
        # The due list names no folder of Unifier, so that nobody can look up what was in the air.
        assert not unknown or self.vendor == "unifier"
        assert set(by_result) <= {self.effect, "absent", "blocked", "unknown"}
        marked = night.stage.effects("opus", "marked")
        assert len(marked) == len(set(marked))
        assert not night.stage.effects("opus", "marked_again")
        marks = night.outcomes(mark)
        assert set(marks) == claimed | by_result.get("absent", set())
        assert {key for key, item in marks.items() if item["result"] == "destroyed"} == set(marked)
        assert sum(mark["counts"].values()) == len(marks)
        assert night.certificate()["complete"] is not bool(unknown)


@each_dag
def test_killed_again_and_again(begin: Callable[..., Night], dag: str, tmp_path: Path) -> None:
    storm = Storm(begin, dag, tmp_path)
    with standalone(storm.night, tmp_path / "standalone.log") as (api, child):
        run_id = storm.start(api)
        storm.catch(child, 10).kill()
        if storm.vendor == "enaio":  # of Unifier all that is left was intended, and is unknown from now on
            storm.catch(child, storm.dice.randint(1, 15)).kill()
        # Once: its few calls are all in the air by then, and the next try may have none left to send.
        storm.catch_at(child, "destroy_records", 1).kill()
        wait(lambda: storm.over(api, run_id), 240)
    storm.check()
    tries = {task: made["made"]["try_number"] for task, (made,) in storm.night.disposals().items()}
    assert tries["delete"] >= (3 if storm.vendor == "enaio" else 2)
    assert tries["mark"] >= 2


@each_dag
@pytest.mark.parametrize("frozen", [False, True], ids=["cleared", "frozen"])
def test_a_zombie_beside_its_retry(begin: Callable[..., Night], dag: str, frozen: bool, tmp_path: Path) -> None:
    storm = Storm(begin, dag, tmp_path)
    with standalone(storm.night, tmp_path / "standalone.log") as (api, child):
        run_id = storm.start(api)
        task = storm.catch(child, 10)
        if frozen:
            supervisor = task.parent()
            assert supervisor is not None
            both = [task, supervisor]
            for process in both:
                process.suspend()
            wait(lambda: any(storm.night.evidence.glob("disposals/*/*/delete/-1/journal/0002*")), 120)
            for process in both:
                process.resume()
        else:
            api.call(
                "POST", f"dags/{dag}/clearTaskInstances",
                dry_run=False, dag_run_id=run_id, task_ids=["delete"], only_failed=False,
            )  # fmt: skip
        wait(lambda: storm.over(api, run_id), 240)
    storm.check()
    assert storm.night.disposals()["delete"][0]["made"]["try_number"] > 1


@each_dag
def test_all_of_airflow_is_killed_and_started_again(begin: Callable[..., Night], dag: str, tmp_path: Path) -> None:
    storm = Storm(begin, dag, tmp_path)
    with standalone(storm.night, tmp_path / "standalone.log") as (api, child):
        run_id = storm.start(api)
        storm.catch(child, 10)
        for process in [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
                process.kill()
    with standalone(storm.night, tmp_path / "again.log") as (api, _):
        wait(lambda: storm.over(api, run_id), 300)
    storm.check()
