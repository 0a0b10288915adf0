"""The records that the three fake vendors are seeded with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

ENAIO_CONNECTOR = "3f0c6a52-8d1e-4b7a-9c35-5e2a71d04b68"
UNIFIER_CONNECTOR = "b81d2e07-46fa-4c93-a1d5-0c7f93e8a214"


@dataclass(frozen=True)
class Item:
    """One record that Opus knows and whose content lies in enaio or Unifier.

    :param key: Opus ``rowKey``.
    :param title: file name or subject.
    :param classification: Opus term path, e.g. ``Personnel/Contracts``.
    :param created: ``YYYY-MM-DD HH:MM:SS``.
    :param modified: as ``created``.
    :param author: who created it.
    :param due: when its retention ends, ``YYYY-MM-DDTHH:MM:SS`` in UTC.
    :param connector_id: GUID of the Opus connection it was submitted through.
    :param system: ``enaio`` or ``unifier``: the system that holds its content.
    :param target_id: id of the content there (enaio object id, Unifier node id).
    :param folder_id: id of the folder that contains it there.
    :param folder_path: path of that folder, e.g. ``/Closed/2014``.
    :param object_type: enaio object type, e.g. ``Invoice``; empty for Unifier.
    :param project: Unifier project number; empty for enaio.
    :param trouble: what prevents its disposal: empty: nothing; for Opus ``held``, ``under_review``; for enaio
        ``no_right``, ``workflow``, ``locked``, ``gone``; for Unifier ``linked``, ``locked``, ``gone``.
    """

    key: str
    title: str
    classification: str
    created: str
    modified: str
    author: str
    due: str
    connector_id: str
    system: str
    target_id: str
    folder_id: str
    folder_path: str
    object_type: str = ""
    project: str = ""
    trouble: str = ""


class _Kind(NamedTuple):
    classification: str
    years: int
    object_type: str
    folder: str
    title: str


# fmt: off
_ENAIO = (
    _Kind("Finance/Payable/Invoices", 10, "Invoice", "/Creditors/{firm}", "Rechnung {number} {firm}.pdf"),
    _Kind("Finance/Receivable/Invoices", 10, "Invoice", "/Debtors/{firm}", "Invoice {number} {firm}.pdf"),
    _Kind("Finance/Payable/Delivery notes", 6, "Invoice", "/Creditors/{firm}", "Lieferschein {number}.pdf"),
    _Kind("Personnel/Contracts", 10, "Personnel", "/Personnel/{person}", "Arbeitsvertrag {person} {day}.pdf"),
    _Kind("Personnel/Sick notes", 5, "Personnel", "/Personnel/{person}", "Arbeitsunfähigkeit {person} {day}.pdf"),
    _Kind("Personnel/Applications/Rejected", 1, "Personnel", "/Applicants/{person}", "Application {person} {day}.pdf"),
    _Kind("Personnel/Payroll", 6, "Personnel", "/Personnel/{person}", "Payslip {person} {day}.pdf"),
    _Kind("Legal/Case files/Closed", 10, "CaseFile", "/Cases/{file}", "Schriftsatz {person} ./. {firm} {day}.docx"),
    _Kind("Legal/Case files/Closed", 10, "CaseFile", "/Cases/{file}", "Judgment {file} {day}.pdf"),
    _Kind("Procurement/Tenders", 5, "CaseFile", "/Tenders/{file}", "Angebot {number} zur Ausschreibung {file}.pdf"),
)
_UNIFIER = (
    _Kind("Projects/Drawings/Superseded", 5, "", "/Closed/{year}", "{letter}-{number} Grundriss Obergeschoss.dwg"),
    _Kind("Projects/Correspondence", 6, "", "/Closed/{year}", "Letter {firm} {day}.pdf"),
    _Kind("Projects/Site diaries", 5, "", "/Closed/{year}", "Bautagebuch {day}.pdf"),
    _Kind("Projects/Minutes", 6, "", "/Closed/{year}", "Minutes of site meeting {day}.docx"),
    _Kind("Projects/Acceptance", 10, "", "/Closed/{year}", "Abnahmeprotokoll Gebäude {letter} {number}.pdf"),
    _Kind("Projects/Payment applications", 10, "", "/Closed/{year}", "Payment application {number} {firm}.xlsx"),
)
_PERSONS = (
    "Müller, Jörg", "Weber, Anke", "Größmann, Ute", "Schröder, Björn", "O'Brien, Maeve", "Kühn, Sören", "Yılmaz, Ayşe",
    "Nowak, Zoë", "Fischer, Karl-Heinz", "Löffler, Bärbel", "Dubois, Renée", "Nguyen, Thi Lan", "Straßer, Günter",
)
_FIRMS = (
    "Hübner & Söhne GmbH", "Stadtwerke Köln", "Baumeister AG", "Nordlicht Elektro KG", "Café Zur Mühle", "Atlas Ltd",
    "Ingenieurbüro Weiß", "Schlüsseldienst Böhm", "Rhône Logistics SA", "Papier 'Union' e. K.",
)
_AUTHORS = ("jane.doe", "j.müller", "scan-service", "u.größmann", "b.schröder", "postfach.rechnung", "m.obrien")
# fmt: on
_PROJECTS = tuple(f"P-{number:04}" for number in range(1, 13))
_CLOSINGS = (2006, 2010, 2014, 2018, 2022, 2026)

_ENAIO_TROUBLE = ("no_right", "workflow", "locked", "gone", "held", "under_review")
_UNIFIER_TROUBLE = ("linked", "locked", "gone", "under_review", "held")


def items(records: int, seed: int) -> list[Item]:
    """Generate records; the same arguments give the same records.

    ``records`` is the number of *due* records whose content is in enaio; Unifier has ``max(20, records // 3)`` of
    them. Due records are due before 2026. In addition, a tenth as many records (at least five) are due from 2031
    on. One due record in 25 has a trouble; from ``records=40`` on every kind of trouble occurs. Records that are
    not due have none.

    :param records: number of due enaio records.
    :param seed: seed of the random names, dates and troubles.
    :return: all enaio records, then all Unifier records, each in the order of their ids.
    """
    rng = random.Random(f"records-{seed}")
    every = records >= 40
    return [
        *_enaio(rng, _plan(rng, records, _ENAIO_TROUBLE, len(_ENAIO_TROUBLE) if every else 0)),
        *_unifier(rng, _plan(rng, max(20, records // 3), _UNIFIER_TROUBLE, 3 if every else 0)),
    ]


def _plan(rng: random.Random, due: int, kinds: tuple[str, ...], least: int) -> list[str | None]:
    """Return the trouble of each record; empty: none; None: the record is not yet due."""
    later = max(5, due // 10)
    plan: list[str | None] = [None] * (due + later)
    places = rng.sample(range(due + later), due)
    troubled = max(least, due // 25)
    for count, place in enumerate(places):
        plan[place] = kinds[count % len(kinds)] if count < troubled else ""
    return plan


def _enaio(rng: random.Random, plan: list[str | None]) -> Iterator[Item]:
    number = 109490
    folders: dict[str, str] = {}
    for place, trouble in enumerate(plan):
        if place == 0 or rng.random() < 0.35:
            home, words = rng.choice(_ENAIO), _words(rng)
        alike = [kind for kind in _ENAIO if kind.folder == home.folder]
        kind = rng.choice(alike if trouble is not None else [kind for kind in _ENAIO if kind.years >= 6])
        path = kind.folder.format_map(words)
        if path not in folders:
            folders[path] = str(number)
            number += 1
        yield _item(
            kind=kind,
            words=words,
            dates=_dates(rng, kind.years, trouble is not None),
            rng=rng,
            system="enaio",
            target_id=str(number),
            folder_id=folders[path],
            folder_path=path,
            trouble=trouble or "",
        )
        number += rng.randint(1, 9)


def _unifier(rng: random.Random, plan: list[str | None]) -> Iterator[Item]:
    folders: dict[tuple[str, str], str] = {}
    for place, trouble in enumerate(plan):
        kind = rng.choice(_UNIFIER if trouble is not None else [kind for kind in _UNIFIER if kind.years >= 6])
        dates = _dates(rng, kind.years, trouble is not None)
        path = kind.folder.format(year=next(year for year in _CLOSINGS if year >= dates[1].year))
        project = _PROJECTS[min(rng.randrange(len(_PROJECTS)), place // 6)]
        yield _item(
            kind=kind,
            words=_words(rng),
            dates=dates,
            rng=rng,
            system="unifier",
            target_id=str(555 + 3 * place),
            folder_id=folders.setdefault((project, path), str(101 + len(folders))),
            folder_path=path,
            project=project,
            trouble=trouble or "",
        )


def _words(rng: random.Random) -> dict[str, str]:
    return {"person": rng.choice(_PERSONS), "firm": rng.choice(_FIRMS), "file": f"{rng.randrange(10**5):05}"}


def _dates(rng: random.Random, years: int, is_due: bool) -> tuple[datetime, datetime, datetime]:
    """Return when a record was created, modified and is due; a retention of six years or more ends with a year."""
    first, days = (datetime(2016, 1, 1, tzinfo=UTC), 3652) if is_due else (datetime(2031, 1, 1, tzinfo=UTC), 730)
    due = first + timedelta(days=rng.randrange(days), seconds=rng.randrange(86400))
    if years >= 6:
        due = due.replace(month=1, day=1, hour=0, minute=0, second=0)
    modified = due - timedelta(days=years * 366 + rng.randrange(1, 300), seconds=rng.randrange(86400))
    return modified - timedelta(days=rng.randrange(400), seconds=rng.randrange(86400)), modified, due


def _item(
    *,
    kind: _Kind,
    words: dict[str, str],
    dates: tuple[datetime, datetime, datetime],
    rng: random.Random,
    system: str,
    target_id: str,
    folder_id: str,
    folder_path: str,
    trouble: str,
    project: str = "",
) -> Item:
    created, modified, due = dates
    own = {"day": created.isoformat()[:10], "letter": rng.choice("ABCDE"), "number": f"{rng.randrange(10**5):05}"}
    return Item(
        key=f"{system}-{target_id}",
        title=kind.title.format_map({**words, **own}),
        classification=kind.classification,
        created=created.isoformat(" ")[:19],
        modified=modified.isoformat(" ")[:19],
        author=rng.choice(_AUTHORS),
        due=due.isoformat()[:19],
        connector_id=ENAIO_CONNECTOR if system == "enaio" else UNIFIER_CONNECTOR,
        system=system,
        target_id=target_id,
        folder_id=folder_id,
        folder_path=folder_path,
        object_type=kind.object_type,
        project=project,
        trouble=trouble,
    )
