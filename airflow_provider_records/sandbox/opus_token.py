"""The token endpoint of Opus: tokens for a client secret or a signed assertion, and their check.

It follows "Use AvePoint Graph API" and "Register app". Of an assertion it checks signature, key id, audience and
times, and refuses one that was used before.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from airflow_provider_records.sandbox.message import AbortWith, Call, Reply

SCOPE = "records.readwrite.all"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_ASSERTION = 3600


class OpusTokens:
    """The app registrations of Opus: clients with their secrets, certificates and tokens.

    :param client_id: the client that signs in by a certificate or its secret.
    :param client_secret: its secret.
    :param others: secrets of further clients by id, each of a tenant of its own.
    """

    def __init__(self, client_id: str, client_secret: str, others: Mapping[str, str]) -> None:
        self.client_id = client_id
        self._secrets = {client_id: client_secret, **others}
        self.keys: dict[str, RSAPublicKey] = {}
        self._issued: dict[str, tuple[float, str]] = {}
        self._used: set[str] = set()

    def register(self, certificate: bytes) -> str:
        """Register a certificate, as an administrator uploads it to the app registration.

        :param certificate: PEM; an RSA key, with the key usage Digital Signature.
        :return: its thumbprint, SHA-1 as upper-case hex: the ``kid`` of an assertion.
        :raises ValueError: the certificate cannot be used for signing.
        """
        parsed = x509.load_pem_x509_certificate(certificate)
        key = parsed.public_key()
        try:
            signs = parsed.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
        except x509.ExtensionNotFound:
            signs = False
        if not isinstance(key, RSAPublicKey) or not signs:
            raise ValueError("the certificate needs an RSA key and the key usage Digital Signature")
        thumbprint = parsed.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - a name, not a signature
        self.keys[thumbprint] = key
        return thumbprint

    def revoke(self) -> None:
        """Refuse all tokens that were issued so far."""
        self._issued.clear()

    def check(self, call: Call) -> str:
        """Return the id of the client whose token a call has.

        :raises AbortWith: 401.
        """
        kind, _, value = call.headers.get("authorization", "").partition(" ")
        valid_until, client_id = self._issued.get(value, (0.0, ""))
        if kind != "Bearer" or valid_until <= time.monotonic():
            body = {"error": "invalid_token", "error_description": "The access token is missing, unknown or expired"}
            raise AbortWith(Reply(401, body, {"WWW-Authenticate": 'Bearer error="invalid_token"'}))
        return client_id

    def issue(self, call: Call, lifetime: float, shape: str) -> Reply:
        """Answer ``POST connect/token``.

        :param call: the request.
        :param lifetime: how long the token is valid, in seconds.
        :param shape: ``ext`` or ``scope``, after the two sample responses.
        :raises AbortWith: 400 with an ``error``.
        """
        if call.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            raise _refusal("invalid_request", "the content type must be application/x-www-form-urlencoded")
        pairs = parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True)
        form = dict(pairs)
        if len(form) != len(pairs):
            raise _refusal("invalid_request", "a field was sent twice")
        if form.get("grant_type") != "client_credentials":
            raise _refusal("unsupported_grant_type", "grant_type must be client_credentials")
        client_id = form.get("client_id", "")
        if "client_assertion" in form or "client_assertion_type" in form:
            self._check_assertion(form, f"http://{call.headers.get('host', '')}{call.path}")
            client_id = self.client_id
        elif client_id not in self._secrets or not secrets.compare_digest(
            form.get("client_secret", "").encode(), self._secrets[client_id].encode()
        ):
            raise _refusal("invalid_client", "unknown client_id or wrong client_secret")
        if form.get("scope") != SCOPE:
            raise _refusal("invalid_scope", f"scope must be {SCOPE}")
        token = f"eyJ{secrets.token_urlsafe(32)}"
        self._issued[token] = time.monotonic() + lifetime, client_id
        extra: dict[str, Any] = {"ext_expires_in": lifetime} if shape == "ext" else {"scope": SCOPE}
        return Reply(200, {"access_token": token, "expires_in": lifetime, "token_type": "Bearer", **extra})

    def _check_assertion(self, form: dict[str, str], audience: str) -> None:
        if form.get("client_assertion_type") != ASSERTION:
            raise _refusal("invalid_request", f"client_assertion_type must be {ASSERTION}")
        if "client_secret" in form:
            raise _refusal("invalid_request", "send client_secret or client_assertion, not both")
        token = form.get("client_assertion", "")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != "JWT" or header.get("kid") not in self.keys:
                raise _refusal("invalid_client", "typ must be JWT and kid the thumbprint of a registered certificate")
            claims = jwt.decode(
                token,
                self.keys[header["kid"]],
                algorithms=["RS256"],
                audience=audience,
                issuer=self.client_id,
                options={"require": ["iss", "sub", "aud", "jti", "nbf", "exp"], "strict_aud": True},
            )
            uuid.UUID(claims["jti"])
        except (jwt.PyJWTError, ValueError) as error:
            raise _refusal("invalid_client", f"client_assertion: {error}") from None
        if claims["sub"] != self.client_id or form.get("client_id", self.client_id) != self.client_id:
            raise _refusal("invalid_client", "sub and client_id must be the client's id")
        if claims["exp"] - time.time() > LONGEST_ASSERTION:
            raise _refusal("invalid_client", "exp is more than one hour ahead")
        if claims["jti"] in self._used:
            raise _refusal("invalid_client", "jti was used before")
        self._used.add(claims["jti"])


def _refusal(error: str, description: str) -> AbortWith:
    return AbortWith(Reply(400, {"error": error, "error_description": description}))
