"""The shell examples of the documentation, run as they stand where Airflow runs, after a rehearsal."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.conftest import Installation, new_home
from tests.system.test_nights import state
from tests.test_docs import PAGES, blocks

pytestmark = pytest.mark.system
ELSEWHERE = {"README.md", "docs/start/first-dag.md", "docs/evidence-format.md"}
"""Pages whose examples other tests run: a newcomer's path, and ``tests/golden``."""
SHELL = {
    page: [each.text for each in blocks(path) if each.language == "sh" and not each.why]
    for page, path in PAGES.items()
    if page not in ELSEWHERE
}


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an Airflow of its own: one of the examples checks where all its tasks have written their evidence."""
    return new_home(tmp_path_factory)


def test_shell_examples_work(begin: Callable[..., Installation], tmp_path: Path) -> None:
    installation = begin(20)
    assert state(log := installation.test_dag("records_rehearsal")) == "success", log[-3000:]
    (certificate,) = installation.evidence.glob("certificates/records_rehearsal/*.json")
    key = installation.env["AIRFLOW__RECORDS__SIGNING_KEY_FILE"]
    home = shutil.copytree(installation.home, tmp_path / "home")  # the examples put files there
    failed = []
    for page, examples in SHELL.items():
        if not examples:
            continue
        folder = tmp_path / page.replace("/", "-")
        folder.mkdir()
        public = ["openssl", "pkey", "-in", key, "-pubout", "-out", str(folder / "signing_key.pub.pem")]
        subprocess.run(public, check=True, timeout=30)
        env = installation.env | {"CERTIFICATE": str(certificate), "AIRFLOW_HOME": str(home)}
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", "\n".join(examples)],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            failed.append(f"{page}:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    assert not failed, "\n".join(failed)
    assert sum(map(len, SHELL.values())) > 8
