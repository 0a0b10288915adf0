"""One call and its reply: which bodies are JSON, and which bytes leave."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.sandbox.message import Call, Reply

TEXT, JSON = "text/plain; charset=utf-8", "application/json"


@pytest.mark.parametrize(
    ("body", "value"), [(b'{"k": 1}', {"k": 1}), (b"null", None), (b"", None), (b"{", None), (b"\xff", None)]
)
def test_a_body_is_json_or_none(body: bytes, value: Any) -> None:
    assert Call("GET", "/", {}, {}, {}, body).json() == value


@pytest.mark.parametrize(
    ("body", "content", "headers"),
    [
        (None, b"", {}),
        ("Müller", "Müller".encode(), {"Content-Type": TEXT}),
        ({"name": "Müller"}, '{"name": "Müller"}'.encode(), {"Content-Type": JSON}),
        ([], b"[]", {"Content-Type": JSON}),
        ({"half": "\ud83d"}, b'{"half": "\\ud83d"}', {"Content-Type": JSON}),
    ],
)
def test_a_body_has_its_content_type(body: Any, content: bytes, headers: dict[str, str]) -> None:
    assert Reply(200, body).raw() == (content, headers)


def test_headers_replace_the_content_type() -> None:
    assert Reply(200, "<p>", {"Content-Type": "text/html"}).raw()[1] == {"Content-Type": "text/html"}
