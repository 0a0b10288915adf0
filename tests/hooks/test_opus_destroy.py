"""Every row of the table of answers to a destruction, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from airflow_provider_records.exceptions import (
    AccessDeniedError,
    AuthenticationError,
    InvalidRecordsError,
    NoAnswerError,
    NotSentError,
    RefusedError,
    StopError,
    UnreadableAnswerError,
    WrongAddressError,
)
from airflow_provider_records.sandbox.core import Sandbox
from airflow_provider_records.sandbox.server import Server
from tests.conftest import Serve
from tests.hooks.opus_factory import KEYS, ServedOpus

A, B, C = KEYS[:3]


@pytest.fixture
def served(serve: Serve) -> ServedOpus:
    return ServedOpus(serve)


@pytest.fixture(scope="module")
def shared() -> Iterator[ServedOpus]:
    with ExitStack() as stack:
        yield ServedOpus(lambda *parts: stack.enter_context(Server(Sandbox(list(parts)))))


@pytest.fixture
def forced(shared: ServedOpus) -> ServedOpus:
    """Opus for forced responses, which change no records: one server for all of them."""
    shared.sandbox.faults.clear()
    shared.sandbox.log.clear()
    return shared


@pytest.mark.parametrize("success", ["200", "204"])
def test_all_are_destroyed(served: ServedOpus, success: str) -> None:
    served.part.turn({"success": success})
    answer = served.hook.destroy_records(KEYS[:15])
    assert (answer.destroyed, dict(answer.refused), answer.unclear) == (KEYS[:15], {}, ())
    assert answer.status == int(success)
    assert answer.request_id
    assert tuple(served.marked) == KEYS[:15]
    assert served.entries("destroy_records")[0].request == '{"disposalIds": ["' + '", "'.join(KEYS[:15]) + '"]}'


@pytest.mark.parametrize("body", [{"statusCode": 200}, {"failedItems": []}, {"statusCode": 200, "failedItems": []}])
def test_200_without_failed_items_is_all_destroyed(forced: ServedOpus, body: Any) -> None:
    forced.answer("destroy_records", 200, body)
    assert forced.hook.destroy_records([A, B]).destroyed == (A, B)


@pytest.mark.parametrize("body", [None, "", {}, {"statusCode": None, "message": None}, {"failedItems": None}])
def test_200_without_a_word_of_opus_leaves_open_whether_it_acted(forced: ServedOpus, body: Any) -> None:
    forced.answer("destroy_records", 200, body)
    with pytest.raises(UnreadableAnswerError, match="nothing that says"):
        forced.hook.destroy_records([A, B])


@pytest.mark.parametrize("partial", ["line_and_body", "line", "body", "neither"])
@pytest.mark.parametrize("failed_items", ["strings", "objects"])
def test_named_ids_are_refused_and_the_others_destroyed(served: ServedOpus, partial: str, failed_items: str) -> None:
    served.part.turn({"partial": partial, "failed_items": failed_items})
    served.part.decide(B, "hold")
    answer = served.hook.destroy_records([A, B, C])
    assert (answer.destroyed, answer.unclear, tuple(served.marked)) == ((A, C), (), (A, C))
    assert answer.refused == {B: B if failed_items == "strings" else f'{{"rowKey": "{B}", "reason": "on hold"}}'}
    assert answer.status == (418 if partial.startswith("line") else 200)


@pytest.mark.parametrize("partial", ["line_and_body", "line", "body"])
@pytest.mark.parametrize("failed_items", ["unreadable", "empty", "absent"])
def test_418_that_names_nobody_leaves_all_unclear(served: ServedOpus, partial: str, failed_items: str) -> None:
    served.part.turn({"partial": partial, "failed_items": failed_items})
    served.part.decide(B, "reject")
    answer = served.hook.destroy_records([A, B, C])
    assert (answer.destroyed, dict(answer.refused), answer.unclear) == ((), {}, (A, B, C))


def test_200_with_unreadable_failed_items_leaves_all_unclear(served: ServedOpus) -> None:
    served.part.turn({"partial": "neither", "failed_items": "unreadable"})
    served.part.decide(B, "reject")
    assert served.hook.destroy_records([A, B, C]).unclear == (A, B, C)


@pytest.mark.parametrize("status", [200, 201, 202, 418])
@pytest.mark.parametrize(
    "element",
    [A, {"ID": A}, {"Key": A, "reason": "held"}, {"disposalId": A, "code": 7}, {"rowkey": A, "message": B}],
)
def test_an_element_that_names_an_id(forced: ServedOpus, status: int, element: Any) -> None:
    forced.answer("destroy_records", status, {"failedItems": [element, element]})
    answer = forced.hook.destroy_records([A, B])
    assert (answer.destroyed, list(answer.refused), answer.unclear) == ((B,), [A], ())


@pytest.mark.parametrize("status", [200, 418])
@pytest.mark.parametrize(
    "element",
    [A.upper(), f"{A} ", "hr-2014-9999", 7, None, True, [A], {}, {"name": A}, {"id": [A]}, {"id": {"key": A}},
     {"id": 7, "rowKey": A}, {"rowKey": A, "id": B}, {"id": A, "ID": B}],
)  # fmt: skip
def test_an_element_that_names_none_leaves_the_others_unclear(forced: ServedOpus, status: int, element: Any) -> None:
    forced.answer("destroy_records", status, {"failedItems": [element, C]})
    answer = forced.hook.destroy_records([A, B, C])
    assert (answer.destroyed, dict(answer.refused), answer.unclear) == ((), {C: C}, (A, B))


@pytest.mark.parametrize("status", [200, 418])
@pytest.mark.parametrize("items", [{"rowKey": A}, {}, A, "", 0, 1, True, False])
def test_failed_items_that_is_no_list_leaves_all_unclear(forced: ServedOpus, status: int, items: Any) -> None:
    forced.answer("destroy_records", status, {"failedItems": items})
    assert forced.hook.destroy_records([A, B]).unclear == (A, B)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"statusCode": 400}, RefusedError),
        (200, {"statusCode": 400}, RefusedError),
        (403, None, AccessDeniedError),
        (200, {"statusCode": 403}, AccessDeniedError),
        (404, "<html>", WrongAddressError),
        (405, None, WrongAddressError),
        (200, {"statusCode": 404}, WrongAddressError),
        (302, None, WrongAddressError),
        (402, None, StopError),
        (409, None, StopError),
        (422, None, StopError),
        (408, None, NoAnswerError),
        (500, {"statusCode": 500}, NoAnswerError),
        (200, {"statusCode": 500}, NoAnswerError),
        (200, {"statusCode": 10**30}, NoAnswerError),
        (502, None, NoAnswerError),
        (503, None, NoAnswerError),
        (504, "<html>", NoAnswerError),
        (201, None, UnreadableAnswerError),
        (202, {"statusCode": 202}, UnreadableAnswerError),
        (206, {"failedItems": []}, UnreadableAnswerError),
        (200, "<html>done</html>", UnreadableAnswerError),
        (200, '{"statusCode": 20', UnreadableAnswerError),
        (200, "[" * 50_000, UnreadableAnswerError),
        (200, [], UnreadableAnswerError),
        (200, "null", UnreadableAnswerError),
        (200, '"200"', UnreadableAnswerError),
        (200, {"statusCode": "418"}, UnreadableAnswerError),
        (200, {"statusCode": "200"}, UnreadableAnswerError),
        (200, {"statusCode": 200.0}, UnreadableAnswerError),
        (200, {"statusCode": True}, UnreadableAnswerError),
        (200, {"statusCode": {}}, UnreadableAnswerError),
        (200, {"statusCode": 0}, UnreadableAnswerError),
        (200, {"statusCode": 302}, UnreadableAnswerError),
        (418, "<html>teapot</html>", UnreadableAnswerError),
        (418, {"statusCode": "418"}, UnreadableAnswerError),
    ],
)
def test_other_answers_are_typed_errors_and_are_not_repeated(
    forced: ServedOpus, status: int, body: Any, error: type[Exception]
) -> None:
    forced.answer("destroy_records", status, body, times=None)
    with pytest.raises(error) as caught:
        forced.hook.destroy_records([A, B])
    assert type(caught.value) is error
    assert len(forced.entries("destroy_records")) == 1


@pytest.mark.parametrize(("status", "body"), [(401, None), (200, {"statusCode": 401})])
def test_401_is_answered_with_a_new_token(served: ServedOpus, status: int, body: Any) -> None:
    served.answer("destroy_records", status, body)
    assert served.hook.destroy_records([A]).destroyed == (A,)
    assert (len(served.entries("token")), served.marked) == (2, [A])
    served.answer("destroy_records", status, body, times=None)
    with pytest.raises(AuthenticationError):
        served.hook.destroy_records([B])
    assert (len(served.entries("destroy_records")), served.marked) == (6, [A])


def test_a_token_that_ends_in_the_middle_of_a_run_is_renewed(served: ServedOpus) -> None:
    served.hook.destroy_records([A])
    served.part.tokens.revoke()
    assert served.hook.destroy_records([B]).destroyed == (B,)


def test_429_is_sent_again(served: ServedOpus) -> None:
    served.answer("destroy_records", 429, headers={"Retry-After": "1"})
    assert served.hook.destroy_records([A]).destroyed == (A,)
    first, second = (entry.time for entry in served.entries("destroy_records"))
    assert second - first > 0.98


@pytest.mark.parametrize("act", [True, False])
def test_a_lost_answer_is_in_doubt(served: ServedOpus, act: bool) -> None:
    served.fault("destroy_records", drop=True, act=act)
    with pytest.raises(NoAnswerError):
        served.hook.destroy_records([A])
    assert (len(served.entries("destroy_records")), served.marked) == (1, [A] if act else [])


def test_a_cut_answer_is_in_doubt(served: ServedOpus) -> None:
    served.fault("destroy_records", cut=9)
    with pytest.raises(UnreadableAnswerError):
        served.hook.destroy_records([A])
    assert served.marked == [A]


def test_a_destruction_without_a_token_was_not_sent(served: ServedOpus) -> None:
    served.answer("token", 503, times=None)
    with pytest.raises(NotSentError):
        served.hook.destroy_records([A])
    assert served.entries("destroy_records") == []


def test_the_body_stays_out_of_messages(forced: ServedOpus) -> None:
    forced.answer("destroy_records", 400, {"message": "a stranger's words"}, headers={"request-id": "r-17"})
    with pytest.raises(RefusedError) as caught:
        forced.hook.destroy_records([A])
    error = caught.value
    assert "stranger" not in str(error)
    assert "a stranger's words" in str(error.detail)
    assert (error.status, error.request_id) == (400, "r-17")


@pytest.mark.parametrize(
    "ids", [[], KEYS[:16], [A, A], [A, ""], [A, " "], [A, None], [7], A, "[]", b"[]", None, 7, {A}]
)
def test_a_list_that_is_not_clean_is_refused_before_any_request(forced: ServedOpus, ids: Any) -> None:
    with pytest.raises(InvalidRecordsError):
        forced.hook.destroy_records(ids)
    assert forced.sandbox.log == []


def test_an_odd_key_arrives_as_it_is(forced: ServedOpus) -> None:
    odd = ' "hr"\\2014/ä#€\n'
    forced.answer("destroy_records", 418, {"failedItems": [odd]})
    assert forced.hook.destroy_records([odd]).refused == {odd: odd}
