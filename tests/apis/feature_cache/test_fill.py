"""What is in a cache, and what happens when filling it is disturbed."""

from __future__ import annotations

import hashlib
import json
import os
import signal

import pytest
import torch

from mmgmp.apis.feature_cache import fill_cache, filler
from mmgmp.utils.feature_cache import (
    CacheMismatchError,
    CacheReader,
    UnreadableClipError,
    read_manifest,
)
from tests.processes import start

from .cached_runs import frozen_config


def contents(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob('*.safetensors')
    }


def open_part(folder, name='train'):
    return CacheReader(folder, name, read_manifest(folder).parts[name])


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(filler, 'clips_per_shard', lambda *_: 4)


def fill_and_die(data, corpus, folder, after):
    """Be killed while a shard is being written, behind so many others."""
    filler.clips_per_shard = lambda *_: 4
    write, written = filler.write_shard, []

    def writes(path, shard):
        if len(written) == after:
            path.with_name(f'.{path.name}.draft').write_bytes(b'half')
            os.kill(os.getpid(), signal.SIGKILL)
        written.append(path)
        write(path, shard)

    filler.write_shard = writes
    fill_cache(frozen_config('erm', data, corpus), folder, views=2)


def test_it_holds_classes_that_are_not_trained_on(
    mini_hac, corpus, cache, tmp_path
):
    """A test of the open set has to find them, and so has another fold."""
    config = frozen_config(
        'erm', mini_hac, corpus, unknown_classes=['eating', 'drinking']
    )
    fill_cache(config, tmp_path, views=1)
    for name, part in read_manifest(cache).parts.items():
        assert read_manifest(tmp_path).parts[name].clips == part.clips


@pytest.mark.usefixtures('small_shards')
def test_killed_and_gone_on_with(mini_hac, corpus, tmp_path):
    config = frozen_config('erm', mini_hac, corpus)
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    report = fill_cache(config, whole, views=2, num_workers=2)
    assert report.num_clips == {'train': 15, 'val': 21}
    process = start(fill_and_die, mini_hac, corpus, parts, 2)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(contents(parts)) == 2
    with pytest.raises(FileNotFoundError, match='is not filled'):
        open_part(parts)
    announced = []
    fill_cache(config, parts, views=2, announce=announced.append)
    assert 0 < announced[0].num_bytes_left < report.num_bytes
    assert contents(parts) == contents(whole)
    assert not list(parts.glob('.*.draft'))


def test_the_bytes_are_those_announced(cache, mini_hac, corpus):
    reports = []
    fill_cache(
        frozen_config('gmp', mini_hac, corpus),
        cache,
        views=3,
        announce=reports.append,
    )
    [report] = reports
    size = sum(path.stat().st_size for path in cache.glob('*.safetensors'))
    assert report.num_bytes <= size < report.num_bytes * 1.01
    assert report.num_bytes_left == 0


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_half_precision_is_that_of_the_type(
    dtype, mini_hac, corpus, cache, tmp_path
):
    fill_cache(
        frozen_config('gmp', mini_hac, corpus), tmp_path, views=3, dtype=dtype
    )
    full, half = open_part(cache), open_part(tmp_path)
    for clip in full.part.clips[:3]:
        for a, b in zip(
            full.read(clip, 1, 'video'),
            half.read(clip, 1, 'video'),
            strict=True,
        ):
            assert torch.equal(a.to(getattr(torch, dtype)), b)


def test_a_disk_that_is_too_small(mini_hac, corpus, tmp_path, monkeypatch):
    usage = filler.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(filler.shutil, 'disk_usage', lambda _: usage)
    with pytest.raises(OSError, match='needs .* GB more, its disk has 0.0 GB'):
        fill_cache(frozen_config('erm', mini_hac, corpus), tmp_path)


def broken_config(mini_hac, corpus, folder, **options):
    """The corpus with a clip whose video is cut off."""
    for name in ('hac_train.json', 'hac_test.json', 'frozen.pth'):
        (folder / name).write_bytes((corpus / name).read_bytes())
    annotation = json.loads((folder / 'hac_train.json').read_text())
    clip = annotation['data_list'][1]
    damaged = folder / 'damaged.mp4'
    damaged.write_bytes((mini_hac / clip['video']['path']).read_bytes()[:900])
    clip['video']['path'] = str(damaged)
    (folder / 'hac_train.json').write_text(json.dumps(annotation))
    config = frozen_config('erm', mini_hac, folder)
    for loader in ('train', 'val', 'test'):
        dataset = config[f'{loader}_dataloader'].dataset
        dataset.update(**options)
    return config, clip['id']


def test_broken_clips_by_the_policy(mini_hac, corpus, tmp_path):
    config, clip = broken_config(
        mini_hac, corpus, tmp_path, on_error='skip', max_errors=1
    )
    report = fill_cache(config, tmp_path / 'cache')
    assert report.unreadable == [clip]
    with pytest.raises(UnreadableClipError, match='damaged'):
        open_part(tmp_path / 'cache').read(clip, 0, 'audio')
    config, _ = broken_config(mini_hac, corpus, tmp_path)
    with pytest.raises(OSError, match='damaged'):
        fill_cache(config, tmp_path / 'other')


def test_a_folder_of_something_else(mini_hac, corpus, cache):
    config = frozen_config('erm', mini_hac, corpus)
    with pytest.raises(
        CacheMismatchError, match='parts.train.views is 3 in the cache, 2 here'
    ):
        fill_cache(config, cache, views=2)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {
                'load_from': None,
                'model.encoders.video.pretrained': None,
            },
            'start at random',
        ),
        ({'model.encoders.audio.frozen_stages': -1}, 'audio.frozen_stages'),
        (
            {'model.encoders.video.frozen_norm_eval': False},
            'batch statistics',
        ),
        ({'protocol': None}, 'needs a config with a protocol'),
    ],
)
def test_refused_to_fill(options, message, mini_hac, corpus, tmp_path):
    config = frozen_config('erm', mini_hac, corpus)
    config.merge_from_dict(options)
    with pytest.raises(ValueError, match=message):
        fill_cache(config, tmp_path)
