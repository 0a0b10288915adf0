"""Looks at many objects of enaio with one search; finds out once a try what the service answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import islice

from airflow_provider_records.evidence.distinct import DigestSet
from airflow_provider_records.exceptions import AuthenticationError, StopError, UnavailableError, VendorError
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.enaio_responses import MODIFIED, EnaioObject

log = logging.getLogger(__name__)

IDS_PER_SEARCH = 200
LIVE, BINNED = "DELETED_DOCUMENTS_EXCLUDE", "DELETED_DOCUMENTS_ONLY"
FOLDER, REGISTER = "system:SDSTA_ID", "system:SDREG_ID"
RETENTION, PLANNED_RETENTION = "system:OBJECT_RETENTION", "system:OBJECT_RETENTION_PLANNED"
LOCKED_BY = "system:OBJECT_LOCKUSER"
_WISHED = (MODIFIED, FOLDER, REGISTER, RETENTION, PLANNED_RETENTION, LOCKED_BY)
_CANARY_PAGES = 3


class _Form(Enum):
    """How a statement names the ids; which of them a service answers is not documented."""

    LITERALS = "literal digits"
    LIST = "a list parameter"


class BatchProbe:
    """Searches for many ids of one object type with one statement.

    The vendor documents neither how ``IN`` takes ids nor the names of all system fields. The first statement of a try
    finds out: literal digits, else a list parameter, else no search. System fields that the service refuses are left
    out, and the log says which.

    :param hook: the client.
    :param named: index fields that the DAG names; a service that refuses one of them ends the try.
    :param wished: fields that are left out where the service refuses them.
    """

    def __init__(self, hook: EnaioHook, named: Sequence[str] = (), wished: Sequence[str] = _WISHED) -> None:
        self.hook = hook
        self.named = tuple(dict.fromkeys(named))
        self._forms = list(_Form)
        self._wished = tuple(wished)
        self._wished_known = False
        self._answers: dict[str, bool] = {}
        self._type_ids: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def types(self) -> list[str]:
        """The object types, by their internal names, that a search has shown."""
        return [name for name, answers in self._answers.copy().items() if answers]

    def listed(self, type_name: str, object_ids: Sequence[str]) -> dict[str, EnaioObject]:
        """Return the live objects of a type, with all fields; none where the service answers no such search.

        :param type_name: the internal name of the type.
        :param object_ids: any number of ids.
        :raises StopError: the service refuses a field that the DAG names.
        :raises VendorError: no other request can succeed either.
        """
        asked, found = set(object_ids), dict[str, EnaioObject]()
        for start in range(0, len(object_ids), IDS_PER_SEARCH):
            ids = object_ids[start : start + IDS_PER_SEARCH]
            with self._lock:
                rows = None if type_name in self._answers else self._find_out(type_name, ids)
            if not self._answers[type_name]:
                break
            if rows is None and (rows := self._rows(type_name, ids, self._forms[0], self._fields)) is None:
                self._answers[type_name] = False
                log.info(
                    "The search for objects of type %s is not answered any more; they are looked at singly", type_name
                )
                break
            found |= {row.object_id: row for row in rows if row.object_id in asked}
        return found

    def still_listed(self, type_name: str, object_ids: Sequence[str], scope: str) -> set[str] | None:
        """Return which ids the same statement lists now; None if its answer is not consistent in itself.

        :param type_name: the internal name of a type in :attr:`types`.
        :param object_ids: at most :data:`IDS_PER_SEARCH` ids.
        :param scope: live, or in the recycle bin.
        :raises VendorError: no other request can succeed either.
        """
        statement, parameters = self._statement(type_name, object_ids, self._forms[0], self._fields)
        try:
            page = self.hook.search_page(statement, parameters, size=len(object_ids), deleted=scope)
        except (AuthenticationError, UnavailableError):
            raise
        except VendorError as error:
            log.info("%s; objects of type %s are looked at singly", error, type_name)
            return None
        listed = [row.object_id for row in page.objects]
        counts_fit = page.more is False and page.total in {None, len(listed)} and len(set(listed)) == len(listed)
        return set(listed) if counts_fit and set(listed) <= set(object_ids) else None

    def type_id(self, type_name: str) -> str:
        """Return the id of an object type, as an object of it shows it; empty where no search shows one.

        :param type_name: the internal name of the type.
        :raises VendorError: no other request can succeed either.
        """
        with self._lock:
            if type_name not in self._type_ids:
                statement = f"SELECT system:objectId FROM {type_name} ORDER BY system:objectId"  # noqa: S608 - a plain word
                try:
                    shown = next(self.hook.search(statement, page_size=1), None)
                except (AuthenticationError, UnavailableError):
                    raise
                except VendorError as error:
                    log.info("%s; the object type %s is not compared where only its id is shown", error, type_name)
                    shown = None
                self._type_ids[type_name] = shown.object_type_id if shown else ""
            return self._type_ids[type_name]

    def newest(self, type_name: str, besides: DigestSet) -> list[str]:
        """Return live objects of a type that one answer shows: the newest page that shows others than ``besides``.

        :raises VendorError: no other request can succeed either.
        """
        statement = f"SELECT system:objectId FROM {type_name} ORDER BY system:objectId DESC"  # noqa: S608 - a plain word
        page: list[str] = []
        try:
            rows = self.hook.search(statement, page_size=IDS_PER_SEARCH)
            for _ in range(_CANARY_PAGES):
                page = [row.object_id for row in islice(rows, IDS_PER_SEARCH)]
                if not all(object_id in besides for object_id in page):
                    break
        except (AuthenticationError, UnavailableError):
            raise
        except VendorError:
            return []
        return page

    def together(self, type_name: str, object_ids: Sequence[str]) -> bool:
        """Tell whether one answer shows all of these objects, which are live.

        :raises VendorError: no other request can succeed either.
        """
        rows = self._rows(type_name, object_ids, self._forms[0], ()) or []
        return {row.object_id for row in rows}.issuperset(object_ids)

    @property
    def _fields(self) -> tuple[str, ...]:
        return (*self.named, *self._wished)

    def _find_out(self, type_name: str, ids: Sequence[str]) -> list[EnaioObject] | None:
        """Search for the first time; return the rows, or None where nothing is answered."""
        for form in self._forms:
            if (rows := self._rows(type_name, ids, form, self._fields)) is not None:
                self._forms, self._wished_known = [form], True
                self._answers[type_name] = True
                return rows
        answered = [form for form in self._forms if self._rows(type_name, ids, form, ()) is not None]
        self._answers[type_name] = bool(answered)
        if not answered:
            log.info("enaio answers no search for objects of type %s; they are looked at singly", type_name)
            return None
        form = answered[0]
        self._forms = [form]
        if not self._wished_known:
            wished = self._wished
            kept = [name for name in wished if self._rows(type_name, ids, form, (name,)) is not None]
            self._wished, self._wished_known = tuple(kept), True
            if left_out := [name for name in wished if name not in kept]:
                log.info("enaio refuses %s in a search: what these fields say is not compared", ", ".join(left_out))
        for name in self.named:
            if self._rows(type_name, ids, form, (name,)) is None:
                raise StopError(f"{unanswered(name)} It is refused for the type {type_name}.")
        return self._rows(type_name, ids, form, self._fields)

    def _rows(self, type_name: str, ids: Sequence[str], form: _Form, fields: Sequence[str]) -> list[EnaioObject] | None:
        statement, parameters = self._statement(type_name, ids, form, fields)
        try:
            return list(self.hook.search(statement, parameters, page_size=len(ids)))
        except (AuthenticationError, UnavailableError):
            raise
        except VendorError as error:
            log.debug("%s", error)
            return None

    @staticmethod
    def _statement(
        type_name: str, ids: Sequence[str], form: _Form, fields: Sequence[str]
    ) -> tuple[str, dict[str, list[str]]]:
        literal = form is _Form.LITERALS
        among = ", ".join(ids) if literal else "@ids"
        names = ", ".join(("system:objectId", *fields))
        statement = f"SELECT {names} FROM {type_name} WHERE system:objectId IN ({among}) ORDER BY system:objectId"  # noqa: S608 - words and digits
        return statement, {} if literal else {"ids": list(ids)}


def unanswered(name: str) -> str:
    """Return the beginning of a message about a field that the DAG names.

    :param name: internal name of the field.
    """
    return f"enaio does not answer the field {name!r} that the DAG names; nothing more was deleted."


def parts(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Cut a sequence into parts.

    :param size: largest length of a part.
    """
    return (items[start : start + size] for start in range(0, len(items), size))
