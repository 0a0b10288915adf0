"""The register of holds: what is held, until when, and who may end it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence import hold as hold_module
from airflow_provider_records.evidence.hold import CLI, FOLDER, Hold, HoldRegister, Origin, Release
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, HoldError, NewerFormatError
from tests.evidence.schemas import assert_store_valid

ANNA = Origin("reviewer", "night")


def held(store: Store, *keys: str, key: Ed25519PrivateKey | None = None, targets: Sequence[str] = ()) -> list[str]:
    """Ask a new register, as another process does."""
    records = [
        Record(name, targets[place] if targets else f"target of {name}") for place, name in enumerate(keys or ("a",))
    ]
    return list(HoldRegister(store, key).of(records))


def files(store: Store, kind: str) -> list[str]:
    return [name for name in store.names(FOLDER) if name.startswith(f"{FOLDER}/{kind}-") and name.endswith(".json")]


def test_a_hold_stands_until_it_is_released(store: Store) -> None:
    register = HoldRegister(store)
    assert register.of([Record("a", "a")]) == {}
    register.add("a", "lawsuit.", "os:anna")
    assert register.of([Record("a", "1"), Record("b", "2")])["a"].statement == "on hold: lawsuit (os:anna)"
    assert held(store, "a", "b") == ["a"]
    register.release(["a"], "settled", "os:ben")
    assert register.of([Record("a", "1")]) == {}
    assert held(store) == []
    register.add("a", "another lawsuit", "os:anna")  # a release ends the holds that it names, and no later one
    assert held(store) == ["a"]
    assert assert_store_valid(store) == 3


def test_a_hold_names_a_record_by_its_target_as_well(store: Store) -> None:
    HoldRegister(store).add("4711", "lawsuit", "os:anna")
    assert held(store, "a", "b", targets=["4711", "4712"]) == ["a"]


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("Akte-é", "akte-e\u0301"),
        ("1001", "01001"),
        ("0", "000"),
        ("a", " A "),
        ("B1", "b1"),
        ("hr-2014", "hr\u20112014"),
        ("hr-2014", "hr\u20132014"),
        ("1001", "\ufeff1001"),
        ("a-é", "\u200ba-\u00ade\u0301"),
    ],
)
def test_two_forms_of_a_key_are_one(store: Store, key: str, written: str) -> None:
    HoldRegister(store).add(written, "lawsuit", "os:anna")
    assert held(store, key, "10010", "A1") == [key]


def test_a_hold_ends_when_its_last_day_is_over_everywhere(store: Store) -> None:
    hold = Hold("a", "lawsuit", "os:anna", "2026-11-01T00:00:00Z", "2026-11-26")
    assert hold.statement == "on hold: lawsuit (os:anna, until 2026-11-26)"
    over = datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert not hold.has_ended(over - timedelta(seconds=1))
    assert hold.has_ended(over)


def test_a_hold_that_has_ended_holds_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    today = datetime.now(UTC).date()
    HoldRegister(store).add("a", "lawsuit", "os:anna", today.isoformat())
    assert held(store) == ["a"]
    monkeypatch.setattr(hold_module, "_EVERYWHERE", timedelta(0))
    assert held(store) == []


@pytest.mark.parametrize(
    ("key", "reason", "until", "problem"),
    [
        ("", "lawsuit", "", "the key is empty"),
        ("a", "  ", "", "the reason is empty"),
        ("a", "lawsuit", "next year", "Invalid isoformat"),
        ("a", "lawsuit", "2020-01-01", "its last day, 2020-01-01, is over"),
    ],
)
def test_what_is_no_hold_is_not_written(store: Store, key: str, reason: str, until: str, problem: str) -> None:
    with pytest.raises(HoldError, match=problem):
        HoldRegister(store).add(key, reason, "os:anna", until)
    assert store.names(FOLDER) == []


def test_reviewers_release_what_reviewers_of_their_dag_withheld(store: Store) -> None:
    register = HoldRegister(store)
    register.add("a", "not yet", "airflow:anna", origin=ANNA)
    register.add("b", "lawsuit", "os:legal")
    register.add("c", "not yet", "airflow:eve", origin=Origin("reviewer", "other"))
    for key in ("b", "c"):
        with pytest.raises(HoldError, match="it ends by its date or by: airflow-records hold release"):
            register.release(["a", key], "may go", "airflow:ben", ANNA)
    assert held(store, "a", "b", "c") == ["a", "b", "c"]  # all of them or none
    register.release(["a"], "may go", "airflow:ben", ANNA)
    assert held(store, "a", "b", "c") == ["b", "c"]
    register.release(["b", "c"], "may go", "os:legal")
    assert held(store, "a", "b", "c") == []


def test_a_reviewers_release_of_another_hold_is_ignored_where_it_is_read(store: Store) -> None:
    HoldRegister(store).add("a", "lawsuit", "os:legal")
    (hold,) = files(store, "hold")
    forged = Release("a", [hold], "may go", "airflow:ben", "2026-11-27T00:00:00Z", origin=ANNA)
    HoldRegister(store)._write(formats.RELEASE, forged)
    assert held(store) == ["a"]


def test_a_second_hold_outlives_the_release_of_the_first_reviewers(store: Store) -> None:
    register = HoldRegister(store)
    register.add("a", "not yet", "airflow:anna", origin=ANNA)
    register.add("a", "lawsuit", "os:legal")
    register.release(["a"], "may go", "airflow:ben", ANNA)
    assert [hold.reason for hold in HoldRegister(store).standing()] == ["lawsuit"]


def test_what_is_not_held_cannot_be_released(store: Store) -> None:
    with pytest.raises(HoldError, match=r"'a' is not on hold\. Nothing was released"):
        HoldRegister(store).release(["a"], "settled", "os:anna")


def test_with_a_signing_key_only_a_signed_release_counts(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    HoldRegister(store).add("a", "lawsuit", "os:anna")  # unsigned, and it counts
    assert held(store, key=key) == ["a"]
    HoldRegister(store).release(["a"], "settled", "os:anna")
    assert held(store, key=key) == ["a"]
    assert "The release of 'a' by os:anna does not count" in caplog.text
    assert held(store) == []  # without a key none is needed
    HoldRegister(store, other).add("b", "lawsuit", "os:anna")
    HoldRegister(store, other).release(["b"], "settled", "os:anna")
    assert held(store, "b", key=key) == ["b"]
    HoldRegister(store, key).release(["a", "b"], "settled", "os:anna")
    assert held(store, "a", "b", key=key) == []


def test_only_the_files_of_the_keys_that_are_asked_for_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    register = HoldRegister(store)
    for number in range(50):
        register.add(f"key-{number}", "lawsuit", "os:anna")
    read: list[str] = []
    read_file = store.read

    def noted(name: str) -> bytes:
        read.append(name)
        return read_file(name)

    monkeypatch.setattr(store, "read", noted)
    asking = HoldRegister(store)
    for _ in range(3):
        assert list(asking.of([Record("key-7", "7"), Record("other", "8")])) == ["key-7"]
    assert len(read) == 1
    assert len(HoldRegister(store).standing()) == 50


def test_a_changed_hold_is_never_passed_over(store: Store) -> None:
    HoldRegister(store).add("a", "lawsuit", "os:anna")
    (name,) = files(store, "hold")
    content = store.read(name)
    store.write(name, content.replace(b"lawsuit", b"nothing"))
    with pytest.raises(EvidenceError, match="was changed: its bytes no longer match its name"):
        held(store)
    store.write(name, json.dumps({**json.loads(content), "version": 2}).encode())
    with pytest.raises(NewerFormatError, match="newer release"):
        held(store)


def test_a_hold_of_an_origin_that_only_a_later_release_knows_is_newer(store: Store) -> None:
    with pytest.raises(NewerFormatError, match="A hold comes from 'vendor'"):
        Hold.from_dict(
            {"key": "a", "reason": "b", "who": "c", "since": "2026-11-27T00:00:00Z", "origin": {"kind": "vendor"}}
        )


def test_unknown_members_are_kept() -> None:
    hold = Hold("a", "lawsuit", "os:anna", "2026-11-27T00:00:00Z", "2027-01-01")
    release = Release("a", ["holds/hold-x"], "settled", "os:anna", "2026-11-27T00:00:00Z", origin=CLI)
    assert Hold.from_dict({**hold.to_dict(), "case": "7"}).to_dict() == {**hold.to_dict(), "case": "7"}
    assert Release.from_dict({**release.to_dict(), "case": "7"}).to_dict() == {**release.to_dict(), "case": "7"}
