from __future__ import annotations

import contextlib
import itertools
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.clock import elapsed, timeline
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.segment import INTENTS, OUTCOMES, load_segments, parse_segment, render_segment
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, JournalError, NewerFormatError
from tests.evidence.failing_store import FailingStore, Killed, failing_store, in_memory

FOLDER = TaskFolder.of("night", "run", "delete", -1)
LIST = "sha256:" + "1" * 64
STARTED = "2026-11-22T02:00:00+00:00"
D = OutcomeKind.DESTROYED


def opened(store: Store, number: int = 1, **options: Any) -> Journal:
    return Journal(store, FOLDER, **{"manifest": LIST, "started": STARTED, "try_number": number, **options})


def outcome(key: str, result: OutcomeKind = D, **fields: Any) -> Outcome:
    return Outcome(key, result, Proof.RESPONSE if result.gone else None, time="2026-11-22T02:00:00.000Z", **fields)


def written(store: Store) -> Journal:
    """One session with two chunks, of which the second has no outcomes yet."""
    journal = opened(store)
    journal.record_observed({"a", "b"})
    journal.intend(["a", "b"])
    journal.record([outcome("a"), outcome("b", OutcomeKind.BLOCKED, reason="gesperrt: Übergabe")])
    journal.intend(["c"])
    return journal


def segments(store: Store) -> list[str]:
    return store.names(f"{FOLDER.path}/journal")


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path)) if request.param == "folder" else in_memory()


def test_a_later_try_knows_what_an_earlier_one_has_written(store: Store) -> None:
    written(store)
    journal = opened(store, 2)
    assert journal.resumed
    assert journal.state.outcomes == {
        "a": outcome("a"),
        "b": outcome("b", OutcomeKind.BLOCKED, reason="gesperrt: Übergabe"),
    }
    assert journal.state.in_doubt == {"c"}
    assert journal.state.observed_before == {"a", "b"}
    kinds = [segment.header["kind"] for segment in load_segments(store, journal.folder)]
    assert kinds == ["open", "observed", "intents", "outcomes", "intents", "open"]
    assert not opened(in_memory()).resumed


def test_what_a_try_writes_it_knows_itself(store: Store) -> None:
    journal = written(store)
    assert journal.state.outcomes["a"] == outcome("a")
    journal.record([])
    assert len(segments(store)) == 5


def test_what_a_try_saw_stands_for_its_own_calls_only(store: Store) -> None:
    first = opened(store)
    first.record_observed({"a", "b", "c"})
    first.intend(["a"])
    second = opened(store, 2)
    second.record_observed({"c"})
    second.intend(["b"])
    assert second.state.observed_before == opened(store, 3).state.observed_before == {"a", "c"}
    third = opened(store, 3)
    third.record_observed(set())
    assert third.state.observed_before == opened(store, 4).state.observed_before == {"a"}


def test_intents_are_on_storage_when_intend_returns(store: Store) -> None:
    journal = opened(store)
    assert not journal.holds_lease()
    journal.intend(["a"])
    assert journal.holds_lease()
    assert [line["key"] for line in load_segments(store, journal.folder)[-1].lines] == ["a"]


@pytest.mark.parametrize(
    ("results", "stands"),
    [
        ([OutcomeKind.FAILED, D], D),
        ([D, OutcomeKind.FAILED], D),
        ([OutcomeKind.UNKNOWN, OutcomeKind.FAILED], OutcomeKind.FAILED),
        ([OutcomeKind.BLOCKED, D], D),
        ([OutcomeKind.BLOCKED, OutcomeKind.NOT_ATTEMPTED], OutcomeKind.BLOCKED),
    ],
)
def test_the_last_final_outcome_stands(results: list[OutcomeKind], stands: OutcomeKind) -> None:
    store = in_memory()
    for number, result in enumerate(results, 1):
        journal = opened(store, number)
        journal.intend(["a"])
        journal.record([outcome("a", result)])
    assert opened(store, 9).state.outcomes["a"].kind is stands
    assert opened(store, 9).state.unanswered == ({"a"} if OutcomeKind.UNKNOWN in results else set())


