"""The pages of a list: every record once, in order, whatever the number of records."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError
from airflow_provider_records.plugin.lists import PAGE, Lists


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE])
def test_every_record_is_on_exactly_one_page(store: Store, count: int) -> None:
    keys = [f"key-{number:04}" for number in range(count)]
    digest = Manifest.write(store, keys).digest.removeprefix("sha256:")
    lists = Lists(store)
    index = lists.index(digest)
    assert index.count == count
    assert len(index.pages) == max(1, -(-count // PAGE))
    pages = [lists.page(digest, number) for number in range(1, len(index.pages) + 1)]
    assert [record.key for page in pages for record in page] == keys
    assert all(len(page) == PAGE for page in pages[:-1])
    for number in (0, -1, len(index.pages) + 1):
        with pytest.raises(EvidenceError, match=f"The list has {len(index.pages)} pages"):
            lists.page(digest, number)


def test_a_changed_list_has_no_pages(store: Store) -> None:
    digest = Manifest.write(store, ["a", "b"]).digest.removeprefix("sha256:")
    path = Path(store.uri(Lists(store).name(digest)).removeprefix("file://"))
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"c"'))
    with pytest.raises(EvidenceError, match="was changed"):
        Lists(store).page(digest, 1)


def test_a_list_that_changes_after_it_was_read_has_no_pages_either(store: Store) -> None:
    digest = Manifest.write(store, ["a", "b"]).digest.removeprefix("sha256:")
    lists = Lists(store)
    assert [record.key for record in lists.page(digest, 1)] == ["a", "b"]
    path = Path(store.uri(lists.name(digest)).removeprefix("file://"))
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"c"'))
    with pytest.raises(EvidenceError, match="was changed"):
        lists.page(digest, 1)
