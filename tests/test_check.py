"""What ``airflow-records check`` finds before the first night, and what it tells people to change."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_records.check import Level, check
from airflow_provider_records.cli import main
from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.task.context import evidence_store
from tests.evidence import evidence_factory
from tests.minors import forget_bundles
from tests.operators.conftest import ServedSandbox, served
from tests.plugin.conftest import know_run, run_id, store_task

__all__ = ["served"]

EVERY_MODE = pytest.mark.parametrize(
    ("mode", "level"), [(0o600, Level.FITS), (0o400, Level.FITS), (0o640, Level.WRONG), (0o604, Level.WRONG)]
)
"""Rights of a file with a key, and what is said of them."""
NAMES_KEY = "[records] names_key_file"

DAG = """
from airflow.sdk import DAG
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import SplitManifestOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator

with DAG("night", schedule=None):
    due = OpusDueRecordsOperator(task_id="due", due_before="2026-11-01T00:00:00", target_id_pattern=r"enaio-(\\d+)")
    review = DisposalApprovalOperator(
        task_id="review", records=due.output, assigned_users={users}, response_timeout=None
    )
    delete = EnaioDeleteObjectOperator.partial(task_id="delete", {delete}).expand(
        records=SplitManifestOperator(task_id="split", records=review.output).output
    )
    OpusDestroyRecordsOperator(
        task_id="mark", records=delete.output, accept=("destroyed", "absent"), trigger_rule="one_done"{mark}
    )
"""
Write = Callable[..., None]


@pytest.fixture(scope="module", autouse=True)
def _database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the DAG of a night into Airflow's DAG folder."""
    folder = tmp_path / "dags"
    folder.mkdir()
    bundle = {
        "name": "dags",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }
    for name, value in {
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "anna:user,bert:viewer",
        "CORE__EXECUTOR": "LocalExecutor",
    }.items():
        monkeypatch.setenv(f"AIRFLOW__{name}", value)
    monkeypatch.setenv("COLUMNS", "400")
    forget_bundles()

    def put(*users: str, delete: str = "hard_delete=True", mark: str = "") -> None:
        people = [{"id": user, "name": user.title()} for user in users or ("anna",)]
        text = DAG.replace("{users}", repr(people)).replace("{delete}", delete).replace("{mark}", mark)
        (folder / "night.py").write_text(text)

    return put


@pytest.fixture
def returned() -> Iterator[Callable[[str], None]]:
    """Let a task of the night have returned a reference to a list."""
    from airflow.models.dagrun import DagRun
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    def put(uri: str) -> None:
        know_run(0, dag_id="night")
        with create_session() as session:
            store_task(session, "due", dag_id="night")
            where: Any = {"task_id": "due", "run_id": run_id(0), "dag_id": "night", "session": session}
            XComModel.set("return_value", {"manifest": uri}, **where)

    yield put
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == "night"))


def found(dag_id: str | None = "night") -> dict[str, tuple[Level, str]]:
    return {each.subject: (each.level, each.text) for each in check(dag_id)}


def wrong(dag_id: str | None = "night") -> dict[str, str]:
    return {subject: text for subject, (level, text) in found(dag_id).items() if level is Level.WRONG}


