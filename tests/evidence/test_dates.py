"""A date that can be read in two ways is read as the later one: nothing is due too early."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence.dates import latest
from tests.faults.chance import examples


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2014-02-03", "2014-02-03T23:59:59.999999"),
        (" 2014/02/03 ", "2014-02-03T23:59:59.999999"),
        ("2018/02/13 12:45", "2018-02-13T12:45:00"),
        ("2018-02-13T12:45:30Z", "2018-02-13T12:45:30"),
        ("2020-12-08T18:33:14+01:00", "2020-12-08T17:33:14"),
        ("2020-12-08T18:33:14.123-0130", "2020-12-08T20:03:14"),
        ("02/13/2018 01:05 PM", "2018-02-13T13:05:00"),
        ("02/13/2018 12:05 AM", "2018-02-13T00:05:00"),
        ("13.02.2018", "2018-02-13T23:59:59.999999"),
        ("03/02/2014", "2014-03-02T23:59:59.999999"),
        ("02/03/2014", "2014-03-02T23:59:59.999999"),
        ("12-01-2014 08:00", "2014-12-01T08:00:00"),
    ],
)
def test_the_latest_moment_that_a_date_may_mean(text: str, moment: str) -> None:
    assert latest(text) == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "n/a", "2014", "20140203", "13.13.2014", "2014-02-30", "03/02/14", "2014-02.03", "2014-02-03 25:00",
     "2014-02-03 13:00 PM", "2014-02-03 or later", "9999-12-31T23:59:59-01:00", "٢٠١٤-٠٢-٠٣", "2014-W01-1"],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str) -> None:
    assert latest(text) is None


@examples(200)
@given(
    st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("9998-01-01")),
    st.sampled_from(["%Y-%m-%d", "%Y/%m/%d %H:%M", "%m/%d/%Y %I:%M %p", "%d.%m.%Y", "%d-%m-%Y %H:%M:%S"]),
)
def test_a_date_never_means_an_earlier_day_than_it_was_written_for(moment: datetime, form: str) -> None:
    read = latest(moment.strftime(form))
    assert read is not None
    assert read.replace(tzinfo=None) >= moment.replace(second=0, microsecond=0)


@examples(100)
@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    latest(text)
