"""Tries of a disposal in processes of their own, which end at a chosen step, and what must be true afterwards."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import requests
import tenacity
from airflow.sdk import BaseOperator

from airflow_provider_records import systems
from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.client.transport import Transport
from airflow_provider_records.demo import connection_variables
from airflow_provider_records.evidence import journal as journal_module
from airflow_provider_records.evidence.audit import audit
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.reader import EvidenceReader
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.execution import runner as runner_module
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.sandbox import seed
from airflow_provider_records.sandbox.build import RECORDS, SEED, build, connections
from airflow_provider_records.sandbox.core import Entry, Fault, Sandbox
from airflow_provider_records.sandbox.server import Server
from tests.evidence.schemas import assert_store_valid
from tests.operators.factories import context

WRITE, SUMMARY, REQUEST, CALL = "write", "summary", "request", "call"
"""The steps of a try: writing a file of the evidence; writing the outcomes at its end, which is a write, too; a request
and its response; a deleting call with all of its requests."""

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Death:
    """Where a process ends.

    :param step: ``write``, ``summary``, ``request`` or ``call``.
    :param number: at which of these steps, from 1.
    :param after: right after the step; False: right before it.
    :param signal: SIGKILL, or SIGSTOP for one that comes back.
    """

    step: str
    number: int
    after: bool
    signal: signal.Signals = signal.SIGKILL

    def __str__(self) -> str:
        return f"{self.signal.name} {'after' if self.after else 'before'} {self.step} {self.number}"


@dataclass(frozen=True)
class Vendor:
    """What one of the three disposing operators is told from the others by.

    :param system: short name of its system.
    :param operator: the operator.
    :param options: its arguments.
    :param call: the deleting call's name in the sandbox's log.
    :param effect: what the call does, and what the outcome is then called.
    """

    system: str
    operator: type[BaseOperator]
    options: Mapping[str, Any]
    call: str
    effect: str


_ENAIO = Vendor("enaio", EnaioDeleteObjectOperator, {"hard_delete": True}, "delete_object", "destroyed")
SEARCHED = "enaio-searched"
"""The list names the types, so that searches look at many objects before and after the calls."""
VENDORS = {
    "enaio": _ENAIO,
    SEARCHED: _ENAIO,
    "unifier": Vendor("unifier", UnifierDeleteDocumentOperator, {}, "delete_document", "recycled"),
    "opus": Vendor("opus", OpusDestroyRecordsOperator, {}, "destroy_records", "marked"),
}


class Hints:
    """Airflow's task state store, as far as operators use it; it outlives processes.

    :param file: where it is kept.
    """

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def get(self, key: str) -> Any:
        return json.loads(self.file.read_text()).get(key) if self.file.exists() else None

    def set(self, key: str, value: Any) -> None:
        self.file.write_text(json.dumps({key: value}))


def _live(
    vendor: str, records: Any, try_number: int, env: dict[str, str], death: Death | None, lease: float | None,
    options: dict[str, Any], pipe: Connection,
) -> None:  # fmt: skip
    """Be one try, up to its end or its death."""
    os.environ.update(env)
    told = arm(vendor, death, lease)
    operator = VENDORS[vendor].operator(
        task_id="dispose", records=records, require_approval=False, **{**VENDORS[vendor].options, **options}
    )
    # As Airflow does: on SIGTERM on_kill in the main thread, then execute goes on.
    signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
    try:
        said: Any = operator.execute(context(operator, try_number) | {"task_state_store": Hints(env["HINTS"])})
    except Exception as error:  # noqa: BLE001 - the test must see every error
        said = f"{type(error).__name__}: {error}"
    pipe.send((said, dict(told)))


def arm(vendor: str, death: Death | None, lease: float | None) -> Counter[str]:
    """Let this process end at a chosen step; return the steps that it has taken, as it takes them.

    :param lease: seconds that a try may begin calls for; None: do not wait for calls of earlier tries at all.
    """
    VendorHook.backoff = tenacity.wait_none()
    # Several chunks even of a short list: a death between two of them is another than one within.
    runner_module._BATCHES_PER_THREAD = 2 if vendor == "opus" else 6
    if lease is None:
        # The next try is started only when no request is in flight any more, see CrashRun.still.
        setattr(Journal, "seconds_until_settled", lambda _: 0.0)  # noqa: B010 - the shorter way is one too many for mypy
    else:
        # The real waiting, but not for seconds; both tries run on one clock.
        for module in (journal_module, runner_module):
            module.LEASE = lease  # type: ignore[attr-defined]
        journal_module._MARGIN = 0.1
    told = Counter[str]()

    def die(now: Death) -> None:
        # Nobody can hold back the call of a process that froze after it asked and before it sent; so what another
        # thread has asked for may leave, and this one stays here until the signal has reached all of them.
        time.sleep(0.06 if now.signal is signal.SIGSTOP else 0)
        os.kill(os.getpid(), now.signal)
        time.sleep(0.2)

    def dying(step: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*args: Any, **kwargs: Any) -> Any:
            told[step] += 1
            now = death if death and (step, told[step]) == (death.step, death.number) else None
            if now and not now.after:
                die(now)
            answer = act(*args, **kwargs)
            if now and now.after:
                die(now)
            return answer

        return acted

    for name, act in (("write", Store.write), ("write_lines", dying(SUMMARY, Store.write_lines))):
        setattr(Store, name, dying(WRITE, act))
    Transport.send_once = dying(REQUEST, Transport.send_once)  # type: ignore[method-assign]
    system = systems.system_class(VENDORS[vendor].system)
    system.dispose = dying(CALL, system.dispose)  # type: ignore[method-assign]
    return told


class Try:
    """A try that runs in a process of its own."""

    def __init__(self, *args: Any) -> None:
        self._here, there = PROCESSES.Pipe(duplex=False)
        self.process = PROCESSES.Process(target=_live, args=(*args, there), daemon=True)
        self.process.start()
        there.close()

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def wait_stopped(self) -> None:
        """Wait until the process has stopped itself."""
        deadline = time.monotonic() + 30
        while _state(self.process.pid) != "T":
            assert time.monotonic() < deadline
            assert self.process.is_alive(), "it ended before it was to stop"
            time.sleep(0.01)

    def end(self, seconds: float = 60) -> tuple[Any, dict[str, int]] | None:
        """Wait for the end; return what the operator returned or raised and the steps it took, None if killed."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, "it did not end"
        if self.process.exitcode == -signal.SIGKILL:
            return None
        assert self.process.exitcode == 0
        found: tuple[Any, dict[str, int]] = self._here.recv()
        return found


