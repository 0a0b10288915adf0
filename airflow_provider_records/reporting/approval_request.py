"""The text of an approval request: Markdown in which the fields of a record are always plain text.

Airflow renders GitHub's Markdown: it drops HTML, but would render links, images and bare addresses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.changes import Changes
from airflow_provider_records.evidence.due_list import changed_after_bound
from airflow_provider_records.evidence.earlier import EarlierRejections
from airflow_provider_records.evidence.hold import Hold
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.set_aside import LeftOut
from airflow_provider_records.evidence.titles import shown as with_titles
from airflow_provider_records.reporting import wording
from airflow_provider_records.reporting.language import ENGLISH, Language, marked
from airflow_provider_records.reporting.said import said

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
_COLUMNS = (
    marked("Key"),
    marked("Title"),
    marked("Classification"),
    marked("Filed under"),
    marked("Created"),
    marked("Modified"),
)
_DATES = {
    "created": marked("Created: %(value)s"),
    "modified": marked("Last modified: %(value)s"),
    "due_before": marked("Retention ended before: %(value)s"),
}
_PLACES = (marked("Filed under: %(value)s"), marked("Type: %(value)s"))


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


def subject(manifest: Manifest, order: Order, task_id: str, language: Language = ENGLISH) -> str:
    """Return the headline: what an approval allows.

    It differs for each task and list: Airflow's form keeps typed text for as long as the headline is the same. It
    begins with the number of records.
    """
    return language.gettext(
        "%(records)s: %(actions)s? List %(list)s, %(task)s",
        records=wording.amount(manifest.count, language),
        actions=wording.allowed(order.tasks, language, lambda each: _host(each.target)),
        list=manifest.digest[:19],
        task=task_id,
    )


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
    language: Language = ENGLISH,
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
    :param language: the language of the text.
    """
    return _Body(language, manifest, order).text(
        earlier, whole_list, rejections, left_out=left_out, changes=changes, withheld_before=withheld_before
    )


