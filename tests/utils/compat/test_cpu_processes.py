from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from mmengine.dist import utils

from mmgmp.utils.compat import allow_cpu_processes
from tests.shipped import GMP, ROOT

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='is for machines without a GPU'
)


def test_mmengine_still_needs_it(monkeypatch):
    """Fails as soon as the repair can be deleted."""
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('LOCAL_RANK', '0')
    original = utils._init_dist_pytorch.__wrapped__
    with pytest.raises((AssertionError, AttributeError, RuntimeError)):
        original('gloo', world_size=1, init_method='tcp://127.0.0.1:1')


def test_it_is_applied_once():
    before = utils._init_dist_pytorch
    allow_cpu_processes()
    assert utils._init_dist_pytorch is before


def test_a_backend_that_needs_a_gpu_is_refused():
    with pytest.raises(ValueError, match=r"backend must be 'gloo'.*'nccl'"):
        utils._init_dist_pytorch('nccl')


@pytest.mark.slow
def test_torchrun_with_two_processes(mini_hac, tmp_path):
    """The stock script, one key more than on GPUs."""
    words = [
        'env_cfg.dist_cfg.backend=gloo', 'train_cfg.max_epochs=1',
        'protocol.target=cartoon', 'default_hooks.checkpoint=None',
    ]  # fmt: skip
    for part in ('train', 'val', 'test'):
        words += [
            f'{part}_dataloader.dataset.data_root={mini_hac}',
            f'{part}_dataloader.dataset.indices=4',
            f'{part}_dataloader.batch_size=2',
            f'{part}_dataloader.num_workers=0',
            f'{part}_dataloader.persistent_workers=False',
        ]
    done = subprocess.run(
        [
            sys.executable, '-W', 'ignore', '-m', 'torch.distributed.run',
            '--standalone', '--nproc_per_node', '2',
            str(ROOT / 'tools/train.py'), str(GMP), '--launcher', 'pytorch',
            '--work-dir', str(tmp_path), '--cfg-options', *words,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert 'acc/human_top1' in done.stdout + done.stderr
