"""Fill a feature cache, or go on with it."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint

from mmgmp.apis.feature_cache.filler import Filler
from mmgmp.apis.feature_cache.report import DTYPES, FillReport
from mmgmp.apis.feature_cache.source import CacheSource, read_source
from mmgmp.registry import MODELS
from mmgmp.utils.checks import check_choice


def fill_cache(
    config: Config,
    folder: str | os.PathLike[str],
    views: int = 1,
    dtype: str = 'float32',
    device: str | None = None,
    num_workers: int | None = None,
    announce: Callable[[FillReport], None] | None = None,
    show_progress: bool = False,
) -> FillReport:
    """Compute what the frozen stages make of a corpus, and store it.

    Files appear one by one, each whole; a call that was stopped, however, is
    gone on with by the same call.

    Args:
        config: A training config with a protocol.
        folder: The cache.
        views: Views of each clip through the training pipeline.
        dtype: ``'float32'``, ``'float16'`` or ``'bfloat16'``.
        device: Where to compute; the GPU if there is one.
        num_workers: Processes that read; None takes the config's.
        announce: Is told what the cache takes before it is filled.
        show_progress: Whether to show a progress bar.

    Returns:
        What was announced, and the clips that could not be read.

    Raises:
        CacheMismatchError: A ``ValueError``; if the folder holds a cache of
            something else.
        OSError: If the disk is too small, or a file cannot be read and the
            config says ``on_error='raise'``.
        RuntimeError: If more clips are unreadable than the config bears, or
            another process fills the folder.
        ValueError: If the config does not allow a cache.
    """
    check_choice('dtype', dtype, DTYPES, 'set --dtype')
    if views < 1:
        raise ValueError(f'views must be >= 1, got {views}; set --views')
    Path(folder).mkdir(parents=True, exist_ok=True)
    lock = FileLock(Path(folder, '.fill.lock'), timeout=0)
    scope = config.get('default_scope') or 'mmaction'
    try:
        with lock, DefaultScope.overwrite_default_scope(scope):
            source = read_source(config)
            model = _build_model(source, device)
            if num_workers is None:
                num_workers = source.num_workers
            filler = Filler(
                source, model, Path(folder), views, dtype, num_workers
            )
            return filler.run(announce, show_progress)
    except Timeout as error:
        raise RuntimeError(
            f'{folder} is being filled by another process; wait for it, or '
            'take another folder'
        ) from error


def _build_model(source: CacheSource, device: str | None) -> Any:
    # MMAction2 writes into the configs of SlowFast's pathways.
    model = MODELS.build(copy.deepcopy(source.config['model']))
    model.init_weights()
    if source.config.get('load_from'):
        load_checkpoint(model, source.config['load_from'], map_location='cpu')
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    return model.to(device).eval()
