"""MIRO: features held where the pretrained encoders put them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmgmp.models.methods.frozen_twins import FrozenTwins
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task
from mmgmp.utils.checks import check_choice

_LEAST = 1e-5
_START = 0.1
_REDUCTIONS = ('sum', 'mean')


@MODELS.register_module()
class MIROMethod(FrozenTwins):
    """Keep what the features share with those of the pretrained encoders.

    Each encoder's output f stays near f0 of its pretrained twin, in units of
    a variance v per feature that is learned: ``((f - f0)^2 / v + log v) / 2``,
    mean over samples, summed over features and modalities. Term
    ``retention``, extra: it shapes the features and knows neither class nor
    domain. It may be negative: that of features that stay is about
    ``log(0.1) / 2`` per feature.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        weight: Of the term, > 0.
        reduction: Over features: ``'sum'``, or ``'mean'``, which makes the
            weight independent of the width [choice].
        **kwargs: As in :class:`FrozenTwins`.

    Raises:
        ValueError: If an option is out of range; when weights are
            initialised, if an encoder starts at random.

    Example:
        >>> method = MIROMethod({'video': 1}, 2)
        >>> x = torch.ones(3, 1)
        >>> method.bound('video', x, 0 * x).item()
        3.84...

    Source: Cha et al., "Domain Generalization by Mutual-Information
    Regularization with Pre-trained Models", ECCV 2022 (arXiv 2203.10789).
    [release-Q] weight and start of v, as in MMDG-Bench (arXiv 2606.00891).
    On the pooled features of each modality only [choice].
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {'retention': Task.EXTRA}
    allows_missing = False

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        weight: float = 0.1,
        reduction: str = 'sum',
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        self.check_positive(weight=weight)
        check_choice(
            'reduction of MIROMethod',
            reduction,
            _REDUCTIONS,
            'correct model.methods',
        )
        self.weight = weight
        self.reduction = reduction
        # softplus(raw) is the start.
        raw = torch.tensor(_START - _LEAST).expm1().log()
        self.raw_variances = nn.ParameterDict(
            {m: nn.Parameter(raw.repeat(d)) for m, d in in_channels.items()}
        )

    def make_twin(self, modality: str) -> nn.Module:
        """Build the encoder as it was before training; see the base class."""
        config = self.encoder_config(modality)
        is_random = config.get('layer4_init') == 'random'
        if is_random or not config.get('pretrained'):
            raise ValueError(
                'encoders of a model with MIROMethod must be pretrained, got '
                f'pretrained={config.get("pretrained")!r}, '
                f'layer4_init={config.get("layer4_init", "pretrained")!r} '
                f'for {modality}; set model.encoders.{modality}.pretrained, '
                'or leave the method out'
            )
        twin: nn.Module = MODELS.build(config)
        twin.init_weights()  # type: ignore[operator]
        return twin

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the weighted term; see the base class.

        Encoder outputs are compared, before any feature transform; under a
        forward plan that gives none, the features.
        """
        students = batch.outputs or batch.clean_features or batch.features
        bounds = [
            self.bound(m, students[m], batch.teacher[m])
            for m in self.modalities
        ]
        return self.tagged(retention=self.weight * torch.stack(bounds).sum())

    def bound(self, modality: str, own: Tensor, untouched: Tensor) -> Tensor:
        """Return the term of one modality, 0-dim.

        Args:
            modality: Its name.
            own: Features ``(N, D)``.
            untouched: Those of the pretrained encoder, ``(N, D)``.
        """
        variance = F.softplus(self.raw_variances[modality]) + _LEAST
        # F.gaussian_nll_loss looks at its variances, and waits for them.
        far = (own.float() - untouched.float()).square().mean(0)
        terms = (far / variance + variance.log()) / 2
        return terms.sum() if self.reduction == 'sum' else terms.mean()
