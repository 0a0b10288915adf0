"""May this request be sent again? The one table that says so.

A request is *repeatable* (a read) or not (a delete, a submit): a repeatable one can be sent twice without harm.
What the table calls in doubt is not decided here: a disposal probes the record first (``execution/retries.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from airflow_provider_records.exceptions import (
    AccessDeniedError,
    AuthenticationError,
    NoAnswerError,
    NotFoundError,
    NotSentError,
    RecordsError,
    RefusedError,
    ServerError,
    StopError,
    UnavailableError,
    VendorError,
)


class Decision(Enum):
    """What to do with a request that failed."""

    RENEW = "send it again at once with new credentials, if there are any"
    WAIT = "send it again after waiting"
    STOP = "do not send it again"
    PROBE = "do not send it again: it may have taken effect, and only a probe can tell"


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    :param errors: what happened.
    :param repeatable: what to do with a read.
    :param other: what to do with a request that changes something.
    """

    errors: tuple[type[VendorError], ...]
    repeatable: Decision
    other: Decision


RULES = (
    # The circuit breaker is open, or the task is being stopped. All waiting that is allowed has been done.
    Rule((UnavailableError,), Decision.STOP, Decision.STOP),
    # No connection, unknown host name, untrusted certificate, or 429: certainly not carried out.
    Rule((NotSentError,), Decision.WAIT, Decision.WAIT),
    # 401, 403: refused before anything was carried out. A token or a session can end at any time; the client knows
    # whether it can get a new one. The number of attempts is limited, since refused logins can lock an account.
    Rule((AuthenticationError, AccessDeniedError), Decision.RENEW, Decision.RENEW),
    # Timeout, lost connection, gateway error (408, 502 to 504), unreadable body: it may have taken effect. A second
    # delete would answer "not found", which hides that the first one worked.
    Rule((NoAnswerError,), Decision.WAIT, Decision.PROBE),
    # The system reports an error of its own (500, a code without a documented meaning). It answered, so the same
    # read gets the same answer; a delete may have taken effect in part.
    Rule((ServerError,), Decision.STOP, Decision.PROBE),
    # Not found, refused for a business reason, redirect, wrong address or request: nothing was done, and the same
    # request gets the same answer.
    Rule((NotFoundError, RefusedError, StopError), Decision.STOP, Decision.STOP),
    # An error that says nothing more.
    Rule((VendorError,), Decision.STOP, Decision.PROBE),
)
"""The first row that fits counts."""


def decide(error: VendorError, *, repeatable: bool) -> Decision:
    """Return whether and how a failed request is sent again.

    :param error: what happened to it.
    :param repeatable: it is a read, which can be sent twice without harm.
    """
    rule = next(rule for rule in RULES if isinstance(error, rule.errors))
    return rule.repeatable if repeatable else rule.other


def is_transient(error: RecordsError) -> bool:
    """Tell whether the same question may be answered later: the system was not reached, or failed with a 5xx."""
    if isinstance(error, ServerError):
        return any(500 <= int(number or 0) < 600 for number in (error.status, error.code))
    return isinstance(error, (NoAnswerError, NotSentError))


def is_gateway_error(status: int) -> bool:
    """Tell whether an HTTP status leaves open if the request reached the system behind the gateway."""
    return status == 408 or status > 500


def root_cause(error: Exception) -> object:
    """Return the error that made urllib3 give up."""
    return getattr(error, "reason", error)
