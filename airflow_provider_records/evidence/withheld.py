"""Records that a reviewer withholds from a list, each with a reason, while approving the rest.

What a reviewer types is one line for each record, or for each class in a field of its own: any text may be a key, so a
line that names a class could not be told from one that names a record.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from itertools import zip_longest

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.hold import Hold, Reason
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.exceptions import AnswerError, ApprovalError

Line = tuple[str, bytes]
"""A record's key, and its line in a list or that line's hash."""

_MAX_COLONS = 50  # in a key; bounds the work on a line that consists of colons
_UNTIL = re.compile(r";\s*(?:until|bis|tot)\b([^;]*\d[^;]*)\Z", re.IGNORECASE)
"""A last day behind a reason, with the word of each language that the form has; without a digit the word is part of the
reason, as in "until the court has decided"."""


def parse(text: str, manifest: Manifest) -> dict[str, str]:
    """Read which records a reviewer withholds.

    :param text: one record a line, ``key: reason`` or ``key: reason; until 2027-06-30``; blank lines are ignored.
    :param manifest: the list that was shown to the reviewer.
    :return: reason by key.
    :raises AnswerError: a line names no record of the list, more than one, no reason, or a last day that is none.
    """
    wanted = {key for line in _lines(text) for key, _ in _readings(line)}
    known = {record.key for record in manifest if record.key in wanted} if wanted else set()
    return _checked("Withhold", _named("Withhold", text, known, "record of this list"))


def parse_classes(text: str, manifest: Manifest) -> dict[str, str]:
    """Read which whole classes a reviewer withholds.

    :param text: one classification a line, ``classification: reason``, as for :func:`parse`.
    :param manifest: the list that was shown to the reviewer.
    :return: reason by key, for each record of these classes.
    :raises AnswerError: as for :func:`parse`.
    """
    if not _lines(text):
        return {}
    classes = {record.key: " ".join((record.classification or "").split()) for record in manifest}
    field = "Withhold classes"
    reasons = _checked(field, _named(field, text, {name for name in classes.values() if name}, "class of this list"))
    return {key: f"all of {name}: {reasons[name]}" for key, name in classes.items() if name in reasons}


def parse_back(text: str, holds: Collection[Hold]) -> dict[str, str]:
    """Read which held records a reviewer brings back.

    :param text: one key a line, or ``key: reason``.
    :param holds: the holds that this reviewer may end.
    :return: reason by key, empty where none is given.
    :raises AnswerError: a line names none of these, or more than one.
    """
    what = "record that a reviewer of this DAG withheld, and that is still on hold"
    return _named("Bring back", text, {hold.key for hold in holds}, what)


def reason_of(text: str) -> Reason:
    """Read a reason with its last day, as in ``court hold; until 2027-06-30``.

    :raises ValueError: the last day is no day.
    """
    if (found := _UNTIL.search(text)) is None:
        return Reason(text.strip())
    day = found[1].strip()
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", day, re.ASCII):
        raise ValueError(f"{day!r} is no day")
    return Reason(text[: found.start()].strip(), date.fromisoformat(day).isoformat())


def _checked(field: str, reasons: dict[str, str]) -> dict[str, str]:
    for name, text in reasons.items():
        try:
            reason = reason_of(text)
        except ValueError:
            raise AnswerError(
                f"{field}: the last day of {name!r} cannot be read. Write it as in {name}: reason; until 2027-06-30."
            ) from None
        if not reason.text:
            raise AnswerError(f"{field}: {name!r} has no reason. Write one a line, as {name}: reason.")
    return reasons


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]


def _named(field: str, text: str, known: Collection[str], what: str) -> dict[str, str]:
    """Read a line for each name.

    :param field: what the form calls the field.
    :param known: the names that it may hold.
    :param what: what they are, in words.
    :return: what follows a name, by name.
    """
    found: dict[str, str] = {}
    for line in _lines(text):
        reading = dict(_readings(line))
        names = [name for name in reading if name in known]
        shown = line if len(line) <= 120 else f"{line[:120]}…"
        if not names:
            raise AnswerError(f"{field}: {shown!r} names no {what}. Write one a line, such as key: reason.")
        if len(names) > 1:
            raise AnswerError(f"{field}: {shown!r} may mean {' or '.join(map(repr, names))}; both are known.")
        if names[0] in found:
            raise AnswerError(f"{field}: {names[0]!r} is named twice.")
        found[names[0]] = reading[names[0]]
    return found


def without(manifest: Manifest, withheld: Mapping[str, str]) -> Manifest:
    """Return the list without the withheld records; the same list if there are none.

    :param withheld: reason by key.
    """
    if not withheld:
        return manifest
    return Manifest.write(manifest.store, (record for record in manifest if record.key not in withheld))


def check(approval: Approval, shown: Iterable[Line], left: Iterable[Line]) -> None:
    """Check that an approved list is exactly the shown list without the withheld records.

    :param approval: states which records were withheld.
    :param shown: the list that was shown to the approver.
    :param left: the approved list.
    :raises ApprovalError: the approved list has a record that it should not have, or lacks one.
    """
    absent = dict(approval.withheld)

    def expected() -> Iterator[Line]:
        for line in shown:
            if absent.pop(line[0], None) is None:
                yield line

    for should, is_ in zip_longest(expected(), left):
        if should == is_:
            continue
        if is_ is not None and is_[0] in approval.withheld:
            raise ApprovalError(f"Record {is_[0]!r} is on the approved list, but was {statement(is_[0], approval)}.")
        expected_key, found_key = (repr(line[0]) if line else "its end" for line in (should, is_))
        raise ApprovalError(
            f"The list {approval.digest} is not what {approval.approver!r} left of {approval.shown}: "
            f"it has {found_key} where {expected_key} should be."
        )
    if absent:
        key = min(absent)
        raise ApprovalError(f"Record {key!r} was not on the list that was shown, but was {statement(key, approval)}.")


def statement(key: str, approval: Approval) -> str:
    """Return who withheld a record and why, as ``withheld by Anna: court hold``."""
    return f"withheld by {approval.name or approval.approver}: {approval.withheld[key].rstrip('.')}"


def _readings(line: str) -> Iterator[tuple[str, str]]:
    """Return every way to read a line as key and reason, since a key may contain colons."""
    parts = line.split(":", _MAX_COLONS)
    for end in range(1, len(parts)):
        yield ":".join(parts[:end]).rstrip(), ":".join(parts[end:]).strip()
    yield line, ""
