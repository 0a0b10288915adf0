"""What belongs to a run, by its journals and its approved lists, and has no disposal among those that are given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

from airflow_provider_records.disposal import exclusion, words
from airflow_provider_records.disposal.approval import Approval
from airflow_provider_records.disposal.disposal import Disposal, task_folder
from airflow_provider_records.disposal.store import Store


def omitted(store: Store, listed: Set[str] | None, disposals: Iterable[str]) -> tuple[list[dict[str, Any]], set[str]]:
    """Find the task instances of the run that have a journal and no disposal here, and their journals.

    A mapped task that dies before it pushed its reference leaves a gap that no list of references shows.

    :param listed: the files that count; None: all.
    :param disposals: the names of those that are given.
    """
    given = {task_folder(file) for file in disposals}
    found: dict[str, int] = {}
    journals: set[str] = set()
    for run in {folder.rsplit("/", 2)[0] for folder in given}:
        for name in store.names(run):
            folder = journal_of(run, name)
            if folder and folder not in given and (listed is None or name in listed):
                found[folder] = found.get(folder, 0) + 1
                journals.add(name)
    return [{"task": folder, "journal_files": found[folder]} for folder in sorted(found)], journals


def journal_of(run: str, name: str) -> str:
    """Return the folder of the task instance to whose journal a file of a run belongs; empty if to none."""
    parts = name.removeprefix(f"{run}/").split("/")
    return "/".join([run, *parts[:2]]) if len(parts) > 3 and parts[2] == "journal" else ""


class Parts:
    """What each system was given of each approved list that was cut into parts."""

    def __init__(self) -> None:
        self._approved: dict[str, set[str]] = {}
        self._excluded: dict[tuple[str, str], set[str]] = {}

    def take(self, disposal: Disposal, approvals: Iterable[Approval], excluded: Set[str]) -> None:
        """Take in one disposal, which may be of a part.

        :param excluded: what people took out of the lists that it comes from.
        """
        self._approved.setdefault(disposal.system, set()).update(disposal.approved)
        for approval in approvals:
            if approval.part_of:
                self._excluded.setdefault((disposal.system, approval.part_of), set()).update(excluded)

    def uncovered(self, lines: Callable[[str], Iterable[exclusion.Line]]) -> list[dict[str, Any]]:
        """Return how many records of each list stand on no part that the system was given."""
        found = []
        for system in sorted({system for system, _ in self._excluded}):
            given = {line for digest in self._approved[system] for _, line in lines(digest)}
            for digest in sorted(digest for named, digest in self._excluded if named == system):
                excluded = self._excluded[system, digest]
                count = sum(line not in given and key not in excluded for key, line in lines(digest))
                if count:
                    found.append({"system": system, "digest": digest, "count": count})
        return found


def gaps(document: Mapping[str, Any]) -> list[str]:
    """Say what belongs to the run and has no disposal on its certificate."""
    return [
        *(
            f"{each['task']} has a journal, and no disposal of it was given: its task ended before it could sum up, or "
            "disposals= does not name it"
            for each in document["omitted"]
        ),
        *(
            f"{words.system_name(each['system'])}: {each['count']:,} records of the approved list {each['digest']} "
            "have no disposal: the parts that hold them were not carried out, or disposals= does not name them"
            for each in document["uncovered"]
        ),
    ]
