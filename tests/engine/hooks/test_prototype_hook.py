from __future__ import annotations

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmgmp.engine.hooks import PrototypeHook
from tests.processes import run_ranks

from .toy_run import MODALITIES, ToyClips, run, run_on_rank, toy_config, train

HOOK = dict(type='PrototypeHook', fraction=1.0)
MODEL = dict(methods=[dict(type='PMRMethod', temperature=1.0)])
KEYS = ('prototypes_video', 'prototypes_flow', 'known', 'epoch')


def state(runner):
    model = runner.model
    method = getattr(model, 'module', model).methods[0]
    return {key: method.get_buffer(key).clone() for key in KEYS}


class ClassMeans(Hook):
    """Class means of all clean features, before the first step."""

    priority = 'VERY_LOW'

    def before_train_epoch(self, runner):
        model = runner.model.eval()
        data = ToyClips()
        clips = [data[index] for index in range(len(data))]
        batch = dict(
            inputs={
                m: [clip['inputs'][m] for clip in clips] for m in MODALITIES
            },
            data_samples=[clip['data_samples'] for clip in clips],
        )
        batch = model.data_preprocessor(batch, False)
        with torch.no_grad():
            self.features = model.extract_feat(batch['inputs'])
        self.labels = torch.cat([s.gt_label for s in batch['data_samples']])
        self.found = state(runner)
        model.train()


def test_prototypes_are_class_means_of_clean_features(tmp_path):
    runner = Runner.from_cfg(toy_config(tmp_path, 1, [HOOK], MODEL))
    means = ClassMeans()
    runner.register_hook(means)
    ToyClips.pipelines_read.clear()
    runner.train()
    assert means.found['epoch'] == 0
    for k in range(3):
        is_own = means.labels == k
        assert means.found['known'][k] == is_own.any()
        if is_own.any():
            for m in MODALITIES:
                torch.testing.assert_close(
                    means.found[f'prototypes_{m}'][k],
                    means.features[m][is_own].mean(0),
                )
    # Read through the validation pipeline, once and whole.
    assert ToyClips.pipelines_read.count('test') == 9 + 6


def test_a_resumed_run_goes_on_bit_for_bit(tmp_path):
    whole = run(tmp_path / 'whole', 3, [HOOK], model=MODEL)
    run(tmp_path / 'half', 2, [HOOK], model=MODEL)
    config = toy_config(tmp_path / 'half', 3, [HOOK], MODEL)
    config.load_from = str(tmp_path / 'half/epoch_2.pth')
    config.resume = True
    resumed = train(config)
    first, second = whole.model.state_dict(), resumed.model.state_dict()
    for key in KEYS:
        name = f'methods.0.{key}'
        assert torch.equal(first[name], second[name]), name


def on_rank(rank, world_size):
    return state(run_on_rank(rank, [HOOK], lambda runner: None, model=MODEL))


def test_two_ranks_have_one_set_of_prototypes(tmp_path):
    first, second = run_ranks(on_rank, 2, tmp_path)
    assert first['known'].any()
    for key in KEYS:
        torch.testing.assert_close(first[key], second[key])


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r'fraction must be in \(0, 1\]'):
        PrototypeHook(fraction=0.0)
    with pytest.raises(ValueError, match='needs a method with prototypes'):
        run(tmp_path, 1, [HOOK])
