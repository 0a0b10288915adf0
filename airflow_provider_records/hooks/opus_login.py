"""How a client of Opus gets its token; follows the vendor's pages "Register app" and "Use AvePoint Graph API"."""

from __future__ import annotations

import re
import time
import uuid
from typing import NoReturn
from urllib.parse import urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from requests import PreparedRequest

from airflow_provider_records.client import fields
from airflow_provider_records.client.hook import AuthBase, Response, Settings, Token, mask, raise_error
from airflow_provider_records.client.settings import invalid
from airflow_provider_records.exceptions import (
    AuthenticationError,
    NoAnswerError,
    UnreadableAnswerError,
    WrongAddressError,
)

HOSTS = {
    **{region: f"graph-{region}.avepointonlineservices.com" for region in fields.OPUS_REGIONS},
    "fedramp": "graphusgovapi.online15.net",
}
"""Where the AvePoint Graph API of a region is; the list grows, so any other host is accepted as well."""
IDENTITY_URLS = {HOSTS[region]: url for region, url in fields.OPUS_IDENTITY_URLS.items()}
"""Where tokens are fetched in the clouds that are not the commercial one, by the host of the API."""
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFETIME = 300
LONGEST_LIFETIME = 10**9

_THUMBPRINT = re.compile(r"[0-9A-F]{40}")
_SEPARATORS = re.compile(r"[\s:-]")
_PEM = re.compile(r"(-----BEGIN [A-Z ]+-----)([A-Za-z0-9+/=\s]+)(-----END [A-Z ]+-----)")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_ADVICE = {
    "invalid_client": "check client id and client secret, or private key and certificate thumbprint; "
    "the secret or certificate may have expired",
    "invalid_scope": "check the scope, and that the app registration has it",
    "unauthorized_client": "the app registration does not allow this kind of login",
}
_ALL_ADVICE = "check client id, client secret or certificate, scope, and that identity_url belongs to this cloud"


def token_url(settings: Settings) -> str:
    """Return the URL where tokens are fetched: the connection's, else that of the cloud of its host.

    :raises ConfigurationError: ``identity_url`` is no plain http(s) URL.
    """
    cloud = IDENTITY_URLS.get(urlsplit(settings.base_url).hostname or "", fields.OPUS_IDENTITY_URL)
    url = settings.text(fields.IDENTITY_URL) or cloud
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.password or parts.query or parts.fragment:
        _raise_invalid(settings, "identity_url", "must be an http(s) URL without credentials or query")
    return url


class ClientCredentialsAuth(AuthBase):
    """Fills in the form of the token call: client id, and client secret or signed assertion.

    :param settings: the connection's fields.
    :param audience: the token URL, which an assertion is made for.
    :raises ConfigurationError: a field is missing, or both ways are configured; the message names it.
    """

    def __init__(self, settings: Settings, audience: str) -> None:
        self._settings = settings
        self._audience = audience
        key, thumbprint = settings.text(fields.PRIVATE_KEY), settings.text(fields.CERTIFICATE_THUMBPRINT)
        if not settings.login:
            _raise_invalid(settings, "login", "is empty; give the client id of the app registration")
        if settings.password and key:
            _raise_invalid(settings, "private_key", "is given besides a password; keep only one of the two")
        if key and not thumbprint:
            _raise_invalid(settings, "certificate_thumbprint", "is empty; it belongs to the private key")
        if thumbprint and not key:
            _raise_invalid(settings, "private_key", "is empty; it belongs to the certificate thumbprint")
        if not key and not settings.password:
            _raise_invalid(
                settings, "password", "is empty; give the client secret, or a private key and its thumbprint"
            )
        self._form = {
            "grant_type": "client_credentials",
            "scope": settings.text(fields.SCOPE),
            "client_id": settings.login,
        }
        self._key: RSAPrivateKey | None = None
        if key:
            mask.get()(key)
            self._key, self._key_id = _private_key(settings, key), _SEPARATORS.sub("", thumbprint).upper()
            if not _THUMBPRINT.fullmatch(self._key_id):
                _raise_invalid(settings, "certificate_thumbprint", "must be a SHA-1 thumbprint: 40 hexadecimal digits")

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Write the form into a request; every attempt gets an assertion of its own, which is valid once."""
        if self._key is None:
            proof = {"client_secret": self._settings.password}
        else:
            assertion = _assertion(self._settings.login, self._audience, self._key, self._key_id)
            proof = {"client_assertion_type": ASSERTION, "client_assertion": assertion}
        r.body = urlencode({**self._form, **proof}).encode()
        r.headers["Content-Type"] = "application/x-www-form-urlencoded"
        return r


def _assertion(client_id: str, audience: str, key: RSAPrivateKey, kid: str) -> str:
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": str(uuid.uuid4()),
        "nbf": now,
        "iat": now,
        "exp": now + ASSERTION_LIFETIME,
    }
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})


def _private_key(settings: Settings, pem: str) -> RSAPrivateKey:
    # a form's line has no line breaks, and connections given as text often hold them as two characters
    pem = _PEM.sub(lambda found: "\n".join([found[1], *found[2].split(), found[3]]), pem.replace("\\n", "\n"))
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        _raise_invalid(settings, "private_key", "must be a private key in PEM form without a passphrase")
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
        _raise_invalid(settings, "private_key", "must be an RSA key of at least 2048 bits")
    return key


def read_token(response: Response) -> Token:
    """Read the response of the token call; only ``access_token`` and ``expires_in`` are relied on.

    :raises AuthenticationError: the credentials were refused; the message says what to check.
    :raises WrongAddressError: this is no token service.
    :raises NoAnswerError: the service failed.
    """
    where = "Opus token"
    if response.status == 408 or response.status >= 500:
        raise_error(NoAnswerError, response, f"{where}: the identity service failed (HTTP {response.status}).")
    if response.status in {404, 405} or response.is_html:
        problem = f"there is no token service at identity_url (HTTP {response.status})"
        raise_error(WrongAddressError, response, f"{where}: {problem}.")
    try:
        body = response.json()
    except UnreadableAnswerError:
        body = None
    members = body if isinstance(body, dict) else {}
    if response.status != 200:
        code = members.get("error")
        known = code if isinstance(code, str) and code in _ADVICE else None
        advice = _ADVICE[known] if known else _ALL_ADVICE
        problem = f"the login was refused (HTTP {response.status})"
        raise_error(AuthenticationError, response, f"{where}: {problem}; {advice}.", code=known)
    value, lifetime = members.get("access_token"), members.get("expires_in")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise_error(UnreadableAnswerError, response, f"{where}: the response holds no access token.")
    if isinstance(lifetime, bool) or not isinstance(lifetime, (int, float)) or not 0 < lifetime < LONGEST_LIFETIME:
        lifetime = None  # then a 401 tells when it has expired
    return Token(value, lifetime)


def refused(error: AuthenticationError) -> AuthenticationError:
    """Return the error of a refused login with the advice that a bare HTTP 401 does not give."""
    return AuthenticationError(
        f"Opus token: the login was refused (HTTP {error.status}); {_ALL_ADVICE}.",
        status=error.status,
        code=error.code,
        request_id=error.request_id,
    )


def _raise_invalid(settings: Settings, name: str, problem: str) -> NoReturn:
    raise invalid(settings.conn_id, name, problem)
