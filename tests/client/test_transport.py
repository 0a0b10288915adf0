"""The shared client over real sockets: answers, connections, redirects, proxies and TLS."""

from __future__ import annotations

import ssl
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import pytest
import urllib3

from airflow_provider_records import __version__
from airflow_provider_records.client import hook as hook_module
from airflow_provider_records.client import transport
from airflow_provider_records.exceptions import (
    AuthenticationError,
    ConfigurationError,
    InvalidRecordsError,
    NoAnswerError,
    NotSentError,
    VendorError,
    WrongAddressError,
)
from tests.client.raw_server import CountingServer, PlainHook, RawServer, ServedThing, free_port, in_threads, settings
from tests.conftest import Serve


@pytest.fixture
def thing(serve: Serve) -> ServedThing:
    return ServedThing(serve)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{}",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
                                    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\noops",
                                    b"what?\r\n\r\n", b""])  # fmt: skip
def test_a_cut_or_broken_answer_is_a_lost_one(answer: bytes) -> None:
    with RawServer(answer) as server:
        with pytest.raises(NoAnswerError):
            PlainHook("thing_default", settings(server.url)).delete()
        assert len(server.heads) == 1


def test_a_redirect_is_refused_without_following(thing: ServedThing) -> None:
    where = f"{thing.server.url}/thing/elsewhere/a"
    thing.fault(call="get", status=302, headers={"Location": where, "Set-Cookie": "s=1"}, body="x" * 999, times=None)
    with pytest.raises(WrongAddressError, match="302"):
        thing.hook.get()
    assert (thing.count("get"), thing.count("elsewhere")) == (1, 0)


def test_a_redirect_without_end_or_with_a_broken_target_ends() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 3\r\n\r\nyes"
    with RawServer(head) as server, pytest.raises(WrongAddressError):
        PlainHook("thing_default", settings(server.url)).delete()


def test_cookies_are_not_kept(thing: ServedThing) -> None:
    thing.fault(call="get", headers={"Set-Cookie": "server=node1"}, times=None)
    thing.hook.get()
    thing.hook.get()
    assert [headers.get("cookie") for headers in thing.part.heard] == [None, None]


