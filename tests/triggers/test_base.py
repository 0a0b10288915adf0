"""The triggers alone, on an event loop: they never block it, never delete, end after one event, and leave no secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import _secrets_masker
from airflow.sdk.execution_time import task_runner

from airflow_provider_records.client import hook as hooks
from airflow_provider_records.client.settings import Settings
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR
from airflow_provider_records.triggers.base import VendorTrigger
from airflow_provider_records.triggers.enaio import EnaioApprovalTrigger
from airflow_provider_records.triggers.opus import OpusDueRecordsTrigger
from airflow_provider_records.triggers.unifier import UnifierApprovalTrigger
from tests.operators.conftest import ServedSandbox
from tests.sensors.factories import enaio, events, fire, opus, rebuilt, unifier

CALLS = {"opus": "due_records", "enaio": "get_object", "unifier": "get_bp_record"}
EVERY_VENDOR = pytest.mark.parametrize("vendor", CALLS)


def trigger(
    served: ServedSandbox, vendor: str, *, seconds: float = 600.0, poke_interval: float = 0.01
) -> VendorTrigger:
    """Make a question that is undecided until somebody decides."""
    common: dict[str, Any] = {
        "conn_id": f"{vendor}_default",
        "poke_interval": poke_interval,
        "deadline": time.time() + seconds,
    }
    if vendor == "opus":
        return OpusDueRecordsTrigger(connector_id=ENAIO_CONNECTOR, due_before="1990-01-01T00:00:00", **common)
    if vendor == "enaio":
        objects = [[item.id, None] for item in enaio(served).archive.objects.values() if item.base == "DOCUMENT"][:3]
        return EnaioApprovalTrigger(objects=objects, field="Disposal", approved=["yes"], rejected=["no"], **common)
    if ("P-0001", "Disposal Request", "DR-1") not in unifier(served).records:
        unifier(served).open_request("P-0001", "DR-1", digest="sha256:0")
    return UnifierApprovalTrigger(
        project_number="P-0001",
        bpname="Disposal Request",
        record_no="DR-1",
        approved=["Approved"],
        rejected=["Rejected"],
        status_field="status",
        digest_field="disposal_digest",
        digest="sha256:0",
        wait_for_record=False,
        **common,
    )


def decide(served: ServedSandbox) -> None:
    for item in enaio(served).archive.objects.values():
        item.fields["Disposal"] = "yes"
    unifier(served).open_request("P-0001", "DR-1", digest="sha256:0", status="Approved")
    next(iter(opus(served).connections.values()))[0].due = "1989-01-01T00:00:00"


@EVERY_VENDOR
def test_it_survives_serialization(served: ServedSandbox, vendor: str) -> None:
    made = trigger(served, vendor)
    again = rebuilt(made)
    assert type(again) is type(made)
    assert again.serialize() == made.serialize()
    assert again.serialize()[0] == f"{type(made).__module__}.{type(made).__qualname__}"


@EVERY_VENDOR
def test_one_event_and_then_the_end(served: ServedSandbox, vendor: str) -> None:
    assert fire(trigger(served, vendor), 5) == {"status": "timeout"}
    assert served.calls(vendor, CALLS[vendor]) > 1
    made = trigger(served, vendor)
    decide(served)
    assert fire(made) == {"status": "look"}
    assert not [effect for entry in served.sandbox.log for effect in entry.effects]


@EVERY_VENDOR
def test_a_deadline_that_has_passed_asks_nothing(served: ServedSandbox, vendor: str) -> None:
    decide(served)
    assert fire(trigger(served, vendor), -1) == {"status": "timeout"}
    assert not served.sandbox.log


@EVERY_VENDOR
def test_it_waits_before_it_asks(served: ServedSandbox, vendor: str) -> None:
    """If triggerer and worker disagree, they must not chase each other to the vendor."""
    made = trigger(served, vendor, poke_interval=30)
    decide(served)

    async def soon() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(events(made), 0.2)

    asyncio.run(soon())
    assert not served.sandbox.log


def test_a_long_interval_does_not_outlast_the_deadline(served: ServedSandbox) -> None:
    began = time.monotonic()
    assert fire(trigger(served, "unifier", poke_interval=3600), 0.2) == {"status": "timeout"}
    assert time.monotonic() - began < 10
    assert served.calls("unifier", "get_bp_record") == 1, "it asks once more before it gives up"


@pytest.mark.parametrize(
    ("vendor", "act"),
    [
        ("unifier", lambda served: unifier(served).set_status("P-0001", "Disposal Request", "DR-1", "Rejected")),
        ("unifier", lambda served: unifier(served).records.clear()),
        ("unifier", lambda served: unifier(served).turn({"bp_status_missing": True})),
        ("enaio", lambda served: enaio(served).archive.objects.clear()),
        ("enaio", lambda served: setattr(enaio(served), "password", "other")),
        ("opus", lambda served: opus(served).connections.clear()),
    ],
)
def test_what_decides_against_it_ends_the_wait_too(
    served: ServedSandbox, vendor: str, act: Callable[[ServedSandbox], None]
) -> None:
    made = trigger(served, vendor)
    act(served)
    assert fire(made) == {"status": "look"}


@EVERY_VENDOR
def test_a_spoilt_connection_is_for_the_worker_to_report(
    served: ServedSandbox, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trigger(served, vendor)
    monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", f'{{"conn_type": "{vendor}"}}')
    assert fire(made) == {"status": "look"}


@EVERY_VENDOR
def test_a_connection_of_another_type_is_never_used(
    served: ServedSandbox, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trigger(served, vendor)
    fields = json.loads(os.environ[f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT"])
    monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", json.dumps({**fields, "conn_type": "http"}))
    assert fire(made) == {"status": "look"}
    assert not served.sandbox.log


@EVERY_VENDOR
def test_the_loop_is_never_blocked(served: ServedSandbox, vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is awaited, and no CA file read, in the thread of the loop."""
    made = trigger(served, vendor)
    decide(served)
    loop = threading.current_thread()
    busy: list[threading.Thread] = []

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **more: Any) -> Any:
            busy.append(threading.current_thread())
            return function(*args, **more)

        return noted

    monkeypatch.setattr(type(made), "ask", noting(type(made).ask))
    monkeypatch.setattr(Settings, "from_connection", noting(Settings.from_connection))
    assert fire(made) == {"status": "look"}
    assert len(busy) == 2
    assert loop not in busy