def test_another_list_is_refused_with_the_way_out_and_leaves_no_trace(store: Store) -> None:
    written(store)
    before = segments(store)
    with pytest.raises(JournalError, match=r"has already worked on the list sha256:11.*Start a new DAG run"):
        opened(store, 2, manifest="sha256:" + "2" * 64)
    assert segments(store) == before
    assert opened(store, 2).state.in_doubt == {"c"}


# Lost


def lose(session: str) -> None:
    """Take a session out of its folder, as if it had been written elsewhere."""
    shutil.rmtree(session.removeprefix("file://"))


def test_the_newest_session_is_missed_though_older_ones_are_there(tmp_path: Path) -> None:
    """Two workers whose evidence lies under the same path of two disks."""
    store = Store(str(tmp_path))
    first = written(store)
    second = opened(store, 2, expected=first.uri)
    assert not second.state.missing_session
    lose(second.uri)
    third = opened(store, 3, call_seconds=30.0, expected=second.uri)
    assert third.state.missing_session == second.uri
    assert third._settled_at > elapsed() + 30
    assert opened(store, 4, expected=third.uri).state.missing_session == second.uri


def test_sessions_that_were_read_are_missed_behind_the_newest(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    first = written(store)
    second = opened(store, 2, expected=first.uri)
    lose(first.uri)
    with pytest.raises(JournalError, match="lacks segments that were read before"):
        opened(store, 3, expected=second.uri)


@pytest.mark.parametrize("after", [False, True])
def test_a_try_killed_while_it_opens_is_no_loss(after: bool, store: Store) -> None:
    """Its name is kept only once its first segment is there, and nothing is sent before."""
    hint = opened(store).uri

    write = store.write

    def killed(name: str, content: bytes) -> str:
        if after:
            write(name, content)
        raise Killed

    with contextlib.suppress(Killed), pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "write", killed)
        hint = opened(store, 2, expected=hint).uri
    third = opened(store, 3, expected=hint)
    assert not third.state.missing_session
    assert third._settled_at == -math.inf
    assert not opened(store, 4, expected=third.uri).state.missing_session


# Torn and changed


def test_a_torn_end_is_left_out_wherever_it_is_cut() -> None:
    store = in_memory()
    written(store)
    name = segments(store)[-1]
    content = store.read(name)
    for cut in range(len(content)):
        for rest in (b"", b"\0" * 7):
            store.write(name, content[:cut] + rest)
            journal = [segment.name for segment in load_segments(store, f"{FOLDER.path}/journal")]
            assert journal == segments(store)[:-1], cut
    store.write(name, content[: len(content) // 2])
    assert opened(store, 2).state.in_doubt == set()


def test_every_changed_byte_of_every_segment_is_told_from_a_torn_end() -> None:
    store = in_memory()
    written(store)
    for name in segments(store):
        content = store.read(name)
        for place, bit in itertools.product(range(len(content)), range(8)):
            changed = content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
            newer = any(
                b'"version":%d}' % number in changed or b'"version":%d,' % number in changed for number in range(2, 10)
            )
            with pytest.raises(NewerFormatError if newer else JournalError, match="newer" if newer else "was changed"):
                parse_segment(name, changed)
        assert parse_segment(name, content) is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content + b"\n",
        lambda content: content + b"x",
        lambda content: content + content,
        lambda content: content + b'{"key":"d"}\n',
        lambda content: b"\n" + content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: b"".join(content.splitlines(keepends=True)[::-1]),
        lambda content: b"".join(content.splitlines(keepends=True)[1:]),
        lambda content: b"null\n" + content,
        lambda content: b"[]\n",
        lambda content: b'{"end":"x"}\n',
        lambda content: b"[" * 100_000 + b"\n" + content,
    ],
)
def test_what_is_added_or_moved_is_found(change: Callable[[bytes], bytes]) -> None:
    store = in_memory()
    written(store)
    for name in segments(store):
        content = store.read(name)
        store.write(name, change(content))
        with pytest.raises(JournalError, match="was changed"):
            load_segments(store, f"{FOLDER.path}/journal")
        store.write(name, content)


