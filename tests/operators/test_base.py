"""A disposing task: what it refuses, what it does with a stop, what it returns, pushes and tells others."""

from __future__ import annotations

import gc
import json
import os
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from airflow.sdk import DAG, Asset
from airflow.sdk.definitions.asset import AssetUniqueKey

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.hold import HoldRegister
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import DisposalIncompleteError
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.operators.assets import DISPOSALS, disposed
from airflow_provider_records.operators.base import DisposeOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import context, run
from tests.operators.opus_night import approved, due, mark


def documents(served: ServedSandbox, number: int) -> list[str]:
    """Return documents of enaio that nothing holds."""
    archive: Any = served.sandbox.vendors["enaio"]
    return sorted(item.id for item in archive.archive.objects.values() if item.base == "DOCUMENT")[:number]


def deleting(served: ServedSandbox, records: list[str], **options: Any) -> EnaioDeleteObjectOperator:
    """Return a task that deletes records; no approval is required."""
    given: dict[str, Any] = {"hard_delete": True, "require_approval": False, "max_failure_rate": 1.0, **options}
    return EnaioDeleteObjectOperator(task_id="delete", records=records, **given)


def carry_out(operator: Any) -> tuple[dict[str, Any], list[Any]]:
    """Execute; return the reference and the events that Airflow would register."""
    where = context(operator)
    return operator.execute(where), where["outlet_events"][DISPOSALS].asset_alias_events


def summary(served: ServedSandbox, reference: dict[str, Any]) -> Disposal:
    return Disposal.read(served.store, reference["disposal"])


# What is refused


@pytest.mark.parametrize("missing", ["hook", "system"])
def test_a_subclass_must_name_its_client_and_its_system(missing: str) -> None:
    operator = DisposeOperator(task_id="delete", records=[])
    with pytest.raises(NotImplementedError):
        _ = operator.hook if missing == "hook" else operator.system()


def test_an_empty_list_sends_no_request(served: ServedSandbox) -> None:
    result = mark([])
    assert result["complete"]
    assert set(result["counts"].values()) == {0}
    assert not served.sandbox.log


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_account_stops_and_is_not_retried(served: ServedSandbox, status: int) -> None:
    reference = approved(served, due())
    served.fault(vendor="opus", call="destroy_records", times=None, status=status, act=False)
    operator = OpusDestroyRecordsOperator(task_id="mark", records=reference, concurrency=1)
    task = context(operator)
    with pytest.raises(AirflowFailException, match=str(status)):
        operator.execute(task)
    pushed = task["ti"].pushed["return_value"]
    assert pushed["counts"]["failed"] == 15
    assert pushed["counts"]["not_attempted"] == 45
    assert sum(pushed["counts"].values()) == 60


def test_a_list_that_is_too_long_is_refused_whole(served: ServedSandbox) -> None:
    records = documents(served, 3)
    with pytest.raises(AirflowFailException, match="max_records=2"):
        run(deleting(served, records, max_records=2))
    assert served.calls("enaio", "delete_object") == 0
    assert run(deleting(served, records, max_records=3))["counts"]["destroyed"] == 3


def test_a_rehearsal_may_be_longer_than_a_disposal(served: ServedSandbox) -> None:
    assert run(deleting(served, documents(served, 3), max_records=2, dry_run=True))["counts"]["not_attempted"] == 3


@pytest.mark.parametrize(("approvers", "needed", "carried_out"), [(1, 1, True), (1, 2, False), (2, 2, True)])
def test_a_list_needs_as_many_approvers_as_the_dag_says(
    served: ServedSandbox, approvers: int, needed: int, carried_out: bool
) -> None:
    manifest = Manifest.write(served.store, documents(served, 2))
    reference = approved(served, manifest_reference(manifest), *("anna", "ben")[:approvers])
    operator = deleting(served, reference, require_approval=True, min_approvals=needed)  # type: ignore[arg-type]
    if carried_out:
        assert run(operator)["counts"]["destroyed"] == 2
        return
    with pytest.raises(AirflowFailException, match=r"This try sent nothing\. Have the list approved"):
        run(operator)
    assert served.calls("enaio", "delete_object") == 0


