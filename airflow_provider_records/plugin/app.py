"""The page "Disposals", served by Airflow's API server.

Airflow does not authenticate requests to a plugin's app (apache/airflow issue 63081). Every route therefore requires a
user and the right to read the runs of the DAG. No route changes anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Annotated, Any
from urllib.parse import quote, urlencode

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, get_user
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from jinja2 import Environment
from markupsafe import Markup
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException as AnyHTTPException

from airflow_provider_records.evidence.certificate import file_name, part_name
from airflow_provider_records.evidence.certificate import read as read_certificate
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import safe_name
from airflow_provider_records.evidence.titles import shown
from airflow_provider_records.exceptions import ConfigurationError, RecordsError
from airflow_provider_records.plugin import access, chart
from airflow_provider_records.plugin.found import find_runs
from airflow_provider_records.plugin.lists import PAGE as LIST_PAGE
from airflow_provider_records.plugin.lists import Lists
from airflow_provider_records.plugin.patience import PatientStore
from airflow_provider_records.plugin.rows import due_at, reason_totals, run_row, totals
from airflow_provider_records.plugin.runs import RunReader
from airflow_provider_records.plugin.status import ReasonGroup
from airflow_provider_records.reporting import export
from airflow_provider_records.reporting.bar import ORDER, bar
from airflow_provider_records.reporting.certificate_page import environment
from airflow_provider_records.reporting.language import ENGLISH, Language, marked
from airflow_provider_records.task.context import opened_store, reading_language
from airflow_provider_records.task.links import PAGE, PREFIX

RUNS_PER_PAGE = 100
RUNS_ON_TILE = 5
_READERS = 16
_TEMPLATES = Path(__file__).parent / "templates"
_STYLE, _SCRIPT, _TILE = ((_TEMPLATES / name).read_text() for name in ("page.css", "page.js", "tile.js"))


def _csp_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_POLICY = (
    f"default-src 'none'; style-src {_csp_hash(_STYLE)}; script-src {_csp_hash(_SCRIPT)}; connect-src 'self'; "
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

Page = Annotated[int, Query(ge=1, le=1_000_000)]


@cache
def _readers(root: str, language: Language) -> tuple[RunReader, Lists]:
    store = PatientStore(opened_store())
    return RunReader(store, language), Lists(store)


def _evidence() -> tuple[RunReader, Lists]:
    return _readers(opened_store().root, reading_language())


@cache
def _templates(language: Language) -> Environment:
    found = environment(_TEMPLATES, language)
    found.globals |= {"bar": bar, "order": ORDER}
    found.globals |= {"style": Markup(_STYLE), "script": Markup(_SCRIPT)}  # noqa: S704 - files of this package
    found.filters |= {"query": urlencode, "part": lambda text: quote(text, safe="")}
    return found


def _language() -> Language:
    """Return the configured language; English, in which the error can be said, if it is none."""
    try:
        return reading_language()
    except ConfigurationError:
        return ENGLISH


def _missing(message: str, **values: object) -> HTTPException:
    """Return the error that what was asked for is not there, in the reader's language."""
    return HTTPException(404, _language().gettext(message, **values))


