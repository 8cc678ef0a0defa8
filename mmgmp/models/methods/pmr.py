"""PMR: features of the slow modality, pulled to class prototypes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from mmengine.dist import all_reduce
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task
from mmgmp.utils.checks import check_choice
from mmgmp.utils.ratios import mean_of_others

_WEIGHTS = ('clip', 'hard')
_TINY = 1e-12


@MODELS.register_module()
class PMRMethod(BaseMethod):
    """Prototypical modal rebalance: push the slow modality, not the fast.

    Each modality has one prototype per class, the mean of its features, and
    a softmax over the negative distances to them: a classifier without
    parameters. Its cross-entropy (term ``prototypes``, classification) is
    added for the modalities that are behind, by how much: with s the sum of
    the true classes' probabilities and r the ratio of s to the mean of the
    others, the weight is ``1 / r - 1`` within [0, 1].

    Prototypes come from a pass over a part of the training data before each
    epoch (``PrototypeHook``), or with ``online`` from the batches themselves.
    They pool the source domains, and are part of the model's state. Until a
    class has one its samples do not count.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        alpha: Weight of the term, > 0.
        weight: ``'clip'`` as above [inferred], or ``'hard'``: 1 for a
            modality that is behind [release].
        temperature: Of the distances, > 0; None takes sqrt(D_m) [choice], as
            those of wide features saturate; 1 in the release.
        old_share: Share of the old prototype in a new one, in [0, 1).
        online: Whether prototypes are moving means of the batches [choice].
        online_momentum: Share of the old one per batch, in [0, 1).
        **kwargs: As in :class:`BaseMethod`.

    Raises:
        ValueError: If an option is unknown or out of range.

    Example:
        >>> method = PMRMethod({'video': 2, 'audio': 2}, 2)
        >>> method.weights(torch.tensor([1.2, 1.]))
        tensor([0.0000, 0.2000])

    Source: Fan et al., "PMR: Prototypical Modal Rebalance for Multimodal
    Learning", CVPR 2023 (arXiv 2211.07089). [release] distances, hard
    weights and the share of old prototypes. [inferred] the clipped weights.
    [choice] the temperature and more than two modalities. The entropy term of
    early epochs, which the released script lacks, is not built.
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {
        'prototypes': Task.CLASSIFICATION
    }
    known: Tensor
    epoch: Tensor

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        alpha: float = 1.0,
        weight: str = 'clip',
        temperature: float | None = None,
        old_share: float = 0.2,
        online: bool = False,
        online_momentum: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        check_choice('weight', weight, _WEIGHTS, 'correct model.methods')
        self.check_positive(
            alpha=alpha, temperature=1 if temperature is None else temperature
        )
        if not (0 <= old_share < 1 and 0 <= online_momentum < 1):
            raise ValueError(
                'old_share and online_momentum of PMRMethod must be in '
                f'[0, 1), got {old_share} and {online_momentum}; correct '
                'model.methods'
            )
        self.alpha = alpha
        self.weight = weight
        self.temperature = temperature
        self.old_share = old_share
        self.online = online
        self.online_momentum = online_momentum
        for modality, width in in_channels.items():
            zeros = torch.zeros(num_classes, width)
            self.register_buffer(_name(modality), zeros)
        #: Which classes have a prototype.
        self.register_buffer('known', torch.zeros(num_classes).bool())
        #: Epoch that the prototypes were made for; -1 before.
        self.register_buffer('epoch', torch.tensor(-1))

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the weighted term; see the base class."""
        has_own = self.known[batch.labels]
        nlls = torch.stack(
            [
                self._nll(m, batch.features[m], batch.labels, has_own)
                for m in self.modalities
            ]
        )
        probabilities = torch.where(has_own, (-nlls.detach()).exp(), 0)
        weights = self.weights(probabilities.sum(1))
        means = nlls.sum(1) / has_own.sum().clamp(min=1)
        if self.online and self.training:
            self._follow(batch)
        return self.tagged(prototypes=self.alpha * (weights * means).sum())

    def weights(self, scores: Tensor) -> Tensor:
        """Return how much each modality is pushed, ``(M,)`` in [0, 1].

        Args:
            scores: Sums of the true classes' probabilities, ``(M,)``.
        """
        if len(scores) == 1:
            return torch.zeros_like(scores)
        others = mean_of_others(scores)
        if self.weight == 'hard':
            return (scores < others).to(scores.dtype)
        behind = others / scores.clamp(min=_TINY) - 1
        return behind.clamp(0, 1)

    def log_probabilities(self, modality: str, features: Tensor) -> Tensor:
        """Return those of the classes that have a prototype, ``(N, K)``.

        Args:
            modality: Its name.
            features: ``(N, D_m)``.
        """
        prototypes = self.get_buffer(_name(modality)).to(features.dtype)
        square = (features[:, None] - prototypes).square().sum(2)
        # Not torch.cdist: at a distance of 0 a root has no gradient.
        distance = (square + _TINY).sqrt()
        scale = self.temperature or self.in_channels[modality] ** 0.5
        logits = (-distance / scale).masked_fill(~self.known, -torch.inf)
        return F.log_softmax(logits, dim=1)

    def _nll(
        self, modality: str, features: Tensor, labels: Tensor, has_own: Tensor
    ) -> Tensor:
        """Negative log likelihoods ``(N,)``; 0 without a prototype."""
        found = self.log_probabilities(modality, features)
        own = found.gather(1, labels[:, None])[:, 0]
        # Filled before and after: no NaN of a masked row in the gradient.
        return -torch.where(has_own, own, 0 * features.sum(1))

    @torch.no_grad()
    def update(
        self,
        sums: Mapping[str, Tensor],
        counts: Tensor,
        old_share: float | None = None,
    ) -> None:
        """Move the prototypes of the classes that have samples.

        Args:
            sums: Sums of features by class, ``(K, D_m)`` per modality.
            counts: Number of samples by class, ``(K,)``.
            old_share: Share of the old prototype; None takes ``old_share``.
        """
        old_share = self.old_share if old_share is None else old_share
        has_new = (counts > 0)[:, None]
        for modality, total in sums.items():
            kept = self.get_buffer(_name(modality))
            new = total / counts.clamp(min=1)[:, None]
            mixed = torch.where(
                self.known[:, None],
                (1 - old_share) * new + old_share * kept,
                new,
            )
            kept.copy_(torch.where(has_new, mixed, kept))
        self.known |= counts > 0

    def sums(
        self, features: Mapping[str, Tensor], labels: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return sums of features by class, and counts; see :meth:`update`.

        Args:
            features: ``(N, D_m)`` per modality.
            labels: ``(N,)``.
        """
        member = F.one_hot(labels, self.num_classes).float()
        sums = {m: member.T @ x.detach().float() for m, x in features.items()}
        return sums, member.sum(0)

    def _follow(self, batch: MultiModalBatch) -> None:
        sums, counts = self.sums(batch.clean_features, batch.labels)
        for tensor in (*sums.values(), counts):
            all_reduce(tensor)
        self.update(sums, counts, self.online_momentum)


def _name(modality: str) -> str:
    return f'prototypes_{modality}'
