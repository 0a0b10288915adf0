"""DELETE /objects/{objectId} over HTTP: what is sent, what every answer means, and what is never sent again."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.exceptions import (
    NoAnswerError,
    NotFoundError,
    NotSentError,
    RefusedError,
    ServerError,
    StopError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)
from tests.hooks.enaio_factory import HTML, ServedEnaio, served

__all__ = ["served"]


def test_a_soft_delete_recycles(served: ServedEnaio) -> None:
    served.hook.delete_object("2563")
    assert served.state("binned") == ["2563"]
    assert served.calls("delete_object", "info") == ["/enaio/api/dms/objects/2563"]


def test_a_hard_delete_destroys(served: ServedEnaio) -> None:
    served.hook.delete_object("2563", hard_delete=True)
    assert served.state("destroyed") == ["2563"]
    assert served.calls("delete_object") == ["/enaio/api/dms/objects/2563?hardDelete=true"]


def test_all_parameters_are_spelled_as_the_vendor_does(served: ServedEnaio) -> None:
    served.hook.delete_object("2564", object_type_id="262239", location="1412", hard_delete=True, cascade_delete=True)
    expected = "2564?objectTypeId=262239&location=1412&hardDelete=true&cascadeDelete=true"
    assert served.calls("delete_object") == [f"/enaio/api/dms/objects/{expected}"]
    assert served.part.archive.objects["2564"].places == ["1411"]


FORMS = ["serviceErrorCode", "errorCode", "code", "text", "html", "empty"]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_there(served: ServedEnaio, form: str) -> None:
    served.part.turn({"error_body": form})
    with pytest.raises(NotFoundError) as caught:
        served.hook.delete_object("99")
    assert caught.value.status == 404
    assert caught.value.code == ("1001" if form in FORMS[:3] else None)
    assert "99" in str(caught.value)
    assert "not found" not in str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_right(served: ServedEnaio, form: str) -> None:
    served.part.turn({"error_body": form})
    served.part.archive.objects["2563"].no_delete = {"disposal"}
    with pytest.raises(RefusedError) as caught:
        served.hook.delete_object("2563")
    assert (caught.value.status, caught.value.code) == (400, "1100" if form in FORMS[:3] else None)
    assert "may not be deleted" in (caught.value.detail or "") or form == "empty"
    assert "may not be deleted" not in str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_an_internal_error(served: ServedEnaio, form: str) -> None:
    served.part.turn({"error_body": form, "workflow": "500"})
    served.part.archive.objects["2563"].in_workflow = True
    with pytest.raises(ServerError) as caught:
        served.hook.delete_object("2563")
    assert (caught.value.status, caught.value.code) == (500, "3003" if form in FORMS[:3] else None)
    assert len(served.calls("delete_object")) == 1


@pytest.mark.parametrize("status", ["400", "500"])
def test_a_folder_that_is_not_empty_stays(served: ServedEnaio, status: str) -> None:
    served.part.turn({"non_empty": status})
    with pytest.raises(RefusedError if status == "400" else ServerError):
        served.hook.delete_object("1411")
    served.hook.delete_object("1411", cascade_delete=True)
    assert served.state("binned") == ["1411", "2563"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (409, "locked", RefusedError),
        (423, None, RefusedError),
        (400, {"code": 400}, RefusedError),
        (400, {"errorCode": "1001"}, NotFoundError),
        (404, {"serviceErrorCode": 1100}, RefusedError),
        (400, {"errorCode": True, "code": [1], "message": {}}, RefusedError),
        (400, ["1001"], RefusedError),
        (405, None, WrongAddressError),
        (410, None, StopError),
        (415, None, StopError),
        (418, "short and stout", StopError),
        (200, {"objects": []}, UnreadableAnswerError),
        (202, None, UnreadableAnswerError),
        (200, HTML, WrongAddressError),
        (408, None, NoAnswerError),
        (501, None, NoAnswerError),
        (502, HTML, NoAnswerError),
        (503, None, NoAnswerError),
        (504, {"code": 1001}, NoAnswerError),
        (500, HTML, ServerError),
    ],
)
def test_an_answer_to_a_delete_is_what_its_code_or_else_its_status_says(
    served: ServedEnaio, status: int, body: Any, kind: type[VendorError]
) -> None:
    served.fault(act=False, status=status, body=body, times=None)
    with pytest.raises(VendorError) as caught:
        served.hook.delete_object("2563")
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert len(served.calls("delete_object")) == 1


@pytest.mark.parametrize("status", [400, 500])
def test_the_http_status_is_none_of_the_codes(served: ServedEnaio, status: int) -> None:
    served.fault(act=False, status=status, body={"code": status})
    with pytest.raises(VendorError) as caught:
        served.hook.delete_object("2563")
    assert caught.value.code is None


@pytest.mark.parametrize("act", [True, False])
def test_a_lost_answer_to_a_delete_is_never_sent_again(served: ServedEnaio, act: bool) -> None:
    served.fault(act=act, drop=True)
    with pytest.raises(NoAnswerError):
        served.hook.delete_object("2563")
    assert len(served.calls("delete_object")) == 1
    assert served.state("binned") == (["2563"] if act else [])


def test_a_delete_that_was_put_off_is_sent_again(served: ServedEnaio) -> None:
    served.fault(act=False, status=429, times=3)
    served.hook.delete_object("2563")
    assert (len(served.calls("delete_object")), served.state("binned")) == (4, ["2563"])


def test_a_delete_that_is_put_off_for_ever_ends_as_not_sent(served: ServedEnaio) -> None:
    served.fault(act=False, status=429, times=None)
    with pytest.raises(NotSentError):
        served.hook.delete_object("2563")
