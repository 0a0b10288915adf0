"""What the API server shows on the page "Disposals".

Airflow puts no authentication before the app of a plugin (apache/airflow issue 63081), so every route asks for the
user here, and for the right to read the runs of the DAG. There is no route that changes anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, get_user
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from markupsafe import Markup
from starlette.exceptions import HTTPException as AnyHTTPException

from airflow_provider_records.evidence.store import safe_name
from airflow_provider_records.exceptions import RecordsError
from airflow_provider_records.plugin import access, chart
from airflow_provider_records.plugin.lists import PAGE as LIST_PAGE
from airflow_provider_records.plugin.lists import Lists
from airflow_provider_records.plugin.rows import Row, moment, nameless, refusals, row, totals
from airflow_provider_records.plugin.runs import Group, Nights
from airflow_provider_records.reporting import wording
from airflow_provider_records.reporting.bar import ORDER, bar
from airflow_provider_records.reporting.certificate_page import environment
from airflow_provider_records.task.context import evidence_store
from airflow_provider_records.task.links import PREFIX

NIGHTS = 100
"""Nights a page."""
_READERS = 16
_TEMPLATES = Path(__file__).parent / "templates"
_STYLE, _SCRIPT = ((_TEMPLATES / name).read_text() for name in ("page.css", "page.js"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'self'"
_CERTIFICATE_POLICY = f"{_FILE_POLICY}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

app = FastAPI(title="Disposals", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(get_user)])
_templates = environment(_TEMPLATES)
_templates.globals |= {"words": wording, "bar": bar, "order": ORDER}
_templates.globals |= {"style": Markup(_STYLE), "script": Markup(_SCRIPT)}  # noqa: S704 - files of ours
_templates.filters |= {"query": urlencode, "part": lambda text: quote(text, safe="")}

Page = Annotated[int, Query(ge=1, le=1_000_000)]


@cache
def _readers(root: str) -> tuple[Nights, Lists]:
    store = evidence_store()
    return Nights(store), Lists(store)


def _evidence() -> tuple[Nights, Lists]:
    return _readers(evidence_store().root)


def _show(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
    root = str(request.scope.get("root_path", ""))
    text = _templates.get_template(template).render(root=root, airflow=root.removesuffix(PREFIX), **values)
    return HTMLResponse(text, status)


@app.get("/", response_class=HTMLResponse)
def overview(
    request: Request, user: GetUserDep, session: SessionDep, dag_id: str | None = None, page: Page = 1
) -> HTMLResponse:
    """Show the nights, newest first."""
    nights, _ = _evidence()
    waiting = access.waiting(session)
    having = set(nights.dags().values())
    readable = access.readable(user, {*having, *(each.dag_id for each in waiting)}, session)
    dags = sorted(readable & having)
    if dag_id is not None and dag_id not in readable:
        raise HTTPException(404, "There is no disposal of this DAG that you may see.")
    chosen = [dag_id] if dag_id is not None else dags
    runs = access.runs(chosen, session)
    places: list[tuple[str, str]] = []
    certified: dict[str, set[str]] = {}
    unlisted: dict[str, str] = {}
    for dag in chosen:
        folders, problem = nights.guarded(dag, "", nights.runs, dag)
        places += [(dag, folder) for folder in folders or ()]
        papers, why = nights.guarded(dag, "", nights.certified, dag)
        certified[dag] = papers or set()
        if problem or why:
            unlisted[dag] = problem or why
    found = sorted(((moment(folder, runs.get((dag, folder))), dag, folder) for dag, folder in places), reverse=True)
    shown = found[(page - 1) * NIGHTS : page * NIGHTS]

    def read(place: tuple[str, str, str]) -> Row | None:
        when, dag, folder = place
        run = runs.get((dag, folder))
        run_id, problem = (run.run_id, "") if run else nights.guarded(dag, folder, nights.run_id, dag, folder)
        if problem:
            return nameless(dag, when, problem)
        return row(nights, dag, run_id, run, when=when, certified=folder in certified[dag]) if run_id else None

    with ThreadPoolExecutor(_READERS) as pool:
        rows = [each for each in pool.map(read, shown) if each is not None]
        reasons, left_out = refusals(nights, rows, pool)
    return _show(
        request,
        "overview.html",
        rows=rows,
        live=any(each.live for each in rows),
        waiting=[each for each in waiting if each.dag_id in (readable if dag_id is None else {dag_id})],
        strips=chart.strips([each.night.systems for each in reversed(rows)]),
        totals=totals(rows),
        refusals=reasons,
        left_out=left_out,
        unlisted=unlisted,
        dags=dags,
        dag_id=dag_id,
        page=page,
        first=(page - 1) * NIGHTS + 1,
        total=len(found),
        pages=max(1, -(-len(found) // NIGHTS)),
    )


@app.get("/run", response_class=HTMLResponse)
def one_night(request: Request, user: GetUserDep, session: SessionDep, dag_id: str, run_id: str) -> HTMLResponse:
    """Show one night."""
    nights, _ = _evidence()
    _demand(user, dag_id, session)
    folder = safe_name(run_id)
    run = access.runs([dag_id], session, run_id).get((dag_id, folder))
    papers, unlisted = nights.guarded(dag_id, "", nights.certified, dag_id)
    shown = row(nights, dag_id, run_id, run, when=moment(folder, run), certified=folder in (papers or ()))
    if shown is None:
        raise HTTPException(404, f"There is no run {run_id} of {dag_id} that has disposed of anything.")
    night = shown.night
    approvals, problem = nights.guarded(dag_id, run_id, nights.approvals, night.disposals)
    groups: dict[str, list[Group]] = {}
    for task in night.tasks:
        if not task.progress:
            found, why = nights.guarded(dag_id, run_id, nights.groups, task.disposals)
            groups[task.task_id] = found or []
            problem = problem or why
    problem = problem or unlisted
    return _show(
        request,
        "night.html",
        row=shown,
        night=night,
        live=shown.live,
        problem=problem,
        approvals=approvals or [],
        groups=groups,
    )


@app.get("/manifests/{digest}", response_class=HTMLResponse)
def whole_list(
    *,
    request: Request,
    user: GetUserDep,
    session: SessionDep,
    digest: str,
    dag_id: str = "",
    run_id: str = "",
    page: Page = 1,
) -> Response:
    """Show a list of records page by page, or all of it as a file."""
    _, lists = _evidence()
    digest, _, suffix = digest.partition(".")
    if len(digest) != 64 or set(digest) - set("0123456789abcdef") or suffix not in {"", "jsonl"}:
        raise HTTPException(404, "There is no such list.")
    _demand_list(user, dag_id, run_id, digest, session)
    if suffix:
        return _file(lists.name(digest), "application/x-ndjson", download=f"{digest}.jsonl")
    if not lists.store.exists(lists.name(digest)):
        raise HTTPException(404, "The list is not in the evidence store.")
    index = lists.index(digest)
    if page > len(index.starts):
        raise HTTPException(404, "The list has no such page.")
    return _show(
        request,
        "list.html",
        live=False,
        digest=digest,
        dag_id=dag_id,
        run_id=run_id,
        records=list(enumerate(lists.page(digest, page), (page - 1) * LIST_PAGE + 1)),
        page=page,
        pages=len(index.starts),
        total=index.count,
    )


@app.get("/certificate.{suffix}")
def certificate(user: GetUserDep, session: SessionDep, suffix: str, dag_id: str, run_id: str) -> Response:
    """Serve a run's certificate as it lies in the evidence store."""
    nights, _ = _evidence()
    _demand(user, dag_id, session)
    if suffix not in {"html", "json"}:
        raise HTTPException(404, "There is no such page.")
    name = nights.certificate(dag_id, run_id, f".{suffix}")
    if suffix == "html":
        return _file(name, "text/html; charset=utf-8", policy=_CERTIFICATE_POLICY)
    return _file(name, "application/json", download=f"certificate-{safe_name(run_id)}.json")


