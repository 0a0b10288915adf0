"""A served Unifier with three documents, and a disposal of them that is tried again and again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import Outcome
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.runner import Runner
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.sandbox.core import Fault
from airflow_provider_records.sandbox.seed import Item
from airflow_provider_records.sandbox.unifier import FakeUnifier
from airflow_provider_records.systems.unifier import UnifierSystem
from tests.conftest import Connect, Serve

DIGEST = "sha256:" + "0" * 64
BY_ID = {"parent_id": "540"}
BY_PATH = {"location": "/Closed/2014", "attributes": {"project_number": "P-0001"}}
IN_PROJECT = {"attributes": {"project_number": "P-0001"}}
NOWHERE: dict[str, Any] = {}
PLACES = pytest.mark.parametrize("place", [BY_ID, BY_PATH], ids=["by id", "by path"])


def item(node: int, title: str, trouble: str = "") -> Item:
    when = "2018-02-13 12:45:00"
    return Item(
        f"key-{node}", title, "Projects", when, when, "me", "2024-01-01T00:00:00", "guid", "unifier",
        str(node), "540", "/Closed/2014", project="P-0001", trouble=trouble,
    )  # fmt: skip


def record(node: object, place: dict[str, Any] = NOWHERE, **fields: Any) -> Record:
    return Record.from_item({"key": f"key-{node}", "target_id": str(node), **place, **fields})


class Office:
    """A served sandbox, and a disposal that is tried again and again."""

    def __init__(self, serve: Serve, connect: Connect, folder: Path) -> None:
        self.part = FakeUnifier()
        self.part.load([item(555, "Plan.pdf"), item(556, "Linked.pdf", "linked"), item(557, "Locked.pdf", "locked")])
        self.sandbox = (server := serve(self.part)).sandbox
        self.conn_id = connect(
            "unifier", server.url + "/unifier", self.part.user, self.part.password, max_concurrency=4
        )
        self.store = Store(str(folder))
        self.tries = 0

    def journal(self) -> Journal:
        self.tries += 1
        return Journal(
            self.store, TaskFolder("disposals/a/b/c/-1"), DIGEST, started="2026-01-01", try_number=self.tries
        )

    def system(self) -> UnifierSystem:
        return UnifierSystem(UnifierHook(self.conn_id))

    def looked(self, *records: Record) -> UnifierSystem:
        """Return a system that has looked at records, as before the calls of a chunk."""
        system = self.system()
        system.prepare(records, frozenset())
        system.observe(records)
        return system

    def try_(self, *records: Record, verify: bool = True, system: UnifierSystem | None = None) -> list[Outcome]:
        system = system or self.system()
        outcomes = list(Runner(system, self.journal(), Limits(), concurrency=4, verify=verify).run(records))
        remembered = {*system._observed, *system._missing, *system._not_shown}
        assert not any(outcome.kind.final for outcome in outcomes if outcome.key in remembered)
        return outcomes

    def die_after_the_call(self, *records: Record, prepared: bool = True, send: bool = True) -> None:
        """Leave what a worker leaves that is killed between the call and its answer."""
        journal, system = self.journal(), self.system()
        if prepared:
            system.prepare(records, frozenset())
            journal.record_observed(system.observe(records))
        journal.intend(record.key for record in records)
        if send:
            for one in records:
                system.hook.delete_document(one.target_id)

    def fault(self, call: str = "delete_document", **fault: Any) -> None:
        self.sandbox.faults.append(Fault("unifier", call, **fault))

    def answer(self, status: object, times: int | None = 1, act: bool = False, **fault: Any) -> None:
        self.fault(body={"data": [], "message": ["no"], "status": status}, times=times, act=act, **fault)

    def calls(self, name: str = "delete_document") -> int:
        return sum(entry.call == name for entry in self.sandbox.log)

    @property
    def recycled(self) -> list[str]:
        return self.sandbox.effects("unifier", "recycled")


def told(outcomes: Iterable[Outcome]) -> list[tuple[str, str | None]]:
    return [(str(outcome.kind), str(outcome.proof) if outcome.proof else None) for outcome in outcomes]
