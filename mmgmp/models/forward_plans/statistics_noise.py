"""Noise on channel statistics, where an encoder's stages begin and end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, ClassVar

import torch
from mmaction.structures import ActionDataSample
from torch import Tensor, nn

from mmgmp.models.encoders.stages import StagedBackbone, split_stages
from mmgmp.registry import MODELS

#: How often each of the two places of DSU is disturbed, per batch.
PROBABILITY = 0.5


class StatisticsNoise(ABC):
    """Disturb feature maps within the encoders, in training passes only.

    It acts inside the trained part of an encoder: what the frozen stages
    return stays what it is, so that it may come from a feature cache.
    """

    #: Whether samples may lack a modality.
    allows_missing: ClassVar[bool] = True

    def check(self, encoders: Mapping[str, Any]) -> None:
        """Refuse encoders whose stages cannot be disturbed.

        Args:
            encoders: Modality encoders.

        Raises:
            ValueError: If a backbone cannot be split into stages, or
                activations are recomputed, which would draw other noise.
        """
        option = f'model.forward_plan.noise={type(self).__name__}'
        for modality, encoder in encoders.items():
            name = type(encoder.backbone).__name__
            stages = split_stages(encoder.backbone)
            if stages is None:
                raise ValueError(
                    f'{option} needs backbones with stages (ResNet, ResNet3d,'
                    f' SlowOnly, SlowFast), got {name} for {modality}; set '
                    'noise=None'
                )
            if encoder.with_cp:
                raise ValueError(
                    f'{option} cannot recompute activations, got '
                    f'model.encoders.{modality}.with_cp=True; set with_cp='
                    'False or noise=None'
                )
            self.check_stages(modality, stages, encoder.frozen_stages)

    def check_stages(  # noqa: B027
        self, modality: str, stages: StagedBackbone, frozen: int
    ) -> None:
        """Refuse an encoder that lacks a stage.

        Args:
            modality: Of the encoder.
            stages: Its stages.
            frozen: The last frozen one, -1 for none.
        """

    @abstractmethod
    def around(
        self,
        encoders: Mapping[str, Any],
        data_samples: Sequence[ActionDataSample],
    ) -> AbstractContextManager[Any]:
        """Disturb whatever the encoders are run on inside.

        Args:
            encoders: Modality encoders that :meth:`check` lets pass.
            data_samples: One per row of the inputs.
        """


def build_noise(noise: Mapping[str, Any] | None) -> StatisticsNoise | None:
    """Build the noise of a forward plan.

    Args:
        noise: Its config; None for none.

    Raises:
        TypeError: If it is something else.
    """
    built = None if noise is None else MODELS.build(dict(noise))
    if built is not None and not isinstance(built, StatisticsNoise):
        raise TypeError(
            "model.forward_plan.noise must be dict(type='DSU') or "
            f"dict(type='MixStyle'), got a {type(built).__name__}"
        )
    return built


def disturbed(
    noise: StatisticsNoise | None,
    encoders: Mapping[str, Any],
    data_samples: Sequence[ActionDataSample],
) -> AbstractContextManager[Any]:
    """Return the context of a training pass, with or without noise.

    Args:
        noise: The noise; None for none.
        encoders: As in :meth:`StatisticsNoise.around`.
        data_samples: As in :meth:`StatisticsNoise.around`.
    """
    if noise is None:
        return nullcontext()
    return noise.around(encoders, data_samples)


@MODELS.register_module()
class DSU(StatisticsNoise):
    """Disturb what enters and leaves the last stage of every encoder.

    Each of the two places, and each pathway of SlowFast, is left alone or
    disturbed as a whole, with equal odds; see :func:`resample_statistics`.

    Example:
        >>> build_noise(dict(type='DSU')).allows_missing
        True

    Source: DSU as in the code that was released with MBCD (arXiv
    2511.20258); a later release of JAT has it as an option.
    """

    def around(
        self,
        encoders: Mapping[str, Any],
        data_samples: Sequence[ActionDataSample],  # noqa: ARG002
    ) -> AbstractContextManager[Any]:
        """Disturb the last stages; see the base class."""
        stack = ExitStack()
        for encoder in encoders.values():
            stages: Any = split_stages(encoder.backbone)
            for module in stages.modules(stages.num_stages):
                for handle in (
                    module.register_forward_pre_hook(_before),
                    module.register_forward_hook(_after),
                ):
                    stack.callback(handle.remove)
        return stack


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
