"""What make minors writes: one row for each minor and each Python, and none for what has not passed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compatibility import HEAD, passed, with_row

RESULTS = '<testsuites><testsuite errors="0" failures="{}" skipped="0" tests="1200"></testsuite></testsuites>'


def test_a_row_replaces_that_of_its_minor_and_its_python() -> None:
    page = "# Compatibility\n"
    for row in (("3.3.0", "3.12", 7), ("3.1.7", "3.11", 5), ("3.3.0", "3.11", 6), ("3.1.8", "3.11", 1200)):
        page = with_row(page, *row)
    assert page == f"# Compatibility\n\n{HEAD}| 3.1.8 | 3.11 | 1,200 |\n| 3.3.0 | 3.11 | 6 |\n| 3.3.0 | 3.12 | 7 |\n"


def test_only_what_has_passed_is_counted(tmp_path: Path) -> None:
    for name, failures in (("well.xml", 0), ("ill.xml", 1)):
        (tmp_path / name).write_text(RESULTS.format(failures))
    assert passed([str(tmp_path / "well.xml")] * 2) == 2400
    with pytest.raises(SystemExit, match="Not every test"):
        passed([str(tmp_path / "well.xml"), str(tmp_path / "ill.xml")])
    with pytest.raises(SystemExit, match="Not every test"):
        passed([])
