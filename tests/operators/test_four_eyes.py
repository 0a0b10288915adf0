"""Two people in a row, records withheld on the way, and what the evidence says of both years later."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.exceptions import ApprovalError
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import SplitManifestOperator
from airflow_provider_records.reporting.verify import Report, verify
from airflow_provider_records.task.records import Selection
from tests.evidence.schemas import assert_store_valid
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.operators.reviewer import ANNA, BEN, CARL, Request, request_for

__all__ = ["request_for"]

ALL = [ANNA, BEN, CARL]


@pytest.fixture
def listed(served: ServedSandbox) -> dict[str, Any]:
    """Eight documents that are there and can be deleted."""
    free = [item for item in served.sandbox.vendors["enaio"].archive.objects.values() if item.base == "DOCUMENT"]  # type: ignore[attr-defined]
    records = [
        {"key": f"enaio-{item.id}", "target_id": item.id, "title": f"Akte {item.id}"}
        for item in free
        if not (item.locked_by or item.in_workflow or item.no_delete or item.no_read or item.archived)
    ][:8]
    return manifest_reference(Manifest.write(served.store, records))


def keys(served: ServedSandbox, reference: dict[str, Any]) -> list[str]:
    manifest = Manifest.open(served.store, reference["digest"], reference["manifest"])
    assert manifest.count == reference["count"]
    return [record.key for record in manifest]


def delete(records: Any, **more: Any) -> Any:
    return run(
        EnaioDeleteObjectOperator(task_id="delete", records=records, hard_delete=True, **{"min_approvals": 2, **more})
    )


def gone(served: ServedSandbox) -> set[str]:
    return {f"enaio-{target}" for target in served.sandbox.effects("enaio", "destroyed")}


def certified(served: ServedSandbox, *disposals: Any) -> tuple[dict[str, Any], Report, str]:
    """Certify, and verify from the files alone."""
    reference = run(DestructionCertificateOperator(task_id="certificate", disposals=list(disposals)))
    path = Path(reference["certificate"].removeprefix("file://"))
    assert_store_valid(served.store)
    return json.loads(path.read_text()), verify(path), Path(reference["html"].removeprefix("file://")).read_text()


# Four eyes


def test_two_people_in_a_row_are_two_approvals(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    first = request_for(listed, task_id="first").ask().approve(ANNA)
    with pytest.raises(AirflowFailException, match="1 distinct approvers and needs 2"):
        delete(first)
    page = request_for(first, task_id="second").ask()
    assert page.shown["assigned_users"] == [BEN]
    assert "Anna" in page.shown["body"]
    second = page.approve(BEN)
    assert {**second, "approvals": []} == listed
    assert second["approvals"][:1] == first["approvals"]
    assert [Approval.read(served.store, uri).approver for uri in second["approvals"]] == ["airflow:anna", "airflow:ben"]
    assert delete(second)["counts"]["destroyed"] == 8
    assert gone(served) == set(keys(served, listed))


def test_the_second_refuses_the_first_person(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    """Airflow itself would refuse her, unless the page is an older one."""
    first = request_for(listed).ask().approve(ANNA)
    page = request_for(first, task_id="second").ask()
    with pytest.raises(AirflowFailException, match=r"Anna \(anna\) has approved this list already"):
        page.approve(ANNA)
    assert len(served.store.names("approvals")) == 1


def test_one_person_cannot_be_both(request_for: Request, served: ServedSandbox, listed: dict[str, Any]) -> None:
    first = request_for(listed, assigned_users=ANNA).ask().approve(ANNA)
    page = request_for(first, task_id="second", assigned_users=ANNA)
    with pytest.raises(AirflowFailException, match="Nobody is left to ask"):
        page.execute()
    assert not page.sent


def test_one_person_on_two_pages_at_once_stays_one(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    pages = [request_for(listed, task_id=task_id).ask() for task_id in ("first", "second")]
    both = [page.approve(ANNA) for page in pages]
    with pytest.raises(AirflowFailException, match="1 distinct approvers and needs 2"):
        delete(both)
    assert not gone(served)


# Records are withheld


def test_what_is_withheld_is_not_on_the_list_that_comes_out(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    first, second, *others = keys(served, listed)
    text = f"{second}: the audit needs it\n{first}: court: 7 O 12/26"
    reference = request_for(listed).ask().approve(ANNA, withhold=text, comment="The rest may go.")
    assert keys(served, reference) == others
    assert reference["digest"] != listed["digest"]
    (uri,) = reference["approvals"]
    approval = Approval.read(served.store, uri)
    assert (approval.digest, approval.shown) == (reference["digest"], listed["digest"])
    assert approval.withheld == {second: "the audit needs it", first: "court: 7 O 12/26"}
    assert approval.comment == "The rest may go."
    assert delete(reference, min_approvals=1)["counts"]["destroyed"] == 6
    assert gone(served) == set(others)


def test_nobody_has_approved_the_list_that_was_shown(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    reference = request_for(listed).ask().approve(ANNA, withhold=f"{keys(served, listed)[0]}: held")
    with pytest.raises(AirflowFailException, match="another list"):
        delete({**listed, "approvals": reference["approvals"]}, min_approvals=1)
    assert not gone(served)
    approvals = [Approval.read(served.store, uri) for uri in reference["approvals"]]
    whole = Manifest.open(served.store, listed["digest"])
    with pytest.raises(ApprovalError, match="is for another list"):
        Selection(whole, [whole.digest], approvals).authorize(approval_required=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("enaio-0: held", "names no record of this list"),
        ("{0}", "has no reason"),
        ("{0}: ", "has no reason"),
        ("{0}: a\n{0}: b", "named twice"),
        ("{0}: held\nenaio-0: held", "names no record of this list"),
    ],
)
def test_what_cannot_be_withheld_is_refused(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], text: str, words: str
) -> None:
    page = request_for(listed).ask()
    assert words in page.slip("Approve", ANNA, withhold=text.format(*keys(served, listed)))
    assert not served.store.names("holds")
    assert not served.store.names("approvals")
    assert len(served.store.names("manifests")) == 1


def test_everything_withheld_is_an_empty_list(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    every = keys(served, listed)
    reference = request_for(listed).ask().approve(ANNA, withhold="\n".join(f"{key}: held" for key in every))
    assert reference["count"] == 0
    page = request_for(reference, task_id="second")
    assert page.execute() == reference
    assert not page.sent
    done = delete(reference)
    assert done["complete"]
    assert not served.sandbox.log
    document, report, html = certified(served, done)
    assert report.ok, report.problem
    assert [len(each["withheld"]) for each in document["approvals"]] == [8]
    assert "8 records were withheld before approval" in html
    assert all(key in html for key in every)


@pytest.mark.parametrize("by", [("first",), ("second",), ("first", "second")])
def test_four_eyes_on_what_is_left(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], by: tuple[str, ...]
) -> None:
    """Who approved the longer list has approved what is left of it; nobody has approved what was withheld."""
    taken = dict(zip(by, keys(served, listed), strict=False))
    withhold = {name: f"{key}: {name} says so" for name, key in taken.items()}
    one = request_for(listed, task_id="first").ask().approve(ANNA, withhold=withhold.get("first", ""))
    page = request_for(one, task_id="second").ask()
    assert ("first says so" in page.shown["body"]) == ("first" in by)
    two = page.approve(BEN, withhold=withhold.get("second", ""))
    left = [key for key in keys(served, listed) if key not in taken.values()]
    assert keys(served, two) == left
    approvals = [Approval.read(served.store, uri) for uri in two["approvals"]]
    assert [approval.approver for approval in approvals] == ["airflow:anna", "airflow:ben"]
    assert {approval.digest for approval in approvals} == {two["digest"]}
    with pytest.raises(AirflowFailException, match="2 distinct approvers and needs 3"):
        delete(two, min_approvals=3)
    done = delete(two)
    assert gone(served) == set(left)
    document, report, html = certified(served, done)
    assert report.ok, report.problem
    said = {key: reason for approval in document["approvals"] for key, reason in approval.get("withheld", {}).items()}
    assert said == {key: f"{name} says so" for name, key in taken.items()}
    number = len(taken)
    assert any(
        line.startswith(f"{number} record{'s were' if number > 1 else ' was'} withheld") for line in report.checked
    )
    for name, key in taken.items():
        assert key in html
        assert f"{name} says so" in html


def test_three_in_a_row_each_withhold_one_and_the_rest_is_split(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    reference = listed
    for number, user in enumerate(ALL):
        page = request_for(reference, task_id=f"approve_{number}", assigned_users=ALL).ask()
        reference = page.approve(user, withhold=f"{keys(served, reference)[0]}: {user['id']}")
    assert keys(served, reference) == keys(served, listed)[3:]
    assert (listed["withheld"], reference["withheld"]) == (0, 3)
    parts = run(SplitManifestOperator(task_id="split", records=reference, size=2))
    assert [part["count"] for part in parts] == [2, 2, 1]
    assert [part["withheld"] for part in parts] == [3, 3, 3]
    disposals = [
        run(
            EnaioDeleteObjectOperator(task_id="delete", records=part, hard_delete=True, min_approvals=3),
            map_index=number,
        )
        for number, part in enumerate(parts)
    ]
    assert gone(served) == set(keys(served, listed)[3:])
    document, report, _ = certified(served, *disposals)
    assert report.ok, report.problem
    given = [approval for approval in document["approvals"] if "part_of" not in approval]
    assert sorted(reason for approval in given for reason in approval["withheld"].values()) == ["anna", "ben", "carl"]


def test_a_no_of_one_reviewer_is_not_overruled_by_the_yes_of_another(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    """Two requests side by side instead of in a row: one withholds a record, the other approves all of it."""
    first, *_ = keys(served, listed)
    one = request_for(listed, task_id="left").ask().approve(ANNA, withhold=f"{first}: held")
    two = request_for(listed, task_id="right").ask().approve(BEN)
    for both in ([one, two], [two, one]):
        with pytest.raises(AirflowFailException, match=f"{first}' is on the list, but was withheld by Anna: held"):
            delete(both, min_approvals=1)
        with pytest.raises(AirflowFailException, match=f"{first}' is on the list, but was withheld by Anna: held"):
            delete(both, require_approval=False)
    with pytest.raises(AirflowFailException, match=f"{first}' is on the list, but was withheld by Anna: held"):
        request_for([one, two], task_id="last", assigned_users=CARL).execute()
    parts = run(SplitManifestOperator(task_id="split", records=one, size=1))
    with pytest.raises(AirflowFailException, match=f"{first}' is on the list, but was withheld by Anna: held"):
        delete([*parts, two], min_approvals=1)
    assert not gone(served)


# Somebody tampers


def forged(served: ServedSandbox, reference: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Write a changed approval under its right name."""
    approval = replace(Approval.read(served.store, reference["approvals"][0]), **changes)
    return {**reference, "approvals": [approval.write(served.store)]}


