"""Shapley share of a modality."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from math import comb

from torch import Tensor

from mmgmp.models.contributions.base_contribution import (
    BaseContribution,
    JointHead,
    evaluate_subsets,
)
from mmgmp.registry import MODELS


@MODELS.register_module()
class ShapleyContribution(BaseContribution):
    """Average gain from adding a modality to every subset of the others.

    Right for multiplicative fusions, where a modality alone says little. The
    shares add up to ``head(all) - head(none)``. Evaluates ``2^M`` subsets at
    head level.

    Args:
        baseline: Whether the empty subset is subtracted (the Shapley value).
            False leaves every modality ``head(none) / M``, so that the shares
            add up to the logits, as in the code of AGM.

    Example:
        >>> import torch
        >>> head = JointHead(lambda f: f['v'] * f['a'], torch.zeros(1))
        >>> features = {'v': torch.full((1, 1), 2.), 'a': torch.ones(1, 1)}
        >>> ShapleyContribution()(head, features)
        {'v': tensor([[1.]]), 'a': tensor([[1.]])}

    Source: Shapley, 1953; Li et al., ICCV 2023 (arXiv 2308.07686).
    """

    def __init__(self, baseline: bool = True) -> None:
        self.baseline = baseline

    def __call__(
        self, head: JointHead, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return ``(N, K)`` per modality; see the base class."""
        names = list(features)
        subsets = [
            frozenset(subset)
            for size in range(len(names) + 1)
            for subset in combinations(names, size)
        ]
        values = dict(
            zip(
                subsets,
                evaluate_subsets(head.forward, features, subsets),
                strict=True,
            )
        )
        empty = values[frozenset()]
        shares = {}
        for name in names:
            rest = [subset for subset in subsets if name not in subset]
            gains = [
                (values[subset | {name}] - values[subset])
                / (len(names) * comb(len(names) - 1, len(subset)))
                for subset in rest
            ]
            share = sum(gains[1:], start=gains[0])
            if not self.baseline:
                share = share + empty / len(names)
            shares[name] = share
        return shares
