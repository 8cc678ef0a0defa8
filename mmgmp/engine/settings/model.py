"""Facts about a recognizer, from its config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmgmp.utils.settings import ModelFacts

# Parts whose numbers are not those of this model's classes and domains.
_FOREIGN = ('encoders', 'data_preprocessor')


def read_model(config: Mapping[str, Any] | None) -> ModelFacts | None:
    """Read the config of an ``AudioVisualRecognizer``.

    Args:
        config: Of the model.

    Returns:
        The facts; None if it is another model, or has been built.

    Example:
        >>> model = dict(encoders=dict(video={}, audio={}),
        ...              cls_head=dict(num_classes=7), domain_head=None)
        >>> read_model(model).num_classes
        {'model.cls_head.num_classes': 7}
    """
    if not isinstance(config, Mapping) or not isinstance(
        config.get('encoders'), Mapping
    ):
        return None
    encoders = [m for m, e in config['encoders'].items() if e is not None]
    order = config.get('modalities') or config.get('modality_order')
    if order is not None:
        encoders = [m for m in order if m in encoders]
    return ModelFacts(
        tuple(encoders),
        tuple(config.get('missing_modalities') or ()),
        _numbers(config, 'num_classes'),
        _numbers(config, 'num_domains'),
    )


def _numbers(config: Mapping[str, Any], key: str) -> dict[str, int]:
    """All values of a key, by their place in the config."""
    if isinstance(config.get(key), int):
        # Said once for all parts.
        return {f'model.{key}': config[key]}
    parts = {k: v for k, v in config.items() if k not in _FOREIGN}
    return dict(_find(parts, key, 'model'))


def _find(value: Any, key: str, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, Mapping):
        if isinstance(value.get(key), int):
            yield f'{path}.{key}', value[key]
        items: Any = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return
    for name, part in items:
        yield from _find(part, key, f'{path}.{name}')
