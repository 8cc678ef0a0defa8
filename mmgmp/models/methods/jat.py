"""JAT: modality-domain joint adversarial training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmgmp.models.heads.mlp_head import MLPHead, check_range
from mmgmp.models.layers import drop_modalities, reverse_gradient
from mmgmp.models.methods.base_method import BaseMethod
from mmgmp.registry import MODELS
from mmgmp.structures import MultiModalBatch, Task
from mmgmp.utils.checks import check_choice

_SINGLE_SOURCE = ('uniform', 'class_entropy')


@MODELS.register_module()
class JATMethod(BaseMethod):
    """Fool a modality, a local and a global domain discriminator.

    Three discriminators behind gradient reversal guess the modality of one
    modality's feature (term ``modality``), its domain (``local``) and the
    domain of all features together (``global``); all are domain. Unimodal
    cross-entropies (``unimodal``, classification) are weighted by how much a
    modality confuses the local domain discriminator.

    The model has no ``domain_head`` of its own: domain confidences are read
    off the local discriminator. The reversal is inside, so the gradient of
    the domain task already has its sign.

    Args:
        num_domains: Source domains S; 1 drops the two domain terms.
        global_weight: Of the global domain loss.
        local_weight: Of the local domain loss.
        modality_weight: Of the modality loss.
        unimodal_weight: Of the unimodal cross-entropies. The authors' later
            code has M here.
        domain_reversal: Reversal coefficient of both domain losses.
        modality_reversal: Reversal coefficient of the modality loss.
        entropy_temperature: T of the modality weights.
        detach_weights: Whether the modality weights are constants; the
            released code differentiates through them.
        single_source_weights: Modality weights with one source domain:
            ``'uniform'``, or ``'class_entropy'`` of the unimodal heads.
        modality_dropout: Probability of dropping a modality of a sample from
            the fused branch; 0.5 in the authors' later code. Replaces the
            fused cross-entropy by one on what is left (term ``fused``).
        hidden_channels: Width of the projectors.
        global_channels: Hidden width of the global discriminator; 2048 in
            the authors' later code.
        local_channels: Hidden width of the local discriminator.
        dropout: Of projectors and global discriminator.
        **kwargs: As in :class:`BaseMethod`.

    Raises:
        ValueError: If an option is unknown or out of range, or there is no
            domain.

    Example:
        >>> method = JATMethod({'video': 4, 'audio': 2}, 3, num_domains=2)
        >>> logits = method.domain_logits({'audio': torch.zeros(5, 2)})
        >>> logits['audio'].shape
        torch.Size([5, 2])

    Source: Li et al., "Towards Robust Multimodal Domain Generalization via
    Modality-Domain Joint Adversarial Training", ACM Multimedia 2025.
    [verified] modules and defaults, in the released benchmark code (arXiv
    2605.06643). [not verified] whether the paper detaches the weights.
    [choice] detached, and uniform for a single source; the tasks.
    """

    default_tasks: ClassVar[Mapping[str, Task]] = {
        'fused': Task.CLASSIFICATION,
        'unimodal': Task.CLASSIFICATION,
        'global': Task.DOMAIN,
        'local': Task.DOMAIN,
        'modality': Task.DOMAIN,
    }
    needs_unimodal_heads = True
    domain_logits_in_pass = False

    def __init__(
        self,
        in_channels: Mapping[str, int],
        num_classes: int,
        num_domains: int,
        global_weight: float = 0.5,
        local_weight: float = 0.5,
        modality_weight: float = 0.1,
        unimodal_weight: float = 3.0,
        domain_reversal: float = 0.3,
        modality_reversal: float = 0.1,
        entropy_temperature: float = 1.0,
        detach_weights: bool = True,
        single_source_weights: str = 'uniform',
        modality_dropout: float = 0.0,
        hidden_channels: int = 512,
        global_channels: int = 512,
        local_channels: int = 256,
        dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **kwargs)
        check_choice(
            'single_source_weights of JATMethod',
            single_source_weights,
            _SINGLE_SOURCE,
            'correct model.methods',
        )
        if num_domains < 1:
            raise ValueError(
                f'num_domains of JATMethod must be >= 1, got {num_domains}; '
                'correct model.methods'
            )
        if not 0 <= modality_dropout < 1:
            raise ValueError(
                'modality_dropout of JATMethod must be in [0, 1), got '
                f'{modality_dropout}; correct model.methods'
            )
        self.check_positive(entropy_temperature=entropy_temperature)
        self.num_domains = num_domains
        self.global_weight = global_weight
        self.local_weight = local_weight
        self.modality_weight = modality_weight
        self.unimodal_weight = unimodal_weight
        self.domain_reversal = domain_reversal
        self.modality_reversal = modality_reversal
        self.entropy_temperature = entropy_temperature
        self.detach_weights = detach_weights
        self.single_source_weights = single_source_weights
        self.modality_dropout = modality_dropout
        self.replaces_cls_loss = modality_dropout > 0
        self.has_domain_logits = num_domains > 1
        width = hidden_channels
        if len(in_channels) > 1:
            self.modality_projectors = self._projectors(width, dropout)
            self.modality_discriminator = nn.Linear(width, len(in_channels))
        if self.has_domain_logits:
            self.domain_projectors = self._projectors(width, dropout)
            self.local_discriminator = nn.Sequential(
                nn.Linear(width, local_channels),
                nn.BatchNorm1d(local_channels),
                nn.ReLU(inplace=True),
                nn.Linear(local_channels, num_domains),
            )
            self.global_discriminator = MLPHead(
                sum(in_channels.values()),
                num_domains,
                global_channels,
                dropout,
            )

    def losses(self, batch: MultiModalBatch) -> dict[Task, dict[str, Tensor]]:
        """Return the terms; see the base class."""
        terms = {}
        domain_logits: Mapping[str, Tensor] = {}
        if self.has_domain_logits:
            domain_logits = self.domain_logits(batch.features)
            local = [
                F.cross_entropy(logits, batch.domain_labels)
                for logits in domain_logits.values()
            ]
            terms['local'] = self.local_weight * torch.stack(local).mean()
            terms['global'] = self.global_weight * F.cross_entropy(
                self.global_logits(batch.features), batch.domain_labels
            )
        if len(batch.features) > 1:
            loss = self.modality_loss(batch.features)
            terms['modality'] = self.modality_weight * loss
        terms['unimodal'] = self.unimodal_weight * self.unimodal_loss(
            batch, self.modality_weights(domain_logits, batch)
        )
        if self.modality_dropout:
            rates = batch.logits.new_full(
                (len(batch.features),), self.modality_dropout
            )
            left = batch.classify(drop_modalities(batch.features, rates))
            terms['fused'] = F.cross_entropy(left, batch.labels)
        return self.tagged(**terms)

    def domain_logits(
        self, features: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the local discriminator's logits; see the base class."""
        return {
            m: self.local_discriminator(
                self.domain_projectors[m](
                    reverse_gradient(x, self.domain_reversal)
                )
            )
            for m, x in features.items()
        }

    def global_logits(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return domain logits ``(N, S)`` of all features together.

        Args:
            features: ``(N, D_m)`` per modality.
        """
        joined = torch.cat(list(features.values()), dim=1)
        logits: Tensor = self.global_discriminator(
            reverse_gradient(joined, self.domain_reversal)
        )
        return logits

    def modality_loss(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the cross-entropy of guessing the modality, 0-dim.

        Args:
            features: ``(N, D_m)`` per modality.
        """
        losses = []
        for index, (modality, feature) in enumerate(features.items()):
            reversed_ = reverse_gradient(feature, self.modality_reversal)
            logits = self.modality_discriminator(
                self.modality_projectors[modality](reversed_)
            )
            # The reversal is inside: the encoder learns to hide it.
            truth = torch.full((len(logits),), index, device=logits.device)
            losses.append(F.cross_entropy(logits, truth))
        return torch.stack(losses).mean()

    def modality_weights(
        self, domain_logits: Mapping[str, Tensor], batch: MultiModalBatch
    ) -> Tensor:
        """Return omega, ``(M,)``, adding up to 1.

        Args:
            domain_logits: Local domain logits; empty for a single source.
            batch: The batch, for the fallbacks of a single source.
        """
        read = domain_logits
        if not read and self.single_source_weights == 'class_entropy':
            read = batch.unimodal_logits
        if not read:
            count = len(batch.features)
            return batch.logits.new_full((count,), 1 / count)
        # A modality whose domain cannot be guessed is the invariant one, and
        # its unimodal loss counts more.
        entropies = torch.stack([_mean_entropy(x) for x in read.values()])
        weights = (entropies / self.entropy_temperature).softmax(0)
        return weights.detach() if self.detach_weights else weights

    def unimodal_loss(self, batch: MultiModalBatch, weights: Tensor) -> Tensor:
        """Return the weighted unimodal cross-entropies, 0-dim.

        Args:
            batch: With unimodal logits.
            weights: ``(M,)``.
        """
        losses = [
            F.cross_entropy(logits, batch.labels)
            for logits in batch.unimodal_logits.values()
        ]
        return (weights * torch.stack(losses)).sum()

    def check_labels(self, labels: Tensor, domain_labels: Tensor) -> None:  # noqa: ARG002
        """Refuse labels outside the source domains; see the base class."""
        if self.has_domain_logits:
            check_range(
                'domain_label',
                domain_labels,
                self.num_domains,
                'num_domains of JATMethod in model.methods',
            )

    def _projectors(self, width: int, dropout: float) -> nn.ModuleDict:
        return nn.ModuleDict(
            {
                m: nn.Sequential(
                    nn.Linear(channels, width),
                    nn.ReLU(inplace=True),
                    nn.Dropout(dropout),
                )
                for m, channels in self.in_channels.items()
            }
        )


def _mean_entropy(logits: Tensor) -> Tensor:
    """Mean entropy of the predictions in nats, 0-dim."""
    log_probability = logits.log_softmax(1)
    return -(log_probability.exp() * log_probability).sum(1).mean()
