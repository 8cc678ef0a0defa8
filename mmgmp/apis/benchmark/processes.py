"""Where the processes of cells run: here, or as jobs of a cluster.

A process here inherits the lock of its cell, so that the cell stays claimed
when the runner is killed. A job of a cluster cannot; it is written into the
cell's folder instead, and a later runner waits for that job rather than
starting the cell again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

from mmgmp.apis.benchmark.cell_state import read_json, write_json

_JOB_FILE = 'job.json'
_DAY = 24 * 60


class Process(Protocol):
    """A process that works on a cell."""

    #: What the lock file of the cell says: a process or a job.
    name: str

    def poll(self) -> int | str | None:
        """Return how it ended, None while it runs."""

    def ask_to_stop(self) -> None:
        """Ask it, and those that it started, to end."""

    def stop(self, seconds: float) -> None:
        """Wait for its end, and enforce it after that time."""


class LocalProcess:
    """A process of this machine, leader of its own group.

    Args:
        command: Program and arguments.
        environment: Variables besides those of this process.
        log: File that its output is added to.
        claim: Lock of the cell, which it inherits.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        claim: IO[str],
    ) -> None:
        with open(log, 'ab') as file:
            self._process = subprocess.Popen(
                command,
                **_streams(file, environment),
                pass_fds=[claim.fileno()],
                start_new_session=True,
            )
        self.name = str(self._process.pid)
        self.poll = self._process.poll

    def ask_to_stop(self) -> None:
        """Send ``SIGTERM`` to its group."""
        self._signal(signal.SIGTERM)

    def stop(self, seconds: float) -> None:
        """Wait for its end, and send ``SIGKILL`` after that time."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class ClusterJob:
    """A job of submitit.

    Args:
        job: What its executor returned.
        folder: Of the cell, where the job is noted until it has ended.
    """

    def __init__(self, job: Any, folder: Path) -> None:
        self.name = f'job {job.job_id}'
        self._job = job
        self._note = folder / _JOB_FILE

    def poll(self) -> int | str | None:
        """Return the exit status of its command, None while it runs."""
        if not self._job.done():
            return None
        self._note.unlink(missing_ok=True)
        if (error := self._job.exception()) is not None:
            words = str(error).strip().rpartition('\n')[2]
            return f'{self.name} failed: {words}'
        # One per task; the stock script ends alike on all of them.
        return max((int(code) for code in self._job.results()), key=abs)

    def ask_to_stop(self) -> None:
        """Cancel it."""
        self._job.cancel(check=False)

    def stop(self, seconds: float) -> None:
        """Wait for its end; the cluster enforces it."""
        deadline = time.monotonic() + seconds
        while not self._job.done() and time.monotonic() < deadline:
            time.sleep(0.1)
        self._note.unlink(missing_ok=True)


def submit(
    cluster: str,
    parameters: Mapping[str, Any],
    folder: Path,
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
) -> ClusterJob:
    """Hand a command to a cluster; each task of the job runs it.

    ``parameters`` are those of ``submitit.AutoExecutor``. The log must lie on
    a disk that the nodes share.

    Raises:
        ValueError: If submitit is not installed.
    """
    executor = _submitit().AutoExecutor(folder / '.jobs', cluster=cluster)
    executor.update_parameters(
        **{'name': 'mmgmp', 'timeout_min': _DAY, **parameters}
    )
    job = executor.submit(
        _run,
        list(command),
        dict(environment),
        str(log.absolute()),
        os.getcwd(),
    )
    note = {'cluster': cluster, 'job': str(job.job_id)}
    write_json(folder / _JOB_FILE, note)
    return ClusterJob(job, folder)


def find_job(folder: Path) -> ClusterJob | None:
    """Return the job that an earlier runner has left with a cell, if any."""
    noted = read_json(folder / _JOB_FILE)
    if noted is None or noted.get('cluster') != 'slurm':
        return None
    job = _submitit().SlurmJob(folder / '.jobs', noted['job'])
    return ClusterJob(job, folder)


def _run(
    command: list[str], environment: dict[str, str], log: str, folder: str
) -> int:
    """Run a command within a job; return its exit status."""
    with open(log, 'ab') as file:
        streams = _streams(file, environment)
        return subprocess.call(command, **streams, cwd=folder)


def _streams(
    file: IO[bytes], environment: Mapping[str, str]
) -> dict[str, Any]:
    return {
        'stdin': subprocess.DEVNULL,
        'stdout': file,
        'stderr': subprocess.STDOUT,
        'env': {**os.environ, **environment},
    }


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise ValueError(
            'jobs of a cluster need submitit, which is not installed; '
            "pip install 'mmgmp[slurm]'"
        ) from error
    return submitit
