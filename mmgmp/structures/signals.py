"""The few scalars per modality that gradient strategies decide from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class BatchSignals:
    """What is known about one optimizer step before its gradients.

    All tensors have shape ``(M,)``, one entry per modality in the order of
    ``modalities``, are detached and stay on the device of the model.

    Args:
        modalities: Names, in the order of the encoders.
        semantic_ratio: Rho, dimensionless; above 1 the modality is ahead in
            classification.
        domain_ratio: Sigma, dimensionless; above 1 the modality is ahead in
            domain invariance.
        means: Sample means of what the modulation asked to observe.
        epoch: 0-based epoch.
        step: 0-based count of optimizer steps.

    Source: GMP (arXiv 2603.14175), Eq. (8).
    """

    modalities: tuple[str, ...]
    semantic_ratio: Tensor
    domain_ratio: Tensor
    means: Mapping[str, Tensor] = field(default_factory=dict)
    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class Coefficients:
    """Factors of the raw task gradients, each of shape ``(M,)``.

    The encoder of modality m receives
    ``classification[m] * g_c + domain[m] * g_d + extra[m] * g_e``.
    """

    classification: Tensor
    domain: Tensor
    extra: Tensor


@dataclass(frozen=True)
class GradientProducts:
    """Inner products of the raw task gradients, each of shape ``(M,)``.

    Taken over the concatenation of all trainable parameters of an encoder,
    in squared gradient units.

    Args:
        classification: ``||g_c||^2`` (A).
        domain: ``||g_d||^2`` (B).
        cross: ``g_c . g_d`` (D).

    Source: closed form of GMP (arXiv 2603.14175), Eq. (12)-(15).
    """

    classification: Tensor
    domain: Tensor
    cross: Tensor
