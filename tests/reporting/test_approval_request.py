"""What a reviewer reads, rendered as Airflow does: GitHub's Markdown, HTML dropped, addresses made into links."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.earlier import EarlierRejections
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.reporting import approval_request
from airflow_provider_records.reporting.language import language
from tests.evidence import evidence_factory
from tests.evidence.evidence_factory import GIVEN

ORDER = Order(
    digest=f"sha256:{'1' * 64}",
    tasks=evidence_factory.covered({"delete": ("enaio",), "mark": ("opus",)}),
    dag_id="retention_nightly",
    run_id="scheduled__2026-11-22",
    asked_at="2026-11-22T06:58:00.000Z",
    valid_until="2026-12-22T06:58:00.000Z",
    due_list=DueList("opus_default", "https://opus.example.org", "3f0c6a52", "2026-11-21T12:00:00"),
)
WHOLE = "http://127.0.0.1:8080/plugin/disposals/records/manifests/1?dag_id=night&run_id=scheduled__2026"
HOSTILE = [
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<!-- hidden -->",
    "a | b || c |",
    "\\| \\\\| \\",
    "`code` ``` ~~~",
    "**bold** _under_ ~~struck~~",
    "# head",
    "- item",
    "1. item",
    "> quote",
    "=====",
    "https://evil.example/approve?x=1",
    "http://evil.example",
    "HTTPS://EVIL.EXAMPLE",
    "www.evil.example",
    "WWW.evil.example",
    "mail me@evil.example now",
    "mailto:me@evil.example",
    "javascript:alert(1)",
    "<https://evil.example>",
    "[a]: https://evil.example",
    "[^1] [^1]: note",
    "&lt;b&gt; &amp; &#60;",
    "{{ 7 * 6 }} {% raw %}",
    "$x^2$",
    ":smile: @user #12",
    "- [ ] task",
    "|---|---|",
    "***",
    "[x][y] ![z]",
]


# What Airflow's page makes a link of, wherever it stands within one piece of text, escaped or not.
ADDRESS = re.compile(r"(https?://|www(?=\.))[-.\w]+|[-.\w+]+@[-\w]+\.", re.IGNORECASE)


def rendered(text: str) -> list[Token]:
    """Return the blocks that come of a text; HTML is dropped, as Airflow's page does."""
    markdown = MarkdownIt("commonmark", {"linkify": True, "html": True}).enable(["table", "strikethrough", "linkify"])
    return markdown.parse(text)


def inline(tokens: list[Token], kind: str) -> list[Token]:
    return [child for token in tokens for child in token.children or () if child.type == kind]


def shown(token: Token) -> str:
    """Return what one sees of a line."""
    return "".join(child.content for child in token.children or () if child.type in {"text", "code_inline"})


def cells(tokens: list[Token]) -> list[list[str]]:
    """Return the rows of the last table."""
    rows: list[list[str]] = []
    for before, token in pairwise(tokens):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif before.type in {"th_open", "td_open"}:
            rows[-1].append(shown(token))
    return rows


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def written(store: Store, records: list[Any], *earlier: Approval) -> str:
    return approval_request.body(Manifest.write(store, records), ORDER, earlier, WHOLE, EarlierRejections())


def assert_harmless(text: str) -> list[Token]:
    """Only our own link is one, and nothing else came alive."""
    tokens = rendered(text)
    assert [link.attrs["href"] for link in inline(tokens, "link_open")] == [WHOLE]
    assert not inline(tokens, "image")
    assert {token.content for token in inline(tokens, "html_inline")} <= {"<!---->"}
    assert not [text.content for text in inline(tokens, "text") if ADDRESS.search(text.content)]
    for kind in ("s_open", "em_open", "softbreak", "hardbreak"):
        assert not inline(tokens, kind)
    assert {token.type for token in tokens if token.type.endswith("_open")} <= {
        "paragraph_open",
        "table_open",
        "thead_open",
        "tbody_open",
        "tr_open",
        "th_open",
        "td_open",
        "bullet_list_open",
        "ordered_list_open",
        "list_item_open",
    }
    assert not [token for token in tokens if token.type in {"html_block", "fence", "code_block", "hr"}]
    return tokens


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_shows_as_it_is_and_does_nothing(store: Store, text: str) -> None:
    (paragraph,) = [token for token in rendered(f"x {approval_request.plain(text)} y") if token.type == "inline"]
    assert shown(paragraph) == f"x {' '.join(text.split())} y"
    assert not {child.type for child in paragraph.children or ()} - {"text", "html_inline"}
    record = {
        "key": f"k {text}",
        "title": text,
        "classification": text,
        "location": text,
        "object_type_id": text,
        "attributes": {"connector_id": text, "created": text, "modified": [text], "due_before": text},
    }
    person = Approval(
        "sha256:1", "airflow:x", f"2026 {text}", {}, name=text, comment=text, shown="x", withheld={text: text}, **GIVEN
    )
    tokens = assert_harmless(written(store, [record, "other"], person))
    flat = " ".join(text.split())
    assert cells(tokens)[:2] == [["Key", "Title", "Classification", "Filed under"], [f"k {flat}", flat, flat, flat]]
    assert len(cells(tokens)) == 3


