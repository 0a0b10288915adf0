"""Storage that hangs does not keep the page waiting."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, StoreUnavailableError
from airflow_provider_records.plugin.patience import PatientStore
from tests.evidence.failing_store import in_memory
from tests.plugin.conftest import Client

STEPS: dict[str, Callable[[Store], Any]] = {
    "names": lambda store: store.names("manifests"),
    "children": lambda store: store.children("manifests"),
    "exists": lambda store: store.exists("manifests/a"),
    "read": lambda store: store.read("manifests/a"),
    "open": lambda store: store.open("manifests/a").__enter__(),
}


@pytest.fixture
def let(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    monkeypatch.setattr(PatientStore, "patience", 0.3)
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("step", STEPS)
def test_a_request_that_hangs_fails_in_time_and_those_after_it_at_once(
    step: str, let: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = in_memory()
    inner.write("manifests/a", b"1")
    store = PatientStore(inner)
    expected = STEPS[step](store)
    monkeypatch.setattr(inner._fs, "invalidate_cache", lambda *_: let.wait(20))
    monkeypatch.setattr(inner._fs, "cat_file", lambda *_: (let.wait(20), b"1")[1])
    begin = time.monotonic()
    for _ in range(20):
        with pytest.raises(StoreUnavailableError, match="did not answer within"):
            STEPS[step](store)
    assert 0.3 <= time.monotonic() - begin < 5, "as if each had waited"
    let.set()
    time.sleep(0.35)
    assert type(STEPS[step](store)) is type(expected)


def test_files_and_errors_are_those_of_the_store(tmp_path: Path) -> None:
    store = PatientStore(Store(str(tmp_path)))
    store.write("a", b"1\n2\n3\n")
    assert store.read("a") == b"1\n2\n3\n"
    with store.open("a") as file:
        assert (file.readline(), file.read(1)) == (b"1\n", b"2")
        file.seek(2)
        assert list(file) == [b"2\n", b"3\n"]
    with pytest.raises(EvidenceError, match="is missing"):
        store.read("b")


def test_the_page_answers_503_in_seconds(
    sign_in: Client, let: threading.Event, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", str(tmp_path))
    client = sign_in("admin")
    assert client.get("/records/").status_code == 200
    listed = os.listdir

    def hang(path: Any = ".") -> list[str]:
        if str(path).startswith(str(tmp_path)):
            let.wait(60)
        return listed(path)

    monkeypatch.setattr(os, "listdir", hang)
    begin = time.monotonic()
    answer = client.get("/records/")
    assert answer.status_code == 503
    assert "did not answer within" in answer.text
    assert time.monotonic() - begin < 30
