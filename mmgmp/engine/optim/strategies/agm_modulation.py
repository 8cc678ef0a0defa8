"""Adaptive gradient modulation."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgmp.engine.optim.strategies.base import sum_by_modality
from mmgmp.engine.optim.strategies.decoupled_modulation import check_strength
from mmgmp.engine.optim.strategies.encoder_modulation import (
    EncoderModulation,
)
from mmgmp.registry import MODULATIONS
from mmgmp.structures import BatchSignals, Task, TaskLosses
from mmgmp.utils.ratios import adaptive_gains

_SCORE = 'share_cross_entropy'


@MODULATIONS.register_module()
class AGMModulation(EncoderModulation):
    """Pull each modality's share of the logits back to its own history.

    The cross-entropy s of each modality's share is compared with that of the
    others, now and on average over all steps so far; a modality that is
    further ahead than it used to be is damped, one that has fallen behind is
    strengthened: ``kappa = exp(alpha * min(R - r, cap))``, which may exceed
    1.

    The shares are those of ``model.contribution``, which for this method is
    ``dict(semantic='shapley')``: it works for every fusion. Features, not
    inputs, are set to zero for it [choice]. ``baseline=False`` of that
    contribution is the share of the authors' code.

    kappa multiplies the gradient of the encoder's parameters [choice]. The
    authors multiply the gradient that enters each share, which is the same
    for a linear head on concatenated features; ``AGMLogitsMethod`` among
    ``model.methods`` does it for any head, instead of this modulation.

    The authors also clip the norm of all gradients to 1.0, in steps in which
    an entry of the output layer's gradient exceeds 1 in size. This condition
    is not built [choice]; ``clip_grad=dict(max_norm=1.0)`` of the wrapper
    clips in every step.

    The running means are in the checkpoint. They are also updated outside
    the activity window, and not by a batch whose scores are not finite
    [choice].

    Args:
        alpha: Strength, >= 0; the authors' default is 1.0 (2.5 for AV-MNIST,
            0.1 in a later benchmark).
        cap: Largest exponent before alpha.
        apply_to: ``'total'`` or ``'cls'``; see :class:`EncoderModulation`.
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open. The
            authors use epochs 0 to 20.

    Raises:
        ValueError: If alpha is negative or the window is empty.

    Example:
        >>> agm, one = AGMModulation(), torch.ones(2)
        >>> scores = dict(share_cross_entropy=torch.tensor([0.5, 1.5]))
        >>> signals = BatchSignals(('video', 'audio'), one, one, scores)
        >>> agm.factors(signals).round(decimals=4)  # R = 1 in the first step
        tensor([0.1794, 1.8816])
        >>> agm.running_scores
        tensor([0.5000, 1.5000])

    Source: Boosting Multi-modal Model Performance with Adaptive Gradient
    Modulation, Li et al., ICCV 2023 (arXiv 2308.07686). The direction is that
    of the authors; a later benchmark reverses both exponents.
    """

    required_confidences = frozenset({Task.CLASSIFICATION})
    state_names = ('running_scores', 'num_updates')

    def __init__(
        self,
        alpha: float = 1.0,
        cap: float = 10.0,
        apply_to: str = 'total',
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(apply_to, start_epoch, end_epoch)
        check_strength('alpha', alpha)
        self.alpha = alpha
        self.cap = cap
        self.running_scores: Tensor | None = None
        self.num_updates: Tensor | None = None

    def observe(self, task_losses: TaskLosses) -> dict[str, Tensor]:
        """Return the sums of the cross-entropies of the shares."""
        confidences = task_losses.confidences.get(Task.CLASSIFICATION)
        scores = confidences and {
            modality: -confidence.clamp(min=1e-8).log()
            for modality, confidence in confidences.items()
        }
        return {_SCORE: sum_by_modality(scores, task_losses)}

    def factors(self, signals: BatchSignals) -> Tensor:
        """Return kappa and update the running means; see the class."""
        scores = signals.means[_SCORE]
        if self.running_scores is None or self.num_updates is None:
            self.running_scores = torch.zeros_like(scores)
            self.num_updates = torch.zeros_like(scores[0])
        running = self.running_scores.to(scores)
        count = self.num_updates.to(scores)
        # With the mean of the steps before: a modality is compared with its
        # history, of which this step is no part yet.
        factors = adaptive_gains(scores, running, self.alpha, self.cap)
        is_finite = scores.isfinite().all()
        count = torch.where(is_finite, count + 1, count)
        mean = running + (scores - running) / count.clamp(min=1)
        self.running_scores = torch.where(is_finite, mean, running)
        self.num_updates = count
        return factors
