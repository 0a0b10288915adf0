"""The token calls of the fake Unifier, and the check of tokens.

It follows "V1 Get Token REST Service for Basic Authentication" of Unifier's Integration Interface Guide.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NoReturn

from airflow_provider_records.sandbox.core import Handler
from airflow_provider_records.sandbox.message import AbortWith, Call, Reply
from airflow_provider_records.sandbox.unifier_wire import POSITIVE, encoded, envelope, only, refuse

USER = "svc-disposal"
OAUTH_USER = "$$svc-disposal-oauth"
PASSWORD = "p9Lx-unifier-demo-2hYv"  # noqa: S105 - valid in this sandbox only
TENANT = {"x-unifier-tenant-code": "demo", "x-unifier-tenant": "demo-tenant"}
PACIFIC = timezone(timedelta(hours=-8))


class UnifierTokens:
    """Issues tokens to the two integration users and checks them.

    Tests may put users that are not active into ``disabled``, and clear ``issued`` to end all tokens.

    :param switches: the switches of Unifier.
    """

    def __init__(self, switches: dict[str, Any]) -> None:
        self.switches = switches
        self.disabled: set[str] = set()
        self.issued: dict[str, tuple[str, float]] = {}

    async def login(self, call: Call) -> Reply:
        user = self._user(call)
        if user == OAUTH_USER:
            _login_error(401, "Not an integration user.")
        token, life = self._issue(user, call)
        return Reply(body={"token": token, "status": 200, **_dates(life)})

    async def token_v2(self, call: Call) -> Reply:
        user = self._user(call)
        token, life = self._issue(user, call)
        data: dict[str, Any] = {"access_token": token, "expires_in": int(life)}
        if self.switches["tenant_headers"]:
            data |= {"endpoint": _endpoint(call), "request_headers": TENANT}
        elif user == OAUTH_USER:
            data |= {"token_type": "Bearer", "auth_type": "oAuth"}
        else:
            data |= {"auth_type": "Basic", **_dates(life)}
        return envelope(self.switches, data)

    async def oauth_token(self, call: Call) -> Reply:
        user = self._user(call)
        if user != OAUTH_USER:
            _login_error(401, "Not an OAuth user.")
        token, life = self._issue(user, call)
        if not self.switches["tenant_headers"]:
            return Reply(body={"access_token": token})
        expire = _dates(life)["expiryTime"]
        return Reply(body={"token": token, "expire": expire, "endpoint": _endpoint(call), "request_headers": TENANT})

    def required(self, handler: Handler) -> Handler:
        """Return a handler that refuses calls without a valid token."""

        async def signed(call: Call) -> Reply:
            encoded(call)
            scheme, _, token = call.headers.get("authorization", "").partition(" ")
            user, end = self.issued.get(token, ("", 0.0))
            tenant = all(call.headers.get(name) == value for name, value in TENANT.items())
            lost = self.switches["tenant_headers"] and not tenant
            if scheme != "Bearer" or time.monotonic() >= end or user in self.disabled or lost:
                refuse(401, "Unauthorized")
            return await handler(call)

        return signed

    def _user(self, call: Call) -> str:
        scheme, _, value = call.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = password = ""
        if scheme != "Basic" or user not in {USER, OAUTH_USER} or password != PASSWORD:
            _login_error(401, "Invalid Authorization header, or not an integration user.")
        if user in self.disabled:
            _login_error(401, "User is not active.")
        return user

    def _issue(self, user: str, call: Call) -> tuple[str, float]:
        oauth = user == OAUTH_USER
        only(call, {"expiry"} if oauth else set())
        life = float(self.switches["oauth_lifetime" if oauth else "token_lifetime"])
        if "expiry" in call.query:
            if not POSITIVE.fullmatch(call.query["expiry"]):
                _login_error(400, "Invalid expiry.")
            life = float(call.query["expiry"])
        if self.switches["one_token"]:
            self.issued = {token: owner for token, owner in self.issued.items() if owner[0] != user}
        claims = base64.urlsafe_b64encode(json.dumps({"sub": user}).encode()).decode().rstrip("=")
        token = f"eyJhbGciOiJIUzUxMiJ9.{claims}.{secrets.token_urlsafe(24)}"
        self.issued[token] = (user, time.monotonic() + life)
        return token, life


def _login_error(status: int, text: str) -> NoReturn:
    raise AbortWith(Reply(status, {"status": status, "message": text}))


def _endpoint(call: Call) -> str:
    return f"http://{call.headers['host']}/unifier"


def _dates(life: float) -> dict[str, str]:
    end = datetime.now(UTC).astimezone(PACIFIC) + timedelta(seconds=life)
    return {
        "expiryDate": end.strftime("%m/%d/%Y"),
        "expiryTime": end.strftime("%m/%d/%Y %I:%M %p"),
        "Timezone": "(UTC-08:00) Pacific Time (US & Canada)",
    }
