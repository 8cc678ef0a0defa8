"""MOOSA: entropy weighting, masked translation, multimodal jigsaw."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from math import factorial
from typing import Any, ClassVar

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn import functional as F

from mmgmp.models.heads.mlp_head import MLPHead
from mmgmp.models.methods.simmmdg import SimMMDGMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task
from mmgmp.utils.checks import check_choice

_REDUCTIONS = ('sample', 'batch')
_MAX_PARTS = 20  # 20! is the last factorial below 2**63.


@MODELS.register_module()
class MOOSAMethod(SimMMDGMethod):
    """SimMMDG plus entropy weighting, jigsaw and masked translation.

    Every modality's head and the fused classifier are branches b. Their
    cross-entropies are weighted, sample by sample, by how certain the branch
    is (term ``weighted``, which replaces the fused cross-entropy), and their
    entropies minimised (``entropy``); both are classification. A head must
    tell how the parts of all features were shuffled (``jigsaw``, domain). The
    translators read features with elements set to zero. The open-set part of
    the paper's evaluation is the metric ``OpenSetAccuracy``.

    Args:
        jigsaw_weight: Of the jigsaw.
        entropy_weight: Of the entropy minimisation.
        entropy_temperature: T of the branch weights.
        detach_weights: Whether the branch weights are constants. The
            released code differentiates through them; True is advised with
            gradient strategies.
        reduction: ``'sample'``, or ``'batch'`` for mean weight times mean
            loss per branch.
        num_parts: Parts S of a feature; None is 4 for up to two modalities
            and 2 for more.
        num_permutations: Permutations P; lowered with a warning if there are
            not as many.
        jigsaw_channels: Hidden width of the jigsaw head.
        permutation_seed: Of the drawing of the permutations.
        mask_ratio: Probability of setting an element to zero, in [0, 1].
        **kwargs: As in :class:`SimMMDGMethod`.

    Raises:
        ValueError: If an option is unknown or out of range, or a width
            cannot be divided into the parts.

    Example:
        >>> method = MOOSAMethod({'video': 8, 'audio': 4}, num_classes=2)
        >>> method.permutations.shape
        torch.Size([128, 8])

    Source: Dong, Chatzi, Fink, "Towards Multimodal Open-Set Domain
    Generalization and Adaptation through Self-supervision", ECCV 2024 (arXiv
    2407.01518). [verified] formulas and defaults, in the released code.
    [not verified] whether the paper keeps SimMMDG's contrast and distance,
    as both released codes do. [choice] the tasks.
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {
        **SimMMDGMethod.default_tasks,
        'weighted': Task.CLASSIFICATION,
        'entropy': Task.CLASSIFICATION,
        'jigsaw': Task.DOMAIN,
    }
    needs_unimodal_heads = True
    replaces_cls_loss = True
    permutations: Tensor

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        jigsaw_weight: float = 1.0,
        entropy_weight: float = 0.001,
        entropy_temperature: float = 1.0,
        detach_weights: bool = False,
        reduction: str = 'sample',
        num_parts: int | None = None,
        num_permutations: int = 128,
        jigsaw_channels: int = 512,
        permutation_seed: int = 0,
        mask_ratio: float = 0.3,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        check_choice(
            'reduction of MOOSAMethod',
            reduction,
            _REDUCTIONS,
            'correct model.methods',
        )
        if not 0 <= mask_ratio <= 1:
            raise ValueError(
                f'mask_ratio of MOOSAMethod must be in [0, 1], got '
                f'{mask_ratio}; correct model.methods'
            )
        self.jigsaw_weight = jigsaw_weight
        self.entropy_weight = entropy_weight
        self.entropy_temperature = entropy_temperature
        self.detach_weights = detach_weights
        self.reduction = reduction
        self.mask_ratio = mask_ratio
        if num_parts is None:
            num_parts = 4 if len(in_channels) <= 2 else 2
        self.num_parts = num_parts
        self._check_parts()
        self.check_positive(
            entropy_temperature=entropy_temperature,
            num_permutations=num_permutations,
        )
        drawn = draw_permutations(
            num_parts * len(in_channels), num_permutations, permutation_seed
        )
        self.register_buffer('permutations', drawn)
        self.jigsaw_head: nn.Module = (
            MLPHead(sum(in_channels.values()), len(drawn), jigsaw_channels)
            if jigsaw_weight
            else nn.Identity()
        )

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return SimMMDG's and MOOSA's own terms; see the base class."""
        branches = torch.stack(
            [*batch.unimodal_logits.values(), batch.logits], dim=1
        )
        own = {'weighted': self.weighted(branches, batch.labels)}
        if self.entropy_weight:
            probabilities = branches.softmax(2)
            # The authors' 1e-5, against log 0.
            entropy = -(probabilities * (probabilities + 1e-5).log()).sum(2)
            own['entropy'] = self.entropy_weight * entropy.mean()
        if self.jigsaw_weight:
            own['jigsaw'] = self.jigsaw_weight * self.jigsaw(batch.features)
        terms = super().losses(batch)
        for task, named in self.tagged(**own).items():
            terms.setdefault(task, {}).update(named)
        return terms

    def weighted(self, branches: Tensor, labels: Tensor) -> Tensor:
        """Return the entropy-weighted cross-entropy, 0-dim.

        Args:
            branches: Logits ``(N, M + 1, K)``.
            labels: ``(N,)``.
        """
        log_probability = branches.log_softmax(2)
        entropy = -(log_probability.exp() * log_probability).sum(2)
        weights = (-entropy / self.entropy_temperature).softmax(1)
        index = labels[:, None, None].expand(-1, branches.shape[1], 1)
        losses = -log_probability.gather(2, index).squeeze(2)
        return self.reduce(
            weights.detach() if self.detach_weights else weights, losses
        )

    def reduce(self, weights: Tensor, losses: Tensor) -> Tensor:
        """Combine weights and cross-entropies, both ``(N, M + 1)``.

        Args:
            weights: Of the branches, adding up to 1 per sample.
            losses: Cross-entropies of the branches.

        Returns:
            0-dim loss.
        """
        if self.reduction == 'batch':
            return (weights.mean(0) * losses.mean(0)).sum()
        return (weights * losses).sum(1).mean()

    def jigsaw(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the cross-entropy of guessing the permutation, 0-dim.

        Args:
            features: ``(N, D_m)`` per modality.
        """
        rows = shuffle_parts(features, self.permutations, self.num_parts)
        logits = self.jigsaw_head(rows.flatten(0, 1))
        truth = torch.arange(len(rows), device=rows.device)
        return F.cross_entropy(logits, truth.repeat_interleave(rows.shape[1]))

    def translation(
        self, sources: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the mean error of translating masked features, 0-dim.

        Args:
            sources: What is masked, once per modality, and then read.
            targets: What should be predicted, unmasked.
        """
        masked = {
            m: x * (torch.rand_like(x) >= self.mask_ratio).to(x.dtype)
            for m, x in sources.items()
        }
        return super().translation(masked, targets)

    def _check_parts(self) -> None:
        count = self.num_parts * len(self.in_channels)
        if not 0 < count <= _MAX_PARTS or any(
            d % self.num_parts for d in self.in_channels.values()
        ):
            raise ValueError(
                'num_parts of MOOSAMethod must divide every feature width '
                f'and give at most {_MAX_PARTS} parts in all, got '
                f'{self.num_parts} for {self.in_channels}; correct '
                'model.methods'
            )


def draw_permutations(items: int, count: int, seed: int) -> Tensor:
    """Draw different permutations without listing all of them.

    Args:
        items: Number of items N, at most 20.
        count: How many to draw; lowered to N! with a warning.
        seed: Of the generator.

    Returns:
        int64 tensor of shape ``(count, N)``.

    Example:
        >>> draw_permutations(2, 2, seed=0).sort(0).values
        tensor([[0, 0],
                [1, 1]])
    """
    possible = factorial(items)
    if possible < count:
        print_log(
            f'MOOSAMethod: {items} parts have only {possible} permutations, '
            f'num_permutations={count} is lowered',
            logger='current',
            level=logging.WARNING,
        )
    drawn = random.Random(seed).sample(range(possible), min(count, possible))
    return torch.tensor([unrank_permutation(r, items) for r in drawn])


def unrank_permutation(index: int, items: int) -> list[int]:
    """Return a permutation by its place in lexicographic order.

    Args:
        index: 0-based place, below N!.
        items: Number of items N.

    Example:
        >>> unrank_permutation(10, 4)
        [1, 3, 0, 2]

    Source: factorial number system.
    """
    left = list(range(items))
    order = []
    for size in range(items - 1, -1, -1):
        digit, index = divmod(index, factorial(size))
        order.append(left.pop(digit))
    return order


def shuffle_parts(
    features: Mapping[str, Tensor], permutations: Tensor, num_parts: int
) -> Tensor:
    """Concatenate the parts of all features in every given order.

    Args:
        features: ``(N, D_m)`` per modality, each cut into equal parts.
        permutations: Orders of the parts, ``(P, M * num_parts)``.
        num_parts: Parts per modality.

    Returns:
        Tensor of shape ``(P, N, sum of D_m)``.

    Example:
        >>> features = {'v': torch.tensor([[1, 2, 3, 4]]),
        ...             'a': torch.tensor([[5, 6]])}
        >>> shuffle_parts(features, torch.tensor([[2, 0, 3, 1]]), 2)
        tensor([[[5, 1, 2, 6, 3, 4]]])
    """
    joined = torch.cat(list(features.values()), dim=1)
    part_of = torch.cat(
        [
            torch.arange(x.shape[1], device=x.device)
            .div(x.shape[1] // num_parts, rounding_mode='floor')
            .add(index * num_parts)
            for index, x in enumerate(features.values())
        ]
    )
    # Place of each column's part; a stable sort keeps the order inside one.
    place = permutations.argsort(1)[:, part_of]
    columns = place.argsort(stable=True, dim=1)
    shape = (len(columns), *joined.shape)
    return joined.expand(shape).gather(2, columns[:, None].expand(shape))
