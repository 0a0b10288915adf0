"""Task processes of a real Airflow, killed before and after every file of the evidence and at random requests.

Each case is a DAG with one task of its own, so that scheduler, workers and retries carry out several at a time.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.operators.crash_points import CALL, REQUEST, SUMMARY, VENDORS, WRITE, CrashRun, Death, crash_run
from tests.system.conftest import Installation
from tests.system.test_standalone import Api, standalone, wait

BLIND = 3
RANDOM = 4
AT_ONCE = 3
"""Runs; with more of them SQLite stays locked for so long that the scheduler gives up."""
DAGS = """
import json, os, sys
from datetime import timedelta

sys.path.insert(0, {root!r})

from airflow.sdk import DAG
from tests.operators import crash_points


def killed(name, case):
    def arm(context):
        os.environ.update(case["env"])
        deaths, number = case["deaths"], context["ti"].try_number
        death = crash_points.Death(*deaths[number - 1]) if number <= len(deaths) else None
        crash_points.arm(case["vendor"], death, 0.5)

    vendor = crash_points.VENDORS[case["vendor"]]
    with DAG(name, schedule=None, catchup=False) as dag:
        vendor.operator(
            task_id="dispose", records=case["records"], require_approval=False, pre_execute=arm,
            retries=6, retry_delay=timedelta(seconds=1), **vendor.options, **case["options"],
        )
    return dag


with open({cases!r}) as file:
    for name, case in json.load(file).items():
        globals()[name] = killed(name, case)
"""


def deaths(vendor: str, folder: Path) -> Iterator[list[Death]]:
    """Make up the ends of the tries of each case, from what a try does that nobody kills."""
    with crash_run(vendor, folder) as made:
        ended = made.begin().end()
        assert ended is not None
        steps = ended[1]
    for number in range(1, steps[WRITE] + 1):
        for after in (False, True):
            yield [Death(WRITE, number, after)]
    yield [Death(SUMMARY, 1, False)]
    dice = random.Random(f"boundaries-{vendor}")
    for _ in range(RANDOM):
        kinds = [dice.choice((CALL, REQUEST, WRITE)) for _ in range(dice.randint(1, 3))]
        # A step that a try never takes would kill nothing.
        yield [Death(kind, dice.randint(2, min(8, steps[kind])), dice.random() < 0.5) for kind in kinds]


def left(api: Api, runs: dict[str, str], going: set[str]) -> set[str]:
    """Take out of those that go what has ended; return what is left."""
    going -= {name for name in going if api.run_state(runs[name], name) in {"success", "failed"}}
    return going


def test_killed_at_every_file_it_writes(begin: Callable[..., Installation], tmp_path: Path) -> None:
    installation = begin(1)
    with ExitStack() as stack:
        scenes: dict[str, CrashRun] = {}
        cases = {}
        for vendor in VENDORS:
            for number, planned in enumerate(list(deaths(vendor, tmp_path / f"dry-{vendor}"))):
                name = f"{vendor}_{number}"
                made = stack.enter_context(crash_run(vendor, tmp_path / name, blind=BLIND, timeout=1.5))
                scenes[name] = made
                cases[name] = {
                    "vendor": vendor,
                    "records": made.reference,
                    "env": made.env,
                    "options": made.options,
                    "deaths": [[death.step, death.number, death.after] for death in planned],
                }
        (tmp_path / "cases.json").write_text(json.dumps(cases))
        (tmp_path / "dags").mkdir()
        root = str(Path(__file__).parents[2])
        (tmp_path / "dags" / "killed.py").write_text(DAGS.format(root=root, cases=str(tmp_path / "cases.json")))
        installation.env |= {"AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"), "AIRFLOW__CORE__PARALLELISM": "4"}
        with standalone(installation, tmp_path / "standalone.log") as (api, _):
            runs: dict[str, str] = {}
            going: set[str] = set()

            def told() -> str:
                return "\n".join(api.told(runs[name], name) for name in going)

            for name in cases:
                runs[name] = api.trigger(name)
                going.add(name)
                wait(lambda: len(left(api, runs, going)) < AT_ONCE, told)
            wait(lambda: not left(api, runs, going), told)
            tries = {
                name: api.call("GET", f"dags/{name}/dagRuns/{run}/taskInstances/dispose")["try_number"]
                for name, run in runs.items()
            }
        failures = {}
        for name, made in scenes.items():
            try:
                made.check(BLIND if made.vendor == "unifier" else 0)
                # A step that a try never comes to kills nobody; the first of a case is always one that it does.
                assert tries[name] > 1
            except AssertionError as error:
                failures[name] = f"{cases[name]['deaths']}, {tries[name]} tries: {error}"
        assert not failures, json.dumps(failures, indent=1)
        print(f"{len(cases)} cases, {sum(tries.values())} tries")


pytestmark = pytest.mark.system
