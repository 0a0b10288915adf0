"""Which records a reviewer withholds, one a line; and that the approved list lacks exactly these records."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalError
from tests.evidence import evidence_factory

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
