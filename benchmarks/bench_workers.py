"""Measures one approved list in 1, 2, 4 and 8 mapped tasks over two Celery workers, with evidence on S3.

``make bench-workers``. All of it shares one machine, the systems and the storage as well, so that with more tasks than
processors the rate tells what the machine can do, not what the workers could.
"""

# ruff: noqa: T201 - it prints its results

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bench_evidence import machine

from airflow_provider_records import demo
from tests.distributed.cluster import Cluster, cluster
from tests.distributed.night import LARGE, Night, check

TASKS = (1, 2, 4, 8)


def write_dags(folder: Path, records: int) -> None:
    """Write the DAG of the large night once for each number of mapped tasks.

    :param records: due records in enaio.
    """
    folder.mkdir()
    source = (demo.example_dags() / "records_large_night.py").read_text()
    source = source.replace("timedelta(seconds=30)", "timedelta(seconds=1)")
    for tasks in TASKS:
        text = source.replace(f'dag_id="{LARGE.dag}"', f'dag_id="{LARGE.dag}_{tasks}"')
        text = text.replace('= "default_pool", 4', f'= "default_pool", {tasks}')
        text = re.sub(r"^PART = \d+", f"PART = {-(-records // tasks)}", text, flags=re.MULTILINE)
        for taken in ("records=records,", "records=delete.output,"):
            text = text.replace(taken, f"{taken} max_records={records},")
        (folder / f"large_{tasks}.py").write_text(text)


def measure(running: Cluster, tasks: int, records: int, latency: float) -> None:
    """Run one night, check it, and print its rate.

    :param latency: seconds that each deletion takes.
    """
    night = Night(running, replace(LARGE, dag=f"{LARGE.dag}_{tasks}"), records)
    running.slow(night.kind.call, latency)
    night.start()
    night.approve()
    night.end()
    deleted = [entry.time for entry in running.sandbox.log if entry.call == night.kind.call]
    verified = max(entry.time for entry in running.sandbox.log if entry.vendor == night.kind.system)
    result = check(night)
    print(
        f"  {tasks} mapped tasks: {len(deleted) / (verified - min(deleted)):6.1f} verified records a second, "
        f"{len(deleted) / (max(deleted) - min(deleted)):6.1f} while deleting; "
        f"{result.stored / result.found:.2f} requests to S3 a record of the whole run",
        flush=True,
    )


def main() -> int:
    """Run all; return an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=4_000)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that each deletion takes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home, dags = Path(folder), Path(folder) / "dags"
        print(machine(home))
        print(f"{asked.records:,} due records, {asked.latency * 1000:.0f} ms a deletion, two workers, S3 by moto")
        write_dags(dags, asked.records)
        with cluster(dags, home, max(TASKS) // 2) as running:
            for tasks in TASKS:
                measure(running, tasks, asked.records, asked.latency)
    return 0


if __name__ == "__main__":
    sys.exit(main())