@pytest.mark.parametrize("sign", ["\n", "\r\n", "\n\n", "\u2028", "\x0b", "\t"])
def test_a_title_stays_on_its_line(store: Store, sign: str) -> None:
    tokens = assert_harmless(written(store, [{"key": "a", "title": f"one{sign}| two |{sign}# three"}, {"key": "b"}]))
    assert [row[:2] for row in cells(tokens)[1:]] == [["a", "one | two | # three"], ["b", ""]]


@pytest.mark.parametrize("sign", ["\u202e", "\u200b", "\u2066", "\ufeff", "\x1b", "\u00ad", "\U000e0041"])
def test_what_hides_or_turns_text_round_is_seen(store: Store, sign: str) -> None:
    tokens = assert_harmless(written(store, [{"key": "a", "title": f"x{sign}y"}]))
    assert cells(tokens)[1][1] == f"x[U+{ord(sign):04X}]y"


def test_a_reviewer_reads_what_would_go(store: Store) -> None:
    records: list[Any] = [
        {
            "key": f"r{number}",
            "title": f"Akte {number}",
            "classification": "Personal/Verträge" if number % 3 else "Finanzen",
            "location": f"/Closed/{number % 2}",
            "attributes": {
                "connector_id": "3f0c",
                "created": f"20{10 + number:02}-03-04 10:00:00",
                "modified": f"20{11 + number:02}-03-04T10:00:00",
                "due_before": "2026-11-21T12:00:00",
            },
        }
        for number in range(9)
    ]
    tokens = assert_harmless(written(store, [*records, "bare"]))
    text = "\n".join(shown(token) for token in tokens if token.type == "inline")
    assert "10 records" in text
    for line in (
        "Created: 4 Mar 2010 to 4 Mar 2018 (known of 9 of 10)",
        "Last modified: 4 Mar 2011 to 4 Mar 2019 (known of 9 of 10)",
        "Retention ended before: 21 Nov 2026 (known of 9 of 10)",
        "Filed under: /Closed/0 (5), /Closed/1 (4) (known of 9 of 10)",
    ):
        assert line in text
    for technical in ("3f0c", str(store.root), ".jsonl"):
        assert technical not in text, "a records manager reads facts, not GUIDs and paths"
    assert text.index("The whole list:") < text.index("List sha256:") < text.index("Order sha256:")
    assert "The whole list:" in text
    assert cells(tokens)[1] == ["r0", "Akte 0", "Finanzen", "/Closed/0", "4 Mar 2010", "4 Mar 2011"]
    assert cells(tokens[: next(i for i, token in enumerate(tokens) if token.type == "table_close") + 1]) == [
        ["Classification", "Records"],
        ["Personal/Verträge", "6"],
        ["Finanzen", "3"],
        ["none", "1"],
    ]


def test_what_others_have_said_stands_by_itself(store: Store) -> None:
    people = [
        Approval(
            "1",
            "airflow:7",
            "2026-11-22T09:30:00Z",
            {},
            name="Anna",
            comment="Seen.",
            shown="2",
            withheld={"k": "held"},
            **GIVEN,
        ),
        Approval("1", "unifier:P/B/1", "2026-11-23T09:30:00Z", {}, **GIVEN),
    ]
    tokens = assert_harmless(written(store, ["a"], *people))
    assert [shown(token) for token in tokens if token.type == "inline"][6:10] == [
        "Approved already by Anna (a person), 22 Nov 2026: Seen.",
        "Record 'k' was withheld by Anna: held",
        "Approved already by unifier:P/B/1 (a person), 23 Nov 2026",
        "Open the whole list. If this request comes back after an answer, that page says why.",
    ]


