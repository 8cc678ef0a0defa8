"""Domain discriminator behind a gradient reversal."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from mmgmp.models.heads.mlp_head import MLPHead, check_range
from mmgmp.models.layers import reverse_gradient
from mmgmp.registry import MODELS


@MODELS.register_module()
class DomainDiscriminatorHead(MLPHead):
    """Guess the source domain, and push the encoders the other way.

    The reversal sits between the fused feature and the first layer: the
    discriminator descends the domain loss with weight ``loss_weight``,
    everything before it climbs with ``domain_weight * loss_weight``. Nothing
    else multiplies by -lambda again.

    Args:
        num_domains: Number of source domains S, >= 2.
        in_channels: Width of the fused feature; the recognizer fills it in.
        hidden_channels: Width of the hidden layer; 0 makes the head linear.
        dropout: Drop probability before the output layer.
        domain_weight: Reversal coefficient lambda, >= 0; 0 still trains the
            discriminator but sends nothing to the encoders.
        loss_weight: Weight w_d of the domain loss, > 0.
        init_cfg: As in MMEngine.

    Raises:
        ValueError: If there are fewer than two domains or a weight is
            negative.

    Example:
        >>> import torch
        >>> head = DomainDiscriminatorHead(num_domains=2, in_channels=8)
        >>> head(torch.zeros(4, 8)).shape
        torch.Size([4, 2])

    Source: GMP (arXiv 2603.14175), Eq. (2) and implementation details;
    lambda 0.3 is the released code's, w_d = 1 is [choice].
    """

    def __init__(
        self,
        num_domains: int,
        in_channels: int,
        hidden_channels: int = 256,
        dropout: float = 0.0,
        domain_weight: float = 0.3,
        loss_weight: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        if num_domains < 2:
            raise ValueError(
                'model.domain_head.num_domains must be >= 2, got '
                f'{num_domains}; with a single source domain set '
                'model.domain_head=None'
            )
        if domain_weight < 0 or loss_weight <= 0:
            raise ValueError(
                'domain_weight must be >= 0 and loss_weight > 0, got '
                f'{domain_weight} and {loss_weight}; set them in '
                'model.domain_head (domain_head=None drops the domain task)'
            )
        super().__init__(
            in_channels, num_domains, hidden_channels, dropout, init_cfg
        )
        self.num_domains = num_domains
        self.domain_weight = domain_weight
        self.loss_weight = loss_weight

    def forward(self, fused: Tensor) -> Tensor:
        """Return domain logits ``(N, S)`` of fused features ``(N, D)``."""
        return super().forward(reverse_gradient(fused, self.domain_weight))

    def check_labels(self, domain_labels: Tensor) -> None:
        """Refuse labels outside the source domains.

        Args:
            domain_labels: Domain labels on the host, ``(N,)``.

        Raises:
            ValueError: If one is not in ``0..S-1``.
        """
        check_range(
            'domain_label',
            domain_labels,
            self.num_domains,
            'model.domain_head.num_domains',
        )

    def loss(self, logits: Tensor, domain_labels: Tensor) -> Tensor:
        """Return the weighted mean cross-entropy, 0-dim.

        Args:
            logits: ``(N, S)``.
            domain_labels: Source-domain labels ``0..S-1``, ``(N,)``.
        """
        return self.loss_weight * F.cross_entropy(logits, domain_labels)