@pytest.mark.parametrize("own", [False, True], ids=["configured", "the DAG's"])
def test_the_limits_of_the_dag_win_over_the_configured_ones_and_the_evidence_has_what_held(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__RECORDS__MAX_RECORDS", "7")
    monkeypatch.setenv("AIRFLOW__RECORDS__MIN_APPROVALS", "3")
    limits = {"max_records": 9, "min_approvals": 2} if own else {}
    done = summary(served, run(deleting(served, documents(served, 1), **limits)))
    assert (done.options["max_records"], done.options["min_approvals"]) == ((9, 2) if own else (7, 3))


# What is carried out


def test_the_evidence_says_what_the_dag_asked_for_and_that_no_approval_was_required(served: ServedSandbox) -> None:
    done = summary(served, run(deleting(served, documents(served, 2), accept=("destroyed", "absent"), concurrency=1)))
    asked = {name: done.options[name] for name in ("accept", "max_failure_rate", "concurrency", "verify")}
    assert asked == {
        "accept": ["absent", "destroyed"],
        "max_failure_rate": 1.0,
        "concurrency": 1,
        "verify": True,
    }
    assert (done.conn_id, done.method) == ("enaio_default", "destroy")
    assert not done.approval_required
    assert done.description.title == "enaio"
    assert done.provenance.task_id == "delete"


@pytest.mark.parametrize(
    ("asked", "allowed", "expected"), [(None, 3, 3), (2, 3, 2), (9, 3, 3)], ids=["none", "fewer", "more"]
)
def test_the_connection_bounds_the_number_of_calls_at_once(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, asked: int | None, allowed: int, expected: int
) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_ENAIO_DEFAULT"])
    connection["extra"]["max_concurrency"] = allowed
    monkeypatch.setenv("AIRFLOW_CONN_ENAIO_DEFAULT", json.dumps(connection))
    assert deleting(served, [], concurrency=asked)._threads() == expected


@pytest.mark.parametrize("verify", [True, False])
def test_records_are_probed_after_their_call_unless_the_dag_says_otherwise(served: ServedSandbox, verify: bool) -> None:
    records = documents(served, 2)
    run(deleting(served, records, verify=verify))
    probes = [entry for entry in served.sandbox.log if entry.call == "get_object"]
    deletes = [entry.seq for entry in served.sandbox.log if entry.call == "delete_object"]
    assert any(entry.seq > max(deletes) for entry in probes) is verify


def test_a_rehearsal_sends_no_delete_and_is_never_complete(served: ServedSandbox) -> None:
    reference = run(deleting(served, documents(served, 2), dry_run=True))
    assert served.calls("enaio", "delete_object") == 0
    assert not reference["complete"]
    assert summary(served, reference).dry_run


# What is left for another try


def test_what_is_left_fails_the_try_after_its_reference_was_pushed(served: ServedSandbox) -> None:
    broken, *others = documents(served, 3)
    served.fault(vendor="enaio", call="delete_object", match=f"/{broken}", times=None, status=500, act=False)
    operator = deleting(served, [broken, *others])
    task = context(operator)
    with pytest.raises(DisposalIncompleteError, match="The next try carries on with them") as caught:
        operator.execute(task)
    assert caught.value.retry
    pushed = task["ti"].pushed["return_value"]
    assert (pushed["counts"]["failed"], pushed["counts"]["destroyed"], pushed["complete"]) == (1, 2, False)
    assert summary(served, pushed).reference() == pushed


def test_the_next_try_sends_only_what_is_left(served: ServedSandbox) -> None:
    broken, *others = documents(served, 3)
    served.fault(vendor="enaio", call="delete_object", match=f"/{broken}", times=None, status=500, act=False)
    with pytest.raises(DisposalIncompleteError):
        run(deleting(served, [broken, *others]))
    served.sandbox.faults.clear()
    before = served.calls("enaio", "delete_object")
    assert run(deleting(served, [broken, *others]), try_number=2)["counts"]["destroyed"] == 3
    assert served.calls("enaio", "delete_object") - before == 1


def test_a_killed_task_sends_nothing_more_and_writes_what_it_knows(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = deleting(served, documents(served, 5), concurrency=1)
    send = type(operator.hook).delete_object

    def kill_after_the_first(*arguments: Any, **options: Any) -> Any:
        try:
            return send(*arguments, **options)
        finally:
            operator.on_kill()

    monkeypatch.setattr(type(operator.hook), "delete_object", kill_after_the_first)
    task = context(operator)
    with pytest.raises(DisposalIncompleteError, match="the task was stopped"):
        operator.execute(task)
    assert served.calls("enaio", "delete_object") == 1
    assert operator.hook.stopping, "a client that waits must end, too"
    counts = task["ti"].pushed["return_value"]["counts"]
    assert (counts["destroyed"], counts["not_attempted"]) == (1, 4)


def test_a_task_may_be_killed_before_it_began(served: ServedSandbox) -> None:
    operator = deleting(served, [])
    operator.on_kill()
    assert "hook" not in operator.__dict__, "no connection is read to stop what has not begun"


# What others are told


@pytest.mark.parametrize(("hard", "result"), [(True, "destroyed"), (False, "recycled")])
def test_what_was_disposed_of_changes_the_asset_of_the_system(served: ServedSandbox, hard: bool, result: str) -> None:
    reference, (event,) = carry_out(deleting(served, [*documents(served, 3), "9999999"], hard_delete=hard))
    assert event.dest_asset_key == AssetUniqueKey.from_asset(disposed("enaio", result))
    assert event.source_alias_name == "records_disposals"
    assert event.extra["records"] == reference["counts"][result] == 3
    assert event.extra["digest"] == reference["digest"]
    assert event.extra["disposal"] == reference["disposal"]


def test_no_event_where_nothing_was_disposed_of(served: ServedSandbox) -> None:
    enaio: Any = served.sandbox.vendors["enaio"]
    full = next(item.id for item in enaio.archive.objects.values() if enaio.archive.children(item.id))
    for records, options in (([], {}), (documents(served, 2), {"dry_run": True}), (["9999999", full], {})):
        _, events = carry_out(deleting(served, records, **options))
        assert events == []


def test_no_event_before_the_disposal_is_complete(served: ServedSandbox) -> None:
    broken, *others = documents(served, 3)
    served.fault(vendor="enaio", call="delete_object", match=f"/{broken}", times=None, status=500, act=False)
    operator = deleting(served, [broken, *others])
    where = context(operator)
    with pytest.raises(DisposalIncompleteError, match="1 failed of 3 records"):
        operator.execute(where)
    assert where["outlet_events"][DISPOSALS].asset_alias_events == []
    served.sandbox.faults.clear()
    where = context(operator, try_number=2)
    operator.execute(where)
    (event,) = where["outlet_events"][DISPOSALS].asset_alias_events
    assert event.extra["records"] == 3


MINE = Asset("mine")


@pytest.mark.parametrize(
    ("outlets", "kept"), [(None, []), (MINE, [MINE]), ([MINE], [MINE]), ([MINE, DISPOSALS], [MINE])]
)
def test_outlets_of_the_dag_are_kept(outlets: Any, kept: list[Asset]) -> None:
    kind, given = OpusDestroyRecordsOperator, {"outlets": outlets}
    with DAG("night"):
        tasks: list[Any] = [
            kind(task_id="mark", records=[], **given),
            kind(task_id="by_default", records=[], default_args=given),
            mapped := kind.partial(task_id="mapped", **given).expand(records=[["1"]]),
            kind.partial(task_id="mapped_by_default", default_args=given).expand(records=[["1"]]),
            mapped.unmap({"records": ["1"]}),
        ]
    assert [task.outlets for task in tasks] == [[*kept, DISPOSALS]] * len(tasks)


def lineage(operator: Any) -> Any:
    """Ask as the OpenLineage provider does."""
    return DefaultExtractor(operator).extract_on_complete(None)


def test_openlineage_hears_of_each_dropped_dataset(served: ServedSandbox) -> None:
    records = documents(served, 3)
    operator = deleting(served, [*records, "9999999"])
    carry_out(operator)
    inputs = lineage(operator).inputs
    assert [(each.namespace, each.name) for each in inputs] == [
        (f"enaio://{urlsplit(served.url).netloc}/enaio/api/dms", record) for record in records
    ]
    for each in inputs:
        facet = each.facets["lifecycleStateChange"]
        assert facet.lifecycleStateChange.value == "DROP"
        assert facet.previousIdentifier.name == each.name


def test_openlineage_hears_of_nothing_that_may_still_be_there(served: ServedSandbox) -> None:
    recycled = deleting(served, documents(served, 3), hard_delete=False)
    carry_out(recycled)
    marked = OpusDestroyRecordsOperator(task_id="mark", records=["no-such-key"], require_approval=False)
    before = deleting(served, [])
    for operator in (recycled, marked, before):
        found = lineage(operator)
        assert found is None or not found.inputs


class Hints(dict[str, str]):
    """Airflow's task state store."""

    set = dict.__setitem__


@pytest.mark.parametrize(
    ("kept", "cleared", "looks_first"),
    [(True, False, False), (True, True, True), (False, False, True)],
    ids=["kept through tries", "dropped by a clear, as from 3.4 on", "no state, as before 3.3"],
)
def test_a_later_try_that_finds_no_journal_looks_first_unless_airflow_knows_that_none_was_opened(
    served: ServedSandbox, *, kept: bool, cleared: bool, looks_first: bool
) -> None:
    """Where nobody knows whether an earlier try sent something, what is gone is not claimed."""
    hints = Hints()
    first, second = documents(served, 2)
    archive: Any = served.sandbox.vendors["enaio"]
    archive.archive.objects.pop(first)  # by an earlier try, perhaps

    def one_try(number: int, **options: Any) -> Disposal:
        operator = deleting(served, [first, second], **options)
        where = context(operator, try_number=number) | ({"task_state_store": hints} if kept else {})
        return summary(served, operator.execute(where))

    with pytest.raises(AirflowFailException):
        one_try(1, max_records=1)
    if cleared:
        hints.clear()
    done = one_try(2)
    assert done.counts["destroyed"] == 1
    assert done.counts["absent"] == 1
    opened = next(name for name in served.store.names("disposals") if name.endswith("open.jsonl"))
    assert ("missing_session" in served.store.read(opened).decode()) is looks_first


def test_the_log_names_what_was_left_and_why_grouped(served: ServedSandbox, capsys: pytest.CaptureFixture[str]) -> None:
    held = documents(served, 5)
    HoldRegister(served.store).add_all(held[:2], "lawsuit", "os:anna")
    run(deleting(served, [*held, "9999999"]))
    said = capsys.readouterr().out
    assert "enaio: 3 destroyed, 1 already gone, 2 blocked" in said
    assert "  2 blocked: on hold: lawsuit (os:anna)" in said


def test_the_log_of_marks_says_marked(served: ServedSandbox, capsys: pytest.CaptureFixture[str]) -> None:
    mark(approved(served, due()))
    assert re.search(r"Opus: \d+ marked", capsys.readouterr().out)


@pytest.mark.parametrize(("hard", "would"), [(True, "deleted"), (False, "moved to the recycle bin")])
def test_the_log_of_a_rehearsal_says_what_would_happen(
    served: ServedSandbox, capsys: pytest.CaptureFixture[str], hard: bool, would: str
) -> None:
    held = documents(served, 7)
    HoldRegister(served.store).add_all(held[:1], "lawsuit", "os:anna")
    HoldRegister(served.store).add_all(held[1:2], "strike", "os:anna")
    reference = run(deleting(served, [*held, "9999999"], dry_run=True, hard_delete=hard))
    said = capsys.readouterr().out
    assert f"Rehearsal in enaio: 5 would be {would}, 2 on hold, 1 is not there" in said
    assert "  1 not attempted: dry run: would be blocked: on hold: lawsuit (os:anna)" in said
    assert reference["counts"]["not_attempted"] == 8
    outcomes = summary(served, reference).each_outcome(served.store)
    assert [each.key for each in outcomes] == [*held, "9999999"]
    assert served.calls("enaio", "delete_object") == 0


# What it spares the process


def test_the_modules_of_airflow_are_left_out_of_garbage_collections_from_the_list_to_the_summary(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen: list[int] = []

    def counting(function: Any) -> Any:
        def counted(*given: Any, **named: Any) -> Any:
            frozen.append(gc.get_freeze_count())
            return function(*given, **named)

        return counted

    records = documents(served, 1)
    monkeypatch.setattr(EnaioHook, "delete_object", counting(EnaioHook.delete_object))
    monkeypatch.setattr(Disposal, "write", counting(Disposal.write))
    run(deleting(served, records))
    assert len(frozen) == 2
    assert min(frozen) > 0
    assert gc.get_freeze_count() == 0
