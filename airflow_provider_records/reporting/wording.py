"""What a certificate says in words: how a record was disposed of, and what the certificate does not cover."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_records.evidence.outcome import OutcomeKind, Proof

RESULTS = {
    OutcomeKind.DESTROYED: "destroyed",
    OutcomeKind.RECYCLED: "in the recycle bin",
    OutcomeKind.ABSENT: "already gone",
    OutcomeKind.BLOCKED: "blocked",
    OutcomeKind.FAILED: "failed",
    OutcomeKind.UNKNOWN: "unknown",
    OutcomeKind.NOT_ATTEMPTED: "not attempted",
}
_MEANINGS = {
    OutcomeKind.DESTROYED: "permanently gone from the system",
    OutcomeKind.RECYCLED: "moved to a recycle bin, from which it can be restored",
    OutcomeKind.ABSENT: "was not there any more before anything was sent",
    OutcomeKind.BLOCKED: "left as it was: the system refuses for a business reason (linked, locked, held, no right)",
    OutcomeKind.FAILED: "left as it was, as far as known: an error that another try may cure",
    OutcomeKind.UNKNOWN: "the answer was lost and could not be settled",
    OutcomeKind.NOT_ATTEMPTED: "left as it was: nothing was sent for it",
}
_IN_OPUS = {
    OutcomeKind.DESTROYED: "the status Destroyed is set",
    OutcomeKind.BLOCKED: "not marked: Opus refuses it (not approved there, on hold, or not to be destroyed)",
    OutcomeKind.FAILED: "not marked, as far as known: an error that another try may cure",
    OutcomeKind.NOT_ATTEMPTED: "not marked: nothing was sent for it",
}
PROOFS = {
    Proof.RESPONSE: "the system said so",
    Proof.PROBE: "looked at afterwards",
    Proof.INFERRED: "our call went unanswered, then the record was found gone",
}
_SYSTEMS = {"enaio": "enaio", "unifier": "Unifier", "opus": "Opus"}
_COPIES = (
    "Covered is only what the named systems hold under the listed ids. Backups, replicas, exports, e-mail and other "
    "copies are not covered; they end under rules of their own."
)
_HOLDS = (
    "Holds were not looked up separately: a hold takes effect where a system refuses, and such a record is listed "
    "as blocked."
)

# Signs that do not show, or that make the text around them read otherwise than it is stored.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff"
    "\uffa0\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Show signs that hide or turn text round as their code."""
    return _HIDDEN.sub(lambda sign: f"[U+{ord(sign.group()):04X}]", text)


def system_name(system: str) -> str:
    """Return what people call a system."""
    return _SYSTEMS.get(system, system)


def meaning(system: str, kind: OutcomeKind) -> str:
    """Say what an outcome means in a system."""
    return (_IN_OPUS if system == "opus" else _MEANINGS).get(kind, _MEANINGS[kind])


def method(disposal: Mapping[str, Any]) -> str:
    """Say how the records of a disposal were disposed of."""
    if disposal["dry_run"]:
        return "Dry run: records were looked up, nothing was sent that changes anything"
    if not any(disposal["counts"].values()):
        return "The list was empty; nothing was sent"
    system, options = disposal["system"], disposal["options"]
    if system == "opus":
        return "Status set to Destroyed in Opus; deletes no content"
    if system == "unifier":
        return "Moved to the recycle bin of Unifier, whose interface knows no permanent deletion"
    if system == "enaio" and options.get("hard_delete"):
        return "Deleted permanently from enaio (hard delete)"
    if system == "enaio":
        return "Moved to the recycle bin of enaio (soft delete)"
    return f"Disposed of in {system_name(system)}"


def statements(disposals: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say what the certificate does not cover, and what weakens it.

    :param disposals: the certificate's entries.
    """
    found = {_COPIES: None, _HOLDS: None}
    for entry in disposals:
        found |= dict.fromkeys(_about(entry))
    return list(found)


def _about(entry: Mapping[str, Any]) -> Iterable[str]:
    record, counts = entry["record"], entry["record"]["counts"]
    system = system_name(record["system"])
    task = record["made"].get("task_id", "")
    if record["dry_run"]:
        yield f"Dry run: task {task} only looked at its records in {system}. Nothing was destroyed by it."
        return
    if not record["approval_required"] and sum(counts.values()):
        yield f"The DAG says that task {task} needs no approval (require_approval=False)."
    if counts["recycled"]:
        yield (
            f"Records in the recycle bin of {system} can be restored until the bin is emptied; they are not "
            "called destroyed."
        )
    if record["system"] == "enaio" and counts["destroyed"]:
        yield (
            "Destroyed in enaio means removed from enaio. Whether an archive medium still holds the content depends on "
            "the server's settings; there is no proof about media."
        )
    if record["system"] == "opus":
        yield (
            "Destroyed in Opus is a status. It deletes no content, and Opus offers no way to read the status of a "
            "single record back."
        )
    if entry["proofs"]["inferred"]:
        yield (
            f"{entry['proofs']['inferred']} outcomes in {system} (task {task}) are inferred: our own call went "
            "unanswered, and the record was found gone afterwards."
        )
    if lost := {session["missing_session"]: None for session in entry["journal"] if "missing_session" in session}:
        yield (
            f"The journal of an earlier try of task {task} is lost ({', '.join(lost)}). Every record was looked at "
            "before anything was sent; what was found gone then is listed as already gone, whoever did it."
        )
    if entry["uncounted"]:
        yield (
            f"The journal of task {task} holds {len(entry['uncounted'])} answers that its summary does not count "
            "(they are listed as uncounted): an older try went on beside a newer one, or the task was run again "
            "with another list or as a dry run."
        )


def withheld(number: int) -> str:
    """Say how many records reviewers withheld from the lists that they were shown; empty if none.

    :param number: number of these records.
    """
    if not number:
        return ""
    return f"{number:,} record{' was' if number == 1 else 's were'} withheld before approval, each with a reason"


def gaps(document: Mapping[str, Any]) -> list[str]:
    """Say what belongs to the run and has no disposal on its certificate."""
    return [
        *(
            f"{each['task']} has a journal, and no disposal of it was given: its task ended before it could sum up, or "
            "disposals= does not name it"
            for each in document["omitted"]
        ),
        *(
            f"{system_name(each['system'])}: {each['count']:,} records of the approved list {each['digest']} "
            "have no disposal: the parts that hold them were not carried out, or disposals= does not name them"
            for each in document["uncovered"]
        ),
    ]
