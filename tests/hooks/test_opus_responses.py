"""What Opus' responses are read as; Opus itself is asked in test_opus.py and test_opus_destroy.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_records.client.response import Response
from airflow_provider_records.exceptions import (
    NoAnswerError,
    RefusedError,
    StopError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)
from airflow_provider_records.hooks.opus_responses import (
    effective_status,
    raise_failure,
    read_body,
    read_outcomes,
    read_page,
)

DONE = frozenset({200, 204})


def response(status: int, body: object = None, secrets: tuple[str, ...] = ()) -> Response:
    text = "" if body is None else body if isinstance(body, str) else json.dumps(body)
    return Response("destroy_records", status, {}, text, lambda: secrets)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, None, 200),
        (200, "no JSON", 200),
        (200, [400], 200),
        (200, {"statusCode": 399}, 200),
        (200, {"statusCode": 400}, 400),
        (204, {"statusCode": 500}, 500),
        (200, {"statusCode": "500"}, 200),
        (200, {"statusCode": True}, 200),
        (500, {"statusCode": 401}, 500),
    ],
)
def test_an_error_in_the_body_decides_under_a_success(status: int, body: object, expected: int) -> None:
    assert effective_status(response(status, body)) == expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RefusedError),
        (404, WrongAddressError),
        (405, WrongAddressError),
        (408, NoAnswerError),
        (500, NoAnswerError),
        (504, NoAnswerError),
        (402, StopError),
        (499, StopError),
        (201, UnreadableAnswerError),
    ],
)
def test_a_failure_has_its_type_and_its_status(status: int, kind: type[VendorError]) -> None:
    with pytest.raises(kind, match=f"HTTP {status}") as caught:
        raise_failure(response(200), status)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (200, str(status))


@pytest.mark.parametrize("body", [None, " ", {}])
def test_an_empty_body_has_no_members(body: object) -> None:
    assert read_body(response(200, body)) == {}


@pytest.mark.parametrize("body", ["[]", "null", {"statusCode": "200"}, {"statusCode": 1.5}])
def test_another_body_cannot_be_read(body: object) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_body(response(200, body))


def test_each_id_is_in_exactly_one_place() -> None:
    items: list[Any] = ["b", {"rowKey": "c", "reason": "on hold, token q8Zt"}]
    done, refused, unclear = read_outcomes(response(418, {"failedItems": items}, ("q8Zt",)), ("a", "b", "c"), DONE)
    assert (done, unclear) == (("a",), ())
    assert refused == {"b": "b", "c": '{"rowKey": "c", "reason": "on hold, token ***"}'}
    items.append("nobody")
    done, refused, unclear = read_outcomes(response(418, {"failedItems": items}), ("a", "b", "c"), DONE)
    assert (done, sorted(refused), unclear) == ((), ["b", "c"], ("a",))


def test_a_success_that_says_nothing_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswerError):
        read_outcomes(response(200), ("a",), DONE)
    assert read_outcomes(response(204), ("a",), DONE) == (("a",), {}, ())


@pytest.mark.parametrize(("cursor", "expected"), [(None, ""), ("", ""), ("x=", "x="), (7, "7")])
def test_a_page_has_its_rows_and_the_next_cursor(cursor: object, expected: str) -> None:
    body = {"queriedItems": [{"rowKey": "a", "leafName": " "}], "startIndex": cursor}
    rows, next_ = read_page(response(200, body))
    assert ([(row.row_key, row.leaf_name) for row in rows], next_) == ([("a", None)], expected)


@pytest.mark.parametrize(
    "body", [{}, {"queriedItems": {}}, {"queriedItems": [{}]}, {"queriedItems": [], "startIndex": [1]}]
)
def test_another_page_is_no_list(body: object) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_page(response(200, body))
