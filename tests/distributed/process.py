"""The processes of a distributed Airflow: each with its descendants, and a supervisor that starts again what has ended.

A task runs in a process group of its own, so that a signal to the group of its worker misses it; and a process whose
parent has ended belongs to nobody. So this process takes over, as init does, what its descendants leave behind.
"""

from __future__ import annotations

import ctypes
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


class Part:
    """One of the processes that a cluster consists of.

    :param name: its name, and that of its log.
    :param command: its command line.
    :param env: its environment.
    :param log: the file that gets what it prints.
    :param user: the user that runs it; None: the one of this process.
    """

    def __init__(
        self, name: str, command: list[str], env: Mapping[str, str], log: Path, user: str | None = None
    ) -> None:
        self.name, self.log = name, log
        self._command, self._env, self._user = command, env, user
        self._process: subprocess.Popen[bytes] | None = None
        self.wanted = False
        self.starts = 0

    def start(self) -> None:
        """Start it, unless it runs."""
        self.wanted = True
        if self.ended():
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, env=self._env, stdout=log, stderr=log, start_new_session=True, user=self._user
                )
            self.starts += 1

    def ended(self) -> bool:
        """Tell whether it does not run."""
        return self._process is None or self._process.poll() is not None

    def family(self) -> list[psutil.Process]:
        """Return it and its descendants."""
        if self._process is None:
            return []
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def freeze(self) -> None:
        """Stop it and its descendants as a machine does that hangs."""
        self._each(psutil.Process.suspend)

    def thaw(self) -> None:
        """Let it and its descendants go on."""
        self._each(psutil.Process.resume)

    def kill(self) -> None:
        """End it and its descendants as a machine does that loses its power; it is not started again."""
        self.wanted = False
        self.freeze()  # nobody starts another process while the others are killed
        self._each(psutil.Process.kill)
        if self._process is not None:
            self._process.wait(30)

    def _each(self, act: Callable[[psutil.Process], None]) -> None:
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                act(process)


class Supervisor:
    """Starts again what has ended, as systemd or Kubernetes does: Airflow's daemons end with their database."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def add(self, part: Part) -> Part:
        """Take charge of a part."""
        self.parts.append(part)
        return part

    def stop(self) -> None:
        """Start nothing again from now on."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(1):
            for part in list(self.parts):
                if part.wanted and part.ended():
                    part.start()


@contextmanager
def adopting() -> Iterator[None]:
    """Take over all processes that descendants leave behind; end all descendants when the block ends."""
    own = psutil.Process()
    before = set(own.children(recursive=True))
    subreaper = 36  # PR_SET_CHILD_SUBREAPER
    ctypes.CDLL(None).prctl(subreaper, 1)
    try:
        yield
    finally:
        for _ in range(3):  # one may have started another meanwhile
            processes = set(own.children(recursive=True)) - before
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(list(processes), timeout=10)
        ctypes.CDLL(None).prctl(subreaper, 0)