def _state(pid: int | None) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


@dataclass
class CrashRun:
    """A served sandbox with a list to carry out, and the tries at it.

    :param vendor: one of :data:`VENDORS`.
    :param stage: the sandbox.
    :param url: where it is served.
    :param manifest: the list.
    :param env: what a task process finds in its environment.
    :param options: arguments of the operator.
    """

    vendor: str
    sandbox: Sandbox
    url: str
    manifest: Manifest
    env: dict[str, str]
    options: dict[str, Any]
    tries: int = 0
    there: set[str] = field(default_factory=set)

    @property
    def reference(self) -> dict[str, Any]:
        manifest = self.manifest
        return {"manifest": manifest.uri, "digest": manifest.digest, "count": manifest.count, "approvals": []}

    @property
    def effects(self) -> list[str]:
        return self.sandbox.effects(self.system, VENDORS[self.vendor].effect)

    @property
    def system(self) -> str:
        return VENDORS[self.vendor].system

    def begin(self, death: Death | None = None, lease: float | None = None) -> Try:
        """Start the next try."""
        self.tries += 1
        return Try(self.vendor, self.reference, self.tries, self.env, death, lease, self.options)

    def fault(self, *, times: int | None = None, **fields: Any) -> None:
        """Let calls go wrong."""
        self.sandbox.faults.append(Fault(vendor=self.system, times=times, **fields))

    def still(self) -> None:
        """Return when the sandbox has carried out what a dead process has sent.

        The sandbox has one event loop: what was in its sockets before these requests is read before the last of
        them is answered; a call that it has read is carried out at once, and has a status then.
        """
        for _ in range(3):
            requests.get(f"{self.url}/_sandbox/switches", timeout=30).raise_for_status()

    def die(self, death: Death) -> bool:
        """Run a try that is to die; tell whether it came to that."""
        ended = self.begin(death).end()
        self.still()
        return ended is None

    def finish(self) -> Any:
        """Run tries as Airflow does until one succeeds, three at most; return what the last one said."""
        said: Any = None
        for _ in range(3):
            ended = self.begin().end()
            assert ended is not None
            said = ended[0]
            if isinstance(said, dict):
                break
        return said

    def id_of(self, record: Record) -> str:
        return record.key if self.vendor == "opus" else record.target_id

    def disposal(self) -> Disposal:
        """Return the summary of the newest try."""
        store = self.manifest.store
        name = max(name for name in store.names("disposals") if name.endswith("/disposal.json"))
        return Disposal.read(store, store.uri(name))

    def outcomes(self) -> dict[str, Outcome]:
        """Return the outcomes that the summary stands for, by id in the system."""
        disposal = self.disposal()
        outcomes = list(disposal.each_outcome(self.manifest.store))
        assert sum(disposal.counts.values()) == self.manifest.count == len(outcomes)
        return {self.id_of(record): outcome for record, outcome in zip(self.manifest, outcomes, strict=True)}

    def move(self, folder: Path) -> None:
        """Let the next tries find their evidence elsewhere."""
        store = Store(str(folder))
        self.manifest = Manifest.open(store, self.manifest.digest)
        self.env["AIRFLOW__RECORDS__EVIDENCE_PATH"] = store.root

    def check_evidence(self) -> list[dict[str, Any]]:
        """All files of the evidence fit together, as a certificate demands; return the journal's sessions."""
        store, disposal = self.manifest.store, self.disposal()
        assert_store_valid(store)
        account = audit(EvidenceReader(store, store.root), {store.name(disposal.uri): disposal})
        sessions: list[dict[str, Any]] = account.facts["disposals"][0]["journal"]
        return sessions

    def check_log(self) -> None:
        """Nothing outside of the list, nothing again that was done, at any time."""
        listed, done = {self.id_of(record) for record in self.manifest}, set[str]()
        for entry in self.sandbox.log:
            hit = {str(item["id"]) for item in entry.effects}
            if entry.vendor != self.system or entry.call != VENDORS[self.vendor].call:
                assert not hit, f"{entry.call} changed {hit}"
                continue
            asked = self.asked(entry)
            assert asked <= listed, f"not on the list: {asked - listed}"
            assert not asked & done, f"sent again after it was done: {asked & done}"
            assert hit <= asked
            done |= hit
        assert max(Counter(self.effects).values(), default=0) <= 1

    def sent(self) -> list[Entry]:
        """Return the deleting calls that have arrived."""
        return [entry for entry in self.sandbox.log if entry.call == VENDORS[self.vendor].call]

    def asked(self, entry: Entry) -> set[str]:
        """Return which records a deleting call was about."""
        if self.vendor == "opus":
            return set(json.loads(entry.request)["disposalIds"])
        return {entry.path.partition("?")[0].rstrip("/").rpartition("/")[2]}

    def check(self, unknown: int = 0) -> dict[str, Outcome]:
        """Hold the evidence against the sandbox's log.

        :param unknown: how many records may be left unknown.
        """
        self.check_log()
        self.check_evidence()
        outcomes, done = self.outcomes(), set(self.effects)
        claimed = {key for key, each in outcomes.items() if each.kind in {OutcomeKind.DESTROYED, OutcomeKind.RECYCLED}}
        left = {key for key, each in outcomes.items() if each.kind is OutcomeKind.UNKNOWN}
        assert not {key for key, each in outcomes.items() if not each.kind.final} - left
        assert len(left) <= unknown, left
        assert done <= claimed | left, "done, and no outcome says so"
        assert not claimed - done, "claimed, and not done by us; an intent is not a call"
        for key, each in outcomes.items():
            if each.kind is OutcomeKind.ABSENT:
                assert key not in self.there
            if each.kind is OutcomeKind.BLOCKED:
                assert key not in done
        return outcomes


