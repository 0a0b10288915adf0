"""Every error a user of this provider can meet.

An error says what was refused, which record it concerns, and which setting or right would change it.
No message holds a secret or a vendor's response body.
"""

from __future__ import annotations

from typing import ClassVar

_STILL_PROCESSING = (None, 502, 503, 504)
"""HTTP status of a response after which the server may go on with the request; None: no response came."""


class RecordsError(Exception):
    """Base of all errors of this provider.

    ``retry`` tells whether another try of the same task can help; operators turn the others into a task
    failure that Airflow does not retry. ``retry_after`` is how many seconds the system asked to wait, if it did; 0: it
    did not say how long.
    """

    retry = False
    retry_after: float | None = None


class ConfigurationError(RecordsError, ValueError):
    """A connection field, an operator argument or a ``[records]`` option is wrong."""


class InvalidRecordsError(RecordsError, ValueError):
    """``records=`` holds something that is not a clean list of records; no request was sent."""


class EvidenceError(RecordsError):
    """A file of the evidence store is missing, changed, or belongs to something else."""


class NewerFormatError(EvidenceError):
    """A file of the evidence store was written by a newer release, which reads it."""


class CertificateUnfinishedError(EvidenceError):
    """A certificate was begun and its writing ended early; the certifying task has to run again."""


class StoreUnavailableError(EvidenceError):
    """The evidence store cannot be reached or written right now; nothing was lost."""

    retry = True


class ApprovalError(RecordsError):
    """The approval is missing, is for another list, or has too few distinct approvers."""


class AnswerError(ApprovalError):
    """What a reviewer typed cannot be followed; nothing was approved or held, and another try asks again."""

    retry = True


class ApprovalLapsedError(ApprovalError):
    """The approval was right, and does not allow new deletes now; what was done under it stands."""


class WaitingPeriodError(ApprovalLapsedError):
    """The approval is right, and allows new deletes only from a later moment on (``min_wait``)."""

    retry = True


class ApprovalRejectedError(ApprovalError):
    """People decided against this disposal."""


class ApprovalWithdrawnError(ApprovalLapsedError):
    """The approval was right, and its source does not approve any more."""


class HoldError(RecordsError, ValueError):
    """A hold or its release cannot be written as it was asked for; nothing was changed."""


class TriggerEventError(RecordsError):
    """A waiting sensor was resumed by an event that its trigger does not send."""

    retry = True


class TooManyRecordsError(RecordsError):
    """The list is longer than ``max_records``; the whole list is refused, nothing was deleted."""


class JournalError(RecordsError):
    """The journal belongs to another manifest or cannot be continued."""


class DisposalIncompleteError(RecordsError):
    """Records are left as ``failed``, ``unknown`` or ``not_attempted``; the next try carries on with them."""

    retry = True


class CertificateIncompleteError(RecordsError):
    """The certificate was written, but not everything it covers was carried out."""


class VendorError(RecordsError):
    """A vendor's system did not do what was asked.

    :param message: what was refused and what would change it, fit for a log line.
    :param status: HTTP status code, or None when no answer arrived.
    :param code: the vendor's own code, e.g. ``12766`` (Unifier) or ``1100`` (enaio).
    :param request_id: the vendor's id of the request, for its support and audit log.
    :param detail: the vendor's raw text, cut to 500 characters; for the evidence, not for logs.
    :param reason: the cause alone, without the record's id: the same text for all records that it hits.

    ``no_effect`` and :attr:`may_still_take_effect` say what a disposal must know of an error before it sends a delete
    again. They are set here and nowhere else; whether a *request* is sent again, ``client/retry.py`` decides.
    """

    retry = True
    no_effect: ClassVar[bool] = False
    """The request certainly changed nothing."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        detail: str | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.detail = detail[:500] if detail else None
        self.reason = reason or message

    @property
    def may_still_take_effect(self) -> bool:
        """Whether the server may still be processing the request: nothing or only a gateway has answered."""
        return not self.no_effect and self.status in _STILL_PROCESSING


class NotSentError(VendorError):
    """The request provably did not reach the system (connection refused, name unknown, TLS refused)."""

    no_effect = True


class UnavailableError(NotSentError):
    """Nothing more is sent now: the system is down, asks to wait for too long, or the task is being stopped."""


class NoAnswerError(VendorError):
    """The request may or may not have been carried out: timeout, lost connection, gateway error."""


class UnreadableAnswerError(NoAnswerError):
    """An answer arrived but says nothing that can be relied on (HTML, cut-off JSON, wrong types)."""


class NotFoundError(VendorError):
    """The system says that it does not know this id."""

    no_effect = True


class RefusedError(VendorError):
    """The system refuses for a business reason that a retry does not change."""

    retry = False
    no_effect = True


class ServerError(VendorError):
    """The system reports an error of its own."""


class StopError(VendorError):
    """No further request to this system makes sense in this run until somebody changes something."""

    retry = False
    no_effect = True


class AuthenticationError(StopError):
    """The credentials were refused."""


class AccessDeniedError(StopError):
    """The credentials are valid but the right is missing (HTTP 403)."""


class WrongAddressError(StopError):
    """Host, region, path or login method is wrong: redirect, login page, or an unknown path."""
