"""Shared by all tests: seeds, scope, one thread, and the ``gpu`` marker."""

from __future__ import annotations

import functools
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mmengine.config.config
import mmengine.runner.runner
import numpy as np
import pytest
import torch
from filelock import FileLock
from hypothesis import settings
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope
from mmengine.utils import get_object_from_string

import mmgmp  # noqa: F401 (repairs MMAction2 before any test imports it)
from mmgmp.engine.hooks import task_gradient_hook


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)
    # Time limits of single examples would fail on a busy machine.
    settings.register_profile('ci', max_examples=50, deadline=None)
    settings.register_profile('nightly', max_examples=2000, deadline=None)
    settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'ci'))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason='needs a CUDA device')
    for item in items:
        if 'gpu' in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True, scope='session')
def quick_runners() -> Iterator[None]:
    """Spare each runner what takes seconds and decides nothing.

    That is the layout of its config, which is as good Python without,
    looking for compilers, and drawing a figure at the end. The stock scripts
    in processes do all three.
    """
    patch = pytest.MonkeyPatch()
    patch.setattr(
        mmengine.config.config,
        'FormatCode',
        lambda text, **options: (text, True),
    )
    patch.setattr(
        mmengine.runner.runner,
        'collect_env',
        functools.cache(mmengine.runner.runner.collect_env),
    )
    patch.setattr(
        task_gradient_hook,
        'get_object_from_string',
        lambda name: (
            no_training_curves
            if name.endswith('.plot_training_curves')
            else get_object_from_string(name)
        ),
    )
    yield
    patch.undo()


def no_training_curves(histories: object, path: Path, **options: str) -> None:
    """Stand for the figure of a training, three seconds of ten panels."""
    path.write_bytes(b'\x89PNG, but no figure')


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """Give every test the same random numbers, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    _forget_runner()


@pytest.fixture(scope='module', autouse=True)
def no_runner_before() -> None:
    """Do so before fixtures of a module too, which come first."""
    _forget_runner()


def _forget_runner() -> None:
    """Drop the epoch and the seed that a runner of before has left."""
    for key in ('epoch', 'seed'):
        MessageHub.get_current_instance().runtime_info.pop(key, None)


@pytest.fixture(scope='session')
def mini_hac(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render a tiny mini-HAC once for all test processes and convert it."""
    root = Path(__file__).resolve().parents[1]
    base = tmp_path_factory.getbasetemp()
    # Test processes have folders of their own inside a common one.
    shared = base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base
    folder = shared / 'mini_hac'
    with FileLock(f'{folder}.lock'):
        if not (folder / 'hac_test.json').is_file():
            for command in (
                [
                    'mini_hac/render.py',
                    folder,
                    '--train-per-class',
                    '2',
                    '--test-per-class',
                    '1',
                ],
                ['hac/convert_annotations.py', folder / 'HAC_Splits', folder],
            ):
                script, *arguments = command
                subprocess.run(
                    [sys.executable, root / 'data_prep' / script, *arguments],
                    check=True,
                )
    return folder


@pytest.fixture(autouse=True)
def default_scope() -> Iterator[None]:
    """Build as a config does, and forget the scope that a runner has set."""
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield
