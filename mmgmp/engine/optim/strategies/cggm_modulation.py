"""Classifier-guided gradient modulation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmgmp.engine.optim.strategies.base import (
    FeedbackModulation,
    sum_by_modality,
)
from mmgmp.engine.optim.strategies.encoder_modulation import (
    EncoderModulation,
)
from mmgmp.registry import MODULATIONS
from mmgmp.structures import BatchSignals, TaskLosses
from mmgmp.utils.ratios import poison

_CORRECT = 'probe_correct'


@MODULATIONS.register_module()
class CGGMModulation(EncoderModulation, FeedbackModulation):
    """Strengthen the encoders whose probes improve slowly.

    The probes of ``CGGMProbesMethod``, trained on detached features, tell the
    accuracy of each modality on the current batch. With ``d`` its change
    since the previous step and ``S`` the sum of the changes plus 1e-8,
    encoder m is scaled by ``rho_s * B``, ``B = (S - d) / S``. B goes back to
    the model as feedback ``balance``, for the direction loss of the next
    step.

    S is a sum of small differences, often zero or negative, so B may be huge
    or negative. The authors rely on clipping the gradient norm to 0.8 right
    after scaling: set ``optim_wrapper.clip_grad=dict(max_norm=0.8)``.

    Previous accuracies and balance terms are in the checkpoint; they are also
    updated outside the activity window, and not by a batch whose accuracies
    are not finite [choice].

    Args:
        rho_s: Scale of the balance term, > 0; the authors use 1.3 (1.0 for
            segmentation).
        coeff_range: Lowest and highest B, such as ``(0, 2)``, or None
            [choice]. A B that is not finite is 1.
        apply_to: ``'total'`` or ``'cls'``; see :class:`EncoderModulation`.
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If ``rho_s`` is not positive, the range is empty, the
            loss carries no probe statistics, or there is one modality only.

    Example:
        >>> cggm = CGGMModulation()
        >>> cggm.balance(torch.tensor([0.6, 0.7]), torch.tensor([0.5, 0.4]))
        tensor([0.7500, 0.2500])

    Source: Classifier-guided Gradient Modulation for Enhanced Multimodal
    Learning, Guo et al., NeurIPS 2024 (arXiv 2411.01409).
    """

    state_names = ('previous', 'last_balance')

    def __init__(
        self,
        rho_s: float = 1.3,
        coeff_range: Sequence[float] | None = None,
        apply_to: str = 'total',
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(apply_to, start_epoch, end_epoch)
        if rho_s <= 0:
            raise ValueError(
                f'rho_s must be > 0, got {rho_s}; set '
                'optim_wrapper.modulation.rho_s'
            )
        if coeff_range is not None and (
            len(coeff_range) != 2 or coeff_range[0] > coeff_range[1]
        ):
            raise ValueError(
                'coeff_range must be (lowest, highest) or None, got '
                f'{coeff_range}; set optim_wrapper.modulation.coeff_range'
            )
        self.rho_s = rho_s
        self.coeff_range = coeff_range
        self.previous: Tensor | None = None
        self.last_balance: Tensor | None = None
        self._was_active = True

    def observe(self, task_losses: TaskLosses) -> dict[str, Tensor]:
        """Return the number of correct probe predictions."""
        correct = task_losses.statistics.get(_CORRECT)
        if correct is None and task_losses.num_samples != 0:
            raise ValueError(
                f'CGGMModulation needs the statistics {_CORRECT!r}, got '
                f"{sorted(task_losses.statistics)}; add dict(type='CGGM"
                "ProbesMethod') to model.methods"
            )
        return {_CORRECT: sum_by_modality(correct, task_losses)}

    def factors(self, signals: BatchSignals) -> Tensor:
        """Return ``rho_s * B`` and remember the accuracies; see the class."""
        if len(signals.modalities) < 2:
            raise ValueError(
                'CGGMModulation needs two or more modalities, got '
                f'{list(signals.modalities)}; set '
                'optim_wrapper.modulation=None'
            )
        accuracy = signals.means[_CORRECT]
        if self.previous is None:
            self.previous = torch.zeros_like(accuracy)
        previous = self.previous.to(accuracy)
        balance = self.balance(accuracy, previous)
        is_finite = accuracy.isfinite().all()
        last = balance if self.last_balance is None else self.last_balance
        # A loss scaler skips such a step; what is remembered must outlive it.
        self.previous = torch.where(is_finite, accuracy, previous)
        self.last_balance = torch.where(is_finite, balance, last.to(balance))
        self._was_active = self.is_active(signals.epoch)
        # Where the balance is not finite it counts as 1; a lost accuracy
        # must not pass for an ordinary step.
        return self.rho_s * balance + poison(accuracy)

    def balance(self, accuracy: Tensor, previous: Tensor) -> Tensor:
        """Return B without touching the state.

        Args:
            accuracy: Of the probes in this step, ``(M,)`` in [0, 1].
            previous: The same in the previous step; zeros in the first.
        """
        change = accuracy - previous
        # Changes that cancel make B huge, as in the authors' code; the
        # configs clip the step that follows.
        total = change.sum() + 1e-8
        balance = (total - change) / total
        balance = torch.where(
            balance.isfinite(), balance, torch.ones_like(balance)
        )
        if self.coeff_range is not None:
            low, high = self.coeff_range
            balance = balance.clamp(low, high)
        return balance

    def feedback(self) -> dict[str, Tensor]:
        """Return the balance terms of the last step; zeros if inactive."""
        if self.last_balance is None:
            return {}
        return {'balance': self.last_balance * self._was_active}
