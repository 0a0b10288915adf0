"""A night in a loop in real Airflow, with the sandbox's own log as the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.reporting.verify import verify
from tests.minors import since
from tests.system.conftest import Installation
from tests.system.test_approval import Office, Offices, Run, Start, offices, start
from tests.system.test_mapped import approving
from tests.system.test_nights import state
from tests.system.test_standalone import wait

__all__ = ["offices", "start"]  # fixtures

pytestmark = [pytest.mark.system, since("3.4")]
Begin = Callable[..., Installation]


def lists(installation: Installation, folder: Path) -> list[list[str]]:
    """Write a list of its own for each iteration; return their ids."""
    live = sorted(installation.sandbox.vendors["enaio"].state()["live"])
    parts = [live[start::3] for start in range(3)]
    for iteration, part in enumerate(parts):
        (folder / f"{iteration}.csv").write_text("\n".join(("key", *part, "")))
    installation.env["LISTS_OF_LOOPS"] = str(folder)
    return parts


def assert_all_accounted_for(installation: Installation, task_id: str, parts: Sequence[Sequence[str]]) -> None:
    """Each record of each iteration was deleted once, and no other; folders, certificate and verification say so."""
    disposals = sorted(installation.disposals()[task_id], key=lambda each: each["provenance"]["iteration"])
    assert [each["provenance"]["iteration"] for each in disposals] == [0, 1, 2]
    destroyed = []
    for each, part in zip(disposals, parts, strict=True):
        outcomes = installation.outcomes(each)
        assert set(outcomes) == set(part)
        assert {item["outcome"] for item in outcomes.values()} == {"destroyed", "blocked"}
        destroyed += [key for key, item in outcomes.items() if item["outcome"] == "destroyed"]
        assert each["approvals"]
    assert Counter(installation.sandbox.effects("enaio", "destroyed")) == Counter(destroyed)
    folders = {path.name for path in installation.evidence.glob(f"disposals/*/*/{task_id}/*")}
    assert folders == {"-1.0", "-1.1", "-1.2"}
    certificate = installation.certificate()
    assert certificate["complete"] is True
    assert sum(certificate["counts"]["enaio"].values()) == sum(map(len, parts))
    assert certificate["counts"]["enaio"]["destroyed"] == len(destroyed)
    assert sorted(each["source"]["iteration"] for each in certificate["approvals"]) == [0, 1, 2]
    certified = [Path(entry["file"]).parent.parent.name for entry in certificate["disposals"]]
    assert sorted(certified) == sorted(folders)
    (path,) = installation.evidence.glob("certificates/*/*.json")
    report = verify(path)
    assert report.ok, report.problem


def test_each_iteration_of_a_loop_disposes_of_its_own_list(begin: Begin, tmp_path: Path) -> None:
    installation = begin()
    parts = lists(installation, tmp_path)
    with approving(installation):
        log = installation.test_dag("loop_by_vendor")
    assert state(log) == "success", log[-6000:]
    assert_all_accounted_for(installation, "by_vendor.delete", parts)


def test_a_certificate_is_not_written_inside_a_loop(begin: Begin) -> None:
    installation = begin()
    log = installation.test_dag("loop_certifying")
    assert state(log) == "failed"
    assert "a task that is mapped or in a loop would write several over each other" in log
    assert not list(installation.evidence.glob("certificates/*/*"))


def test_what_a_clear_begins_anew_deletes_nothing_twice(
    begin: Begin, start: Start, offices: Offices, tmp_path: Path
) -> None:
    """A clear gives the iterations after the cleared one another region, where their tries count from 1 again."""
    installation = begin()
    parts = lists(installation, tmp_path)
    one, run = offices["reviewer_1"], start(installation, "loop_by_person")
    shown = []
    for iteration in (0, 1):
        shown.append(approve(run, one, iteration))
    asked = wait_for(run, one, 2)["task_instance"]
    clear(one, asked, 1, downstream=False)  # gives it a second try, where the iteration made anew begins with its first
    wait(lambda: deletes(installation, 1) == [1, 2], lambda: one.api.told(asked["dag_run_id"], run.dag_id))
    clear(one, asked, 0, downstream=True)
    for iteration in (1, 2):
        shown.append(approve(run, one, iteration, not_in=asked["region_id"]))
    assert shown[2] == shown[1]
    assert state(log := run.end()) == "success", log[-6000:]
    assert_all_accounted_for(installation, "by_person.delete", parts)


def deletes(installation: Installation, iteration: int) -> list[int]:
    """Return the tries of the disposing task of an iteration that have a summary."""
    found = installation.evidence.glob(f"disposals/*/*/by_person.delete/-1.{iteration}/try-*/disposal.json")
    return sorted(int(path.parent.name.split("-")[1]) for path in found)


def wait_for(run: Run, office: Office, iteration: int, not_in: str = "") -> dict[str, Any]:
    """Wait until an iteration asks; return its request.

    :param not_in: a region of the loop that a clear has replaced.
    """
    found: list[dict[str, Any]] = []

    def look() -> bool:
        request = run.asks(office, "by_person.review")
        ti = request["task_instance"]
        found[:] = [request] * (ti["region_index"] == iteration and ti["region_id"] != not_in)
        return bool(found)

    wait(look, lambda: run.log.read_text()[-5000:])
    return found[0]


def approve(run: Run, office: Office, iteration: int, not_in: str = "") -> tuple[str, ...]:
    """Approve what an iteration asks for; return it."""
    request = wait_for(run, office, iteration, not_in)
    answer = office.approve(request)
    assert answer.ok, answer.text
    return tuple(request["params"][name]["value"] for name in ("manifest", "order"))


def clear(office: Office, ti: dict[str, Any], iteration: int, *, downstream: bool) -> None:
    """Clear the disposing task of an iteration."""
    run_id, dag_id = ti["dag_run_id"], ti["dag_id"]
    (chosen,) = (
        each["id"]
        for each in office.api.tasks(run_id, dag_id)
        if each["task_id"] == "by_person.delete" and each["region_index"] == iteration
    )
    office.api.call(
        "POST",
        f"dags/{dag_id}/clearTaskInstances",
        dry_run=False,
        only_failed=False,
        dag_run_id=run_id,
        task_instance_ids=[chosen],
        include_downstream=downstream,
    )