def _listed(vendor: str) -> Iterator[tuple[Record, bool]]:
    """Return a short list with every kind of trouble, and of each record whether it is there."""
    due = [item for item in seed.items(RECORDS, SEED) if item.due < "2026" and item.system != "unifier"]
    if vendor == "unifier":
        due = [item for item in seed.items(RECORDS, SEED) if item.due < "2026" and item.system == "unifier"]
    troubled = [item for item in due if item.trouble]
    sound = [item for item in due if not item.trouble]
    chosen = [*sound[:40], *troubled] if vendor == "opus" else [*troubled, *sound[: 10 - len(troubled)]]
    # Every third, so that trouble lies in every chunk.
    for item in (each for start in range(3) for each in chosen[start::3]):
        extra: dict[str, Any] = {}
        if vendor == "unifier":
            extra = {"location": item.folder_path, "attributes": {"project_number": item.project}}
        elif vendor == "opus":
            extra = {"attributes": {"due_before": "2026-01-01T00:00:00"}}
        elif vendor == SEARCHED:
            extra = {"attributes": {"object_type": item.object_type}}
        record = Record.from_item({"key": item.key, "target_id": item.target_id, "title": item.title, **extra})
        yield record, vendor == "opus" or item.trouble != "gone"


@contextmanager
def crash_run(vendor: str, folder: Any, *, blind: int = 0, timeout: float = 5.0, **options: Any) -> Iterator[CrashRun]:
    """Serve a sandbox with a short list of one system.

    :param folder: where the evidence goes.
    :param blind: number of records of Unifier without a folder, which cannot be probed.
    :param timeout: of the connection, in seconds.
    :param options: arguments of the operator.
    """
    sandbox = build()
    if vendor == SEARCHED:
        sandbox.vendors["enaio"].turn({"version": "6.5.0"})
    listed = list(_listed(vendor))
    records = [record for record, _ in listed]
    if vendor == "unifier":
        records[:blind] = [Record(record.key, record.target_id) for record in records[:blind]]
    manifest = Manifest.write(Store(str(folder)), (record.to_dict() for record in records))
    with Server(sandbox) as server:
        known = connections(sandbox, server.url)
        for connection in known.values():
            connection["extra"] |= {"timeout": timeout}
        env = connection_variables(known) | {
            "AIRFLOW__RECORDS__EVIDENCE_PATH": f"file://{folder}",
            "HINTS": f"{folder}.hints",
        }
        made = CrashRun(vendor, sandbox, server.url, manifest, env, {"concurrency": 1, **options})
        made.there = {made.id_of(record) for record, there in listed if there}
        yield made
