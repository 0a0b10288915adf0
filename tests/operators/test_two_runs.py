"""Two runs work on the same objects: a deletion is claimed by the one that did it, and by no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import context

MONDAY, TUESDAY = "scheduled__monday", "scheduled__tuesday"


def delete(run_id: str, ids: list[str], try_number: int = 1, *, prefix: str = "", hard: bool = True) -> Any:
    """Run one try; return its reference, also where records are left for another one."""
    operator = EnaioDeleteObjectOperator(
        task_id="delete",
        records=[{"key": f"{prefix}{each}", "target_id": each} for each in ids],
        hard_delete=hard,
        require_approval=False,
        max_failure_rate=1.0,
    )
    given = context(operator, try_number, run_id=run_id)
    try:
        return operator.execute(given)
    except Exception:  # noqa: BLE001 - what it left is looked at
        return given["ti"].pushed["return_value"]


def outcomes(served: ServedSandbox, reference: Any) -> dict[str, tuple[str, str]]:
    disposal = Disposal.read(served.store, reference["disposal"])
    return {each.key: (each.kind, each.reason or "") for each in disposal.each_outcome(served.store)}


@contextmanager
def lost_without_effect(served: ServedSandbox) -> Iterator[None]:
    """No delete takes effect, none is answered, and nothing can be looked up after it."""
    served.fault(vendor="enaio", call="delete_object", times=None, act=False, drop=True)

    with pytest.MonkeyPatch.context() as patched:
        sent = EnaioHook.delete_object

        def send(hook: EnaioHook, *args: Any, **options: Any) -> Any:
            for call in ("get_object", "search"):
                served.fault(vendor="enaio", call=call, times=None, status=500, act=False)
            return sent(hook, *args, **options)

        patched.setattr(EnaioHook, "delete_object", send)
        yield
    served.sandbox.faults.clear()


@pytest.mark.parametrize("prefix", ["", "other-"], ids=["same keys", "other keys"])
@pytest.mark.parametrize("hard", [True, False], ids=["hard", "soft"])
def test_what_another_run_deleted_after_our_lost_call_is_absent(
    served: ServedSandbox, documents: list[str], prefix: str, hard: bool
) -> None:
    ids = documents[:2]
    with lost_without_effect(served):
        first = delete(MONDAY, ids, hard=hard)
    assert {kind for kind, _ in outcomes(served, first).values()} == {"unknown"}
    second = delete(TUESDAY, ids, prefix=prefix, hard=hard)
    assert {kind for kind, _ in outcomes(served, second).values()} == {"destroyed" if hard else "recycled"}
    for kind, reason in outcomes(served, delete(MONDAY, ids, 2, hard=hard)).values():
        assert kind == "absent"
        assert "scheduled__tuesday/delete/-1 says that it disposed of it" in reason


def test_of_two_runs_whose_calls_were_lost_none_claims_it(served: ServedSandbox, documents: list[str]) -> None:
    ids = documents[:2]
    for run_id in (MONDAY, TUESDAY):
        with lost_without_effect(served):
            delete(run_id, ids)
    enaio: Any = served.sandbox.vendors["enaio"]
    for id_ in ids:
        enaio.archive.destroy(enaio.archive.objects[id_])
    for run_id in (MONDAY, TUESDAY):
        assert {kind for kind, _ in outcomes(served, delete(run_id, ids, 2)).values()} == {"unknown"}


def test_a_run_that_was_over_before_takes_nothing_away(served: ServedSandbox, documents: list[str]) -> None:
    """It disposed of other objects, and its journal says nothing of these."""
    delete(MONDAY, documents[2:4])
    served.fault(vendor="enaio", call="delete_object", times=None, drop=True)
    assert {kind for kind, _ in outcomes(served, delete(TUESDAY, documents[:2])).values()} == {"destroyed"}


def test_a_hard_delete_of_what_another_run_had_recycled_is_not_hidden(
    served: ServedSandbox, documents: list[str]
) -> None:
    """The other run's move into the recycle bin does not tell who deleted it out of there."""
    ids = documents[:2]
    assert {kind for kind, _ in outcomes(served, delete(MONDAY, ids, hard=False)).values()} == {"recycled"}
    served.fault(vendor="enaio", call="delete_object", times=None, drop=True)
    found = outcomes(served, delete(TUESDAY, documents[:3]))
    assert found.pop(documents[2])[0] == "destroyed"
    for kind, reason in found.values():
        assert kind == "unknown"
        assert "scheduled__monday/delete/-1 says that it moved it into a recycle bin" in reason
