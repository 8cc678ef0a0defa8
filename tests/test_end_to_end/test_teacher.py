"""CMRF's averaged teacher through the stock scripts, on real files."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from mmengine.dataset import pseudo_collate

import mmgmp.datasets
import mmgmp.models  # noqa: F401
from mmgmp.datasets import AudioVisualDataset
from mmgmp.registry import MODELS
from tests.shipped import load

from .test_stock_scripts import NAME, ROOT, SCRIPTS, options, run, scalars

CONFIG = ROOT / 'configs/mmdg' / NAME.format('cmrf-gmp')
BEGIN = 3
SHORT = (
    'train_cfg.max_epochs=2',
    f'default_hooks.teacher.begin_iter={BEGIN}',
    'model.methods.0.projector_channels=32',
)
#: Test on what the training validates on.
SOURCES = (
    'protocol=None',
    'test_dataloader.dataset.ann_file=hac_test.json',
    'test_dataloader.dataset.domains=[animal,cartoon]',
    'default_hooks.settings.allow_seen_target=True',
)


def train(data, work_dir, *arguments):
    run(
        SCRIPTS / 'train.py',
        CONFIG,
        work_dir,
        '--seed',
        0,
        *arguments,
        *options(data, *SHORT),
        cwd=work_dir,
    )


@pytest.fixture(scope='module')
def trained(mini_hac, tmp_path_factory):
    """Two epochs in one go; the checkpoint of the first is kept."""
    work_dir = tmp_path_factory.mktemp('cmrf')
    train(mini_hac, work_dir)
    return work_dir


def read(path):
    return torch.load(path, weights_only=True)


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(torch.as_tensor(value), second[name]), name


def test_it_teaches_once_the_average_has_begun(trained):
    lines = [s for s in scalars(trained) if 'loss_cls' in s]
    assert len(lines) == 2 * 7
    taught = ['loss_domain_distillation' in line for line in lines]
    assert taught == [step > BEGIN for step in range(1, 15)]
    saved = read(trained / 'epoch_2.pth')
    student = saved['ema_state_dict']
    assert int(student['steps']) == 2 * 7 - BEGIN + 1
    assert any(
        not torch.equal(value, student[f'module.{name}'])
        for name, value in saved['state_dict'].items()
    )


@pytest.mark.slow  # tests of the hook resume within a process
def test_resumed_bit_for_bit_with_its_teacher(trained, mini_hac, tmp_path):
    train(mini_hac, tmp_path, '--resume', trained / 'epoch_1.pth')
    straight, resumed = (
        read(folder / 'epoch_2.pth') for folder in (trained, tmp_path)
    )
    for part in ('state_dict', 'ema_state_dict'):  # teacher, student
        assert_equal(straight[part], resumed[part])
    assert_equal_optimizers(straight, resumed)


def assert_equal_optimizers(first, second):
    states = [x['optimizer']['state'] for x in (first, second)]
    assert states[0].keys() == states[1].keys()
    for index, state in states[0].items():
        assert_equal(
            {n: torch.as_tensor(x) for n, x in state.items()},
            {n: torch.as_tensor(x) for n, x in states[1][index].items()},
        )


def test_the_stock_test_is_of_the_validated_teacher(
    trained, mini_hac, tmp_path
):
    run(
        SCRIPTS / 'test.py',
        trained / CONFIG.name,  # as MMEngine wrote it out
        tmp_path,
        trained / 'epoch_2.pth',
        '--dump',
        tmp_path / 'dump.pkl',
        *options(mini_hac, *SHORT, *SOURCES),
        cwd=tmp_path,
    )
    keys = ('acc/top1', 'acc/top1_video', 'acc/top1_audio')
    validated = [s for s in scalars(trained) if 'acc/top1' in s][-1]
    tested = json.loads(max(tmp_path.glob('*/*.json')).read_text())
    assert {k: tested[k] for k in keys} == {k: validated[k] for k in keys}
    with open(tmp_path / 'dump.pkl', 'rb') as file:
        dumped = torch.stack([s['pred_score'] for s in pickle.load(file)])
    saved = read(trained / 'epoch_2.pth')
    student = {
        name.removeprefix('module.'): value
        for name, value in saved['ema_state_dict'].items()
        if name.startswith('module.')
    }
    teacher_scores = scores(saved['state_dict'], mini_hac)
    torch.testing.assert_close(dumped, teacher_scores)
    assert not torch.allclose(dumped, scores(student, mini_hac), atol=1e-4)


def scores(weights, data):
    """Of the validation clips, by a model with these weights."""
    config = load(CONFIG)
    config.model.methods[0].projector_channels = 32
    model = MODELS.build(config.model).eval()
    model.load_state_dict(weights)
    options = dict(config.val_dataloader.dataset, data_root=str(data))
    dataset = AudioVisualDataset(
        **{k: v for k, v in options.items() if k != 'type'}
    )
    batch = pseudo_collate([dataset[i] for i in range(len(dataset))])
    with torch.no_grad():
        predicted = model.test_step(batch)
    return torch.stack([sample.pred_score for sample in predicted])
