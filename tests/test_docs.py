"""The documentation: it builds without a broken link, and every example in it runs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, BaseOperator, task, task_group

from airflow_provider_records.client import fields
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.get_provider_info import get_provider_info
from airflow_provider_records.retry import RecordsRetryPolicy
from tests.minors import since

ROOT = Path(__file__).parent.parent
PAGES = {str(path.relative_to(ROOT)): path for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))}
BLOCK = re.compile(
    r"^(?:(?P<margin> *)<!-- not run: (?P<why>.+?) -->\n)?"
    r"(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One example of a page.

    :param language: as the fence says.
    :param text: the example.
    :param title: name of the file that it is; empty: a part of one.
    :param why: why the tests do not run it.
    """

    language: str
    text: str
    title: str = ""
    why: str = ""


def blocks(path: Path) -> list[Block]:
    """Return the examples of a page."""
    return [
        Block(found["language"], textwrap.dedent(found["text"]), found["title"] or "", found["why"] or "")
        for found in BLOCK.finditer(path.read_text())
    ]


def public_names() -> dict[str, Any]:
    """Return what an example may use without an import: the classes of the provider, and a few of Airflow."""
    info: Any = get_provider_info()
    modules = [module for kind in ("operators", "sensors") for each in info[kind] for module in each["python-modules"]]
    found = {
        name: value
        for module in modules
        for name, value in vars(import_module(module)).items()
        if isinstance(value, type) and issubclass(value, BaseOperator)
    }
    return found | {
        "DAG": DAG, "RecordsRetryPolicy": RecordsRetryPolicy, "SQLExecuteQueryOperator": SQLExecuteQueryOperator,
        "datetime": datetime, "task": task, "task_group": task_group, "timedelta": timedelta, "UTC": UTC,
    }  # fmt: skip


STEPS = {
    "due": 'due = RecordListOperator(task_id="due", records=["109491"])',
    "review": "review = DisposalApprovalOperator(task_id='review', records=['109491'], response_timeout=None, "
    "assigned_users=[{'id': 'anna', 'name': 'Anna Schmidt'}])",
}
"""The steps before an example that begins in the middle of a DAG."""
PYTHON = [
    pytest.param(each, id=f"{page}-{number}", marks=since("3.4") if ".loop(" in each.text else ())
    for page, path in PAGES.items()
    for number, each in enumerate(blocks(path))
    if each.language == "python"
]


