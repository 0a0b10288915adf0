"""Real Airflow: one database for the session, the example DAGs, and a sandbox of its own for each test."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_records import demo
from airflow_provider_records.sandbox.build import connections
from airflow_provider_records.sandbox.core import Fault, Sandbox
from airflow_provider_records.sandbox.server import Server

WAIT = 30
"""Seconds of the waiting period in the copies of the example DAGs."""


@dataclass
class Installation:
    """An Airflow home, a served sandbox, and what a test asks of both.

    :param home: the Airflow home.
    :param stage: the sandbox.
    :param url: where it is served.
    :param env: environment of Airflow's processes.
    """

    home: Path
    sandbox: Sandbox
    url: str
    env: dict[str, str]

    def airflow(self, *words: str, timeout: float = 400) -> subprocess.CompletedProcess[str]:
        """Run an Airflow command to its end."""
        return subprocess.run(
            demo.airflow(*words), env=self.env, capture_output=True, text=True, timeout=timeout, check=False
        )

    def test_dag(self, dag_id: str) -> str:
        """Run a DAG to its end in one process; return its log."""
        done = self.airflow("dags", "test", dag_id)
        return done.stdout + done.stderr

    def fault(self, **fields: Any) -> None:
        """Let a call go wrong."""
        self.sandbox.faults.append(Fault(**fields))

    @property
    def evidence(self) -> Path:
        return Path(self.env["AIRFLOW__RECORDS__EVIDENCE_PATH"].removeprefix("file://"))

    def manifest(self, digest: str) -> list[dict[str, Any]]:
        _, *lines = (self.evidence / "manifests" / f"{digest.removeprefix('sha256:')}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def disposals(self) -> dict[str, list[dict[str, Any]]]:
        """Return the summary of each task's newest try by task id, in the order of their map index."""
        newest = {path.parent.parent: path for path in sorted(self.evidence.glob("disposals/**/disposal.json"))}
        found: dict[str, list[dict[str, Any]]] = {}
        for path in newest.values():
            disposal = json.loads(path.read_text())
            found.setdefault(disposal["provenance"]["task_id"], []).append(disposal)
        return found

    def outcomes(self, disposal: dict[str, Any]) -> dict[str, dict[str, Any]]:
        _, *lines = Path(disposal["outcomes"].removeprefix("file://")).read_text().splitlines()
        return {item["key"]: item for item in map(json.loads, lines)}

    def certificate(self) -> dict[str, Any]:
        (path,) = self.evidence.glob("certificates/*/*.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def told(self) -> str:
        """Say what has happened: the calls that the sandbox got, and the segments of each journal."""
        calls = Counter(f"{entry.vendor} {entry.call}" for entry in list(self.sandbox.log))
        segments: dict[Path, list[str]] = {}
        for path in sorted(self.evidence.glob("disposals/**/journal/*/*.jsonl")):
            segments.setdefault(path.parent.relative_to(self.evidence), []).append(path.stem)
        journals = (f"{session}: {' '.join(names)}" for session, names in segments.items())
        return "\n".join((", ".join(f"{call} {count}" for call, count in calls.items()), *journals))

    def decide(self, prefix: str, status: str = "Approved") -> threading.Thread:
        """As the records manager: open a request for the list as soon as it is there, with its digest."""

        def person() -> None:
            deadline = time.monotonic() + 300
            while not (found := list(self.evidence.glob("manifests/*.jsonl"))):
                if time.monotonic() > deadline:
                    return
                time.sleep(0.05)
            request = {
                "action": "open",
                "project_number": demo.PROJECT,
                "record_no": f"{prefix}{found[0].stem[:12]}",
                "disposal_digest": f"sha256:{found[0].stem}",
                "status": status,
            }
            requests.post(f"{self.url}/console/unifier", json=request, timeout=30).raise_for_status()

        thread = threading.Thread(target=person, daemon=True)
        thread.start()
        return thread


def copy_example_dags(folder: Path) -> None:
    """Copy the example DAGs, unchanged but for schedules, sizes of parts, waiting period and pauses.

    :param folder: where to; made here.
    """
    folder.mkdir()
    for path in demo.example_dags().glob("*.py"):
        source = path.read_text()
        for pause in ("timedelta(minutes=5)", "timedelta(seconds=30)"):
            source = source.replace(pause, "timedelta(seconds=1)")
        source = re.sub(r'^SCHEDULE = "[^"]*"', "SCHEDULE = None", source, flags=re.MULTILINE)
        source = source.replace("PART = 1000 ", "PART = 25 ")
        source = source.replace("WAIT = timedelta(days=7)", f"WAIT = timedelta(seconds={WAIT})")
        (folder / path.name).write_text(source)


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Airflow home whose database knows the example DAGs."""
    return new_home(tmp_path_factory)


def new_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an Airflow home whose database knows the example DAGs and nothing else."""
    home = tmp_path_factory.mktemp("airflow")
    copy_example_dags(home / "dags")
    for path in (Path(__file__).parent / "dags").glob("*.py"):
        (home / "dags" / path.name).write_text(path.read_text())
    return migrated(home)


def migrated(home: Path) -> Path:
    """Give an Airflow home a database that knows the DAGs in it."""
    env = demo.airflow_environment(home) | {"AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags")}
    for words in (("db", "migrate"), ("dags", "reserialize")):
        subprocess.run(demo.airflow(*words), env=env, check=True, capture_output=True)
    return home


@pytest.fixture
def begin(airflow_home: Path, tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Serve a sandbox and point Airflow to it: ``begin(records=60, timeout=2)``, with extras of the connections."""
    servers: list[Server] = []

    def serve(records: int = 60, **extra: Any) -> Installation:
        sandbox = demo.sandbox(records)
        server = Server(sandbox)
        servers.append(server.__enter__())
        made = connections(sandbox, server.url)
        for connection in made.values():
            connection["extra"].update(extra)
        env = demo.airflow_environment(airflow_home, records) | demo.connection_variables(made)
        env["AIRFLOW__CORE__DAGS_FOLDER"] = str(airflow_home / "dags")
        env["AIRFLOW__RECORDS__EVIDENCE_PATH"] = f"file://{tmp_path}/evidence"
        return Installation(airflow_home, sandbox, server.url, env)

    yield serve
    for server in servers:
        server.__exit__(None, None, None)
