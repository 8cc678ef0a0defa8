"""Contribution of a modality with all others absent."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mmgmp.models.contributions.base_contribution import (
    BaseContribution,
    JointHead,
    evaluate_subsets,
)
from mmgmp.registry import MODELS
from mmgmp.utils.checks import check_choice

_BIASES = ('none', 'split', 'keep')


@MODELS.register_module()
class MaskedContribution(BaseContribution):
    """``head(phi^m, others = 0)`` less what the head says about nothing.

    For a linear head on concatenated features this is exactly ``W^m phi^m``.

    Args:
        bias: ``'none'`` subtracts ``head(all = 0)``; ``'split'`` leaves each
            modality its share ``b / M`` of the output bias, the convention of
            OGM-GE; ``'keep'`` subtracts nothing.

    Raises:
        ValueError: If the bias option is unknown.

    Example:
        >>> import torch
        >>> weight = torch.tensor([[2., 0.], [0., 1.]])
        >>> head = JointHead(
        ...     lambda f: torch.cat([f['v'], f['a']], 1) @ weight + 5,
        ...     torch.full((2,), 5.))
        >>> features = {'v': torch.ones(1, 1), 'a': torch.ones(1, 1)}
        >>> MaskedContribution()(head, features)
        {'v': tensor([[2., 0.]]), 'a': tensor([[0., 1.]])}

    Source: GMP (arXiv 2603.14175), Eq. (6) and (7); [choice] for MLP heads.
    """

    def __init__(self, bias: str = 'none') -> None:
        check_choice('bias', bias, _BIASES, 'set model.contribution.bias')
        self.bias = bias

    def __call__(
        self, head: JointHead, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return ``(N, K)`` per modality; see the base class."""
        subsets = [frozenset({m}) for m in features]
        *alone, baseline = evaluate_subsets(
            head.forward, features, [*subsets, frozenset()]
        )
        if self.bias == 'split':
            baseline = head.output_bias * (1 - 1 / len(subsets))
        elif self.bias == 'keep':
            baseline = baseline.new_zeros(())
        return {
            modality: logits - baseline
            for modality, logits in zip(features, alone, strict=True)
        }
