"""A list whose titles want more than to be read."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator

TITLES = (
    "[click](https://evil.example/link)",
    "![x](https://evil.example/x.png)",
    "<img src=x onerror=alert(1)><script>alert(1)</script>",
    "https://evil.example/bare and www.evil.example",
    "me@evil.example or mailto:me@evil.example",
    "a | b || c | \\| `code`",
    "one\n\n# two\n| three | four |",
    "**bold** _under_ &lt;b&gt;",
    "exe.\u202efdp.invoice",
)

with DAG(dag_id="approval_hostile", schedule=None):
    approve = DisposalApprovalOperator(
        task_id="approve",
        records=[
            {"key": f"https://host/{number}", "target_id": f"{number}", "title": title, "classification": title}
            for number, title in enumerate(TITLES)
        ],
        assigned_users={"id": "reviewer_1", "name": "Reviewer 1"},
        response_timeout=timedelta(hours=1),
    )
    EnaioDeleteObjectOperator(task_id="delete", records=approve.output, hard_delete=True)
