"""The training data as validation reads them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any


def without_augmentation(
    config: Mapping[str, Any], reader: str
) -> dict[str, Any]:
    """Return the config of the training data with the validation pipeline.

    Args:
        config: Config of the training.
        reader: Who reads them, for the message.

    Raises:
        ValueError: If the config has no pipelines.
    """
    train = config.get('train_dataloader') or {}
    val = config.get('val_dataloader') or {}
    pipelines = [
        cfg.get('dataset', {}).get('pipeline') for cfg in (train, val)
    ]
    if None in pipelines:
        raise ValueError(
            f'{reader} reads the training data through the validation '
            'pipeline, got data loaders without dataset.pipeline; set '
            f'train_dataloader of {reader}'
        )
    loader = copy.deepcopy(dict(train))
    loader['dataset'] = {**loader['dataset'], 'pipeline': pipelines[1]}
    loader['sampler'] = dict(type='DefaultSampler', shuffle=False)
    loader.pop('batch_sampler', None)
    loader['drop_last'] = False
    loader['persistent_workers'] = False
    return loader
