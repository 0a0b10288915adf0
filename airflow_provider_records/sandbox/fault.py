"""Faults: a call is delayed, has no effect, loses its response, or gets another response than the vendor would send."""

from __future__ import annotations

import asyncio
import copy
import socket
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

if TYPE_CHECKING:
    from airflow_provider_records.sandbox.message import Call, Reply


@dataclass
class Fault:
    """A fault that applies to the next matching calls.

    :param vendor: ``opus``, ``enaio``, ``unifier`` or ``*``.
    :param call: the call's name in the log, or ``*``.
    :param match: only calls whose path or body contains this text.
    :param skip: number of matching calls that it does not apply to first.
    :param times: number of calls that it applies to; None: all.
    :param per_second: applies only to calls beyond this rate; the calls of one second may arrive at the same moment.
    :param decide: what people decide right before the call, by system, as the approval console takes it:
        ``{"opus": {"keys": ["enaio-109491"], "decision": "hold"}}``.
    :param latency_ms: delay before the call is carried out, in milliseconds.
    :param act: carry out the call; False: it has no effect.
    :param drop: close the connection without a response, or reset it after ``raw``.
    :param status: HTTP status of the response.
    :param headers: headers of the response, besides the vendor's where status and body stay.
    :param body: body of the response: text, or a value that JSON can hold.
    :param put: values to write into the JSON response, by JSON pointer: ``{"/status": "200"}``.
    :param lose: JSON pointers of what to remove from the JSON response.
    :param echo: respond with the request's headers and body, as debug pages do.
    :param raw: send these characters as Latin-1 bytes instead of an HTTP response, and close the connection.
    :param cut: number of bytes of the body that are sent.
    :param drip_ms: pause between two bytes of the body, or of ``raw``, in milliseconds.
    """

    vendor: str = "*"
    call: str = "*"
    match: str = ""
    skip: int = 0
    times: int | None = 1
    per_second: float | None = None
    decide: dict[str, dict[str, Any]] = field(default_factory=dict)
    latency_ms: float = 0.0
    act: bool = True
    drop: bool = False
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    put: dict[str, Any] = field(default_factory=dict)
    lose: list[str] = field(default_factory=list)
    echo: bool = False
    raw: str | None = None
    cut: int | None = None
    drip_ms: float = 0.0

    _spent_until = 0.0

    @property
    def harmful(self) -> bool:
        """Whether it does more than delay the call."""
        wrong = (self.status, self.body, self.raw, self.cut)
        bent = self.headers or self.put or self.lose or self.echo or self.drop or self.drip_ms > 0
        return bool(bent) or not self.act or any(item is not None for item in wrong)

    def hits(self, vendor: str, name: str, call: Call) -> bool:
        if self.times == 0 or self.vendor not in {"*", vendor} or self.call not in {"*", name}:
            return False
        if self.match and self.match not in call.path and self.match not in call.body.decode("utf-8", "replace"):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.per_second is not None and self._grants(self.per_second):
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def _grants(self, per_second: float) -> bool:
        now = time.monotonic()
        spent_until = max(self._spent_until, now)
        if spent_until - now > max(0.0, 1 - 1 / per_second):
            return False
        self._spent_until = spent_until + 1 / per_second
        return True

    def change(self, reply: Reply, call: Call) -> Reply:
        """Return the changed reply."""
        if self.status is None and self.body is None and not self.echo:
            reply = replace(reply, headers={**reply.headers, **self.headers})
        else:
            body = reply.body if self.body is None and (self.put or self.lose) else self.body
            reply = replace(reply, status=self.status or reply.status, body=body, headers=dict(self.headers))
        if self.echo:
            lines = [f"{call.method} {call.path}", *(f"{name}: {value}" for name, value in call.headers.items())]
            reply.body = "\n".join([*lines, "", call.body.decode("utf-8", "replace")])
        if self.put or self.lose:
            reply.body = copy.deepcopy(reply.body)
            for pointer, value in self.put.items():
                _edit(reply.body, pointer, [value])
            for pointer in self.lose:
                _edit(reply.body, pointer, [])
        return reply


def _edit(body: Any, pointer: str, values: list[Any]) -> None:  # noqa: ANN401 - any JSON
    """Replace what a JSON pointer names by one value or by none; a body without such a place stays as it is."""
    *way, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
    try:
        for step in way:
            body = body[int(step) if isinstance(body, list) else step]
        if isinstance(body, list):
            body[int(last) : int(last) + 1] = values
        elif values:
            body[last] = values[0]
        else:
            del body[last]
    except (LookupError, TypeError, ValueError):
        pass


def answered(hit: list[Fault], status: int, content: bytes, headers: dict[str, str]) -> Response:
    """Return the response that all faults of a call leave of its reply."""
    pause = sum(fault.drip_ms for fault in hit) / 1000
    raw = [fault for fault in hit if fault.raw is not None]
    if raw:
        return _Raw(str(raw[-1].raw).encode("latin-1", "replace"), pause, raw[-1].drop)
    if any(fault.drop for fault in hit):
        return _Raw(b"")
    for fault in hit:
        content = content if fault.cut is None else content[: fault.cut]
    if pause:
        return StreamingResponse(_drip(content, pause), status, headers)
    return Response(content, status, headers)


async def _drip(content: bytes, pause: float) -> AsyncIterator[bytes]:
    for index in range(len(content)):
        yield content[index : index + 1]
        await asyncio.sleep(pause)


class _Raw(Response):
    """Sends bytes instead of an HTTP response, and closes the connection."""

    def __init__(self, raw: bytes, pause: float = 0.0, reset: bool = False) -> None:
        super().__init__()
        self._raw, self._pause, self._reset = raw, pause, reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope["state"]["transport"]
        if self._pause:
            async for piece in _drip(self._raw, self._pause):
                if transport.is_closing():
                    break
                transport.write(piece)
        elif self._raw:
            transport.write(self._raw)
        if self._reset and not transport.is_closing():
            with socket.fromfd(transport.get_extra_info("socket").fileno(), socket.AF_INET, socket.SOCK_STREAM) as twin:
                twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self._reset or not self._raw:
            transport.abort()
        else:
            transport.close()
        while (await receive())["type"] != "http.disconnect":  # otherwise uvicorn would send a response of its own
            pass
