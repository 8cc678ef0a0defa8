"""A cache of something else is refused, with the difference named."""

from __future__ import annotations

import os
import shutil

import pytest
import torch

from mmgmp.registry import DATASETS, RUNNERS
from mmgmp.utils.feature_cache import CacheMismatchError
from mmgmp.utils.protocol import read_files, resolve_protocol

from .cached_runs import frozen_config, small_corpus, train

_VIDEO = 'train_dataloader.dataset.pipeline.0.video'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {f'{_VIDEO}.1.clip_len': 16},
            r'video.steps.1.clip_len is 8 in the cache, 16 here',
        ),
        ({'protocol.views': 4}, 'has 3 views of view_seed=0, got 4 and 0'),
        ({'protocol.view_seed': 1}, 'got None and 1'),
        (
            {'model.encoders.video.frozen_stages': 2},
            'encoders.video.frozen_stages is 3 in the cache, 2 here',
        ),
        (
            {'model.data_preprocessor.preprocessors.video.mean': [0, 0, 0]},
            r'data_preprocessor.video.mean.0 is 123.675 in the cache, 0 here',
        ),
        (
            {'load_from': None},
            r'encoders.video.weights is .* Frozen weights have to be',
        ),
        (
            {'model.encoders.audio.frozen_norm_eval': False},
            'audio.frozen_norm_eval=True, got False',
        ),
        (
            {
                'model.data_preprocessor.preprocessors.audio.blending': {
                    'type': 'MixupBlending'
                }
            },
            'blending',
        ),
    ],
)
def test_a_config_that_does_not_fit(
    options, message, mini_hac, corpus, cache, tmp_path
):
    config = frozen_config('erm', mini_hac, corpus, cache=str(cache))
    config.merge_from_dict(options)
    with pytest.raises(ValueError, match=message):
        train(config, tmp_path)


def test_other_clips_and_other_files(mini_hac, corpus, cache, tmp_path):
    shutil.copytree(mini_hac, tmp_path / 'data')
    data = tmp_path / 'data'

    def check():
        config = frozen_config('erm', data, corpus, cache=str(cache))
        train(config, tmp_path / 'work')

    video = sorted(data.glob('animal/**/*.mp4'))
    for path in video:
        os.utime(path, ns=(1, 1))
    check()  # copies with another time are the same corpus
    for path in video:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    with pytest.raises(CacheMismatchError, match='another file than when'):
        check()
    shutil.rmtree(data / 'animal')
    check()  # a cache is enough, the media may be elsewhere


def test_a_clip_that_it_lacks(mini_hac, corpus, cache, tmp_path):
    small_corpus(mini_hac, tmp_path, train=6)
    shutil.copy(corpus / 'frozen.pth', tmp_path)
    config = frozen_config('erm', mini_hac, tmp_path, cache=str(cache))
    with pytest.raises(CacheMismatchError, match="clip '.*' is not in it"):
        train(config, tmp_path / 'work')


def test_weights_that_move_after_all(mini_hac, corpus, cache, tmp_path):
    config = frozen_config('erm', mini_hac, corpus, cache=str(cache))
    config.work_dir = str(tmp_path)
    runner = RUNNERS.build(config)
    runner.train()
    hook = next(
        h for h in runner.hooks if type(h).__name__ == 'FeatureCacheHook'
    )
    with torch.no_grad():
        stem = next(iter(runner.model.encoders['audio'].parameters()))
        stem += 1
    with pytest.raises(CacheMismatchError, match='encoders.audio.weights'):
        hook.after_train(runner)


def test_a_written_config_can_go_back_to_the_files(mini_hac, corpus, cache):
    plain = resolve_protocol(frozen_config('nel', mini_hac, corpus))
    cached = resolve_protocol(
        frozen_config('nel', mini_hac, corpus, cache=str(cache))
    )
    assert resolve_protocol(cached).to_dict() == cached.to_dict()
    for loader in ('train', 'val', 'test'):
        pipelines = [
            config[f'{loader}_dataloader'].dataset.pipeline
            for config in (plain, cached)
        ]
        assert pipelines[1][0].type == 'CachedViews'
        assert read_files(pipelines[1]) == pipelines[0]
    cached.merge_from_dict({'protocol.cache': None})
    back = resolve_protocol(cached)
    assert back.train_dataloader == plain.train_dataloader


def test_damage_is_done_to_files(mini_hac, corpus, cache):
    config = resolve_protocol(
        frozen_config(
            'erm',
            mini_hac,
            corpus,
            cache=str(cache),
            corruption={'audio': 'wind'},
        )
    )
    [step] = config.test_dataloader.dataset.pipeline
    assert step.type == 'CorruptedPipeline'
    assert config.val_dataloader.dataset.pipeline[0].type == 'CachedViews'
    DATASETS.build(config.test_dataloader.dataset)
