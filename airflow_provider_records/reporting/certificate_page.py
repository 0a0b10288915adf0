"""The certificate as a page to read, print and sign; it holds every record, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from airflow_provider_records.evidence import reader
from airflow_provider_records.evidence.certificate import Certificate
from airflow_provider_records.evidence.order import Covered
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.reporting import wording
from airflow_provider_records.reporting.bar import ORDER, bar
from airflow_provider_records.reporting.language import Language, language
from airflow_provider_records.reporting.said import said
from airflow_provider_records.reporting.verdict import RunStatus, verdict

ROWS_PER_PAGE = 5000
"""Maximum number of records on a page, which browsers print in minutes; a longer certificate has several pages."""


@dataclass(frozen=True)
class Table:
    """Records of one table, or some of them, if it goes on to the next page.

    :param rows: what stands in it.
    :param count: number of records of the whole table.
    :param approval: the approval with which these records were withheld; None: a disposal has them.
    :param place: the disposal's place in the certificate.
    :param disposal: the disposal.
    :param outcome: their outcome.
    :param continued: whether it began on an earlier page.
    """

    rows: Iterator[tuple[Any, ...]]
    count: int
    approval: Mapping[str, Any] | None = None
    place: int | None = None
    disposal: Disposal | None = None
    outcome: OutcomeKind | None = None
    continued: bool = False


def pages(store: Store, certificate: Certificate, disposals: Sequence[Disposal]) -> Iterator[Iterator[bytes]]:
    """Render the pages piece by piece, in the certificate's language; memory does not grow with the number of records.

    :param certificate: what it says; its digest stands on each page.
    :param disposals: those of the certificate, in its order.
    :return: the pages in their order; each must be read to its end before the next one.
    :raises EvidenceError: a list or its outcomes cannot be read.
    """
    speech = language(certificate.language)
    status = RunStatus.from_document(certificate, speech)
    document = certificate.to_dict()
    key_id = certificate.key.key_id if certificate.key else None
    parts = _parts(list(_tables(store, document, disposals)), ROWS_PER_PAGE)
    templates = environment(Path(__file__).parent / "templates", speech)
    for number, tables in enumerate(parts, 1):
        stream = templates.get_template("certificate.html" if number == 1 else "certificate_part.html").stream(
            document=document,
            digest=certificate.digest,
            part=number,
            parts=len(parts),
            rows_per_page=ROWS_PER_PAGE,
            tables=tables,
            verdict=verdict(status),
            bar=bar,
            gaps=status.gaps,
            alarms=status.alarms,
            withheld=status.withheld,
            demanded=_demanded(document),
            order=ORDER,
            covered=[[Covered.from_dict(task) for task in order["tasks"]] for order in document["orders"]],
            statements=wording.statements(document["disposals"], key_id, speech),
            described=[disposal.description for disposal in disposals],
            instances=[disposal.provenance.part for disposal in disposals],
        )
        stream.enable_buffering(200)
        yield (text.encode() for text in stream)


def _tables(store: Store, document: Mapping[str, Any], disposals: Sequence[Disposal]) -> Iterator[Table]:
    """Return all tables of records, in their order."""
    for approval in document["approvals"]:
        if "withheld" in approval:
            yield Table(_withheld_records(store, approval), len(approval["withheld"]), approval)
    for place, disposal in enumerate(disposals):
        for kind in ORDER:
            if count := disposal.counts.get(kind, 0):
                yield Table(_rows(store, disposal, kind), count, None, place, disposal, kind)


def _parts(tables: Sequence[Table], size: int) -> list[list[Table]]:
    """Distribute tables over pages that have at most ``size`` records each; there is at least one page."""
    parts: list[list[Table]] = [[]]
    room = size
    for table in tables:
        begun = 0
        while begun < table.count:
            if not room:
                parts.append([])
                room = size
            taken = min(room, table.count - begun)
            # The pages share one reader, so that a list is read once for all of them, and to its end.
            rows = table.rows if begun + taken == table.count else islice(table.rows, taken)
            parts[-1].append(replace(table, rows=rows, continued=begun > 0))
            begun, room = begun + taken, room - taken
    return parts


def environment(templates: Path, language: Language) -> Environment:
    """Return templates that escape whatever they show, and make visible what hides or turns text round.

    :param templates: the folder of the templates.
    :param language: the language that they speak.
    """
    found = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "time": language.time,
        "minute": language.minute,
        "day": language.day,
        "number": language.number,
        "said": partial(said, language=language),
        "mono": lambda text: Markup('<span class="mono">{}</span>').format(_visible(text)),
    }
    found.globals |= {
        "language": language,
        "_": lambda message, **values: _filled(language.translate(message), language, values),
        "ngettext": lambda singular, plural, num, **values: _filled(
            language.translate_plural(singular, plural, num), language, {"num": num, **values}
        ),
        "results": {kind: language.translate(text) for kind, text in wording.RESULTS.items()},
        "proofs": {proof: language.translate(text) for proof, text in wording.PROOFS.items()},
        "approver_types": {kind: language.translate(text) for kind, text in wording.APPROVER_TYPES.items()},
        **{
            each.__name__: partial(each, language=language)
            for each in (
                wording.action,
                wording.allowed,
                wording.due_list,
                wording.label,
                wording.meaning,
                wording.method,
                wording.amount,
            )
        },
    }
    return found


def _filled(message: str, language: Language, values: Mapping[str, object]) -> Markup:
    """Fill values into a message of a catalogue, which may hold tags; values are escaped unless they are markup."""
    shown = {name: language.number(value) if type(value) is int else _visible(value) for name, value in values.items()}
    return Markup(message) % shown  # noqa: S704 - the message is a file of this package


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
