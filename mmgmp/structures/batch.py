"""What an MMDG method sees of one forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class MultiModalBatch:
    """Features, logits and labels of one batch, attached to the graph.

    Args:
        features: Encoder outputs, ``(N, D_m)`` per modality, in the order of
            the encoders.
        labels: Class labels, ``(N,)``, int64.
        domain_labels: Source-domain labels ``0..S-1``, ``(N,)``, int64.
        fused: Output of the fusion, ``(N, D)``.
        logits: Fused class logits, ``(N, K)``.
        domain_logits: Discriminator logits ``(N, S)``, or ``None`` without a
            domain head.
        unimodal_logits: Logits of the configured unimodal heads, ``(N, K)``
            per modality; empty without ``unimodal_heads``.
        inputs: The preprocessed inputs, for methods that run an encoder
            again.
    """

    features: Mapping[str, Tensor]
    labels: Tensor
    domain_labels: Tensor
    fused: Tensor
    logits: Tensor
    domain_logits: Tensor | None = None
    unimodal_logits: Mapping[str, Tensor] = field(default_factory=dict)
    inputs: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modality names in the order of the encoders."""
        return tuple(self.features)
