"""Training from a cache is training from the files."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from mmgmp.apis import MMGMPInferencer
from mmgmp.apis.feature_cache import fill_cache
from mmgmp.registry import RUNNERS

from .cached_runs import METHODS, frozen_config, outcome, train

# A plain step, a projection, a teacher and two views are in these.
QUICK = ('gmp', 'cmrf', 'nel')


@pytest.mark.parametrize(
    'method',
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in METHODS
    ],
)
def test_bit_for_bit(method, mini_hac, corpus, cache, tmp_path):
    results = []
    for name, options in (
        ('files', {'views': 3}),
        ('cache', {'cache': str(cache)}),
    ):
        config = frozen_config(
            method, mini_hac, corpus, target='cartoon', **options
        )
        results.append(outcome(train(config, tmp_path / name)))
    files, cached = results
    assert files['losses'] == cached['losses']
    assert files['accuracy'] == cached['accuracy']
    assert files['weights'].keys() == cached['weights'].keys()
    for name, value in files['weights'].items():
        assert torch.equal(value, cached['weights'][name]), name


def test_another_view_is_another_training(mini_hac, corpus, cache, tmp_path):
    """Or the test above would say nothing about views."""
    losses = []
    for views in (3, 1):
        config = frozen_config(
            'erm', mini_hac, corpus, cache=str(cache), views=views
        )
        losses.append(outcome(train(config, tmp_path / str(views)))['losses'])
    assert losses[0] != losses[1]


@pytest.mark.slow
def test_one_modality_of_a_cache(mini_hac, corpus, cache, tmp_path):
    """Sound alone is read with the picture whose clip it is cut to."""
    losses = []
    for name, options in (
        ('files', {'views': 3}),
        ('cache', {'cache': str(cache)}),
    ):
        config = frozen_config(
            'erm', mini_hac, corpus, modalities=['audio'], **options
        )
        losses.append(outcome(train(config, tmp_path / name))['losses'])
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_clips_without_sound(mini_hac, corpus, tmp_path):
    """What a clip lacks it lacks in the cache, too."""
    shutil.copy(corpus / 'frozen.pth', tmp_path)
    for split in ('train', 'test'):
        path = corpus / f'hac_{split}.json'
        annotation = json.loads(path.read_text())
        for clip in annotation['data_list'][::4]:
            del clip['audio']
        (tmp_path / path.name).write_text(json.dumps(annotation))
    losses = []
    folder = str(tmp_path / 'cache')
    for protocol in ({'views': 2}, {'cache': folder}):
        config = frozen_config('gmp', mini_hac, tmp_path, **protocol)
        for part in ('train', 'val', 'test'):
            dataset = config[f'{part}_dataloader'].dataset
            dataset.on_missing = {'audio': 'zeros'}
        if 'cache' in protocol:
            fill_cache(config, folder, views=2)
        losses.append(outcome(train(config, tmp_path / 'work'))['losses'])
    assert losses[0] == losses[1]


def test_resumed_and_tested_from_files(mini_hac, corpus, cache, tmp_path):
    """A run that stops between epochs ends alike, and knows files too."""

    def config(folder, **protocol):
        config = frozen_config('gmp', mini_hac, corpus, **protocol)
        config.work_dir = str(tmp_path / folder)
        config.default_hooks.checkpoint = dict(
            type='SafeCheckpointHook', interval=1, max_keep_ckpts=1
        )
        return config

    whole = train(
        config('whole', cache=str(cache)), tmp_path / 'whole'
    ).model.state_dict()
    first = config('parts', cache=str(cache))
    first.train_cfg.max_epochs = 1
    train(first, tmp_path / 'parts')
    second = config('parts', cache=str(cache))
    second.resume, second.load_from = True, None
    resumed = train(second, tmp_path / 'parts').model.state_dict()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name
    metrics = []
    for protocol in ({}, {'cache': str(cache)}):
        test = config('test', **protocol)
        test.load_from = str(tmp_path / 'whole/epoch_2.pth')
        metrics.append(RUNNERS.build(test).test())
    assert metrics[0] == metrics[1]
    # The config in the checkpoint names the cache; a new clip is in none.
    inferencer = MMGMPInferencer(
        weights=str(tmp_path / 'whole/epoch_2.pth'), device='cpu'
    )
    video = next(mini_hac.glob('human/**/*.mp4'))
    (found,) = inferencer(str(video))['predictions']
    assert 0 < found['score'] <= 1
