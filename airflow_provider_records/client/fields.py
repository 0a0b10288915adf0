"""The extra fields of the connections: one model for the checks, Airflow's form, and the documentation's table.

Plain data without any import of Airflow: ``get_provider_info`` is read by every component of Airflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GREATEST_NUMBER = 86400
OPUS_REGIONS = {
    "au": "Australia",
    "ca": "Canada",
    "fr": "France",
    "de": "Germany",
    "jp": "Japan",
    "kr": "Korea",
    "ne": "North Europe",
    "qa": "Qatar",
    "sg": "Singapore",
    "za": "South Africa",
    "ch": "Switzerland",
    "uae": "United Arab Emirates",
    "uk": "United Kingdom",
    "us": "United States",
    "we": "West Europe",
    "gcp-au": "Google Cloud, Australia",
    "gcp-jp": "Google Cloud, Japan",
    "gcp-kr": "Google Cloud, Korea",
    "gcp-us": "Google Cloud, United States",
    "gcp-we": "Google Cloud, West Europe",
    "gov": "US Government",
    "aos2": "AOS2",
    "fedramp": "FedRAMP",
}
"""AvePoint's data centres and clouds by their codes ("Use AvePoint Graph API")."""
OPUS_IDENTITY_URL = "https://identity.avepointonlineservices.com/connect/token"
OPUS_IDENTITY_URLS = {
    "gov": "https://identity-gov.avepointonlineservices.com/connect/token",
    "aos2": "https://identity-aos2.avepointonlineservices.com/connect/token",
    "fedramp": "https://identity.online15.net/connect/token",
}
"""Where tokens are fetched in the clouds that are not the commercial one."""


@dataclass(frozen=True)
class Field:
    """One extra field of a connection.

    :param name: its name among the extras.
    :param label: its name in Airflow's form.
    :param description: what it is for.
    :param type: ``text``; ``path`` (text that begins with a slash); ``file`` (path of an existing file); ``number`` or
        ``integer`` (also given as text); ``tls`` (true, false, or the path of a CA file).
    :param default: what an empty field means; None: nothing.
    :param minimum: the smallest number; the greatest one is ``GREATEST_NUMBER``.
    :param choices: the texts that it may hold, each with its name in the form; empty: any text.
    :param examples: what the form suggests.
    :param secret: the form hides it, and its name must be one that Airflow masks.
    """

    name: str
    label: str
    description: str
    type: str = "text"
    default: str | float | None = None
    minimum: float = 0.001
    choices: Mapping[str, str] | None = None
    examples: tuple[str, ...] = ()
    secret: bool = False

    def form(self) -> dict[str, Any]:
        """Return the field as Airflow's form wants it (``conn-fields``)."""
        is_number = self.type in ("number", "integer")
        schema: dict[str, Any] = {"type": [self.type if is_number else "string", "null"]}
        if is_number:
            schema |= {"minimum": self.minimum, "maximum": GREATEST_NUMBER}
        if self.default is not None:
            schema["default"] = self.default
        if self.choices:
            schema["enum"] = list(self.choices)
            schema["values_display"] = {code: f"{name} ({code})" for code, name in self.choices.items()}
        if self.examples:
            schema["examples"] = list(self.examples)
        if self.secret:
            schema["format"] = "password"
        return {"label": self.label, "schema": schema, "description": self.description}


TIMEOUT = Field(
    "timeout",
    "Timeout (s)",
    "Seconds to wait for a connection and for an answer.",
    type="number",
    default=60,
)
MAX_CONCURRENCY = Field(
    "max_concurrency",
    "Requests at once",
    "Requests in flight at most, per task; mapped tasks add up: bound them by an Airflow pool.",
    type="integer",
    default=8,
    minimum=1,
)
REQUESTS_PER_SECOND = Field(
    "requests_per_second",
    "Requests per second",
    "Limit over all threads of one task; empty: none.",
    type="number",
)
VERIFY_TLS = Field(
    "verify_tls",
    "Verify TLS",
    "true, false, or the path of a CA file on the workers.",
    type="tls",
    default="true",
    examples=("true", "false"),
)
CLIENT_CERT = Field(
    "client_cert",
    "Client certificate (file)",
    "For mutual TLS: path of the client's certificate (PEM) on the workers.",
    type="file",
)
CLIENT_KEY = Field(
    "client_key",
    "Client key (file)",
    "Path of its private key (PEM, not encrypted) on the workers; empty: it is in the same file.",
    type="file",
)
COMMON = (TIMEOUT, MAX_CONCURRENCY, REQUESTS_PER_SECOND, VERIFY_TLS, CLIENT_CERT, CLIENT_KEY)

REGION = Field(
    "region",
    "Region or cloud",
    "AvePoint's data centre; stands for the API host and its identity URL, so leave these empty.",
    choices=OPUS_REGIONS,
)
IDENTITY_URL = Field(
    "identity_url",
    "Identity URL",
    "Where tokens are fetched; empty: the identity service of the region's or host's cloud.",
    examples=(OPUS_IDENTITY_URL, *OPUS_IDENTITY_URLS.values()),
)
SCOPE = Field(
    "scope",
    "Scope",
    "The app registration's scope; covers list, submit and destroy.",
    default="records.readwrite.all",
)
PRIVATE_KEY = Field(
    "private_key",
    "Private key (PEM)",
    "Signs the assertion that replaces the client secret; leave that empty then.",
    secret=True,
)
CERTIFICATE_THUMBPRINT = Field(
    "certificate_thumbprint",
    "Certificate thumbprint",
    "SHA-1 thumbprint (hex) of the certificate that belongs to the private key.",
)
CONNECTOR_ID = Field(
    "connector_id",
    "Connector id (GUID)",
    "Default connector connection: Opus, Settings, Connector, the connection's JSON file.",
)
OPUS = (REGION, IDENTITY_URL, SCOPE, PRIVATE_KEY, CERTIFICATE_THUMBPRINT, CONNECTOR_ID)

API_PREFIX = Field(
    "api_prefix",
    "API prefix",
    "Path of the DMS service behind the gateway.",
    default="/api/dms",
)
ENAIO = (API_PREFIX,)

LOGIN_PATH = Field(
    "login_path",
    "Login path",
    "Where the integration user signs in; OAuth users: one of the token paths.",
    type="path",
    default="/ws/rest/service/v1/login",
    examples=("/ws/rest/service/v1/login", "/ws/rest/service/v2/auth/token", "/ws/rest/service/v1/oauth/token"),
)
UNIFIER = (LOGIN_PATH,)

OF_TYPE = {"opus": OPUS, "enaio": ENAIO, "unifier": UNIFIER}
"""By connection type."""


def form(connection_type: str) -> dict[str, dict[str, Any]]:
    """Return all extra fields of a connection type as Airflow's form wants them."""
    return {field.name: field.form() for field in (*OF_TYPE[connection_type], *COMMON)}
