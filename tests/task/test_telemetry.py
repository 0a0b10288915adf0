"""Metrics and spans of a disposal, as they leave Airflow's own observability."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.sandbox.seed import items
from airflow_provider_records.task import telemetry
from tests.minors import count_by_settings
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run

RECORDS = [{"key": item.key, "target_id": item.target_id} for item in items(60, 7) if item.system == "enaio"]


class Statsd:
    """Listens where Airflow's statsd client sends to, in the form that has tags."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]

    def heard(self) -> Counter[tuple[str, str, str]]:
        """Return the sums of all counters that came: name, system and outcome."""
        found: Counter[tuple[str, str, str]] = Counter()
        while True:
            try:
                text = self.socket.recv(65536).decode()
            except TimeoutError:
                return found
            for line in text.splitlines():
                match = re.fullmatch(r"airflow\.(records\.\w+),system=(\w+),outcome=(\w+):(\d+)\|c", line)
                assert match, line
                found[match[1], match[2], match[3]] += int(match[4])


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Statsd]:
    server = Statsd()
    fields = {"statsd_on": "True", "statsd_host": "127.0.0.1", "statsd_port": server.port}
    for name, value in {**fields, "statsd_influxdb_enabled": "True"}.items():
        monkeypatch.setenv(f"AIRFLOW__METRICS__{name.upper()}", str(value))
    count_by_settings(on=True)
    yield server
    count_by_settings(on=False)
    server.socket.close()


def delete(**options: Any) -> EnaioDeleteObjectOperator:
    return EnaioDeleteObjectOperator(
        task_id="delete", records=RECORDS, hard_delete=True, require_approval=False, **options
    )


def test_counters_of_outcomes_reach_statsd(served: ServedSandbox, statsd: Statsd) -> None:
    counts = run(delete())["counts"]
    expected = {(f"records.{name}", "enaio", name): number for name, number in counts.items() if number}
    assert statsd.heard() == expected
    assert {name for _, _, name in expected} == {"destroyed", "absent", "blocked"}
    run(delete(), try_number=2)
    assert statsd.heard() == {}


def test_what_was_never_sent_is_counted_too(served: ServedSandbox, statsd: Statsd) -> None:
    served.fault(call="delete_object", act=False, status=401, times=None)
    with pytest.raises(AirflowFailException):
        run(delete(concurrency=1))
    heard = {outcome: number for (_, _, outcome), number in statsd.heard().items()}
    assert heard == {"failed": 1, "not_attempted": len(RECORDS) - 1}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    return exporter


def test_each_chunk_is_a_span_below_that_of_the_task(served: ServedSandbox, spans: InMemorySpanExporter) -> None:
    with telemetry._tracer.start_as_current_span("worker.delete") as task:
        counts = run(delete(concurrency=2))["counts"]
    *chunks, _ = sorted(spans.get_finished_spans(), key=lambda span: span.name)
    assert [span.name for span in chunks] == ["records.chunk"] * -(-len(RECORDS) // 16)
    facts = [dict(span.attributes or {}) for span in chunks]
    assert {each["records.system"] for each in facts} == {"enaio"}
    assert sum(int(str(each["records.count"])) for each in facts) == len(RECORDS)
    assert sum(int(str(each.get("records.destroyed", 0))) for each in facts) == counts["destroyed"]
    for span in chunks:
        assert span.parent is not None
        assert span.parent.span_id == task.get_span_context().span_id
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time


def test_a_broken_backend_ends_no_disposal(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("no such collector")

    class Broken:
        start_span = broken

    monkeypatch.setattr(telemetry, "incr", broken)
    monkeypatch.setattr(telemetry, "_tracer", Broken())
    assert run(delete())["complete"]