@pytest.mark.parametrize("block", PYTHON)
def test_a_python_example_is_a_dag(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    tree = ast.parse(block.text)
    if files := [node for node in tree.body if isinstance(node, ast.With)]:
        (file,) = files
        file.items[0].optional_vars = ast.Name("dag", ast.Store())
        names: dict[str, Any] = {}
        exec(compile(ast.fix_missing_locations(tree), "example", "exec"), names)
        dag = names["dag"]
        assert not block.title or block.title == f"{dag.dag_id}.py"
    else:
        names = public_names()
        used = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        made = {node.id for node in used if isinstance(node.ctx, ast.Store)}
        with DAG("example", schedule=None) as dag:
            for name in STEPS.keys() & {node.id for node in used} - made:
                exec(STEPS[name], names)
            exec(block.text, names)
    assert dag.task_ids or "schedule=[" in block.text, "it defines nothing"


def test_no_example_is_left_out() -> None:
    """Each fence is one of these languages; what is not run says why."""
    for page, path in PAGES.items():
        found = blocks(path)
        fences = re.findall(r"^ *```(?=\w)", path.read_text(), re.MULTILINE)
        assert len(fences) <= len(found), page
        assert {each.language for each in found} <= {"", "html", "ini", "json", "python", "sh", "text", "yaml"}, page


class Links(HTMLParser):
    """What a page loads, by tag."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of what a browser loads by itself."""
        given = dict(attrs)
        if tag in {"script", "img", "iframe"} and given.get("src"):
            self.loaded.append((tag, str(given["src"])))
        if tag == "link" and given.get("rel") not in {"canonical", "next", "prev"}:
            self.loaded.append((tag, str(given.get("href"))))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_builds_without_a_broken_link(site: Path) -> None:
    pages = {path.relative_to(site) for path in site.rglob("*.html")} - {Path("404.html")}
    assert pages == {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}


def test_the_site_loads_nothing_from_another_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        parser = Links()
        parser.feed(path.read_text())
        assert parser.loaded
        assert not [each for each in parser.loaded if re.match(r"(https?:)?//", each[1])], path


def test_a_broken_link_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("[there](nowhere.md#at-all)\n")
    settings = (ROOT / "mkdocs.yml").read_text()
    for start, end in (("hooks:", "exclude_docs:"), ("nav:", None)):
        settings = settings.partition(start)[0] + (end + settings.partition(end)[2] if end else "")
    (tmp_path / "mkdocs.yml").write_text(settings)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr


def test_the_reference_is_made_from_the_code(site: Path) -> None:
    def said(page: str) -> str:
        return re.sub(r"<[^>]+>", "", (site / "reference" / page).read_text())

    info: Any = get_provider_info()
    for kind in OutcomeKind:
        assert re.search(rf"^{kind}$", said("outcomes.html"), re.MULTILINE)
    assert "the object is checked out" not in said("outcomes.html")
    assert "not due in … any more" in said("outcomes.html")
    for option in info["config"]["records"]["options"]:
        assert option in said("options.html")
    for field in (*fields.COMMON, *(each for own in fields.OF_TYPE.values() for each in own)):
        assert field.description in said("connections.html")
    assert "ApprovalWithdrawnError" in said("refusals.html")
    assert "usage: airflow-records hold" in said("command.html")
    for page, group in (("operators.html", "operators"), ("sensors.html", "sensors"), ("hooks.html", "hooks")):
        own = [
            name
            for each in info[group]
            for module in each["python-modules"]
            for name, value in vars(import_module(module)).items()
            if isinstance(value, type) and value.__module__ == module and not name.startswith("_")
            if name.endswith(("Operator", "Sensor", "Hook"))
        ]
        assert own
        assert not [name for name in own if name not in said(page)]


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md", "CHANGELOG.md"])
def test_what_is_beside_the_site_links_to_what_is_there(name: str) -> None:
    for target, _, anchor in (
        link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text())
    ):
        assert (ROOT / target).exists(), target
        assert not anchor or anchor in anchors(ROOT / target), anchor


def test_the_readme_promises_and_leads_on() -> None:
    text = PAGES["README.md"].read_text()
    assert text.count("\n") <= 125
    assert {"make demo", "make test"} <= set(re.findall(r"^(make \w+) +#", text, re.MULTILINE))
    first = {each.text for each in blocks(PAGES["docs/start/first-dag.md"])}
    (install,) = (each.text for each in blocks(PAGES["README.md"]) if each.language == "sh")
    assert any(install.strip() in each for each in first), "both install in the same way"


def exported(text: str) -> dict[str, str]:
    """Return the variables that a shell example exports."""
    script = f"{text}\nenv -0"
    done = subprocess.run(["bash", "-eu", "-c", script], capture_output=True, text=True, check=True, env={})
    pairs = (line.partition("=") for line in done.stdout.split("\0") if line)
    return {name: value for name, _, value in pairs if name.startswith("AIRFLOW_CONN_")}


@pytest.mark.parametrize("number", [0, 1])
def test_each_connection_of_the_reference_works(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = [each.text for each in blocks(PAGES["docs/reference/connections.md"]) if each.language == "sh"]
    found = {
        "AIRFLOW_CONN_OPUS_DEFAULT": ("opus", "https://graph-we.avepointonlineservices.com"),
        "AIRFLOW_CONN_ENAIO_DEFAULT": ("enaio", "https://enaio.example.org:8443/gateway"),
        "AIRFLOW_CONN_UNIFIER_DEFAULT": ("unifier", "https://eu.unifier.oraclecloud.com/acme"),
    }
    given = exported(examples[number])
    assert given.keys() == found.keys()
    for name, (kind, address) in found.items():
        monkeypatch.setenv(name, given[name])
        hook = getattr(import_module(f"airflow_provider_records.hooks.{kind}"), f"{kind.title()}Hook")()
        assert hook.settings.base_url == address
        assert hook.settings.login
        assert hook.settings.password
