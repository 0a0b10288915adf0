"""A served sandbox whose answers are spoiled, and what must be true whatever it answers.

The sandbox's own log and state are the truth. Each trial works on records of its own, so that one sandbox serves
a whole column of the matrix.
"""

from __future__ import annotations

import base64
import json
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk._shared.secrets_masker import reset_secrets_masker
from structlog.testing import capture_logs

from airflow_provider_records.airflow_version import AirflowException, AirflowFailException
from airflow_provider_records.demo import connection_variables
from airflow_provider_records.evidence.audit import audit
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.reader import EvidenceReader
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import DisposalIncompleteError, RecordsError
from airflow_provider_records.sandbox.build import connections
from airflow_provider_records.sandbox.core import Entry, Fault, Sandbox
from airflow_provider_records.sandbox.enaio import FakeEnaio
from airflow_provider_records.sandbox.opus import FakeOpus
from airflow_provider_records.sandbox.seed import Item
from airflow_provider_records.sandbox.unifier import FakeUnifier
from airflow_provider_records.task.context import evidence_store
from tests.client.raw_server import RawServer
from tests.evidence.schemas import assert_store_valid
from tests.operators.factories import context

DUE = "2026-01-01T00:00:00"
PROJECT = "P-0001"
DELETING = {"opus": "destroy_records", "enaio": "delete_object", "unifier": "delete_document"}
DELETED = {"opus": "marked", "enaio": "destroyed", "unifier": "recycled"}
LONGEST_TEXT = 2000


@dataclass
class ServedSandbox:
    """A served sandbox.

    :param stage: the sandbox.
    :param url: where it is served.
    :param elsewhere: another server, which must never be called.
    :param folder: where evidence goes, a folder for each trial.
    :param patch: sets the environment.
    """

    sandbox: Sandbox
    url: str
    elsewhere: RawServer
    folder: Path
    patch: pytest.MonkeyPatch
    made: int = 0
    newest: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def connect(self, timeout: float = 5.0) -> None:
        """Define the connections anew.

        :param timeout: in seconds.
        """
        known = connections(self.sandbox, self.url)
        for each in known.values():
            each["extra"] |= {"timeout": timeout, "max_concurrency": 2, **self.extra.get(each["conn_type"], {})}
            if "private_key" in each["extra"]:
                each["password"] = ""
        for name, value in connection_variables(known).items():
            self.patch.setenv(name, value)

    def evidence(self) -> Store:
        """Let evidence go into a new folder, and forget the doors that were opened before."""
        self.made += 1
        self.newest = self.made
        for opened in (self.opus.tokens._issued, self.unifier.tokens.issued, self.enaio.sessions):
            opened.clear()
        reset_secrets_masker()
        self.patch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", f"file://{self.folder / str(self.made)}")
        return evidence_store()

    def fault(self, vendor: str, call: str, **spec: Any) -> None:
        """Let all further calls go wrong."""
        kind = spec.pop("kind", Fault)
        self.sandbox.faults.append(kind(vendor=vendor, call=call, **{"times": None, **spec}))

    @property
    def opus(self) -> FakeOpus:
        part = self.sandbox.vendors["opus"]
        assert isinstance(part, FakeOpus)
        return part

    @property
    def enaio(self) -> FakeEnaio:
        part = self.sandbox.vendors["enaio"]
        assert isinstance(part, FakeEnaio)
        return part

    @property
    def unifier(self) -> FakeUnifier:
        part = self.sandbox.vendors["unifier"]
        assert isinstance(part, FakeUnifier)
        return part

    def secrets(self) -> set[str]:
        """Return everything that opens a door."""
        enaio, unifier, opus = self.enaio, self.unifier, self.opus
        passwords = {part.password for part in (enaio, unifier)} | {opus.client_secret}
        basic = {base64.b64encode(f"{part.user}:{part.password}".encode()).decode() for part in (enaio, unifier)}
        keys = {line for line in self.extra.get("opus", {}).get("private_key", "").splitlines() if len(line) > 40}
        return passwords | basic | keys | {*opus.tokens._issued, *unifier.tokens.issued, *enaio.sessions}

    def check_evidence(self) -> None:
        """No secret is in any file of the newest evidence."""
        for file in (self.folder / str(self.newest)).rglob("*"):
            if file.is_file():
                self.check_secret(file.read_text("utf-8"))

    def check_secret(self, *texts: str) -> None:
        """No secret is in any of the texts."""
        for text in texts:
            for secret in self.secrets():
                assert secret not in text, f"a secret is in: {text[:300]}"

    def fresh(self, vendor: str, count: int) -> list[dict[str, Any]]:
        """Load new records, and one more that nobody asks for; return the mappings of the asked ones."""
        self.made += 1
        first, connector = 1000 * self.made, str(uuid.UUID(int=self.made))
        items = [
            Item(
                key=str(first + number),
                title=f"Contract {number}.pdf",
                classification="HR/Contracts",
                created="2004-12-19 18:15:00",
                modified="2004-12-19 18:15:00",
                author="jane.doe",
                due="2018-12-19T18:15:00",
                connector_id=connector,
                system=vendor,
                target_id=str(first + number),
                folder_id=str(first),
                folder_path=f"/Closed/{first}",
                object_type="Personnel" if vendor == "enaio" else "",
                project=PROJECT if vendor == "unifier" else "",
            )
            for number in range(1, count + 2)
        ]
        part = self.sandbox.vendors[vendor]
        assert isinstance(part, (FakeOpus, FakeEnaio, FakeUnifier))
        part.load(items)
        where: list[dict[str, Any]] = [{}]
        if vendor == "opus":
            where = [{"attributes": {"connector_id": connector, "due_before": DUE}}]
        elif vendor == "unifier":
            where = [
                {"parent_id": str(first)},
                {"location": f"/Closed/{first}", "attributes": {"project_number": PROJECT}},
            ]
        asked = items[:count]
        return [{"key": item.key, "title": item.title, **where[n % len(where)]} for n, item in enumerate(asked)]

    def lives(self, vendor: str, key: str) -> bool:
        """Tell whether a record is where it was."""
        if vendor == "opus":
            return self.opus.records(key)[0].status != "Destroyed"
        if vendor == "enaio":
            return key in self.enaio.archive.objects and not self.enaio.archive.objects[key].bin
        return not self.unifier.documents[int(key)].binned


