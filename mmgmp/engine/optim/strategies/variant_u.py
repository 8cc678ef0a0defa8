"""Modulation and projection of GMP's released code, variant U."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from mmgmp.engine.optim.strategies.base import Projection, sum_by_modality
from mmgmp.engine.optim.strategies.decoupled_modulation import (
    DecoupledModulation,
)
from mmgmp.registry import MODULATIONS, PROJECTIONS
from mmgmp.structures import (
    BatchSignals,
    Coefficients,
    GradientProducts,
    Task,
    TaskLosses,
)
from mmgmp.utils.ratios import mean_of_others

_RATIO_EPS = 1e-6
_NORM_EPS = 1e-12
_MEANS = {
    'semantic_confidence': Task.CLASSIFICATION,
    'domain_confidence': Task.DOMAIN,
}


def released_ratios(signals: BatchSignals) -> BatchSignals:
    """Return the signals with the released code's two ratios.

    Args:
        signals: With the batch means that :class:`VariantUModulation`
            observes.

    Returns:
        A copy; ones for a single modality.

    Raises:
        ValueError: If the means are not there.

    Example:
        >>> one = torch.ones(2)
        >>> means = {'semantic_confidence': torch.tensor([0.8, 0.4]),
        ...          'domain_confidence': torch.tensor([0.8, 0.4])}
        >>> ratios = released_ratios(
        ...     BatchSignals(('video', 'audio'), one, one, means))
        >>> ratios.semantic_ratio, ratios.domain_ratio
        (tensor([2.0000, 0.5000]), tensor([0.5000, 2.0000]))
    """
    if not set(_MEANS) <= set(signals.means):
        raise ValueError(
            'optim_wrapper.projection=VariantUProjection needs the batch '
            f'means of VariantUModulation, got {sorted(signals.means)}; set '
            "optim_wrapper.modulation=dict(type='VariantUModulation') "
            '(use_k=False, use_p=False switches its coefficients off)'
        )
    semantic, domain = (signals.means[name] for name in _MEANS)
    ones = torch.ones_like(semantic)
    is_alone = len(semantic) == 1
    return dataclasses.replace(
        signals,
        semantic_ratio=ones
        if is_alone
        else semantic / (mean_of_others(semantic) + _RATIO_EPS),
        domain_ratio=ones
        if is_alone
        else mean_of_others(domain) / (domain + _RATIO_EPS),
    )


@MODULATIONS.register_module()
class VariantUModulation(DecoupledModulation):
    """IGDM on ratios of batch means, with an epsilon in the denominators.

    Args:
        alpha_k: As in :class:`DecoupledModulation`.
        alpha_p: As in :class:`DecoupledModulation`.
        use_k: As in :class:`DecoupledModulation`.
        use_p: As in :class:`DecoupledModulation`.
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Example:
        >>> one = torch.ones(2)
        >>> means = {'semantic_confidence': torch.tensor([0.8, 0.4]),
        ...          'domain_confidence': torch.zeros(2)}
        >>> signals = BatchSignals(('video', 'audio'), one, one, means)
        >>> VariantUModulation().coefficients(signals).classification
        tensor([0.2384, 1.0000])

    Source: the released benchmark code of GMP (arXiv 2603.14175).
    """

    def observe(self, task_losses: TaskLosses) -> dict[str, Tensor]:
        """Return the sums behind the means; zeros for a task not there."""
        return {
            name: sum_by_modality(
                task_losses.confidences.get(task), task_losses
            )
            for name, task in _MEANS.items()
        }

    def coefficients(self, signals: BatchSignals) -> Coefficients:
        """Return k, p and ones; see the base class."""
        return super().coefficients(released_ratios(signals))


@PROJECTIONS.register_module()
class VariantUProjection(Projection):
    """CAGP with the released code's epsilon and missing gradients.

    Differs from :class:`TaskProjection` in three ways: ratios are those of
    :class:`VariantUModulation`, which it needs; 1e-12 is added to the squared
    norm it divides by; and a parameter that only one task reaches (the
    unimodal classifier) is left out of the projection, so that the
    concatenated gradients are not exactly orthogonal.

    Args:
        start_epoch: First active epoch, 0-based.
        end_epoch: Last active epoch, inclusive; ``None`` is open.

    Raises:
        ValueError: If the means of :class:`VariantUModulation` are missing.

    Example:
        >>> one = torch.ones(1)
        >>> means = {'semantic_confidence': one, 'domain_confidence': one}
        >>> signals = BatchSignals(('video',), one, one, means)
        >>> factors, conflict = VariantUProjection().project(
        ...     GradientProducts(one, 2 * one, -one),
        ...     Coefficients(one, one, one), signals)
        >>> factors.classification, factors.domain, conflict
        (tensor([1.]), tensor([1.5000]), tensor([True]))

    Source: the released benchmark code of GMP (arXiv 2603.14175).
    """

    required_confidences = frozenset({Task.CLASSIFICATION})
    keeps_unpaired = True

    def project(
        self,
        products: GradientProducts,
        coefficients: Coefficients,
        signals: BatchSignals,
    ) -> tuple[Coefficients, Tensor]:
        """Return the factors after projection; see the base class."""
        ratios = released_ratios(signals)
        on_class = ratios.semantic_ratio >= ratios.domain_ratio
        k, p, products = self.modulated(products, coefficients)
        cross = products.cross
        conflict = cross < 0
        zero = torch.zeros_like(cross)
        # The epsilon makes the result depend on the loss scale; see
        # docs/decisions/protocol.md.
        off_domain = cross / (products.domain + _NORM_EPS)
        off_class = cross / (products.classification + _NORM_EPS)
        w_c = k - k * torch.where(conflict & ~on_class, off_class, zero)
        w_d = p - p * torch.where(conflict & on_class, off_domain, zero)
        projected = dataclasses.replace(
            coefficients, classification=w_c, domain=w_d
        )
        return projected, conflict
