"""Whether what a certificate calls gone is still gone: a restored backup brings destroyed records back.

The systems are only looked at; nothing is sent that changes anything. Records are looked for under the ids that
they had: what was restored under another id, or into another folder of Unifier, is not found, and neither is what the
account may not see where a system then answers "not found". In Opus a record is back if it is due again; a tenant
whose due list goes on showing records that are Destroyed makes all of them look so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from airflow.sdk.exceptions import AirflowException

from airflow_provider_records.disposal import words
from airflow_provider_records.disposal.account import Evidence
from airflow_provider_records.disposal.disposal import Disposal
from airflow_provider_records.disposal.manifest import Manifest
from airflow_provider_records.disposal.outcome import Outcome, Proof, Result
from airflow_provider_records.disposal.record import Record
from airflow_provider_records.disposal.store import Store
from airflow_provider_records.exceptions import (
    NoAnswerError,
    NotSentError,
    RecordsError,
    StopError,
    UnreadableAnswerError,
)
from airflow_provider_records.hooks.base import VendorHook
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.operators.enaio import EnaioSystem, Sight
from airflow_provider_records.operators.opus import OpusSystem
from airflow_provider_records.operators.unifier import Folder, UnifierSystem


class State(StrEnum):
    """Where a record is now."""

    GONE = "gone"
    BACK = "back"
    UNSEEN = "cannot be looked up"


@dataclass(frozen=True)
class Claim:
    """What a certificate says of one record that is gone.

    :param system: ``enaio``, ``unifier`` or ``opus``.
    :param conn_id: the connection that it was disposed of through.
    :param record: the record.
    :param outcome: ``destroyed``, ``recycled`` or ``absent``, and how that is known.
    """

    system: str
    conn_id: str
    record: Record
    outcome: Outcome


@dataclass(frozen=True)
class Finding:
    """What a look at one record showed.

    :param claim: what the certificate says.
    :param state: where the record is now.
    :param why: where it was found, or why it cannot be looked up.
    :param failed: the system should have answered and did not.
    """

    claim: Claim
    state: State
    why: str = ""
    failed: bool = False


Key = TypeVar("Key", bound=Hashable)
Question = tuple[Sequence[Claim], Callable[[], list[Finding]]]
"""Records, and one look that finds them all."""

_RANK = {result: place for place, result in enumerate(Result)}
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
                outcome = Outcome.of(json.loads(line))
                if not outcome.result.gone:
                    continue
                claim = Claim(disposal.system, disposal.options["conn_id"], record, outcome)
                known = found.setdefault((claim.system, claim.conn_id, record.key), claim)
                if _RANK[outcome.result] < _RANK[known.outcome.result]:
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


def _enaio(hook: EnaioHook, claims: Sequence[Claim]) -> Iterator[Question]:
    """enaio shows every object by its id, live or in the recycle bin of the connection's user."""
    system = EnaioSystem(hook)

    def answer(claim: Claim) -> list[Finding]:
        sight = system.look(claim.record)
        if sight is Sight.HIDDEN:
            return [Finding(claim, State.UNSEEN, sight.value)]
        back = sight.live or (sight is Sight.BINNED and claim.outcome.result is not Result.RECYCLED)
        return [
            Finding(claim, State.BACK, "live" if sight.live else sight.value) if back else Finding(claim, State.GONE)
        ]

    return (([claim], partial(answer, claim)) for claim in claims)


def _unifier(hook: UnifierHook, claims: Sequence[Claim]) -> Iterator[Question]:
    """Unifier shows a document only in the listing of its folder, which the record must name."""
    system = UnifierSystem(hook)

    def answer(folder: Folder | None, claims: Sequence[Claim]) -> list[Finding]:
        if folder is None:
            why = "the record does not name its folder, and Unifier finds no document by its id"
            return [Finding(claim, State.UNSEEN, why) for claim in claims]
        listed = system.read(folder).by_id
        return [_listed(claim, claim.record.target_id in listed, folder) for claim in claims]

    folders = _grouped(claims, lambda claim: Folder.of(claim.record))
    return ((ours, partial(answer, folder, ours)) for folder, ours in folders.items())


def _listed(claim: Claim, listed: bool, folder: Folder) -> Finding:
    if not listed:
        return Finding(claim, State.GONE)
    if claim.outcome.proof is Proof.RESPONSE:
        # Some listings go on showing what is in the recycle bin.
        why = "its folder lists it, but nobody saw the folder without it: a listing may show what is in the bin"
        return Finding(claim, State.UNSEEN, why)
    return Finding(claim, State.BACK, f"listed in {folder}")


def _opus(hook: OpusHook, claims: Sequence[Claim]) -> Iterator[Question]:
    """Opus shows a record only while it is due; one that is marked Destroyed is not."""
    system = OpusSystem(hook)

    def answer(known: bool, claims: Sequence[Claim]) -> list[Finding]:
        if not known:
            why = "without a connector id Opus cannot be asked; the connection has no connector_id either"
            return [Finding(claim, State.UNSEEN, why) for claim in claims]
        due = system.prepare([claim.record for claim in claims], frozenset())
        return [
            Finding(claim, State.BACK, "on the due list again")
            if claim.record.key in due
            else Finding(claim, State.GONE)
            for claim in claims
        ]

    lists = _grouped(claims, lambda claim: system.due_list(claim.record) is not None)
    return ((ours, partial(answer, known, ours)) for known, ours in lists.items())


_HOOKS: Mapping[str, type[VendorHook]] = {"enaio": EnaioHook, "unifier": UnifierHook, "opus": OpusHook}
_QUESTIONS: Mapping[str, Callable[[Any, Sequence[Claim]], Iterator[Question]]] = {
    "enaio": _enaio,
    "unifier": _unifier,
    "opus": _opus,
}


def _grouped(claims: Iterable[Claim], key: Callable[[Claim], Key]) -> dict[Key, list[Claim]]:
    groups: dict[Key, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(key(claim), []).append(claim)
    return groups


def _cause(error: Exception) -> str:
    return str(error) if isinstance(error, RecordsError) else f"Airflow: {error}"


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Return findings in words: a table by system, what is back, and why something cannot be looked up."""
    yield f"{'':10}{'records':>9}" + "".join(f"{state:>{len(state) + 3}}" for state in State)
    for system in sorted({finding.claim.system for finding in findings}):
        states = Counter(finding.state for finding in findings if finding.claim.system == system)
        counts = "".join(f"{states[state]:>{len(state) + 3}}" for state in State)
        yield f"{words.system_name(system):10}{states.total():>9}{counts}"
    back = [finding for finding in findings if finding.state is State.BACK]
    if back:
        yield "Back:"
    for finding in back:
        claim = finding.claim
        record = claim.record
        title = f" {record.title!r}" if record.title else ""
        yield (
            f"  {words.system_name(claim.system)} {record.key} (id {record.target_id}){title}: "
            f"{words.RESULTS[claim.outcome.result]} {claim.outcome.time}, now {finding.why}"
        )
    unseen = Counter((finding.claim.system, finding.why) for finding in findings if finding.state is State.UNSEEN)
    if unseen:
        yield "Cannot be looked up:"
    for (system, why), count in unseen.most_common():
        yield f"  {words.system_name(system)}, {count} records: {why}"
