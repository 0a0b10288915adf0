"""Whether what a certificate calls gone is still gone: a restored backup brings destroyed records back.

The systems are only looked at; nothing is sent that changes anything. Records are looked for under the ids that
they had: what was restored under another id, or into another folder of Unifier, is not found, and neither is what the
account may not see where a system then answers "not found". In Opus a record is back if it is due again; a tenant
whose due list goes on showing records that are Destroyed makes all of them look so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.sdk.exceptions import AirflowException

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.reader import Evidence
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
from airflow_provider_records.systems.finding import Claim, Finding, Question, State, _grouped
from airflow_provider_records.systems.registry import _HOOKS, _QUESTIONS

_RANK = {kind: place for place, kind in enumerate(OutcomeKind)}
"""A record that was recycled and later destroyed is destroyed."""


def claims(document: Mapping[str, Any], store: Store) -> list[Claim]:
    """Return every record that a verified certificate calls gone, once for each system and connection.

    :param document: the certificate.
    :param store: its evidence folder, wherever that was moved to.
    :raises EvidenceError: a file is missing or was changed.
    """
    evidence = Evidence(store, document["store"])
    found: dict[tuple[str, str, str], Claim] = {}
    for entry in document["disposals"]:
        disposal = Disposal(**entry["record"])
        with store.open(evidence.name(disposal.outcomes)) as lines:
            for record, line in zip(Manifest.open(store, disposal.digest), lines, strict=True):
                outcome = Outcome.from_dict(json.loads(line))
                if not outcome.kind.gone:
                    continue
                claim = Claim(disposal.system, disposal.options["conn_id"], record, outcome)
                known = found.setdefault((claim.system, claim.conn_id, record.key), claim)
                if _RANK[outcome.kind] < _RANK[known.outcome.kind]:
                    found[claim.system, claim.conn_id, record.key] = claim
    return list(found.values())


def look(claims: Iterable[Claim]) -> list[Finding]:
    """Look for every record in its system, through the connection that it was disposed of through."""
    findings = []
    for (system, conn_id), ours in _grouped(claims, lambda claim: (claim.system, claim.conn_id)).items():
        hook = _HOOKS[system](conn_id)
        try:
            threads = hook.settings.max_concurrency
            questions = _QUESTIONS[system](hook, ours)
        except (RecordsError, AirflowException) as error:
            findings += [Finding(claim, State.UNSEEN, _cause(error), failed=True) for claim in ours]
            continue
        findings += _ask(questions, threads)
    return findings


def _ask(questions: Iterable[Question], threads: int) -> list[Finding]:
    """Ask at once as many questions as the connection allows; none any more when nobody will answer."""
    stopped: list[str] = []

    def ask(question: Question) -> list[Finding]:
        claims, answer = question
        why = stopped[0] if stopped else ""
        try:
            if not stopped:
                return answer()
        except RecordsError as error:
            why = str(error)
            nobody = isinstance(error, (StopError, NotSentError, NoAnswerError))
            if nobody and not isinstance(error, UnreadableAnswerError):
                stopped.append(why)
        return [Finding(claim, State.UNSEEN, why, failed=True) for claim in claims]

    with ThreadPoolExecutor(threads) as pool:
        return [finding for findings in pool.map(ask, questions) for finding in findings]


def _cause(error: Exception) -> str:
    return str(error) if isinstance(error, RecordsError) else f"Airflow: {error}"


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Return findings in words: a table by system, what is back, and why something cannot be looked up."""
    yield f"{'':10}{'records':>9}" + "".join(f"{state:>{len(state) + 3}}" for state in State)
    for system in sorted({finding.claim.system for finding in findings}):
        states = Counter(finding.state for finding in findings if finding.claim.system == system)
        counts = "".join(f"{states[state]:>{len(state) + 3}}" for state in State)
        yield f"{wording.system_name(system):10}{states.total():>9}{counts}"
    back = [finding for finding in findings if finding.state is State.BACK]
    if back:
        yield "Back:"
    for finding in back:
        claim = finding.claim
        record = claim.record
        title = f" {record.title!r}" if record.title else ""
        yield (
            f"  {wording.system_name(claim.system)} {record.key} (id {record.target_id}){title}: "
            f"{wording.RESULTS[claim.outcome.kind]} {claim.outcome.time}, now {finding.why}"
        )
    unseen = Counter((finding.claim.system, finding.why) for finding in findings if finding.state is State.UNSEEN)
    if unseen:
        yield "Cannot be looked up:"
    for (system, why), count in unseen.most_common():
        yield f"  {wording.system_name(system)}, {count} records: {why}"
