"""Client of AvePoint Opus: due list, submission and destruction of connector records (AvePoint Graph API).

Opus deletes no content itself; destroying marks the records as Destroyed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

from airflow.sdk import Connection

from airflow_provider_records.client import fields
from airflow_provider_records.client.hook import BearerAuth, Response, Settings, Token, VendorHook
from airflow_provider_records.client.settings import invalid
from airflow_provider_records.exceptions import (
    AccessDeniedError,
    AuthenticationError,
    ConfigurationError,
    InvalidRecordsError,
    UnreadableAnswerError,
    VendorError,
)
from airflow_provider_records.hooks.opus_login import HOSTS, ClientCredentialsAuth, read_token, refused, token_url
from airflow_provider_records.hooks.opus_responses import (
    DestroyResponse,
    DueRecord,
    SubmitResponse,
    effective_status,
    read_outcomes,
    read_page,
)

MOST_PER_CALL = 15
MOST_PER_PAGE = 100
MOST_IDLE_PAGES = 100
REQUIRED = ("rowKey", "leafName", "timeCreated", "timeModified", "createdBy", "modifiedBy")
CONFLICT_OPTIONS = ("Overwrite", "Skip")

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class OpusHook(VendorHook):
    """Client of the connector records of AvePoint Opus.

    Follows the vendor's pages "Use Connector", "Use AvePoint Graph API" and "Register app".

    :param opus_conn_id: Airflow connection of the type ``opus``.
    :param settings: the connection's fields, if the caller has read them already (triggers must).
    """

    vendor = "Opus"
    conn_name_attr = "opus_conn_id"
    default_conn_name = "opus_default"
    conn_type = "opus"
    hook_name = "AvePoint Opus"
    extra_fields = fields.OPUS

    def __init__(self, opus_conn_id: str = "opus_default", settings: Settings | None = None) -> None:
        super().__init__(opus_conn_id, settings)

    @classmethod
    def read_settings(cls, connection: Connection, extra: Mapping[str, Any]) -> Settings:
        """Convert and check the fields; the region stands for the host.

        :raises ConfigurationError: the connection has another type or none, or a field is missing, unknown or has a
            wrong value; the message names it.
        """
        region = extra.get(fields.REGION.name) if isinstance(extra, Mapping) else None
        host = HOSTS.get(region.strip()) if isinstance(region, str) else None
        settings = Settings.from_connection(connection, extra, cls.conn_type, cls.extra_fields, host)
        if host and urlsplit(settings.base_url).hostname != host:
            problem = f"stands for the host {host}, but field 'host' names another; keep only one of the two"
            raise invalid(settings.conn_id, fields.REGION.name, problem)
        return settings

    @property
    def target(self) -> str:
        """The base URL with client id and connector id: all tenants of a region share the host."""
        identity = {"client_id": self.settings.login, "connector_id": (self.connector_id or "").lower()}
        return f"{super().target}?{urlencode({name: value for name, value in identity.items() if value})}"

    @property
    def connector_id(self) -> str | None:
        """The connection's default connector connection (GUID), or None."""
        return self.settings.text(fields.CONNECTOR_ID) or None

    def iter_due_records(
        self, connector_id: str | None, due_before: datetime | str, page_size: int = MOST_PER_PAGE
    ) -> Iterator[DueRecord]:
        """Yield the records that are due; due does not mean approved ("Use Connector", get due records).

        Arguments are checked at once, requests are sent while iterating. Read to the end before anything is
        destroyed, since the list shrinks with it. A record that two pages list alike comes once; a key that is listed
        with different fields comes with each of them.

        :param connector_id: GUID of the connector connection; None: the connection's default.
        :param due_before: list what is due earlier. Sent in UTC and without offset; without a zone as it is.
        :param page_size: rows per request, 1 to 100.
        :raises ConfigurationError: an argument is wrong; no request was sent.
        :raises VendorError: a page could not be read, so that the list is not complete.
        """
        check_page_size(page_size)
        return self._due_records(self.due_connector(connector_id), due_text(due_before), page_size)

    def _due_records(self, connector_id: str, bound: str, page_size: int) -> Iterator[DueRecord]:
        listed: dict[str, int] = {}
        cursors = {""}
        cursor = ""
        idle = 0
        while True:
            records, cursor = self._page(connector_id, bound, page_size, cursor)
            idle = 0 if any(record.row_key not in listed for record in records) else idle + 1
            for record in records:
                mark = hash(record)
                if listed.get(record.row_key) != mark:
                    listed.setdefault(record.row_key, mark)
                    yield record
            if not cursor:
                return
            if cursor in cursors or idle == MOST_IDLE_PAGES:
                what = "the same page was announced twice" if cursor in cursors else f"{idle} pages brought nothing new"
                raise UnreadableAnswerError(f"Opus due_records: {what}; the list has no end.")
            cursors.add(cursor)

    def _page(self, connector_id: str, bound: str, page_size: int, cursor: str) -> tuple[list[DueRecord], str]:
        query = {
            "id": connector_id,
            "disposalDueDate": bound,
            "startIndex": cursor,
            "itemsPerPage": str(page_size),
        }

        def read(response: Response) -> tuple[list[DueRecord], str]:
            records, after = read_page(response)
            if len(records) > page_size:
                raise UnreadableAnswerError(
                    f"Opus due_records: a page holds {len(records)} records; {page_size} were asked for."
                )
            return records, after

        return self.send("due_records", "GET", self._records_url, read, repeatable=True, params=query)

    def submit_records(
        self, connector_id: str | None, records: Sequence[Mapping[str, object]], conflict_option: str = "Skip"
    ) -> SubmitResponse:
        """Submit records, at most 15 ("Use Connector", submit records).

        :param connector_id: GUID of the connector connection; None: the connection's default.
        :param records: ``rowKey``, ``leafName``, ``timeCreated``, ``timeModified``, ``createdBy`` and
            ``modifiedBy`` as text; optionally ``termFullPath`` and custom columns by their internal names.
        :param conflict_option: ``Skip`` or ``Overwrite`` records that Opus has already.
        :return: what became of each record.
        :raises InvalidRecordsError: too many, none, or a required field is missing; no request was sent.
        :raises VendorError: one subclass per cause; the call is not sent again after a lost response.
        """
        connector = self.due_connector(connector_id)
        if conflict_option not in CONFLICT_OPTIONS:
            raise ConfigurationError(f"conflict_option must be one of {', '.join(CONFLICT_OPTIONS)}.")
        if not isinstance(records, Sequence) or isinstance(records, (str, bytes)):
            raise InvalidRecordsError("Opus submit_records: records must be a list of mappings.")
        for position, record in enumerate(records):
            for name in REQUIRED:
                value = record.get(name) if isinstance(record, Mapping) else None
                if not isinstance(value, str) or not value.strip():
                    raise InvalidRecordsError(f"Opus submit_records: record {position} needs {name!r} as text.")
        keys = _checked("submit_records", [str(record["rowKey"]) for record in records])
        body = {"id": connector, "conflictOption": conflict_option, "data": [dict(record) for record in records]}

        def read(response: Response) -> SubmitResponse:
            outcomes = read_outcomes(response, keys, frozenset({200, 201}))
            return SubmitResponse(*outcomes, response.status, response.request_id)

        return self.send("submit_records", "POST", self._records_url, read, repeatable=False, json=body)

    def destroy_records(self, disposal_ids: Sequence[str]) -> DestroyResponse:
        """Mark records as Destroyed, at most 15 ("Use Connector", destroy records). This cannot be undone.

        :param disposal_ids: the ``rowKey`` of each record.
        :return: what became of each id.
        :raises InvalidRecordsError: none, too many, an empty or a repeated id; no request was sent.
        :raises RefusedError: Opus calls the whole request invalid.
        :raises NotSentError: Opus was not reached, or asked to wait for too long.
        :raises NoAnswerError: it is open if Opus acted; the call is not sent again.
        :raises StopError: no further call makes sense until credentials, rights or address are corrected.
        """
        ids = _checked("destroy_records", disposal_ids)

        def read(response: Response) -> DestroyResponse:
            outcomes = read_outcomes(response, ids, frozenset({200, 204}))
            return DestroyResponse(*outcomes, response.status, response.request_id)

        body = {"disposalIds": list(ids)}
        return self.send("destroy_records", "DELETE", self._records_url, read, repeatable=False, json=body)

    def check_connection(self) -> str:
        """Fetch a token and, with a connector id, ask for a due list that is certainly empty."""
        self.auth.token()
        if (connector := self.connector_id) is None:
            return "Token accepted. Only the credentials were tested: the connection has no connector id."
        try:
            self._page(self.due_connector(connector), "1970-01-01T00:00:00", 1, "")
        except AccessDeniedError as error:
            raise AccessDeniedError(
                f"Token accepted, scope missing: {self.settings.text(fields.SCOPE)}. Opus refuses the read (HTTP 403); "
                "give the app registration this permission."
            ) from error
        except AuthenticationError as error:
            raise AuthenticationError(
                "Token accepted by the identity service, but not by Opus (HTTP 401): host and identity_url belong to "
                "different clouds or regions."
            ) from error
        except VendorError as error:
            raise type(error)(f"Token accepted, but: {error}") from error
        return "Token accepted, and Opus showed the due list of the connector."

    def effective_status(self, response: Response) -> int:
        """Let a ``statusCode`` of 400 or more decide under HTTP 2xx."""
        return effective_status(response)

    @property
    def _records_url(self) -> str:
        return self.url("records/connector/records")

    def due_connector(self, connector_id: str | None) -> str:
        """Return the connector connection that a call is about.

        :param connector_id: its GUID; None: the connection's default.
        :raises ConfigurationError: there is none, or it is no GUID.
        """
        given = self.connector_id if connector_id is None else connector_id
        if given is None:
            raise ConfigurationError(
                f"No connector_id was given, and connection {self.conn_id!r} has none in its field 'connector_id'; "
                "it is the id in the connection's JSON file (Opus, Settings, Connector)."
            )
        return checked_guid(given)

    @cached_property
    def auth(self) -> BearerAuth:
        """One token for all threads, by client secret or by signed assertion ("Use AvePoint Graph API")."""
        url = token_url(self.settings)
        credentials = ClientCredentialsAuth(self.settings, url)

        def fetch() -> Token:
            try:
                return self.send("token", "POST", url, read_token, repeatable=True, auth=credentials)
            except AuthenticationError as error:
                raise error if error.status != 401 else refused(error) from None

        return BearerAuth(fetch)


