"""Whether the records that a certificate calls gone are still gone: a restored backup brings destroyed records back.

Nothing is sent that changes anything. Each system looks for records under the ids that they had: a record that was
restored under another id, or into another folder, is not found. Neither is one that the account may not see, if the
system then answers "not found".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_records.airflow_version import AirflowException
from airflow_provider_records.evidence import reader
from airflow_provider_records.evidence.certificate import Certificate
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import (
    NoAnswerError,
    NotSentError,
    RecordsError,
    StopError,
    UnreadableAnswerError,
)
from airflow_provider_records.reporting import wording
from airflow_provider_records.systems import system_class
from airflow_provider_records.systems.finding import Finding, GoneRecord, Probe, Whereabouts, grouped

_RANK = {kind: place for place, kind in enumerate(OutcomeKind)}
"""A record that was recycled and later destroyed is destroyed."""


def claims(certificate: Certificate, store: Store) -> list[GoneRecord]:
    """Return every record that a verified certificate calls gone, once for each system and connection.

    :param certificate: the certificate.
    :param store: its evidence folder, wherever that was moved to.
    :raises EvidenceError: a file is missing or was changed.
    """
    evidence = reader.EvidenceReader(store, certificate.store)
    found: dict[tuple[str, str, str], GoneRecord] = {}
    for entry in certificate.disposals:
        disposal = Disposal.from_dict(entry["disposal"])
        title = disposal.description.title
        outcomes = reader.outcomes(store, evidence.name(disposal.outcomes))
        for record, outcome in zip(Manifest.open(store, disposal.digest), outcomes, strict=True):
            if not outcome.kind.gone:
                continue
            claim = GoneRecord(disposal.system, title, disposal.conn_id, record, outcome)
            known = found.setdefault((claim.system, claim.conn_id, record.key), claim)
            if _RANK[outcome.kind] < _RANK[known.outcome.kind]:
                found[claim.system, claim.conn_id, record.key] = claim
    return list(found.values())


def look(claims: Iterable[GoneRecord]) -> list[Finding]:
    """Look for every record in its system, through the connection that it was disposed of through.

    :param claims: what the certificate says.
    :return: one finding a record; an error of a system is told in the findings of its records.
    """
    findings = []
    for (name, conn_id), ours in grouped(claims, lambda claim: (claim.system, claim.conn_id)).items():
        try:
            system = system_class(name).from_connection(conn_id)
            threads = system.max_concurrency
            probes = system.look_back(ours)
        except RecordsError as error:
            findings += _not_asked(ours, str(error))
        except AirflowException as error:
            findings += _not_asked(ours, f"Airflow: {error}")
        else:
            findings += _send(probes, threads)
    return findings


def _send(probes: Iterable[Probe], threads: int) -> list[Finding]:
    """Send as many probes at the same time as the connection allows, until an error shows that no other can work."""
    stopped: list[str] = []

    def send(probe: Probe) -> list[Finding]:
        if stopped:
            return _not_asked(probe.claims, stopped[0])
        try:
            return probe.send()
        except RecordsError as error:
            unreachable = isinstance(error, (StopError, NotSentError, NoAnswerError))
            if unreachable and not isinstance(error, UnreadableAnswerError):
                stopped.append(str(error))
            return _not_asked(probe.claims, str(error))

    with ThreadPoolExecutor(threads) as pool:
        return [finding for findings in pool.map(send, probes) for finding in findings]


def _not_asked(claims: Sequence[GoneRecord], why: str) -> list[Finding]:
    return [Finding(claim, Whereabouts.UNSEEN, why, failed=True) for claim in claims]


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Return findings in words: a table by system, what is back, and why something cannot be looked up."""
    yield f"{'':10}{'records':>9}" + "".join(f"{place:>{len(place) + 3}}" for place in Whereabouts)
    for title in sorted({finding.claim.title for finding in findings}, key=str.casefold):
        places = Counter(finding.whereabouts for finding in findings if finding.claim.title == title)
        counts = "".join(f"{places[place]:>{len(place) + 3}}" for place in Whereabouts)
        yield f"{title:10}{places.total():>9}{counts}"
    back = [finding for finding in findings if finding.whereabouts is Whereabouts.BACK]
    if back:
        yield "Back:"
    for finding in back:
        claim = finding.claim
        record = claim.record
        title = f" {record.title!r}" if record.title else ""
        yield (
            f"  {claim.title} {record.key} (id {record.target_id}){title}: "
            f"{wording.RESULTS[claim.outcome.kind]} {claim.outcome.time}, now {finding.detail}"
        )
    unseen = Counter(
        (finding.claim.title, finding.detail) for finding in findings if finding.whereabouts is Whereabouts.UNSEEN
    )
    if unseen:
        yield "Cannot be looked up:"
    for (name, why), count in unseen.most_common():
        yield f"  {name}, {count} records: {why}"