class _Body:
    """The text of one request.

    :param language: its language.
    :param manifest: the list.
    :param order: what an approval allows.
    """

    def __init__(self, language: Language, manifest: Manifest, order: Order) -> None:
        self._manifest, self._order, self._language = manifest, order, language
        self._gettext, self._ngettext = language.gettext, language.ngettext

    def text(
        self,
        earlier: Sequence[Approval],
        whole_list: str,
        rejections: EarlierRejections,
        *,
        left_out: LeftOut,
        changes: Changes | None,
        withheld_before: Sequence[Hold],
    ) -> str:
        """Return the text; see :func:`body`."""
        gettext, count = self._gettext, self._manifest.count
        order = self._order
        seen = _Summary(with_titles(self._manifest.store, order.dag_id, order.run_id, self._manifest), self._language)
        head, *rows = _table(*_filled([self._language.translate(each) for each in _COLUMNS], seen.rows))
        fitting = _fitting(rows, 2 * _ROOM)
        number = len(fitting) - 1
        facts = [*seen.facts(), *self._set_aside(left_out.odd)]
        before = [
            *self._rejected(rejections),
            *self._changed(changes),
            *self._held(left_out),
            *self._withheld(withheld_before),
        ]
        classes = _table((gettext("Classification"), gettext("Records")), seen.most(seen.classes))
        if number == count:
            shown = gettext("The whole list:")
        else:
            shown = gettext("The first %(number)s of %(count)s records:", number=number, count=count)
        return "\n\n".join(
            [
                self._ngettext(
                    "If you approve, **%(num)s record** will be disposed of:",
                    "If you approve, **%(num)s records** will be disposed of:",
                    count,
                ),
                "\n".join(_fitting(self._ordered(), _ROOM)),
                "\n".join(_fitting(before, _ROOM)),
                "\n".join(_fitting((line for approval in earlier for line in self._earlier(approval)), _ROOM)),
                gettext(
                    "[Open the whole list](%(address)s). If this request comes back after an answer, that page says "
                    "why.",
                    address=whole_list,
                ),
                "\n".join(_fitting(classes, _ROOM)),
                "\n".join(_fitting((f"- {line}" for line in facts), _ROOM)),
                shown,
                "\n".join([head, *fitting]),
                gettext("Your answer holds for exactly this list and this order, and for no other."),
                gettext("List `%(digest)s`", digest=self._manifest.digest),
                gettext("Order `%(digest)s`", digest=self._order.id),
            ]
        )

    def _more(self, number: int) -> Iterator[str]:
        if number > 0:
            yield "- " + self._gettext("and %(number)s more", number=number)

    def _set_aside(self, reasons: Mapping[str, int]) -> Iterator[str]:
        """Return how many rows are on no list, and why."""
        if not reasons:
            return
        told = [
            f"{plain(reason, 200)} ({self._language.number(number)})"
            for reason, number in list(reasons.items())[:_CLASSES]
        ]
        if (more := len(reasons) - _CLASSES) > 0:
            told.append(self._ngettext("%(num)s other reason", "%(num)s other reasons", more))
        yield self._ngettext(
            "Not on this list, since it is odd: %(num)s record: %(reasons)s",
            "Not on this list, since they are odd: %(num)s records: %(reasons)s",
            sum(reasons.values()),
            reasons="; ".join(told),
        )

    def _changed(self, changes: Changes | None) -> Iterator[str]:
        """Return what has changed since the last list."""
        if changes is None:
            return
        gettext = self._gettext
        named = ", ".join([*map(plain, changes.first_new), *["…"] * (changes.new > len(changes.first_new))])
        new = gettext("%(number)s new", number=changes.new) + (f" ({named})" if named else "")
        held = gettext(" (%(number)s of them on hold)", number=changes.held) if changes.held else ""
        yield (
            gettext(
                "**Since the last list** (%(when)s UTC): %(new)s, %(gone)s gone",
                when=plain(self._language.minute(changes.before.asked_at)),
                new=new,
                gone=changes.gone,
            )
            + held
        )
        yield ""
        for key, hold in list(changes.back.items())[:_HOLDS]:
            yield "- " + gettext(
                "Back from a hold: %(key)s, %(hold)s, since %(since)s",
                key=plain(key, 300),
                hold=plain(said(hold.statement, self._language), 300),
                since=plain(self._language.day(hold.since)),
            )
        if (more := len(changes.back) - _HOLDS) > 0:
            yield "- " + gettext("%(number)s more are back from a hold", number=more)
        yield ""

    def _held(self, left_out: LeftOut) -> Iterator[str]:
        """Return what is on no list since it is on hold."""
        if left_out.held:
            yield self._ngettext(
                "**On hold, and so not on this list**: %(num)s record",
                "**On hold, and so not on this list**: %(num)s records",
                len(left_out.held),
            )
            yield ""
            for row in left_out.held[:_HOLDS]:
                yield f"- {plain(row.row, 300)}: {plain(said(row.reason, self._language), 300)}"
            yield from self._more(len(left_out.held) - _HOLDS)
            yield ""

    def _withheld(self, holds: Sequence[Hold]) -> Iterator[str]:
        """Return what reviewers of the DAG have withheld, and may bring back."""
        if not holds:
            return
        yield self._ngettext(
            "**Withheld by reviewers of this DAG**, which *%(field)s* undoes: %(num)s record",
            "**Withheld by reviewers of this DAG**, which *%(field)s* undoes: %(num)s records",
            len(holds),
            field=self._gettext("Bring back"),
        )
        yield ""
        for hold in holds[:_HOLDS]:
            since = plain(self._language.day(hold.since))
            if hold.until:
                last = plain(self._language.day(hold.until))
                when = self._gettext("since %(since)s, until %(until)s", since=since, until=last)
            else:
                when = self._gettext("since %(since)s", since=since)
            yield f"- {plain(hold.key, 300)}: {plain(hold.reason, 300)} ({plain(hold.who)}, {when})"
        yield from self._more(len(holds) - _HOLDS)
        yield ""

    def _ordered(self) -> Iterator[str]:
        """Return what an approval allows, one line a task, then where and until when."""
        gettext, order = self._gettext, self._order
        for number, each in enumerate(order.tasks, 1):
            by = gettext("task %(task)s", task=each.task_id) if each.task_id else gettext("another DAG")
            step = gettext(
                "%(action)s at %(place)s",
                action=plain(wording.action(each, self._language)),
                place=plain(_place(each.target), 300),
            )
            yield f"{number}. {step} ({plain(by)}, {plain(each.conn_id)})"
        yield ""
        yield "- " + gettext("In the run %(run)s of %(dag)s", run=plain(order.run_id), dag=plain(order.dag_id))
        yield "- " + gettext("Until %(when)s UTC", when=plain(self._language.minute(order.valid_until)))
        if order.due_list is not None:
            yield "- " + gettext(
                "From the due list of %(which)s at %(place)s, due before %(bound)s",
                # of Opus, the connector is a GUID that nobody knows by heart; the order and the certificate have it
                which=plain(wording.due_list(order.due_list.to_dict(), self._language), 300)
                if order.due_list.query
                else "Opus",
                place=plain(_place(order.due_list.target), 300),
                bound=plain(self._language.time(order.due_list.due_before)),
            )

    def _earlier(self, approval: Approval) -> Iterator[str]:
        text = self._gettext(
            "**Approved already** by %(who)s (%(kind)s), %(day)s",
            who=plain(approval.name or approval.approver),
            kind=self._language.translate(wording.APPROVER_TYPES[approval.approver_type]),
            day=plain(self._language.day(approval.approved_at)),
        )
        yield text + (f": {plain(approval.comment, 300)}" if approval.comment else "")
        yield ""
        for key, reason in list(approval.withheld.items())[:_FIRST]:
            line = self._gettext(
                "Record %(key)s was withheld by %(who)s: %(reason)s",
                key=plain(repr(key), 300),
                who=plain(approval.name or approval.approver),
                reason=plain(reason.rstrip("."), 300),
            )
            yield f"- {line}"
        if (more := len(approval.withheld) - _FIRST) > 0:
            yield "- " + self._gettext("and %(number)s more were withheld", number=more)
        yield ""

    def _rejected(self, rejections: EarlierRejections) -> Iterator[str]:
        count = self._manifest.count
        for each in rejections.found[:_REJECTIONS]:
            rejection = each.rejection
            who = plain(rejection.name or rejection.rejected_by)
            day = plain(self._language.day(rejection.rejected_at))
            if each.shared == count:
                text = self._gettext(
                    "**Rejected in an earlier run** by %(who)s, %(day)s, a list with all of these records",
                    who=who,
                    day=day,
                )
            else:
                text = self._gettext(
                    "**Rejected in an earlier run** by %(who)s, %(day)s, a list with %(shared)s of these %(count)s "
                    "records",
                    who=who,
                    day=day,
                    shared=each.shared,
                    count=count,
                )
            yield text + (f": {plain(rejection.comment, 300)}" if rejection.comment else "")
            yield ""
        if (more := len(rejections.found) - _REJECTIONS) > 0:
            yield self._ngettext(
                "%(num)s more rejection in earlier runs concerns some of these records.",
                "%(num)s more rejections in earlier runs concern some of these records.",
                more,
            )
            yield ""
        if rejections.unreadable:
            yield self._gettext(
                "**Rejections in earlier runs that cannot be read: %(number)s**. They may be of it.",
                number=rejections.unreadable,
            )
            yield ""


