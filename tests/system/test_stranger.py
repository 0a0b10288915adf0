"""A newcomer's path, by what the pages "Your first DAG" and "Notify" say: from ``pip install`` to the next morning.

The wheel is installed into an environment of its own. Commands, files and variables are those of the pages; only ports,
and the source of the wheel and of the constraints, are others.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from airflow_provider_records import demo
from tests.browser.conftest import BROWSERS, look
from tests.minors import since
from tests.smtp_sink import Sink, smtp_sink
from tests.system.test_standalone import Api, wait, wait_until_heard
from tests.test_docs import PAGES, ROOT, Block, blocks

pytestmark = [pytest.mark.system, since("3.3")]  # the page names an Airflow of this minor
DAG, KEPT = "first_disposal", "A-2014-002"
PATIENCE = 60_000
"""Milliseconds until an element that does not come fails the test."""
FIRST = blocks(PAGES["docs/start/first-dag.md"])
MAIL = blocks(PAGES["docs/guides/notify.md"])


def shell(word: str, among: list[Block] = FIRST) -> str:
    """Return the shell example that holds a word."""
    (found,) = (each.text for each in among if each.language == "sh" and word in each.text)
    return found


def file(title: str, among: list[Block]) -> str:
    """Return the file that a page shows under a name."""
    (found,) = (each.text for each in among if each.title == title)
    return found


@dataclass
class Newcomer:
    """Somebody with an empty folder.

    :param folder: where they work.
    :param ports: what stands for the ports of the pages.
    :param env: variables of their shell.
    """

    folder: Path
    ports: Mapping[str, int]
    env: dict[str, str] = field(default_factory=dict)

    def adapted(self, text: str) -> str:
        """Return an example with the ports of this test."""
        for port, ours in self.ports.items():
            text = re.sub(rf"\b{port}\b", str(ours), text)
        return text

    def run(self, text: str, *, keep: bool = False) -> str:
        """Run an example in the shell; return what it prints.

        :param keep: keep the variables that it sets.
        """
        script = self.adapted(text) + ("\nenv -0 > variables" if keep else "")
        done = subprocess.run(
            ["bash", "-eu", "-c", script], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        if keep:
            pairs = (line.partition("=") for line in (self.folder / "variables").read_text().split("\0") if line)
            self.env = {name: value for name, _, value in pairs}
        return done.stdout

    @contextmanager
    def serve(self, text: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run an example until the block ends, as in a terminal of its own."""
        words = self.adapted(text).split()
        program = shutil.which(words[0], path=self.env["PATH"])
        assert program
        with (
            (self.folder / f"{words[-1]}.log").open("wb") as log,
            demo.child_process([program, *words[1:]], self.env, log) as child,
        ):
            yield child


def wheel(folder: Path) -> Path:
    """Build the wheel."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    (path,) = folder.glob("airflow_provider_records-*.whl")
    return path


@pytest.fixture
def mailbox() -> Iterator[Sink]:
    with smtp_sink() as sink:
        yield sink


@pytest.fixture
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, "There is no Chromium on PATH. 'make test' installs it."
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-quic"])
        yield browser
        browser.close()


def sign_in(browser: Browser, base: str, user: str, password: str) -> Page:
    context = browser.new_context(base_url=base, locale="en-US", viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/")
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Disposals")).to_be_visible(timeout=PATIENCE)
    return page


def test_from_pip_install_to_the_next_morning(tmp_path: Path, mailbox: Sink, browser: Browser) -> None:
    port, sandbox = demo.free_port(), demo.free_port()
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHON", "VIRTUAL_ENV"))
    }
    one = Newcomer(tmp_path, {"8765": sandbox, "8025": mailbox.port, "8080": port}, inherited)

    install = re.sub(r'"https://\S+"', str(ROOT / "constraints.txt"), shell("pip install"))
    one.run(install.replace(" airflow-provider-records ", f" {wheel(tmp_path)} "), keep=True)
    for example in (shell("AIRFLOW_HOME="), shell("SMTP_DEFAULT", MAIL)):
        one.run(example, keep=True)
    one.run(shell("mkdir"))
    home = Path(one.env["AIRFLOW_HOME"])
    (home / "due.csv").write_text(file("due.csv", FIRST))
    (home / "dags/first_disposal.py").write_text(file("first_disposal.py", MAIL))
    machine = demo.standalone_variables(port)
    one.env = machine | one.env  # this machine may run another Airflow

    with one.serve(f"{shell('records sandbox').strip()} --port {sandbox}"), one.serve(shell("standalone")) as airflow:
        assert demo.ready(airflow, port), (tmp_path / "standalone.log").read_text()[-5000:]
        base = f"http://127.0.0.1:{port}"
        passwords = json.loads(one.run(shell("passwords.json")))
        api = Api(port, username="admin", password=passwords["admin"])
        api.wait_for_dag(DAG)
        one.run(shell("records check"))

        page = sign_in(browser, base, "admin", passwords["admin"])
        page.goto(f"/dags/{DAG}")
        page.get_by_test_id("trigger-dag-button").click()
        with page.expect_response(lambda said: said.url.endswith("/dagRuns") and said.request.method == "POST") as made:
            page.get_by_test_id("trigger-dag-submit").click()
        run_id = made.value.json()["dag_run_id"]
        api.wait_for_state(run_id, "review", "awaiting_input", DAG)
        wait(lambda: mailbox.mails, lambda: api.told(run_id, DAG))
        assert f"/dags/{DAG}/runs/{run_id}/tasks/review" in mailbox.text().replace("%3A", ":").replace("%2B", "+")
        wait_until_heard(tmp_path / "standalone.log", DAG, run_id, "review")

        page = sign_in(browser, base, "anna", passwords["anna"])
        page.goto("/required_actions")
        page.get_by_role("link", name=re.compile("^3 records")).first.click()
        page.locator("[name=element_withhold]").fill(f"{KEPT}: lawsuit")
        look(page, "stranger-asked")
        page.get_by_test_id("hitl-option-Approve").click()
        assert api.wait_for_end(run_id, DAG) == "success", api.told(run_id, DAG)

        page.get_by_role("link", name="Disposals").click()
        shown = page.frame_locator("iframe[title=Disposals]")
        row = shown.get_by_role("row").filter(has_text=run_id)
        expect(row).to_contain_text("2 destroyed", timeout=PATIENCE)
        row.get_by_role("link").first.click()
        expect(shown.get_by_text(KEPT).first).to_be_visible(timeout=PATIENCE)
        expect(shown.get_by_text("lawsuit").first).to_be_visible(timeout=PATIENCE)
        look(page, "stranger-next-morning")
        wait(lambda: len(mailbox.mails) > 1, lambda: api.told(run_id, DAG))
        assert mailbox.mails[-1]["Subject"] == f"{DAG}: certified"
        assert "enaio: 2 destroyed" in mailbox.text()
        state = requests.get(f"http://127.0.0.1:{sandbox}/_sandbox/state", timeout=30).json()["enaio"]
        assert sorted(state["destroyed"]) == ["109491", "109508"]
        assert "109504" in state["live"]

    said = one.run(shell("records verify"))
    assert "Everything fits." in said
    with (tmp_path / "disposed.csv").open(newline="", encoding="utf-8-sig") as opened:
        rows = list(csv.reader(opened))
    assert {key for row in rows for key in row if key.startswith("A-2014-")} == {"A-2014-001", KEPT, "A-2014-003"}
    assert any(KEPT in row and any("lawsuit" in cell for cell in row) for row in rows)
