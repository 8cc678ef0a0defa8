"""A few clips, frozen weights, and a cache of three views."""

from __future__ import annotations

import pytest

from mmgmp.apis.feature_cache import fill_cache

from .cached_runs import frozen_config, small_corpus, write_weights


@pytest.fixture(scope='session')
def corpus(mini_hac, tmp_path_factory):
    folder = tmp_path_factory.mktemp('corpus')
    small_corpus(mini_hac, folder)
    write_weights(mini_hac, folder)
    return folder


@pytest.fixture(scope='session')
def cache(mini_hac, corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp('cache')
    fill_cache(frozen_config('gmp', mini_hac, corpus), folder, views=3)
    return folder
