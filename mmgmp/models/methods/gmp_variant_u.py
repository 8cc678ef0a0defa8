"""The losses of GMP's released code, variant U."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmgmp.models.heads.mlp_head import check_range
from mmgmp.models.layers import reverse_gradient
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task


@MODELS.register_module()
class GMPVariantUMethod(BaseMethod):
    """Fused, unimodal and shared-discriminator losses of the released code.

    The code that the authors released is another algorithm than the paper's
    equations. Its fused cross-entropy (term ``fused``) is neither modulated
    nor projected; what GMP acts on are a cross-entropy per modality
    (``unimodal``, classification) and the domain loss of one discriminator
    that reads the projected feature of each modality by itself (``shared``,
    domain). The configs ``gmp-u_*`` add the rest: unimodal heads that belong
    to their encoder, ``VariantUModulation`` and ``VariantUProjection``.

    The reversal is inside, so the gradient of the domain task already has its
    sign. The loss is the mean over modalities, for the discriminator; the
    reversal is M times stronger, so that an encoder gets the gradient of its
    own term whole.

    Args:
        num_domains: Source domains S; 1 drops the domain term.
        unimodal_weight: Weight mu_c of each unimodal cross-entropy.
        domain_loss_weight: Weight mu_d of each domain loss.
        domain_weight: Reversal coefficient lambda, >= 0.
        train_discriminator: Whether projections and discriminator are
            trained. The released code never gives them a gradient: False
            leaves them at their random start.
        hidden_channels: Width of the projections.
        discriminator_channels: Hidden width of the discriminator.
        dropout: Of the projections.
        **kwargs: As in :class:`BaseMethod`.

    Raises:
        ValueError: If there is no domain or a weight is negative.

    Example:
        >>> method = GMPVariantUMethod({'video': 4, 'audio': 2}, 3, 2)
        >>> logits = method.domain_logits({'audio': torch.zeros(5, 2)})
        >>> logits['audio'].shape
        torch.Size([5, 2])

    Source: the released benchmark code of GMP (arXiv 2603.14175, code of
    arXiv 2605.06643). [choice] training the discriminator by default.
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {
        'fused': Task.EXTRA,
        'unimodal': Task.CLASSIFICATION,
        'shared': Task.DOMAIN,
    }
    needs_unimodal_heads = True
    replaces_cls_loss = True
    domain_logits_in_pass = True

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        num_domains: int,
        unimodal_weight: float = 3.0,
        domain_loss_weight: float = 0.5,
        domain_weight: float = 0.3,
        train_discriminator: bool = True,
        hidden_channels: int = 512,
        discriminator_channels: int = 256,
        dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        weights = (unimodal_weight, domain_loss_weight, domain_weight)
        if num_domains < 1 or min(weights) < 0:
            raise ValueError(
                'num_domains of GMPVariantUMethod must be >= 1 and its '
                f'weights >= 0, got {num_domains} and {weights}; correct '
                'model.methods'
            )
        self.num_domains = num_domains
        self.unimodal_weight = unimodal_weight
        self.domain_loss_weight = domain_loss_weight
        self.domain_weight = domain_weight
        self.has_domain_logits = num_domains > 1
        if not self.has_domain_logits:
            return
        self._build(hidden_channels, discriminator_channels, dropout)
        for parameter in self.parameters():
            parameter.requires_grad = train_discriminator

    def _build(self, hidden: int, discriminator: int, dropout: float) -> None:
        self.projections = nn.ModuleDict(
            {
                m: nn.Sequential(
                    nn.Linear(width, hidden),
                    nn.ReLU(inplace=True),
                    nn.Dropout(dropout),
                )
                for m, width in self.in_channels.items()
            }
        )
        self.discriminator = nn.Sequential(
            nn.Linear(hidden, discriminator),
            nn.BatchNorm1d(discriminator),
            nn.ReLU(inplace=True),
            nn.Linear(discriminator, self.num_domains),
        )

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the terms; see the base class."""
        unimodal = [
            F.cross_entropy(logits, batch.labels)
            for logits in batch.unimodal_logits.values()
        ]
        terms = {
            'fused': F.cross_entropy(batch.logits, batch.labels),
            'unimodal': self.unimodal_weight * torch.stack(unimodal).sum(),
        }
        if self.has_domain_logits:
            shared = [
                F.cross_entropy(logits, batch.domain_labels)
                for logits in batch.unimodal_domain_logits.values()
            ]
            terms['shared'] = (
                self.domain_loss_weight * torch.stack(shared).mean()
            )
        return self.tagged(**terms)

    def domain_logits(
        self, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the shared discriminator's logits; see the base class."""
        strength = self.domain_weight * len(self.in_channels)
        return {
            m: self.discriminator(
                self.projections[m](reverse_gradient(x, strength))
            )
            for m, x in features.items()
        }

    def check_labels(self, labels: Tensor, domain_labels: Tensor) -> None:
        """Refuse domains that the discriminator does not have."""
        del labels
        if self.has_domain_logits:
            check_range(
                'domain_label',
                domain_labels,
                self.num_domains,
                'num_domains of GMPVariantUMethod in model.methods',
            )
