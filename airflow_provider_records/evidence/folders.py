"""Where the files of a task instance lie in the evidence store."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_records.evidence.store import safe_name

DISPOSALS = "disposals"


def dag_folder(dag_id: str) -> str:
    """Return the folder of all disposals of a DAG."""
    return f"{DISPOSALS}/{safe_name(dag_id)}"


def run_folder(dag_id: str, run_id: str) -> str:
    """Return the folder of all disposals of a DAG run."""
    return f"{dag_folder(dag_id)}/{safe_name(run_id)}"


def rejections_folder(dag_id: str, run_id: str) -> str:
    """Return the folder of all rejections of a DAG run."""
    return f"rejections/{safe_name(dag_id)}/{safe_name(run_id)}"


def asked_folder(dag_id: str, run_id: str) -> str:
    """Return the folder of the orders that the approving steps of a DAG run have asked for."""
    return f"asked/{safe_name(dag_id)}/{safe_name(run_id)}"


def asked_name(
    dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int | None, *, iteration: int = -1
) -> str:
    """Return the name under which the order is kept that an approving task instance has asked for.

    :param try_number: None: for all tries.
    """
    name = f"{asked_folder(dag_id, run_id)}/{safe_name(task_id)}/{_instance(map_index, iteration)}"
    return f"{name}.json" if try_number is None else f"{name}/try-{try_number:04}.json"


def spent_folder(digest: str) -> str:
    """Return the folder that names the runs of other DAGs which carry out an order.

    :param digest: digest of the order.
    """
    return f"spent/{digest.removeprefix('sha256:')}"


def spent_name(digest: str, dag_id: str, run_id: str) -> str:
    """Return the name of the file by which a run of another DAG takes an order."""
    return f"{spent_folder(digest)}/{safe_name(dag_id)}/{safe_name(run_id)}.json"


def unmarked_folder(dag_id: str) -> str:
    """Return the folder that says what runs of a DAG destroyed or recycled, and what they marked."""
    return f"unmarked/{safe_name(dag_id)}"


def due_lists_folder(dag_id: str, run_id: str) -> str:
    """Return the folder of the readings of due lists in a DAG run."""
    return f"due_lists/{safe_name(dag_id)}/{safe_name(run_id)}"


def set_aside_folder(dag_id: str, run_id: str) -> str:
    """Return the folder of what the listing tasks of a DAG run set aside."""
    return f"set_aside/{safe_name(dag_id)}/{safe_name(run_id)}"


def slips_folder(dag_id: str, run_id: str) -> str:
    """Return the folder of the answers in a DAG run that could not be followed."""
    return f"slips/{safe_name(dag_id)}/{safe_name(run_id)}"


def titles_folder(dag_id: str, run_id: str = "") -> str:
    """Return the folder of the titles that reviewers of a DAG run need; without a run, that of a DAG."""
    return f"titles/{safe_name(dag_id)}" + (f"/{safe_name(run_id)}" if run_id else "")


def listings_folder(dag_id: str, task_id: str, map_index: int) -> str:
    """Return the folder that says in which runs a listing task found nothing."""
    return f"listings/{safe_name(dag_id)}/{safe_name(task_id)}/{map_index}"


def _instance(map_index: int, iteration: int) -> str:
    return f"{map_index}" if iteration < 0 else f"{map_index}.{iteration}"


@dataclass(frozen=True)
class TaskFolder:
    """The folder of one task instance: ``disposals/<dag>/<run>/<task>/<map index>``.

    A task in a loop has one for each iteration: ``<map index>.<iteration>``.

    :param path: its name in the store.
    """

    path: str

    @classmethod
    def of(cls, dag_id: str, run_id: str, task_id: str, map_index: int, iteration: int = -1) -> TaskFolder:
        """Return the folder of a task instance.

        :param map_index: -1 unless the task is mapped.
        :param iteration: that of the loop around the task, from 0; -1: there is none.
        """
        return cls(f"{run_folder(dag_id, run_id)}/{safe_name(task_id)}/{_instance(map_index, iteration)}")

    @classmethod
    def containing(cls, file: str) -> TaskFolder:
        """Return the folder that a file of a task instance lies in, such as a summary or a segment of its journal.

        :param file: the file's name in the store.
        """
        return cls("/".join(file.split("/")[:5]))

    @property
    def run(self) -> str:
        """The folder of the run."""
        return self.path.rsplit("/", 2)[0]

    @property
    def journal(self) -> str:
        """The folder of the journal; one folder a session."""
        return f"{self.path}/journal"

    @property
    def outcomes(self) -> str:
        """The folder of the outcomes, each try's under its digest."""
        return f"{self.path}/outcomes"

    def is_journal(self, file: str) -> bool:
        """Tell whether a file belongs to the journal."""
        return file.startswith(f"{self.journal}/")

    def summary(self, try_number: int, digest: str) -> str:
        """Return the name of the summary of a try.

        :param digest: hex digits of the hash over its bytes.
        """
        return f"{self.path}/try-{try_number:04}-{digest}/disposal.json"
