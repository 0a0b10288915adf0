"""What the tests of the sandbox's Unifier share: a served Unifier with a few documents, and plain requests to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import requests

from airflow_provider_records.sandbox.seed import Item
from airflow_provider_records.sandbox.server import Server
from airflow_provider_records.sandbox.unifier import FakeUnifier
from tests.conftest import Serve

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
P1, P2 = "P-0001", "2020#7/b"


def item(target_id: int, *, folder_id: int = 540, path: str = "/Closed/2014", **more: str) -> Item:
    values = {"title": f"Plan {target_id}.pdf", "project": P1, "system": "unifier", **more}
    return Item(
        key=f"row-{target_id}", classification="Projects", created="2018-02-13 12:45:00", modified="", author="",
        due="", connector_id="", target_id=str(target_id), folder_id=str(folder_id), folder_path=path, **values,
    )  # fmt: skip


SEED = [
    item(555),
    item(556),
    item(557, trouble="linked"),
    item(558, trouble="locked"),
    item(559, trouble="gone"),
    item(560),
    item(570, folder_id=541, path="/Closed/2014/Drafts"),
    item(580, folder_id=542, path="/Closed", project=P2),
    item(590, folder_id=543, path="/", project=""),
    item(999, system="enaio"),
]


@dataclass
class Client:
    fake: FakeUnifier
    server: Server
    token: str = ""

    @property
    def base(self) -> str:
        return f"{self.server.url}/unifier/ws/rest/service"

    def login(self, path: str = "/v1/login", *, oauth: bool = False, **query: str) -> requests.Response:
        user = self.fake.oauth_user if oauth else self.fake.user
        return requests.get(self.base + path, auth=(user, self.fake.password), params=query, timeout=60)

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        if not self.token:
            self.token = self.login().json()["token"]
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return requests.request(
            method, self.base + "/v1" + path, headers=headers, timeout=60, allow_redirects=False, **more
        )

    def delete(self, node_id: object, **more: Any) -> requests.Response:
        return self.call("POST", f"/dm/document/delete/{node_id}", headers=FORM, **more)

    def ids(self, path: str = "", **query: str) -> list[int]:
        answer = self.call("GET", f"/dm/node/properties{path}", params=query).json()
        assert answer["status"] == 200
        return [node["node_id"] for node in answer["data"]]

    def record(self, path: str, **asked: str) -> Any:
        return self.call("GET", path, params={"input": json.dumps(asked)}).json()

    def effects(self) -> list[dict[str, Any]]:
        return [effect for entry in self.server.sandbox.log for effect in entry.effects]

    def recycled(self) -> set[str]:
        return set(self.fake.state()["recycled"])


def served(serve: Serve) -> Client:
    """Serve a Unifier with ``SEED``."""
    fake = FakeUnifier()
    fake.load(SEED)
    return Client(fake, serve(fake))


def open_requests(client: Client) -> None:
    """Open requests in two projects and at company level."""
    client.fake.open_request(P1, "DR-0007", title="Closed 2014", digest="sha256:ab")
    client.fake.open_request(P1, "DR-0008", status="Approved")
    client.fake.open_request(P2, "DR-0009")
    client.fake.open_request("", "DR-0001", bpname="Company Disposal")


DR7 = {"bpname": "Disposal Request", "record_no": "DR-0007"}
