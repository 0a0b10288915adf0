"""Which records a reviewer withholds, one a line; and that the approved list lacks exactly these records."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.hold import Hold, Reason
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import AnswerError, ApprovalError
from tests.evidence import evidence_factory
from tests.evidence.failing_store import in_memory
from tests.faults.chance import examples

KEYS = ["enaio-1", "enaio-2", "a:b", "https://host/x?y=1", "Ünï 3", "k:", "two words"]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest.write(Store(str(tmp_path)), KEYS)


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("", {}),
        (" \n\t\r\n\n", {}),
        ("enaio-1: still needed", {"enaio-1": "still needed"}),
        ("enaio-1:still needed", {"enaio-1": "still needed"}),
        ("  enaio-1  :  still  needed  ", {"enaio-1": "still  needed"}),
        ("enaio-2: b\r\nenaio-1: a\r\n", {"enaio-1": "a", "enaio-2": "b"}),
        ("enaio-2: b\renaio-1: a", {"enaio-1": "a", "enaio-2": "b"}),
        ("enaio-1: court: 7 O 12/26", {"enaio-1": "court: 7 O 12/26"}),
        ("a:b: why", {"a:b": "why"}),
        ("https://host/x?y=1: why: so", {"https://host/x?y=1": "why: so"}),
        ("Ünï 3: Prüfung", {"Ünï 3": "Prüfung"}),
        ("k:: why", {"k:": "why"}),
        ("two words: why", {"two words": "why"}),
        ("enaio-1: " + "x:" * 30_000, {"enaio-1": "x:" * 30_000}),
    ],
)
def test_what_is_read(manifest: Manifest, text: str, reasons: dict[str, str]) -> None:
    assert withheld.parse(text, manifest) == reasons


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("enaio-9: why", "'enaio-9: why' names no record"),
        ("enaio: why", "names no record"),
        ("ENAIO-1: why", "names no record"),
        ("enaio-1 why", "names no record"),
        ("enaio-1, enaio-2: why", "names no record"),
        ("a: why", "names no record"),
        (": why", "names no record"),
        (":", "names no record"),
        ("enaio-1", "'enaio-1' has no reason"),
        ("enaio-1:", "has no reason"),
        ("enaio-1 : ", "has no reason"),
        ("a:b", "'a:b' has no reason"),
        ("k:", "'k:' has no reason"),
        ("enaio-1: a\nenaio-1: a", "'enaio-1' is named twice"),
        ("enaio-1: a\nenaio-9: b", "'enaio-9: b' names no record"),
        ("x" * 10**6, "'x{120}…' names no record"),
        (":" * 10**6, "names no record"),
    ],
)
def test_what_is_refused(manifest: Manifest, text: str, words: str) -> None:
    with pytest.raises(ApprovalError, match=words):
        withheld.parse(text, manifest)


def test_a_line_that_may_mean_two_records_is_refused(tmp_path: Path) -> None:
    both = Manifest.write(Store(str(tmp_path)), ["a", "a:b"])
    assert withheld.parse("a: why", both) == {"a": "why"}
    with pytest.raises(ApprovalError, match="may mean 'a' or 'a:b'"):
        withheld.parse("a:b: why", both)


# What the parts of a line are made of: every mark that separates, so that keys and reasons hold them too.
PIECES = st.lists(st.sampled_from(["a", "b", "1", ":", ";", " until ", "2027-06-30", " ", "ü", "/"]), min_size=1)
KEY = PIECES.map("".join).map(str.strip).filter(bool)
DAYS = st.none() | st.dates(min_value=date(2000, 1, 1)).map(date.isoformat)


@examples(100)
@given(st.lists(KEY, min_size=1, max_size=6, unique=True), st.data())
def test_any_line_names_the_meant_record_or_is_refused(keys: list[str], data: st.DataObject) -> None:
    """Never another record than the one that was meant, never a line that is passed over."""
    store = in_memory()
    listed = Manifest.write(store, [{"key": key} for key in keys])
    meant = data.draw(st.lists(st.tuples(st.sampled_from(keys), KEY, DAYS), unique_by=lambda each: each[0]))
    lines = [f"{key}: {why}" + (f"; until {day}" if day else "") for key, why, day in meant]
    blanks = data.draw(st.sampled_from(["", "\n", "\r\n", " \n"]))
    try:
        reasons = withheld.parse(f"\n{blanks}".join(lines), listed)
    except AnswerError:
        both = [
            line for line in lines if sum(bool(re.fullmatch(rf"{re.escape(key)} *(:.*)?", line)) for key in keys) > 1
        ]
        assert both or [why for _, why, _ in meant if "until" in why], (
            "neither ambiguous nor with a last day that is none"
        )
        return
    assert list(reasons) == [key for key, _, _ in meant]
    for key, why, day in meant:
        if day:
            assert withheld.reason_of(reasons[key]) == Reason(why.strip(), day)
        else:
            assert reasons[key] == why


@examples(100)
@given(PIECES.map("".join))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    store = in_memory()
    listed = Manifest.write(store, [{"key": "a", "classification": "b"}, {"key": "a:b"}])
    for read in (withheld.parse, withheld.parse_classes):
        try:
            found = read(text, listed)
        except AnswerError:
            continue
        assert bool(found) == bool(text.strip())
        assert all(withheld.reason_of(reason).text for reason in found.values())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("court hold; until 2027-06-30", Reason("court hold", "2027-06-30")),
        ("Klage; bis 2027-06-30", Reason("Klage", "2027-06-30")),
        ("rechtszaak; tot 2027-06-30", Reason("rechtszaak", "2027-06-30")),
        ("Klage; bis das Gericht entscheidet", Reason("Klage; bis das Gericht entscheidet")),
        ("court hold;until  2027-06-30 ", Reason("court hold", "2027-06-30")),
        ("court hold ; UNTIL 2027-06-30", Reason("court hold", "2027-06-30")),
        ("a; b; until 2027-06-30", Reason("a; b", "2027-06-30")),
        ("court hold until 2027-06-30", Reason("court hold until 2027-06-30")),
        ("court hold; until the court has decided", Reason("court hold; until the court has decided")),
        ("a; until 2027-06-30; b", Reason("a; until 2027-06-30; b")),
        ("a; untilled 2027", Reason("a; untilled 2027")),
    ],
)
def test_the_last_day_behind_a_reason(text: str, reason: Reason) -> None:
    assert withheld.reason_of(text) == reason


@pytest.mark.parametrize("day", ["30.06.2027", "2027-06-31", "20270630", "2027-W26-3", "06/30/2027", "2027", "3 p.m."])
def test_a_last_day_that_is_none_is_refused(manifest: Manifest, day: str) -> None:
    with pytest.raises(AnswerError, match="the last day of 'enaio-1' cannot be read"):
        withheld.parse(f"enaio-1: why; until {day}", manifest)


def test_a_class_is_all_of_its_records(tmp_path: Path) -> None:
    classes = {"a": "Finance", "b": "Finance: tax", "c": "Finance: tax", "d": None, "e": "Two  words"}
    listed = Manifest.write(
        Store(str(tmp_path)), [{"key": key, "classification": name} for key, name in classes.items()]
    )
    assert withheld.parse_classes("Finance: why", listed) == {"a": "all of Finance: why"}
    assert withheld.parse_classes("Two words: why", listed) == {"e": "all of Two words: why"}
    for text, words in (
        ("finance: why", "names no class of this list"),
        ("none: why", "names no class of this list"),
        ("Two words", "'Two words' has no reason"),
        ("Two words: a\nTwo words: b", "is named twice"),
        ("Finance: tax: why", "may mean 'Finance' or 'Finance: tax'"),
    ):
        with pytest.raises(AnswerError, match=words):
            withheld.parse_classes(text, listed)


def test_what_is_brought_back() -> None:
    holds = [Hold(key, "why", "airflow:anna", "2026-11-22T09:30:00.000Z") for key in ("a", "a:b", "c d")]
    assert withheld.parse_back("a\n c d : settled \n", holds) == {"a": "", "c d": "settled"}
    assert withheld.parse_back(" \n", holds) == {}
    for text, words in (("x", "names no record that a reviewer"), ("a:b", "may mean 'a' or 'a:b'"), ("a\na", "twice")):
        with pytest.raises(AnswerError, match=words):
            withheld.parse_back(text, holds)


def test_what_is_left(manifest: Manifest) -> None:
    assert withheld.without(manifest, {}) is manifest
    left = withheld.without(manifest, {"a:b": "why", "enaio-1": "why"})
    assert [record.key for record in left] == ["enaio-2", *KEYS[3:]]
    assert withheld.without(manifest, dict.fromkeys(KEYS, "why")).count == 0


def lines(*keys: str) -> list[withheld.Line]:
    return [(key, key.encode()) for key in keys]


def approval(**reasons: str) -> Approval:
    return Approval(
        "sha256:2",
        "airflow:anna",
        "2026-11-22",
        {},
        name="Anna",
        shown="sha256:1",
        withheld=reasons,
        **evidence_factory.GIVEN,
    )


@pytest.mark.parametrize(
    ("keys", "left"),
    [(["a"], "bcd"), (["d"], "abc"), (["b", "c"], "ad"), (["a", "b", "c", "d"], "")],
)
def test_exactly_the_withheld_records_are_missing(keys: list[str], left: str) -> None:
    withheld.check(approval(**dict.fromkeys(keys, "why")), lines(*"abcd"), lines(*left))


@pytest.mark.parametrize(
    ("key", "left", "words"),
    [
        ("b", "abcd", "'b' is on the approved list, but was withheld by Anna: why"),
        ("d", "abcd", "'d' is on the approved list, but was withheld"),
        ("b", "ac", "is not what 'airflow:anna' left of sha256:1: it has its end where 'd' should be"),
        ("b", "acde", "it has 'e' where its end should be"),
        ("b", "adc", "it has 'd' where 'c' should be"),
        ("b", "", "it has its end where 'a' should be"),
        ("x", "abcd", "'x' was not on the list that was shown, but was withheld by Anna: why"),
    ],
)
def test_anything_else_is_found(key: str, left: str, words: str) -> None:
    with pytest.raises(ApprovalError, match=words):
        withheld.check(approval(**{key: "why"}), lines(*"abcd"), lines(*left))


def test_a_record_that_was_changed_is_found() -> None:
    changed = [*lines("a"), ("c", b"another"), *lines("d")]
    with pytest.raises(ApprovalError, match="it has 'c' where 'c' should be"):
        withheld.check(approval(b="why"), lines(*"abcd"), changed)
