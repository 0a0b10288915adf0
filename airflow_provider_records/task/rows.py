"""Reads the rows of other tasks and of files as the fields of records: values of SQL, pandas, CSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from typing import IO, Any
from uuid import UUID

from airflow.sdk import ObjectStoragePath

from airflow_provider_records.evidence.canonical import LARGEST_NUMBER
from airflow_provider_records.evidence.set_aside import OddRow
from airflow_provider_records.exceptions import ConfigurationError, InvalidRecordsError

FIELDS = ("key", "target_id", "title", "classification", "location", "object_type_id", "parent_id")
"""The fields of a record that a column can hold."""
_EMPTY_WORDS = {"nan", "nat", "none", "null", "<na>", "undefined"}
_EMPTY_TYPES = {"NaTType", "NAType"}
_BOOLEANS = {"bool", "bool_"}
"""Of Python and of numpy, whose releases differ."""
_NUMPY_TIMES = {"datetime64", "timedelta64"}
_DELIMITERS = ",;\t|"

Columns = Mapping[str, str | int]
GivenRow = Mapping[str, Any] | OddRow


class _OddValueError(ValueError):
    """A value of which nothing can be made; the message is the reason."""


def checked_columns(columns: object) -> Columns | None:
    """Check ``columns``.

    :raises ConfigurationError: it does not map fields of a record, ``key`` among them, to columns.
    """
    if columns is None:
        return None
    if not isinstance(columns, Mapping) or "key" not in columns or not set(columns) <= set(FIELDS):
        raise ConfigurationError(
            f"columns maps fields of a record ({', '.join(FIELDS)}; key is needed) to columns, not {columns!r}; the "
            "other columns become attributes."
        )
    for column in columns.values():
        if isinstance(column, bool) or not isinstance(column, (str, int)) or column == "" or column in range(-999, 0):
            raise ConfigurationError(f"A column is named by text, or by its number from 0 on, not by {column!r}.")
    return dict(columns)


def given_rows(records: object, columns: Columns | None) -> Iterator[GivenRow]:
    """Return the rows that another task has returned.

    :param records: a list of mappings, of tuples or of ids; or a data frame of pandas or polars.
    :param columns: which column holds which field; None: columns are named as the fields are.
    :raises InvalidRecordsError: it is no list of rows.
    """
    if hasattr(records, "to_dicts"):
        records = records.to_dicts()
    elif hasattr(records, "to_dict") and hasattr(records, "columns"):
        names = [str(name) for name in records.columns]
        if len(set(names)) != len(names):
            raise InvalidRecordsError(f"The data frame has two columns of one name: {', '.join(names)}.")
        records = records.to_dict("records")
    if not isinstance(records, Sequence) or isinstance(records, (str, bytes, bytearray, memoryview)):
        hint = " Did the upstream task run and return something?" if records is None else ""
        raise InvalidRecordsError(
            "records= takes the rows of another task (its .output): a list of mappings, tuples or ids, or a data "
            f"frame; it got {type(records).__name__}.{hint}"
        )
    return (_row(row, columns) for row in records)


def source_rows(source: str, columns: Columns | None) -> Iterator[GivenRow]:
    """Read the rows of a file.

    :param source: URL or absolute path of a CSV file (``.csv``, with a header) or of JSON lines (``.jsonl``,
        ``.ndjson``), in UTF-8.
    :param columns: see :func:`given_rows`.
    :raises ConfigurationError: it is neither, or nothing reaches its storage.
    :raises InvalidRecordsError: the file is missing, or lacks a column.
    """
    read = {".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines}.get(check_source(source))
    assert read is not None  # noqa: S101 - check_source knows no others
    try:
        path = ObjectStoragePath(source)
        with path.open("rb") as file:  # type: ignore[no-untyped-call]
            yield from read(source, file, columns)
    except (ValueError, ImportError) as error:
        if isinstance(error, (InvalidRecordsError, ConfigurationError)):
            raise
        raise ConfigurationError(
            f"source {source!r} cannot be used: {error}. Is the provider for this storage installed?"
        ) from None
    except FileNotFoundError:
        raise InvalidRecordsError(f"source {source!r} is missing; no list was made.") from None


def check_source(source: object) -> str:
    """Return how the name of a file ends.

    :raises ConfigurationError: it is no URL or absolute path of a CSV file or of JSON lines.
    """
    end = f".{source.rpartition('.')[2].lower()}" if isinstance(source, str) else ""
    if not isinstance(source, str) or end not in {".csv", ".jsonl", ".ndjson"}:
        raise ConfigurationError(f"source is a file that ends in .csv, .jsonl or .ndjson, not {source!r}.")
    if "://" not in source and not source.startswith("/"):
        raise ConfigurationError(
            f"source is a URL such as s3://conn_id@bucket/due.csv, or an absolute path; not {source!r}."
        )
    return end


def _csv(source: str, file: IO[bytes], columns: Columns | None) -> Iterator[GivenRow]:
    text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
    wanted = list((columns or {"key": "key"}).values())
    first = text.readline()
    headers = {sign: next(csv.reader([first], delimiter=sign), []) for sign in _DELIMITERS}
    sign = max(_DELIMITERS, key=lambda each: (len({*wanted} & {*headers[each]}), len(headers[each])))
    header = headers[sign]
    if missing := [str(column) for column in wanted if column not in header]:
        known = ", ".join(header) or "nothing"
        raise InvalidRecordsError(
            f"source {source!r} has no column {', '.join(missing)}; its first line names {known}."
        )
    if len(set(header)) != len(header):
        raise InvalidRecordsError(f"source {source!r} has two columns of one name: {', '.join(header)}.")
    reader = csv.reader(text, delimiter=sign, strict=True)
    try:
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                yield OddRow(f"line {reader.line_num + 1}", f"it has {len(cells)} cells, the header has {len(header)}")
            else:
                yield _row({name: cell or None for name, cell in zip(header, cells, strict=True)}, columns)
    except csv.Error as error:
        raise InvalidRecordsError(f"source {source!r}, line {reader.line_num + 1}, is no CSV: {error}.") from None


def _json_lines(source: str, file: IO[bytes], columns: Columns | None) -> Iterator[GivenRow]:
    text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="\n")
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            yield OddRow(f"line {number}", "it is no JSON, or names a member twice")
            continue
        yield OddRow(f"line {number}", "it is no JSON object") if isinstance(row, list) else _row(row, columns)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member twice")
    return found


def _row(row: object, columns: Columns | None) -> GivenRow:
    if hasattr(row, "_asdict"):
        row = row._asdict()
    if isinstance(row, Mapping):
        return _fields(dict(row), columns)
    if isinstance(row, (list, tuple)):
        if columns is None and len(row) == 1:
            return _fields({"key": row[0]}, None)
        if columns is None or any(isinstance(column, str) for column in columns.values()):
            raise InvalidRecordsError(
                "The rows are tuples, which do not name their columns: give columns by number, such as "
                'columns={"key": 0, "target_id": 1}.'
            )
        return _fields(dict(enumerate(row)), columns)
    if columns is not None:
        raise InvalidRecordsError(f"columns is for rows with columns; a row is {type(row).__name__}.")
    return _fields({"key": row}, None)


def _fields(row: dict[Any, Any], columns: Columns | None) -> GivenRow:
    """Return the fields of a record; every column that is none of them is an attribute."""
    of_field = columns or {field: field for field in FIELDS if field in row}
    names = [row[column] for name in ("key", "target_id") if (column := of_field.get(name)) in row]
    named = next((str(name) for name in names if not _is_empty(name)), "")
    found: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    try:
        for field, column in of_field.items():
            value = _identifier(field, row.get(column))
            if value is None and field in {"key", "target_id"}:
                # A record without a target id would take its key for one.
                raise _OddValueError(f"its {field} is missing")
            found[field] = value
        for column, value in row.items():
            if column in of_field.values():
                continue
            if column == "attributes" and columns is None and isinstance(value, Mapping):
                attributes |= {str(name): _attribute(str(name), each) for name, each in value.items()}
            else:
                name = column if isinstance(column, str) else f"column_{column}"
                attributes[name] = _attribute(name, value)
    except _OddValueError as odd:
        return OddRow(named.encode(errors="replace").decode() or "without a key", str(odd))
    return {**found, "attributes": {name: value for name, value in attributes.items() if value is not None}}


def _identifier(field: str, value: object) -> object:
    """Return a value as text or a whole number; None if it is empty."""
    if _is_empty(value) or value == "":
        return None
    if isinstance(value, str):
        if field in {"key", "target_id"} and value.strip().lower() in _EMPTY_WORDS:
            raise _OddValueError(f"its {field} is {value!r}: an empty value that became text")
        return value
    if isinstance(value, UUID) or field == "title":
        return value.isoformat() if isinstance(value, (date, time)) else str(value)
    if isinstance(value, (date, time)) and field not in {"key", "target_id"}:
        return value.isoformat()
    if type(value).__name__ in _BOOLEANS:
        raise _OddValueError(f"its {field} is {value}, which is no id")
    if (whole := _whole(value)) is not None:
        return whole
    if isinstance(value, (Real, Decimal)):
        raise _OddValueError(f"its {field} is {value}, which is no whole number that is surely exact")
    raise _OddValueError(f"its {field} must be text or a whole number, not {type(value).__name__}")


def _whole(value: Any) -> int | None:  # noqa: ANN401
    """Return a whole number that is surely exact; a large float may have lost its last digits on the way."""
    try:
        return operator.index(value)
    except TypeError:
        pass
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else None
    if isinstance(value, Real) and math.isfinite(value) and abs(number := float(value)) <= LARGEST_NUMBER:
        return int(number) if number.is_integer() else None
    return None


def _attribute(name: str, value: Any) -> Any:  # noqa: ANN401
    """Return a value as JSON; None if it is empty."""
    if _is_empty(value):
        return None
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    if isinstance(value, (UUID, timedelta)) or type(value).__name__ in _NUMPY_TIMES:
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _attribute(name, each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_attribute(name, each) for each in value]
    if type(value).__name__ in _BOOLEANS:
        return bool(value)
    if isinstance(value, Real) and not hasattr(value, "__index__") and abs(float(value)) <= LARGEST_NUMBER:
        return float(value)
    if (whole := _whole(value)) is not None and abs(whole) <= LARGEST_NUMBER:
        return whole
    if isinstance(value, (Real, Decimal)):
        return str(value)
    raise _OddValueError(f"its column {name} holds {type(value).__name__}, which is no text, number or date")


def _is_empty(value: object) -> bool:
    if value is None or type(value).__name__ in _EMPTY_TYPES:
        return True
    if type(value).__name__ in _NUMPY_TIMES:
        return str(value) == "NaT"
    return value.is_nan() if isinstance(value, Decimal) else isinstance(value, Real) and math.isnan(value)
