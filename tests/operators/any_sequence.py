"""Any sequence of runs, clears, maps, kills, rehearsals and changes; the sandboxes' own logs are the truth."""

from __future__ import annotations

import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.client.transport import Transport
from airflow_provider_records.demo import connection_variables
from airflow_provider_records.evidence.binding import intended
from airflow_provider_records.evidence.folders import TaskFolder, run_folder
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.segment import INTENTS, load_segments
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import CertificateUnfinishedError, RecordsError
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.reporting.verify import verify
from airflow_provider_records.sandbox.build import build, connections
from airflow_provider_records.sandbox.core import Entry, Fault, Sandbox
from airflow_provider_records.sandbox.enaio_archive import Archive
from airflow_provider_records.sandbox.opus_record import ConnectorRecord
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR
from airflow_provider_records.sandbox.server import Server
from airflow_provider_records.task.context import evidence_store
from tests.operators.factories import DagRun, context

IDS = ("1001", "1002", "1003", "1004", "1005")
FOLDER, WITNESS = "900", "901"
"""Objects that are on no list, and show that the account sees something."""

DAG = "night"
RUNS = ("monday", "tuesday")
TASKS = (("delete", -1), ("parts", 0), ("parts", 1))
DONE = {OutcomeKind.DESTROYED, OutcomeKind.RECYCLED}
MAY_HIDE_A_DELETE = DONE | {OutcomeKind.FAILED, OutcomeKind.UNKNOWN}
EFFECTS = {"destroyed": "destroyed", "recycled": "recycled", "marked": "destroyed", "marked_again": "destroyed"}
"""What the outcome of each effect is called."""

CALLS = {"enaio": "delete_object", "opus": "destroy_records"}
LOOKS = {"enaio": ("get_object", "search"), "opus": ("due_records",)}


