"""Single records that a reviewer withholds from a list, each with a reason, while approving the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.exceptions import ApprovalError

Line = tuple[str, bytes]
"""A record's key, and its line in a list or that line's hash."""

_MAX_COLONS = 50  # in a key; bounds the work on a line that consists of colons


def parse(text: str, manifest: Manifest) -> dict[str, str]:
    """Read which records a reviewer withholds.

    :param text: one record a line, ``key: reason``; blank lines are ignored.
    :param manifest: the list that was shown to the reviewer.
    :return: reason by key.
    :raises ApprovalError: a line names no record of the list, more than one, or no reason.
    """
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    readings = [dict(_readings(line)) for line in lines]
    wanted = {key for reading in readings for key in reading}
    known = {record.key for record in manifest if record.key in wanted} if wanted else set()
    found: dict[str, str] = {}
    for line, reading in zip(lines, readings, strict=True):
        keys = [key for key in reading if key in known]
        shown = line if len(line) <= 120 else f"{line[:120]}…"
        if not keys:
            raise ApprovalError(f"withhold: {shown!r} names no record of this list. Write one a line, as key: reason.")
        if len(keys) > 1:
            raise ApprovalError(f"withhold: {shown!r} may mean {' or '.join(map(repr, keys))}; both are on this list.")
        key = keys[0]
        if not reading[key]:
            raise ApprovalError(f"withhold: {key!r} has no reason. Write one a line, as key: reason.")
        if key in found:
            raise ApprovalError(f"withhold: {key!r} is named twice.")
        found[key] = reading[key]
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
