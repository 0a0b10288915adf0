"""The words of certificate and page that do not depend on a system; the others come with its description."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

from airflow_provider_records.evidence.authorization import APPROVAL_KEY
from airflow_provider_records.evidence.hold import ON_HOLD
from airflow_provider_records.evidence.order import Covered
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.summary import Disposal, SystemDescription
from airflow_provider_records.evidence.unmarked import NOT_MARKED
from airflow_provider_records.reporting.language import ENGLISH, Language, marked
from airflow_provider_records.reporting.said import said

_MOST_REASONS = 20
RESULTS = {
    OutcomeKind.DESTROYED: marked("destroyed"),
    OutcomeKind.RECYCLED: marked("in the recycle bin"),
    OutcomeKind.ABSENT: marked("already gone"),
    OutcomeKind.BLOCKED: marked("blocked"),
    OutcomeKind.FAILED: marked("failed"),
    OutcomeKind.UNKNOWN: marked("unknown"),
    OutcomeKind.NOT_ATTEMPTED: marked("not attempted"),
}
_MEANINGS = {
    OutcomeKind.DESTROYED: marked("permanently gone from the system"),
    OutcomeKind.RECYCLED: marked("moved to a recycle bin, from which it can be restored"),
    OutcomeKind.ABSENT: marked("was not there any more before anything was sent"),
    OutcomeKind.BLOCKED: marked(
        "left as it was: the system refuses for a business reason (linked, locked, held, no right)"
    ),
    OutcomeKind.FAILED: marked("left as it was, as far as known: an error that another try may cure"),
    OutcomeKind.UNKNOWN: marked("the response was lost, and what became of the record could not be resolved"),
    OutcomeKind.NOT_ATTEMPTED: marked("left as it was: nothing was sent for it"),
}
PROOFS = {
    Proof.RESPONSE: marked("the system said so"),
    Proof.PROBE: marked("looked at afterwards"),
    Proof.INFERRED: marked("seen there, then our call went unanswered or our process died, then found gone"),
}
APPROVER_TYPES = {
    "person": marked("a person"),
    "process": marked("a decision in another system, which names nobody"),
    "dag": marked("the choice of the DAG's author"),
}
_ACTIONS = {
    "destroy": marked("permanently delete from %(system)s"),
    "recycle": marked("move to the recycle bin of %(system)s"),
    "mark": marked("mark as destroyed in %(system)s"),
}
_COPIES = marked(
    "Covered is only what the named systems hold under the listed ids. Backups, replicas, exports, e-mail and other "
    "copies are not covered; they end under rules of their own."
)
_HOLDS = marked(
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


def action(covered: Covered, language: Language = ENGLISH) -> str:
    """Return what a task that an order covers may do, such as ``permanently delete from enaio``."""
    return language.gettext(_ACTIONS[covered.method], system=covered.title or covered.system)


def allowed(
    tasks: Iterable[Covered], language: Language = ENGLISH, place: Callable[[Covered], str] = attrgetter("target")
) -> str:
    """Return what an order allows, such as ``permanently delete from enaio at https://…, then mark in Opus at …``.

    :param tasks: what the order covers, in the order in which it is carried out.
    :param place: returns where a task acts.
    """
    steps = [
        language.gettext("%(action)s at %(place)s", action=action(each, language), place=place(each)) for each in tasks
    ]
    return language.gettext(", then ").join(dict.fromkeys(steps))


def due_list(found: Mapping[str, Any], language: Language = ENGLISH) -> str:
    """Return which due list it was, without its place and its bound.

    :param found: the due list as an order has it.
    """
    if "query" not in found:
        return language.gettext("connector %(connector)s", connector=found["connector_id"])
    asked = (value for value in found["query"].values() if value and not isinstance(value, bool))
    return f"{found['system']} ({', '.join(each if isinstance(each, str) else ' '.join(each) for each in asked)})"


def amount(number: int, language: Language = ENGLISH) -> str:
    """Return a number of records, such as ``1,200 records``."""
    return language.ngettext("%(num)s record", "%(num)s records", number)


def label(description: SystemDescription, kind: OutcomeKind, language: Language = ENGLISH) -> str:
    """Return the short name of an outcome in a system: where no content is deleted, records are marked."""
    if kind == OutcomeKind.DESTROYED and not description.deletes_content:
        return language.gettext("marked")
    return language.translate(RESULTS[kind])


def meaning(description: SystemDescription, kind: OutcomeKind, language: Language = ENGLISH) -> str:
    """Return what an outcome means in a system."""
    if own := description.meanings.get(kind):
        return said(own, language)
    return language.translate(_MEANINGS[kind])


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


def method(description: SystemDescription, *, dry_run: bool, records: int, language: Language = ENGLISH) -> str:
    """Return how the records of a disposal were disposed of, as a sentence without a full stop.

    :param description: what the system says of itself.
    :param dry_run: whether it was a dry run.
    :param records: number of records on the list.
    """
    if dry_run:
        return language.gettext("Dry run: records were looked up, nothing was sent that changes anything")
    if not records:
        return language.gettext("The list was empty; nothing was sent")
    if description.method:
        return said(description.method, language)
    return language.gettext("Disposed of in %(system)s", system=description.title)


def statements(
    disposals: Iterable[Mapping[str, Any]], key_id: str | None = None, language: Language = ENGLISH
) -> list[str]:
    """Return what the certificate does not cover, and what weakens it, one sentence each.

    :param disposals: the certificate's entries.
    :param key_id: the key that signs the certificate; None: it is not signed.
    """
    found = {language.translate(_COPIES): None, language.translate(_HOLDS): None}
    for entry in disposals:
        found |= dict.fromkeys(_about(entry, language))
        if key_id is not None:
            found |= dict.fromkeys(otherwise_signed(entry, key_id, language))
    return list(found)


def otherwise_signed(entry: Mapping[str, Any], key_id: str, language: Language = ENGLISH) -> Iterable[str]:
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
        yield language.gettext(
            "The approvals of task %(task)s are not signed: it ran without a signing key. Whoever could write to the "
            "evidence store then could have written them; the signature of the certificate does not vouch for them.",
            task=task,
        )
    elif demanded["key_id"] != key_id:
        yield language.gettext(
            "The approvals of task %(task)s are signed with another key than the certificate: %(key)s.",
            task=task,
            key=demanded["key_id"],
        )


def _about(entry: Mapping[str, Any], language: Language) -> Iterable[str]:
    disposal = Disposal.from_dict(entry["disposal"])
    system, counts, task = disposal.description.title, disposal.counts, disposal.provenance.task_id
    if disposal.dry_run:
        yield language.gettext(
            "Dry run: task %(task)s only looked at its records in %(system)s. Nothing was destroyed by it.",
            task=task,
            system=system,
        )
        return
    if not disposal.approval_required and any(counts.values()):
        yield language.gettext("The DAG says that task %(task)s needs no approval (require_approval=False).", task=task)
    if counts["recycled"]:
        yield language.gettext(
            "Records in the recycle bin of %(system)s can be restored until the bin is emptied; they are not "
            "called destroyed.",
            system=system,
        )
    yield from (said(caveat, language) for caveat in disposal.description.caveats)
    died = entry.get("process_died", 0)
    if inferred := entry["proofs"].get("inferred", 0) - died:
        yield language.ngettext(
            "%(num)s outcome in %(system)s (task %(task)s) is inferred: the record was seen there, our own call went "
            "unanswered, and the record was found gone afterwards.",
            "%(num)s outcomes in %(system)s (task %(task)s) are inferred: the record was seen there, our own call went "
            "unanswered, and the record was found gone afterwards.",
            inferred,
            system=system,
            task=task,
        )
    if died:
        yield language.ngettext(
            "%(num)s outcome in %(system)s (task %(task)s) is inferred after our process died; whether this call left "
            "is not known. The record was seen there before, and was found gone afterwards.",
            "%(num)s outcomes in %(system)s (task %(task)s) are inferred after our process died; whether these calls "
            "left is not known. Each record was seen there before, and was found gone afterwards.",
            died,
            system=system,
            task=task,
        )
    yield from _holds(entry, disposal, language)
    for group in entry.get("not_destroyed", []):
        if group["outcome"] == OutcomeKind.ABSENT and group["reason"].endswith(NOT_MARKED):
            yield language.ngettext(
                "%(num)s record of task %(task)s was %(reason)s. The evidence of that run says so; this certificate "
                "does not prove it.",
                "%(num)s records of task %(task)s were %(reason)s. The evidence of that run says so; this certificate "
                "does not prove it.",
                group["count"],
                task=task,
                reason=said(group["reason"], language),
            )
    if lost := {session["missing_session"]: None for session in entry["journal"] if "missing_session" in session}:
        yield language.gettext(
            "No journal of an earlier try of task %(task)s was found (%(sessions)s): that try sent nothing, or its "
            "journal is lost. Every record was looked at before anything was sent; what was found gone then is listed "
            "as already gone, whoever did it.",
            task=task,
            sessions=", ".join(lost),
        )
    if entry["uncounted"]:
        yield language.ngettext(
            "The journal of task %(task)s holds %(num)s answer that its summary does not count (it is listed as "
            "uncounted): an older try went on beside a newer one.",
            "The journal of task %(task)s holds %(num)s answers that its summary does not count (they are listed as "
            "uncounted): an older try went on beside a newer one.",
            len(entry["uncounted"]),
            task=task,
        )


def _holds(entry: Mapping[str, Any], disposal: Disposal, language: Language) -> Iterable[str]:
    """Say which holds touched a disposal, and how old the keys are that its task named itself."""
    task = disposal.provenance.task_id
    kept = [
        f"{language.number(group['count'])} x {group['reason'].removeprefix(ON_HOLD)}"
        for group in entry.get("not_destroyed", [])
        if group["outcome"] == OutcomeKind.BLOCKED and group["reason"].startswith(ON_HOLD)
    ]
    if kept:
        yield language.gettext(
            "On hold, and not disposed of by task %(task)s: %(holds)s.", task=task, holds="; ".join(kept)
        )
    named = disposal.options.get("holds") or {}
    if count := named.get("count"):
        begin = language.time(named["not_before"]) if named["not_before"] else language.gettext("the start of the run")
        yield language.ngettext(
            "Task %(task)s named %(num)s key to hold in this run (holds=). It is not older than %(begin)s, and was "
            "read at %(read)s.",
            "Task %(task)s named %(num)s keys to hold in this run (holds=). They are not older than %(begin)s, and "
            "were read at %(read)s.",
            count,
            task=task,
            begin=begin,
            read=language.time(named["read_at"]),
        )


def withheld(number: int, language: Language = ENGLISH) -> str:
    """Return how many records reviewers withheld from the lists that they were shown, as a sentence; empty if none.

    :param number: number of these records.
    """
    if not number:
        return ""
    return language.ngettext(
        "%(num)s record was withheld before approval, each with a reason",
        "%(num)s records were withheld before approval, each with a reason",
        number,
    )


def refused_marks(title: str, number: int, language: Language = ENGLISH) -> str:
    """Return that content is destroyed whose record a system refuses to mark, as a sentence."""
    return language.ngettext(
        "The content of %(num)s record is gone, and %(system)s refuses to mark it, perhaps because of a hold. Have it "
        "looked at in %(system)s.",
        "The content of %(num)s records is gone, and %(system)s refuses to mark them, perhaps because of a hold. Have "
        "them looked at in %(system)s.",
        number,
        system=title,
    )


def gaps(document: Mapping[str, Any], language: Language = ENGLISH) -> list[str]:
    """Return what belongs to the run and has no disposal on its certificate, one sentence each."""
    titles = {each["disposal"]["system"]: each["disposal"]["description"]["title"] for each in document["disposals"]}
    return [
        *(
            language.gettext(
                "%(task)s has a journal, and no disposal of it was given: its task ended before it could sum up, or "
                "disposals= does not name it",
                task=each["task"],
            )
            for each in document["missing_disposals"]
        ),
        *(
            language.ngettext(
                "%(system)s: %(num)s record of the approved list %(list)s has no disposal: the part that holds it was "
                "not carried out, or disposals= does not name it",
                "%(system)s: %(num)s records of the approved list %(list)s have no disposal: the parts that hold them "
                "were not carried out, or disposals= does not name them",
                each["count"],
                system=titles[each["system"]],
                list=each["digest"],
            )
            if "system" in each
            else language.ngettext(
                "%(num)s record of the list %(list)s, which was approved in this run, has no disposal in any system: "
                "the task that was to carry it out never began, or disposals= does not name it",
                "%(num)s records of the list %(list)s, which was approved in this run, have no disposal in any system: "
                "the task that was to carry it out never began, or disposals= does not name it",
                each["count"],
                list=each["digest"],
            )
            for each in document["undisposed_records"]
        ),
    ]
