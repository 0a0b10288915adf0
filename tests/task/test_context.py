"""What an Airflow task provides: its provenance, its folder in the evidence store, and failures without a retry."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import ConfigurationError, EvidenceError, StoreUnavailableError
from airflow_provider_records.task.context import evidence_store, hard_stops, provenance

STARTED = datetime(2026, 11, 22, 2, 0, 7, 120_000, UTC)


def context(*, map_index: int | None = -1, start_date: datetime | None = STARTED, **more: Any) -> Any:
    ti = SimpleNamespace(dag_id="d/1", run_id="manual__2026", task_id="delete", map_index=map_index, try_number=2)
    return {"ti": ti, "dag_run": SimpleNamespace(start_date=start_date), **more}


def test_an_error_that_no_retry_resolves_fails_the_task_for_good() -> None:
    error = EvidenceError("the list was changed")
    with pytest.raises(AirflowFailException, match="the list was changed") as caught, hard_stops():
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [StoreUnavailableError("the disk is full"), KeyError("bug")])
def test_any_other_error_is_left_to_airflows_retries(error: Exception) -> None:
    assert getattr(error, "retry", True)
    with pytest.raises(type(error)) as caught, hard_stops():
        raise error
    assert caught.value is error
    assert not isinstance(caught.value, AirflowFailException)


def test_provenance_of_a_task_instance() -> None:
    found = provenance(context())
    assert (found.dag_id, found.run_id, found.task_id) == ("d/1", "manual__2026", "delete")
    assert (found.map_index, found.try_number) == (-1, 2)
    assert found.run_started_at == "2026-11-22T02:00:07.120000+00:00"
    assert found.dag_version_id == ""
    assert all((found.provider_version, found.airflow_version, found.python_version))
    assert Provenance.from_dict(found.to_dict()) == found


def test_a_task_that_is_not_mapped_or_a_run_without_a_start_has_provenance_too() -> None:
    found = provenance(context(map_index=None, start_date=None))
    assert (found.map_index, found.run_started_at) == (-1, "")
    assert provenance(context(map_index=0)).map_index == 0


def test_each_iteration_of_a_loop_has_a_folder_and_says_which_it_is() -> None:
    """Airflow 3.4 runs a task of a loop several times in one run, with one map index."""
    found = [provenance(context(loop=SimpleNamespace(index=index))) for index in (0, 1)]
    assert [each.to_dict()["iteration"] for each in found] == [0, 1]
    assert len({each.folder for each in (*found, provenance(context()))}) == 3
    assert Provenance.from_dict(found[1].to_dict()) == found[1]
    assert "iteration" not in provenance(context()).to_dict()


def test_what_a_clear_begins_anew_in_a_loop_counts_its_tries_from_then_on() -> None:
    """Without that the first try of an iteration made anew would be older than the second one of the one before."""

    def of(region: UUID, **loop: Any) -> Provenance:
        found = context(**loop)
        found["ti"].region_id = region
        return provenance(found)

    def made(when: datetime) -> UUID:
        return UUID(int=int(when.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62)

    loop: dict[str, Any] = {"loop": SimpleNamespace(index=1)}
    before, after = (made(STARTED + timedelta(hours=hours)) for hours in (-1, 1))
    anew = of(after, **loop)
    assert anew.started == anew.loop_began_at == "2026-11-22T03:00:07.120000+00:00"
    assert anew.run_started_at == provenance(context()).run_started_at
    assert Provenance.from_dict(anew.to_dict()) == anew
    for found in (of(before, **loop), of(UUID(int=0), **loop), of(after), provenance(context(**loop))):
        assert found.started == found.run_started_at
        assert "loop_began_at" not in found.to_dict()


def test_the_folder_of_a_task_instance_is_the_one_that_readers_find_from_its_files() -> None:
    folders = {provenance(context(map_index=index)).folder for index in (-1, 0, 1)}
    assert len(folders) == 3
    for folder in folders:
        assert folder.path.split("/")[0] == "disposals"
        assert len(folder.path.split("/")) == 5, "the slash of the DAG id is not a folder"
        assert TaskFolder.containing(folder.summary(2, "0" * 64)) == folder
        assert folder.path.startswith(f"{folder.run}/")


def test_the_evidence_path_of_the_configuration_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for path in (str(tmp_path), f"file://{tmp_path}"):
        monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", path)
        evidence_store().write("a", b"1")
        assert (tmp_path / "a").read_bytes() == b"1"
        (tmp_path / "a").unlink()


def test_an_empty_evidence_path_is_the_documented_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__RECORDS__EVIDENCE_PATH", raising=False)
    default = evidence_store().root
    assert default.startswith("file:///")
    assert default.endswith("/records_evidence")
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", "")
    assert evidence_store().root == default


@pytest.mark.parametrize(
    "path",
    ["s3:/bucket/x", "relative", "./x", " /x", "s3:///x", "file://relative", "file:/x", "s3:x", "s3:// /x"],
)
def test_a_path_that_would_lie_in_each_processs_own_folder_is_refused(
    path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", path)
    with pytest.raises(ConfigurationError, match=r"\[records\] evidence_path .* is neither an absolute path"):
        evidence_store().write("a", b"1")
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_is_not_there_is_not_replaced_by_the_machines_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", "memory://bucket/ev")
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_CONN_ID", "evidence_store")
    with pytest.raises(ConfigurationError, match=r"evidence_conn_id 'evidence_store' names no connection"):
        evidence_store()
    monkeypatch.setenv("AIRFLOW_CONN_EVIDENCE_STORE", json.dumps({"conn_type": "generic"}))
    with pytest.raises(ConfigurationError, match="No filesystem registered for scheme memory"):
        evidence_store()
    for path in ("s3://bucket/ev", "gs://bucket/ev", "abfs://bucket/ev"):
        monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", path)
        with pytest.raises(ConfigurationError, match=r"is a connection of the type 'generic'; .*:// needs"):
            evidence_store()


def test_an_error_of_the_store_names_its_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", f"{tmp_path}/file")
    with pytest.raises(StoreUnavailableError, match=r"Check \[records\] evidence_path\."):
        evidence_store().write("a", b"1")
