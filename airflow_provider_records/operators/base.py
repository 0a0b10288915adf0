"""The base of all disposing operators: it joins records, approval, limits, journal and runner."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_records.airflow_version import AirflowFailException, TaskState, conf, task_state
from airflow_provider_records.evidence import unmarked
from airflow_provider_records.evidence.authorization import (
    APPROVAL_KEY,
    MARKED,
    MIN_WAIT,
    Authorization,
    Execution,
    called_at,
    journal_key,
    only_marks,
)
from airflow_provider_records.evidence.binding import Place, intended, refuse_less, refuse_other
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.long_list import spooled_records
from airflow_provider_records.evidence.names import PLAIN
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.run import all_disposals
from airflow_provider_records.evidence.segment import each_segment, has_intents
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance, write_outcomes
from airflow_provider_records.exceptions import (
    ApprovalError,
    ApprovalLapsedError,
    ConfigurationError,
    DisposalIncompleteError,
    WaitingPeriodError,
)
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.recheck import Recheck
from airflow_provider_records.execution.rehearsal import rehearse, told
from airflow_provider_records.execution.retries import StopState
from airflow_provider_records.execution.runner import Runner
from airflow_provider_records.operators.assets import DISPOSALS, events
from airflow_provider_records.reporting import wording
from airflow_provider_records.reporting.verdict import RunStatus
from airflow_provider_records.task.arguments import check_concurrency, check_min_approvals, check_switches
from airflow_provider_records.task.context import (
    approval_key,
    evidence_store,
    hard_stops,
    imports_left_alone,
    provenance,
)
from airflow_provider_records.task.disposing import DisposingOperator
from airflow_provider_records.task.holds import NamedHolds, check_holds
from airflow_provider_records.task.lineage import lineage
from airflow_provider_records.task.links import DisposalLink
from airflow_provider_records.task.recheck import Rechecks
from airflow_provider_records.task.records import Selection, accepted_results, resolve
from airflow_provider_records.task.telemetry import Telemetry
from airflow_provider_records.task.validity import check_min_wait, check_outlasts, waiting_period

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial


_JOURNAL = "records_journal"
_NONE_YET = "none"


def _expected_journal(state: TaskState | None, store: Store, origin: Provenance) -> str:
    """Return which journal earlier tries left, as far as Airflow knows: a session, or the folder of all.

    Airflow keeps nothing before 3.3, and forgets it with a clear from 3.4 on: then any earlier try may have left one.
    """
    known = str(state.get(_JOURNAL) or "") if state is not None else ""
    if known:
        return "" if known == _NONE_YET else known
    return store.uri(origin.folder.journal) if origin.try_number > 1 else ""


def _dag_ids(ids: Any) -> tuple[str, ...]:  # noqa: ANN401 - what a DAG may say
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Collection) or not all(isinstance(id_, str) for id_ in ids):
        raise ConfigurationError(f"accept_approvals_from must be a list of DAG ids, not {ids!r}.")
    return tuple(ids)


def _with_disposals(outlets: Any) -> list[Any]:  # noqa: ANN401 - what a DAG may say
    listed = list(outlets) if isinstance(outlets, Collection) else [outlets] if outlets is not None else []
    return listed if DISPOSALS in listed else [*listed, DISPOSALS]


class DisposeOperator(DisposingOperator):
    """Carry out a list of records against one system.

    A subclass names its system (``system_name``) and the arguments that decide where and how it acts
    (``place_arguments``), and returns its client (``hook``) and the system itself (``system``).

    :param records: a manifest or disposal reference, a list of ids or of record mappings, or one id.
    :param accept: of a disposal reference: the outcomes whose records count. Where this task marks, what an earlier run
        of the DAG destroyed and nobody has marked since counts in any case.
    :param require_approval: False: carry out a list that nobody approved; the evidence says so.
    :param min_approvals: approvals needed, from 2 on of distinct persons; None: ``[records] min_approvals`` (1).
    :param accept_approvals_from: ids of other DAGs whose approvals count here; usually one that collects approvals and
        triggers this one. What such an approval was ordered for must be this system, method and target; the first run
        that begins with it is the only one that it counts for. An approval of another run of this DAG never counts.
    :param min_wait: time that must have passed since the last approval before anything is deleted, so that it can be
        withdrawn; None: ``[records] min_wait_days`` (0). A try before that fails and may be retried.
    :param holds: keys or target ids that must stay in this run: any task's output, such as the rows of a query with one
        column. They make no standing hold; the register of holds (``airflow-records hold add``) counts in any case.
    :param recheck: before each few calls, read again where the approvals come from and the due list that the records
        came from; what is not due any more is ``blocked``, a withdrawn approval stops the task. Holds and rejections
        are looked at in any case.
    :param max_records: longest list accepted; None: ``[records] max_records`` (1000). A longer one is refused whole.
    :param max_failure_rate: share of failed calls, 0 to 1, above which the sending stops (after 20 calls).
    :param max_absent_rate: share of records that a look before the calls does not find, 0 to 1, above which nothing is
        sent, and nothing is called absent (after 20 records): the wrong archive, or an account that may not see them.
        Where no look finds a record (a document of Unifier that names no folder), the answers to the calls count.
    :param concurrency: calls in flight; None: the connection's ``max_concurrency``, which also bounds it.
    :param verify: probe each record after its call, to raise the proof to ``probe`` where the system allows it.
    :param dry_run: probe every record, send nothing that changes anything.
    :return: a disposal reference (see "What flows between tasks" in the documentation).
    :raises ConfigurationError: when the DAG is parsed: an argument has a wrong value.
    :raises AirflowFailException: the list, its approval or the connection is refused; a retry would not help.
    :raises DisposalIncompleteError: records are left for another try.
    """

    template_fields: Sequence[str] = (*DisposingOperator.template_fields, "holds")
    operator_extra_links = (DisposalLink(),)
    switches: ClassVar[Sequence[str]] = ("require_approval", "recheck", "verify", "dry_run")

    def __init__(
        self,
        *,
        records: Any,  # noqa: ANN401 - templated; checked when the task runs
        accept: Sequence[str] = (OutcomeKind.DESTROYED.value,),
        require_approval: bool = True,
        min_approvals: int | None = None,
        min_wait: timedelta | None = None,
        accept_approvals_from: Sequence[str] = (),
        holds: Any = (),  # noqa: ANN401 - templated; checked when the task runs
        recheck: bool = True,
        max_records: int | None = None,
        max_failure_rate: float = 0.1,
        max_absent_rate: float = 0.1,
        concurrency: int | None = None,
        verify: bool = True,
        dry_run: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.check_static(
            accept=accept,
            require_approval=require_approval,
            min_approvals=min_approvals,
            recheck=recheck,
            max_records=max_records,
            max_failure_rate=max_failure_rate,
            max_absent_rate=max_absent_rate,
            concurrency=concurrency,
            verify=verify,
            dry_run=dry_run,
        )
        self.outlets = _with_disposals(self.outlets)
        self.records = records
        self.accept = accept
        self.require_approval = require_approval
        self.min_approvals = min_approvals
        self.min_wait = check_min_wait(min_wait)
        check_outlasts(records, waiting_period(self.min_wait), "min_wait")
        self.accept_approvals_from = _dag_ids(accept_approvals_from)
        self.holds = check_holds(holds)
        self.recheck = recheck
        self.max_records = max_records
        self.max_failure_rate = max_failure_rate
        self.max_absent_rate = max_absent_rate
        self.concurrency = concurrency
        self.verify = verify
        self.rehearse_only = dry_run
        self._named = NamedHolds()
        self._naming = PLAIN
        self._rechecks: Rechecks | None = None
        self._runner: Runner | None = None
        self._done: Disposal | None = None
        self._allowed: Authorization | None = None

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:  # noqa: ANN401
        """Begin a mapped task, whose outlets Airflow reads off what is returned, without making the operator.

        :param kwargs: arguments of the operator, for all mapped tasks.
        :return: what has ``expand`` and ``expand_kwargs``.
        """
        made = super().partial(**kwargs)
        cls.check_static(**made.kwargs)
        made.kwargs["outlets"] = _with_disposals(made.kwargs["outlets"])
        return made

    @classmethod
    def check_static(cls, **given: Any) -> None:  # noqa: ANN401 - what a DAG may say
        """Check arguments whose values the DAG itself states.

        :param given: arguments of the operator; those that are missing are mapped over or have their defaults.
        :raises ConfigurationError: one has a wrong value.
        """
        check_switches(**{name: given[name] for name in cls.switches if name in given})
        if "accept" in given:
            accepted_results(given["accept"])
        if given.get("min_approvals") is not None:
            check_min_approvals(given["min_approvals"])
        limits = ("max_records", "max_failure_rate", "max_absent_rate")
        Limits(
            **{name: given[name] for name in limits if name in given and (name, given[name]) != ("max_records", None)}
        )
        check_concurrency(given.get("concurrency"))

    def options(self) -> dict[str, Any]:
        """Return what the DAG asked for, for the evidence; where it leaves a limit to ``[records]``, what held."""
        limits, min_approvals = self._limits()
        return {
            "accept": sorted(accepted_results(self.accept)),
            "min_approvals": min_approvals,
            MIN_WAIT: waiting_period(self.min_wait).total_seconds(),
            APPROVAL_KEY: None if (key := approval_key()) is None else key.to_dict(),
            "accept_approvals_from": list(self.accept_approvals_from),
            "holds": self._named.to_dict(),
            "recheck": self.recheck,
            "max_records": limits.max_records,
            "max_failure_rate": self.max_failure_rate,
            "max_absent_rate": self.max_absent_rate,
            "concurrency": self.concurrency,
            "verify": self.verify,
        }

    def on_kill(self) -> None:
        """Stop sending; ``execute`` goes on, writes what is known, and ends."""
        if self._runner is not None:
            self._runner.stop("the task was stopped")
        self._stop_client()

    def _stop_client(self) -> None:
        if self._rechecks is not None:
            self._rechecks.stop()
        if "hook" in self.__dict__:
            self.hook.stopping = True

    def execute(self, context: Context) -> dict[str, Any]:
        """Carry out the list; see the class."""
        try:
            return self._execute(context)
        finally:
            if self._rechecks is not None:
                self._rechecks.end()

    def _execute(self, context: Context) -> dict[str, Any]:
        state = task_state(context)
        if state is not None and context["ti"].try_number == 1 and not state.get(_JOURNAL):
            state.set(_JOURNAL, _NONE_YET)  # a try that fails before it opens a journal has lost none
        with hard_stops(), imports_left_alone():
            store = evidence_store()
            self._naming = store.naming
            limits, min_approvals = self._limits()
            self._named = NamedHolds.read(self.holds, provenance(context))
            marks = not self.system().describe().deletes_content
            selection = resolve(self.records, store, accepted_results(self.accept), marks=marks)
            disposal, stop_state = self._carry_out(context, selection, limits, min_approvals)
        self._done = disposal
        reference = disposal.reference()
        if not disposal.description.deletes_content:
            origin = disposal.provenance
            done = all_disposals(selection.manifest.store, origin.dag_id, origin.run_id, [disposal])
            for alarm in RunStatus(done).alarms:
                self.log.error("%s", alarm)
        if disposal.complete or disposal.dry_run:
            for asset, extra in events(disposal):
                context["outlet_events"][DISPOSALS].add(asset, extra)
            return reference
        # Pushed before the failure, so that what did go well can be marked in the same run.
        context["ti"].xcom_push(key="return_value", value=reference)
        why = (disposal.stopped or "see the log").rstrip(".")
        problem = f"{disposal.left} of {selection.manifest.count} records; {why}."
        if stop_state.no_retry:
            raise AirflowFailException(problem)
        incomplete = DisposalIncompleteError(f"{problem} The next try carries on with them.")
        incomplete.retry_after = stop_state.retry_after
        raise incomplete

    def _tell(self, disposal: Disposal, outcomes: Sequence[Outcome]) -> None:
        """Log what became of the records, and the reasons of what was left, each with its number."""
        title = disposal.description.title
        if disposal.dry_run:
            self.log.info("Rehearsal in %s: %s", title, told(outcomes, disposal.method) or "the list is empty")
        else:
            counts = [
                f"{number:,} {wording.label(disposal.description, OutcomeKind(kind))}"
                for kind, number in disposal.counts.items()
                if number
            ]
            self.log.info("%s: %s", title, ", ".join(counts) or "the list is empty")
        if any(number and not OutcomeKind(kind).gone for kind, number in disposal.counts.items()):
            for line in wording.reasons(disposal.description, outcomes):
                self.log.info("  %s", line)

    def get_openlineage_facets_on_complete(self, _: Any) -> OperatorLineage[Any, Any] | None:  # noqa: ANN401
        """Return which datasets are gone; asked by the OpenLineage provider when the task has ended."""
        return lineage(self._done, evidence_store(), self.hook.target) if self._done else None

    def _limits(self) -> tuple[Limits, int]:
        max_records = self.max_records
        if max_records is None:
            max_records = conf.getint("records", "max_records", fallback=1000)
        min_approvals = self.min_approvals
        if min_approvals is None:
            min_approvals = conf.getint("records", "min_approvals", fallback=1)
        limits = Limits(max_records, self.max_failure_rate, self.max_absent_rate)
        return limits, check_min_approvals(min_approvals)

    def _carry_out(
        self, context: Context, selection: Selection, limits: Limits, min_approvals: int
    ) -> tuple[Disposal, StopState]:
        origin = provenance(context)
        manifest, store = selection.manifest, selection.manifest.store
        state = task_state(context)
        started = now()
        stop_state = StopState()
        outcomes: Sequence[Outcome] = []
        records: Sequence[Record] = []
        journal: Journal | None = None
        telemetry = Telemetry(self.system_name)
        description = self.system().describe()
        place = Place(
            self.system_name,
            self.hook.target if manifest.count else "",
            description.action,
            self.hook.conn_id if manifest.count else "",
        )
        refusal = self._authorize(selection, min_approvals, origin, started, place)
        system = self.system()
        self._check_begun(selection, origin, place)
        if manifest.count:
            if self.rehearse_only:
                held = Rechecks(store, origin).holds(self._named)(list(manifest))
                outcomes = rehearse(system, list(manifest), concurrency=self._threads(), held=held)
            else:
                limits.refuse_too_many(manifest.count)
                selection.spend(origin.dag_id, origin.run_id)
                journal = Journal(
                    store,
                    origin.folder,
                    journal_key(selection.approved),
                    started=origin.started,
                    try_number=origin.try_number,
                    call_seconds=2 * self.hook.settings.timeout,  # to be sent, and to be answered
                    expected=_expected_journal(state, store, origin),
                    place=place,
                    about={
                        "description": description.to_dict(),
                        "records": manifest.count,
                        "begun": started,
                        **({"refused": str(refusal)} if refusal else {}),
                    },
                )
                if journal.state.missing_session:
                    self.log.warning(
                        "No journal of an earlier try is there (%s): it sent nothing, or its journal is lost; do all "
                        "workers reach the same [records] evidence_path? Every record is probed before it is sent, and "
                        "one that is gone is not counted as destroyed by us",
                        journal.state.missing_session,
                    )
                if state is not None:
                    state.set(_JOURNAL, journal.uri)
                runner = Runner(
                    system,
                    journal,
                    limits,
                    concurrency=self._threads(),
                    verify=self.verify,
                    recheck=None if refusal else self._recheck(selection, origin, journal),
                    report=telemetry.chunk,
                    earlier=partial(unmarked.read, store, origin.dag_id, origin.run_id, place),
                    interrupt=self._stop_client,
                )
                unmarked.begin(store, origin, place)
                self._runner = runner
                self.hook.may_send = runner.may_send
                if refusal:
                    self.log.warning("%s What earlier tries sent is looked up", refusal)
                    runner.stop_state.stop_because(str(refusal))
                records = spooled_records(manifest)
                outcomes = runner.run(records)
                stop_state = runner.stop_state
                stop_state.no_retry = stop_state.no_retry or (refusal is not None and not refusal.retry)
        uri, counts = write_outcomes(store, manifest, outcomes, origin.folder)
        if journal is not None:
            telemetry.rest(counts)
        disposal = Disposal(
            system=self.system_name,
            description=description,
            manifest=manifest.uri,
            digest=manifest.digest,
            approved=selection.approved,
            approvals=[approval.uri for approval in selection.approvals],
            approval_required=self.require_approval,
            dry_run=self.rehearse_only,
            counts=counts,
            outcomes=uri,
            started_at=started,
            ended_at=now(),
            provenance=origin,
            options=self.options() if manifest.count else {},
            target=place.target,
            method=place.method,
            conn_id=place.conn_id,
            stopped=stop_state.reason or None,
            follows=[followed.uri for followed in selection.follows] or None,
            destroyed_earlier=sum(each.earlier is not None for each in outcomes) if counts[OutcomeKind.ABSENT] else 0,
        )
        self._tell(disposal, outcomes)
        if journal is not None:
            journal.check_fence()  # one that was given up has nothing to report
            unmarked.note(store, disposal, records, outcomes)
        return disposal.write(store), stop_state

    def _check_begun(self, selection: Selection, origin: Provenance, place: Place) -> None:
        """Refuse another list, place or method than the task instance has begun with.

        :raises JournalError: it has.
        """
        begun = intended(each_segment(selection.manifest.store, origin.folder.journal))
        refuse_less(begun, selection.manifest.keys(), dry_run=self.rehearse_only)
        refuse_other(begun, journal_key(selection.approved), place)

    def _authorize(
        self,
        selection: Selection,
        min_approvals: int,
        origin: Provenance,
        begun: str,
        place: Place,
    ) -> ApprovalLapsedError | None:
        """Return why this try may send nothing new; None: it may.

        :raises ApprovalError: it may not, and no earlier try left anything to look up.
        """
        store = selection.manifest.store
        accepts_only_own = accepted_results(self.accept) <= MARKED
        marks = accepts_only_own and only_marks(
            origin, deletes_content=place.method != "mark", followed=selection.follows
        )
        self._marks = marks
        if marks:
            journals = [(each, each_segment(store, each.provenance.folder.journal)) for each in selection.follows]
            begun = max(called_at(each, segments) for each, segments in journals)
        try:
            self._gate = partial(
                selection.authorize,
                min_approvals=min_approvals,
                approval_required=self.require_approval,
                dry_run=self.rehearse_only,
                execution=Execution(
                    origin.dag_id,
                    origin.run_id,
                    origin.task_id,
                    place,
                    begun,
                    self.accept_approvals_from,
                    over=marks,
                ),
                min_wait=timedelta() if marks else waiting_period(self.min_wait),
            )
            self._allowed = self._gate()
            return None
        except ApprovalError as error:
            if isinstance(error, ApprovalLapsedError) and not self.rehearse_only and has_intents(store, origin.folder):
                return error
            if isinstance(error, WaitingPeriodError):
                raise
            raise ApprovalError(f"{error} This try sent nothing. Have the list approved in a new DAG run.") from error

    def _recheck(self, selection: Selection, origin: Provenance, journal: Journal) -> Recheck | None:
        """Return what is checked before each few calls; None: what our calls destroyed is marked in any case."""
        if self._marks or self._allowed is None:
            return None
        self._rechecks = Rechecks(selection.manifest.store, origin)
        checks = self._rechecks.always(self._named, self._allowed, self._gate)
        if self.recheck:
            sources = self._rechecks.sources(self._allowed)
            due_lists = self._rechecks.due_lists(
                self._allowed,
                selection.due_lists,
                system=self.system_name,
                records=selection.manifest.count - len(journal.outcomes),
            )
            checks = [*sources, *checks, *due_lists]
        return Recheck(checks)

    def _threads(self) -> int:
        allowed = self.hook.settings.max_concurrency
        return allowed if self.concurrency is None else min(self.concurrency, allowed)
