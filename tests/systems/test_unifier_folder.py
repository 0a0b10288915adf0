"""Of a long listing only what is asked for is kept, and what all of it shows is known."""

from __future__ import annotations

from airflow_provider_records.hooks.unifier_responses import Node
from airflow_provider_records.systems.unifier_folder import Canaries, Contents, FolderAddress


def document(number: int, **fields: str) -> Node:
    return Node(str(number), "7", f"/Closed/{number}", str(number), "Document", str(90000 + number), fields=fields)


FOLDER = Node("200", "7", "/Closed/2014", "2014", "Folder", "")
NODES = [*map(document, range(1, 101)), FOLDER, document(300), document(301), document(302, Late="x")]


def test_what_is_asked_for_is_kept_with_folders_and_a_few_others() -> None:
    contents = Contents(iter(NODES), {"300", "90301"})
    assert set(contents.by_id) == {*map(str, range(1, 21)), "200", "300", "301"}
    assert contents.by_file["90301"].node_id == "301"
    assert contents.readable


def test_what_no_kept_row_shows_counts_as_well() -> None:
    assert Contents(iter(NODES), set()).not_answered(["Late"]) is None
    assert Contents(iter(NODES), set()).not_answered(["Never"]) == "Never"
    unreadable = Node("", "7", "", "", "Document", "")
    assert not Contents(iter([*NODES, unreadable]), set()).readable


def test_a_canary_is_found_again_wherever_a_later_listing_has_it() -> None:
    canaries = Canaries.among(Contents(iter(NODES), {"300"}), FolderAddress("7"), {"300"})
    later = Contents(iter([*reversed(NODES)]), {"300", *canaries.nodes})
    assert canaries.nodes <= later.by_id.keys()
    assert len(canaries.nodes) == 20
