"""The seed: the same numbers give the same records, and every kind of trouble occurs."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from airflow_provider_records.sandbox import seed

ITEMS = seed.items(60, 7)


class TestSeed:
    def test_same_numbers_same_records(self) -> None:
        assert seed.items(60, 7) == ITEMS
        assert seed.items(60, 8) != ITEMS

    @pytest.mark.parametrize(("records", "in_unifier"), [(0, 20), (1, 20), (40, 20), (300, 100)])
    def test_counts(self, records: int, in_unifier: int) -> None:
        items = seed.items(records, 3)
        due = Counter(item.system for item in items if item.due < "2026")
        assert due == Counter({"enaio": records, "unifier": in_unifier})
        later = Counter(item.system for item in items if item.due >= "2031")
        assert later == {"enaio": max(5, records // 10), "unifier": max(5, in_unifier // 10)}
        assert sum(due.values()) + sum(later.values()) == len(items)

    def test_keys_and_ids(self) -> None:
        assert len({item.key for item in ITEMS}) == len(ITEMS)
        for item in ITEMS:
            assert item.key == f"{item.system}-{item.target_id}"
            assert item.target_id.isdigit()
            assert item.connector_id == {"enaio": seed.ENAIO_CONNECTOR, "unifier": seed.UNIFIER_CONNECTOR}[item.system]
        folders = {(item.system, item.folder_id) for item in ITEMS}
        assert not folders & {(item.system, item.target_id) for item in ITEMS}

    def test_one_folder_per_place(self) -> None:
        items = seed.items(2000, 5)
        places = {(item.system, item.project, item.folder_path) for item in items}
        assert len(places) == len({(item.system, item.folder_id) for item in items})

    def test_dates_are_in_order(self) -> None:
        shape = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
        for item in seed.items(500, 1):
            assert shape.fullmatch(item.created)
            assert shape.fullmatch(item.modified)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", item.due)
            assert item.created < item.modified < "2026"
            assert item.modified[:10] < item.due[:10]

    def test_trouble(self) -> None:
        for records in (40, 1000):
            items = seed.items(records, 2)
            enaio_kinds = {item.trouble for item in items if item.system == "enaio"}
            assert enaio_kinds == {"", "no_right", "workflow", "locked", "gone", "held", "under_review"}
            assert {item.trouble for item in items if item.system == "unifier"} >= {"", "linked", "locked", "gone"}
        assert sum(1 for item in items if item.trouble) == 1000 // 25 + 333 // 25
        assert not any(item.trouble for item in items if item.due >= "2026")
        assert not any(item.trouble for item in seed.items(24, 2))
