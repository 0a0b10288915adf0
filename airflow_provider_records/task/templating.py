"""Controls which templates Airflow renders in ``records=``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from jinja2 import Environment


class RecordsOperator(BaseOperator):
    """Base of the operators that take ``records``: an id may be a template, a mapping is data.

    Airflow also renders values that ``expand_kwargs`` maps over, although an upstream task returned them: a key that
    looks like a template would become the key of another record.
    """

    template_fields: Sequence[str] = ("records",)

    def render_template(
        self,
        content: Any,  # noqa: ANN401
        context: Context,
        jinja_env: Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:  # noqa: ANN401
        """Render a value; in a mapping, only replace references to the outputs of upstream tasks."""

        def filled(value: Any) -> Any:  # noqa: ANN401
            if isinstance(value, Mapping):
                return {name: filled(item) for name, item in value.items()}
            if isinstance(value, list | tuple):
                return [filled(item) for item in value]
            return value if isinstance(value, str) else render(value, context, jinja_env, seen_oids)

        render = super().render_template
        return filled(content) if isinstance(content, Mapping) else render(content, context, jinja_env, seen_oids)
