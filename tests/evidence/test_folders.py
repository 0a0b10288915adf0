"""Where a task instance's files lie, and which of them belong to its journal."""

from __future__ import annotations

import pytest

from airflow_provider_records.evidence.folders import TaskFolder, dag_folder, run_folder

FOLDER = TaskFolder.of("night", "scheduled__2026-11-22T02:00:00+00:00", "group.delete", 3)
PATH = "disposals/night/scheduled__2026-11-22T02%3A00%3A00+00%3A00/group.delete/3"


def test_the_folder_of_a_task_instance_lies_in_that_of_its_run_and_its_dag() -> None:
    assert FOLDER.path == PATH
    assert FOLDER.run == run_folder("night", "scheduled__2026-11-22T02:00:00+00:00") == PATH.rsplit("/", 2)[0]
    assert FOLDER.run.startswith(dag_folder("night") + "/")
    assert TaskFolder.of("night", "run", "delete", -1).path == "disposals/night/run/delete/-1"


@pytest.mark.parametrize("name", ["a/b", "..", ".", "", "a\nb", "ü", "%2F", "x" * 250])
def test_an_id_of_any_text_is_one_part_of_the_path(name: str) -> None:
    folder = TaskFolder.of(name, name, name, -1)
    assert folder.path.count("/") == 4
    assert {"", ".", ".."}.isdisjoint(folder.path.split("/"))
    assert TaskFolder.containing(f"{folder.journal}/s/000001-open.jsonl") == folder


@pytest.mark.parametrize(
    "change",
    [
        ("day", "run", "t", 0, -1),
        ("d", "other", "t", 0, -1),
        ("d", "run", "u", 0, -1),
        ("d", "run", "t", 1, -1),
        ("d", "run", "t", -1, 0),
        ("d", "run", "t", 0, 0),
        ("d", "run", "t", 0, 1),
    ],
)
def test_no_two_task_instances_share_a_folder(change: tuple[str, str, str, int, int]) -> None:
    folder = TaskFolder.of(*change)
    assert folder != TaskFolder.of("d", "run", "t", 0)
    assert TaskFolder.containing(folder.summary(1, "0" * 64)) == folder


def test_every_file_of_a_task_instance_leads_back_to_its_folder() -> None:
    summary = FOLDER.summary(2, "ab" * 32)
    assert summary == f"{PATH}/try-0002-{'ab' * 32}/disposal.json"
    for file in (summary, f"{FOLDER.outcomes}/x.jsonl", f"{FOLDER.journal}/session/000001-open.jsonl"):
        assert TaskFolder.containing(file) == FOLDER


@pytest.mark.parametrize(
    ("file", "belongs"),
    [
        (f"{PATH}/journal/session/000001-open.jsonl", True),
        (f"{PATH}/journal/note", True),
        (f"{PATH}/journal", False),
        (f"{PATH}/journal-of-another/x", False),
        (f"{PATH}/outcomes/x.jsonl", False),
        (f"{PATH}4/journal/session/000001-open.jsonl", False),
    ],
)
def test_only_what_lies_in_the_journals_folder_belongs_to_it(file: str, belongs: bool) -> None:
    assert FOLDER.is_journal(file) is belongs
