"""What a person answers in Airflow's form: its fields, the answer as it was typed, and what it puts on hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Param

from airflow_provider_records.airflow_version import ParamsDict, asks_again
from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.hold import Hold, HoldRegister, reviewers_of
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.names import PLAIN, Naming, is_hash
from airflow_provider_records.exceptions import AnswerError, EvidenceError, HoldError
from airflow_provider_records.reporting.language import Language

log = logging.getLogger(__name__)

_SLIP = "Nothing was approved or held. " + (
    "The same request is open again; answer it anew."
    if asks_again()
    else "The next try of this task asks again; clear it if it has none left."
)


def form(digest: str, order: str, language: Language, naming: Naming) -> ParamsDict:
    """Return the form: four fields, and two digests, which Airflow hides because they are constant and sends back."""
    gettext = language.gettext
    fields = {
        "withhold": (
            gettext("Withhold"),
            gettext(
                "Records that must stay, one a line, as key: reason. They are on hold from now on, and the rest is "
                "approved; the evidence says who withheld them and why. Example: hr-2014-0006: lawsuit 4 O 12/26; "
                "until 2027-06-30. Without a last day it holds until somebody brings it back."
            ),
        ),
        "withhold_classes": (
            gettext("Withhold classes"),
            gettext(
                "Classifications of which all records of this list must stay, one a line, as classification: reason, "
                "with a last day as above."
            ),
        ),
        "bring_back": (
            gettext("Bring back"),
            gettext(
                "Keys that reviewers of this DAG withheld earlier and that may be listed again from the next list on, "
                "one a line, as key or key: reason."
            ),
        ),
        "comment": (gettext("Comment"), gettext("Kept with the approval.")),
    }
    hint = "" if naming is PLAIN else " " + gettext("What is typed here is kept as it is: please name nobody.")
    texts = {
        # Airflow's form for requests shows a plain description only, no Markdown.
        name: Param("", description + hint, title=title, type=["string", "null"], format="multiline")
        for name, (title, description) in fields.items()
    }
    return ParamsDict(
        {
            "manifest": Param(digest, gettext("The list that the answer is for."), type="string", const=digest),
            "order": Param(order, gettext("What the answer allows."), type="string", const=order),
            **texts,
        }
    )


@dataclass(frozen=True)
class Answer:
    """The answer of a person.

    :param option: the chosen button.
    :param user_id: the person's id in the auth manager.
    :param user_name: the person's name in the auth manager.
    :param responded_at: time of the answer, with time zone.
    :param digest: digest of the list that the answer is for; not checked yet, may be any value.
    :param order: digest of the order that the answer is for; not checked yet, may be any value.
    :param withhold: the records to withhold, as typed; not checked yet.
    :param withhold_classes: the classes to withhold, as typed; not checked yet.
    :param bring_back: the keys to bring back from a hold, as typed; not checked yet.
    :param comment: the comment, as typed.
    """

    option: str
    user_id: str
    user_name: str
    responded_at: datetime
    digest: object
    order: object
    withhold: str
    withhold_classes: str
    bring_back: str
    comment: str

    def as_evidence(self, naming: Naming) -> Answer:
        """Return the answer with the person as it stands in the evidence; what was typed stays as it was typed."""
        return replace(self, user_id=naming.person(self.user_id), user_name=naming.person(self.user_name))

    @property
    def time(self) -> str:
        """Time of the answer, ISO 8601 in UTC."""
        return utc(self.responded_at)

    @property
    def who(self) -> str:
        """The person, for messages; as evidence has it, a message is kept, too, and Airflow knows who it was."""
        if is_hash(self.user_id):
            return "the reviewer"
        return self.user_id if self.user_name in {"", self.user_id} else f"{self.user_name} ({self.user_id})"


def utc(moment: datetime) -> str:
    """Return a time as the evidence has it: ISO 8601 in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def approver(user_id: str) -> str:
    """Return how the evidence names a user of Airflow."""
    return f"airflow:{user_id}"


def field_of(inputs: Mapping[str, Any], name: str) -> str:
    """Return a field of the form as text; Airflow's server accepts any JSON value there."""
    value = inputs.get(name)
    if value is None:
        return ""
    try:
        value.encode()
        return str(value).strip()
    except (AttributeError, UnicodeEncodeError):
        raise AnswerError(f"{name} must be text. {_SLIP}") from None


def read_typed(
    answer: Answer, manifest: Manifest, register: HoldRegister, dag_id: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Read what a reviewer typed.

    :return: what is withheld, and what is brought back: reason by key.
    :raises AnswerError: a line cannot be followed.
    """
    try:
        single = withheld.parse(answer.withhold, manifest)
        back = withheld.parse_back(answer.bring_back, reviewers_holds(register, dag_id) if answer.bring_back else ())
        return {**withheld.parse_classes(answer.withhold_classes, manifest), **single}, back
    except AnswerError as error:
        raise AnswerError(f"The answer of {answer.who} cannot be followed. {error} {_SLIP}") from None


def reviewers_holds(register: HoldRegister, dag_id: str) -> list[Hold]:
    """Return the standing holds that reviewers of a DAG may end; none if a file of the register is spoilt."""
    try:
        return [hold for hold in register.standing() if hold.origin == reviewers_of(dag_id)]
    except EvidenceError as error:
        if error.retry:
            raise
        log.warning("Nothing that is on hold can be brought back in the form: %s", error)
        return []


def put_on_hold(register: HoldRegister, reasons: Mapping[str, str], answer: Answer, dag_id: str) -> None:
    """Put on hold what a reviewer withholds; before the approval, so that none of it is listed again.

    :raises AnswerError: a last day is over.
    """
    try:
        holds = {key: withheld.reason_of(text) for key, text in reasons.items()}
        register.withhold(holds, approver(answer.user_id), answer.time, reviewers_of(dag_id))
    except HoldError as error:
        raise AnswerError(f"The answer of {answer.who} cannot be followed. {error} {_SLIP}") from None


def bring_back(register: HoldRegister, reasons: Mapping[str, str], answer: Answer, dag_id: str) -> None:
    """End the holds of what a reviewer brings back; the approval stands where somebody else was faster."""
    who, origin = approver(answer.user_id), reviewers_of(dag_id)
    for key, text in reasons.items():
        try:
            ended = register.release([key], text or answer.comment or "brought back by a reviewer", who, origin)
        except HoldError as error:  # somebody else has brought it back in this moment
            log.warning("Not brought back: %s", error)
            continue
        for hold in ended:
            log.info("Brought back by %s, for the next list: %r (%s)", answer.who, key, hold.statement)
