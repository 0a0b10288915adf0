"""How a run ended, in one line. The certificate and the page "Disposals" compute it from the same typed status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from airflow_provider_records.evidence.certificate import Certificate
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import EvidenceError
from airflow_provider_records.reporting import wording
from airflow_provider_records.reporting.language import ENGLISH, Language
from airflow_provider_records.reporting.said import said


class Verdict(NamedTuple):
    """How a run ended, as shown at the head of its certificate and page.

    :param level: ``done``, ``partly``, ``open``, ``rehearsal`` or ``running``; it determines the colour.
    :param title: a few words.
    :param text: a sentence that explains the title.
    """

    level: str
    title: str
    text: str


@dataclass(frozen=True)
class RunStatus:
    """The input of a verdict.

    :param disposals: the newest summary of each task instance of the run.
    :param gaps: what belongs to the run and has no disposal, one sentence each.
    :param withheld: number of records that reviewers withheld.
    :param language: the language of what it says.
    """

    disposals: Sequence[Disposal]
    gaps: Sequence[str] = ()
    withheld: int = 0
    language: Language = ENGLISH

    @classmethod
    def from_document(cls, document: Certificate, language: Language = ENGLISH) -> RunStatus:
        """Read the status from a certificate.

        :param document: the certificate.
        :param language: the language of what it says.
        :raises EvidenceError: a field is missing or has another type.
        """
        try:
            return cls(
                tuple(Disposal.from_dict(entry["disposal"]) for entry in document.disposals),
                tuple(wording.gaps(document.to_dict(), language)),
                sum(len(approval.get("withheld", {})) for approval in document.approvals),
                language,
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise EvidenceError(f"The certificate does not have the expected form ({type(error).__name__}).") from None

    @property
    def complete(self) -> bool:
        """Whether every record has a final outcome, no disposal was a dry run, and nothing lacks a disposal."""
        return not self.gaps and all(each.complete and not each.dry_run for each in self.disposals)

    @property
    def left(self) -> str:
        """What is left to do, by system and outcome, and what has no disposal; empty if the run is complete."""
        return "; ".join([*filter(None, (_left(each, self.language) for each in self.disposals)), *self.gaps])

    @property
    def alarms(self) -> list[str]:
        """What somebody must look at although every outcome is final, one sentence each.

        A record whose content is destroyed and whose mark is refused may be on hold. Counts tell how many there are at
        least: a list of marks that is longer than what was destroyed holds others, too.
        """
        found = []
        marking = [each for each in self.disposals if not each.description.deletes_content]
        for title in sorted({each.description.title for each in marking}):
            marks = [each for each in marking if each.description.title == title]
            lists = {digest for each in marks for digest in each.approved}
            gone = sum(
                each.counts[kind]
                for each in self.disposals
                if each.description.deletes_content and lists & set(each.approved)
                for kind in OutcomeKind
                if kind.gone
            )
            others = max(0, sum(sum(each.counts.values()) for each in marks) - gone)
            refused = sum(each.counts[OutcomeKind.BLOCKED] for each in marks) - others
            if gone and refused > 0:
                found.append(wording.refused_marks(title, refused, self.language))
        return found

    def covers(self, disposals: Sequence[Disposal]) -> bool:
        """Return whether this status is still correct for a run that has these summaries.

        :param disposals: the newest summary of each task instance. A disposal of an empty list, or a rehearsal, may be
            missing from the status: a certificate does not have to name it.
        """
        return all(each in disposals for each in self.disposals) and all(
            each in self.disposals or each.idle for each in disposals
        )


def verdict(status: RunStatus) -> Verdict:
    """Return how a run ended, in one line."""
    language = status.language
    gettext = language.gettext
    if not status.disposals and not status.gaps:
        text = gettext(
            "No list of this run was carried out: an approval was refused or is missing, or an earlier task failed."
        )
        return Verdict("open", gettext("Nothing carried out"), text)
    if all(each.dry_run for each in status.disposals) and not status.gaps:
        text = gettext("A dry run: records were looked up, nothing was destroyed.")
        return Verdict("rehearsal", gettext("Rehearsal only"), text)
    if not status.complete:
        return Verdict("open", gettext("Not complete"), gettext("Left to do: %(left)s.", left=status.left))
    withheld = f" {text}." if (text := wording.withheld(status.withheld, language)) else ""
    if not any(sum(each.counts.values()) for each in status.disposals):
        return Verdict("done", gettext("Nothing to destroy"), gettext("The lists of this run were empty.") + withheld)
    blocked = [
        gettext("%(count)s in %(system)s", count=count, system=each.description.title)
        for each in status.disposals
        if (count := each.counts[OutcomeKind.BLOCKED])
    ]
    absent = sum(each.counts[OutcomeKind.ABSENT] - each.destroyed_earlier for each in status.disposals)
    if blocked or absent:
        systems = gettext(" and ").join(blocked)
        parts = [gettext("Every record has a final outcome.")]
        parts += [gettext("Blocked, each with its reason: %(systems)s.", systems=systems)] if blocked else []
        parts += [_were_absent(absent, language)] if absent else []
        title = gettext("Complete, with refusals") if blocked else gettext("Complete, with absent records")
        return Verdict("partly", title, " ".join(parts) + withheld)
    text = gettext("Every record on the approved lists has a final outcome; none is left.")
    return Verdict("done", gettext("Complete"), text + withheld)


def _were_absent(number: int, language: Language) -> str:
    return language.ngettext(
        "%(num)s was not there before, and not by this DAG as far as anybody knows.",
        "%(num)s were not there before, and not by this DAG as far as anybody knows.",
        number,
    )


def _left(disposal: Disposal, language: Language) -> str:
    """Return what one disposal leaves for another try; empty if nothing is left."""
    system = disposal.description.title
    if disposal.dry_run:
        return language.gettext("%(system)s: dry run, nothing was sent", system=system)
    if disposal.complete:
        return ""
    counts = [
        f"{language.number(disposal.counts[kind])} {wording.label(disposal.description, kind, language)}"
        for kind in OutcomeKind
        if not kind.final and disposal.counts[kind]
    ]
    stopped = f" ({said(disposal.stopped, language)})" if disposal.stopped else ""
    return f"{system}: {', '.join(counts)}{stopped}"