def test_a_night_that_fits_has_nothing_to_change(
    write: Write, served: ServedSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    write()
    before = served.store.names("")
    assert main(["check", "night"]) == 0
    said = capsys.readouterr().out
    assert said.endswith("Nothing has to be changed.\n")
    assert served.store.names("") == before == []
    looks = found()
    assert {subject: level for subject, (level, _) in looks.items() if level is not Level.UNKNOWN} == dict.fromkeys(
        (
            "Opus connection opus_default",
            "Clock of Opus",
            "enaio connection enaio_default",
            "Clock of enaio",
            "[records] evidence_path",
            "Approvers of night.review",
            "Pool default_pool",
        ),
        Level.FITS,
    )
    assert looks["Opus connection opus_default"][1].startswith("Token accepted, and Opus showed the due list")
    assert served.url in looks["enaio connection enaio_default"][1]
    for subject, (_, text) in looks.items():
        assert subject in said
        assert text in said


def test_a_connection_is_looked_at_as_the_dag_names_it(
    write: Write, served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong_type = {"conn_type": "enaio", "host": served.url, "login": "a", "password": "b"}
    monkeypatch.setenv("AIRFLOW_CONN_OPUS_MARKS", json.dumps(wrong_type))
    write(delete='hard_delete=True, enaio_conn_id="nowhere"', mark=', opus_conn_id="opus_marks"')
    told = wrong()
    assert set(told) == {"enaio connection nowhere", "Opus connection opus_marks"}
    assert "nowhere" in told["enaio connection nowhere"]
    assert "the type 'opus' is needed" in told["Opus connection opus_marks"]
    write(delete='hard_delete=True, enaio_conn_id="{{ params.where }}"')
    assert found()["enaio connection of night.delete"][0] is Level.UNKNOWN


def test_refused_credentials_are_told(write: Write, served: ServedSandbox, capsys: pytest.CaptureFixture[str]) -> None:
    write()
    served.fault(vendor="enaio", times=None, status=401)
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert "HTTP 401" in said
    assert said.endswith("To change: 1.\n")


@pytest.mark.parametrize(("shift", "words"), [(-300, "ahead of"), (300, "behind")])
def test_a_clock_that_differs_from_the_vendor_s_is_told(
    write: Write, served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, shift: int, words: str
) -> None:
    send = VendorHook.send_once

    def shifted(hook: VendorHook, request: Any) -> urllib3.BaseHTTPResponse:
        answer = send(hook, request)
        answer.headers["Date"] = formatdate(time.time() + shift, usegmt=True)
        return answer

    monkeypatch.setattr(VendorHook, "send_once", shifted)
    write()
    told = wrong()
    assert set(told) == {"Clock of Opus", "Clock of enaio"}
    assert f"{words} it" in told["Clock of enaio"]


def test_an_evidence_path_that_cannot_be_written_is_told(
    write: Write, served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", f"file://{tmp_path}/file/evidence")
    assert "[records] evidence_path" in wrong()["[records] evidence_path"]
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", "evidence")
    assert "neither an absolute path" in wrong()["[records] evidence_path"]


def test_evidence_that_a_worker_wrote_elsewhere_is_told(
    write: Write, served: ServedSandbox, returned: Callable[[str], None]
) -> None:
    from airflow_provider_records.evidence.manifest import Manifest

    write()
    assert found()["Evidence of the workers"][0] is Level.UNKNOWN
    manifest = Manifest.write(served.store, evidence_factory.records(3))
    returned(manifest.uri)
    assert found()["Evidence of the workers"][0] is Level.FITS
    served.store.remove(served.store.name(manifest.uri))
    assert "which is not there from here" in wrong()["Evidence of the workers"]


def test_evidence_under_another_root_is_told(
    write: Write, served: ServedSandbox, returned: Callable[[str], None]
) -> None:
    write()
    returned("s3://bucket/records/manifests/a.jsonl")
    assert "A task wrote elsewhere: s3://bucket" in wrong()["Evidence of the workers"]


def test_a_local_path_with_workers_elsewhere_is_told(
    write: Write, served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor,CeleryExecutor")
    assert "CeleryExecutor runs tasks elsewhere" in found()["Evidence of the workers"][1]


@EVERY_MODE
def test_a_signing_key_that_others_may_read_is_told(
    write: Write, served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, level: Level
) -> None:
    write()
    key = tmp_path / "key.pem"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(mode)
    monkeypatch.setenv("AIRFLOW__RECORDS__SIGNING_KEY_FILE", str(key))
    assert found()["[records] signing_key_file"][0] is level


def test_a_language_that_nobody_speaks_is_told(
    write: Write, served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    assert "[records] language" not in found()
    monkeypatch.setenv("AIRFLOW__RECORDS__LANGUAGE", "fr")
    assert "'fr'" in wrong()["[records] language"]


def test_approvers_who_cannot_answer_are_told(
    write: Write, served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("bert")
    assert wrong() == {
        "Approvers of night.review": "'bert' has the role 'viewer' and may not answer; give the role user, op or admin."
    }
    write("carl")
    assert "'carl' is no user" in wrong()["Approvers of night.review"]
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    assert "simple_auth_manager_all_admins" in wrong()["Approvers"]


def test_with_another_auth_manager_nothing_is_said_of_approvers(
    write: Write, served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", f"{__name__}.OtherAuthManager")
    level, text = found()["Approvers of night.review"]
    assert level is Level.UNKNOWN
    assert "cannot be told from here with OtherAuthManager" in text


class OtherAuthManager:
    """Stands for Keycloak and others."""


def test_approvers_are_looked_for_in_fab_by_their_numbers(
    write: Write, served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", f"{__name__}.FabAuthManager")
    write("1")
    assert found()["Approvers of night.review"] == (Level.FITS, "'1' has the roles 'User', 'Archive' and may answer.")
    for user, words in {
        "2": "'2' has the roles 'Viewer' and may not answer",
        "3": "'3' is no user of this Airflow (User with id 3 not found)",
        "anna": "'anna' is no user of this Airflow (FAB's ids are numbers",
    }.items():
        write(user)
        assert words in wrong()["Approvers of night.review"]


class FabAuthManager:
    """FAB's auth manager, as it was seen to behave without its web application."""

    roles: ClassVar = {1: ("User", "Archive"), 2: ("Viewer",)}

    def deserialize_user(self, token: dict[str, Any]) -> Any:
        user_id = int(token["sub"])
        if user_id not in self.roles:
            raise ValueError(f"User with id {user_id} not found")
        return SimpleNamespace(roles=[SimpleNamespace(name=name) for name in self.roles[user_id]])

    def is_authorized_dag(self, *, method: str, access_entity: Any, details: Any, user: Any) -> bool:
        asked = (method, access_entity.value, details.id)
        return asked == ("PUT", "HITL_DETAIL", "night") and user.roles[0].name == "User"


FabAuthManager.__module__ = "airflow.providers.fab.auth_manager.fab_auth_manager"


def test_a_pool_that_is_not_there_is_told(write: Write, served: ServedSandbox) -> None:
    write(delete='hard_delete=True, pool="enaio"')
    assert wrong() == {
        "Pool enaio": "There is no such pool, so its tasks would wait for ever: airflow pools set enaio 4 records"
    }


def test_what_cannot_be_checked_is_neither_right_nor_wrong(
    write: Write, served: ServedSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 2
    assert "No DAG with a task of this provider" in capsys.readouterr().err
    write()
    assert main(["check", "day"]) == 2
    assert "No DAG 'day'" in capsys.readouterr().err


def test_a_dag_that_cannot_be_parsed_is_told(
    write: Write, served: ServedSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    write(mark=", max_records=0")
    assert main(["check", "night"]) == 2
    assert "max_records must be a whole number" in capsys.readouterr().err
    assert "max_records must be a whole number" in wrong(None)["DAG file night.py"]


def test_mapped_marks_that_would_be_missing_are_told(write: Write, served: ServedSandbox, tmp_path: Path) -> None:
    write()
    dag = tmp_path / "dags" / "night.py"
    mapped = 'OpusDestroyRecordsOperator.partial(task_id="mark").expand(records=delete.output)'
    head, _, _ = dag.read_text().partition("OpusDestroyRecordsOperator(")
    dag.write_text(head + mapped)
    assert "when delete fails" in wrong()["Trigger rule of night.mark"]


@EVERY_MODE
def test_a_key_of_names_that_others_may_read_is_told(
    write: Write, served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, level: Level
) -> None:
    write()
    assert NAMES_KEY not in found()
    key = tmp_path / "names.key"
    key.write_bytes(b"k" * 40)
    key.chmod(mode)
    monkeypatch.setenv("AIRFLOW__RECORDS__NAMES_KEY_FILE", str(key))
    assert found()[NAMES_KEY][0] is level
    assert not served.store.names("names_key"), "to look makes no key that of the store"


def test_a_key_of_names_that_is_not_that_of_the_store_is_told(
    write: Write, served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write()
    key = tmp_path / "names.key"
    key.touch(mode=0o600)
    key.write_bytes(b"k" * 40)
    monkeypatch.setenv("AIRFLOW__RECORDS__NAMES_KEY_FILE", str(key))
    assert "will be that of the evidence store" in found()[NAMES_KEY][1]
    evidence_store()
    assert "fits the evidence store" in found()[NAMES_KEY][1]
    key.write_bytes(b"x" * 40)
    assert "is not the key with which" in wrong()[NAMES_KEY]
    monkeypatch.delenv("AIRFLOW__RECORDS__NAMES_KEY_FILE")
    assert "is not set here" in wrong()[NAMES_KEY]
    inside = Path(served.store.root.removeprefix("file://")) / "names.key"
    inside.touch(mode=0o600)
    inside.write_bytes(b"k" * 40)
    monkeypatch.setenv("AIRFLOW__RECORDS__NAMES_KEY_FILE", str(inside))
    assert "lies in the evidence store" in wrong()[NAMES_KEY]
