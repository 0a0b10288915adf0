"""The words of certificate and page: each outcome has some, and each weakness of a disposal has its sentence."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.evidence.outcome import OutcomeKind, Proof
from airflow_provider_records.evidence.summary import SystemDescription
from airflow_provider_records.reporting import wording
from tests.evidence import evidence_factory

MARKS = SystemDescription("Registry", action="mark", meanings={"destroyed": "status set"})
DELETES = SystemDescription("Archive", method="Deleted for good", caveats=["No proof about media."])


def test_every_outcome_and_proof_has_words() -> None:
    assert set(wording.RESULTS) == set(OutcomeKind)
    assert set(wording.PROOFS) == set(Proof)
    for description in (evidence_factory.describe("opus"), SystemDescription("Elsewhere")):
        assert all(wording.meaning(description, kind) for kind in OutcomeKind)
        assert description.meanings.keys() <= set(OutcomeKind)
    assert "permanently" not in wording.meaning(evidence_factory.describe("opus"), OutcomeKind.DESTROYED)
    assert wording.label(evidence_factory.describe("opus"), OutcomeKind.DESTROYED) == "marked"
    assert wording.label(evidence_factory.describe("enaio"), OutcomeKind.DESTROYED) == "destroyed"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ß \u4e2d \U0001f600\n\ttext", "plain ß \u4e2d \U0001f600\n\ttext"),
        ("a\u202eb", "a[U+202E]b"),
        ("a\0b", "a[U+0000]b"),
        ("\r", "[U+000D]"),
        ("\x7f\x9f", "[U+007F][U+009F]"),
        ("soft\xadhyphen", "soft[U+00AD]hyphen"),
        ("zero\u200bwidth\ufeff", "zero[U+200B]width[U+FEFF]"),
        ("\u2066\u2069", "[U+2066][U+2069]"),
        ("tag\U000e0041", "tag[U+E0041]"),
        ("A\ufe0f\U000e0100\u180b", "A[U+FE0F][U+E0100][U+180B]"),
        ("A\xa01\u20072\u202f3\u30004", "A[U+00A0]1[U+2007]2[U+202F]3[U+3000]4"),
        ("filler\u115f\u3164\uffa0\u2800", "filler[U+115F][U+3164][U+FFA0][U+2800]"),
        ("\u17b4\u2065\ufff0\U000e0fff", "[U+17B4][U+2065][U+FFF0][U+E0FFF]"),
    ],
)
def test_what_hides_or_turns_text_round_is_shown_by_its_code(text: str, shown: str) -> None:
    assert wording.visible(text) == shown


def test_records_are_called_marked_where_no_content_is_deleted_and_only_these() -> None:
    assert wording.label(MARKS, OutcomeKind.DESTROYED) == "marked"
    assert wording.label(DELETES, OutcomeKind.DESTROYED) == "destroyed"
    assert all(wording.label(MARKS, kind) == wording.RESULTS[kind] for kind in OutcomeKind if kind != "destroyed")


def test_a_system_may_say_what_an_outcome_means_in_it() -> None:
    assert wording.meaning(MARKS, OutcomeKind.DESTROYED) == "status set"
    assert wording.meaning(DELETES, OutcomeKind.DESTROYED) == "permanently gone from the system"
    assert wording.meaning(MARKS, OutcomeKind.BLOCKED) == wording.meaning(DELETES, OutcomeKind.BLOCKED)


@pytest.mark.parametrize(
    ("description", "dry_run", "number", "begins"),
    [
        (DELETES, False, 1, "Deleted for good"),
        (MARKS, False, 1, "Disposed of in Registry"),
        (DELETES, False, 0, "The list was empty"),
        (DELETES, True, 1, "Dry run"),
        (DELETES, True, 0, "Dry run"),
    ],
)
def test_the_method_is_what_happened_to_this_list(
    description: SystemDescription, dry_run: bool, number: int, begins: str
) -> None:
    said = wording.method(description, dry_run=dry_run, records=number)
    assert said.startswith(begins)
    assert not said.endswith(".")


def entry(description: SystemDescription = MARKS, **change: Any) -> dict[str, Any]:
    """An entry of a certificate that nothing weakens."""
    disposal = {
        "system": description.title.lower(),
        "description": description.to_dict(),
        "manifest": "",
        "digest": "",
        "approved": [],
        "approvals": [],
        "approval_required": True,
        "dry_run": False,
        "counts": {"destroyed": 3},
        "outcomes": "",
        "started_at": "",
        "ended_at": "",
        "provenance": evidence_factory.provenance("delete").to_dict(),
    }
    own = {name: change.pop(name) for name in tuple(change) if name in disposal}
    return {"disposal": disposal | own, "proofs": {"response": 3}, "journal": [], "uncounted": [], **change}


def added(*entries: dict[str, Any]) -> list[str]:
    """Return what is said besides the two sentences that stand on every certificate."""
    always = wording.statements([])
    found = wording.statements(entries)
    assert found[: len(always)] == always
    return found[len(always) :]


def test_copies_and_holds_are_spoken_of_on_every_certificate() -> None:
    copies, holds = wording.statements([])
    assert "Backups" in copies
    assert "Holds" in holds
    assert added(entry()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"approval_required": False}, "The DAG says that task delete needs no approval"),
        ({"counts": {"recycled": 1}}, "Records in the recycle bin of Registry can be restored"),
        ({"proofs": {"inferred": 2}}, "2 outcomes in Registry (task delete) are inferred"),
        ({"uncounted": [{}, {}]}, "The journal of task delete holds 2 answers that its summary does not count"),
        (
            {"journal": [{"missing_session": "a"}, {}, {"missing_session": "b"}, {"missing_session": "a"}]},
            "No journal of an earlier try of task delete was found (a, b)",
        ),
        ({"description": DELETES}, "No proof about media."),
    ],
    ids=["no approval", "recycled", "inferred", "uncounted", "journal lost", "caveat"],
)
def test_what_weakens_a_disposal_is_said(change: dict[str, Any], words: str) -> None:
    (said,) = added(entry(**change))
    assert said.startswith(words)


def test_an_empty_list_needs_no_approval_and_no_word_about_it() -> None:
    assert added(entry(approval_required=False, counts={"destroyed": 0})) == []


def test_of_a_dry_run_only_this_is_said() -> None:
    (said,) = added(entry(DELETES, dry_run=True, approval_required=False, proofs={"inferred": 1}))
    assert said == "Dry run: task delete only looked at its records in Archive. Nothing was destroyed by it."


def test_what_several_disposals_have_in_common_is_said_once() -> None:
    assert added(entry(DELETES), entry(DELETES)) == ["No proof about media."]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, ""),
        (1, "1 record was withheld before approval, each with a reason"),
        (1234, "1,234 records were withheld before approval, each with a reason"),
    ],
)
def test_withheld_records_are_said_with_their_number(number: int, said: str) -> None:
    assert wording.withheld(number) == said


def test_each_gap_has_a_sentence() -> None:
    document = {
        "disposals": [entry(DELETES)],
        "missing_disposals": [{"task": "disposals/d/r/lost/-1", "journal_files": 1}],
        "undisposed_records": [{"system": "archive", "digest": "sha256:1", "count": 1200}],
    }
    missing, undisposed = wording.gaps(document)
    assert missing.startswith("disposals/d/r/lost/-1 has a journal, and no disposal of it was given")
    assert undisposed.startswith("Archive: 1,200 records of the approved list sha256:1 have no disposal")
    assert wording.gaps({**document, "missing_disposals": [], "undisposed_records": []}) == []
