"""Enaio with a few folders and invoices, a hook on it, and what its objects look like in a response."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.sandbox.core import Fault
from airflow_provider_records.sandbox.enaio import FakeEnaio
from airflow_provider_records.sandbox.server import Server
from tests.conftest import Connect, Serve

PASSWORD = "v3Rz-enaio-demo-8wKd"
HTML = "<html><body>Anything</body></html>"


class ServedEnaio:
    """A served enaio with three folders and some invoices, and a hook that is connected to it."""

    def __init__(self, serve: Serve, connect: Connect) -> None:
        self.part = FakeEnaio()
        archive = self.part.archive
        for folder in ("1411", "1412", "1413"):
            archive.add(folder, "Folder", base="FOLDER", fields={"Title": folder})
        archive.add("2563", "Invoice", fields={"Disposal": "approved"}, places=["1411"])
        archive.add("2564", "Invoice", fields={"Disposal": " approved "}, places=["1411", "1412"])
        archive.add("2565", "Invoice", fields={"Disposal": ""}, places=["1413"])
        self.server: Server = serve(self.part)
        self.connect = connect
        self.hook = self.hooked()

    def hooked(self, *, path: str = "/enaio", password: str = PASSWORD, **extra: object) -> EnaioHook:
        conn_id = self.connect("enaio", self.server.url + path, login="disposal", password=password, **extra)
        return EnaioHook(conn_id)

    def fault(self, call: str = "delete_object", **fault: Any) -> None:
        self.server.sandbox.faults.append(Fault(vendor="enaio", call=call, **fault))

    def calls(self, *names: str) -> list[str]:
        return [entry.path for entry in self.server.sandbox.log if entry.call in names]

    def state(self, name: str) -> list[str]:
        return list(self.part.state()[name])


@pytest.fixture
def served(serve: Serve, connect: Connect) -> ServedEnaio:
    return ServedEnaio(serve, connect)


def entry(object_id: Any = "2563", **more: Any) -> dict[str, Any]:
    return {"properties": {"system:objectId": {"value": object_id}, **more}}


def envelope(*objects: Any, **more: Any) -> dict[str, Any]:
    return {"objects": list(objects), "numItems": len(objects), "hasMoreItems": False, **more}
