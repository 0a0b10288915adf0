"""Both ways to a token of Opus, over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from airflow_provider_records.client import fields
from airflow_provider_records.client.hook import Response
from airflow_provider_records.exceptions import (
    AuthenticationError,
    ConfigurationError,
    NoAnswerError,
    NotSentError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)
from airflow_provider_records.hooks.opus_login import read_token, token_url
from airflow_provider_records.sandbox.message import Call
from tests.client.raw_server import in_threads
from tests.conftest import Serve
from tests.hooks.opus_factory import KEYS, SECRET, ServedOpus


@pytest.fixture
def served(serve: Serve) -> ServedOpus:
    return ServedOpus(serve)


def pem(key: Any, encryption: serialization.KeySerializationEncryption | None = None) -> str:
    form = serialization.PrivateFormat.PKCS8
    how = encryption or serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, form, how).decode())


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "records-client")])
    now = datetime.now(UTC)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
         "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
    )  # fmt: skip
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def form_of(served: ServedOpus, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Listen to the token calls, whose bodies the log leaves out."""
    heard: list[dict[str, str]] = []
    issue = served.part.tokens.issue

    def listen(call: Call, lifetime: float, shape: str) -> Any:
        heard.append(dict(parse_qsl(call.body.decode())))
        return issue(call, lifetime, shape)

    monkeypatch.setattr(served.part.tokens, "issue", listen)
    return heard


@pytest.mark.parametrize("shape", ["ext", "scope"])
def test_by_client_secret(served: ServedOpus, shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served.part.turn({"token_shape": shape})
    heard = form_of(served, monkeypatch)
    served.hook.destroy_records(KEYS[:1])
    assert heard == [
        {"grant_type": "client_credentials", "scope": "records.readwrite.all", "client_id": "records-client",
         "client_secret": SECRET}
    ]  # fmt: skip


def test_by_signed_assertion(
    served: ServedOpus, key: rsa.RSAPrivateKey, certificate: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbprint = served.part.tokens.register(certificate)
    heard = form_of(served, monkeypatch)
    spaced = ":".join(thumbprint.lower()[at : at + 2] for at in range(0, 40, 2))
    hook = served.another(password="", private_key=pem(key).replace("\n", "\\n"), certificate_thumbprint=spaced)
    hook.destroy_records(KEYS[:1])
    assert set(heard[0]) == {"grant_type", "scope", "client_id", "client_assertion_type", "client_assertion"}
    assertion = heard[0]["client_assertion"]
    assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": thumbprint}
    claims = jwt.decode(assertion, options={"verify_signature": False})
    assert (claims["iss"], claims["sub"]) == ("records-client", "records-client")
    assert claims["aud"] == f"{served.url}/connect/token"
    assert claims["exp"] - claims["nbf"] == 300
    assert claims["iat"] == claims["nbf"]


def test_a_lost_answer_gets_a_new_assertion(served: ServedOpus, key: rsa.RSAPrivateKey, certificate: bytes) -> None:
    thumbprint = served.part.tokens.register(certificate)
    hook = served.another(password="", private_key=pem(key), certificate_thumbprint=thumbprint)
    served.fault("token", drop=True)
    assert hook.destroy_records(KEYS[:1]).destroyed == KEYS[:1]
    assert len(served.entries("token")) == 2


def test_a_foreign_key_is_refused(served: ServedOpus, certificate: bytes) -> None:
    thumbprint = served.part.tokens.register(certificate)
    stranger = rsa.generate_private_key(65537, 2048)
    hook = served.another(password="", private_key=pem(stranger), certificate_thumbprint=thumbprint)
    with pytest.raises(AuthenticationError, match="private key and certificate thumbprint"):
        hook.destroy_records(KEYS[:1])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"login": ""}, "'login'"),
        ({"password": ""}, "'password'"),
        ({"private_key": "{key}", "certificate_thumbprint": "A" * 40}, "'private_key'"),
        ({"private_key": "{key}", "password": ""}, "'certificate_thumbprint'"),
        ({"private_key": "{key}"}, "'private_key'"),
        ({"certificate_thumbprint": "A" * 40}, "'private_key'"),
        ({"private_key": "{key}", "certificate_thumbprint": "A" * 39, "password": ""}, "'certificate_thumbprint'"),
        ({"private_key": "{key}", "certificate_thumbprint": "G" * 40, "password": ""}, "'certificate_thumbprint'"),
        ({"private_key": "nonsense", "certificate_thumbprint": "A" * 40, "password": ""}, "'private_key'"),
        ({"private_key": "{locked}", "certificate_thumbprint": "A" * 40, "password": ""}, "'private_key'"),
        ({"private_key": "{curve}", "certificate_thumbprint": "A" * 40, "password": ""}, "'private_key'"),
        ({"private_key": 7, "certificate_thumbprint": "A" * 40, "password": ""}, "'private_key'"),
        ({"scope": ["a"]}, "'scope'"),
        ({"identity_url": "identity.example.org/connect/token"}, "'identity_url'"),
        ({"identity_url": "ftp://identity.example.org"}, "'identity_url'"),
        ({"identity_url": "https://a:b@identity.example.org"}, "'identity_url'"),
        ({"identity_url": "https://identity.example.org:port"}, "'identity_url'"),
        ({"identity_url": "https://["}, "'identity_url'"),
    ],
)
def test_a_wrong_field_is_named(served: ServedOpus, key: rsa.RSAPrivateKey, fields: dict[str, Any], named: str) -> None:
    texts = {
        "{key}": pem(key),
        "{locked}": pem(key, serialization.BestAvailableEncryption(b"secret")),
        "{curve}": pem(ec.generate_private_key(ec.SECP256R1())),
    }
    given = {name: texts.get(str(value), value) for name, value in fields.items()}
    with pytest.raises(ConfigurationError, match=named) as caught:
        served.another(**given).destroy_records(KEYS[:1])
    assert "PRIVATE" not in str(caught.value)
    assert served.sandbox.log == []


