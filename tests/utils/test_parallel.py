from __future__ import annotations

import os
import signal
import time

import pytest

from mmgmp.utils.parallel import run_jobs


def _crashed(job: int) -> str:
    return f'{job} crashed'


def _die_on_3(job: int) -> int:
    if job == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def _fail_on_3(job: int) -> int:
    if job == 3:
        raise KeyError(job)
    return job


def _sleep(job: int) -> int:
    time.sleep(0.2)
    return job


@pytest.mark.parametrize('workers', [1, 2, 5])
@pytest.mark.parametrize('title', ['', 'Working'])
def test_every_job_comes_back_with_its_result(workers, title, capsys):
    jobs = list(range(-4, 5))
    results = dict(run_jobs(abs, jobs, workers, _crashed, title))
    assert results == {job: abs(job) for job in jobs}
    shown = capsys.readouterr()
    assert shown.out == ''
    assert ('Working' in shown.err) is bool(title)


def test_no_jobs():
    assert list(run_jobs(abs, [], 4, _crashed, 'Working')) == []


def test_a_process_that_dies_costs_one_job():
    jobs = list(range(6))
    results = dict(run_jobs(_die_on_3, jobs, 2, _crashed))
    assert results == {n: '3 crashed' if n == 3 else n for n in jobs}


@pytest.mark.parametrize('workers', [1, 2])
def test_an_exception_is_passed_on(workers):
    with pytest.raises(KeyError, match='3'):
        list(run_jobs(_fail_on_3, range(6), workers, _crashed))


def test_stopping_drops_what_has_not_begun():
    results = run_jobs(_sleep, list(range(100)), 2, _crashed)
    start = time.monotonic()
    next(results)
    results.close()
    assert time.monotonic() - start < 10


def test_workers_must_be_there():
    with pytest.raises(ValueError, match='workers must be >= 1, got 0'):
        run_jobs(abs, [1], 0, _crashed)