def checked_guid(connector_id: object) -> str:
    """Return a connector id without blanks around it.

    :raises ConfigurationError: it is no GUID.
    """
    if not isinstance(connector_id, str) or not _GUID.fullmatch(connector_id.strip()):
        raise ConfigurationError(
            f"connector_id must be a GUID like 3f0c6a52-8d1e-4b7a-9c35-5e2a71d04b68, not {connector_id!r}."
        )
    return connector_id.strip()


def due_text(due_before: datetime | str) -> str:
    """Write a bound as Opus's sample does; fractions of a second are cut, so that nothing is listed early.

    :param due_before: with a zone it is converted to UTC; without one it stays as it is.
    :raises ConfigurationError: it is neither a datetime nor ISO text.
    """
    moment: object = due_before
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment.strip())
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        raise ConfigurationError(
            f"due_before must be a datetime or ISO text like 2024-12-20T11:13:00, not {due_before!r}."
        )
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            raise ConfigurationError(f"due_before is out of range: {due_before!r}.") from None
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def _checked(call: str, keys: Sequence[str]) -> tuple[str, ...]:
    """Return the keys of one call, once they are known to be a clean list."""
    is_list = isinstance(keys, Sequence) and not isinstance(keys, (str, bytes))
    if not is_list or not all(isinstance(key, str) and key.strip() for key in keys):
        raise InvalidRecordsError(f"Opus {call}: keys must be a list of texts that are not empty.")
    if not 1 <= len(keys) <= MOST_PER_CALL:
        raise InvalidRecordsError(f"Opus {call}: {len(keys)} records; a call takes 1 to {MOST_PER_CALL}.")
    if len(set(keys)) != len(keys):
        raise InvalidRecordsError(f"Opus {call}: a key is given twice.")
    return tuple(keys)


def check_page_size(number: object) -> None:
    """Check the number of rows per request.

    :raises ConfigurationError: Opus does not take it.
    """
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST_PER_PAGE:
        raise ConfigurationError(f"page_size must be a whole number from 1 to {MOST_PER_PAGE}, not {number!r}.")
