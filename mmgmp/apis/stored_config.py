"""The config in a stranger's checkpoint: data that can name no code.

A registry of MMEngine imports what it does not know: ``type='a.b'`` runs the
module ``a``. Some keys make a model fetch files. So of such a config only what
inference builds is taken, its types must be registered, and what would be
fetched is taken out; the weights are in the checkpoint anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import ConfigDict
from mmengine.registry import Registry

from mmgmp.registry import MODELS, TASK_UTILS, TRANSFORMS
from mmgmp.utils.config_data import CONFIG_KEY, config_from_text

_SCOPES = ('mmaction', 'mmengine')
_FETCHING = ('init_cfg', 'pretrained')
# Pathways of MMAction2's SlowFast, which it looks up in a table of its own.
_UNREGISTERED = ('resnet3d',)


def stored_config(checkpoint: Any, path: str) -> ConfigDict:
    """Return what inference needs of the config in a checkpoint.

    Args:
        checkpoint: What was read.
        path: Of the file, for messages.

    Returns:
        ``model`` and ``test_dataloader.dataset.pipeline``.

    Raises:
        ValueError: If the checkpoint does not hold its config as data, or the
            config names what is not registered.
    """
    meta = checkpoint.get('meta') if isinstance(checkpoint, Mapping) else None
    text = meta.get(CONFIG_KEY) if isinstance(meta, Mapping) else None
    if not isinstance(text, str):
        raise ValueError(
            f'{path} must hold its config as data (meta[{CONFIG_KEY!r}], '
            'which SafeCheckpointHook writes), got none; name the config it '
            'was trained with (model=CONFIG, demo.py --config CONFIG). Config '
            'text in a checkpoint is never executed'
        )
    try:
        config = config_from_text(text)
        loader = config['test_dataloader']
        parts: dict[str, Any] = {
            'model': config['model'],
            'test_dataloader': {
                'dataset': {'pipeline': loader['dataset']['pipeline']}
            },
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'the config in {path} must be a training config as '
            f'SafeCheckpointHook writes it, got {error!r}; name the config '
            'it was trained with (model=CONFIG, demo.py --config CONFIG)'
        ) from error
    parts = _without_files(parts)
    _check(parts, path)
    return ConfigDict(parts)


def _check(parts: Mapping[str, Any], path: str) -> None:
    known = _registered_names()
    for key, value in _items(parts):
        if isinstance(value, str) and '://' in value:
            raise _refusal(path, f'{key}={value!r}', 'must fetch nothing')
        if key == 'type':
            scope, _, name = str(value).rpartition('.')
            if name in known and scope in ('', *_SCOPES):
                continue
        elif key != '_scope_' or value in _SCOPES:
            continue
        raise _refusal(
            path,
            f'{key}={value!r}',
            'must name registered classes only',
            'import the module that registers it first, or ',
        )


def _refusal(path: str, found: str, rule: str, advice: str = '') -> ValueError:
    return ValueError(
        f'the config in {path} {rule}, got {found}; {advice}name a config '
        'that you trust (model=CONFIG, demo.py --config CONFIG)'
    )


def _items(value: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """Every key with its value, items of lists with the key of the list."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _items(item, name)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _items(item, key)
    if not isinstance(value, Mapping):
        yield key, value


def _without_files(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: None if key in _FETCHING else _without_files(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(map(_without_files, value))
    return value


def _registered_names() -> set[str]:
    names = set(_UNREGISTERED)
    for start in (MODELS, TASK_UTILS, TRANSFORMS):
        registry: Registry | None = start
        while registry is not None:
            registry.import_from_location()
            names |= set(registry.module_dict)
            registry = registry.parent
    return names
