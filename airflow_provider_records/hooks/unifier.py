"""Client of Oracle Primavera Unifier's REST services.

Unifier puts errors into the ``status`` of the body; the HTTP code that comes with them is not documented. So the body
decides wherever it can be read, and a response that cannot be read counts as none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Generic
from urllib.parse import quote, urlencode

from airflow_provider_records.client import fields
from airflow_provider_records.client.hook import (
    BearerAuth,
    Response,
    Settings,
    T,
    Token,
    VendorHook,
    basic_auth,
    quoted,
    raise_error,
)
from airflow_provider_records.client.settings import invalid
from airflow_provider_records.exceptions import (
    AccessDeniedError,
    AuthenticationError,
    ConfigurationError,
    InvalidRecordsError,
    NoAnswerError,
    NotFoundError,
    RefusedError,
    ServerError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)
from airflow_provider_records.hooks.unifier_responses import (
    NODE_ID,
    DeletedDocument,
    Envelope,
    Node,
    Shell,
    text_of,
    token_of,
)

_SERVICE = "/ws/rest/service/v1"

Codes = Mapping[int, tuple[type[VendorError], str]]
"""What the status numbers of a call mean: the error, and its cause with what would change it."""

_INACTIVE = (RefusedError, "its shell is Inactive, View-Only or On-Hold; set the shell to Active")
_PROJECT = (RefusedError, "the project number is refused; check project_number, and the user's access to that shell")
_DELETE: Codes = {
    12764: (NotFoundError, "the node id is invalid or does not exist (the numbers of nodes and of files differ)"),
    12766: (RefusedError, "it is linked to business process records or reports; unlink it, drafts and revisions too"),
    12767: (RefusedError, "it is checked out or locked; check it in or unlock it"),
    602: (RefusedError, "the project number is refused; check the document's shell, and the user's access to it"),
    1245: _INACTIVE,
}
_LIST: Codes = {602: _PROJECT, 1245: _INACTIVE}
_BP: Codes = {
    602: _PROJECT,
    603: (RefusedError, "the business process is unknown; check bpname: its display name, upper and lower case count"),
    657: (NotFoundError, "there is no such record; check record_no"),
}


class _Listing(Generic[T]):
    """What was made of the nodes of an answer, and what was wrong with them.

    :param rows: the rows, as they arrive.
    :param gather: makes something of the nodes.
    :param elsewhere: tells of a node whether it lies in another folder than the one that was asked for.
    """

    def __init__(
        self, gather: Callable[[Iterator[Node]], T], elsewhere: Callable[[Node], bool], rows: Iterator[Any]
    ) -> None:
        self._is_elsewhere = elsewhere
        self._elsewhere = False
        self._gathered = gather(self._nodes(rows))

    def _nodes(self, rows: Iterator[Any]) -> Iterator[Node]:
        for row in rows:
            node = Node.from_json(row if isinstance(row, dict) else {})
            self._elsewhere = self._elsewhere or self._is_elsewhere(node)
            yield node

    @classmethod
    def gathered(cls, response: Response, about: str) -> T:
        """Return what was made of the nodes of a response.

        :raises UnreadableAnswerError: it holds no list, or one of its nodes lies elsewhere.
        """
        listing = response.rows
        if not isinstance(listing, cls):
            raise UnreadableAnswerError("Unifier's data is no list.")
        if listing._elsewhere:
            raise UnreadableAnswerError(f"{response.call}: {about}: what is listed lies in another folder.")
        return listing._gathered


class UnifierHook(VendorHook):
    """Deletes documents by node id, lists folders, and reads business process records and shells.

    Use an Integration User of your own for each deployment: whether a login cancels that user's older tokens is
    not documented. The user needs *Delete* of the Document Services to delete, and *update* to read properties.

    :param unifier_conn_id: Airflow connection of type ``unifier``; its extra ``login_path`` is
        ``/ws/rest/service/v1/login`` unless set, ``/ws/rest/service/v2/auth/token`` and
        ``/ws/rest/service/v1/oauth/token`` work too.
    :param settings: the connection's fields, if the caller has read them already.
    """

    conn_name_attr = "unifier_conn_id"
    default_conn_name = "unifier_default"
    conn_type = "unifier"
    hook_name = "Oracle Primavera Unifier"
    vendor = "Unifier"
    extra_fields = fields.UNIFIER

    def __init__(self, unifier_conn_id: str = "unifier_default", settings: Settings | None = None) -> None:
        super().__init__(unifier_conn_id, settings)
        self.unifier_conn_id = unifier_conn_id

    @cached_property
    def auth(self) -> BearerAuth:
        """A bearer token from the login path, one for all threads, fetched again after a 401."""
        return BearerAuth(self._login)

    def _login(self) -> Token:
        """Sign in as the Integration User ("Get Token")."""
        settings = self.settings
        for name, value in (("login", settings.login), ("password", settings.password)):
            if not value:
                raise invalid(self.conn_id, name, "is empty")
        basic = basic_auth(settings.login, settings.password)
        try:
            return self.send(
                "login",
                "GET",
                self.url(settings.text(fields.LOGIN_PATH)),
                self._read_login,
                repeatable=True,
                auth=basic,
            )
        except AuthenticationError as error:
            raise AuthenticationError(
                f"{self._where('login')}: refused; login must be an active Integration User that is not locked, "
                "password its password.",
                status=error.status,
                code=error.code,
            ) from None

    def _read_login(self, response: Response) -> Token:
        envelope = Envelope.from_json(response)
        status = envelope.status if envelope else None
        code = response.status if status is None else status
        where = f"{self._where('login')}: status {code}"
        if 500 <= code < 600:
            raise_error(NoAnswerError, response, f"{where} instead of a response.")
        if status is None and (response.is_html or response.status in {404, 405}):
            raise_error(WrongAddressError, response, f"{where}, and no login is there; check host and login_path.")
        if status not in {None, 200} or response.status >= 300:
            raise_error(AuthenticationError, response, where, str(code))
        if envelope is None:
            raise_error(UnreadableAnswerError, response, f"{where}, and a response that cannot be read.")
        token = token_of(envelope)
        if token is None:
            raise_error(WrongAddressError, response, f"{where}, but no token that can be sent; check login_path.")
        return token

    def effective_status(self, response: Response) -> int:
        """Let the body's ``status`` decide, if it can be read: a 401 may come under HTTP 200, a 12766 under 403."""
        envelope = Envelope.from_json(response)
        if envelope is None or envelope.status is None:
            return response.status
        return envelope.status if envelope.status in {401, 403, 429} else 200

    def delete_document(self, node_id: str | int) -> DeletedDocument:
        """Move one document to the recycle bin ("Delete Documents by node_id").

        It is a soft delete, and no call purges the bin. The id must be a document's: it is not documented if Unifier
        would accept a folder's id and delete all that is inside.

        :param node_id: the document's node id (not its file id), a whole number.
        :raises InvalidRecordsError: the id is no whole number; nothing was sent.
        :raises NotFoundError: 12764, the id is invalid or does not exist.
        :raises RefusedError: 12766 linked, 12767 locked, 602 project number, 1245 inactive shell.
        :raises ServerError: any other number; ``code`` holds it.
        :raises NoAnswerError: the document may or may not be deleted; the call is not sent again.
        :raises WrongAddressError: this edition has no such call, or the base URL is wrong.
        :return: what Unifier reported.
        """
        node = _checked_id("node_id", node_id)

        def read(response: Response) -> DeletedDocument:
            envelope = self._open(response, f"document {node}", _DELETE)
            return DeletedDocument(node, envelope.request_id, envelope.message)

        return self.send(
            "delete_document",
            "POST",
            self.url(_SERVICE, "dm/document/delete", quoted(node)),
            read,
            repeatable=False,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )

    def list_nodes(
        self,
        parent_folder_id: str | int | None = None,
        *,
        project_number: str | None = None,
        parent_path: str | None = None,
        node_type: str | None = "Document",
    ) -> list[Node]:
        """List what lies directly in one folder; see :meth:`gather_nodes`.

        :return: what is listed; a row whose id cannot be read has an empty ``node_id``.
        """
        return self.gather_nodes(
            list, parent_folder_id, project_number=project_number, parent_path=parent_path, node_type=node_type
        )

    def gather_nodes(
        self,
        gather: Callable[[Iterator[Node]], T],
        parent_folder_id: str | int | None = None,
        *,
        project_number: str | None = None,
        parent_path: str | None = None,
        node_type: str | None = "Document",
    ) -> T:
        """Make something of what lies directly in one folder ("Get Folders or Documents Metadata").

        A folder has no pages: the nodes are handed over while they arrive, so that a long one need not be in memory as
        a whole.

        Give either the folder's node id or its path. No call gets a node by its own id. An error, also for a
        folder that does not exist, is never an empty list.

        :param gather: gets the nodes one by one; it is called again after a lost answer. A row whose id cannot be read
            is a node with an empty ``node_id``.
        :param parent_folder_id: node id of the folder.
        :param project_number: shell of ``parent_path``; None or empty: company level.
        :param parent_path: path of the folder, e.g. ``/Closed/2014``.
        :param node_type: ``Document``, ``Folder``, or None for both.
        :raises ConfigurationError: none or both of the two forms are given, or an unknown node type.
        :raises InvalidRecordsError: ``parent_folder_id`` is no whole number.
        :return: what ``gather`` made of them.
        :raises VendorError: one subclass per cause.
        """
        if (parent_folder_id is None) == (parent_path is None) or (parent_folder_id is not None and project_number):
            raise ConfigurationError("list_nodes wants parent_folder_id, or parent_path (with project_number).")
        if node_type not in {"Document", "Folder", None}:
            raise ConfigurationError(f"node_type is 'Document', 'Folder' or None, not {node_type!r}.")
        parts = ["dm/node/properties"]
        query: dict[str, str] = {}
        parent, path = "", str(parent_path or "").rstrip("/")
        if parent_folder_id is not None:
            folder = parent = _checked_id("parent_folder_id", parent_folder_id)
            parts.append(quoted(folder))
        else:
            folder = f"{project_number or 'company level'} {parent_path}"
            query |= {"projectnumber": project_number} if project_number else {}
            query["parentpath"] = str(parent_path)
        if node_type:
            query["nodetype"] = node_type

        def elsewhere(node: Node) -> bool:
            # The list of another folder would make every document of this one seem to be gone.
            if parent and node.parent_node_id not in {"", parent}:
                return True
            return bool(node.path) and not node.path.rpartition("/")[0].endswith(path)

        def read(response: Response) -> T:
            self._open(response, f"folder {folder}", _LIST)
            return _Listing[T].gathered(response, f"folder {folder}")

        return self._get("list_nodes", parts, query, read, gather=partial(_Listing[T], gather, elsewhere))

    def search_nodes(
        self,
        project_number: str | None,
        parent_path: str,
        terms: Sequence[Mapping[str, str]],
        *,
        node_type: str = "Document",
    ) -> list[Node]:
        """Find nodes below a folder by their properties ("Search Document or Folder Properties").

        It needs *Full* permission in the Document Manager. Whether it looks into the folders below is not documented;
        a document that it leaves out may be there.

        :param project_number: shell of the folder; None or empty: company level.
        :param parent_path: path of the folder.
        :param terms: ``name``, ``label``, ``value``, ``value2`` and ``comparator`` of each; all must hold.
        :param node_type: ``Document`` or ``Folder``.
        :raises VendorError: one subclass per cause.
        """
        about, path = f"search below {parent_path}", parent_path.rstrip("/")

        def read(response: Response) -> list[Node]:
            self._open(response, about, _LIST)
            return _Listing[list[Node]].gathered(response, about)

        form = {
            "projectnumber": project_number or "",
            "parentpath": parent_path,
            "match": "AND",
            "nodetype": node_type,
            "query": json.dumps([dict(term) for term in terms], ensure_ascii=False),
        }
        url = self.url(_SERVICE, "dm/search")
        gather = partial(_Listing, list, lambda node: bool(node.path) and f"{path}/" not in node.path)
        return self.send("search_nodes", "POST", url, read, repeatable=True, form=form, gather=gather)

    def get_bp_record(self, project_number: str | None, bpname: str, record_no: str) -> Mapping[str, object]:
        """Read one record of a business process ("Get BP Record").

        Which fields come, ``status`` included, is a matter of the process's Integration interface.

        :param project_number: the record's shell; None or empty: company level.
        :param bpname: display name of the business process, upper and lower case count.
        :param record_no: number of the record.
        :raises NotFoundError: 657 or an empty response: there is no such record.
        :raises RefusedError: 602 project number, 603 business process, or not exactly the record asked for.
        :raises VendorError: one subclass per cause.
        :return: the record's fields; those not set are None.
        """
        about = f"record {record_no} of {bpname}"

        def read(response: Response) -> Mapping[str, object]:
            envelope = self._open(response, about, _BP)
            rows = [] if envelope.data is None else envelope.rows
            facts: dict[str, Any] = {
                "status": response.status,
                "request_id": envelope.request_id,
                "detail": response.detail,
            }
            if not rows:
                raise NotFoundError(f"{response.call}: {about}: there is no such record.", code="657", **facts)
            if len(rows) > 1:
                raise RefusedError(
                    f"{response.call}: {about}: {len(rows)} records came; one must be the only one.", **facts
                )
            if rows[0].get("record_no") is not None and text_of(rows[0]["record_no"]) != record_no:
                raise RefusedError(f"{response.call}: {about}: another record came.", **facts)
            return rows[0]

        asked = {"bpname": bpname, "record_no": record_no, "lineitem": "no"}
        return self._get("get_bp_record", _shell_path("bp/record", project_number), {"input": json.dumps(asked)}, read)

    def query_bp_records(
        self, project_number: str | None, bpname: str, record_fields: Sequence[str], filter_condition: str = ""
    ) -> list[Mapping[str, object]]:
        """Read the records of a business process that match ("Get BP Record List").

        :param project_number: the records' shell; None or empty: company level.
        :param bpname: display name of the business process.
        :param record_fields: names of the fields wanted.
        :param filter_condition: e.g. ``record_no=DR-0007``; Unifier knows only ``=``, on ``record_no``,
            ``status`` and ``end_date``. Empty: all records.
        :raises VendorError: one subclass per cause.
        :return: the fields of each record; none match: empty.
        """
        asked = {"bpname": bpname, "lineitem": "no", "record_fields": ";".join(record_fields)}
        if filter_condition:
            asked["filter_condition"] = filter_condition

        def read(response: Response) -> list[Mapping[str, object]]:
            return self._open(response, f"records of {bpname}", _BP).rows

        url = self.url(_SERVICE, *_shell_path("bp/records", project_number))
        return self.send("query_bp_records", "POST", url, read, repeatable=True, json=asked)

    def list_bp_files(self, project_number: str | None, bpname: str, record_no: str) -> list[Mapping[str, object]]:
        """List the attachments of a record ("Get File List from BP Record"); an attached document cannot be deleted.

        :param project_number: the record's shell; None or empty: company level.
        :param bpname: display name of the business process.
        :param record_no: number of the record.
        :raises NotFoundError: 657: there is no such record.
        :raises VendorError: one subclass per cause.
        :return: the fields of each attachment, as Unifier names them.
        """

        def read(response: Response) -> list[Mapping[str, object]]:
            return self._open(response, f"record {record_no} of {bpname}", _BP).rows

        asked = {"input": json.dumps({"bpname": bpname, "record_no": record_no})}
        return self._get("list_bp_files", _shell_path("bp/record/file/list", project_number), asked, read)

    def shell(self, project_number: str) -> Shell:
        """Read the state of one shell ("Get Projects or Shells"); documents are deleted in active ones only.

        :param project_number: number of the shell.
        :raises NotFoundError: no shell of that number is listed.
        :raises VendorError: one subclass per cause.
        """

        def read(response: Response) -> Shell:
            envelope = self._open(response, f"shell {project_number}", {602: _PROJECT})
            for row in envelope.rows:
                if text_of(row.get("projectnumber")) == project_number:
                    return Shell(project_number, text_of(row.get("status")), text_of(row.get("type")))
            raise NotFoundError(
                f"{response.call}: shell {project_number} is not listed; check project_number, and the user's access.",
                status=response.status,
                request_id=envelope.request_id,
                detail=response.detail,
            )

        options = json.dumps({"filter_condition": f"projectnumber={project_number}"})
        return self._get("shell", ["admin/projectshell"], {"options": options}, read)

    def check_connection(self) -> str:
        """Sign in and list the root of the company's documents."""
        self.auth.token()
        try:
            self.list_nodes(parent_path="/", node_type="Folder")
        except (ServerError, RefusedError) as error:
            # Signed in, but not every company keeps documents at company level.
            return f"Signed in. The documents of the company level could not be listed: {error}"
        except AccessDeniedError as error:
            raise AccessDeniedError(
                "Signed in, but no right to read documents (HTTP 403); give the Integration User the rights of the "
                "Document Services."
            ) from error
        except VendorError as error:
            raise type(error)(f"Signed in, but: {error}") from error
        return "Signed in, and the documents of the company level can be listed."

    def _get(
        self,
        call: str,
        parts: Sequence[str],
        query: Mapping[str, str],
        read: Callable[[Response], T],
        gather: Callable[[Iterator[Any]], object] | None = None,
    ) -> T:
        url = f"{self.url(_SERVICE, *parts)}?{urlencode(query, quote_via=quote, safe='')}"
        return self.send(call, "GET", url, read, repeatable=True, gather=gather)

    def _open(self, response: Response, about: str, codes: Codes) -> Envelope:
        """Return the envelope of a success, or raise what the response means."""
        envelope = Envelope.from_json(response)
        status = envelope.status if envelope else None
        where = f"{self._where(response.call)}, {about}"
        facts: dict[str, Any] = {
            "status": response.status,
            "request_id": (envelope.request_id if envelope else None) or response.request_id,
            "detail": response.detail,
        }
        if status in {None, response.status} and response.status in {404, 405}:
            raise WrongAddressError(
                f"{where}: HTTP {response.status}: this edition of Unifier has no such call, or the path of the host "
                "field (company code, /stage, ...) is wrong.",
                **facts,
            )
        if status is None and response.status >= 500:
            raise NoAnswerError(f"{where}: HTTP {response.status} instead of a response.", **facts)
        if envelope is None or status is None:
            what = "with a web page, such as a login page," if response.is_html else "without a status that can be read"
            raise UnreadableAnswerError(f"{where}: HTTP {response.status} {what} instead of a response.", **facts)
        if status != 200:
            kind, reason = codes.get(status, (ServerError, "not carried out"))
            reason = f"{reason} (status {status})"
            raise kind(f"{where}: {reason}.", code=str(status), reason=reason, **facts)
        if response.status >= 300:
            raise UnreadableAnswerError(f"{where}: HTTP {response.status} contradicts a body of status 200.", **facts)
        return envelope


def _checked_id(name: str, value: object) -> str:
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not NODE_ID.fullmatch(text):
        raise InvalidRecordsError(
            f"{name} must be the whole number of a Unifier node, not {value!r}; nothing was sent."
        )
    return text


def _shell_path(call: str, project_number: str | None) -> list[str]:
    return [call, quoted(project_number)] if project_number else [call]
