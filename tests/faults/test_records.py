"""Whatever ``records=`` is given, the vendor is asked about exactly what was given, or about nothing at all.

``FAULT_EXAMPLES=50`` tries fifty times as many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.airflow_version import AirflowException
from airflow_provider_records.exceptions import DisposalIncompleteError, RecordsError
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from tests.faults.chance import examples, text
from tests.faults.trial import ServedSandbox, Trial, overheard, typed
from tests.operators.factories import run
from tests.task.test_records import Lazy

OPERATORS: dict[str, type[BaseOperator]] = {
    "opus": OpusDestroyRecordsOperator,
    "enaio": EnaioDeleteObjectOperator,
    "unifier": UnifierDeleteDocumentOperator,
}
RENDERED = (
    "[]", "['7']", "{}", "{'manifest': 'file:///x'}", '{"disposal": "x"}', "None", "none", "null", "nan", "True",
    "(7,)", "<Undefined>", "{{ ti.xcom_pull('due') }}", "LazyXComSequence([7])", "",
)  # fmt: skip
TRICKS = (
    "7/8", "7/../8", "..", ".", "%2e%2e%2f8", "7%00", "7?cascadeDelete=true", "7#", "7;8", "7,8", "7 8", " 7", "7\n",
    "07", "+7", "-7", "7.0", "7e3", "0x7", "\u0667", "\uff17", "7\u200b", "\ud800", "\0", "*", "%", "all", "9" * 400,
    "x" * 3000,
)  # fmt: skip

numbers = st.integers(10**7, 10**8)
"""Ids of nothing that is there, so that examples do not depend on each other."""
ids = st.one_of(numbers, numbers.map(str), numbers.map(str), st.sampled_from(TRICKS), st.sampled_from(RENDERED), text)
leaves = st.one_of(ids, st.none(), st.booleans(), st.floats(), st.binary(max_size=5), st.integers())
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=5
)
mappings = st.fixed_dictionaries(
    {"key": ids},
    optional={
        "target_id": ids | anything,
        "title": text | anything,
        "location": ids | anything,
        "object_type_id": ids | anything,
        "parent_id": ids | anything,
        "attributes": st.dictionaries(st.sampled_from(["project_number", "connector_id"]) | text, anything) | anything,
    },
)
references = st.dictionaries(
    st.sampled_from(["manifest", "disposal", "digest", "count", "approvals", "key"]),
    anything | st.sampled_from(["file:///etc/passwd", "sha256:" + "0" * 64, "../../x"]),
)
items = st.one_of(numbers.map(str), numbers.map(str), ids, mappings, references, anything)
some = st.lists(items, max_size=4)
clean = st.lists(numbers.map(str) | mappings, min_size=1, max_size=4)
inputs = st.one_of(
    clean, clean.map(lambda found: Lazy(*found)), some, some.map(tuple), some.map(lambda found: Lazy(*found)), items,
    st.sets(numbers), some.map(iter), st.dictionaries(text, items, max_size=3).map(lambda found: found.keys()),
)  # fmt: skip


def targets(records: object) -> list[str]:
    """Return the ids that somebody wrote down as those of records, read as naively as can be."""
    if isinstance(records, (str, int)):
        return [str(records)]
    if not isinstance(records, Sequence) or isinstance(records, bytes):
        return []
    found = []
    for item in records:
        named = (item.get("target_id") or item.get("key")) if isinstance(item, Mapping) else item
        found.append(str(named))
    return found


def keys(records: object) -> list[str]:
    """Return the same for Opus, which knows records by their key alone."""
    if isinstance(records, Sequence) and not isinstance(records, (str, bytes)):
        return [str(item.get("key")) if isinstance(item, Mapping) else str(item) for item in records]
    return targets(records)


@pytest.fixture
def asked(sandbox: ServedSandbox, vendor: str) -> Trial:
    """The log of all that these examples ask for."""
    return Trial(sandbox, vendor, 0, OPERATORS[vendor])


@pytest.mark.parametrize("vendor", OPERATORS)
def test_exactly_what_was_given_is_asked_for_or_nothing(vendor: str, sandbox: ServedSandbox, asked: Trial) -> None:
    carried_out: list[bool] = []

    @examples(80)
    @given(inputs)
    def property_(records: object) -> None:
        sandbox.evidence()
        named = set(keys(records) if vendor == "opus" else targets(records))
        begin = len(asked.log)
        said: Any = None
        refused = False
        operator = OPERATORS[vendor](task_id="dispose", records=records, require_approval=False)
        with overheard(sandbox):
            try:
                said = run(operator)
            except (RecordsError, AirflowException) as error:
                refused = not isinstance(typed(error), DisposalIncompleteError)
        heard = asked.log[begin:]
        found = [key for entry in heard for key in asked.asked(entry)]
        if vendor == "enaio":  # nothing is sent for what the first look does not show, and none of these is there
            assert not found
            looks = (entry.path.partition("?")[0] for entry in heard if entry.call == "get_object")
            found = list({path.rpartition("/")[2]: None for path in looks})
        assert set(found) <= named
        assert len(found) == len(set(found))
        assert not [entry for entry in heard if entry.effects]
        carried_out.append(bool(found))
        assert refused or not isinstance(records, str) or records not in RENDERED
        if refused:
            assert not heard, "it was refused, yet the vendor was asked"
        elif said is not None and sum(said["counts"].values()):
            blocked = said["counts"]["blocked"] if vendor == "unifier" else 0  # its folder does not list it
            assert len(found) == sum(said["counts"].values()) - blocked
            assert blocked or set(found) == named

    property_()
    assert 0.1 < sum(carried_out) / len(carried_out) < 0.9, "these examples say little"
