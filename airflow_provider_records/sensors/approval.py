"""Base of the approval sensors: the output is the reference of the input with one more approval."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import PERSON, PROCESS, Approval, Rejection
from airflow_provider_records.evidence.hold import HoldRegister, Reason, reviewers_of
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.exceptions import ApprovalRejectedError, ConfigurationError
from airflow_provider_records.sensors.base import VendorSensor
from airflow_provider_records.task.asking import Scope, ask
from airflow_provider_records.task.context import evidence_store, signing_key
from airflow_provider_records.task.links import ListLink
from airflow_provider_records.task.records import Selection, resolve
from airflow_provider_records.task.templating import RecordsOperator
from airflow_provider_records.triggers.base import APPROVERS, REFUSED, VendorTrigger

log = logging.getLogger(__name__)

_NAMED = 20
"""Maximum number of refused records that the log names."""


def check_approver_field(field: object) -> str | None:
    """Check ``approver_field``.

    :raises ConfigurationError: it is neither the name of a field nor None.
    """
    if field is None or (isinstance(field, str) and field.strip()):
        return field
    raise ConfigurationError(f"approver_field is the name of a field, or None; not {field!r}.")


class ApprovalSensor(RecordsOperator, VendorSensor):
    """Wait until a list is approved in a vendor's system.

    :param records: a manifest reference, a list of ids or of record mappings, or one id.
    :param for_tasks: ids of the disposing tasks downstream that the approval covers; None: all of them.
    :param covers: where another DAG disposes of the records: what it does, as
        ``{"system": "enaio", "method": "destroy", "conn_id": "enaio_default"}`` for each of its tasks.
    :param valid_for: how long the approval allows new deletes, counted from the first look; None:
        ``[records] approval_valid_days`` (30).
    """

    operator_extra_links = (ListLink(),)
    approver_field: str | None = None

    def __init__(
        self,
        *,
        records: Any,  # noqa: ANN401 - templated; checked when the task runs
        for_tasks: Sequence[str] | None = None,
        covers: Sequence[Mapping[str, str]] | None = None,
        valid_for: timedelta | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.records = records
        self.scope = Scope.checked(for_tasks, covers, valid_for)

    def approval_question(self, selection: Selection, common: Mapping[str, Any]) -> VendorTrigger:
        """Return what to ask the vendor about a list that is not empty."""
        raise NotImplementedError

    def source(self) -> tuple[str, dict[str, Any]]:
        """Return a stable id of the approver, and where the approval can be found again."""
        raise NotImplementedError

    def trigger(self, common: Mapping[str, Any]) -> VendorTrigger | None:
        """Return what to ask the vendor; None for an empty list."""
        selection = resolve(self.records, evidence_store(), shown_by=self.origin)
        selection.authorize(approval_required=False)
        if not selection.manifest.count:
            return None
        self.listed = selection.manifest.digest
        question = self.approval_question(selection, common)
        order = ask(self, self.scope, self.context, selection)
        count, digest = selection.manifest.count, selection.manifest.digest
        self.log.info("%s records, %s, must be approved in %s", count, digest, self.source()[0])
        self.log.info("An approval allows until %s: %s (order %s)", order.valid_until, order.summary, order.id)
        return question

    def _look(self, question: VendorTrigger | None) -> dict[str, Any] | None:
        try:
            return super()._look(question)
        except ApprovalRejectedError as error:
            who, source = self.source()
            rejection = Rejection(
                self.listed,
                who,
                now(),
                source,
                comment=str(error),
                dag_id=self.origin.dag_id,
                run_id=self.origin.run_id,
            )
            rejection.write(evidence_store())
            raise

    def result(self, answer: Any) -> dict[str, Any] | None:  # noqa: ANN401
        """Bind the approval to the list and to the order, which are computed again now."""
        store = evidence_store()
        selection = resolve(self.records, store)
        authorization = selection.authorize(approval_required=False)
        shown, refused = selection.manifest, {} if answer is None else self.refused(answer, selection.manifest)
        left = withheld.without(shown, refused)
        approvals = [approval.uri or approval.write(store) for approval in authorization.for_part(left.digest)]
        if answer is not None:
            process, source = self.source()
            order = ask(self, self.scope, self.context, selection)
            people = [store.naming.person(name) for name in answer.get(APPROVERS, ())]
            named = [(PERSON, f"{source['kind']}:{name}", name) for name in people]
            if self.approver_field is not None:
                source["approver_field"] = self.approver_field
                if not named:
                    self.log.warning("No person approved all of the list; the approval names nobody")
            source |= self.origin.asking
            stated = {**answer, APPROVERS: people} if people else answer
            at, found = now(), {**source, "found": {name: stated[name] for name in stated if name != REFUSED}}
            self._hold(shown, refused, process, at)
            for approver_type, approver, name in named or [(PROCESS, process, "")]:
                approval = Approval(
                    digest=left.digest,
                    approver=approver,
                    approved_at=at,
                    source=found,
                    name=name,
                    shown=shown.digest if refused else "",
                    withheld=refused,
                    approver_type=approver_type,
                    order=order.id,
                )
                approvals.append(approval.write(store, signing_key()))
        count = len({*authorization.withheld, *refused})
        return manifest_reference(left, approvals, count, **selection.made_by)

    def refused(self, answer: Mapping[str, Any], manifest: Manifest) -> dict[str, str]:
        """Return which records of a list the vendor's system refuses while it approves the others: reason by key."""
        return {}

    def _hold(self, manifest: Manifest, refused: Mapping[str, str], who: str, at: str) -> None:
        """Put on hold what is refused and is not yet; before the approval, so that none of it is listed again."""
        if not refused:
            return
        register = HoldRegister(manifest.store, signing_key())
        held = register.of(record for record in manifest if record.key in refused)
        new = {key: Reason(text) for key, text in refused.items() if key not in held}
        register.withhold(new, who, at, reviewers_of(self.origin.dag_id))
        log.warning("%s of %s records are refused and on hold from now on", len(refused), manifest.count)
        for key, text in list(refused.items())[:_NAMED]:
            log.warning("Refused: %r: %s", key, text)
