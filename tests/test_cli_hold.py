"""The command that holds records: what it writes, lists and releases, in the store that Airflow's option names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_records.cli import main
from airflow_provider_records.evidence.hold import HoldRegister
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", f"file://{tmp_path}")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("getpass.getuser", lambda: "anna")
    return Store(str(tmp_path))


def test_holds_are_added_listed_and_released(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hold", "list"]) == 0
    assert "Nothing is on hold." in capsys.readouterr().out
    assert main(["hold", "add", "a-1", "a-2", "--reason", "lawsuit [7]", "--until", "2999-12-31"]) == 0
    assert capsys.readouterr().out == "On hold: a-1, a-2\n"
    assert list(HoldRegister(store).of([Record("a-1", "1"), Record("x", "A-2"), Record("b", "b")])) == ["a-1", "x"]
    assert main(["hold", "list"]) == 0
    table = capsys.readouterr().out
    assert all(text in table for text in ("a-1", "lawsuit [7]", "os:anna", "2999-12-31"))
    assert main(["hold", "release", "a-1", "--reason", "settled"]) == 0
    assert capsys.readouterr().out == "Released: a-1 (on hold: lawsuit [7] (os:anna, until 2999-12-31))\n"
    assert main(["hold", "list", "--json"]) == 0
    (left,) = json.loads(capsys.readouterr().out)
    assert {name: left[name] for name in ("key", "reason", "who", "until", "origin")} == {
        "key": "a-2",
        "reason": "lawsuit [7]",
        "who": "os:anna",
        "until": "2999-12-31",
        "origin": {"kind": "cli"},
    }


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["add", "a", "b", "--reason", " "], "the reason is empty"),
        (["add", "a", "", "--reason", "lawsuit"], "the key is empty"),
        (["add", "a", "--reason", "lawsuit", "--until", "soon"], "Invalid isoformat string: 'soon'"),
        (["release", "a", "--reason", "settled"], "'a' is not on hold"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    store: Store, capsys: pytest.CaptureFixture[str], words: list[str], problem: str
) -> None:
    assert main(["hold", *words]) == 2
    assert problem in capsys.readouterr().err
    assert store.names("holds") == []


@pytest.mark.parametrize("words", [["add", "a"], ["release", "--reason", "x"], []])
def test_a_reason_and_a_key_are_needed(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["hold", *words])
