"""Each safety rule is switched off once, by itself, and what the fault matrix asserts must notice."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from airflow_provider_records.client.response import Response
from airflow_provider_records.client.transport import Request, Transport
from airflow_provider_records.evidence import authorization
from airflow_provider_records.evidence import journal as journal_module
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.execution import runner as runner_module
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.hooks import enaio as enaio_hook
from airflow_provider_records.hooks import opus as opus_hook
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.enaio_responses import Page
from airflow_provider_records.hooks.unifier_responses import Node
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.systems import enaio as enaio_system
from airflow_provider_records.systems.enaio import EnaioSystem
from airflow_provider_records.systems.enaio_look import Look, Looks, Presence
from airflow_provider_records.systems.opus import OpusSystem
from tests.faults import test_enaio, test_unifier
from tests.faults.matrix import Column, Reading
from tests.faults.rows import ROWS, Row
from tests.faults.trial import ServedSandbox, Trial
from tests.operators import factories
from tests.operators.factories import context

Patch = pytest.MonkeyPatch
QUIET_IN = Journal.seconds_until_settled


def delete(**options: Any) -> Callable[..., EnaioDeleteObjectOperator]:
    def make(**given: Any) -> EnaioDeleteObjectOperator:
        return EnaioDeleteObjectOperator(**{"require_approval": False, "hard_delete": True, **given, **options})

    return make


def cell(columns: list[Column], column: str, rows: list[Row], row: str) -> Callable[[ServedSandbox], None]:
    """Return a cell of the matrix as a scene."""
    (found,) = [each for each in columns if each.name == column]
    (what,) = [each for each in rows if each.name == row]
    return lambda sandbox: void(found.cell(what, sandbox))


def void(_: object) -> None:
    pass


def another_list_than_the_approved(sandbox: ServedSandbox) -> None:
    trial = Trial(sandbox, "enaio", 1, delete(require_approval=True))
    longer = [*trial.keys, str(int(trial.keys[0]) + 1)]
    approved, given = (Manifest.write(trial.store, keys) for keys in (trial.keys, longer))
    approval = Approval(
        approved.digest, "jane", now(), {"kind": "test"}, **factories.given(trial.store, approved.digest)
    ).write(trial.store)
    trial.records = manifest_reference(given, [approval])  # type: ignore[assignment]
    trial.attempt()


def a_list_that_is_too_long(sandbox: ServedSandbox) -> None:
    trial = Trial(sandbox, "enaio", 3, delete(max_records=2))
    trial.attempt()
    assert not trial.effects, "too many were deleted"


def an_id_that_is_more(sandbox: ServedSandbox) -> None:
    trial = Trial(sandbox, "enaio", 1, delete())
    listed = trial.keys[0]
    trial.records = [{"key": listed, "target_id": f"{int(listed) + 1}?and={listed}"}]
    trial.attempt()


def twenty_marks(sandbox: ServedSandbox) -> None:
    sandbox.opus.turn({"sixteen": "processed"})
    trial = Trial(sandbox, "opus", 20, lambda **given: OpusDestroyRecordsOperator(require_approval=False, **given))
    trial.attempt()
    trial.check_finished()


def a_delete_that_is_only_said(sandbox: ServedSandbox) -> None:
    trial = Trial(sandbox, "enaio", 1, delete())
    sandbox.fault("enaio", "delete_object", act=False, status=204)
    trial.attempt()
    sandbox.sandbox.faults.clear()


def a_try_beside_its_retry(sandbox: ServedSandbox) -> None:
    """A try is frozen after its first call; it goes on when the next try has done everything."""
    trial = Trial(sandbox, "enaio", 2, delete(concurrency=1))
    sandbox.connect(timeout=0.5)
    first = delete(concurrency=1)(task_id="dispose", records=trial.records)
    called, wake = threading.Event(), threading.Event()
    send = first.hook.delete_object

    def freeze(*args: Any, **options: Any) -> None:
        send(*args, **options)
        called.set()
        wake.wait(30)

    def begin() -> None:
        with contextlib.suppress(Exception):  # it may end as it likes, if only it sends nothing more
            first.execute(context(first, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first.hook, "delete_object", freeze)
        thread = threading.Thread(target=begin)
        thread.start()
        assert called.wait(30)
        sandbox.connect()
        trial.tries = 1
        trial.attempt()
        wake.set()
        thread.join(30)
    trial.check_order()


def wait_for_real(patch: Patch) -> None:
    """Let a retry wait until no call of an earlier try can take effect; other tests need not."""
    patch.setattr(Journal, "seconds_until_settled", QUIET_IN)
    for module in (journal_module, runner_module):
        patch.setattr(module, "LEASE", 4.0)
    patch.setattr(journal_module, "_MARGIN", 0.1)


def follow(patch: Patch) -> None:
    send = Transport.send_once

    def following(self: Transport, request: Request) -> Any:
        response = send(self, request)
        while response.get_redirect_location():
            response.drain_conn()
            response = send(self, replace(request, url=response.headers["Location"]))
        return response

    patch.setattr(Transport, "send_once", following)


def any_object(patch: Patch) -> None:
    def get_object(self: EnaioHook, object_id: str, **_: Any) -> Any:
        url = self._object_url(object_id)
        return self.send(
            "get_object", "GET", url, lambda response: Page.from_json(response.json()).objects[0], repeatable=True
        )

    patch.setattr(EnaioHook, "get_object", get_object)


def any_id(patch: Patch) -> None:
    for module in (enaio_hook, enaio_system):
        patch.setattr(module, "check_object_id", lambda value: value)
    patch.setattr(enaio_hook, "quoted", lambda part: part)
    live = Look(Presence.LIVE, None)
    patch.setattr(Looks, "at", lambda _, object_ids, __: dict.fromkeys(object_ids, live))


def large_batches(patch: Patch) -> None:
    patch.setattr(OpusSystem, "batch_size", 20)
    patch.setattr(opus_hook, "MOST_PER_CALL", 100)


def any_folder(patch: Patch) -> None:
    made = Node.from_json
    patch.setattr(Node, "from_json", lambda row: replace(made(row), parent_node_id="", path=""))


@dataclass(frozen=True)
class Rule:
    """A safety rule.

    :param name: what it says.
    :param case: breaks something, and asserts that nothing bad comes of it.
    :param off: switches the rule off.
    :param notice: what the assertion then says.
    :param on: makes real what tests leave out else.
    """

    name: str
    case: Callable[[ServedSandbox], None]
    off: Callable[[Patch], None]
    notice: str
    on: Callable[[Patch], None] = void


def switch_off_approvals(patch: Patch) -> None:
    patch.setattr(authorization, "_check_for_these_lists", lambda _: None)
    patch.setattr(authorization, "_check_enough", lambda _: None)
    patch.setattr(authorization.Authorizer, "_check_ordered", lambda *_, **__: None)


approves = cell([Reading("waits", "enaio", "get_object", ask=test_enaio.sensor("open"), well="waits")], "waits",
                list(test_enaio.OWN), "another object")  # fmt: skip
lost = cell(test_enaio.COLUMNS, "delete, done", ROWS, "connection cut")
echoed = cell(test_enaio.COLUMNS, "delete, done", ROWS, "credentials echoed")
moved = cell(test_enaio.COLUMNS, "delete, not done", ROWS, "redirect elsewhere")
elsewhere = cell(test_unifier.COLUMNS, "look, not done", list(test_unifier.OWN), "another folder")
RULES = [
    Rule("an approval is for one list", another_list_than_the_approved,
         switch_off_approvals, "not on the list"),
    Rule("max_records", a_list_that_is_too_long,
         lambda patch: patch.setattr(Limits, "refuse_too_many", lambda *_: None), "too many were deleted"),
    Rule("look before you repeat", lost,
         lambda patch: patch.setattr(EnaioSystem, "resolve_unanswered", lambda *_: [None]),
         "sent again after it was done"),
    Rule("never follow a redirect", moved, follow, "another host was called"),
    Rule("a retry waits for the calls of the try before", a_try_beside_its_retry,
         lambda patch: patch.setattr(Journal, "seconds_until_settled", lambda _: 0.0), "sent again after it was done",
         on=wait_for_real),
    Rule("15 marks a call", twenty_marks, large_batches, "more than 15"),
    Rule("an id stays within its place in the URL", an_id_that_is_more, any_id, "not on the list"),
    Rule("an answer is about what was asked", approves, any_object, "nobody has approved it"),
    Rule("a list is of the folder that was asked for", elsewhere, any_folder, "called recycled, and lives"),
    Rule("look after it was said", a_delete_that_is_only_said,
         lambda patch: patch.setattr(EnaioSystem, "verify", lambda _, batch: [each[1] for each in batch]),
         "called destroyed"),
    Rule("credentials are not kept", echoed,
         lambda patch: patch.setattr(Response, "redact", lambda _, text: text), "a secret is in"),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_that_is_switched_off_is_noticed(rule: Rule, sandbox: ServedSandbox, monkeypatch: Patch) -> None:
    rule.on(monkeypatch)
    rule.case(sandbox)
    sandbox.elsewhere.heads.clear()
    sandbox.sandbox.faults.clear()
    with pytest.MonkeyPatch.context() as patch:
        rule.off(patch)
        with pytest.raises(AssertionError, match=rule.notice):
            rule.case(sandbox)