class Comms:
    """Stands where the triggerer's channel is; its synchronous way must not be used, from any thread."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, object]] = []
        self.masked: list[object] = []

    def send(self, message: object) -> None:
        self.sent.append((threading.current_thread().name, message))

    async def asend(self, message: Any) -> None:
        self.masked.append(message.value)


@EVERY_VENDOR
def test_secrets_are_masked_from_the_loop_only(
    served: ServedSandbox, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    comms = Comms()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    password = {
        "opus": opus(served).client_secret,
        "enaio": enaio(served).password,
        "unifier": unifier(served).password,
    }
    tokens: list[str] = []
    fetch = hooks.BearerAuth.token

    def token(auth: hooks.BearerAuth) -> hooks.Token:
        found = fetch(auth)
        tokens.append(found.value)
        return found

    monkeypatch.setattr(hooks.BearerAuth, "token", token)
    made = trigger(served, vendor)
    decide(served)
    assert fire(made) == {"status": "look"}
    # Up to 3.3.0 Airflow itself masks a connection this way; from its loop that is refused, and what follows masks it.
    assert not [thread for thread, _ in comms.sent if thread != "MainThread"]
    assert password[vendor] in comms.masked
    assert bool(tokens) is (vendor != "enaio")
    assert all(secret in comms.masked for secret in tokens)
    assert all("***" in str(_secrets_masker().redact(f"got {secret}")) for secret in tokens)


@EVERY_VENDOR
def test_a_thread_ends_soon_after_its_trigger_was_cancelled(
    served: ServedSandbox, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow vendor keeps a thread busy with repeats; the triggerer has few of them."""
    monkeypatch.setattr(hooks.VendorHook, "backoff", lambda *_: 20.0)
    made = trigger(served, vendor)
    served.fault(vendor=vendor, call=CALLS[vendor], times=None, status=503)

    async def cancelled() -> None:
        running = asyncio.create_task(events(made))
        while not served.calls(vendor, CALLS[vendor]):
            await asyncio.sleep(0.01)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    began = time.monotonic()
    asyncio.run(cancelled())  # waits for the threads at its end
    assert time.monotonic() - began < 10


def test_an_unexpected_error_is_not_swallowed(served: ServedSandbox) -> None:
    class Broken(UnifierApprovalTrigger):
        def ask(self, hook: object) -> Any:
            raise ZeroDivisionError

    arguments = trigger(served, "unifier").serialize()[1]

    async def first() -> AsyncIterator[object]:
        return Broken(**arguments).run()

    async def run() -> None:
        async for _ in await first():
            pytest.fail("no event is expected")

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())