def _show(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
    root = str(request.scope.get("root_path", ""))
    text = _templates(_language()).get_template(template).render(root=root, airflow=root.removesuffix(PREFIX), **values)
    return HTMLResponse(text, status)


@app.get("/", response_class=HTMLResponse)
def overview(
    request: Request, user: GetUserDep, session: SessionDep, dag_id: str | None = None, page: Page = 1
) -> HTMLResponse:
    """Show the disposal runs, newest first."""
    reader, _ = _evidence()
    found = find_runs(reader, user, session, dag_id)
    if found is None:
        raise _missing(marked("There is no disposal of this DAG that you may see."))
    with ThreadPoolExecutor(_READERS) as pool:
        rows = found.rows((page - 1) * RUNS_PER_PAGE, page * RUNS_PER_PAGE, session, pool)
        reasons, left_out = reason_totals(reader, rows, pool)
    return _show(
        request,
        "overview.html",
        rows=rows,
        live=any(each.live for each in rows),
        pending=found.pending,
        strips=chart.strips([each.run.systems for each in reversed(rows)]),
        totals=totals(rows),
        described={name: said for each in reversed(rows) for name, said in each.run.descriptions.items()},
        reasons=reasons,
        left_out=left_out,
        unlisted=found.unlisted,
        evidence=reader.store.root,
        dags=found.dags,
        dag_id=dag_id,
        page=page,
        first=(page - 1) * RUNS_PER_PAGE + 1,
        total=found.total,
        pages=max(1, -(-found.total // RUNS_PER_PAGE)),
    )


@app.get("/tile", response_class=HTMLResponse)
def tile(request: Request, user: GetUserDep, session: SessionDep) -> HTMLResponse:
    """Show the newest disposal runs on Airflow's first page."""
    reader, _ = _evidence()
    found = find_runs(reader, user, session)
    with ThreadPoolExecutor(_READERS) as pool:
        rows = found.rows(0, RUNS_ON_TILE, session, pool) if found else []
    live = any(each.live for each in rows)
    return _show(request, "tile.html", rows=rows, live=live, pending=found.pending if found else [], page=PAGE)


@app.get("/tile.js")
def tile_script() -> Response:
    """Serve the component that shows the tile; Airflow's first page imports it."""
    return Response(_TILE, media_type="text/javascript")


@app.get("/of/{dag_id}/{run_id:path}", response_class=HTMLResponse)
def tab_of_run(request: Request, user: GetUserDep, session: SessionDep, dag_id: str, run_id: str) -> Response:
    """Show a run on its own page in Airflow."""
    return _show_tab(request, user, session, dag_id, run_id=run_id)


@app.get("/of-task/{dag_id}/{task_id}/{run_id:path}", response_class=HTMLResponse)
def tab_of_task(
    *, request: Request, user: GetUserDep, session: SessionDep, dag_id: str, task_id: str, run_id: str
) -> Response:
    """Show the run of a task instance on the task instance's own page in Airflow."""
    return _show_tab(request, user, session, dag_id, run_id=run_id, fragment=f"#task-{quote(task_id)}")


def _show_tab(
    request: Request, user: BaseUser, session: Session, dag_id: str, *, run_id: str, fragment: str = ""
) -> Response:
    """Redirect to the page of a run, or say that the run has none: Airflow has the tab on the runs of all DAGs."""
    reader, _ = _evidence()
    _require_dag(user, dag_id, session)
    if safe_name(run_id) not in reader.runs(dag_id) | reader.decided(dag_id):
        text = _language().gettext("Nobody has been asked about records in this run, and it has disposed of none.")
        return _show(request, "message.html", live=False, text=text)
    query = urlencode({"dag_id": dag_id, "run_id": run_id})
    return RedirectResponse(f"{request.scope.get('root_path', '')}/run?{query}{fragment}", 303)


@app.get("/run", response_class=HTMLResponse)
def one_run(request: Request, user: GetUserDep, session: SessionDep, dag_id: str, run_id: str) -> HTMLResponse:
    """Show one disposal run."""
    reader, _ = _evidence()
    _require_dag(user, dag_id, session)
    folder = safe_name(run_id)
    airflow_run = access.runs([dag_id], session, run_id).get((dag_id, folder))
    certificates, unlisted = reader.try_read(dag_id, "", reader.certified, dag_id)
    certified = folder in (certificates or ())
    trace = access.traces([(dag_id, run_id)], session)[dag_id, run_id]
    waiting = [each for each in access.pending_approvals(session) if (each.dag_id, each.run_id) == (dag_id, run_id)]
    row = run_row(
        reader,
        dag_id,
        run_id,
        airflow_run,
        due=due_at(folder, airflow_run),
        certified=certified,
        trace=trace,
        waiting=bool(waiting),
    )
    if row is None:
        raise _missing(
            marked("There is no run %(run)s of %(dag)s in the evidence store or in Airflow."), run=run_id, dag=dag_id
        )
    run = row.run
    if run.disposals:
        approvals, problem = reader.try_read(dag_id, run_id, reader.approvals, run.disposals)
    else:
        approvals, problem = reader.try_read(dag_id, run_id, reader.given, run, trace.approvals)
    odd_rows, why = reader.try_read(dag_id, run_id, reader.set_aside, dag_id, run_id)
    problem = problem or why
    slips, why = reader.try_read(dag_id, run_id, reader.slips, dag_id, run_id)
    problem = problem or why
    parts, why = reader.try_read(dag_id, run_id, reader.further_parts, dag_id, run_id) if certified else (None, "")
    problem = problem or why
    groups: dict[str, list[ReasonGroup]] = {}
    for task in run.tasks:
        if not task.progress:
            found, why = reader.try_read(dag_id, run_id, reader.groups, task.disposals)
            groups[task.task_id] = found or []
            problem = problem or why
    problem = problem or unlisted
    return _show(
        request,
        "run.html",
        row=row,
        run=run,
        live=row.live,
        problem=problem,
        approvals=approvals or [],
        waiting=waiting,
        odd_rows=odd_rows or [],
        slips=slips or [],
        groups=groups,
        parts=parts or (),
    )


@app.get("/outcomes", response_class=HTMLResponse)
def outcomes(
    *,
    request: Request,
    user: GetUserDep,
    session: SessionDep,
    dag_id: str,
    run_id: str,
    task_id: str,
    outcome: OutcomeKind | None = None,
    reason: str | None = None,
    page: Page = 1,
) -> HTMLResponse:
    """Show every record of a disposing task, or those with one outcome or reason, page by page."""
    reader, _ = _evidence()
    _require_dag(user, dag_id, session)
    run = reader.read(dag_id, run_id)
    task = next((each for each in run.tasks if each.task_id == task_id and each.disposals), None)
    if task is None:
        raise _missing(marked("There is no such task with a summary in this run."))
    first = (page - 1) * LIST_PAGE
    found, problem = reader.try_read(
        dag_id, run_id, reader.records, task.disposals, outcome, reason, first, first + LIST_PAGE
    )
    records, total = found or ([], 0)
    groups, why = reader.try_read(dag_id, run_id, reader.groups, task.disposals)
    return _show(
        request,
        "outcomes.html",
        live=False,
        run=run,
        task=task,
        outcome=outcome,
        reason=reason,
        query={
            name: value
            for name, value in (
                ("dag_id", dag_id),
                ("run_id", run_id),
                ("task_id", task_id),
                ("outcome", outcome),
                ("reason", reason),
            )
            if value is not None
        },
        records=records,
        reasons=[each for each in groups or () if each.reason and outcome in (None, each.kind)],
        problem=problem or why,
        total=total,
        page=page,
        pages=max(1, -(-total // LIST_PAGE)),
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
    """Show a list of records page by page, or serve it as a file."""
    reader, lists = _evidence()
    digest, _, suffix = digest.partition(".")
    if len(digest) != 64 or set(digest) - set("0123456789abcdef") or suffix not in {"", "jsonl", *export.FORMATS}:
        raise _missing(marked("There is no such list."))
    _require_list(user, dag_id, run_id, digest, session)
    if suffix == "jsonl":
        return _serve_file(lists.name(digest), "application/x-ndjson", download=f"{digest}.jsonl")
    if suffix:
        rows = export.list_rows(lists.store, f"sha256:{digest}", dag_id, run_id)
        return _serve_rows(suffix, export.LIST_COLUMNS, rows, f"list-{digest[:12]}")
    if not lists.store.exists(lists.name(digest)):
        raise _missing(marked("The list is not in the evidence store."))
    index = lists.index(digest)
    if page > len(index.pages):
        raise _missing(marked("The list has no such page."))
    records = lists.page(digest, page)
    return _show(
        request,
        "list.html",
        live=False,
        digest=digest,
        dag_id=dag_id,
        run_id=run_id,
        records=list(enumerate(shown(lists.store, dag_id, run_id, records), (page - 1) * LIST_PAGE + 1)),
        page=page,
        pages=len(index.pages),
        total=index.count,
        slips=[slip for slip in reader.slips(dag_id, run_id) if slip.digest == f"sha256:{digest}"],
    )


@app.get("/certificate.{suffix}")
def certificate(
    *, user: GetUserDep, session: SessionDep, suffix: str, dag_id: str, run_id: str, part: Page = 1
) -> Response:
    """Serve the bytes of a run's certificate; ``part`` is the number of a page."""
    _require_dag(user, dag_id, session)
    name = file_name(dag_id, run_id)
    if suffix == "html":
        return _serve_file(part_name(name, part), "text/html; charset=utf-8", policy=_CERTIFICATE_POLICY)
    if suffix == "json":
        return _serve_file(name, "application/json", download=f"certificate-{safe_name(run_id)}.json")
    raise _missing(marked("There is no such page."))


@app.get("/records.{suffix}")
def records(user: GetUserDep, session: SessionDep, suffix: str, dag_id: str, run_id: str) -> Response:
    """Serve the records of a run's certificate as a spreadsheet."""
    reader, _ = _evidence()
    _require_dag(user, dag_id, session)
    if suffix not in export.FORMATS:
        raise _missing(marked("There is no such page."))
    name = file_name(dag_id, run_id)
    if not reader.store.exists(name):
        raise _missing(marked("It is not in the evidence store (yet)."))
    rows = export.certificate_rows(reader.store, read_certificate(reader.store, name))
    return _serve_rows(suffix, export.CERTIFICATE_COLUMNS, rows, f"records-{safe_name(run_id)}")


@app.middleware("http")
async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Add headers that allow a browser only to show the response."""
    response = await call_next(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@app.exception_handler(AnyHTTPException)
async def http_error(request: Request, error: AnyHTTPException) -> Response:
    """Redirect a browser without a login to Airflow's login page; show any other error as a message."""
    html = "text/html" in request.headers.get("accept", "")
    if error.status_code == 401 and html:
        root = str(request.scope.get("root_path", "")).removesuffix(PREFIX)
        target = f"{request.url.path}?{request.url.query}"
        return RedirectResponse(f"{root}/api/v2/auth/login?{urlencode({'next': target})}", 303)
    if html:
        return _show(request, "message.html", error.status_code, live=False, text=str(error.detail))
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)


@app.exception_handler(RequestValidationError)
async def invalid_parameter(request: Request, _: RequestValidationError) -> Response:
    """Answer a request with invalid parameters, to which no link leads."""
    return await http_error(request, _missing(marked("There is no such page.")))


@app.exception_handler(RecordsError)
async def evidence_error(request: Request, error: RecordsError) -> Response:
    """Show an error of the evidence store."""
    return await http_error(request, AnyHTTPException(503, str(error)))


def _require_dag(user: Any, dag_id: str, session: Any) -> None:  # noqa: ANN401
    """Require the right to read a DAG's runs. The error does not reveal whether the DAG exists.

    :raises HTTPException: 404, the user may not read them.
    """
    if not access.readable(user, [dag_id], session):
        raise _missing(marked("There is no disposal of this DAG that you may see."))


def _require_list(user: Any, dag_id: str, run_id: str, digest: str, session: Any) -> None:  # noqa: ANN401
    """Require that the evidence of a run that the user may read names a list.

    What a task returned, or shows people in a form, does not count: whoever writes a DAG can put any digest there, also
    that of another team's list.

    :raises HTTPException: 404, it does not.
    """
    reader, _ = _evidence()
    _require_dag(user, dag_id, session)
    run = reader.read(dag_id, run_id)
    wanted = f"sha256:{digest}"
    approvals = reader.approvals(run.disposals)
    lists = {text for each in approvals for text in (each.digest, each.part_of, each.shown)}
    lists |= {each.digest for each in Order.asked_in(reader.store, dag_id, run_id)}
    if wanted not in run.digests | lists:
        raise _missing(marked("This run has no such list. Open it from the run that uses it."))


def _serve_rows(suffix: str, columns: Sequence[str], rows: Iterable[export.Cells], name: str) -> Response:
    """Serve rows as a spreadsheet; its memory does not grow with their number.

    :raises EvidenceError: a file of the evidence is missing or was changed.
    """
    with ExitStack() as stack:
        file = stack.enter_context(TemporaryFile())
        if suffix == "xlsx":
            export.write_xlsx(file, columns, rows)
        else:
            file.writelines(export.csv_pieces(columns, rows))
        file.seek(0)
        kept = stack.pop_all()  # nothing is sent before everything was read and fits
    return _stream(file, kept, export.FORMATS[suffix], f"{name}.{suffix}", _FILE_POLICY)


def _serve_file(name: str, kind: str, *, download: str = "", policy: str = _FILE_POLICY) -> Response:
    """Serve the bytes of a file of the evidence store."""
    reader, _ = _evidence()
    if not reader.store.exists(name):
        raise _missing(marked("It is not in the evidence store (yet)."))
    stack = ExitStack()
    return _stream(stack.enter_context(reader.store.open(name)), stack, kind, download, policy)


def _stream(file: IO[bytes], stack: ExitStack, kind: str, download: str, policy: str) -> Response:
    """Stream an open file, which the stack closes."""
    first = file.read(1 << 18)  # before the headers, which could not say any more that the storage hangs

    def chunks() -> Iterator[bytes]:
        with stack:
            chunk = first
            while chunk:
                yield chunk
                chunk = file.read(1 << 18)

    headers = {"Content-Security-Policy": policy}
    if download:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(download)}"
    return StreamingResponse(chunks(), media_type=kind, headers=headers)
