"""The records of a certificate, and of a list, as spreadsheets: read back as a spreadsheet program reads them."""

from __future__ import annotations

import csv
import gc
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from openpyxl import load_workbook

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError
from airflow_provider_records.reporting import export, issue
from airflow_provider_records.reporting.export import CERTIFICATE_COLUMNS, LIST_COLUMNS
from tests.evidence import evidence_factory

HOSTILE = ["=1+1", "+SUM(A1)", "-2", "@now", "\tx", "name\x00\u202egnp.exe", 'plain, with "quotes"\nand a line']


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "evidence"))


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def read_xlsx(file: Path) -> list[list[object]]:
    return [list(row) for sheet in load_workbook(file).worksheets for row in sheet.iter_rows(values_only=True)]


def test_each_record_of_a_certificate_has_a_row_with_its_outcome_and_so_has_each_withheld_one(
    store: Store, tmp_path: Path
) -> None:
    shown = Manifest.write(store, evidence_factory.records(5))
    left = Manifest.write(store, list(shown)[1:])
    kept = next(iter(shown))
    approval = Approval(
        digest=left.digest,
        approver="airflow:anna",
        name="Anna",
        approved_at="2026-11-22T07:00:41Z",
        source={"kind": "airflow", "task": "approve"},
        shown=shown.digest,
        withheld={kept.key: "a claim is pending"},
        **evidence_factory.given(store, shown.digest),
    ).write(store)
    failing = list(left)[1].key
    disposal = evidence_factory.carry_out(
        store, left, [approval], system=evidence_factory.ObedientSystem({failing: OutcomeKind.FAILED})
    )
    certificate = issue.write(store, [disposal], evidence_factory.provenance("certificate"), None).certificate

    content = b"".join(export.csv_pieces(CERTIFICATE_COLUMNS, export.certificate_rows(store, certificate)))
    rows = read_csv(content)
    assert [row["Key"] for row in rows] == [*(record.key for record in left), kept.key]
    assert [row["Outcome"] for row in rows] == ["destroyed", "failed", "destroyed", "destroyed", "withheld"]
    assert rows[-1]["Reason"] == "Anna: a claim is pending"
    assert rows[0]["No."] == "1"
    assert rows[0]["Time (UTC)"]

    export.write(tmp_path / "records.xlsx", "xlsx", CERTIFICATE_COLUMNS, export.certificate_rows(store, certificate))
    heads, *lines = read_xlsx(tmp_path / "records.xlsx")
    assert heads == list(CERTIFICATE_COLUMNS)
    assert [[str(cell or "") for cell in line] for line in lines] == [list(row.values()) for row in rows]


def test_no_text_of_a_record_is_computed_by_a_spreadsheet(store: Store, tmp_path: Path) -> None:
    manifest = Manifest.write(store, [{"key": str(number), "title": title} for number, title in enumerate(HOSTILE)])
    rows = read_csv(b"".join(export.csv_pieces(LIST_COLUMNS, export.list_rows(store, manifest.digest, "", ""))))
    assert not [row["Title"] for row in rows if row["Title"].startswith(("=", "+", "-", "@", "\t"))]
    assert [row["Title"] for row in rows[5:]] == ["name[U+0000][U+202E]gnp.exe", HOSTILE[6]]

    export.write(tmp_path / "list.xlsx", "xlsx", LIST_COLUMNS, export.list_rows(store, manifest.digest, "", ""))
    cells = [row[3] for row in load_workbook(tmp_path / "list.xlsx").worksheets[0].iter_rows(min_row=2)]
    assert [cell.value for cell in cells][:4] == HOSTILE[:4]
    assert {cell.data_type for cell in cells} == {"s"}


def test_a_long_list_is_continued_on_a_second_sheet(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_ROWS_PER_SHEET", 3)
    manifest = Manifest.write(store, [str(number) for number in range(7)])
    export.write(tmp_path / "list.xlsx", "xlsx", LIST_COLUMNS, export.list_rows(store, manifest.digest, "", ""))
    sheets = load_workbook(tmp_path / "list.xlsx").worksheets
    assert [sheet.max_row - 1 for sheet in sheets] == [3, 3, 1]
    assert [row[1] for row in read_xlsx(tmp_path / "list.xlsx") if row[0] != "No."] == [str(n) for n in range(7)]


def test_a_changed_list_is_not_exported(store: Store, tmp_path: Path) -> None:
    manifest = Manifest.write(store, ["1", "2"])
    name = store.name(manifest.uri)
    store.write(name, store.read(name).replace(b'"1"', b'"3"'))
    with pytest.raises(EvidenceError, match="was changed"):
        export.write(tmp_path / "list.xlsx", "xlsx", LIST_COLUMNS, export.list_rows(store, manifest.digest, "", ""))


def test_a_spreadsheet_whose_rows_cannot_be_read_to_the_end_leaves_no_open_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_open: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", left_open.append)

    def rows() -> Iterator[export.Cells]:
        yield (1, "1001", "1001", "", "", "")
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        export.write(tmp_path / "list.xlsx", "xlsx", LIST_COLUMNS, rows())
    gc.collect()
    assert left_open == []
