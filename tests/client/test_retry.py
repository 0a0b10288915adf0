"""The table of what is sent again, and that it agrees with what a disposal is told of the same error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_records.client.retry import Decision, decide, is_gateway_error, is_transient
from airflow_provider_records.exceptions import (
    AccessDeniedError,
    AuthenticationError,
    ConfigurationError,
    NoAnswerError,
    NotFoundError,
    NotSentError,
    RecordsError,
    RefusedError,
    ServerError,
    StopError,
    UnavailableError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)

STOP, WAIT, RENEW, PROBE = Decision.STOP, Decision.WAIT, Decision.RENEW, Decision.PROBE
TABLE: dict[type[VendorError], tuple[Decision, Decision]] = {
    UnavailableError: (STOP, STOP),
    NotSentError: (WAIT, WAIT),
    AuthenticationError: (RENEW, RENEW),
    AccessDeniedError: (RENEW, RENEW),
    NoAnswerError: (WAIT, PROBE),
    UnreadableAnswerError: (WAIT, PROBE),
    ServerError: (STOP, PROBE),
    NotFoundError: (STOP, STOP),
    RefusedError: (STOP, STOP),
    WrongAddressError: (STOP, STOP),
    StopError: (STOP, STOP),
    VendorError: (STOP, PROBE),
}


def kinds(kind: type[VendorError] = VendorError) -> Iterator[type[VendorError]]:
    """Return the errors of a vendor's system, all subclasses included."""
    yield kind
    for each in kind.__subclasses__():
        yield from kinds(each)


def test_every_error_has_a_row() -> None:
    ours = {kind for kind in kinds() if kind.__module__ == VendorError.__module__}
    assert ours == TABLE.keys()


@pytest.mark.parametrize("kind", TABLE)
def test_the_table(kind: type[VendorError]) -> None:
    error = kind("x")
    assert (decide(error, repeatable=True), decide(error, repeatable=False)) == TABLE[kind]


@pytest.mark.parametrize("kind", TABLE)
def test_a_delete_is_in_doubt_exactly_if_it_may_have_had_an_effect(kind: type[VendorError]) -> None:
    """The client and the disposal, which sees the error afterwards, must not judge it in two ways."""
    assert (decide(kind("x"), repeatable=False) is PROBE) is not kind.no_effect


@pytest.mark.parametrize("kind", TABLE)
@pytest.mark.parametrize("status", [None, 200, 500, 502, 503, 504])
def test_what_changed_nothing_cannot_take_effect_later(kind: type[VendorError], status: int | None) -> None:
    expected = not kind.no_effect and status in {None, 502, 503, 504}
    assert kind("x", status=status).may_still_take_effect is expected


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (NoAnswerError("x"), True),
        (UnreadableAnswerError("x"), True),
        (NotSentError("x"), True),
        (UnavailableError("x"), True),
        (ServerError("x", status=500), True),
        (ServerError("x", status=500, code="3003"), True),
        (ServerError("x", status=200, code="500"), True),
        (ServerError("x", status=200, code="9999"), False),
        (RefusedError("x"), False),
        (NotFoundError("x"), False),
        (StopError("x"), False),
        (ConfigurationError("x"), False),
    ],
)
def test_what_may_pass(error: RecordsError, passes: bool) -> None:
    assert is_transient(error) is passes


@pytest.mark.parametrize(
    ("status", "open_"), [(200, False), (404, False), (408, True), (500, False), (501, True), (502, True), (599, True)]
)
def test_a_gateway_leaves_open_if_the_system_got_the_request(status: int, open_: bool) -> None:
    assert is_gateway_error(status) is open_
