"""The sandbox's Unifier over HTTP: who gets a token from which call, and which calls it opens."""

from __future__ import annotations

import pytest
import requests

from tests.conftest import Serve
from tests.sandbox.unifier_factory import Client, served


@pytest.fixture
def client(serve: Serve) -> Client:
    return served(serve)


def test_login_is_flat(client: Client) -> None:
    answer = client.login()
    assert answer.status_code == 200
    assert set(answer.json()) == {"token", "status", "expiryDate", "expiryTime", "Timezone"}
    assert answer.json()["status"] == 200


def test_token_v2_of_both_users(client: Client) -> None:
    basic = client.login("/v2/auth/token").json()
    assert basic["data"]["auth_type"] == "Basic"
    assert basic["data"]["expires_in"] == 180 * 86400
    assert {"expiryDate", "expiryTime", "Timezone"} <= set(basic["data"])
    assert (basic["message"], basic["status"]) == ([], 200)
    oauth = client.login("/v2/auth/token", oauth=True).json()["data"]
    assert set(oauth) == {"access_token", "expires_in", "token_type", "auth_type"}
    assert (oauth["expires_in"], oauth["token_type"], oauth["auth_type"]) == (3600, "Bearer", "oAuth")


def test_every_token_opens_calls(client: Client) -> None:
    tokens = [
        client.login().json()["token"],
        client.login("/v2/auth/token").json()["data"]["access_token"],
        client.login("/v2/auth/token", oauth=True).json()["data"]["access_token"],
        client.login("/v1/oauth/token", oauth=True).json()["access_token"],
    ]
    assert len(set(tokens)) == 4
    for client.token in tokens:
        assert client.call("GET", "/admin/projectshell").status_code == 200


def test_oauth_expiry_is_asked_in_seconds(client: Client) -> None:
    assert client.login("/v2/auth/token", oauth=True, expiry="60").json()["data"]["expires_in"] == 60
    refused = client.login("/v2/auth/token", oauth=True, expiry="soon")
    assert (refused.status_code, refused.json()["message"]) == (400, "Invalid expiry.")
    assert client.login("/v2/auth/token", expiry="60").status_code == 400


@pytest.mark.parametrize("path", ["/v1/login", "/v2/auth/token", "/v1/oauth/token"])
def test_wrong_credentials_are_refused(client: Client, path: str) -> None:
    url, right = client.base + path, (client.fake.user, client.fake.password)
    assert requests.get(url, timeout=60).status_code == 401
    assert requests.get(url, auth=(right[0], "wrong"), timeout=60).status_code == 401
    assert requests.get(url, auth=("somebody", right[1]), timeout=60).status_code == 401
    assert requests.get(url, headers={"Authorization": "Basic ***"}, timeout=60).status_code == 401
    assert requests.get(url, headers={"Authorization": f"Bearer {right[1]}"}, timeout=60).status_code == 401
    client.fake.tokens.disabled = {client.fake.user, client.fake.oauth_user}
    assert client.login(path).status_code == 401
    assert client.login(path, oauth=True).status_code == 401
    assert not client.fake.tokens.issued


def test_each_user_has_its_call(client: Client) -> None:
    assert client.login("/v1/login", oauth=True).status_code == 401
    assert client.login("/v1/oauth/token").status_code == 401


@pytest.mark.parametrize("path", ["/v1/login", "/v2/auth/token", "/v1/oauth/token"])
def test_token_calls_are_get_only_and_log_no_body(client: Client, path: str) -> None:
    user = (client.fake.oauth_user, client.fake.password)
    answer = requests.post(client.base + path, auth=user, data={"password": user[1]}, timeout=60)
    assert answer.status_code == 405
    assert client.server.sandbox.log[-1].request == ""
    assert client.server.sandbox.log[-1].call in {"login", "token_v2", "oauth_token"}


def test_calls_need_a_bearer_token(client: Client) -> None:
    url, token = f"{client.base}/v1/admin/projectshell", client.login().json()["token"]
    for value in ("", f"Basic {token}", f"bearer {token}", "Bearer ", f"Bearer {token}x"):
        answer = requests.get(url, headers={"Authorization": value}, timeout=60)
        assert (answer.status_code, answer.text) == (401, "Unauthorized"), value
    assert requests.get(url, auth=(client.fake.user, client.fake.password), timeout=60).status_code == 401
    assert requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60).status_code == 200


def test_token_ends(client: Client) -> None:
    client.fake.turn({"token_lifetime": 0.0, "oauth_lifetime": 7200})
    assert client.call("GET", "/admin/projectshell").status_code == 401
    oauth = client.login("/v2/auth/token", oauth=True).json()["data"]
    assert oauth["expires_in"] == 7200
    client.token = oauth["access_token"]
    assert client.call("GET", "/admin/projectshell").status_code == 200
    client.fake.tokens.issued.clear()
    assert client.call("GET", "/admin/projectshell").status_code == 401


def test_disabled_user_loses_the_token(client: Client) -> None:
    assert client.call("GET", "/admin/projectshell").status_code == 200
    client.fake.tokens.disabled.add(client.fake.user)
    assert client.call("GET", "/admin/projectshell").status_code == 401


@pytest.mark.parametrize(("one_token", "status"), [(False, 200), (True, 401)])
def test_one_token_or_many_per_user(client: Client, one_token: bool, status: int) -> None:
    client.fake.turn({"one_token": one_token})
    client.token = client.login().json()["token"]
    client.login("/v1/oauth/token", oauth=True)
    assert client.call("GET", "/admin/projectshell").status_code == 200
    client.login()
    assert client.call("GET", "/admin/projectshell").status_code == status


@pytest.mark.parametrize("path", ["/v2/auth/token", "/v1/oauth/token"])
def test_tenant_headers_are_given_and_demanded(client: Client, path: str) -> None:
    client.fake.turn({"tenant_headers": True})
    answer = client.login(path, oauth=True).json()
    told = answer.get("data", answer)
    client.token = told.get("access_token") or told["token"]
    assert told["endpoint"] == f"{client.server.url}/unifier"
    assert isinstance(told.get("expire", ""), str)
    headers = told["request_headers"]
    assert set(headers) == {"x-unifier-tenant-code", "x-unifier-tenant"}
    assert client.call("GET", "/admin/projectshell").status_code == 401
    wrong = {**headers, "x-unifier-tenant": "other"}
    assert client.call("GET", "/admin/projectshell", headers=wrong).status_code == 401
    assert client.call("GET", "/admin/projectshell", headers=headers).status_code == 200
