"""What Airflow reads about this provider: plain data, loaded in every component, without any import of Airflow."""

from __future__ import annotations

from airflow_provider_records.client.fields import form

# Airflow 3.3.2's page sends 0 for an empty port, which its API then refuses.
_PORT = "443; Airflow's Test button wants it"


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
            {"integration-name": "Records disposal", "python-modules": [f"{package}.sensors.waiting"]},
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
                "conn-fields": form("opus"),
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
                "conn-fields": form("enaio"),
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
                "conn-fields": form("unifier"),
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
                        "description": (
                            "PEM file of the Ed25519 private key that signs approvals and certificates, and without "
                            "whose signature no approval counts; empty: unsigned."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/run/secrets/records_signing_key.pem",
                        "default": "",
                    },
                    "names_key_file": {
                        "description": (
                            "File with a random key of at least 32 bytes (openssl rand -base64 48): titles and people "
                            "then stand in the evidence as keyed hashes. The same on every worker, and kept apart "
                            "from the evidence; empty: titles and people stand there by name."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/run/secrets/records_names_key",
                        "default": "",
                    },
                    "min_approvals": {
                        "description": "Distinct approvers that a disposal needs, where the DAG does not say.",
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": "2",
                        "default": "1",
                    },
                    "min_wait_days": {
                        "description": (
                            "Days that must pass between the last approval and the first delete, where the DAG does "
                            "not say."
                        ),
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": "7",
                        "default": "0",
                    },
                    "approval_valid_days": {
                        "description": (
                            "Days for which an approval allows new deletes, where the approving task does not say."
                        ),
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": "14",
                        "default": "30",
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
                    "language": {
                        "description": (
                            "Language of certificates, approval requests and the page Disposals: en, de or nl; "
                            "evidence itself stays in English."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "de",
                        "default": "en",
                    },
                },
            },
        },
    }
