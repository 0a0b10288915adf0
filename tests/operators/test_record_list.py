"""Lists from other tasks and from files: whatever a value looks like, its record is the right one or none."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from airflow.sdk import DAG
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.operators.manifest import RecordListOperator
from airflow_provider_records.task.context import evidence_store
from airflow_provider_records.task.rows import given_rows
from tests.faults.chance import examples
from tests.operators.factories import run


@pytest.fixture(autouse=True)
def evidence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", f"file://{tmp_path}/evidence")


def listed(**options: Any) -> list[Record]:
    reference = run(RecordListOperator(task_id="due", **options))
    records = list(Manifest.open(evidence_store(), reference["digest"]))
    assert reference["count"] == len(records)
    return records


def called(value: object) -> str:
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))


class Int64:
    """As numpy's: no int, but with an index."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Float64(float):
    """As numpy's, whose text is another than a float's."""

    def __repr__(self) -> str:
        return f"np.float64({float(self)})"


class Float32:
    """As numpy's: no float, but a real number."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value


Real.register(Float32)
Bool = type("bool_", (), {"__bool__": lambda self: True})
NewBool = type("bool", (), {"__bool__": lambda self: True})


def datetime64(text: str) -> Any:
    """Return a time as numpy's, which is no datetime."""
    return type("datetime64", (), {"__str__": lambda self: text})()


NaT = type("NaTType", (datetime,), {})(1970, 1, 1)
NA = type("NAType", (), {})()


@pytest.mark.parametrize(
    "value",
    [1001, "1001", 1001.0, Int64(1001), Float64(1001), Decimal(1001), Decimal("1001.00")],
    ids=lambda value: type(value).__name__,
)
def test_a_whole_number_is_an_id_whatever_its_type(value: Any) -> None:
    (record,) = listed(records=[{"key": value, "target_id": value, "parent_id": value}])
    assert (record.key, record.target_id, record.parent_id) == ("1001", "1001", "1001")
    assert [record.key for record in listed(records=[value])] == ["1001"]
    assert [record.key for record in listed(records=[(value,)])] == ["1001"]


@pytest.mark.parametrize(
    "value",
    [
        None, "", " ", "nan", "NaN", "None", "null", "<NA>", "NaT", float("nan"), Float64("nan"), NaT, NA,
        Decimal("nan"), 1.5, Float32(1.5), Decimal("1.5"), float("inf"), 2.0**53, Float64(1e17), True, Bool(),
        NewBool(), b"1001",
        date(2014, 1, 1), datetime(2014, 1, 1, tzinfo=UTC), ["1001"], "1001 ",
    ],
    ids=called,
)  # fmt: skip
@pytest.mark.parametrize("name", ["key", "target_id"])
def test_what_is_no_id_is_an_error_or_set_aside(value: Any, name: str) -> None:
    rows = [{"key": "a", "target_id": "1"}, {"key": "b", "target_id": "2", name: value}]
    with pytest.raises(AirflowFailException, match="no list was made"):
        listed(records=rows)
    assert [record.key for record in listed(records=rows, set_aside=True)] == ["a"]


def test_a_row_without_its_target_id_does_not_take_its_key_for_one() -> None:
    rows = [{"File": "7", "Object": "1"}, {"File": "8"}]
    columns = {"key": "File", "target_id": "Object"}
    assert [record.key for record in listed(records=rows, columns=columns, set_aside=True)] == ["7"]
    with pytest.raises(AirflowFailException, match="Row '8': its target_id is missing"):
        listed(records=rows, columns=columns)


def test_what_is_no_field_becomes_an_attribute_dates_too() -> None:
    row = {
        "key": "a",
        "title": 7.5,
        "classification": date(2014, 1, 2),
        "closed": date(2014, 12, 19),
        "changed": datetime(2014, 12, 19, 18, 15, tzinfo=UTC),
        "at": time(4, 30),
        "took": timedelta(days=1),
        "pages": Int64(3),
        "ratio": Float64(0.5),
        "weight": Float32(2.5),
        "amount": Decimal("12.50"),
        "number": Decimal(7),
        "big": 10**20,
        "huge": 1e300,
        "uuid": UUID(int=1),
        "held": Bool(),
        "locked": NewBool(),
        "scanned": datetime64("2014-01-01T00:00:00.000000000"),
        "never": datetime64("NaT"),
        "paid": False,
        "none": None,
        "gone": NaT,
        "nothing": float("nan"),
        "tags": ["x", Int64(1), date(2014, 1, 1)],
        "more": {"a": Int64(1)},
        7: "seven",
        "attributes": {"own": date(2014, 1, 1)},
    }
    (record,) = listed(records=[row])
    assert (record.title, record.classification) == ("7.5", "2014-01-02")
    assert record.attributes == {
        "closed": "2014-12-19",
        "changed": "2014-12-19T18:15:00+00:00",
        "at": "04:30:00",
        "took": "1 day, 0:00:00",
        "pages": 3,
        "ratio": 0.5,
        "weight": 2.5,
        "amount": "12.50",
        "number": 7,
        "big": str(10**20),
        "huge": "1e+300",
        "uuid": str(UUID(int=1)),
        "held": True,
        "locked": True,
        "scanned": "2014-01-01T00:00:00.000000000",
        "paid": False,
        "tags": ["x", 1, "2014-01-01"],
        "more": {"a": 1},
        "column_7": "seven",
        "own": "2014-01-01",
    }


