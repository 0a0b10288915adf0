"""One list of one vendor carried out by many threads, against a sandbox that is busy, slow or dead."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from airflow_provider_records.client.throttle import Throttle
from airflow_provider_records.demo import connection_variables
from airflow_provider_records.operators.base import DisposeOperator
from airflow_provider_records.sandbox import seed
from airflow_provider_records.sandbox.build import SEED, build, connections
from airflow_provider_records.sandbox.core import Entry, Fault, Sandbox
from airflow_provider_records.sandbox.message import Call
from airflow_provider_records.sandbox.server import Server
from tests.operators.crash_points import VENDORS
from tests.operators.factories import context

THREADS = 16
LATENCY = 0.02


@dataclass
class Clock:
    """The time that everybody in a simulation sees, in seconds."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Simulation:
    """Threads that send calls through one throttle to a system that limits their rate, on a clock of its own.

    It waits as :class:`VendorHook` does: for the slot, or until a new generation begins.

    :param clock: what ``time.monotonic`` is patched with.
    :param limit: calls a second that the system accepts.
    :param calls: how many are to be accepted.
    :param accepted: seconds from the first call to each one that was accepted.
    :param refused: the same for HTTP 429.
    """

    clock: Clock
    limit: float
    calls: int
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def run(self) -> None:
        throttle, system = Throttle(None), Fault(per_second=self.limit, times=None, status=429)
        call, begin, left = Call("DELETE", "/", {}, {}, {}, b""), self.clock.now, self.calls
        waiting = dict.fromkeys(range(THREADS), (begin, -1))
        """By thread: the time of its slot, and the generation in which it was reserved."""
        responses: list[tuple[float, int, int, bool]] = []
        """Time, thread, generation, and whether the call was refused; in the order of time."""
        while waiting or responses:
            thread = min(waiting, key=waiting.__getitem__, default=None)
            if thread is not None and (not responses or waiting[thread][0] <= responses[0][0]):
                slot, generation = waiting[thread]
                self.clock.now = max(self.clock.now, slot)
                if generation != throttle.generation:
                    seconds, generation = throttle.acquire()
                    waiting[thread] = (self.clock.now + seconds, generation)
                    continue
                del waiting[thread]
                is_refused = system.hits("enaio", "delete_object", call)
                (self.refused if is_refused else self.accepted).append(self.clock.now - begin)
                responses.append((self.clock.now + LATENCY, thread, generation, is_refused))
                continue
            self.clock.now, answered, generation, is_refused = responses.pop(0)
            if is_refused:
                throttle.failed(generation, "HTTP 429", 1.0)
            else:
                throttle.succeeded(generation)
                left -= 1
            # a new generation wakes all threads that wait in an older one
            woken = {each for each, (_, reserved) in waiting.items() if reserved != throttle.generation}
            waiting |= dict.fromkeys(woken, (self.clock.now, -1))
            if left > len(waiting) + len(responses):
                waiting[answered] = (self.clock.now, -1)


