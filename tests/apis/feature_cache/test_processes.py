"""A cache in the hands of two processes."""

from __future__ import annotations

import functools
import os
import runpy
import time

import pytest
import torch

from mmgmp.apis.feature_cache import fill_cache
from mmgmp.utils.feature_cache import MANIFEST
from tests.processes import finish, run_ranks, start
from tests.shipped import ROOT

from .cached_runs import frozen_config, outcome, train
from .test_fill import contents


def train_rank(data, corpus, folder, protocol, rank, world_size):
    """Train as MMEngine does under a launcher."""
    config = frozen_config('gmp', data, corpus, target='cartoon', **protocol)
    config.launcher = 'pytorch'
    os.environ['LOCAL_RANK'] = str(rank)
    config.train_dataloader.batch_size = 2
    runner = train(config, folder)
    assert type(runner.model).__name__ == 'MMDistributedDataParallel'
    return outcome(runner)


@pytest.mark.slow
def test_ranks_train_from_it_as_from_files(mini_hac, corpus, tmp_path):
    """Bit for bit, each rank with its own half of the clips."""
    cache = tmp_path / 'cache'
    config = frozen_config('gmp', mini_hac, corpus)
    config.train_dataloader.batch_size = 2
    fill_cache(config, cache, views=3)
    results = []
    for name, protocol in (('f', {'views': 3}), ('c', {'cache': str(cache)})):
        function = functools.partial(
            train_rank, mini_hac, corpus, tmp_path / f'{name}-run', protocol
        )
        results.append(run_ranks(function, 2, tmp_path / name))
    files, cached = results
    assert files[0]['losses'] != files[1]['losses']
    for rank in range(2):
        for key in ('losses', 'accuracy'):
            assert files[rank][key] == cached[rank][key]
        for name, value in files[rank]['weights'].items():
            assert torch.equal(value, cached[rank]['weights'][name]), name
            if 'running' not in name:
                assert torch.equal(value, files[0]['weights'][name]), name


def fill_and_wait(data, corpus, folder, meeting):
    """Stop halfway until the other process has been there."""

    def announce(report):
        (meeting / 'filling').touch()
        while not (meeting / 'go on').exists():
            time.sleep(0.02)

    config = frozen_config('gmp', data, corpus)
    fill_cache(config, folder, views=3, announce=announce)


def test_only_one_fills_it(mini_hac, corpus, cache, tmp_path, capsys):
    folder = tmp_path / 'cache'
    config = tmp_path / 'config.py'
    frozen_config('gmp', mini_hac, corpus).dump(config)
    tool = runpy.run_path(str(ROOT / 'tools/cache_features.py'))['main']
    call = [str(config), '--views', '3', '--out', str(folder)]
    first = start(fill_and_wait, mini_hac, corpus, folder, tmp_path)
    while not (tmp_path / 'filling').exists():
        assert first.is_alive()
        time.sleep(0.02)
    assert tool(call) == 2
    assert 'is being filled by another process' in capsys.readouterr().err
    assert not (folder / MANIFEST).exists()
    (tmp_path / 'go on').touch()
    finish([first])
    whole = contents(folder)
    assert whole == contents(cache)
    assert tool(call) == 0
    assert '0.000 GB of them' in capsys.readouterr().out
    assert contents(folder) == whole
