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
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from mmgmp.apis.benchmark.cell_folder import read_json, write_json

_JOB_FILE = 'job.json'
_DAY = 24 * 60
#: Shell script that runs its arguments and adds their output to a file.
_LOGGED = 'exec "$@" >> "$0" 2>&1 < /dev/null'


@dataclass(frozen=True)
class Launch:
    """How processes are started.

    Args:
        python: Interpreter.
        cluster: ``'slurm'`` or ``'local'``, submitit's executors; None runs
            processes here.
        parameters: Of submitit, such as ``slurm_partition``,
            ``gpus_per_node``, ``tasks_per_node``, ``nodes``.
    """

    python: str
    cluster: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def command(self, script: str, *words: object) -> list[str]:
        """Build the command line of a stock script."""
        import mmaction

        path = Path(mmaction.__file__).parent / '.mim' / 'tools' / script
        per_node = int(self.parameters.get('tasks_per_node', 1))
        num_tasks = per_node * int(self.parameters.get('nodes', 1))
        launcher = ['--launcher', 'slurm'] if num_tasks > 1 else []
        return [self.python, '-u', str(path), *map(str, words), *launcher]


class LocalProcess:
    """A process of this machine, leader of its own group."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        #: What the lock file of the cell says.
        self.name = str(process.pid)
        self._process = process

    def poll(self) -> int | None:
        """Return its exit status, None while it runs."""
        return self._process.poll()

    def ask_to_stop(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to its group."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def stop(self, seconds: float) -> None:
        """Wait for its end, and enforce it after that time."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.ask_to_stop(signal.SIGKILL)
            self._process.wait()


class ClusterJob:
    """A job of submitit, noted in the cell's folder until it has ended."""

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


Process = LocalProcess | ClusterJob


def start_process(
    launch: Launch,
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    claim: IO[str],
) -> Process:
    """Start a command; its output is added to a log in the cell's folder."""
    if launch.cluster is None:
        with open(log, 'ab') as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                pass_fds=[claim.fileno()],
                start_new_session=True,
            )
        return LocalProcess(process)
    folder, cluster = log.parent, launch.cluster
    executor = _submitit().AutoExecutor(folder / '.jobs', cluster=cluster)
    executor.update_parameters(
        **{'name': 'mmgmp', 'timeout_min': _DAY, **launch.parameters}
    )
    # A function of ours would make each job import this package to find it.
    variables = [f'{name}={value}' for name, value in environment.items()]
    script = ['sh', '-c', _LOGGED, str(log.absolute()), *command]
    job = executor.submit(
        subprocess.call, ['env', *variables, *script], cwd=os.getcwd()
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


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise ValueError(
            'jobs of a cluster need submitit, which is not installed; '
            "pip install 'mmgmp[slurm]'"
        ) from error
    return submitit
