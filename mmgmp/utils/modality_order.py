"""Undo what MMEngine does to the order of the modalities in a dumped config.

``Config.dump`` and the config text inside a checkpoint sort the keys of every
dict, so ``encoders=dict(video=..., audio=...)`` comes back with audio first.
A concatenated feature is then put together in another order than the one that
the weights were trained for, with no error from anywhere. The weights still
tell: their names are stored in the order of the modules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_PREFIX = 'encoders.'


def trained_order(names: Iterable[str]) -> list[str]:
    """Read the order of the modalities off the names of the weights.

    Args:
        names: Keys of a state dict, in their order.

    Returns:
        The modalities.

    Example:
        >>> trained_order(['encoders.video.a', 'encoders.audio.a', 'head.a'])
        ['video', 'audio']
    """
    modalities = (
        name.removeprefix(_PREFIX).split('.')[0]
        for name in names
        if name.startswith(_PREFIX)
    )
    return list(dict.fromkeys(modalities))


def restore_encoders(
    encoders: Mapping[str, Any], order: Iterable[str]
) -> dict[str, Any]:
    """Sort encoder configs as they were when the weights were trained.

    Args:
        encoders: Config by modality.
        order: What :func:`trained_order` returned; modalities that it lacks
            keep their place behind the others.

    Example:
        >>> list(restore_encoders({'audio': 1, 'video': 2}, ['video']))
        ['video', 'audio']
    """
    known = [name for name in order if name in encoders]
    rest = [name for name in encoders if name not in known]
    return {name: encoders[name] for name in [*known, *rest]}


def restore_pipeline(transform: Mapping[str, Any]) -> dict[str, Any]:
    """Put sound behind what says which seconds of it are wanted.

    Args:
        transform: Config of a transform; only a ``MultiModalPipeline`` is
            changed.

    Example:
        >>> steps = dict(type='MultiModalPipeline', audio=[], video=[])
        >>> list(restore_pipeline(steps))
        ['type', 'video', 'audio']
    """
    if transform.get('type') != 'MultiModalPipeline':
        return dict(transform)
    return dict(sorted(transform.items(), key=lambda item: item[0] == 'audio'))