def test_netrc_is_not_read(thing: ServedThing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login stranger password stranger\n")
    monkeypatch.setenv("NETRC", str(netrc))
    plain = PlainHook("thing_default", thing.hook.settings)
    with pytest.raises(AuthenticationError):
        plain.get()
    assert [headers.get("authorization") for headers in thing.part.heard] == [None]


def test_a_huge_answer_ends(thing: ServedThing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_module, "LARGEST_RESPONSE", 1000)
    thing.fault(call="delete", status=200, body="x" * 1001)
    with pytest.raises(NoAnswerError, match="too large"):
        thing.hook.delete()


def test_an_answer_may_be_as_large_as_its_call_needs(thing: ServedThing) -> None:
    def size(number: int, **call: Any) -> int:
        thing.fault(call="get", status=200, body="x" * number)
        url = thing.hook.url("thing")
        return thing.hook.send("get", "GET", url, lambda response: len(response.text), **call)

    thing.hook.attempts = 1
    assert size(64 * 1024, repeatable=False) == 64 * 1024
    assert size(2 * 1024 * 1024, repeatable=True) == 2 * 1024 * 1024
    for number, call in ((64 * 1024 + 1, {"repeatable": False}), (2 * 1024 * 1024 + 1, {"repeatable": True})):
        with pytest.raises(NoAnswerError, match="too large"):
            size(number, **call)


def test_an_answer_without_pages_may_be_as_long_as_its_rows(thing: ServedThing) -> None:
    def rows(number: int) -> int:
        thing.fault(call="get", status=200, body={"data": ["x" * 1000] * number, "status": 200})
        url = thing.hook.url("thing")
        return thing.hook.send("get", "GET", url, lambda response: len(response.rows), repeatable=True, gather=list)

    thing.hook.attempts = 1
    assert rows(3000) == 3000
    with pytest.raises(NoAnswerError, match="too large"):
        rows(70_000)
    assert rows(3000) == 3000, "the one that failed has ended its turn"


@pytest.mark.parametrize(
    "slow",
    [
        {"status": 200, "body": "x" * 1000},
        {"raw": f"HTTP/1.1 200 OK\r\nX-Slow: {'x' * 1000}"},
        {"raw": "HTTP/1.1 100 Continue\r\n\r\n" * 100},
    ],
    ids=["body", "head", "before the head"],
)
def test_a_slow_answer_ends(thing: ServedThing, slow: dict[str, Any]) -> None:
    thing.fault(call="delete", **slow, drip_ms=20)
    begin = time.monotonic()
    with pytest.raises(NoAnswerError, match="the response was lost"):
        thing.another(timeout=0.4).delete()
    assert time.monotonic() - begin < 10


def test_all_pieces_of_a_request_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    class Socket:
        timeouts: ClassVar[list[float]] = []

        def settimeout(self, seconds: float) -> None:
            self.timeouts.append(seconds)

        def sendall(self, data: bytes) -> None:
            pass

    clock = iter(range(0, 100, 4))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    connection = transport._Connection("localhost", timeout=10)
    connection.sock = Socket()
    connection.request("POST", "/", [b"a"])  # head, body, and the end of the body
    assert Socket.timeouts == [10, 6, 2]
    with pytest.raises(urllib3.exceptions.ConnectTimeoutError):
        connection.send(b"c")


def test_a_byte_order_mark_is_no_harm() -> None:
    body = b'\xef\xbb\xbf{"a": 1}'
    with RawServer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as server:
        hook = PlainHook("thing_default", settings(server.url))
        assert hook.send("get", "GET", hook.url("a"), lambda answer: answer.json(), repeatable=False) == {"a": 1}


def test_connections_are_reused_after_full_and_empty_answers() -> None:
    with CountingServer() as server:
        hook = PlainHook("thing_default", settings(f"http://127.0.0.1:{server.port}"))
        assert [hook.get() for _ in range(10)] == [200, 204] * 5
        assert server.connections == 1


def test_threads_share_a_pool_of_the_size_of_the_concurrency() -> None:
    with CountingServer() as server:
        hook = PlainHook("thing_default", settings(f"http://127.0.0.1:{server.port}", max_concurrency=3))
        in_threads(12, lambda: [hook.get() for _ in range(10)])
        assert (server.requests, server.connections <= 3) == (120, True)


NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize("by_proxy", [False, True])
def test_a_path_is_sent_as_it_is_and_encoded_once(monkeypatch: pytest.MonkeyPatch, *, by_proxy: bool) -> None:
    with RawServer(NO_CONTENT) as server:
        base_url = server.url
        if by_proxy:
            through(monkeypatch, server.url)
            base_url = "http://records.invalid:81"
        hook = PlainHook("thing_default", settings(f"{base_url}/süd ost"))
        url = hook.url(hook_module.quoted("a/b?c%41"))
        hook.send("get", "GET", url, lambda answer: answer, repeatable=False, params={"at": "1 & 2"})
        target = server.heads[0].split()[1].decode()
        assert target == f"{base_url if by_proxy else ''}/s%C3%BCd%20ost/a%2Fb%3Fc%2541?at=1+%26+2"


def test_a_name_beyond_ascii_is_looked_up_as_the_net_writes_it() -> None:
    with pytest.raises(NotSentError, match="host name is unknown"):
        PlainHook("thing_default", settings("http://archiv-köln.invalid")).delete()


def test_a_closed_client_opens_anew() -> None:
    with CountingServer() as server:
        hook = PlainHook("thing_default", settings(f"http://127.0.0.1:{server.port}"))
        for _ in range(2):
            assert hook.get() + hook.get() == 404
            hook.transport.close()
        assert server.connections == 2


def through(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, proxy)


def test_an_answer_lost_behind_a_proxy_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(b"") as proxy:
        through(monkeypatch, proxy.url)
        with pytest.raises(NoAnswerError):
            PlainHook("thing_default", settings("http://records.invalid")).delete()
        assert [head.split()[:2] for head in proxy.heads] == [[b"DELETE", b"http://records.invalid/a"]]


def test_a_proxy_that_is_down_or_refuses_was_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    through(monkeypatch, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NotSentError):
        PlainHook("thing_default", settings("http://records.invalid")).delete()
    with RawServer(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as proxy:
        through(monkeypatch, proxy.url)
        with pytest.raises(NotSentError):
            PlainHook("thing_default", settings("https://records.invalid")).delete()
        assert {head.split()[0] for head in proxy.heads} == {b"CONNECT"}


def test_an_unknown_name_was_not_reached() -> None:
    with pytest.raises(NotSentError):
        PlainHook("thing_default", settings("http://records.invalid")).delete()


def test_what_cannot_be_sent_is_named() -> None:
    with pytest.raises(ConfigurationError, match="host"):
        PlainHook("thing_default", settings("http://a b")).get()
    hook = PlainHook("thing_default", settings("http://records.invalid"))
    with pytest.raises(InvalidRecordsError, match="JSON"):
        hook.send("submit", "POST", hook.url("x"), lambda a: a, repeatable=False, json={"n": float("nan")})


def test_tls_is_verified_unless_switched_off(authority: tuple[Path, ssl.SSLContext]) -> None:
    pem, context = authority
    with CountingServer(context) as server:
        url = f"https://127.0.0.1:{server.port}"
        with pytest.raises(NotSentError, match="not trusted; name the file of your CA in verify_tls"):
            PlainHook("thing_default", settings(url)).get()
        assert server.requests == 0
        assert PlainHook("thing_default", settings(url, verify=str(pem))).get() == 200
        with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            assert PlainHook("thing_default", settings(url, verify=False)).get() == 204


def test_a_missing_ca_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE"):
        PlainHook("thing_default", settings("https://127.0.0.1:9")).get()


def test_a_certificate_of_ours_is_shown_where_the_server_wants_one(authority: tuple[Path, ssl.SSLContext]) -> None:
    pem, context = authority
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pem)
    with CountingServer(context) as server:
        url = f"https://127.0.0.1:{server.port}"
        pair = (str(pem), str(pem.with_name("key.pem")))
        assert PlainHook("thing_default", settings(url, verify=str(pem), certificate=pair)).get() == 200
        none = PlainHook("thing_default", settings(url, verify=str(pem)))
        none.attempts = 1
        with pytest.raises(VendorError):
            none.get()
        assert server.requests == 1


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "SOCKS5h://u:q8Zt@127.0.0.1:9", "socks4://127.0.0.1:9"])
def test_a_socks_proxy_is_refused_in_words(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    through(monkeypatch, proxy)
    with pytest.raises(ConfigurationError, match="a SOCKS proxy cannot be used; name an HTTP proxy") as refused:
        PlainHook("thing_default", settings("https://records.invalid")).delete()
    assert "q8Zt" not in str(refused.value)


def test_requests_name_provider_and_airflow_with_their_versions(thing: ServedThing) -> None:
    thing.hook.get()
    (agent,) = {headers["user-agent"] for headers in thing.part.heard}
    assert agent == f"airflow-provider-records/{__version__} apache-airflow/{version('apache-airflow-core')}"
