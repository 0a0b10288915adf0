"""A thousand runs: what the page asks of the store, and how long it takes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest

from airflow_provider_records.evidence.store import Store
from airflow_provider_records.plugin import access
from tests.plugin.conftest import DAG, Client, dispose, know_run, know_runs, many_runs, run_id, set_state

RUNS = 1000


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is asked of the evidence store; on object storage each is a request, or more."""
    found: Counter[str] = Counter()
    for name in ("names", "children", "exists"):
        monkeypatch.setattr(Store, name, _counted(found, name, getattr(Store, name)))
    real = Store.open

    @contextmanager
    def open_(self: Store, name: str) -> Iterator[IO[bytes]]:
        found["open"] += 1
        with real(self, name) as file:
            yield file

    monkeypatch.setattr(Store, "open", open_)
    return found


def _counted(found: Counter[str], name: str, real: Any) -> Any:
    def count(*args: Any) -> Any:
        found[name] += 1
        return real(*args)

    return count


@pytest.mark.parametrize("known", [RUNS, 0], ids=["known", "forgotten"])
def test_a_thousand_runs(
    store: Store, sign_in: Client, asked: Counter[str], monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    monkeypatch.setattr(access, "time", lambda: 3_599_999.0)
    many_runs(store, RUNS, records=100)
    know_runs(range(known))
    anna = sign_in("anna")
    seconds, counts = [], []
    for page in (1, 1, 10):
        asked.clear()
        began = time.perf_counter()
        answer = anna.get("/records/", params={"page": page})
        seconds.append(time.perf_counter() - began)
        counts.append(Counter(asked))
        assert answer.text.count('<tr id="run-') == 100
        assert "of 1,000, newest first" in answer.text
        assert answer.text.count("<small>the 100 runs of this page, of 1,000</small>") == 2
        ends = [answer.text.count(f'<span class="state {level}">') for level in ("done", "partly", "open")]
        assert sum(ends) == 100
        assert all(number >= 15 for number in ends)
    print(f"first {seconds[0]:.2f} s, second {seconds[1]:.2f} s, last page {seconds[2]:.2f} s; {counts}")
    first, second, _ = counts
    # Each run is listed once; its two summaries, its certificate and the checksum are read once, and the outcomes
    # where something was left.
    assert first["names"] == 100
    assert first["open"] <= 510
    assert first["children"] + first["exists"] <= 10
    # DAGs and runs of the DAG, each by disposals, orders and rejections; certificates of the DAG.
    # No run that has ended is listed or read again.
    assert second == {"children": 7}
    assert max(seconds) < 20


def test_a_run_of_another_airflow_is_read_anew_every_hour(
    store: Store, sign_in: Client, asked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dispose(store)
    anna = sign_in("anna")
    listed = []
    for now in (0, 3_599, 3_600, 3_601):
        monkeypatch.setattr(access, "time", lambda now=now: now)
        asked.clear()
        anna.get("/records/")
        listed.append(asked["names"])
    assert listed == [1, 0, 1, 0]


def test_a_run_that_goes_on_is_read_anew(store: Store, sign_in: Client, asked: Counter[str]) -> None:
    dispose(store, results=None, certified=False)
    know_run(0)
    anna = sign_in("anna")
    assert "Certificate" not in anna.get("/records/").text.split("<tbody>")[-1]
    asked.clear()
    anna.get("/records/")
    assert asked["names"] == 0
    set_state("running")
    anna.get("/records/")
    assert asked["names"] == 1
    set_state("failed")
    anna.get("/records/")
    assert asked["names"] == 2
    asked.clear()
    anna.get("/records/")
    assert asked["names"] == 0


def test_runs_that_airflow_does_not_know_any_more_are_in_their_order(store: Store, sign_in: Client) -> None:
    for run in (run_id(3), run_id(1), "manual_by_hand", f"manual__{'long' * 60}"):
        dispose(store, run=run)
    know_run(2, run="by_its_date_in_airflow")
    dispose(store, run="by_its_date_in_airflow")
    page = sign_in("anna").get("/records/").text.split("<tbody>")[-1]
    order = [run_id(1), "by_its_date_in_airflow", run_id(3), "manual_by_hand"]
    assert [page.index(run) for run in order] == sorted(page.index(run) for run in order)
    assert f"manual__{'long' * 60}" in page
    assert page.count("Run in Airflow") == 1


def test_the_page_can_be_narrowed_to_one_dag(store: Store, sign_in: Client) -> None:
    dispose(store)
    dispose(store, dag_id="another", run=run_id(5))
    admin = sign_in("admin")
    assert admin.get("/records/").text.count('<tr id="run-') == 2
    only = admin.get("/records/", params={"dag_id": DAG}).text
    assert only.count('<tr id="run-') == 1
    assert run_id(5) not in only
