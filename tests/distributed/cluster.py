"""A distributed Airflow on one machine, as plain code.

PostgreSQL, Redis, an S3 of its own (moto), API server with FAB, scheduler, triggerer, DAG processor, and two Celery
workers with homes and host names of their own. The sandbox runs in the process of the tests, so that they read its log.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import psutil
import requests
from cryptography.fernet import Fernet

from airflow_provider_records import demo
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.sandbox.build import connections
from airflow_provider_records.sandbox.core import Fault, Sandbox
from airflow_provider_records.sandbox.server import Server
from tests.distributed.gate import Gate
from tests.distributed.process import Part, Supervisor, adopting

BUCKET, ROOT = "evidence", "s3://evidence/records"
EVIDENCE_CONN_ID = "evidence"
PASSWORD = "of-the-test"
USERS = {"admin": "Admin", "first": "Op", "second": "Op", "viewer": "Viewer"}
"""FAB's users in the order of their numeric ids, from 1, with their roles."""
REVIEWERS = ("first", "second")
WORKERS = ("worker1", "worker2")
MOTO = Path(__file__).parents[2] / ".venv-s3" / "bin" / "moto_server"
CALL_TIMEOUT = 10
"""Seconds that a call may take: a retry on another machine waits twice as long for those of the try before."""
PATIENCE = 400.0
"""Seconds until an event that does not come fails; many times what the slowest takes."""


def wait(done: Callable[[], Any], what: Callable[[], str], patience: float = PATIENCE) -> None:
    """Wait for an event.

    :param done: tells whether it has come.
    :param what: says what was seen instead.
    :param patience: seconds.
    :raises TimeoutError: it has not come in time.
    """
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:.0f} s in vain; seen:\n{what()}")
        time.sleep(0.5)


