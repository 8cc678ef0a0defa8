"""What an MMDG method sees of one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from mmgmp.structures.presence import read_presence


def _no_classifier(features: Mapping[str, Tensor]) -> Tensor:
    raise RuntimeError(
        f'classify of this batch was not given, called for {list(features)}; '
        'take batches from AudioVisualRecognizer'
    )


def _no_shares() -> Mapping[str, Tensor]:
    raise RuntimeError(
        'shares of this batch were not given; take batches from '
        'AudioVisualRecognizer'
    )


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
        unimodal_domain_logits: Domain logits ``(N, S)`` per modality of a
            method with ``domain_logits_in_pass``; else empty.
        inputs: The preprocessed inputs, for methods that run an encoder
            again.
        outputs: Encoder outputs before ``feature_transforms``, ``(N, D_m)``;
            empty if a loss may reach an encoder by another way, as it may
            through ``inner_features``.
        inner_features: Features at encoder weights moved one step along each
            unimodal loss; given by ``InnerStepPlan`` only.
        num_views: Views per sample V; rows come as all first views, then all
            second views, so N is V times the number of samples.
        teacher: What the averaged copy of the method that reads this batch
            says about it; empty until the teacher has begun.
        classify: Fused class logits ``(N, K)`` of other features, with the
            heads in their present mode.
        clean_features: Features before what ``feature_transforms`` do in
            training only; confidences are computed from them.
        output_weight: Weight of the classifier's last layer.
        hidden: What that layer read, ``(N, D)``, for a method that is built
            with ``hidden_channels``; else None.
        shares: Detached class logits ``(N, K)`` of each modality's share, by
            ``model.contribution``, from heads in eval mode.
    """

    features: Mapping[str, Tensor]
    labels: Tensor
    domain_labels: Tensor
    fused: Tensor
    logits: Tensor
    domain_logits: Tensor | None = None
    unimodal_logits: Mapping[str, Tensor] = field(default_factory=dict)
    unimodal_domain_logits: Mapping[str, Tensor] = field(default_factory=dict)
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    outputs: Mapping[str, Tensor] = field(default_factory=dict)
    inner_features: Mapping[str, Tensor] = field(default_factory=dict)
    num_views: int = 1
    teacher: Mapping[str, Tensor] = field(default_factory=dict)
    classify: Callable[[Mapping[str, Tensor]], Tensor] = _no_classifier
    clean_features: Mapping[str, Tensor] = field(default_factory=dict)
    output_weight: Tensor | None = None
    hidden: Tensor | None = None
    shares: Callable[[], Mapping[str, Tensor]] = _no_shares

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modality names in the order of the encoders."""
        return tuple(self.features)

    @property
    def present(self) -> dict[str, Tensor]:
        """Masks ``(N,)`` of the modalities that some samples lack."""
        masks = read_presence(self.inputs)
        return {m: mask for m, mask in masks.items() if m in self.features}
