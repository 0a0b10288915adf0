"""Records as a spreadsheet: those of a certificate with what became of them, or those of a list."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from airflow_provider_records.evidence import formats, reader, titles
from airflow_provider_records.evidence.certificate import Certificate
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.reporting import wording

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The media type of each format."""

_RECORD = ("No.", "Key", "Id in the system", "Title", "Classification", "Location")
LIST_COLUMNS = _RECORD
CERTIFICATE_COLUMNS = (*_RECORD, "System", "Where", "Task", "Outcome", "Proof", "Reason", "Time (UTC)", "Request id")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_ROWS_PER_SHEET = 1_000_000
_LONGEST_CELL = 32_767
_NUMBER_WIDTH, _WIDTH = 8, 24

Cells = Sequence[str | int]


def certificate_rows(store: Store, certificate: Certificate) -> Iterator[Cells]:
    """Return each record of a certificate with its outcome, then each record that a reviewer withheld.

    :param store: the evidence store, wherever it was moved to.
    :param certificate: a verified certificate.
    :return: rows under :data:`CERTIFICATE_COLUMNS`.
    :raises EvidenceError: a file is missing or was changed.
    """
    evidence = reader.EvidenceReader(store, certificate.store)
    for entry in certificate.disposals:
        disposal = Disposal.from_dict(entry["disposal"])
        lines = reader.lines(store, evidence.name(disposal.manifest), formats.MANIFEST)
        outcomes = reader.outcomes(store, evidence.name(disposal.outcomes))
        for number, (line, outcome) in enumerate(zip(lines, outcomes, strict=True), 1):
            yield (
                *_record(number, Record.parse(line)),
                disposal.description.title,
                disposal.target,
                disposal.provenance.task_id,
                wording.label(disposal.description, outcome.kind),
                wording.PROOFS[outcome.proof] if outcome.proof else "",
                outcome.reason or "",
                outcome.time,
                outcome.request_id or "",
            )
    for approval in certificate.approvals:
        if kept := approval.get("withheld"):
            who = approval.get("name") or approval["approver"]
            for number, record in reader.records(store, reader.manifest_name(approval["shown"]), kept.keys()):
                why = f"{who}: {kept[record.key]}"
                yield (*_record(number, record), "", "", "", "withheld", "", why, approval["approved_at"], "")


def list_rows(store: Store, digest: str, dag_id: str, run_id: str) -> Iterator[Cells]:
    """Return each record of a list.

    :param digest: ``sha256:`` + hex.
    :param dag_id: the DAG that uses it; titles are those that its run keeps for reviewers.
    :param run_id: that run.
    :return: rows under :data:`LIST_COLUMNS`.
    :raises EvidenceError: the list is missing or was changed.
    """
    records = map(Record.parse, reader.lines(store, reader.manifest_name(digest), formats.MANIFEST))
    for number, record in enumerate(titles.shown(store, dag_id, run_id, records), 1):
        yield _record(number, record)


def csv_pieces(columns: Sequence[str], rows: Iterable[Cells]) -> Iterator[bytes]:
    """Return a CSV file piece by piece: UTF-8 with a byte order mark, by which spreadsheets know the encoding.

    A text that a spreadsheet would compute as a formula begins with an apostrophe.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    yield b"\xef\xbb\xbf"
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_not_computed(cell) for cell in row])
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def write_xlsx(file: IO[bytes] | Path, columns: Sequence[str], rows: Iterable[Cells]) -> None:
    """Write a workbook; every cell but the number is text, and a sheet holds at most a million records."""
    book = Workbook(write_only=True)
    sheet = _sheet(book, columns)
    try:
        for count, row in enumerate(rows):
            if count and count % _ROWS_PER_SHEET == 0:
                sheet = _sheet(book, columns)
            sheet.append([_cell(sheet, cell) for cell in row])
    except BaseException:  # else openpyxl warns of its unfinished sheet
        sheet.close()
        raise
    book.save(file)


def write(path: Path, format_: str, columns: Sequence[str], rows: Iterable[Cells]) -> None:
    """Write a file in a format.

    :param format_: one of :data:`FORMATS`.
    :raises OSError: the file cannot be written.
    """
    if format_ == "xlsx":
        write_xlsx(path, columns, rows)
        return
    with path.open("wb") as file:
        file.writelines(csv_pieces(columns, rows))


def _record(number: int, record: Record) -> tuple[str | int, ...]:
    return (
        number,
        record.key,
        record.target_id,
        record.title or "",
        record.classification or "",
        record.location or record.parent_id or "",
    )


def _not_computed(cell: str | int) -> str | int:
    if isinstance(cell, int):
        return cell
    text = wording.visible(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _sheet(book: Workbook, columns: Sequence[str]) -> Any:  # noqa: ANN401 - the stubs lack what this class inherits
    sheet: Any = book.create_sheet(f"Records {len(book.worksheets) + 1}")
    sheet.freeze_panes = "A2"
    for place in range(len(columns)):
        sheet.column_dimensions[get_column_letter(place + 1)].width = _WIDTH if place else _NUMBER_WIDTH
    sheet.append([_cell(sheet, column, bold=True) for column in columns])
    return sheet


def _cell(sheet: Any, value: str | int, *, bold: bool = False) -> Cell:  # noqa: ANN401
    if isinstance(value, int):
        return Cell(sheet, column=1, row=1, value=value)
    cell = Cell(sheet, column=1, row=1, value=wording.visible(value)[:_LONGEST_CELL])
    cell.data_type = "s"  # a text that begins with "=" is no formula
    if bold:
        cell.font = Font(bold=True)
    return cell
