"""Which records a reviewer takes out, said line by line; and that exactly those are missing afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence import audit, reader, withheld
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import ApprovalError
from tests.evidence import evidence_factory

KEYS = ["enaio-1", "enaio-2", "a:b", "https://host/x?y=1", "Ünï 3", "k:", "two words"]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest.write(Store(str(tmp_path)), KEYS)


@pytest.mark.parametrize(
    ("text", "excluded"),
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
def test_what_is_read(manifest: Manifest, text: str, excluded: dict[str, str]) -> None:
    assert withheld.parse(text, manifest) == excluded


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
        ("enaio-1", "'enaio-1' is taken out without a reason"),
        ("enaio-1:", "without a reason"),
        ("enaio-1 : ", "without a reason"),
        ("a:b", "'a:b' is taken out without a reason"),
        ("k:", "'k:' is taken out without a reason"),
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


def approval(**excluded: str) -> Approval:
    return Approval("sha256:2", "airflow:anna", "2026-11-22", {}, name="Anna", shown="sha256:1", excluded=excluded)


@pytest.mark.parametrize(
    ("excluded", "left"),
    [(["a"], "bcd"), (["d"], "abc"), (["b", "c"], "ad"), (["a", "b", "c", "d"], "")],
)
def test_exactly_what_was_taken_out_is_missing(excluded: list[str], left: str) -> None:
    withheld.check(approval(**dict.fromkeys(excluded, "why")), lines(*"abcd"), lines(*left))


@pytest.mark.parametrize(
    ("excluded", "left", "words"),
    [
        ("b", "abcd", r"'b' was taken out by Anna \(why\), and is on the approved list nevertheless"),
        ("d", "abcd", "'d' was taken out"),
        ("b", "ac", "is not what 'airflow:anna' left of sha256:1: it has its end where 'd' should be"),
        ("b", "acde", "it has 'e' where its end should be"),
        ("b", "adc", "it has 'd' where 'c' should be"),
        ("b", "", "it has its end where 'a' should be"),
        ("x", "abcd", "'x' was taken out by Anna .*and was not on the list that was shown"),
    ],
)
def test_anything_else_is_found(excluded: str, left: str, words: str) -> None:
    with pytest.raises(ApprovalError, match=words):
        withheld.check(approval(**{excluded: "why"}), lines(*"abcd"), lines(*left))


def test_a_record_that_was_changed_is_found() -> None:
    changed = [*lines("a"), ("c", b"another"), *lines("d")]
    with pytest.raises(ApprovalError, match="it has 'c' where 'c' should be"):
        withheld.check(approval(b="why"), lines(*"abcd"), changed)


# In the evidence


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def taken(store: Store, **changes: Any) -> tuple[Manifest, Manifest, Approval]:
    """A list, what anna left of it, and her approval."""
    shown = Manifest.write(store, evidence_factory.records(5))
    first, *_ = shown
    left = withheld.without(shown, {first.key: "held"})
    fields: dict[str, Any] = {"digest": left.digest, "shown": shown.digest, "excluded": {first.key: "held"}, **changes}
    return (
        shown,
        left,
        Approval(approver="airflow:anna", approved_at="2026-11-22", source={"kind": "airflow"}, name="Anna", **fields),
    )


def sum_up(store: Store, *disposals: Disposal) -> audit.Account:
    return audit.take(reader.Evidence(store, store.root), {store.name(each.uri): each for each in disposals})


def test_the_account_holds_what_was_taken_out(store: Store) -> None:
    shown, left, approval = taken(store)
    found = sum_up(store, evidence_factory.carry_out(store, left, [approval.write(store)]))
    (stated,) = found.facts["approvals"]
    assert stated["excluded"] == approval.excluded
    assert {each["digest"] for each in found.facts["manifests"]} == {shown.digest, left.digest}
    assert store.name(shown.uri) in found.names


@pytest.mark.parametrize(
    ("excluded", "words"),
    [
        ({"enaio-0": "held"}, "is not what 'airflow:anna' left"),
        ({"first": "held", "enaio-0": "held"}, "enaio-0.* was not on the list that was shown"),
        ({"first": "held", "second": "held"}, "was taken out by Anna .*and is on the approved list nevertheless"),
    ],
)
def test_the_account_finds_what_does_not_fit(store: Store, excluded: dict[str, str], words: str) -> None:
    shown, left, _ = taken(store)
    first, second, *_ = (record.key for record in shown)
    named = {{"first": first, "second": second}.get(key, key): reason for key, reason in excluded.items()}
    _, _, approval = taken(store, excluded=named)
    with pytest.raises(ApprovalError, match=words):
        sum_up(store, evidence_factory.carry_out(store, left, [approval.write(store)]))


def test_the_account_finds_a_record_that_was_taken_out_and_carried_out(store: Store) -> None:
    """On a second list, which somebody else approved."""
    shown, left, approval = taken(store)
    approvals = [approval.write(store), *evidence_factory.approve(store, shown, "ben")]
    done = evidence_factory.carry_out(store, shown, approvals)
    forged = replace(done, approved=[left.digest, shown.digest])
    with pytest.raises(ApprovalError, match=r"was taken out by Anna \(held\), and is on the list of disposals/"):
        sum_up(store, forged)
    part = Manifest.write(store, list(shown)[:2])
    derived = [Approval.read(store, uri).for_part(part.digest, store).write(store) for uri in approvals[1:]]
    of_a_part = Approval.read(store, approvals[0]).for_part(Manifest.write(store, list(shown)[1:3]).digest, store)
    done = evidence_factory.carry_out(
        store, part, [*derived, of_a_part.write(store)], made=evidence_factory.facts("delete_part")
    )
    forged = replace(done, approved=[part.digest, of_a_part.digest])
    with pytest.raises(ApprovalError, match=r"was taken out by Anna \(held\), and is on the list of disposals/"):
        sum_up(store, forged)
