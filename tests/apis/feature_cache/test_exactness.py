"""Training from a cache is training from the files."""

from __future__ import annotations

import pytest
import torch

from mmgmp.apis.feature_cache import fill_cache

from .cached_runs import (
    METHODS,
    frozen_config,
    outcome,
    small_corpus,
    train,
    write_weights,
)


@pytest.fixture(scope='module')
def corpus(mini_hac, tmp_path_factory):
    folder = tmp_path_factory.mktemp('corpus')
    small_corpus(mini_hac, folder)
    write_weights(mini_hac, folder)
    return folder


@pytest.fixture(scope='module')
def cache(mini_hac, corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp('cache')
    config = frozen_config('gmp', mini_hac, corpus)
    fill_cache(config, folder, views=3)
    return folder


@pytest.mark.parametrize('method', METHODS)
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
