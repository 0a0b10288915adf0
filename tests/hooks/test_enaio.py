"""The enaio client over HTTP: ids, places of an object, notes in the history, and the test of a connection."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.exceptions import (
    ConfigurationError,
    InvalidRecordsError,
    NotFoundError,
    UnreadableAnswerError,
)
from airflow_provider_records.hooks.enaio import EnaioHook
from tests.conftest import Connect
from tests.hooks.enaio_factory import ServedEnaio, served

__all__ = ["served"]


@pytest.mark.parametrize("wrong", ["", " ", "25 63", "2563/actions/trash", "..", "a", "٢٥", "2563\n", None, 2563, True])
def test_an_id_that_is_not_made_of_digits_is_never_sent(served: ServedEnaio, wrong: Any) -> None:
    for call in (
        lambda: served.hook.delete_object(wrong),
        lambda: served.hook.get_object(wrong),
        lambda: served.hook.locations(wrong),
        lambda: served.hook.add_history(wrong, {}),
    ):
        with pytest.raises(InvalidRecordsError):
            call()
    if wrong is not None:
        with pytest.raises(InvalidRecordsError):
            served.hook.delete_object("2563", location=wrong)
        with pytest.raises(InvalidRecordsError):
            served.hook.delete_object("2563", object_type_id=wrong)
    assert served.server.sandbox.log == []


def test_every_place_of_an_object(served: ServedEnaio) -> None:
    served.part.archive.add("1500", "Register", base="REGISTER", places=["1413"])
    served.part.archive.add("2566", "Invoice", places=["1411", "1500"])
    found = served.hook.locations("2566")
    steps = [[step["properties"]["system:objectId"]["value"] for step in place] for place in found]
    assert sorted(steps) == [["1411", "2566"], ["1413", "1500", "2566"]]
    assert len(served.hook.locations("2563")) == 1


@pytest.mark.parametrize("body", ["null", "[1]", {"children": "x"}, {"children": [None]}, {"objects": 7}])
def test_places_of_another_shape(served: ServedEnaio, body: Any) -> None:
    served.fault("locations", status=200, body=body, times=None)
    with pytest.raises(UnreadableAnswerError):
        served.hook.locations("2563")


def test_a_note_in_the_history(served: ServedEnaio) -> None:
    served.hook.add_history("2563", {"note": "disposed of"}, action=471)
    assert served.part.state()["history"] == {"2563": [{"note": "disposed of", "action": 471}]}
    with pytest.raises(ConfigurationError):
        served.hook.add_history("2563", {}, action=1)
    with pytest.raises(NotFoundError):
        served.hook.add_history("99", {})


def test_the_connection_test(served: ServedEnaio) -> None:
    assert served.hook.test_connection() == (True, "Connected; DMS service 6.2.1. Rights on objects were not tested.")
    served.part.turn({"info": "no_version"})
    assert "of unknown version" in served.hook.test_connection()[1]
    served.part.turn({"info": "404"})
    assert "of unknown version" in served.hook.test_connection()[1]
    assert served.calls("session") == ["/enaio/osrest/api/session"]
    assert not any(entry.effects for entry in served.server.sandbox.log)


def test_the_connection_test_says_no_secret(served: ServedEnaio) -> None:
    good, message = served.hooked(password="wrong-but-secret").test_connection()
    assert not good
    assert "credentials" in message
    assert "wrong-but-secret" not in message
    served.fault("info", status=200, body="null")
    assert served.hook.test_connection()[0] is False


def test_an_unknown_host_is_reported(connect: Connect) -> None:
    hook = EnaioHook(connect("enaio", "http://127.0.0.1:9", login="a", password="b"))
    assert hook.test_connection()[0] is False
