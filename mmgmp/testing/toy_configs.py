"""Configs of a recogniser small enough for a test on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from mmaction.structures import ActionDataSample
from torch import Tensor


def toy_slowfast() -> dict[str, Any]:
    """Return a SlowFast-18 backbone with an eighth of the channels.

    Example:
        >>> toy_slowfast()['type']
        'ResNet3dSlowFast'
    """
    pathway = dict(
        type='resnet3d',
        depth=18,
        pretrained=None,
        conv1_stride_t=1,
        dilations=(1, 1, 1, 1),
        inflate=(0, 0, 1, 1),
        norm_eval=False,
    )
    return dict(
        type='ResNet3dSlowFast',
        pretrained=None,
        resample_rate=4,
        speed_ratio=4,
        channel_ratio=4,
        slow_pathway=dict(
            pathway,
            base_channels=8,
            lateral=True,
            fusion_kernel=5,
            conv1_kernel=(1, 7, 7),
        ),
        fast_pathway=dict(
            pathway,
            base_channels=2,
            lateral=False,
            conv1_kernel=(5, 7, 7),
        ),
    )


def toy_recognizer(
    modalities: tuple[str, ...] = ('video', 'audio'),
    num_classes: int = 3,
    num_domains: int | None = 2,
    **kwargs: Any,
) -> dict[str, Any]:
    """Return the config of an ``AudioVisualRecognizer``.

    Args:
        modalities: Of ``'video'``, ``'audio'`` and ``'flow'``.
        num_classes: Number of classes.
        num_domains: Number of source domains; None drops the discriminator.
        **kwargs: Further keys of the model, replacing those set here.

    Example:
        >>> list(toy_recognizer(('audio',))['encoders'])
        ['audio']
    """
    backbones: dict[str, Any] = {
        'video': toy_slowfast(),
        'audio': dict(type='ResNet', depth=18, in_channels=1),
        'flow': dict(
            type='ResNet3dSlowOnly',
            depth=18,
            pretrained=None,
            in_channels=2,
            base_channels=8,
            lateral=False,
            with_pool2=False,
        ),
    }
    return {
        'type': 'AudioVisualRecognizer',
        'encoders': {
            m: dict(type='ModalityEncoder', backbone=backbones[m])
            for m in modalities
        },
        'cls_head': dict(
            type='MLPClassifierHead',
            num_classes=num_classes,
            hidden_channels=16,
        ),
        'domain_head': None
        if num_domains is None
        else dict(
            type='DomainDiscriminatorHead',
            num_domains=num_domains,
            hidden_channels=16,
        ),
        **kwargs,
    }


def toy_batch(
    num_samples: int = 4,
    modalities: tuple[str, ...] = ('video', 'audio'),
    num_classes: int = 3,
    num_domains: int = 2,
    seed: int = 0,
) -> tuple[dict[str, Tensor], list[ActionDataSample]]:
    """Return random inputs and labelled samples for the toy recogniser.

    Args:
        num_samples: Batch size.
        modalities: Which inputs to make.
        num_classes: Labels cycle through the classes.
        num_domains: Domain labels cycle through the domains.
        seed: Of the random inputs.

    Example:
        >>> inputs, samples = toy_batch(2)
        >>> inputs['video'].shape, len(samples)
        (torch.Size([2, 1, 3, 8, 32, 32]), 2)
    """
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        'video': (1, 3, 8, 32, 32),
        'audio': (1, 33, 32),
        'flow': (1, 2, 4, 32, 32),
    }
    inputs = {
        m: torch.randn(num_samples, *shapes[m], generator=generator)
        for m in modalities
    }
    samples = []
    for index in range(num_samples):
        sample = ActionDataSample().set_gt_label(index % num_classes)
        sample.set_field(torch.tensor([index % num_domains]), 'domain_label')
        sample.set_metainfo(
            {'domain': f'domain{index % num_domains}', 'sample_id': str(index)}
        )
        samples.append(sample)
    return inputs, samples
