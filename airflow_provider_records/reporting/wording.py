"""The words of certificate and page that do not depend on a system; the others come with its description."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_records.evidence.authorization import APPROVAL_KEY
from airflow_provider_records.evidence.hold import ON_HOLD
from airflow_provider_records.evidence.order import METHODS
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.summary import Disposal, SystemDescription
from airflow_provider_records.evidence.unmarked import NOT_MARKED

_MOST_REASONS = 20
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
    OutcomeKind.UNKNOWN: "the response was lost, and what became of the record could not be resolved",
    OutcomeKind.NOT_ATTEMPTED: "left as it was: nothing was sent for it",
}
PROOFS = {
    Proof.RESPONSE: "the system said so",
    Proof.PROBE: "looked at afterwards",
    Proof.INFERRED: "seen there, then our call went unanswered or our process died, then found gone",
}
APPROVER_TYPES = {
    "person": "a person",
    "process": "a decision in another system, which names nobody",
    "dag": "the choice of the DAG's author",
}
_COPIES = (
    "Covered is only what the named systems hold under the listed ids. Backups, replicas, exports, e-mail and other "
    "copies are not covered; they end under rules of their own."
)
_HOLDS = (
    "Holds are those of the register of this evidence store, looked at again shortly before the calls, and those that "
    "a task was given. A hold that is kept elsewhere takes effect only where a system refuses, and such a record is "
    "listed as blocked."
)

# Unicode's default-ignorable characters (DerivedCoreProperties.txt) that its category Cf does not name: they have no
# glyph, so that two texts that differ by one look the same.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"})


def visible(text: str) -> str:
    """Show the code of each character that is invisible, turns text round, or looks like a common blank."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"[U+{ord(sign):04X}]" if _hidden(sign) else sign for sign in text)


def _hidden(sign: str) -> bool:
    if sign in " \n\t":
        return False
    return unicodedata.category(sign) in _HIDDEN_CATEGORIES or _IGNORABLE.match(sign) is not None


def action(covered: Mapping[str, str]) -> str:
    """Return what a task that an order covers may do, such as ``permanently delete from enaio``."""
    return f"{METHODS[covered['method']]} {covered.get('title') or covered['system']}"


def due_list(found: Mapping[str, Any]) -> str:
    """Return which due list it was, without its place and its bound.

    :param found: the due list as an order has it.
    """
    if "query" not in found:
        return f"connector {found['connector_id']}"
    asked = (value for value in found["query"].values() if value and not isinstance(value, bool))
    return f"{found['system']} ({', '.join(each if isinstance(each, str) else ' '.join(each) for each in asked)})"


def label(description: SystemDescription, kind: OutcomeKind) -> str:
    """Return the short name of an outcome in a system: where no content is deleted, records are marked."""
    if kind == OutcomeKind.DESTROYED and not description.deletes_content:
        return "marked"
    return RESULTS[kind]


def meaning(description: SystemDescription, kind: OutcomeKind) -> str:
    """Return what an outcome means in a system."""
    return description.meanings.get(kind) or _MEANINGS[kind]


def reasons(description: SystemDescription, outcomes: Iterable[Outcome]) -> list[str]:
    """Return why records were left, such as ``10 blocked: locked by j.mueller``, the most frequent first.

    :param description: what the system says of itself.
    :param outcomes: of all records; those that are gone need no reason.
    """
    left = Counter((each.kind, each.reason or "") for each in outcomes if not each.kind.gone)
    told = [
        f"{count:,} {label(description, kind)}: {visible(reason or meaning(description, kind))}"
        for (kind, reason), count in left.most_common(_MOST_REASONS)
    ]
    return [*told, f"and {len(left) - len(told):,} more reasons"] if len(left) > len(told) else told


def method(description: SystemDescription, *, dry_run: bool, records: int) -> str:
    """Return how the records of a disposal were disposed of, as a sentence without a full stop.

    :param description: what the system says of itself.
    :param dry_run: whether it was a dry run.
    :param records: number of records on the list.
    """
    if dry_run:
        return "Dry run: records were looked up, nothing was sent that changes anything"
    if not records:
        return "The list was empty; nothing was sent"
    return description.method or f"Disposed of in {description.title}"


def statements(disposals: Iterable[Mapping[str, Any]], key_id: str | None = None) -> list[str]:
    """Return what the certificate does not cover, and what weakens it, one sentence each.

    :param disposals: the certificate's entries.
    :param key_id: the key that signs the certificate; None: it is not signed.
    """
    found = {_COPIES: None, _HOLDS: None}
    for entry in disposals:
        found |= dict.fromkeys(_about(entry))
        if key_id is not None:
            found |= dict.fromkeys(otherwise_signed(entry, key_id))
    return list(found)


