"""What a batch of unlabelled samples asks of a classifier."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn

from mmgmp.registry import MODELS
from mmgmp.utils.checks import check_choice

_BALANCES = ('mean', 'softmax_of_sum')


class AdaptationLoss(nn.Module, ABC):
    """Maps logits of a batch to a loss, without labels."""

    #: Whether the logits of each modality's own head are read.
    needs_unimodal_logits = False

    @abstractmethod
    def forward(
        self, logits: Tensor, unimodal_logits: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the loss, 0-dim.

        Args:
            logits: Fused class logits ``(N, K)``.
            unimodal_logits: Those of each modality's own head, ``(N, K)``;
                may be empty if they are not needed.
        """


@MODELS.register_module()
class TentLoss(AdaptationLoss):
    """Mean entropy of the predictions.

    Example:
        >>> TentLoss()(torch.zeros(1, 2), {})
        tensor(0.6931)

    Source: Wang et al., "Tent: Fully Test-Time Adaptation by Entropy
    Minimization", ICLR 2021 (arXiv 2006.10726).
    """

    def forward(
        self, logits: Tensor, unimodal_logits: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the loss; see the base class."""
        del unimodal_logits
        return entropies(logits).mean()


@MODELS.register_module()
class READLoss(AdaptationLoss):
    """Sure predictions become surer, and all classes stay in use.

    ``mean q (1 - log q + log gamma)`` with q the largest probability of a
    sample and gamma = 1/e, less the entropy of the classes over the batch.

    Args:
        balance: Classes over the batch: ``'mean'`` of the probabilities
            [choice], or ``'softmax_of_sum'``, the softmax of their sums
            [release], which is far from it in large batches.

    Raises:
        ValueError: If ``balance`` is unknown.

    Example:
        >>> READLoss.confidence_terms(torch.tensor([[.9, .1]]).log())
        tensor([0.0948])

    Source: Yang et al., "Test-time Adaptation against Multi-modal
    Reliability Bias", ICLR 2024 [release].
    """

    def __init__(self, balance: str = 'mean') -> None:
        super().__init__()
        check_choice('balance', balance, _BALANCES, 'set test_cfg.loss')
        self.balance = balance

    def forward(
        self, logits: Tensor, unimodal_logits: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the loss; see the base class."""
        del unimodal_logits
        sure = self.confidence_terms(logits).mean()
        return sure - batch_entropy(logits, self.balance)

    @staticmethod
    def confidence_terms(logits: Tensor) -> Tensor:
        """Return ``-q log q`` of each sample, ``(N,)``.

        Args:
            logits: ``(N, K)``.
        """
        log_q = logits.log_softmax(1).amax(1)
        return -log_q.exp() * log_q


@MODELS.register_module()
class AEOLoss(AdaptationLoss):
    """Known-looking samples become surer, unknown-looking ones less sure.

    With h the entropy of a prediction over log K, samples count with
    ``w = tanh(4 (h - 0.8))``: negative below the threshold, where the loss
    lowers the entropy, and positive above, where it raises it. The modalities'
    own predictions are treated alike and drawn together or apart.

    Args:
        balance: As in :class:`READLoss`.
        agreement_weight: Of the modalities' term, >= 0.
        balance_weight: Of the entropy of classes over the batch, >= 0.
        detach_weights: Whether w has no gradient; it has one [release].

    Raises:
        ValueError: If ``balance`` is unknown or a weight negative.

    Example:
        >>> logits = torch.tensor([[.9, .05, .05]]).log()
        >>> AEOLoss(agreement_weight=0, balance_weight=0)(logits, {})
        tensor(0.3385)

    Source: Dong et al., "Towards Robust Multimodal Open-set Test-time
    Adaptation via Adaptive Entropy-aware Optimization", ICLR 2025
    (arXiv 2501.13924) [release]; the mean over pairs of more than two
    modalities is [choice].
    """

    def __init__(
        self,
        balance: str = 'mean',
        agreement_weight: float = 0.1,
        balance_weight: float = 0.1,
        detach_weights: bool = False,
    ) -> None:
        super().__init__()
        check_choice('balance', balance, _BALANCES, 'set test_cfg.loss')
        if not (agreement_weight >= 0 and balance_weight >= 0):
            raise ValueError(
                'agreement_weight and balance_weight of AEOLoss must be >= 0, '
                f'got {agreement_weight} and {balance_weight}; set '
                'test_cfg.loss'
            )
        self.balance = balance
        self.agreement_weight = agreement_weight
        self.balance_weight = balance_weight
        self.detach_weights = detach_weights
        self.needs_unimodal_logits = agreement_weight > 0

    def forward(
        self, logits: Tensor, unimodal_logits: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the loss; see the base class."""
        h = _relative_entropies(logits)
        w = (4 * (h - 0.8)).tanh()
        if self.detach_weights:
            w = w.detach()
        loss = -(h * w).mean()
        if self.agreement_weight:
            single = list(unimodal_logits.values())
            apart = _distances([x.softmax(1) for x in single])
            own = torch.stack([_relative_entropies(x) for x in single]).mean(0)
            loss = loss - self.agreement_weight * (w * (apart + own)).mean()
        if self.balance_weight:
            spread = batch_entropy(logits, self.balance)
            loss = loss - self.balance_weight * spread
        return loss


def entropies(logits: Tensor) -> Tensor:
    """Return the entropy of each prediction in nats, ``(N,)``.

    Args:
        logits: ``(N, K)``.

    Example:
        >>> entropies(torch.zeros(1, 2))
        tensor([0.6931])
    """
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)


def batch_entropy(logits: Tensor, balance: str) -> Tensor:
    """Return the entropy of the classes over a batch in nats, 0-dim.

    Args:
        logits: ``(N, K)``.
        balance: ``'mean'`` or ``'softmax_of_sum'``.

    Example:
        >>> batch_entropy(torch.tensor([[9., 0.], [0., 9.]]), 'mean')
        tensor(0.6931)
    """
    probabilities = logits.softmax(1)
    if balance == 'softmax_of_sum':
        return entropies(probabilities.sum(0, keepdim=True))[0]
    # At 0 the slope of x log x is infinite.
    mean = probabilities.mean(0).clamp(min=torch.finfo(logits.dtype).tiny)
    return torch.special.entr(mean).sum()


def _relative_entropies(logits: Tensor) -> Tensor:
    return entropies(logits) / math.log(logits.shape[1])


def _distances(probabilities: list[Tensor]) -> Tensor:
    """L1 distance of each sample's predictions, mean over pairs, ``(N,)``."""
    pairs = list(combinations(probabilities, 2))
    if not pairs:
        return torch.zeros_like(probabilities[0][:, 0])
    return torch.stack([(a - b).abs().sum(1) for a, b in pairs]).mean(0)
