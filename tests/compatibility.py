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
## What was run

`make minors` writes this table: the tests of what touches Airflow, and in Airflow's own processes a night, approvals by
people and their deferral. The files in `constraints/` name the libraries.

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

    :param page: the page as it is; the table is its end.
    """
    above, _, table = page.partition(HEAD)
    known = ((line.split("|"), line) for line in table.splitlines())
    rows = {(_minor(cells[1]), _minor(cells[2])): line for cells, line in known}
    rows[_minor(airflow), _minor(python)] = f"| {airflow} | {python} | {count:,} |"
    return f"{above.rstrip()}\n\n{HEAD}" + "".join(f"{rows[key]}\n" for key in sorted(rows))


def _minor(release: str) -> tuple[int, int]:
    major, minor, *_ = release.split(".")
    return int(major), int(minor)


if __name__ == "__main__":
    python = ".".join(platform.python_version_tuple()[:2])
    row = version("apache-airflow"), python, passed(sys.argv[1:])
    PAGE.write_text(with_row(PAGE.read_text(encoding="utf-8"), *row), encoding="utf-8")