class _Ears(logging.Handler):
    """Keeps every log line, before anything masks it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {record.getMessage()} {logging.Formatter().formatException(record.exc_info)}"
                          if record.exc_info else f"{record.name} {record.getMessage()}")  # fmt: skip


@contextmanager
def overheard(sandbox: ServedSandbox) -> Iterator[list[str]]:
    """Collect what is logged, and fail if a secret is in it."""
    ears, root = _Ears(), logging.getLogger()
    level = root.level
    root.addHandler(ears)
    root.setLevel(logging.DEBUG)
    try:
        with capture_logs() as events:
            yield ears.lines
    finally:
        root.removeHandler(ears)
        root.setLevel(level)
    sandbox.check_secret(*ears.lines, *(repr(event) for event in events))


def typed(error: BaseException) -> RecordsError:
    """Return the error of the project that an operator raised, or that it turned into Airflow's.

    :raises AssertionError: it is another one.
    """
    if isinstance(error, RecordsError):
        return error
    assert isinstance(error, AirflowFailException), f"{type(error).__name__}: {error}"
    cause = error.__cause__
    if cause is None:
        return RecordsError(str(error))
    assert isinstance(cause, RecordsError), f"{type(cause).__name__}: {cause}"
    assert str(cause) == str(error)
    return cause


def word(error: RecordsError) -> str:
    """Return an error's name as the table shows it."""
    return type(error).__name__.removesuffix("Error")