def test_a_long_list_shows_its_first_records_and_says_so(store: Store) -> None:
    records = [{"key": f"r{number}", "classification": f"class {number % 40}"} for number in range(1500)]
    tokens = assert_harmless(written(store, records))
    text = "\n".join(shown(token) for token in tokens if token.type == "inline")
    assert "1,500 records" in text
    assert "The first 20 of 1,500 records:" in text
    assert "28 others" in text
    assert [row[0] for row in cells(tokens)[1:]] == [f"r{number}" for number in range(20)]


def test_a_request_fits_into_every_database(store: Store) -> None:
    """MySQL keeps 65,535 bytes of it; the worst that records can say is cut."""
    worst = "\U0001f5d1:" * 4000
    record = {"title": worst, "classification": worst, "location": worst, "object_type_id": worst}
    records = [{"key": f"{number}{worst}", **record, "attributes": {"connector_id": worst}} for number in range(50)]
    many = {f"{number}{worst}": worst for number in range(500)}
    people = [
        Approval("1", "x", worst, {}, name=worst, comment=worst, shown="1", withheld=many, **GIVEN) for _ in range(2)
    ]
    text = written(
        store,
        [
            *records,
            *({**record, "key": f"c{n}", "target_id": f"c{n}", "classification": f"{n}{worst}"} for n in range(30)),
        ],
        *people,
    )
    assert len(text.encode()) < 65_535
    assert_harmless(text)


def test_what_was_changed_after_the_bound_is_said_once(store: Store) -> None:
    bound = {"due_before": "2026-11-01T00:00:00"}
    records = [{"key": f"k{n}", "attributes": {**bound, "modified": f"2026-11-0{n} 08:00:00"}} for n in (1, 2, 3)]
    assert "**Changed after the bound**: 3 records, such as k1 on 1 Nov 2026" in written(store, records)
    earlier = [{"key": "k", "attributes": {**bound, "modified": "2014-11-01 08:00:00"}}]
    assert "Changed after" not in written(store, earlier)


def test_a_due_list_of_a_search_is_named_by_what_was_asked_for(store: Store) -> None:
    query = {"object_type": "Invoice", "due_field": "RetentionEnd", "recursive": True, "pair": ["a", "b"]}
    due_list = DueList("c", "https://enaio.example.org", "", "2026-11-01T00:00:00", system="enaio", query=query)
    manifest, order = Manifest.write(store, ["1"]), replace(ORDER, due_list=due_list)
    text = approval_request.body(manifest, order, (), WHOLE, EarlierRejections()).replace("\\", "")
    assert "From the due list of enaio (Invoice, RetentionEnd, a b) at https:" in text


def test_what_tells_two_tenants_apart_is_read_beside_the_address(store: Store) -> None:
    target = "https://opus.example.org?client_id=records&connector_id=3f0c6a52"
    order = replace(ORDER, tasks=[replace(ORDER.tasks[-1], target=target)])
    text = approval_request.body(Manifest.write(store, ["1"]), order, (), WHOLE, EarlierRejections())
    read = [shown(token) for token in rendered(text)]
    assert any("opus.example.org (client_id records, connector_id 3f0c6a52) (task mark" in line for line in read)


@pytest.mark.parametrize(
    ("code", "headline", "words"),
    [
        ("de", "1 Unterlage: ", ("endgültig aus enaio löschen", "22.12.2026, 06:58", "Die ganze Liste:")),
        (
            "nl",
            "1 archiefstuk: ",
            ("definitief uit enaio verwijderen", "22 dec 2026, 06:58", "De hele lijst:"),
        ),
    ],
)
def test_a_reviewer_is_asked_in_the_language(store: Store, code: str, headline: str, words: tuple[str, ...]) -> None:
    manifest, speech = Manifest.write(store, ["a_1"]), language(code)
    assert approval_request.subject(manifest, ORDER, "approve", speech).startswith(headline)
    text = approval_request.body(manifest, ORDER, (), WHOLE, EarlierRejections(), language=speech)
    for each in words:
        assert each in text or approval_request.plain(each) in text
    assert manifest.digest in text
    assert "If you approve" not in text
    assert_harmless(text)
