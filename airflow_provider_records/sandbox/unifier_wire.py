"""The form of requests and responses of the fake Unifier.

Requests that Unifier's Integration Interface Guide does not allow are refused with HTTP 400, 404, 405 or 415 and a
sentence, so that tests of a wrong client fail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qs, unquote

from airflow_provider_records.sandbox.message import AbortWith, Call, Reply

FORM = "application/x-www-form-urlencoded"
ENCODED_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
POSITIVE = re.compile(r"[1-9][0-9]*")
MINUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
DELETED = "Folder/File successfully deleted. Please check in Recycle bin."
TEXTS = {
    602: "Project number is invalid.",
    603: "BP name is invalid.",
    657: "Record number is invalid.",
    1074: "Folder does not exist.",
    1245: "Shell status is Inactive, View-Only or On-Hold.",
    12764: "Node path or node id is invalid or does not exists.",
    12766: "Document is linked to BP records or reports.",
    12767: "Document is checked out or locked.",
}


def envelope(
    switches: Mapping[str, Any],
    data: Any = (),  # noqa: ANN401 - any JSON
    status: int = 200,
    *,
    text: str = "",
    audit_id: int | None = None,
    effects: list[dict[str, Any]] | None = None,
) -> Reply:
    """Wrap data in the envelope, in the form that the switches select."""
    text = text or ("" if status == 200 else TEXTS.get(status, "Internal error."))
    entry: dict[str, Any] = {"message": text} if text else {}
    answer: dict[str, Any] = {"data": data, "status": status if switches["status"] == "number" else str(status)}
    if audit_id is not None and switches["rest_audit_id"] != "none":
        (answer if switches["rest_audit_id"] == "top" else entry)["rest_audit_id"] = audit_id
    answer["message"] = {
        "objects": [entry] if entry else [],
        "strings": [text] if text else [],
        "empty": [],
        "string": text or "success",
        "object": entry,
    }[switches["message"]]
    http = 200 if status == 200 else int(switches["error_http"])
    return Reply(http, [answer] if switches["wrapped"] else answer, effects=effects or [])


def page(status: int) -> Reply:
    """Return the HTML page of the web server in front of Unifier."""
    return Reply(status, f"<html><body><h1>HTTP Status {status}</h1></body></html>", {"Content-Type": "text/html"})


async def wrong_method(_: Call) -> Reply:
    return page(405)


async def no_such_call(_: Call) -> Reply:
    return page(404)


def refuse(status: int, text: str) -> NoReturn:
    raise AbortWith(Reply(status, text))


def encoded(call: Call) -> None:
    if not ENCODED_PATH.fullmatch(call.path):
        refuse(400, "The path is not percent-encoded.")


def only(call: Call, allowed: set[str]) -> None:
    if unknown := sorted(set(call.query) - allowed):
        refuse(400, f"Unknown query parameters: {', '.join(unknown)}.")


def integer(text: str) -> int:
    if not POSITIVE.fullmatch(text):
        refuse(400, "A node id is an integer.")
    return int(text)


def content_type(call: Call, expected: str) -> None:
    if call.headers.get("content-type", "").partition(";")[0] != expected:
        refuse(415, f"The content type is {expected}.")


def deletable(call: Call) -> int:
    """Return the node id of a delete; refuse every other form of the call."""
    content_type(call, FORM)
    if call.body or call.query:
        refuse(400, "A delete has no form fields and no query.")
    return integer(call.params["node_id"])


def project_of(call: Call) -> str:
    """Return the project number; empty: company level."""
    project = str(call.params.get("project_number", ""))
    if project and unquote(call.path.rpartition("/")[2]) != project:
        refuse(404, "A slash in a project number is sent as %2F.")
    return project


def asked_in(call: Call, parameter: str, needed: set[str], allowed: set[str]) -> dict[str, str]:
    """Return the JSON object in a query parameter."""
    only(call, {parameter})
    try:
        asked = json.loads(call.query.get(parameter, ""))
    except ValueError:
        refuse(400, f"{parameter} is JSON text.")
    return checked(asked, needed, allowed)


def checked(asked: Any, needed: set[str], allowed: set[str]) -> dict[str, str]:  # noqa: ANN401 - any JSON
    if not isinstance(asked, dict) or not needed <= set(asked) <= needed | allowed:
        refuse(400, f"Needed are {sorted(needed)}, allowed also {sorted(allowed)}.")
    if not all(isinstance(value, str) for value in asked.values()) or asked.get("lineitem", "no") not in {"yes", "no"}:
        refuse(400, "All values are text, and lineitem is yes or no.")
    return asked


def condition(asked: Mapping[str, str], fields: set[str]) -> tuple[str, str]:
    """Return name and value of the filter condition; both are empty if there is none."""
    name, equals, value = asked.get("filter_condition", "").partition("=")
    if "filter_condition" in asked and (not equals or name not in fields):
        refuse(400, f"filter_condition is one of {sorted(fields)}, = and a value.")
    return name, value


def search_of(call: Call) -> tuple[str, str, list[dict[str, str]]]:
    """Return project number, path and terms of a search; refuse every other form of the call."""
    content_type(call, FORM)
    form = {name: values[-1] for name, values in parse_qs(call.body.decode(), keep_blank_values=True).items()}
    if call.query or set(form) - {"projectnumber", "parentpath", "match", "nodetype", "query"}:
        refuse(400, "The form has projectnumber, parentpath, match, nodetype and query.")
    if not form.get("parentpath", "").startswith("/") or form.get("match", "AND") != "AND":
        refuse(400, "parentpath is the full path of a folder, match is AND here.")
    if form.get("nodetype", "Document") != "Document":
        refuse(400, "This sandbox searches documents.")
    try:
        terms = json.loads(form.get("query", ""))
    except ValueError:
        refuse(400, "query is a JSON list.")
    if not isinstance(terms, list) or not terms:
        refuse(400, "query is a JSON list of terms.")
    known = {"label", "value2", "comparator"}
    for term in terms:
        if not isinstance(term, dict) or not {"name", "value"} <= set(term) <= {"name", "value"} | known:
            refuse(400, "A term has name and value, and may have label, value2 and comparator.")
        if not all(isinstance(text, str) for text in term.values()):
            refuse(400, "All values are text.")
    return form.get("projectnumber", ""), form["parentpath"], terms


def matches(term: Mapping[str, str], properties: Mapping[str, str]) -> bool:
    """Tell whether a document has what a term of a search asks for."""
    if (value := properties.get(term["name"])) is None:
        refuse(400, f"There is no field {term['name']}.")
    if term.get("comparator", "like") == "like":
        return term["value"].casefold() in value.casefold()
    if term["comparator"] != "range" or not all(map(MINUTE.fullmatch, (term["value"], term.get("value2", "")))):
        refuse(400, "comparator is like, or range with two times such as 2017-12-07T07:54.")
    return term["value"] <= value <= term["value2"]
