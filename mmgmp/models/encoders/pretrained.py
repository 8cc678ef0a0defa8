"""Load pretrained backbone weights, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mmgmp.utils.checkpoint_files import read_checkpoint

#: Start of the names of weights that the package brings along.
PACKAGED = 'mmgmp://'
_KEYS = {'checkpoint', 'prefix'}
_GUIDE = 'data_prep/checkpoints/README.md'


def read_pretrained(config: str | Mapping[str, str] | None) -> dict[str, str]:
    """Read the ``pretrained`` argument of an encoder.

    Args:
        config: Path of a checkpoint, ``dict(checkpoint=..., prefix=...)``, or
            None.

    Returns:
        ``checkpoint`` and ``prefix``; empty for None.

    Raises:
        ValueError: If a key is unknown or ``checkpoint`` is missing.

    Example:
        >>> read_pretrained('r18.pth')
        {'checkpoint': 'r18.pth', 'prefix': ''}
    """
    if config is None:
        return {}
    if isinstance(config, str):
        return {'checkpoint': config, 'prefix': ''}
    if not {'checkpoint'} <= set(config) <= _KEYS:
        raise ValueError(
            'pretrained of ModalityEncoder must be a path or have the keys '
            f"'checkpoint' and, optionally, 'prefix', got {sorted(config)}; "
            "for example dict(checkpoint='r101.pth', prefix='backbone.')"
        )
    return {'prefix': '', **config}


def read_weights(checkpoint: str, prefix: str = '') -> dict[str, Tensor]:
    """Read the tensors whose names start with ``prefix``, and cut it off.

    Only PyTorch's restricted unpickler is used; nothing is downloaded.

    Args:
        checkpoint: Local file, or ``mmgmp://NAME`` for a file in
            ``mmgmp/weights``: tensors by name, or such a dict under
            ``state_dict``.
        prefix: Start of the wanted names.

    Returns:
        Tensors by name without the prefix.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it is not a whole checkpoint of harmless objects.
        ValueError: If no name has the prefix.
    """
    if checkpoint.startswith(PACKAGED):
        # The name alone: a config of others points nowhere else.
        name = Path(checkpoint.removeprefix(PACKAGED)).name
        checkpoint = str(files('mmgmp').joinpath('weights').joinpath(name))
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(
            f'pretrained of ModalityEncoder must be a local file, got '
            f'{checkpoint!r}; fetch and convert it as {_GUIDE} says, or set '
            'pretrained=None (--cfg-options '
            'model.encoders.<modality>.pretrained=None) to start at random'
        )
    try:
        content = read_checkpoint(checkpoint)
    except OSError as error:
        raise OSError(
            f'pretrained of ModalityEncoder: {error}; {_GUIDE} says where '
            'weights are from'
        ) from error
    named = tensors_of(content)
    weights = tensors_of(content, prefix)
    if not weights:
        raise ValueError(
            f'prefix of pretrained must start names of {checkpoint!r}, got '
            f'{prefix!r}; its names start with '
            f'{sorted({name.split(".")[0] for name in named})}'
        )
    return weights


def tensors_of(content: Any, prefix: str = '') -> dict[str, Tensor]:
    """Return a checkpoint's tensors whose names start with ``prefix``.

    Args:
        content: What a checkpoint holds: tensors by name, or such a dict
            under ``state_dict``.
        prefix: Start of the wanted names.

    Returns:
        Tensors by name without the prefix.

    Example:
        >>> import torch
        >>> tensors_of({'state_dict': {'a.b': torch.ones(1), 'c': 2}}, 'a.')
        {'b': tensor([1.])}
    """
    if isinstance(content, Mapping):
        content = content.get('state_dict', content)
    named = content if isinstance(content, Mapping) else {}
    return {
        name.removeprefix(prefix): value
        for name, value in named.items()
        if isinstance(name, str)
        and isinstance(value, Tensor)
        and name.startswith(prefix)
    }


def load_strictly(
    backbone: nn.Module,
    weights: Mapping[str, Tensor],
    source: str,
    what: str = 'pretrained of ModalityEncoder',
) -> None:
    """Copy weights into a backbone; every name and shape must match.

    A loader that lets names go by leaves a backbone silently at random.

    Args:
        backbone: The backbone.
        weights: Tensors by the backbone's names.
        source: Where they are from, for the message.
        what: The option that names them, for the message.

    Raises:
        ValueError: If names or shapes differ; the message lists them.

    Example:
        >>> import torch
        >>> load_strictly(nn.Linear(1, 1), {'wait': torch.ones(1)}, 'l.pth')
        Traceback (most recent call last):
            ...
        ValueError: pretrained of ModalityEncoder must hold exactly ...
    """
    own = backbone.state_dict()
    problems = {
        # Files older than PyTorch 0.4.1 do not count batches.
        'missing': [
            name
            for name in own
            if name not in weights and not name.endswith('num_batches_tracked')
        ],
        'unexpected': [name for name in weights if name not in own],
        'of another shape': [
            f'{name} {tuple(value.shape)} for {tuple(own[name].shape)}'
            for name, value in weights.items()
            if name in own and value.shape != own[name].shape
        ],
    }
    found = '; '.join(
        f'{len(names)} {kind}: {", ".join(names)}'
        for kind, names in problems.items()
        if names
    )
    if found:
        raise ValueError(
            f'{what} must hold exactly the tensors of '
            f'{type(backbone).__name__}, got {source!r} with {found}. Correct '
            f'the prefix, or convert the file as {_GUIDE} says'
        )
    backbone.load_state_dict(weights, strict=False)
