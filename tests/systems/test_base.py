"""An outcome that rests on an error response; and that each registered system offers all that others ask of one."""

from __future__ import annotations

import inspect

import pytest

from airflow_provider_records.evidence.outcome import OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import VendorError
from airflow_provider_records.systems import SYSTEMS, system_class
from airflow_provider_records.systems.base import RegisteredSystem, outcome_from_error

RECORD = Record.from_item({"key": "k", "target_id": "17"})
ERROR = VendorError("refused", status=409, code="1100", request_id="req-1", detail="<raw>")


def test_an_error_response_keeps_its_request_id_and_its_raw_text() -> None:
    outcome = outcome_from_error(RECORD, OutcomeKind.BLOCKED, "it is locked", ERROR)
    assert (outcome.key, outcome.kind, outcome.proof) == ("k", OutcomeKind.BLOCKED, Proof.RESPONSE)
    assert (outcome.reason, outcome.request_id, outcome.detail) == ("it is locked", "req-1", "<raw>")
    assert not outcome.unanswered


@pytest.mark.parametrize("unanswered", [False, True])
@pytest.mark.parametrize("proof", [None, Proof.PROBE])
def test_the_system_says_what_an_error_proves_and_whether_the_call_may_still_take_effect(
    proof: Proof | None, unanswered: bool
) -> None:
    outcome = outcome_from_error(RECORD, OutcomeKind.UNKNOWN, "", ERROR, proof=proof, unanswered=unanswered)
    assert (outcome.proof, outcome.unanswered) == (proof, unanswered)


@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_each_registered_system_offers_all_that_other_rooms_ask_of_it(name: str) -> None:
    system = system_class(name)
    asked = {member for kind in RegisteredSystem.__mro__[:2] for member in vars(kind) if not member.startswith("_")} | {
        "name",
        "batch_size",
    }
    assert {"prepare", "dispose", "resolve_unanswered", "verify", "look_back", "describe"} <= asked
    assert not [member for member in sorted(asked) if not hasattr(system, member)]
    assert system.name == name
    for member in ("prepare", "dispose", "resolve_unanswered", "verify", "look_back"):
        ours, theirs = (inspect.signature(getattr(kind, member)) for kind in (RegisteredSystem, system))
        assert list(ours.parameters) == list(theirs.parameters), member
