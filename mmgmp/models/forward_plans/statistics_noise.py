"""Noise on channel statistics around the last stage of an encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mmgmp.models.encoders.stages import split_stages

#: How often each of the two places is disturbed, per batch.
PROBABILITY = 0.5


def check_statistics_noise(encoders: Mapping[str, Any]) -> None:
    """Refuse encoders whose last stage cannot be disturbed.

    Args:
        encoders: Modality encoders.

    Raises:
        ValueError: If a backbone cannot be split into stages, or activations
            are recomputed, which would draw other noise.
    """
    for modality, encoder in encoders.items():
        name = type(encoder.backbone).__name__
        if split_stages(encoder.backbone) is None:
            raise ValueError(
                'model.forward_plan.dsu=True needs backbones with stages '
                f'(ResNet, ResNet3d, SlowOnly, SlowFast), got {name} for '
                f'{modality}; set dsu=False'
            )
        if encoder.with_cp:
            raise ValueError(
                'model.forward_plan.dsu=True cannot recompute activations, '
                f'got model.encoders.{modality}.with_cp=True; set one of both '
                'to False'
            )


@contextmanager
def statistics_noise(encoders: Mapping[str, Any]) -> Iterator[None]:
    """Disturb what enters and leaves the last stage of every encoder.

    Each of the two places, and each pathway of SlowFast, is left alone or
    disturbed as a whole, with equal odds.

    Args:
        encoders: Modality encoders that :func:`check_statistics_noise` lets
            pass.

    Source: DSU as in the code that was released with MBCD (arXiv
    2511.20258); a later release of JAT has it as an option.
    """
    with ExitStack() as stack:
        for encoder in encoders.values():
            stages: Any = split_stages(encoder.backbone)
            for module in stages.modules(stages.num_stages):
                for handle in (
                    module.register_forward_pre_hook(_before),
                    module.register_forward_hook(_after),
                ):
                    stack.callback(handle.remove)
        yield


def resample_statistics(maps: Tensor, eps: float = 1e-6) -> Tensor:
    """Draw new channel means and deviations for each sample.

    Both come from normal distributions around the sample's own; their spread
    is the deviation, over the batch, of the mean and of the deviation.

    Args:
        maps: ``(N, C, ...)``; a single sample is returned as it is.
        eps: Added to variances, > 0.

    Returns:
        Tensor of the same shape and type.

    Example:
        >>> resample_statistics(torch.ones(2, 3, 4)).mean().round()
        tensor(1.)

    Source: Li et al., "Uncertainty Modeling for Out-of-Distribution
    Generalization", ICLR 2022 (arXiv 2202.03958).
    """
    if len(maps) < 2:
        return maps
    flat = maps.flatten(2)
    if flat.dtype in (torch.float16, torch.bfloat16):
        flat = flat.float()
    mean = flat.mean(2)
    deviation = (flat.var(2, unbiased=flat.shape[2] > 1) + eps).sqrt()
    new_mean, new_deviation = (
        x + torch.randn_like(x) * (x.var(0) + eps).sqrt()
        for x in (mean, deviation)
    )
    normal = (flat - mean[..., None]) / deviation[..., None]
    drawn = normal * new_deviation[..., None] + new_mean[..., None]
    return drawn.reshape(maps.shape).to(maps.dtype)


def _maybe(maps: Tensor) -> Tensor:
    # Drawn on the host: no device is waited for.
    disturbed = torch.rand(()).item() < PROBABILITY
    return resample_statistics(maps) if disturbed else maps


def _before(module: nn.Module, args: tuple[Tensor, ...]) -> Tensor:  # noqa: ARG001
    return _maybe(args[0])


def _after(
    module: nn.Module,  # noqa: ARG001
    args: tuple[Tensor, ...],  # noqa: ARG001
    output: Tensor,
) -> Tensor:
    return _maybe(output)
