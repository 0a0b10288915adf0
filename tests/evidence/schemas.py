"""Checks every file of an evidence store against the JSON Schema of its format."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

from airflow_provider_records.evidence.segment import parse_segment
from airflow_provider_records.evidence.store import Store

FORMATS = {
    "manifests": "manifest",
    "approvals": "approval",
    "orders": "order",
    "asked": "order",
    "spent": "spent",
    "unmarked": "unmarked",
    "rejections": "rejection",
    "due_lists": "due_reading",
    "set_aside": "set-aside",
    "listings": "listing",
    "slips": "slip",
    "names_key": "names-key",
    "titles": "titles",
    "journal": "journal",
    "outcomes": "outcomes",
    "certificates": "certificate",
}
BESIDE = (".html", ".sig", ".sha256")


@cache
def schema(name: str) -> dict[str, Any]:
    """Return the schema of a format, as it is installed."""
    found = json.loads((files("airflow_provider_records.evidence") / "schemas" / f"{name}.json").read_text())
    Draft202012Validator.check_schema(found)
    return dict(found)


@cache
def validator(name: str, definition: str = "") -> Draft202012Validator:
    """Return what checks a file of a format, or one line of it.

    :param definition: name below ``$defs``.
    """
    whole = schema(name)
    part = {"$schema": whole["$schema"], "$ref": f"#/$defs/{definition}", "$defs": whole.get("$defs", {})}
    return Draft202012Validator(part if definition else whole)


def assert_store_valid(store: Store) -> int:
    """Check every file; return their number. A segment that was cut off by a crash does not count."""
    checked = 0
    for name in store.names(""):
        if name.endswith(BESIDE):
            continue
        content, file_format = store.read(name), format_of(name)
        if file_format == "journal" and parse_segment(name, content) is None:
            continue
        for definition, value in values(file_format, content, lines=name.endswith(".jsonl")):
            error = next(validator(file_format, definition).iter_errors(value), None)
            assert error is None, f"{name}: {error.message} at {error.json_path}, in {value}"
        checked += 1
    return checked


def format_of(name: str) -> str:
    """Return the format that a file must have by its place."""
    if name.endswith("/disposal.json"):
        return "disposal"
    parts = name.split("/")
    if parts[0] == "holds":
        return parts[1].partition("-")[0]
    return FORMATS[parts[5] if parts[0] == "disposals" else parts[0]]


def values(file_format: str, content: bytes, *, lines: bool) -> list[tuple[str, Any]]:
    """Return what to check of a file, each with the name of its definition."""
    if not lines:
        return [("", json.loads(content))]
    first, *rest = [json.loads(line) for line in content.splitlines()]
    if file_format != "journal":
        return [("header", first), *(("line", value) for value in rest)]
    *rest, last = rest
    kind = "outcome" if first["kind"] == "outcomes" else "key"
    return [("header", first), *((kind, value) for value in rest), ("trailer", last)]
