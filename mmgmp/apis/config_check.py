"""Check a config against the annotation files that it names."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmgmp.engine.settings import gather_facts
from mmgmp.registry import HOOKS
from mmgmp.utils.protocol import resolve_protocol
from mmgmp.utils.settings import Problem, check_run, excuse

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def check_config(
    config: Config | str | Path,
    data_root: str | None = None,
    num_ranks: int = 1,
) -> list[Problem]:
    """Find the mistakes that would stop a training, or spoil it.

    Nothing is built but the datasets, without their pipelines, and no media
    file is opened. The rules are those of ``docs/checks.md`` that need no
    checkpoint, applied to training, validation and test at once. What
    ``default_hooks.settings`` allows is a warning here, too.

    Args:
        config: Config, or the path of one.
        data_root: Replaces ``data_root`` of every dataset.
        num_ranks: Processes of the training, which share the samples.

    Returns:
        The problems, errors and warnings.

    Raises:
        OSError: If the config cannot be read.

    Example:
        >>> check_config(Config(dict(load_from='no.pth')))[0].rule
        'load-from'
    """
    if not isinstance(config, Config):
        config = Config.fromfile(config)
    config = resolve_protocol(config)
    scope = config.get('default_scope') or 'mmaction'
    with DefaultScope.overwrite_default_scope(scope):
        # Asking a registry loads the rooms.
        HOOKS.get('SettingsCheckHook')
        content: dict[str, Any] = config.to_dict()
        if data_root is not None:
            for loader in _LOADERS:
                content[loader] = _at(content.get(loader), data_root)
        facts = gather_facts(content, num_ranks=num_ranks)
        hooks = config.get('default_hooks') or {}
        ignored = _ignored(hooks.get('settings'))
    return excuse(check_run(facts), ignored)


def _ignored(hook: Any) -> tuple[str, ...]:
    if not isinstance(hook, Mapping):
        return ()
    ignored: tuple[str, ...] = HOOKS.build(copy.deepcopy(dict(hook))).ignored
    return ignored


def _at(value: Any, root: str) -> Any:
    """The same config with another data root in every dataset."""
    if isinstance(value, list):
        return [_at(item, root) for item in value]
    if not isinstance(value, Mapping):
        return value
    moved = {
        key: _at(item, root) if key != 'pipeline' else item
        for key, item in value.items()
    }
    if 'ann_file' in moved:
        moved['data_root'] = root
    return moved
