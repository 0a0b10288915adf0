"""Titles and people as keyed hashes: what is hashed, how people are compared, and which key a store takes."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence.approval import Approval, person
from airflow_provider_records.evidence.authorization import _persons
from airflow_provider_records.evidence.hold import HoldRegister
from airflow_provider_records.evidence.names import PLAIN, KeyedNaming, folded, is_hash
from airflow_provider_records.evidence.names_key import FOLDER, matched_naming
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ConfigurationError
from tests.evidence.failing_store import in_memory

KEY = bytes(range(40))
KEYED = KeyedNaming(KEY)
SOURCES = ("airflow", "enaio", "unifier", "os", "opus")


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path)) if request.param == "local" else in_memory()


def hashed(kind: bytes, text: str) -> str:
    return "hmac-sha256:" + hmac.new(KEY, kind + b"\0" + text.encode(), hashlib.sha256).hexdigest()


def test_without_a_key_everything_stays() -> None:
    record = Record("1", "1", "Akte Meier", attributes={"created_by": "anna"})
    outcome = Outcome("1", OutcomeKind.FAILED, detail="Akte Meier")
    assert (PLAIN.title(" Ä "), PLAIN.person("airflow:Anna")) == (" Ä ", "airflow:Anna")
    assert PLAIN.record(record) is record
    assert PLAIN.said_by_vendor(outcome) is outcome


def test_an_auditor_can_compute_the_hashes_with_any_tool() -> None:
    assert KEYED.title("Akte Meier") == hashed(b"title", "Akte Meier")
    assert KEYED.person("Anna  BERG") == hashed(b"person", "anna berg")
    assert KEYED.person("airflow:Anna") == "airflow:" + hashed(b"person", "anna")
    assert KEYED.check == hashed(b"key", "").removeprefix("hmac-sha256:")


def test_a_title_is_found_whatever_its_unicode_form() -> None:
    assert KEYED.title("Mu\u0308ller ") == KEYED.title("M\u00fcller")
    assert KEYED.title("M\u00fcller") != KEYED.title("m\u00fcller")
    assert KEYED.title("\ud800") != KEYED.title("\ufffd")


def test_a_title_is_no_person_and_another_key_gives_other_hashes() -> None:
    assert KEYED.title("anna") != KEYED.person("anna")
    assert KeyedNaming(b"x" * 32).person("anna") != KEYED.person("anna")


@pytest.mark.parametrize("text", ["", " "])
def test_nothing_stays_nothing(text: str) -> None:
    assert KEYED.title(text) == KEYED.person(text) == ""


@pytest.mark.parametrize("text", ["Anna", "airflow:anna", "unifier:os:anna"])
def test_nothing_is_hashed_twice(text: str) -> None:
    assert KEYED.person(KEYED.person(text)) == KEYED.person(text)
    assert KEYED.title(KEYED.title(text)) == KEYED.title(text)
    assert is_hash(KEYED.person(text))
    assert not is_hash(text)


def test_a_record_keeps_all_but_its_title_and_its_people() -> None:
    attributes: dict[str, Any] = {"created_by": "Anna", "modified_by": None, "created": "2014-01-01", "n": [1]}
    record = Record("k", "t", "Akte Meier", "A/B", "/x", "7", "9", attributes, {"new": 1})
    found = KEYED.record(record)
    kept = {**attributes, "created_by": KEYED.person("Anna")}
    assert found == Record("k", "t", KEYED.title("Akte Meier"), "A/B", "/x", "7", "9", kept, {"new": 1})
    assert Record.parse(found.line()) == found
    assert KEYED.record(Record("k", "t", "  ")).title is None
    assert KEYED.record(Record("k", "t")) == Record("k", "t")


def test_what_a_vendor_answered_is_not_kept() -> None:
    assert KEYED.said_by_vendor(Outcome("1", OutcomeKind.FAILED, reason="no", detail="Meier")).detail is None


@pytest.mark.parametrize("key", [b"", b"x" * 31])
def test_a_key_that_can_be_guessed_is_refused(key: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"names_key_file holds \d+ bytes.*at least 32.*openssl rand"):
        KeyedNaming(key)


# People are compared in the same way, with the key and without

NAMES = st.one_of(
    st.sampled_from(
        ["anna", "ANNA", " Anna ", "ａｎｎａ", "Straße", "STRASSE", "os:anna", "Airflow: anna", "x:y", "ﬁn", "fin"]
    ),
    st.text(max_size=6),
).filter(lambda text: text.isprintable() and bool(text.strip()))
PEOPLE = st.tuples(st.sampled_from(SOURCES), NAMES, st.one_of(st.just(""), NAMES))


@given(PEOPLE, PEOPLE)
def test_people_are_told_apart_with_the_key_as_without(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    def approval(of: tuple[str, str, str], name: Any) -> Approval:
        source, id_, called = of
        return Approval(
            "sha256:1", f"{source}:{name(id_)}", "2026", {}, name(called), approver_type="person", order="sha256:2"
        )

    plain = [approval(each, PLAIN.person) for each in (one, other)]
    keyed = [approval(each, KEYED.person) for each in (one, other)]
    assert _persons(plain) == _persons(keyed)
    assert all(is_hash(each.approver) for each in keyed)
    for each in (one, other):
        known = set(map(KEYED.person, person(f"{each[0]}:{each[1]}", each[2])))
        same = [bool(plain[0].person & person(f"{each[0]}:{each[1]}", each[2]))]
        assert [not known.isdisjoint(map(KEYED.person, keyed[0].person))] == same
        assert [not known.isdisjoint(map(KEYED.person, plain[0].person))] == same


@given(NAMES, NAMES)
def test_a_person_is_folded_as_people_are_compared(one: str, other: str) -> None:
    same = folded(one) == folded(other)
    assert (KEYED.person(f"airflow:{one}") == KEYED.person(f"airflow:{other}")) is same


def test_one_person_by_name_and_as_a_hash_is_not_two() -> None:
    """The key was added between two approvals of one list, and nobody can tell whether both are by Anna."""

    def approvals(*approvers: str) -> list[Approval]:
        return [Approval("d", each, "2026", {}, approver_type="person", order="o") for each in approvers]

    assert _persons(approvals("airflow:anna", KEYED.person("airflow:anna"))) == 1
    assert _persons(approvals("airflow:anna", KEYED.person("airflow:ben"))) == 1
    assert _persons(approvals("airflow:anna", "airflow:ben", KEYED.person("airflow:carl"))) == 2
    assert _persons([]) == 0


# Which key a store takes


def test_the_first_key_is_the_only_one(store: Store) -> None:
    assert matched_naming(store, PLAIN) is PLAIN
    assert store.names("") == []
    assert matched_naming(store, KEYED) is KEYED
    assert store.names("") == [f"{FOLDER}/{KEYED.check}.json"]
    assert matched_naming(store, KEYED) is KEYED
    with pytest.raises(ConfigurationError, match=rf"names_key_file is not the key .*{re.escape(store.root)}"):
        matched_naming(store, KeyedNaming(b"y" * 32))
    with pytest.raises(
        ConfigurationError, match=rf"{re.escape(store.root)}, and \[records\] names_key_file is not set"
    ):
        matched_naming(store, PLAIN)
    assert store.names("") == [f"{FOLDER}/{KEYED.check}.json"]


def test_two_keys_that_begin_at_the_same_time_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write, other = store.write, KeyedNaming(b"y" * 32)

    def both(name: str, content: bytes) -> str:
        write(f"{FOLDER}/{other.check}.json", content)
        return write(name, content)

    monkeypatch.setattr(store, "write", both)
    with pytest.raises(ConfigurationError, match="knows 2 keys"):
        matched_naming(store, KEYED)
    with pytest.raises(ConfigurationError, match="knows 2 keys"):
        matched_naming(store, PLAIN)


def test_a_hold_from_before_the_key_is_not_quoted_by_name(store: Store) -> None:
    HoldRegister(store).add("a", "lawsuit", "os:anna")
    HoldRegister(store).add("b", "refused", "enaio:Disposal")
    store.naming = KEYED
    register = HoldRegister(store)
    assert register.of([Record("a", "a")])["a"].who == KEYED.person("os:anna")
    assert register.of([Record("b", "b")])["b"].who == "enaio:Disposal"
    assert [hold.key for hold in register.release(["a"], "settled", KEYED.person("os:anna"))] == ["a"]
    assert not register.of([Record("a", "a")])
