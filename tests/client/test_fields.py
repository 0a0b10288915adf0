"""The extra fields of the connections: what the README says is what the model says."""

from __future__ import annotations

from pathlib import Path

import pytest

import airflow_provider_records
from airflow_provider_records.client import fields
from airflow_provider_records.client.fields import Field

README = Path(airflow_provider_records.__file__).parent.parent / "README.md"
BEGIN, END = "<!-- connection fields: begin -->\n", "<!-- connection fields: end -->"


def values(field: Field) -> str:
    """Say what a field may hold."""
    if field.choices:
        return ", ".join(f"`{code}`" for code in field.choices)
    kinds = {
        "integer": "whole number",
        "number": "number",
        "path": "path from `/`",
        "file": "path of a file",
        "tls": "text",
        "text": "text",
    }
    bounds = f" from {field.minimum:g} to {fields.GREATEST_NUMBER}" if field.type in {"number", "integer"} else ""
    return kinds[field.type] + bounds


def table() -> str:
    """Write the README's table."""
    rows = ["| type | extra field | value | if empty | what it is for |", "| --- | --- | --- | --- | --- |"]
    for kind, own in (*fields.OF_TYPE.items(), ("all", fields.COMMON)):
        for field in own:
            default = "" if field.default is None else f"`{field.default}`"
            rows.append(f"| `{kind}` | `{field.name}` | {values(field)} | {default} | {field.description} |")
    return "\n".join([*rows, ""]).replace("| `all` |", "| all |").replace("|  |", "| |")


def test_the_readme_has_the_table_of_the_model() -> None:
    text = README.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    assert text.partition(BEGIN)[2].partition(END)[0] == table()


@pytest.mark.parametrize("kind", fields.OF_TYPE)
def test_no_field_is_there_twice(kind: str) -> None:
    names = [field.name for field in (*fields.OF_TYPE[kind], *fields.COMMON)]
    assert len(set(names)) == len(names) == len(fields.form(kind))


@pytest.mark.parametrize("field", [field for own in (*fields.OF_TYPE.values(), fields.COMMON) for field in own])
def test_the_form_offers_what_the_check_accepts(field: Field) -> None:
    schema = field.form()["schema"]
    assert schema.get("default") == field.default
    assert schema.get("enum", []) == list(schema.get("values_display", {})) == list(field.choices or ())
    bounds = (field.minimum, fields.GREATEST_NUMBER) if field.type in {"number", "integer"} else (None, None)
    assert (schema.get("minimum"), schema.get("maximum")) == bounds
    assert (schema.get("format") == "password") is field.secret
