"""What Airflow reads about this provider: pure data, loaded in every component, imports nothing."""

from __future__ import annotations

# Airflow 3.3.2's page sends 0 for an empty port, which its API then refuses.
_PORT = "443; Airflow's Test button wants it"

_COMMON_FIELDS = {
    "timeout": {
        "label": "Timeout (s)",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "default": 60},
        "description": "Seconds to wait for a connection and for an answer.",
    },
    "max_concurrency": {
        "label": "Requests at once",
        "schema": {"type": ["integer", "null"], "minimum": 1, "default": 8},
        "description": "Requests in flight at most, per task; mapped tasks add up: bound them by an Airflow pool.",
    },
    "requests_per_second": {
        "label": "Requests per second",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
        "description": "Limit over all threads of one task; empty: none.",
    },
    "verify_tls": {
        "label": "Verify TLS",
        "schema": {"type": ["string", "null"], "default": "true", "examples": ["true", "false"]},
        "description": "true, false, or the path of a CA file on the workers.",
    },
}

_OPUS_REGIONS = {
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

_OPUS_FIELDS = {
    "region": {
        "label": "Region or cloud",
        "schema": {
            "type": ["string", "null"],
            "enum": [*_OPUS_REGIONS],
            "values_display": {code: f"{name} ({code})" for code, name in _OPUS_REGIONS.items()},
        },
        "description": "AvePoint's data centre; stands for the API host and its identity URL, so leave these empty.",
    },
    "identity_url": {
        "label": "Identity URL",
        "schema": {
            "type": ["string", "null"],
            "examples": [
                "https://identity.avepointonlineservices.com/connect/token",
                "https://identity-gov.avepointonlineservices.com/connect/token",
                "https://identity-aos2.avepointonlineservices.com/connect/token",
                "https://identity.online15.net/connect/token",
            ],
        },
        "description": "Where tokens are fetched; empty: the identity service of the region's or host's cloud.",
    },
    "scope": {
        "label": "Scope",
        "schema": {"type": ["string", "null"], "default": "records.readwrite.all"},
        "description": "The app registration's scope; covers list, submit and destroy.",
    },
    "private_key": {
        "label": "Private key (PEM)",
        "schema": {"type": ["string", "null"], "format": "password"},
        "description": "Signs the assertion that replaces the client secret; leave that empty then.",
    },
    "certificate_thumbprint": {
        "label": "Certificate thumbprint",
        "schema": {"type": ["string", "null"]},
        "description": "SHA-1 thumbprint (hex) of the certificate that belongs to the private key.",
    },
    "connector_id": {
        "label": "Connector id (GUID)",
        "schema": {"type": ["string", "null"]},
        "description": "Default connector connection: Opus, Settings, Connector, the connection's JSON file.",
    },
}


def get_provider_info() -> dict[str, object]:
    """Return the provider's metadata as ``provider_info.schema.json`` of Airflow wants it."""
    package = "airflow_provider_records"
    return {
        "package-name": "airflow-provider-records",
        "name": "Records",
        "description": "Records disposal at night: list, approve, delete, mark, prove (Opus, enaio, Unifier).",
        "integrations": [
            {
                "integration-name": "AvePoint Opus",
                "external-doc-url": "https://github.com/AvePoint/cloud-api",
                "tags": ["service"],
            },
            {
                "integration-name": "OPTIMAL SYSTEMS enaio",
                "external-doc-url": "https://enaiodevelop.atlassian.net/wiki/spaces/DA/overview",
                "tags": ["service"],
            },
            {
                "integration-name": "Oracle Primavera Unifier",
                "external-doc-url": "https://docs.oracle.com/en/industries/construction-engineering/primavera-unifier/",
                "tags": ["service"],
            },
            {
                "integration-name": "Records disposal",
                "external-doc-url": "https://airflow.apache.org/",
                "tags": ["software"],
            },
        ],
        "hooks": [
            {"integration-name": "AvePoint Opus", "python-modules": [f"{package}.hooks.opus"]},
            {"integration-name": "OPTIMAL SYSTEMS enaio", "python-modules": [f"{package}.hooks.enaio"]},
            {"integration-name": "Oracle Primavera Unifier", "python-modules": [f"{package}.hooks.unifier"]},
        ],
        "operators": [
            {"integration-name": "AvePoint Opus", "python-modules": [f"{package}.operators.opus"]},
            {"integration-name": "OPTIMAL SYSTEMS enaio", "python-modules": [f"{package}.operators.enaio"]},
            {"integration-name": "Oracle Primavera Unifier", "python-modules": [f"{package}.operators.unifier"]},
            {
                "integration-name": "Records disposal",
                "python-modules": [f"{package}.operators.{name}" for name in ("approval", "manifest", "certificate")],
            },
        ],
        "sensors": [
            {"integration-name": "AvePoint Opus", "python-modules": [f"{package}.sensors.opus"]},
            {"integration-name": "OPTIMAL SYSTEMS enaio", "python-modules": [f"{package}.sensors.enaio"]},
            {"integration-name": "Oracle Primavera Unifier", "python-modules": [f"{package}.sensors.unifier"]},
        ],
        "triggers": [
            {"integration-name": "AvePoint Opus", "python-modules": [f"{package}.triggers.opus"]},
            {"integration-name": "OPTIMAL SYSTEMS enaio", "python-modules": [f"{package}.triggers.enaio"]},
            {"integration-name": "Oracle Primavera Unifier", "python-modules": [f"{package}.triggers.unifier"]},
        ],
        "extra-links": [f"{package}.task.links.{name}" for name in ("ListLink", "DisposalLink", "CertificateLink")],
        "connection-types": [
            {
                "connection-type": "opus",
                "hook-class-name": f"{package}.hooks.opus.OpusHook",
                "hook-name": "AvePoint Opus",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "extra"],
                    "relabeling": {"host": "API host", "login": "Client id", "password": "Client secret"},
                    "placeholders": {"host": "empty, if you choose a region among the extra fields", "port": _PORT},
                },
                "conn-fields": {**_OPUS_FIELDS, **_COMMON_FIELDS},
            },
            {
                "connection-type": "enaio",
                "hook-class-name": f"{package}.hooks.enaio.EnaioHook",
                "hook-name": "OPTIMAL SYSTEMS enaio",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "extra"],
                    "relabeling": {"host": "Gateway", "login": "User"},
                    "placeholders": {"host": "https://enaio.example.org", "port": _PORT},
                },
                "conn-fields": {
                    "api_prefix": {
                        "label": "API prefix",
                        "schema": {"type": ["string", "null"], "default": "/api/dms"},
                        "description": "Path of the DMS service behind the gateway.",
                    },
                    **_COMMON_FIELDS,
                },
            },
            {
                "connection-type": "unifier",
                "hook-class-name": f"{package}.hooks.unifier.UnifierHook",
                "hook-name": "Oracle Primavera Unifier",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "extra"],
                    "relabeling": {"host": "Base URL", "login": "Integration user"},
                    "placeholders": {"host": "https://eu.unifier.oraclecloud.com/companycode", "port": _PORT},
                },
                "conn-fields": {
                    "login_path": {
                        "label": "Login path",
                        "schema": {
                            "type": ["string", "null"],
                            "default": "/ws/rest/service/v1/login",
                            "examples": [
                                "/ws/rest/service/v1/login",
                                "/ws/rest/service/v2/auth/token",
                                "/ws/rest/service/v1/oauth/token",
                            ],
                        },
                        "description": "Where the integration user signs in; OAuth users: one of the token paths.",
                    },
                    **_COMMON_FIELDS,
                },
            },
        ],
        "config": {
            "records": {
                "description": "Records disposal: where the evidence lies, and the limits of every disposal.",
                "options": {
                    "evidence_path": {
                        "description": (
                            "Folder or object storage URL of the evidence store; all workers must reach the same one."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "s3://records-evidence/airflow",
                        "default": "file://{AIRFLOW_HOME}/records_evidence",
                    },
                    "evidence_conn_id": {
                        "description": "Airflow connection for the evidence store; empty: none.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "aws_evidence",
                        "default": "",
                    },
                    "signing_key_file": {
                        "description": "PEM file of the Ed25519 private key that signs certificates; empty: unsigned.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/run/secrets/records_signing_key.pem",
                        "default": "",
                    },
                    "min_approvals": {
                        "description": "Distinct approvers that a disposal needs, where the DAG does not say.",
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": "2",
                        "default": "1",
                    },
                    "max_records": {
                        "description": (
                            "Longest list that one disposal accepts, where the DAG does not say; "
                            "a longer list is refused whole."
                        ),
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": "5000",
                        "default": "1000",
                    },
                },
            },
        },
    }
