"""The file that names what a listing task set aside."""

from __future__ import annotations

import json

import pytest

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.set_aside import LeftOut, OddRow, SetAside
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, NewerFormatError

DIGEST = "sha256:" + "a" * 64


def test_what_is_written_is_read_back_for_its_run_only(store: Store) -> None:
    rows = [OddRow("a ", "blanks"), OddRow("b", "twice", unrecognized={"since": "3.0"})]
    uri = SetAside(DIGEST, "night", "r/1", "due", 3, unrecognized={"more": 1}).write(store, iter(rows))
    SetAside(DIGEST, "night", "r/2", "due").write(store, rows)
    (found,) = SetAside.of_run(store, "night", "r/1")
    assert found == SetAside(DIGEST, "night", "r/1", "due", 3, uri, {"more": 1})
    assert list(found.rows(store)) == rows
    assert SetAside.of_run(store, "night", "other") == []


def test_each_iteration_of_a_loop_keeps_its_own(store: Store) -> None:
    for iteration in (0, 1):
        SetAside(DIGEST, "night", "r", "due", iteration=iteration).write(store, [OddRow("a", "odd")])
    assert sorted(each.iteration for each in SetAside.of_run(store, "night", "r")) == [0, 1]


def test_a_changed_file_is_not_read(store: Store) -> None:
    name = store.name(SetAside(DIGEST, "night", "r", "due").write(store, [OddRow("a", "odd")]))
    store.write(name, store.read(name).replace(b'"odd"', b'"ood"'))
    (found,) = SetAside.of_run(store, "night", "r")
    with pytest.raises(EvidenceError, match="was changed"):
        list(found.rows(store))


@pytest.mark.parametrize(
    ("first", "error", "said"),
    [
        ({"version": 2}, NewerFormatError, "newer release"),
        ({"format": "airflow-records/manifest"}, EvidenceError, "is no set-aside"),
        ({"digest": None}, EvidenceError, "does not say which task"),
        ({"map_index": True}, EvidenceError, "does not say which task"),
        ({"iteration": "1"}, EvidenceError, "does not say which task"),
    ],
)
def test_a_file_of_another_form_is_not_read(
    store: Store, first: dict[str, object], error: type[Exception], said: str
) -> None:
    members = {"digest": DIGEST, "dag_id": "night", "run_id": "r", "task_id": "due", "map_index": -1}
    line = json.dumps({**members, **formats.SET_ASIDE.members, **first}).encode()
    store.write_lines("set_aside/night/r", line + b"\n", [])
    with pytest.raises(error, match=said):
        SetAside.of_run(store, "night", "r")


@pytest.mark.parametrize("line", [b"{}\n", b'{"row":1,"reason":"x"}\n', b"[]\n", b"7\n"])
def test_a_line_that_is_no_row_is_said(store: Store, line: bytes) -> None:
    SetAside(DIGEST, "night", "r", "due").write(store, [])
    (name,) = store.names("set_aside")
    store.write_lines("set_aside/night/r", store.read(name), [line])
    found = next(each for each in SetAside.of_run(store, "night", "r") if store.name(each.uri) != name)
    with pytest.raises(EvidenceError, match="a line is no"):
        list(found.rows(store))


def test_the_reasons_are_counted_for_the_lists_that_are_asked_for(store: Store) -> None:
    held = OddRow("d", "on hold: lawsuit (os:anna)", f"holds/hold-{'0' * 32}-{'1' * 64}.json")
    rows = [OddRow("a", "twice"), OddRow("b", "blanks"), held, OddRow("c", "blanks")]
    SetAside(DIGEST, "night", "r", "due").write(store, rows)
    SetAside("sha256:" + "b" * 64, "night", "r", "due").write(store, rows)
    found = LeftOut.of(store, "night", "r", {DIGEST})
    assert list(found.odd.items()) == [("blanks", 2), ("twice", 1)]
    assert found.held == [held]
    assert LeftOut.of(store, "night", "other", {DIGEST}) == LeftOut(held=[])
