"""One call to the sandbox and its reply."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


class AbortWith(Exception):  # noqa: N818 - a signal between handlers and the stage, no error
    """Raised by a handler to answer at once.

    :param reply: what to answer.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@dataclass
class Call:
    """One request as a vendor part sees it.

    :param method: HTTP method.
    :param path: path of the URL, still percent-encoded as it was sent.
    :param params: named parts of the path, decoded.
    :param query: query parameters; the last value of each name.
    :param headers: header names in lower case.
    :param body: the raw body.
    """

    method: str
    path: str
    params: dict[str, Any]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401
        """Return the parsed body, or None if it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass
class Reply:
    """What a handler answers, and what it did.

    :param status: HTTP status code.
    :param body: None: empty; text: sent as it is; anything else: JSON.
    :param headers: response headers.
    :param effects: what changed, e.g. ``{"effect": "destroyed", "id": "2563"}``; empty if nothing did.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    effects: list[dict[str, Any]] = field(default_factory=list)

    def raw(self) -> tuple[bytes, dict[str, str]]:
        if self.body is None:
            return b"", self.headers
        if isinstance(self.body, str):
            return self.body.encode(), {"Content-Type": "text/plain; charset=utf-8", **self.headers}
        try:
            content = json.dumps(self.body, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # half a character can only be sent escaped
            content = json.dumps(self.body).encode()
        return content, {"Content-Type": "application/json", **self.headers}
