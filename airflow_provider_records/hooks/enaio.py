"""Client of OPTIMAL SYSTEMS enaio: the DMS service behind the enaio gateway."""

from __future__ import annotations

import email.message
import math
import re
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from functools import cached_property
from http.cookiejar import Cookie, CookieJar
from types import SimpleNamespace
from typing import Any, NoReturn

from urllib3 import BaseHTTPResponse

from airflow_provider_records.client import fields
from airflow_provider_records.client.hook import (
    AuthBase,
    Request,
    Response,
    Settings,
    VendorHook,
    basic_auth,
    quoted,
    raise_error,
)
from airflow_provider_records.client.retry import is_gateway_error
from airflow_provider_records.exceptions import (
    AuthenticationError,
    ConfigurationError,
    InvalidRecordsError,
    NoAnswerError,
    NotFoundError,
    NotSentError,
    StopError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)
from airflow_provider_records.hooks.enaio_responses import (
    ADVICE,
    KIND_OF_CODE,
    KIND_OF_STATUS,
    EnaioObject,
    Page,
    Place,
    Version,
    error_code,
    places,
    version_in,
)

HARD_DELETE_SINCE: Version = (5, 0, 0)


class Cookies(CookieJar):
    """Cookies, with the header that they make for each folder of URLs: finding it anew costs a third of a request."""

    def __init__(self) -> None:
        super().__init__()
        self._headers: dict[str, str | None] = {}
        self._some_end = False

    def header(self, url: str) -> str | None:
        """Return the Cookie header for a URL, or None."""
        headers, folder = self._headers, url.partition("?")[0].rpartition("/")[0]
        if folder not in headers:
            request = urllib.request.Request(url)  # noqa: S310 - nothing is opened
            self.add_cookie_header(request)
            found = request.get_header("Cookie")
            if self._some_end:
                return found
            headers[folder] = found
        return headers[folder]

    def keep(self, url: str, response: BaseHTTPResponse) -> None:
        """Keep the cookies that a response sets."""
        lines = email.message.Message()
        for value in response.headers.getlist("Set-Cookie"):
            lines["Set-Cookie"] = value
        request = urllib.request.Request(url)  # noqa: S310 - nothing is opened
        self.extract_cookies(SimpleNamespace(info=lambda: lines), request)  # type: ignore[arg-type]

    def set_cookie(self, cookie: Cookie) -> None:
        super().set_cookie(cookie)
        self._some_end = self._some_end or cookie.expires is not None
        self._headers = {}

    def clear(self, *args: Any) -> None:  # noqa: ANN401
        super().clear(*args)
        self._headers = {}


