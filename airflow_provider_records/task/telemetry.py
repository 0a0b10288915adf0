"""Metrics and traces of a disposal, sent through Airflow's own where they are enabled."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

from opentelemetry import trace

from airflow_provider_records.airflow_version import incr
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.execution.runner import Chunk

log = logging.getLogger(__name__)

_tracer = trace.get_tracer(__name__)


class Telemetry:
    """Counts the outcomes of one try and creates a span for each of its chunks.

    ``records.<outcome>`` is a counter with the tags ``system`` and ``outcome``. A record that fails in one try and is
    destroyed in the next is counted once in each try. ``records.chunk`` is a span below that of the task.

    :param system: the short name of the system.
    """

    def __init__(self, system: str) -> None:
        self.system = system
        self._counted: Counter[str] = Counter()

    def chunk(self, chunk: Chunk) -> None:
        """Count the outcomes of a chunk that has ended, and create its span."""
        found = {str(kind): number for kind, number in chunk.found.items()}
        try:
            attributes: dict[str, str | int] = {"records.system": self.system, "records.count": chunk.records}
            attributes |= {f"records.{outcome}": number for outcome, number in found.items()}
            span = _tracer.start_span("records.chunk", start_time=int(chunk.begun * 1e9), attributes=attributes)
            span.end(end_time=int(chunk.ended * 1e9))
        except Exception:  # a failure of metrics or traces must not end a disposal
            log.debug("the chunk was not traced", exc_info=True)
        self._count(found)

    def rest(self, counts: Mapping[str, int]) -> None:
        """Count the records that have no final outcome at the end of the try and are in no chunk.

        :param counts: number of records by outcome at the end of the try.
        """
        still_open = [kind for kind in OutcomeKind if not kind.final]
        self._count({str(kind): counts[kind] - self._counted[kind] for kind in still_open})

    def _count(self, found: Mapping[str, int]) -> None:
        for outcome, number in found.items():
            if number <= 0:
                continue
            self._counted[outcome] += number
            try:
                incr(f"records.{outcome}", number, tags={"system": self.system, "outcome": outcome})
            except Exception:  # see above
                log.debug("records.%s was not counted", outcome, exc_info=True)
