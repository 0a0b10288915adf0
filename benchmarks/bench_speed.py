"""Measures what a verified record costs, in calls, time, processor time and memory: ``make bench``.

For comparison, in the same run: a bare loop of deletes over ``requests`` that checks nothing. Sandbox and client are
separate processes on the same machine. Sizes are arguments or variables (BENCH_OBJECTS, BENCH_NIGHT, BENCH_DOCUMENTS,
BENCH_LIST); 0 leaves a part out.
"""

# ruff: noqa: T201 - it prints its results

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import requests
from bench_evidence import machine
from speed_parts import seeded

from airflow_provider_records.demo import airflow_environment, connection_variables
from airflow_provider_records.sandbox.build import build, connections
from airflow_provider_records.sandbox.server import Server
from airflow_provider_records.sandbox.unifier import Document, Folder

PARTS = Path(__file__).with_name("speed_parts.py")
FOLDER = 500


class Sandbox:
    """A served sandbox: its address, and the processor time of its process."""

    def __init__(self, url: str, process: psutil.Process) -> None:
        self.url = url
        self._process = process

    def used(self) -> float:
        """Return the processor time so far, in seconds."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def log(self) -> list[dict[str, Any]]:
        """Return all calls."""
        found: list[dict[str, Any]] = requests.get(f"{self.url}/_sandbox/log", timeout=60).json()
        return found


@contextmanager
def sandbox(records: int, latency: float) -> Iterator[Sandbox]:
    """Run a sandbox that delays each response by ``latency`` seconds."""
    command = [sys.executable, "-m", "airflow_provider_records.cli", "sandbox", "--port", "0"]
    with subprocess.Popen([*command, "--records", str(records)], stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        assert server.stdout is not None  # noqa: S101
        url = next(word for word in server.stdout.readline().split() if word.startswith("http://"))
        try:
            switches = {"enaio": {"version": "6.5.0"}}  # it names types, so that a search looks at many objects
            requests.put(f"{url}/_sandbox/switches", json=switches, timeout=60).raise_for_status()
            fault = {"times": None, "latency_ms": latency * 1000}
            requests.post(f"{url}/_sandbox/faults", json=fault, timeout=60).raise_for_status()
            yield Sandbox(url, psutil.Process(server.pid))
        finally:
            server.terminate()


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


def verified(home: Path, count: int, latency: float, threads: int, rounds: int) -> None:
    """Compare verified deletes of enaio with a bare loop that checks nothing."""
    limit = threads / latency
    print(f"\n{count:,} objects of enaio, {threads} threads, {latency * 1000:.0f} ms: at most {limit:,.0f} a second")

    def run(what: str, name: str, goal: float = 0, **asked: Any) -> float:  # noqa: ANN401
        with sandbox(seeded(count), latency) as served:
            made = connected(served, threads)
            if name == "bare":
                enaio = made["enaio_default"]
                asked |= {"url": served.url, "user": enaio["login"], "password": enaio["password"], "threads": threads}
            before = served.used()
            found = measure(name, home, made, count=count, **asked)
            server, calls = served.used() - before, len(served.log())
        rate: float = count / found["all"]
        print(
            f"  {what:44} {rate:7.1f} a second; processor a record: client {found['processor'] * 1000 / count:.2f} ms"
            f"{' (goal: at most 0.5)' if goal else ''}, server {server * 1000 / count:.2f} ms"
        )
        if goal:
            print(f"  {'':44} {calls / count:7.4f} calls a record (goal: at most {goal})")
        return rate

    plain, ours = 0.0, 0.0
    for _ in range(rounds):
        plain = max(plain, run("bare loop over requests", "bare"))
        ours = max(ours, run("verified records, types known", "operator", goal=1.05, typed=True))
    print(f"  {'':44} {ours / plain:7.3f} times the bare loop (goal: at least 0.95)")
    run("verified records, types not known", "operator", goal=2.05, typed=False)


def night(home: Path, count: int, latency: float, threads: int) -> None:
    """Measure a whole disposal run."""
    print(f"\nA disposal run of {count:,} records, {threads} threads, {latency * 1000:.0f} ms")
    with sandbox(count, latency) as served:
        before = served.used()
        found = measure("night", home, connected(served, threads), count=count)
        server, calls = served.used() - before, Counter(entry["call"] for entry in served.log())
    for step in ("due list", "delete and look", "mark", "certificate"):
        print(f"  {step:44} {found[step]:8.1f} s")
    total, pages = calls.total(), calls["due_records"]
    least = (pages + (total - pages) / threads) * latency
    print(
        f"  {'all':44} {found['all']:8.1f} s; processor a call: client "
        f"{found['processor'] * 1000 / total:.2f} ms, server {server * 1000 / total:.2f} ms\n"
        f"  {'serial calls x latency + parallel / threads':44} {least:8.1f} s: "
        f"{found['all'] / least:.3f} times (goal: at most 1.1)\n"
        f"  {'calls a record':44} {total / found['due']:8.4f} (goal: at most 1.15), {pages:,} of {total:,} one by one\n"
        f"  {'peak memory of the process':44} {found['peak']:8.1f} MB\n"
        f"  deleted {found['deleted']}\n  marked  {found['marked']}"
    )


def folders(home: Path, count: int) -> None:
    """Count the calls for documents of Unifier in folders of 500."""
    print(f"\n{count:,} documents of Unifier in folders of {FOLDER}")
    sandbox = build(0)
    unifier: Any = sandbox.vendors["unifier"]
    unifier.documents = {
        number: Document(number, 10**6 + number, parent, "P-0001", f"/{parent}/{number}", "2010-01-01 00:00")
        for number in range(1000, 1000 + count)
        for parent in (1 + (number - 1000) // FOLDER,)
    }
    parents = {each.parent_id for each in unifier.documents.values()}
    unifier.folders = {number: Folder(number, "P-0001", f"/{number}") for number in parents}
    with Server(sandbox) as server:
        found = measure("unifier", home, connections(sandbox, server.url), count=count, folder=FOLDER)
    calls = Counter(entry.call for entry in sandbox.log)
    print(
        f"  {'calls a record':44} {calls.total() / count:8.4f} (goal: at most 1.1); {calls['list_nodes']} listings; "
        f"processor a record: {found['processor'] * 1000 / count:.2f} ms"
    )


def memory(home: Path, count: int) -> None:
    """Dispose of a long list in an archive that is made up in the same process, so that only memory is measured."""
    print(f"\n{count:,} records disposed of, in an archive that responds without a network")
    found = measure("memory", home, connections(build(0), "http://127.0.0.1:9"), count=count)
    print(
        f"  {'all':44} {found['all']:8.1f} s; processor a record: {found['processor'] * 1000 / count:.2f} ms\n"
        f"  {'memory before the list':44} {found['before']:8.1f} MB\n"
        f"  {'peak memory of the process':44} {found['peak']:8.1f} MB (goal: at most 400 MB for 1,000,000)"
    )


def main() -> None:
    """Run all measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default, what in (
        ("objects", 10_000, "objects of enaio to delete"),
        ("night", 100_000, "records of the disposal run"),
        ("documents", 2_000, "documents of Unifier to delete"),
        ("list", 1_000_000, "records on the long list"),
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
        for threads in asked.threads if asked.objects else ():
            verified(home, asked.objects, asked.latency / 1000, threads, asked.rounds)
        if asked.night:
            night(home, asked.night, asked.night_latency / 1000, asked.night_threads)
        if asked.documents:
            folders(home, asked.documents)
        if asked.list:
            memory(home, asked.list)
        print(f"\nload at the end: {', '.join(f'{number:.1f}' for number in os.getloadavg())}")


if __name__ == "__main__":
    main()