def test_the_commercial_identity_service_is_the_default(served: ServedOpus) -> None:
    assert token_url(served.another(identity_url=None).settings) == fields.OPUS_IDENTITY_URL


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": "invalid_client"}, AuthenticationError),
        (400, {"error": "invalid_scope"}, AuthenticationError),
        (400, {"error": ["?"]}, AuthenticationError),
        (400, None, AuthenticationError),
        (401, {"error": "invalid_client", "sent": SECRET}, AuthenticationError),
        (404, None, WrongAddressError),
        (405, None, WrongAddressError),
        (302, None, WrongAddressError),
        (200, "<html>Sign in</html>", WrongAddressError),
        (500, None, NotSentError),
        (503, None, NotSentError),
        (200, "", NotSentError),
        (200, [], NotSentError),
        (200, '{"access_token": "eyJhb', NotSentError),
        (200, {"access_token": ""}, NotSentError),
        (200, {"access_token": 7}, NotSentError),
        (200, {"access_token": "a b"}, NotSentError),
        (200, {"access_token": "a\r\nX: 1"}, NotSentError),
        (200, {"access_token": "\u00e4"}, NotSentError),
    ],
)
def test_without_a_token_nothing_is_destroyed(
    served: ServedOpus, status: int, body: Any, error: type[VendorError]
) -> None:
    served.answer("token", status, body, times=None)
    with pytest.raises(error) as caught:
        served.hook.destroy_records(KEYS[:1])
    assert served.entries("destroy_records") == []
    assert caught.value.detail is None
    assert SECRET not in str(caught.value)
    assert len(served.entries("token")) == (8 if error is NotSentError else 1)


@pytest.mark.parametrize(
    ("expires_in", "lifetime"),
    [(3600, 3600), (1.5, 1.5), (None, None), ("3600", None), (True, None), (0, None), (-1, None), ([], None)],
)
def test_an_odd_lifetime_does_not_harm(expires_in: Any, lifetime: float | None) -> None:
    text = json.dumps({"access_token": "eyJ", "expires_in": expires_in})
    assert read_token(Response("token", 200, {}, text)).lifetime == lifetime


def test_errors_of_the_token_call_are_typed() -> None:
    with pytest.raises(NoAnswerError):
        read_token(Response("token", 408, {}, ""))
    with pytest.raises(UnreadableAnswerError):
        read_token(Response("token", 200, {}, "{"))


def test_many_threads_fetch_one_token(served: ServedOpus) -> None:
    results = in_threads(8, lambda: next(served.hook.iter_due_records(None, "2024-12-20")).row_key)
    assert results == [KEYS[0]] * 8
    assert len(served.entries("token")) == 1
