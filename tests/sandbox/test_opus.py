"""The stand-in for Opus, over HTTP with plain requests: every call, every switch, every refusal."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
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

from airflow_provider_records.sandbox.core import Entry, Fault, Server, Stage
from airflow_provider_records.sandbox.opus import SWITCHES, OpusPart
from airflow_provider_records.sandbox.opus_token import ASSERTION
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR, UNIFIER_CONNECTOR, Item

NOW = "2026-01-01T00:00:00"


def item(key: str, *, trouble: str = "", due: str = "2025-01-01T00:00:00", connector: str = ENAIO_CONNECTOR) -> Item:
    return Item(
        key=key,
        title=f"{key} Müller.pdf",
        classification="Personnel/Contracts",
        created="2014-12-19 18:15:00",
        modified="2014-12-20 18:15:00",
        author="jane.doe",
        due=due,
        connector_id=connector,
        system="enaio",
        target_id=key,
        folder_id="1",
        folder_path="/",
        trouble=trouble,
    )


SEED = [
    item("a"),
    item("b"),
    item("held", trouble="held"),
    item("review", trouble="under_review"),
    item("later", due="2999-01-01T00:00:00"),
    item("c"),
    item("node", connector=UNIFIER_CONNECTOR),
]


@dataclass
class Client:
    part: OpusPart
    server: Server
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def token_url(self) -> str:
        return f"{self.server.url}/opus/connect/token"

    @property
    def url(self) -> str:
        return f"{self.server.url}/opus/records/connector/records"

    @property
    def last(self) -> Entry:
        return self.server.stage.log[-1]

    def token(self, **changes: str | None) -> requests.Response:
        form = {
            "grant_type": "client_credentials",
            "scope": "records.readwrite.all",
            "client_id": self.part.client_id,
            "client_secret": self.part.client_secret,
            **changes,
        }
        return requests.post(self.token_url, data=form, timeout=5)

    def login(self) -> None:
        self.session.headers["Authorization"] = f"Bearer {self.token().json()['access_token']}"

    def due(self, **changes: Any) -> requests.Response:
        query = {"id": ENAIO_CONNECTOR, "disposalDueDate": NOW, "itemsPerPage": "100", **changes}
        return self.session.get(self.url, params=query, timeout=5)

    def destroy(self, *ids: str) -> requests.Response:
        return self.session.delete(self.url, json={"disposalIds": list(ids)}, timeout=5)

    def submit(self, *records: dict[str, Any], **changes: Any) -> requests.Response:
        body = {"id": ENAIO_CONNECTOR, "conflictOption": "Skip", "data": list(records), **changes}
        return self.session.post(self.url, json=body, timeout=5)

    def pages(self, size: int, **changes: Any) -> list[list[str]]:
        pages, cursor = [], ""
        while True:
            body = self.due(itemsPerPage=size, startIndex=cursor, **changes).json()
            pages.append([record["rowKey"] for record in body["queriedItems"]])
            cursor = body.get("startIndex") or ""
            if not cursor:
                return pages

    def status_of(self, key: str) -> list[str]:
        return [record.status for record in self.part.records(key)]

    def effects(self, effect: str) -> list[str]:
        return self.server.stage.effects("opus", effect)


@pytest.fixture
def client() -> Iterator[Client]:
    part = OpusPart()
    part.load(SEED)
    with Server(Stage([part])) as server:
        made = Client(part, server)
        made.login()
        yield made


def submitted(key: str, **changes: Any) -> dict[str, Any]:
    return {
        "rowKey": key,
        "leafName": "New.pdf",
        "termFullPath": "Personnel/Contracts",
        "timeCreated": "2014-12-19 18:15:00",
        "timeModified": "2014-12-19 18:15:00",
        "createdBy": "jane.doe",
        "modifiedBy": "jane.doe",
        **changes,
    }


class TestToken:
    def test_secret(self, client: Client) -> None:
        answer = client.token()
        assert answer.status_code == 200
        assert answer.json()["expires_in"] == 3600
        assert answer.json()["ext_expires_in"] == 3600
        client.part.turn({"token_shape": "scope"})
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
            "client_id": client.part.client_id,
            "client_secret": client.part.client_secret,
        }
        assert requests.post(client.token_url, json=form, timeout=5).json()["error"] == "invalid_request"
        assert requests.post(client.token_url, params=form, timeout=5).status_code == 400
        assert requests.get(client.token_url, timeout=5).status_code == 405
        twice = [*form.items(), ("scope", "records.readwrite.all")]
        assert requests.post(client.token_url, data=twice, timeout=5).json()["error"] == "invalid_request"

    def test_calls_need_a_token(self, client: Client) -> None:
        good = client.session.headers["Authorization"]
        for wrong in ("Bearer nonsense", "Bearer ", str(good).removeprefix("Bearer "), str(good).lower()):
            client.session.headers["Authorization"] = wrong
            assert client.due().status_code == client.destroy("a").status_code == client.submit().status_code == 401
        assert client.status_of("a") == ["Active"]

    def test_tokens_expire(self, client: Client) -> None:
        client.part.turn({"token_lifetime": 0.2})
        client.login()
        assert client.due().status_code == 200
        deadline = time.monotonic() + 5
        while client.due().status_code == 200:
            assert time.monotonic() < deadline
        assert client.due().status_code == 401

    def test_revoked(self, client: Client) -> None:
        client.part.tokens.revoke()
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
        return client.part.tokens.register(certificate(key_pair()))

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
            "iss": client.part.client_id,
            "sub": client.part.client_id,
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
                client.part.tokens.register(wrong)


class TestDueList:
    def test_shape(self, client: Client) -> None:
        body = client.due().json()
        assert body["statusCode"] == 200
        assert body["startIndex"] is None
        assert body["queriedItems"][0] == {
            "rowKey": "a",
            "leafName": "a Müller.pdf",
            "termFullPath": "Personnel/Contracts",
            "timeCreated": "2014-12-19 18:15:00 ",
            "timeModified": "2014-12-20 18:15:00 ",
            "createdBy": "jane.doe",
            "modifiedBy": "jane.doe",
        }

    def test_one_connection_and_only_what_is_due(self, client: Client) -> None:
        assert client.pages(100) == [["a", "b", "held", "review", "c"]]
        assert client.pages(100, id=UNIFIER_CONNECTOR.upper()) == [["node"]]

    def test_due_date_is_exclusive(self, client: Client) -> None:
        assert client.due(disposalDueDate="2025-01-01T00:00:00").status_code == 204
        assert client.due(disposalDueDate="2025-01-01T00:00:01").status_code == 200

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": None},
            {"id": "d9da492f-0000-4000-8000-6fbaae1f1410"},
            {"disposalDueDate": None},
            {"disposalDueDate": ""},
            {"disposalDueDate": "2026-01-01"},
            {"disposalDueDate": "2026-01-01T00:00:00Z"},
            {"disposalDueDate": "2026-01-01T00:00:00+01:00"},
            {"disposalDueDate": "2026-13-01T00:00:00"},
            {"itemsPerPage": None},
            {"itemsPerPage": 0},
            {"itemsPerPage": 101},
            {"itemsPerPage": "ten"},
            {"startIndex": "1"},
            {"startIndex": "+/!"},
            {"pageIndex": "1"},
        ],
    )
    def test_refused(self, client: Client, changes: dict[str, Any]) -> None:
        answer = client.due(**changes)
        assert (answer.status_code, answer.json()["statusCode"]) == (400, 400)
        assert answer.headers["request-id"]

    @pytest.mark.parametrize("form", SWITCHES["start_index"].values)
    @pytest.mark.parametrize("end", SWITCHES["last_page"].values)
    def test_pages(self, client: Client, form: str, end: str) -> None:
        client.part.turn({"start_index": form, "last_page": end})
        assert client.pages(2) == [["a", "b"], ["held", "review"], ["c"]]
        assert client.pages(5) == [["a", "b", "held", "review", "c"]]
        last = client.due().json()
        assert last.get("startIndex", "absent") == {"null": None, "empty": "", "absent": "absent"}[end]

    def test_opaque_cursor_belongs_to_its_query(self, client: Client) -> None:
        cursor = client.due(itemsPerPage=1).json()["startIndex"]
        assert client.due(itemsPerPage=1, startIndex=cursor).status_code == 200
        assert client.due(itemsPerPage=1, startIndex=cursor, disposalDueDate="2025-06-01T00:00:00").status_code == 400
        assert client.due(itemsPerPage=1, startIndex=cursor, id=UNIFIER_CONNECTOR).status_code == 400
        raw = f"{client.url}?id={ENAIO_CONNECTOR}&disposalDueDate={NOW}&itemsPerPage=1&startIndex={cursor}"
        assert client.session.get(raw, timeout=5).status_code == 400

    def test_query_case(self, client: Client) -> None:
        wrong = {"itemsPerPage": None, "itemsPerpage": "2"}
        assert client.due(**wrong).status_code == 200
        client.part.turn({"query_case": "exact"})
        assert client.due(**wrong).status_code == 400
        assert client.due().status_code == 200

    def test_zone(self, client: Client) -> None:
        bound = "2025-01-01T10:00:00"
        assert client.due(disposalDueDate=bound).status_code == 200
        client.part.turn({"zone": "tenant"})
        assert client.due(disposalDueDate=bound).status_code == 204
        assert client.due(disposalDueDate="2025-01-01T10:00:01").status_code == 200
        assert client.due(disposalDueDate="0001-01-01T00:00:00").status_code == 400

    def test_none_due(self, client: Client) -> None:
        early = "1970-01-01T00:00:00"
        assert (client.due(disposalDueDate=early).status_code, client.due(disposalDueDate=early).content) == (204, b"")
        client.part.turn({"none_due": "list"})
        assert client.due(disposalDueDate=early).json()["queriedItems"] == []

    def test_what_is_hidden(self, client: Client) -> None:
        client.destroy("a")
        client.part.decide("b", "reject")
        assert client.pages(100) == [["b", "held", "review", "c"]]
        for switch, value, expected in (
            ("list_rejected", False, ["held", "review", "c"]),
            ("list_held", False, ["review", "c"]),
            ("list_under_review", False, ["c"]),
            ("list_destroyed", True, ["a", "c"]),
        ):
            client.part.turn({switch: value})
            assert client.pages(100) == [expected]

    def test_repeated_cursor(self, client: Client) -> None:
        client.part.turn({"repeat_cursor": True})
        cursor = client.due(itemsPerPage=1).json()["startIndex"]
        assert client.due(itemsPerPage=1, startIndex=cursor).json()["startIndex"] == cursor

    @pytest.mark.parametrize("paging", SWITCHES["paging"].values)
    def test_overlap(self, client: Client, paging: str) -> None:
        client.part.turn({"overlap": True, "paging": paging})
        assert client.pages(2) == [["a", "b"], ["b", "held"], ["held", "review"], ["review", "c"]]
        assert client.pages(1) == [["a"], ["b"], ["held"], ["review"], ["c"]]

    @pytest.mark.parametrize("form", SWITCHES["start_index"].values)
    def test_empty_page(self, client: Client, form: str) -> None:
        client.part.turn({"empty_page": True, "start_index": form})
        assert client.pages(3) == [["a", "b", "held"], [], ["review", "c"]]

    def test_shrinking(self, client: Client) -> None:
        client.part.turn({"shrinking": True})
        assert client.pages(2) == [["a", "b"], ["held", "review"], ["c"]]
        assert client.effects("extended") == ["a", "held", "c"]
        assert client.pages(100) == [["b", "review"]]

    def test_offsets_miss_what_moves_up(self, client: Client) -> None:
        client.part.turn({"shrinking": True, "paging": "offset"})
        assert client.pages(2) == [["a", "b"], ["review", "c"]]


class TestDestroy:
    def test_marks(self, client: Client) -> None:
        answer = client.destroy("a", "node")
        assert (answer.status_code, answer.json()) == (200, {"statusCode": 200, "message": None})
        assert client.effects("marked") == ["a", "node"]
        assert client.status_of("a") == client.status_of("node") == ["Destroyed"]
        assert client.status_of("b") == ["Active"]

    def test_204(self, client: Client) -> None:
        client.part.turn({"success": "204"})
        answer = client.destroy("a")
        assert (answer.status_code, answer.content, client.effects("marked")) == (204, b"", ["a"])

    def test_again(self, client: Client) -> None:
        client.destroy("a")
        assert client.destroy("a", "b").status_code == 200
        assert (client.effects("marked"), client.effects("marked_again")) == (["a", "b"], ["a"])
        client.part.turn({"second_delete": "refused"})
        assert client.destroy("a", "c").json()["failedItems"] == ["a"]
        assert (client.effects("marked"), client.effects("marked_again")) == (["a", "b", "c"], ["a"])

    @pytest.mark.parametrize("body", [None, b"", b"{}", b"[]", b'{"disposalIds": ["a"]', b'{"ids": ["a"]}'])
    def test_a_body_is_demanded(self, client: Client, body: bytes | None) -> None:
        answer = client.session.delete(client.url, data=body, headers={"Content-Type": "application/json"}, timeout=5)
        assert answer.status_code == 400

    def test_query_or_form_instead_of_a_body(self, client: Client) -> None:
        ids = {"disposalIds": "a"}
        assert client.session.delete(client.url, params=ids, timeout=5).status_code == 400
        assert client.session.delete(client.url, data=ids, timeout=5).status_code == 400
        assert client.session.delete(client.url, json={"disposalIds": ["a"]}, params=ids, timeout=5).status_code == 400
        text = {"Content-Type": "text/plain"}
        assert client.session.delete(client.url, data=b'{"disposalIds": ["a"]}', headers=text).status_code == 400
        assert client.status_of("a") == ["Active"]

    @pytest.mark.parametrize("ids", [[], "a", None, [1], [""], ["a", "a"], [["a"]]])
    def test_malformed_ids(self, client: Client, ids: Any) -> None:
        answer = client.session.delete(client.url, json={"disposalIds": ids}, timeout=5)
        assert answer.status_code == 400
        assert client.status_of("a") == ["Active"]

    def test_no_connection_id(self, client: Client) -> None:
        body = {"id": ENAIO_CONNECTOR, "disposalIds": ["a"]}
        assert client.session.delete(client.url, json=body, timeout=5).status_code == 400

    def test_sixteen(self, client: Client) -> None:
        keys = [f"more-{number}" for number in range(16)]
        client.part.load([item(key) for key in keys])
        assert client.destroy(*keys).status_code == 400
        assert client.effects("marked") == []
        assert client.destroy(*keys[:15]).status_code == 200
        client.part.turn({"sixteen": "processed"})
        assert client.destroy(*keys).status_code == 200
        assert len(client.effects("marked")) == 16

    def test_refused_per_item(self, client: Client) -> None:
        client.part.decide("b", "reject")
        answer = client.destroy("a", "held", "review", "later", "gone", "b", "c")
        assert answer.status_code == 418
        assert answer.json() == {
            "statusCode": 418,
            "message": None,
            "failedItems": ["held", "review", "later", "gone", "b"],
        }
        assert client.effects("marked") == ["a", "c"]

    def test_decisions(self, client: Client) -> None:
        client.part.decide("held", "release")
        client.part.decide("review", "approve")
        assert client.destroy("held", "review").status_code == 200
        client.part.decide("a", "hold")
        client.part.decide("b", "review")
        assert client.destroy("a", "b").json()["failedItems"] == ["a", "b"]
        for key, decision in (("a", "destroy"), ("nobody", "approve")):
            with pytest.raises(ValueError, match=f"'{decision if key == 'a' else key}'"):
                client.part.decide(key, decision)

    @pytest.mark.parametrize(
        ("where", "status", "code"),
        [("line_and_body", 418, 418), ("line", 418, None), ("body", 200, 418), ("neither", 200, 200)],
    )
    def test_where_418_stands(self, client: Client, where: str, status: int, code: int | None) -> None:
        client.part.turn({"partial": where})
        answer = client.destroy("a", "held")
        assert (answer.status_code, answer.json().get("statusCode")) == (status, code)
        assert answer.json()["failedItems"] == ["held"]

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ("strings", ["held"]),
            ("objects", [{"rowKey": "held", "reason": "on hold"}]),
            ("unreadable", [{"index": 1}]),
            ("empty", []),
            ("absent", None),
        ],
    )
    def test_failed_items(self, client: Client, shape: str, expected: Any) -> None:
        client.part.turn({"failed_items": shape})
        assert client.destroy("a", "held").json().get("failedItems") == expected
        assert client.effects("marked") == ["a"]

    def test_whole_call_refused(self, client: Client) -> None:
        client.part.turn({"unapproved": "call_418"})
        assert client.destroy("a", "held").json()["failedItems"] == ["a", "held"]
        client.part.turn({"unapproved": "call_400"})
        assert client.destroy("a", "held").status_code == 400
        assert client.effects("marked") == []
        assert client.destroy("a", "b").status_code == 200

    def test_key_in_two_connections(self, client: Client) -> None:
        client.part.load([item("a", connector=UNIFIER_CONNECTOR), item("b", connector=UNIFIER_CONNECTOR)])
        client.destroy("a")
        assert client.status_of("a") == ["Destroyed", "Destroyed"]
        client.part.turn({"shared_key": "first"})
        client.destroy("b")
        assert client.status_of("b") == ["Destroyed", "Active"]

    def test_lost_answer_after_acting(self, client: Client) -> None:
        client.server.stage.faults.append(Fault(vendor="opus", call="destroy_records", drop=True))
        with pytest.raises(requests.ConnectionError):
            client.destroy("a")
        assert client.effects("marked") == ["a"]
        assert client.destroy("a").status_code == 200
        assert (client.effects("marked"), client.effects("marked_again")) == (["a"], ["a"])

    def test_lost_before_acting(self, client: Client) -> None:
        client.server.stage.faults.append(Fault(vendor="opus", call="destroy_records", drop=True, act=False))
        with pytest.raises(requests.ConnectionError):
            client.destroy("a")
        assert client.status_of("a") == ["Active"]


class TestSubmit:
    def test_new(self, client: Client) -> None:
        answer = client.submit(submitted("new", **{"_Number_%20_Column": 7}), submitted("plain", termFullPath=""))
        assert (answer.status_code, answer.json()) == (201, {"statusCode": 201, "message": None})
        assert client.effects("submitted") == ["new", "plain"]
        (new,) = client.part.records("new")
        assert (new.review, new.due, new.columns) == ("under_review", "2024-12-19T18:15:00", {"_Number_%20_Column": 7})
        assert client.destroy("new").json()["failedItems"] == ["new"]
        client.part.decide("new", "approve")
        assert client.destroy("new").status_code == 200
        assert "termFullPath" not in client.due().json()["queriedItems"][-1]

    def test_conflicts(self, client: Client) -> None:
        client.part.decide("a", "hold")
        client.submit(submitted("a"))
        assert client.part.records("a")[0].leafName == "a Müller.pdf"
        client.submit(submitted("a"), conflictOption="Overwrite")
        (record,) = client.part.records("a")
        assert (record.leafName, record.held, record.review) == ("New.pdf", True, "approved")
        assert (client.effects("submitted"), client.effects("overwritten")) == ([], ["a"])

    def test_partial(self, client: Client) -> None:
        client.destroy("a")
        answer = client.submit(submitted("a"), submitted("x", termFullPath="No/Such/Term"), submitted("y"))
        assert (answer.status_code, answer.json()["failedItems"]) == (418, ["a", "x"])
        assert client.effects("submitted") == ["y"]
        client.part.turn({"partial": "body"})
        answer = client.submit(submitted("a"))
        assert (answer.status_code, answer.json()["statusCode"]) == (201, 418)

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": "d9da492f-0000-4000-8000-6fbaae1f1410"},
            {"id": None},
            {"conflictOption": "skip"},
            {"conflictOption": ["Skip"]},
            {"confilictOption": "Skip"},
            {"data": []},
            {"data": {}},
            {"data": ["a"]},
            {"data": [submitted("x"), submitted("x")]},
            {"data": [submitted(f"x{number}") for number in range(16)]},
            {"data": [submitted("")]},
            {"data": [submitted("x", createdBy=None)]},
            {"data": [submitted("x", timeCreated="2014-12-19T18:15:00")]},
        ],
    )
    def test_refused(self, client: Client, changes: dict[str, Any]) -> None:
        assert client.submit(submitted("x"), **changes).status_code == 400
        assert client.effects("submitted") == []


def test_every_request_is_logged(client: Client) -> None:
    for method, url, status in (
        ("PUT", client.url, 405),
        ("DELETE", client.token_url, 405),
        ("GET", client.url.replace("connector", "connectors"), 404),
    ):
        assert client.session.request(method, url, timeout=5).status_code == status
        assert (client.last.vendor, client.last.method, client.last.status) == ("opus", method, status)


def test_state_shows_every_record(client: Client) -> None:
    client.destroy("a")
    state = requests.get(f"{client.server.url}/_sandbox/state", timeout=5).json()["opus"]["connections"]
    assert {record["rowKey"]: record["status"] for record in state[ENAIO_CONNECTOR]}["a"] == "Destroyed"
    assert [record["rowKey"] for record in state[UNIFIER_CONNECTOR]] == ["node"]


def test_load_twice_adds(client: Client) -> None:
    client.part.load([replace(SEED[0], key="again")])
    assert client.pages(100) == [["a", "b", "held", "review", "c", "again"]]
