"""Writes what ran on this Airflow and this Python into docs/compatibility.md: ``compatibility.py RESULTS…``.

The results are those of pytest's ``--junitxml``. Rows of other minors and Pythons stay as they are.
"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

PAGE = Path(__file__).parent.parent / "docs" / "compatibility.md"
HEAD = """\
# Compatibility

Written by `make minors` from what ran: the tests of what touches Airflow, and a night, approvals by people and their
deferral in Airflow's own processes. The constraints files name the libraries.

| Airflow | Python | tests passed |
| --- | --- | --- |
"""


def passed(results: list[str]) -> int:
    """Return the number of tests that passed.

    :param results: names of pytest's files.
    :raises SystemExit: a test did not pass.
    """
    suites = [suite for name in results for suite in ElementTree.parse(name).iter("testsuite")]
    if not suites or any(int(suite.get(what, "0")) for suite in suites for what in ("errors", "failures", "skipped")):
        raise SystemExit("Not every test has passed, so that docs/compatibility.md stays as it is.")
    return sum(int(suite.get("tests", "0")) for suite in suites)


def with_row(page: str, airflow: str, python: str, count: int) -> str:
    """Return the page with the row of one Airflow minor and one Python minor.

    :param page: the page as it is; empty: there is none.
    """
    rows = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| 3."):
            rows[_minor(cells[0]), _minor(cells[1])] = line
    rows[_minor(airflow), _minor(python)] = f"| {airflow} | {python} | {count:,} |"
    return HEAD + "".join(f"{rows[key]}\n" for key in sorted(rows))


def _minor(release: str) -> tuple[int, int]:
    major, minor, *_ = release.split(".")
    return int(major), int(minor)


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    python = ".".join(platform.python_version_tuple()[:2])
    PAGE.write_text(with_row(page, version("apache-airflow"), python, passed(sys.argv[1:])), encoding="utf-8")
