"""People who answer a request, and Airflow's server between them and the operator, as it was seen to behave."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.slip import Slip
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import AnswerError
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.task.context import evidence_store
from tests.minors import TaskAwaitingInput, has
from tests.operators import factories

ANNA: Any = {"id": "anna", "name": "Anna"}
BEN: Any = {"id": "ben", "name": "Ben"}
CARL: Any = {"id": "carl", "name": "Carl"}
NOWHERE = {"conn_type": "enaio", "host": "https://enaio.example.org", "login": "robot", "password": "9d1f0b6e"}
WHEN = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
RECORDS = [
    {"key": f"enaio-{number}", "target_id": str(number), "title": f"Akte {number}", "classification": "Personal"}
    for number in range(1, 9)
]


@dataclass
class DagRun(factories.DagRun):
    """Who triggered it: None, as if scheduled."""

    triggering_user_name: str | None = None


@dataclass
class TaskInstance(factories.TaskInstance):
    id: uuid.UUID = field(default_factory=uuid.uuid4)


@dataclass
class Page:
    """The request of one task instance as Airflow keeps it: what was asked first stays, whatever is asked later.

    :param make: makes the operator anew, as each process does.
    :param requester: who triggered the DAG run.
    :param run_id: the DAG run.
    """

    make: Callable[[], DisposalApprovalOperator]
    requester: str | None = None
    run_id: str = factories.RUN_ID
    shown: dict[str, Any] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)
    tries: int = 0

    def context(self, operator: DisposalApprovalOperator) -> Any:
        factories.at_night(operator)
        ti = TaskInstance(operator.task_id, self.tries, run_id=self.run_id)
        return {"ti": ti, "task_instance": ti, "task": operator, "dag_run": DagRun(triggering_user_name=self.requester)}

    def execute(self) -> Any:
        """Run a try up to where it waits; return what it returns if it does not."""
        self.tries += 1
        operator = self.make()
        return operator.execute(self.context(operator))

    def ask(self) -> Page:
        """Run a try that has to wait for an answer."""
        with pytest.raises(TaskAwaitingInput) as waits:
            self.execute()
        assert waits.value.method_name == "execute_complete"
        return self

    def upsert(self, **request: Any) -> None:
        self.sent.append(request)
        self.shown = self.shown or request

    def form(self) -> dict[str, Any]:
        """Return the form as it is when nobody has typed anything."""
        return {name: param["value"] for name, param in self.shown["params"].items()}

    def event(self, option: str, user: Mapping[str, str] | None, **inputs: Any) -> dict[str, Any]:
        """Return what Airflow makes of an answer."""
        return {
            "chosen_options": [option],
            "params_input": {**self.form(), **inputs},
            "responded_at": WHEN,
            "responded_by_user": user,
            "timedout": False,
        }

    def answer(self, option: str, user: Mapping[str, str], **inputs: Any) -> Any:
        """Answer with what the page shows, as its form does."""
        return self.complete(self.event(option, user, **inputs))

    def approve(self, user: Mapping[str, str], **inputs: Any) -> dict[str, Any]:
        reference: dict[str, Any] = self.answer("Approve", user, **inputs)
        return reference

    def slip(self, option: str, user: Mapping[str, str], **inputs: Any) -> str:
        """Answer with a form that cannot be followed; return what is kept of the reason."""
        with pytest.raises(TaskAwaitingInput if has("3.3") else AnswerError):
            self.answer(option, user, **inputs)
        return Slip.of_run(evidence_store(), factories.DAG_ID, self.run_id)[0].reason

    def complete(self, event: Any) -> Any:
        """Resume the task with an event, in a process that knows nothing of the first."""
        operator = self.make()
        return operator.execute_complete(self.context(operator), event)


def refused(page: Page, event: dict[str, Any], words: str) -> None:
    """Airflow must not retry: the next try would wipe the answer and ask again. No approval is left behind."""
    before = evidence_store().names("approvals")
    with pytest.raises(AirflowFailException, match=words):
        page.complete(event)
    assert evidence_store().names("approvals") == before


Request = Callable[..., Page]


@pytest.fixture
def listed(store: Store) -> dict[str, Any]:
    return manifest_reference(Manifest.write(store, RECORDS))


@pytest.fixture
def request_for(monkeypatch: pytest.MonkeyPatch) -> Request:
    """Make a request: ``request_for(records, assigned_users=[ANNA])``; nothing is asked yet."""
    if not factories.connected("enaio"):
        monkeypatch.setenv("AIRFLOW_CONN_ENAIO_DEFAULT", json.dumps(NOWHERE))

    def make(
        records: Any,
        *,
        requester: str | None = None,
        task_id: str = "approve",
        run_id: str = factories.RUN_ID,
        **more: Any,
    ) -> Page:
        given: dict[str, Any] = {"assigned_users": [ANNA, BEN], "response_timeout": timedelta(days=3), **more}
        page = Page(lambda: DisposalApprovalOperator(task_id=task_id, records=records, **given), requester, run_id)

        def execute() -> Any:
            # Only Airflow's server is played; what talks to it is the real operator.
            monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **request: page.upsert(**request))
            return Page.execute(page)

        page.execute = execute  # type: ignore[method-assign]
        return page

    return make
