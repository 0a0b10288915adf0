"""Each example DAG in real Airflow, with the sandbox's own log as the truth."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.conftest import Installation

pytestmark = pytest.mark.system
Begin = Callable[..., Installation]


def state(log: str) -> str:
    """Return the final state of the run."""
    found = re.findall(r"DagRun Finished.*?state=(\w+)", log)
    assert found, log[-4000:]
    return str(found[-1])


def target(record: dict[str, Any]) -> str:
    return str(record["target_id"])


def assert_true(
    installation: Installation, content: str, effect: str, delete: str = "delete", mark: str = "mark"
) -> None:
    """Exactly the approved records were sent, each deleted once; exactly those gone were marked, each once."""
    disposals = installation.disposals()
    approved = {
        target(item): item["key"] for part in disposals[delete] for item in installation.manifest(part["digest"])
    }
    outcomes = {key: item for part in disposals[delete] for key, item in installation.outcomes(part).items()}
    gone = Counter(installation.sandbox.effects(content, effect))
    assert set(gone) <= set(approved)
    assert max(gone.values()) == 1
    claimed = {key for key, item in outcomes.items() if item["outcome"] == effect}
    destroyed = {approved[object_id] for object_id in gone}
    assert destroyed == claimed
    living = set(installation.sandbox.vendors[content].state()["live"])
    assert not {object_id for object_id, key in approved.items() if key in claimed} & living
    assert sum(sum(part["counts"].values()) for part in disposals[delete]) == len(approved) == len(outcomes)
    marked = Counter(installation.sandbox.effects("opus", "marked"))
    absent = {key for key, item in outcomes.items() if item["outcome"] == "absent"}
    assert set(marked) == claimed | absent
    assert max(marked.values()) == 1
    assert not installation.sandbox.effects("opus", "marked_again")
    marks = {key for part in disposals[mark] for key in installation.outcomes(part)}
    assert marks == set(marked)


def test_nightly_enaio(begin: Begin) -> None:
    installation = begin()
    installation.decide("DR-ENAIO-")
    log = installation.test_dag("records_nightly_enaio")
    assert state(log) == "success"
    assert_true(installation, "enaio", "destroyed")
    (delete,) = installation.disposals()["delete"]
    assert delete["counts"]["blocked"] > 0
    assert delete["approvals"]
    assert installation.certificate()["complete"] is True


def test_an_approval_that_comes_late_is_waited_for(begin: Begin) -> None:
    installation = begin(30)
    asked = threading.Event()

    def person() -> None:
        while not any(entry.call == "get_bp_record" for entry in list(installation.sandbox.log)):
            time.sleep(0.05)
        asked.set()
        installation.decide("DR-ENAIO-")

    threading.Thread(target=person, daemon=True).start()
    log = installation.test_dag("records_nightly_enaio")
    assert asked.is_set()
    assert state(log) == "success"
    assert "up_for_retry" not in log
    assert_true(installation, "enaio", "destroyed")


def test_nightly_unifier(begin: Begin) -> None:
    installation = begin()
    installation.decide("DR-UNIFIER-")
    log = installation.test_dag("records_nightly_unifier")
    assert state(log) == "success"
    assert_true(installation, "unifier", "recycled")
    assert not installation.sandbox.effects("enaio", "destroyed")
    assert installation.disposals()["delete"][0]["counts"]["destroyed"] == 0


def test_large_night(begin: Begin) -> None:
    installation = begin()
    installation.decide("DR-LARGE-")
    log = installation.test_dag("records_large_night")
    assert state(log) == "success"
    parts = installation.disposals()["part.delete"]
    assert [part["provenance"]["map_index"] for part in parts] == [0, 1, 2]
    assert_true(installation, "enaio", "destroyed", "part.delete", "part.mark")


def test_rehearsal(begin: Begin) -> None:
    installation = begin()
    log = installation.test_dag("records_rehearsal")
    assert state(log) == "success"
    assert not [entry for entry in installation.sandbox.log if entry.effects]
    (look,) = installation.disposals()["look"]
    reasons = Counter(item["reason"] for item in installation.outcomes(look).values())
    assert reasons["dry run: is there and would be sent"] > 50
    assert installation.certificate()["complete"] is False


def test_what_cannot_be_deleted_does_not_hold_up_the_others(begin: Begin) -> None:
    installation = begin(timeout=2)
    broken = sorted(
        item.id
        for item in installation.sandbox.vendors["enaio"].archive.objects.values()  # type: ignore[attr-defined]
        if item.base == "DOCUMENT"
    )
    installation.fault(vendor="enaio", call="delete_object", match=f"/{broken[5]}", times=None, status=500, act=False)
    installation.decide("DR-ENAIO-")
    log = installation.test_dag("records_nightly_enaio")
    assert state(log) == "failed"
    (delete,) = installation.disposals()["delete"]
    assert delete["counts"]["failed"] == 1
    assert delete["provenance"]["try_number"] == 4
    assert_true(installation, "enaio", "destroyed")
    assert installation.certificate()["complete"] is False
    assert "1 failed" in log
    assert len(re.findall("Retry policy decision.*retry.*DisposalIncompleteError", log)) >= 3


@pytest.mark.parametrize("dag_id", ["records_nightly_enaio", "records_large_night"])
def test_rejected_deletes_nothing_and_the_run_is_red(begin: Begin, dag_id: str) -> None:
    installation = begin()
    installation.decide("DR-ENAIO-" if "nightly" in dag_id else "DR-LARGE-", "Rejected")
    log = installation.test_dag(dag_id)
    assert state(log) == "failed"
    assert "was rejected" in log
    assert not installation.sandbox.effects("enaio", "destroyed")
    assert not installation.sandbox.effects("opus", "marked")


def test_an_empty_night_is_green_and_asks_nobody(begin: Begin) -> None:
    installation = begin(records=0)
    log = installation.test_dag("records_large_night")
    assert state(log) == "success"
    assert not [entry for entry in installation.sandbox.log if entry.vendor != "opus"]
    assert not installation.sandbox.effects("opus", "marked")
    assert installation.certificate()["complete"] is True
