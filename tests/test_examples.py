"""What a newcomer copies: the example DAGs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from airflow_provider_records import demo

EXAMPLES = {path.stem: path for path in demo.example_dags().glob("*.py")}
PAGE = (Path(__file__).parent.parent / "docs/start/examples.md").read_text()
OURS = {
    "approved", "assigned_users", "bpname", "columns", "date_field", "digest_field", "due_field", "field",
    "object_type", "opus_conn_id", "parent_path", "pool", "project_number", "record_no", "rejected",
    "response_timeout", "schedule", "size", "source", "target_id_pattern", "timeout", "title_field", "where",
}  # fmt: skip
"""Arguments whose values an installation decides."""


def head(source: str) -> tuple[set[str], ast.With]:
    """Return the names of the block of choices, and the DAG."""
    tree = ast.parse(source)
    (dag,) = (node for node in tree.body if isinstance(node, ast.With))
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}, dag


def choices(dag: ast.With) -> list[tuple[str, ast.expr]]:
    calls = [node for node in ast.walk(dag) if isinstance(node, ast.Call)]
    return [(word.arg, word.value) for call in calls for word in call.keywords if word.arg in OURS]


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_an_installation_decides_stands_in_one_block(name: str) -> None:
    source = EXAMPLES[name].read_text()
    names, dag = head(source)
    assert source.index("# What your installation decides.") < source.index(f"{min(names, key=source.index)} ")
    used = {node.id for node in ast.walk(dag) if isinstance(node, ast.Name)}
    assert names <= used
    found = choices(dag)
    assert ("target_id_pattern" in dict(found)) is ("OpusDueRecordsOperator(" in source)
    for argument, value in found:
        said = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
        assert said & names or ast.unparse(value) == "None", f"{argument}={ast.unparse(value)}"


def test_the_documentation_lists_the_examples() -> None:
    assert set(re.findall(r"^\| `(records_\w+)` \|", PAGE, re.MULTILINE)) == set(EXAMPLES)


def test_the_demo_runs_examples_and_lets_their_reviewers_in() -> None:
    assert {demo.DAG_ID, demo.PEOPLE_DAG_ID} <= set(EXAMPLES)
    reviewers = {user for user, role in demo.USERS.items() if role == "user"}
    (node,) = (
        node
        for node in ast.parse(EXAMPLES[demo.PEOPLE_DAG_ID].read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REVIEWERS"
    )
    assert set(ast.literal_eval(node.value)) == reviewers
