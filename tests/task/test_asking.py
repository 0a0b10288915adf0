"""What an approving step asks for, and when it refuses to ask."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, task

from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalError, ConfigurationError, InvalidRecordsError
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.task import asking
from airflow_provider_records.task.asking import Scope, ask
from airflow_provider_records.task.records import Selection
from tests.operators import factories

ENAIO, OPUS = "https://enaio.example.org", "https://opus.example.org"
COVERS = [{"system": "enaio", "method": "destroy", "conn_id": "enaio_default"}]


def connect(monkeypatch: pytest.MonkeyPatch, conn_type: str, host: str, conn_id: str = "") -> None:
    fields = {"conn_type": conn_type, "host": host, "login": "robot", "password": "9d1f0b6e"}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id or f'{conn_type}_default'}".upper(), json.dumps(fields))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    connect(monkeypatch, "enaio", ENAIO)
    connect(monkeypatch, "opus", OPUS)
    return Store(f"file://{tmp_path}")


def step(**more: Any) -> DisposalApprovalOperator:
    users: Any = {"id": "anna", "name": "Anna"}
    return DisposalApprovalOperator(task_id="approve", records=[], assigned_users=users, response_timeout=None, **more)


def asked(
    operator: DisposalApprovalOperator, store: Store, *, tries: str = "one", iteration: int | None = None, **facts: Any
) -> Order:
    context: Any = {**factories.context(operator, **facts), "params": {"archive": "enaio_default"}}
    if iteration is not None:
        context["loop"] = SimpleNamespace(index=iteration)
    listed = Manifest.write(store, ["1", "2"])
    return ask(operator, operator.scope, context, Selection(listed, [listed.digest]), tries=tries)


def places(order: Order) -> list[tuple[str, ...]]:
    return [(each.task_id, each.system, each.method, each.target.split("?")[0]) for each in order.tasks]


def followed_by(*tasks: BaseOperator, operator: DisposalApprovalOperator) -> DisposalApprovalOperator:
    operator >> list(tasks)
    return operator


def delete(task_id: str = "delete", **more: Any) -> EnaioDeleteObjectOperator:
    return EnaioDeleteObjectOperator(task_id=task_id, records=[], **{"hard_delete": True, **more})


def test_all_disposing_tasks_downstream_are_covered_in_their_order(store: Store) -> None:
    with DAG("night"):
        approve, between = step(), BaseOperator(task_id="between")
        OpusDestroyRecordsOperator(task_id="before", records=[]) >> approve
        approve >> between >> delete("z_delete") >> OpusDestroyRecordsOperator(task_id="a_mark", records=[])
        delete("beside")
    order = asked(approve, store)
    assert places(order) == [
        ("z_delete", "enaio", "destroy", f"{ENAIO}/api/dms"),
        ("a_mark", "opus", "mark", OPUS),
    ]
    assert order.summary.startswith(f"permanently delete from enaio at {ENAIO}/api/dms, then mark as destroyed in Opus")
    assert Order.read(store, order.id) == order
    assert (order.dag_id, order.run_id) == (factories.DAG_ID, factories.RUN_ID)


def test_the_method_is_the_one_of_the_arguments(store: Store) -> None:
    with DAG("night"):
        approve = followed_by(delete(hard_delete=False), operator=step())
    assert places(asked(approve, store))[0][2] == "recycle"


def test_only_the_named_tasks_are_covered(store: Store) -> None:
    with DAG("night"):
        approve = followed_by(delete("one"), delete("two"), operator=step(for_tasks=["two"]))
    assert [each.task_id for each in asked(approve, store).tasks] == ["two"]


@pytest.mark.parametrize("task_id", ["elsewhere", "between", "upstream"])
def test_a_task_that_is_no_disposing_one_downstream_is_refused(store: Store, task_id: str) -> None:
    with DAG("night"):
        approve = followed_by(delete(), BaseOperator(task_id="between"), operator=step(for_tasks=["delete", task_id]))
        delete("upstream") >> approve
    with pytest.raises(ConfigurationError, match=f"for_tasks: {task_id} is no disposing task downstream of approve"):
        asked(approve, store)
    assert not store.names("orders")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"for_tasks": "delete"}, "for_tasks is a list of task ids"),
        ({"for_tasks": []}, "for_tasks is a list"),
        ({"for_tasks": [""]}, "for_tasks is a list"),
        ({"for_tasks": [7]}, "for_tasks is a list"),
        ({"covers": COVERS[0]}, "covers is a list of mappings"),
        ({"covers": []}, "covers is a list"),
        ({"covers": ["enaio"]}, "does not name what is done"),
        ({"covers": [{**COVERS[0], "target": "x"}]}, "does not name what is done"),
        ({"covers": [{**COVERS[0], "conn_id": " "}]}, "does not name what is done"),
        ({"covers": [{**COVERS[0], "conn_id": None}]}, "does not name what is done"),
        ({"covers": [{**COVERS[0], "system": "paper"}]}, "names no system or no method"),
        ({"covers": [{**COVERS[0], "method": "burn"}]}, "names no system or no method"),
        ({"covers": COVERS, "for_tasks": ["delete"]}, "give one"),
        ({"valid_for": timedelta()}, "valid_for"),
    ],
)
def test_wrong_shapes_are_refused_when_the_dag_is_parsed(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        step(**more)


def test_nothing_downstream_needs_covers(store: Store) -> None:
    with DAG("night"):
        alone = followed_by(BaseOperator(task_id="trigger"), operator=step())
    with pytest.raises(ConfigurationError, match=r"No disposing task is downstream of approve.*covers="):
        asked(alone, store)
    with DAG("night"):
        covering = followed_by(BaseOperator(task_id="trigger"), operator=step(covers=COVERS))
    assert places(asked(covering, store)) == [("", "enaio", "destroy", f"{ENAIO}/api/dms")]


def test_covers_beside_disposing_tasks_is_refused(store: Store) -> None:
    with DAG("night"):
        approve = followed_by(delete(), operator=step(covers=COVERS))
    with pytest.raises(ConfigurationError, match="Leave covers out"):
        asked(approve, store)


# What cannot be told yet


def test_a_connection_that_is_known_already_is_rendered(store: Store) -> None:
    with DAG("night"):
        approve = followed_by(delete(enaio_conn_id="{{ params.archive }}"), operator=step())
    assert asked(approve, store).tasks[0].conn_id == "enaio_default"


@pytest.mark.parametrize("conn_id", ["{{ params.nothing.at_all }}", "{{ none }}", "", " ", 7, None])
def test_a_connection_that_cannot_be_rendered_is_refused(store: Store, conn_id: Any) -> None:
    with DAG("night"):
        approve = followed_by(delete(enaio_conn_id=conn_id), operator=step())
    with pytest.raises(ConfigurationError, match="enaio_conn_id of task 'delete' cannot be rendered yet"):
        asked(approve, store)


def test_a_connection_of_a_later_task_is_refused(store: Store) -> None:
    @task
    def choose() -> str:
        return "enaio_default"

    with DAG("night"):
        approve, chosen = step(), choose()
        approve >> chosen
        approve >> delete(enaio_conn_id=chosen)
    with pytest.raises(ConfigurationError, match="must not depend on a task after the approval"):
        asked(approve, store)


@pytest.mark.parametrize("hard_delete", ["false", "yes", None])
def test_a_method_is_chosen_by_yes_or_no(hard_delete: Any) -> None:
    """A text would be true, whatever it says."""
    with pytest.raises(ConfigurationError, match="hard_delete must be True or False"):
        delete(hard_delete=hard_delete)


def test_mapped_tasks_are_covered_once(store: Store) -> None:
    with DAG("night"):
        mapped = EnaioDeleteObjectOperator.partial(task_id="delete", hard_delete=True).expand(records=[["1"], ["2"]])
        approve = step()
        approve >> mapped
    assert places(asked(approve, store)) == [("delete", "enaio", "destroy", f"{ENAIO}/api/dms")]


@pytest.mark.parametrize("how", ["expand", "expand_kwargs"])
def test_mapped_arguments_count_if_they_are_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    connect(monkeypatch, "enaio", "https://other.example.org", "other")
    for conn_ids in (["enaio_default"] * 2, ["enaio_default", "other"]):
        with DAG("night"):
            partial = EnaioDeleteObjectOperator.partial(task_id="delete", hard_delete=True)
            if how == "expand":
                mapped = partial.expand(enaio_conn_id=conn_ids, records=[["1"]])
            else:
                mapped = partial.expand_kwargs([{"enaio_conn_id": each, "records": ["1"]} for each in conn_ids])
            approve = step()
            approve >> mapped
        if len(set(conn_ids)) == 1:
            assert asked(approve, store).tasks[0].conn_id == "enaio_default"
        else:
            with pytest.raises(ConfigurationError, match="mapped, and its enaio_conn_id is not the same for all"):
                asked(approve, store, try_number=2)


def test_arguments_that_a_task_maps_later_are_refused(store: Store) -> None:
    @task
    def choose() -> list[dict[str, Any]]:
        return [{"records": ["1"], "hard_delete": True}]

    with DAG("night"):
        approve, chosen = step(), choose()
        approve >> chosen
        approve >> EnaioDeleteObjectOperator.partial(task_id="delete").expand_kwargs(chosen)
    with pytest.raises(ConfigurationError, match=r"comes from a later task.*Give enaio_conn_id to partial"):
        asked(approve, store)


def test_a_unifier_task_recycles(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "unifier", "https://eu.unifier.example.org/acme")
    with DAG("night"):
        approve = followed_by(UnifierDeleteDocumentOperator(task_id="delete", records=[]), operator=step())
    expected = ("delete", "unifier", "recycle", "https://eu.unifier.example.org/acme")
    assert places(asked(approve, store)) == [expected]


# What was asked first stands


def night(**more: Any) -> DisposalApprovalOperator:
    with DAG("night"):
        return followed_by(delete(**more), operator=step())


def test_the_same_step_comes_to_the_same_order(store: Store) -> None:
    first = asked(night(), store)
    assert asked(night(), store) == first
    assert store.names("orders") == [f"orders/{first.id.removeprefix('sha256:')}.json"]


def test_a_host_that_was_changed_meanwhile_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(night(), store)
    connect(monkeypatch, "enaio", "https://test.example.org")
    with pytest.raises(
        ApprovalError, match=rf"set up for enaio at https://test.*; it was enaio at {ENAIO}.*new DAG run"
    ):
        asked(night(), store)


@pytest.mark.parametrize(
    ("more", "words"),
    [({"hard_delete": False}, "method recycle"), ({"task_id": "other"}, "'other' is new.*not covered")],
)
def test_a_dag_that_was_changed_meanwhile_is_refused(store: Store, more: dict[str, Any], words: str) -> None:
    asked(night(), store)
    with pytest.raises(ApprovalError, match=words):
        asked(night(**more), store)


def test_another_time_of_validity_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(night(), store)
    monkeypatch.setenv("AIRFLOW__RECORDS__APPROVAL_VALID_DAYS", "3000")
    with pytest.raises(ApprovalError, match="it would end at"):
        asked(night(), store)


def test_a_later_try_asks_for_itself_unless_its_page_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(night(), store)
    asked(night(), store, tries="all")
    connect(monkeypatch, "enaio", "https://test.example.org")
    assert asked(night(), store, try_number=2).tasks[0].target.startswith("https://test")
    with pytest.raises(ApprovalError, match="asked for another order before"):
        asked(night(), store, try_number=2, tries="all")


def test_each_iteration_of_a_loop_asks_for_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = asked(night(), store, tries="all", iteration=0)
    connect(monkeypatch, "enaio", "https://test.example.org")
    assert asked(night(), store, tries="all", iteration=1).id != before.id
    with pytest.raises(ApprovalError, match="asked for another order before"):
        asked(night(), store, tries="all", iteration=0)


def test_an_order_that_has_expired_is_not_asked_for_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(night(), store)
    monkeypatch.setattr(asking, "now", lambda: "2999-01-01T00:00:00.000Z")
    with pytest.raises(ApprovalError, match=r"expired at .* Start a new DAG run"):
        asked(night(), store)


# The due list


def test_the_order_names_the_due_list(store: Store) -> None:
    listed, came_from = Manifest.write(store, ["1"]), DueList("opus_default", OPUS, "c1", "2026-11-01T00:00:00")
    operator = night()
    context = factories.context(operator)

    def order(*due_lists: DueList | None) -> Order:
        selection = Selection(listed, [listed.digest], due_lists=due_lists)
        return asking.compute(operator, Scope(None, (), None), context, selection, "2026-11-22T00:00:00Z")

    assert order(came_from).due_list == came_from
    assert order(None).due_list is None
    with pytest.raises(InvalidRecordsError, match="different due lists"):
        order(came_from, None)
