"""Whether a task that marks records runs after a task that deleted only some of them."""

from __future__ import annotations

from airflow.sdk import XComArg
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_provider_records.task.disposing import DisposingOperator

_AFTER_FAILURE = ("one_done", "all_done", "all_done_setup_success", "none_skipped", "always")
"""The trigger rules with which a task runs whether the one before it succeeded or failed."""


def never_after_failure(trigger_rule: str, records: object) -> str:
    """Return why the marks of a partly failed night would be missing, as a sentence; empty: they would not be.

    :param trigger_rule: the rule of the marking task.
    :param records: its ``records=``, as the DAG says it.
    """
    if trigger_rule in _AFTER_FAILURE:
        return ""
    for operator, _ in XComArg.iter_xcom_references(records):
        kind = operator.operator_class if isinstance(operator, MappedOperator) else type(operator)
        if isinstance(kind, type) and issubclass(kind, DisposingOperator):
            rule = getattr(trigger_rule, "value", trigger_rule)
            return (
                f"With the trigger rule {rule} this task does not run when {operator.task_id} fails for some of its "
                "records: those that it deleted would not be marked. Write trigger_rule='one_done' (all_done after "
                "several tasks)."
            )
    return ""