def _host(target: str) -> str:
    """Return a target without what follows the host; the body has it whole."""
    parts = urlsplit(target)
    return f"{parts.scheme}://{parts.netloc}"


def _place(target: str) -> str:
    """Return a whole target as a person reads it: what tells two tenants or companies apart follows in brackets."""
    address, _, query = target.partition("?")
    named = ", ".join(f"{name} {value}" for name, value in parse_qsl(query, keep_blank_values=True))
    return f"{address} ({named})" if named else target


class _Summary:
    """Counts over one pass through a list."""

    def __init__(self, records: Iterable[Record], language: Language) -> None:
        self._language = language
        self.classes: Counter[str] = Counter()
        self.places: dict[str, Counter[str]] = {place: Counter() for place in _PLACES}
        self.days: dict[str, tuple[str, str, int]] = {}
        self.rows: list[tuple[str, ...]] = []
        self.changed, self.first_changed = 0, ""
        for record in records:
            self._add(record)

    def facts(self) -> Iterator[str]:
        """Return the dates and places that the records state."""
        if self.changed:
            yield self._language.ngettext(
                "**Changed after the bound**: %(num)s record, %(first)s",
                "**Changed after the bound**: %(num)s records, such as %(first)s",
                self.changed,
                first=self.first_changed,
            )
        for name, label in _DATES.items():
            if name in self.days:
                first, last, number = self.days[name]
                begin, end = self._language.day(first), self._language.day(last)
                if first != last:
                    begin = self._language.gettext("%(begin)s to %(end)s", begin=begin, end=end)
                yield self._language.gettext(label, value=begin) + self._known(number)
        for label, values in self.places.items():
            if values:
                found = ", ".join(f"{value} ({number})" for value, number in self.most(values))
                yield self._language.gettext(label, value=found) + self._known(values.total())

    def most(self, values: Counter[str]) -> list[tuple[str, str]]:
        """Return the most frequent values with their numbers."""
        number, gettext = self._language.number, self._language.gettext
        most = [(plain(value) or gettext("none"), number(count)) for value, count in values.most_common(_CLASSES)]
        if rest := values.total() - sum(count for _, count in values.most_common(_CLASSES)):
            most.append((gettext("%(number)s others", number=len(values) - _CLASSES), number(rest)))
        return most

    def _known(self, number: int) -> str:
        total = self.classes.total()
        if number == total:
            return ""
        return self._language.gettext(" (known of %(number)s of %(total)s)", number=number, total=total)

    def _add(self, record: Record) -> None:
        self.classes[record.classification or ""] += 1
        place = record.location or record.parent_id or ""
        kind = str(record.attributes.get("object_type") or record.object_type_id or "")
        for values, value in zip(self.places.values(), (place, kind), strict=True):
            # A list may have as many folders as records; counting all of them would take too much memory.
            if value and (value in values or len(values) < _DISTINCT):
                values[value] += 1
        for name in _DATES:
            if day := _day(record.attributes.get(name)):
                first, last, number = self.days.get(name, (day, day, 0))
                self.days[name] = min(first, day), max(last, day), number + 1
        if at := changed_after_bound(record.attributes):
            self.changed += 1
            day = plain(self._language.day(_day(at)) or at)
            self.first_changed = self.first_changed or self._language.gettext(
                "%(key)s on %(day)s", key=plain(record.key, 300), day=day
            )
        if len(self.rows) < _FIRST:
            row = (
                plain(record.key, 300),
                plain(record.title or ""),
                plain(record.classification or ""),
                plain(place),
                self._language.day(_day(record.attributes.get("created"))),
                self._language.day(_day(record.attributes.get("modified"))),
            )
            self.rows.append(row)


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
