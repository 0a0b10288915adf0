"""What a disposal tells through Airflow's own metrics and traces, where those are switched on."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

from airflow.sdk.observability import trace
from airflow.sdk.observability.stats import incr

from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.execution.runner import Chunk

log = logging.getLogger(__name__)

_tracer = trace.get_tracer(__name__)


class Telemetry:
    """Counts the outcomes of one try, and makes a span of each of its chunks.

    ``records.<outcome>`` is a counter with the tags ``system`` and ``outcome``; a record that fails in one try and
    is destroyed in the next counts once in each. ``records.chunk`` is a span below that of the task.

    :param system: the short name of the system.
    """

    def __init__(self, system: str) -> None:
        self.system = system
        self._told: Counter[str] = Counter()

    def chunk(self, chunk: Chunk) -> None:
        """Tell of a chunk that has ended."""
        found = {str(kind): number for kind, number in chunk.found.items()}
        try:
            facts: dict[str, str | int] = {"records.system": self.system, "records.count": chunk.records}
            facts |= {f"records.{outcome}": number for outcome, number in found.items()}
            span = _tracer.start_span("records.chunk", start_time=int(chunk.begun * 1e9), attributes=facts)
            span.end(end_time=int(chunk.ended * 1e9))
        except Exception:  # a disposal must not end because somebody cannot be told of it
            log.debug("the chunk was not traced", exc_info=True)
        self._count(found)

    def rest(self, counts: Mapping[str, int]) -> None:
        """Tell of what the try has left open without a call of its own.

        :param counts: number of records by outcome, at the end of the try.
        """
        still_open = [kind for kind in OutcomeKind if not kind.final]
        self._count({str(kind): counts[kind] - self._told[kind] for kind in still_open})

    def _count(self, found: Mapping[str, int]) -> None:
        for outcome, number in found.items():
            if number <= 0:
                continue
            self._told[outcome] += number
            try:
                incr(f"records.{outcome}", number, tags={"system": self.system, "outcome": outcome})
            except Exception:  # as above
                log.debug("records.%s was not counted", outcome, exc_info=True)
