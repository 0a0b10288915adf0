"""A disposal run on one machine, with a real Airflow and the sandbox in place of the three vendors.

It runs an unchanged DAG of ``dags_examples``; only the connections lead to the sandbox.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from airflow_provider_records.evidence.folders import DISPOSALS
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.reader import MANIFESTS
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.sandbox.build import build, connections
from airflow_provider_records.sandbox.core import Sandbox
from airflow_provider_records.sandbox.server import Server

DAG_ID, PEOPLE_DAG_ID = "records_nightly_enaio", "records_nightly_approval"
USERS = {"admin": "admin", "reviewer_1": "user", "reviewer_2": "user"}
"""Users of the demo's Airflow, with their roles; the example DAG names the reviewers."""
PROJECT, BPNAME, PREFIX = "P-0001", "Disposal Request", "DR-ENAIO-"


def example_dags() -> Path:
    """Return the folder of the example DAGs: in a checkout beside the package, in a wheel within it."""
    inside = Path(__file__).parent / "dags_examples"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "dags_examples"


def sandbox(records: int) -> Sandbox:
    """Build a sandbox whose Opus lists only records that its reviewers have approved."""
    made = build(records)
    made.vendors["opus"].turn({"list_held": False, "list_under_review": False})
    return made


def airflow_environment(home: Path, records: int = 0) -> dict[str, str]:
    """Return the environment of a separate Airflow below ``home``; write its signing key.

    :param home: the Airflow home; created if it is missing.
    :param records: length of the longest list; raises ``max_records`` where the default is too small.
    """
    home.mkdir(parents=True, exist_ok=True)
    key_file = home / "signing_key.pem"
    if not key_file.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key_file.touch(mode=0o600)
        key_file.write_bytes(pem)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    return {
        **inherited,
        # standalone finds the command "airflow" of its children by PATH
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(example_dags()),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__RECORDS__EVIDENCE_PATH": f"file://{home}/records_evidence",
        "AIRFLOW__RECORDS__SIGNING_KEY_FILE": str(key_file),
        "AIRFLOW__RECORDS__MAX_RECORDS": str(max(1000, records)),
        "PYTHONUNBUFFERED": "1",
    }