def texts(error: BaseException | None) -> Iterator[str]:
    """Return all that an error and what led to it could show."""
    while error is not None:
        assert len(str(error)) < LONGEST_TEXT, f"{type(error).__name__} is too long: {str(error)[:300]}"
        yield f"{error!r} {error} {getattr(error, 'detail', '')} {getattr(error, 'request_id', '')}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class Trial:
    """One disposal of records of its own, try after try, with what must be true after each.

    :param sandbox: the sandbox.
    :param vendor: ``opus``, ``enaio`` or ``unifier``.
    :param count: how many records.
    :param make: makes the operator, given ``task_id`` and ``records``.
    """

    def __init__(self, sandbox: ServedSandbox, vendor: str, count: int, make: Callable[..., BaseOperator]) -> None:
        self.sandbox, self.vendor = sandbox, vendor
        self.records = sandbox.fresh(vendor, count)
        self.keys = [str(record["key"]) for record in self.records]
        self.store = sandbox.evidence()
        self.tries = 0
        self.said: Any = None
        self._make = make
        self._begin = len(sandbox.sandbox.log)
        self._xcom = 0

    @property
    def log(self) -> list[Entry]:
        """What the sandbox heard since the trial began."""
        return self.sandbox.sandbox.log[self._begin :]

    def attempt(self) -> str:
        """Run one try; return the outcomes' names, or that of the error if there are none."""
        self.tries += 1
        operator = self._make(task_id="dispose", records=self.records)
        task = context(operator, self.tries)
        self.said, error = None, None
        with overheard(self.sandbox):
            try:
                self.said = operator.execute(task)
            except (RecordsError, AirflowException) as caught:
                error = typed(caught)
                self.sandbox.check_secret(*texts(caught))
        self.sandbox.check_secret(json.dumps(task["ti"].pushed), json.dumps(self.said))
        outcomes = self.check()
        assert outcomes or not isinstance(error or self.said, (dict, DisposalIncompleteError)), "it wrote no outcomes"
        names = sorted({str(outcome.kind) for outcome in outcomes})
        return "/".join(names) or word(error or RecordsError())

    def check(self) -> list[Outcome]:
        """Hold log and evidence against each other; return the outcomes of this try, if it wrote any."""
        assert not self.sandbox.elsewhere.heads, "another host was called"
        for entry in self.log:
            hit = {str(item["id"]) for item in entry.effects}
            asked = self.asked(entry)
            assert asked | hit <= set(self.keys), f"{entry.call} hit {asked | hit}, not on the list"
            assert len(asked) <= 15, "more than 15 in a call"
        assert max(Counter(self.effects).values(), default=0) <= 1, "done twice"
        outcomes: list[Outcome] = []
        assert_store_valid(self.store)
        for name in self.store.names("disposals"):
            if name.endswith("/disposal.json"):
                disposal = Disposal.read(self.store, self.store.uri(name))
                if disposal.provenance.try_number == self.tries:
                    outcomes = list(disposal.each_outcome(self.store))
                    assert [outcome.key for outcome in outcomes] == self.keys
                    assert sum(disposal.counts.values()) == len(self.keys)
                    audit(EvidenceReader(self.store, self.store.root), {name: disposal})
        for outcome in outcomes:
            assert len(outcome.reason or "") < LONGEST_TEXT
            if outcome.kind.gone:
                assert not self.sandbox.lives(self.vendor, outcome.key), f"called {outcome.kind}, and lives"
        self.sandbox.check_evidence()
        return outcomes

    def check_finished(self) -> None:
        """All records are gone by exactly one call each, and the outcomes say so."""
        assert isinstance(self.said, dict), "the retry did not finish the job"
        assert sorted(self.effects) == sorted(self.keys)
        self.check_order()
        disposal = Disposal.read(self.store, self.said["disposal"])
        for outcome in disposal.each_outcome(self.store):
            assert outcome.kind in {OutcomeKind.DESTROYED, OutcomeKind.RECYCLED}, outcome
            assert outcome.proof in set(Proof)

    def check_order(self) -> None:
        """Nothing is sent again once it is done."""
        done: set[str] = set()
        for entry in self.log:
            again = self.asked(entry) & done
            assert not again, f"sent again after it was done: {again}"
            done |= {str(item["id"]) for item in entry.effects}

    @property
    def effects(self) -> list[str]:
        kind = DELETED[self.vendor]
        return [str(item["id"]) for entry in self.log for item in entry.effects if item["effect"] == kind]

    def asked(self, entry: Entry) -> set[str]:
        """Return which records a deleting call was about; the ids of any other call are no matter."""
        if (entry.vendor, entry.call) != (self.vendor, DELETING[self.vendor]):
            return set()
        if self.vendor == "opus":
            return set(json.loads(entry.request)["disposalIds"])
        return {entry.path.partition("?")[0].rpartition("/")[2]}
