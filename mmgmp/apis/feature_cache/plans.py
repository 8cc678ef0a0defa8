"""One cache for all cells of a plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmgmp.apis.feature_cache.fill import fill_cache
from mmgmp.apis.feature_cache.report import FillReport
from mmgmp.utils.protocol import CACHE_KEY, check_frozen

#: What a cache does not depend on.
_FOLD = (
    'protocol.target', 'protocol.oracle', 'protocol.in_domain',
    'protocol.unknown_classes', CACHE_KEY,
)  # fmt: skip


def fill_for_cells(
    cells: Iterable[tuple[Path, Mapping[str, Any]]],
    folder: str | os.PathLike[str],
    views: int,
    announce: Callable[[FillReport], None] | None = None,
    show_progress: bool = False,
) -> FillReport:
    """Fill the cache that all cells of a plan can train from.

    It is made from the cell that looks at most modalities; whether the others
    fit it, they find out when they start. Cells that set ``protocol.cache`` to
    None read files.

    Args:
        cells: Config and overrides of each.
        folder: The cache.
        views: Views of each training clip.
        announce: As in :func:`fill_cache`.
        show_progress: As in :func:`fill_cache`.

    Returns:
        As from :func:`fill_cache`.

    Raises:
        ValueError: If a cell does not allow a cache, or the first one that
            is filled does not.
    """
    widest: tuple[int, Config] | None = None
    seen = []
    for path, overrides in cells:
        if overrides.get(CACHE_KEY, '') is None:
            continue
        # Folds and seeds share a cache.
        own = {k: v for k, v in overrides.items() if k not in _FOLD}
        if (path, own) in seen:
            continue
        seen.append((path, own))
        config = Config.fromfile(path)
        config.merge_from_dict(dict(own))
        if config.get('protocol') is None:
            raise ValueError(
                f'--cache needs a protocol in every config of the plan, got '
                f'none in {path}; leave --cache out'
            )
        modalities = list(config['protocol']['modalities'])
        try:
            check_frozen(config['model'], modalities)
        except ValueError as error:
            raise ValueError(f'{path} with {own}: {error}') from error
        if widest is None or len(modalities) > widest[0]:
            widest = len(modalities), config
    if widest is None:
        raise ValueError(
            'a plan with --cache must have cells that read it, got none; name '
            'methods and targets in it, or leave --cache out where every row '
            'has protocol.cache: null'
        )
    return fill_cache(
        widest[1],
        folder,
        views,
        announce=announce,
        show_progress=show_progress,
    )
