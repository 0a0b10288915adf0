"""What an approving step asks for: the disposing tasks after it, with their systems, methods and targets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_provider_records.evidence.order import METHODS, Covered, Order
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.exceptions import ApprovalError, ConfigurationError
from airflow_provider_records.systems import SYSTEMS, system_class
from airflow_provider_records.task.context import provenance
from airflow_provider_records.task.disposing import DisposingOperator
from airflow_provider_records.task.records import Selection
from airflow_provider_records.task.validity import check_valid_for, valid_until

if TYPE_CHECKING:
    from airflow.sdk import Context

_MEMBERS = frozenset({"system", "method", "conn_id"})
_NEW_RUN = "Start a new DAG run."


@dataclass(frozen=True)
class Scope:
    """What a DAG says of the orders of one approving step.

    :param for_tasks: ids of the disposing tasks that are covered; None: all downstream.
    :param covers: what a task of another DAG will do: system, method and connection of each.
    :param valid_for: how long an order allows new deletes; None: ``[records] approval_valid_days``.
    """

    for_tasks: Sequence[str] | None
    covers: Sequence[Mapping[str, str]]
    valid_for: timedelta | None

    @classmethod
    def checked(cls, for_tasks: Any, covers: Any, valid_for: object) -> Scope:  # noqa: ANN401 - what a DAG may say
        """Check the arguments of an approving step.

        :raises ConfigurationError: one has a wrong shape, or names a system or a method that does not exist.
        """
        if for_tasks is not None and not (_is_list(for_tasks) and for_tasks and all(map(_is_text, for_tasks))):
            raise ConfigurationError(f"for_tasks is a list of task ids, or None for all; not {for_tasks!r}.")
        if covers is not None and not (_is_list(covers) and covers):
            raise ConfigurationError(f"covers is a list of mappings, or None; not {covers!r}.")
        for each in covers or ():
            if not isinstance(each, Mapping) or each.keys() != _MEMBERS or not all(map(_is_text, each.values())):
                raise ConfigurationError(
                    f"covers: {each!r} does not name what is done; write "
                    '{"system": "enaio", "method": "destroy", "conn_id": "enaio_default"}.'
                )
            if each["system"] not in SYSTEMS or each["method"] not in METHODS:
                raise ConfigurationError(
                    f"covers: {each!r} names no system or no method; systems are {', '.join(SYSTEMS)}, methods "
                    f"{', '.join(METHODS)}."
                )
        if for_tasks and covers:
            raise ConfigurationError("for_tasks names tasks of this DAG, covers what another DAG does; give one.")
        tasks = None if for_tasks is None else tuple(for_tasks)
        return cls(tasks, tuple(covers or ()), check_valid_for(valid_for))


def ask(step: BaseOperator, scope: Scope, context: Context, selection: Selection, *, tries: str = "one") -> Order:
    """Compute the order of a step, and keep it before anybody is asked; a later call must come to the same one.

    :param step: the approving task.
    :param selection: the list that is to be approved.
    :param tries: ``one``: each try asks for itself; ``all``: all tries of the task instance show one page.
    :raises ApprovalError: the step has asked for something else before, or the order has expired.
    :raises ConfigurationError: the order cannot be computed.
    """
    store, origin = selection.manifest.store, provenance(context)
    asking: dict[str, Any] = {
        "task_id": origin.task_id,
        "map_index": origin.map_index,
        "iteration": origin.iteration,
        "try_number": origin.try_number if tries == "one" else None,
    }
    before = Order.asked_before(store, origin.dag_id, origin.run_id, **asking)
    order = compute(step, scope, context, selection, before.asked_at if before else now())
    if before is not None and before.id != order.id:
        what = "; ".join(before.differences(order)) or "it was written otherwise"
        raise ApprovalError(
            f"This task has asked for another order before ({before.id}), and an approval of that one does not count: "
            f"{what}. {_NEW_RUN}"
        )
    if datetime.fromisoformat(now()) >= datetime.fromisoformat(order.valid_until):
        raise ApprovalError(f"The order that this task asked for expired at {order.valid_until}. {_NEW_RUN}")
    order.write(store)
    if before is None:
        order.keep_as_asked(store, **asking)
    return order


def compute(step: BaseOperator, scope: Scope, context: Context, selection: Selection, asked_at: str) -> Order:
    """Compute the order of a step as its DAG and its connections are now.

    :param asked_at: when the step asked first, ISO 8601 in UTC.
    :raises ConfigurationError: no disposing task is covered, or what one does cannot be told at this time.
    """
    origin = provenance(context)
    return Order(
        digest=selection.manifest.digest,
        tasks=list(_covered(step, scope, context)),
        dag_id=origin.dag_id,
        run_id=origin.run_id,
        asked_at=asked_at,
        valid_until=valid_until(asked_at, scope.valid_for),
        due_list=selection.due_list,
    )


def _covered(step: BaseOperator, scope: Scope, context: Context) -> Iterator[Covered]:
    tasks = _disposing(step)
    if scope.covers:
        if tasks:
            raise ConfigurationError(
                f"covers is for a DAG that disposes of nothing itself, and {', '.join(tasks)} is downstream of "
                f"{step.task_id}. Leave covers out."
            )
        for each in scope.covers:
            system = system_class(each["system"]).from_connection(each["conn_id"])
            yield Covered("", each["system"], each["method"], system.target, each["conn_id"], system.describe().title)
        return
    if not tasks:
        raise ConfigurationError(
            f"No disposing task is downstream of {step.task_id}, so nobody can be told what an approval allows. If "
            "another DAG carries the list out, name what it does in covers="
            '[{"system": "enaio", "method": "destroy", "conn_id": "enaio_default"}].'
        )
    if unknown := sorted(set(scope.for_tasks or ()) - tasks.keys()):
        raise ConfigurationError(
            f"for_tasks: {', '.join(unknown)} is no disposing task downstream of {step.task_id}; there are "
            f"{', '.join(tasks)}."
        )
    for task_id, task in tasks.items():
        if scope.for_tasks is None or task_id in scope.for_tasks:
            yield _place(task, context)


def _disposing(step: BaseOperator) -> dict[str, Any]:
    """Return the disposing tasks downstream of a step by id, each after those that it depends on."""
    found: dict[str, Any] = {}
    for task in step.get_flat_relatives(upstream=False) if step.has_dag() else ():  # type: ignore[no-untyped-call]
        kind = task.operator_class if isinstance(task, MappedOperator) else type(task)
        if issubclass(kind, DisposingOperator):
            found[task.task_id] = task
    before = {task_id: len(task.get_flat_relative_ids(upstream=True) & found.keys()) for task_id, task in found.items()}
    return {task_id: found[task_id] for task_id in sorted(found, key=lambda each: (before[each], each))}


def _place(task: Any, context: Context) -> Covered:  # noqa: ANN401 - a disposing operator, mapped or not
    """Return what a task will do, as its connection and its arguments are now."""
    is_mapped = isinstance(task, MappedOperator)
    kind: type[DisposingOperator] = task.operator_class if is_mapped else type(task)
    given = {name: _argument(task, name) for name in kind.place_arguments}
    known = {name: _rendered(task, name, value, context) for name, value in given.items() if value is not _DEFAULT}
    if is_mapped:
        mapped = {"records": [], **known}
        operator = task.unmap({name: value for name, value in mapped.items() if name not in task.partial_kwargs})
    else:
        operator = task.prepare_for_execution()
    for name, value in known.items():
        setattr(operator, name, value)
    operator.__dict__.pop("hook", None)
    description = operator.system().describe()
    conn_id, target = operator.hook.conn_id, operator.hook.target
    return Covered(task.task_id, operator.system_name, description.action, target, conn_id, description.title)


_DEFAULT: Any = object()


def _argument(task: Any, name: str) -> Any:  # noqa: ANN401 - what a DAG may say
    """Return an argument as the DAG gives it.

    :raises ConfigurationError: it is mapped, with different values or with some that nobody knows yet.
    """
    if not isinstance(task, MappedOperator):
        return getattr(task, name)
    if name in task.partial_kwargs:
        return task.partial_kwargs[name]
    mapped: Any = task._get_specified_expand_input().value
    if isinstance(mapped, Mapping):
        values: Any = mapped.get(name, [_DEFAULT])
    else:
        values = [each.get(name, _DEFAULT) for each in mapped] if _is_list(mapped) else None
    if not isinstance(values, Sequence) or not values or any(value != values[0] for value in values):
        raise ConfigurationError(
            f"Task {task.task_id!r} is mapped, and its {name} is not the same for all or comes from a later task, so "
            f"nobody can be told what an approval allows. Give {name} to partial()."
        )
    return values[0]


def _rendered(task: Any, name: str, value: Any, context: Context) -> Any:  # noqa: ANN401
    """Render an argument as the task will."""
    if isinstance(value, bool):
        return value
    problem = ""
    try:
        value = task.render_template(value, context, task.get_template_env())
    except Exception as error:  # noqa: BLE001 - whatever a template may raise
        problem = f" ({type(error).__name__}: {error})"
    if problem or not _is_text(value) or value == "None":
        raise ConfigurationError(
            f"{name} of task {task.task_id!r} cannot be rendered yet{problem or f'; it gave {value!r}'}, so nobody can "
            "be told what an approval allows. It must not depend on a task after the approval."
        )
    return value


def _is_list(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
