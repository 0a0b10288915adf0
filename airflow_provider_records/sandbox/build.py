"""The assembled sandbox: three vendors with the same seed, the approval console, and a page with addresses."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_records.sandbox import seed as seeds
from airflow_provider_records.sandbox.console import PAGES, ApprovalConsole
from airflow_provider_records.sandbox.core import Sandbox
from airflow_provider_records.sandbox.enaio import FakeEnaio
from airflow_provider_records.sandbox.opus import FakeOpus
from airflow_provider_records.sandbox.unifier import FakeUnifier

RECORDS = 60
SEED = 7
MOST = 1_000_000

_OURS = {"127.0.0.1", "localhost"}


def build(records: int = RECORDS, seed: int = SEED) -> Sandbox:
    """Assemble Opus, enaio and Unifier, seeded with the same records, and the approval console.

    ``POST /_sandbox/reset`` replaces the vendors: read ``vendors`` again after it.

    :param records: number of due records in enaio; :func:`seed.items` derives the other numbers from it.
    :param seed: seed of the random names, dates and troubles.
    """
    sandbox = _assemble(records, seed)

    async def reset(request: Request) -> Response:
        try:
            asked = json.loads(await request.body() or b"{}")
            if not isinstance(asked, dict) or set(asked) - {"records", "seed"}:
                raise ValueError("the body is a JSON object with 'records' and 'seed', or empty")
            values = {"records": asked.get("records", RECORDS), "seed": asked.get("seed", SEED)}
            if any(type(value) is not int for value in values.values()) or not 0 <= values["records"] <= MOST:
                raise ValueError(f"'records' is a whole number up to {MOST}, 'seed' a whole number")
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        fresh = _assemble(**values)
        sandbox.vendors, sandbox.faults, sandbox.log = fresh.vendors, fresh.faults, fresh.log
        sandbox.decisions = fresh.decisions
        sandbox.app.router.routes = [*fresh.app.router.routes, control]
        return JSONResponse(values)

    control = Route("/_sandbox/reset", reset, methods=["POST"])
    sandbox.app.router.routes.append(control)
    sandbox.app.add_middleware(LocalOnly)
    return sandbox


def connections(sandbox: Sandbox, url: str) -> dict[str, dict[str, Any]]:
    """Return the Airflow connections to a served sandbox, by connection id.

    :param sandbox: the sandbox, as :func:`build` returns it.
    :param url: its address, such as ``http://127.0.0.1:8765``.
    """
    opus, enaio, unifier = _fakes(sandbox)
    identity = {"identity_url": f"{url}/opus/connect/token"}
    return {
        conn_id: {
            "conn_type": name,
            "host": f"{url}/{name}",
            "login": login,
            "password": password,
            "extra": extra,
        }
        for conn_id, name, login, password, extra in (
            (
                "opus_default",
                "opus",
                opus.client_id,
                opus.client_secret,
                {**identity, "connector_id": seeds.ENAIO_CONNECTOR},
            ),
            (
                "opus_projects",
                "opus",
                opus.client_id,
                opus.client_secret,
                {**identity, "connector_id": seeds.UNIFIER_CONNECTOR},
            ),
            ("enaio_default", "enaio", enaio.user, enaio.password, {}),
            ("unifier_default", "unifier", unifier.user, unifier.password, {}),
        )
    }


class LocalOnly:
    """Refuses control calls that come from other than local pages, as an attack by DNS rebinding does.

    :param app: the application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == "/" or path.split("/")[1:2] in (["console"], ["_sandbox"]):
            request = Request(scope)
            origin = request.headers.get("origin")
            names = [f"//{request.headers.get('host', '')}", *([origin] if origin is not None else [])]
            if any(_host(name) not in _OURS for name in names):
                await PlainTextResponse("only from 127.0.0.1 or localhost\n", 403)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _assemble(records: int, seed: int) -> Sandbox:
    opus, enaio, unifier = FakeOpus(), FakeEnaio(), FakeUnifier()
    items = seeds.items(records, seed)
    for vendor in (opus, enaio, unifier):
        vendor.load(items)
    due = sum(1 for item in items if item.due < "2026")

    async def index(request: Request) -> Response:
        return HTMLResponse(
            PAGES.get_template("index.html").render(
                connections=connections(sandbox, str(request.base_url).rstrip("/")),
                port=request.base_url.port,
                due=due,
                records=records,
                seed=seed,
                enaio_connector=seeds.ENAIO_CONNECTOR,
                unifier_connector=seeds.UNIFIER_CONNECTOR,
            )
        )

    console = ApprovalConsole(opus, enaio, unifier)
    sandbox = Sandbox([opus, enaio, unifier], [Route("/", index), *console.routes()], console.decisions)
    return sandbox


def _fakes(sandbox: Sandbox) -> tuple[FakeOpus, FakeEnaio, FakeUnifier]:
    opus, enaio, unifier = (sandbox.vendors[name] for name in ("opus", "enaio", "unifier"))
    assert isinstance(opus, FakeOpus)  # noqa: S101
    assert isinstance(enaio, FakeEnaio)  # noqa: S101
    assert isinstance(unifier, FakeUnifier)  # noqa: S101
    return opus, enaio, unifier
