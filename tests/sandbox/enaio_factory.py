"""What the tests of the sandbox's enaio share: a served enaio and plain requests to it."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_records.sandbox.enaio import FakeEnaio
from airflow_provider_records.sandbox.enaio_archive import StoredObject
from airflow_provider_records.sandbox.server import Server
from tests.conftest import Serve

LOGIN = ("disposal", "v3Rz-enaio-demo-8wKd")


class ServedEnaio:
    """A served enaio with a folder 10, a register 11 in it, and documents 100 (in 11) and 101 (in 10)."""

    def __init__(self, serve: Serve) -> None:
        self.fake = FakeEnaio()
        self.archive = self.fake.archive
        self.archive.add("10", "File", base="FOLDER", fields={"Title": "Closed"})
        self.archive.add("11", "Year", base="REGISTER", places=["10"])
        self.archive.add("100", "Invoice", fields={"Title": "Bill", "Disposal": ""}, places=["11"])
        self.archive.add("101", "Invoice", fields={"Title": "Note"}, places=["10"])
        self.server: Server = serve(self.fake)
        self.session = requests.Session()
        self.session.auth = LOGIN

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, f"{self.server.url}/enaio{path}", allow_redirects=False, timeout=60, **more)

    def get(self, object_id: str, **query: str) -> requests.Response:
        return self.call("GET", f"/api/dms/objects/{object_id}", params=query)

    def delete(self, object_id: str, **query: str) -> requests.Response:
        return self.call("DELETE", f"/api/dms/objects/{object_id}", params=query)

    def search(self, statement: str, **query: Any) -> requests.Response:
        return self.call("POST", "/api/dms/objects/search", json={"query": {"statement": statement, **query}})

    def ids(self, statement: str, **query: Any) -> list[str]:
        answer = self.search(statement, **query)
        assert answer.status_code == 200, answer.text
        return [row["properties"]["system:objectId"]["value"] for row in answer.json()["objects"]]

    def effects(self, effect: str) -> list[str]:
        return self.server.sandbox.effects("enaio", effect)

    def object(self, object_id: str) -> StoredObject:
        return self.archive.objects[object_id]


def code(answer: requests.Response) -> tuple[int, int | None]:
    return answer.status_code, answer.json().get("serviceErrorCode")
