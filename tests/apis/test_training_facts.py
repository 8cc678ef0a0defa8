from __future__ import annotations

import json

import numpy as np
import pytest

from mmgmp.apis.benchmark import list_cells, load_plan
from mmgmp.apis.training_facts import count_clips, gpu_names
from mmgmp.apis.training_files import Schedule, last_ratios, read_ratios
from tests.shipped import GMP

from .benchmark.toy import make_toy, toy_plan

PLAN = """
corpus: mini-HAC
synthetic: true
methods:
  GMP: {gmp}
targets: {{H: human}}
overrides:
  train_cfg.max_epochs: 5
  train_dataloader.dataset: {{data_root: {data}, indices: 9}}
  val_dataloader.dataset.data_root: {data}
  test_dataloader.dataset.data_root: {data}
"""


def write_plan(tmp_path, data):
    path = tmp_path / 'plan.yml'
    path.write_text(PLAN.format(gmp=GMP, data=data))
    return list_cells(load_plan(path, tmp_path / 'runs'))[0]


def test_clips_are_counted_after_the_overrides(mini_hac, tmp_path):
    files = write_plan(tmp_path, mini_hac)
    samples = {
        split: json.loads((mini_hac / f'hac_{split}.json').read_text())
        for split in ('train', 'test')
    }
    human = {
        split: sum(s['domain'] == 'human' for s in found['data_list'])
        for split, found in samples.items()
    }
    assert count_clips(files.config()) == {
        'train': 9,
        'val': len(samples['test']['data_list']) - human['test'],
        'test': human['train'] + human['test'],
    }
    assert files.schedule().length == 5


def test_clips_that_cannot_be_counted_name_the_error(tmp_path):
    found = count_clips(write_plan(tmp_path, tmp_path / 'none').config())
    assert found == dict.fromkeys(
        ('train', 'val', 'test'), 'FileNotFoundError'
    )


HISTORY = {
    'iteration': np.arange(1.0, 9.0),
    'semantic_ratio_video': np.array([9, 9, 9, 9, 1, 2, np.inf, 3]),
    'domain_ratio_audio': np.array([9, 9, 9, 9, 1, 1, 1, 5.0]),
    'cosine_video': np.ones(8),
}


@pytest.mark.parametrize(
    ('schedule', 'video', 'audio'),
    [
        (Schedule('epoch', 2, 1, 1, None), 2.0, 2.0),
        (Schedule('iter', 8, 2, 1, None), 3.0, 3.0),
        (Schedule('iter', 8, 0, 1, None), 3.0, 5.0),
    ],
)
def test_ratios_of_the_last_epoch(schedule, video, audio):
    assert last_ratios(HISTORY, schedule) == {
        'semantic ratio video': video,
        'domain ratio audio': audio,
    }


def test_a_run_without_ratios_has_none(tmp_path):
    files = list_cells(toy_plan(make_toy(tmp_path / 'toy')))[0]
    assert read_ratios(files.folder) == {}


def test_gpus_are_read_off_the_log(tmp_path):
    log = tmp_path / 'train.log'
    log.write_text('CUDA available: True\n    GPU 0,1: NVIDIA H100\nGPU\n')
    assert gpu_names(log) == '2 x NVIDIA H100'
    assert gpu_names(tmp_path / 'none') == ''
