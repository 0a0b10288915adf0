"""Measures how close a disposal comes to latency x concurrency, against the sandbox: ``make bench``.

For comparison, in the same run: a bare thread-pool loop over ``requests``, one over ``urllib3``, and a mapped stock
``HttpOperator`` in a running Airflow. Sandbox and client are separate processes on the same machine. Sizes are
arguments or variables (BENCH_OBJECTS, BENCH_NIGHT, BENCH_LIST, BENCH_MAPPED); 0 leaves a part out.
"""

# ruff: noqa: T201 - it prints its results

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import requests
from bench_evidence import machine
from speed_parts import OBJECTS, listed, seeded

from airflow_provider_records.demo import (
    airflow,
    airflow_environment,
    child_process,
    connection_variables,
    free_port,
    ready,
    standalone_variables,
)
from airflow_provider_records.sandbox.build import build, connections

PARTS = Path(__file__).with_name("speed_parts.py")
DAG = """
from airflow.sdk import DAG
from airflow.providers.http.operators.http import HttpOperator

with DAG("mapped", schedule=None):
    HttpOperator.partial(task_id="delete", http_conn_id="plain", method="DELETE").expand(endpoint={endpoints!r})
"""


class Sandbox:
    """A served sandbox: its address, and the processor time of its process."""

    def __init__(self, url: str, process: psutil.Process) -> None:
        self.url = url
        self._process = process

    def used(self) -> float:
        """Return the processor time so far, in seconds."""
        times = self._process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def serving(command: list[str]) -> Iterator[Sandbox]:
    """Run a server that prints its URL."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        assert server.stdout is not None  # noqa: S101
        url = next(word for word in server.stdout.readline().split() if word.startswith("http://"))
        try:
            yield Sandbox(url, psutil.Process(server.pid))
        finally:
            server.terminate()


@contextmanager
def sandbox(records: int, latency: float) -> Iterator[Sandbox]:
    """Run a sandbox that delays each response by ``latency`` seconds."""
    command = [sys.executable, "-m", "airflow_provider_records.cli", "sandbox", "--port", "0"]
    with serving([*command, "--records", str(records)]) as served:
        version = {"enaio": {"version": "6.5.0"}}  # it names types, so that a search looks at many objects
        requests.put(f"{served.url}/_sandbox/switches", json=version, timeout=60).raise_for_status()
        fault = {"times": None, "latency_ms": latency * 1000}
        requests.post(f"{served.url}/_sandbox/faults", json=fault, timeout=60).raise_for_status()
        yield served


def connected(served: Sandbox, threads: int) -> dict[str, dict[str, Any]]:
    """Return the connections to a sandbox."""
    made = connections(build(0), served.url)
    for fields in made.values():
        fields["extra"] = {**fields["extra"], "max_concurrency": threads}
    return made


def measure(name: str, home: Path, made: Mapping[str, Mapping[str, Any]] | None = None, **asked: Any) -> dict[str, Any]:  # noqa: ANN401
    """Run one function of ``speed_parts.py`` in a separate process with a separate Airflow home."""
    with tempfile.TemporaryDirectory(dir=home, ignore_cleanup_errors=True) as folder:
        env = airflow_environment(Path(folder)) | connection_variables(made or {})
        out = Path(folder) / "result.json"
        with (home / "log.txt").open("a") as log:
            command = [sys.executable, str(PARTS), name, json.dumps(asked), str(out)]
            done = subprocess.run(command, env=env, stdout=log, stderr=subprocess.STDOUT, check=False)  # noqa: S603
        if done.returncode:
            sys.exit(f"{name} failed:\n" + (home / "log.txt").read_text()[-3000:])
        found: dict[str, Any] = json.loads(out.read_text())
        return found


def objects(home: Path, count: int, latency: float, threads: int, rounds: int) -> float:
    """Compare the loops with the operator; return the operator's deletes a second."""
    limit = threads / latency
    print(f"\n{count:,} objects, {threads} threads, {latency * 1000:.0f} ms: at most {limit:,.0f} a second")

    def line(what: str, found: Mapping[str, Any], server: float) -> float:
        rate: float = count / found["all"]
        print(
            f"  {what:44} {rate:7.1f}/s {rate / limit:7.1%} of the limit; processor a record: "
            f"client {found['processor'] * 1000 / count:.2f} ms, server {server * 1000 / count:.2f} ms"
        )
        return rate

    def run(what: str, name: str, goal: float = 0, **asked: Any) -> float:  # noqa: ANN401
        with sandbox(seeded(count), latency) as served:
            made = connected(served, threads)
            if name == "bare":
                enaio = made["enaio_default"]
                asked |= {"url": served.url, "user": enaio["login"], "password": enaio["password"], "threads": threads}
            before = served.used()
            found = measure(name, home, made, count=count, **asked)
            rate = line(what, found, served.used() - before)
            if goal:
                log = requests.get(f"{served.url}/_sandbox/log", timeout=60).json()
                print(f"  {'':44} {len(log) / count:7.4f} requests a verified record (goal: at most {goal})")
            return rate

    plain, ours = 0.0, 0.0
    for _ in range(rounds):
        plain = max(plain, run("bare loop over requests", "bare", client="requests"))
        ours = max(ours, run("EnaioDeleteObjectOperator", "operator", verify=False))
    print(f"  {'':44} {ours / plain:7.3f} times the bare loop (goal: at least 0.98)")
    urllib = run("bare loop over urllib3, below requests", "bare", client="urllib3")
    print(f"  {'':44} requests itself: {urllib / plain:.2f} times slower here; the operator: {urllib / ours:.2f}")
    with serving([sys.executable, str(PARTS), "null", json.dumps({"latency": latency})]) as served:
        user = {"user": "u", "password": "p"}
        found = measure("bare", home, {}, url=served.url, count=count, threads=threads, client="requests", **user)
        line("bare loop over requests, no sandbox behind it", found, served.used())
    for typed, goal in ((True, 1.05), (False, 2.05)):
        what = f"verify=True, types {'known' if typed else 'not known'}"
        run(f"EnaioDeleteObjectOperator, {what}", "operator", goal=goal, verify=True, typed=typed)
    return ours