def test_a_segment_forged_with_a_hash_of_its_own_breaks_the_chain() -> None:
    store = in_memory()
    written(store)
    name = next(name for name in segments(store) if OUTCOMES in name)
    segment = parse_segment(name, store.read(name))
    assert segment is not None
    forged = [{**line, "outcome": "destroyed"} for line in segment.lines]
    store.write(name, render_segment(segment.header, forged))
    with pytest.raises(JournalError, match="does not follow"):
        load_segments(store, f"{FOLDER.path}/journal")


@pytest.mark.parametrize("place", range(4))
def test_a_missing_segment_is_found(place: int, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    written(store)
    (tmp_path / segments(store)[place]).unlink()
    with pytest.raises(JournalError, match="does not follow"):
        load_segments(store, f"{FOLDER.path}/journal")


@pytest.mark.parametrize("place", range(4))
def test_a_segment_cut_off_though_others_follow_is_found(place: int) -> None:
    store = in_memory()
    written(store)
    name = segments(store)[place]
    store.write(name, store.read(name)[:-10])
    with pytest.raises(JournalError, match="does not follow"):
        load_segments(store, f"{FOLDER.path}/journal")


@pytest.mark.parametrize("cut", [None, -1, -10, 0])
def test_an_end_that_a_later_try_has_read_cannot_vanish(cut: int | None, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    written(store)
    name = segments(store)[-1]
    opened(store, 2)
    if cut is None:
        (tmp_path / name).unlink()
    else:
        store.write(name, store.read(name)[:cut])
    with pytest.raises(JournalError, match="lacks segments that were read before"):
        opened(store, 3)


def test_a_segment_of_another_session_or_under_another_name_is_found(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    written(store)
    other = in_memory()
    written(other)
    for name, source in [(segments(store)[1], segments(other)[1]), (segments(store)[-1], segments(other)[-1])]:
        content = store.read(name)
        store.write(name, other.read(source))
        with pytest.raises(JournalError, match="does not follow"):
            load_segments(store, f"{FOLDER.path}/journal")
        store.write(name, content)
    last = tmp_path / segments(store)[-1]
    last.rename(last.with_name("000009-intents.jsonl"))
    with pytest.raises(JournalError, match="does not follow"):
        load_segments(store, f"{FOLDER.path}/journal")


def test_a_foreign_file_that_is_no_segment_is_found_or_left_out() -> None:
    store = in_memory()
    written(store)
    store.write(f"{FOLDER.path}/journal/README", b"hello")
    load_segments(store, f"{FOLDER.path}/journal")
    store.write(f"{FOLDER.path}/journal/x/README", b"hello\n")
    with pytest.raises(JournalError, match="was changed"):
        load_segments(store, f"{FOLDER.path}/journal")


@given(st.binary(max_size=200))
def test_any_bytes_are_torn_or_changed_or_a_segment(content: bytes) -> None:
    try:
        assert parse_segment("x", content) is None
    except JournalError:
        assert b"\n" in content


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8")),
        st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
        max_size=4,
    ),
    st.lists(st.fixed_dictionaries({"key": st.text(st.characters(codec="utf-8"))}), max_size=5),
)
def test_what_is_rendered_is_parsed(extra: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    known = {"session": "s", "started": "", "try": 1, "seq": 0, "prev": "", "time": "2026-11-22T02:00:00Z"}
    header = {**extra, **known, "kind": "intents"}
    segment = parse_segment("x", render_segment(header, lines))
    assert segment is not None
    assert dict(segment.header) == {**header, "lines": len(lines)}
    assert list(segment.lines) == lines


# Writes that fail


def failing(at: int, after: bool) -> FailingStore:
    def on_write(number: int, done: bool) -> None:
        if (number, done) == (at, after):
            raise EvidenceError("the store fails on command")

    return failing_store(on_write)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [2, 3, 4, 5])
def test_a_session_goes_on_after_a_write_of_which_nobody_knows(at: int, after: bool) -> None:
    store = failing(at, after)
    journal = opened(store)
    steps: list[Callable[[], None]] = [
        lambda: journal.record_observed({"a"}),
        lambda: journal.intend(["a", "b"]),
        lambda: journal.record([outcome("a")]),
        lambda: journal.intend(["c"]),
    ]
    for number, step in enumerate(steps, 2):
        if number == at:
            with pytest.raises(EvidenceError):
                step()
        step()
    newer = opened(store, 2)
    assert newer.state.outcomes == {"a": outcome("a")}
    assert newer.state.in_doubt == {"b", "c"}


@pytest.mark.parametrize("cut", [0, 20, -3])
def test_a_session_goes_on_after_a_torn_write(cut: int) -> None:
    store = in_memory()
    write = store.write
    journal = opened(store)

    def torn(name: str, content: bytes) -> str:
        write(name, content[:cut])
        raise EvidenceError("the disk is full")

    store.write = torn  # type: ignore[method-assign]
    with pytest.raises(EvidenceError):
        journal.intend(["a"])
    assert not journal.holds_lease()
    store.write = write  # type: ignore[method-assign]
    journal.intend(["b"])
    journal.record([outcome("b")])
    newer = opened(store, 2)
    assert newer.state.outcomes == {"b": outcome("b")}
    assert newer.state.in_doubt == set()


def test_a_start_that_could_not_be_written_is_no_start() -> None:
    for after in (False, True):
        store = failing(1, after)
        with pytest.raises(EvidenceError):
            opened(store)
        opened(store)
        opened(store, 2).intend(["a"])


# More than one at a time


def test_a_newer_try_ends_an_older_one_before_its_next_chunk(store: Store) -> None:
    older = written(store)
    newer = opened(store, 2)
    with pytest.raises(JournalError, match=r"A newer try of this task .* has taken over"):
        older.intend(["d"])
    newer.intend(["c"])
    older.record([outcome("c")])
    newer.intend(["d"])
    newer.record([outcome("c"), outcome("d")])
    third = opened(store, 3)
    assert set(third.state.outcomes) == {"a", "b", "c", "d"}
    assert third.state.in_doubt == set()


def test_a_right_that_was_had_before_ends_by_itself() -> None:
    now = 1_800_000_000.0
    journal = opened(in_memory(), steady=lambda: now)
    journal.intend(["a"])
    now += 9.9
    assert journal.holds_lease()
    now += 0.2
    assert not journal.holds_lease()
    journal.keep_alive()
    assert journal.holds_lease()


@pytest.mark.parametrize("jump", [-3600.0, 600.0])
def test_a_right_ends_in_time_though_the_clock_of_the_machine_is_set(jump: float) -> None:
    wall, passed = 1_800_000_000.0, 50.0
    journal = opened(in_memory(), clock=lambda: wall, steady=lambda: passed)
    journal.intend(["a"])
    wall += jump
    assert journal.holds_lease()
    passed += 10.1
    assert not journal.holds_lease()


def test_the_right_is_renewed_only_when_half_of_it_is_over() -> None:
    now = 1_800_000_000.0
    store = in_memory()
    journal = opened(store, steady=lambda: now)
    journal.intend(["a"])
    now += 4
    journal.keep_alive()
    assert len(segments(store)) == 2
    now += 2
    journal.keep_alive()
    assert len(segments(store)) == 3


def test_processes_of_one_machine_share_a_timeline() -> None:
    code = "from airflow_provider_records.evidence.clock import *; print(timeline(), elapsed(), sep='|')"
    before = elapsed()
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    name, seconds = other.split("|")
    assert name == timeline() != ""
    assert before < float(seconds) < elapsed()


def test_an_older_try_that_opens_late_is_refused_and_leaves_no_trace(store: Store) -> None:
    newer = opened(store, 2)
    before = segments(store)
    with pytest.raises(JournalError, match="has taken over"):
        opened(store, 1)
    assert segments(store) == before
    newer.intend(["a"])


def test_a_run_created_anew_under_the_same_id_is_newer_though_it_is_at_its_first_try(store: Store) -> None:
    old = opened(store, 3)
    old.intend(["a"])
    new = opened(store, 1, started="2026-11-23T02:00:00+00:00")
    assert new.state.in_doubt == {"a"}
    new.intend(["b"])
    with pytest.raises(JournalError, match="has taken over"):
        old.intend(["c"])
    with pytest.raises(JournalError, match="has taken over"):
        opened(store, 4)


@pytest.mark.parametrize("at", [(1, False), (1, True)])
@pytest.mark.parametrize("other_try", [1, 2])
def test_of_two_that_open_at_the_same_moment_one_goes_on_and_knows_all(at: tuple[int, bool], other_try: int) -> None:
    """The second one opens, and intends something, while the first one is about to say that it has started."""
    others: list[Journal] = []

    def on_write(number: int, done: bool) -> None:
        if (number, done) == at and not others:
            others.append(opened(store, other_try))
            sent.extend(intend(others[0], ["b"]))

    def intend(journal: Journal, keys: list[str]) -> list[str]:
        try:
            journal.intend(keys)
        except JournalError:
            return []
        return keys

    sent: list[str] = []
    store = failing_store(on_write)
    first = None
    with contextlib.suppress(JournalError):
        first = opened(store, 1)
    if first is not None:
        assert set(sent) <= first.state.in_doubt
        sent += intend(first, ["a"])
    late = intend(others[0], ["c"])
    assert (first is None) == bool(late) or "a" not in sent
    assert "a" in sent or late
    assert not ("a" in sent and late)


def test_intents_that_come_between_reading_and_starting_are_read() -> None:
    """Without a second look, they would be sent by the older try, and again by the newer one."""
    store = failing_store(lambda *_: None)
    older = opened(store, 1)
    sent: list[str] = []

    def on_write(number: int, done: bool) -> None:
        store.on_write = lambda *_: None
        older.intend(["a"])
        sent.append("a")

    store.on_write = on_write
    newer = opened(store, 2)
    assert newer.state.in_doubt == set(sent) == {"a"}
    assert newer.seconds_until_settled() >= 0
    newer.intend(["b"])
    with pytest.raises(JournalError):
        older.intend(["c"])


def test_a_start_that_is_only_half_there_ends_nobody() -> None:
    store = in_memory()
    journal = opened(store)
    content = store.read(segments(store)[0])
    for cut in (0, 10, len(content) - 1):
        store.write(f"{FOLDER.path}/journal/0009-0009-ffffffff/000000-open.jsonl", content[:cut])
        journal.intend(["a"])


def test_the_fence_costs_no_reading_of_old_segments() -> None:
    store = in_memory()
    journal = opened(store)
    reads: list[str] = []
    read = store.read
    store.read = lambda name: (reads.append(name), read(name))[1]  # type: ignore[method-assign, func-returns-value]
    store.names = lambda folder: pytest.fail("lists all segments")  # type: ignore[method-assign]
    for number in range(5):
        journal.intend([str(number)])
    assert reads == []


def test_a_line_is_canonical_and_a_header_says_what_it_is() -> None:
    store = in_memory()
    journal = written(store)
    for segment in load_segments(store, journal.folder):
        lines = store.read(segment.name).splitlines(keepends=True)
        assert all(canonical(json.loads(line)) + b"\n" == line for line in lines)
        assert segment.header["try"] == 1
        assert segment.header["started"] == STARTED
        assert segment.name.endswith(f"/{segment.header['seq']:06}-{segment.header['kind']}.jsonl")
    assert [s.header["kind"] for s in load_segments(store, journal.folder)].count(INTENTS) == 2
