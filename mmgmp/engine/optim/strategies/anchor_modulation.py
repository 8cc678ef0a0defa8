"""The encoder that is ahead, held where it was when the epoch began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from mmgmp.engine.optim.strategies.base import (
    FinalGradients,
    Modulation,
    identity_coefficients,
    sum_by_modality,
)
from mmgmp.registry import MODULATIONS
from mmgmp.structures import BatchSignals, Coefficients, Task, TaskLosses
from mmgmp.utils import log_names
from mmgmp.utils.checks import check_choice
from mmgmp.utils.ratios import mean_of_others

_PULLS = ('drift', 'orthogonal')
_SCORE = 'true_class_probability'


@MODULATIONS.register_module()
class AnchorModulation(Modulation):
    """Pull the leading encoder back to its weights at the epoch's start.

    With s the mean probability of the true class in each modality's share of
    the logits, the modality with the largest s leads, and its gradient
    becomes ``G + beta P(D)`` with the drift D since the first step of the
    epoch and ``beta = kappa exp(slope tanh(gap))``; the gap is that to the
    mean s of the others. All other encoders are left alone, and so are all
    if two lead alike.

    ``pull='drift'`` takes ``P(D) = D`` (InfoReg, whose prime learning window
    is open as long as the encoder's Fisher trace grows: the mean of the last
    ``fisher_window`` epochs is above that of one epoch ago by
    ``fisher_threshold`` of itself). ``pull='orthogonal'`` takes the part of
    each tensor's drift that is orthogonal to its gradient (RedReg, with
    ``kappa=1, slope=0.9, fisher_window=None``); the tests by noisy copies of
    the input, and the modality drop, of RedReg's released code are not part
    of it.

    The pull is part of the gradient: clipping limits it, and Adam divides it
    as it does all else. The anchor is part of the state: checkpoints grow by
    the size of the encoders.

    Args:
        pull: ``'drift'`` or ``'orthogonal'``.
        kappa: Strength, > 0; one for all modalities, or one each.
        slope: Of the exponent, >= 0.
        fisher_window: Epochs of a mean Fisher trace, >= 1; None pulls in
            every epoch of the window of epochs.
        fisher_threshold: Relative growth below which the encoder is free.
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If an option is out of range, ``kappa`` lacks a modality,
            or the window is empty.

    Example:
        >>> modulation = AnchorModulation(kappa=0.95)
        >>> score = {'true_class_probability': torch.tensor([.8, .4])}
        >>> signals = BatchSignals(
        ...     ('video', 'audio'), torch.ones(2), torch.ones(2), score)
        >>> modulation.strengths(signals)
        tensor([1.3891, 0.0000])

    Source: InfoReg, Huang et al., CVPR 2025 (arXiv 2503.18595), and RedReg,
    Yang et al. (arXiv 2511.13755). [release] the two pulls and exponents.
    [choice] means instead of sums over a batch (whose exponent is saturated),
    each encoder's own Fisher trace, a window of 3 epochs for short runs, one
    kappa of 0.5, and more than two modalities. RedReg's abstract speaks of a
    projection of the gradient, its code adds weight drift: this is the code.
    """

    required_confidences = frozenset({Task.CLASSIFICATION})
    shared_tasks = frozenset(Task)
    state_names = ('anchor', 'anchor_epoch', 'fisher', 'fisher_history')

    def __init__(
        self,
        pull: str = 'drift',
        kappa: float | Mapping[str, float] = 0.5,
        slope: float = 1.0,
        fisher_window: int | None = 3,
        fisher_threshold: float = 0.05,
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(start_epoch, end_epoch)
        check_choice('pull', pull, _PULLS, 'set optim_wrapper.modulation.pull')
        by_modality = kappa if isinstance(kappa, Mapping) else {'': kappa}
        is_window = fisher_window is None or fisher_window >= 1
        if not (min(by_modality.values()) > 0 and slope >= 0 and is_window):
            raise ValueError(
                'kappa must be > 0, slope >= 0 and fisher_window >= 1 or '
                f'None, got {kappa}, {slope} and {fisher_window}; set '
                'optim_wrapper.modulation'
            )
        self.pull = pull
        self.kappa = kappa
        self.slope = slope
        self.fisher_window = fisher_window
        self.fisher_threshold = fisher_threshold
        #: Weights at the first step of ``anchor_epoch``, by modality.
        self.anchor: dict[str, list[Tensor]] | None = None
        self.anchor_epoch: int | None = None
        #: Fisher traces, ``(M,)``: of this epoch so far, and of those before.
        self.fisher: Tensor | None = None
        self.fisher_history: list[Tensor] | None = None
        self._encoders: Mapping[str, Sequence[Parameter]] = {}

    def observe(self, task_losses: TaskLosses) -> dict[str, Tensor]:
        """Return sums of the true classes' probabilities, and see weights."""
        self._encoders = task_losses.encoder_parameters
        found = task_losses.confidences.get(Task.CLASSIFICATION)
        return {_SCORE: sum_by_modality(found, task_losses)}

    def coefficients(self, signals: BatchSignals) -> Coefficients:
        """Return ones: the pull is added when all is summed up."""
        return identity_coefficients(signals)

    def report(self, coefficients: Coefficients) -> dict[str, Tensor]:
        """Return nothing but a factor of one for classification."""
        return {log_names.SEMANTIC_COEFFICIENT: coefficients.classification}

    def strengths(self, signals: BatchSignals) -> Tensor:
        """Return beta, ``(M,)``; 0 for all modalities but the one ahead."""
        score = signals.means[_SCORE]
        if len(score) == 1:
            return torch.zeros_like(score)
        gap = score - mean_of_others(score)
        top = score.topk(2).values
        leads = (score == top[0]) & (top[0] > top[1])
        beta = self._kappa(signals, gap) * torch.exp(self.slope * gap.tanh())
        return torch.where(leads, beta, 0)

    def _kappa(self, signals: BatchSignals, like: Tensor) -> Tensor | float:
        if not isinstance(self.kappa, Mapping):
            return self.kappa
        lacking = sorted(set(signals.modalities) - set(self.kappa))
        if lacking:
            raise ValueError(
                'kappa must be a number or name every modality, got '
                f'{dict(self.kappa)} without {lacking}; set '
                'optim_wrapper.modulation.kappa'
            )
        # Filled in place: a copy from the host would wait for the device.
        kappa = torch.empty_like(like)
        for index, modality in enumerate(signals.modalities):
            kappa[index].fill_(self.kappa[modality])
        return kappa

    def finalize(
        self, gradients: FinalGradients, signals: BatchSignals
    ) -> None:
        """Add the pull; see the class."""
        self._begin_epoch(signals)
        assert self.anchor is not None
        beta = self.strengths(signals) * self._is_open(signals)
        traces = []
        for index, (modality, pairs) in enumerate(gradients.items()):
            tensors = [gradient for _, gradient in pairs]
            traces.append(_fisher_trace(pairs, signals.unit, beta))
            drift = self._drift(modality, pairs)
            if self.pull == 'orthogonal':
                _remove_parallel(drift, tensors)
            if drift:
                factor = (beta[index] * signals.unit).to(drift[0].dtype)
                torch._foreach_mul_(drift, factor)
                torch._foreach_add_(tensors, drift)
        assert self.fisher is not None
        trace = torch.stack(traces)
        self.fisher += torch.where(trace.isfinite(), trace, 0)

    def _begin_epoch(self, signals: BatchSignals) -> None:
        """Keep the weights, and close the account of the epoch before."""
        like = signals.semantic_ratio
        # A state that was loaded may be on the host.
        history = [x.to(like.device) for x in self.fisher_history or ()]
        trace = None if self.fisher is None else self.fisher.to(like.device)
        self.fisher_history, self.fisher = history, trace
        if self.anchor_epoch == signals.epoch and self._fits():
            return
        if trace is not None:
            history = [*history, trace]
        keep = (self.fisher_window or 0) + 1
        self.fisher_history = history[-keep:]
        self.fisher = torch.zeros_like(like)
        self.anchor_epoch = signals.epoch
        self.anchor = {
            modality: [p.detach().clone() for p in parameters]
            for modality, parameters in self._encoders.items()
        }

    def _fits(self) -> bool:
        """Whether the anchor is of these weights; a hook may thaw some."""
        anchor = self.anchor or {}
        return {m: len(kept) for m, kept in anchor.items()} == {
            m: len(parameters) for m, parameters in self._encoders.items()
        }

    def _is_open(self, signals: BatchSignals) -> Tensor:
        """1 for encoders in their prime learning window, else 0, ``(M,)``."""
        ones = torch.ones_like(signals.semantic_ratio)
        history = self.fisher_history or []
        if self.fisher_window is None or len(history) < 2:
            return ones
        now = torch.stack(history[-self.fisher_window :]).mean(0)
        ago = torch.stack(history[-self.fisher_window - 1 : -1]).mean(0)
        return torch.where(now - ago > self.fisher_threshold * now, ones, 0)

    def _drift(
        self, modality: str, pairs: Sequence[tuple[Parameter, Tensor]]
    ) -> list[Tensor]:
        """What the parameters with a gradient have moved in this epoch."""
        assert self.anchor is not None
        kept = {
            id(p): start
            for p, start in zip(
                self._encoders[modality], self.anchor[modality], strict=True
            )
        }
        own = [p.detach() for p, _ in pairs]
        starts = [kept[id(p)].to(p, non_blocking=True) for p, _ in pairs]
        return list(torch._foreach_sub(own, starts)) if own else []


def _fisher_trace(
    pairs: Sequence[tuple[Parameter, Tensor]],
    unit: Tensor | float,
    like: Tensor,
) -> Tensor:
    """Sum over weights of the mean squared gradient, 0-dim."""
    weights = [g for p, g in pairs if p.ndim >= 2]
    if not weights:
        return like.new_zeros(())
    norms = torch._foreach_norm(weights)
    means = [
        n.square() / g.numel() for n, g in zip(norms, weights, strict=True)
    ]
    return torch.stack(means).sum().to(like.dtype) / unit**2


def _remove_parallel(drift: Sequence[Tensor], along: Sequence[Tensor]) -> None:
    """Leave of each tensor what is orthogonal to another, in place."""
    for own, other in zip(drift, along, strict=True):
        # Of length one first: a small gradient squared would be nothing.
        unit = other / other.norm().clamp(min=torch.finfo(other.dtype).tiny)
        own.sub_((own * unit).sum() * unit)
