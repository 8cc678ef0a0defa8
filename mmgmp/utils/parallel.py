"""Independent jobs in processes, with a progress bar and an orderly stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Job = TypeVar('Job')
Result = TypeVar('Result')


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int,
    crashed: Callable[[Job], Result],
    title: str = '',
) -> Iterator[tuple[Job, Result]]:
    """Run a function on every job, in processes, as they come.

    A decoder that crashes takes its process with it. The jobs that were not
    done by then run again in a process each, so that one broken file costs
    one job and not the run. Stopping the iteration, also by an interrupt,
    drops what has not begun.

    Args:
        function: Importable function of one job.
        jobs: The jobs.
        workers: Processes, >= 1; 1 runs everything in this one.
        crashed: Gives the result of a job whose process died.
        title: Text before the progress bar; ``''`` shows none.

    Returns:
        Iterator over jobs with their results, in the order of completion.

    Raises:
        ValueError: If there is no worker.

    Example:
        >>> sorted(run_jobs(abs, [-1, -2], 1, crashed=lambda job: 0))
        [(-2, 2), (-1, 1)]
    """
    if workers < 1:
        raise ValueError(f'workers must be >= 1, got {workers}')
    if workers == 1 or len(jobs) < 2:
        results = ((job, function(job)) for job in jobs)
        return _show(results, len(jobs), title)
    return _run(function, jobs, workers, crashed, title)


def _run(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int,
    crashed: Callable[[Job], Result],
    title: str,
) -> Iterator[tuple[Job, Result]]:
    # Started before the bar, whose thread a fork should not copy.
    pool = _start(workers)
    try:
        futures = {pool.submit(function, job): job for job in jobs}
        results = _collect(function, pool, futures, crashed)
        yield from _show(results, len(jobs), title)
    finally:
        # An interrupt may come before the first result is waited for; what
        # is not cancelled would all run at exit. Not waiting would let the
        # pool be collected before its thread has cancelled anything.
        pool.shutdown(wait=True, cancel_futures=True)


def _start(workers: int) -> ProcessPoolExecutor:
    # An interrupt goes to the whole group; only the parent acts on it.
    return ProcessPoolExecutor(
        workers,
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )


def _collect(
    function: Callable[[Job], Result],
    pool: ProcessPoolExecutor,
    futures: dict[Future[Result], Job],
    crashed: Callable[[Job], Result],
) -> Iterator[tuple[Job, Result]]:
    try:
        for future in as_completed(list(futures)):
            result = future.result()
            yield futures.pop(future), result
    except BrokenProcessPool:
        pass
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    for job in futures.values():
        with _start(1) as single:
            try:
                result = single.submit(function, job).result()
            except BrokenProcessPool:
                result = crashed(job)
        yield job, result


def _show(
    results: Iterator[tuple[Job, Result]], total: int, title: str
) -> Iterator[tuple[Job, Result]]:
    if not title:
        yield from results
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(results, title, total=total, console=Console(stderr=True))
