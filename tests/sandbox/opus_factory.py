"""What the tests of the sandbox's Opus share: a served Opus with a few records, and plain requests to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import requests

from airflow_provider_records.sandbox.core import Entry
from airflow_provider_records.sandbox.opus import FakeOpus
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR, UNIFIER_CONNECTOR, Item
from airflow_provider_records.sandbox.server import Server
from tests.conftest import Serve

NOW = "2026-01-01T00:00:00"


def item(key: str, *, trouble: str = "", due: str = "2025-01-01T00:00:00", connector: str = ENAIO_CONNECTOR) -> Item:
    return Item(
        key=key,
        title=f"{key} Müller.pdf",
        classification="Personnel/Contracts",
        created="2014-12-19 18:15:00",
        modified="2014-12-20 18:15:00",
        author="jane.doe",
        due=due,
        connector_id=connector,
        system="enaio",
        target_id=key,
        folder_id="1",
        folder_path="/",
        trouble=trouble,
    )


SEED = [
    item("a"),
    item("b"),
    item("held", trouble="held"),
    item("review", trouble="under_review"),
    item("later", due="2999-01-01T00:00:00"),
    item("c"),
    item("node", connector=UNIFIER_CONNECTOR),
]


@dataclass
class Client:
    fake: FakeOpus
    server: Server
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def token_url(self) -> str:
        return f"{self.server.url}/opus/connect/token"

    @property
    def url(self) -> str:
        return f"{self.server.url}/opus/records/connector/records"

    @property
    def last(self) -> Entry:
        return self.server.sandbox.log[-1]

    def token(self, **changes: str | None) -> requests.Response:
        form = {
            "grant_type": "client_credentials",
            "scope": "records.readwrite.all",
            "client_id": self.fake.client_id,
            "client_secret": self.fake.client_secret,
            **changes,
        }
        return requests.post(self.token_url, data=form, timeout=60)

    def login(self) -> None:
        self.session.headers["Authorization"] = f"Bearer {self.token().json()['access_token']}"

    def due(self, **changes: Any) -> requests.Response:
        query = {"id": ENAIO_CONNECTOR, "disposalDueDate": NOW, "itemsPerPage": "100", **changes}
        return self.session.get(self.url, params=query, timeout=60)

    def destroy(self, *ids: str) -> requests.Response:
        return self.session.delete(self.url, json={"disposalIds": list(ids)}, timeout=60)

    def submit(self, *records: dict[str, Any], **changes: Any) -> requests.Response:
        body = {"id": ENAIO_CONNECTOR, "conflictOption": "Skip", "data": list(records), **changes}
        return self.session.post(self.url, json=body, timeout=60)

    def pages(self, size: int, **changes: Any) -> list[list[str]]:
        pages, cursor = [], ""
        while True:
            body = self.due(itemsPerPage=size, startIndex=cursor, **changes).json()
            pages.append([record["rowKey"] for record in body["queriedItems"]])
            cursor = body.get("startIndex") or ""
            if not cursor:
                return pages

    def status_of(self, key: str) -> list[str]:
        return [record.status for record in self.fake.records(key)]

    def effects(self, effect: str) -> list[str]:
        return self.server.sandbox.effects("opus", effect)


def served(serve: Serve) -> Client:
    """Serve an Opus with ``SEED``; return a client that has signed in."""
    fake = FakeOpus()
    fake.load(SEED)
    client = Client(fake, serve(fake))
    client.login()
    return client


def submitted(key: str, **changes: Any) -> dict[str, Any]:
    return {
        "rowKey": key,
        "leafName": "New.pdf",
        "termFullPath": "Personnel/Contracts",
        "timeCreated": "2014-12-19 18:15:00",
        "timeModified": "2014-12-19 18:15:00",
        "createdBy": "jane.doe",
        "modifiedBy": "jane.doe",
        **changes,
    }
