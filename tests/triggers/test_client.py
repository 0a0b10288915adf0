"""Many triggers on one connection share one client: one login, few sockets and threads, one rate limit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import threading
import time
from collections import Counter
from typing import Any

import psutil
import pytest
from airflow.sdk import BaseHook

from airflow_provider_records.triggers.base import VendorTrigger
from airflow_provider_records.triggers.client import SharedClient
from airflow_provider_records.triggers.enaio import EnaioApprovalTrigger
from airflow_provider_records.triggers.unifier import UnifierApprovalTrigger
from tests.operators.conftest import ServedSandbox
from tests.sensors.factories import enaio, events, unifier

MANY = 150


def approval(number: int, *, poke_interval: float = 0.2, seconds: float = 600.0) -> UnifierApprovalTrigger:
    return UnifierApprovalTrigger(
        conn_id="unifier_default",
        poke_interval=poke_interval,
        deadline=time.time() + seconds,
        project_number="P-0001",
        bpname="Disposal Request",
        record_no=f"DR-{number}",
        approved=["Approved"],
        rejected=["Rejected"],
        status_field="status",
        digest_field="disposal_digest",
        digest="sha256:0",
        wait_for_record=True,
    )


async def answers(*triggers: VendorTrigger) -> Counter[str]:
    """Run triggers on one loop, as a triggerer does."""
    found = await asyncio.wait_for(asyncio.gather(*map(events, triggers)), 120)
    return Counter(event.payload["status"] for (event,) in found)


def sockets(served: ServedSandbox) -> int:
    port = int(served.url.rsplit(":", 1)[1])
    ours = psutil.Process(os.getpid()).net_connections("tcp")
    return sum(1 for item in ours if item.raddr and item.raddr.port == port and item.status == "ESTABLISHED")


def test_many_share_login_sockets_and_threads(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = BaseHook.aget_connection

    async def reading(conn_id: str) -> Any:
        read.append(conn_id)
        return await real(conn_id)

    monkeypatch.setattr(BaseHook, "aget_connection", reading)
    most: dict[str, int] = {}

    async def run() -> Counter[str]:
        waiting = asyncio.create_task(answers(*(approval(number) for number in range(MANY))))
        while served.calls("unifier", "get_bp_record") < 3 * MANY:
            assert not waiting.done()
            names = Counter(thread.name.rsplit("_", 1)[0] for thread in threading.enumerate())
            most["threads"] = max(most.get("threads", 0), names["unifier_default-trigger"])
            most["sockets"] = max(most.get("sockets", 0), sockets(served))
            await asyncio.sleep(0.05)
        for number in range(MANY):
            unifier(served).open_request("P-0001", f"DR-{number}", digest="sha256:0", status="Approved")
        return await waiting

    assert asyncio.run(run()) == {"look": MANY}
    assert read == ["unifier_default"]
    assert served.calls("unifier", "login") == 1
    asked = Counter(entry.path for entry in served.sandbox.log if entry.call == "get_bp_record")
    assert len(asked) == MANY, "some were never asked"
    assert 1 <= most["threads"] <= 8
    assert 1 <= most["sockets"] <= 8
    assert not SharedClient._open
    assert sockets(served) == 0


def test_the_first_questions_are_spread(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart the triggerer begins with all triggers at once; the vendor must not get them all at once."""
    monkeypatch.setattr(random, "uniform", random.Random(7).uniform)
    pauses: list[float] = []

    async def noting(seconds: float) -> None:
        pauses.append(seconds)
        raise asyncio.CancelledError

    async def run() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", noting)
            for number in range(100):
                with contextlib.suppress(asyncio.CancelledError):
                    await events(approval(number, poke_interval=60))

    asyncio.run(run())
    assert 30 <= min(pauses) < 36
    assert 84 < max(pauses) <= 90
    thirds = Counter(int((pause - 30) // 20) for pause in pauses)
    assert min(thirds[part] for part in range(3)) > 20


def test_those_who_come_after_a_refusal_begin_anew(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody corrects the password while others still wait with the old one."""
    name = "AIRFLOW_CONN_UNIFIER_DEFAULT"
    right = os.environ[name]
    wrong = json.dumps({**json.loads(right), "password": "Wrong-but-secret-81"})

    async def run() -> None:
        monkeypatch.setenv(name, wrong)
        old = asyncio.create_task(answers(approval(1), approval(2, poke_interval=300)))
        async with asyncio.timeout(30):
            while SharedClient._open or not served.calls("unifier", "login"):
                await asyncio.sleep(0.01)
        monkeypatch.setenv(name, right)
        unifier(served).open_request("P-0001", "DR-3", digest="sha256:0", status="Approved")
        assert await answers(approval(3, poke_interval=0.01)) == {"look": 1}
        old.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await old

    asyncio.run(run())
    assert not SharedClient._open


def test_the_deadline_holds_where_the_system_hangs(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight questions hang and hold all threads; the others' deadlines pass while they wait for their turn."""
    monkeypatch.setattr("airflow_provider_records.triggers.base.LAST_QUESTION", 0.2)
    served.fault(vendor="unifier", call="get_bp_record", times=None, latency_ms=4000)
    began = time.monotonic()

    async def run() -> tuple[Counter[str], float]:
        found = await answers(*(approval(number, poke_interval=0.1, seconds=1.0) for number in range(30)))
        return found, time.monotonic() - began

    found, seconds = asyncio.run(run())
    assert found == {"timeout": 30}
    assert seconds < 3.5
    assert served.calls("unifier", "get_bp_record") <= 8


def test_one_connection_in_trouble_does_not_hold_up_another(served: ServedSandbox) -> None:
    served.fault(vendor="unifier", times=None, latency_ms=60_000)
    documents = [item for item in enaio(served).archive.objects.values() if item.base == "DOCUMENT"][:3]
    for item in documents:
        item.fields["Disposal"] = "yes"
    other = EnaioApprovalTrigger(
        conn_id="enaio_default",
        poke_interval=0.01,
        deadline=time.time() + 600,
        objects=[[item.id, None] for item in documents],
        field="Disposal",
        approved=["yes"],
        rejected=[],
    )

    async def run() -> float:
        hanging = asyncio.create_task(answers(*(approval(number, poke_interval=0.01) for number in range(50))))
        async with asyncio.timeout(30):
            while not hanging.done() and len(asyncio.all_tasks()) < 50:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        began = time.monotonic()
        assert await answers(other) == {"look": 1}
        hanging.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hanging
        return time.monotonic() - began

    assert asyncio.run(run()) < 20
    served.sandbox.faults.clear()


def test_a_restart_does_not_extend_the_wait(served: ServedSandbox) -> None:
    """What is stored is the moment at which the wait ends, not how long it lasts."""
    made = approval(1, seconds=0.5)
    stored = made.serialize()[1]
    time.sleep(0.6)
    assert asyncio.run(answers(UnifierApprovalTrigger(**stored))) == {"timeout": 1}
    assert not served.sandbox.log
