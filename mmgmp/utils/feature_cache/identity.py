"""What tells one frozen encoder, or one clip, from another."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Options of a backbone that change no value of its frozen part.
_WITHOUT_EFFECT = ('pretrained', 'init_cfg', 'with_cp', 'norm_eval')


def digest_weights(weights: Mapping[str, Tensor]) -> str:
    """Hash weights by name, type, shape and content.

    Args:
        weights: Tensors by name.

    Returns:
        Hexadecimal SHA-256.

    Example:
        >>> one = digest_weights({'a': torch.ones(2)})
        >>> one == digest_weights({'a': torch.ones(2)})
        True
        >>> one == digest_weights({'a': torch.zeros(2)})
        False
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)};'.encode())
        if value.numel():
            digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def describe_encoder(
    config: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> dict[str, Any]:
    """Collect what the output of an encoder's frozen part depends on.

    Args:
        config: Config of the encoder.
        weights: Those of its frozen part.

    Example:
        >>> config = dict(frozen_stages=3, backbone=dict(pretrained='x.pth'))
        >>> describe_encoder(config, {})['backbone']
        {}
    """
    return {
        'frozen_stages': config.get('frozen_stages', -1),
        'channels_last': bool(config.get('channels_last', False)),
        'backbone': as_plain(_without(config.get('backbone') or {})),
        'weights': digest_weights(weights),
    }


def as_plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config as JSON gives it back: lists for tuples.

    Args:
        config: The config.

    Example:
        >>> as_plain(dict(type='X', mean=(1, 2)))
        {'mean': [1, 2], 'type': 'X'}
    """
    plain: dict[str, Any] = json.loads(
        json.dumps(config, sort_keys=True, default=repr)
    )
    return plain


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _without(item)
            for key, item in value.items()
            if key not in _WITHOUT_EFFECT
        }
    return value


def identify_media(
    sources: Mapping[str, Mapping[str, Any]],
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Say which files, and which part of them, a clip is.

    Args:
        sources: Annotation entry by modality, with paths that can be opened.
        known: What an earlier call returned; files that have not changed
            since are not read again.

    Returns:
        By modality the entry without its paths, and size, time of change
        and content hash by key of a path; None for a file that is not there.
    """
    return {
        name: {
            'entry': as_plain(
                {k: v for k, v in entry.items() if not k.startswith('path')}
            ),
            'files': {
                key: _identify(
                    str(value),
                    (known or {}).get(name, {}).get('files', {}).get(key),
                )
                for key, value in entry.items()
                if key.startswith('path')
            },
        }
        for name, entry in sources.items()
    }


def is_same_file(path: str, known: Mapping[str, Any] | None) -> bool | None:
    """Tell whether a file is the one that was identified.

    The content is read only if the time of change differs.

    Args:
        path: File or folder of frames.
        known: What :func:`identify_media` said of it.

    Returns:
        None if there is no such file here, or was none when the cache was
        filled: a cache can be used without media.
    """
    if known is None or not os.path.exists(path):
        return None
    size, changed = _status(path)
    if size != known['size']:
        return False
    return changed == known['changed'] or _content(path) == known['content']


def _identify(
    path: str, known: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if not os.path.exists(path):
        return None
    size, changed = _status(path)
    if known and (known['size'], known['changed']) == (size, changed):
        return dict(known)
    return {'size': size, 'changed': changed, 'content': _content(path)}


def _status(path: str) -> tuple[int, int]:
    """Bytes of a file or entries of a folder, and nanoseconds."""
    status = os.stat(path)
    is_folder = os.path.isdir(path)
    size = len(os.listdir(path)) if is_folder else status.st_size
    return size, status.st_mtime_ns


def _content(path: str) -> str:
    """Hash of a file; of a folder its names and sizes."""
    if os.path.isdir(path):
        entries = sorted(
            (p.name, p.stat().st_size) for p in Path(path).iterdir()
        )
        return hashlib.sha256(repr(entries).encode()).hexdigest()
    with open(path, 'rb') as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()
