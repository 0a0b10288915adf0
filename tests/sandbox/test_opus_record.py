"""A record of the sandbox's Opus as the due list shows it, and the end of a retention period."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_records.sandbox.message import AbortWith, Call
from airflow_provider_records.sandbox.opus_record import ConnectorRecord, json_body, years_later

RECORD = ConnectorRecord(
    rowKey="a",
    connector_id="c",
    leafName="Müller.pdf",
    termFullPath="Personnel/Contracts",
    timeCreated="2014-12-19 18:15:00",
    timeModified="2014-12-20 18:15:00",
    createdBy="jane.doe",
    modifiedBy="",
    due="2025-01-01T00:00:00",
)


def test_the_due_list_shows_no_term_where_there_is_none() -> None:
    shown = RECORD.listed()
    assert shown["termFullPath"] == "Personnel/Contracts"
    assert (shown["timeCreated"], shown["modifiedBy"]) == ("2014-12-19 18:15:00 ", "")  # as the vendor's sample
    assert set(shown) - set(replace(RECORD, termFullPath="").listed()) == {"termFullPath"}


@pytest.mark.parametrize(
    ("time", "later"),
    [("2014-12-19T18:15:00", "2024-12-19T18:15:00"), ("2016-02-29T00:00:00", "2026-02-28T00:00:00")],
)
def test_a_retention_period_is_ten_years(time: str, later: str) -> None:
    assert years_later(time) == later


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("", b"{}"), ("text/plain", b"{}"), ("application/json", b"[]"), ("application/json", b"{")],
)
def test_a_body_is_a_json_object(content_type: str, body: bytes) -> None:
    with pytest.raises(AbortWith) as caught:
        json_body(Call("POST", "/", {}, {}, {"content-type": content_type}, body))
    assert caught.value.reply.status == 400


def test_the_content_type_may_name_a_charset() -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert json_body(Call("POST", "/", {}, {}, headers, b'{"id": 1}')) == {"id": 1}
