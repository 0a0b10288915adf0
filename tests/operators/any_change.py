"""Any change between any two requests of a disposal; the sandbox's own log is the truth.

People hold, withdraw, move dates, rename, move, delete, take rights, and put another archive behind the address. What
an answer showed at the last look before a call must let the call leave; what an outcome claims must be what was done.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.demo import connection_variables
from airflow_provider_records.evidence import due_reading
from airflow_provider_records.evidence import hold as hold_module
from airflow_provider_records.evidence.approval import Approval, Rejection
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.hold import HoldRegister
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Covered, Order
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof, now
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import RecordsError
from airflow_provider_records.execution import recheck, runner
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.sandbox.build import build, connections
from airflow_provider_records.sandbox.core import Entry, Fault, Sandbox
from airflow_provider_records.sandbox.enaio_archive import Archive
from airflow_provider_records.sandbox.message import Call
from airflow_provider_records.sandbox.opus_record import ConnectorRecord
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR
from airflow_provider_records.sandbox.server import Server
from airflow_provider_records.sandbox.unifier import Document, Folder
from airflow_provider_records.systems.enaio import EnaioSystem
from airflow_provider_records.systems.unifier import UnifierSystem
from airflow_provider_records.task.context import evidence_store
from tests.operators.factories import DAG_ID, RUN_ID, context

IDS = tuple(str(number) for number in range(1001, 1011))
WITNESS = "9001"
"""Alive and on no list."""
DUE = "2020-01-01T00:00:00"
BEFORE = "2026-11-01T00:00:00"
BP = ("P-1", "Disposal Request", "DR-1")
TOMORROW = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
DONE = {OutcomeKind.DESTROYED, OutcomeKind.RECYCLED}
ABOUT_ONE = ("register", "hold", "retain", "rename", "move", "hide", "delete", "bin", "due", "field")
ABOUT_ALL = ("withdraw", "blind", "other_archive", "empty_archive")
BLINDING = {"hide", "blind", "other_archive", "empty_archive"}
"""After these an unanswered call may seem to have taken effect."""


@dataclass(frozen=True)
class Change:
    """What somebody does.

    :param at: before which request, from 1.
    :param what: one of :data:`ABOUT_ONE`, :data:`ABOUT_ALL`.
    :param id_: of the object that it is about.
    :param lasts: number of requests after which it is taken back; 0: never.
    """

    at: int
    what: str
    id_: str = IDS[0]
    lasts: int = 0


@dataclass(frozen=True)
class Night:
    """One disposal.

    :param system: ``enaio`` or ``unifier``.
    :param source: where the approval comes from: ``person``, ``unifier`` or ``enaio``.
    :param chunk: number of calls whose intents stand together.
    :param look: number of records that one look takes.
    :param switches: of the system.
    :param typed: whether the list names the object types.
    :param fresh: whether each chunk reads the due list.
    :param fault: what goes wrong with a delete.
    """

    system: str
    changes: tuple[Change, ...]
    source: str
    chunk: int
    look: int
    switches: Mapping[str, Any]
    typed: bool
    fresh: bool
    fault: Mapping[str, Any] | None
    verify: bool
    hard_delete: bool


def _fault(act: bool, how: dict[str, Any], skip: int) -> dict[str, Any]:
    return {"act": act, "skip": skip, **how}


faults = st.builds(
    _fault, st.booleans(), st.sampled_from([{"drop": True}, {"status": 500}, {"status": 503}]), st.integers(0, 6)
)
lasting = st.sampled_from([0, 0, 1, 3, 10])
changes = st.one_of(
    st.builds(Change, st.integers(1, 50), st.sampled_from(ABOUT_ONE), st.sampled_from(IDS), lasting),
    # An archive that comes for one request, or for two, in the midst of a look, no client can tell from its own.
    st.builds(Change, st.integers(1, 50), st.sampled_from(ABOUT_ALL), lasts=st.sampled_from([0, 0, 5, 12])),
)
switches = {
    "enaio": st.fixed_dictionaries(
        {
            "version": st.sampled_from(["6.2.1", "6.5.0"]),
            "search_ids": st.sampled_from(["any", "any", "lists", "neither"]),
            "search_more": st.sampled_from(["truth", "truth", "always", "never"]),
        }
    ),
    "unifier": st.fixed_dictionaries(
        # Where a second delete is answered like the first one, nothing tells whose it was.
        {"second_delete": st.just(12764), "binned_listed": st.sampled_from([False, False, True])}
    ),
}


def nights(system: str) -> st.SearchStrategy[Night]:
    """Return disposals against one system."""
    return st.builds(
        Night,
        system=st.just(system),
        changes=st.lists(changes, min_size=1, max_size=4).map(tuple),
        source=st.sampled_from(["person", "unifier", *(["enaio"] if system == "enaio" else [])]),
        chunk=st.sampled_from([1, 2, 8]),
        look=st.sampled_from([1, 2, 8, 199]),
        switches=switches[system],
        typed=st.booleans(),
        fresh=st.booleans(),
        fault=st.one_of(st.none(), faults),
        verify=st.booleans(),
        hard_delete=st.sampled_from([True, True, False]),
    )


@dataclass(frozen=True)
class Shown:
    """What an answer about one object shows.

    :param there: whether it shows the object.
    :param obstacle: why the object must not be deleted; empty: nothing speaks against it.
    """

    there: bool
    obstacle: str = ""


@dataclass(frozen=True)
class Event:
    """One request, or one look at what the store holds.

    :param kind: ``request``, ``register`` or ``rejections``.
    :param number: of the request in the sandbox's log.
    :param objects: what each object was like.
    :param approves: whether the source approved each object.
    :param due: ids of what was on the due list.
    :param barred: of a look at the store: ids that must not be deleted.
    :param asked: of a look at the store: ids that it was about.
    """

    kind: str
    number: int = 0
    objects: Mapping[str, Shown] = field(default_factory=dict)
    approves: frozenset[str] = frozenset()
    due: frozenset[str] = frozenset()
    barred: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()


class People(Fault):
    """Acts right before chosen requests, and remembers what everything was like at each request."""

    def __init__(self, world: World, changes: Sequence[Change]) -> None:
        super().__init__(times=None)
        self._world = world
        self._left = [(change.at, change.what, change.id_, True) for change in changes]
        self._left += [(each.at + each.lasts, each.what, each.id_, False) for each in changes if each.lasts]
        self._left.sort()

    def hits(self, vendor: str, name: str, call: Call) -> bool:
        """Apply to no request."""
        number = len(self._world.sandbox.log)
        while self._left and self._left[0][0] <= number:
            _, what, id_, begins = self._left.pop(0)
            self._world.change(what, id_, begins)
        self._world.note_request(number)
        return False


class World:
    """The sandbox of one night, and what people did in it.

    :param sandbox: is served.
    """

    def __init__(self, sandbox: Sandbox, night: Night) -> None:
        self.sandbox, self.night = sandbox, night
        vendors: dict[str, Any] = dict(sandbox.vendors)
        self.enaio, self.unifier, self.opus = (vendors[name] for name in ("enaio", "unifier", "opus"))
        self.events: list[Event] = []
        self.in_force: set[tuple[str, str]] = set()
        self.withdrawn = False
        self.gone_elsewhere: set[str] = set()
        self.digest = ""
        self.store: Store = evidence_store()
        sandbox.log.clear()
        sandbox.faults.clear()
        for vendor in (self.enaio, self.unifier, self.opus):
            vendor.turn({name: switch.values[0] for name, switch in vendor.switches.items()})
        self.opus.turn({"list_held": False})
        self.enaio.archives = {"first": Archive(), "second": Archive()}
        self.enaio.turn({"unreadable": "400", "binned_get": "400", "tenant": "first"})
        self.sandbox.vendors[night.system].turn(night.switches)
        self._fill_enaio(self.enaio.archives["first"], "Invoice")
        self.first: dict[int, Document] = _documents("Plan")
        self.unifier.shells, self.unifier.links = {"P-1": "Active"}, set()
        self.unifier.folders = {1: Folder(1, "P-1", "/Closed"), 2: Folder(2, "P-1", "/Elsewhere")}
        self.unifier.documents = self.first
        self.unifier.open_request(BP[0], BP[2], bpname=BP[1], status="Approved")
        self.opus.connections, self.opus._by_key = {ENAIO_CONNECTOR: []}, {}
        for id_ in IDS:
            old = "2010-01-01 00:00:00"
            self.opus._add(ConnectorRecord(f"K{id_}", ENAIO_CONNECTOR, id_, "Term", old, old, "a", "a", DUE))

    def _fill_enaio(self, archive: Archive, title: str) -> None:
        for id_ in (*IDS, WITNESS):
            fields = {"Title": f"{title} {id_}", "Disposal": "approved", "Held": "", "Keep": "2019-12-31"}
            archive.add(id_, "Invoice", fields=fields)

    # What people do

    def change(self, what: str, id_: str, begins: bool) -> None:
        """Do something, or take it back."""
        self.in_force = self.in_force | {(what, id_)} if begins else self.in_force - {(what, id_)}
        act: Callable[[str, bool], None] = getattr(self, f"_{what}")
        act(id_, begins)

    def _register(self, id_: str, begins: bool) -> None:
        register = HoldRegister(self.store)
        if begins:
            register.add(f"K{id_}", "lawsuit", "os:legal")
        elif register.standing():
            register.release([f"K{id_}"], "over", "os:legal")

    def _set(self, id_: str, name: str, value: str) -> None:
        if id_ in self.enaio.archive.objects:
            self.enaio.set_field(id_, name, value)

    def _hold(self, id_: str, begins: bool) -> None:
        self._set(id_, "Held", "yes" if begins else "")

    def _retain(self, id_: str, begins: bool) -> None:
        self._set(id_, "Keep", TOMORROW if begins else "2019-12-31")

    def _field(self, id_: str, begins: bool) -> None:
        self._set(id_, "Disposal", "rejected" if begins else "approved")

    def _rename(self, id_: str, begins: bool) -> None:
        self._set(id_, "Title", f"{'Another' if begins else 'Invoice'} {id_}")
        if document := self.unifier.documents.get(int(id_)):
            document.path = f"{document.path.rpartition('/')[0]}/{'Another' if begins else 'Plan'} {id_}"

    def _move(self, id_: str, begins: bool) -> None:
        if document := self.unifier.documents.get(int(id_)):
            name = document.path.rpartition("/")[2]
            document.parent_id, document.path = (2, f"/Elsewhere/{name}") if begins else (1, f"/Closed/{name}")

    def _hide(self, id_: str, begins: bool) -> None:
        if found := self.enaio.archive.objects.get(id_):
            found.no_read = {self.enaio.user} if begins else set()

    def _delete(self, id_: str, begins: bool) -> None:
        self._note_elsewhere(id_)
        if begins and (found := self.enaio.archive.objects.get(id_)):
            self.enaio.archive.destroy(found)
        if document := self.unifier.documents.get(int(id_)) if begins else None:
            document.binned = True

    def _note_elsewhere(self, id_: str) -> None:
        """Remember what people removed from another archive: it is not there, which is all that an answer can say."""
        if self.enaio.set["tenant"] == "second":
            self.gone_elsewhere.add(id_)

    def _bin(self, id_: str, begins: bool) -> None:
        self._note_elsewhere(id_)
        if (found := self.enaio.archive.objects.get(id_)) and found.bin in {"", "anna"}:
            found.bin = "anna" if begins else ""

    def _due(self, id_: str, begins: bool) -> None:
        self.opus.decide(f"K{id_}", "hold" if begins else "release")

    def _withdraw(self, _: str, begins: bool) -> None:
        if self.night.source == "unifier":
            self.unifier.set_status(*BP, "Reopened" if begins else "Approved")
        elif self.night.source == "enaio":
            for id_ in IDS:
                self._field(id_, begins)
        elif begins:
            self.withdrawn = True
            Rejection(self.digest, "ben", now(), {"kind": "test"}, dag_id=DAG_ID, run_id=RUN_ID).write(self.store)

    def _blind(self, id_: str, begins: bool) -> None:
        """Let the account see nothing; what Unifier tells it then, an error or an empty folder, is not documented."""
        self.enaio.turn({"reads": "nothing" if begins else "allowed"})
        if int(id_) % 2:
            self.unifier.turn({"reads": "nothing" if begins else "allowed"})
        else:
            for folder in self.unifier.folders.values():
                folder.binned = begins

    def _other_archive(self, _: str, begins: bool) -> None:
        """Put another archive behind the address, with the same ids."""
        self.enaio.archives["second"] = Archive()
        self._fill_enaio(self.enaio.archives["second"], "Letter")
        self._switch(begins, _documents("Letter"))

    def _empty_archive(self, _: str, begins: bool) -> None:
        """Put another archive behind the address, with other ids."""
        self.enaio.archives["second"] = Archive()
        fields = {"Title": "Letter 1", "Disposal": "", "Held": "", "Keep": ""}
        self.enaio.archives["second"].add("7001", "Invoice", fields=fields)
        self._switch(begins, {7001: Document(7001, 17001, 1, "P-1", "/Closed/Letter 1", "2010-01-01 00:00")})

    def _switch(self, begins: bool, documents: dict[int, Document]) -> None:
        self.enaio.turn({"tenant": "second" if begins else "first"})
        self.unifier.documents = documents if begins else self.first

    # What everything is like

    def note_request(self, number: int) -> None:
        """Remember what everything is like when a request arrives."""
        due = {row.leafName for row in self.opus.connections[ENAIO_CONNECTOR] if not row.held}
        blind = self.unifier.folders[1].binned or self.unifier.set["reads"] == "nothing"
        no_folder = self.night.system == "unifier" and blind
        shown = {} if no_folder else {id_: self._shown(id_) for id_ in IDS}
        approves = frozenset(id_ for id_ in IDS if self._approves(id_))
        self.events.append(Event("request", number, shown, approves, frozenset(due)))

    def _shown(self, id_: str) -> Shown:
        if self.night.system == "unifier":
            document = self.unifier.documents.get(int(id_))
            hidden = document is not None and document.binned and not self.unifier.set["binned_listed"]
            if document is None or hidden or document.parent_id != 1:
                return Shown(False)
            return Shown(True, "" if document.path == f"/Closed/Plan {id_}" else "another name")
        found = self.enaio.archive.objects.get(id_)
        if found is None or found.bin or found.no_read or self.enaio.set["reads"] == "nothing":
            return Shown(False)
        wrong = {
            "held": found.fields["Held"] != "",
            "another title": found.fields["Title"] != f"Invoice {id_}",
            "retained": found.fields["Keep"] == TOMORROW,
        }
        return Shown(True, ", ".join(name for name, holds in wrong.items() if holds))

    def _approves(self, id_: str) -> bool:
        if self.night.source == "unifier":
            return bool(self.unifier.records[BP].fields["status"] == "Approved")
        found = self.enaio.archive.objects.get(id_)
        return self.night.source != "enaio" or found is None or found.fields.get("Disposal") == "approved"

    def lives(self, id_: str) -> bool:
        """Tell whether the object of the list is there now, whoever may see it."""
        if self.night.system == "unifier":
            return not self.first[int(id_)].binned
        found = self.enaio.archives["first"].objects.get(id_)
        return found is not None and not found.bin

    # The disposal

    def run(self) -> tuple[Manifest, Disposal | None]:
        """Carry the list out, as often as Airflow would; return the newest summary."""
        manifest, reference = self._approved()
        found: Disposal | None = None
        night, delete = self.night, "delete_object" if self.night.system == "enaio" else "delete_document"
        self.sandbox.faults.append(People(self, night.changes))
        if night.fault:
            self.sandbox.faults.append(Fault(vendor=night.system, call=delete, **night.fault))
        register, rejections = recheck.HoldCheck.__call__, recheck.RejectionCheck.__call__

        def noted_register(check: recheck.HoldCheck, records: Sequence[Any]) -> dict[str, Outcome]:
            held = frozenset(id_ for what, id_ in self.in_force if what == "register")
            self.events.append(Event("register", barred=held, asked=frozenset(each.target_id for each in records)))
            return register(check, records)

        def noted_rejections(check: recheck.RejectionCheck, records: Sequence[Any]) -> dict[str, Outcome]:
            barred = frozenset(IDS) if self.withdrawn else frozenset[str]()
            self.events.append(Event("rejections", barred=barred, asked=frozenset(IDS)))
            return rejections(check, records)

        with (
            patch.object(recheck.HoldCheck, "__call__", noted_register),
            patch.object(recheck.RejectionCheck, "__call__", noted_rejections),
            patch.object(runner, "_BATCHES_PER_THREAD", night.chunk),
            patch.object(EnaioSystem, "look_size", night.look),
            patch.object(UnifierSystem, "look_size", night.look),
            patch.object(due_reading, "SERVES", 0.0 if night.fresh else 900.0),
            patch.object(hold_module, "_SHARE", 0),
        ):
            for number in (1, 2, 3):
                operator = self._operator(reference)
                given_ = context(operator, number)
                try:
                    pushed = operator.execute(given_)
                except AirflowFailException:
                    pushed, number = given_["ti"].pushed.get("return_value"), 3
                except RecordsError:
                    pushed = given_["ti"].pushed.get("return_value")
                found = Disposal.read(self.store, pushed["disposal"]) if pushed else found
                if number == 3 or (found and found.complete):
                    break
        return manifest, found

    def _operator(self, reference: dict[str, Any]) -> Any:
        common: dict[str, Any] = {
            "task_id": "delete",
            "records": reference,
            "verify": self.night.verify,
            "max_failure_rate": 1.0,
        }
        if self.night.system == "unifier":
            return UnifierDeleteDocumentOperator(**common, expect={"Name": "title"})
        return EnaioDeleteObjectOperator(
            **common,
            hard_delete=self.night.hard_delete,
            expect={"Title": "title"},
            hold_fields=["Held"],
            retention_field="Keep",
        )

    def _approved(self) -> tuple[Manifest, dict[str, Any]]:
        opus, night = OpusHook("opus_default"), self.night
        due_list = DueList(opus.conn_id, opus.target, ENAIO_CONNECTOR, BEFORE) if night.system == "enaio" else None
        manifest = Manifest.write(self.store, [self._record(id_) for id_ in IDS])
        self.digest = manifest.digest
        method = "destroy" if night.system == "enaio" and night.hard_delete else "recycle"
        hook: Any = EnaioHook("enaio_default") if night.system == "enaio" else UnifierHook("unifier_default")
        covered = Covered("delete", night.system, method, hook.target, hook.conn_id)
        times = ("2026-11-22T04:31:00.000Z", "2999-01-01T00:00:00.000Z")
        order = Order(manifest.digest, [covered], DAG_ID, RUN_ID, *times, due_list)
        order.write(self.store)
        bp: dict[str, Any] = dict(zip(("project_number", "bpname", "record_no"), BP, strict=True))
        sources: dict[str, dict[str, Any]] = {
            "person": {"kind": "test"},
            "enaio": {"kind": "enaio", "conn_id": "enaio_default", "field": "Disposal", "approved": ["approved"]},
            "unifier": {"kind": "unifier", "conn_id": "unifier_default", "status_field": "status", **bp}
            | {"approved": ["Approved"], "digest_field": None},
        }
        source = sources[night.source]
        who = "person" if night.source == "person" else "process"
        approval = Approval(manifest.digest, "anna", now(), source, approver_type=who, order=order.id)
        return manifest, manifest_reference(manifest, [approval.write(self.store)])

    def _record(self, id_: str) -> dict[str, Any]:
        record: dict[str, Any] = {"key": f"K{id_}", "target_id": id_}
        if self.night.system == "unifier":
            return {**record, "title": f"Plan {id_}", "location": "/Closed", "attributes": {"project_number": "P-1"}}
        attributes: dict[str, Any] = {"connector_id": ENAIO_CONNECTOR, "due_before": BEFORE}
        attributes |= {"object_type": "Invoice"} if self.night.typed else {}
        return {**record, "title": f"Invoice {id_}", "attributes": attributes}

    # What must be true

    def check(self, manifest: Manifest, disposal: Disposal | None) -> None:
        """Hold calls and outcomes against the log."""
        self._check_calls()
        if disposal is None:
            return
        assert not (disposal.complete and any(not self._is_decided(disposal, id_) for id_ in IDS))
        did: dict[str, set[str]] = {}
        for entry in self.sandbox.log:
            for effect in entry.effects:
                did.setdefault(str(effect["id"]), set()).add(effect["effect"])
        for record, outcome in zip(manifest, disposal.each_outcome(self.store), strict=True):
            own = did.get(record.target_id, set())
            said = (
                f"{outcome}; own effects {own or 'none'}, it {'lives' if self.lives(record.target_id) else 'is gone'}"
            )
            if outcome.kind in DONE and outcome.proof is not Proof.INFERRED:
                assert outcome.kind in own, f"claimed, and not done: {said}"
            # In Unifier nothing tells a document that was moved after a lost answer from one that was deleted.
            moved = any((each.what, each.id_) == ("move", record.target_id) for each in self.night.changes)
            inferred = outcome.proof is Proof.INFERRED and self.night.system == "unifier" and moved
            if outcome.kind in DONE and not inferred and not any(each.what in BLINDING for each in self.night.changes):
                assert own or not self.lives(record.target_id), f"it lives: {said}"
            if outcome.kind is OutcomeKind.ABSENT:
                assert not own, f"an own delete is hidden: {said}"
                assert not self.lives(record.target_id) or record.target_id in self.gone_elsewhere, f"it lives: {said}"
            elsewhere = any(each.what == "other_archive" for each in self.night.changes)  # where it is another object
            if own and not (elsewhere and outcome.kind is OutcomeKind.BLOCKED):
                assert outcome.kind in DONE | {OutcomeKind.FAILED, OutcomeKind.UNKNOWN}, f"hidden: {said}"

    def _is_decided(self, disposal: Disposal, id_: str) -> bool:
        return any(each.key == f"K{id_}" and each.kind.final for each in disposal.each_outcome(self.store))

    def _check_calls(self) -> None:
        looks: dict[str, Shown] = {}
        store: dict[str, dict[str, bool]] = {"register": {}, "rejections": {}}
        source: dict[str, bool] = {}
        due: list[tuple[int, frozenset[str]]] = []
        for event in self.events:
            if event.kind != "request":
                store[event.kind] |= {id_: id_ in event.barred for id_ in event.asked}
                continue
            entry = self.sandbox.log[event.number - 1]
            if entry.call in {"delete_object", "delete_document"}:
                id_ = entry.path.partition("?")[0].rpartition("/")[2]
                where = f"request {event.number} deletes {id_}"
                if self.night.source != "enaio":  # whose readings look like looks
                    assert id_ in looks, f"{where}, which no look showed"
                    assert looks[id_].there, f"{where}, which the last look did not show"
                    assert not looks[id_].obstacle, f"{where}, which the last look showed: {looks[id_].obstacle}"
                for name, barred in store.items():
                    assert not barred[id_], f"{where} against what the {name} said last"
                if self.night.source != "person":
                    assert source[id_], f"{where}, whose approval was withdrawn"
                if self.night.system == "enaio":
                    # Another thread reads ahead: the response to the request just before may be on its way still.
                    number = 3 if due and due[-1][0] == event.number - 1 else 2
                    shows = any(id_ in keys for _, keys in due[-number:])
                    assert shows, f"{where}, which is not due any more"
                continue
            looks |= {id_: event.objects[id_] for id_ in self._looked_at(entry) if id_ in event.objects}
            if entry.call == "due_records" and entry.status in {200, 204}:
                due.append((event.number, event.due))
            source |= {id_: id_ in event.approves for id_ in self._asked_of_source(entry)}

    def _asked_of_source(self, entry: Entry) -> list[str]:
        """Return the objects of which a request showed whether they are approved."""
        if entry.call == "get_bp_record":
            return list(IDS)
        if self.night.source == "enaio" and entry.call == "get_object":
            return [id_ for id_ in IDS if id_ in entry.path]
        if self.night.source == "enaio" and entry.call == "search" and entry.status == 200:
            query = json.loads(entry.request)["query"]
            shows = "Disposal" in query["statement"].partition(" FROM ")[0] and query["skipCount"] == 0
            return [id_ for id_ in IDS if shows and id_ in entry.request]
        return []

    def _looked_at(self, entry: Entry) -> list[str]:
        """Return the objects that a request showed, or showed not to be there, with all that forbids a delete."""
        if entry.call == "list_nodes" and self.night.system == "unifier":
            return list(IDS) if "Closed" in entry.path else []
        if self.night.system != "enaio":
            return []
        if entry.call == "search" and entry.status == 200:
            query = json.loads(entry.request)["query"]
            full = all(name in query["statement"].partition(" FROM ")[0] for name in ("Title", "Held", "Keep"))
            live = query["handleDeletedDocuments"] == "DELETED_DOCUMENTS_EXCLUDE" and query["skipCount"] == 0
            return [id_ for id_ in IDS if full and live and id_ in entry.request]
        if entry.call == "get_object" and self.night.source != "enaio":
            # A look into the bin may show what is alive, and that it shows nothing says nothing of what is alive.
            told = entry.status == 200 or "garbageMode" not in entry.path
            return [id_ for id_ in IDS if told and f"/{id_}?" in entry.path]
        return []


def _documents(name: str) -> dict[int, Document]:
    return {
        int(id_): Document(int(id_), int(id_) + 10000, 1, "P-1", f"/Closed/{name} {id_}", "2010-01-01 00:00")
        for id_ in (*IDS, WITNESS)
    }


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a sandbox that the connections of Airflow lead to."""
    sandbox = build(0)
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", "")  # each disposal sets its own
    with Server(sandbox) as server:
        known = connections(sandbox, server.url)
        for each in known.values():
            each["extra"] |= {"max_concurrency": 1}
        for name, value in connection_variables(known).items():
            monkeypatch.setenv(name, value)
        yield sandbox


def run_night(sandbox: Sandbox, night: Night) -> None:
    """Carry out one disposal with its changes, and hold what it says against the sandbox's log."""
    with tempfile.TemporaryDirectory(prefix="records-change-") as folder:
        os.environ["AIRFLOW__RECORDS__EVIDENCE_PATH"] = f"file://{folder}"
        world = World(sandbox, night)
        world.check(*world.run())


def run_changes(monkeypatch: pytest.MonkeyPatch, system: str, number: int, *, by_chance: bool = False) -> None:
    """Try changes.

    :param system: ``enaio`` or ``unifier``.
    :param number: how many disposals.
    :param by_chance: others each time; what breaks a rule is shown in its shortest form.
    """
    with served(monkeypatch) as sandbox:

        @settings(
            max_examples=number,
            deadline=None,
            database=None,
            derandomize=not by_chance,
            phases=[Phase.generate, *([Phase.shrink] if by_chance else [])],
            suppress_health_check=list(HealthCheck),
        )
        @given(night=nights(system))
        def tried(night: Night) -> None:
            run_night(sandbox, night)

        tried()