def test_an_approval_that_says_less_was_withheld_is_found(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    first, second, *_ = keys(served, listed)
    reference = request_for(listed).ask().approve(ANNA, withhold=f"{first}: held\n{second}: held")
    for changes, words in (
        (
            {"withheld": {first: "held"}},
            f"is not what 'airflow:anna' left of {listed['digest']}: .* where '{second}' should be",
        ),
        ({"withheld": {first: "x", second: "x", "enaio-0": "x"}}, "enaio-0.*was not on the list that was shown"),
        ({"shown": reference["digest"]}, "its order for another one"),
    ):
        with pytest.raises(AirflowFailException, match=words):
            delete(forged(served, reference, **changes), min_approvals=1)
    assert not gone(served)


def test_a_record_that_was_withheld_and_is_on_the_list_is_found(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    first, *_ = keys(served, listed)
    reference = request_for(listed).ask().approve(ANNA, withhold=f"{first}: held")
    back = forged(served, {**listed, "approvals": reference["approvals"]}, digest=listed["digest"])
    with pytest.raises(AirflowFailException, match=f"{first}' is on the approved list, but was withheld by Anna: held"):
        delete(back, min_approvals=1)
    approvals = [Approval.read(served.store, uri) for uri in back["approvals"]]
    whole = Manifest.open(served.store, listed["digest"])
    with pytest.raises(ApprovalError, match="is on the approved list, but was withheld by Anna"):
        Selection(whole, [whole.digest], approvals).authorize(approval_required=True)
    assert not gone(served)


def test_half_a_withholding_is_no_approval(request_for: Request, served: ServedSandbox, listed: dict[str, Any]) -> None:
    reference = request_for(listed).ask().approve(ANNA, withhold=f"{keys(served, listed)[0]}: held")
    halves: list[dict[str, Any]] = [
        {"shown": ""},
        {"withheld": {}},
        {"withheld": {"x": " "}},
        {"withheld": {"x": 1}},
        {"part_of": listed["digest"]},
    ]
    for changes in halves:
        with pytest.raises(AirflowFailException, match="is no approval"):
            delete(forged(served, reference, **changes), min_approvals=1)


def test_what_was_shown_must_be_there_and_unchanged(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    reference = request_for(listed).ask().approve(ANNA, withhold=f"{keys(served, listed)[0]}: held")
    file = Path(listed["manifest"].removeprefix("file://"))
    content = file.read_bytes()
    file.write_bytes(content.replace(b"Akte", b"Acte"))
    with pytest.raises(AirflowFailException, match="was changed"):
        delete(reference, min_approvals=1)
    file.unlink()
    with pytest.raises(AirflowFailException, match="is missing"):
        delete(reference, min_approvals=1)
    file.write_bytes(content)
    document, report, _ = certified(served, delete(reference, min_approvals=1))
    assert report.ok, report.problem
    assert {each["digest"] for each in document["manifests"]} == {listed["digest"], reference["digest"]}
    file.write_bytes(content.replace(b"Akte", b"Acte"))
    assert "was changed" in str(verify(report.store.uri(report.name)).problem)
