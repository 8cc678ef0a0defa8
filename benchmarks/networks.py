"""The networks whose steps are timed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmaction.structures import ActionDataSample
from torch import Tensor

from mmgmp.registry import MODELS


def slowfast(depth: int, width: int) -> dict[str, Any]:
    """Return a SlowFast backbone.

    Args:
        depth: Of both pathways, 18 or 101.
        width: Base channels of the slow pathway; the fast one has an eighth.
    """
    pathway = dict(
        type='resnet3d',
        depth=depth,
        pretrained=None,
        conv1_stride_t=1,
        dilations=(1, 1, 1, 1),
        inflate=(0, 0, 1, 1),
    )
    return dict(
        type='ResNet3dSlowFast',
        pretrained=None,
        resample_rate=4,
        speed_ratio=4,
        channel_ratio=8,
        slow_pathway=dict(
            pathway,
            base_channels=width,
            lateral=True,
            fusion_kernel=7,
            conv1_kernel=(1, 7, 7),
        ),
        fast_pathway=dict(
            pathway,
            base_channels=width // 8,
            lateral=False,
            conv1_kernel=(5, 7, 7),
        ),
    )


#: Video backbone, batch size and input shapes without the batch.
NETWORKS: dict[str, dict[str, Any]] = {
    'SlowFast-18': dict(
        video=slowfast(18, 32),
        batch=16,
        shapes=dict(
            video=(1, 3, 16, 56, 56),
            audio=(1, 129, 126),
            flow=(1, 2, 8, 56, 56),
        ),
    ),
    'SlowFast-R101': dict(
        video=slowfast(101, 64),
        batch=2,
        shapes=dict(
            video=(1, 3, 32, 224, 224),
            audio=(1, 257, 1004),
            flow=(1, 2, 8, 224, 224),
        ),
    ),
}


def build(
    network: str,
    modalities: tuple[str, ...],
    frozen_stages: int,
    domains: int | None = 2,
    **kwargs: Any,
) -> Any:
    """Build a recognizer.

    Args:
        network: Key of :data:`NETWORKS`.
        modalities: Of video, audio and flow.
        frozen_stages: -1 trains everything, 3 the last stage only.
        domains: Source domains; None drops the discriminator.
        **kwargs: Further keys of the model.
    """
    backbones = dict(
        video=NETWORKS[network]['video'],
        audio=dict(type='ResNet', depth=18, in_channels=1),
        flow=dict(
            type='ResNet3dSlowOnly',
            depth=18 if network == 'SlowFast-18' else 50,
            pretrained=None,
            in_channels=2,
            base_channels=32 if network == 'SlowFast-18' else 64,
            lateral=False,
            with_pool2=False,
        ),
    )
    torch.manual_seed(0)
    config: dict[str, Any] = dict(
        type='AudioVisualRecognizer',
        encoders={
            m: dict(
                type='ModalityEncoder',
                backbone=backbones[m],
                frozen_stages=frozen_stages,
                channels_last=True,
            )
            for m in modalities
        },
        cls_head=dict(type='MLPClassifierHead', num_classes=7),
        domain_head=None
        if domains is None
        else dict(type='DomainDiscriminatorHead', num_domains=domains),
    )
    return MODELS.build({**config, **kwargs}).train()


def batch(
    network: str, modalities: tuple[str, ...], device: str
) -> Mapping[str, Any]:
    """Return random inputs with labels.

    Args:
        network: Key of :data:`NETWORKS`.
        modalities: Which inputs to make.
        device: Where to put them.
    """
    spec = NETWORKS[network]
    inputs: dict[str, Tensor] = {
        m: torch.randn(spec['batch'], *spec['shapes'][m], device=device)
        for m in modalities
    }
    samples = [labels(index) for index in range(spec['batch'])]
    return dict(inputs=inputs, data_samples=samples)


def labels(index: int) -> ActionDataSample:
    """Return the labels of one clip: seven classes, two source domains.

    Args:
        index: Of the clip.
    """
    sample = ActionDataSample().set_gt_label(index % 7)
    sample.set_field(torch.tensor([index % 2]), 'domain_label')
    return sample
