"""One disposal run in the cluster: what happens in it, and what its evidence says beside the sandbox's log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import requests

from airflow_provider_records import demo
from airflow_provider_records.evidence.certificate import file_name
from airflow_provider_records.evidence.folders import run_folder
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.reader import MANIFESTS
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from tests.distributed.cluster import PASSWORD, Cluster, wait
from tests.system.test_standalone import Api


@dataclass(frozen=True)
class Kind:
    """What a DAG does.

    :param dag: its id.
    :param system: the system that holds the content.
    :param call: the call that deletes one record.
    :param effect: what the sandbox's log says of it, and the evidence.
    :param prefix: what the number of its approval begins with.
    :param group: the mapped group of its tasks.
    """

    dag: str
    system: str
    call: str
    effect: OutcomeKind
    prefix: str
    group: str = ""


NIGHTLY = Kind("records_nightly_enaio", "enaio", "delete_object", OutcomeKind.DESTROYED, "DR-ENAIO-")
LARGE = Kind("records_large_night", "enaio", "delete_object", OutcomeKind.DESTROYED, "DR-LARGE-", "part.")
UNIFIER = Kind("records_nightly_unifier", "unifier", "delete_document", OutcomeKind.RECYCLED, "DR-UNIFIER-")
PEOPLE = Kind("records_nightly_approval", "enaio", "delete_object", OutcomeKind.DESTROYED, "")


class Night:
    """A disposal run.

    :param cluster: where it runs.
    :param kind: its DAG.
    :param records: due records in enaio; the systems and the evidence store begin anew.
    """

    def __init__(self, cluster: Cluster, kind: Kind, records: int = 300) -> None:
        self.cluster, self.kind = cluster, kind
        cluster.empty(records)
        self.api = Api(int(cluster.url.rsplit(":", 1)[1]), username="admin", password=PASSWORD)
        self.run_id = ""
        self._stored_before = cluster.gate.requests

    @classmethod
    def halfway(cls, cluster: Cluster) -> Night:
        """Return an approved night whose deletions have begun, and take a while."""
        night = cls(cluster, NIGHTLY)
        cluster.slow(night.kind.call, 0.4)
        night.start()
        night.approve()
        night.wait_until(lambda: night.sent() >= 60)
        return night

    def start(self) -> None:
        """Start it."""
        self.run_id = self.api.trigger(self.kind.dag)

    def approve(self) -> None:
        """As the records manager: approve the list in Unifier as soon as it is there."""
        store = self.cluster.store()
        wait(lambda: store.names(MANIFESTS), self.told)
        digest = PurePosixPath(store.names(MANIFESTS)[0]).stem
        request = {
            "action": "open",
            "project_number": demo.PROJECT,
            "record_no": f"{self.kind.prefix}{digest[:12]}",
            "disposal_digest": f"sha256:{digest}",
            "status": "Approved",
        }
        requests.post(f"{self.cluster.sandbox_url}/console/unifier", json=request, timeout=30).raise_for_status()

    def asked(self, task_id: str) -> dict[str, Any]:
        """Wait until a task asks people; return its request, as Airflow's API shows it."""
        path = f"dags/{self.kind.dag}/dagRuns/{self.run_id}/hitlDetails?response_received=false&task_id={task_id}"
        wait(lambda: self.api.call("GET", path)["hitl_details"], self.told)
        request: dict[str, Any] = self.api.call("GET", path)["hitl_details"][0]
        return request

    def answer(self, request: dict[str, Any], person: Api) -> requests.Response:
        """Approve what a request shows."""
        given = {name: request["params"][name]["value"] for name in ("manifest", "order")}
        path = f"dags/{self.kind.dag}/dagRuns/{self.run_id}/taskInstances/{request['task_instance']['task_id']}/-1"
        return person.session.patch(
            f"{person.base}/api/v2/{path}/hitlDetails",
            json={"chosen_options": ["Approve"], "params_input": given},
            timeout=120,
        )

    def page(self, name: str) -> requests.Response:
        """Ask for a page about the run."""
        run = {"dag_id": self.kind.dag, "run_id": self.run_id} if name else {}
        return self.api.session.get(f"{self.cluster.url}/records/{name}", params=run, timeout=120)

    def sent(self, call: str = "") -> int:
        """Return how many calls of a kind the sandbox got; without a kind: of those that delete."""
        return sum(entry.call == (call or self.kind.call) for entry in list(self.cluster.sandbox.log))

    def wait_until(self, done: Callable[[], object]) -> None:
        """Wait for something that must happen before the run ends."""
        wait(lambda: done() or self.over(), self.told)
        assert done(), f"the run is over, and it has not happened; seen:\n{self.told()}"

    def over(self) -> bool:
        """Tell whether the run has ended; while the API server cannot answer, it has not."""
        try:
            return self.api.run_state(self.run_id, self.kind.dag) in {"success", "failed"}
        except (requests.RequestException, AssertionError):
            return False

    def end(self) -> None:
        """Wait for the end of the run."""
        wait(self.over, self.told, 900)

    def told(self) -> str:
        """Say what has happened so far."""
        calls = Counter(f"{entry.vendor} {entry.call}" for entry in list(self.cluster.sandbox.log))
        try:
            run = self.api.told(self.run_id, self.kind.dag)
        except (requests.RequestException, AssertionError) as error:
            run = str(error)
        return f"{run}\n{', '.join(f'{call} {count}' for call, count in calls.items())}\n{self.cluster.told()}"

    def tasks(self, store: Store, name: str) -> list[Disposal]:
        """Return the newest disposal of each instance of a task, by map index."""
        wanted = f"{self.kind.group}{name}"
        names = [
            found for found in store.names(run_folder(self.kind.dag, self.run_id)) if found.endswith("/disposal.json")
        ]
        newest = {PurePosixPath(found).parents[1]: found for found in sorted(names)}
        found = [Disposal.read(store, store.uri(each)) for each in newest.values()]
        return sorted(
            (each for each in found if each.provenance.task_id == wanted), key=lambda each: each.provenance.map_index
        )

    def tries_begun(self) -> set[str]:
        """Return the sessions of the deleting task whose journal is begun, by try and session."""
        names = self.cluster.store().names(run_folder(self.kind.dag, self.run_id))
        return {
            PurePosixPath(each).parent.name for each in names if each.endswith("-open.jsonl") and "/delete/" in each
        }

    def stored(self) -> int:
        """Return how many requests the object storage got from this run."""
        return self.cluster.gate.requests - self._stored_before

    def certificate(self) -> str:
        """Return the URI of its certificate."""
        return self.cluster.store().uri(file_name(self.kind.dag, self.run_id))