@dataclass
class Cluster:
    """What runs, and how it is asked and disturbed.

    :param home: folder of everything; each worker has a home of its own below it.
    :param env: environment of the parts that share the first home.
    :param url: address of the API server.
    :param s3: address of the object storage behind the gate, which Airflow does not know.
    :param sandbox: the three systems.
    :param sandbox_url: where they are served.
    :param gate: the door before the object storage.
    """

    home: Path
    env: dict[str, str]
    url: str
    s3: str
    sandbox: Sandbox
    sandbox_url: str
    gate: Gate
    supervisor: Supervisor
    parts: dict[str, Part] = field(default_factory=dict)

    def add(self, name: str, command: list[str], user: str | None = None, **env: str) -> Part:
        """Add a part; it is not started yet.

        :param env: what differs in its environment.
        """
        self.parts[name] = Part(name, command, self.env | env, self.home / f"{name}.log", user)
        return self.supervisor.add(self.parts[name])

    def remove(self, name: str) -> None:
        """End a part for good."""
        self.parts.pop(name).kill()

    def airflow(self, *words: str) -> None:
        """Run an Airflow command to its end.

        :raises RuntimeError: it failed.
        """
        done = self._run(demo.airflow(*words), {})
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")

    def records(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run ``airflow-records`` to its end, with Airflow's configuration.

        :param env: what differs in its environment.
        """
        return self._run([sys.executable, "-m", "airflow_provider_records.cli", *words], env)

    def _run(self, command: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env={**self.env, **env}, capture_output=True, text=True, timeout=300, check=False
        )

    def store(self) -> Store:
        """Return the evidence store, read past the gate."""
        return Store(ROOT, self._file_system(), ROOT.removeprefix("s3://"))

    def empty(self, records: int) -> None:
        """Begin anew: other records in the systems, no faults, no evidence.

        :param records: due records in enaio.
        """
        requests.post(f"{self.sandbox_url}/_sandbox/reset", json={"records": records}, timeout=60).raise_for_status()
        self.sandbox.vendors["opus"].turn({"list_held": False, "list_under_review": False})
        fs = self._file_system()
        if fs.exists(ROOT):
            fs.rm(ROOT, recursive=True)

    def slow(self, call: str, seconds: float) -> None:
        """Let each call of a kind take longer."""
        self.sandbox.faults.append(Fault(vendor="*", call=call, times=None, latency_ms=round(seconds * 1000)))

    def worker_of_task(self) -> tuple[Part, Part]:
        """Return the worker whose task is connected to the sandbox, and the other one."""
        port = int(self.sandbox_url.rsplit(":", 1)[1])
        first, second = (self.parts[name] for name in WORKERS)
        busy = max((first, second), key=lambda worker: connections_to(port, worker.family()))
        return busy, second if busy is first else first

    def wait_until_healthy(self) -> None:
        """Wait until the API server, its three daemons and both workers can work."""

        def healthy() -> bool:
            try:
                health = requests.get(f"{self.url}/api/v2/monitor/health", timeout=10).json()
                return all(health[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor"))
            except (requests.RequestException, ValueError, KeyError):
                return False

        wait(healthy, self.told)
        wait(lambda: all(self._is_ready(self.parts[name]) for name in WORKERS), self.told)

    def told(self) -> str:
        """Say which parts run, and how often each was started."""
        return ", ".join(
            f"{name}: {'ended' if part.ended() else 'runs'}, started {part.starts} times"
            for name, part in self.parts.items()
        )

    @staticmethod
    def _is_ready(worker: Part) -> bool:
        return worker.log.read_text().count(" ready.") >= worker.starts

    def _file_system(self) -> Any:
        return fsspec.filesystem(
            "s3", key="key", secret="secret", endpoint_url=self.s3, use_listings_cache=False, skip_instance_cache=True
        )


def connections_to(port: int, processes: list[psutil.Process]) -> int:
    """Return how many connections to a port of this machine the processes hold."""
    found = 0
    for process in processes:
        try:
            found += sum(bool(each.raddr) and each.raddr.port == port for each in process.net_connections("tcp"))
        except psutil.Error:
            continue
    return found


@contextmanager
def cluster(dags: Path, home: Path, concurrency: int = 2) -> Iterator[Cluster]:
    """Run a distributed Airflow; end all of it when the block ends.

    :param dags: the folder of its DAGs.
    :param home: an empty folder.
    :param concurrency: tasks that each worker runs at once; few enough that a large night needs both.
    """
    with ExitStack() as stack:
        stack.enter_context(adopting())
        supervisor = Supervisor()
        stack.callback(supervisor.stop)
        ports = {name: demo.free_port() for name in ("postgres", "redis", "moto", "s3", "api", "trigger", *WORKERS)}
        sandbox = demo.sandbox(0)
        server = stack.enter_context(Server(sandbox))
        gate = stack.enter_context(Gate(ports["s3"], ports["moto"]))
        env = _environment(home, dags, ports, concurrency)
        url = f"http://127.0.0.1:{ports['api']}"
        s3 = f"http://127.0.0.1:{ports['moto']}"
        made = Cluster(home, env, url, s3, sandbox, server.url, gate, supervisor)

        stack.enter_context(_postgres(made, ports["postgres"]))
        made.add("redis", ["redis-server", "--port", str(ports["redis"]), "--bind", "127.0.0.1", "--save", ""])
        made.add("s3", [str(MOTO), "-H", "127.0.0.1", "-p", str(ports["moto"])])
        for name in ("postgres", "redis", "s3"):
            made.parts[name].start()
        wait(lambda: all(_answers(ports[name]) for name in ("postgres", "redis", "moto")), made.told, 60)
        requests.put(f"{made.s3}/{BUCKET}", timeout=30).raise_for_status()
        _set_up(made, ports)
        for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
            made.add(name, demo.airflow(name))
        for name in WORKERS:
            own = home / name
            own.mkdir()
            made.add(
                name,
                _as_host(name, demo.airflow("celery", "worker", "-H", f"celery@{name}")),
                AIRFLOW_HOME=str(own),
                AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT=str(ports[name]),
            )
        for each in made.parts.values():
            each.start()
        made.wait_until_healthy()
        _add_users(made)
        yield made


def _environment(home: Path, dags: Path, ports: Mapping[str, int], concurrency: int) -> dict[str, str]:
    database = f"airflow:airflow@127.0.0.1:{ports['postgres']}/airflow"
    url = f"http://127.0.0.1:{ports['api']}"
    plain = {name: value for name, value in demo.airflow_environment(home).items() if not name.startswith("AWS_")}
    return plain | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(ports["api"]),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": "the same for all parts of this Airflow",
        "AIRFLOW__API_AUTH__JWT_SECRET": "the same for all parts of this Airflow and longer than 64 bytes, as asked",
        "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{ports['redis']}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{database}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(concurrency),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports["trigger"]),
        # What a lost worker, a lost message and a lost scheduler leave is found within a minute, not after five or ten.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
        "AIRFLOW__RECORDS__EVIDENCE_PATH": ROOT,
        "AIRFLOW__RECORDS__EVIDENCE_CONN_ID": EVIDENCE_CONN_ID,
        # Nobody finds credentials of this machine: what is read was opened with the connection.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextmanager
def _postgres(made: Cluster, port: int) -> Iterator[None]:
    """Make a database cluster; it lies where its user may go, since PostgreSQL refuses to run as root."""
    (binaries, *_) = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="records-postgres-"))
    try:
        if user:
            shutil.chown(folder, user)
        data = str(folder / "data")
        words = [str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "postgres"]
        subprocess.run(words, user=user, cwd=folder, check=True, capture_output=True)
        options = {"listen_addresses": "127.0.0.1", "fsync": "off", "max_connections": "200"}
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        server = [str(binaries / "postgres"), "-D", data, "-p", str(port), "-k", str(folder), *settings]
        made.add("postgres", server, user)
        yield
    finally:
        if "postgres" in made.parts:
            made.remove("postgres")
        shutil.rmtree(folder, ignore_errors=True)


def _set_up(made: Cluster, ports: Mapping[str, int]) -> None:
    """Make the database, the connections and the users."""
    roles = ("create role airflow login password 'airflow' superuser", "create database airflow owner airflow")
    ask = ["psql", "-h", "127.0.0.1", "-p", str(ports["postgres"]), "-U", "postgres", "-q"]
    wait(lambda: subprocess.run([*ask, "-c", "select 1"], check=False, capture_output=True).returncode == 0, made.told)
    subprocess.run([*ask, *(f"-c{each}" for each in roles)], check=True, capture_output=True)
    evidence = {
        "conn_type": "aws", "login": "key", "password": "secret",
        "extra": {"endpoint_url": f"http://127.0.0.1:{ports['s3']}", "region_name": "eu-central-1"},
    }  # fmt: skip
    systems = connections(made.sandbox, made.sandbox_url)
    for fields in systems.values():
        fields["extra"] |= {"timeout": CALL_TIMEOUT}
    stored = {
        conn_id: {**fields, "extra": json.dumps(fields["extra"])}
        for conn_id, fields in {**systems, EVIDENCE_CONN_ID: evidence}.items()
    }
    path = made.home / "connections.json"
    path.write_text(json.dumps(stored))
    admin = next(iter(USERS))
    account = ("-u", admin, "-r", USERS[admin], "-p", PASSWORD, "-e", f"{admin}@example.com", "-f", admin, "-l", admin)
    made.airflow("db", "migrate")
    with ThreadPoolExecutor() as pool:  # a command of Airflow's takes seconds to load
        imported = pool.submit(made.airflow, "connections", "import", str(path))
        made.airflow("sync-perm")
        made.airflow("users", "create", *account)
        imported.result()


def _add_users(made: Cluster) -> None:
    """Add the other users, one after the other: FAB numbers them."""
    (admin, _), *others = USERS.items()
    login = {"username": admin, "password": PASSWORD}
    token = requests.post(f"{made.url}/auth/token", json=login, timeout=60).json()["access_token"]
    for user, role in others:
        name = {"username": user, "first_name": user, "last_name": user, "email": f"{user}@example.com"}
        requests.post(
            f"{made.url}/auth/fab/v1/users",
            json={**name, "password": PASSWORD, "roles": [{"name": role}]},
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        ).raise_for_status()


def _as_host(name: str, command: list[str]) -> list[str]:
    """Run a command under a host name of its own, and with a clock that others cannot compare theirs with.

    By the clock of a machine an attempt on another one tells nothing, and has to wait longer for its calls.
    """
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--uts", "--time", "--fork", *own, "sh", "-c", 'hostname "$0" && exec "$@"', name, *command]


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
