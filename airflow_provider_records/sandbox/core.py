"""What the fake vendors share: the dispatch of calls, switches, faults, and the log of what each call changed.

Tests compare evidence with this log. Handlers are coroutines that do not await while they change state, and all of
them run in one event loop; so no state needs a lock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from airflow_provider_records.sandbox.fault import Fault, answered
from airflow_provider_records.sandbox.message import AbortWith, Call, Reply

__all__ = ["AbortWith", "Call", "Entry", "FakeVendor", "Fault", "Handler", "Reply", "Sandbox", "Switch"]


@dataclass
class Entry:
    """One line of the log.

    :param seq: number of the call, from 1, in the order of arrival.
    :param time: when the call arrived, in seconds since the epoch.
    :param vendor: short name of the vendor.
    :param call: the call's name.
    :param method: HTTP method.
    :param path: path and query as they were sent.
    :param request: the body as text; empty for token and login calls, whose bodies hold secrets.
    :param status: HTTP status of the response; 0 if the connection was closed without one, or raw bytes were sent.
    :param effects: what the call changed, also where its response was lost.
    :param fault: whether a fault that does more than delay applied to the call.
    """

    seq: int
    time: float
    vendor: str
    call: str
    method: str
    path: str
    request: str
    status: int
    effects: list[dict[str, Any]]
    fault: bool


@dataclass(frozen=True)
class Switch:
    """A behaviour that the vendor's documentation leaves open.

    :param values: the allowed values, the default first; a single number allows every number.
    :param about: which behaviour it selects.
    """

    values: tuple[Any, ...]
    about: str


Handler = Callable[[Call], Awaitable[Reply]]


class FakeVendor:
    """The fake of one vendor.

    Subclasses set ``name`` and ``switches``, keep their state in attributes, and return their calls.
    """

    name: str = ""
    switches: Mapping[str, Switch] = {}

    def __init__(self) -> None:
        self.set: dict[str, Any] = {name: switch.values[0] for name, switch in self.switches.items()}

    def calls(self) -> list[tuple[str, str, str, Handler]]:
        """Return ``(method, path, call name, handler)`` for every call; paths start with ``/<name>``."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return the vendor's state, as values that JSON can hold."""
        raise NotImplementedError

    def turn(self, values: Mapping[str, Any]) -> None:
        """Set switches.

        :raises ValueError: an unknown switch or value; the message lists the allowed ones.
        """
        for name, value in values.items():
            if name not in self.switches:
                raise ValueError(f"{self.name} has no switch {name!r}; it has {', '.join(sorted(self.switches))}")
            allowed = self.switches[name].values
            is_fit = type(value) in {int, float} if type(allowed[0]) in {int, float} else value in allowed
            if not is_fit:
                raise ValueError(f"{self.name}.{name} is one of {allowed!r}, not {value!r}")
        self.set.update(values)


class Sandbox:
    """The web application of all fake vendors, with the log, the faults, and the calls that control them.

    :param vendors: the vendors.
    :param routes: further routes, such as those of the approval console.
    :param decisions: what people can decide in each system; see :attr:`Fault.decide`.
    """

    def __init__(
        self,
        vendors: list[FakeVendor],
        routes: list[BaseRoute] | None = None,
        decisions: Mapping[str, Callable[[Mapping[str, Any]], str]] | None = None,
    ) -> None:
        self.decisions = decisions or {}
        self.vendors = {vendor.name: vendor for vendor in vendors}
        self.faults: list[Fault] = []
        self.log: list[Entry] = []
        control = [
            Route("/_sandbox/log", self._log, methods=["GET", "DELETE"]),
            Route("/_sandbox/state", self._state),
            Route("/_sandbox/switches", self._switches, methods=["GET", "PUT"]),
            Route("/_sandbox/faults", self._faults, methods=["GET", "POST", "DELETE"]),
        ]
        calls = [
            Route(path, self._endpoint(vendor.name, name, handler), methods=[method])
            for vendor in vendors
            for method, path, name, handler in vendor.calls()
        ]
        self.app = Starlette(routes=[*control, *calls, *(routes or [])])

    def effects(self, vendor: str, effect: str) -> list[str]:
        """Return the ids of all effects of one kind, in order, with repetitions."""
        return [
            str(item["id"])
            for entry in self.log
            if entry.vendor == vendor
            for item in entry.effects
            if item["effect"] == effect
        ]

    def _endpoint(self, vendor: str, name: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            raw_path = request.scope["raw_path"].decode("ascii", "replace").split("?")[0]
            query = request.url.query
            call = Call(
                request.method,
                raw_path,
                dict(request.path_params),
                dict(request.query_params),
                {key.lower(): value for key, value in request.headers.items()},
                await request.body(),
            )
            body = "" if "token" in name or "login" in name else call.body.decode("utf-8", "replace")
            path = f"{raw_path}?{query}" if query else raw_path
            entry = Entry(len(self.log) + 1, time.time(), vendor, name, request.method, path, body, 0, [], False)
            self.log.append(entry)
            hit = [fault for fault in self.faults if fault.hits(vendor, name, call)]
            entry.fault = any(fault.harmful for fault in hit)
            for fault in hit:
                for system, asked in fault.decide.items():
                    self.decisions[system](asked)
            if wait := sum(fault.latency_ms for fault in hit):
                await asyncio.sleep(wait / 1000)
            reply = Reply(500)
            if all(fault.act for fault in hit):
                try:
                    reply = await handler(call)
                except AbortWith as abort:
                    reply = abort.reply
            entry.effects = reply.effects
            for fault in hit:
                reply = fault.change(reply, call)
            gone = any(fault.drop or fault.raw is not None for fault in hit)
            entry.status = 0 if gone else reply.status
            return answered(hit, reply.status, *reply.raw())

        return endpoint

    async def _log(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.log.clear()
        return JSONResponse([asdict(entry) for entry in self.log])

    async def _state(self, _: Request) -> Response:
        return JSONResponse({name: vendor.state() for name, vendor in self.vendors.items()})

    async def _switches(self, request: Request) -> Response:
        if request.method == "PUT":
            try:
                for name, values in (await request.json()).items():
                    if name not in self.vendors:
                        raise ValueError(f"no vendor {name!r}; there are {', '.join(self.vendors)}")
                    self.vendors[name].turn(values)
            except (ValueError, AttributeError) as error:
                return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(
            {
                name: {
                    switch: {"value": vendor.set[switch], "values": list(about.values), "about": about.about}
                    for switch, about in vendor.switches.items()
                }
                for name, vendor in self.vendors.items()
            }
        )

    async def _faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "POST":
            known = {item.name for item in fields(Fault)}
            try:
                asked = await request.json()
                if unknown := sorted(set(asked) - known):
                    raise ValueError(f"unknown: {', '.join(unknown)}; a fault has {', '.join(sorted(known))}")
                if missing := sorted(set(asked.get("decide", {})) - set(self.decisions)):
                    raise ValueError(f"decide: nobody decides in {', '.join(missing)}")
                self.faults.append(Fault(**asked))
            except (ValueError, TypeError) as error:
                return JSONResponse({"error": str(error)}, 400)
        return JSONResponse([asdict(fault) for fault in self.faults])
