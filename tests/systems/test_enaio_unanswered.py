"""What becomes of enaio's objects after a call of ours that went unanswered or was answered with 500; over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Connect, Serve
from tests.systems.enaio_factory import HARD_AND_SOFT, ServedEnaio


@pytest.fixture
def served(serve: Serve, connect: Connect, tmp_path: Path) -> ServedEnaio:
    return ServedEnaio(serve, connect, tmp_path)


LOST: list[dict[str, Any]] = [{"drop": True}, {"status": 502}, {"status": 503}, {"status": 504}, {"status": 200}]


@pytest.mark.parametrize("lost", LOST, ids=str)
@HARD_AND_SOFT
def test_a_lost_answer_after_the_delete(served: ServedEnaio, lost: dict[str, Any], hard: bool) -> None:
    served.fault(**lost)
    assert served.says(hard_delete=hard) == ("destroyed" if hard else "recycled", "inferred")
    assert len(served.deletes()) == 1


@pytest.mark.parametrize("lost", LOST, ids=str)
@HARD_AND_SOFT
def test_a_lost_answer_without_the_delete_is_sent_once_more(
    served: ServedEnaio, lost: dict[str, Any], hard: bool
) -> None:
    served.fault(act=False, **lost)
    assert served.says(hard_delete=hard) == ("destroyed" if hard else "recycled", "probe")
    assert len(served.deletes()) == 2


def test_a_soft_delete_that_is_lost_and_cannot_be_seen_is_unknown(served: ServedEnaio) -> None:
    served.part.turn({"bin_flag": "neither"})
    served.fault(drop=True)
    assert served.says() == ("unknown", None)
    assert served.says() == ("unknown", None)
    assert len(served.deletes()) == 1


@HARD_AND_SOFT
def test_what_cannot_be_looked_up_after_a_lost_response_is_resolved_by_the_next_try(
    served: ServedEnaio, hard: bool
) -> None:
    served.fault(drop=True)
    served.fault("get_object", status=500, skip=2, times=None)
    assert served.says(hard_delete=hard) == ("unknown", None)
    served.server.sandbox.faults.clear()
    assert served.says(hard_delete=hard) == ("destroyed" if hard else "recycled", "inferred")


def test_what_is_hidden_after_a_lost_answer_is_unknown(served: ServedEnaio) -> None:
    served.fault(drop=True)
    served.fault("get_object", act=False, status=400, skip=2, times=2)
    assert served.says(hard_delete=True) == ("unknown", None)


@pytest.fixture
def slow(served: ServedEnaio, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """The first call takes effect only after the probe: ``slow(change)`` changes the archive before the second."""

    def arrange(change: Callable[[], object]) -> None:
        remove = served.part._remove

        def first_change(*args: Any, **options: Any) -> Any:
            change()
            return remove(*args, **options)

        monkeypatch.setattr(served.part, "_remove", first_change)
        served.fault(act=False, drop=True)

    return arrange


Slow = Callable[[Callable[[], object]], None]


def test_404_after_our_unanswered_hard_delete(served: ServedEnaio, slow: Slow) -> None:
    slow(lambda: served.archive.destroy(served.archive.objects["101"]))
    assert served.says(hard_delete=True) == ("destroyed", "inferred")


@pytest.mark.parametrize("status", ["400", "404"])
@HARD_AND_SOFT
def test_a_second_call_that_finds_it_in_the_bin(served: ServedEnaio, slow: Slow, status: str, hard: bool) -> None:
    served.part.turn({"binned_delete": status, "version": "5.2.2"})
    slow(lambda: served.archive.recycle(served.archive.objects["101"], "disposal"))
    assert served.says(hard_delete=hard) == ("recycled", "inferred")


@pytest.mark.parametrize("status", ["400", "404"])
def test_a_second_soft_delete_that_finds_it_nowhere_is_unknown(served: ServedEnaio, slow: Slow, status: str) -> None:
    served.part.turn({"binned_delete": status, "bin_flag": "neither"})
    slow(lambda: served.archive.recycle(served.archive.objects["101"], "disposal"))
    assert served.says() == ("unknown", None)


def test_a_second_hard_delete_that_is_refused_for_what_is_nowhere_is_unknown(served: ServedEnaio, slow: Slow) -> None:
    served.part.turn({"version": "5.2.2", "bin_flag": "neither"})
    slow(lambda: served.archive.recycle(served.archive.objects["101"], "disposal"))
    assert served.says(hard_delete=True) == ("unknown", None)


@pytest.mark.parametrize(
    ("hard", "status", "expected"),
    [(True, 400, "blocked"), (False, 400, "blocked"), (False, 404, "blocked"), (True, 404, "failed")],
)
def test_a_second_call_that_is_refused_while_it_is_alive(
    served: ServedEnaio, hard: bool, status: int, expected: str
) -> None:
    served.fault(act=False, drop=True)
    served.fault(act=False, skip=1, status=status, body={"code": 1100 if status == 400 else 1001})
    assert served.says(hard_delete=hard)[0] == expected


def test_a_second_call_that_is_refused_where_a_place_was_left(served: ServedEnaio, slow: Slow) -> None:
    slow(lambda: served.archive.leave(served.archive.objects["102"], ["20"]))
    assert served.says({"key": "102", "location": "20"}, hard_delete=True) == ("blocked", "probe")


def test_what_lay_in_the_bin_is_purged_by_a_second_call_where_the_first_was_lost(served: ServedEnaio) -> None:
    served.archive.recycle(served.archive.objects["101"], "disposal")
    served.fault(act=False, drop=True)
    found = served.run("101", "100", hard_delete=True)["101"]  # the folder of 100 shows that the account sees anything
    assert (found.kind, found.proof) == ("destroyed", "probe")
    assert sum("/101?" in path for path in served.deletes()) == 2


def test_two_lost_calls_end_as_failed_and_the_next_try_goes_on(served: ServedEnaio) -> None:
    served.fault(act=False, drop=True, times=2)
    assert served.says(hard_delete=True)[0] == "failed"
    assert len(served.deletes()) == 2
    assert served.says(hard_delete=True) == ("destroyed", "probe")


# 500


@HARD_AND_SOFT
def test_500_before_the_delete_is_tried_once_more(served: ServedEnaio, hard: bool) -> None:
    served.fault(act=False, status=500, body={"code": 3003})
    assert served.says(hard_delete=hard) == ("destroyed" if hard else "recycled", "probe")
    assert len(served.deletes()) == 2


@HARD_AND_SOFT
def test_500_after_the_delete_is_resolved_by_a_probe(served: ServedEnaio, hard: bool) -> None:
    served.fault(status=500, body={"code": 3003})
    assert served.says(hard_delete=hard) == ("destroyed" if hard else "recycled", "inferred")
    assert len(served.deletes()) == 1


@HARD_AND_SOFT
def test_500_twice_with_the_delete_at_the_second(served: ServedEnaio, hard: bool) -> None:
    served.fault(act=False, status=500, body={"code": 3003})
    served.fault(skip=1, status=500, body={"code": 3003})
    assert served.says(hard_delete=hard) == ("destroyed" if hard else "recycled", "inferred")


def test_500_for_ever_is_failed_with_the_raw_text_kept(served: ServedEnaio) -> None:
    served.fault(act=False, status=500, body={"code": 3003, "message": "see the log"}, times=None)
    outcome = served.run("101", hard_delete=True)["101"]
    assert outcome.kind == "failed"
    assert "see the log" in (outcome.detail or "")
    assert "see the log" not in (outcome.reason or "")
    assert len(served.deletes()) == 2
