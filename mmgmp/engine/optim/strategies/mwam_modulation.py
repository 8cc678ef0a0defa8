"""Factors from the frequency content of the inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgmp.engine.optim.strategies.base import sum_by_modality
from mmgmp.engine.optim.strategies.encoder_modulation import (
    EncoderModulation,
)
from mmgmp.registry import MODULATIONS
from mmgmp.structures import BatchSignals, TaskLosses
from mmgmp.utils.checks import check_choice
from mmgmp.utils.ratios import poison

_STATISTICS = {
    'energy': ('frequency_low', 'frequency_high'),
    'abs': ('frequency_ratio', 'frequency_count'),
}
_NORMALISE = ('self', 'cross')
_LARGEST = 1e6


@MODULATIONS.register_module()
class MWAMModulation(EncoderModulation):
    """Hold back the encoder whose input is dominated by low frequencies.

    With r the ratio of low to high frequencies of a modality in this step and
    b its running mean, an encoder's gradient is multiplied by ``w = 1.5 -
    sigmoid(10 (x - 1))``, between 0.5 and 1.5, where

    - ``normalise='self'``: ``x = r / b``, each modality against its own past;
    - ``normalise='cross'``: ``x = r / (mean of all b + 1e-6)``. Inputs of
      different kinds, as video and spectrogram, differ by orders of magnitude
      in r, and w stays at its ends: a fixed weighting.

    The sums of ``FrequencyRatioMethod`` are reduced over micro-batches and
    ranks before r is formed. A modality without any energy in a step, or with
    no sample that has it, gets the factor 1 and keeps its b; b is also
    updated outside the window of epochs, and not by ratios that are not
    finite.

    Args:
        normalise: ``'self'`` or ``'cross'``; see above.
        ratio: ``'energy'`` takes the sum of squares of low frequencies over
            that of high ones, at most 1e6; ``'abs'`` sums the ratios of single
            coefficients, heavy-tailed where high frequencies are near 0, and
            takes the mean over the samples that have the modality.
        soft_begin: Whether b starts at 0, so that it is half of r, and x
            twice as large, in the first step.
        momentum: Share of the old b in a new one, in [0, 1).
        apply_to: ``'total'`` or ``'cls'``; see :class:`EncoderModulation`.
        start_epoch: First active epoch, 0-based; before, factors are 1.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If an option is unknown or out of range.

    Example:
        >>> one = torch.ones(2)
        >>> means = {'frequency_ratio': torch.tensor([1., 3.]),
        ...     'frequency_count': one}
        >>> signals = BatchSignals(('video', 'audio'), one, one, means)
        >>> mwam = MWAMModulation('cross', 'abs', soft_begin=True)
        >>> mwam.factors(signals), mwam.bank
        (tensor([1.0000, 0.5000]), tensor([0.5000, 1.5000]))

    Source: MWAM, Lu et al., ICLR 2026 (arXiv 2602.22644). [release]
    ``normalise='cross', ratio='abs', soft_begin=True``, there with the sum
    over samples; the defaults are [choice], for inputs of different kinds.
    """

    state_names = ('bank',)

    def __init__(
        self,
        normalise: str = 'self',
        ratio: str = 'energy',
        soft_begin: bool = False,
        momentum: float = 0.5,
        apply_to: str = 'total',
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(apply_to, start_epoch, end_epoch)
        advice = 'set optim_wrapper.modulation'
        check_choice('normalise', normalise, _NORMALISE, advice)
        check_choice('ratio', ratio, tuple(_STATISTICS), advice)
        if not 0 <= momentum < 1:
            raise ValueError(
                f'momentum must be in [0, 1), got {momentum}; set '
                'optim_wrapper.modulation.momentum'
            )
        self.normalise = normalise
        self.ratio = ratio
        self.soft_begin = soft_begin
        self.momentum = momentum
        #: Running means b, ``(M,)``; 0 where there has been no ratio yet.
        self.bank: Tensor | None = None
        #: Where a ratio was cut off in this epoch, ``(M,)``.
        self._cut: Tensor | None = None
        self._modalities: tuple[str, ...] = ()
        self._has_warned = False

    def observe(self, task_losses: TaskLosses) -> dict[str, Tensor]:
        """Return the sums that the ratio is made of."""
        names, found = _STATISTICS[self.ratio], task_losses.statistics
        if task_losses.num_samples != 0 and not set(names) <= set(found):
            raise ValueError(
                f'MWAMModulation needs the statistics {list(names)}, got '
                f"{sorted(found)}; add dict(type='FrequencyRatioMethod') to "
                'model.methods'
            )
        return {n: sum_by_modality(found.get(n), task_losses) for n in names}

    def factors(self, signals: BatchSignals) -> Tensor:
        """Return w and update the running means; see the class."""
        ratio = self._ratio(signals)
        is_known = ratio > 0
        before = self.bank
        before = (
            torch.zeros_like(ratio) if before is None else before.to(ratio)
        )
        mixed = self.momentum * before + (1 - self.momentum) * ratio
        if not self.soft_begin:
            mixed = torch.where(before == 0, ratio, mixed)
        is_finite = ratio.isfinite().all()
        self.bank = bank = torch.where(is_known & is_finite, mixed, before)
        begun = bank > 0
        if self.normalise == 'self':
            usual = torch.where(begun, bank, 1)
        else:
            usual = bank.sum() / begun.sum().clamp(min=1) + 1e-6
        factor = 1.5 - torch.sigmoid(10 * (ratio / usual - 1))
        # A sigmoid would hide a ratio that is not finite.
        return torch.where(is_known, factor, 1) + poison(ratio)

    def _ratio(self, signals: BatchSignals) -> Tensor:
        """R of each modality, ``(M,)``; 0 without any energy."""
        if self.ratio == 'abs':
            total, count = (signals.means[name] for name in _STATISTICS['abs'])
            return total / torch.where(count > 0, count, 1)
        low, high = (signals.means[name] for name in _STATISTICS['energy'])
        # Without high frequencies this is the largest ratio, and not inf.
        is_cut = low > _LARGEST * high
        self._modalities = signals.modalities
        self._cut = is_cut if self._cut is None else self._cut | is_cut
        return torch.where(
            is_cut, _LARGEST, low / torch.where(high > 0, high, 1)
        ) + poison(low, high)

    def epoch_remark(self) -> str:
        """Say once which inputs had no high frequencies."""
        cut, self._cut = self._cut, None
        if cut is None or self._has_warned:
            return ''
        flags = zip(self._modalities, cut.tolist(), strict=True)
        flat = [modality for modality, is_cut in flags if is_cut]
        if not flat:
            return ''
        self._has_warned = True
        return (
            f'MWAMModulation: inputs of {flat} had next to no high '
            f'frequencies in a step of this epoch, and their ratio was cut '
            f'off at {_LARGEST:g}; look at the data (constant images, sound '
            'that is silent), or leave MWAM out'
        )
