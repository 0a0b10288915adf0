"""Which Airflow this provider needs, said clearly where a resolver was told to install it on an older one."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.version import Version

FLOOR = "3.3.2"


def require_airflow() -> None:
    """Refuse an Airflow on which the guards of this provider do not hold; the README says which.

    :raises RuntimeError: it is older than the floor.
    """
    for name in ("apache-airflow-core", "apache-airflow"):  # the first since Airflow 3
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        if Version(found).release < Version(FLOOR).release:  # a pre-release counts as its release
            raise RuntimeError(
                f"airflow-provider-records needs Airflow {FLOOR} or newer; {found} is installed. Upgrade Airflow: what "
                "this provider rests on (masking in the triggerer, the state of a task across its tries) is not there."
            )
        return
