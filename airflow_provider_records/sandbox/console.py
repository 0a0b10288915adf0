"""The approval console: a page and JSON calls for the decisions that people make in the vendors' own products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from airflow_provider_records.sandbox.enaio import FakeEnaio
from airflow_provider_records.sandbox.opus import FakeOpus
from airflow_provider_records.sandbox.unifier import FakeUnifier

ROWS = 15
BPNAME = "Disposal Request"
APPROVAL = "Disposal"
VALUES = ("approved", "rejected", "")

PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
Row = dict[str, str]


class ApprovalConsole:
    """Opens and decides disposal requests of Unifier, sets fields of enaio (``Disposal``), reviews and holds in Opus.

    :param opus: the fake of Opus.
    :param enaio: the fake of enaio.
    :param unifier: the fake of Unifier.
    """

    def __init__(self, opus: FakeOpus, enaio: FakeEnaio, unifier: FakeUnifier) -> None:
        self.opus = opus
        self.enaio = enaio
        self.unifier = unifier
        self._done = ""

    @property
    def decisions(self) -> dict[str, Callable[[Mapping[str, Any]], str]]:
        """What people can decide in each system; each takes what its form sends and says what was done."""
        return {"unifier": self._decide_unifier, "enaio": self._decide_enaio, "opus": self._decide_opus}

    def routes(self) -> list[Route]:
        """Return the routes of the page and of the three forms."""
        return [
            Route("/console", self._show),
            *(
                Route(f"/console/{name}", self._endpoint(name, decide), methods=["POST"])
                for name, decide in self.decisions.items()
            ),
        ]

    def _endpoint(self, name: str, act: Callable[[Mapping[str, Any]], str]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            is_json = request.headers.get("content-type", "").startswith("application/json")
            search = request.query_params.get("q", "")
            try:
                asked = await request.json() if is_json else self._form(await request.body(), search)
                if not isinstance(asked, dict):
                    raise ValueError("the body must be a JSON object")
                done = act(asked)
            except ValueError as error:
                return JSONResponse({"error": str(error)}, 400) if is_json else self._page(search, str(error))
            if is_json:
                return JSONResponse({"done": done})
            self._done = done
            query = urlencode({"q": search}) if search else ""
            return RedirectResponse(f"/console{'?' if query else ''}{query}#{name}", 303)

        return endpoint

    def _form(self, body: bytes, search: str) -> dict[str, Any]:
        """Read a form: an id field may be repeated, or "all" stands for every row that matches the search."""
        form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        lists = {"object_ids": (self._objects, "id"), "keys": (self._records, "key")}
        asked: dict[str, Any] = {name: values if name in lists else values[-1] for name, values in form.items()}
        every = asked.pop("all", "")
        if every in lists:
            rows, column = lists[every]
            asked[every] = list(dict.fromkeys(row[column] for row in _matching(rows(), search)))
        return asked

    def _decide_unifier(self, asked: Mapping[str, Any]) -> str:
        action = _text(asked, "action")
        project, record_no = _text(asked, "project_number"), _text(asked, "record_no")
        bpname = _text(asked, "bpname", BPNAME)
        if action == "open":
            _only(asked, "action", "project_number", "record_no", "bpname", "status", "title", "disposal_digest")
            if project not in self.unifier.shells:
                raise ValueError(f"Unifier has no project {project!r}; it has {', '.join(self.unifier.shells)}")
            title, digest = _text(asked, "title", ""), _text(asked, "disposal_digest", "")
            status = _text(asked, "status", "Pending")
            if (project, bpname, record_no) in self.unifier.records:
                raise ValueError(f"Unifier has a {bpname} {record_no!r} in {project} already")
            self.unifier.open_request(project, record_no, bpname=bpname, title=title, digest=digest, status=status)
            return f"Unifier: {bpname} {record_no} opened in {project}"
        if action != "set_status":
            raise ValueError(f"'action' is 'open' or 'set_status', not {action!r}")
        _only(asked, "action", "project_number", "record_no", "bpname", "status")
        status = _text(asked, "status")
        if (project, bpname, record_no) not in self.unifier.records:
            raise ValueError(f"Unifier has no {bpname} {record_no!r} in {project!r}")
        self.unifier.set_status(project, bpname, record_no, status)
        return f"Unifier: {bpname} {record_no} in {project} is now {status}"

    def _decide_enaio(self, asked: Mapping[str, Any]) -> str:
        _only(asked, "object_ids", "field", "value")
        ids, field, value = _texts(asked, "object_ids"), _text(asked, "field", APPROVAL), asked.get("value")
        if not isinstance(value, str) or (field == APPROVAL and value not in VALUES):
            raise ValueError("'value' is 'approved', 'rejected' or empty; of another field than Disposal any text")
        known = {row["id"] for row in self._objects()}
        if missing := [object_id for object_id in ids if object_id not in known]:
            raise ValueError(f"enaio has no object {missing[0]!r}")
        for object_id in ids:
            self.enaio.set_field(object_id, field, value)
        return f"enaio: {field} is now {value or 'empty'} for {_count(ids, 'object')}"

    def _decide_opus(self, asked: Mapping[str, Any]) -> str:
        _only(asked, "keys", "decision")
        keys, decision = _texts(asked, "keys"), _text(asked, "decision")
        if missing := [key for key in keys if not self.opus.records(key)]:
            raise ValueError(f"Opus has no record {missing[0]!r}")
        for key in keys:
            self.opus.decide(key, decision)
        return f"Opus: {decision} for {_count(keys, 'record')}"

    async def _show(self, request: Request) -> Response:
        return self._page(request.query_params.get("q", ""))

    def _page(self, search: str, error: str = "") -> Response:
        requests = _matching(self._requests(), search)
        objects = _matching(self._objects(), search)
        records = _matching(self._records(), search)
        text = PAGES.get_template("console.html").render(
            q=search,
            query=urlencode({"q": search}) if search else "",
            error=error,
            done=self._done,
            projects=list(self.unifier.shells),
            requests=requests[:ROWS],
            request_count=len(requests),
            objects=objects[:ROWS],
            object_count=len(objects),
            records=records[:ROWS],
            record_count=len(records),
        )
        self._done = ""
        return HTMLResponse(text, 400 if error else 200)

    def _requests(self) -> list[Row]:
        return [
            {
                "project_number": record.project_number,
                "bpname": record.bpname,
                "record_no": str(record.fields["record_no"]),
                "title": record.fields.get("title") or "",
                "digest": record.fields.get("disposal_digest") or "",
                "status": str(record.fields.get("status") or ""),
            }
            for record in self.unifier.records.values()
        ]

    def _objects(self) -> list[Row]:
        return [
            {
                "id": item.id,
                "title": item.fields.get("Title", ""),
                "type": item.object_type,
                "disposal": item.fields.get("Disposal", ""),
            }
            for item in self.enaio.archive.objects.values()
            if item.base == "DOCUMENT" and not item.bin
        ]

    def _records(self) -> list[Row]:
        """Return the records of Opus; those that are held or not approved first."""
        rows = [
            {
                "key": record.rowKey,
                "title": record.leafName,
                "term": record.termFullPath,
                "due": record.due[:10],
                "review": record.review.replace("_", " "),
                "hold": "on hold" if record.held else "",
                "status": record.status,
            }
            for records in self.opus.connections.values()
            for record in records
        ]
        return sorted(rows, key=lambda row: row["review"] == "approved" and not row["hold"])


def _matching(rows: list[Row], search: str) -> list[Row]:
    wanted = search.casefold().strip()
    return [row for row in rows if any(wanted in value.casefold() for value in row.values())]


def _only(asked: Mapping[str, Any], *names: str) -> None:
    if unknown := sorted(set(asked) - set(names)):
        raise ValueError(f"unknown: {', '.join(unknown)}; allowed are {', '.join(names)}")


def _text(asked: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = asked.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise ValueError(f"{name!r} must be text{'' if default is None else ' or left out'}")
    return value.strip()


def _texts(asked: Mapping[str, Any], name: str) -> list[str]:
    values = asked.get(name)
    if not isinstance(values, list) or not values or not all(isinstance(value, str) and value for value in values):
        raise ValueError(f"nothing selected: {name!r} must be a list of ids")
    return list(values)


def _count(values: list[str], noun: str) -> str:
    return f"{noun} {values[0]}" if len(values) == 1 else f"{len(values)} {noun}s"
