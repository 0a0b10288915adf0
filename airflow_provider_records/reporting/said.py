"""Sentences that evidence holds in English, and that people read in their language.

A journal keeps why a record was left, and a summary what a system says of itself. Both are compared with other files,
so that they stay as they are; the catalogues have the same sentences, and this module finds them there.
"""

from __future__ import annotations

import re
from functools import cache

from airflow_provider_records.reporting.language import Language, marked

SENTENCES = (
    # what the systems say of themselves
    marked("Moved to the recycle bin of enaio (soft delete)"),
    marked("Deleted permanently from enaio (hard delete)"),
    marked(
        "not deleted by this task: the service finds it neither live nor in the recycle bin of this account; the bin "
        "of another account, which it does not show, may hold it"
    ),
    marked(
        "Destroyed in enaio means removed from enaio. Whether an archive medium still holds the content depends on the "
        "server's settings; there is no proof about media."
    ),
    marked(
        "enaio shows an account no recycle bin but its own. An object that is called destroyed because it was not "
        "found after a call without a response, or that was already gone, may lie in the recycle bin of another "
        "account."
    ),
    marked("Moved to the recycle bin of Unifier, whose interface knows no permanent deletion"),
    marked("Status set to Destroyed in Opus; deletes no content"),
    marked("the status Destroyed is set"),
    marked(
        "not marked by this task: Opus refuses it (not approved there, on hold, not to be destroyed, or Destroyed "
        "already)"
    ),
    marked("not marked, as far as known: an error that another try may cure"),
    marked("not marked: nothing was sent for it"),
    marked(
        "Destroyed in Opus is a status. It deletes no content, and Opus offers no way to read the status of a single "
        "record back."
    ),
)
"""Whole sentences that the systems' descriptions hold."""

REASONS = (
    marked("on hold: %(text)s"),
    marked("not due in %(system)s any more"),
    marked("locked by %(text)s"),
    marked("held: %(field)s is %(value)s"),
    marked("its retention has not ended: enaio keeps it until %(value)s"),
    marked("its retention has not ended: %(field)s is %(value)s"),
    marked("its retention is not known to have ended: %(field)s is empty"),
    marked("it is there, and must stay: %(why)s"),
    marked("nothing was sent: %(why)s"),
    marked("refused by Opus: not approved, on hold, not to be destroyed, or Destroyed already; look at it in Opus"),
    marked("destroyed in run %(run)s, and not marked since"),
    marked("recycled in run %(run)s, and not marked since"),
    marked("not the object that was approved: %(field)s is %(found)s, on the list %(approved)s"),
    marked("it is not empty, or the account lacks the right to delete it or what it holds (%(code)s)"),
    marked("the account lacks the right to delete it, or it is locked or in a workflow (%(code)s)"),
    marked("it is probably not empty (%(code)s)"),
    marked("it was in the recycle bin of this account before our call; another run may have moved it there"),
    marked("it is in the recycle bin; purging it needs a right, and DMS 5.3.0 or later (%(code)s)"),
    marked("this account sees nothing: neither an object of the list nor any other one that it saw before"),
    marked("Unifier does not know its node id: it was gone before, or the id is wrong"),
    marked("the mark went unanswered; the record has left the due list since"),
    marked("our process died; whether this call left is not known"),
    marked("it is gone, and no look shows that our call did it"),
    marked("dry run: %(why)s"),
    marked("is there and would be sent"),
    marked("is not there any more"),
    marked("would be blocked: %(why)s"),
    marked("not sent: %(text)s"),
    marked("not sent"),
)
"""Reasons of outcomes. A value named ``why`` is a sentence of these itself."""


def said(text: str, language: Language) -> str:
    """Return a sentence of the evidence in a language; one that the catalogue does not have stays English."""
    if language.code == "en":
        return text
    if text in SENTENCES or text in REASONS:
        return language.translate(text)
    for message, pattern in _patterns():
        if match := pattern.fullmatch(text):
            values = match.groupdict()
            if "why" in values:
                values["why"] = said(values["why"], language)
            return language.gettext(message, **values)
    return text


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((message, _pattern(message)) for message in REASONS if "%(" in message)


def _pattern(message: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", message)
    shape = "".join(f"(?P<{part}>.+)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    return re.compile(shape, re.DOTALL)
