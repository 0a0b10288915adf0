"""Ask people in Airflow's own UI to approve exactly one list."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.exceptions import HITLRejectException
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BaseNotifier

from airflow_provider_records.airflow_version import AirflowFailException, ParamsDict, asks_again, own_params
from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import PERSON, Approval, Rejection, person
from airflow_provider_records.evidence.changes import changes
from airflow_provider_records.evidence.earlier import earlier_rejections
from airflow_provider_records.evidence.hold import HoldRegister
from airflow_provider_records.evidence.names import Naming, folded
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.set_aside import LeftOut
from airflow_provider_records.evidence.slip import Slip
from airflow_provider_records.exceptions import (
    AnswerError,
    ApprovalError,
    ConfigurationError,
    RecordsError,
)
from airflow_provider_records.reporting import approval_request
from airflow_provider_records.task.answer import (
    Answer,
    approver,
    bring_back,
    field_of,
    form,
    put_on_hold,
    read_typed,
    reviewers_holds,
    utc,
)
from airflow_provider_records.task.arguments import check_switches
from airflow_provider_records.task.asking import Scope, ask
from airflow_provider_records.task.context import evidence_store, hard_stops, provenance, reading_language, signing_key
from airflow_provider_records.task.links import list_url, request_url
from airflow_provider_records.task.message import request_message
from airflow_provider_records.task.records import resolve
from airflow_provider_records.task.templating import RecordsOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.execution_time.hitl import HITLUser

log = logging.getLogger(__name__)

_FIXED = ("subject", "body", "options", "multiple", "ignore_downstream_trigger_rules")
_AGAIN = "Clear this task to be asked again."
_ANYBODY = "Anonymous"  # the one user of the simple auth manager with simple_auth_manager_all_admins


class DisposalApprovalOperator(RecordsOperator, ApprovalOperator):
    """Ask people in Airflow whether a list may be disposed of; an approver may withhold single records.

    The answer holds for exactly the order that was shown: this list, these disposing tasks with their systems, methods
    and targets, this run, until the stated time. Silence is never approval: without an answer the task
    fails. After *Reject* every task downstream is skipped, whatever its trigger rule. Two such tasks in a row, the
    second with the output of the first as ``records``, demand two different people.

    What a reviewer withholds is on hold from then on: later lists leave it out and say so, until the last day that the
    reviewer wrote behind the reason, or until a reviewer of this DAG brings it back. Where a line of the form cannot be
    followed, nothing is approved, and the reason stands in the log, on the page of the list, and in what notifiers get
    as ``subject``, ``body`` and ``summary`` of the task. From Airflow 3.3 on the task then waits for another answer to
    the same request; before, it fails with ``AnswerError``, and with ``retries`` people are asked again.

    :param records: a manifest reference, a list of ids or of record mappings, or one id.
    :param assigned_users: who may answer: ``{"id": ..., "name": ...}`` or a list of them, with the ids of
        Airflow's auth manager (simple: the user name; FAB: the number of the user, as text).
    :param response_timeout: how long to wait for an answer; None: without limit.
    :param exclude_requester: refuse an approval by the user who triggered the DAG run. A scheduled run has no such
        user; Airflow does not say who cleared a task.
    :param for_tasks: ids of the disposing tasks downstream that the approval covers; None: all of them.
    :param covers: where another DAG disposes of the records: what it does, as
        ``{"system": "enaio", "method": "destroy", "conn_id": "enaio_default"}`` for each of its tasks.
    :param valid_for: how long the approval allows new deletes, counted from the request; None:
        ``[records] approval_valid_days`` (30).
    :param notifiers: notified when people are asked, as for ``ApprovalOperator``; one that fails is only logged.
        ``{{ task.summary }}`` is a plain text for them, with links to the answer and to the list.
        ``fail_on_reject`` works as for ``ApprovalOperator``, too.
    :return: a manifest reference with the approval; to a shorter list if records were withheld.
    :raises AirflowFailException: nobody answered, or the answer cannot count; a retry would not help.
    :raises AnswerError: a field of the answer cannot be followed; a retry asks again.
    """

    template_fields: Sequence[str] = ("records",)

    def __init__(
        self,
        *,
        records: Any,  # noqa: ANN401 - templated; checked when the task runs
        assigned_users: HITLUser | list[HITLUser],
        response_timeout: timedelta | None,
        exclude_requester: bool = True,
        for_tasks: Sequence[str] | None = None,
        covers: Sequence[Mapping[str, str]] | None = None,
        valid_for: timedelta | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        if fixed := [name for name in _FIXED if name in kwargs]:
            raise ConfigurationError(f"{type(self).__name__} sets {', '.join(fixed)} itself.")
        super().__init__(
            subject="Dispose of records?",
            assigned_users=assigned_users,
            response_timeout=response_timeout,
            ignore_downstream_trigger_rules=True,
            **kwargs,
        )
        # Of the operator, not of kwargs: Airflow fills in default_args on the way up.
        if self.defaults is not None:
            raise ConfigurationError(f"{type(self).__name__} refuses defaults: silence would become an answer.")
        if own_params(self):
            raise ConfigurationError(f"{type(self).__name__} makes its own form and takes no params.")
        self.params = ParamsDict()
        if self.response_timeout is not None and not self.response_timeout > timedelta():
            raise ConfigurationError("response_timeout must be longer than nothing, or None to wait for ever.")
        _check_users(self.assigned_users)
        check_switches(exclude_requester=exclude_requester)
        self.records = records
        self.exclude_requester = exclude_requester
        self.scope = Scope.checked(for_tasks, covers, valid_for)
        self.summary = ""

    def execute(self, context: Context) -> Any:  # noqa: ANN401
        """Ask for an answer; an empty list passes without one."""
        with hard_stops():
            origin = provenance(context)
            selection = resolve(self.records, evidence_store(), shown_by=origin)
            manifest, authorization = selection.manifest, selection.authorize(approval_required=False)
            if not manifest.count:
                approvals = [approval.uri for approval in authorization.own_approvals]
                count = len(authorization.withheld)
                return manifest_reference(manifest, approvals, count, **selection.made_by)
            self.assigned_users = self._eligible(context, manifest.store.naming, authorization.own_approvals)
            order = ask(self, self.scope, context, selection, tries="all")
            language = reading_language()
            self.subject = approval_request.subject(manifest, order, self.task_id, language)
            shown = [approval.shown for approval in authorization.own_originals]
            register = HoldRegister(manifest.store, signing_key())
            holds = reviewers_holds(register, origin.dag_id)
            self.body = approval_request.body(
                manifest,
                order,
                authorization.own_originals,
                list_url(manifest.digest, origin.dag_id, origin.run_id),
                earlier_rejections(manifest, origin.dag_id, origin.run_id),
                left_out=LeftOut.of(manifest.store, origin.dag_id, origin.run_id, {manifest.digest, *shown}),
                changes=changes(manifest, order, origin, register),
                withheld_before=holds,
                language=language,
            )
            self.params = form(manifest.digest, order.id, language, manifest.store.naming)
            self.summary = request_message(self.subject, manifest, order, context, language)
        self.notifiers = [_Harmless(notifier) for notifier in self.notifiers]
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any] | None:
        """Check and keep the answer. Airflow calls this on a new object; see the class."""
        with hard_stops():
            try:
                answer = self._answer(event)
                reference = self._approve(context, answer) if answer.option == self.APPROVE else None
            except AnswerError as error:
                self._keep_slip(context, event, error)
                if asks_again():
                    log.warning("%s", error)
                    self._ask_again(context, str(error))
                raise
            if reference is None:
                self._keep_rejection(context, answer)
        self.log.info("%s by %s: %s", answer.option, answer.who, answer.comment or "no comment")
        try:
            super().execute_complete(context, event)  # skips what is downstream of a rejection
        except HITLRejectException:
            raise AirflowFailException(f"{answer.who} rejected the list.") from None
        return reference

    def _eligible(self, context: Context, naming: Naming, given: Sequence[Approval]) -> list[HITLUser]:
        """Return the assigned users who may still approve; an answer of the others would be refused."""
        requester = self._requester(context)
        users = [
            user
            for user in self.assigned_users or []
            if not _gave_one(naming, user["id"], user["name"], given)
            and requester not in {folded(user["id"]), folded(user["name"])}
        ]
        if not users:
            raise ApprovalError(
                "Nobody is left to ask: each of assigned_users has approved this list already, or has triggered this "
                "DAG run (exclude_requester). Name more people in assigned_users."
            )
        return users

    def _requester(self, context: Context) -> str | None:
        name = context["dag_run"].triggering_user_name if self.exclude_requester else None
        return folded(name) if name else None

    def _answer(self, event: Mapping[str, Any]) -> Answer:
        """Check that a person has answered."""
        if "error" in event:
            if event.get("error_type") == "timeout":
                raise ApprovalError(f"Nobody answered within {self.response_timeout}: the list is not approved.")
            raise ApprovalError(f"Airflow reports an error ({event.get('error_type')}) instead of an answer. {_AGAIN}")
        user, responded_at = event.get("responded_by_user"), event.get("responded_at")
        options = event.get("chosen_options")
        if (
            event.get("timedout") is not False
            or not isinstance(user, Mapping)
            or not isinstance(responded_at, datetime)
        ):
            raise ApprovalError(f"Nobody answered: Airflow filled in an answer by itself. {_AGAIN}")
        if options not in ([self.APPROVE], [self.REJECT]):
            raise ApprovalError(f"The answer is {options!r}, not one of {self.APPROVE} and {self.REJECT}. {_AGAIN}")
        if not isinstance(user.get("id"), str) or not user["id"].strip():
            raise ApprovalError(f"The answer does not name the user who gave it. {_AGAIN}")
        inputs = event.get("params_input") or {}
        return Answer(
            option=options[0],
            user_id=user["id"],
            user_name=str(user.get("name") or ""),
            responded_at=responded_at,
            digest=inputs.get("manifest"),
            order=inputs.get("order"),
            withhold=field_of(inputs, "withhold"),
            withhold_classes=field_of(inputs, "withhold_classes"),
            bring_back=field_of(inputs, "bring_back"),
            comment=field_of(inputs, "comment"),
        )

    def _approve(self, context: Context, answer: Answer) -> dict[str, Any]:
        """Check an approval against the list, resolved again now, and write it to the store."""
        if answer.user_id not in {user["id"] for user in self.assigned_users or []}:
            raise ApprovalError(
                f"{answer.who} is not in assigned_users and cannot approve. With [core] simple_auth_manager_all_admins "
                f"every user is the same one, so nobody can approve. {_AGAIN}"
            )
        if self._requester(context) in {folded(answer.user_id), folded(answer.user_name)}:
            raise ApprovalError(
                f"{answer.who} triggered this DAG run and cannot approve its list (exclude_requester). {_AGAIN}"
            )
        selection = resolve(self.records, evidence_store())
        manifest, authorization = selection.manifest, selection.authorize(approval_required=False)
        order = ask(self, self.scope, context, selection, tries="all")
        shown = {"manifest": (answer.digest, manifest.digest), "order": (answer.order, order.id)}
        if not all(given for given, _ in shown.values()):
            expected = ", ".join(f'"{name}": "{digest}"' for name, (_, digest) in shown.items())
            raise ApprovalError(
                f"The answer of {answer.who} does not say which list and order it is for; over the API, send "
                f"params_input with {{{expected}}}. {_AGAIN}"
            )
        for name, (given, digest) in shown.items():
            if given != digest:
                what = {"manifest": "list"}.get(name, name)
                raise ApprovalError(
                    f"{answer.who} answered for the {what} {str(given)[:80]!r}, but the {what} is {digest} now. "
                    "Airflow keeps showing the first request of a task: start a new DAG run."
                )
        if answer.responded_at >= datetime.fromisoformat(order.valid_until):
            raise ApprovalError(f"{answer.who} answered after the order had expired, at {order.valid_until}.")
        naming = manifest.store.naming
        if _gave_one(naming, answer.user_id, answer.user_name, authorization.own_approvals):
            raise ApprovalError(f"{answer.who} has approved this list already; another person must. {_AGAIN}")
        answer = answer.as_evidence(naming)  # from here on it is only written
        register = HoldRegister(manifest.store, signing_key())
        withhold, back = read_typed(answer, manifest, register, order.dag_id)
        put_on_hold(register, withhold, answer, order.dag_id)
        left = withheld.without(manifest, withhold)
        approval = Approval(
            digest=left.digest,
            approver=approver(answer.user_id),
            name=answer.user_name,
            approved_at=answer.time,
            comment=answer.comment,
            source=_source(context),
            approver_type=PERSON,
            order=order.id,
            shown=manifest.digest if withhold else "",
            withheld=withhold,
        )
        approvals = [each.write(left.store) for each in authorization.for_part(left.digest)]
        approvals.append(approval.write(left.store, signing_key()))
        if back:
            bring_back(register, back, answer, order.dag_id)
        count = len({*authorization.withheld, *withhold})
        return manifest_reference(left, approvals, count, **selection.made_by)

    def _ask_again(self, context: Context, reason: str) -> None:
        """Wait for another answer to the same request; notifiers get the reason instead of its text."""
        language = reading_language()
        self.subject, self.body = language.gettext("Answer again: %(task)s", task=self.task_id), reason
        page = request_url(context)
        self.summary = f"{self.subject}\n{reason}\n\n{language.gettext('Answer: %(address)s', address=page)}"
        self.notifiers = [_Harmless(notifier) for notifier in self.notifiers]
        super().execute(context)

    def _keep_slip(self, context: Context, event: Mapping[str, Any], error: AnswerError) -> None:
        """Write to the store why an answer cannot be followed, for whoever is asked again."""
        origin, user = provenance(context), event["responded_by_user"]
        who = str(user.get("name") or user["id"])
        digest = (event.get("params_input") or {}).get("manifest")
        try:
            store = evidence_store()
            slip = Slip(
                digest=digest if isinstance(digest, str) and digest.isascii() else "",
                dag_id=origin.dag_id,
                run_id=origin.run_id,
                task_id=origin.task_id,
                map_index=origin.map_index,
                iteration=origin.iteration,
                who=store.naming.person(who),
                at=utc(event["responded_at"]),
                reason=str(error),
            )
            slip.write(store)
        except RecordsError as problem:
            log.warning("Why the answer cannot be followed could not be kept: %s", problem)

    def _keep_rejection(self, context: Context, answer: Answer) -> None:
        """Write a rejection to the store; it takes effect even if writing fails."""
        try:
            store = evidence_store()
            kept = answer.as_evidence(store.naming)
            rejection = Rejection(
                resolve(self.records, store).manifest.digest,
                approver(kept.user_id),
                kept.time,
                _source(context),
                kept.user_name,
                kept.comment,
                dag_id=context["ti"].dag_id,
                run_id=context["ti"].run_id,
            )
            uri = rejection.write(store)
            self.log.info("The rejection is kept as %s", uri)
            if answer.withhold or answer.withhold_classes or answer.bring_back:
                self.log.warning(
                    "The whole list was rejected; nothing was put on hold for it, and nothing brought back"
                )
        except RecordsError as error:
            self.log.error("The rejection could not be kept as evidence: %s", error)  # noqa: TRY400


class _Harmless(BaseNotifier):
    """Notifies; an error is logged, for the request can be answered without the message."""

    def __init__(self, notifier: BaseNotifier) -> None:
        super().__init__()
        self._notifier = notifier

    def notify(self, context: Context) -> None:
        """Notify people, or log why not."""
        try:
            self._notifier(context)
        except Exception:
            log.exception("%s failed; the request can be answered all the same", type(self._notifier).__name__)


def _source(context: Context) -> dict[str, Any]:
    """Return which task instance asked."""
    origin = provenance(context)
    return {
        "kind": "airflow",
        "dag": origin.dag_id,
        "run": origin.run_id,
        "task": origin.task_id,
        "map_index": origin.map_index,
        "try": origin.try_number,
        **({"iteration": origin.iteration} if origin.iteration >= 0 else {}),
    }


def _check_users(users: object) -> None:
    if not isinstance(users, list) or not users:
        raise ConfigurationError(
            "assigned_users must name who may approve; without it, every user who can answer requests of the DAG could."
        )
    for user in users:
        texts = [user.get("id"), user.get("name")] if isinstance(user, Mapping) else [None]
        if not all(isinstance(text, str) and text and text == text.strip() for text in texts):
            raise ConfigurationError(
                f'assigned_users: {user!r} does not name a user; write {{"id": "...", "name": "..."}}, both as text.'
            )
        if user["id"] == _ANYBODY:
            raise ConfigurationError(f"assigned_users: {_ANYBODY!r} is everybody who opens this Airflow, not a person.")


def _gave_one(naming: Naming, user_id: str, user_name: str, given: Sequence[Approval]) -> bool:
    """Tell whether one of these approvals is by a user, here or under the same id or name in another system."""
    mine = set(map(naming.person, person(approver(user_id), user_name)))
    return any(not mine.isdisjoint(map(naming.person, approval.person)) for approval in given)
