from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, overload

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance, SystemDescription, write_outcomes
from airflow_provider_records.exceptions import (
    ApprovalError,
    ConfigurationError,
    EvidenceError,
    InvalidRecordsError,
    RecordsError,
)
from airflow_provider_records.task.records import Selection, accepted_results, resolve
from tests.evidence import evidence_factory
from tests.evidence.evidence_factory import forge
from tests.evidence.failing_store import in_memory

FOLDER = TaskFolder.of("night", "run", "delete", -1)
TASKS = evidence_factory.covered({"delete": ("enaio",)})
D, B, R, A = OutcomeKind.DESTROYED, OutcomeKind.BLOCKED, OutcomeKind.RECYCLED, OutcomeKind.ABSENT


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def keys(selection: Selection) -> list[str]:
    return [record.key for record in selection.manifest]


def approve(store: Store, digest: str, approver: str = "anna", **fields: Any) -> str:
    source = fields.pop("source", {"kind": "airflow"})
    ordered = str(fields.get("shown") or fields.get("part_of") or digest)
    known = evidence_factory.given(store, ordered, dag_id="night", run_id="run", tasks=TASKS)
    return Approval(digest, approver, "2026-11-22T07:00:00Z", source, **{**known, **fields}).write(store)


def approved(store: Store, items: Sequence[object], *people: str) -> dict[str, Any]:
    """Write a list and have people approve it; return its reference."""
    manifest = Manifest.write(store, items)
    return manifest_reference(manifest, [approve(store, manifest.digest, person) for person in people or ("anna",)])


def carried_out(
    store: Store, reference: dict[str, Any], results: Sequence[OutcomeKind], map_index: int = -1, **change: Any
) -> dict[str, Any]:
    """Write what a disposing task writes; return the reference it returns."""
    origin = Provenance("night", "run", "delete", map_index, 1)
    manifest = Manifest.open(store, reference["digest"])
    outcomes = [Outcome(record.key, result, Proof.RESPONSE) for record, result in zip(manifest, results, strict=True)]
    uri, counts = write_outcomes(store, manifest, outcomes, origin.folder)
    members: dict[str, Any] = {
        "system": "enaio",
        "description": SystemDescription("enaio"),
        "manifest": manifest.uri,
        "digest": manifest.digest,
        "approved": [manifest.digest],
        "approvals": reference["approvals"],
        "approval_required": True,
        "dry_run": False,
        "counts": counts,
        "outcomes": uri,
        "started_at": "2026-11-22T07:00:00Z",
        "ended_at": "2026-11-22T07:00:00Z",
        "provenance": origin,
    }
    return Disposal(**{**members, **change}).write(store).reference()


