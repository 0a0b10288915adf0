"""The pages of a certificate as files: the first one says how many there are, and each names the certificate."""

from __future__ import annotations

import re

from airflow_provider_records.evidence import certificate as documents
from airflow_provider_records.evidence import signature
from airflow_provider_records.evidence.certificate import Certificate
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError

# They stand before everything that comes from a record, and a quote in such a text is escaped.
_DIGEST = re.compile(rb'<meta name="airflow-records-certificate" content="(sha256:[0-9a-f]{64})">')
_PART = re.compile(rb'<meta name="airflow-records-part" content="([1-9][0-9]{0,6}) of ([1-9][0-9]{0,6})">')


def check(store: Store, name: str, certificate: Certificate) -> int:
    """Check the bytes of every page; none is ever rendered again, so the check holds under every later release.

    :param store: the evidence store.
    :param name: the certificate's name there.
    :param certificate: the certificate.
    :return: the number of pages.
    :raises EvidenceError: a page is missing, was changed, is of another certificate or another part of it, or there is
        one more than the first page says.
    """
    parts = _check_page(store, documents.page_name(name), certificate, 1, None)
    for part in range(2, parts + 1):
        _check_page(store, documents.part_name(name, part), certificate, part, parts)
    if odd := unexpected(store, name, certificate, parts):
        raise EvidenceError(f"{odd[0]} is no part of this certificate: its page says that it has {_pages(parts)}.")
    return parts


def unexpected(store: Store, name: str, certificate: Certificate, parts: int) -> list[str]:
    """Return what lies in the folder of the further pages and belongs to none of them.

    :param store: the evidence store.
    :param name: the certificate's name there.
    :param certificate: the certificate.
    :param parts: the number of its pages.
    """
    beside = signature.CHECKSUM if certificate.key is None else signature.SIGNATURE
    own = {documents.part_name(name, part) + end for part in range(2, parts + 1) for end in ("", beside)}
    return [each for each in store.names(documents.parts_folder(name)) if each not in own]


def _check_page(store: Store, name: str, certificate: Certificate, part: int, parts: int | None) -> int:
    """Check one page, and return how many it says that there are."""
    content = store.read(name)
    signature.check(store, name, content, certificate.key)
    digest, stated = _DIGEST.search(content), _PART.search(content)
    if digest is None or digest[1].decode() != certificate.digest:
        raise EvidenceError(
            f"{name} is the page of another certificate: it names {digest[1].decode() if digest else 'none'}, and not "
            f"{certificate.digest}."
        )
    number, of = (int(stated[1]), int(stated[2])) if stated else (1, 1)
    if number != part or of != (parts or of):
        raise EvidenceError(
            f"{name} is part {number} of {of} of this certificate, and not part {part} of {parts or of}."
        )
    return of


def _pages(number: int) -> str:
    return "1 page" if number == 1 else f"{number} pages"
