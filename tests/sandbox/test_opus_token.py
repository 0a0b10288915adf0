"""The sandbox's Opus over HTTP: who gets a token, by secret or by signed assertion, and which calls it opens."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jwt
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from airflow_provider_records.sandbox.opus_token import ASSERTION
from tests.conftest import Serve
from tests.sandbox.opus_factory import Client, served


@pytest.fixture
def client(serve: Serve) -> Client:
    return served(serve)


class TestToken:
    def test_secret(self, client: Client) -> None:
        answer = client.token()
        assert answer.status_code == 200
        assert answer.json()["expires_in"] == 3600
        assert answer.json()["ext_expires_in"] == 3600
        client.fake.turn({"token_shape": "scope"})
        assert client.token().json()["scope"] == "records.readwrite.all"

    def test_no_secret_in_the_log(self, client: Client) -> None:
        client.token()
        assert (client.last.call, client.last.request) == ("token", "")

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"grant_type": "password"}, "unsupported_grant_type"),
            ({"grant_type": None}, "unsupported_grant_type"),
            ({"scope": "Records.ReadWrite.All"}, "invalid_scope"),
            ({"scope": None}, "invalid_scope"),
            ({"client_secret": "wrong"}, "invalid_client"),
            ({"client_secret": None}, "invalid_client"),
            ({"client_id": "other"}, "invalid_client"),
            ({"client_id": None}, "invalid_client"),
        ],
    )
    def test_refused(self, client: Client, changes: dict[str, str | None], error: str) -> None:
        answer = client.token(**changes)
        assert (answer.status_code, answer.json()["error"]) == (400, error)

    def test_only_forms(self, client: Client) -> None:
        form = {
            "grant_type": "client_credentials",
            "scope": "records.readwrite.all",
            "client_id": client.fake.client_id,
            "client_secret": client.fake.client_secret,
        }
        assert requests.post(client.token_url, json=form, timeout=60).json()["error"] == "invalid_request"
        assert requests.post(client.token_url, params=form, timeout=60).status_code == 400
        assert requests.get(client.token_url, timeout=60).status_code == 405
        twice = [*form.items(), ("scope", "records.readwrite.all")]
        assert requests.post(client.token_url, data=twice, timeout=60).json()["error"] == "invalid_request"

    def test_calls_need_a_token(self, client: Client) -> None:
        good = client.session.headers["Authorization"]
        for wrong in ("Bearer nonsense", "Bearer ", str(good).removeprefix("Bearer "), str(good).lower()):
            client.session.headers["Authorization"] = wrong
            assert client.due().status_code == client.destroy("a").status_code == client.submit().status_code == 401
        assert client.status_of("a") == ["Active"]

    def test_tokens_expire(self, client: Client) -> None:
        client.fake.turn({"token_lifetime": 0.2})
        client.login()
        assert client.due().status_code == 200
        deadline = time.monotonic() + 5
        while client.due().status_code == 200:
            assert time.monotonic() < deadline
        assert client.due().status_code == 401

    def test_revoked(self, client: Client) -> None:
        client.fake.tokens.revoke()
        assert client.due().status_code == 401
        client.login()
        assert client.due().status_code == 200


@cache
def key_pair() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, usage: bool | None = True) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "records")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    if usage is not None:
        others = dict.fromkeys(
            ("content_commitment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"), False
        )
        extension = x509.KeyUsage(
            digital_signature=usage, key_encipherment=True, encipher_only=False, decipher_only=False, **others
        )
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class TestAssertion:
    @pytest.fixture
    def kid(self, client: Client) -> str:
        return client.fake.tokens.register(certificate(key_pair()))

    def ask(
        self,
        client: Client,
        kid: str,
        header: dict[str, Any] | None = None,
        form: dict[str, str | None] | None = None,
        key: Any = None,
        algorithm: str = "RS256",
        **changes: Any,
    ) -> requests.Response:
        now = int(time.time())
        claims = {
            "iss": client.fake.client_id,
            "sub": client.fake.client_id,
            "aud": client.token_url,
            "jti": str(uuid.uuid4()),
            "nbf": now,
            "exp": now + 300,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        signed = jwt.encode(claims, key or key_pair(), algorithm, {"kid": kid, **(header or {})})
        asked = {"client_secret": None, "client_assertion_type": ASSERTION, "client_assertion": signed}
        return client.token(**{**asked, **(form or {})})

    def test_works(self, client: Client, kid: str) -> None:
        assert len(kid) == 40
        assert kid == kid.upper()
        token = self.ask(client, kid).json()["access_token"]
        client.session.headers["Authorization"] = f"Bearer {token}"
        assert client.due().status_code == 200
        assert self.ask(client, kid, form={"client_id": None}).status_code == 200

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "https://identity.avepointonlineservices.com/connect/token"},
            {"aud": None},
            {"iss": "other"},
            {"sub": "other"},
            {"jti": None},
            {"jti": "7"},
            {"nbf": None},
            {"nbf": int(time.time()) + 86400},  # far off: parameters are made long before the test runs
            {"exp": None},
            {"exp": int(time.time()) - 1},
            {"exp": int(time.time()) + 86400},
            {"header": {"kid": "00"}},
            {"header": {"typ": "at+jwt"}},
            {"algorithm": "RS512"},
            {"algorithm": "HS256", "key": "k" * 64},
            {"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
            {"form": {"client_id": "other"}},
            {"form": {"client_assertion": "no.jwt.atall"}},
            {"form": {"client_assertion": ""}},
        ],
    )
    def test_refused(self, client: Client, kid: str, changes: dict[str, Any]) -> None:
        answer = self.ask(client, kid, **changes)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")

    def test_lower_case_kid_is_not_the_thumbprint(self, client: Client, kid: str) -> None:
        assert self.ask(client, kid.lower()).status_code == 400

    def test_jti_is_good_once(self, client: Client, kid: str) -> None:
        jti = str(uuid.uuid4())
        assert [self.ask(client, kid, jti=jti).status_code for _ in range(2)] == [200, 400]

    def test_malformed(self, client: Client, kid: str) -> None:
        for form in ({"client_assertion_type": "jwt"}, {"client_assertion_type": None}, {"client_secret": "both"}):
            assert self.ask(client, kid, form=dict(form)).json()["error"] == "invalid_request"

    def test_certificates_that_cannot_sign(self, client: Client) -> None:
        for wrong in (
            certificate(key_pair(), usage=False),
            certificate(key_pair(), usage=None),
            certificate(ec.generate_private_key(ec.SECP256R1())),
        ):
            with pytest.raises(ValueError, match="Digital Signature"):
                client.fake.tokens.register(wrong)
