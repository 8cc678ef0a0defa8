"""Asymmetric representation learning."""

from __future__ import annotations

import torch
from torch import Tensor

from mmgmp.engine.optim.strategies.base import sum_by_modality
from mmgmp.engine.optim.strategies.encoder_modulation import (
    EncoderModulation,
)
from mmgmp.registry import MODULATIONS
from mmgmp.structures import BatchSignals, TaskLosses
from mmgmp.utils.ratios import mean_of_others

_ENTROPY, _SIZE = 'share_entropy', 'share_size'


@MODULATIONS.register_module()
class ARLModulation(EncoderModulation):
    """Let the fused logits lean on each modality by inverse variance.

    The mean entropy H of a modality's share of the logits stands for the
    variance of its prediction, and its mean size S for how much the fused
    logits depend on it. With ``h = max(H / sum H, floor)``, the wanted share
    ``w = (1/h) / sum (1/h)`` and the mean share of the others c, an encoder's
    gradient is multiplied by ``1 + softmax(temperature c w)``, which lies
    between 1 and 2: under Adam only the ratio of the factors acts.

    The two numbers are those of ``ShareStatisticsMethod``, from
    ``model.contribution``; the authors' shares are
    ``dict(type='MaskedContribution', bias='keep')``. The unimodal losses that
    belong to the method are those of ``SharedHeadUnimodalMethod``.

    Args:
        temperature: T, > 0; 8 for CREMA-D, 4 for Kinetics-Sounds and AVE
            [release].
        floor: Smallest share of the entropy, in (0, 1]; None takes ``0.6 /
            M``: 0.3 for two modalities [release], 0.2 for three, where 0.3
            would bind for most [choice].
        released: Whether every factor is 1.5, as in the released code, which
            computes the ones above and does not use them.
        apply_to: ``'total'`` or ``'cls'``; see :class:`EncoderModulation`.
        start_epoch: First active epoch, 0-based; before, factors are 1.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If an option is out of range or the window is empty.

    Example:
        >>> one = torch.ones(2)
        >>> means = dict(share_entropy=torch.tensor([.5, 1.5]),
        ...     share_size=torch.tensor([3., 1.]))
        >>> signals = BatchSignals(('video', 'audio'), one, one, means)
        >>> ARLModulation().factors(signals)
        tensor([1.4291, 1.5709])

    Source: ARL, Wei et al., ICCV 2025 (arXiv 2507.10203) [release]; three or
    more modalities are [choice].
    """

    def __init__(
        self,
        temperature: float = 8.0,
        floor: float | None = None,
        released: bool = False,
        apply_to: str = 'total',
        start_epoch: int = 5,
        end_epoch: int | None = None,
    ) -> None:
        super().__init__(apply_to, start_epoch, end_epoch)
        if not temperature > 0 or not (floor is None or 0 < floor <= 1):
            raise ValueError(
                'temperature must be > 0 and floor in (0, 1] or None, got '
                f'{temperature} and {floor}; set optim_wrapper.modulation'
            )
        self.temperature = temperature
        self.floor = floor
        self.released = released

    def observe(self, task_losses: TaskLosses) -> dict[str, Tensor]:
        """Return the sums of entropies and sizes of the shares."""
        found = task_losses.statistics
        if task_losses.num_samples != 0 and not {_ENTROPY, _SIZE} <= set(
            found
        ):
            raise ValueError(
                f'ARLModulation needs the statistics {[_ENTROPY, _SIZE]}, '
                f"got {sorted(found)}; add dict(type='ShareStatisticsMethod')"
                ' to model.methods'
            )
        return {
            name: sum_by_modality(found.get(name), task_losses)
            for name in (_ENTROPY, _SIZE)
        }

    def factors(self, signals: BatchSignals) -> Tensor:
        """Return ``1 + omega``; see the class."""
        entropy, size = signals.means[_ENTROPY], signals.means[_SIZE]
        count = len(entropy)
        if self.released:
            return torch.full_like(entropy, 1.5)
        if count == 1:
            return torch.ones_like(entropy)
        floor = 0.6 / count if self.floor is None else self.floor
        inverse = 1 / _shares(entropy).clamp(min=floor)
        wanted = inverse / inverse.sum()
        present = mean_of_others(_shares(size))
        return 1 + (self.temperature * present * wanted).softmax(0)


def _shares(values: Tensor) -> Tensor:
    """Parts of the sum; equal ones where all are zero."""
    total = values.sum()
    tiny = torch.finfo(values.dtype).tiny
    equal = torch.full_like(values, 1 / len(values))
    return torch.where(total <= tiny, equal, values / total.clamp(min=tiny))
