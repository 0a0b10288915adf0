"""The version of the DMS service: known old ones delete nothing hard, and it is read once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_records.exceptions import AuthenticationError, ConfigurationError, NoAnswerError
from tests.hooks.enaio_factory import ServedEnaio, served

__all__ = ["served"]


@pytest.mark.parametrize("version", ["3.2.4", "4.0.2"])
def test_a_hard_delete_of_a_known_old_service_is_refused_before_it_is_sent(served: ServedEnaio, version: str) -> None:
    served.part.turn({"version": version})
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=version.replace(".", r"\.")):
            served.hook.delete_object("2563", hard_delete=True)
    assert served.calls("delete_object", "info") == ["/enaio/api/dms/info"]
    served.hook.delete_object("2563")
    assert served.state("binned") == ["2563"]


@pytest.mark.parametrize("info", ["no_version", "404"])
def test_a_hard_delete_of_a_service_of_unknown_version_goes_on(served: ServedEnaio, info: str) -> None:
    served.part.turn({"info": info})
    served.hook.delete_object("2563", hard_delete=True)
    assert served.state("destroyed") == ["2563"]


@pytest.mark.parametrize("status", [500, 403, 302])
def test_a_version_that_cannot_be_read_counts_as_unknown(served: ServedEnaio, status: int) -> None:
    served.fault("info", status=status, times=2)
    assert served.hook.service_version() is None


def test_the_version_is_read_once_for_all_threads(served: ServedEnaio) -> None:
    served.fault("info", latency_ms=50)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: served.hook.service_version(), range(8)))
    assert found == [(6, 2, 1)] * 8
    assert len(served.calls("info")) == 1


def test_a_version_that_did_not_arrive_is_asked_for_again(served: ServedEnaio) -> None:
    served.fault("info", drop=True, times=8)
    with pytest.raises(NoAnswerError):
        served.hook.delete_object("2563", hard_delete=True)
    assert served.state("destroyed") == []
    assert served.hook.service_version() == (6, 2, 1)


def test_wrong_credentials_are_no_unknown_version(served: ServedEnaio) -> None:
    with pytest.raises(AuthenticationError):
        served.hooked(password="wrong").service_version()
