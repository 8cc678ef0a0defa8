"""Weights and class names in a checkpoint, checked before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

_SHOWN = 5


def state_dict_of(checkpoint: Any, path: str) -> Mapping[str, Tensor]:
    """Return the tensors of a checkpoint by name.

    Args:
        checkpoint: What was read: tensors, or such a dict in ``state_dict``.
        path: Of the file, for messages.

    Raises:
        ValueError: If it holds anything else.
    """
    weights = checkpoint
    if isinstance(checkpoint, Mapping):
        weights = checkpoint.get('state_dict', checkpoint)
    is_named = isinstance(weights, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor)
        for name, value in weights.items()
    )
    if not is_named:
        raise ValueError(
            f'{path} must hold tensors by name, got a '
            f'{type(weights).__name__}; take a checkpoint of a training'
        )
    return weights


def check_fit(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Check that no part of a model would stay at random.

    Args:
        model: The model.
        weights: Tensors by name.

    Raises:
        ValueError: If one is missing or has another shape.

    Example:
        >>> check_fit(nn.Linear(1, 1), {'bias': nn.Linear(1, 1).bias})
        Traceback (most recent call last):
            ...
        ValueError: the checkpoint must hold every tensor of the model, ...
    """
    shapes = {
        name.removeprefix('module.'): tuple(value.shape)
        for name, value in weights.items()
    }
    wrong = [
        f'{name} {shapes.get(name, "missing")} for {tuple(value.shape)}'
        for name, value in model.state_dict().items()
        if shapes.get(name) != tuple(value.shape)
        # Files older than PyTorch 0.4.1 do not count batches.
        and not name.endswith('num_batches_tracked')
    ]
    if wrong:
        raise ValueError(
            'the checkpoint must hold every tensor of the model, got '
            f'{len(wrong)} that are missing or of another shape: '
            f'{", ".join(wrong[:_SHOWN])}; name the config that it was '
            'trained with (model=CONFIG, demo.py --config CONFIG)'
        )


def class_names_of(checkpoint: Any) -> list[str]:
    """Return the class names in a checkpoint, fit to be shown.

    Args:
        checkpoint: What was read.

    Returns:
        The names, without characters that change a terminal; empty if there
        are none.

    Example:
        >>> meta = {'dataset_meta': {'classes': ['run', chr(27) + '[2J']}}
        >>> class_names_of({'meta': meta})
        ['run', '?[2J']
    """
    names = checkpoint
    for key in ('meta', 'dataset_meta', 'classes'):
        names = names.get(key) if isinstance(names, Mapping) else None
    if not isinstance(names, (list, tuple)):
        return []
    return [
        ''.join(c if c.isprintable() else '?' for c in str(name))
        for name in names
    ]
