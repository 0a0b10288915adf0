"""The columns of the fault matrix, and what one cell is: every fault of a row, tried on one call of one vendor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from airflow.sdk import BaseOperator

from airflow_provider_records.airflow_version import AirflowException
from airflow_provider_records.exceptions import RecordsError
from tests.faults.rows import FEW, ODD, ResponseShape, Row, Spec, said
from tests.faults.trial import DELETING, ServedSandbox, Trial, overheard, texts, typed, word
from tests.minors import AirflowRescheduleException

SHORT = 0.3
"""The timeout under a slow fault, in seconds."""


@dataclass(frozen=True)
class Column:
    """One call of one vendor, as some task of a DAG makes it.

    :param name: its name in the table.
    :param vendor: ``opus``, ``enaio`` or ``unifier``.
    :param call: the call's name in the sandbox's log.
    :param fields: JSON pointers of the answer's documented fields, each with a value of its documented type.
    :param base: what a spoiled field needs besides, see :class:`tests.faults.rows.ResponseShape`.
    :param skip: how many of these calls are answered well first.
    :param some: how many faults of a row it meets: there are many ways into the same code; None: all.
    """

    name: str
    vendor: str
    call: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    base: Spec = field(default_factory=dict)
    skip: int = 0
    some: int | None = 2
    kind: ClassVar[str]

    @property
    def table(self) -> str:
        """The table that it stands in."""
        return f"{self.vendor}, {self.kind}"

    def specs(self, row: Row, sandbox: ServedSandbox, values: Sequence[Any]) -> list[Spec]:
        specs = row.make(ResponseShape(self.fields, self.base, values, sandbox.elsewhere.url))
        return specs if row.every else specs[: self.some]

    def begin(self, row: Row, sandbox: ServedSandbox, **spec: Any) -> int:
        """Let the call go wrong; return how much was heard before."""
        sandbox.connect(SHORT if row.slow else 5.0)
        sandbox.fault(self.vendor, self.call, skip=self.skip, **spec)
        return len(sandbox.sandbox.log)

    def end(self, sandbox: ServedSandbox, heard: int) -> None:
        """Let all go well again."""
        assert any(entry.fault and entry.call == self.call for entry in sandbox.sandbox.log[heard:]), (
            "it was never called"
        )
        sandbox.sandbox.faults.clear()
        sandbox.connect()

    def cell(self, row: Row, sandbox: ServedSandbox) -> str:
        """Try every fault of a row; return what came of it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Disposing(Column):
    """A call that a disposal makes.

    :param make: makes the operator, given ``task_id`` and ``records``.
    :param count: how many records.
    :param acts: whether the spoiled call is carried out.
    :param lost: whether the deleting calls are done, though their answers are lost; None: they are not lost.
    :param lies: names the faults under which this vendor says plainly what is not true: then only safety is asked
        for, not that the retry ends as it should.
    :param believed: names the faults that are a clean answer of this vendor's, so that nobody can see through them.
    """

    kind = "disposals"
    make: Callable[..., BaseOperator] = BaseOperator
    count: int = 1
    acts: bool = True
    lost: bool | None = None
    lies: Callable[[Row, Spec], bool] = lambda *_: False
    believed: Callable[[Row, Spec], bool] = lambda *_: False

    def cell(self, row: Row, sandbox: ServedSandbox) -> str:
        found: dict[str, None] = {}
        for spec in self.specs(row, sandbox, FEW):
            if self.believed(row, spec):
                continue
            try:
                found[self._trial(row, sandbox, spec)] = None
            except BaseException as error:
                error.add_note(f"{self.name}: {row.name}: {said(spec)}")
                raise
        return " ".join(found) or "-"

    def _trial(self, row: Row, sandbox: ServedSandbox, spec: Spec) -> str:
        trial = Trial(sandbox, self.vendor, self.count, self.make)
        if self.lost is not None:
            sandbox.fault(self.vendor, DELETING[self.vendor], drop=True, act=self.lost)
        heard = self.begin(row, sandbox, **{"act": self.acts, **spec})
        first = trial.attempt()
        assert first != "Configuration", "the vendor's fault is put down to the connection"
        self.end(sandbox, heard)
        for _ in range(3):
            if not isinstance(trial.said, dict):
                trial.attempt()
        if not self.lies(row, spec):
            trial.check_finished()
        return first


@dataclass(frozen=True)
class Reading(Column):
    """A call that deletes nothing.

    :param ask: makes the call, asserts that what it returns is right, and names it for the table.
    :param well: what it says without a fault.
    """

    kind = "reads"
    ask: Callable[[ServedSandbox], str] = lambda _: ""
    well: str = "ok"

    def cell(self, row: Row, sandbox: ServedSandbox) -> str:
        found: dict[str, None] = {}
        for spec in self.specs(row, sandbox, FEW + ODD):
            sandbox.evidence()
            heard = self.begin(row, sandbox, **spec)
            try:
                found[observed(sandbox, self.ask)] = None
                self.end(sandbox, heard)
            except BaseException as error:
                error.add_note(f"{self.name}: {row.name}: {said(spec)}")
                raise
        assert observed(sandbox, self.ask) == self.well, "it does not work without the fault"
        return " ".join(found)


def observed(sandbox: ServedSandbox, ask: Callable[[ServedSandbox], str]) -> str:
    """Return what a call says, or its typed error; nothing else, and no secret."""
    with overheard(sandbox):
        try:
            said_ = ask(sandbox)
        except AirflowRescheduleException:
            said_ = "waits"
        except (RecordsError, AirflowException) as error:
            sandbox.check_secret(*texts(error))
            said_ = word(typed(error))
    sandbox.check_evidence()
    assert not sandbox.elsewhere.heads, "another host was called"
    assert said_ != "Configuration", "the vendor's fault is put down to the connection"
    return said_


def plain(value: object) -> str:
    """Return a value as the text that is searched for secrets."""
    return json.dumps(value, default=repr)


def cells(columns: Sequence[Column], rows: Sequence[Row], own: Mapping[Row, Sequence[str]]) -> list[Any]:
    """Return all pairs of a column and a row, as parameters of a test.

    :param own: rows that only some columns have.
    """
    pairs = [(column, row) for column in columns for row in rows]
    pairs += [(column, row) for row, names in own.items() for column in columns if column.name in names]
    assert sum(map(len, own.values())) == len(pairs) - len(columns) * len(rows), "a column is named that is not there"
    return [pytest.param(column, row, id=f"{column.name}: {row.name}") for column, row in pairs]
