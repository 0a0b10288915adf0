"""The text of an approval request: Markdown in which the fields of a record are always plain text.

Airflow renders GitHub's Markdown: it drops HTML, but would render links, images and bare addresses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.changes import Changes
from airflow_provider_records.evidence.due_list import changed_after_bound
from airflow_provider_records.evidence.earlier import EarlierRejections
from airflow_provider_records.evidence.hold import Hold
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.set_aside import LeftOut
from airflow_provider_records.reporting import wording

_FIRST = 20
"""Maximum number of records shown."""
_REJECTIONS = 5
"""Maximum number of earlier rejections shown."""
_HOLDS = 10
"""Maximum number of records on hold, and of those back from a hold, that are named."""
_CLASSES = 12
"""Maximum number of classifications shown, and of values of each other field."""
_ROOM = 12_000
"""Bytes for each of five parts, twice that for the records: MySQL stores 65,535 bytes of a request."""
_DISTINCT = 10_000
_LONGEST = 120

_NOTHING = LeftOut()
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_ADDRESS = re.compile(r"(\\:|\\@|www)", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_DATES = {"created": "Created", "modified": "Last modified", "due_before": "Retention ended before"}


def plain(text: object, longest: int = _LONGEST) -> str:
    """Return Markdown that renders as exactly this text, on one line.

    :param text: text of a record or a person.
    :param longest: maximum number of characters; the rest becomes an ellipsis.
    """
    line = " ".join(str(text).split())
    if len(line) > longest:
        line = f"{line[:longest]}…"
    # Markdown links an address even if its punctuation is escaped. An empty comment, which Airflow drops, prevents it.
    return _ADDRESS.sub(r"\1<!---->", _PUNCTUATION.sub(r"\\\1", wording.visible(line)))


def subject(manifest: Manifest, order: Order, task_id: str) -> str:
    """Return the headline: what an approval allows.

    It differs for each task and list: Airflow's form keeps typed text for as long as the headline is the same.
    """
    actions = ", then ".join(dict.fromkeys(f"{each.action} at {_host(each.target)}" for each in order.tasks))
    return f"{_count(manifest.count)}: {actions}? List {manifest.digest[:19]}, {task_id}"


def body(
    manifest: Manifest,
    order: Order,
    earlier: Sequence[Approval],
    whole_list: str,
    rejections: EarlierRejections,
    *,
    left_out: LeftOut = _NOTHING,
    changes: Changes | None = None,
    withheld_before: Sequence[Hold] = (),
) -> str:
    """Return the text that describes a list and what an approval of it allows.

    :param manifest: the list; it is read once, in constant memory.
    :param order: what an approval allows.
    :param earlier: the earlier approvals of this list, as people gave them.
    :param whole_list: address of the page that shows all of it.
    :param rejections: what reviewers rejected in earlier runs.
    :param left_out: rows that are not on the list, since they are odd or on hold.
    :param changes: what has changed since the last list that this task asked about.
    :param withheld_before: the standing holds of reviewers of this DAG, which a reviewer may end.
    """
    seen = _Summary(manifest)
    head, *rows = _table(*_filled(("Key", "Title", "Classification", "Filed under", "Created", "Modified"), seen.rows))
    fitting = _fitting(rows, 2 * _ROOM)
    number = len(fitting) - 1
    facts = [*seen.facts(), *_set_aside(left_out.odd), f"Evidence: {plain(manifest.uri, 500)}"]
    before = [*_rejected(rejections, manifest.count), *_changed(changes), *_held(left_out), *_withheld(withheld_before)]
    return "\n\n".join(
        [
            f"If you approve, **{_count(manifest.count)}** will be disposed of:",
            "\n".join(_fitting(_ordered(order), _ROOM)),
            "Your answer holds for exactly this list and this order, and for no other.",
            f"List `{manifest.digest}`\n\nOrder `{order.id}`",
            "\n".join(_fitting(before, _ROOM)),
            "\n".join(_fitting((line for approval in earlier for line in _earlier(approval)), _ROOM)),
            f"[Open the whole list]({whole_list}). If this request comes back after an answer, that page says why.",
            "\n".join(_fitting(_table(("Classification", "Records"), _most(seen.classes)), _ROOM)),
            "\n".join(_fitting((f"- {line}" for line in facts), _ROOM)),
            "The whole list:" if number == manifest.count else f"The first {number:,} of {_count(manifest.count)}:",
            "\n".join([head, *fitting]),
        ]
    )


def _set_aside(reasons: Mapping[str, int]) -> Iterator[str]:
    """Return how many rows are on no list, and why."""
    if reasons:
        said = "; ".join(f"{plain(reason, 200)} ({number:,})" for reason, number in list(reasons.items())[:_CLASSES])
        more = f"; {len(reasons) - _CLASSES:,} other reasons" if len(reasons) > _CLASSES else ""
        yield f"Not on this list, since it is odd: {_count(sum(reasons.values()))}: {said}{more}"


def _changed(changes: Changes | None) -> Iterator[str]:
    """Return what has changed since the last list."""
    if changes is None:
        return
    when = plain(changes.before.asked_at[:16].replace("T", " "))
    named = [*map(plain, changes.first_new), *["…"] * (changes.new > len(changes.first_new))]
    new = f"{changes.new:,} new" + (f" ({', '.join(named)})" if named else "")
    held = f" ({changes.held:,} of them on hold)" if changes.held else ""
    yield f"**Since the last list** ({when} UTC): {new}, {changes.gone:,} gone{held}"
    yield ""
    for key, hold in list(changes.back.items())[:_HOLDS]:
        yield f"- Back from a hold: {plain(key, 300)}, {plain(hold.statement, 300)}, since {plain(hold.since[:10])}"
    if (more := len(changes.back) - _HOLDS) > 0:
        yield f"- {more:,} more are back from a hold"
    yield ""


def _held(left_out: LeftOut) -> Iterator[str]:
    """Return what is on no list since it is on hold."""
    if left_out.held:
        yield f"**On hold, and so not on this list**: {_count(len(left_out.held))}"
        yield ""
        for row in left_out.held[:_HOLDS]:
            yield f"- {plain(row.row, 300)}: {plain(row.reason, 300)}"
        if (more := len(left_out.held) - _HOLDS) > 0:
            yield f"- and {more:,} more"
        yield ""


def _withheld(holds: Sequence[Hold]) -> Iterator[str]:
    """Return what reviewers of the DAG have withheld, and may bring back."""
    if holds:
        yield f"**Withheld by reviewers of this DAG**, which *Bring back* undoes: {_count(len(holds))}"
        yield ""
        for hold in holds[:_HOLDS]:
            until = f", until {plain(hold.until)}" if hold.until else ""
            since = plain(hold.since[:10])
            yield f"- {plain(hold.key, 300)}: {plain(hold.reason, 300)} ({plain(hold.who)}, since {since}{until})"
        if (more := len(holds) - _HOLDS) > 0:
            yield f"- and {more:,} more"
        yield ""


def _ordered(order: Order) -> Iterator[str]:
    """Return what an approval allows, one line a task, then where and until when."""
    for number, each in enumerate(order.tasks, 1):
        by = f"task {each.task_id}" if each.task_id else "another DAG"
        yield f"{number}. {plain(each.action)} at {plain(each.target, 300)} ({plain(by)}, {plain(each.conn_id)})"
    yield ""
    yield f"- In the run {plain(order.run_id)} of {plain(order.dag_id)}"
    yield f"- Until {plain(order.valid_until[:16].replace('T', ' '))} UTC"
    if order.due_list is not None:
        which, where = wording.due_list(order.due_list.to_dict()), order.due_list.target
        bound = plain(order.due_list.due_before)
        yield f"- From the due list of {plain(which, 300)} at {plain(where, 300)}, due before {bound}"


def _host(target: str) -> str:
    """Return a target without what follows the host; the body has it whole."""
    parts = urlsplit(target)
    return f"{parts.scheme}://{parts.netloc}"


class _Summary:
    """Counts over one pass through a list."""

    def __init__(self, manifest: Manifest) -> None:
        self.classes: Counter[str] = Counter()
        self.places: dict[str, Counter[str]] = {"Connector": Counter(), "Filed under": Counter(), "Type": Counter()}
        self.days: dict[str, tuple[str, str, int]] = {}
        self.rows: list[tuple[str, ...]] = []
        self.changed, self.first_changed = 0, ""
        for record in manifest:
            self._add(record)

    def facts(self) -> Iterator[str]:
        """Return the dates and places that the records state."""
        if self.changed:
            yield f"**Changed after the bound**: {_count(self.changed)}, such as {self.first_changed}"
        for name, label in _DATES.items():
            if name in self.days:
                first, last, number = self.days[name]
                yield f"{label}: {first if first == last else f'{first} to {last}'}{self._known(number)}"
        for label, values in self.places.items():
            if values:
                found = ", ".join(f"{value} ({number})" for value, number in _most(values))
                yield f"{label}: {found}{self._known(values.total())}"

    def _known(self, number: int) -> str:
        total = self.classes.total()
        return "" if number == total else f" (known of {number:,} of {total:,})"

    def _add(self, record: Record) -> None:
        self.classes[record.classification or ""] += 1
        place = record.location or record.parent_id or ""
        connector = record.attributes.get("connector_id", "")
        for values, value in zip(self.places.values(), (str(connector), place, record.object_type_id), strict=True):
            # A list may have as many folders as records; counting all of them would take too much memory.
            if value and (value in values or len(values) < _DISTINCT):
                values[value] += 1
        for name in _DATES:
            if day := _day(record.attributes.get(name)):
                first, last, number = self.days.get(name, (day, day, 0))
                self.days[name] = min(first, day), max(last, day), number + 1
        if at := changed_after_bound(record.attributes):
            self.changed += 1
            self.first_changed = self.first_changed or f"{plain(record.key, 300)} on {plain(_day(at) or at)}"
        if len(self.rows) < _FIRST:
            row = (
                plain(record.key, 300),
                plain(record.title or ""),
                plain(record.classification or ""),
                plain(place),
                _day(record.attributes.get("created")),
                _day(record.attributes.get("modified")),
            )
            self.rows.append(row)


def _earlier(approval: Approval) -> Iterator[str]:
    said = f": {plain(approval.comment, 300)}" if approval.comment else ""
    who = plain(approval.name or approval.approver)
    yield f"**Approved already** by {who} ({approval.approver_type}), {plain(approval.approved_at[:10])}{said}"
    yield ""
    for key in list(approval.withheld)[:_FIRST]:
        line = f"Record {key!r} was {withheld.statement(key, approval)}"
        yield f"- {plain(line, 400)}"
    if (more := len(approval.withheld) - _FIRST) > 0:
        yield f"- and {more:,} more were withheld"
    yield ""


def _rejected(rejections: EarlierRejections, count: int) -> Iterator[str]:
    for each in rejections.found[:_REJECTIONS]:
        rejection, said = each.rejection, ""
        if rejection.comment:
            said = f": {plain(rejection.comment, 300)}"
        who, day = plain(rejection.name or rejection.rejected_by), plain(rejection.rejected_at[:10])
        these = "all of these records" if each.shared == count else f"{each.shared:,} of these {_count(count)}"
        yield f"**Rejected in an earlier run** by {who}, {day}, a list with {these}{said}"
        yield ""
    if (more := len(rejections.found) - _REJECTIONS) > 0:
        yield f"{more:,} more rejections in earlier runs concern some of these records."
        yield ""
    if rejections.unreadable:
        yield f"**Rejections in earlier runs that cannot be read: {rejections.unreadable:,}**. They may be of it."
        yield ""


def _most(values: Counter[str]) -> list[tuple[str, str]]:
    most = [(plain(value) or "none", f"{number:,}") for value, number in values.most_common(_CLASSES)]
    if rest := values.total() - sum(number for _, number in values.most_common(_CLASSES)):
        most.append((f"{len(values) - _CLASSES:,} others", f"{rest:,}"))
    return most


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    lines = [tuple(head), *map(tuple, rows)]
    lines.insert(1, ("---",) * len(lines[0]))
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _filled(head: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out columns that are empty for every record."""
    filled = [place for place in range(len(head)) if place == 0 or any(row[place] for row in rows)]
    return [head[place] for place in filled], [[row[place] for place in filled] for row in rows]


def _fitting(lines: Iterable[str], room: int) -> list[str]:
    """Return the first lines that fit into a number of bytes."""
    fitting = []
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            break
        fitting.append(line)
    return fitting


def _day(value: object) -> str:
    """Return the day of an ISO 8601 time; empty if the value is not one."""
    return value[:10] if isinstance(value, str) and _DAY.match(value) else ""


def _count(number: int) -> str:
    return "1 record" if number == 1 else f"{number:,} records"
