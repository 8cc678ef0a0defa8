"""MER-DG: features that stay spread out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from mmengine.dist import get_rank, get_world_size
from torch import Tensor, nn
from torch.nn import functional as F

from mmgmp.models.layers import contrastive_projectors
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task


@MODELS.register_module()
class MERDGMethod(BaseMethod):
    """Modality-entropy regularisation.

    Joint training lets encoders lean on coincidences between the modalities
    of the source recordings. Two losses per modality keep the distribution
    of its projected features u wide: ``marginal`` asks for a standard
    deviation of 1 in every direction, ``spectral`` for directions that are
    not collinear. They ignore class and domain and are tagged extra, so that
    they are neither modulated nor projected [choice]; ``tasks`` can say
    domain. The projectors are for training only. A weight of 0 drops its
    term, and without terms there are no projectors.

    Both are statistics of one batch: those of a rank and a micro-batch, and
    a step that is split in another way gives another loss, unlike GMP's
    ratios. ``gather`` takes those of all ranks together, whose batches must
    then be of one size.

    With N samples of E columns, and N <= E, the covariance has rank N - 1 at
    most. The other eigenvalues are ``delta``, a constant without gradient
    (8.13 of the spectral loss at N = 16, E = 128), which is left out of the
    logged loss; what has a gradient pushes the samples apart.

    Args:
        in_channels: Feature width D_m per modality.
        num_classes: Number of classes K.
        weight: Lambda of both terms, >= 0.
        marginal_weight: Alpha of the marginal entropy, >= 0.
        spectral_weight: Alpha of the spectral entropy, >= 0.
        delta: Added to variances and eigenvalues, > 0.
        normalize: Whether u has length 1 and projectors have batch norms, as
            in the released SimMMDG with MER-DG. The standard deviations
            cannot reach 1 then: ``marginal`` is a constant pull.
        gather: Whether statistics are over all ranks [choice].
        projector_channels: Hidden width of the projectors.
        embedding_channels: E.
        **kwargs: As in :class:`BaseMethod`.

    Raises:
        ValueError: If a weight is negative or ``delta`` not positive.

    Example:
        >>> method = MERDGMethod({'video': 6, 'audio': 4}, num_classes=2,
        ...     projector_channels=8, embedding_channels=3)
        >>> method.projectors['audio'](torch.zeros(5, 4)).shape
        torch.Size([5, 3])

    Source: MER-DG: Modality-Entropy Regularization for Multimodal Domain
    Generalization, ICML 2026 (arXiv 2605.01967). [release] all defaults and
    equations, read in the authors' code; the text of the paper was not at
    hand. The sum over modalities is not divided by their number [release].
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {
        'marginal': Task.EXTRA,
        'spectral': Task.EXTRA,
    }

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        weight: float = 3.0,
        marginal_weight: float = 1.0,
        spectral_weight: float = 1.0,
        delta: float = 1e-4,
        normalize: bool = False,
        gather: bool = False,
        projector_channels: int = 2048,
        embedding_channels: int = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        self.check_positive(delta=delta)
        weights = {
            'weight': weight,
            'marginal_weight': marginal_weight,
            'spectral_weight': spectral_weight,
        }
        if not min(weights.values()) >= 0:
            raise ValueError(
                f'weights of {type(self).__name__} must be >= 0, got '
                f'{weights}; correct model.methods (0 drops a term)'
            )
        self.marginal_weight = weight * marginal_weight
        self.spectral_weight = weight * spectral_weight
        self.delta = delta
        self.gather = gather
        build = contrastive_projectors if normalize else _projectors
        is_off = not self.marginal_weight and not self.spectral_weight
        self.projectors = build(
            {} if is_off else in_channels,
            projector_channels,
            embedding_channels,
        )

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the two terms; see the base class."""
        projected = [
            projector(batch.features[m])
            for m, projector in self.projectors.items()
        ]
        if self.gather:
            projected = [_over_ranks(u) for u in projected]
        terms = {}
        if self.marginal_weight:
            terms['marginal'] = self.marginal_weight * _total(
                marginal_entropy_loss(u, self.delta) for u in projected
            )
        if self.spectral_weight:
            terms['spectral'] = self.spectral_weight * _total(
                spectral_entropy_loss(u, self.delta) - _floor(u, self.delta)
                for u in projected
            )
        return self.tagged(**terms)


def marginal_entropy_loss(u: Tensor, delta: float = 1e-4) -> Tensor:
    """Mean over the columns of what a standard deviation lacks to 1, 0-dim.

    Args:
        u: Projected features, ``(N, E)``; 0 with fewer than two rows
            [choice].
        delta: Added to the variances.

    Example:
        >>> u = torch.tensor([[.5, .5], [.5, .5], [-.5, -.5], [-.5, -.5]])
        >>> marginal_entropy_loss(u)
        tensor(0.4226)

    Source: MER-DG (arXiv 2605.01967) [release].
    """
    if len(u) < 2:
        return 0 * u.sum()
    return F.relu(1 - (u.var(0) + delta).sqrt()).mean()


def spectral_entropy_loss(u: Tensor, delta: float = 1e-4) -> Tensor:
    """``-log det C / E`` of the standardised columns' covariance, 0-dim.

    Found from the smaller of the two Gram matrices, in double precision: the
    determinant is a product of up to E numbers, some of them ``delta``.

    Args:
        u: Projected features, ``(N, E)``; 0 with fewer than two rows or
            columns [choice].
        delta: Added to the standard deviations and to the eigenvalues.

    Example:
        >>> u = torch.tensor([[.5, .5], [.5, .5], [-.5, -.5], [-.5, -.5]])
        >>> spectral_entropy_loss(u)
        tensor(4.1149)

    Source: MER-DG (arXiv 2605.01967) [release].
    """
    rows, columns = u.shape
    if rows < 2 or columns < 2:
        return 0 * u.sum()
    wide = u.double()
    x = (wide - wide.mean(0)) / (wide.std(0, correction=0) + delta)
    size = min(rows, columns)
    gram = x @ x.T if rows < columns else x.T @ x
    eye = torch.eye(size, dtype=x.dtype, device=x.device)
    # Positive definite for any finite u. Without a check of the result,
    # which would wait for the device; NaN stays NaN.
    factor, _ = torch.linalg.cholesky_ex(gram / (rows - 1) + delta * eye)
    log_det = 2 * factor.diagonal().log().sum()
    # The same determinant of the other size: eigenvalues of delta are added.
    log_det = log_det + (columns - size) * math.log(delta)
    return (-log_det / columns).to(u.dtype)


def _floor(u: Tensor, delta: float) -> float:
    """The part of the spectral loss that no feature can change."""
    rows, columns = u.shape
    if rows < 2 or columns < 2:
        return 0.0
    return -max(columns - rows + 1, 0) / columns * math.log(delta)


def _total(values: Any) -> Tensor:
    return torch.stack(list(values)).sum()


def _over_ranks(u: Tensor) -> Tensor:
    """Rows of all ranks; a rank's own pass its gradient on.

    Gradients are averaged over ranks, so each rank's share of that of the
    common loss counts as often as there are ranks.
    """
    size, fixed = get_world_size(), u.detach()
    if size == 1:
        return u
    # A sum, which every backend has for every device.
    rows = fixed.new_zeros(size, *fixed.shape)
    rows[get_rank()] = fixed
    torch.distributed.all_reduce(rows)
    parts = list(rows)
    parts[get_rank()] = fixed + size * (u - fixed)
    return torch.cat(parts)


def _projectors(
    widths: Mapping[str, int], hidden_channels: int, out_channels: int
) -> nn.ModuleDict:
    """One projector per modality, with layer norms."""
    return nn.ModuleDict(
        {
            m: nn.Sequential(
                nn.Linear(width, hidden_channels),
                nn.LayerNorm(hidden_channels),
                nn.ReLU(inplace=True),
                nn.Linear(hidden_channels, hidden_channels),
                nn.LayerNorm(hidden_channels),
                nn.ReLU(inplace=True),
                nn.Linear(hidden_channels, out_channels),
            )
            for m, width in widths.items()
        }
    )
