"""A connector record of Opus, and the replies: shared by all calls of the fake."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_records.sandbox.message import AbortWith, Call, Reply

RETENTION_YEARS = 10


@dataclass
class ConnectorRecord:
    """One connector record.

    :param rowKey: the key that its source gave it.
    :param connector_id: GUID of its connection.
    :param leafName: file name.
    :param termFullPath: term that classifies it; may be empty.
    :param due: ``YYYY-MM-DDTHH:MM:SS`` in UTC.
    :param review: ``approved``, ``under_review`` or ``rejected``.
    :param held: whether it is on hold.
    :param status: ``Active`` or ``Destroyed``.
    :param columns: custom columns.
    """

    rowKey: str  # noqa: N815 - the vendor's own names, here and below
    connector_id: str
    leafName: str  # noqa: N815
    termFullPath: str  # noqa: N815
    timeCreated: str  # noqa: N815
    timeModified: str  # noqa: N815
    createdBy: str  # noqa: N815
    modifiedBy: str  # noqa: N815
    due: str
    review: str = "approved"
    held: bool = False
    status: str = "Active"
    columns: dict[str, Any] = field(default_factory=dict)

    def listed(self) -> dict[str, str]:
        """Return it as the due list shows it."""
        shown = {
            "rowKey": self.rowKey,
            "leafName": self.leafName,
            "termFullPath": self.termFullPath,
            "timeCreated": f"{self.timeCreated} ",
            "timeModified": f"{self.timeModified} ",
            "createdBy": self.createdBy,
            "modifiedBy": self.modifiedBy,
        }
        return {name: value for name, value in shown.items() if value or name != "termFullPath"}


def years_later(time: str) -> str:
    """Return a time one retention period later.

    :param time: ``YYYY-MM-DDTHH:MM:SS``.
    """
    return f"{int(time[:4]) + RETENTION_YEARS:04}{time[4:]}".replace("-02-29", "-02-28")


def json_body(call: Call) -> dict[str, Any]:
    if call.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise invalid_request("the call needs a body with the content type application/json")
    body = call.json()
    if not isinstance(body, dict):
        raise invalid_request("the body is no JSON object")
    return body


def answer(status: int, body: Any = None, effects: list[dict[str, Any]] | None = None) -> Reply:  # noqa: ANN401
    return Reply(status, body, {"request-id": str(uuid.uuid4())}, effects or [])


def invalid_request(message: str) -> AbortWith:
    return AbortWith(answer(400, {"statusCode": 400, "message": message, "errors": []}))
