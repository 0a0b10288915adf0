"""What the segments of a journal say together, and how one is told from a torn or a changed one.

What a journal writes and reads over several tries is tested in test_journal.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.binding import intended
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.segment import (
    ALIVE,
    INTENTS,
    OBSERVED,
    OPEN,
    OUTCOMES,
    JournalState,
    Segment,
    load_segments,
    order,
    parse_segment,
    render_segment,
    segment_name,
)
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import JournalError, NewerFormatError

FOLDER = "disposals/d/r/t/-1/journal"
HEADER: dict[str, Any] = {
    "session": "s1",
    "started": "2026-11-22T02:00:00+00:00",
    "try": 1,
    "kind": OPEN,
    "seq": 1,
    "prev": "",
    "time": "2026-11-22T02:00:01.000Z",
    "read": {},
    "manifest": "sha256:0",
    "calls_end_within": 130.0,
}
FAILED, UNKNOWN, LEFT = OutcomeKind.FAILED, OutcomeKind.UNKNOWN, OutcomeKind.NOT_ATTEMPTED
DESTROYED, BLOCKED = OutcomeKind.DESTROYED, OutcomeKind.BLOCKED


def state(*segments: Segment) -> JournalState[str]:
    folded = JournalState[str](lambda line: line["outcome"])
    for segment in segments:
        folded.add(segment)
    return folded


def of(kind: str, *lines: Mapping[str, Any], **header: Any) -> Segment:
    return Segment("x", {"kind": kind, **header}, lines, "sha256:0")


def intents(*keys: str) -> Segment:
    return of(INTENTS, *({"key": key} for key in keys))


def observed(*keys: str) -> Segment:
    return of(OBSERVED, *({"key": key} for key in keys))


def outcome(key: str, kind: str, **more: Any) -> Segment:
    return of(OUTCOMES, {"key": key, "outcome": kind, **more})


def test_an_intent_without_an_outcome_leaves_its_key_in_doubt() -> None:
    known = state(intents("a", "b"), outcome("a", "destroyed"))
    assert (known.in_doubt, known.doubtful, known.outcomes) == ({"b"}, {"b"}, {"a": "destroyed"})


@pytest.mark.parametrize("more", [{"outcome": "unknown"}, {"outcome": "failed", "unanswered": True}])
def test_a_call_without_an_answer_is_doubtful_until_a_final_outcome_and_remembered_after(more: dict[str, Any]) -> None:
    lost = of(OUTCOMES, {"key": "a", **more})
    known = state(intents("a"), lost)
    assert (known.in_doubt, known.doubtful, known.unanswered) == (set(), {"a"}, {"a"})
    known = state(intents("a"), lost, intents("a"), outcome("a", "destroyed"))
    assert (known.doubtful, known.unanswered) == (set(), {"a"})


@pytest.mark.parametrize(
    ("kinds", "stands"),
    [
        ([FAILED, DESTROYED], DESTROYED),
        ([DESTROYED, FAILED], DESTROYED),
        ([DESTROYED, UNKNOWN], DESTROYED),
        ([BLOCKED, DESTROYED], DESTROYED),
        ([FAILED, LEFT], LEFT),
        ([UNKNOWN, BLOCKED, LEFT], BLOCKED),
    ],
)
def test_only_a_final_outcome_replaces_a_final_one(kinds: list[OutcomeKind], stands: OutcomeKind) -> None:
    assert state(*(outcome("a", kind) for kind in kinds)).outcomes == {"a": stands}


def test_a_late_outcome_that_does_not_stand_leaves_nothing_doubtful_but_is_remembered() -> None:
    known = state(outcome("a", "destroyed"), outcome("a", "unknown"))
    assert (known.doubtful, known.unanswered) == (set(), {"a"})


def test_an_observation_counts_for_the_calls_of_its_own_try_only() -> None:
    """What was there at the start of an earlier try may have been taken away by somebody since."""
    known = state(observed("a", "b"), intents("a"))
    assert known.observe(set()) == set()
    assert known.observed_before == {"a"}
    assert known.observe({"a", "c"}) == {"c"}
    assert known.observed_before == {"a", "c"}


def test_what_a_later_try_observed_and_did_not_call_for_shows_that_the_earlier_call_did_nothing() -> None:
    first = [observed("a", "b"), intents("a", "b"), of(OPEN)]
    again = [observed("a", "b"), intents("b"), of(OPEN)]
    assert state(*first).observed_before == {"a", "b"}
    assert state(*first).observe({"a", "b"}) == {"a", "b"}, "the journal has it once more"
    known = state(*first, *again)
    assert (known.observed_before, known.doubtful) == ({"b"}, {"a", "b"})


def test_what_stayed_after_a_call_without_an_answer_was_not_removed_by_it() -> None:
    lost = [observed("a"), intents("a"), outcome("a", "unknown", unanswered=True)]
    assert state(*lost, of(OPEN)).observed_before == {"a"}
    assert state(*lost, outcome("a", "unknown", stayed=True), of(OPEN)).observed_before == set()


def test_a_missing_session_stays_named_when_later_sessions_miss_none() -> None:
    assert state(of(OPEN)).missing_session == ""
    assert state(of(OPEN, missing_session="uri"), of(ALIVE), of(OPEN)).missing_session == "uri"


def test_an_outcome_of_a_later_release_is_called_newer() -> None:
    with pytest.raises(NewerFormatError, match="'returned'"):
        state(outcome("a", "returned"))


def test_a_segment_ends_with_the_hash_of_all_before_it() -> None:
    content = render_segment(HEADER, [{"key": "a"}])
    *body, trailer = content.splitlines(keepends=True)
    assert json.loads(trailer) == {"end": hashlib.sha256(b"".join(body)).hexdigest()}
    assert json.loads(body[0]) == {**HEADER, **formats.JOURNAL.members, "lines": 1}
    assert parse_segment("x", content) == Segment(
        "x", {**HEADER, "lines": 1}, [{"key": "a"}], f"sha256:{hashlib.sha256(content).hexdigest()}"
    )


@pytest.mark.parametrize("lines", [[], [{"key": "a"}], [{"key": "a"}, {"key": "end"}]], ids=len)
def test_a_beginning_of_a_segment_is_torn_also_if_zeros_fill_its_end(lines: list[dict[str, Any]]) -> None:
    content = render_segment(HEADER, lines)
    for cut in range(len(content)):
        assert parse_segment("x", content[:cut]) is None
        if content[:cut].count(b"\n") >= len(lines) + 1:
            assert parse_segment("x", content[:cut] + b"\0" * 3) is None


def sealed(*values: Any) -> bytes:
    """Return lines with a trailer that is right for them."""
    body = b"".join(canonical(value) + b"\n" for value in values)
    return body + canonical({"end": hashlib.sha256(body).hexdigest()}) + b"\n"


REQUIRED = ("session", "started", "try", "kind", "seq", "prev", "time", "lines")
FIRST = {**HEADER, **formats.JOURNAL.members, "lines": 1}


@pytest.mark.parametrize(
    "content",
    [
        sealed({**FIRST, "lines": 2}, {"key": "a"}),
        sealed({**FIRST, "lines": 0}, {"key": "a"}),
        sealed({**FIRST, "lines": "1"}, {"key": "a"}),
        sealed({**FIRST, "format": "airflow-records/outcomes"}, {"key": "a"}),
        sealed({**FIRST, "version": 0}, {"key": "a"}),
        *(
            sealed({key: value for key, value in FIRST.items() if key != name}, {"key": "a"})
            for name in HEADER
            if name != "read"
        ),
        sealed(FIRST, {"key": "a"}) + b"\n",
        sealed(FIRST, {"key": "a"}) + b"x",
        sealed(FIRST, {"key": "a"}).replace(b'"a"', b'"b"'),
        sealed(["no", "header"], {"key": "a"}),
        b"\n",
        b"nonsense\n",
    ],
)
def test_what_is_neither_a_segment_nor_the_beginning_of_one_was_changed(content: bytes) -> None:
    with pytest.raises(JournalError, match="The journal was changed: some/name does not match its own hash"):
        parse_segment("some/name", content)


@pytest.mark.parametrize("change", [{"version": 2}, {"kind": "suspended"}], ids=str)
def test_a_segment_of_a_later_release_is_called_newer(change: dict[str, Any]) -> None:
    with pytest.raises(NewerFormatError, match="newer release"):
        parse_segment("x", sealed({**FIRST, **change}, {"key": "a"}))


def put(
    store: Store, *, number: int = 1, lines: Sequence[Mapping[str, Any]] = (), at: str | None = None, **header: Any
) -> str:
    """Publish a segment of a try under its name; return its digest."""
    whole = {**HEADER, "try": number, **header}
    content = render_segment(whole, lines)
    store.write(at or f"{FOLDER}/{whole['session']}/{segment_name(whole['seq'], whole['kind'])}", content)
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_folder_without_segments_is_an_empty_journal(store: Store) -> None:
    assert load_segments(store, FOLDER) == []


def test_sessions_come_in_the_order_of_their_run_and_try(store: Store) -> None:
    for session, started, number in (("a", "2026-11-23", 1), ("b", "2026-11-22", 10), ("c", "2026-11-22", 9)):
        opened = put(store, session=session, started=started, number=number)
        put(store, session=session, started=started, seq=2, kind=ALIVE, prev=opened, number=number)
    found = [(segment.header["session"], segment.header["seq"]) for segment in load_segments(store, FOLDER)]
    assert found == [("c", 1), ("c", 2), ("b", 1), ("b", 2), ("a", 1), ("a", 2)]
    assert order({**HEADER, "try": 9}) < order({**HEADER, "try": 10})


def test_a_session_may_go_on_from_the_last_segment_that_was_confirmed(store: Store) -> None:
    opened = put(store)
    put(store, seq=2, kind=ALIVE, prev=opened)
    put(store, seq=3, kind=INTENTS, prev=opened, lines=[{"key": "a"}])
    assert [segment.header["seq"] for segment in load_segments(store, FOLDER)] == [1, 2, 3]


def test_a_torn_segment_is_left_out(store: Store) -> None:
    put(store)
    store.write(f"{FOLDER}/s1/{segment_name(2, ALIVE)}", render_segment({**HEADER, "seq": 2}, [])[:-9])
    assert [segment.header["seq"] for segment in load_segments(store, FOLDER)] == [1]


@pytest.mark.parametrize(
    "header",
    [
        {"prev": "sha256:0"},
        {"prev": ""},
        {"session": "s2", "at": f"{FOLDER}/s1/{segment_name(2, ALIVE)}"},
        {"at": f"{FOLDER}/s1/{segment_name(3, ALIVE)}"},
        {"at": f"{FOLDER}/s1/{segment_name(2, INTENTS)}"},
    ],
    ids=["another before it", "none before it", "of another session", "other number", "other kind"],
)
def test_a_segment_that_does_not_follow_was_changed(store: Store, header: dict[str, Any]) -> None:
    opened = put(store)
    put(store, **{"seq": 2, "kind": ALIVE, "prev": opened, **header})
    with pytest.raises(JournalError, match="does not follow the segment before it"):
        load_segments(store, FOLDER)


def test_a_session_begins_with_its_opening(store: Store) -> None:
    put(store, kind=ALIVE)
    with pytest.raises(JournalError, match="does not follow the segment before it"):
        load_segments(store, FOLDER)


def test_what_a_later_session_has_read_cannot_vanish(store: Store) -> None:
    opened = put(store)
    put(store, session="s2", read={"s1": opened}, number=2)
    assert len(load_segments(store, FOLDER)) == 2
    put(store, session="s3", read={"s1": "sha256:0"}, number=3)
    with pytest.raises(JournalError, match="session s1 lacks segments that were read before"):
        load_segments(store, FOLDER)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
OUTCOME = {"key": "a", "outcome": "destroyed", "proof": "probe", "time": "2026-11-22T02:00:01.000Z"}
OPTIONAL = [
    *("missing_session", "timeline", "elapsed", "canaries", "system", "target", "begun"),
    *("outcome", "key", "proof", "reason"),
]
LINES = {OPEN: [], OBSERVED: [{"key": "a"}], INTENTS: [{"key": "a"}], ALIVE: [], OUTCOMES: [OUTCOME]}


def forged(member: str, put: Mapping[str, Any], kind: str, line: bool) -> bytes:
    """Return a segment of which a member of the header, or of a line, is missing or of any form; its hash is right."""
    header, lines = {**HEADER, "kind": kind}, [dict(each) for each in LINES[kind]]
    for changed in lines if line else [header]:
        changed.pop(member, None)
        changed.update({member: put[""]} if put else {})
    return render_segment(header, lines)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [
            *HEADER,
            "missing_session",
            "timeline",
            "elapsed",
            "canaries",
            "system",
            "target",
            "begun",
            "outcome",
            "key",
            "proof",
            "reason",
        ]
    ),
    st.just({}) | st.fixed_dictionaries({"": ANYTHING}),
    st.sampled_from(sorted(LINES)),
    st.booleans(),
)
def test_what_is_forged_is_called_changed_or_newer_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, member: str, put: Mapping[str, Any], kind: str, line: bool
) -> None:
    """All that reads a journal, over a segment with a hash of its own: no other error than the two that are known."""
    store = Store(str(tmp_path_factory.mktemp("forged")))
    opened = render_segment({**HEADER, "seq": 0}, [])
    content = forged(member, put, kind, line)
    if kind == OPEN:
        store.write(f"{FOLDER}/s1/{segment_name(1, OPEN)}", content)
    else:
        store.write(f"{FOLDER}/s1/{segment_name(0, OPEN)}", opened)
        chained = json.loads(content.splitlines()[0]) | {"prev": f"sha256:{hashlib.sha256(opened).hexdigest()}"}
        if member != "prev" and not line:
            chained.pop("format"), chained.pop("version"), chained.pop("lines")
            content = render_segment(chained, LINES[kind])
        store.write(f"{FOLDER}/s1/{segment_name(1, kind)}", content)
    try:
        found = load_segments(store, FOLDER)
        intended(found)
        folded = JournalState(Outcome.from_dict)
        for segment in found:
            folded.add(segment)
        Journal(store, TaskFolder("disposals/d/r/t/-1"), "sha256:0", started="2027", try_number=1)
    except (JournalError, NewerFormatError):
        pass