class KilledError(BaseException):
    """The process is gone."""


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with a try.

    :param fault: members of a fault of the system.
    :param death: at which file or request the process dies, from 1; 0: at none.
    :param stop: at which file or request the task is stopped.
    :param after: after that step; False: before it.
    :param intended: the process dies as soon as intents are published, before any call of them leaves.
    """

    fault: dict[str, Any] = field(default_factory=dict)
    death: int = 0
    stop: int = 0
    after: bool = False
    intended: bool = False


@dataclass(frozen=True)
class Plan:
    """What the DAG says of a task."""

    ids: tuple[str, ...]
    hard_delete: bool = True
    conn_id: str = "enaio_default"
    dry_run: bool = False
    verify: bool = True


several = st.lists(st.sampled_from(IDS), min_size=2, unique=True).map(tuple)
lists = st.one_of(several, several, several, several, st.lists(st.sampled_from(IDS), max_size=1).map(tuple))
plans = st.builds(
    Plan,
    ids=lists,
    hard_delete=st.sampled_from([True, True, False]),
    conn_id=st.sampled_from(["enaio_default"] * 5 + ["enaio_other"]),
    dry_run=st.sampled_from([False] * 6 + [True]),
    verify=st.booleans(),
)
steps = st.integers(1, 30)
ways = st.sampled_from([{"drop": True}, {"status": 500}, {"status": 503}, {"drop": True, "times": 3}])
skips = st.integers(0, 2)
lost_deletes = st.builds(
    lambda effect, way, skip: {"call": "delete", "act": effect, "skip": skip, **way}, st.booleans(), ways, skips
)
lost_looks = st.builds(lambda way, skip: {"call": "look", "act": False, "skip": 4 * skip, **way}, ways, skips)
troubles = st.one_of(
    st.just(Trouble()),
    st.builds(Trouble, fault=lost_deletes),
    st.builds(Trouble, fault=lost_deletes),
    st.builds(Trouble, fault=lost_looks),
    st.just(Trouble(intended=True)),
    st.builds(Trouble, death=steps, after=st.booleans()),
    st.builds(Trouble, fault=lost_deletes, death=steps, after=st.booleans()),
    st.builds(Trouble, stop=steps, after=st.booleans()),
)
runs = st.sampled_from(RUNS)
tasks = st.sampled_from(TASKS)


class Process:
    """Ends a try at one of its steps: from then on it writes nothing and sends nothing.

    :param trouble: at which step it ends.
    """

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        self.stop: Callable[[], object] = lambda: None
        self.dead = False
        self._step = 0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Wrap a file that is written, or a request."""
        if self.dead:
            raise KilledError
        self._step += 1
        number = self._step
        self._at(number, after=False)
        yield
        if self.dead:
            raise KilledError
        self._at(number, after=True)

    def _at(self, number: int, *, after: bool) -> None:
        if after is not self.trouble.after:
            return
        if number == self.trouble.stop:
            self.stop()
        if number == self.trouble.death:
            self.dead = True
            raise KilledError

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Run a try in this process."""
        draft, send = Store._draft, Transport.send_once

        @contextmanager
        def _draft(store: Store, name: str) -> Iterator[Any]:
            with self.step(), draft(store, name) as file:
                yield file
            if self.trouble.intended and name.endswith(f"-{INTENTS}.jsonl"):
                self.dead = True
                raise KilledError

        def send_once(transport: Transport, request: Any) -> Any:
            with self.step():
                response = send(transport, request)
            return response

        with patch.object(Store, "_draft", _draft), patch.object(Transport, "send_once", send_once):
            yield


@dataclass
class World:
    """Two archives with objects of the same numbers, and one Opus.

    :param hosts: the sandboxes by the URL that they are served at; the first one has the Opus.
    """

    hosts: dict[str, Sandbox]

    def reset(self, version: str) -> None:
        """Begin anew.

        :param version: that of enaio's service; only from 6.3.1 on it names types, so that searches show objects.
        """
        for sandbox in self.hosts.values():
            sandbox.log.clear()
            sandbox.faults.clear()
            enaio: Any = sandbox.vendors["enaio"]
            opus: Any = sandbox.vendors["opus"]
            enaio.archives["first"] = Archive()
            enaio.turn({"version": version})
            enaio.archive.add(FOLDER, "File", base="FOLDER")
            for id_ in (*IDS, WITNESS):
                enaio.archive.add(id_, "Invoice", fields={"Title": f"Invoice {id_}"}, places=[FOLDER])
            opus.connections = {ENAIO_CONNECTOR: []}
            opus._by_key = {}
            for id_ in IDS:
                old = "2010-01-01 00:00:00"
                due = "2020-01-01T00:00:00"
                opus._add(ConnectorRecord(f"K{id_}", ENAIO_CONNECTOR, id_, "Term", old, old, "a", "a", due))

    def connections(self) -> dict[str, dict[str, Any]]:
        here, other = (connections(sandbox, url) for url, sandbox in self.hosts.items())
        known = {"enaio_default": here["enaio_default"], "enaio_other": other["enaio_default"],
                 "opus_default": here["opus_default"]}  # fmt: skip
        for each in known.values():
            each["extra"] |= {"max_concurrency": 1}
        return known

    def there(self, system: str, target: str, id_: str, *, binned: bool = False) -> bool:
        """Tell whether a record can be disposed of.

        :param binned: also what lies in the recycle bin of the account.
        """
        vendor: Any = self.sandbox(target).vendors[system]
        if system == "opus":
            return bool(vendor.records(id_)[0].status == "Active")
        found = vendor.archive.objects.get(id_)
        return found is not None and found.bin in ({"", vendor.user} if binned else {""})

    def sandbox(self, target: str) -> Sandbox:
        return next(sandbox for url, sandbox in self.hosts.items() if target.startswith(url))

    def log(self) -> list[tuple[str, Entry]]:
        return [(url, entry) for url, sandbox in self.hosts.items() for entry in sandbox.log]


class TaskState(dict[str, str]):
    """What Airflow keeps of a task instance through kills."""

    def set(self, key: str, value: str) -> None:
        self[key] = value


Instance = tuple[str, str, int]
"""Run, task and map index."""
Thing = tuple[str, str, str]
"""URL of the host, system, and id."""


class AnySequence(RuleBasedStateMachine):
    """What a DAG's author, users of Airflow, the machines and other people may do in any order."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="records-sequence-")
        os.environ["AIRFLOW__RECORDS__EVIDENCE_PATH"] = f"file://{self._folder.name}"
        self.store = evidence_store()
        self.tries: dict[Instance, int] = defaultdict(int)
        self.started: dict[str, datetime] = {run: datetime(2026, 11, 22, 4, 30, tzinfo=UTC) for run in RUNS}
        self.given: dict[Instance, Plan] = {}
        self.xcoms: dict[Instance, Any] = {}
        self.states: dict[Instance, TaskState] = defaultdict(TaskState)
        self.effects: dict[Instance, dict[Thing, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.seen_alive: dict[Instance, set[Thing]] = defaultdict(set)
        self.certificates: dict[str, Path] = {}
        self.said: list[str] = []

    def teardown(self) -> None:
        try:
            for run in RUNS:
                self._certify(run, Trouble())
                self._check_old_certificate(run)
        finally:
            self._folder.cleanup()

    @initialize(
        version=st.sampled_from(["6.2.1", "6.5.0"]),
        gone=st.one_of(st.none(), st.tuples(st.sampled_from(IDS), st.booleans())),
        run=runs,
        task=tasks,
        plan=plans,
        trouble=troubles,
    )
    def first_run(
        self,
        version: str,
        gone: tuple[str, bool] | None,
        run: str,
        task: tuple[str, int],
        plan: Plan,
        trouble: Trouble,
    ) -> None:
        self.world.reset(version)
        if gone:
            self.somebody_deletes(*gone)
        self._dispose((run, *task), plan, trouble)

    @rule(run=runs, task=tasks, plan=plans, trouble=troubles)
    def run(self, run: str, task: tuple[str, int], plan: Plan, trouble: Trouble) -> None:
        self._dispose((run, *task), plan, trouble)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), trouble=troubles)
    def try_again(self, data: st.DataObject, trouble: Trouble) -> None:
        instance = data.draw(st.sampled_from(sorted(self.given)), "again")
        self._dispose(instance, self.given[instance], trouble)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), trouble=troubles, dry_run=st.booleans())
    def rehearse_or_not(self, data: st.DataObject, trouble: Trouble, dry_run: bool) -> None:
        instance = data.draw(st.sampled_from(sorted(self.given)), "rehearse")
        self._dispose(instance, replace(self.given[instance], dry_run=dry_run), trouble)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), trouble=troubles, plan=plans, what=st.sampled_from(["ids", "hard_delete", "conn_id"]))
    def change(self, data: st.DataObject, trouble: Trouble, plan: Plan, what: str) -> None:
        instance = data.draw(st.sampled_from(sorted(self.given)), "changed")
        self._dispose(instance, replace(self.given[instance], **{what: getattr(plan, what)}), trouble)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), run=runs, trouble=troubles)
    def same_elsewhere(self, data: st.DataObject, run: str, trouble: Trouble) -> None:
        """Another run, or another task, works on the same objects."""
        plan = self.given[data.draw(st.sampled_from(sorted(self.given)), "as")]
        self._dispose((run, *data.draw(tasks)), plan, trouble)

    @precondition(lambda self: self.xcoms)
    @rule(data=st.data(), forgets=st.booleans())
    def clear(self, data: st.DataObject, forgets: bool) -> None:
        """Clear a task; from 3.4 on Airflow then forgets the task's state as well."""
        instance = data.draw(st.sampled_from(sorted(self.xcoms)), "cleared")
        self.xcoms[instance] = None
        if forgets:
            self.states.pop(instance, None)

    @rule(run=runs)
    def create_anew(self, run: str) -> None:
        """Delete the run in Airflow and trigger it again under the same id."""
        self.started[run] += timedelta(days=1)
        for instance in {*self.tries, *self.xcoms}:
            if instance[0] == run:
                self.tries.pop(instance, None)
                self.xcoms.pop(instance, None)
                self.states.pop(instance, None)

    @rule(id_=st.sampled_from(IDS), person=st.booleans())
    def delete_elsewhere(self, id_: str, person: bool) -> None:
        self.somebody_deletes(id_, person)

    def somebody_deletes(self, id_: str, person: bool) -> None:
        """Somebody else deletes an object, or moves it to a recycle bin of theirs."""
        enaio: Any = next(iter(self.world.hosts.values())).vendors["enaio"]
        if found := enaio.archive.objects.get(id_):
            enaio.archive.recycle(found, "anna") if person else enaio.archive.destroy(found)

    @precondition(lambda self: any(self.xcoms.values()))
    @rule(run=runs, trouble=troubles, accept=st.sampled_from([("destroyed",), ("destroyed", "recycled", "absent")]))
    def mark(self, run: str, trouble: Trouble, accept: tuple[str, ...]) -> None:
        given = [each for (of, task, _), each in sorted(self.xcoms.items()) if of == run and task != "mark" and each]
        if given:
            operator = OpusDestroyRecordsOperator(
                task_id="mark", records=given, require_approval=False, accept=accept, max_failure_rate=1.0
            )
            self._execute((run, "mark", -1), operator, trouble)

    @rule(run=runs, trouble=troubles)
    def certify(self, run: str, trouble: Trouble) -> None:
        self._certify(run, replace(trouble, fault={}))

    # How

    def _dispose(self, instance: Instance, plan: Plan, trouble: Trouble) -> None:
        self.given[instance] = plan
        operator = EnaioDeleteObjectOperator(
            task_id=instance[1],
            records=[{"key": f"K{id_}", "target_id": id_} for id_ in plan.ids],
            hard_delete=plan.hard_delete,
            enaio_conn_id=plan.conn_id,
            dry_run=plan.dry_run,
            verify=plan.verify,
            require_approval=False,
            max_failure_rate=1.0,
        )
        self._execute(instance, operator, trouble)

    def _execute(self, instance: Instance, operator: Any, trouble: Trouble) -> Any:
        """Run one try, and hold what it says against the log."""
        process = Process(trouble)
        process.stop = operator.on_kill
        before = {(url, entry.seq) for url, entry in self.world.log()}
        if trouble.fault:
            call = trouble.fault["call"]
            names = [CALLS[operator.system_name]] if call == "delete" else LOOKS[operator.system_name]
            for sandbox in self.world.hosts.values():
                sandbox.faults += [Fault(**{**trouble.fault, "call": name}) for name in names]
        alive = {
            (url, system, id_)
            for url in self.world.hosts
            for system in CALLS
            for id_ in (IDS if system == "enaio" else [f"K{each}" for each in IDS])
            if self.world.there(system, url, id_, binned=getattr(operator, "hard_delete", False))
        }
        reference: Any = None
        try:
            with process.alive():
                reference = self._try(instance, operator)
        except KilledError:
            pass
        for sandbox in self.world.hosts.values():
            sandbox.faults.clear()
        new = [(url, entry) for url, entry in self.world.log() if (url, entry.seq) not in before]
        for url, entry in new:
            for effect in entry.effects:
                self.effects[instance][url, entry.vendor, str(effect["id"])].add(EFFECTS[effect["effect"]])
            if entry.call in LOOKS.get(entry.vendor, ()) and entry.status == 200:
                shown = {thing for thing in alive if thing[:2] == (url, entry.vendor)}
                self.seen_alive[instance] |= {
                    thing for thing in shown if entry.vendor == "opus" or thing[2] in entry.path + entry.request
                }
        if isinstance(reference, dict):
            self.xcoms[instance] = reference
            self._check(instance, Disposal.read(self.store, reference["disposal"]))
        return reference

    def _context(self, instance: Instance, operator: Any) -> Any:
        run, _, map_index = instance
        self.tries[instance] += 1
        given = context(operator, self.tries[instance], map_index=map_index, run_id=run, dag_id=DAG)
        facts = {"dag_run": DagRun(self.started[run], self.started[run]), "task_state_store": self.states[instance]}
        return given | facts

    def _try(self, instance: Instance, operator: Any) -> Any:
        given = self._context(instance, operator)
        try:
            return operator.execute(given)
        except (AirflowFailException, RecordsError):
            return given["ti"].pushed.get("return_value")

    def _certify(self, run: str, trouble: Trouble) -> None:
        given = [each for (of, _, _), each in sorted(self.xcoms.items()) if of == run]
        operator = DestructionCertificateOperator(task_id="certificate", disposals=given, require_complete=False)
        process = Process(trouble)
        reference: Any = None
        try:
            with process.alive():
                reference = operator.execute(self._context((run, "certificate", -1), operator))
        except (KilledError, AirflowFailException, RecordsError):
            pass
        if reference is not None:
            path = Path(reference["certificate"].removeprefix("file://"))
            self.certificates[run] = path
            report = verify(path)
            assert report.ok, report.problem
            self._check_certificate(run, json.loads(path.read_bytes()))

    # What must be true

    def _check(self, instance: Instance, disposal: Disposal) -> dict[str, Outcome]:
        """Hold the outcomes of one disposal against the log."""
        found = {}
        manifest = Manifest.open(self.store, disposal.digest)
        for record, outcome in zip(manifest, disposal.each_outcome(self.store), strict=True):
            found[record.key] = outcome
            if not disposal.dry_run:
                self._check_outcome(instance, disposal, record, outcome)
        if disposal.dry_run:
            assert not {each.kind for each in found.values()} & DONE
        return found

    def _check_outcome(self, instance: Instance, disposal: Disposal, record: Record, outcome: Outcome) -> None:
        url = next(url for url in self.world.hosts if disposal.target.startswith(url))
        thing = (url, disposal.system, record.key if disposal.system == "opus" else record.target_id)
        own = self.effects[instance][thing]
        said = f"{instance}: {outcome} of {thing}, own deletes: {own or 'none'}"
        if outcome.kind in DONE:
            if outcome.proof is Proof.INFERRED:
                assert thing in self.seen_alive[instance], f"never seen alive: {said}"
                assert not self.world.there(disposal.system, url, thing[2]), f"still there: {said}"
            else:
                assert outcome.kind in own, f"claimed without an own delete: {said}"
            if outcome.kind not in own:
                others = [of for of, did in self.effects.items() if of != instance and outcome.kind in did[thing]]
                assert disposal.system == "opus" or not others, f"another one's delete ({others}): {said}"
        if own:
            assert outcome.kind in MAY_HIDE_A_DELETE, f"an own delete is hidden: {said}"

    def _check_certificate(self, run: str, document: dict[str, Any]) -> None:
        """A certificate that verifies holds all that the journals of its run hold."""
        files = {each["name"] for each in document["files"]}
        entries = {TaskFolder.containing(each["file"]): each for each in document["disposals"]}
        missing = {each["task"] for each in document["missing_disposals"]}
        for folder, names in self._journals(run).items():
            if folder.path in missing:
                assert not document["complete"]
                assert not self._is_summed_up(folder), f"{folder.path} is called missing"
                continue
            if not any(name.endswith(f"-{INTENTS}.jsonl") for name in names):
                continue
            assert folder in entries, f"{folder.path} is left out"
            assert names <= files, f"left out: {names - files}"
            sessions = {name.split("/")[-2] for name in names}
            assert sessions == {each["session"] for each in entries[folder]["journal"]}
        for instance in [each for each in self.effects if each[0] == run and any(self.effects[each].values())]:
            folder = TaskFolder.of(DAG, *instance)
            if folder.path in missing:
                continue
            disposal = Disposal.read(self.store, self.store.uri(entries[folder]["file"]))
            outcomes = self._check(instance, disposal)
            for url, system, id_ in (thing for thing, did in self.effects[instance].items() if did):
                assert disposal.target.startswith(url)
                assert disposal.system == system
                assert (id_ if system == "opus" else f"K{id_}") in outcomes

    def _is_summed_up(self, folder: TaskFolder) -> bool:
        """Tell whether the newest session of a journal, which intended something, has a summary."""
        segments = load_segments(self.store, folder.journal)
        if not intended(segments):
            return False
        newest = max((each.header["started"], each.header["try"]) for each in segments)
        names = [each for each in self.store.names(folder.path) if each.endswith("/disposal.json")]
        summaries = [Disposal.read(self.store, self.store.uri(each)) for each in names]
        return newest in {(each.provenance.run_started_at, each.provenance.try_number) for each in summaries}

    def _journals(self, run: str) -> dict[TaskFolder, set[str]]:
        found: dict[TaskFolder, set[str]] = defaultdict(set)
        for name in self.store.names(run_folder(DAG, run)):
            if (folder := TaskFolder.containing(name)).is_journal(name):
                found[folder].add(name)
        return found

    def _check_old_certificate(self, run: str) -> None:
        """A certificate that later tries left behind says so, or does not verify."""
        if run not in self.certificates:
            return
        try:
            report = verify(self.certificates[run])
        except CertificateUnfinishedError:
            return
        if report.ok:
            files = {each["name"] for each in json.loads(self.certificates[run].read_bytes())["files"]}
            for folder, names in self._journals(run).items():
                assert names <= files or any(folder.path in note for note in report.notes), folder.path


def run_sequences(monkeypatch: pytest.MonkeyPatch, number: int, steps: int = 8, *, by_chance: bool = False) -> None:
    """Try sequences.

    :param number: how many.
    :param steps: how many steps each has at most.
    :param by_chance: others each time; what breaks a rule is shown in its shortest form, which takes minutes.
    """
    here, other = build(0), build(0)
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", "")  # each sequence sets its own
    chosen = settings(
        max_examples=number,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=not by_chance,
        phases=[Phase.generate, *([Phase.shrink] if by_chance else [])],
        suppress_health_check=list(HealthCheck),
    )
    with Server(here) as first, Server(other) as second:
        world = World({first.url: here, second.url: other})
        for name, value in connection_variables(world.connections()).items():
            monkeypatch.setenv(name, value)
        run_state_machine_as_test(type("Sequence", (AnySequence,), {"world": world}), settings=chosen)
