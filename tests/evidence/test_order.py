"""The form of an order's file."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.order import Covered, Order, order_name
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, NewerFormatError
from tests.evidence.schemas import assert_store_valid

TASK = Covered("delete", "enaio", "destroy", "https://enaio.example.org/api/dms", "enaio_default", "enaio")
TIMES: dict[str, Any] = {"asked_at": "2026-11-22T06:58:00.000Z", "valid_until": "2026-12-22T06:58:00.000Z"}
ORDER = Order(f"sha256:{'1' * 64}", [TASK], "night", "r1", **TIMES)
DUE_LIST = DueList("opus_default", "https://opus.example.org", "c1", "2026-11-21T12:00:00")


def planted(store: Store, members: dict[str, Any]) -> str:
    content = canonical(members) + b"\n"
    digest = hashlib.sha256(content).hexdigest()
    store.write(f"orders/{digest}.json", content)
    return f"sha256:{digest}"


@pytest.mark.parametrize(
    "order",
    [
        ORDER,
        Order(
            ORDER.digest,
            [Covered("", "opus", "mark", "https://o", "o"), TASK],
            "night",
            "r1",
            **TIMES,
            due_list=DUE_LIST,
        ),
    ],
)
def test_an_order_is_read_as_it_was_written(store: Store, order: Order) -> None:
    uri = order.write(store)
    assert store.name(uri) == order_name(order.id)
    assert Order.read(store, order.id) == order
    assert assert_store_valid(store) == 1


def test_unknown_members_are_kept(store: Store) -> None:
    members = {
        **formats.ORDER.members,
        **ORDER.to_dict(),
        "why": ["x"],
        "due_list": {**DUE_LIST.to_dict(), "zone": "UTC"},
    }
    members["tasks"] = [{**TASK.to_dict(), "pool": "p"}]
    digest = planted(store, members)
    read = Order.read(store, digest)
    assert (read.unrecognized, read.tasks[0].unrecognized) == ({"why": ["x"]}, {"pool": "p"})
    assert read.id == digest


def test_every_changed_byte_is_found(store: Store) -> None:
    name = store.name(ORDER.write(store))
    content = store.read(name)
    for place in range(len(content)):
        store.write(name, content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(EvidenceError, match="was changed"):
            Order.read(store, ORDER.id)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "airflow-records/approval"},
        {"digest": ""},
        {"dag_id": 7},
        {"run_id": None},
        {"asked_at": "2026-11-22T06:58:00"},
        {"valid_until": "for ever"},
        {"tasks": []},
        {"tasks": {}},
        {"tasks": ["delete"]},
        {"tasks": [{**TASK.to_dict(), "target": ""}]},
        {"tasks": [{**TASK.to_dict(), "task_id": 7}]},
        {"tasks": [{"task_id": "delete"}]},
        {"due_list": []},
        {"due_list": {"conn_id": "opus_default"}},
    ],
)
def test_what_is_not_of_its_form_is_no_order(store: Store, change: dict[str, Any]) -> None:
    with pytest.raises(EvidenceError, match="is no order"):
        Order.read(store, planted(store, {**formats.ORDER.members, **ORDER.to_dict(), **change}))


@pytest.mark.parametrize("change", [{"version": 2}, {"tasks": [{**TASK.to_dict(), "method": "return"}]}])
def test_a_later_release_is_called_newer(store: Store, change: dict[str, Any]) -> None:
    with pytest.raises(NewerFormatError, match="newer release"):
        Order.read(store, planted(store, {**formats.ORDER.members, **ORDER.to_dict(), **change}))


@pytest.mark.parametrize("digest", ["", "sha256:", "../../etc/passwd", f"sha256:{'x' * 64}", f"md5:{'1' * 64}"])
def test_a_name_that_is_no_digest_is_not_looked_up(store: Store, digest: str) -> None:
    with pytest.raises(EvidenceError, match="which is no digest"):
        Order.read(store, digest)
