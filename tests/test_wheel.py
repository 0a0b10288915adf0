"""What a user installs: the package with its pages and example DAGs, and no tests."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    (path,) = folder.glob("airflow_provider_records-*.whl")
    return zipfile.ZipFile(path)


def test_contents(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {name.split("/")[0].split("-")[0] for name in names} == {"airflow_provider_records"}
    assert not [name for name in names if "test" in name]
    for needed in (
        "py.typed",
        "reporting/templates/certificate.html",
        "reporting/locale/de/LC_MESSAGES/messages.mo",
        "reporting/locale/nl/LC_MESSAGES/messages.mo",
        "plugin/templates/overview.html",
        "plugin/templates/page.css",
        "sandbox/pages/console.html",
        *(
            f"evidence/schemas/{path.name}"
            for path in (ROOT / "airflow_provider_records/evidence/schemas").glob("*.json")
        ),
        *(f"dags_examples/{path.name}" for path in (ROOT / "dags_examples").glob("*.py")),
    ):
        assert f"airflow_provider_records/{needed}" in names


def test_metadata(wheel: zipfile.ZipFile) -> None:
    (path,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    about = message_from_bytes(wheel.read(path))
    assert about["Name"] == "airflow-provider-records"
    assert about["License-Expression"] == "Apache-2.0"
    assert "Framework :: Apache Airflow :: Provider" in about.get_all("Classifier", [])
    required = [item for item in about.get_all("Requires-Dist", []) if "extra ==" not in item]
    assert all(">=" in item and "<" not in item and "==" not in item for item in required)
