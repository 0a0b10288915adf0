from __future__ import annotations

import errno
import json
import os
import tracemalloc
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_records.evidence import spool
from airflow_provider_records.evidence.long_list import SpooledOutcomes, spooled_records
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.spool import Chosen, Spooled, sorted_items
from airflow_provider_records.evidence.store import Store
from tests.evidence.failing_store import in_memory

KINDS = [
    Outcome("a", OutcomeKind.DESTROYED, Proof.PROBE, time="2026-11-27T10:00:00.000Z"),
    Outcome("b", OutcomeKind.FAILED, reason="zu groß", request_id="7", detail="x", unanswered=True),
    Outcome("a", OutcomeKind.ABSENT, Proof.PROBE, earlier=OutcomeKind.RECYCLED, unrecognized={"more": [1]}),
]


def written(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture
def all_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_KEPT", 0)


@given(
    st.lists(st.text()),
    st.lists(st.integers(-9, 9)),
    st.slices(9),
    st.sampled_from([1, 50, 10**6]),
    st.sampled_from([0, 30, 10**6]),
)
@settings(max_examples=150)
def test_a_spooled_sequence_is_read_as_a_list(
    texts: list[str], places: list[int], part: slice, at_once: int, limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "_KEPT", limit)
        for size in ("_READ_AT_ONCE", "_WRITTEN_AT_ONCE", "_LONGEST_SPAN", "_WORTH_SKIPPING"):
            patch.setattr(spool, size, at_once)
        check_as_a_list(texts, places, part)


def check_as_a_list(texts: list[str], places: list[int], part: slice) -> None:
    spooled: Spooled[str] = Spooled(lambda value: str(value["text"]))
    numbers = [spooled.add(text, written({"text": text})) for text in texts]
    assert numbers == list(range(len(texts)))
    assert (list(spooled), len(spooled), spooled[part]) == (texts, len(texts), texts[part])
    known = [place % len(texts) for place in places] if texts else []
    chosen = Chosen(spooled, known)
    expected = [texts[place] for place in known]
    assert (list(chosen), len(chosen), chosen[part]) == (expected, len(expected), expected[part])
    for place in {place for place in places if -len(texts) <= place < len(texts)}:
        assert spooled[place] == texts[place]
    with pytest.raises(IndexError):
        spooled[len(texts)]
    assert list(sorted_items(spooled, lambda text: text[:1])) == sorted(texts, key=lambda text: text[:1])


@pytest.mark.usefixtures("all_on_disk")
def test_items_of_a_few_regions_are_read_region_by_region(monkeypatch: pytest.MonkeyPatch) -> None:
    read, reads = os.pread, list[int]()

    def counted(file: int, length: int, at: int) -> bytes:
        reads.append(length)
        return read(file, length, at)

    spooled: Spooled[int] = Spooled(int)
    for number in range(50_000):
        spooled.add(number, str(number).rjust(99).encode())
    places = [at + region for at in range(100) for region in (7, 10_007, 20_007, 30_007, 40_007)]
    monkeypatch.setattr(os, "pread", counted)
    assert spooled.at(places) == places
    assert reads == [100 * 100] * 5


@pytest.mark.usefixtures("all_on_disk")
def test_what_the_disk_takes_in_parts_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, line, at: write(file, line[:3], at))
    monkeypatch.setattr(spool, "_WRITTEN_AT_ONCE", 5)
    spooled = Spooled(str)
    for text in ("", "abcdefgh", "xyz"):
        spooled.add(text, written(text))
    assert list(spooled) == ["", "abcdefgh", "xyz"]