def connection_variables(made: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the environment variables from which Airflow reads connections."""
    return {f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(fields) for conn_id, fields in made.items()}


def standalone_variables(port: int) -> dict[str, str]:
    """Return the settings with which ``airflow standalone`` can run beside another one on the same machine.

    :param port: port of the UI and the API on 127.0.0.1.
    """
    return {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    }


def user_variables(users: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the settings of Airflow's users, instead of one user with all rights; write their passwords.

    :param users: roles of the simple auth manager by user name.
    :param folder: gets ``passwords.json``, which holds the password of each user.
    """
    path = folder / "passwords.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({user: secrets.token_urlsafe(9) for user in users}))
    return {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in users.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(path),
    }


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def airflow(*words: str) -> list[str]:
    """Return a command line of the Airflow that this Python has installed."""
    return [sys.executable, "-m", "airflow", *words]


def run(records: int, home: Path) -> int:
    """Run the DAG once and show its progress; return an exit code.

    :param records: due records in enaio.
    :param home: folder of Airflow and the evidence; emptied first.
    """
    console = Console(width=None if sys.stdout.isatty() else 110)
    _empty(home)
    made = sandbox(records)
    with Server(made) as server, (home / "airflow.log").open("w") as log:
        env = airflow_environment(home, records) | connection_variables(connections(made, server.url))
        console.print(f"Sandbox: {server.url} (Opus, enaio, Unifier). Airflow's log: {home}/airflow.log")
        with _night(console) as show:
            show("Airflow is set up (SQLite)")
            for words in (("db", "migrate"), ("dags", "reserialize")):
                if _call(airflow(*words), env, log):
                    return _broken(console, home, " ".join(words))
            show("Airflow is set up (SQLite)", 1, 1)
            with child_process(airflow("dags", "test", DAG_ID), env, log) as dag_test:
                _watch(dag_test, made, server.url, home, show)
        store = Store(str(home / "records_evidence"))
        if not (disposals := _disposals(store)):
            return _broken(console, home, f"dags test {DAG_ID}")
        _report(console, made, store, disposals)
        found = sorted((home / "records_evidence" / "certificates").rglob("*.*"))
        certificates = [path for path in found if path.suffix in {".json", ".html"}]  # their signatures lie beside them
        for path in certificates:
            console.print(f"Certificate: {os.path.relpath(path)}", soft_wrap=True)
        if jsons := [path for path in certificates if path.suffix == ".json"]:
            command = os.path.relpath(Path(sys.executable).parent / "airflow-records")
            console.print(f"Check it:    {command} verify {os.path.relpath(jsons[0])}", soft_wrap=True)
        failed = dag_test.returncode != 0 or "DagRun Finished" not in (home / "airflow.log").read_text()
        if failed:
            return _broken(console, home, f"dags test {DAG_ID}")
    return 0


def serve_ui(records: int, home: Path, port: int) -> int:
    """Serve Airflow's UI with connections and DAGs, until it is interrupted.

    :param records: due records in enaio.
    :param home: folder of Airflow and the evidence; emptied first.
    :param port: port of Airflow's UI.
    """
    console = Console()
    _empty(home)
    made = sandbox(records)
    with Server(made) as server, (home / "airflow.log").open("w") as log:
        env = airflow_environment(home, records) | standalone_variables(port) | user_variables(USERS, home)
        stored = {
            conn_id: {**fields, "extra": json.dumps(fields["extra"])}
            for conn_id, fields in connections(made, server.url).items()
        }
        (home / "connections.json").write_text(json.dumps(stored))
        for words in (("db", "migrate"), ("connections", "import", str(home / "connections.json"))):
            if _call(airflow(*words), env, log):
                return _broken(console, home, " ".join(words))
        console.print("Starting Airflow (about a minute) …")
        with child_process(airflow("standalone"), env, log) as child:
            if not ready(child, port):
                return _broken(console, home, "standalone")
            url = f"http://127.0.0.1:{port}"
            console.print(f"[bold]Sign in at {url}[/bold] as one of these:")
            for user, password in json.loads((home / "passwords.json").read_text()).items():
                console.print(f"  {user}  {password}", markup=False, highlight=False)
            console.print(
                f"[bold]{url}/dags/{DAG_ID}[/bold]: as admin, switch the DAG on. When its task 'approve' waits, "
                f"decide at the approval console {server.url}/console: open a {BPNAME} in project {PROJECT} with the "
                "number and the digest from the log of the task 'approve', and approve it.",
                soft_wrap=True,
            )
            reviewers = " and then ".join(user for user, role in USERS.items() if role == "user")
            console.print(
                f"[bold]{url}/dags/{PEOPLE_DAG_ID}[/bold]: as admin, switch it on; {reviewers} sign in and answer what "
                "waits for them under Required Actions.",
                soft_wrap=True,
            )
            console.print(f"Evidence: {home}/records_evidence. Stop with Ctrl-C.")
            try:
                child.wait()
            except KeyboardInterrupt:
                console.print("Stopping …")
    return 0


def _ended(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _empty(home: Path) -> None:
    """Empty the folder; refuse one that no demo has created."""
    mark = home / ".records-demo"
    if home.exists() and any(home.iterdir()) and not mark.exists():
        raise SystemExit(f"{home} is not empty and was not made by a demo; name another folder with --home.")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    mark.touch()


def _call(command: list[str], env: Mapping[str, str], log: Any) -> int:  # noqa: ANN401
    return subprocess.run(command, env=env, stdout=log, stderr=subprocess.STDOUT, check=False).returncode  # noqa: S603


@contextmanager
def child_process(command: list[str], env: Mapping[str, str], log: Any) -> Iterator[subprocess.Popen[bytes]]:  # noqa: ANN401
    """Run a child process, and end it with all its descendants when the block ends."""
    child = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)  # noqa: S603
    before = signal.signal(signal.SIGTERM, _ended)  # SIGTERM to the demo must end Airflow, too
    try:
        yield child
    finally:
        signal.signal(signal.SIGTERM, before)
        # Some of Airflow's processes leave the process group of their parent.
        with suppress(psutil.Error):
            family = [*psutil.Process(child.pid).children(recursive=True)]
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(20)
            for end in (psutil.Process.terminate, psutil.Process.kill):
                _, family = psutil.wait_procs(family, timeout=5)
                for process in family:
                    with suppress(psutil.Error):
                        end(process)
            psutil.wait_procs(family, timeout=5)
            child.kill()
        child.wait()


def ready(child: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until all components of ``airflow standalone`` are healthy; return False if they are not in time."""
    url = f"http://127.0.0.1:{port}/api/v2/monitor/health"
    deadline = time.monotonic() + 400
    while child.poll() is None and time.monotonic() < deadline:
        try:
            health = requests.get(url, timeout=5).json()
            if all(health[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor")):
                return True
        except (requests.RequestException, ValueError, KeyError):
            pass
        time.sleep(1)
    return False


@contextmanager
def _night(console: Console) -> Iterator[Any]:
    """Show progress bars, each identified by its description."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bars: dict[str, Any] = {}

        def show(words: str, done: int = 0, total: int | None = 1) -> None:
            if words not in bars:
                bars[words] = progress.add_task(words, total=total)
                if not console.is_terminal:
                    console.print(f"… {words}")
            progress.update(bars[words], completed=done, total=total)

        yield show


def _watch(dag_test: subprocess.Popen[bytes], made: Sandbox, url: str, home: Path, show: Any) -> None:  # noqa: ANN401
    """Show the progress as the sandbox's log tells it, and approve the list in place of a records manager."""
    store = Store(str(home / "records_evidence"))
    manifest: Manifest | None = None
    while dag_test.poll() is None:
        calls = Counter(entry.call for entry in list(made.log))
        show("Opus: records due are listed", int(manifest is not None))
        if manifest is None and (found := store.names(MANIFESTS)):
            manifest = Manifest.open(store, f"sha256:{Path(found[0]).stem}")
            _approve(url, manifest.digest, manifest.count)
        if manifest is not None:
            show("Unifier: the list is approved by its digest", int(calls["get_bp_record"] > 0))
        marked = len(made.effects("opus", "marked"))
        if manifest is not None and (deletes := min(calls["delete_object"], manifest.count)):
            # What is absent needs no call: how many are sent is known when the marks begin.
            show("enaio: content is destroyed", deletes, deletes if marked else manifest.count)
        if marked:
            show("Opus: records are marked", marked, max(marked, len(made.effects("enaio", "destroyed"))))
        time.sleep(0.05)
    show("The run has ended", 1)


def _approve(url: str, digest: str, count: int) -> None:
    request = {
        "action": "open",
        "project_number": PROJECT,
        "record_no": f"{PREFIX}{digest.removeprefix('sha256:')[:12]}",
        "title": f"Disposal of {count} records",
        "disposal_digest": digest,
        "status": "Approved",
    }
    requests.post(f"{url}/console/unifier", json=request, timeout=30).raise_for_status()


def _disposals(store: Store) -> dict[str, Disposal]:
    """Return the newest summary of each system."""
    names = [name for name in store.names(DISPOSALS) if name.endswith("/disposal.json")]
    return {disposal.system: disposal for disposal in (Disposal.read(store, store.uri(name)) for name in names)}


def _report(console: Console, made: Sandbox, store: Store, disposals: Mapping[str, Disposal]) -> None:
    """Print the counts of the evidence, and beside them those of the sandbox's log."""
    content = disposals["enaio"].counts
    marks: Mapping[str, int] = disposals["opus"].counts if "opus" in disposals else {}
    destroyed, deleted = len(set(made.effects("enaio", "destroyed"))), made.effects("enaio", "destroyed")
    marked = made.effects("opus", "marked")
    table = Table(title="The disposal run")
    for name in ("", "records", "what the sandbox saw"):
        table.add_column(name, justify="left" if name != "records" else "right")
    total = str(sum(content.values()))
    table.add_row("found due", total, "")
    table.add_row("approved", total if disposals["enaio"].approvals else "0", "by digest, in Unifier")
    table.add_row("destroyed", str(content["destroyed"]), f"{destroyed} destroyed, {len(deleted) - destroyed} twice")
    for kind in OutcomeKind:
        if kind is not OutcomeKind.DESTROYED and (content[kind] or kind in {"recycled", "blocked"}):
            table.add_row(kind, str(content[kind]), "")
    for reason, count in _reasons(store, disposals["enaio"]).most_common():
        table.add_row(f"  {reason}", str(count), "", style="dim")
    table.add_row(
        "marked in Opus",
        str(marks.get("destroyed", 0)),
        f"{len(marked)} marked, {len(marked) - len(set(marked))} twice",
    )
    console.print(table)


def _reasons(store: Store, disposal: Disposal) -> Counter[str]:
    wanted = {OutcomeKind.BLOCKED, OutcomeKind.FAILED, OutcomeKind.UNKNOWN}
    return Counter(outcome.reason or "" for outcome in disposal.each_outcome(store) if outcome.kind in wanted)


def _broken(console: Console, home: Path, what: str) -> int:
    lines = (home / "airflow.log").read_text().splitlines()[-30:]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    console.print(f"[bold red]'airflow {what}' did not go through; all of its log: {home}/airflow.log[/bold red]")
    return 1
