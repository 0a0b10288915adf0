"""The due list of Opus: its query, its filters, and its pages.

It follows "Use Connector". The page does not state sort order, stability and the form of the cursor: these are
switches.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_records.sandbox.message import Call, Reply
from airflow_provider_records.sandbox.opus_record import ConnectorRecord, answer, invalid_request, years_later

PER_PAGE = 100
TENANT_OFFSET = timedelta(hours=10)
NAMES = ("id", "disposalDueDate", "startIndex", "itemsPerPage")

_BOUND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def due_list(call: Call, connections: Mapping[str, list[ConnectorRecord]], switches: Mapping[str, Any]) -> Reply:
    """Answer ``GET /records/connector/records``.

    :param call: the request.
    :param connections: the records of each connection, by its GUID in lower case.
    :param switches: the switches of :class:`OpusPart`.
    :raises AbortWith: 400, the query does not follow the contract.
    """
    query = _query(call, switches["query_case"] == "ignored")
    records = connections.get(query["id"].lower())
    if records is None:
        raise invalid_request("id is not the GUID of a connection")
    if not query["itemsPerPage"].isdecimal() or not 1 <= int(query["itemsPerPage"]) <= PER_PAGE:
        raise invalid_request(f"itemsPerPage must be a number from 1 to {PER_PAGE}")
    size = int(query["itemsPerPage"])
    bound = _bound(query["disposalDueDate"], switches["zone"] == "tenant")
    scope = f"{query['id'].lower()}|{query['disposalDueDate']}"
    cursor = query.get("startIndex", "")
    is_opaque = switches["start_index"] == "opaque"
    start, is_gap = _place(cursor, scope, is_opaque)

    page, after = ([], start) if is_gap else _page(records, bound, start, size, switches)
    if not page and not cursor and switches["none_due"] == "204":
        return answer(204)
    body: dict[str, Any] = {"statusCode": 200, "queriedItems": [record.listed() for record in page]}
    if cursor and switches["repeat_cursor"]:
        body["startIndex"] = cursor
    elif after is not None:
        body["startIndex"] = _cursor(after, scope, is_opaque, switches["empty_page"] and not is_gap)
    elif switches["last_page"] != "absent":
        body["startIndex"] = None if switches["last_page"] == "null" else ""
    effects = []
    if switches["shrinking"] and page:
        page[0].due = years_later(page[0].due)
        effects.append({"effect": "extended", "id": page[0].rowKey})
    return answer(200, body, effects)


def _query(call: Call, fold: bool) -> dict[str, str]:
    known = {name.lower() if fold else name: name for name in NAMES}
    query: dict[str, str] = {}
    for name, value in call.query.items():
        folded = name.lower() if fold else name
        if folded not in known:
            raise invalid_request(f"unknown query parameter {name!r}")
        query[known[folded]] = value
    for name in NAMES:
        if name != "startIndex" and not query.get(name):
            raise invalid_request(f"query parameter {name!r} is required")
    return query


def _bound(text: str, is_local: bool) -> str:
    if not _BOUND.fullmatch(text):
        raise invalid_request("disposalDueDate must look like 2024-12-20T11:13:00")
    try:
        local = datetime.fromisoformat(text)
        return (local - TENANT_OFFSET if is_local else local).isoformat()
    except (ValueError, OverflowError):
        raise invalid_request("disposalDueDate is no date") from None


def _is_listed(record: ConnectorRecord, bound: str, switches: Mapping[str, Any]) -> bool:
    return (
        record.due < bound
        and (switches["list_destroyed"] or record.status != "Destroyed")
        and (switches["list_held"] or not record.held)
        and (switches["list_under_review"] or record.review != "under_review")
        and (switches["list_rejected"] or record.review != "rejected")
    )


def _page(
    records: list[ConnectorRecord], bound: str, start: int, size: int, switches: Mapping[str, Any]
) -> tuple[list[ConnectorRecord], int | None]:
    """Return a page, and where the next one starts: an index in the table, or in what is listed at this time."""
    if switches["paging"] == "offset":
        records = [record for record in records if _is_listed(record, bound, switches)]
    page: list[ConnectorRecord] = []
    last = start
    for place in range(start, len(records)):
        if not _is_listed(records[place], bound, switches):
            continue
        if len(page) == size:
            return page, last if switches["overlap"] and size > 1 else place
        page.append(records[place])
        last = place
    return page, None


def _cursor(place: int, scope: str, is_opaque: bool, has_gap: bool) -> str:
    """Return the cursor of a place; a leading zero stands for an empty page before it."""
    text = f"{'0' if has_gap else ''}{place}"
    # The plus sign of a cursor that a client does not percent-encode arrives as a blank, and is refused.
    return f"+/{base64.b64encode(f'{scope}|{text}'.encode()).decode()}" if is_opaque else text


def _place(cursor: str, scope: str, is_opaque: bool) -> tuple[int, bool]:
    if not cursor:
        return 0, False
    text = cursor
    if is_opaque:
        try:
            plain = base64.b64decode(cursor.removeprefix("+/"), validate=True).decode()
        except ValueError:
            plain = ""
        of, _, text = plain.rpartition("|")
        if not cursor.startswith("+/") or of != scope:
            text = ""
    if not text.isdecimal():
        raise invalid_request("startIndex is not one that this query returned")
    return int(text), text.startswith("0")
