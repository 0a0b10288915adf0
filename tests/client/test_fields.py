"""The extra fields of the connections: what the form offers is what the check accepts."""

from __future__ import annotations

import pytest

from airflow_provider_records.client import fields
from airflow_provider_records.client.fields import Field


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
