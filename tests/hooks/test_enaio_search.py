"""POST /objects/search over HTTP: every object once, whatever the pages look like, or an error."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.exceptions import ConfigurationError, RefusedError, UnreadableAnswerError
from tests.hooks.enaio_factory import ServedEnaio, entry, envelope, served

__all__ = ["served"]

QUERY = "SELECT system:objectId, Disposal FROM Invoice WHERE Disposal=@state ORDER BY system:objectId"


def ids(served: ServedEnaio, **options: Any) -> list[str]:
    return [item.object_id for item in served.hook.search(QUERY, {"state": "approved"}, **options)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_search_reads_all_pages(served: ServedEnaio, size: int) -> None:
    for number in range(3000, 3006):
        served.part.archive.add(str(number), "Invoice", fields={"Disposal": "approved"})
    assert ids(served, page_size=size) == ["2563", *(str(number) for number in range(3000, 3006))]
    assert len(served.calls("search")) == -(-7 // size)


def test_the_next_page_begins_after_what_came(served: ServedEnaio) -> None:
    served.part.archive.add("3000", "Invoice", fields={"Disposal": "approved"})
    served.fault("search", status=200, body=envelope(entry("2563"), hasMoreItems=True))
    assert ids(served, page_size=2) == ["2563", "3000"]
    assert '"skipCount": 1' in served.server.sandbox.log[-1].request


def test_a_search_in_the_bin(served: ServedEnaio) -> None:
    served.hook.delete_object("2563")
    assert ids(served) == []
    assert ids(served, deleted="DELETED_DOCUMENTS_ONLY") == ["2563"]


def test_an_object_that_two_pages_show_comes_once(served: ServedEnaio) -> None:
    for number in range(3000, 3005):
        served.part.archive.add(str(number), "Invoice", fields={"Disposal": "approved"})
    served.part.turn({"page_shift": -1})
    found = ids(served, page_size=2)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (envelope(entry(), hasMoreItems=True, totalNumItems=9), "does not advance"),
        (envelope(hasMoreItems=True, totalNumItems=9), "ends the list after"),
        ({"objects": [entry("1")], "numItems": 1}, "does not say"),
        (envelope(entry("1"), hasMoreItems=1), "no list of objects"),
    ],
)
def test_a_search_that_does_not_advance_is_an_error(served: ServedEnaio, body: Any, problem: str) -> None:
    served.part.archive.add("3000", "Invoice", fields={"Disposal": "approved"})
    served.fault("search", skip=1, times=None, status=200, body=body)
    with pytest.raises(UnreadableAnswerError, match=problem):
        ids(served, page_size=1)


def test_an_empty_page_ends_a_search(served: ServedEnaio) -> None:
    served.fault("search", status=200, body=envelope(hasMoreItems=True))
    assert ids(served) == []


def test_a_wrong_statement_is_refused(served: ServedEnaio) -> None:
    with pytest.raises(RefusedError):
        list(served.hook.search("SELECT system:objectId FROM Nothing"))


def test_a_page_has_at_least_one_row(served: ServedEnaio) -> None:
    with pytest.raises(ConfigurationError):
        ids(served, page_size=0)
