"""Channel statistics mixed between the samples of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from mmaction.structures import ActionDataSample
from torch import Tensor, nn
from torch.distributions import Dirichlet

from mmgmp.models.encoders.stages import StagedBackbone, split_stages
from mmgmp.models.forward_plans.statistics_noise import StatisticsNoise
from mmgmp.models.layers import other_domain
from mmgmp.registry import MODELS
from mmgmp.utils.checks import check_choice

_PARTNERS = ('random', 'domain')


@MODELS.register_module()
class MixStyle(StatisticsNoise):
    """Give samples a style between their own and that of another one.

    Style is the mean and deviation of each channel over space and time. It
    is mixed in what enters chosen stages, per batch with ``probability``; the
    pathways of SlowFast have the same partners and weights. Published for
    the outputs of the first two residual stages. Where those are frozen, only
    later ones can be mixed without losing what freezing saves: by default
    the input of the first trained stage, which is weaker [choice].

    Args:
        probability: Of mixing a batch, in [0, 1].
        alpha: Both parameters of the Beta distribution of the weight of a
            sample's own style, > 0.
        partner: Whose style is mixed in: ``'random'`` permutes the batch,
            ``'domain'`` takes a sample of another domain, wherever the batch
            has one.
        stages: Residual stages (1 is the first) whose inputs are mixed; None
            is the first one that is trained.
        shared: Whether all modalities have the same partners and weights;
            styles are a modality's own, so they are independent by default.
        unbiased: Whether variances have the divisor n - 1, as in the
            released code; the paper's is n.
        eps: Added to variances, > 0.

    Raises:
        ValueError: If a value is out of range; on building the model, if a
            stage is frozen or not there.

    Example:
        >>> MixStyle(stages=[4]).stages
        (4,)

    Source: Zhou et al., "Domain Generalization with MixStyle", ICLR 2021;
    defaults of KaiyangZhou/mixstyle-release. Statistics are taken as
    constants, as released.
    """

    # Partners are rows of the whole batch.
    allows_missing = False

    def __init__(
        self,
        probability: float = 0.5,
        alpha: float = 0.1,
        partner: str = 'random',
        stages: Sequence[int] | None = None,
        shared: bool = False,
        unbiased: bool = False,
        eps: float = 1e-6,
    ) -> None:
        if not 0 <= probability <= 1 or alpha <= 0 or eps <= 0:
            raise ValueError(
                'MixStyle needs probability in [0, 1], alpha > 0 and eps > 0,'
                f' got {probability}, {alpha} and {eps}; correct '
                'model.forward_plan.noise'
            )
        self.probability = probability
        self.alpha = alpha
        self.partner = check_choice(
            'partner of MixStyle',
            partner,
            _PARTNERS,
            'correct model.forward_plan.noise',
        )
        self.stages = None if stages is None else tuple(stages)
        self.shared = shared
        self.unbiased = unbiased
        self.eps = eps

    def check_stages(
        self, modality: str, stages: StagedBackbone, frozen: int
    ) -> None:
        """Refuse stages that are frozen or not there; see the base class."""
        first = max(frozen + 1, 1)
        wrong = [
            stage
            for stage in self.stages or ()
            if not first <= stage <= stages.num_stages
        ]
        if wrong:
            raise ValueError(
                f'stages of MixStyle must be trained stages of {modality}, '
                f'{first} to {stages.num_stages}, got {wrong}; correct '
                f'model.forward_plan.noise.stages or model.encoders.'
                f'{modality}.frozen_stages'
            )

    def around(
        self,
        encoders: Mapping[str, Any],
        data_samples: Sequence[ActionDataSample],
    ) -> AbstractContextManager[Any]:
        """Mix what enters the chosen stages; see the base class."""
        drawn = _Styles(self, data_samples)
        stack = ExitStack()
        for modality, encoder in encoders.items():
            backbone: Any = split_stages(encoder.backbone)
            first = max(encoder.frozen_stages + 1, 1)
            for stage in self.stages or (first,):
                key = ('' if self.shared else modality, stage)
                # The third one, if any, connects the pathways.
                for module in backbone.modules(stage)[:2]:
                    hook = partial(_mix, drawn, key)
                    handle = module.register_forward_pre_hook(hook)
                    stack.callback(handle.remove)
        return stack


@dataclass
class _Styles:
    """What has been drawn for one batch: once for each key."""

    noise: MixStyle
    data_samples: Sequence[ActionDataSample]
    found: dict[tuple[str, int], tuple[Tensor, Tensor] | None] = field(
        default_factory=dict
    )

    def of(
        self, key: tuple[str, int], maps: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """Partners and weights by row; None leaves the batch alone."""
        if key not in self.found:
            # Drawn on the host: no device is waited for.
            is_mixed = torch.rand(()).item() < self.noise.probability
            self.found[key] = self._draw(maps) if is_mixed else None
        return self.found[key]

    def _draw(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        size = len(self.data_samples)
        if self.noise.partner == 'random':
            partner = torch.randperm(size, device=maps.device)
        else:
            domains = torch.cat([s.domain_label for s in self.data_samples])
            partner = other_domain(domains.to(maps.device, non_blocking=True))
        weights = _draw_beta(self.noise.alpha, size, maps.device)
        clips = len(maps) // size  # rows of a sample are neighbours
        if clips == 1:
            return partner, weights
        rows = partner[:, None] * clips
        rows = rows + torch.arange(clips, device=maps.device)
        return rows.flatten(), weights.repeat_interleave(
            clips, output_size=size * clips
        )


def _mix(
    drawn: _Styles,
    key: tuple[str, int],
    module: nn.Module,  # noqa: ARG001
    args: tuple[Tensor, ...],
) -> Tensor:
    maps = args[0]
    style = drawn.of(key, maps)
    if style is None:
        return maps
    noise = drawn.noise
    return mix_statistics(maps, *style, noise.unbiased, noise.eps)


def _draw_beta(alpha: float, size: int, device: torch.device) -> Tensor:
    # The first of two shares is Beta distributed; made on the device.
    alphas = torch.full((size, 2), alpha, device=device)
    drawn: Tensor = Dirichlet(alphas, validate_args=False).sample()
    return drawn[:, 0]


def mix_statistics(
    maps: Tensor,
    partner: Tensor,
    weight: Tensor,
    unbiased: bool = False,
    eps: float = 1e-6,
) -> Tensor:
    """Replace channel means and deviations by mixed ones.

    Args:
        maps: ``(N, C, ...)``.
        partner: Row of the other sample, ``(N,)``.
        weight: Of a sample's own statistics, ``(N,)``, in [0, 1].
        unbiased: Whether variances have the divisor n - 1.
        eps: Added to variances, > 0.

    Returns:
        Tensor of the same shape and type; no gradient flows through the
        statistics.

    Example:
        >>> x = torch.tensor([[[1., 3.]], [[10., 14.]]])
        >>> swap = torch.tensor([1, 0])
        >>> mix_statistics(x, swap, torch.tensor([.25, 1.]))[0].round()
        tensor([[ 8., 11.]])

    Source: MixStyle (ICLR 2021), Eq. 3 to 5 [inferred numbers].
    """
    flat = maps.flatten(2)
    if flat.dtype in (torch.float16, torch.bfloat16):
        flat = flat.float()
    own = weight.to(flat.dtype)[:, None, None]
    with torch.no_grad():
        mean = flat.mean(2, keepdim=True)
        is_unbiased = unbiased and flat.shape[2] > 1
        variance = flat.var(2, unbiased=is_unbiased, keepdim=True)
        deviation = (variance + eps).sqrt()
        new_mean, new_deviation = (
            own * x + (1 - own) * x[partner] for x in (mean, deviation)
        )
    mixed = (flat - mean) / deviation * new_deviation + new_mean
    return mixed.reshape(maps.shape).to(maps.dtype)
