"""The three kinds of connections in Airflow's own form: its fields, its Test button, and its masks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from playwright.sync_api import Locator, Page, expect

from airflow_provider_records.get_provider_info import get_provider_info
from airflow_provider_records.sandbox.build import connections
from airflow_provider_records.sandbox.opus import FakeOpus
from tests.browser.conftest import SignIn, Site, look

pytestmark = pytest.mark.system

INFO: dict[str, Any] = get_provider_info()
FORMS = {block["connection-type"]: block for block in INFO["connection-types"]}
WRONG = "Wrong-but-secret-81"


def begin(page: Page, conn_id: str, kind: str) -> Locator:
    """Open the form and choose the type."""
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Connection ID").fill(conn_id)
    form.get_by_label("Connection Type").fill(FORMS[kind]["hook-name"])
    page.get_by_role("option", name=FORMS[kind]["hook-name"]).click()
    return form


def standard(form: Locator, kind: str, field: str) -> Locator:
    names = {"host": "Host", "port": "Port", "login": "Login", "password": "Password"}
    return form.get_by_label(FORMS[kind]["ui-field-behaviour"]["relabeling"].get(field, names[field]), exact=True)


def fill(form: Locator, kind: str, made: dict[str, Any], password: str) -> None:
    """Fill in a connection to the sandbox."""
    host = urlsplit(made["host"])
    for field, text in (
        ("host", f"{host.scheme}://{host.hostname}{host.path}"),
        ("port", str(host.port)),
        ("login", made["login"]),
        ("password", password),
    ):
        standard(form, kind, field).fill(text)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for field, text in made["extra"].items():
        form.locator(f"[name=element_{field}]").fill(text)


def save(form: Locator) -> None:
    form.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)


def reopen(page: Page, conn_id: str) -> Locator:
    page.get_by_role("row").filter(has_text=conn_id).get_by_role("button", name="Edit Connection").click()
    return page.get_by_role("dialog")


def press_test(page: Page, conn_id: str, title: str, words: str) -> None:
    """Press the Test button and read what Airflow shows."""
    row = page.get_by_role("row").filter(has_text=conn_id)
    with page.expect_response("**/connections/test") as answer:
        row.get_by_role("button", name="Test Connection").click()
    assert words in answer.value.json()["message"]
    said = page.locator("[data-scope=toast][data-part=root]").filter(has_text=title)
    expect(said.first).to_contain_text(words)
    look(page, f"test-{conn_id}-{title.rsplit(maxsplit=1)[-1].lower()}")


def assert_hidden(page: Page, site: Site, conn_id: str, *secrets: str) -> None:
    """No secret is on the page, in the API's answer, or in any log."""
    answer = site.api().call("GET", f"connections/{conn_id}")
    assert answer["password"] in {None, "***"}
    logs = [path.read_text(errors="replace") for path in site.home.rglob("*.log")]
    for secret in secrets:
        assert not any(secret in text for text in (page.content(), str(answer), *logs))


@pytest.mark.parametrize(
    ("kind", "accepted", "refused"),
    [
        ("opus", "Token accepted, and Opus showed the due list", "check client id and client secret"),
        ("enaio", "Connected; DMS service 6.2.1", "the credentials were refused (HTTP 401)"),
        ("unifier", "Signed in, and the documents", "login must be an active Integration User"),
    ],
)
def test_a_connection(page: Page, site: Site, kind: str, accepted: str, refused: str) -> None:
    made = connections(site.sandbox, site.url)[f"{kind}_default"]
    conn_id = f"{kind}_form"
    form = begin(page, conn_id, kind)
    look(page, f"form-{kind}")
    fill(form, kind, made, WRONG)
    for name, about in FORMS[kind]["conn-fields"].items():
        expect(form.get_by_text(about["label"], exact=True)).to_be_visible()
        expect(form.get_by_text(about["description"], exact=True)).to_be_visible()
        if name not in made["extra"] and "enum" not in about["schema"]:
            expect(form.locator(f"[name=element_{name}]")).to_have_value(str(about["schema"].get("default", "")))
    look(page, f"form-{kind}-extras")
    save(form)
    press_test(page, conn_id, "Test Connection Failed", refused)
    form = reopen(page, conn_id)
    password = standard(form, kind, "password")
    expect(password).to_have_value("***")
    expect(password).to_have_attribute("type", "password")
    look(page, f"form-{kind}-again")
    password.fill(made["password"])
    save(form)
    press_test(page, conn_id, "Test Connection Successful", accepted)
    # Saving the form with its masks keeps the secret.
    form = reopen(page, conn_id)
    form.get_by_label("Description").fill("seen again")
    save(form)
    press_test(page, conn_id, "Test Connection Successful", accepted)
    assert_hidden(page, site, conn_id, WRONG, made["password"])


def test_regions_and_clouds_are_chosen_by_name(page: Page, site: Site) -> None:
    form = begin(page, "opus_region", "opus")
    standard(form, "opus", "login").fill("somebody")
    standard(form, "opus", "password").fill(WRONG)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.locator("#element_region").click()
    for name in ("West Europe (we)", "Google Cloud, Japan (gcp-jp)", "US Government (gov)", "FedRAMP (fedramp)"):
        expect(page.get_by_role("option", name=name, exact=True)).to_be_attached()
    look(page, "form-opus-regions")
    page.get_by_role("option", name="US Government (gov)").click()
    # Another cloud can be typed, and the known ones are offered.
    offered = form.locator("#list_identity_url option")
    expect(offered).to_have_count(4)
    form.locator("#element_identity_url").fill(f"{site.url}/nowhere")
    save(form)
    stored = site.api().call("GET", "connections/opus_region")
    assert re.search(r'"region": "gov"', stored["extra"])
    assert f"{site.url}/nowhere" in stored["extra"]


def test_a_private_key_instead_of_a_secret(sign_in: SignIn, site: Site) -> None:
    key, certificate = key_and_certificate()
    opus = site.sandbox.vendors["opus"]
    assert isinstance(opus, FakeOpus)
    thumbprint = opus.tokens.register(certificate)
    made = connections(site.sandbox, site.url)["opus_default"]
    page = sign_in()
    form = begin(page, "opus_key", "opus")
    fill(form, "opus", made, "")
    form.locator("#element_private_key").fill(key)
    expect(form.locator("#element_private_key")).to_have_attribute("type", "password")
    form.locator("#element_certificate_thumbprint").fill(thumbprint)
    save(form)
    press_test(page, "opus_key", "Test Connection Successful", "Token accepted")
    form = reopen(page, "opus_key")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    expect(form.locator("#element_private_key")).to_have_value("***")
    assert_hidden(page, site, "opus_key", *key.splitlines()[1:-1])


def key_and_certificate() -> tuple[str, bytes]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "records")])
    usage = x509.KeyUsage(True, *[False] * 8)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return pem, certificate.public_bytes(serialization.Encoding.PEM)