def mapped(home: Path, count: int, latency: float) -> float:
    """Map an ``HttpOperator`` over objects in a running Airflow; return its deletes a second."""
    print(f"\nHttpOperator {version('apache-airflow-providers-http')} mapped over {count} objects, LocalExecutor")
    with sandbox(seeded(count), latency) as served, tempfile.TemporaryDirectory(dir=home) as folder:
        dags, port = Path(folder) / "dags", free_port()
        dags.mkdir()
        endpoints = [f"{OBJECTS}/{record['target_id']}?hardDelete=true" for record in listed(count)]
        (dags / "mapped.py").write_text(DAG.format(endpoints=endpoints))
        enaio = connected(served, 1)["enaio_default"]
        plain = {"conn_type": "http", "host": served.url, "login": enaio["login"], "password": enaio["password"]}
        env = (
            airflow_environment(Path(folder) / "airflow")
            | standalone_variables(port)
            | connection_variables({"plain": plain})
        )
        env |= {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False"}
        with (home / "log.txt").open("a") as log, child_process(airflow("standalone"), env, log) as child:
            if not ready(child, port):
                sys.exit("airflow standalone did not start:\n" + (home / "log.txt").read_text()[-3000:])
            subprocess.run(airflow("dags", "reserialize"), env=env, stdout=log, stderr=log, check=True)  # noqa: S603
            subprocess.run(airflow("dags", "trigger", "mapped"), env=env, stdout=log, stderr=log, check=True)  # noqa: S603
            deadline, times = time.monotonic() + 60 + 10 * count, list[float]()
            while len(times) < count and time.monotonic() < deadline:
                time.sleep(1)
                entries = requests.get(f"{served.url}/_sandbox/log", timeout=60).json()
                times = sorted(entry["time"] for entry in entries if entry["call"] == "delete_object")
    if len(times) < count:
        sys.exit(f"only {len(times)} of {count} mapped tasks have run:\n" + (home / "log.txt").read_text()[-3000:])
    rate = (count - 1) / (times[-1] - times[0])
    print(f"  {'from the first delete to the last':44} {rate:7.2f}/s: 10,000 objects in {10_000 / rate / 3600:.1f} h")
    return rate


def night(home: Path, count: int, latency: float, threads: int) -> None:
    """Measure a whole disposal run."""
    print(f"\nA disposal run of {count:,} records, {threads} threads, {latency * 1000:.0f} ms")
    with sandbox(count, latency) as served:
        before = served.used()
        found = measure("night", home, connected(served, threads), count=count)
        server = served.used() - before
    for step in ("due list", "delete and look", "mark", "certificate"):
        print(f"  {step:44} {found[step]:8.1f} s")
    calls = found["sent"]
    least = calls * latency / threads
    pages = 2 * -(-found["due"] // 100)  # read by the due list and before the first mark, one after the other
    serial = least + pages * latency * (1 - 1 / threads)
    print(
        f"  {'all':44} {found['all']:8.1f} s, {calls:,} calls; processor a call: client "
        f"{found['processor'] * 1000 / calls:.2f} ms, server {server * 1000 / calls:.2f} ms\n"
        f"  {'peak memory of the process':44} {found['peak']:8.1f} MB\n"
        f"  {'calls x latency / concurrency':44} {least:8.1f} s: {found['all'] / least:.3f} times (goal: at most 1.1)\n"
        f"  {'the same with the pages one after the other':44} {serial:8.1f} s: {found['all'] / serial:.3f} times\n"
        f"  deleted {found['deleted']}\n  marked  {found['marked']}"
    )


def lists(home: Path, count: int) -> None:
    """Write, approve and read a long list."""
    print(f"\nA list of {count:,} records")
    found = measure("lists", home, connections(build(0), "http://127.0.0.1:9"), count=count)  # nobody is asked
    for step, took in found.items():
        if step not in {"all", "processor", "peak", "sent"}:
            print(f"  {step:54} {took:8.1f} s")
    print(f"  {'peak memory of the process':54} {found['peak']:8.1f} MB (goal: under 200 MB)")


def main() -> None:
    """Run all measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default, what in (
        ("objects", 10_000, "objects to delete"),
        ("night", 100_000, "records of the disposal run"),
        ("list", 1_000_000, "records on the long list"),
        ("mapped", 200, "objects to map an HttpOperator over"),
    ):
        size = int(os.environ.get(f"BENCH_{name.upper()}", default))
        parser.add_argument(f"--{name}", type=int, default=size, help=f"{what} (default: %(default)s)")
    parser.add_argument("--threads", type=int, nargs="+", default=[16, 64], help="for the objects (default: 16 64)")
    parser.add_argument("--latency", type=float, default=50.0, help="of each response, in ms (default: %(default)s)")
    parser.add_argument(
        "--night-latency", type=float, default=100.0, help="in the disposal run, in ms (default: %(default)s)"
    )
    parser.add_argument("--night-threads", type=int, default=8, help="in the disposal run (default: %(default)s)")
    parser.add_argument(
        "--rounds",
        type=int,
        default=1,
        help="how often loop and operator are measured, in turn; the best result counts",
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-speed-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        versions = ", ".join(f"{name} {version(name)}" for name in ("requests", "urllib3", "uvicorn", "apache-airflow"))
        load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
        print(f"{machine(home)}, {versions}; load {load}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
        rates = [
            objects(home, asked.objects, asked.latency / 1000, threads, asked.rounds)
            for threads in asked.threads
            if asked.objects
        ]
        if asked.mapped:
            plain = mapped(home, asked.mapped, asked.latency / 1000)
            for threads, rate in zip(asked.threads, rates, strict=False):
                print(f"  {f'the operator with {threads} threads':44} {rate / plain:7.0f} times (goal: at least 300)")
        if asked.night:
            night(home, asked.night, asked.night_latency / 1000, asked.night_threads)
        if asked.list:
            lists(home, asked.list)
        print(f"\nload at the end: {', '.join(f'{number:.1f}' for number in os.getloadavg())}")


if __name__ == "__main__":
    main()
