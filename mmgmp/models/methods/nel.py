"""NEL: nonpolarized embedding learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.layers import (
    contrastive_projectors,
    stack_modalities,
    supervised_contrast,
)
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task


@MODELS.register_module()
class NELMethod(BaseMethod):
    """Balance a supervised and an unsupervised contrast of two views.

    Terms: ``contrast`` (classification), the supervised contrast of the
    projected first halves; ``views`` (domain), the contrast between views of
    embeddings moved towards their nearest neighbours; ``spectrum`` (domain),
    the negative entropy of the spectrum of the fused features.

    Needs ``model.forward_plan=dict(type='MultiViewPlan')`` and a training
    pipeline inside ``MultiViewPipeline``.

    Args:
        alpha: Weight of ``views``; ``contrast`` has 1 - alpha.
        beta: Weight of ``spectrum``; 1 / 16 is one over the batch size of
            the paper's protocol, which the released benchmark code sets.
        supervised_temperature: Tau_s.
        unsupervised_temperature: Tau_u.
        base_temperature: Tau_0 of the supervised contrast.
        num_neighbours: Neighbours k of the mean shift.
        symmetric: Whether both views are anchors; False anchors the first.
        normalize_rows: Whether the spectrum is that of unit features.
        loss_scale: Factor of all terms and the fused cross-entropy; the
            released code has 0.5.
        projector_channels: Hidden width of the projectors.
        embedding_channels: Width of the embeddings.
        **kwargs: As in :class:`BaseMethod`.

    Raises:
        ValueError: If alpha is outside [0, 1], there are no neighbours, a
            temperature is not positive, or a batch has not two views.

    Example:
        >>> NELMethod({'video': 4, 'audio': 2}, num_classes=2).alpha
        0.7

    Source: "Nonpolarized embedding learning in multimodal domain
    generalization", Neurocomputing 658 (2025) 131754, Eq. (4)-(6), (8), (9),
    (11), (12) and (14) as cited by the released benchmark code (arXiv
    2605.06643). [verified] formulas and defaults, in that code. [not
    verified] the paper's own text. [choice] the tasks.
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {
        'fused': Task.CLASSIFICATION,
        'contrast': Task.CLASSIFICATION,
        'views': Task.DOMAIN,
        'spectrum': Task.DOMAIN,
    }
    needs_plan = frozenset({'views'})

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        alpha: float = 0.7,
        beta: float = 1 / 16,
        supervised_temperature: float = 0.1,
        unsupervised_temperature: float = 0.25,
        base_temperature: float = 0.07,
        num_neighbours: int = 8,
        symmetric: bool = False,
        normalize_rows: bool = False,
        loss_scale: float = 1.0,
        projector_channels: int = 2048,
        embedding_channels: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        if not 0 <= alpha <= 1 or num_neighbours < 1:
            raise ValueError(
                'alpha of NELMethod must be in [0, 1] and num_neighbours >= '
                f'1, got {alpha} and {num_neighbours}; correct model.methods'
            )
        self.check_positive(
            supervised_temperature=supervised_temperature,
            unsupervised_temperature=unsupervised_temperature,
            base_temperature=base_temperature,
        )
        self.alpha = alpha
        self.beta = beta
        self.supervised_temperature = supervised_temperature
        self.unsupervised_temperature = unsupervised_temperature
        self.base_temperature = base_temperature
        self.num_neighbours = num_neighbours
        self.symmetric = symmetric
        self.normalize_rows = normalize_rows
        self.loss_scale = loss_scale
        self.replaces_cls_loss = loss_scale != 1
        self.projectors = contrastive_projectors(
            {m: width // 2 for m, width in in_channels.items()},
            projector_channels,
            embedding_channels,
        )

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the terms; see the base class."""
        if batch.num_views != 2:
            raise ValueError(
                'NELMethod contrasts exactly two views, got '
                f'{batch.num_views}; set num_views=2 in model.forward_plan '
                'and in MultiViewPipeline'
            )
        embeddings = {
            m: self.projectors[m](x[:, : x.shape[1] // 2])
            for m, x in batch.features.items()
        }
        contrast = supervised_contrast(
            *stack_modalities(embeddings, batch.labels),
            self.supervised_temperature,
            self.base_temperature,
        )
        features = torch.cat(list(batch.features.values()), dim=1)
        if self.normalize_rows:
            features = F.normalize(features, dim=1)
        scale = self.loss_scale
        # Eq. (14)
        terms = {
            'contrast': scale * (1 - self.alpha) * contrast,
            'views': scale
            * self.alpha
            * self.views(*self._shifted(embeddings)),
            'spectrum': scale * self.beta * negative_entropy(features),
        }
        if self.replaces_cls_loss:
            fused = F.cross_entropy(batch.logits, batch.labels)
            terms['fused'] = scale * fused
        return self.tagged(**terms)

    def _shifted(self, embeddings: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Unit vectors moved towards their neighbours, one tensor a view."""
        moved = [
            mean_shift(x, self.num_neighbours) for x in embeddings.values()
        ]
        return F.normalize(torch.cat(moved, dim=1), dim=1).chunk(2)

    def views(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the contrast between two views, 0-dim.

        Args:
            first: Unit vectors of view 1, ``(B, D)``.
            second: Those of the same samples in view 2.
        """
        similarity = first @ second.T / self.unsupervised_temperature
        truth = torch.arange(len(similarity), device=similarity.device)
        loss = F.cross_entropy(similarity, truth)
        if self.symmetric:
            loss = (loss + F.cross_entropy(similarity.T, truth)) / 2
        return loss


def mean_shift(embeddings: Tensor, num_neighbours: int) -> Tensor:
    """Move each unit vector half-way to the mean of its neighbours.

    The row itself is left out by its index, so that an equal row counts.

    Args:
        embeddings: Unit vectors ``(N, D)``.
        num_neighbours: Neighbours k by cosine similarity; at most N - 1.

    Returns:
        Unit vectors ``(N, D)``; gradients reach the neighbours.

    Example:
        >>> mean_shift(torch.tensor([[1., 0.], [0.8, 0.6], [0., 1.]]), 1)
        tensor([[0.9487, 0.3162],
                [0.9487, 0.3162],
                [0.4472, 0.8944]])

    Source: NEL (Neurocomputing 658, 2025, 131754), Eq. (4)-(6).
    """
    count = min(num_neighbours, len(embeddings) - 1)
    if not count:
        return embeddings
    # Who is a neighbour is no function to differentiate; where they are is.
    constant = embeddings.detach()
    similarity = constant @ constant.T
    similarity.fill_diagonal_(-torch.inf)
    nearest = similarity.topk(count, dim=1).indices
    mean = embeddings[nearest].mean(1)
    return F.normalize(0.5 * embeddings + 0.5 * mean, dim=1)


def negative_entropy(features: Tensor, threshold: float = 1e-6) -> Tensor:
    """Return minus the von Neumann entropy of the autocorrelation matrix.

    The eigenvalues come from the smaller of ``E^T E / N`` and ``E E^T / N``,
    whose non-zero ones are the same.

    Args:
        features: Rows of E, ``(N, D)``, neither centred nor normalised.
        threshold: Eigenvalues up to it are left out.

    Returns:
        0-dim tensor, at most 0; not finite if a feature is not.

    Example:
        >>> negative_entropy(torch.eye(4))
        tensor(-1.3863)

    Source: NEL (Neurocomputing 658, 2025, 131754), Eq. (11) and (12).
    """
    count, width = features.shape
    matrix = features @ features.T if count < width else features.T @ features
    matrix = matrix / count
    # The solver raises on what is not finite; a loss scaler must see it.
    solvable = torch.where(matrix.isfinite(), matrix, 0)
    values = torch.linalg.eigvalsh(solvable)
    values = torch.where(values > threshold, values, 0)
    # Eigenvalues left out are zeros, and 0 log 0 is 0: inside the logarithm
    # they are clamped, or their gradient would be NaN.
    tiny = torch.finfo(values.dtype).tiny
    shares = values / values.sum().clamp(min=tiny)
    entropy = (shares * shares.clamp(min=tiny).log()).sum()
    return entropy + 0 * matrix.sum()
