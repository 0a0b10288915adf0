"""The certificate as a page to read, print and sign; it holds every record, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from airflow_provider_records.evidence import reader
from airflow_provider_records.evidence.certificate import Certificate
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.reporting import wording
from airflow_provider_records.reporting.bar import ORDER, bar
from airflow_provider_records.reporting.verdict import RunStatus, verdict


def pieces(store: Store, certificate: Certificate, disposals: Sequence[Disposal]) -> Iterator[bytes]:
    """Render the page piece by piece; memory does not grow with the number of records.

    :param certificate: what it says; its digest stands on the page.
    :param disposals: those of the certificate, in its order.
    :raises EvidenceError: a list or its outcomes cannot be read.
    """
    status = RunStatus.from_document(certificate)
    document = certificate.to_dict()
    stream = (
        environment(Path(__file__).parent / "templates")
        .get_template("certificate.html")
        .stream(
            document=document,
            digest=certificate.digest,
            verdict=verdict(status),
            bar=bar,
            gaps=status.gaps,
            alarms=status.alarms,
            withheld=status.withheld,
            demanded=_demanded(document),
            order=ORDER,
            words=wording,
            described=[disposal.description for disposal in disposals],
            rows=lambda place, kind: _rows(store, disposals[place], kind),
            withheld_records=lambda approval: _withheld_records(store, approval),
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
    records = [entry["disposal"] for entry in document["disposals"]]
    return list(
        {
            (record["provenance"]["task_id"], record["options"]["min_approvals"]): None
            for record in records
            if record["approval_required"] and "min_approvals" in record["options"]
        }
    )


def _rows(store: Store, disposal: Disposal, kind: OutcomeKind) -> Iterator[tuple[int, Record, Outcome]]:
    """Read the records with one outcome, each with its place on the list."""
    return reader.rows(store, store.name(disposal.manifest), store.name(disposal.outcomes), kind)


def _withheld_records(store: Store, approval: Mapping[str, Any]) -> Iterator[tuple[int, Record]]:
    """Read the records that a reviewer withheld, each with its place on the list that was shown."""
    return reader.records(store, reader.manifest_name(approval["shown"]), approval["withheld"].keys())


def _visible(value: object) -> object:
    return wording.visible(value) if type(value) is str else value


def _time(text: str) -> str:
    """Shorten an ISO 8601 time in UTC for reading."""
    return text.replace("T", " ").replace("Z", "").split(".", 1)[0].removesuffix("+00:00")
