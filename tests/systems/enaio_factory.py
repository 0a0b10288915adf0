"""A served enaio with folders and documents, and a disposal of them that is tried again and again."""

from __future__ import annotations

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
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.sandbox.core import Fault
from airflow_provider_records.sandbox.enaio import FakeEnaio
from airflow_provider_records.sandbox.server import Server
from airflow_provider_records.systems.enaio import EnaioSystem
from tests.conftest import Connect, Serve

Says = tuple[str, str | None]
HARD_AND_SOFT = pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])


class ServedEnaio:
    """A served enaio: folder 10 with register 11, documents 100 (in 11), 101 (in 10), 102 (in 10 and 20)."""

    def __init__(self, serve: Serve, connect: Connect, folder: Path) -> None:
        self.part = FakeEnaio()
        self.archive = self.part.archive
        self.archive.add("10", "File", base="FOLDER")
        self.archive.add("20", "File", base="FOLDER")
        self.archive.add("11", "Year", base="REGISTER", places=["10"])
        self.archive.add("100", "Invoice", places=["11"])
        self.archive.add("101", "Invoice", places=["10"])
        self.archive.add("102", "Invoice", places=["10", "20"])
        self.server: Server = serve(self.part)
        connect("enaio", f"{self.server.url}/enaio", login="disposal", password=self.part.password)
        self.store = Store(str(folder))
        self.tries = 0

    def run(self, *records: Any, verify: bool = True, concurrency: int = 1, **options: Any) -> dict[str, Outcome]:
        """Carry out one try; the next one continues it."""
        self.tries += 1
        journal = Journal(self.store, TaskFolder("run"), "sha256:0", started="2026-01-01", try_number=self.tries)
        system = EnaioSystem(EnaioHook(), **options)
        runner = Runner(system, journal, Limits(), concurrency=concurrency, verify=verify)
        system.hook.may_send = runner.may_send
        listed = [Record.from_item(record) for record in records]
        outcomes = {outcome.key: outcome for outcome in runner.run(listed)}
        assert list(outcomes) == [record.key for record in listed]
        remembered = {*system._observed, *system._unseen, *system._unsent, *system._shown}
        assert not any(outcomes[key].kind.final for key in remembered)
        return outcomes

    def says(self, record: Any = "101", **options: Any) -> Says:
        (outcome,) = self.run(record, **options).values()
        return outcome.kind.value, outcome.proof.value if outcome.proof else None

    def fault(self, call: str = "delete_object", **fault: Any) -> None:
        self.server.sandbox.faults.append(Fault(vendor="enaio", call=call, **fault))

    def deletes(self) -> list[str]:
        return [entry.path for entry in self.server.sandbox.log if entry.method == "DELETE"]

    @property
    def live(self) -> list[str]:
        return list(self.part.state()["live"])

    @property
    def binned(self) -> list[str]:
        return list(self.part.state()["binned"])

    @property
    def destroyed(self) -> list[str]:
        return list(self.part.state()["destroyed"])
