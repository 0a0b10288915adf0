"""Writes a list of rows as a manifest; odd rows are set aside by name, so that they do not stop every night."""

from __future__ import annotations

import logging
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

from airflow_provider_records.airflow_version import conf
from airflow_provider_records.evidence import titles
from airflow_provider_records.evidence.distinct import Distinct, Seen
from airflow_provider_records.evidence.due_list import DueList, changed_after_bound
from airflow_provider_records.evidence.hold import Hold, HoldRegister
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.set_aside import OddRow, SetAside
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import InvalidRecordsError, TooManyRecordsError
from airflow_provider_records.task.context import signing_key
from airflow_provider_records.task.titles import keep_titles

log = logging.getLogger(__name__)

MOST_ODD = 20
"""More odd rows than this, and more than a tenth of all, are no odd rows: then what reads them is wrong."""
_NAMED = 20
"""Maximum number of odd rows that the log names."""
_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\ud800-\udfff]")
# Nobody can tell ids with these characters from those without them, or type them to withhold a record.
_LOOKALIKES = re.compile("[\u00a0\u00ad\u2007\u200b\u2028\u2029\u202a-\u202f\u2060\u2066-\u2069\ufeff]")


@dataclass(frozen=True)
class Listing:
    """A list, and how many rows are not on it.

    :param manifest: the list.
    :param set_aside: number of odd rows.
    :param on_hold: number of records on hold.
    :param due_list: the due list that the records came from; None: they were given otherwise.
    """

    manifest: Manifest
    set_aside: int = 0
    on_hold: int = 0
    due_list: DueList | None = None

    def reference(self, approvals: Iterable[str] = ()) -> dict[str, Any]:
        """Return the reference as it goes into XCom; see :func:`manifest_reference`."""
        left_out = {"set_aside": self.set_aside, "on_hold": self.on_hold}
        return manifest_reference(self.manifest, approvals, due_list=self.due_list, **left_out)


def most_records() -> int:
    """Return how many records a list can have so that mapped tasks can still carry it out."""
    records = conf.getint("records", "max_records", fallback=1000)
    return records * conf.getint("core", "max_map_length", fallback=1024)


