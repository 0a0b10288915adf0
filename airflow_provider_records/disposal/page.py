"""The certificate as a page to read, print and sign; it holds every record, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from airflow_provider_records.disposal import words
from airflow_provider_records.disposal.disposal import Disposal
from airflow_provider_records.disposal.outcome import Outcome, Result
from airflow_provider_records.disposal.record import Record, canonical
from airflow_provider_records.disposal.store import Store
from airflow_provider_records.disposal.verdict import RunStatus, verdict

ORDER = (
    Result.FAILED,
    Result.UNKNOWN,
    Result.NOT_ATTEMPTED,
    Result.BLOCKED,
    Result.ABSENT,
    Result.RECYCLED,
    Result.DESTROYED,
)
"""What a reader must see first comes first."""

_BAR, _GAP, _LEAST = 1000.0, 3.0, 8.0


class Piece(NamedTuple):
    """One piece of a bar: where it lies and what it stands for."""

    result: Result
    records: int
    start: float
    width: float


def pieces(store: Store, document: Mapping[str, Any], disposals: Sequence[Disposal]) -> Iterator[bytes]:
    """Render the page piece by piece; memory does not grow with the number of records.

    :param document: the sealed certificate.
    :param disposals: those of the certificate, in its order.
    :raises EvidenceError: a list or its outcomes cannot be read.
    """
    status = RunStatus.of(document)
    stream = (
        environment(Path(__file__).parent / "templates")
        .get_template("certificate.html")
        .stream(
            document=document,
            verdict=verdict(status),
            bar=bar,
            gaps=status.gaps,
            withheld=status.withheld,
            demanded=_demanded(document),
            order=ORDER,
            words=words,
            rows=lambda place, result: _rows(store, disposals[place], result),
            taken_out=lambda approval: _taken_out(store, approval),
        )
    )
    stream.enable_buffering(200)
    return (text.encode() for text in stream)


def environment(templates: Path) -> Environment:
    """Return templates that escape whatever they show, and make visible what hides or turns text round.

    :param templates: the folder of the templates.
    """
    found = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"time": _time, "number": lambda number: f"{number:,}"}
    return found


def _demanded(document: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return how many approvers each task demanded; the parts of a mapped one once."""
    records = [entry["record"] for entry in document["disposals"]]
    return list(
        {
            (record["made"]["task_id"], record["options"]["min_approvals"]): None
            for record in records
            if record["approval_required"] and "min_approvals" in record["options"]
        }
    )


def bar(counts: Mapping[str, int]) -> list[Piece]:
    """Lay out the outcomes of a disposal along a bar 1000 wide; what is few stays visible."""
    shown = [result for result in reversed(ORDER) if counts[result]]
    total = sum(counts.values())
    room = _BAR - _GAP * (len(shown) - 1)
    least = {result: max(_LEAST, room * counts[result] / total) for result in shown}
    # What the small ones take beyond their share, the large ones give, each by its share.
    spare = sum(width for width in least.values() if width > _LEAST)
    excess = sum(least.values()) - room
    found, start = [], 0.0
    for result in shown:
        width = least[result] - (excess * least[result] / spare if least[result] > _LEAST else 0.0)
        found.append(Piece(result, counts[result], round(start, 1), round(width, 1)))
        start += width + _GAP
    return found


def _rows(store: Store, disposal: Disposal, result: Result) -> Iterator[tuple[int, Record, Outcome]]:
    """Read the records with one outcome, each with its place on the list."""
    # An unescaped quote cannot lie within a JSON text, so this tells the lines apart before they are parsed.
    wanted = canonical({"result": result})[1:-1]
    with store.open(store.name(disposal.manifest)) as records, store.open(store.name(disposal.outcomes)) as outcomes:
        for place, (record, outcome) in enumerate(zip(records, outcomes, strict=True), 1):
            if wanted in outcome:
                yield place, Record(**json.loads(record)), Outcome.of(json.loads(outcome))


def _taken_out(store: Store, approval: Mapping[str, Any]) -> Iterator[tuple[int, Record]]:
    """Read the records that a person took out, each with its place on the list that was shown."""
    with store.open(f"manifests/{approval['shown'].removeprefix('sha256:')}.jsonl") as lines:
        for place, line in enumerate(lines, 1):
            if (fields := json.loads(line))["key"] in approval["excluded"]:
                yield place, Record(**fields)


def _visible(value: object) -> object:
    return words.visible(value) if type(value) is str else value


def _time(text: str) -> str:
    """Shorten an ISO 8601 time in UTC for reading."""
    return text.replace("T", " ").replace("Z", "").split(".", 1)[0].removesuffix("+00:00")
