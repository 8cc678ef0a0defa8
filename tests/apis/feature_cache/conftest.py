"""A few clips, frozen weights, and a cache of three views."""

from __future__ import annotations

import time

import pytest
from mmengine.logging import MMLogger

from mmgmp.apis.feature_cache import fill_cache

from .cached_runs import frozen_config, small_corpus, write_weights


def _new_log():
    """MMEngine writes weights' origins to the last log, closed or not."""
    MMLogger.get_instance(f'feature-cache-{time.monotonic_ns()}')


@pytest.fixture(autouse=True)
def own_log():
    _new_log()


@pytest.fixture(scope='session')
def corpus(mini_hac, tmp_path_factory):
    _new_log()
    folder = tmp_path_factory.mktemp('corpus')
    small_corpus(mini_hac, folder)
    write_weights(mini_hac, folder)
    return folder


@pytest.fixture(scope='session')
def cache(mini_hac, corpus, tmp_path_factory):
    _new_log()
    folder = tmp_path_factory.mktemp('cache')
    fill_cache(frozen_config('gmp', mini_hac, corpus), folder, views=3)
    return folder
