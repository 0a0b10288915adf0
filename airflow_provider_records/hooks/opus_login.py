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

from airflow_provider_records.client.hook import Answer, Request, Settings, Sign, Token, fail, mask
from airflow_provider_records.exceptions import (
    AuthenticationError,
    ConfigurationError,
    NoAnswerError,
    UnreadableAnswerError,
    WrongAddressError,
)

_COMMERCIAL = ("au", "sg", "ca", "ne", "we", "fr", "de", "jp", "kr", "ch", "uk", "us", "uae", "za", "qa")
_GOOGLE = ("gcp-au", "gcp-jp", "gcp-kr", "gcp-us", "gcp-we")
HOSTS = {
    **{name: f"graph-{name}.avepointonlineservices.com" for name in (*_COMMERCIAL, *_GOOGLE, "gov", "aos2")},
    "fedramp": "graphusgovapi.online15.net",
}
"""Region by region, where the AvePoint Graph API lives; the list grows, so any other host is taken, too."""
IDENTITY_URL = "https://identity.avepointonlineservices.com/connect/token"
IDENTITY_URLS = {
    HOSTS["gov"]: "https://identity-gov.avepointonlineservices.com/connect/token",
    HOSTS["aos2"]: "https://identity-aos2.avepointonlineservices.com/connect/token",
    HOSTS["fedramp"]: "https://identity.online15.net/connect/token",
}
"""Where tokens are fetched in the clouds that are not the commercial one, by the host of the API."""
SCOPE = "records.readwrite.all"
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


def scope(settings: Settings) -> str:
    """Return the scope that a token is asked for."""
    return settings.text("scope", SCOPE)


def token_url(settings: Settings) -> str:
    """Return where tokens are fetched: as the connection says, else in the cloud of its host.

    :raises ConfigurationError: ``identity_url`` is no plain http(s) URL.
    """
    cloud = IDENTITY_URLS.get(urlsplit(settings.base_url).hostname or "", IDENTITY_URL)
    url = settings.text("identity_url", cloud)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.password or parts.query or parts.fragment:
        _wrong(settings, "identity_url", "must be an http(s) URL without credentials or query")
    return url


def login(settings: Settings, audience: str) -> Sign:
    """Return what fills in the form of the token call, by client secret or by signed assertion.

    :param settings: the connection's fields.
    :param audience: the token URL, which an assertion is made for.
    :raises ConfigurationError: a field is missing, or both ways are configured; the message names it.
    """
    key, thumbprint = settings.text("private_key"), settings.text("certificate_thumbprint")
    if not settings.login:
        _wrong(settings, "login", "is empty; give the client id of the app registration")
    if settings.password and key:
        _wrong(settings, "private_key", "is given besides a password; keep only one of the two")
    if key and not thumbprint:
        _wrong(settings, "certificate_thumbprint", "is empty; it belongs to the private key")
    if thumbprint and not key:
        _wrong(settings, "private_key", "is empty; it belongs to the certificate thumbprint")
    if not key and not settings.password:
        _wrong(settings, "password", "is empty; give the client secret, or a private key and its thumbprint")
    form = {
        "grant_type": "client_credentials",
        "scope": scope(settings),
        "client_id": settings.login,
    }
    if key:
        mask.get()(key)
        signing, kid = _private_key(settings, key), _SEPARATORS.sub("", thumbprint).upper()
        if not _THUMBPRINT.fullmatch(kid):
            _wrong(settings, "certificate_thumbprint", "must be a SHA-1 thumbprint: 40 hexadecimal digits")
        form["client_assertion_type"] = ASSERTION

    def fill_in(request: Request) -> Request:
        # an assertion can be used once, so every attempt gets its own
        proof = _assertion(settings.login, audience, signing, kid) if key else settings.password
        request.body = urlencode({**form, "client_assertion" if key else "client_secret": proof}).encode()
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
        return request

    return fill_in


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
        _wrong(settings, "private_key", "must be a private key in PEM form without a passphrase")
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
        _wrong(settings, "private_key", "must be an RSA key of at least 2048 bits")
    return key


def read_token(answer: Answer) -> Token:
    """Read the answer of the token call; only ``access_token`` and ``expires_in`` are relied on.

    :raises AuthenticationError: the credentials were refused; the message says what to check.
    :raises WrongAddressError: this is no token service.
    :raises NoAnswerError: the service failed.
    """
    where = "Opus token"
    if answer.status == 408 or answer.status >= 500:
        fail(NoAnswerError, answer, f"{where}: the identity service failed (HTTP {answer.status}).")
    if answer.status in {404, 405} or answer.is_html:
        fail(WrongAddressError, answer, f"{where}: there is no token service at identity_url (HTTP {answer.status}).")
    try:
        body = answer.json()
    except UnreadableAnswerError:
        body = None
    fields = body if isinstance(body, dict) else {}
    if answer.status != 200:
        code = fields.get("error")
        known = code if isinstance(code, str) and code in _ADVICE else None
        advice = _ADVICE[known] if known else _ALL_ADVICE
        fail(
            AuthenticationError, answer, f"{where}: the login was refused (HTTP {answer.status}); {advice}.", code=known
        )
    value, lifetime = fields.get("access_token"), fields.get("expires_in")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        fail(UnreadableAnswerError, answer, f"{where}: the answer holds no access token.")
    if isinstance(lifetime, bool) or not isinstance(lifetime, (int, float)) or not 0 < lifetime < LONGEST_LIFETIME:
        lifetime = None  # then a 401 tells when it has expired
    return Token(value, lifetime)


def refused(error: AuthenticationError) -> AuthenticationError:
    """Say what to check where HTTP 401 only says no."""
    return AuthenticationError(
        f"Opus token: the login was refused (HTTP {error.status}); {_ALL_ADVICE}.",
        status=error.status,
        code=error.code,
        request_id=error.request_id,
    )


def _wrong(settings: Settings, name: str, problem: str) -> NoReturn:
    raise ConfigurationError(f"Connection {settings.conn_id!r}: field {name!r} {problem}.")
