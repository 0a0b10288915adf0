"""Single records that a reviewer takes out of a list, each with a reason, and approves the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.exceptions import ApprovalError

Line = tuple[str, bytes]
"""A record's key, and its line in a list or that line's hash."""

_MOST_COLONS = 50  # in a key; so that a line full of them does not cost its square


def parse(text: str, manifest: Manifest) -> dict[str, str]:
    """Read what is taken out.

    :param text: one record a line, ``key: reason``; blank lines do not count.
    :param manifest: the list that it is taken out of.
    :return: reason by key.
    :raises ApprovalError: a line names no record of the list, more than one, or no reason.
    """
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    readings = [dict(_readings(line)) for line in lines]
    wanted = {key for reading in readings for key in reading}
    known = {record.key for record in manifest if record.key in wanted} if wanted else set()
    excluded: dict[str, str] = {}
    for line, reading in zip(lines, readings, strict=True):
        keys = [key for key in reading if key in known]
        shown = line if len(line) <= 120 else f"{line[:120]}…"
        if not keys:
            raise ApprovalError(f"exclude: {shown!r} names no record of this list. Write one a line, as key: reason.")
        if len(keys) > 1:
            raise ApprovalError(f"exclude: {shown!r} may mean {' or '.join(map(repr, keys))}; both are on this list.")
        key = keys[0]
        if not reading[key]:
            raise ApprovalError(f"exclude: {key!r} is taken out without a reason. Write one a line, as key: reason.")
        if key in excluded:
            raise ApprovalError(f"exclude: {key!r} is named twice.")
        excluded[key] = reading[key]
    return excluded


def without(manifest: Manifest, excluded: Mapping[str, str]) -> Manifest:
    """Return the list without what is taken out; the list itself if that is nothing."""
    if not excluded:
        return manifest
    return Manifest.write(manifest.store, (record for record in manifest if record.key not in excluded))


def check(approval: Approval, shown: Iterable[Line], left: Iterable[Line]) -> None:
    """Check that an approved list is exactly the one that was shown without what was taken out of it.

    :param approval: says what was taken out.
    :param shown: the list that was shown.
    :param left: the approved list.
    :raises ApprovalError: a record is on the approved list and should not be, or the other way round.
    """
    absent = dict(approval.excluded)

    def expected() -> Iterator[Line]:
        for line in shown:
            if absent.pop(line[0], None) is None:
                yield line

    for should, is_ in zip_longest(expected(), left):
        if should == is_:
            continue
        if is_ is not None and is_[0] in approval.excluded:
            raise ApprovalError(f"{taken_out(is_[0], approval)}, and is on the approved list nevertheless.")
        expected_key, found_key = (repr(line[0]) if line else "its end" for line in (should, is_))
        raise ApprovalError(
            f"The list {approval.digest} is not what {approval.approver!r} left of {approval.shown}: "
            f"it has {found_key} where {expected_key} should be."
        )
    if absent:
        raise ApprovalError(f"{taken_out(min(absent), approval)}, and was not on the list that was shown.")


def taken_out(key: str, approval: Approval) -> str:
    """Say who took a record out, and why."""
    return f"Record {key!r} was taken out by {approval.name or approval.approver} ({approval.excluded[key]})"


def _readings(line: str) -> Iterator[tuple[str, str]]:
    """Return every way to read a line as key and reason: keys may hold colons too."""
    parts = line.split(":", _MOST_COLONS)
    for end in range(1, len(parts)):
        yield ":".join(parts[:end]).rstrip(), ":".join(parts[end:]).strip()
    yield line, ""
