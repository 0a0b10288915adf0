"""What Unifier's responses are read as; Unifier itself is asked in test_unifier.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_records.client.response import Response
from airflow_provider_records.exceptions import UnreadableAnswerError
from airflow_provider_records.hooks.unifier_responses import Envelope, Node, text_of, token_of


def opened(body: object) -> Envelope | None:
    text = body if isinstance(body, str) else json.dumps(body)
    return Envelope.from_json(Response("call", 200, {}, text, lambda: ("q8Zt",)))


def envelope(body: object) -> Envelope:
    found = opened(body)
    assert found is not None
    return found


@pytest.mark.parametrize("body", ["", "<html>", "null", 7, [], [{}, {}], ["x"]])
def test_what_is_no_object_is_no_envelope(body: object) -> None:
    assert opened(body) is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, 200), (200.0, 200), ("12766", 12766), (" -1 ", -1), (True, None), (1.5, None), ("x", None), (None, None)],
)
def test_the_status_is_a_whole_number_in_any_form(status: object, expected: int | None) -> None:
    assert envelope({"status": status}).status == expected
    assert envelope([{"status": status}]).status == expected


@pytest.mark.parametrize(
    ("message", "text", "request_id"),
    [
        ("done", "done", None),
        ([{"message": "a", "rest_audit_id": 5}, {"message": "b"}], "a b", "5"),
        ({"message": ["a", {"message": "b"}]}, "a b", None),
        ("token q8Zt", "token ***", None),
        (None, "", None),
    ],
)
def test_all_texts_of_the_message_are_kept_without_secrets(message: object, text: str, request_id: str | None) -> None:
    found = envelope({"message": message})
    assert (found.message, found.request_id) == (text, request_id)


@pytest.mark.parametrize("data", [None, {}, "x", [1], [{}, None]])
def test_data_that_is_no_list_of_objects_has_no_rows(data: object) -> None:
    with pytest.raises(UnreadableAnswerError):
        _ = envelope({"data": data}).rows


@pytest.mark.parametrize("node_id", [None, "", "0", "07", "x", True, 1.5, "1" * 20])
def test_a_row_without_a_node_id_is_a_node_without_one(node_id: object) -> None:
    assert not Node.from_json({"node_id": node_id}).node_id


@pytest.mark.parametrize(
    ("value", "text"),
    [(" a ", "a"), (7, "7"), (7.0, "7"), (7.5, ""), (True, ""), (None, ""), ([], ""), ("\ud800", "?")],
)
def test_only_texts_and_whole_numbers_are_text(value: object, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("body", "value", "lifetime"),
    [
        ({"token": "abc"}, "abc", None),
        ({"access_token": "abc", "token": "other", "expires_in": "3600"}, "abc", 3600.0),
        ({"data": {"access_token": "abc", "expires_in": 5}}, "abc", 5.0),
        ({"data": [{"token": "abc", "expires_in": -1}]}, "abc", None),
        ({"token": "abc", "expires_in": True}, "abc", None),
        ({"token": "abc", "expires_in": "1e999"}, "abc", None),
    ],
)
def test_a_token_is_found_in_each_of_its_places(body: object, value: str, lifetime: float | None) -> None:
    found = token_of(envelope(body))
    assert found is not None
    assert (found.value, found.lifetime) == (value, lifetime)


@pytest.mark.parametrize("body", [{}, {"token": ""}, {"token": "a\nb"}, {"token": 7}, {"data": [{}, {"token": "a"}]}])
def test_what_cannot_be_sent_is_no_token(body: object) -> None:
    assert token_of(envelope(body)) is None


def test_headers_that_cannot_be_sent_are_left_out() -> None:
    headers: dict[str, Any] = {"X-Tenant": "acme", "bad name": "x", "X-Line": "a\r\nb", "X-Number": 7, "X-None": None}
    found = token_of(envelope({"token": "abc", "request_headers": headers}))
    assert found is not None
    assert found.headers == {"X-Tenant": "acme", "X-Number": "7"}
