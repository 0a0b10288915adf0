"""GET /objects/{objectId} over HTTP: what is read as the object, and that nothing else is read as its absence."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.exceptions import NotFoundError, RefusedError, UnreadableAnswerError, WrongAddressError
from tests.hooks.enaio_factory import HTML, ServedEnaio, entry, envelope, served

__all__ = ["served"]


def test_an_object(served: ServedEnaio) -> None:
    found = served.hook.get_object("2564", object_type_id="262239")
    assert (found.object_id, found.object_type_id, found.base_type) == ("2564", "262239", "DOCUMENT")
    assert found.fields["Disposal"] == " approved "
    assert found.fields["system:lastModificationDate"] == "2020-12-08T18:33:14+01:00"
    assert found.permissions == {"delete": ("metadata", "object")}
    assert served.calls("get_object") == ["/enaio/api/dms/objects/2564?includeContentStreams=false&objectTypeId=262239"]


@pytest.mark.parametrize("flag", ["garbadeMode", "garbageMode"])
def test_the_bin_is_seen_with_either_spelling_of_the_flag(served: ServedEnaio, flag: str) -> None:
    served.part.turn({"bin_flag": flag})
    served.hook.delete_object("2563")
    with pytest.raises(NotFoundError):
        served.hook.get_object("2563")
    assert served.hook.get_object("2563", binned=True).object_id == "2563"


def test_what_may_not_be_read_is_not_called_not_found(served: ServedEnaio) -> None:
    served.part.turn({"unreadable": "400"})
    served.part.archive.objects["2563"].no_read = {"disposal"}
    with pytest.raises(RefusedError):
        served.hook.get_object("2563")


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "no json",
        "[" * 100_000,
        HTML.replace("html", "xml"),
        "null",
        "[]",
        {},
        {"objects": None},
        {"objects": {}},
        {"objects": [None]},
        {"objects": ["2563"]},
        {"objects": [{"properties": []}]},
        {"objects": [{"properties": {"system:objectId": "2563"}}]},
        {"objects": [{"properties": {"system:objectId": {}}}]},
        envelope(),
        envelope(entry("2564")),
        envelope(entry(), entry("2564")),
        envelope(entry(), entry()),
        envelope(entry(None)),
        envelope(entry(True)),
        envelope(entry("x")),
        envelope(entry(["2563"])),
        envelope(entry(Disposal="approved")),
        envelope(entry(), numItems=2),
        envelope(entry(), numItems="1"),
        envelope(entry(), numItems=True),
        envelope(entry(), hasMoreItems="false"),
        envelope(entry(), totalNumItems="1"),
    ],
)
def test_an_answer_of_another_shape_is_no_object_and_no_absence(served: ServedEnaio, body: Any) -> None:
    served.fault("get_object", status=200, body=body, times=None)
    with pytest.raises(UnreadableAnswerError):
        served.hook.get_object("2563")


def test_a_page_instead_of_an_object_is_a_wrong_login(served: ServedEnaio) -> None:
    served.fault("get_object", status=200, body=HTML)
    with pytest.raises(WrongAddressError, match="HTTP Basic"):
        served.hook.get_object("2563")


def test_what_the_vendor_leaves_open_is_taken_as_it_comes(served: ServedEnaio) -> None:
    loose = entry(2563, Amount={"value": 7.5}, Paid={"value": True}, Rows={"value": [{"a": "ä"}]})
    loose["properties"] |= {"None": {"value": None}, "system:baseTypeId": {"value": "document"}}
    loose["permissions"] = {"delete": "object"}
    served.fault("get_object", status=200, body={"objects": [loose]})
    found = served.hook.get_object("2563")
    assert (found.object_id, found.object_type_id, found.base_type) == ("2563", "", "DOCUMENT")
    assert [found.fields[name] for name in ("Amount", "Paid", "Rows", "None")] == ["7.5", "true", '[{"a": "ä"}]', ""]
    assert found.permissions is None


@pytest.mark.parametrize("harm", [{"drop": True}, {"status": 503}, {"cut": 20}, {"status": 429, "act": False}])
def test_a_read_is_repeated(served: ServedEnaio, harm: dict[str, Any]) -> None:
    served.fault("get_object", times=2, **harm)
    assert served.hook.get_object("2563").object_id == "2563"
    assert len(served.calls("get_object")) == 3
