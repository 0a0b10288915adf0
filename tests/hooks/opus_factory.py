"""Opus with a handful of records, and a hook on it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Connection

from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.sandbox.core import Entry, Fault, Sandbox
from airflow_provider_records.sandbox.opus import FakeOpus
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR, Item
from tests.conftest import Serve

SECRET = "k7Qm-opus-demo-4fT9"
CONNECTOR = ENAIO_CONNECTOR
KEYS = tuple(f"hr-2014-{number:04}" for number in range(1, 21))


def item(key: str, **more: str) -> Item:
    fields = {
        "title": f"Contract {key}.pdf",
        "classification": "HR/Personnel/Contracts",
        "created": "2004-12-19 18:15:00",
        "modified": "2004-12-19 18:15:00",
        "author": "jane.doe",
        "due": "2014-12-19T18:15:00",
        "connector_id": CONNECTOR,
        "system": "enaio",
        "target_id": key[-4:],
        "folder_id": "1",
        "folder_path": "/Closed",
        **more,
    }
    return Item(key=key, **fields)


class ServedOpus:
    """An OpusPart with twenty due records, and a hook with a connector id.

    :param serve: serves it.
    """

    def __init__(self, serve: Serve) -> None:
        self.part = FakeOpus()
        self.part.load(item(key) for key in KEYS)
        server = serve(self.part)
        self.sandbox: Sandbox = server.sandbox
        self.url = f"{server.url}/opus"
        self.hook = self.another()

    def another(self, login: str = "records-client", password: str = SECRET, **extra: Any) -> OpusHook:
        given = {"identity_url": f"{self.url}/connect/token", "connector_id": CONNECTOR, "timeout": 5, **extra}
        connection = Connection(conn_id="opus_default", conn_type="opus", host=self.url, login=login, password=password)
        return OpusHook(settings=OpusHook.read_settings(connection, given))

    def fault(self, call: str, **what: Any) -> None:
        self.sandbox.faults.append(Fault(call=call, **what))

    def answer(self, call: str, status: int, body: Any = None, **more: Any) -> None:
        """Answer the next call so, without acting."""
        self.fault(call, status=status, body=body, act=False, **more)

    def entries(self, call: str) -> list[Entry]:
        return [entry for entry in self.sandbox.log if entry.call == call]

    @property
    def marked(self) -> list[str]:
        return self.sandbox.effects("opus", "marked")