@app.middleware("http")
async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Let a browser do nothing with an answer but show it."""
    response = await call_next(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@app.exception_handler(AnyHTTPException)
async def refused(request: Request, error: AnyHTTPException) -> Response:
    """Lead a person who is not signed in to Airflow's login; say anything else in words."""
    html = "text/html" in request.headers.get("accept", "")
    if error.status_code == 401 and html:
        root = str(request.scope.get("root_path", "")).removesuffix(PREFIX)
        asked = f"{request.url.path}?{request.url.query}"
        return RedirectResponse(f"{root}/api/v2/auth/login?{urlencode({'next': asked})}", 303)
    if html:
        return _show(request, "message.html", error.status_code, live=False, text=str(error.detail))
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)


@app.exception_handler(RequestValidationError)
async def malformed(request: Request, _: RequestValidationError) -> Response:
    """Answer what nothing on the page leads to."""
    return await refused(request, AnyHTTPException(404, "There is no such page."))


@app.exception_handler(RecordsError)
async def unreadable(request: Request, error: RecordsError) -> Response:
    """Say what is wrong with the evidence store."""
    return await refused(request, AnyHTTPException(503, str(error)))


def _demand(user: Any, dag_id: str, session: Any) -> None:  # noqa: ANN401
    """Demand the right to read a DAG's runs; who has not is told no more than that there is nothing.

    :raises HTTPException: 404.
    """
    if not access.readable(user, [dag_id], session):
        raise HTTPException(404, "There is no disposal of this DAG that you may see.")


def _demand_list(user: Any, dag_id: str, run_id: str, digest: str, session: Any) -> None:  # noqa: ANN401
    """Demand that a list belongs to a run that the user may read.

    :raises HTTPException: 404.
    """
    nights, _ = _evidence()
    _demand(user, dag_id, session)
    night = nights.read(dag_id, run_id)
    wanted = f"sha256:{digest}"
    approvals = nights.approvals(night.disposals)
    lists = {text for each in approvals for text in (each.digest, each.part_of, each.shown)}
    if wanted not in night.digests | lists and not access.mentions(dag_id, run_id, wanted, session):
        raise HTTPException(404, "This run has no such list. Open it from the run that uses it.")


def _file(name: str, kind: str, *, download: str = "", policy: str = _FILE_POLICY) -> Response:
    """Serve a file of the evidence store as it is."""
    nights, _ = _evidence()
    if not nights.store.exists(name):
        raise HTTPException(404, "It is not in the evidence store (yet).")
    stack = ExitStack()
    file = stack.enter_context(nights.store.open(name))

    def pieces() -> Iterator[bytes]:
        with stack:
            while piece := file.read(1 << 18):
                yield piece

    headers = {"Content-Security-Policy": policy}
    if download:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(download)}"
    return StreamingResponse(pieces(), media_type=kind, headers=headers)
