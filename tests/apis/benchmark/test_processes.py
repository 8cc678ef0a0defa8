from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from mmgmp.apis.benchmark import BenchmarkRunner, Launch
from mmgmp.apis.benchmark.cell_state import State
from mmgmp.apis.benchmark.processes import ClusterJob, find_job

from .toy import PLAN, calls, make_toy, toy_plan

ONE = PLAN.replace('seeds: [0, 1]', 'seeds: [0]').replace(
    'targets: {H: h, A: a}', 'targets: {H: h}'
)


def test_cells_run_as_jobs(tmp_path):
    """On this machine, through submitit's own local executor."""
    toy = make_toy(tmp_path / 'toy', ONE)
    (toy / 'template/fail').write_text('GMP')
    launch = Launch(str(toy / 'python'), 'local', {'timeout_min': 5})
    made = BenchmarkRunner(toy_plan(toy), launch, [{'A': 'b'}] * 2)
    assert not made.run()
    erm, gmp = made.cells()
    assert (erm.state(), gmp.state()) == (State.DONE, State.FAILED)
    assert gmp.read('failure')['code'] == 3
    assert calls(toy).count('ERM/H/seed-0') == 1
    assert not list(toy.glob('runs/**/job.json'))


class FakeJob:
    """A Slurm job as submitit shows it."""

    def __init__(self, folder, job_id):
        self.folder, self.job_id, self.codes = folder, job_id, None

    def done(self):
        return self.codes is not None

    def exception(self):
        return None

    def results(self):
        return self.codes


def test_a_job_that_an_earlier_runner_left_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(
        'mmgmp.apis.benchmark.processes._submitit',
        lambda: SimpleNamespace(SlurmJob=FakeJob),
    )
    assert find_job(tmp_path) is None
    note = tmp_path / 'job.json'
    note.write_text(json.dumps({'cluster': 'slurm', 'job': '42'}))
    found = find_job(tmp_path)
    assert isinstance(found, ClusterJob)
    assert (found.name, found.poll()) == ('job 42', None)
    assert note.exists()
    found._job.codes = [0, 7]
    assert found.poll() == 7
    assert not note.exists()


def test_a_job_that_was_lost_says_why(tmp_path):
    job = FakeJob(tmp_path, '42')
    job.codes = []
    job.exception = lambda: RuntimeError('log\nOut of memory\n')
    assert ClusterJob(job, tmp_path).poll() == ('job 42 failed: Out of memory')


def test_without_submitit_the_message_says_what_to_install(
    tmp_path, monkeypatch
):
    import sys

    monkeypatch.setitem(sys.modules, 'submitit', None)
    (tmp_path / 'job.json').write_text('{"cluster": "slurm", "job": "1"}')
    with pytest.raises(ValueError, match=r'mmgmp\[slurm\]'):
        find_job(tmp_path)