class Lazy(Sequence[Any]):
    """What an operator is handed for a mapped upstream task: a sequence, but no list."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Any]: ...
    def __getitem__(self, place: Any) -> Any:
        return self.items[place]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], []),
        ((), []),
        (Lazy(), []),
        ("17", ["17"]),
        (17, ["17"]),
        (["1", 2], ["1", "2"]),
        (("1", "2"), ["1", "2"]),
        (Lazy("1", {"key": "2", "target_id": "b"}), ["1", "2"]),
        (range(3), ["0", "1", "2"]),
        ([{"key": "1"}, "1"], ["1"]),
        (["1", "1", 1], ["1"]),
    ],
)
def test_what_records_may_be(store: Store, records: object, expected: list[str]) -> None:
    selection = resolve(records, store)
    assert keys(selection) == expected
    assert selection.approved == [selection.manifest.digest]
    assert selection.authorize(approval_required=False).approvals == ()
    with pytest.raises(ApprovalError, match="0 distinct approvers") if expected else nullcontext():
        selection.authorize(approval_required=True)


def generator() -> Iterator[str]:
    yield "1"


@pytest.mark.parametrize(
    "records",
    [
        None,
        "",
        " ",
        "[]",
        "None",
        "null",
        "{'manifest': 'file:///x', 'digest': 'sha256:0'}",
        '{"disposal": "file:///x"}',
        "<generator object>",
        True,
        False,
        1.0,
        float("nan"),
        b"17",
        bytearray(b"17"),
        memoryview(b"17"),
        {"1"},
        frozenset({"1"}),
        generator(),
        iter(["1"]),
        map(str, [1]),
        object(),
        {},
        {"key": "1"},
        {"manifest": None},
        {"disposal": None},
        {"disposal": {"disposal": "x"}},
        [None],
        [""],
        ["1", None],
        [True],
        [1.5],
        [["1"]],
        [b"1"],
        [{}],
        [{"key": ""}],
        [{"target_id": "1"}],
        [{"key": "1", "unknown": 1}],
        [{"key": "1", "title": "a"}, {"key": "1", "title": "b"}],
        [{"key": "1", "target_id": "x"}, {"key": "2", "target_id": "x"}],
        Lazy(None),
        Lazy([], ["1"]),
        [{"manifest": "file:///x"}, "1"],
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", repr(value)),
)
def test_what_records_may_not_be(store: Store, records: object) -> None:
    with pytest.raises(InvalidRecordsError):
        resolve(records, store)
    assert store.names("manifests") == []


def test_nothing_at_all_asks_whether_the_upstream_task_ran(store: Store) -> None:
    with pytest.raises(InvalidRecordsError, match=r"got NoneType\. Did the upstream task run"):
        resolve(None, store)


def test_a_reference_carries_its_approvals(store: Store) -> None:
    reference = approved(store, ["1", "2"], "anna", "bert")
    selection = resolve(json.loads(json.dumps(reference)), store)
    assert keys(selection) == ["1", "2"]
    authorization = selection.authorize(approval_required=True, min_approvals=2)
    assert [approval.uri for approval in authorization.own_approvals] == reference["approvals"]
    with pytest.raises(ApprovalError, match="2 distinct approvers and needs 3"):
        selection.authorize(approval_required=True, min_approvals=3)


@pytest.mark.parametrize("name", ["manifest", "digest", "count", "approvals"])
@pytest.mark.parametrize("value", [None, "", 7, True, [], {}, "file:///etc/passwd", ["x"], [7], "sha256:" + "0" * 64])
def test_no_wrong_field_of_a_reference_gets_through(store: Store, name: str, value: object) -> None:
    reference = {**approved(store, ["1"]), name: value}
    with pytest.raises((InvalidRecordsError, EvidenceError, ApprovalError)):
        resolve(reference, store).authorize(approval_required=True)


def test_unknown_members_of_a_reference_are_ignored(store: Store) -> None:
    reference = approved(store, ["1"])
    assert resolve({**reference, "later": {"x": None}}, store) == resolve(reference, store)
    disposal = carried_out(store, reference, [D])
    assert resolve({**disposal, "later": 1}, store) == resolve(disposal, store)


@pytest.mark.parametrize(
    "change",
    [
        {"count": 2},
        {"count": 1.0},
        {"count": "1"},
        {"count": True},
        {"withheld": "1"},
        {"withheld": None},
        {"set_aside": 1.0},
    ],
)
def test_a_wrong_number_is_refused(store: Store, change: dict[str, Any]) -> None:
    with pytest.raises((EvidenceError, InvalidRecordsError), match=r"records, .* holds 1|A manifest reference is"):
        resolve({**approved(store, ["1"]), **change}, store)


def test_a_list_under_the_approval_of_another_is_refused(store: Store) -> None:
    mine, other = approved(store, ["1"]), approved(store, ["2"])
    with pytest.raises(ApprovalError, match="is for another list"):
        resolve({**mine, "approvals": other["approvals"]}, store).authorize(approval_required=True)
    both = [*mine["approvals"], *other["approvals"]]
    with pytest.raises(ApprovalError, match="is for another list"):
        resolve({**mine, "approvals": both}, store).authorize(approval_required=True)


@pytest.mark.parametrize("path", ["../{}", "manifests/../{}", "/{}", "./{}", "//{}"])
def test_a_uri_that_wanders_is_refused(store: Store, path: str) -> None:
    reference = approved(store, ["1"])
    name, approval = store.name(reference["manifest"]), store.name(reference["approvals"][0])
    with pytest.raises(EvidenceError):
        resolve({**reference, "manifest": f"{store.root}/{path.format(name)}"}, store)
    with pytest.raises(EvidenceError):
        resolve({**reference, "approvals": [f"{store.root}/{path.format(approval)}"]}, store)


def test_a_disposal_outside_the_store_is_not_read(store: Store, tmp_path: Path) -> None:
    reference = carried_out(store, approved(store, ["1"]), [D])
    outside = tmp_path.parent / f"{tmp_path.name}-outside.json"
    outside.write_bytes(store.read(store.name(reference["disposal"])))
    for uri in (f"{store.root}/{outside}", f"file://{outside}", f"{store.root}/../{outside.name}"):
        with pytest.raises(EvidenceError, match="does not lie"):
            resolve({**reference, "disposal": uri}, store)


def test_a_disposal_hands_on_what_was_destroyed_under_its_approval(store: Store) -> None:
    reference = carried_out(store, approved(store, ["1", "2", "3", "4", "5"]), [D, B, R, A, D])
    selection = resolve(reference, store)
    assert keys(selection) == ["1", "5"]
    selection.authorize(approval_required=True)
    assert keys(resolve(reference, store, ("destroyed", "absent"))) == ["1", "4", "5"]
    assert keys(resolve(reference, store, [R])) == ["3"]


def test_a_disposal_of_a_disposal_stands_on_the_first_list(store: Store) -> None:
    first_list = approved(store, ["1", "2", "3"])
    first = carried_out(store, first_list, [D, D, B])
    selection = resolve(first, store)
    second = carried_out(
        store,
        manifest_reference(selection.manifest, first_list["approvals"]),
        [D, B],
        2,
        approved=selection.approved,
    )
    third = resolve(second, store)
    assert keys(third) == ["1"]
    keys_ = [each.authorize(approval_required=True).journal_key for each in (selection, third)]
    assert keys_ == [first["digest"], first["digest"]]


@pytest.mark.parametrize("accept", ["destroyed", (), [], ("blocked",), ("failed",), ("unknown",), ("Destroyed",), (1,)])
def test_accept_names_only_what_is_gone(store: Store, accept: Any) -> None:
    with pytest.raises(ConfigurationError, match="accept must be some of"):
        accepted_results(accept)
    with pytest.raises(ConfigurationError):
        resolve([], store, accept)


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "sha256:" + "0" * 64},
        {"digest": None},
        {"manifest": "file:///x"},
        {"manifest": None},
        {"disposal": "file:///elsewhere/disposal.json"},
    ],
)
def test_a_disposal_must_fit_its_reference(store: Store, change: dict[str, Any]) -> None:
    reference = carried_out(store, approved(store, ["1"]), [D])
    with pytest.raises((EvidenceError, InvalidRecordsError)):
        resolve({**reference, **change}, store)


def rewritten(store: Store, reference: dict[str, Any], **change: Any) -> dict[str, Any]:
    """Change the fields of a disposal that lies in the store."""
    return reference | {"disposal": forge(store, reference["disposal"], **change)}


def test_a_disposal_that_was_changed_where_it_lies_is_refused(store: Store) -> None:
    reference = carried_out(store, approved(store, ["1", "2"]), [D, B])
    name = store.name(reference["disposal"])
    store.write(name, store.read(name).replace(b'"max_records"', b'"min_records"') + b"\n")
    with pytest.raises(EvidenceError, match="was changed"):
        resolve(reference, store)


def test_a_disposal_cannot_point_to_another_approved_list(store: Store) -> None:
    reference = carried_out(store, approved(store, ["1", "2"]), [D, D])
    other = approved(store, ["9"])
    reference = rewritten(store, reference, approved=[other["digest"]], approvals=other["approvals"])
    with pytest.raises(ApprovalError, match=r"'1' of the list .* is not on the list that was approved"):
        resolve(reference, store).authorize(approval_required=False)


@pytest.mark.parametrize("approved_lists", [[], None, "sha256:", ["sha256:0"], [7], 7])
def test_a_disposal_without_a_proper_basis_is_refused(store: Store, approved_lists: object) -> None:
    reference = rewritten(store, carried_out(store, approved(store, ["1"]), [D]), approved=approved_lists)
    with pytest.raises((EvidenceError, ApprovalError)):
        resolve(reference, store).authorize(approval_required=False)


@pytest.mark.parametrize(
    "change",
    [
        {"counts": {}},
        {"counts": {"destroyed": 1}},
        {"outcomes": "file:///etc/passwd"},
        {"approvals": ["x"]},
        {"format": "airflow-records/approval"},
        {"version": 2},
    ],
)
def test_a_disposal_that_is_not_of_its_form_is_refused(store: Store, change: dict[str, Any]) -> None:
    reference = rewritten(store, carried_out(store, approved(store, ["1", "2"]), [D, B]), **change)
    with pytest.raises(EvidenceError):
        resolve(reference, store)


def test_outcomes_that_were_changed_hand_nothing_on(store: Store) -> None:
    reference = carried_out(store, approved(store, ["1", "2"]), [D, B])
    (name,) = store.names(f"{FOLDER.path}/outcomes")
    first, one, two = store.read(name).splitlines(keepends=True)
    store.write(name, first + one.replace(b"destroyed", b"blocked") + two.replace(b"blocked", b"destroyed"))
    with pytest.raises(EvidenceError, match="changed"):
        resolve(reference, store)


def test_outcomes_planted_under_their_own_digest_must_follow_the_list(store: Store) -> None:
    reference = carried_out(store, approved(store, ["1", "2"]), [D, B])
    for lines in (["2", "2"], ["2", "1"], ["1", "3"], ["1"], ["1", "2", "3"]):
        written = [canonical(Outcome(key, D).to_dict()) + b"\n" for key in lines]
        uri, _, _ = store.write_lines(FOLDER.outcomes, formats.OUTCOMES.line, written)
        counts = {**dict.fromkeys(map(str, OutcomeKind), 0), "destroyed": len(lines)}
        reference = rewritten(store, reference, outcomes=uri, counts=counts)
        with pytest.raises(EvidenceError):
            resolve(reference, store)


def test_several_references_are_joined_each_on_its_own_approval(store: Store) -> None:
    one, two = approved(store, ["1", "2"]), approved(store, ["3"])
    selection = resolve(Lazy(one, two), store)
    assert keys(selection) == ["1", "2", "3"]
    journal_key = selection.authorize(approval_required=True).journal_key
    assert journal_key not in {one["digest"], two["digest"], selection.manifest.digest}
    assert resolve([two, one], store).authorize(approval_required=True).journal_key == journal_key
    unapproved = manifest_reference(Manifest.write(store, ["4"]))
    with pytest.raises(ApprovalError, match="0 distinct approvers"):
        resolve([one, unapproved], store).authorize(approval_required=True)


def test_the_same_list_twice_is_one_list_with_all_its_approvals(store: Store) -> None:
    one = approved(store, ["1"], "anna")
    again = approved(store, ["1"], "bert")
    selection = resolve([one, again, one], store)
    assert keys(selection) == ["1"]
    assert len(selection.approved) == 1
    assert len(selection.authorize(approval_required=True, min_approvals=2).approvals) == 2


def test_joined_lists_that_contradict_each_other_are_refused(store: Store) -> None:
    one, two = approved(store, [{"key": "1", "title": "a"}]), approved(store, [{"key": "1", "title": "b"}])
    with pytest.raises(InvalidRecordsError, match="comes twice"):
        resolve([one, two], store)


def test_joined_disposals_hand_on_what_each_destroyed(store: Store) -> None:
    one = carried_out(store, approved(store, ["1", "2"]), [D, B], 0)
    two = carried_out(store, approved(store, ["3", "4"]), [B, D], 1)
    selection = resolve([one, two], store)
    assert keys(selection) == ["1", "4"]
    selection.authorize(approval_required=True)


def test_a_part_rests_on_the_approval_of_the_whole(store: Store) -> None:
    whole = Manifest.write(store, ["1", "2", "3"])
    original = approve(store, whole.digest)
    part = Manifest.write(store, ["1", "3"])

    def selection(listed: Manifest = part, approver: str = "anna", of: str = original, **fields: Any) -> Selection:
        fields = {"part_of": whole.digest, "source": {"approval": of}, **fields}
        return resolve(manifest_reference(listed, [approve(store, listed.digest, approver, **fields)]), store)

    selection().authorize(approval_required=True)
    with pytest.raises(ApprovalError, match="does not fit"):
        selection(approver="bert").authorize(approval_required=True)
    with pytest.raises(ApprovalError, match="does not fit"):
        selection(part_of="sha256:" + "0" * 64).authorize(approval_required=True)
    with pytest.raises(ApprovalError, match=r"'4' of the list .* is not on the list that was approved"):
        selection(Manifest.write(store, ["1", "4"])).authorize(approval_required=True)
    with pytest.raises(ApprovalError, match=r"'1' of the list .* is not on the list that was approved"):
        selection(Manifest.write(store, [{"key": "1", "target_id": "9"}])).authorize(approval_required=True)
    for source in ({}, {"approval": None}, {"approval": 7}, {"approval": "file:///x"}):
        with pytest.raises(EvidenceError):
            selection(source=source).authorize(approval_required=True)
    second = approve(store, part.digest, part_of=whole.digest, source={"approval": original})
    with pytest.raises(ApprovalError, match="does not fit"):
        selection(part, of=second, part_of=part.digest).authorize(approval_required=True)


def test_approvals_are_read_again_each_time(store: Store) -> None:
    reference = approved(store, ["1"])
    name = store.name(reference["approvals"][0])
    store.write(name, store.read(name).replace(b"anna", b"bert"))
    with pytest.raises(EvidenceError, match="was changed"):
        resolve(reference, store)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.sampled_from(["[]", "None", "{'manifest': 1}", "file:///etc/passwd", "sha256:" + "0" * 64]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(
            st.sampled_from(["manifest", "digest", "count", "approvals", "disposal", "key", "target_id", "title"])
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
        | st.frozensets(st.text(max_size=4) | st.integers(), max_size=3)
        | inner.map(lambda item: Lazy(item))
        | inner.map(lambda item: iter([item]))
    ),
    max_leaves=8,
)


@given(anything)
def test_whatever_comes_is_a_clean_list_or_one_of_our_errors(records: Any) -> None:
    store = in_memory()
    try:
        selection = resolve(records, store)
    except RecordsError:
        assert store.names("manifests") == []
        return
    assert len(set(keys(selection))) == selection.manifest.count
    assert Manifest.open(store, selection.manifest.digest).count == selection.manifest.count
    with pytest.raises(ApprovalError) if selection.manifest.count else nullcontext():
        selection.authorize(approval_required=True)
