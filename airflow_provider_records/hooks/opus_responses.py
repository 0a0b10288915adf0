"""Opus' responses as typed values; follows the vendor's page "Use Connector" and its samples."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeGuard

from airflow_provider_records.client.hook import Response, raise_error
from airflow_provider_records.exceptions import (
    NoAnswerError,
    RefusedError,
    StopError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)

PARTIAL = 418
ID_NAMES = frozenset({"rowkey", "id", "key", "disposalid"})
_CURSOR = re.compile("[^\ud800-\udfff]*")


@dataclass(frozen=True)
class DueRecord:
    """One row of the due list; Opus shows neither due date nor approval, hold or status.

    :param row_key: the key that its source gave it, exactly as listed.
    :param leaf_name: file name.
    :param term_full_path: term that classifies it.
    :param time_created: time in the tenant's format.
    :param time_modified: time in the tenant's format.
    :param created_by: who created it.
    :param modified_by: who changed it last.
    """

    row_key: str
    leaf_name: str | None
    term_full_path: str | None
    time_created: str | None
    time_modified: str | None
    created_by: str | None
    modified_by: str | None


@dataclass(frozen=True)
class DestroyResponse:
    """What became of the ids of one call; every id is in exactly one of the three.

    :param destroyed: marked as Destroyed.
    :param refused: refused by Opus, with the raw text of its entry in ``failedItems``.
    :param unclear: the response does not say.
    :param status: HTTP status code.
    :param request_id: Opus's id of the request, if it gave one.
    """

    destroyed: tuple[str, ...]
    refused: Mapping[str, str]
    unclear: tuple[str, ...]
    status: int
    request_id: str | None


@dataclass(frozen=True)
class SubmitResponse:
    """What became of the records of one call; every ``rowKey`` is in exactly one of the three.

    :param submitted: taken, or skipped because Opus has them already.
    :param refused: refused by Opus, with the raw text of its entry in ``failedItems``.
    :param unclear: the response does not say.
    :param status: HTTP status code.
    :param request_id: Opus's id of the request, if it gave one.
    """

    submitted: tuple[str, ...]
    refused: Mapping[str, str]
    unclear: tuple[str, ...]
    status: int
    request_id: str | None


def effective_status(response: Response) -> int:
    """Return the status that a response stands for: under HTTP 2xx a body ``statusCode`` of 400 or more decides."""
    if 200 <= response.status < 300 and response.text:
        try:
            body = response.json()
        except UnreadableAnswerError:
            return response.status
        code = body.get("statusCode") if isinstance(body, dict) else None
        if _is_integer(code) and code >= 400:
            return code
    return response.status


def read_body(response: Response) -> dict[str, Any]:
    """Parse a body; an empty one holds no fields.

    :raises UnreadableAnswerError: it is no JSON object, or its ``statusCode`` is no integer.
    """
    if response.status == 204 or not response.text.strip():
        return {}
    body = response.json()
    if not isinstance(body, dict):
        _unreadable(response, "a body that is no JSON object")
    if body.get("statusCode") is not None and not _is_integer(body["statusCode"]):
        _unreadable(response, "a statusCode that is no integer")
    return body


def read_outcomes(
    response: Response, ids: Sequence[str], done: frozenset[int]
) -> tuple[tuple[str, ...], dict[str, str], tuple[str, ...]]:
    """Sort the ids of a call into done, refused and unclear.

    :param response: the response.
    :param ids: what the call was about.
    :param done: HTTP status codes that say, without ``failedItems``, that all was done.
    :raises VendorError: the response is not about single ids; one subclass per cause.
    """
    status = effective_status(response)
    if status != PARTIAL and not 200 <= status < 300:
        raise_failure(response, status)
    body = read_body(response)
    items = body.get("failedItems")
    if body.get("statusCode") not in {None, PARTIAL, *done}:
        _unreadable(response, "a statusCode that does not go with it")
    refused, has_strangers = _named([] if items is None else items, ids)
    refused = {key: response.redact(said)[:500] for key, said in refused.items()}
    rest = tuple(item for item in ids if item not in refused)
    if has_strangers or (status == PARTIAL and not refused):
        return (), refused, rest
    # An empty 200 may come from a gateway; a response of Opus holds at least one of these.
    is_of_opus = status == 204 or body.get("statusCode") is not None or items is not None
    if status != PARTIAL and not refused and not (status in done and is_of_opus):
        _unreadable(response, "nothing that says what was done")
    return rest, refused, ()


def _named(items: object, ids: Sequence[str]) -> tuple[dict[str, str], bool]:
    """Return the ids that ``failedItems`` names, and whether it also holds something that names none of them."""
    if not isinstance(items, list):
        return {}, True
    named: dict[str, str] = {}
    has_strangers = False
    for item in items:
        key = item
        if isinstance(item, dict):
            values = [value for name, value in item.items() if name.lower() in ID_NAMES]
            key = values[0] if len(values) == 1 else None
        if isinstance(key, str) and key in ids:
            said = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
            named.setdefault(key, said.encode("utf-8", "replace").decode())
        else:
            has_strangers = True
    return named, has_strangers


def read_page(response: Response) -> tuple[list[DueRecord], str]:
    """Read a page of the due list and the cursor of the next one, empty at the end.

    :raises VendorError: the page cannot be relied on; one subclass per cause.
    """
    status = effective_status(response)
    if status == 204:
        return [], ""
    if status != 200:
        raise_failure(response, status)
    body = read_body(response)
    if body.get("statusCode") not in {None, 200, 204}:
        _unreadable(response, "a statusCode that does not go with it")
    rows = body.get("queriedItems")
    cursor = body.get("startIndex")
    if not isinstance(rows, list):
        _unreadable(response, "no list in queriedItems")
    if cursor is None:
        cursor = ""
    if not (isinstance(cursor, str) and _CURSOR.fullmatch(cursor)) and not _is_integer(cursor):
        _unreadable(response, "a startIndex that is no text")
    return [_row(response, row) for row in rows], str(cursor)


def _row(response: Response, row: object) -> DueRecord:
    key = row.get("rowKey") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(key, str) or not key.strip():
        _unreadable(response, "a row without a rowKey")

    def text(name: str) -> str | None:
        value = row.get(name)
        return str(value).strip() or None if isinstance(value, (str, int, float)) else None

    return DueRecord(
        row_key=key,
        leaf_name=text("leafName"),
        term_full_path=text("termFullPath"),
        time_created=text("timeCreated"),
        time_modified=text("timeModified"),
        created_by=text("createdBy"),
        modified_by=text("modifiedBy"),
    )


def raise_failure(response: Response, status: int) -> NoReturn:
    """Raise what a status other than success means.

    :param response: the response.
    :param status: HTTP status code, or the one in the body that decides.
    :raises VendorError: always; one subclass per cause.
    """
    kind: type[VendorError]
    if status == 400:
        kind, advice = RefusedError, "Opus calls the request invalid; check the record keys and the connector id"
    elif status in {404, 405}:
        kind, advice = WrongAddressError, "there is no such call; check host (region) and path of the connection"
    elif status == 408 or status >= 500:
        kind, advice = NoAnswerError, "Opus failed or was not reached; it is open if it acted"
    elif status >= 400:
        kind, advice = StopError, "Opus does not accept this request"
    else:
        kind, advice = UnreadableAnswerError, "Opus does not document such a response"
    raise_error(kind, response, f"Opus {response.call}: {advice} (HTTP {status}).", code=str(status))


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _unreadable(response: Response, what: str) -> NoReturn:
    raise_error(UnreadableAnswerError, response, f"Opus {response.call}: HTTP {response.status} came with {what}.")