class EnaioHook(VendorHook):
    """Client of the enaio DMS service ("enaio API", calls below ``/objects``).

    Follows the vendor's pages of the DMS service. Every call may raise any :class:`VendorError`; each lists those that
    have a meaning of their own there. "Not found" is raised only if the service is known to be at this address: a
    wrong ``api_prefix`` gets 404 as well.

    :param enaio_conn_id: Airflow connection of type ``enaio``.
    :param settings: the connection's fields, if the caller has read them already.
    """

    vendor = "enaio"
    conn_name_attr = "enaio_conn_id"
    default_conn_name = "enaio_default"
    conn_type = "enaio"
    hook_name = "OPTIMAL SYSTEMS enaio"
    extra_fields = fields.ENAIO

    def __init__(self, enaio_conn_id: str = default_conn_name, settings: Settings | None = None) -> None:
        super().__init__(enaio_conn_id, settings)
        self._cookies = Cookies()
        self._service_seen = threading.Event()
        self._looking_for_service = threading.Lock()
        self._service_found = -math.inf
        self._version_lock = threading.Lock()
        self._version: list[Version | None] = []

    @cached_property
    def auth(self) -> AuthBase:
        return basic_auth(self.settings.login, self.settings.password)

    @property
    def target(self) -> str:
        """The base URL with the path of the DMS service: a gateway may serve more than one."""
        return self._dms("").rstrip("/")

    def send_once(self, request: Request) -> BaseHTTPResponse:
        """Send a request once, with the gateway's cookies; without them it opens a session for every request."""
        if cookie := self._cookies.header(request.url):
            request.headers["Cookie"] = cookie
        response = super().send_once(request)
        if "Set-Cookie" in response.headers:
            self._cookies.keep(request.url, response)
        return response

    def renew_credentials(self, request: Request, error: VendorError) -> bool:
        """Send again without cookies: the gateway answers an expired one with 401 or 403 despite good credentials."""
        self._cookies.clear()
        return "Cookie" in request.headers

    def delete_object(
        self,
        object_id: str,
        *,
        object_type_id: str | None = None,
        location: str | None = None,
        hard_delete: bool = False,
        cascade_delete: bool = False,
    ) -> None:
        """Delete one object ("DELETE /objects/{objectId}"). It is not sent again after a lost response.

        Not used: the alias "DELETE .../actions/trash", which destroys a live object with all its children, and the
        parameter ``options``, which the vendor is removing.

        :param object_id: digits.
        :param object_type_id: digits; speeds the call up.
        :param location: id of the parent: remove a document filed in several places from this one only.
        :param hard_delete: destroy for good, past the recycle bin; since 5.3.0 also what is in the bin already.
        :param cascade_delete: with all children; without it the service refuses what is not empty.
        :raises InvalidRecordsError: an id is not made of digits; nothing was sent.
        :raises ConfigurationError: a hard delete, and the service is older than 5.0.0: it would move the object to the
            bin and respond the same; no delete was sent.
        :raises NotFoundError: 404 or code 1001.
        :raises RefusedError: 400 or code 1100, 409, 423; a missing right is reported in the same way.
        :raises ServerError: 500 or code 3003; the object may be gone or not.
        :raises NoAnswerError: the response was lost; the object may be gone or not.
        :raises StopError: login, address or request are wrong for every object.
        """
        url = self._object_url(object_id)
        params = _ids(objectTypeId=object_type_id, location=location)
        if hard_delete:
            self.check_hard_delete()
            params["hardDelete"] = "true"
        if cascade_delete:
            params["cascadeDelete"] = "true"
        self._done(self.send("delete_object", "DELETE", url, _unread, repeatable=False, params=params), object_id)

    def get_object(self, object_id: str, *, object_type_id: str | None = None, binned: bool = False) -> EnaioObject:
        """Read one object ("GET /objects/{objectId}").

        The response does not say if the object is in the recycle bin. What is found without ``binned`` is live; what is
        found only with it is in the bin. Ask without it first: it is not known if ``binned`` finds a live object as
        well. The bin is that of the connection's user.

        :param object_id: digits.
        :param object_type_id: digits; speeds the call up, but a wrong one may get "not found".
        :param binned: look into the bin. The vendor's pages spell the flag in two ways; both are sent.
        :raises NotFoundError: 404 or code 1001.
        :raises RefusedError: 400; there may be an object that this account must not read.
        :return: the object.
        :raises UnreadableAnswerError: the response does not hold exactly this one object.
        """
        params = {"includeContentStreams": "false", **_ids(objectTypeId=object_type_id)}
        if binned:
            params |= {"garbadeMode": "true", "garbageMode": "1"}

        def read(response: Response) -> EnaioObject:
            objects = self._page(response, object_id).objects
            if [item.object_id for item in objects] != [object_id]:
                self._unreadable(response, object_id, "does not hold exactly the object that was asked for")
            return objects[0]

        return self.send("get_object", "GET", self._object_url(object_id), read, repeatable=True, params=params)

    def search(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        page_size: int = 100,
        deleted: str = "DELETED_DOCUMENTS_EXCLUDE",
    ) -> Iterator[EnaioObject]:
        """Run a query and yield every object once, over all pages ("POST /objects/search").

        Read to the end before deleting: pages are counted from the start, and a deleted object shifts them.

        :param statement: enaio's SQL subset, with an ORDER BY: without one, pages may overlap.
        :param parameters: values for the statement's ``@name``.
        :param page_size: objects a page, at least 1.
        :param deleted: ``DELETED_DOCUMENTS_EXCLUDE``, or ``DELETED_DOCUMENTS_ONLY`` for the recycle bin.
        :raises RefusedError: 400; the vendor does not describe the response to a wrong statement.
        :raises UnreadableAnswerError: a page does not advance, or the list ends before its announced end.
        """
        if page_size < 1:
            raise ConfigurationError(f"page_size is {page_size}; it must be at least 1.")
        seen: set[str] = set()
        skip = 0

        def read(response: Response) -> Page:
            page = self._page(response, "page")
            if page.more is None:
                self._unreadable(response, "page", "does not say whether there are more")
            if len(page.objects) > page_size:
                self._unreadable(response, "page", f"holds {len(page.objects)} objects; {page_size} were asked for")
            if page.more and page.objects and all(item.object_id in seen for item in page.objects):
                self._unreadable(response, "page", "repeats objects of the pages before: it does not advance")
            if page.more and not page.objects and skip < (page.total or 0):
                self._unreadable(response, "page", f"ends the list after {skip} of {page.total} objects")
            return page

        while True:
            query = _query(statement, parameters, skip, page_size, deleted)
            page = self.send("search", "POST", self._dms("objects/search"), read, repeatable=True, json=query)
            for item in page.objects:
                if item.object_id not in seen:
                    seen.add(item.object_id)
                    yield item
            skip += len(page.objects)
            if not page.more or not page.objects:
                return

    def search_page(
        self, statement: str, parameters: Mapping[str, Any] | None = None, *, size: int, deleted: str
    ) -> Page:
        """Run a query once and return its first page as it is, with what the service says about its length.

        :param statement: as for :meth:`search`.
        :param parameters: as for :meth:`search`.
        :param size: objects asked for, at least 1.
        :param deleted: as for :meth:`search`.
        :raises RefusedError: as for :meth:`search`.
        """
        query = _query(statement, parameters, 0, size, deleted)

        def read(response: Response) -> Page:
            page = self._page(response, "page")
            if len(page.objects) > size:
                self._unreadable(response, "page", f"holds {len(page.objects)} objects; {size} were asked for")
            return page

        return self.send("search", "POST", self._dms("objects/search"), read, repeatable=True, json=query)

    def locations(self, object_id: str) -> list[Place]:
        """Return every place that an object is filed in ("GET /objects/{objectId}/native/locations", 4.0.1).

        :param object_id: digits.
        :return: for each place the path from the folder down to the object, each step as the service describes it,
            without its ``children``. More than one place: a delete without ``location`` removes it from all.
        :raises NotFoundError: 404 or code 1001; a service before 4.0.1 responds so for every object.
        """

        def read(response: Response) -> list[Place]:
            body = self._json(response, object_id)
            try:
                found = places(body)
            except (ValueError, RecursionError):
                self._unreadable(response, object_id, "is no tree of folders, registers and documents")
            self._service_seen.set()
            return found

        url = f"{self._object_url(object_id)}/native/locations"
        return self.send("locations", "GET", url, read, repeatable=True)

    def add_history(self, object_id: str, note: Mapping[str, Any], *, action: int = 470) -> None:
        """Add an entry to an object's history, which outlives the object ("POST .../history", 3.3.0).

        :param object_id: digits.
        :param note: the entry's fields besides ``action``, by the names on the vendor's page.
        :param action: 470 or 471; the service takes no others.
        :raises NotFoundError: 404 or code 1001.
        """
        if action not in {470, 471}:
            raise ConfigurationError(f"action is {action}; enaio takes 470 and 471 only.")
        url = f"{self._object_url(object_id)}/history"
        body = {**note, "action": action}
        self._done(self.send("add_history", "POST", url, _unread, repeatable=False, json=body), object_id)

    def service_version(self) -> Version | None:
        """Return the version of the DMS service; None if the response is not clear. It is asked once.

        :raises AuthenticationError: the credentials were refused.
        :raises NoAnswerError: no response came; another try may get one.
        """
        with self._version_lock:
            if not self._version:
                try:
                    response = self._info()
                except AuthenticationError:
                    raise
                except StopError:
                    self._version = [None]
                else:
                    self._version = [version_in(response) if response.status == 200 else None]
            return self._version[0]

    def check_hard_delete(self) -> None:
        """Refuse a hard delete if the service is known to be too old for it; an unknown version is accepted.

        :raises ConfigurationError: it is older than 5.0.0: it would move to the recycle bin and respond the same.
        """
        version = self.service_version()
        if version is not None and version < HARD_DELETE_SINCE:
            raise ConfigurationError(
                f"enaio (connection {self.conn_id!r}): DMS service {_dotted(version)} does not know hardDelete and "
                "would move objects to the recycle bin; nothing was deleted. Use hard_delete=False, or DMS from 5.0.0."
            )

    def check_connection(self) -> str:
        """Log in and read the service's version."""
        response = self._info()
        if response.status == 404:
            self.send("session", "GET", self.url("osrest/api/session"), self._mapping, repeatable=True)
            if not self._is_there():
                self._wrong_address(response, "service")
        else:
            self._mapping(response)
        version = version_in(response) if response.status == 200 else None
        known = _dotted(version) if version else "of unknown version"
        return f"Connected; DMS service {known}. Rights on objects were not tested."

    def _info(self) -> Response:
        def read(response: Response) -> Response:
            if is_gateway_error(response.status):
                self._raise_failure(response, "service")
            return response

        return self.send("info", "GET", self._dms("info"), read, repeatable=True)

    def _is_there(self) -> bool:
        """Tell whether the DMS service is at this address now: it responds to a query, with rows or with an error.

        It may have been there before and be gone now; the gateway then finds nothing. So the query is sent after the
        response in doubt; one thread sends it for all that wait.
        """
        wanted = time.monotonic()
        with self._looking_for_service:
            if self._service_found < wanted:
                asked = time.monotonic()
                if not self._responds_to_a_query():
                    return False
                self._service_found = asked
        return True

    def _responds_to_a_query(self) -> bool:
        query = _query("SELECT system:objectId FROM system:object", None, 0, 1, "DELETED_DOCUMENTS_EXCLUDE")
        url = self._dms("objects/search")
        response = self.send("search", "POST", url, _unread, repeatable=False, json=query)
        if is_gateway_error(response.status):
            self._raise_failure(response, "service")
        if response.status == 200:
            self._page(response, "service")
            return True
        if error_code(response) in KIND_OF_CODE or (response.status in {400, 422} and not response.is_html):
            return True
        return response.status not in {404, 405} and (self._service_seen.is_set() or bool(self.service_version()))

    def _done(self, response: Response, what: str) -> None:
        if response.status != 204:
            self._raise_failure(response, what)
        self._service_seen.set()

    def _page(self, response: Response, what: str) -> Page:
        body = self._json(response, what)
        try:
            page = Page.from_json(body)
        except (ValueError, RecursionError):
            self._unreadable(response, what, "is no list of objects as the vendor describes it")
        self._service_seen.set()
        return page

    def _mapping(self, response: Response) -> None:
        if not isinstance(self._json(response, "service"), dict):
            self._unreadable(response, "service", "is no JSON object")

    def _json(self, response: Response, what: str) -> Any:  # noqa: ANN401
        if response.status != 200 or response.is_html:
            self._raise_failure(response, what)
        return response.json()

    def _raise_failure(self, response: Response, what: str) -> NoReturn:
        """Raise what a response other than a success means: by its code, without one by its HTTP status."""
        where = self._about(response, what)
        if is_gateway_error(response.status):
            raise_error(NoAnswerError, response, f"{where}: it is not known whether the service has acted.")
        code = error_code(response)
        kind = KIND_OF_CODE.get(code) or KIND_OF_STATUS.get(response.status, StopError)
        if response.status < 300:
            if response.is_html:
                self._wrong_address(response, what)
            self._unreadable(response, what, "is not what the vendor describes")
        if code in KIND_OF_CODE:
            self._service_seen.set()
        elif kind is NotFoundError or (response.is_html and response.status != 500):
            try:
                there = self._is_there()
            except NoAnswerError:
                # The check got no response; the call itself was refused, so it was not carried out.
                raise_error(NotSentError, response, f"{where}: it could not be checked if the DMS service said so.")
            if not there:
                self._wrong_address(response, what)
        raise_error(kind, response, f"{where}{f', code {code}' if code else ''}: {ADVICE[kind]}.", code)

    def _wrong_address(self, response: Response, what: str) -> NoReturn:
        problem = f"no DMS service is found under {self._prefix!r}"
        advice = "check host and api_prefix, and that the gateway's login filter for HTTP Basic is on"
        raise_error(WrongAddressError, response, f"{self._about(response, what)}: {problem}; {advice}.")

    def _unreadable(self, response: Response, what: str, problem: str) -> NoReturn:
        raise_error(UnreadableAnswerError, response, f"{self._about(response, what)}: the response {problem}.")

    def _about(self, response: Response, what: str) -> str:
        return f"{self._where(response.call)} {what}: HTTP {response.status}"

    @cached_property
    def _prefix(self) -> str:
        return self.settings.text(fields.API_PREFIX)

    def _dms(self, path: str) -> str:
        return self.url(self._prefix, path)

    def _object_url(self, object_id: str) -> str:
        return self._dms(f"objects/{quoted(check_object_id(object_id))}")


def _unread(response: Response) -> Response:
    return response


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def check_object_id(value: object) -> str:
    """Return an id as it is.

    :raises InvalidRecordsError: it is no text made of digits.
    """
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]+", value):
        raise InvalidRecordsError(f"{value!r} is no enaio id: an id is made of digits.")
    return value


def _ids(**given: str | None) -> dict[str, str]:
    return {name: check_object_id(value) for name, value in given.items() if value is not None}


def _query(statement: str, parameters: Mapping[str, Any] | None, skip: int, size: int, deleted: str) -> dict[str, Any]:
    query = {
        "statement": statement,
        "skipCount": skip,
        "maxItems": size,
        "handleDeletedDocuments": deleted,
        "includePermissions": False,
        "options": {"Rights": 0},
        "parameters": dict(parameters or {}),
    }
    return {"query": query}