def otherwise_signed(entry: Mapping[str, Any], key_id: str) -> Iterable[str]:
    """Return a sentence if the approvals of a disposal are not signed with the key of its certificate.

    :param entry: the certificate's entry.
    :param key_id: the key that signs the certificate.
    """
    disposal = Disposal.from_dict(entry["disposal"])
    demanded = disposal.options.get(APPROVAL_KEY)
    if not disposal.approvals or disposal.dry_run or not any(disposal.counts.values()):
        return
    task = disposal.provenance.task_id
    if demanded is None:
        yield (
            f"The approvals of task {task} are not signed: it ran without a signing key. Whoever could write to the "
            "evidence store then could have written them; the signature of the certificate does not vouch for them."
        )
    elif demanded["key_id"] != key_id:
        yield f"The approvals of task {task} are signed with another key than the certificate: {demanded['key_id']}."


def _about(entry: Mapping[str, Any]) -> Iterable[str]:
    disposal = Disposal.from_dict(entry["disposal"])
    system, counts, task = disposal.description.title, disposal.counts, disposal.provenance.task_id
    if disposal.dry_run:
        yield f"Dry run: task {task} only looked at its records in {system}. Nothing was destroyed by it."
        return
    if not disposal.approval_required and any(counts.values()):
        yield f"The DAG says that task {task} needs no approval (require_approval=False)."
    if counts["recycled"]:
        yield (
            f"Records in the recycle bin of {system} can be restored until the bin is emptied; they are not "
            "called destroyed."
        )
    yield from disposal.description.caveats
    died = entry.get("process_died", 0)
    if inferred := entry["proofs"].get("inferred", 0) - died:
        yield (
            f"{inferred} outcomes in {system} (task {task}) are inferred: the record was seen there, our own call went "
            "unanswered, and the record was found gone afterwards."
        )
    if died:
        yield (
            f"{died} outcomes in {system} (task {task}) are inferred after our process died; whether these calls left "
            "is not known. Each record was seen there before, and was found gone afterwards."
        )
    yield from _holds(entry, disposal)
    for group in entry.get("not_destroyed", []):
        if group["outcome"] == OutcomeKind.ABSENT and group["reason"].endswith(NOT_MARKED):
            count, reason = group["count"], group["reason"]
            yield f"{count} records of task {task} were {reason}. The certificate of that run proves it."
    if lost := {session["missing_session"]: None for session in entry["journal"] if "missing_session" in session}:
        yield (
            f"No journal of an earlier try of task {task} was found ({', '.join(lost)}): that try sent nothing, or its "
            "journal is lost. Every record was looked at "
            "before anything was sent; what was found gone then is listed as already gone, whoever did it."
        )
    if entry["uncounted"]:
        yield (
            f"The journal of task {task} holds {len(entry['uncounted'])} answers that its summary does not count "
            "(they are listed as uncounted): an older try went on beside a newer one."
        )


def _holds(entry: Mapping[str, Any], disposal: Disposal) -> Iterable[str]:
    """Say which holds touched a disposal, and how old the keys are that its task named itself."""
    task = disposal.provenance.task_id
    kept = [
        f"{group['count']} x {group['reason'].removeprefix(ON_HOLD)}"
        for group in entry.get("not_destroyed", [])
        if group["outcome"] == OutcomeKind.BLOCKED and group["reason"].startswith(ON_HOLD)
    ]
    if kept:
        yield f"On hold, and not disposed of by task {task}: {'; '.join(kept)}."
    named = disposal.options.get("holds") or {}
    if count := named.get("count"):
        yield (
            f"Task {task} named {count} keys to hold in this run (holds=). They are not older than "
            f"{named['not_before'] or 'the start of the run'}, and were read at {named['read_at']}."
        )


def withheld(number: int) -> str:
    """Return how many records reviewers withheld from the lists that they were shown, as a sentence; empty if none.

    :param number: number of these records.
    """
    if not number:
        return ""
    return f"{number:,} record{' was' if number == 1 else 's were'} withheld before approval, each with a reason"


def refused_marks(title: str, number: int) -> str:
    """Return that content is destroyed whose record a system refuses to mark, as a sentence."""
    records = "1 record" if number == 1 else f"{number:,} records"
    return (
        f"The content of {records} is gone, and {title} refuses to mark {'it' if number == 1 else 'them'}, perhaps "
        f"because of a hold. Have {'it' if number == 1 else 'them'} looked at in {title}."
    )


def gaps(document: Mapping[str, Any]) -> list[str]:
    """Return what belongs to the run and has no disposal on its certificate, one sentence each."""
    titles = {each["disposal"]["system"]: each["disposal"]["description"]["title"] for each in document["disposals"]}
    return [
        *(
            f"{each['task']} has a journal, and no disposal of it was given: its task ended before it could sum up, or "
            "disposals= does not name it"
            for each in document["missing_disposals"]
        ),
        *(
            f"{titles[each['system']]}: {each['count']:,} records of the approved list {each['digest']} "
            "have no disposal: the parts that hold them were not carried out, or disposals= does not name them"
            if "system" in each
            else f"{each['count']:,} records of the list {each['digest']}, which was approved in this run, have no "
            "disposal in any system: the task that was to carry it out never began, or disposals= does not name it"
            for each in document["undisposed_records"]
        ),
    ]