def write_list(
    store: Store,
    rows: Iterable[Mapping[str, Any] | OddRow],
    origin: Provenance,
    *,
    set_aside: bool,
    due_list: DueList | None = None,
) -> Listing:
    """Read rows to their end and write them as a manifest; an error leaves no manifest.

    What is no text in a title is replaced: it is for display only. Every other row of which no record can be made that
    surely is the right one is odd: it is named in the log, and a file of the run keeps it with the reason. A record on
    hold is left out in the same way.

    :param store: the evidence store.
    :param rows: the fields of a record each, or a row that its reader calls odd.
    :param origin: the task that lists.
    :param set_aside: False: the first odd row is an error.
    :param due_list: the due list that the rows are of; None: they come from elsewhere.
    :raises InvalidRecordsError: a row is odd and ``set_aside`` is False; or more than a tenth of the rows, and more
        than 20, are odd.
    :raises TooManyRecordsError: there are more records than mapped tasks can carry out.
    :raises ConfigurationError: ``[records] signing_key_file`` cannot be read.
    :raises EvidenceError: the store cannot be written.
    """
    most, count = most_records(), 0
    odd: list[OddRow] = []
    distinct = Distinct(forms=set_aside)
    register = HoldRegister(store, signing_key())
    held: dict[str, Hold] = {}
    changed, first_changed = 0, ""

    def refuse(row: OddRow) -> None:
        if not set_aside:
            raise InvalidRecordsError(
                f"Row {row.row!r}: {row.reason}; no list was made. Correct it, or let set_aside=True leave such rows "
                "out by name."
            )
        odd.append(row)
        if len(odd) > max(MOST_ODD, most // 10):
            raise _too_many_odd(odd, count)

    with tempfile.TemporaryFile() as spool, tempfile.TemporaryFile() as plain:
        for count, row in enumerate(rows, 1):
            record = row if isinstance(row, OddRow) else _record(row, count)
            if isinstance(record, OddRow):
                refuse(record)
                continue
            seen = distinct.put(record)
            if seen in {Seen.DIFFERS, Seen.TWO_KEYS} and not set_aside:
                refuse(OddRow(record.key, seen.value))
            if found := register.of([record]):
                held |= found
            elif seen is not Seen.REPEATED:
                named = store.naming.record(record)
                spool.write(named.line())
                plain.write(titles.line(named, record))
                if at := changed_after_bound(record.attributes):
                    changed, first_changed = changed + 1, first_changed or f"{record.key!r} on {at}"
            if count - len(odd) - len(held) > most:
                raise TooManyRecordsError(
                    f"There are more than {most} records, which is [records] max_records times [core] max_map_length; "
                    "no list was made, and none is cut. Choose an earlier bound or a smaller part of the records."
                )
        manifest = Manifest.cut(store, _consistent(spool, distinct, odd, count))
        plain.seek(0)
        keep_titles(store, origin, manifest.digest, plain)
    if changed:
        log.warning("%s records were changed after the bound, such as %s", changed, first_changed)
    if odd or held:
        where = (origin.dag_id, origin.run_id, origin.task_id, origin.map_index)
        ours = SetAside(manifest.digest, *where, iteration=origin.iteration)
        _say(odd, held, count, ours.write(store, [*odd, *_rows(held)]))
    return Listing(manifest, len(odd), len(held), due_list)


def _rows(held: Mapping[str, Hold]) -> Iterator[OddRow]:
    return (OddRow(key, hold.statement, hold.name) for key, hold in held.items())


def _say(odd: list[OddRow], held: Mapping[str, Hold], count: int, uri: str) -> None:
    if held:
        log.warning("%s records are on hold and on no list; all of them: %s", len(held), uri)
    for key, hold in islice(held.items(), _NAMED):
        log.warning("%r is %s", key, hold.statement)
    if len(held) > _NAMED:
        log.warning("On hold: %s more", len(held) - _NAMED)
    if odd:
        log.warning("%s of %s rows are set aside and on no list; all of them: %s", len(odd), count, uri)
    for row in odd[:_NAMED]:
        log.warning("Set aside: %r: %s", row.row, row.reason)
    if len(odd) > _NAMED:
        log.warning("Set aside: %s more", len(odd) - _NAMED)


def _record(fields: Mapping[str, Any], number: int) -> Record | OddRow:
    title, names = fields.get("title"), [fields.get("key"), fields.get("target_id")]
    named = (_SURROGATES.sub("\ufffd", name) for name in names if isinstance(name, str) and name.strip())
    called = next(named, f"number {number}")
    for field in ("key", "target_id"):
        if problem := _problem(fields.get(field), optional=field == "target_id"):
            return OddRow(called, f"its {field} {problem}")
    if title is not None:
        fields = {**fields, "title": _SURROGATES.sub("\ufffd", str(title))}
    try:
        return Record.from_item(fields)
    except InvalidRecordsError as error:
        return OddRow(called, _SURROGATES.sub("\ufffd", str(error)).rstrip("."))


def _problem(value: object, *, optional: bool) -> str:
    """Say why a value is no id that people and systems surely read alike; empty if it is one."""
    if value is None:
        return "" if optional else "is missing"
    if not isinstance(value, str):
        return ""  # a record says so itself
    if not value.strip():
        return "is empty"
    if value != value.strip():
        return "has blanks around it"
    if found := _CONTROLS.search(value) or _LOOKALIKES.search(value):
        return f"holds the character U+{ord(found.group()):04X}, which cannot be seen"
    return ""


def _consistent(spool: IO[bytes], distinct: Distinct, odd: list[OddRow], count: int) -> Iterator[bytes]:
    """Yield the lines that no other one contradicts, and set the others aside; refuse too many odd rows."""
    spool.seek(0)
    for line in spool:
        if distinct.contradicted and (seen := distinct.contradiction(record := Record.parse(line))):
            odd.append(OddRow(record.key, seen.value))
        else:
            yield line
    if len(odd) > MOST_ODD and len(odd) * 10 > count:
        raise _too_many_odd(odd, count)


def _too_many_odd(odd: list[OddRow], count: int) -> InvalidRecordsError:
    reasons = "; ".join(f"{number} x {reason}" for reason, number in _reasons(odd).most_common(3))
    return InvalidRecordsError(
        f"{len(odd)} of {count} rows cannot be listed ({reasons}), such as {odd[0].row!r}; no list was made. These are "
        "too many to set aside: what reads them is probably wrong, such as target_id_pattern, a field or a column."
    )


def _reasons(odd: Iterable[OddRow]) -> Counter[str]:
    return Counter(row.reason for row in odd)
