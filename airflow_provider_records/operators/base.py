"""Ties records, approval, limits, journal and runner together, once for all systems."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, ObjectStoragePath, conf
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_records import __version__
from airflow_provider_records.disposal.attempt import Halt
from airflow_provider_records.disposal.disposal import Disposal, write_outcomes
from airflow_provider_records.disposal.journal import Journal
from airflow_provider_records.disposal.limits import Limits
from airflow_provider_records.disposal.outcome import Outcome, Result, now
from airflow_provider_records.disposal.runner import Runner
from airflow_provider_records.disposal.store import Store, safe_name
from airflow_provider_records.disposal.system import System, rehearse
from airflow_provider_records.exceptions import ConfigurationError, DisposalIncompleteError, RecordsError
from airflow_provider_records.hooks.base import VendorHook
from airflow_provider_records.operators.assets import DISPOSALS, events
from airflow_provider_records.operators.lineage import lineage
from airflow_provider_records.operators.links import DisposalLink
from airflow_provider_records.operators.selection import Selection, accepted_results, resolve
from airflow_provider_records.operators.telemetry import Telemetry

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial
    from jinja2 import Environment

_JOURNAL = "records_journal"


def evidence_store() -> Store:
    """Return the evidence store that ``[records] evidence_path`` names.

    :raises ConfigurationError: no installed provider serves its kind of storage.
    :raises EvidenceError: it names no usable folder.
    """
    path = conf.get("records", "evidence_path", fallback="") or conf.get_default_value("records", "evidence_path")
    if path.startswith("file://") or "://" not in path:
        return Store(path)
    try:
        root = ObjectStoragePath(path, conn_id=conf.get("records", "evidence_conn_id", fallback="") or None)
        return Store(path, root.fs, root.path)
    except (ValueError, ImportError) as error:
        raise ConfigurationError(
            f"[records] evidence_path {path!r} cannot be used: {error}. Is the provider for this storage installed?"
        ) from None


@contextmanager
def hard_stops() -> Iterator[None]:
    """Turn errors that no retry cures into a failure that Airflow does not retry.

    :raises AirflowFailException: with the error's own words.
    """
    try:
        yield
    except RecordsError as error:
        if error.retry:
            raise
        raise AirflowFailException(str(error)) from error


def task_facts(context: Context) -> dict[str, Any]:
    """Return who carries something out, for the evidence: DAG, run, task, map index, try, versions."""
    ti, dag_run = context["ti"], context["dag_run"]
    return {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": ti.map_index if ti.map_index is not None else -1,
        "try_number": ti.try_number,
        "dag_version_id": str(getattr(ti, "dag_version_id", "") or ""),
        "run_started_at": dag_run.start_date.isoformat() if dag_run.start_date else "",
        "hostname": platform.node(),
        "provider_version": __version__,
        "airflow_version": _airflow_version(),
        "python_version": platform.python_version(),
    }


def _airflow_version() -> str:
    from importlib.metadata import version

    return version("apache-airflow-core")


def task_folder(facts: Mapping[str, Any]) -> str:
    """Return the folder of a task instance in the evidence store."""
    names = [safe_name(str(facts[name])) for name in ("dag_id", "run_id", "task_id", "map_index")]
    return "/".join(["disposals", *names])


class RecordsOperator(BaseOperator):
    """Base of all that take ``records``: an id may be a template, a mapping is data.

    Airflow renders what ``expand_kwargs`` maps over, although an upstream task returned it: a key that looks like a
    template would become the key of another record.
    """

    template_fields: Sequence[str] = ("records",)

    def render_template(
        self,
        content: Any,  # noqa: ANN401
        context: Context,
        jinja_env: Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:  # noqa: ANN401
        """Render a value; in a mapping, only put in the outputs of upstream tasks."""

        def filled(value: Any) -> Any:  # noqa: ANN401
            if isinstance(value, Mapping):
                return {name: filled(item) for name, item in value.items()}
            if isinstance(value, list | tuple):
                return [filled(item) for item in value]
            return value if isinstance(value, str) else render(value, context, jinja_env, seen_oids)

        render = super().render_template
        return filled(content) if isinstance(content, Mapping) else render(content, context, jinja_env, seen_oids)


def _with_disposals(outlets: Any) -> list[Any]:  # noqa: ANN401 - what a DAG may say
    listed = list(outlets) if isinstance(outlets, Collection) else [outlets] if outlets is not None else []
    return listed if DISPOSALS in listed else [*listed, DISPOSALS]


class DisposeOperator(RecordsOperator):
    """Carry out a list of records against one system.

    Subclasses say only how their system disposes of and probes a record.

    :param records: a manifest or disposal reference, a list of ids or of record mappings, or one id.
    :param accept: of a disposal reference: the outcomes whose records count.
    :param require_approval: False: carry out a list that nobody approved; the evidence says so.
    :param min_approvals: distinct approvers needed; None: ``[records] min_approvals`` (1).
    :param max_records: longest list accepted; None: ``[records] max_records`` (1000). A longer one is refused whole.
    :param max_failure_rate: share of failed calls, 0 to 1, above which the sending stops (after 20 calls).
    :param concurrency: calls in flight; None: the connection's ``max_concurrency``, which also bounds it.
    :param verify: look afterwards and raise the proof to ``probe`` where the system can be asked.
    :param dry_run: look at every record, send nothing that changes anything.
    :return: a disposal reference (see the README).
    :raises AirflowFailException: the list, its approval or the connection is refused; a retry would not help.
    :raises DisposalIncompleteError: records are left for another try.
    """

    operator_extra_links = (DisposalLink(),)
    system_name: str

    def __init__(
        self,
        *,
        records: Any,  # noqa: ANN401 - templated; checked when the task runs
        accept: Sequence[str] = (Result.DESTROYED.value,),
        require_approval: bool = True,
        min_approvals: int | None = None,
        max_records: int | None = None,
        max_failure_rate: float = 0.1,
        concurrency: int | None = None,
        verify: bool = True,
        dry_run: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.outlets = _with_disposals(self.outlets)
        self.records = records
        self.accept = accept
        self.require_approval = require_approval
        self.min_approvals = min_approvals
        self.max_records = max_records
        self.max_failure_rate = max_failure_rate
        self.concurrency = concurrency
        self.verify = verify
        self.rehearse_only = dry_run
        self._runner: Runner | None = None
        self._done: Disposal | None = None

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:  # noqa: ANN401
        """Begin a mapped task, whose outlets Airflow reads off what is returned, without making the operator.

        :param kwargs: arguments of the operator, for all mapped tasks.
        :return: what has ``expand`` and ``expand_kwargs``.
        """
        made = super().partial(**kwargs)
        made.kwargs["outlets"] = _with_disposals(made.kwargs["outlets"])
        return made

    @cached_property
    def hook(self) -> VendorHook:
        """The client of the system."""
        raise NotImplementedError

    def system(self, selection: Selection) -> System:
        """Return how the system disposes of and probes a record."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """Return what the DAG asked for, for the evidence; where it leaves a limit to ``[records]``, what held."""
        limits, min_approvals = self._limits()
        return {
            "conn_id": self.hook.conn_id,
            "accept": sorted(accepted_results(self.accept)),
            "min_approvals": min_approvals,
            "max_records": limits.max_records,
            "max_failure_rate": self.max_failure_rate,
            "concurrency": self.concurrency,
            "verify": self.verify,
        }

    def on_kill(self) -> None:
        """Stop sending; ``execute`` goes on, writes what is known, and ends."""
        if self._runner is not None:
            self._runner.stop("the task was stopped")
        self._stop_client()

    def _stop_client(self) -> None:
        if "hook" in self.__dict__:
            self.hook.stopping = True

    def execute(self, context: Context) -> dict[str, Any]:
        """Carry out the list; see the class."""
        with hard_stops():
            limits, min_approvals = self._limits()
            selection = resolve(self.records, evidence_store(), accepted_results(self.accept))
            disposal, halt = self._carry_out(context, selection, limits, min_approvals)
        self._done = disposal
        reference = disposal.reference()
        self.log.info("%s: %s", self.system_name, ", ".join(f"{n} {name}" for name, n in disposal.counts.items() if n))
        if disposal.complete or disposal.dry_run:
            for asset, extra in events(disposal):
                context["outlet_events"][DISPOSALS].add(asset, extra)
            return reference
        # Pushed before the failure, so that what did go well can be marked in the same run.
        context["ti"].xcom_push(key="return_value", value=reference)
        why = (disposal.stopped or "see the log").rstrip(".")
        problem = f"{disposal.left} of {selection.manifest.count} records; {why}."
        if halt.fatal:
            raise AirflowFailException(problem)
        incomplete = DisposalIncompleteError(f"{problem} The next try carries on with them.")
        incomplete.retry_after = halt.retry_after
        raise incomplete

    def get_openlineage_facets_on_complete(self, _: Any) -> OperatorLineage[Any, Any] | None:  # noqa: ANN401
        """Return which datasets are gone; asked by the OpenLineage provider when the task has ended."""
        return lineage(self._done, evidence_store(), self.hook.settings.base_url) if self._done else None

    def _limits(self) -> tuple[Limits, int]:
        max_records = self.max_records
        if max_records is None:
            max_records = conf.getint("records", "max_records", fallback=1000)
        min_approvals = self.min_approvals
        if min_approvals is None:
            min_approvals = conf.getint("records", "min_approvals", fallback=1)
        if isinstance(min_approvals, bool) or not isinstance(min_approvals, int) or min_approvals < 1:
            raise ConfigurationError(
                f"min_approvals must be a whole number of at least 1, not {min_approvals!r}; "
                "a list that needs no approval says require_approval=False."
            )
        return Limits(max_records, self.max_failure_rate), min_approvals

    def _carry_out(
        self, context: Context, selection: Selection, limits: Limits, min_approvals: int
    ) -> tuple[Disposal, Halt]:
        facts = task_facts(context)
        manifest, store = selection.manifest, selection.manifest.store
        started = now()
        halt = Halt()
        outcomes: list[Outcome] = []
        journal: Journal | None = None
        telemetry = Telemetry(self.system_name)
        if manifest.count:
            if self.rehearse_only:
                outcomes = rehearse(self.system(selection), list(manifest), concurrency=self._threads())
            else:
                selection.check_source()
                if self.require_approval:
                    selection.require_approval(min_approvals)
                limits.refuse_too_many(manifest.count)
                # What Airflow keeps of a task instance through kills and clears; at most a hint, and none before 3.3.
                hints: Any = context.get("task_state_store")
                journal = Journal(
                    store,
                    task_folder(facts),
                    selection.binding,
                    started=facts["run_started_at"],
                    try_number=facts["try_number"],
                    call_seconds=2 * self.hook.settings.timeout,  # to connect, and to be answered
                    expected=str(hints.get(_JOURNAL) or "") if hints is not None else "",
                    about={"system": self.system_name, "records": manifest.count},
                )
                if journal.state.lost:
                    self.log.warning(
                        "The journal of an earlier try (%s) is not there; do all workers reach the same [records] "
                        "evidence_path? Every record is looked at before it is sent, and what is found gone is not "
                        "claimed as our deed",
                        journal.state.lost,
                    )
                if hints is not None:
                    hints.set(_JOURNAL, journal.uri)
                runner = Runner(
                    self.system(selection),
                    journal,
                    limits,
                    concurrency=self._threads(),
                    verify=self.verify,
                    report=telemetry.chunk,
                    interrupt=self._stop_client,
                )
                self._runner = runner
                self.hook.may_send = runner.may_send
                outcomes = runner.run(list(manifest))
                halt = runner.halt
        uri, counts = write_outcomes(store, manifest, outcomes, task_folder(facts))
        if journal is not None:
            telemetry.rest(counts)
        disposal = Disposal(
            system=self.system_name,
            manifest=manifest.uri,
            digest=manifest.digest,
            approved=[basis.manifest.digest for basis in selection.bases],
            approvals=selection.approvals,
            approval_required=self.require_approval,
            dry_run=self.rehearse_only,
            counts=counts,
            outcomes=uri,
            started_at=started,
            ended_at=now(),
            made=facts,
            options=self.options() if manifest.count else {},
            stopped=halt.reason or None,
        )
        if journal is not None:
            journal.check_fence()  # one that was given up has nothing to report
        return disposal.write(store, task_folder(facts)), halt

    def _threads(self) -> int:
        allowed = self.hook.settings.max_concurrency
        if self.concurrency is None:
            return allowed
        if isinstance(self.concurrency, bool) or not isinstance(self.concurrency, int) or self.concurrency < 1:
            raise ConfigurationError(f"concurrency must be a whole number of at least 1, not {self.concurrency!r}.")
        return min(self.concurrency, allowed)
