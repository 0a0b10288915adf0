"""Titles that are kept for reviewers: shown while they are there, and gone without a trace afterwards."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_provider_records.evidence import titles
from airflow_provider_records.evidence.folders import titles_folder
from airflow_provider_records.evidence.names import KeyedNaming
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError
from tests.evidence.failing_store import in_memory
from tests.evidence.schemas import assert_store_valid

KEYED = KeyedNaming(b"k" * 32)
DAG, RUN, DIGEST = "night", "manual__2026-11-22T04:30:00+00:00", "sha256:" + "a" * 64


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path)) if request.param == "local" else in_memory()


def records(count: int) -> list[Record]:
    return [Record(str(number), str(number), f"Akte {number}" if number % 5 else None) for number in range(count)]


def keep(store: Store, plain: list[Record], digest: str = DIGEST, run_id: str = RUN, dag_id: str = DAG) -> list[Record]:
    named = [KEYED.record(each) for each in plain]
    lines = [titles.line(*pair) for pair in zip(named, plain, strict=True)]
    titles.write(store, dag_id, run_id, digest, lines)
    return named


def shown(store: Store, named: list[Record]) -> list[str | None]:
    return [each.title for each in titles.shown(store, DAG, RUN, named)]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(titles, "_AT_ONCE", 4)


def test_titles_are_shown_while_they_are_kept(store: Store) -> None:
    plain = records(23)
    named = keep(store, plain)
    assert list(titles.shown(store, DAG, RUN, named)) == plain
    assert assert_store_valid(store) == 1
    assert shown(store, named[3:9] + named[15:]) == [each.title for each in plain[3:9] + plain[15:]]
    assert shown(store, named[::-1]) == [each.title for each in plain[::-1]], "in another order, too"
    titles.remove(store, DAG, RUN)
    assert store.names("") == []
    assert list(titles.shown(store, DAG, RUN, named)) == named


def test_titles_that_cannot_be_removed_are_said_and_keep_no_certificate_back(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Store, name: str) -> None:
        raise EvidenceError(f"{name} cannot be removed: access denied.")

    named = keep(store, records(5))
    monkeypatch.setattr(Store, "remove", refuse)
    titles.remove(store, DAG, RUN)
    assert "access denied" in caplog.text
    assert f"run {RUN} are left" in caplog.text
    assert shown(store, named)[1] == "Akte 1"


def test_titles_of_several_lists_are_found(store: Store) -> None:
    plain = records(20)
    named = keep(store, plain[10:], "sha256:" + "b" * 64) + keep(store, plain[:10])
    assert shown(store, named) == [each.title for each in plain[10:] + plain[:10]]


def test_another_run_shows_none(store: Store) -> None:
    named = keep(store, records(3), run_id="other") + keep(store, records(3), dag_id="other")
    assert list(titles.shown(store, DAG, RUN, named)) == named


def test_plain_titles_ask_for_no_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "names", lambda *_: pytest.fail("listed"))
    assert list(titles.shown(store, DAG, RUN, records(9))) == records(9)


@pytest.mark.parametrize("spoilt", [b"", b"{}\n", b'{"format":"airflow-records/titles","version":9}\n', b"\xff\n"])
def test_a_spoilt_file_shows_hashes(store: Store, spoilt: bytes) -> None:
    named = keep(store, records(9))
    (name,) = store.names("titles")
    store.write(name, spoilt)
    assert list(titles.shown(store, DAG, RUN, named)) == named
    titles.remove_older(store, DAG, datetime.now(UTC))
    assert store.names("titles") == [name]
    assert list(titles.shown(store, DAG, RUN, named)) == named


def test_a_list_is_written_once_and_one_without_titles_not_at_all(store: Store) -> None:
    keep(store, records(1))
    assert store.names("") == []
    keep(store, records(9))
    (name,) = store.names("")
    before = store.read(name)
    keep(store, records(9))
    assert store.read(name) == before


def test_old_titles_of_the_same_dag_are_removed(store: Store) -> None:
    for run_id in ("old", "new"):
        keep(store, records(3), run_id=run_id)
    keep(store, records(3), dag_id="nights", run_id="old")
    now = datetime.now(UTC)
    for name in store.names("titles"):
        if "/old/" in name:
            first, *rest = store.read(name).splitlines(keepends=True)
            header = {**json.loads(first), "written_at": (now - timedelta(days=31)).isoformat()}
            store.write(name, b"".join([json.dumps(header).encode() + b"\n", *rest]))
    store.write(f"{titles_folder(DAG, 'a')}/spoilt.jsonl", b"")
    titles.remove_older(store, DAG, now - timedelta(days=30))
    store.remove(f"{titles_folder(DAG, 'a')}/spoilt.jsonl")
    assert [name.split("/")[1:3] for name in store.names("titles")] == [["night", "new"], ["nights", "old"]]