@dataclass(frozen=True)
class Result:
    """What came of a night.

    :param found: records on the list.
    :param approved: those that the deleting tasks got, with an approval.
    :param counts: outcomes of the deleting tasks.
    :param marked: records that Opus marked.
    :param twice: records deleted or marked more than once.
    :param workers: host names that deleted.
    :param tries: the highest try of a deleting task.
    :param stored: requests to the object storage.
    :param verify: exit code of ``airflow-records verify`` on the certificate's URI.
    """

    found: int
    approved: int
    counts: Counter[str]
    marked: int
    twice: int
    workers: frozenset[str]
    tries: int
    stored: int
    verify: int

    def line(self, name: str) -> str:
        """Return it as one line."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.counts.items()) if count)
        return (
            f"{name}: found {self.found}, approved {self.approved}, {kinds}, marked {self.marked}, twice {self.twice}, "
            f"verify {'fits' if self.verify == 0 else f'exit code {self.verify}'} "
            f"(deleted by {' and '.join(sorted(self.workers))}, try {self.tries}, "
            f"{self.stored} requests to S3)"
        )


def check(night: Night) -> Result:
    """Hold the evidence of a night against the sandbox's log.

    :raises AssertionError: the evidence claims what did not happen, or does not name what did; something was deleted or
        marked twice, or without an approval; the certificate does not verify.
    """
    cluster, kind, store = night.cluster, night.kind, night.cluster.store()
    deletes, marks = night.tasks(store, "delete"), night.tasks(store, "mark")
    assert deletes, night.told()
    records = {
        record.key: str(record.target_id)
        for each in deletes
        if each.approvals
        for record in Manifest.open(store, each.digest)
    }
    outcomes = {outcome.key: outcome.kind for each in deletes for outcome in each.each_outcome(store)}
    counts = Counter(str(outcome) for outcome in outcomes.values())
    lists = [Manifest.open(store, f"sha256:{PurePosixPath(name).stem}").count for name in store.names(MANIFESTS)]
    effects = Counter(cluster.sandbox.effects(kind.system, str(kind.effect)))
    marked = Counter(cluster.sandbox.effects("opus", "marked"))
    again = len(cluster.sandbox.effects("opus", "marked_again"))
    twice = sum(count > 1 for count in (*effects.values(), *marked.values())) + again
    stored = night.stored()
    verified = cluster.records("verify", night.certificate())
    result = Result(
        found=max(lists),  # the others are parts of it
        approved=len(records),
        counts=counts,
        marked=len(marked),
        twice=twice,
        workers=frozenset(each.provenance.hostname for each in deletes),
        tries=max(each.provenance.try_number for each in deletes),
        stored=stored,
        verify=verified.returncode,
    )
    assert twice == 0, result.line("twice")
    assert len(outcomes) == len(records) == result.found
    claimed = {records[key] for key, outcome in outcomes.items() if outcome is kind.effect}
    assert set(effects) <= claimed | {records[key] for key, each in outcomes.items() if each is OutcomeKind.UNKNOWN}
    assert claimed <= set(effects), f"claimed and not done: {sorted(claimed - set(effects))}"
    gone = {key for key, outcome in outcomes.items() if outcome in {kind.effect, OutcomeKind.ABSENT}}
    assert set(marked) == gone
    assert {key for each in marks for key in (outcome.key for outcome in each.each_outcome(store))} == gone
    assert verified.returncode == 0, verified.stdout[-2000:] + verified.stderr[-3000:]
    return result
