"""Airflow's UI in a real browser: one ``airflow standalone`` and one Chromium for all tests of this folder.

A DAG that a test needs is a file in ``dags`` beside this one. ``SCREENSHOTS=<folder>`` keeps what the tests look at.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from airflow_provider_records import demo
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.sandbox.build import connections
from airflow_provider_records.sandbox.server import Server
from tests.browser.evidence import refused_marks, rejected
from tests.system.conftest import Installation, copy_example_dags
from tests.system.test_standalone import Api

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
USERS = {"admin": "ADMIN", "reviewer_1": "USER", "reviewer_2": "USER", "viewer": "VIEWER"}
PATIENCE = 30_000
"""Milliseconds until an element that does not come fails the test."""
expect.set_options(timeout=PATIENCE)

SignIn = Callable[..., Page]


@dataclass
class Site(Installation):
    """A whole Airflow with users of its own.

    :param port: where its UI and its API are served.
    :param passwords: password of each user.
    """

    port: int = 0
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def api(self, user: str = "admin") -> Api:
        """Return Airflow's REST API as this user sees it."""
        return Api(self.port, username=user, password=self.passwords[user])


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Airflow with the example DAGs, those of ``dags``, users who may not all do the same, and the sandbox."""
    home = tmp_path_factory.mktemp("browser")
    copy_example_dags(home / "dags")
    for path in (Path(__file__).parent / "dags").glob("*.py"):
        shutil.copy(path, home / "dags")
    passwords = {user: secrets.token_urlsafe() for user in USERS}
    (home / "passwords.json").write_text(json.dumps(passwords))
    sandbox, port = demo.sandbox(60), demo.free_port()
    with Server(sandbox) as server, (home / "standalone.log").open("wb") as log:
        env = {
            **demo.airflow_environment(home),
            **demo.standalone_variables(port),
            **demo.connection_variables(connections(sandbox, server.url)),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        }
        with demo.child_process(demo.airflow("standalone"), env, log) as child:
            assert demo.ready(child, port), (home / "standalone.log").read_text()[-5000:]
            yield Site(home, sandbox, server.url, env, port, passwords)


@pytest.fixture(scope="package")
def past(site: Site) -> Store:
    """The evidence store with two past runs that show all that the page can; Airflow does not know them any more."""
    store = Store(f"file://{site.evidence}")
    refused_marks(store)
    rejected(store)
    return store


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; ``make test`` installs it."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail("There is no Chromium on PATH. 'make test' installs it; by hand: apt-get install chromium")
    with sync_playwright() as play:
        # no sandbox: CI runs as root in a container
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-quic"])
        yield browser
        browser.close()


@pytest.fixture
def sign_in(site: Site, browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SignIn]:
    """Open Airflow as one of the users: ``page = sign_in("reviewer_1")``; paths are then relative to Airflow.

    Other arguments are those of a browser context.
    """
    pages: list[Page] = []
    failed = request.session.testsfailed

    def enter(user: str = "admin", **options: Any) -> Page:
        usual: dict[str, Any] = {"base_url": site.base, "viewport": {"width": 1400, "height": 1000}}
        context = browser.new_context(locale="en-US", reduced_motion="reduce", **usual | options)
        context.set_default_timeout(PATIENCE)
        context.add_cookies([{"name": "_token", "value": site.api(user).token, "url": site.base}])
        pages.append(context.new_page())
        return pages[-1]

    yield enter
    for number, page in enumerate(pages):
        if request.session.testsfailed > failed:
            page.screenshot(path=tmp_path / f"failed-{number}.png", full_page=True)
            print(f"What the browser showed: {tmp_path}/failed-{number}.png, {page.url}")
        page.context.close()


@pytest.fixture
def page(sign_in: SignIn) -> Page:
    """Airflow as the admin sees it."""
    return sign_in()


def look(page: Page, name: str) -> None:
    """Keep what is on the page, in light and in dark, for somebody to look at.

    :param name: of the files, without suffix.
    """
    if folder := os.environ.get("SCREENSHOTS"):
        for theme in ("dark", "light"):
            # Airflow follows the browser's preference unless its user has chosen otherwise.
            page.emulate_media(color_scheme=theme)
            page.wait_for_function("theme => document.documentElement.classList.contains(theme)", arg=theme)
            page.screenshot(path=Path(folder) / f"{name}-{theme}.png", full_page=True)
