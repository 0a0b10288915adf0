"""One call to the sandbox and its reply."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


class AbortWith(Exception):  # noqa: N818 - control flow, not an error
    """Raised by a handler to end with a reply.

    :param reply: the reply.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@dataclass
class Call:
    """One request, as the handlers of a vendor get it.

    :param method: HTTP method.
    :param path: path of the URL, percent-encoded as it was sent.
    :param params: named parameters of the path, decoded.
    :param query: query parameters; of a repeated name the last value.
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
        """Return the parsed body, or None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass
class Reply:
    """The reply of a handler, and what the call changed.

    :param status: HTTP status code.
    :param body: None: no body; text: sent as it is; other values: sent as JSON.
    :param headers: response headers.
    :param effects: changes such as ``{"effect": "destroyed", "id": "2563"}``; empty: nothing changed.
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
        except UnicodeEncodeError:  # a lone surrogate can only be sent escaped
            content = json.dumps(self.body).encode()
        return content, {"Content-Type": "application/json", **self.headers}
