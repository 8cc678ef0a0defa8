"""On-the-fly prediction modulation: feature drop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor

from mmgmp.models.feature_transforms.base_feature_transform import (
    BaseFeatureTransform,
    FeatureContext,
)
from mmgmp.registry import MODELS
from mmgmp.structures import Task
from mmgmp.utils.activity import current_epoch
from mmgmp.utils.checks import check_choice
from mmgmp.utils.ratios import mean_of_others, poison


@MODELS.register_module()
class OPMFeatureDrop(BaseFeatureTransform):
    """Hide the leading modality's feature from some samples in training.

    The probability grows with the lead in confidence, so that the other
    modalities must carry the prediction; the features that stay are scaled
    up. Feed-forward companion of OGM.

    Confidences are the probabilities of the true class in the contributions
    of the classifier (``model.contribution``; the authors' convention is
    ``dict(type='MaskedContribution', bias='split')``), taken before anything
    is dropped and summed over ranks. With gradient accumulation each
    micro-batch has its own probabilities, because they are needed in its
    forward pass. Masks differ between ranks if the random numbers do
    (``randomness.diff_rank_seed=True``), like any dropout.

    The modality with the smallest confidence is never dropped, for any number
    of modalities, so no sample loses everything.

    Args:
        in_channels: Feature width D_m of two or more modalities.
        q_base: Drop probability of a modality whose lead vanishes, in [0, 1]
            (authors' script 0.5, their config file 0.4).
        mu: How the probability grows with the lead, >= 0.
        p_exe: Probability that a batch is touched at all, in [0, 1].
        warmup_epochs: Epochs at the start in which nothing is dropped.
        affects: Which heads see the dropped features: ``'cls'``, and
            ``'domain'`` or not [choice].
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If there is one modality only or a number or name is out
            of range.

    Example:
        >>> drop = OPMFeatureDrop({'video': 2304, 'audio': 512})
        >>> drop.probabilities(torch.tensor([8., 4.]))
        tensor([0.6904, 0.0000])

    Source: On-the-fly Modulation for Balanced Multimodal Learning, Wei et
    al., TPAMI 2024 (arXiv 2410.11582), and released code. The mean of the
    others for three or more modalities is [choice].
    """

    training_only = True
    allows_missing = False

    def __init__(
        self,
        in_channels: Mapping[str, int],
        q_base: float = 0.5,
        mu: float = 0.5,
        p_exe: float = 0.7,
        warmup_epochs: int = 6,
        affects: Sequence[str] = ('cls', 'domain'),
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_channels, init_cfg)
        self.q_base = q_base
        self.mu = mu
        self.p_exe = p_exe
        self.warmup_epochs = warmup_epochs
        self._check(tuple(affects))
        self.tasks = frozenset(Task(name) for name in affects)

    def _check(self, affects: tuple[str, ...]) -> None:
        if len(self.in_channels) < 2:
            raise ValueError(
                'OPMFeatureDrop compares modalities, got '
                f'{list(self.in_channels)}; drop it from '
                'model.feature_transforms'
            )
        for name, value in (('q_base', self.q_base), ('p_exe', self.p_exe)):
            if not 0 <= value <= 1:
                raise ValueError(
                    f'{name} must be in [0, 1], got {value}; set {name} of '
                    'OPMFeatureDrop in model.feature_transforms'
                )
        if self.mu < 0 or self.warmup_epochs < 0:
            raise ValueError(
                f'mu and warmup_epochs must be >= 0, got {self.mu} and '
                f'{self.warmup_epochs}; set them in OPMFeatureDrop'
            )
        check_choice(
            'affects',
            affects,
            (('cls',), ('cls', 'domain')),
            'set affects of OPMFeatureDrop',
        )

    def forward(
        self, features: Mapping[str, Tensor], context: FeatureContext
    ) -> dict[str, Tensor]:
        """Return features, some of them zero; see the base class."""
        if (
            not self.training
            or context.labels is None
            or context.contribute is None
            or current_epoch() < self.warmup_epochs
        ):
            return dict(features)
        # Summed on every rank, also where this batch is left alone.
        rates = self.probabilities(self._confidences(features, context))
        if torch.rand(()).item() >= self.p_exe:
            return dict(features)
        masks = torch.rand(
            len(context.labels), len(rates), device=rates.device
        )
        masks = (masks >= rates).to(rates)
        scale = 1 / self.kept_share(rates)
        return {
            m: x * (masks[:, index, None] * scale).to(x.dtype)
            for index, (m, x) in enumerate(features.items())
        }

    def probabilities(self, confidences: Tensor) -> Tensor:
        """Return the drop probability q of each modality, ``(M,)``.

        Args:
            confidences: Sums of the confidences over the batch, ``(M,)``.
        """
        others = mean_of_others(confidences).clamp(min=1e-12)
        lead = torch.tanh(torch.relu(confidences / others - 1))
        rates = (self.q_base * (1 + self.mu * lead)).clamp(0, 1)
        return torch.where(lead > 0, rates, 0) + poison(confidences)

    def kept_share(self, rates: Tensor) -> Tensor:
        """Return ``1 - Theta``, the expected share of features kept, 0-dim.

        Args:
            rates: Drop probabilities q, ``(M,)``.
        """
        # By numbers of the host, which no copy has to take to the device.
        widths = list(self.in_channels.values())
        total = sum(
            (w * rate for w, rate in zip(widths, rates.unbind(), strict=True)),
            start=rates.new_zeros(()),
        )
        theta = total / sum(widths)
        return (1 - theta).clamp(min=1e-5)

    def _confidences(
        self, features: Mapping[str, Tensor], context: FeatureContext
    ) -> Tensor:
        assert context.contribute is not None
        assert context.labels is not None
        shares = context.contribute(features)
        labels = context.labels[:, None]
        sums = torch.stack(
            [shares[m].softmax(1).gather(1, labels).sum() for m in features]
        )
        if get_world_size() > 1:
            all_reduce(sums)
        return sums