@dataclass
class ThrottledRun:
    """A sandbox, a sound list of one vendor, and what its tries came to.

    :param vendor: ``enaio``, ``unifier`` or ``opus``.
    :param stage: the sandbox.
    :param records: the list.
    """

    vendor: str
    sandbox: Sandbox
    records: list[dict[str, Any]]
    tries: int = 0
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    error: Exception | None = None
    operator: DisposeOperator | None = None

    def carry_out(self, **options: Any) -> dict[str, int]:
        """Run one try; return the number of records by outcome, without those that are zero."""
        self.tries += 1
        kind = VENDORS[self.vendor]
        arguments = {"require_approval": False, "max_records": 10**6, **kind.options, **options}
        self.operator = kind.operator(task_id="dispose", records=self.records, **arguments)  # type: ignore[assignment]
        facts = context(self.operator, self.tries)  # type: ignore[arg-type]
        begin = time.monotonic()
        try:
            reference = self.operator.execute(facts)  # type: ignore[union-attr]
        except Exception as error:  # noqa: BLE001 - what a try came to is looked at by the test
            self.error = error
            reference = facts["ti"].pushed.get("return_value", {"counts": {}})
        self.seconds = time.monotonic() - begin
        self.counts = {name: count for name, count in reference["counts"].items() if count}
        self.check()
        return self.counts

    def check(self) -> None:
        """Nothing outside of the list, nothing twice, and every effect has an outcome that allows it."""
        done = self.done
        assert max(Counter(done).values(), default=0) <= 1
        name = "key" if self.vendor == "opus" else "target_id"
        assert set(done) <= {record[name] for record in self.records}
        claimed = self.counts.get("destroyed", 0) + self.counts.get("recycled", 0)
        assert claimed <= len(done) <= claimed + self.counts.get("unknown", 0)
        assert not self.counts or sum(self.counts.values()) == len(self.records)

    @property
    def done(self) -> list[str]:
        return self.sandbox.effects(self.vendor, VENDORS[self.vendor].effect)

    @property
    def sent(self) -> list[Entry]:
        """The deleting calls."""
        return [entry for entry in self.sandbox.log if entry.call == VENDORS[self.vendor].call]

    def calls(self, call: str) -> int:
        return sum(entry.call == call for entry in self.sandbox.log)

    def fault(self, call: str = "", **fields: Any) -> Fault:
        """Let the deleting calls go wrong, or others."""
        made = Fault(vendor=self.vendor, call=call or VENDORS[self.vendor].call, **{"times": None, **fields})
        self.sandbox.faults.append(made)
        return made

    @contextmanager
    def after(self, sent: int, act: Callable[[], object]) -> Iterator[None]:
        """Do something as soon as so many deleting calls have arrived."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.001):
                if len(self.sent) >= sent:
                    act()
                    return

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @cached_property
    def fake(self) -> Any:
        return self.sandbox.vendors[self.vendor]

    @property
    def logins(self) -> int:
        """Number of logins; enaio opens a session without a call of its own."""
        return self.fake.logins if self.vendor == "enaio" else self.calls("token") + self.calls("login")

    def end_logins(self) -> None:
        """Let all tokens and sessions be refused from now on."""
        ways = {
            "enaio": lambda fake: fake.expire_sessions(),
            "unifier": lambda fake: fake.tokens.issued.clear(),
            "opus": lambda fake: fake.tokens.revoke(),
        }
        ways[self.vendor](self.fake)


def _record(vendor: str, item: seed.Item) -> dict[str, Any]:
    record: dict[str, Any] = {"key": item.key, "target_id": item.target_id}
    if vendor == "unifier":
        record |= {"location": item.folder_path, "attributes": {"project_number": item.project}}
    elif vendor == "opus":
        record |= {"attributes": {"due_before": "2026-01-01T00:00:00"}}
    return record


@contextmanager
def throttled_run(
    vendor: str, count: int, folder: Any, patch: pytest.MonkeyPatch, *, host: str = "", **extra: Any
) -> Iterator[ThrottledRun]:
    """Serve a sandbox with a list.

    :param count: how many records it has.
    :param folder: where the evidence goes.
    :param host: where the connection leads to instead.
    :param extra: further fields of the connection.
    """
    items = seed.items(600, SEED)
    system = "unifier" if vendor == "unifier" else "enaio"
    sound = [item for item in items if item.system == system and item.due < "2026" and not item.trouble]
    assert len(sound) >= count
    sandbox = build(600)
    patch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", f"file://{folder}/evidence")
    with Server(sandbox) as server:
        made = connections(sandbox, server.url)
        for connection in made.values():
            connection["extra"] |= {"max_concurrency": THREADS, **extra}
            if host:
                connection["host"] = host
                connection["extra"] |= {"identity_url": host} if connection["conn_type"] == "opus" else {}
        for name, value in connection_variables(made).items():
            patch.setenv(name, value)
        yield ThrottledRun(vendor, sandbox, [_record(vendor, item) for item in sound[:count]])