def test_a_column_that_is_no_json_makes_the_row_odd() -> None:
    rows = [{"key": "a", "scan": b"\x00"}, {"key": "b"}]
    assert [record.key for record in listed(records=rows, set_aside=True)] == ["b"]
    with pytest.raises(AirflowFailException, match="Row 'a': its column scan holds bytes"):
        listed(records=rows)


class Named(NamedTuple):
    key: str
    target_id: int


def test_tuples_name_their_columns_by_number() -> None:
    (record,) = listed(records=[("File 7", 1001.0, date(2014, 1, 1))], columns={"key": 0, "target_id": 1})
    assert (record.key, record.target_id, record.attributes) == ("File 7", "1001", {"column_2": "2014-01-01"})
    assert [record.target_id for record in listed(records=[Named("a", 7)])] == ["7"]
    for columns in (None, {"key": "File"}):
        with pytest.raises(AirflowFailException, match="columns by number"):
            listed(records=[("a", "b")], columns=columns)


class Frame:
    """As a data frame of pandas."""

    def __init__(self, *rows: dict[str, Any], columns: Any = ("key",)) -> None:
        self.rows = list(rows)
        self.columns = columns

    def to_dict(self, orient: str) -> list[dict[str, Any]]:
        assert orient == "records"
        return self.rows


class Polars:
    """As a data frame of polars."""

    def to_dicts(self) -> list[dict[str, Any]]:
        return [{"key": 1}]


def test_a_data_frame_is_a_list_of_rows() -> None:
    frame = Frame({"key": Float64(1), "gone": NaT}, {"key": Int64(2), "gone": datetime(2014, 1, 1, tzinfo=UTC)})
    assert [record.key for record in listed(records=frame)] == ["1", "2"]
    assert [record.key for record in listed(records=Polars())] == ["1"]
    with pytest.raises(AirflowFailException, match="two columns of one name"):
        listed(records=Frame(columns=("key", "key")))


@pytest.mark.parametrize("records", ["[]", "x", b"x", 7, {"manifest": "x"}, {}, {1}, object()], ids=called)
def test_what_is_no_list_of_rows_is_refused(records: Any) -> None:
    with pytest.raises(AirflowFailException, match="records= takes the rows of another task"):
        listed(records=records)


def test_a_task_that_returned_nothing_is_no_empty_list() -> None:
    with DAG("night"):
        above = RecordListOperator(task_id="above", records=["1"])
        below: Any = RecordListOperator(task_id="below", records=above.output)
    below.records = None
    with pytest.raises(AirflowFailException, match="Did the upstream task run"):
        run(below)
    assert listed(records=[]) == []


CSV = {"key": "File no.", "target_id": "Object", "title": "Name"}