@pytest.mark.usefixtures("all_on_disk")
def test_an_item_that_could_not_be_added_moves_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    write, full = os.pwrite, [False, True, False, True, False]

    def fails_sometimes(file: int, line: bytes, at: int) -> int:
        if full and full.pop(0):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, line[:3], at)

    monkeypatch.setattr(os, "pwrite", fails_sometimes)
    monkeypatch.setattr(spool, "_WRITTEN_AT_ONCE", 5)
    spooled, texts, failed = Spooled(str), ["ab", "cd", "ef", "gh", "ij"], 0
    for text in texts:
        while True:
            try:
                spooled.add(text, written(text))
            except OSError:
                failed += 1
            else:
                break
    assert (failed, list(spooled)) == (2, texts)


@pytest.mark.usefixtures("all_on_disk")
def test_an_add_that_is_interrupted_leaves_nothing() -> None:
    class Interrupted(array):  # type: ignore[type-arg]
        def append(self, value: int) -> None:
            raise KeyboardInterrupt

    spooled = Spooled(str)
    spooled.add("ab", written("ab"))
    kept = spooled._ends
    spooled._ends = Interrupted("Q", kept)
    with pytest.raises(KeyboardInterrupt):
        spooled.add("cd", written("cd"))
    spooled._ends = kept
    spooled.add("cd", written("cd"))
    spooled.add("ef", written("ef"))
    assert list(spooled) == ["ab", "cd", "ef"]


@pytest.mark.parametrize("limit", [0, 190, 10**6])
def test_records_and_outcomes_come_back_as_they_were(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_KEPT", limit)
    records = [
        Record("a", "1", "Größe", "Personnel", "/x", "7", "8", {"list": [1, {"a": None}]}, {"n": 1}),
        Record("b", "b"),
    ]
    assert list(spooled_records(Manifest.write(in_memory(), records))) == records
    kept = SpooledOutcomes()
    for outcome in KINDS:
        kept[outcome.key] = outcome
    found = kept.in_order([Record("c", "c"), *records], lambda record: Outcome(record.key, OutcomeKind.NOT_ATTEMPTED))
    assert list(found) == [Outcome("c", OutcomeKind.NOT_ATTEMPTED), KINDS[2], KINDS[1]]
    assert "c" not in kept


@pytest.mark.parametrize("limit", [0, 99, 10**6])
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["put", "drop"]), st.sampled_from(KINDS))))
def test_outcomes_are_kept_as_in_a_dict(limit: int, steps: Sequence[tuple[str, str, Outcome]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "_KEPT", limit)
        check_as_a_dict(steps)


def check_as_a_dict(steps: Sequence[tuple[str, str, Outcome]]) -> None:
    kept, expected = SpooledOutcomes(), dict[str, Outcome]()
    for key, step, kind in steps:
        outcome = Outcome(key, kind.kind, kind.proof, kind.reason)
        if step == "put":
            kept[key] = expected[key] = outcome
        elif key in expected:
            del kept[key], expected[key]
    assert (dict(kept), len(kept)) == (expected, len(expected))
    assert [key in kept for key in "abcdef"] == [key in expected for key in "abcdef"]
    assert kept.get("f") is None
    with pytest.raises(KeyError):
        kept["f"]


@pytest.mark.usefixtures("all_on_disk")
def test_memory_hardly_grows_with_a_list(tmp_path: Path) -> None:
    count = 20_000

    def records() -> Iterator[Record]:
        for number in range(count):
            yield Record(f"the key of a record, {number}", f"id {number}", "a title" * 20, attributes={"a": "b" * 99})

    manifest = Manifest.write(Store(str(tmp_path)), records())
    tracemalloc.start()
    try:
        spooled, outcomes = spooled_records(manifest), SpooledOutcomes()
        for record in spooled:
            outcomes[record.key] = Outcome(record.key, OutcomeKind.BLOCKED, Proof.PROBE, f"held: {record.title}")
        ordered = sorted_items(spooled, lambda record: record.target_id[-1])
        taken = (tracemalloc.get_traced_memory()[0] - 65536 * 40) / count  # without the empty buckets
    finally:
        tracemalloc.stop()
    assert ordered[0].target_id == "id 0"
    assert taken < 80