def written(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("prefix", ["", "file://"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_csv_file_of_any_delimiter(tmp_path: Path, sign: str, end: str, prefix: str, mark: str) -> None:
    lines = [sign.join(["Object", "File no.", "Name", "Closed"]), sign.join(["007", "F-1", f'"A{sign} ""B"""', ""]), ""]
    source = prefix + written(tmp_path / "due.CSV", mark + end.join([*lines, sign.join(["8", "F-2", "", "2014"])]))
    first, second = listed(source=source, columns=CSV)
    assert (first.key, first.target_id, first.title, first.attributes) == ("F-1", "007", f'A{sign} "B"', {})
    assert (second.key, second.target_id, second.title, second.attributes) == ("F-2", "8", None, {"Closed": "2014"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "has no column key"),
        ("id\n1\n", "has no column key; its first line names id"),
        ("key,key\n1,2\n", "two columns of one name"),
        ('key\n"1\n', "is no CSV"),
        ("key,target_id\n1\n", "Row 'line 2': it has 1 cells, the header has 2"),
        ("key,target_id\n1,2,3\n", "it has 3 cells"),
        ("key,target_id\n1,\n", "Row '1': its target_id is missing"),
    ],
)
def test_a_csv_file_that_is_not_whole_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(AirflowFailException, match=said):
        listed(source=written(tmp_path / "due.csv", content))


def test_text_that_is_no_utf_8_is_replaced_in_a_title_and_odd_elsewhere(tmp_path: Path) -> None:
    source = written(tmp_path / "due.csv", "key,title\n1,Größe\n2ß,x\n".encode("latin-1"))
    (record,) = listed(source=source, set_aside=True)
    assert (record.key, record.title) == ("1", "Gr\ufffd\ufffde")


@pytest.mark.parametrize("name", ["due.jsonl", "due.ndjson"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    rows: list[Any] = [{"key": 1001.0, "target_id": 7, "since": "2014", "x": None}, "plain", 8]
    source = written(tmp_path / name, "\n\n".join(map(json.dumps, rows)))
    assert [(record.key, record.target_id) for record in listed(source=source)] == [
        ("1001", "7"),
        ("plain", "plain"),
        ("8", "8"),
    ]


@pytest.mark.parametrize("line", ["{", "[1]", '{"key":"a","key":"b"}', "null", "true", "[" * 99_999, '{"target_id":1}'])
def test_a_line_that_is_no_row_is_odd(tmp_path: Path, line: str) -> None:
    source = written(tmp_path / "due.jsonl", f'{{"key":"good"}}\n{line}\n')
    assert [record.key for record in listed(source=source, set_aside=True)] == ["good"]
    with pytest.raises(AirflowFailException, match="no list was made"):
        listed(source=source)


def test_a_missing_file_and_a_storage_that_nothing_serves_are_named(tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match="is missing"):
        listed(source=f"{tmp_path}/nothing.csv")
    with pytest.raises(AirflowFailException, match=r"nowhere://bucket/due.csv.*cannot be used"):
        listed(source="nowhere://bucket/due.csv")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "either records or source"),
        ({"records": [], "source": "/due.csv"}, "either records or source"),
        ({"source": "/due.txt"}, "ends in .csv"),
        ({"source": "due.csv"}, "absolute path"),
        ({"source": 7}, "ends in .csv"),
        ({"records": [], "columns": ["key"]}, "columns maps"),
        ({"records": [], "columns": {"target_id": "x"}}, "key is needed"),
        ({"records": [], "columns": {"key": "x", "attributes": "y"}}, "columns maps"),
        ({"records": [], "columns": {"key": ""}}, "named by text"),
        ({"records": [], "columns": {"key": -1}}, "named by text"),
        ({"records": [], "columns": {"key": True}}, "named by text"),
        ({"records": [], "set_aside": "x"}, "set_aside must be"),
    ],
)
def test_a_wrong_argument_is_refused_when_the_dag_is_read(options: dict[str, Any], said: str) -> None:
    with DAG("night"), pytest.raises(ConfigurationError, match=said):
        RecordListOperator(task_id="due", **options)


def test_a_templated_source_is_checked_when_it_is_rendered(tmp_path: Path) -> None:
    task: Any = RecordListOperator(task_id="due", source="{{ folder }}/due.csv")
    written(tmp_path / "due.csv", "key\n{{ folder }}\n")
    task.render_template_fields({"folder": str(tmp_path)})
    reference = run(task)
    assert [record.key for record in Manifest.open(evidence_store(), reference["digest"])] == ["{{ folder }}"]
    task = RecordListOperator(task_id="due", source="{{ folder }}")
    task.render_template_fields({"folder": "None"})
    with pytest.raises(AirflowFailException, match=r"ends in \.csv"):
        run(task)


def test_a_mapping_is_data_in_which_nothing_is_rendered() -> None:
    task: Any = RecordListOperator(task_id="due", records=[{"key": "{{ x }}"}])
    task.render_template_fields({"x": "other"})
    assert run(task)["count"] == 1
    assert task.records == [{"key": "{{ x }}"}]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)


@examples(100)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6))
def test_a_csv_file_says_what_the_same_rows_say(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([("key", "target_id", "note"), *rows])
    source = written(tmp_path / "due.csv", text.getvalue())
    given_here = [{"key": key, "target_id": target, "note": note or None} for key, target, note in rows]
    from_file, from_rows = listed(source=source, set_aside=True), listed(records=given_here, set_aside=True)
    assert from_file == from_rows
    assert {(record.key, record.target_id) for record in from_file} <= {(key, target) for key, target, _ in rows}


NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.decimals()


@examples(200)
@given(st.lists(NUMBERS, max_size=5))
def test_a_number_is_the_id_that_it_is_or_none(numbers: list[Any]) -> None:
    for number, row in zip(numbers, given_rows([{"key": number} for number in numbers], None), strict=True):
        if isinstance(row, dict):
            assert Decimal(row["key"]) == Decimal(number)


def test_nothing_in_many_runs_in_a_row_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "due.csv"

    def warned(number: int, *lines: str) -> bool:
        caplog.clear()
        source.write_text("\n".join(("key", *lines)))
        run(RecordListOperator(task_id="due", source=str(source)), run_id=f"run {number}")
        return "Nothing was found, as in the" in caplog.text

    assert [warned(number) for number in range(7)] == [False] * 6 + [True]
    assert "as in the 6 runs before" in caplog.text
    assert not warned(7, "a")
    assert not warned(8)
